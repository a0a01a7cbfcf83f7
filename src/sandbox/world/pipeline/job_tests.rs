//! Jobs: how they are offered, acknowledged, shown and closed.

use super::tests::{Bench, NOBODY, claim, failure, pipeline, type_id};
use super::{JobState, Quirks};
use crate::sandbox::world::sessions::Scope;
use serde_json::{Value, json};
use std::time::Duration;

fn poll_input() -> Value {
    json!({ "actionTypeId": type_id("Build"), "queryParam": { "Fleet": "blue" } })
}

#[test]
fn a_poll_names_the_queryable_property_exactly_when_there_is_one() {
    let (mut bench, _) = Bench::with_job();
    let plain = json!({
        "category": "Test", "provider": "Plain", "version": "1",
        "inputArtifactDetails": { "minimumCount": 0, "maximumCount": 0 },
        "outputArtifactDetails": { "minimumCount": 0, "maximumCount": 0 },
    });
    bench.good("CreateCustomActionType", &plain);
    let test = json!({ "category": "Test", "owner": "Custom", "provider": "Plain", "version": "1" });
    let source = json!({ "category": "Source", "owner": "AWS", "provider": "S3", "version": "1" });
    let build = type_id("Build");
    for (input, says) in [
        (json!({ "actionTypeId": build }), "must have the key 'Fleet'"),
        (
            json!({ "actionTypeId": build, "queryParam": {} }),
            "must have the key 'Fleet'",
        ),
        (
            json!({ "actionTypeId": build, "queryParam": { "Commit": "x" } }),
            "must have the key 'Fleet'",
        ),
        (
            json!({ "actionTypeId": build, "queryParam": { "Fleet": "a", "Commit": "x" } }),
            "'queryParam' failed to satisfy constraint: Member must have length less than or equal to 1",
        ),
        (
            json!({ "actionTypeId": build, "queryParam": { "Fleet": "a b" } }),
            "pattern: [a-zA-Z0-9_-]+",
        ),
        (
            json!({ "actionTypeId": build, "queryParam": { "Fleet": "a".repeat(51) } }),
            "less than or equal to 50",
        ),
        (
            json!({ "actionTypeId": test, "queryParam": { "Fleet": "a" } }),
            "must be empty",
        ),
        (
            json!({ "actionTypeId": build, "queryParam": { "Fleet": "a" }, "maxBatchSize": 0 }),
            "Value '0' at 'maxBatchSize' failed to satisfy constraint: Member must have value greater than or equal to 1",
        ),
        (json!({}), "Value null at 'actionTypeId'"),
        (
            json!({ "actionTypeId": source }),
            "ActionType with owner 'AWS' is not supported",
        ),
    ] {
        let refused = bench.refused("PollForJobs", &input);
        let validation = refused.starts_with("ValidationException: ");
        assert!(validation && refused.contains(says), "{says}: {refused}");
    }
    for input in [
        json!({ "actionTypeId": test }),
        json!({ "actionTypeId": test, "queryParam": {} }),
    ] {
        assert_eq!(bench.good("PollForJobs", &input)["jobs"], json!([]));
    }
    let mut unknown = poll_input();
    unknown["actionTypeId"]["version"] = json!("2");
    assert_eq!(bench.code("PollForJobs", &unknown), "ActionTypeNotFoundException");
    let mut other = poll_input();
    other["queryParam"]["Fleet"] = json!("green");
    assert_eq!(bench.good("PollForJobs", &other)["jobs"], json!([]));
    assert_eq!(bench.poll("Build").len(), 1);
}

#[test]
fn a_job_holds_everything_that_its_worker_needs() {
    let (mut bench, execution) = Bench::with_job();
    let job = bench.poll("Build").remove(0);
    let view = bench.view(&job);
    assert_eq!(
        (&job["nonce"], &job["accountId"]),
        (&json!("1"), &json!("000000000000"))
    );
    let data = &job["data"];
    assert_eq!(data["actionTypeId"], type_id("Build"));
    assert_eq!(
        data["actionConfiguration"]["configuration"],
        json!({
            "Commit": format!("0123456789abcdef0123456789abcdef-{execution}"),
            "Fleet": "blue",
            "Secrets": "canary",
        })
    );
    assert_eq!(
        data["pipelineContext"],
        json!({
            "pipelineName": "shop",
            "stage": { "name": "Build" },
            "action": { "name": "Build", "actionExecutionId": view.action_execution },
            "pipelineArn": "arn:aws:codepipeline:eu-west-1:000000000000:shop",
            "pipelineExecutionId": execution,
        })
    );
    assert_eq!(
        data["encryptionKey"],
        json!({ "id": "alias/shop", "type": "KMS" })
    );
    let place = |member: &str, name: &str| {
        let artifact = &data[member][0];
        assert_eq!(
            (&artifact["name"], &artifact["location"]["type"]),
            (&json!(name), &json!("S3"))
        );
        let place = &artifact["location"]["s3Location"];
        let text = |member: &str| place[member].as_str().unwrap().to_owned();
        (text("bucketName"), text("objectKey"))
    };
    let (input, output) = (
        place("inputArtifacts", "SourceOutput"),
        place("outputArtifacts", "Images"),
    );
    assert!(input.1.starts_with("shop/SourceOutp/") && output.1.starts_with("shop/Images/"));
    assert!(data.get("continuationToken").is_none());

    let key = data["artifactCredentials"]["accessKeyId"].as_str().unwrap();
    let session = bench.session(key);
    assert_eq!(
        session.scope,
        Scope::Artifacts {
            read: vec![input],
            write: vec![output],
        }
    );
    assert_eq!(session.ends, bench.now + Duration::from_secs(900));
    let id = job["id"].as_str().unwrap();
    assert_eq!(
        session.arn,
        format!("arn:aws:sts::000000000000:assumed-role/pipeline/{id}")
    );

    // The details are the same, with new keys.
    bench.pass(60);
    let details = bench.good("GetJobDetails", &json!({ "jobId": id }));
    let details = &details["jobDetails"];
    let fresh = details["data"]["artifactCredentials"]["accessKeyId"]
        .as_str()
        .unwrap();
    assert_ne!(fresh, key);
    assert_eq!(bench.session(fresh).ends, bench.now + Duration::from_secs(900));
    let mut same = details["data"].clone();
    same["artifactCredentials"] = data["artifactCredentials"].clone();
    assert_eq!((&same, details.get("nonce")), (data, None));
}

#[test]
fn an_offer_is_repeated_after_the_interval_with_a_new_nonce() {
    let (mut bench, _) = Bench::with_job();
    let first = bench.poll("Build").remove(0);
    bench.pass(29);
    assert!(bench.poll("Build").is_empty());
    bench.pass(1);
    let second = bench.poll("Build").remove(0);
    assert_eq!(second["id"], first["id"]);
    assert_eq!((&first["nonce"], &second["nonce"]), (&json!("1"), &json!("2")));
    assert_eq!(
        bench.code("AcknowledgeJob", &claim(&first)),
        "InvalidNonceException"
    );
    assert_eq!(
        bench.good("AcknowledgeJob", &claim(&second))["status"],
        "InProgress"
    );
    bench.pass(3600);
    assert!(
        bench.poll("Build").is_empty(),
        "an acknowledged job is not offered again"
    );
    assert_eq!(bench.view(&first).acknowledged, 1);
}

#[test]
fn a_poll_gives_one_job_unless_it_asks_for_more() {
    let mut bench = Bench::of_mode("PARALLEL");
    for _ in 0..3 {
        bench.start();
    }
    bench.pass(3);
    let one = bench.good("PollForJobs", &poll_input());
    assert_eq!(one["jobs"].as_array().unwrap().len(), 1);
    let mut two = poll_input();
    two["maxBatchSize"] = json!(2);
    let two = bench.good("PollForJobs", &two);
    assert_eq!(two["jobs"].as_array().unwrap().len(), 2);
    assert_ne!(one["jobs"][0]["id"], two["jobs"][0]["id"]);
}

#[test]
fn an_acknowledgement_needs_the_nonce_of_the_last_offer() {
    let (mut bench, _) = Bench::with_job();
    let id = bench.engine.jobs()[0].id.clone();
    let with = |nonce: &str| json!({ "jobId": id, "nonce": nonce });
    // Never offered.
    for nonce in ["0", "1"] {
        assert_eq!(
            bench.code("AcknowledgeJob", &with(nonce)),
            "InvalidNonceException"
        );
    }
    let job = bench.poll("Build").remove(0);
    for (input, code) in [
        (with("2"), "InvalidNonceException"),
        (with("01"), "InvalidNonceException"),
        (with(""), "ValidationException"),
        (json!({ "jobId": id }), "ValidationException"),
        (json!({ "jobId": "x", "nonce": "1" }), "ValidationException"),
        (json!({ "jobId": NOBODY, "nonce": "1" }), "JobNotFoundException"),
    ] {
        assert_eq!(bench.code("AcknowledgeJob", &input), code, "{input}");
    }
    bench.good("AcknowledgeJob", &claim(&job));
    assert_eq!(
        bench.code("AcknowledgeJob", &claim(&job)),
        "InvalidNonceException"
    );

    let (mut bench, _) = Bench::with_job();
    bench.engine.quirks.acknowledge_again = true;
    let job = bench.take("Build");
    assert_eq!(bench.good("AcknowledgeJob", &claim(&job))["status"], "InProgress");
    bench.good("PutJobFailureResult", &failure(&job, "no"));
    assert_eq!(bench.good("AcknowledgeJob", &claim(&job))["status"], "Failed");
}

#[test]
fn a_job_that_ended_before_its_acknowledgement_says_how() {
    let (mut bench, execution) = Bench::with_job();
    let job = bench.poll("Build").remove(0);
    bench.pass(24 * 60 * 60);
    assert_eq!(bench.good("AcknowledgeJob", &claim(&job))["status"], "TimedOut");
    assert_eq!(bench.view(&job).acknowledged, 0);
    assert_eq!(bench.runs(&execution), ["Fetch: Succeeded", "Build: Failed"]);
}

#[test]
fn a_job_that_is_over_is_known_until_it_is_forgotten() {
    let (mut bench, _) = Bench::with_job();
    let job = bench.fail("Build");
    let id = json!({ "jobId": job["id"] });
    assert!(bench.call("GetJobDetails", &id).is_ok());
    assert_eq!(bench.code("PutJobSuccessResult", &id), "InvalidJobStateException");
    bench.engine.quirks.forget_jobs_after_seconds = Some(60);
    bench.pass(59);
    assert!(bench.call("GetJobDetails", &id).is_ok());
    bench.pass(1);
    for operation in ["GetJobDetails", "PutJobSuccessResult"] {
        assert_eq!(bench.code(operation, &id), "JobNotFoundException");
    }
    assert_eq!(bench.code("AcknowledgeJob", &claim(&job)), "JobNotFoundException");
    assert_eq!(
        bench.code("PutJobFailureResult", &failure(&job, "x")),
        "JobNotFoundException"
    );
}

#[test]
fn a_job_is_closed_once_and_only_while_it_is_in_progress() {
    let (mut bench, _) = Bench::with_job();
    let waiting = json!({ "jobId": bench.engine.jobs()[0].id });
    assert_eq!(
        bench.code("PutJobSuccessResult", &waiting),
        "InvalidJobStateException"
    );
    let job = bench.poll("Build").remove(0);
    assert_eq!(
        bench.code("PutJobFailureResult", &failure(&job, "x")),
        "InvalidJobStateException"
    );
    bench.good("AcknowledgeJob", &claim(&job));
    bench.good("PutJobSuccessResult", &waiting);
    for _ in 0..2 {
        assert_eq!(
            bench.code("PutJobFailureResult", &failure(&job, "x")),
            "InvalidJobStateException"
        );
    }
    let view = bench.view(&job);
    assert_eq!(
        (view.state, view.acknowledged, view.closed, view.refused),
        (JobState::Succeeded, 1, 1, 4)
    );
    let nobody = json!({ "jobId": NOBODY });
    assert_eq!(bench.code("PutJobSuccessResult", &nobody), "JobNotFoundException");
    assert_eq!(bench.code("GetJobDetails", &nobody), "JobNotFoundException");
}

#[test]
fn what_is_said_of_a_job_has_limits() {
    let (mut bench, _) = Bench::with_job();
    let job = bench.take("Build");
    let id = &job["id"];
    let details = |name: &str, value: Value| json!({ "jobId": id, "executionDetails": { name: value } });
    let variables = |name: &str, value: String| json!({ "jobId": id, "outputVariables": { name: value } });
    let revision = |value: Value| json!({ "jobId": id, "currentRevision": value });
    let both = json!({ "jobId": id, "continuationToken": "x", "outputVariables": { "a": "b" } });
    let big = "x".repeat(122_880);
    for (input, says) in [
        (
            json!({ "jobId": id, "continuationToken": "" }),
            "ValidationException: 1 validation error",
        ),
        (
            json!({ "jobId": id, "continuationToken": "x".repeat(2049) }),
            "equal to 2048",
        ),
        (details("summary", json!("")), "'executionDetails.summary'"),
        (details("summary", json!("x".repeat(2049))), "equal to 2048"),
        (
            details("externalExecutionId", json!("x".repeat(1501))),
            "equal to 1500",
        ),
        (
            details("percentComplete", json!(101)),
            "value less than or equal to 100",
        ),
        (
            details("percentComplete", json!(-1)),
            "value greater than or equal to 0",
        ),
        (
            revision(json!({ "revision": "1" })),
            "'currentRevision.changeIdentifier'",
        ),
        (
            revision(json!({ "revision": "1", "changeIdentifier": "x".repeat(101) })),
            "equal to 100",
        ),
        (variables("a.b", String::new()), r"pattern: [A-Za-z0-9@\-_]+"),
        (variables("", String::new()), r"pattern: [A-Za-z0-9@\-_]+"),
        (variables("a", big), "OutputVariablesSizeExceededException: "),
        (
            both,
            "ValidationException: Output variables can not be given together",
        ),
        (json!({}), "Value null at 'jobId'"),
    ] {
        let refused = bench.refused("PutJobSuccessResult", &input);
        assert!(refused.contains(says), "{says}: {refused}");
    }
    let failed = |kind: &str, message: String| json!({ "jobId": id, "failureDetails": { "type": kind, "message": message } });
    for (input, says) in [
        (
            failed("JobFailed", String::new()),
            "length greater than or equal to 1",
        ),
        (
            failed("JobFailed", "x".repeat(5001)),
            "length less than or equal to 5000",
        ),
        (
            failed("PermissionsError", "x".to_owned()),
            "enum value set: [JobFailed, ",
        ),
        (
            json!({ "jobId": id, "failureDetails": { "type": "JobFailed" } }),
            "'failureDetails.message'",
        ),
        (json!({ "jobId": id }), "Value null at 'failureDetails'"),
    ] {
        let refused = bench.refused("PutJobFailureResult", &input);
        let validation = refused.starts_with("ValidationException: ");
        assert!(validation && refused.contains(says), "{says}: {refused}");
    }
    assert_eq!(
        bench.view(&job).state,
        JobState::InProgress,
        "a refused result closes nothing"
    );
    bench.good("PutJobSuccessResult", &variables("a", "x".repeat(122_879)));
}

#[test]
fn a_continuation_token_ends_the_job_and_queues_another_one_of_the_same_action() {
    let (mut bench, execution) = Bench::with_job();
    let first = bench.take("Build");
    let longest = "\u{e9}".repeat(2048);
    let details = json!({ "summary": "half", "percentComplete": 50, "externalExecutionId": "e-1" });
    let back = json!({ "jobId": first["id"], "continuationToken": longest, "executionDetails": details });
    bench.good("PutJobSuccessResult", &back);
    assert_eq!(bench.runs(&execution), ["Fetch: Succeeded", "Build: InProgress"]);
    let run = &bench.engine.executions("shop")[0].runs[1];
    assert_eq!(
        (run.summary.as_deref(), run.percent, run.external.as_deref()),
        (Some("half"), Some(50), Some("e-1"))
    );
    bench.pass(29);
    assert!(bench.poll("Build").is_empty());
    bench.pass(1);
    let second = bench.take("Build");
    assert_ne!(second["id"], first["id"]);
    assert_eq!(second["data"]["continuationToken"], json!(longest));
    for member in [
        "pipelineContext",
        "inputArtifacts",
        "outputArtifacts",
        "actionConfiguration",
    ] {
        assert_eq!(second["data"][member], first["data"][member], "{member}");
    }
    assert_eq!(
        bench.code("PutJobSuccessResult", &back),
        "InvalidJobStateException"
    );
    let done = json!({ "jobId": second["id"], "outputVariables": { "digest": "sha256:1" } });
    bench.good("PutJobSuccessResult", &done);
    let run = &bench.engine.executions("shop")[0].runs[1];
    assert_eq!(run.summary.as_deref(), Some("half"), "nothing newer was said");
    assert_eq!(run.variables, [("digest".to_owned(), "sha256:1".to_owned())]);
    assert_eq!(bench.poll("Deploy").len(), 1);
}

#[test]
fn the_knobs_change_the_intervals() {
    let mut bench = Bench::with(Quirks {
        redispatch_seconds: 5,
        continuation_seconds: 1,
        source_seconds: 0,
        action_timeout_minutes: 1,
        credentials_seconds: 10,
        ..Quirks::default()
    });
    bench.register();
    bench.good("CreatePipeline", &json!({ "pipeline": pipeline("SUPERSEDED") }));
    bench.pass(0);
    let job = bench.poll("Build").remove(0);
    let key = job["data"]["artifactCredentials"]["accessKeyId"]
        .as_str()
        .unwrap();
    assert_eq!(bench.session(key).ends, bench.now + Duration::from_secs(10));
    bench.pass(5);
    let job = bench.take("Build");
    bench.good(
        "PutJobSuccessResult",
        &json!({ "jobId": job["id"], "continuationToken": "x" }),
    );
    bench.pass(1);
    let job = bench.take("Build");
    // The minute is the action's, whatever jobs it has.
    bench.pass(53);
    assert_eq!(bench.view(&job).state, JobState::InProgress);
    bench.pass(1);
    assert_eq!(bench.view(&job).state, JobState::TimedOut);
    assert_eq!(
        bench.code("PutJobSuccessResult", &json!({ "jobId": job["id"] })),
        "InvalidJobStateException"
    );
    assert_eq!(bench.executions(), ["Failed"]);
}

#[test]
fn an_action_without_artifacts_gets_no_keys() {
    let mut bench = Bench::bare();
    bench.register();
    let mut plain = super::tests::action_type("Test", 0);
    plain["inputArtifactDetails"]["minimumCount"] = json!(0);
    bench.good("CreateCustomActionType", &plain);
    let mut pipeline = pipeline("SUPERSEDED");
    pipeline["stages"][1]["actions"] = json!([super::tests::action("Try", "Test", &[], &[])]);
    pipeline["stages"].as_array_mut().unwrap().truncate(2);
    bench.good("CreatePipeline", &json!({ "pipeline": pipeline }));
    bench.start();
    bench.pass(3);
    let job = bench.take("Test");
    assert_eq!(job["data"]["inputArtifacts"], json!([]));
    assert!(job["data"].get("artifactCredentials").is_none());
}
