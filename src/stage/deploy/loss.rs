//! A lost rollout as a failure: kind, what, root cause, what is left, what to do.

use super::begin::Beginning;
use super::prepare::Prepared;
use super::undo::{Undone, undo};
use super::watch::{Lost, running};
use super::words::{describe, held_in_stage};
use crate::config::settings::{DeploySettings, OnFailure};
use crate::ecs::diagnosis::{Diagnosis, could_not_look};
use crate::ecs::observation::{BlindReason, Observation, Presence, Service, ServiceStatus};
use crate::ecs::rollout::{Doubt, Loss};
use crate::ecs::service::{Case, ServiceError};
use crate::failure::room::{INDENT_OF_EVIDENCE, rows};
use crate::failure::{Failure, Kind, chain};
use crate::shutdown::Urgency;
use crate::stage::Tools;

impl Lost {
    /// Finds out why, rolls back if that is wanted and needed, and says all of it.
    pub(super) async fn into_failure(
        mut self: Box<Self>,
        tools: &Tools,
        deploy: &DeploySettings,
        prepared: &Prepared,
        begun: &Beginning,
    ) -> Failure {
        let diagnosis = tokio::select! {
            diagnosis = self.diagnose(prepared, Some(&begun.revision)) => diagnosis,
            _ = tools.shutdown.reached(Urgency::WindDown) => Diagnosis::default(),
        };
        let failure = describe(&self.loss, &prepared.name, self.elapsed.as_secs()).place(format!(
            "{}, task definition `{}`",
            prepared.place(&begun.ours.deployment),
            begun.revision
        ));
        let mut failure = with_cause(failure, &self.loss, &diagnosis);
        if let Loss::Deadline { last } = &self.loss {
            failure
                .hints
                .extend(held_in_stage(last, self.watched.service_deployment()));
        }
        let left = left(&self.seen, self.last_seen.as_ref());
        let failure = if deploy.on_failure == OnFailure::Leave || !self.loss.leaves_new_revision() {
            failure.left(left)
        } else {
            let undone = undo(tools, prepared, &self, begun).await;
            after_undo(failure, left, undone, &begun.revision)
        };
        with_evidence(failure, &self.loss, &diagnosis)
    }

    /// The service runs what was asked for, and is not healthy; nothing was changed.
    pub(super) async fn into_failure_of_unchanged(mut self: Box<Self>, prepared: &Prepared) -> Failure {
        let diagnosis = self.diagnose(prepared, None).await;
        let failure = describe(&self.loss, &prepared.name, self.elapsed.as_secs());
        let left = left(&self.seen, self.last_seen.as_ref());
        let failure = with_cause(failure, &self.loss, &diagnosis)
            .place(format!(
                "service `{}` in cluster `{}`",
                prepared.name, prepared.cluster
            ))
            .left(format!(
                "nothing was changed: the service already had this revision; {left}"
            ));
        with_evidence(failure, &self.loss, &diagnosis)
    }

    /// One more look at everything, the log of a failed container, and what follows from them. Without credentials, or
    /// without the service, there is nothing to look at.
    async fn diagnose(&mut self, prepared: &Prepared, deployed: Option<&str>) -> Diagnosis {
        if matches!(
            self.loss,
            Loss::CannotTell(Doubt::NoCredentials) | Loss::ServiceGone { .. }
        ) {
            return Diagnosis::default();
        }
        let seen = prepared.ecs.look_closely(&mut self.watched).await.seen;
        if let Some(service) = seen.seen_service() {
            self.last_seen = Some(service.clone());
            self.seen = merge(seen, &self.seen);
        } else {
            self.seen.blind.extend(seen.blind);
        }
        let case = Case {
            seen: &self.seen,
            baseline: &prepared.baseline().events,
            comparison: &prepared.comparison(deployed),
            secrets: &prepared.wanted.secret_values(),
        };
        prepared.ecs.diagnose(case).await
    }
}

/// What came of a rollback that slipway asked for; `revision` is ours.
fn after_undo(failure: Failure, left: String, undone: Undone, revision: &str) -> Failure {
    let rolled_back = |failure: Failure| Failure {
        kind: Kind::RolledBack,
        ..failure
    };
    let refusal =
        |error: &Option<ServiceError>| error.as_ref().map(|error| format!("rollback: {}", chain(error)));
    match undone {
        Undone::Back(previous, service) => {
            rolled_back(failure).left(format!("`{previous}` is back; {}", running(&service)))
        }
        Undone::UnderWay(previous, service) => {
            let left = service.as_ref().map_or(left, running);
            rolled_back(failure)
                .left(format!(
                    "{left}; ECS was asked to bring `{previous}` back and was still at it when last seen"
                ))
                .hint("look at the service before you act: the rollback was not seen to end")
        }
        Undone::NothingBefore => failure.left(format!(
            "{left}; no revision completed before, so there is nothing to go back to"
        )),
        Undone::NotOurs(by) => failure.left(format!(
            "{left}; deployment {by} has replaced ours, so nothing was rolled back"
        )),
        Undone::Refused(error) => failure
            .left(format!(
                "{left}; the rollback was refused, so the service still wants `{revision}`"
            ))
            .evidence(refusal(&error)),
        Undone::Unknown(previous, error) => failure
            .left(format!(
                "{left}; unknown whether the service wants `{revision}` still or `{previous}` again: the answer to the \
                 rollback was lost"
            ))
            .evidence(refusal(&error)),
    }
}

/// The newer look, with the tasks of the older one where it could not list them.
fn merge(newer: Observation, older: &Observation) -> Observation {
    let tasks = newer.tasks.clone().or_else(|| older.tasks.clone());
    Observation { tasks, ..newer }
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
    let own = match loss {
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
    if own {
        return failure;
    }
    let mut hints = diagnosis.hints.clone();
    hints.extend(failure.hints);
    // Where no task failed, ECS's own reason says more: somebody's request, for example.
    let found = diagnosis.cause.clone();
    let cause = match loss {
        Loss::RollingBack { .. } | Loss::RolledBack { .. } if diagnosis.is_weak => failure.cause.or(found),
        _ => found.or(failure.cause),
    };
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
        let back = Loss::RollingBack {
            why: RollbackCause::Other(None),
        };
        let weak = || Diagnosis {
            is_weak: true,
            ..diagnosis()
        };
        assert_eq!(
            with_cause(failure(), &back, &weak()).cause.as_deref(),
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
