//! An entry of the journal, as it stands in its file: ids, a phase, and texts that CodePipeline is told anyway. No
//! configuration, no keys, no secret.

use crate::pipeline::job::{ActionTypeId, Context, JobId};
use crate::pipeline::result::Ending;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of a file's shape.
const VERSION: u64 = 1;

/// How far a job was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It is to be acknowledged, or was: the answer decides.
    Acknowledging,
    /// It is worked on.
    Working,
    /// Its result is known, and CodePipeline is to be told.
    Reporting(Ending),
}

/// What is known of a job that a worker holds, or held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub job: JobId,
    /// Its action type; none if the entry was damaged.
    pub action_type: Option<ActionTypeId>,
    /// The fleet that it is for; none if it names none, or if the entry was damaged.
    pub fleet: Option<String>,
    /// Where it is from.
    pub context: Context,
    /// The nonce that it was offered with.
    pub nonce: String,
    /// How far it was brought.
    pub phase: Phase,
    /// How many workers left it behind.
    pub attempts: u32,
    /// When the first of them held it, since the Unix epoch.
    pub claimed: Duration,
}

/// Why a file is no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Foreign {
    /// A newer slipway wrote it.
    Newer(u64),
    /// It is something else, or damaged.
    Damaged,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    version: u64,
    job: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fleet: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pipeline: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pipeline_arn: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    execution: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    stage: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    action: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    action_execution: String,
    nonce: String,
    phase: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Ending>,
    attempts: u32,
    claimed: u64,
}

/// What every version of the file has.
#[derive(Debug, Deserialize)]
struct Versioned {
    version: u64,
}

impl Record {
    /// A record of a job of which the id is all that is left.
    pub(super) fn of_id(job: JobId) -> Self {
        Self {
            job,
            action_type: None,
            fleet: None,
            context: Context::default(),
            nonce: String::new(),
            phase: Phase::Working,
            attempts: 0,
            claimed: Duration::ZERO,
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        let (phase, result) = match &self.phase {
            Phase::Acknowledging => ("acknowledging", None),
            Phase::Working => ("working", None),
            Phase::Reporting(ending) => ("reporting", Some(ending.clone())),
        };
        let context = self.context.clone();
        let written = Written {
            version: VERSION,
            job: self.job.to_string(),
            action_type: self.action_type.as_ref().map(ToString::to_string),
            fleet: self.fleet.clone(),
            pipeline: context.pipeline,
            pipeline_arn: context.pipeline_arn,
            execution: context.execution,
            stage: context.stage,
            action: context.action,
            action_execution: context.action_execution,
            nonce: self.nonce.clone(),
            phase: phase.to_owned(),
            result,
            attempts: self.attempts,
            claimed: self.claimed.as_secs(),
        };
        // Plain texts and numbers always become JSON.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    pub(super) fn read(json: &[u8]) -> Result<Self, Foreign> {
        let Versioned { version } = serde_json::from_slice(json).map_err(|_| Foreign::Damaged)?;
        if version > VERSION {
            return Err(Foreign::Newer(version));
        }
        let written: Written = serde_json::from_slice(json).map_err(|_| Foreign::Damaged)?;
        let phase = match (written.phase.as_str(), written.result) {
            ("acknowledging", None) => Phase::Acknowledging,
            ("working", None) => Phase::Working,
            ("reporting", Some(ending)) => Phase::Reporting(ending),
            _ => return Err(Foreign::Damaged),
        };
        Ok(Self {
            job: JobId::new(written.job),
            action_type: written.action_type.and_then(|text| text.parse().ok()),
            fleet: written.fleet,
            context: Context {
                pipeline: written.pipeline,
                pipeline_arn: written.pipeline_arn,
                execution: written.execution,
                stage: written.stage,
                action: written.action,
                action_execution: written.action_execution,
            },
            nonce: written.nonce,
            phase,
            attempts: written.attempts,
            claimed: Duration::from_secs(written.claimed),
        })
    }
}
