//! How a run judged what it saw, and how it ended, in the words in which it was told.

use crate::ecs::rollout::Loss;
use crate::failure::{Failure, Kind, Nature};
use crate::name::ServiceName;
use serde::{Deserialize, Serialize};

/// What came of a rollback that slipway asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aftermath {
    /// The service.
    pub service: String,
    /// Its cluster, as the calls name it. Version 1 does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The revision of before is back, or ECS agreed to bring it back.
    pub rolled_back: bool,
    /// What serves.
    pub left: String,
    /// What proves it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// How the run judged a service; a failure in the words in which it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The service.
    pub service: String,
    /// Its cluster, as the calls name it. Version 1 does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The exit code that it stands for; none where the run gave the service up because another one failed, which is
    /// neither a success nor a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// What became of a service that was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// The failure, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Block>,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Its exit code.
    pub exit_code: u8,
    /// The failure, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Block>,
}

/// A failure as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What failed.
    pub error: String,
    /// The root cause.
    pub cause: Option<String>,
    /// What proves it.
    pub evidence: Vec<String>,
    /// Where.
    #[serde(rename = "where")]
    pub place: Option<String>,
    /// What is left serving.
    pub left: Option<String>,
    /// What became of the other services of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

impl Aftermath {
    /// The failure with what the rollback made of it.
    #[must_use]
    pub fn on(self, failure: Failure) -> Failure {
        let kind = if self.rolled_back {
            Kind::RolledBack
        } else {
            failure.kind
        };
        let failure = Failure { kind, ..failure }
            .left(self.left)
            .evidence(self.evidence);
        self.hints.into_iter().fold(failure, Failure::hint)
    }
}

impl Told {
    /// How a service ended.
    #[must_use]
    pub fn of(cluster: &str, service: &ServiceName, failure: Option<&Failure>) -> Self {
        Self {
            service: service.to_string(),
            cluster: Some(cluster.to_owned()),
            exit_code: Some(exit_code(failure)),
            left: None,
            failure: failure.map(Block::of),
        }
    }

    /// A service that was given up because another one failed, and what became of it.
    #[must_use]
    pub fn given_up(cluster: &str, service: &ServiceName, left: String) -> Self {
        Self {
            service: service.to_string(),
            cluster: Some(cluster.to_owned()),
            exit_code: None,
            left: Some(left),
            failure: None,
        }
    }
}

impl End {
    /// How a run ended.
    #[must_use]
    pub fn of(failure: Option<&Failure>) -> Self {
        Self {
            exit_code: exit_code(failure),
            failure: failure.map(Block::of),
        }
    }
}

fn exit_code(failure: Option<&Failure>) -> u8 {
    failure.map_or(0, |failure| failure.kind.exit_code())
}

impl Block {
    /// The failure as data.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        Self {
            error: failure.what.clone(),
            cause: failure.root_cause(),
            evidence: failure.evidence.clone(),
            place: failure.place.clone(),
            left: failure.left.clone(),
            others: failure.others.clone(),
            hints: failure.hints.clone(),
        }
    }

    /// The data as a failure again. An exit code that this version does not know is a doubt.
    #[must_use]
    pub fn into_failure(self, exit_code: u8) -> Failure {
        let known = Kind::ALL.into_iter().find(|kind| kind.exit_code() == exit_code);
        Failure {
            kind: known.unwrap_or(Kind::Unclear),
            nature: Nature::Plain,
            what: self.error,
            cause: self.cause,
            place: self.place,
            left: self.left,
            others: self.others,
            resume: Vec::new(),
            hints: self.hints,
            evidence: self.evidence,
            source: None,
        }
    }
}

/// A loss as one stable word, for machines.
#[must_use]
pub const fn word(loss: &Loss) -> &'static str {
    match loss {
        Loss::Failed { .. } => "failed",
        Loss::CannotStart { .. } => "cannot-start",
        Loss::RollingBack { .. } => "rolling-back",
        Loss::RolledBack { .. } => "rolled-back",
        Loss::RollbackFailed { .. } => "rollback-failed",
        Loss::Superseded { .. } => "superseded",
        Loss::Stopped { .. } => "stopped",
        Loss::ServiceGone { .. } => "service-gone",
        Loss::Deadline { .. } => "deadline",
        Loss::Stuck { .. } => "stuck",
        Loss::WrongDigest { .. } => "wrong-digest",
        Loss::CannotTell(_) => "cannot-tell",
    }
}
