//! What is said of a job when it ends: texts that CodePipeline takes, and the sort of a failure.
//!
//! Limits are those of PutJobSuccessResult and PutJobFailureResult (API version 2015-07-09). A text that breaks one is
//! refused as a whole, and the job stays open; so no text leaves this module unfitted, and none is refused here.

mod fit;
mod report;
mod variables;

#[cfg(test)]
mod tests;

pub use report::Whose;

use fit::{fit, fit_some};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Characters of a failure's message, at most.
pub const LONGEST_MESSAGE: usize = 5000;

/// Characters of a summary, at most.
pub const LONGEST_SUMMARY: usize = 2048;

/// Characters of an external id, at most.
pub const LONGEST_EXTERNAL: usize = 1500;

/// Bytes of an action's output variables, at most (quotas of the user guide).
pub const MOST_VARIABLES: usize = 122_880;

/// Characters of a continuation token, at most.
pub const LONGEST_TOKEN: usize = 2048;

/// What a failure says that has nothing to say.
const WORDLESS: &str = "the job failed, and slipway has no words for it: look at the worker's log";

/// The sort of a failure, as PutJobFailureResult knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureType {
    /// The work failed: a build, a rollout.
    JobFailed,
    /// The configuration, or what is in an artifact, is wrong.
    ConfigurationError,
    /// A role may not do what it must.
    PermissionError,
    /// The input is not the one that was expected.
    RevisionOutOfSync,
    /// The input is not there.
    RevisionUnavailable,
    /// A far end is down or throttles, after all retries.
    SystemUnavailable,
}

impl FailureType {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::JobFailed,
        Self::ConfigurationError,
        Self::PermissionError,
        Self::RevisionOutOfSync,
        Self::RevisionUnavailable,
        Self::SystemUnavailable,
    ];

    /// As the API writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::JobFailed => "JobFailed",
            Self::ConfigurationError => "ConfigurationError",
            Self::PermissionError => "PermissionError",
            Self::RevisionOutOfSync => "RevisionOutOfSync",
            Self::RevisionUnavailable => "RevisionUnavailable",
            Self::SystemUnavailable => "SystemUnavailable",
        }
    }
}

/// What is told of a job that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReport {
    /// Its sort.
    pub kind: FailureType,
    /// Why: 1 to 5000 characters, without control characters.
    pub message: String,
    /// What `{ExternalExecutionId}` of the action type's URLs becomes; 1 to 1500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
}

impl FailureReport {
    /// A report in a few words, fitted.
    #[must_use]
    pub fn new(kind: FailureType, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            external: None,
        }
        .fitted()
    }

    /// Names what the action type's URLs lead to.
    #[must_use]
    pub fn external(mut self, external: Option<String>) -> Self {
        self.external = external;
        self.fitted()
    }

    /// The report as CodePipeline takes it; one that it takes already stays as it is.
    #[must_use]
    pub fn fitted(self) -> Self {
        Self {
            kind: self.kind,
            message: Some(fit(&self.message, LONGEST_MESSAGE))
                .filter(|message| !message.is_empty())
                .unwrap_or_else(|| WORDLESS.to_owned()),
            external: fit_some(self.external, LONGEST_EXTERNAL),
        }
    }
}

/// What is told of a job besides its result.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Details {
    /// One line for people; 1 to 2048 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What `{ExternalExecutionId}` of the action type's URLs becomes; 1 to 1500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
    /// How much is done, of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
}

impl Details {
    /// The details as CodePipeline takes them; what it takes already stays as it is.
    #[must_use]
    pub fn fitted(self) -> Self {
        Self {
            summary: fit_some(self.summary, LONGEST_SUMMARY),
            external: fit_some(self.external, LONGEST_EXTERNAL),
            percent: self.percent.map(|percent| percent.min(100)),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Output variables: names of letters, digits, `@`, `-` and `_`; 122,880 bytes in all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Variables(pub BTreeMap<String, String>);

/// A job that did what it should, for now or for good. Its `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The action succeeded.
    Final(Details, Variables),
    /// The job ends, and a new one goes on with the token.
    Again(String, Details),
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Final(details, variables) => {
                f.debug_tuple("Final").field(details).field(variables).finish()
            }
            Self::Again(_, details) => f.debug_tuple("Again").field(details).finish_non_exhaustive(),
        }
    }
}

/// How a job ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// By PutJobSuccessResult.
    Success(Outcome),
    /// By PutJobFailureResult.
    Failure(FailureReport),
}

impl Ending {
    /// The ending with every text fitted. A token that CodePipeline cannot take is a failure: cut, it would be no token.
    #[must_use]
    pub fn fitted(self) -> Self {
        match self {
            Self::Success(Outcome::Final(details, variables)) => {
                Self::Success(Outcome::Final(details.fitted(), variables.fitted().0))
            }
            Self::Success(Outcome::Again(token, details)) => {
                let fits = !token.is_empty() && fit(&token, LONGEST_TOKEN) == token;
                if fits {
                    Self::Success(Outcome::Again(token, details.fitted()))
                } else {
                    Self::Failure(FailureReport::new(
                        FailureType::JobFailed,
                        "error: the job could not be handed on; cause: its continuation token has more than 2048 \
                         characters, or other ones than a token may have; hint: this is a bug in slipway",
                    ))
                }
            }
            Self::Failure(report) => Self::Failure(report.fitted()),
        }
    }

    /// What to put instead once CodePipeline has refused this as invalid: every time less of what may have been at
    /// fault, the result last. None if nothing can be left out any more.
    #[must_use]
    pub fn lesser(&self) -> Option<Self> {
        let success = |outcome| Some(Self::Success(outcome));
        match self {
            Self::Success(Outcome::Final(details, variables)) if !details.is_empty() => {
                success(Outcome::Final(Details::default(), variables.clone()))
            }
            Self::Success(Outcome::Final(_, variables)) if !variables.0.is_empty() => {
                success(Outcome::Final(Details::default(), Variables::default()))
            }
            Self::Success(Outcome::Again(token, details)) if !details.is_empty() => {
                success(Outcome::Again(token.clone(), Details::default()))
            }
            Self::Success(Outcome::Final(..)) => None,
            Self::Success(Outcome::Again(..)) => Some(Self::Failure(FailureReport::new(
                FailureType::JobFailed,
                "CodePipeline refused the continuation token",
            ))),
            Self::Failure(report) => {
                let least = FailureReport::new(report.kind, "the job failed: see the worker's log");
                (*report != least).then_some(Self::Failure(least))
            }
        }
    }

    /// What to put instead once CodePipeline has said that the variables are too large.
    #[must_use]
    pub fn without_variables(&self) -> Option<Self> {
        match self {
            Self::Success(Outcome::Final(details, variables)) if !variables.0.is_empty() => {
                let details = details.clone();
                Some(Self::Success(Outcome::Final(details, Variables::default())))
            }
            Self::Success(_) | Self::Failure(_) => None,
        }
    }
}
