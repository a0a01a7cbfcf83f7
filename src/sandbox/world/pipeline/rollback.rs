//! RollbackStage: a stage runs again with the artifacts and variables of an earlier execution.

use super::CodePipeline;
use super::check::Problems;
use super::control::no_stage;
use super::execution::{Place, Rollback, StageStatus};
use super::rules;
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};
use std::time::Duration;

impl CodePipeline {
    pub(super) fn rollback_stage(&mut self, now: Duration, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let name = reader.required("pipelineName", &rules::NAME)?;
        let stage_name = reader.required("stageName", &rules::NAME)?;
        let target_id = reader.required("targetPipelineExecutionId", &rules::UUID)?;
        problems.finish()?;
        let pipeline = self.pipeline(name)?;
        let stage = pipeline
            .stage(stage_name)
            .ok_or_else(|| no_stage(name, stage_name))?;
        let unable = |problem: &str| {
            ApiError::new(
                "UnableToRollbackStageException",
                format!("Unable to roll back the stage '{stage_name}': {problem}"),
            )
        };
        let target = pipeline
            .execution(target_id)
            .ok_or_else(|| no_execution(target_id))?;
        if pipeline.declaration.kind != "V2" {
            return Err(unable("only pipelines of type V2 can be rolled back"));
        }
        if stage == 0 {
            return Err(unable("a source stage can not be rolled back"));
        }
        let succeeded = |run: &super::execution::StageRun| run.status == StageStatus::Succeeded;
        if target.rollback.is_some() || !target.stages.get(&stage).is_some_and(succeeded) {
            return Err(unable(
                "the target pipeline execution did not succeed in the stage",
            ));
        }
        let in_stage = |place| place == Place::In(stage);
        let running = pipeline.executions.iter().any(|one| in_stage(one.place));
        if running
            || pipeline
                .executions
                .iter()
                .any(|one| pipeline.is_busy(&one.id, stage))
        {
            return Err(unable("the stage is currently running"));
        }
        if pipeline.latest.get(&stage).map(String::as_str) == Some(target_id) {
            return Err(unable(
                "the target pipeline execution is the latest one of the stage",
            ));
        }
        let (mut variables, artifacts) = (target.variables.clone(), target.artifacts.clone());
        let revisions = target.revisions.clone();
        let id = self.ids.uuid();
        let own = variables.entry("codepipeline".to_owned()).or_default();
        own.insert("PipelineExecutionId".to_owned(), id.clone());
        let mut execution = self.execution(now, id.clone(), "ManualRollback", variables);
        execution.place = Place::Before(stage);
        execution.artifacts = artifacts;
        execution.revisions = revisions;
        execution.rollback = Some(Rollback {
            stage,
            target: target_id.to_owned(),
        });
        self.pipeline_mut(name)?.executions.push(execution);
        Ok(json!({ "pipelineExecutionId": id }))
    }
}

/// `PipelineExecutionNotFoundException`.
pub fn no_execution(id: &str) -> ApiError {
    ApiError::new(
        "PipelineExecutionNotFoundException",
        format!("The pipeline execution {id} can not be found"),
    )
}
