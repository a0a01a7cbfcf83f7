//! What a rollout waits for.

use crate::ecs::observation::Share;
use crate::name::ContainerName;
use std::fmt;
use std::time::Duration;

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
    /// The same, with tasks that fail for a reason that is known.
    FailingTasks {
        /// How many run.
        running: u32,
        /// How many are wanted.
        desired: u32,
        /// How many failed so far.
        failed: u32,
        /// Why most of them failed, normalised.
        reason: String,
    },
    /// The same, and ECS finds no place for them; that passes, or the deadline comes.
    TasksToPlace {
        /// How many run.
        running: u32,
        /// How many are wanted.
        desired: u32,
        /// What is in the way, in ECS's words.
        reason: String,
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
    /// Somebody's word on whether to go on: a `PAUSE` hook.
    Pause {
        /// The stage that it holds up.
        stage: Option<String>,
        /// The hook's id.
        hook: String,
        /// The service deployment's ARN.
        deployment: String,
        /// What ECS does when nobody says it in time.
        on_timeout: Option<String>,
    },
    /// A hook's function to end.
    Hook {
        /// The stage that it holds up.
        stage: Option<String>,
        /// The function's ARN.
        target: Option<String>,
    },
    /// Production traffic to move to our tasks.
    TrafficShift {
        /// How much of it goes to them, where ECS says it.
        share: Option<Share>,
    },
    /// The time to be over in which ECS watches and may still roll back.
    BakeTime {
        /// Minutes that are left at most, where the service says how long it is.
        minutes_left: Option<u64>,
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
    /// Credentials that AWS accepts.
    Credentials {
        /// The IAM action that was refused without.
        action: String,
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
        matches!(self, Self::ContainerHealth { .. } | Self::Targets { .. })
    }

    /// Whether DescribeServiceRevisions could end the wait: it tells the digests that ECS resolved for our revision.
    #[must_use]
    pub const fn wants_revision(&self) -> bool {
        matches!(self, Self::Digest { .. })
    }

    /// Whether tasks of ours that run and are healthy would end the wait.
    #[must_use]
    pub const fn is_for_tasks(&self) -> bool {
        matches!(
            self,
            Self::TasksToStart { .. }
                | Self::FailingTasks { .. }
                | Self::TasksToPlace { .. }
                | Self::TasksToStay { .. }
                | Self::ContainerHealth { .. }
                | Self::Targets { .. }
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
            | Self::Credentials { .. }
            | Self::Sight { .. } => true,
            Self::TasksToStart { .. }
            | Self::FailingTasks { .. }
            | Self::TasksToPlace { .. }
            | Self::Pause { .. }
            | Self::Hook { .. }
            | Self::TrafficShift { .. }
            | Self::BakeTime { .. }
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
            Self::FailingTasks {
                running,
                desired,
                failed,
                reason,
            } => write!(
                f,
                "tasks to start ({running}/{desired} running, {failed} failed: {reason})"
            ),
            Self::TasksToPlace {
                running,
                desired,
                reason,
            } => write!(f, "tasks to be placed ({running}/{desired} running; {reason})"),
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
            Self::Pause {
                stage,
                hook,
                deployment,
                on_timeout,
            } => {
                let otherwise = on_timeout.as_deref().map(|action| format!(", else {action}"));
                write!(
                    f,
                    "somebody to let it go on{} (`aws ecs continue-service-deployment --service-deployment-arn \
                     {deployment} --hook-id {hook} --action CONTINUE`{})",
                    of_stage(stage.as_deref()),
                    otherwise.unwrap_or_default()
                )
            }
            Self::Hook { stage, target } => {
                write!(f, "a lifecycle hook{}", of_stage(stage.as_deref()))?;
                match target {
                    Some(target) => write!(f, " ({target})"),
                    None => Ok(()),
                }
            }
            Self::TrafficShift { share: Some(share) } => {
                write!(f, "production traffic to shift ({share} so far)")
            }
            Self::TrafficShift { share: None } => f.write_str("production traffic to shift"),
            Self::BakeTime {
                minutes_left: Some(minutes),
            } => write!(f, "the bake time to end ({minutes} min left at most)"),
            Self::BakeTime { minutes_left: None } => f.write_str("the bake time to end"),
            Self::OldTasksToDrain { remaining } => write!(f, "old tasks to drain ({remaining} left)"),
            Self::RollbackToShow => f.write_str("the announced rollback to show"),
            Self::KnownState {
                of,
                value: Some(value),
            } if !value.is_empty() => write!(f, "{of} `{value}` to become a known one"),
            Self::KnownState { of, value: _ } => write!(f, "{of}, which ECS does not report"),
            Self::Credentials { action } => write!(f, "credentials that AWS accepts for `{action}`"),
            Self::Sight { action } => write!(f, "`{action}` to answer"),
        }
    }
}

fn of_stage(stage: Option<&str>) -> String {
    stage.map_or_else(String::new, |stage| format!(" in stage {stage}"))
}

/// `web` of `arn:aws:elasticloadbalancing:...:targetgroup/web/0123`.
#[must_use]
pub fn target_group_name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::{Share, WaitingOn};

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
                WaitingOn::FailingTasks {
                    running: 0,
                    desired: 3,
                    failed: 2,
                    reason: "CannotPullContainerError: not found".to_owned(),
                },
                "tasks to start (0/3 running, 2 failed: CannotPullContainerError: not found)",
            ),
            (
                WaitingOn::Pause {
                    stage: Some("POST_SCALE_UP".to_owned()),
                    hook: "h-1".to_owned(),
                    deployment: "arn:d".to_owned(),
                    on_timeout: Some("ROLLBACK".to_owned()),
                },
                "somebody to let it go on in stage POST_SCALE_UP (`aws ecs continue-service-deployment \
                 --service-deployment-arn arn:d --hook-id h-1 --action CONTINUE`, else ROLLBACK)",
            ),
            (
                WaitingOn::Hook {
                    stage: Some("PRE_SCALE_UP".to_owned()),
                    target: Some("arn:f".to_owned()),
                },
                "a lifecycle hook in stage PRE_SCALE_UP (arn:f)",
            ),
            (
                WaitingOn::TrafficShift {
                    share: Share::of_percent(12.5),
                },
                "production traffic to shift (12.5 % so far)",
            ),
            (
                WaitingOn::BakeTime {
                    minutes_left: Some(4),
                },
                "the bake time to end (4 min left at most)",
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
