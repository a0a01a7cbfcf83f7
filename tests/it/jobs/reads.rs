//! What is read of CodePipeline's answers, and how often it is asked.

use super::{Bench, JOB, Script, data, deploys};
use crate::responder::{Answer, error, ok, respond};
use serde_json::json;
use slipway::clock::Clock;
use slipway::pipeline::client::{Acknowledged, ActionStatus, JobOver, JobStatus, Put};
use slipway::pipeline::job::{Context, JobId};
use slipway::pipeline::journal::State;
use slipway::pipeline::result::{Details, Ending, FailureReport, FailureType, Outcome, Variables};
use std::collections::BTreeMap;

async fn bench(steps: &[(&str, &[&'static str])]) -> Bench {
    Bench::new(Script::new(steps), State::none()).await
}

fn context() -> Context {
    Context {
        pipeline: "shop".to_owned(),
        pipeline_arn: "arn:aws:codepipeline:eu-west-1:000000000000:shop".to_owned(),
        execution: "execution-1".to_owned(),
        stage: "Release".to_owned(),
        action: "Ship".to_owned(),
        action_execution: "action-1".to_owned(),
    }
}

#[tokio::test]
async fn an_offer_is_read_whole() {
    let bench = bench(&[]).await;
    let offer = bench.offer().await;
    let asked = bench.body("PollForJobs", 0);
    assert_eq!(
        asked,
        json!({
            "actionTypeId": { "category": "Deploy", "owner": "Custom", "provider": "Slipway", "version": "1" },
            "maxBatchSize": 1, "queryParam": { "Fleet": "blue" },
        })
    );
    let job = &offer.job;
    assert_eq!(
        (job.id.as_str(), offer.nonce.as_str(), job.account.as_str()),
        (JOB, "3", "000000000000")
    );
    assert_eq!((&job.action_type, &job.context), (&deploys(), &context()));
    assert_eq!(job.configuration["Secrets"].expose(), "canary-secret-property");
    assert_eq!(job.continuation.as_deref(), Some("canary-continuation"));
    assert_eq!(job.key.as_deref(), Some("alias/pipeline"));
    let input = &job.inputs[0];
    assert_eq!(
        (input.name.as_str(), input.revision.as_deref()),
        ("Images", Some("r1"))
    );
    assert_eq!(
        (input.bucket.as_str(), input.key.as_str()),
        ("artifacts", "shop/Images/abc")
    );
    assert_eq!(
        (job.inputs.len(), job.outputs.len(), job.outputs[0].name.as_str()),
        (1, 1, "Report")
    );
    let keys = offer.keys.as_ref().unwrap();
    assert_eq!(keys.access_key_id.expose(), "canary-id-1");
    assert_eq!(keys.session_token.expose(), "canary-session");

    let (job, keys) = bench
        .desk
        .client
        .details(&JobId::new(JOB))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((job.context, keys.is_some()), (context(), true));
    assert_eq!(bench.body("GetJobDetails", 0), json!({ "jobId": JOB }));
}

#[tokio::test]
async fn a_job_that_cannot_be_read_is_left_alone_and_told() {
    let mut odd = data();
    odd["actionTypeId"]["category"] = json!("Quantum");
    let mut bare = data();
    for name in [
        "actionConfiguration",
        "pipelineContext",
        "artifactCredentials",
        "encryptionKey",
    ] {
        bare.as_object_mut().unwrap().remove(name);
    }
    bare["inputArtifacts"] = json!([{ "name": "Images", "location": { "type": "TAPE" } }]);
    let jobs = json!({ "jobs": [
        { "id": "1", "data": data() },
        { "nonce": "1", "data": data() },
        { "id": "2", "nonce": "1" },
        { "id": "3", "nonce": "1", "data": odd },
        { "id": "4", "nonce": "1", "data": bare, "news": [] },
    ] });
    let (aws, asked) = respond(move |_, _, _| ok(jobs.clone())).await;
    let bench = Bench::of(aws, asked, State::none(), Clock::System);
    let offers = bench.desk.client.poll(&deploys(), None, 5).await.unwrap();
    assert_eq!(
        offers
            .iter()
            .map(|offer| offer.job.id.as_str())
            .collect::<Vec<_>>(),
        ["4"]
    );
    let job = &offers[0].job;
    assert_eq!(
        (job.context.clone(), offers[0].keys.is_none()),
        (Context::default(), true)
    );
    assert_eq!(
        (job.inputs[0].name.as_str(), job.inputs[0].bucket.as_str()),
        ("Images", "")
    );
    let told = bench.told.lock().unwrap().join("\n");
    for what in [
        "it has no nonce",
        "it has no id",
        "it has no data",
        "`Quantum/Slipway/1`",
    ] {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert!(!told.contains("canary"), "{told}");
    let body = bench.body("PollForJobs", 0);
    assert_eq!(
        (&body["queryParam"], &body["maxBatchSize"]),
        (&json!(null), &json!(5))
    );
}

#[tokio::test]
async fn reads_are_repeated_and_changes_are_sent_once() {
    for trouble in ["ThrottlingException", "internal", "cut", "proxy"] {
        let bench = bench(&[
            ("PollForJobs", &[trouble, trouble, "ok"]),
            ("GetJobDetails", &[trouble, "ok"]),
            ("AcknowledgeJob", &[trouble]),
            ("PutJobSuccessResult", &[trouble]),
            ("PutJobFailureResult", &[trouble]),
        ])
        .await;
        let client = &bench.desk.client;
        let id = JobId::new(JOB);
        bench.offer().await;
        assert!(client.details(&id).await.unwrap().is_some(), "{trouble}");
        let token = Outcome::Again("token".to_owned(), Details::default());
        let failure = FailureReport::new(FailureType::JobFailed, "x");
        let errors = [
            client.acknowledge(&id, "3").await.unwrap_err(),
            client.put_success(&id, &token).await.unwrap_err(),
            client.put_failure(&id, &failure).await.unwrap_err(),
        ];
        let throttled = trouble == "ThrottlingException";
        for error in &errors {
            assert_eq!(
                (error.is_throttled(), error.is_in_doubt()),
                (throttled, !throttled),
                "{error}"
            );
            assert!(!error.is_invalid() && error.to_string().contains(JOB), "{error}");
        }
        let counted = ["PollForJobs", "GetJobDetails", "AcknowledgeJob"].map(|name| bench.asked.times(name));
        assert_eq!((counted, bench.results()), ([3, 2, 1], (1, 1)), "{trouble}");
    }
}

#[tokio::test]
async fn what_is_normal_in_a_fleet_is_no_error() {
    for (answer, expected) in [
        ("InProgress", Acknowledged::Status(JobStatus::InProgress)),
        ("TimedOut", Acknowledged::Status(JobStatus::TimedOut)),
        (
            "Zombie",
            Acknowledged::Status(JobStatus::Unrecognised("Zombie".to_owned())),
        ),
        ("InvalidNonceException", Acknowledged::InvalidNonce),
        ("JobNotFoundException", Acknowledged::NoJob),
    ] {
        let bench = bench(&[("AcknowledgeJob", &[answer])]).await;
        let answered = bench
            .desk
            .client
            .acknowledge(&JobId::new(JOB), "3")
            .await
            .unwrap();
        assert_eq!(answered, expected);
        assert_eq!(
            bench.body("AcknowledgeJob", 0),
            json!({ "jobId": JOB, "nonce": "3" })
        );
    }
    for (answer, expected) in [
        ("ok", Put::Accepted),
        ("InvalidJobStateException", Put::Over(JobOver::Ended)),
        ("JobNotFoundException", Put::Over(JobOver::Gone)),
    ] {
        let bench = bench(&[
            ("PutJobFailureResult", &[answer]),
            ("PutJobSuccessResult", &[answer]),
        ])
        .await;
        let id = JobId::new(JOB);
        let failure = Ending::Failure(FailureReport::new(FailureType::JobFailed, "x"));
        let success = Outcome::Final(Details::default(), Variables::default());
        assert_eq!(bench.desk.client.put(&id, &failure).await.unwrap(), expected);
        assert_eq!(
            bench
                .desk
                .client
                .put(&id, &Ending::Success(success))
                .await
                .unwrap(),
            expected
        );
    }
    let bench = bench(&[("GetJobDetails", &["JobNotFoundException"])]).await;
    assert!(
        bench
            .desk
            .client
            .details(&JobId::new(JOB))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_action_type_that_is_not_there_is_told_from_other_refusals() {
    for (code, no_type) in [
        ("ActionTypeNotFoundException", true),
        ("ValidationException", false),
        ("AccessDeniedException", false),
    ] {
        let bench = bench(&[("PollForJobs", &[code])]).await;
        let error = bench.desk.client.poll(&deploys(), None, 1).await.unwrap_err();
        assert_eq!(
            (error.is_no_such_type(), error.is_in_doubt()),
            (no_type, false),
            "{code}"
        );
        assert!(
            error
                .into_failure()
                .what
                .contains("poll for jobs of `Deploy/Slipway/1`")
        );
    }
}

#[tokio::test]
async fn every_member_of_a_result_is_sent_and_empty_ones_are_not() {
    let bench = bench(&[]).await;
    let (client, id) = (&bench.desk.client, JobId::new(JOB));
    let details = Details {
        summary: Some("half".to_owned()),
        external: Some("clusters/prod/services/shop".to_owned()),
        percent: Some(50),
    };
    let shown = json!({
        "summary": "half", "externalExecutionId": "clusters/prod/services/shop", "percentComplete": 50,
    });
    let variables = Variables(BTreeMap::from([("image".to_owned(), "x".to_owned())]));
    for (outcome, expected) in [
        (
            Outcome::Again("t".to_owned(), details.clone()),
            json!({ "jobId": JOB, "continuationToken": "t", "executionDetails": shown }),
        ),
        (
            Outcome::Final(details, variables),
            json!({ "jobId": JOB, "executionDetails": shown, "outputVariables": { "image": "x" } }),
        ),
        (
            Outcome::Final(Details::default(), Variables::default()),
            json!({ "jobId": JOB }),
        ),
    ] {
        client.put_success(&id, &outcome).await.unwrap();
        let last = bench.asked.times("PutJobSuccessResult") - 1;
        assert_eq!(bench.body("PutJobSuccessResult", last), expected);
    }
    for kind in FailureType::ALL {
        let report = FailureReport::new(kind, "why").external(Some("where".to_owned()));
        client.put_failure(&id, &report).await.unwrap();
        let last = bench.asked.times("PutJobFailureResult") - 1;
        let expected = json!({ "jobId": JOB, "failureDetails": {
            "type": kind.word(), "message": "why", "externalExecutionId": "where" } });
        assert_eq!(bench.body("PutJobFailureResult", last), expected);
    }
}

#[tokio::test]
async fn the_status_of_an_action_is_found_on_whichever_page() {
    for (word, expected) in [
        ("InProgress", ActionStatus::Running),
        ("Abandoned", ActionStatus::Abandoned),
        ("Succeeded", ActionStatus::Ended),
        ("Failed", ActionStatus::Ended),
        ("Dreaming", ActionStatus::Unknown),
    ] {
        let (aws, asked) = respond(move |_, input, _| {
            let first = input.get("nextToken").is_none();
            let (id, next) = if first {
                ("other", json!("more"))
            } else {
                ("action-1", json!(null))
            };
            ok(json!({
                "actionExecutionDetails": [{ "actionExecutionId": id, "status": word,
                    "output": { "executionResult": { "externalExecutionSummary": "web: 10 s so far" } } }],
                "nextToken": next,
            }))
        })
        .await;
        let bench = Bench::of(aws, asked, State::none(), Clock::System);
        assert_eq!(
            bench.desk.client.action(&context()).await.unwrap(),
            (expected, Some("web: 10 s so far".to_owned())),
            "{word}"
        );
        let asked = bench.body("ListActionExecutions", 0);
        assert_eq!(asked["pipelineName"], "shop");
        assert_eq!(asked["filter"]["pipelineExecutionId"], "execution-1");
        assert_eq!(bench.asked.times("ListActionExecutions"), 2);
    }
}

#[tokio::test]
async fn a_status_that_may_not_be_seen_is_told_once() {
    let (aws, asked) = respond(|_, _, _| error("AccessDeniedException", "no")).await;
    let bench = Bench::of(aws, asked, State::none(), Clock::System);
    for _ in 0..3 {
        assert_eq!(
            bench.desk.client.action_status(&context()).await,
            ActionStatus::Denied
        );
    }
    let told = bench.told.lock().unwrap().clone();
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("codepipeline:ListActionExecutions"), "{told:?}");
    let (aws, asked) = respond(|_, _, _| Answer::Json(200, json!({}))).await;
    let bench = Bench::of(aws, asked, State::none(), Clock::System);
    assert_eq!(
        bench.desk.client.action_status(&context()).await,
        ActionStatus::Unknown
    );
    assert!(bench.told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_denial_for_one_pipeline_says_nothing_of_another() {
    let (aws, asked) = respond(|_, input, _| match input["pipelineName"].as_str() {
        Some("shop") => error("AccessDeniedException", "no"),
        _ => error("ThrottlingException", "later"),
    })
    .await;
    let bench = Bench::of(aws, asked, State::none(), Clock::System);
    let other = Context {
        pipeline: "other".to_owned(),
        ..context()
    };
    for (of, expected) in [(context(), ActionStatus::Denied), (other, ActionStatus::Unknown)] {
        assert_eq!(bench.desk.client.action_status(&of).await, expected);
    }
}
