//! CodePipeline: custom action types, the jobs of their actions, and a small pipeline runner.
//!
//! The limits are those of the service's model (API version 2015-07-09) and of its user guide; what AWS publishes nowhere
//! is a [`Quirks`]. Pipelines have one version, sources are objects of S3, every other action is a custom one.

mod action_type;
mod action_types;
mod check;
mod control;
mod declaration;
mod events;
mod execution;
mod history;
mod ids;
mod jobs;
mod listing;
mod pipelines;
mod poll;
mod quirks;
mod results;
mod rollback;
mod rules;
mod runner;
mod source;
mod state;
mod structure;
mod tags;
mod variables;
mod view;

#[cfg(test)]
mod control_tests;
#[cfg(test)]
mod declaration_tests;
#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod type_tests;

pub use execution::{ExecutionStatus, RunStatus};
pub use jobs::JobState;
pub use quirks::Quirks;
pub use view::{ExecutionView, JobView, RunView};

use super::WorldConfig;
use super::error::ApiError;
use super::input::unknown_operation;
use super::s3::S3;
use super::sessions::Sessions;
use action_type::TypeId;
use action_types::Registered;
use execution::Pipeline;
use ids::Ids;
use jobs::Jobs;
use quirks::Pace;
use runner::Surroundings;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The state of CodePipeline.
#[derive(Debug)]
pub struct CodePipeline {
    /// What a scenario asks for.
    pub quirks: Quirks,
    pace: Pace,
    region: String,
    ids: Ids,
    types: BTreeMap<TypeId, Registered>,
    pipelines: BTreeMap<String, Pipeline>,
    jobs: Jobs,
}

impl CodePipeline {
    /// No action types and no pipelines yet.
    #[must_use]
    pub fn new(config: &WorldConfig) -> Self {
        Self {
            quirks: Quirks::default(),
            pace: Pace {
                second: config.timings.second,
                minute: config.timings.minute,
            },
            region: config.region.clone(),
            ids: Ids::default(),
            types: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            jobs: Jobs::default(),
        }
    }

    /// Answers one operation with the JSON of its output shape.
    ///
    /// # Errors
    /// The operation's declared errors; an unknown operation is refused by name.
    pub fn call(
        &mut self,
        now: Duration,
        operation: &str,
        input: &Value,
        s3: &mut S3,
        sessions: &mut Sessions,
    ) -> Result<Value, ApiError> {
        let answer = match operation {
            "CreateCustomActionType" => self.create_custom_action_type(input),
            "ListActionTypes" => self.list_action_types(input),
            "DeleteCustomActionType" => self.delete_custom_action_type(input),
            "PollForJobs" => self.poll_for_jobs(now, input, sessions),
            "AcknowledgeJob" => self.acknowledge_job(now, input),
            "GetJobDetails" => self.get_job_details(now, input, sessions),
            "PutJobSuccessResult" => self.put_job_success_result(now, input),
            "PutJobFailureResult" => self.put_job_failure_result(now, input),
            "CreatePipeline" => self.create_pipeline(now, input),
            "GetPipeline" => self.get_pipeline(input),
            "ListPipelines" => self.list_pipelines(input),
            "DeletePipeline" => self.delete_pipeline(input),
            "StartPipelineExecution" => self.start_pipeline_execution(now, input),
            "StopPipelineExecution" => self.stop_pipeline_execution(now, input),
            "RetryStageExecution" => self.retry_stage_execution(now, input),
            "RollbackStage" => self.rollback_stage(now, input),
            "GetPipelineState" => self.get_pipeline_state(input),
            "GetPipelineExecution" => self.get_pipeline_execution(input),
            "ListPipelineExecutions" => self.list_pipeline_executions(input),
            "ListActionExecutions" => self.list_action_executions(input),
            unknown => Err(unknown_operation("CodePipeline", unknown)),
        }?;
        if !reads(operation) {
            self.settle(now, s3);
        }
        Ok(answer)
    }

    /// The next instant at which something changes by itself.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        self.pipelines.values().filter_map(Pipeline::next_change).min()
    }

    /// Does what is due at `now`.
    pub fn advance(&mut self, now: Duration, s3: &mut S3) {
        if self.next_change().is_some_and(|due| due <= now) {
            self.settle(now, s3);
        }
    }

    fn settle(&mut self, now: Duration, s3: &mut S3) {
        let mut around = Surroundings {
            now,
            ids: &mut self.ids,
            jobs: &mut self.jobs,
            s3,
            quirks: &self.quirks,
            pace: self.pace,
            region: &self.region,
        };
        for pipeline in self.pipelines.values_mut() {
            pipeline.settle(&mut around);
        }
    }

    /// Whether an action type hides a property; one that was deleted still does.
    fn hides(&self, id: &TypeId, property: &str) -> bool {
        let registered = self.types.get(id);
        registered.is_some_and(|one| one.definition.hides(property))
    }
}

/// Whether an operation changes nothing that executions wait for.
fn reads(operation: &str) -> bool {
    ["Get", "List", "Poll", "Acknowledge"]
        .iter()
        .any(|verb| operation.starts_with(verb))
}
