//! GetPipelineState: every stage as it is now.

use super::CodePipeline;
use super::check::Problems;
use super::execution::{Execution, Pipeline, Place, Run};
use super::pipelines::VERSION;
use super::rules;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::input::epoch;
use serde_json::{Value, json};

impl CodePipeline {
    pub(super) fn get_pipeline_state(&self, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let name = problems.reader(input).required("name", &rules::NAME)?;
        problems.finish()?;
        let pipeline = self.pipeline(name)?;
        let stages = (0..pipeline.declaration.stages.len()).map(|stage| self.show_stage(pipeline, stage));
        Ok(json!({
            "pipelineName": name,
            "pipelineVersion": VERSION,
            "stageStates": stages.collect::<Vec<_>>(),
            "created": epoch(pipeline.created),
            "updated": epoch(pipeline.created),
        }))
    }

    fn show_stage(&self, pipeline: &Pipeline, stage: usize) -> Value {
        let Some(declared) = pipeline.declaration.stages.get(stage) else {
            return json!({});
        };
        let mut shown = json!({
            "stageName": declared.name,
            "inboundTransitionState": { "enabled": true },
        });
        let waiting = pipeline
            .executions
            .iter()
            .filter(|execution| execution.place == Place::Before(stage));
        let waiting: Vec<Value> = waiting
            .map(|execution| show_execution(execution, "InProgress"))
            .collect();
        if let Some(newest) = waiting.last() {
            shown["inboundExecution"] = newest.clone();
            shown["inboundExecutions"] = json!(waiting);
        }
        let actions = declared.actions.iter().map(|action| {
            let run = pipeline.latest_runs.get(&(stage, action.name.clone()));
            let run = run.and_then(|id| pipeline.runs.get(id));
            match run {
                None => json!({ "actionName": action.name }),
                Some(run) => self.show_action(pipeline, run),
            }
        });
        shown["actionStates"] = actions.collect();
        let latest = pipeline.latest.get(&stage).and_then(|id| pipeline.execution(id));
        if let Some(latest) = latest
            && let Some(run) = latest.stages.get(&stage)
        {
            shown["latestExecution"] = show_execution(latest, run.status.word());
        }
        shown
    }

    fn show_action(&self, pipeline: &Pipeline, run: &Run) -> Value {
        let mut latest = json!({
            "actionExecutionId": run.id,
            "status": run.status.word(),
            "lastStatusChange": epoch(run.updated),
        });
        let optional = [
            ("summary", run.summary.as_ref().map(|text| json!(text))),
            ("externalExecutionId", run.external.as_ref().map(|id| json!(id))),
            (
                "externalExecutionUrl",
                self.url(run, "executionUrlTemplate").map(Value::String),
            ),
            ("percentComplete", run.percent.map(|percent| json!(percent))),
            ("errorDetails", run.show_error()),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                latest[name] = value;
            }
        }
        let mut shown = json!({ "actionName": run.action.name, "latestExecution": latest });
        for (name, setting) in [
            ("entityUrl", "entityUrlTemplate"),
            ("revisionUrl", "revisionUrlTemplate"),
        ] {
            if let Some(url) = self.url(run, setting) {
                shown[name] = json!(url);
            }
        }
        let revision = pipeline.execution(&run.execution).and_then(|execution| {
            let found = execution.revisions.values();
            found
                .into_iter()
                .find(|revision| revision.action == run.action.name)
        });
        if let Some(revision) = revision.filter(|_| run.stage == 0) {
            shown["currentRevision"] = json!({
                "revisionId": revision.id,
                "revisionChangeId": revision.change,
                "created": epoch(revision.created),
            });
        }
        shown
    }

    /// A URL of the action type's settings for a run.
    pub(super) fn url(&self, run: &Run, setting: &str) -> Option<String> {
        self.action_type(&run.action.type_id)?
            .url(setting, &run.configuration, run.external.as_deref())
    }
}

fn show_execution(execution: &Execution, status: &str) -> Value {
    json!({
        "pipelineExecutionId": execution.id,
        "status": status,
        "type": execution_type(execution),
    })
}

/// As the API writes what sort of execution it is.
pub fn execution_type(execution: &Execution) -> &'static str {
    if execution.rollback.is_some() {
        "ROLLBACK"
    } else {
        "STANDARD"
    }
}
