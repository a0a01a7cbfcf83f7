//! Failed tasks, counted by a reason that is the same for the same cause.

use crate::ecs::observation::{StopCode, Task};
use std::collections::BTreeMap;

/// Tasks of our deployment that failed, each counted once.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures {
    by_task: BTreeMap<String, String>,
}

impl Failures {
    /// Remembers the failed tasks of a look.
    pub(super) fn learn(&mut self, tasks: &[Task]) {
        for task in tasks.iter().filter(|task| task.failed()) {
            self.by_task.insert(task.id.clone(), signature(task));
        }
    }

    /// How many tasks failed.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.by_task.len()).unwrap_or(u32::MAX)
    }

    /// The most frequent reason, and how often.
    pub(super) fn most(&self) -> Option<(&str, u32)> {
        let mut times: BTreeMap<&str, u32> = BTreeMap::new();
        for reason in self.by_task.values() {
            *times.entry(reason).or_default() += 1;
        }
        times.into_iter().max_by_key(|(_, times)| *times)
    }
}

/// One line for why a task failed, without what differs from task to task (ids, counts of retries), so that equal
/// causes give equal lines.
#[must_use]
pub fn signature(task: &Task) -> String {
    let stopped = task.stopped_reason.as_deref().unwrap_or("no reason given");
    if task.stop_code == Some(StopCode::EssentialContainerExited) {
        let exits: Vec<String> = task
            .containers
            .iter()
            .filter(|container| container.exit_code != Some(0) || task.containers.len() == 1)
            .filter_map(|container| {
                let code = container.exit_code?;
                let reason = container
                    .reason
                    .as_deref()
                    .map(|reason| format!(" ({})", normalise(reason)));
                Some(format!(
                    "container {} exited with code {code}{}",
                    container.name,
                    reason.unwrap_or_default()
                ))
            })
            .collect();
        if !exits.is_empty() {
            return exits.join(", ");
        }
    }
    if stopped.starts_with("Task failed to start") || task.stopped_reason.is_none() {
        // The containers say more.
        let reasons = task.containers.iter().find_map(|container| {
            Some(format!(
                "container {}: {}",
                container.name,
                normalise(container.reason.as_deref()?)
            ))
        });
        if let Some(reason) = reasons {
            return reason;
        }
    }
    normalise(stopped)
}

/// Replaces what differs between equal causes: long hexadecimal ids by `…`, numbers in `retried 7 time(s)` by `N`.
fn normalise(reason: &str) -> String {
    let words: Vec<String> = reason
        .split_whitespace()
        .map(|word| {
            let core = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            let id = core.len() >= 16 && core.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
            if id {
                word.replace(core, "…")
            } else {
                word.to_owned()
            }
        })
        .collect();
    let mut words = words;
    for at in 0..words.len() {
        let followed = words.get(at + 1).is_some_and(|next| next.starts_with("time"));
        if followed && words[at].bytes().all(|byte| byte.is_ascii_digit()) {
            "N".clone_into(&mut words[at]);
        }
    }
    words.join(" ")
}
