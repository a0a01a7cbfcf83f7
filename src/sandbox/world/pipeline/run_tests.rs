//! Executions: how they go from stage to stage, meet, fail, and are shown.

use super::tests::{Bench, action, pipeline, source};
use super::{JobState, Quirks};
use crate::sandbox::world::s3::Encryption;
use serde_json::{Value, json};

fn state(bench: &mut Bench) -> Value {
    bench.good("GetPipelineState", &json!({ "name": "shop" }))
}

/// `Stage: Status` of each stage that an execution entered.
fn stages(bench: &mut Bench) -> Vec<String> {
    let state = state(bench);
    let stages = state["stageStates"].as_array().unwrap().iter();
    stages
        .filter_map(|stage| {
            let status = stage["latestExecution"]["status"].as_str()?;
            Some(format!("{}: {status}", stage["stageName"].as_str().unwrap()))
        })
        .collect()
}

#[test]
fn the_source_is_copied_unchanged_and_encrypted_with_the_store_s_key() {
    let (bench, _) = Bench::with_job();
    let (_, bucket, key) = bench.engine.executions("shop")[0].runs[0].outputs[0].clone();
    let copy = &bench.s3.bucket(&bucket).unwrap().objects[&key];
    let source = &bench.s3.bucket("sources").unwrap().objects["shop.zip"];
    assert_eq!(
        (&copy.file, &copy.etag, copy.size),
        (&source.file, &source.etag, 4)
    );
    assert_eq!(
        copy.traits.encryption,
        Encryption::Kms("arn:aws:kms:eu-west-1:000000000000:alias/shop".to_owned())
    );
    let variables: Vec<_> = bench.engine.executions("shop")[0].runs[0]
        .variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        variables,
        [
            "BucketName=sources",
            "ETag=0123456789abcdef0123456789abcdef",
            "ObjectKey=shop.zip"
        ]
    );
}

#[test]
fn a_source_that_is_not_there_fails_the_action_and_the_execution() {
    for (bucket, key) in [("sources", "other.zip"), ("nowhere", "shop.zip")] {
        let mut bench = Bench::bare();
        bench.register();
        let mut declared = pipeline("SUPERSEDED");
        let configuration = &mut declared["stages"][0]["actions"][0]["configuration"];
        configuration["S3Bucket"] = json!(bucket);
        configuration["S3ObjectKey"] = json!(key);
        bench.good("CreatePipeline", &json!({ "pipeline": declared }));
        let id = bench.start();
        bench.pass(2);
        assert_eq!(bench.runs(&id), ["Fetch: InProgress"]);
        bench.pass(1);
        assert_eq!(bench.runs(&id), ["Fetch: Failed"]);
        assert_eq!(bench.executions(), ["Failed"]);
        let fetch = &state(&mut bench)["stageStates"][0]["actionStates"][0]["latestExecution"];
        let message = fetch["errorDetails"]["message"].as_str().unwrap();
        assert!(message.contains(bucket) && message.contains(key), "{message}");
    }
}

#[test]
fn a_pipeline_starts_when_it_is_created_as_aws_s_do() {
    let mut bench = Bench::with(Quirks::default());
    bench.register();
    bench.good("CreatePipeline", &json!({ "pipeline": pipeline("SUPERSEDED") }));
    let listed = bench.good("ListPipelineExecutions", &json!({ "pipelineName": "shop" }));
    let first = &listed["pipelineExecutionSummaries"][0];
    assert_eq!(first["trigger"]["triggerType"], json!("CreatePipeline"));
    assert_eq!(first["status"], json!("InProgress"));
}

#[test]
fn an_execution_goes_through_its_stages() {
    let (mut bench, id) = Bench::with_job();
    assert_eq!(stages(&mut bench), ["Source: Succeeded", "Build: InProgress"]);
    bench.succeed("Build");
    let job = bench.take("Deploy");
    assert_eq!(
        stages(&mut bench),
        ["Source: Succeeded", "Build: Succeeded", "Deploy: InProgress"]
    );
    // The output of the build is the input of the deployment, though nobody stored it.
    let build = &bench.engine.executions("shop")[0].runs[1].outputs[0];
    let input = &job["data"]["inputArtifacts"][0]["location"]["s3Location"];
    assert_eq!(
        (input["bucketName"].as_str(), input["objectKey"].as_str()),
        (Some(build.1.as_str()), Some(build.2.as_str()))
    );
    assert!(!bench.s3.bucket(&build.1).unwrap().objects.contains_key(&build.2));
    bench.good("PutJobSuccessResult", &json!({ "jobId": job["id"] }));
    assert_eq!(bench.executions(), ["Succeeded"]);
    assert_eq!(
        bench.runs(&id),
        ["Fetch: Succeeded", "Build: Succeeded", "Deploy: Succeeded"]
    );
    assert_eq!(bench.engine.next_change(), None);
}

#[test]
fn a_failure_ends_the_execution_and_says_why() {
    let (mut bench, _) = Bench::with_job();
    let job = bench.take("Build");
    let mut input = super::tests::failure(&job, "no space left");
    input["failureDetails"]["externalExecutionId"] = json!("run-7");
    bench.good("PutJobFailureResult", &input);
    assert_eq!(bench.executions(), ["Failed"]);
    assert_eq!(stages(&mut bench), ["Source: Succeeded", "Build: Failed"]);
    let state = state(&mut bench);
    let action = &state["stageStates"][1]["actionStates"][0];
    assert_eq!(
        action["latestExecution"]["errorDetails"],
        json!({ "code": "JobFailed", "message": "no space left" })
    );
    assert_eq!(
        (
            &action["entityUrl"],
            &action["latestExecution"]["externalExecutionUrl"]
        ),
        (
            &json!("https://example.com/blue"),
            &json!("https://example.com/blue/run-7")
        )
    );
    assert_eq!(bench.view(&job).state, JobState::Failed);
    assert!(bench.poll("Deploy").is_empty());
}

#[test]
fn a_variable_that_nobody_set_fails_the_action() {
    let mut bench = Bench::bare();
    bench.register();
    let mut declared = pipeline("SUPERSEDED");
    declared["stages"][2]["actions"][0]["configuration"]["Commit"] = json!("#{Build.digest}");
    bench.good("CreatePipeline", &json!({ "pipeline": declared }));
    let id = bench.start();
    bench.pass(3);
    bench.succeed("Build");
    assert_eq!(
        bench.runs(&id),
        ["Fetch: Succeeded", "Build: Succeeded", "Deploy: Failed"]
    );
    let run = &bench.engine.executions("shop")[0].runs[2];
    let (code, message) = run.error.clone().unwrap();
    assert_eq!(code, "ConfigurationError");
    assert!(message.contains("#{Build.digest}"), "{message}");
}

#[test]
fn actions_run_in_their_order_and_together_where_it_is_the_same() {
    let mut bench = Bench::bare();
    bench.register();
    let mut declared = pipeline("SUPERSEDED");
    let mut last = action("Last", "Build", &["One", "Two"], &[]);
    last["runOrder"] = json!(7);
    declared["stages"][1]["actions"] = json!([
        last,
        action("First", "Build", &["SourceOutput"], &["One"]),
        action("Second", "Build", &["SourceOutput"], &["Two"]),
    ]);
    declared["stages"].as_array_mut().unwrap().truncate(2);
    bench.good("CreatePipeline", &json!({ "pipeline": declared }));
    let id = bench.start();
    bench.pass(3);
    let jobs = bench.poll("Build");
    let names: Vec<_> = jobs
        .iter()
        .map(|job| job["data"]["pipelineContext"]["action"]["name"].clone())
        .collect();
    assert_eq!(names, ["First", "Second"]);
    for job in &jobs {
        bench.good("AcknowledgeJob", &super::tests::claim(job));
    }
    bench.good("PutJobSuccessResult", &json!({ "jobId": jobs[1]["id"] }));
    assert!(bench.poll("Build").is_empty(), "the other one is in progress");
    bench.good("PutJobSuccessResult", &json!({ "jobId": jobs[0]["id"] }));
    let last = bench.succeed("Build");
    let inputs = last["data"]["inputArtifacts"].as_array().unwrap();
    let inputs: Vec<_> = inputs.iter().map(|input| input["name"].clone()).collect();
    assert_eq!(inputs, ["One", "Two"]);
    assert_eq!(
        bench.runs(&id),
        [
            "Fetch: Succeeded",
            "First: Succeeded",
            "Second: Succeeded",
            "Last: Succeeded"
        ]
    );
}

#[test]
fn a_newer_execution_supersedes_the_one_that_waits() {
    let (mut bench, _) = Bench::with_job();
    let second = bench.start();
    bench.pass(3);
    let third = bench.start();
    assert_eq!(bench.executions(), ["InProgress", "InProgress", "InProgress"]);
    let inbound = |bench: &mut Bench| state(bench)["stageStates"][1]["inboundExecution"].clone();
    assert_eq!(inbound(&mut bench)["pipelineExecutionId"], json!(second));
    bench.pass(3);
    assert_eq!(bench.executions(), ["InProgress", "Superseded", "InProgress"]);
    assert_eq!(inbound(&mut bench)["pipelineExecutionId"], json!(third));
    assert!(bench.poll("Build").len() == 1, "the stage holds one execution");
    bench.pass(30);
    bench.fail("Build");
    let job = bench.take("Build");
    assert_eq!(
        job["data"]["pipelineContext"]["pipelineExecutionId"],
        json!(third)
    );
    assert_eq!(inbound(&mut bench), json!(null));
}

#[test]
fn queued_executions_wait_for_their_turn() {
    let mut bench = Bench::of_mode("QUEUED");
    let ids: Vec<String> = (0..3).map(|_| bench.start()).collect();
    bench.pass(9);
    let inbound = state(&mut bench)["stageStates"][1]["inboundExecutions"].clone();
    let waiting: Vec<_> = inbound
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["pipelineExecutionId"].clone())
        .collect();
    assert_eq!(waiting, [json!(ids[1]), json!(ids[2])]);
    for id in &ids {
        let job = bench.succeed("Build");
        assert_eq!(job["data"]["pipelineContext"]["pipelineExecutionId"], json!(id));
    }
    for id in &ids {
        let job = bench.succeed("Deploy");
        assert_eq!(job["data"]["pipelineContext"]["pipelineExecutionId"], json!(id));
    }
    assert_eq!(bench.executions(), ["Succeeded"; 3]);
}

#[test]
fn parallel_executions_do_not_wait() {
    let mut bench = Bench::of_mode("PARALLEL");
    for _ in 0..50 {
        bench.start();
    }
    assert_eq!(
        bench.code("StartPipelineExecution", &json!({ "name": "shop" })),
        "ConcurrentPipelineExecutionsLimitExceededException"
    );
    bench.pass(3);
    let jobs = bench.poll("Build");
    assert_eq!(jobs.len(), 50);
    bench.good("AcknowledgeJob", &super::tests::claim(&jobs[7]));
    bench.good("PutJobSuccessResult", &json!({ "jobId": jobs[7]["id"] }));
    let job = bench.take("Deploy");
    let execution = |job: &Value| job["data"]["pipelineContext"]["pipelineExecutionId"].clone();
    assert_eq!(execution(&job), execution(&jobs[7]));
}

#[test]
fn history_is_listed_newest_first_in_pages_and_without_secrets() {
    let (mut bench, first) = Bench::with_job();
    let job = bench.take("Build");
    let done = json!({
        "jobId": job["id"],
        "executionDetails": { "summary": "built", "externalExecutionId": "run-7" },
        "outputVariables": { "digest": "sha256:1" },
        "currentRevision": { "revision": "r", "changeIdentifier": "c", "created": 1.5 },
    });
    bench.good("PutJobSuccessResult", &done);
    bench.succeed("Deploy");
    let second = bench.start();
    bench.pass(3);
    bench.fail("Build");

    let named = json!({ "pipelineName": "shop" });
    let executions = bench.good("ListPipelineExecutions", &named);
    let ids: Vec<_> = executions["pipelineExecutionSummaries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["pipelineExecutionId"].clone(), one["status"].clone()))
        .collect();
    assert_eq!(
        ids,
        [
            (json!(second), json!("Failed")),
            (json!(first), json!("Succeeded"))
        ]
    );
    let filtered =
        json!({ "pipelineName": "shop", "filter": { "succeededInStage": { "stageName": "Build" } } });
    let filtered = bench.good("ListPipelineExecutions", &filtered);
    assert_eq!(
        filtered["pipelineExecutionSummaries"].as_array().unwrap().len(),
        1
    );

    let (mut input, mut names) = (json!({ "pipelineName": "shop", "maxResults": 2 }), Vec::new());
    loop {
        let page = bench.good("ListActionExecutions", &input);
        let runs = page["actionExecutionDetails"].as_array().unwrap();
        assert!(runs.len() <= 2);
        names.extend(runs.iter().map(|run| run["actionName"].clone()));
        match page.get("nextToken") {
            Some(token) => input["nextToken"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(names, ["Build", "Fetch", "Deploy", "Build", "Fetch"]);

    let input = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": first } });
    let runs = bench.good("ListActionExecutions", &input);
    assert!(!runs.to_string().contains("canary"), "{runs}");
    let build = &runs["actionExecutionDetails"][1];
    assert_eq!(build["input"]["resolvedConfiguration"]["Secrets"], json!("*****"));
    assert_eq!(build["input"]["namespace"], json!("Build"));
    assert_eq!(
        build["output"]["executionResult"],
        json!({
            "externalExecutionId": "run-7",
            "externalExecutionSummary": "built",
            "externalExecutionUrl": "https://example.com/blue/run-7",
        })
    );
    assert_eq!(
        build["output"]["outputVariables"],
        json!({ "digest": "sha256:1" })
    );
    let got = bench.good(
        "GetPipelineExecution",
        &json!({ "pipelineName": "shop", "pipelineExecutionId": first }),
    );
    let revisions = got["pipelineExecution"]["artifactRevisions"].as_array().unwrap();
    let revisions: Vec<_> = revisions
        .iter()
        .map(|one| (one["name"].clone(), one["revisionId"].clone()))
        .collect();
    assert_eq!(
        revisions,
        [
            (json!("Images"), json!("r")),
            (json!("SourceOutput"), json!("0123456789abcdef0123456789abcdef")),
        ]
    );
    let nobody = json!({ "pipelineName": "shop", "filter": { "pipelineExecutionId": super::tests::NOBODY } });
    assert_eq!(
        bench.code("ListActionExecutions", &nobody),
        "PipelineExecutionNotFoundException"
    );
}

#[test]
fn several_sources_run_together() {
    let mut bench = Bench::bare();
    bench.register();
    let mut declared = pipeline("SUPERSEDED");
    let mut other = source();
    other["name"] = json!("Other");
    other["outputArtifacts"][0]["name"] = json!("OtherOutput");
    other["namespace"] = json!("Other");
    declared["stages"][0]["actions"]
        .as_array_mut()
        .unwrap()
        .push(other);
    bench.good("CreatePipeline", &json!({ "pipeline": declared }));
    let id = bench.start();
    bench.pass(3);
    assert_eq!(
        bench.runs(&id),
        ["Fetch: Succeeded", "Other: Succeeded", "Build: InProgress"]
    );
}
