//! What a judge can say of a rollout.

use crate::name::{ContainerName, Digest};
use std::fmt;
use std::time::Duration;

/// The judgement of one look.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Not done, and not lost: look again.
    Wait(WaitingOn),
    /// The service runs what was asked for, and it was proven.
    Healthy,
    /// It will not become healthy, or it cannot be told.
    Lost(Loss),
}

/// What stands between this look and a healthy service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingOn {
    /// DescribeServices does not show our deployment yet.
    DeploymentToAppear,
    /// A look that contradicts earlier ones needs a second one.
    SecondLook,
    /// Tasks of our deployment to run.
    TasksToStart {
        /// How many run.
        running: u32,
        /// How many are wanted.
        desired: u32,
        /// How many failed so far.
        failed: u32,
    },
    /// Somebody set the desired count to 0; nothing can be proven.
    TasksWanted,
    /// This look did not list the tasks.
    TasksListed,
    /// Tasks without any health check to run for a while.
    TasksToStay {
        /// How long every task must run.
        stable_for: Duration,
    },
    /// Container health checks to pass.
    ContainerHealth {
        /// Tasks whose checks pass.
        healthy: u32,
        /// Tasks wanted.
        desired: u32,
    },
    /// Targets to become healthy.
    Targets {
        /// The target group's ARN.
        target_group: String,
        /// Healthy targets of our tasks.
        healthy: u32,
        /// Targets wanted.
        desired: u32,
        /// Why the others are not, as the load balancer says.
        reason: Option<String>,
    },
    /// Running containers to report the digest of their image.
    Digest {
        /// The container.
        container: ContainerName,
    },
    /// ECS to call the rollout completed.
    Completion {
        /// The stage of a blue/green deployment, if it names one.
        stage: Option<String>,
    },
    /// Tasks of other deployments to end.
    OldTasksToDrain {
        /// How many are left.
        remaining: u32,
    },
    /// A rollback that was announced and not seen yet.
    RollbackToShow,
    /// A value that this version does not know to become one that it knows.
    KnownState {
        /// What has it: `rolloutState`.
        of: &'static str,
        /// The value; none where a field is missing.
        value: Option<String>,
    },
    /// A call to answer again.
    Sight {
        /// The IAM action.
        action: String,
    },
}

impl WaitingOn {
    /// Whether one call shows if this is still so.
    #[must_use]
    pub const fn shows_at_a_glance(&self) -> bool {
        matches!(
            self,
            Self::ContainerHealth { .. } | Self::Targets { .. } | Self::Digest { .. }
        )
    }

    /// Whether giving up while waiting for this means that nothing can be said of the rollout.
    #[must_use]
    pub const fn is_blind(&self) -> bool {
        match self {
            Self::DeploymentToAppear
            | Self::SecondLook
            | Self::TasksWanted
            | Self::TasksListed
            | Self::Digest { .. }
            | Self::RollbackToShow
            | Self::KnownState { .. }
            | Self::Sight { .. } => true,
            Self::TasksToStart { .. }
            | Self::TasksToStay { .. }
            | Self::ContainerHealth { .. }
            | Self::Targets { .. }
            | Self::Completion { .. }
            | Self::OldTasksToDrain { .. } => false,
        }
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeploymentToAppear => f.write_str("our deployment to appear"),
            Self::SecondLook => f.write_str("a second look"),
            Self::TasksToStart {
                running,
                desired,
                failed: 0,
            } => {
                write!(f, "tasks to start ({running}/{desired} running)")
            }
            Self::TasksToStart {
                running,
                desired,
                failed,
            } => {
                write!(f, "tasks to start ({running}/{desired} running, {failed} failed)")
            }
            Self::TasksWanted => f.write_str("a desired count above 0"),
            Self::TasksListed => f.write_str("the list of tasks"),
            Self::TasksToStay { stable_for } => {
                write!(
                    f,
                    "tasks to stay up for {} s (they have no health check)",
                    stable_for.as_secs()
                )
            }
            Self::ContainerHealth { healthy, desired } => {
                write!(f, "container health checks ({healthy}/{desired} healthy)")
            }
            Self::Targets {
                target_group,
                healthy,
                desired,
                reason,
            } => {
                write!(
                    f,
                    "targets of {} ({healthy}/{desired} healthy",
                    target_group_name(target_group)
                )?;
                match reason {
                    Some(reason) => write!(f, "; {reason})"),
                    None => f.write_str(")"),
                }
            }
            Self::Digest { container } => write!(f, "container `{container}` to report its image's digest"),
            Self::Completion { stage: Some(stage) } => {
                write!(f, "the deployment to complete (stage {stage})")
            }
            Self::Completion { stage: None } => f.write_str("the deployment to complete"),
            Self::OldTasksToDrain { remaining } => write!(f, "old tasks to drain ({remaining} left)"),
            Self::RollbackToShow => f.write_str("the announced rollback to show"),
            Self::KnownState {
                of,
                value: Some(value),
            } => write!(f, "{of} `{value}` to become a known one"),
            Self::KnownState { of, value: None } => write!(f, "{of}, which ECS does not report"),
            Self::Sight { action } => write!(f, "`{action}` to answer"),
        }
    }
}

/// `web` of `arn:aws:elasticloadbalancing:...:targetgroup/web/0123`.
#[must_use]
pub fn target_group_name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

/// How a rollout was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// It failed, and the new revision is still there.
    Failed {
        /// ECS's reason.
        reason: Option<String>,
    },
    /// Tasks fail to start for the same reason again and again, and no circuit breaker ends it.
    CannotStart {
        /// The tasks' reason, normalised.
        reason: String,
        /// How many tasks failed with it.
        times: u32,
    },
    /// ECS brings the last completed deployment back.
    RollingBack {
        /// Why.
        why: RollbackCause,
    },
    /// ECS brought the last completed deployment back.
    RolledBack {
        /// Why.
        why: RollbackCause,
    },
    /// The rollback failed too: `No rollback candidate was found to run the rollback.`
    RollbackFailed {
        /// ECS's reason.
        reason: Option<String>,
    },
    /// Another deployment became the primary one.
    Superseded {
        /// Its id.
        by: String,
        /// Its task definition's ARN.
        task_definition: String,
    },
    /// Somebody stopped our deployment.
    Stopped {
        /// ECS's reason.
        reason: Option<String>,
    },
    /// The service was deleted.
    ServiceGone {
        /// Its status: `MISSING`, `DRAINING`, `INACTIVE`.
        status: String,
    },
    /// The deadline came while the rollout made progress. Slow is not broken: ECS goes on, and nothing is undone.
    Deadline {
        /// What it was waiting for.
        last: WaitingOn,
    },
    /// The deadline came, and tasks had failed.
    Stuck {
        /// What it was waiting for.
        last: WaitingOn,
        /// How many tasks failed.
        failed: u32,
    },
    /// Running containers have another image than the one that was deployed.
    WrongDigest {
        /// The container.
        container: ContainerName,
        /// The digest that was deployed.
        expected: Digest,
        /// The digest that runs.
        found: Digest,
    },
    /// Nothing can be said for sure.
    CannotTell(Doubt),
}

/// Why nothing can be said for sure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// A call that is needed is denied.
    Denied {
        /// The IAM action.
        action: String,
    },
    /// The credentials ended during the watch.
    NoCredentials,
    /// The deadline came while something could not be seen or understood.
    Blind {
        /// What it was waiting for.
        last: WaitingOn,
    },
    /// The running digest may be a platform's manifest of the image index that was deployed; the index cannot be read.
    UnreadableIndex {
        /// The container.
        container: ContainerName,
        /// The digest that runs.
        found: Digest,
    },
}

/// What began a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackCause {
    /// The deployment circuit breaker.
    Breaker {
        /// Failures and the threshold, where ECS tells them.
        failures: Option<(u32, u32)>,
        /// ECS's reason.
        reason: Option<String>,
    },
    /// CloudWatch alarms.
    Alarms(Vec<String>),
    /// Something else, in ECS's words; a request of somebody, for example.
    Other(Option<String>),
}

impl Loss {
    /// Whether the new revision is still what the service wants, so that only somebody's act brings the old one back.
    #[must_use]
    pub const fn leaves_new_revision(&self) -> bool {
        match self {
            Self::Failed { .. }
            | Self::CannotStart { .. }
            | Self::Stuck { .. }
            | Self::WrongDigest { .. } => true,
            Self::RollingBack { .. }
            | Self::RolledBack { .. }
            | Self::RollbackFailed { .. }
            | Self::Superseded { .. }
            | Self::Stopped { .. }
            | Self::ServiceGone { .. }
            | Self::Deadline { .. }
            | Self::CannotTell(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WaitingOn;

    #[test]
    fn waiting_reads_as_a_fragment() {
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/web/0123";
        let targets = |reason: Option<&str>| WaitingOn::Targets {
            target_group: arn.to_owned(),
            healthy: 1,
            desired: 3,
            reason: reason.map(str::to_owned),
        };
        for (waiting, says) in [
            (
                WaitingOn::TasksToStart {
                    running: 1,
                    desired: 3,
                    failed: 0,
                },
                "tasks to start (1/3 running)",
            ),
            (
                WaitingOn::TasksToStart {
                    running: 1,
                    desired: 3,
                    failed: 2,
                },
                "tasks to start (1/3 running, 2 failed)",
            ),
            (targets(None), "targets of web (1/3 healthy)"),
            (
                targets(Some("Request timed out")),
                "targets of web (1/3 healthy; Request timed out)",
            ),
            (
                WaitingOn::Completion {
                    stage: Some("BAKE_TIME".to_owned()),
                },
                "the deployment to complete (stage BAKE_TIME)",
            ),
            (
                WaitingOn::OldTasksToDrain { remaining: 2 },
                "old tasks to drain (2 left)",
            ),
            (
                WaitingOn::KnownState {
                    of: "rollout state",
                    value: Some("HALF".to_owned()),
                },
                "rollout state `HALF` to become a known one",
            ),
            (
                WaitingOn::KnownState {
                    of: "rollout state",
                    value: None,
                },
                "rollout state, which ECS does not report",
            ),
        ] {
            assert_eq!(waiting.to_string(), says);
        }
    }
}
