//! Each way in which a rollout is lost, in words.

use crate::ecs::observation::revision_name;
use crate::ecs::rollout::{Doubt, Loss, RollbackCause, WaitingOn};
use crate::failure::{Failure, Kind, Nature};
use crate::name::ServiceName;

/// What to do after a deadline, as long as nothing went back.
pub(super) const GOES_ON: &str =
    "ECS goes on: run the same command again to watch and prove it, or raise `timeout`";

/// Each loss in words. The cause is ECS's own reason; a diagnosis knows a better one.
pub(super) fn describe(loss: &Loss, service: &ServiceName, elapsed: u64) -> Failure {
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
        )
        .hint("CloudTrail says who called ecs:StopServiceDeployment; deploy again if ours should win"),
        Loss::ServiceGone { status } => {
            Failure::new(Kind::RolloutFailed, format!("service `{service}` was deleted during the rollout"))
                .cause(format!("somebody deleted it: ECS says that its status is {status}"))
                .hint("CloudTrail says who called ecs:DeleteService")
        }
        Loss::Deadline { last } => held(Failure::new(Kind::Deadline, late(service, elapsed, last)), last)
            .hint(GOES_ON),
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

/// What to do with a deployment that stands in a stage, where a hook may hold it: who asked for the pause must end it.
pub(super) fn held_in_stage(last: &WaitingOn, service_deployment: Option<&str>) -> Option<String> {
    let (WaitingOn::Completion { stage: Some(stage) }, Some(arn)) = (last, service_deployment) else {
        return None;
    };
    Some(format!(
        "stage {stage} may wait for a person: if `aws ecs describe-service-deployments --service-deployment-arns {arn}` \
         shows a hook that is AWAITING_ACTION, `aws ecs continue-service-deployment --service-deployment-arn {arn} \
         --hook-id ID --action CONTINUE` (or ROLLBACK) ends its pause"
    ))
}

fn late(service: &ServiceName, elapsed: u64, last: &WaitingOn) -> String {
    let late = format!("service `{service}` is not healthy after {elapsed} s");
    match last {
        // The cause says the rest.
        WaitingOn::Pause { .. } => late,
        _ => format!("{late}: it still waits for {last}"),
    }
}

/// What holds a rollout of which no task failed.
fn held(failure: Failure, last: &WaitingOn) -> Failure {
    match last {
        WaitingOn::Pause {
            stage,
            hook,
            deployment,
            on_timeout,
        } => {
            let stage = stage.as_deref().map(|stage| format!(" in stage {stage}"));
            let otherwise = on_timeout
                .as_deref()
                .map(|action| format!(", or its time is up ({action})"));
            failure
                .cause(format!(
                    "a pause hook holds the deployment{} until somebody lets it go on{}",
                    stage.unwrap_or_default(),
                    otherwise.unwrap_or_default()
                ))
                .hint(format!(
                    "`aws ecs continue-service-deployment --service-deployment-arn {deployment} --hook-id {hook} --action \
                     CONTINUE` lets it go on, and ROLLBACK takes it back"
                ))
        }
        WaitingOn::Hook { .. } => {
            failure.cause(format!("the deployment waits for {last}, which has not answered"))
        }
        WaitingOn::BakeTime { .. } => failure.cause("the deployment bakes for longer than `timeout` leaves"),
        _ => failure.cause("no task failed: the rollout is slow, or nothing lets it go on"),
    }
}

fn in_doubt(doubt: &Doubt, service: &ServiceName) -> Failure {
    let failure = Failure::new(
        Kind::Unclear,
        format!("cannot tell whether service `{service}` is healthy"),
    );
    match doubt {
        Doubt::Denied { action } => failure
            .nature(Nature::denied(action))
            .cause(format!("`{action}` is denied"))
            .hint(format!("allow `{action}` in the role's policy, and look at the service before you act")),
        Doubt::NoCredentials => failure
            .nature(Nature::Credentials)
            .cause("the AWS credentials ended during the watch")
            .hint("sign in again, or raise the role's session duration above `timeout`; then run the same command again"),
        Doubt::Blind { last: WaitingOn::KnownState { of, value: Some(value) } } if !value.is_empty() => failure
            .cause(format!("ECS says {of} `{value}`, which this version of slipway does not know"))
            .hint("look at the service before you act: the rollout may have succeeded; a newer slipway may know the word"),
        Doubt::Blind { last } => failure
            .cause(format!("still waiting for {last}"))
            .hint("look at the service before you act: the rollout may have succeeded"),
        Doubt::NoTasksWanted => failure
            .cause("its desired count is 0: ECS calls the deployment completed, and no task ran that could prove it; \
                 a proof takes a desired count above 0")
            .hint("raise the desired count, or pass `--allow-zero` if that is meant"),
        Doubt::UnreadableIndex { container, found } => failure
            .cause(format!("container `{container}` runs {found}, and the deployed image cannot be read to compare"))
            .hint("allow `ecr:BatchGetImage` on the repository, so that an image index can be told from its platforms"),
    }
}

fn reasoned(failure: Failure, reason: Option<&String>) -> Failure {
    failure.cause(reason.map_or("ECS gives no reason", String::as_str))
}

fn rolled(failure: Failure, why: &RollbackCause) -> Failure {
    match why {
        RollbackCause::Breaker {
            failures: Some((failures, threshold)),
            ..
        } => failure.cause(format!(
            "the circuit breaker tripped after {failures} failures (threshold {threshold})"
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
    use super::{describe, held_in_stage};
    use crate::ecs::rollout::{Doubt, Loss, RollbackCause, WaitingOn};
    use crate::failure::Kind;
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
            (Loss::Failed { reason: None }, Kind::RolloutFailed),
            (
                Loss::RolledBack {
                    why: RollbackCause::Other(None),
                },
                Kind::RolledBack,
            ),
            (Loss::Stopped { reason: None }, Kind::RolloutFailed),
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
    fn a_stage_that_may_wait_for_a_person_says_how_to_go_on() {
        let in_stage = |stage: Option<&str>| WaitingOn::Completion {
            stage: stage.map(str::to_owned),
        };
        let hint = held_in_stage(&in_stage(Some("POST_SCALE_UP")), Some("arn:x")).unwrap();
        assert!(
            hint.contains("POST_SCALE_UP")
                && hint.contains("continue-service-deployment --service-deployment-arn arn:x"),
            "{hint}"
        );
        assert_eq!(
            held_in_stage(&in_stage(None), Some("arn:x")),
            None,
            "a rolling update has no stages"
        );
        assert_eq!(held_in_stage(&in_stage(Some("BAKE_TIME")), None), None);
        assert_eq!(held_in_stage(&WaitingOn::TasksListed, Some("arn:x")), None);
    }
}
