//! What tests see of the job engine, past the wire.

use super::CodePipeline;
use super::execution::{ExecutionStatus, RunStatus};
use super::jobs::JobState;
use std::time::Duration;

/// A job, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// `Build`, `Deploy`, ...
    pub category: String,
    /// The provider of its action type.
    pub provider: String,
    /// The pipeline.
    pub pipeline: String,
    /// The execution of the pipeline.
    pub execution: String,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The run of the action: its `actionExecutionId`.
    pub action_execution: String,
    /// How it is.
    pub state: JobState,
    /// How often it was offered.
    pub offers: u64,
    /// How often it was acknowledged.
    pub acknowledged: u32,
    /// How many results were accepted: one at most.
    pub closed: u32,
    /// How many results were refused, because it was not in progress.
    pub refused: u32,
    /// The token that it carries.
    pub continuation: Option<String>,
    /// From when on it is offered.
    pub available: Duration,
    /// When it was over.
    pub over: Option<Duration>,
}

/// An execution of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionView {
    /// Its id.
    pub id: String,
    /// The pipeline.
    pub pipeline: String,
    /// How it is.
    pub status: ExecutionStatus,
    /// Its actions that ran, in the order of their starts; a retry is another run.
    pub runs: Vec<RunView>,
}

/// A run of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunView {
    /// Its id: the `actionExecutionId`.
    pub id: String,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// How it is.
    pub status: RunStatus,
    /// Code and text of its failure.
    pub error: Option<(String, String)>,
    /// One line for people.
    pub summary: Option<String>,
    /// Its id elsewhere.
    pub external: Option<String>,
    /// How much is done, of 100.
    pub percent: Option<i64>,
    /// Its output variables.
    pub variables: Vec<(String, String)>,
    /// Its output artifacts: name, bucket and key.
    pub outputs: Vec<(String, String, String)>,
}

impl CodePipeline {
    /// Every job that there ever was, the oldest first; those of deleted pipelines are gone.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobView> {
        let mut jobs: Vec<_> = self.jobs.all().collect();
        jobs.sort_by_key(|job| job.serial);
        let views = jobs.into_iter().filter_map(|job| {
            let run = self.run_of(job)?;
            Some(JobView {
                id: job.id.clone(),
                category: job.type_id.category.clone(),
                provider: job.type_id.provider.clone(),
                pipeline: job.pipeline.clone(),
                execution: run.execution.clone(),
                stage: self.stage_name(&job.pipeline, run.stage),
                action: run.action.name.clone(),
                action_execution: run.id.clone(),
                state: job.state,
                offers: job.nonce,
                acknowledged: job.acknowledged,
                closed: job.closed,
                refused: job.refused,
                continuation: job.continuation.clone(),
                available: job.available,
                over: job.over,
            })
        });
        views.collect()
    }

    /// A job, by its id.
    #[must_use]
    pub fn job(&self, id: &str) -> Option<JobView> {
        self.jobs().into_iter().find(|job| job.id == id)
    }

    /// Every execution of a pipeline, the oldest first.
    #[must_use]
    pub fn executions(&self, pipeline: &str) -> Vec<ExecutionView> {
        let Some(of) = self.pipelines.get(pipeline) else {
            return Vec::new();
        };
        let views = of.executions.iter().map(|execution| {
            let mut runs: Vec<_> = of.runs.values().collect();
            runs.retain(|run| run.execution == execution.id);
            runs.sort_by_key(|run| run.serial);
            let runs = runs.into_iter().map(|run| RunView {
                id: run.id.clone(),
                stage: self.stage_name(pipeline, run.stage),
                action: run.action.name.clone(),
                status: run.status,
                error: run.error.clone(),
                summary: run.summary.clone(),
                external: run.external.clone(),
                percent: run.percent,
                variables: run.variables.clone().into_iter().collect(),
                outputs: run
                    .outputs
                    .iter()
                    .map(|(name, at)| (name.clone(), at.bucket.clone(), at.key.clone()))
                    .collect(),
            });
            ExecutionView {
                id: execution.id.clone(),
                pipeline: pipeline.to_owned(),
                status: execution.status,
                runs: runs.collect(),
            }
        });
        views.collect()
    }

    fn stage_name(&self, pipeline: &str, stage: usize) -> String {
        let declared = self.pipelines.get(pipeline);
        let stage = declared.and_then(|pipeline| pipeline.declaration.stages.get(stage));
        stage.map(|stage| stage.name.clone()).unwrap_or_default()
    }
}
