//! GetPipelineExecution, ListPipelineExecutions, ListActionExecutions: what ran, the newest first.

use super::CodePipeline;
use super::check::Problems;
use super::declaration::masked;
use super::execution::{Execution, Pipeline, Run, StageStatus, show_artifacts};
use super::listing::{Listed, list, newest_first};
use super::pipelines::VERSION;
use super::rollback::no_execution;
use super::rules;
use super::state::execution_type;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::input::epoch;
use serde_json::{Map, Value, json};

/// How many items one answer shows, unless it is asked for fewer.
const PAGE: i64 = 100;

impl CodePipeline {
    pub(super) fn get_pipeline_execution(&self, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let name = reader.required("pipelineName", &rules::NAME)?;
        let id = reader.required("pipelineExecutionId", &rules::UUID)?;
        problems.finish()?;
        let pipeline = self.pipeline(name)?;
        let execution = pipeline.execution(id).ok_or_else(|| no_execution(id))?;
        let revisions = execution.revisions.iter().map(|(artifact, revision)| {
            let mut shown = json!({
                "name": artifact,
                "revisionId": revision.id,
                "revisionChangeIdentifier": revision.change,
                "created": epoch(revision.created),
            });
            if let Some(summary) = &revision.summary {
                shown["revisionSummary"] = json!(summary);
            }
            shown
        });
        let variables = execution.variables.get("variables").into_iter().flatten();
        let variables = variables.map(|(name, value)| json!({ "name": name, "resolvedValue": value }));
        let mut shown = json!({
            "pipelineName": name,
            "pipelineVersion": VERSION,
            "pipelineExecutionId": id,
            "status": execution.status.word(),
            "artifactRevisions": revisions.collect::<Vec<_>>(),
            "variables": variables.collect::<Vec<_>>(),
        });
        add_common(&mut shown, pipeline, execution);
        Ok(json!({ "pipelineExecution": shown }))
    }

    pub(super) fn list_pipeline_executions(&self, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let name = reader.required("pipelineName", &rules::NAME)?;
        let size = reader.number("maxResults", 1..=100)?.unwrap_or(PAGE);
        let token = reader.text("nextToken", &rules::NEXT_TOKEN)?;
        let succeeded_in = match reader.structure("filter")? {
            None => None,
            Some(filter) => match filter.structure("succeededInStage")? {
                None => None,
                Some(filter) => filter.text("stageName", &rules::NAME)?,
            },
        };
        problems.finish()?;
        let pipeline = self.pipeline(name)?;
        let wanted = |execution: &&Execution| {
            succeeded_in.is_none_or(|stage| {
                let stage = pipeline.stage(stage);
                let run = stage.and_then(|stage| execution.stages.get(&stage));
                run.is_some_and(|run| run.status == StageStatus::Succeeded)
            })
        };
        list(
            pipeline.executions.iter().rev().filter(wanted).collect(),
            &Listed {
                member: "pipelineExecutionSummaries",
                token,
                size: usize::try_from(size).unwrap_or(usize::MAX),
            },
            |execution| newest_first(execution.serial),
            |execution| show_summary(pipeline, execution),
        )
    }

    pub(super) fn list_action_executions(&self, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let name = reader.required("pipelineName", &rules::NAME)?;
        let size = reader.number("maxResults", 1..=100)?.unwrap_or(PAGE);
        let token = reader.text("nextToken", &rules::NEXT_TOKEN)?;
        let (mut of, mut only_latest) = (None, false);
        if let Some(filter) = reader.structure("filter")? {
            of = filter.text("pipelineExecutionId", &rules::UUID)?;
            if let Some(latest) = filter.structure("latestInPipelineExecution")? {
                of = Some(latest.required("pipelineExecutionId", &rules::UUID)?);
                only_latest = latest.required("startTimeRange", &rules::START_TIME_RANGE)? == "Latest";
            }
        }
        problems.finish()?;
        let pipeline = self.pipeline(name)?;
        if let Some(id) = of {
            pipeline.execution(id).ok_or_else(|| no_execution(id))?;
        }
        let counts = |run: &Run| {
            let execution = pipeline.execution(&run.execution);
            let current = execution.and_then(|one| one.run_of(run.stage, &run.action.name));
            current == Some(&run.id)
        };
        let runs = pipeline.runs.values();
        let runs =
            runs.filter(|run| of.is_none_or(|of| of == run.execution) && (!only_latest || counts(run)));
        let mut runs: Vec<&Run> = runs.collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.serial));
        list(
            runs,
            &Listed {
                member: "actionExecutionDetails",
                token,
                size: usize::try_from(size).unwrap_or(usize::MAX),
            },
            |run| newest_first(run.serial),
            |run| self.show_run(pipeline, run),
        )
    }

    fn show_run(&self, pipeline: &Pipeline, run: &Run) -> Value {
        let hides = |name: &str| self.hides(&run.action.type_id, name);
        let mut input = json!({
            "actionTypeId": run.action.type_id.show(),
            "configuration": masked(&run.action.configuration, hides),
            "resolvedConfiguration": masked(&run.configuration, hides),
            "region": self.region,
            "inputArtifacts": show_artifacts(&run.inputs),
        });
        for (name, value) in [
            ("namespace", &run.action.namespace),
            ("roleArn", &run.action.role),
        ] {
            if let Some(value) = value {
                input[name] = json!(value);
            }
        }
        let result = [
            ("externalExecutionId", run.external.as_ref().map(|id| json!(id))),
            (
                "externalExecutionSummary",
                run.summary.as_ref().map(|text| json!(text)),
            ),
            (
                "externalExecutionUrl",
                self.url(run, "executionUrlTemplate").map(Value::String),
            ),
            ("errorDetails", run.show_error()),
        ];
        let result: Map<String, Value> = result
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        let stage = pipeline.declaration.stages.get(run.stage);
        json!({
            "pipelineExecutionId": run.execution,
            "actionExecutionId": run.id,
            "pipelineVersion": VERSION,
            "stageName": stage.map(|stage| &stage.name),
            "actionName": run.action.name,
            "startTime": epoch(run.started),
            "lastUpdateTime": epoch(run.updated),
            "status": run.status.word(),
            "input": input,
            "output": {
                "outputArtifacts": show_artifacts(&run.outputs),
                "executionResult": result,
                "outputVariables": run.variables,
            },
        })
    }
}

fn show_summary(pipeline: &Pipeline, execution: &Execution) -> Value {
    let sources = execution.revisions.values().map(|revision| {
        let mut shown = json!({ "actionName": revision.action, "revisionId": revision.id });
        if let Some(summary) = &revision.summary {
            shown["revisionSummary"] = json!(summary);
        }
        shown
    });
    let mut shown = json!({
        "pipelineExecutionId": execution.id,
        "status": execution.status.word(),
        "startTime": epoch(execution.started),
        "lastUpdateTime": epoch(execution.updated),
        "sourceRevisions": sources.collect::<Vec<_>>(),
    });
    if let Some(reason) = &execution.stop_reason {
        shown["stopTrigger"] = json!({ "reason": reason });
    }
    add_common(&mut shown, pipeline, execution);
    shown
}

/// What GetPipelineExecution and ListPipelineExecutions show alike.
fn add_common(shown: &mut Value, pipeline: &Pipeline, execution: &Execution) {
    shown["trigger"] = json!({
        "triggerType": execution.trigger,
        "triggerDetail": format!("arn:aws:iam::{}:root", crate::sandbox::ACCOUNT),
    });
    shown["executionMode"] = json!(pipeline.declaration.mode.word());
    shown["executionType"] = json!(execution_type(execution));
    if let Some(rollback) = &execution.rollback {
        shown["rollbackMetadata"] = json!({ "rollbackTargetPipelineExecutionId": rollback.target });
    }
}
