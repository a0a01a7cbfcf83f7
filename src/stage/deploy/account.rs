//! A lost rollout in full, from what is known of it. Nothing is asked from here on, so that a capture tells the same.

use super::watch::running;
use super::words::{GOES_ON, describe, held_in_stage};
use crate::ecs::capture::Aftermath;
use crate::ecs::diagnosis::{Comparison, Diagnosis, Gathered, could_not_look, diagnose, hint_of_reason};
use crate::ecs::observation::{BlindReason, Observation, Presence, Service, ServiceStatus};
use crate::ecs::rollout::{Doubt, Loss};
use crate::failure::Failure;
use crate::failure::room::{INDENT_OF_EVIDENCE, rows};
use crate::name::ServiceName;
use crate::secret::Secret;
use std::collections::BTreeSet;
use std::time::Duration;

/// A lost rollout, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(in crate::stage) struct Account<'a> {
    pub(in crate::stage) loss: &'a Loss,
    pub(in crate::stage) service: &'a ServiceName,
    pub(in crate::stage) cluster: &'a str,
    /// Our deployment's id and its revision; none where nothing was deployed, and what runs is not healthy.
    pub(in crate::stage) deployed: Option<(&'a str, &'a str)>,
    /// The ARN of our service deployment, where it is known.
    pub(in crate::stage) service_deployment: Option<&'a str>,
    /// Since the update.
    pub(in crate::stage) elapsed: Duration,
    /// The last look, and the closing one.
    pub(in crate::stage) seen: &'a Observation,
    /// The service when it was last seen.
    pub(in crate::stage) last_seen: Option<&'a Service>,
    /// The ids of events from before the update.
    pub(in crate::stage) old_events: &'a BTreeSet<String>,
    /// The two revisions.
    pub(in crate::stage) comparison: &'a Comparison,
    /// Values that no text may show.
    pub(in crate::stage) secrets: &'a [Secret<String>],
    /// What only a diagnosis asks for; none if nobody asked.
    pub(in crate::stage) gathered: Option<&'a Gathered>,
}

impl Account<'_> {
    /// What serves now, by the last look that saw the service.
    pub(in crate::stage) fn left(&self) -> String {
        left(self.seen, self.last_seen)
    }

    /// The failure that it is, with what came of the rollback that slipway asked for.
    pub(in crate::stage) fn failure(&self, aftermath: Option<Aftermath>) -> Failure {
        let diagnosis = match self.gathered {
            Some(gathered) => {
                diagnose(gathered.known(self.seen, self.old_events, self.comparison, self.secrets))
            }
            None => Diagnosis::default(),
        };
        let failure = describe(self.loss, self.service, self.elapsed.as_secs());
        let mut failure = with_cause(failure, self.loss, &diagnosis);
        let place = format!("service `{}` in cluster `{}`", self.service, self.cluster);
        let Some((deployment, revision)) = self.deployed else {
            let left = format!(
                "nothing was changed: the service already had this revision; {}",
                self.left()
            );
            return with_evidence(failure.place(place).left(left), self.loss, &diagnosis);
        };
        if let Loss::Deadline { last } = self.loss {
            failure.hints.extend(held_in_stage(last, self.service_deployment));
        }
        let failure = failure.place(format!(
            "{place}, deployment {deployment}, task definition `{revision}`"
        ));
        let failure = match aftermath {
            Some(aftermath) => gone_back(failure, aftermath),
            None => failure.left(self.left()),
        };
        with_evidence(failure, self.loss, &diagnosis)
    }
}

/// A failure with what came of the way back.
pub(super) fn gone_back(failure: Failure, aftermath: Aftermath) -> Failure {
    let rolled_back = aftermath.rolled_back;
    let mut failure = aftermath.on(failure);
    failure.hints.retain(|hint| !rolled_back || hint != GOES_ON);
    failure
}

/// The newer look, with the tasks of the older one where it could not list them. One that did not see the service only
/// adds what could not be seen.
pub(in crate::stage) fn merge(newer: Observation, older: Observation) -> Observation {
    if newer.seen_service().is_some() {
        let tasks = newer.tasks.clone().or(older.tasks);
        return Observation { tasks, ..newer };
    }
    let mut merged = older;
    merged.blind.extend(newer.blind);
    merged
}

/// What serves now, by the last look that saw the service.
fn left(seen: &Observation, last_seen: Option<&Service>) -> String {
    match (&seen.service, last_seen) {
        (Presence::Seen(service), _) if service.status == ServiceStatus::Active => running(service),
        (Presence::Seen(service), _) => {
            format!(
                "{}, and the service is {}: its tasks are being stopped",
                running(service),
                service.status
            )
        }
        (Presence::Missing, _) => "nothing: the service is gone, and its tasks with it".to_owned(),
        (Presence::Unseen | Presence::Unreadable { .. }, Some(service)) => {
            format!("unknown what serves now; when last seen, {}", running(service))
        }
        (Presence::Unseen | Presence::Unreadable { .. }, None) => {
            "unknown what serves: the service was not seen since the update".to_owned()
        }
    }
}

/// Adds the cause and the hints of a diagnosis. Where the loss is its own cause (somebody's act, a digest, a doubt),
/// what tasks did is evidence only.
fn with_cause(failure: Failure, loss: &Loss, diagnosis: &Diagnosis) -> Failure {
    let is_own = match loss {
        Loss::Superseded { .. }
        | Loss::Stopped { .. }
        | Loss::ServiceGone { .. }
        | Loss::WrongDigest { .. }
        | Loss::CannotTell(_) => true,
        Loss::Failed { .. }
        | Loss::CannotStart { .. }
        | Loss::RollingBack { .. }
        | Loss::RolledBack { .. }
        | Loss::RollbackFailed { .. }
        | Loss::Deadline { .. }
        | Loss::Stuck { .. } => false,
    };
    if is_own {
        return failure;
    }
    let own = failure.cause.clone();
    // Where no task failed, ECS's own reason says more: somebody's request, for example.
    let found = diagnosis.cause.clone();
    let says_more = match loss {
        Loss::RollingBack { .. } | Loss::RolledBack { .. } => diagnosis.is_weak && own.is_some(),
        _ => false,
    };
    let by_ecs = matches!(
        loss,
        Loss::RollingBack { .. }
            | Loss::RolledBack { .. }
            | Loss::RollbackFailed { .. }
            | Loss::Failed { .. }
    );
    let advice = own.as_deref().filter(|_| by_ecs).and_then(hint_of_reason);
    let (cause, mut hints) = match found {
        Some(found) if !says_more => (Some(found), diagnosis.hints.clone()),
        _ => (own.clone(), Vec::new()),
    };
    // What tasks did does not say why there is no way back.
    if cause == own || matches!(loss, Loss::RollbackFailed { .. }) {
        hints.extend(advice);
    }
    hints.extend(failure.hints);
    Failure {
        cause,
        hints,
        ..failure
    }
}

/// Adds the evidence of a diagnosis, as much as the rest leaves room for. A denied call that is the cause is not told
/// twice.
fn with_evidence(failure: Failure, loss: &Loss, diagnosis: &Diagnosis) -> Failure {
    let taken: usize = failure
        .evidence
        .iter()
        .map(|line| rows(line, INDENT_OF_EVIDENCE))
        .sum();
    let room = failure.room_for_evidence().saturating_sub(taken);
    let told = match loss {
        Loss::CannotTell(Doubt::Denied { action }) => Some(could_not_look(action, BlindReason::Denied)),
        _ => None,
    };
    let lines = diagnosis.evidence(room);
    failure.evidence(lines.into_iter().filter(|line| Some(line) != told.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::{left, with_cause};
    use crate::ecs::diagnosis::Diagnosis;
    use crate::ecs::observation::{Observation, Presence, ServiceStatus};
    use crate::ecs::rollout::tests::build;
    use crate::ecs::rollout::{Loss, RollbackCause};
    use crate::failure::{Failure, Kind};

    #[test]
    fn a_diagnosis_names_the_cause_unless_the_loss_is_its_own() {
        let diagnosis = || Diagnosis {
            cause: Some("crash".to_owned()),
            ..Diagnosis::default()
        };
        let failure = || Failure::new(Kind::RolloutFailed, "x").cause("own");
        let by = Loss::Superseded {
            by: "ecs-svc/3".to_owned(),
            task_definition: "x/web:3".to_owned(),
        };
        assert_eq!(
            with_cause(failure(), &by, &diagnosis()).cause.as_deref(),
            Some("own")
        );
        let failed = Loss::Failed { reason: None };
        assert_eq!(
            with_cause(failure(), &failed, &diagnosis()).cause.as_deref(),
            Some("crash")
        );
        assert_eq!(
            with_cause(failure(), &failed, &Diagnosis::default())
                .cause
                .as_deref(),
            Some("own")
        );
    }

    #[test]
    fn a_crash_goes_before_the_alarm_that_it_set_off() {
        let alarm = Loss::RolledBack {
            why: RollbackCause::Alarms(vec!["errors".to_owned()]),
        };
        let crash = Diagnosis {
            cause: Some("crash".to_owned()),
            hints: vec!["mend it".to_owned()],
            ..Diagnosis::default()
        };
        let failure = Failure::new(Kind::RolledBack, "x").cause("alarms").hint("own");
        let failure = with_cause(failure, &alarm, &crash);
        assert_eq!(failure.cause.as_deref(), Some("crash"));
        assert_eq!(failure.hints, ["mend it", "own"], "what helps most goes first");
    }

    #[test]
    fn where_no_task_failed_what_ecs_says_and_its_advice_stand_alone() {
        let stopped = Loss::RollingBack {
            why: RollbackCause::Other(None),
        };
        let weak = Diagnosis {
            cause: Some("still starting".to_owned()),
            is_weak: true,
            hints: vec!["be patient".to_owned()],
            ..Diagnosis::default()
        };
        let failure = Failure::new(Kind::RolledBack, "x").cause("rolled back because it was stopped");
        let failure = with_cause(failure, &stopped, &weak);
        assert_eq!(
            failure.cause.as_deref(),
            Some("rolled back because it was stopped")
        );
        assert!(
            failure.hints.len() == 1 && failure.hints[0].contains("StopServiceDeployment"),
            "{:?}",
            failure.hints
        );
    }

    #[test]
    fn what_is_left_is_always_said() {
        let mut seen = build::look(build::service(2));
        assert_eq!(left(&seen, None), "`web:1` runs 2 tasks, `web:2` none");
        if let Presence::Seen(service) = &mut seen.service {
            service.status = ServiceStatus::Draining;
        }
        assert!(left(&seen, None).ends_with("the service is DRAINING: its tasks are being stopped"));
        let last = build::before(1);
        seen.service = Presence::Missing;
        assert_eq!(
            left(&seen, Some(&last)),
            "nothing: the service is gone, and its tasks with it"
        );
        seen = Observation::unanswered();
        assert_eq!(
            left(&seen, Some(&last)),
            "unknown what serves now; when last seen, `web:1` runs 1 task"
        );
        assert!(left(&seen, None).starts_with("unknown"));
    }
}
