//! What is said of a job when it ends: texts that CodePipeline takes, and the sort of a failure.
//!
//! Limits are those of PutJobSuccessResult and PutJobFailureResult (API version 2015-07-09).

use std::collections::BTreeMap;

/// The sort of a failure, as PutJobFailureResult knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What is told of a job that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    /// Its sort.
    pub kind: FailureType,
    /// Why: 1 to 5000 characters, without control characters.
    pub message: String,
    /// What `{ExternalExecutionId}` of the action type's URLs becomes; 1 to 1500 characters.
    pub external: Option<String>,
}

/// What is told of a job besides its result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// One line for people; 1 to 2048 characters.
    pub summary: Option<String>,
    /// What `{ExternalExecutionId}` of the action type's URLs becomes; 1 to 1500 characters.
    pub external: Option<String>,
    /// How much is done, of 100.
    pub percent: Option<u8>,
}

/// Output variables: names of letters, digits, `@`, `-` and `_`; 122,880 bytes in all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variables(pub BTreeMap<String, String>);
