//! What a judge can say of a rollout.

use super::waiting::WaitingOn;
use crate::name::{ContainerName, Digest};

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
    /// ECS calls the deployment completed, and the service wants no task: nothing ran that could prove it.
    NoTasksWanted,
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
