//! What a call to CodePipeline can end with.

use super::code;
use super::read::Unreadable;
use crate::aws::sort::{CallError, Sorted};
use crate::failure::{Failure, Kind};
use crate::pipeline::job::{ActionTypeId, JobId};
use std::fmt;

/// What was being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Asking for jobs.
    Poll(ActionTypeId),
    /// Acknowledging a job.
    Acknowledge(JobId),
    /// Getting a job's details.
    Details(JobId),
    /// Saying that a job succeeded.
    Success(JobId),
    /// Handing a job on.
    HandBack(JobId),
    /// Saying that a job failed.
    Failure(JobId),
    /// Asking what became of an action.
    Status(String),
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poll(action_type) => write!(f, "poll for jobs of `{action_type}`"),
            Self::Acknowledge(job) => write!(f, "acknowledge job {job}"),
            Self::Details(job) => write!(f, "get the details of job {job}"),
            Self::Success(job) => write!(f, "report the success of job {job}"),
            Self::HandBack(job) => write!(f, "hand job {job} on"),
            Self::Failure(job) => write!(f, "report the failure of job {job}"),
            Self::Status(action) => write!(f, "ask what became of action `{action}`"),
        }
    }
}

impl Act {
    pub(super) fn failed(self, source: CallError) -> PipelineError {
        PipelineError::Call {
            act: self,
            source: Box::new(source),
        }
    }

    pub(super) fn unreadable(self, source: Unreadable) -> PipelineError {
        PipelineError::Unreadable { act: self, source }
    }
}

/// Why CodePipeline did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A call failed.
    #[error("{act}")]
    Call {
        /// What was being done.
        act: Act,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// The answer is of no use.
    #[error("{act}")]
    Unreadable {
        /// What was being done.
        act: Act,
        /// Why.
        #[source]
        source: Unreadable,
    },
    /// No answer came for as long as one was waited for.
    #[error("{0}: no answer came in time")]
    Silent(Act),
}

impl PipelineError {
    /// An acknowledgement that was given up without an answer.
    pub(in crate::pipeline) const fn silent(job: JobId) -> Self {
        Self::Silent(Act::Acknowledge(job))
    }

    /// Whether it may have taken effect although it failed.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Call { source, .. } => source.sorted.is_in_doubt(),
            Self::Unreadable { .. } | Self::Silent(_) => true,
        }
    }

    /// Whether too much was asked, so that it did not take effect.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        matches!(self, Self::Call { source, .. } if source.sorted == Sorted::Throttled)
    }

    /// Whether CodePipeline refuses what the request says, and will again.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        ["ValidationException", "RequestNotBuilt"].contains(&self.code()) || self.is_too_large()
    }

    /// Whether the output variables are too large.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.code() == "OutputVariablesSizeExceededException"
    }

    /// Whether the action type is not registered here, or was deleted.
    #[must_use]
    pub fn is_no_such_type(&self) -> bool {
        self.code() == "ActionTypeNotFoundException"
    }

    fn code(&self) -> &str {
        match self {
            Self::Call { source, .. } => code(source),
            Self::Unreadable { .. } | Self::Silent(_) => "",
        }
    }

    /// The failure to show where this ends a run, or a job.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Call { act, source } => source.into_failure(format!("cannot {act}")),
            Self::Unreadable { act, source } => {
                Failure::new(Kind::Unclear, format!("cannot {act}")).because(source)
            }
            Self::Silent(act) => {
                Failure::new(Kind::FarEnd, format!("cannot {act}")).cause("no answer came in time")
            }
        }
    }
}
