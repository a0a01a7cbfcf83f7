//! What the judge of a one-off task says.

use crate::ecs::observation::TaskStatus;
use crate::name::{ContainerName, Digest};
use std::fmt;

/// The judgement after a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The container ended with exit code 0, and ran the right image.
    Done,
    /// Not yet.
    Wait(WaitingOn),
    /// It will not be done.
    Lost(Loss),
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingOn {
    /// RunTask answered with the task, and DescribeTasks does not know it yet.
    TaskToAppear,
    /// It starts.
    TaskToStart {
        /// How far it is.
        status: TaskStatus,
    },
    /// It runs.
    TaskToEnd,
    /// It ends.
    TaskToStop,
    /// The container ended well and its digest is not reported.
    Digest {
        /// The container.
        container: ContainerName,
    },
    /// AWS accepts the credentials.
    Credentials {
        /// The IAM action that was refused without.
        action: String,
    },
    /// DescribeTasks does not answer.
    Sight {
        /// The IAM action.
        action: String,
    },
    /// A status that this version does not know passes.
    KnownStatus {
        /// ECS's word.
        word: String,
    },
}

impl WaitingOn {
    /// Whether it is waited for because nothing can be seen or understood.
    #[must_use]
    pub const fn is_blind(&self) -> bool {
        match self {
            Self::TaskToAppear
            | Self::Credentials { .. }
            | Self::Sight { .. }
            | Self::KnownStatus { .. }
            | Self::Digest { .. } => true,
            Self::TaskToStart { .. } | Self::TaskToEnd | Self::TaskToStop => false,
        }
    }
}

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TaskToAppear => f.write_str("the task to appear"),
            Self::TaskToStart { status } => write!(f, "the task to start ({status})"),
            Self::TaskToEnd => f.write_str("the task to end (it runs)"),
            Self::TaskToStop => f.write_str("the task to stop (it ends)"),
            Self::Digest { container } => write!(f, "the digest that container {container} ran"),
            Self::Credentials { action } => write!(f, "credentials that AWS accepts for `{action}`"),
            Self::Sight { action } => write!(f, "`{action}` to answer"),
            Self::KnownStatus { word } => {
                write!(f, "a status that slipway knows (the task's is `{word}`)")
            }
        }
    }
}

/// Why it will not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// It failed: to start, or a container did; the task says how.
    Failed {
        /// Whether the container that does the work ended with 0 all the same.
        worked: bool,
    },
    /// Somebody stopped it.
    Stopped {
        /// What they gave as the reason.
        reason: Option<String>,
    },
    /// It did its work with another image.
    WrongDigest {
        /// The container.
        container: ContainerName,
        /// The digest that is deployed.
        expected: Digest,
        /// The digest that it ran.
        found: Digest,
    },
    /// Its time is over and it goes on.
    Deadline {
        /// What was waited for.
        last: WaitingOn,
    },
    /// It may have done its work, or not.
    CannotTell(Doubt),
}

/// Why it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// A call that is needed is denied.
    Denied {
        /// The IAM action.
        action: String,
    },
    /// The credentials have ended.
    NoCredentials,
    /// ECS does not know the task.
    Vanished {
        /// Whether it did before.
        seen: bool,
    },
    /// It stopped, and why is a word that this version does not know; empty if there is none.
    UnknownEnd {
        /// The stop code.
        word: String,
    },
    /// Its time is over and nothing could be seen.
    Blind {
        /// What was waited for.
        last: WaitingOn,
    },
    /// It ran another digest, and what was deployed cannot be read to compare.
    UnreadableIndex {
        /// The container.
        container: ContainerName,
        /// The digest that it ran.
        found: Digest,
    },
    /// It ended well, and ECS does not say what it ran.
    NoDigest {
        /// The container.
        container: ContainerName,
    },
}
