//! How long the tasks of ours have run, as looks tell it.

use super::kept::Print;
use crate::ecs::observation::{Task, TaskStatus};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The tasks of ours that ran at the last look that listed them.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    running: BTreeMap<String, Run>,
    /// Tasks that a later look did not show, or not in a state that is known. A task never starts twice: one that is
    /// shown running again has run meanwhile.
    unseen: BTreeMap<String, Run>,
    /// The last look that knew of every running task.
    listed_at: Duration,
    /// What an earlier process knew, until the first list.
    before: Option<Carried>,
}

/// Tasks that ran when an earlier process looked: all of them or none are known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Carried {
    /// Tells them from any other tasks.
    pub(super) print: Print,
    /// Since when the youngest has run.
    pub(super) since: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    /// When it was first seen running.
    since: Duration,
    /// The last look that knew it not to run, or the start of the watch.
    idle_at: Duration,
}

impl Runs {
    /// A look that knew that no task of ours ran, without a list.
    pub(super) const fn none_at(&mut self, elapsed: Duration) {
        self.listed_at = elapsed;
    }

    /// Remembers the tasks of a look.
    pub(super) fn learn(&mut self, elapsed: Duration, tasks: &[Task]) {
        let running: BTreeSet<&str> = tasks
            .iter()
            .filter(|task| task.runs())
            .map(|task| task.id.as_str())
            .collect();
        let before = std::mem::take(&mut self.running);
        let (still, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = before
            .into_iter()
            .partition(|(id, _)| running.contains(id.as_str()));
        self.running = still;
        self.unseen.extend(gone);
        for task in tasks.iter().filter(|task| ends(task)) {
            self.unseen.remove(&task.id);
        }
        let before = self
            .before
            .take()
            .filter(|before| before.print == print(&running));
        for id in running {
            let first = Run {
                since: before.map_or(elapsed, |before| before.since),
                idle_at: self.listed_at,
            };
            let run = self.unseen.remove(id).unwrap_or(first);
            self.running.entry(id.to_owned()).or_insert(run);
        }
        self.listed_at = elapsed;
    }

    /// Goes on with what an earlier process knew.
    pub(super) fn knowing(self, before: Option<Carried>, listed_at: Duration) -> Self {
        Self {
            before,
            listed_at,
            ..self
        }
    }

    /// What a later process can know the running tasks again by.
    pub(super) fn carried(&self) -> Option<Carried> {
        let ids: BTreeSet<&str> = self.running.keys().map(String::as_str).collect();
        let now = self.youngest().map(|since| Carried {
            print: print(&ids),
            since,
        });
        now.or(self.before)
    }

    /// Whether any task is known to have run.
    pub(super) fn any(&self) -> bool {
        !self.running.is_empty() || self.before.is_some()
    }

    /// The last look that knew of every running task.
    pub(super) const fn listed_at(&self) -> Duration {
        self.listed_at
    }

    /// Since when a task has run.
    pub(super) fn since(&self, id: &str) -> Option<Duration> {
        self.running.get(id).map(|run| run.since)
    }

    /// Since when the youngest has run.
    pub(super) fn youngest(&self) -> Option<Duration> {
        self.running.values().map(|run| run.since).max()
    }

    /// Whether a task has run for so long; none if it is not known of one that may have.
    pub(super) fn any_for(&self, time: Duration, elapsed: Duration) -> Option<bool> {
        let long_ago = |at: Duration| elapsed.saturating_sub(at) >= time;
        if self.running.values().any(|run| long_ago(run.since)) {
            return Some(true);
        }
        // A task may have run for long before it was listed for the first time.
        let unknown = self.running.is_empty() || self.running.values().any(|run| long_ago(run.idle_at));
        (!unknown).then_some(false)
    }
}

fn print(ids: &BTreeSet<&str>) -> Print {
    Print::of(&ids.iter().copied().collect::<Vec<_>>().join(" "))
}

/// Whether a task ended, or is ending.
const fn ends(task: &Task) -> bool {
    task.stopping
        || matches!(
            task.status,
            TaskStatus::Deactivating
                | TaskStatus::Stopping
                | TaskStatus::Deprovisioning
                | TaskStatus::Stopped
                | TaskStatus::Deleted
        )
}
