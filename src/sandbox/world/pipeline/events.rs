//! What EventBridge is told of actions: "CodePipeline Action Execution State Change".

use super::CodePipeline;
use super::execution::{Pipeline, Run, RunStatus, show_artifacts};
use crate::sandbox::ACCOUNT;
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A change of a run that is told once.
#[derive(Debug, Clone)]
pub struct News {
    run: String,
    status: RunStatus,
    at: Duration,
}

impl News {
    /// How a run is now.
    pub fn of(run: &Run) -> Self {
        Self {
            run: run.id.clone(),
            status: run.status,
            at: run.updated,
        }
    }
}

impl CodePipeline {
    /// Takes the events of actions that started or ended since the last time, in their order. A job that is handed back is
    /// none: its action goes on.
    pub fn take_events(&mut self) -> Vec<Value> {
        let mut told = Vec::new();
        for pipeline in self.pipelines.values_mut() {
            for news in std::mem::take(&mut pipeline.news) {
                let number = self.ids.uuid();
                told.extend(show(pipeline, &news, &number, &self.region));
            }
        }
        told
    }
}

fn show(pipeline: &Pipeline, news: &News, id: &str, region: &str) -> Option<Value> {
    let run = pipeline.runs.get(&news.run)?;
    let declared = &pipeline.declaration;
    let state = match news.status {
        RunStatus::InProgress => "STARTED",
        RunStatus::Abandoned => "ABANDONED",
        RunStatus::Succeeded => "SUCCEEDED",
        RunStatus::Failed => "FAILED",
    };
    let mut detail = json!({
        "pipeline": declared.name,
        "execution-id": run.execution,
        "start-time": instant(run.started),
        "stage": declared.stages.get(run.stage).map(|stage| &stage.name),
        "action-execution-id": run.id,
        "action": run.action.name,
        "state": state,
        "region": region,
        "type": run.action.type_id.show(),
        "version": 1.0,
        "input-artifacts": show_artifacts(&run.inputs),
    });
    if news.status == RunStatus::Succeeded {
        detail["output-artifacts"] = show_artifacts(&run.outputs);
    }
    if news.status != RunStatus::InProgress {
        let mut result = json!({});
        for (name, value) in [
            ("external-execution-summary", run.summary.as_ref()),
            ("external-execution-id", run.external.as_ref()),
            ("error-code", run.error.as_ref().map(|(code, _)| code)),
        ] {
            if let Some(value) = value {
                result[name] = json!(value);
            }
        }
        detail["execution-result"] = result;
    }
    Some(json!({
        "version": "0",
        "id": id,
        "detail-type": "CodePipeline Action Execution State Change",
        "source": "aws.codepipeline",
        "account": ACCOUNT,
        "time": instant(news.at),
        "region": region,
        "resources": [pipeline.arn],
        "detail": detail,
    }))
}

fn instant(at: Duration) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or_default();
    let instant = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    instant.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::tests::Bench;
    use serde_json::json;

    #[test]
    fn the_start_and_the_end_of_an_action_are_told_once_and_a_job_that_is_handed_back_is_not() {
        let (mut bench, execution) = Bench::with_job();
        let told = |bench: &mut Bench| -> Vec<String> {
            let events = bench.engine.take_events();
            let told = events.iter().map(|event| {
                let detail = &event["detail"];
                assert_eq!(detail["execution-id"], json!(execution));
                assert!(!event.to_string().contains("canary"), "{event}");
                format!("{} {}", detail["action"], detail["state"]).replace('"', "")
            });
            told.collect()
        };
        assert_eq!(
            told(&mut bench),
            ["Fetch STARTED", "Fetch SUCCEEDED", "Build STARTED"]
        );
        let job = bench.take("Build");
        let back = json!({ "jobId": job["id"], "continuationToken": "x" });
        bench.good("PutJobSuccessResult", &back);
        bench.pass(30);
        assert_eq!(told(&mut bench), [""; 0]);
        bench.succeed("Build");
        assert_eq!(told(&mut bench), ["Build SUCCEEDED", "Deploy STARTED"]);
        let stop = json!({ "pipelineName": "shop", "pipelineExecutionId": execution, "abandon": true });
        bench.good("StopPipelineExecution", &stop);
        assert_eq!(told(&mut bench), ["Deploy ABANDONED"]);
        bench.start();
        bench.pass(3);
        bench.engine.take_events();
        bench.fail("Build");
        let events = bench.engine.take_events();
        let [event] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(event["detail"]["type"], super::super::tests::type_id("Build"));
        assert_eq!(
            event["detail"]["execution-result"],
            json!({ "error-code": "JobFailed" })
        );
        assert_eq!(event["time"], json!("2026-01-01T00:00:36Z"));
    }
}
