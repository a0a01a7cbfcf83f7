//! What runs: executions of a pipeline, and the runs of their actions.

use super::declaration::{Action, Declaration};
use super::events::News;
use super::variables::Variables;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A pipeline and everything that it ran.
#[derive(Debug)]
pub struct Pipeline {
    /// As it was declared.
    pub declaration: Arc<Declaration>,
    /// Its ARN.
    pub arn: String,
    /// When it was created.
    pub created: Duration,
    /// Its executions, in the order of their starts.
    pub executions: Vec<Execution>,
    /// The runs of its actions, by id.
    pub runs: BTreeMap<String, Run>,
    /// The runs in progress, by id.
    pub active: BTreeSet<String>,
    /// The execution that entered each stage last.
    pub latest: BTreeMap<usize, String>,
    /// The run of each action that started last, by stage and name.
    pub latest_runs: BTreeMap<(usize, String), String>,
    /// What became of runs and nobody was told yet.
    pub news: Vec<News>,
    /// Starts that came with a token, what they asked and the execution that they began.
    pub tokens: BTreeMap<String, (Value, String)>,
}

/// An execution of a pipeline.
#[derive(Debug)]
pub struct Execution {
    /// Its id.
    pub id: String,
    /// A number that grows with every start.
    pub serial: u64,
    /// How it is.
    pub status: ExecutionStatus,
    /// When it was started.
    pub started: Duration,
    /// When it changed last.
    pub updated: Duration,
    /// What started it, as the API calls that.
    pub trigger: &'static str,
    /// Why somebody stopped it.
    pub stop_reason: Option<String>,
    /// The stage and the execution that it goes back to; `None` for an ordinary execution.
    pub rollback: Option<Rollback>,
    /// Where it is.
    pub place: Place,
    /// Its variables so far.
    pub variables: Variables,
    /// Its artifacts so far, by name.
    pub artifacts: BTreeMap<String, Location>,
    /// The revisions of its sources, by artifact.
    pub revisions: BTreeMap<String, Revision>,
    /// The stages that it entered.
    pub stages: BTreeMap<usize, StageRun>,
}

/// What a rollback goes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// The only stage that runs.
    pub stage: usize,
    /// The execution whose artifacts and variables it runs with.
    pub target: String,
}

/// How an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// It runs, or waits to enter a stage.
    InProgress,
    /// It was stopped, and an action still runs.
    Stopping,
    /// It was stopped.
    Stopped,
    /// All stages succeeded.
    Succeeded,
    /// A newer execution took its place while it waited.
    Superseded,
    /// A stage failed.
    Failed,
}

impl ExecutionStatus {
    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Succeeded => "Succeeded",
            Self::Superseded => "Superseded",
            Self::Failed => "Failed",
        }
    }
}

/// Where an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In front of a stage.
    Before(usize),
    /// In a stage.
    In(usize),
    /// Nowhere any more.
    Over,
}

/// What became of a stage in one execution.
#[derive(Debug)]
pub struct StageRun {
    /// How it is.
    pub status: StageStatus,
    /// The run of each action that counts: a retry begins another one.
    pub runs: BTreeMap<String, String>,
}

/// How a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StageStatus {
    /// Its actions run.
    InProgress,
    /// Its execution was stopped, and an action still runs.
    Stopping,
    /// Its execution was stopped.
    Stopped,
    /// All actions succeeded.
    Succeeded,
    /// An action failed.
    Failed,
}

impl StageStatus {
    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

/// Where an artifact lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
}

/// What a source found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The action that found it.
    pub action: String,
    /// The revision's id.
    pub id: String,
    /// What tells it from others.
    pub change: String,
    /// What it is, for people.
    pub summary: Option<String>,
    /// When it was made.
    pub created: Duration,
}

/// One run of an action: CodePipeline calls it an action execution.
#[derive(Debug)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// A number that grows with every run.
    pub serial: u64,
    /// The execution.
    pub execution: String,
    /// The stage.
    pub stage: usize,
    /// The action.
    pub action: Action,
    /// How it is.
    pub status: RunStatus,
    /// When it started.
    pub started: Duration,
    /// When it changed last.
    pub updated: Duration,
    /// One line for people.
    pub summary: Option<String>,
    /// Its id elsewhere.
    pub external: Option<String>,
    /// How much is done, of 100.
    pub percent: Option<i64>,
    /// Code and text of its failure.
    pub error: Option<(String, String)>,
    /// Its configuration, variables resolved and secrets in clear.
    pub configuration: BTreeMap<String, String>,
    /// Its input artifacts.
    pub inputs: Vec<(String, Location)>,
    /// Its output artifacts, whose objects may not exist.
    pub outputs: Vec<(String, Location)>,
    /// Its output variables.
    pub variables: BTreeMap<String, String>,
    /// When a source action ends.
    pub due: Option<Duration>,
    /// When it times out.
    pub deadline: Duration,
    /// The last one of its jobs.
    pub job: Option<String>,
}

/// How a run of an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// It runs, or waits for a job worker.
    InProgress,
    /// Its execution was stopped without waiting for it.
    Abandoned,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
}

impl RunStatus {
    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Abandoned => "Abandoned",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

impl Run {
    /// Ends the run.
    pub fn end(&mut self, now: Duration, status: RunStatus) {
        self.status = status;
        self.updated = now;
        self.due = None;
    }

    /// Ends the run as failed.
    pub fn fail(&mut self, now: Duration, code: &str, message: impl Into<String>) {
        self.error = Some((code.to_owned(), message.into()));
        self.end(now, RunStatus::Failed);
    }

    /// Why it failed, as answers show it.
    pub fn show_error(&self) -> Option<Value> {
        let (code, message) = self.error.as_ref()?;
        Some(json!({ "code": code, "message": message }))
    }
}

/// Artifacts as histories and events show them.
pub fn show_artifacts(artifacts: &[(String, Location)]) -> Value {
    let shown = artifacts.iter().map(|(name, location)| {
        json!({ "name": name, "s3location": { "bucket": location.bucket, "key": location.key } })
    });
    shown.collect()
}

impl Execution {
    /// The run of an action that counts.
    pub fn run_of(&self, stage: usize, action: &str) -> Option<&String> {
        self.stages.get(&stage)?.runs.get(action)
    }
}

impl Pipeline {
    /// An execution.
    pub fn execution(&self, id: &str) -> Option<&Execution> {
        self.executions.iter().find(|execution| execution.id == id)
    }

    /// An execution, to change it.
    pub fn execution_mut(&mut self, id: &str) -> Option<&mut Execution> {
        self.executions.iter_mut().find(|execution| execution.id == id)
    }

    /// A stage, by its name.
    pub fn stage(&self, name: &str) -> Option<usize> {
        self.declaration
            .stages
            .iter()
            .position(|stage| stage.name == name)
    }

    /// Whether a run is in progress in a stage of an execution.
    pub fn is_busy(&self, execution: &str, stage: usize) -> bool {
        self.active
            .iter()
            .filter_map(|id| self.runs.get(id))
            .any(|run| run.execution == execution && run.stage == stage)
    }
}
