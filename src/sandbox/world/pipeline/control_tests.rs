//! What people do with executions: start, stop, retry, roll back.

use super::tests::{Bench, NOBODY, action, claim, pipeline};
use super::{JobState, Quirks};
use serde_json::{Value, json};

fn stop(execution: &str, abandon: bool) -> Value {
    json!({ "pipelineName": "shop", "pipelineExecutionId": execution, "abandon": abandon, "reason": "enough" })
}

fn retry(execution: &str, stage: &str, mode: &str) -> Value {
    json!({ "pipelineName": "shop", "stageName": stage, "pipelineExecutionId": execution, "retryMode": mode })
}

fn rollback(execution: &str, stage: &str) -> Value {
    json!({ "pipelineName": "shop", "stageName": stage, "targetPipelineExecutionId": execution })
}

fn run_of(job: &Value) -> &Value {
    &job["data"]["pipelineContext"]["action"]["actionExecutionId"]
}

#[test]
fn a_start_with_a_token_is_one_start() {
    let mut bench = Bench::of_mode("SUPERSEDED");
    let input = json!({ "name": "shop", "clientRequestToken": "t-1" });
    let first = bench.good("StartPipelineExecution", &input);
    assert_eq!(bench.good("StartPipelineExecution", &input), first);
    assert_eq!(bench.executions().len(), 1);
    for (input, code) in [
        (json!({ "name": "none" }), "PipelineNotFoundException"),
        (json!({}), "ValidationException"),
        (
            json!({ "name": "shop", "clientRequestToken": "a b" }),
            "ValidationException",
        ),
        (
            json!({ "name": "shop", "variables": [{ "name": "x", "value": "y" }] }),
            "ValidationException",
        ),
    ] {
        assert_eq!(bench.code("StartPipelineExecution", &input), code, "{input}");
    }
}

#[test]
fn variables_of_a_pipeline_have_defaults_that_a_start_can_change() {
    let mut bench = Bench::bare();
    bench.register();
    let mut declared = pipeline("SUPERSEDED");
    declared["variables"] = json!([{ "name": "who", "defaultValue": "nobody" }, { "name": "must" }]);
    declared["stages"][1]["actions"][0]["configuration"]["Commit"] =
        json!("#{variables.who}#{variables.must}");
    bench.good("CreatePipeline", &json!({ "pipeline": declared }));
    let input = json!({ "name": "shop" });
    assert!(
        bench
            .refused("StartPipelineExecution", &input)
            .contains("'must' has no default")
    );
    let input = json!({ "name": "shop", "variables": [{ "name": "must", "value": "!" }] });
    let id = bench.good("StartPipelineExecution", &input)["pipelineExecutionId"].clone();
    bench.pass(3);
    let job = bench.take("Build");
    let configuration = &job["data"]["actionConfiguration"]["configuration"];
    assert_eq!(configuration["Commit"], json!("nobody!"));
    let got = json!({ "pipelineName": "shop", "pipelineExecutionId": id });
    let got = bench.good("GetPipelineExecution", &got);
    assert_eq!(
        got["pipelineExecution"]["variables"],
        json!([
            { "name": "must", "resolvedValue": "!" },
            { "name": "who", "resolvedValue": "nobody" },
        ])
    );
}

#[test]
fn stop_and_wait_lets_the_action_end_and_starts_nothing_more() {
    let (mut bench, id) = Bench::with_job();
    let job = bench.take("Build");
    bench.good("StopPipelineExecution", &stop(&id, false));
    assert_eq!(bench.executions(), ["Stopping"]);
    assert_eq!(
        bench.code("StopPipelineExecution", &stop(&id, false)),
        "DuplicatedStopRequestException"
    );
    let back = json!({ "jobId": job["id"], "continuationToken": "x" });
    bench.good("PutJobSuccessResult", &back);
    bench.pass(30);
    bench.succeed("Build");
    assert_eq!(bench.executions(), ["Stopped"]);
    assert!(bench.poll("Deploy").is_empty());
    assert_eq!(bench.runs(&id), ["Fetch: Succeeded", "Build: Succeeded"]);
    let listed = bench.good("ListPipelineExecutions", &json!({ "pipelineName": "shop" }));
    let stopped = &listed["pipelineExecutionSummaries"][0];
    assert_eq!(stopped["stopTrigger"], json!({ "reason": "enough" }));
    for abandon in [false, true] {
        assert_eq!(
            bench.code("StopPipelineExecution", &stop(&id, abandon)),
            "PipelineExecutionNotStoppableException"
        );
    }
    // No action of the stage failed.
    assert_eq!(
        bench.code("RetryStageExecution", &retry(&id, "Build", "FAILED_ACTIONS")),
        "StageNotRetryableException"
    );
}

#[test]
fn an_abandoned_action_is_over_and_its_worker_is_never_told() {
    let (mut bench, id) = Bench::with_job();
    let job = bench.take("Build");
    bench.good("StopPipelineExecution", &stop(&id, false));
    bench.good("StopPipelineExecution", &stop(&id, true));
    assert_eq!(bench.executions(), ["Stopped"]);
    assert_eq!(bench.runs(&id), ["Fetch: Succeeded", "Build: Abandoned"]);
    assert_eq!(bench.view(&job).state, JobState::Abandoned);
    // Its details are still to be had, and nothing in them tells.
    let details = bench.good("GetJobDetails", &json!({ "jobId": job["id"] }));
    assert_eq!(run_of(&details["jobDetails"]), run_of(&job));
    let back = json!({ "jobId": job["id"], "continuationToken": "x" });
    for (operation, input) in [
        ("PutJobSuccessResult", back),
        ("PutJobSuccessResult", json!({ "jobId": job["id"] })),
        ("PutJobFailureResult", super::tests::failure(&job, "x")),
    ] {
        assert_eq!(bench.code(operation, &input), "InvalidJobStateException");
    }
    bench.pass(3600);
    assert!(bench.poll("Build").is_empty(), "no continuation comes");
    assert_eq!(bench.view(&job).refused, 3);

    bench.good("RetryStageExecution", &retry(&id, "Build", "FAILED_ACTIONS"));
    assert_ne!(run_of(&bench.succeed("Build")), run_of(&job));
    assert_eq!(bench.executions(), ["InProgress"]);
}

#[test]
fn a_continuation_that_waits_is_abandoned_too() {
    let (mut bench, id) = Bench::with_job();
    let job = bench.take("Build");
    let back = json!({ "jobId": job["id"], "continuationToken": "x" });
    bench.good("PutJobSuccessResult", &back);
    bench.good("StopPipelineExecution", &stop(&id, true));
    bench.pass(60);
    assert!(bench.poll("Build").is_empty());
    let states: Vec<JobState> = bench.engine.jobs().iter().map(|job| job.state).collect();
    assert_eq!(states, [JobState::Succeeded, JobState::Abandoned]);
}

#[test]
fn an_execution_that_waits_is_stopped_at_once() {
    let (mut bench, _) = Bench::with_job();
    let second = bench.start();
    bench.pass(3);
    bench.good("StopPipelineExecution", &stop(&second, false));
    assert_eq!(bench.executions(), ["InProgress", "Stopped"]);
    bench.succeed("Build");
    assert!(bench.poll("Build").is_empty());
    assert_eq!(
        bench.code("StopPipelineExecution", &stop(NOBODY, false)),
        "PipelineExecutionNotStoppableException"
    );
}

#[test]
fn a_retry_runs_the_failed_actions_again_in_the_same_execution() {
    let (mut bench, id) = Bench::with_job();
    let failed = bench.fail("Build");
    bench.good("RetryStageExecution", &retry(&id, "Build", "FAILED_ACTIONS"));
    assert_eq!(bench.executions(), ["InProgress"]);
    let again = bench.succeed("Build");
    let context = |job: &Value| job["data"]["pipelineContext"].clone();
    assert_eq!(
        context(&again)["pipelineExecutionId"],
        context(&failed)["pipelineExecutionId"]
    );
    assert_ne!(run_of(&again), run_of(&failed));
    assert_eq!(again["data"]["inputArtifacts"], failed["data"]["inputArtifacts"]);
    assert_ne!(
        again["data"]["outputArtifacts"],
        failed["data"]["outputArtifacts"]
    );
    let deploy = bench.succeed("Deploy");
    assert_eq!(
        deploy["data"]["inputArtifacts"][0]["location"],
        again["data"]["outputArtifacts"][0]["location"]
    );
    assert_eq!(
        bench.runs(&id),
        [
            "Fetch: Succeeded",
            "Build: Failed",
            "Build: Succeeded",
            "Deploy: Succeeded"
        ]
    );
    let filter = |range: &str| {
        let latest = json!({ "pipelineExecutionId": id, "startTimeRange": range });
        json!({ "pipelineName": "shop", "filter": { "latestInPipelineExecution": latest } })
    };
    for (range, count) in [("Latest", 3), ("All", 4)] {
        let runs = bench.good("ListActionExecutions", &filter(range));
        assert_eq!(runs["actionExecutionDetails"].as_array().unwrap().len(), count);
    }
}

/// A stage with two actions that run together.
fn forked() -> (Bench, String, Vec<Value>) {
    let mut bench = Bench::with(Quirks {
        start_when_created: false,
        ..Quirks::default()
    });
    bench.register();
    let mut declared = pipeline("SUPERSEDED");
    declared["stages"][1]["actions"] = json!([
        action("First", "Build", &["SourceOutput"], &["Images"]),
        action("Second", "Build", &["SourceOutput"], &["Two"]),
    ]);
    bench.good("CreatePipeline", &json!({ "pipeline": declared }));
    let id = bench.start();
    bench.pass(3);
    let jobs = bench.poll("Build");
    for job in &jobs {
        bench.good("AcknowledgeJob", &claim(job));
    }
    (bench, id, jobs)
}

#[test]
fn a_retry_of_the_failed_actions_leaves_the_others_alone() {
    let (mut bench, id, jobs) = forked();
    bench.good("PutJobFailureResult", &super::tests::failure(&jobs[0], "x"));
    assert_eq!(bench.executions(), ["Failed"]);
    assert_eq!(
        bench.runs(&id),
        ["Fetch: Succeeded", "First: Failed", "Second: InProgress"]
    );
    // A second execution must wait until the last action has ended.
    assert_eq!(
        bench.code("RetryStageExecution", &retry(&id, "Build", "ALL_ACTIONS")),
        "StageNotRetryableException"
    );
    bench.good("RetryStageExecution", &retry(&id, "Build", "FAILED_ACTIONS"));
    bench.good("PutJobSuccessResult", &json!({ "jobId": jobs[1]["id"] }));
    assert_eq!(bench.executions(), ["InProgress"]);
    let again = bench.succeed("Build");
    assert_eq!(again["data"]["pipelineContext"]["action"]["name"], json!("First"));
    assert_eq!(
        bench.runs(&id),
        [
            "Fetch: Succeeded",
            "First: Failed",
            "Second: Succeeded",
            "First: Succeeded",
            "Deploy: InProgress"
        ]
    );
}

#[test]
fn a_retry_of_all_actions_begins_the_stage_again() {
    let (mut bench, id, jobs) = forked();
    bench.good("PutJobFailureResult", &super::tests::failure(&jobs[0], "x"));
    bench.good("PutJobSuccessResult", &json!({ "jobId": jobs[1]["id"] }));
    bench.good("RetryStageExecution", &retry(&id, "Build", "ALL_ACTIONS"));
    assert_eq!(bench.poll("Build").len(), 2);
}

#[test]
fn a_failed_stage_is_held_until_its_last_action_has_ended() {
    let (mut bench, _, jobs) = forked();
    bench.good("PutJobFailureResult", &super::tests::failure(&jobs[0], "x"));
    bench.start();
    bench.pass(3);
    assert!(bench.poll("Build").is_empty());
    bench.good("PutJobSuccessResult", &json!({ "jobId": jobs[1]["id"] }));
    assert_eq!(bench.poll("Build").len(), 2);
}

#[test]
fn what_can_not_be_retried_is_refused() {
    let (mut bench, first) = Bench::with_job();
    for (input, code) in [
        (
            retry(&first, "Build", "FAILED_ACTIONS"),
            "StageNotRetryableException",
        ),
        (
            retry(&first, "Source", "FAILED_ACTIONS"),
            "StageNotRetryableException",
        ),
        (
            retry(&first, "Nowhere", "FAILED_ACTIONS"),
            "StageNotFoundException",
        ),
        (
            retry(&first, "Deploy", "FAILED_ACTIONS"),
            "NotLatestPipelineExecutionException",
        ),
        (
            retry(NOBODY, "Build", "FAILED_ACTIONS"),
            "NotLatestPipelineExecutionException",
        ),
        (retry(&first, "Build", "SOME_ACTIONS"), "ValidationException"),
    ] {
        assert_eq!(bench.code("RetryStageExecution", &input), code, "{input}");
    }
    bench.fail("Build");
    bench.start();
    bench.pass(3);
    assert_eq!(
        bench.code("RetryStageExecution", &retry(&first, "Build", "FAILED_ACTIONS")),
        "NotLatestPipelineExecutionException"
    );
}

/// Two executions that succeeded, the older one first.
fn two_done() -> (Bench, [String; 2]) {
    let (mut bench, first) = Bench::with_job();
    bench.succeed("Build");
    bench.succeed("Deploy");
    let second = bench.start();
    bench.pass(3);
    bench.succeed("Build");
    bench.succeed("Deploy");
    (bench, [first, second])
}

#[test]
fn a_rollback_runs_the_stage_with_the_artifacts_of_an_earlier_execution() {
    let (mut bench, [first, _]) = two_done();
    let answer = bench.good("RollbackStage", &rollback(&first, "Deploy"));
    let id = answer["pipelineExecutionId"].as_str().unwrap().to_owned();
    let job = bench.succeed("Deploy");
    assert_eq!(job["data"]["pipelineContext"]["pipelineExecutionId"], json!(id));
    let built = &bench.engine.executions("shop")[0].runs[1].outputs[0];
    assert_eq!(
        job["data"]["inputArtifacts"][0]["location"]["s3Location"]["objectKey"],
        json!(built.2)
    );
    assert_eq!(bench.runs(&id), ["Deploy: Succeeded"], "no other stage runs");
    assert_eq!(bench.executions(), ["Succeeded"; 3]);
    let got = json!({ "pipelineName": "shop", "pipelineExecutionId": id });
    let got = &bench.good("GetPipelineExecution", &got)["pipelineExecution"];
    assert_eq!(got["executionType"], json!("ROLLBACK"));
    assert_eq!(got["trigger"]["triggerType"], json!("ManualRollback"));
    assert_eq!(
        got["rollbackMetadata"],
        json!({ "rollbackTargetPipelineExecutionId": first })
    );
    let state = bench.good("GetPipelineState", &json!({ "name": "shop" }));
    assert_eq!(
        state["stageStates"][2]["latestExecution"],
        json!({ "pipelineExecutionId": id, "status": "Succeeded", "type": "ROLLBACK" })
    );
}

#[test]
fn what_can_not_be_rolled_back_is_refused() {
    let (mut bench, [first, second]) = two_done();
    for (input, code, says) in [
        (
            rollback(&first, "Source"),
            "UnableToRollbackStageException",
            "source stage",
        ),
        (
            rollback(&second, "Deploy"),
            "UnableToRollbackStageException",
            "the latest one",
        ),
        (rollback(&first, "Nowhere"), "StageNotFoundException", "Nowhere"),
        (
            rollback(NOBODY, "Deploy"),
            "PipelineExecutionNotFoundException",
            NOBODY,
        ),
    ] {
        let refused = bench.refused("RollbackStage", &input);
        assert!(refused.starts_with(code) && refused.contains(says), "{refused}");
    }
    let third = bench.start();
    bench.pass(3);
    bench.succeed("Build");
    for (input, says) in [
        (rollback(&first, "Deploy"), "currently running"),
        (rollback(&third, "Deploy"), "did not succeed"),
    ] {
        let refused = bench.refused("RollbackStage", &input);
        assert!(refused.contains(says), "{refused}");
    }
}
