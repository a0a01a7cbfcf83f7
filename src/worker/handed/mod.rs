//! Deploys that were handed back and did not come back yet, by their action execution. Kept only where their fate matters:
//! where abandoned ones are rolled back. `shelf` keeps them on the disk, too.

pub(super) mod shelf;

use crate::config::worker::OnAbandon;
use crate::ecs::resume::Resume;
use crate::pipeline::job::Context;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long after a job was handed back its action is looked at: CodePipeline takes about half a minute to queue the next
/// one, and a worker some time to take it.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// How long a deploy is asked after: no action takes longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The longest pause after a deploy could not be called off.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// The deploys that are away.
#[derive(Debug)]
pub(super) struct Handed {
    /// Whether any are kept.
    kept: bool,
    away: Mutex<BTreeMap<String, Away>>,
}

/// A deploy that is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Away {
    pub(super) context: Context,
    pub(super) resume: Resume,
    /// What the action was said to be at, which says how long it took so far, so that no two are the same. None while it
    /// is not known what CodePipeline took: then it is what it says next.
    pub(super) summary: Option<String>,
    /// When it was handed back.
    pub(super) since: Duration,
    /// When it is asked after next.
    look: Duration,
    /// How often it could not be called off.
    failed: u32,
    /// Whether it is on the disk.
    pub(super) noted: bool,
}

impl Away {
    /// A deploy that was handed back now.
    pub(super) fn new(context: &Context, resume: Resume, summary: Option<String>, now: Duration) -> Self {
        Self {
            context: context.clone(),
            resume,
            summary,
            since: now,
            look: now + PATIENCE,
            failed: 0,
            noted: false,
        }
    }

    /// The same, asked after so soon.
    pub(super) fn looked_at(self, in_a: Duration) -> Self {
        Self {
            look: self.since + in_a,
            ..self
        }
    }
}

impl Handed {
    /// None yet.
    pub(super) fn of(policy: OnAbandon) -> Self {
        Self {
            kept: policy == OnAbandon::Rollback,
            away: Mutex::default(),
        }
    }

    fn away(&self) -> MutexGuard<'_, BTreeMap<String, Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A deploy was handed back with rollouts under way.
    pub(super) fn went(&self, away: Away) {
        if self.kept {
            self.away().insert(away.context.action_execution.clone(), away);
        }
    }

    /// What earlier workers left; what this one knows of the same actions is newer.
    pub(super) fn found(&self, left: Vec<Away>) {
        let mut known = self.away();
        for one in left {
            known.entry(one.context.action_execution.clone()).or_insert(one);
        }
    }

    /// It is here again, or over, or another worker's.
    pub(super) fn forget(&self, context: &Context) {
        self.away().remove(&context.action_execution);
    }

    /// Whether a summary is the one that this worker put.
    pub(super) fn is_as_handed_back(&self, context: &Context, summary: &str) -> bool {
        let mut away = self.away();
        let Some(away) = away.get_mut(&context.action_execution) else {
            return true;
        };
        let known = away.summary.get_or_insert_with(|| summary.to_owned());
        known.trim() == summary.trim()
    }

    /// Those that are to be asked after now, and when each is again; those that are asked after for a day are forgotten.
    pub(super) fn due(&self, now: Duration, between: Duration) -> Vec<(Context, Duration)> {
        let mut away = self.away();
        away.retain(|_, one| !is_old(one, now));
        let due = away.values_mut().filter(|one| one.look <= now);
        due.map(|one| {
            one.look = now + between;
            (one.context.clone(), one.look)
        })
        .collect()
    }

    /// When it is to be asked after next; none if it is not any more.
    pub(super) fn next_look(&self, context: &Context) -> Option<Duration> {
        self.away().get(&context.action_execution).map(|one| one.look)
    }

    /// Takes one to call it off.
    pub(super) fn take(&self, context: &Context) -> Option<Away> {
        self.away().remove(&context.action_execution)
    }

    /// It could not be called off, or another worker does so; each time it is left alone for longer.
    pub(super) fn put_back(&self, away: Away, now: Duration, between: Duration) {
        let pause = between.saturating_mul(2_u32.saturating_pow(away.failed));
        self.went(Away {
            look: now + pause.min(LONGEST_PAUSE),
            failed: away.failed.saturating_add(1),
            ..away
        });
    }
}

fn is_old(away: &Away, now: Duration) -> bool {
    now.saturating_sub(away.since) >= LONGEST
}

#[cfg(test)]
mod tests {
    use super::{Away, Context, Duration, Handed, LONGEST, LONGEST_PAUSE, OnAbandon, PATIENCE};
    use crate::ecs::resume::tests::run;

    const NOW: Duration = Duration::from_secs(1_767_225_600);
    const MINUTE: Duration = Duration::from_secs(60);

    fn context(action: &str) -> Context {
        Context {
            action_execution: action.to_owned(),
            ..Context::default()
        }
    }

    fn away(action: &str, summary: Option<&str>) -> Away {
        Away::new(&context(action), run(1), summary.map(str::to_owned), NOW)
    }

    fn contexts(due: Vec<(Context, Duration)>) -> Vec<Context> {
        due.into_iter().map(|(context, _)| context).collect()
    }

    fn handed() -> Handed {
        Handed::of(OnAbandon::Rollback)
    }

    #[test]
    fn what_was_handed_back_is_asked_after_for_a_day() {
        let handed = handed();
        handed.went(away("a1", None));
        assert_eq!(contexts(handed.due(NOW + PATIENCE - MINUTE, MINUTE)), []);
        assert_eq!(contexts(handed.due(NOW + PATIENCE, MINUTE)), [context("a1")]);
        assert_eq!(
            contexts(handed.due(NOW + PATIENCE, MINUTE)),
            [],
            "it was just asked after"
        );
        handed.went(away("a2", None).looked_at(MINUTE));
        assert_eq!(contexts(handed.due(NOW + MINUTE, MINUTE)), [context("a2")]);
        assert_eq!(contexts(handed.due(NOW + LONGEST, MINUTE)), []);
        assert_eq!(handed.take(&context("a1")), None, "it is too old");
        let left = Handed::of(OnAbandon::Leave);
        left.went(away("a1", None));
        assert_eq!(left.take(&context("a1")), None, "nothing is rolled back");
    }

    #[test]
    fn another_summary_than_the_one_that_was_taken_is_another_workers() {
        let handed = handed();
        handed.went(away("a1", Some("web: 10 s ")));
        assert!(handed.is_as_handed_back(&context("a1"), "web: 10 s"));
        assert!(!handed.is_as_handed_back(&context("a1"), "web: 70 s"));
        handed.went(away("a2", None));
        assert!(
            handed.is_as_handed_back(&context("a2"), "web: 70 s"),
            "nobody knows what was taken"
        );
        assert!(!handed.is_as_handed_back(&context("a2"), "web: 130 s"));
    }

    #[test]
    fn what_could_not_be_called_off_is_tried_again_and_less_often_each_time() {
        let handed = handed();
        handed.went(away("a1", None));
        let mut now = NOW + PATIENCE;
        for pause in [MINUTE, MINUTE * 2, MINUTE * 4] {
            let taken = handed.take(&context("a1")).unwrap();
            assert_eq!(
                contexts(handed.due(now + LONGEST_PAUSE, MINUTE)),
                [],
                "it is taken"
            );
            handed.put_back(taken, now, MINUTE);
            assert_eq!(contexts(handed.due(now + pause - MINUTE / 2, MINUTE)), []);
            now += pause;
            assert_eq!(contexts(handed.due(now, MINUTE)), [context("a1")]);
        }
    }

    #[test]
    fn what_a_worker_knows_is_newer_than_what_it_finds() {
        let handed = handed();
        handed.went(away("a1", Some("new")));
        handed.found(vec![away("a1", Some("old")), away("a2", None)]);
        assert_eq!(handed.take(&context("a1")), Some(away("a1", Some("new"))));
        handed.forget(&context("a2"));
        assert_eq!(handed.take(&context("a2")), None);
    }
}
