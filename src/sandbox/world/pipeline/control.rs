//! StartPipelineExecution, StopPipelineExecution, RetryStageExecution: what people do with executions.

use super::CodePipeline;
use super::check::{Problems, validation};
use super::declaration::Mode;
use super::execution::{Execution, ExecutionStatus, Pipeline, Place, RunStatus, StageStatus};
use super::jobs::JobState;
use super::rules;
use super::variables::Variables;
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many executions of a pipeline wait or run at most, in QUEUED and in PARALLEL mode.
const MOST_EXECUTIONS: usize = 50;

impl CodePipeline {
    pub(super) fn start_pipeline_execution(
        &mut self,
        now: Duration,
        input: &Value,
    ) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let name = reader.required("name", &rules::NAME)?;
        let token = reader.text("clientRequestToken", &rules::CLIENT_TOKEN)?;
        let mut given = BTreeMap::new();
        for variable in reader.list("variables", 1..=50)? {
            let name = variable.required("name", &rules::PIPELINE_VARIABLE)?;
            let value = variable.required("value", &rules::PIPELINE_VARIABLE_VALUE)?;
            given.insert(name.to_owned(), value.to_owned());
        }
        let overridden = !reader.list("sourceRevisions", 0..=50)?.is_empty();
        problems.finish()?;
        if overridden {
            return Err(validation(
                "the sandbox does not imitate `sourceRevisions`: its buckets keep no versions",
            ));
        }
        let pipeline = self.pipeline(name)?;
        if let Some((asked, id)) = token.and_then(|token| pipeline.tokens.get(token)) {
            if asked != input {
                return Err(validation(
                    "The client request token was already used with another request",
                ));
            }
            return Ok(json!({ "pipelineExecutionId": id }));
        }
        let id = self.begin(now, name, "StartPipelineExecution", given)?;
        if let Some(token) = token {
            let tokens = &mut self.pipeline_mut(name)?.tokens;
            tokens.insert(token.to_owned(), (input.clone(), id.clone()));
        }
        Ok(json!({ "pipelineExecutionId": id }))
    }

    /// Starts an execution; gives its id.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        name: &str,
        trigger: &'static str,
        given: BTreeMap<String, String>,
    ) -> Result<String, ApiError> {
        let pipeline = self.pipeline(name)?;
        let declared = pipeline.declaration.clone();
        let going = |execution: &&Execution| execution.place != Place::Over;
        let going = pipeline.executions.iter().filter(going).count();
        if declared.mode != Mode::Superseded && going >= MOST_EXECUTIONS {
            return Err(ApiError::new(
                "ConcurrentPipelineExecutionsLimitExceededException",
                format!("The pipeline has reached the limit of {MOST_EXECUTIONS} concurrent executions"),
            ));
        }
        let known = |name: &String| declared.variables.iter().any(|(declared, _)| declared == name);
        if let Some(unknown) = given.keys().find(|name| !known(name)) {
            return Err(validation(format!(
                "The variable '{unknown}' is not declared in the pipeline"
            )));
        }
        let defaults = declared.variables.iter().filter_map(|(name, value)| {
            let value = value.clone()?;
            Some((name.clone(), value))
        });
        let mut variables: BTreeMap<String, String> = defaults.collect();
        variables.extend(given);
        let missing = declared
            .variables
            .iter()
            .find(|(name, _)| !variables.contains_key(name));
        if let (Some((missing, _)), "StartPipelineExecution") = (missing, trigger) {
            return Err(validation(format!(
                "The variable '{missing}' has no default value, and none was given"
            )));
        }
        let id = self.ids.uuid();
        let own = BTreeMap::from([("PipelineExecutionId".to_owned(), id.clone())]);
        let variables = Variables::from([
            ("codepipeline".to_owned(), own),
            ("variables".to_owned(), variables),
        ]);
        let execution = self.execution(now, id.clone(), trigger, variables);
        self.pipeline_mut(name)?.executions.push(execution);
        Ok(id)
    }

    /// A new execution in front of the first stage.
    pub(super) fn execution(
        &mut self,
        now: Duration,
        id: String,
        trigger: &'static str,
        variables: Variables,
    ) -> Execution {
        Execution {
            id,
            serial: self.ids.serial(),
            status: ExecutionStatus::InProgress,
            started: now,
            updated: now,
            trigger,
            stop_reason: None,
            rollback: None,
            place: Place::Before(0),
            variables,
            artifacts: BTreeMap::new(),
            revisions: BTreeMap::new(),
            stages: BTreeMap::new(),
        }
    }

    pub(super) fn stop_pipeline_execution(
        &mut self,
        now: Duration,
        input: &Value,
    ) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let name = reader.required("pipelineName", &rules::NAME)?;
        let id = reader.required("pipelineExecutionId", &rules::UUID)?;
        let abandon = reader.flag("abandon")?.unwrap_or_default();
        let reason = reader.text("reason", &rules::STOP_REASON)?;
        problems.finish()?;
        let pipeline = self.pipeline_mut(name)?;
        let not_stoppable = || {
            ApiError::new(
                "PipelineExecutionNotStoppableException",
                format!("The pipeline execution {id} can not be stopped: it is not in progress"),
            )
        };
        let execution = pipeline.execution_mut(id).ok_or_else(not_stoppable)?;
        match execution.status {
            ExecutionStatus::InProgress => {}
            ExecutionStatus::Stopping if abandon => {}
            ExecutionStatus::Stopping => {
                return Err(ApiError::new(
                    "DuplicatedStopRequestException",
                    format!("The pipeline execution {id} is already in a Stopping state"),
                ));
            }
            ExecutionStatus::Stopped
            | ExecutionStatus::Succeeded
            | ExecutionStatus::Superseded
            | ExecutionStatus::Failed => return Err(not_stoppable()),
        }
        execution.stop_reason = reason.map(str::to_owned).or(execution.stop_reason.take());
        execution.updated = now;
        match execution.place {
            Place::In(stage) => {
                execution.status = ExecutionStatus::Stopping;
                if let Some(run) = execution.stages.get_mut(&stage) {
                    run.status = StageStatus::Stopping;
                }
            }
            Place::Before(_) | Place::Over => {
                execution.status = ExecutionStatus::Stopped;
                execution.place = Place::Over;
            }
        }
        if abandon {
            for job in pipeline.abandon(now, id) {
                self.jobs.end(now, &job, JobState::Abandoned);
            }
        }
        Ok(json!({ "pipelineExecutionId": id }))
    }

    pub(super) fn retry_stage_execution(&mut self, now: Duration, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let name = reader.required("pipelineName", &rules::NAME)?;
        let stage_name = reader.required("stageName", &rules::NAME)?;
        let id = reader.required("pipelineExecutionId", &rules::UUID)?;
        let mode = reader.required("retryMode", &rules::RETRY_MODE)?;
        problems.finish()?;
        let pipeline = self.pipeline_mut(name)?;
        let stage = pipeline
            .stage(stage_name)
            .ok_or_else(|| no_stage(name, stage_name))?;
        let not_latest = || {
            ApiError::new(
                "NotLatestPipelineExecutionException",
                format!("The pipeline execution {id} is not the latest one of the stage '{stage_name}'"),
            )
        };
        let latest = pipeline.latest.get(&stage).map(String::as_str) == Some(id);
        if !latest && pipeline.declaration.mode != Mode::Parallel {
            return Err(not_latest());
        }
        let busy = pipeline.is_busy(id, stage);
        let runs = &pipeline.runs;
        let execution = pipeline
            .executions
            .iter_mut()
            .find(|execution| execution.id == id)
            .ok_or_else(not_latest)?;
        let not_retryable = |problem: &str| {
            ApiError::new(
                "StageNotRetryableException",
                format!("The stage '{stage_name}' can not be retried: {problem}"),
            )
        };
        let failed = execution
            .stages
            .get_mut(&stage)
            .filter(|run| matches!(run.status, StageStatus::Failed | StageStatus::Stopped));
        let Some(run) = failed else {
            return Err(not_retryable("it has not failed"));
        };
        let is_lost = |id: &String| {
            let status = runs.get(id).map(|run| run.status);
            matches!(status, Some(RunStatus::Failed | RunStatus::Abandoned))
        };
        if !run.runs.values().any(is_lost) {
            return Err(not_retryable("it has no failed action"));
        }
        if mode == "ALL_ACTIONS" {
            if busy {
                return Err(not_retryable("an action of it is in progress"));
            }
            run.runs.clear();
        } else {
            run.runs.retain(|_, id| !is_lost(id));
        }
        run.status = StageStatus::InProgress;
        execution.status = ExecutionStatus::InProgress;
        execution.place = Place::In(stage);
        execution.updated = now;
        Ok(json!({ "pipelineExecutionId": id }))
    }
}

impl Pipeline {
    /// Abandons the runs of an execution; gives their jobs.
    fn abandon(&mut self, now: Duration, execution: &str) -> Vec<String> {
        let mut jobs = Vec::new();
        let active: Vec<String> = self.active.iter().cloned().collect();
        for id in active {
            let run = self.runs.get_mut(&id);
            let Some(run) = run.filter(|run| run.execution == execution) else {
                continue;
            };
            run.end(now, RunStatus::Abandoned);
            jobs.extend(run.job.clone());
            self.ended(&id);
        }
        jobs
    }
}

/// `StageNotFoundException`.
pub fn no_stage(pipeline: &str, stage: &str) -> ApiError {
    ApiError::new(
        "StageNotFoundException",
        format!("The pipeline '{pipeline}' has no stage with name '{stage}'"),
    )
}
