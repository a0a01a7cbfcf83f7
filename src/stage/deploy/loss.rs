//! A lost rollout as a failure: kind, what, root cause, what is left, what to do.

use super::begin::Beginning;
use super::prepare::Prepared;
use super::undo::{Undone, undo};
use super::watch::{Lost, running, serving};
use crate::config::settings::{DeploySettings, OnFailure};
use crate::ecs::diagnosis::{Diagnosis, Known, LogTail, diagnose, log_wanted};
use crate::ecs::observation::{Observation, revision_name};
use crate::ecs::rollout::{Doubt, Loss, RollbackCause, WaitingOn};
use crate::ecs::service::ServiceError;
use crate::failure::{Failure, Kind, chain};
use crate::name::ServiceName;
use crate::shutdown::Urgency;
use crate::stage::Tools;

/// Lines of a failed container's log that are asked for.
const LOG_LINES: u32 = 30;

impl Lost {
    /// Finds out why, rolls back if that is wanted and needed, and says all of it.
    pub(super) async fn into_failure(
        mut self: Box<Self>,
        tools: &Tools,
        deploy: &DeploySettings,
        prepared: &Prepared,
        begun: &Beginning,
    ) -> Failure {
        let place = prepared.place(&begun.ours.deployment);
        let diagnosis = tokio::select! {
            diagnosis = self.diagnose(prepared) => diagnosis,
            _ = tools.shutdown.reached(Urgency::WindDown) => Diagnosis::default(),
        };
        let failure = describe(&self.loss, &prepared.name, self.elapsed.as_secs()).place(place);
        let failure = with_diagnosis(failure, &self.loss, diagnosis);
        let left = serving(&self.seen).unwrap_or_else(|| "unknown what serves".to_owned());
        if deploy.on_failure == OnFailure::Leave || !self.loss.leaves_new_revision() {
            return failure.left(left);
        }
        let rolled_back = |failure: Failure| Failure {
            kind: Kind::RolledBack,
            ..failure
        };
        let refusal =
            |error: &Option<ServiceError>| error.as_ref().map(|error| format!("rollback: {}", chain(error)));
        match undo(tools, prepared, &self, begun).await {
            Undone::Back(revision, service) => {
                rolled_back(failure).left(format!("`{revision}` is back; {}", running(&service)))
            }
            Undone::UnderWay(revision, service) => {
                let left = service.as_ref().map_or(left, running);
                rolled_back(failure)
                    .left(format!(
                        "{left}; ECS was asked to bring `{revision}` back and was still at it when last seen"
                    ))
                    .hint("look at the service before you act: the rollback was not seen to end")
            }
            Undone::NothingBefore => failure.left(format!(
                "{left}; no revision completed before, so there is nothing to go back to"
            )),
            Undone::Refused(error) => failure
                .left(format!(
                    "{left}; the rollback was refused, so the service still wants `{}`",
                    begun.revision
                ))
                .evidence(refusal(&error)),
            Undone::Unknown(revision, error) => failure
                .left(format!(
                    "{left}; unknown whether the service wants `{}` still or `{revision}` again: the answer to the \
                     rollback was lost",
                    begun.revision
                ))
                .evidence(refusal(&error)),
        }
    }

    /// The service runs what was asked for, and is not healthy; nothing was changed.
    pub(super) async fn into_failure_of_unchanged(mut self: Box<Self>, prepared: &Prepared) -> Failure {
        let diagnosis = self.diagnose(prepared).await;
        let failure = describe(&self.loss, &prepared.name, self.elapsed.as_secs());
        let failure = with_diagnosis(failure, &self.loss, diagnosis);
        let serving = serving(&self.seen).unwrap_or_else(|| "unknown what serves".to_owned());
        failure
            .place(format!(
                "service `{}` in cluster `{}`",
                prepared.name, prepared.cluster
            ))
            .left(format!(
                "nothing was changed: the service already had this revision; {serving}"
            ))
    }

    /// One more look at everything, the log of a failed container, and what follows from them.
    async fn diagnose(&mut self, prepared: &Prepared) -> Diagnosis {
        if matches!(
            self.loss,
            Loss::CannotTell(Doubt::Denied { .. } | Doubt::NoCredentials) | Loss::ServiceGone { .. }
        ) {
            return Diagnosis::default();
        }
        let seen = prepared.ecs.look_closely(&mut self.watched).await.seen;
        if seen.seen_service().is_some() {
            self.seen = merge(seen, &self.seen);
        }
        let mut logs = Vec::new();
        if let Some((task, container)) = log_wanted(&self.seen)
            && let Some((group, prefix)) = prepared.wanted.awslogs(&container)
        {
            let lines = prepared
                .ecs
                .log_tail(&group, &prefix, &container, &task, LOG_LINES)
                .await;
            logs.push(LogTail {
                container,
                task,
                lines,
            });
        }
        let baseline = prepared.baseline().events;
        diagnose(Known {
            seen: &self.seen,
            baseline: &baseline,
            logs: &logs,
        })
    }
}

/// The newer look, with the tasks of the older one where it could not list them.
fn merge(newer: Observation, older: &Observation) -> Observation {
    let tasks = newer.tasks.clone().or_else(|| older.tasks.clone());
    Observation { tasks, ..newer }
}

/// Adds a diagnosis. Where the loss is its own cause (somebody's act, a digest, a doubt), what tasks did is evidence
/// only.
fn with_diagnosis(failure: Failure, loss: &Loss, diagnosis: Diagnosis) -> Failure {
    let own = match loss {
        Loss::RollingBack {
            why: RollbackCause::Alarms(_),
        }
        | Loss::RolledBack {
            why: RollbackCause::Alarms(_),
        }
        | Loss::Superseded { .. }
        | Loss::Stopped { .. }
        | Loss::ServiceGone { .. }
        | Loss::WrongDigest { .. }
        | Loss::CannotTell(_) => failure.cause.clone(),
        Loss::Failed { .. }
        | Loss::CannotStart { .. }
        | Loss::RollingBack { .. }
        | Loss::RolledBack { .. }
        | Loss::RollbackFailed { .. }
        | Loss::Deadline { .. }
        | Loss::Stuck { .. } => None,
    };
    let cause = own.or(diagnosis.cause).or_else(|| failure.cause.clone());
    let failure = Failure { cause, ..failure }.evidence(diagnosis.evidence);
    diagnosis.hints.into_iter().fold(failure, Failure::hint)
}

/// Each loss in words. The cause is ECS's own reason; a diagnosis knows a better one.
fn describe(loss: &Loss, service: &ServiceName, elapsed: u64) -> Failure {
    match loss {
        Loss::Failed { reason } => reasoned(
            Failure::new(Kind::RolloutFailed, format!("the rollout of service `{service}` failed")),
            reason.as_ref(),
        ),
        Loss::CannotStart { reason, times } => {
            Failure::new(Kind::RolloutFailed, format!("tasks of service `{service}` cannot start ({times} times)"))
                .cause(reason.clone())
                .hint("switch the deployment circuit breaker on, and ECS ends such a rollout by itself")
        }
        Loss::RollingBack { why } => rolled(
            Failure::new(Kind::RolledBack, format!("the rollout of service `{service}` failed; ECS is rolling back")),
            why,
        ),
        Loss::RolledBack { why } => rolled(
            Failure::new(Kind::RolledBack, format!("the rollout of service `{service}` failed; ECS rolled back")),
            why,
        ),
        Loss::RollbackFailed { reason } => reasoned(
            Failure::new(
                Kind::RolloutFailed,
                format!("the rollout of service `{service}` failed, and its rollback failed too"),
            ),
            reason.as_ref(),
        ),
        Loss::Superseded { by, task_definition } => Failure::new(
            Kind::Superseded,
            format!("another deployment replaced ours in service `{service}`"),
        )
        .cause(format!("deployment {by} brings `{}`", revision_name(task_definition)))
        .hint("somebody else deploys to this service, or changed it; deploy again if ours should win"),
        Loss::Stopped { reason } => reasoned(
            Failure::new(Kind::RolloutFailed, format!("somebody stopped the deployment of service `{service}`")),
            reason.as_ref(),
        ),
        Loss::ServiceGone { status } => {
            Failure::new(Kind::RolloutFailed, format!("service `{service}` was deleted during the rollout"))
                .cause(format!("ECS says that its status is {status}"))
        }
        Loss::Deadline { last } => Failure::new(Kind::Deadline, late(service, elapsed, last))
            .cause("no task failed: the rollout is slow, or nothing lets it go on")
            .hint("ECS goes on: run the same command again to watch and prove it, or raise `timeout`"),
        Loss::Stuck { last, failed } => Failure::new(Kind::RolloutFailed, late(service, elapsed, last))
            .cause(format!("{failed} tasks failed")),
        Loss::WrongDigest { container, expected, found } => Failure::new(
            Kind::Registry,
            format!("service `{service}` does not run the image that was deployed"),
        )
        .cause(format!("container `{container}` runs {found}, not {expected}"))
        .hint("did somebody replace the image in its repository, or does a pull-through cache serve another one?"),
        Loss::CannotTell(doubt) => in_doubt(doubt, service),
    }
}

fn late(service: &ServiceName, elapsed: u64, last: &WaitingOn) -> String {
    format!("service `{service}` is not healthy after {elapsed} s, still waiting for {last}")
}

fn in_doubt(doubt: &Doubt, service: &ServiceName) -> Failure {
    let failure = Failure::new(
        Kind::Unclear,
        format!("cannot tell whether service `{service}` is healthy"),
    );
    match doubt {
        Doubt::Denied { action } => failure
            .cause(format!("`{action}` is denied"))
            .hint(format!("allow `{action}` in the role's policy, and look at the service before you act")),
        Doubt::NoCredentials => failure
            .cause("the AWS credentials ended during the watch")
            .hint("sign in again, or raise the role's session duration above `timeout`; then run the same command again"),
        Doubt::Blind { last } => failure
            .cause(format!("still waiting for {last}"))
            .hint("look at the service before you act: the rollout may have succeeded"),
        Doubt::NoTasksWanted => failure
            .cause("its desired count is 0: ECS calls the deployment completed, and no task ran that could prove it")
            .hint("raise the desired count, or pass `--allow-zero` if that is meant"),
        Doubt::UnreadableIndex { container, found } => failure
            .cause(format!("container `{container}` runs {found}, and the deployed image cannot be read to compare"))
            .hint("allow `ecr:BatchGetImage` on the repository, so that an image index can be told from its platforms"),
    }
}

fn reasoned(failure: Failure, reason: Option<&String>) -> Failure {
    match reason {
        Some(reason) => failure.cause(reason.clone()),
        None => failure,
    }
}

fn rolled(failure: Failure, why: &RollbackCause) -> Failure {
    match why {
        RollbackCause::Breaker {
            failures: Some((failures, threshold)),
            ..
        } => failure.cause(format!(
            "the circuit breaker tripped after {failures} of {threshold} failures"
        )),
        RollbackCause::Breaker {
            failures: None,
            reason,
        }
        | RollbackCause::Other(reason) => reasoned(failure, reason.as_ref()),
        RollbackCause::Alarms(names) => failure.cause(format!("alarms fired: {}", names.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::describe;
    use super::with_diagnosis;
    use crate::ecs::diagnosis::Diagnosis;
    use crate::ecs::rollout::{Doubt, Loss, RollbackCause, WaitingOn};
    use crate::failure::{Failure, Kind};
    use crate::name::Digest;

    #[test]
    fn every_loss_has_its_kind_and_a_cause() {
        let waiting = WaitingOn::TasksToStart {
            running: 1,
            desired: 2,
            failed: 0,
        };
        let reason = || Some("why".to_owned());
        let breaker = || RollbackCause::Breaker {
            failures: Some((3, 3)),
            reason: None,
        };
        let web = || "web".parse().unwrap();
        for (loss, kind) in [
            (Loss::Failed { reason: reason() }, Kind::RolloutFailed),
            (
                Loss::CannotStart {
                    reason: "exit".to_owned(),
                    times: 3,
                },
                Kind::RolloutFailed,
            ),
            (Loss::RollingBack { why: breaker() }, Kind::RolledBack),
            (
                Loss::RolledBack {
                    why: RollbackCause::Alarms(vec!["a".to_owned()]),
                },
                Kind::RolledBack,
            ),
            (
                Loss::RolledBack {
                    why: RollbackCause::Other(reason()),
                },
                Kind::RolledBack,
            ),
            (Loss::RollbackFailed { reason: reason() }, Kind::RolloutFailed),
            (
                Loss::Superseded {
                    by: "ecs-svc/3".to_owned(),
                    task_definition: "x/web:3".to_owned(),
                },
                Kind::Superseded,
            ),
            (Loss::Stopped { reason: reason() }, Kind::RolloutFailed),
            (
                Loss::ServiceGone {
                    status: "DRAINING".to_owned(),
                },
                Kind::RolloutFailed,
            ),
            (
                Loss::Deadline {
                    last: waiting.clone(),
                },
                Kind::Deadline,
            ),
            (
                Loss::Stuck {
                    last: waiting.clone(),
                    failed: 2,
                },
                Kind::RolloutFailed,
            ),
            (
                Loss::WrongDigest {
                    container: web(),
                    expected: Digest::of(b"a"),
                    found: Digest::of(b"b"),
                },
                Kind::Registry,
            ),
            (
                Loss::CannotTell(Doubt::Denied {
                    action: "ecs:ListTasks".to_owned(),
                }),
                Kind::Unclear,
            ),
            (Loss::CannotTell(Doubt::NoCredentials), Kind::Unclear),
            (Loss::CannotTell(Doubt::Blind { last: waiting }), Kind::Unclear),
            (
                Loss::CannotTell(Doubt::UnreadableIndex {
                    container: web(),
                    found: Digest::of(b"b"),
                }),
                Kind::Unclear,
            ),
        ] {
            let failure = describe(&loss, &"shop".parse().unwrap(), 900);
            assert_eq!(failure.kind, kind, "{loss:?}");
            assert!(
                failure.cause.is_some() && failure.what.contains("`shop`"),
                "{failure:?}"
            );
        }
    }

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
            with_diagnosis(failure(), &by, diagnosis()).cause.as_deref(),
            Some("own")
        );
        let failed = Loss::Failed { reason: None };
        assert_eq!(
            with_diagnosis(failure(), &failed, diagnosis()).cause.as_deref(),
            Some("crash")
        );
        assert_eq!(
            with_diagnosis(failure(), &failed, Diagnosis::default())
                .cause
                .as_deref(),
            Some("own")
        );
    }
}
