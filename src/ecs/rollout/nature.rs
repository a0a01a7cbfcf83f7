//! Whether a failure will repeat: what is wrong with the revision does, what is wrong with the world around it passes.

use crate::ecs::observation::{StopCode, Task};
use std::time::Duration;

/// How long a task may have run for its exit to count as a failure to start. ECS has no such notion: its breaker counts
/// what never became healthy, and a start-up may take as long as the longest start period of a health check.
pub const SHORT_LIFE: Duration = Duration::from_secs(300);

/// Whether a failure will repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// The same revision will fail like this again.
    Lasting,
    /// It may pass: capacity, network, throttling, a host that goes away, somebody's act.
    Passing,
    /// It cannot be told.
    Unclear,
}

/// Words of what passes, in lower case: capacity and placement (service event messages), networks and registries that
/// do not answer or throttle (agent errors).
const PASSING: &[&str] = &[
    "capacity is unavailable",
    "insufficient capacity",
    "no container instance met",
    "no container instances were found",
    "insufficient cpu",
    "insufficient memory",
    "encountered error \"agent\"",
    "resource:",
    "reached the limit",
    "internal error",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "gateway timeout",
    "throttl",
    "rate exceeded",
    "toomanyrequests",
    "too many requests",
    "timeout",
    "timed out",
    "deadline exceeded",
    "connection reset",
    "connection refused",
    "no such host",
    "dial tcp",
    "unexpected eof",
    "request canceled",
    "signal: killed",
    "temporarily",
    "network interface",
];

/// Words of what is wrong with the revision or its permissions, in lower case (agent errors, stopped task errors).
const LASTING: &[&str] = &[
    "not found",
    "notfound",
    "does not exist",
    "manifest unknown",
    "descriptor matching platform",
    "no matching manifest",
    "exec format error",
    "no such file or directory",
    "permission denied",
    "access denied",
    "accessdenied",
    "not authorized",
    "unauthorized",
    "forbidden",
    "no basic auth",
    "pull access denied",
    "json key",
    "invalid ssm parameters",
    "invalid reference",
    "unable to assume",
    "out of memory",
    "outofmemory",
    "container killed due to memory usage",
];

/// Of a task that ended.
#[must_use]
pub fn of_task(task: &Task) -> Nature {
    match &task.stop_code {
        // Which container it was, and how it ended, is not told: tasks that say no more are not known to be alike.
        Some(StopCode::EssentialContainerExited) if task.containers.is_empty() => Nature::Unclear,
        Some(StopCode::EssentialContainerExited) if task.ran_for.is_none_or(|ran| ran <= SHORT_LIFE) => {
            Nature::Lasting
        }
        // The scheduler stops a task whose health checks fail; ECS's own breaker counts it, too.
        Some(StopCode::ServiceSchedulerInitiated) if task.failed() => Nature::Lasting,
        Some(
            StopCode::UserInitiated
            | StopCode::ServiceSchedulerInitiated
            | StopCode::SpotInterruption
            | StopCode::TerminationNotice
            | StopCode::InfrastructureHealth,
        ) => Nature::Passing,
        Some(StopCode::TaskFailedToStart) => {
            let containers = task
                .containers
                .iter()
                .map(|container| container.reason.as_deref());
            let reasons = containers.chain([task.stopped_reason.as_deref()]);
            of_reason(&reasons.flatten().collect::<Vec<&str>>().join("; "))
        }
        Some(StopCode::EssentialContainerExited | StopCode::Unrecognised(_)) | None => Nature::Unclear,
    }
}

/// Of a reason in ECS's words. What may pass goes first: a name that was not found because the network timed out is
/// looked up again.
#[must_use]
pub fn of_reason(reason: &str) -> Nature {
    let reason = reason.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if says(PASSING) {
        Nature::Passing
    } else if says(LASTING) {
        Nature::Lasting
    } else {
        Nature::Unclear
    }
}

#[cfg(test)]
mod tests {
    use super::{Nature, SHORT_LIFE, of_reason, of_task};
    use crate::ecs::rollout::tests::build::{exited, stopped};
    use std::time::Duration;

    #[test]
    fn what_is_wrong_with_the_revision_is_told_from_what_passes() {
        use Nature::{Lasting, Passing, Unclear};
        for (reason, nature) in [
            (
                "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref r/w:9: r/w:9: not found",
                Lasting,
            ),
            (
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'",
                Lasting,
            ),
            (
                "CannotPullContainerError: Error response from daemon: manifest unknown",
                Lasting,
            ),
            (
                "CannotPullContainerError: pull access denied for shop/web, repository does not exist or may require authorization",
                Lasting,
            ),
            (
                "CannotPullECRContainerError: AccessDeniedException: User is not authorized to perform ecr:BatchGetImage",
                Lasting,
            ),
            (
                "CannotPullContainerError: ref pull has been retried 5 time(s): failed to copy: httpReadSeeker: failed open: failed to do request: Get \"https://x\": dial tcp 10.0.0.1:443: i/o timeout",
                Passing,
            ),
            (
                "CannotPullContainerError: ref pull has been retried 1 time(s): toomanyrequests: You have reached your pull rate limit",
                Passing,
            ),
            (
                "CannotPullContainerError: inspect image has been retried 5 time(s): unexpected status code 503 Service Unavailable",
                Passing,
            ),
            ("CannotPullContainerError: something new", Unclear),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 5 time(s): ResourceNotFoundException: Secrets Manager can't find the specified secret",
                Lasting,
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm: service call has been retried 1 time(s): AccessDeniedException: User: arn is not authorized to perform: secretsmanager:GetSecretValue",
                Lasting,
            ),
            (
                "ResourceInitializationError: unable to retrieve secret from asm: retrieved secret from Secrets Manager did not contain json key password",
                Lasting,
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: unable to get secrets from ssm: ThrottlingException: Rate exceeded",
                Passing,
            ),
            (
                "ResourceInitializationError: unable to pull secrets or registry auth: operation error ECR: GetAuthorizationToken, exceeded maximum number of attempts, 3, https response error StatusCode: 0, request send failed: dial tcp: i/o timeout",
                Passing,
            ),
            (
                "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist.",
                Lasting,
            ),
            (
                "ResourceInitializationError: failed to validate logger args: : signal: killed",
                Passing,
            ),
            (
                "CannotStartContainerError: Error response from daemon: exec /app: exec format error",
                Lasting,
            ),
            (
                "CannotStartContainerError: failed to create shim task: exec: \"serve\": executable file not found in $PATH",
                Lasting,
            ),
            (
                "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s",
                Passing,
            ),
            (
                "You've reached the limit on the number of vCPUs you can run concurrently",
                Passing,
            ),
            (
                "Capacity is unavailable at this time. Please try again later or in a different availability zone",
                Passing,
            ),
            (
                "Timeout waiting for network interface provisioning to complete.",
                Passing,
            ),
            ("RESOURCE:MEMORY", Passing),
            ("Internal error.", Passing),
            (
                "no container instance met all of its requirements. The closest matching (container-instance 1) has insufficient CPU units available.",
                Passing,
            ),
            (
                "no container instance met all of its requirements. The closest matching (container-instance 1) encountered error \"AGENT\".",
                Passing,
            ),
            ("", Unclear),
        ] {
            assert_eq!(of_reason(reason), nature, "{reason}");
            if !reason.is_empty() {
                assert_eq!(
                    of_task(&stopped("t1", "TaskFailedToStart", reason)),
                    nature,
                    "{reason}"
                );
            }
        }
    }

    #[test]
    fn how_a_task_ended_says_whether_it_will_end_so_again() {
        for (code, reason, nature) in [
            (
                "EssentialContainerExited",
                "Essential container in task exited",
                Nature::Lasting,
            ),
            (
                "ServiceSchedulerInitiated",
                "Task failed container health checks",
                Nature::Lasting,
            ),
            (
                "ServiceSchedulerInitiated",
                "Task failed ELB health checks in (target-group x)",
                Nature::Lasting,
            ),
            (
                "ServiceSchedulerInitiated",
                "Scaling activity initiated by (deployment ecs-svc/2)",
                Nature::Passing,
            ),
            ("UserInitiated", "Task stopped by user", Nature::Passing),
            (
                "SpotInterruption",
                "Your Spot Task was interrupted.",
                Nature::Passing,
            ),
            ("TerminationNotice", "Host EC2 terminated", Nature::Passing),
            ("InfrastructureHealth", "Task's host is impaired", Nature::Passing),
            ("SomethingNew", "image not found", Nature::Unclear),
        ] {
            assert_eq!(of_task(&stopped("t1", code, reason)), nature, "{code}");
        }
        let mut of_containers = stopped("t1", "TaskFailedToStart", "Task failed to start");
        of_containers.containers[0].reason = Some("CannotStartContainerError: exec format error".to_owned());
        assert_eq!(of_task(&of_containers), Nature::Lasting);
    }

    #[test]
    fn a_task_that_ran_for_long_did_start() {
        let mut task = exited("t1", 1);
        for (ran_for, nature) in [
            (None, Nature::Lasting),
            (Some(Duration::ZERO), Nature::Lasting),
            (Some(SHORT_LIFE), Nature::Lasting),
            (Some(SHORT_LIFE + Duration::from_secs(1)), Nature::Unclear),
        ] {
            task.ran_for = ran_for;
            assert_eq!(of_task(&task), nature, "{ran_for:?}");
        }
    }
}
