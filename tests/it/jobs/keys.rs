//! The keys of a job's artifacts: asked for when they are old or refused, and by one of many.

use super::{Bench, JOB, data, keys};
use crate::responder::{Answer, Asked, error, ok, respond};
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_s3::Client;
use serde_json::json;
use slipway::aws::Aws;
use slipway::clock::{Clock, VirtualClock};
use slipway::pipeline::credentials::{JobCredentials, KeysError, s3};
use slipway::pipeline::job::{ArtifactKeys, JobId};
use slipway::pipeline::journal::State;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A desk on a virtual clock, whose GetJobDetails gives keys with the number of the call, until it does not.
async fn bench(troubles: &'static [&'static str]) -> (Bench, Arc<VirtualClock>) {
    let (aws, asked) = respond(move |operation, _, asked| match operation {
        "GetJobDetails" => {
            let count = asked.times(operation);
            match troubles.get(count).copied().unwrap_or("ok") {
                "ok" => {
                    let mut data = data();
                    data["artifactCredentials"] = keys(count + 2);
                    ok(json!({ "jobDetails": { "id": JOB, "data": data } }))
                }
                "none" => {
                    let mut data = data();
                    data.as_object_mut().unwrap().remove("artifactCredentials");
                    ok(json!({ "jobDetails": { "id": JOB, "data": data } }))
                }
                code => error(code, "no"),
            }
        }
        "PollForJobs" => super::polled(),
        _ => ok(json!({ "status": "InProgress" })),
    })
    .await;
    let clock = VirtualClock::starting_at(Duration::from_secs(1_767_225_600));
    (
        Bench::of(aws, asked, State::none(), Clock::Virtual(Arc::clone(&clock))),
        clock,
    )
}

/// A desk, and S3 by the keys that its job had at first.
fn with_old_keys(aws: Aws, asked: Asked) -> (Bench, Client) {
    let bench = Bench::of(aws, asked, State::none(), Clock::System);
    let old = ArtifactKeys {
        access_key_id: "AKIDOLD".to_owned().into(),
        secret_access_key: "old".to_owned().into(),
        session_token: "old".to_owned().into(),
    };
    let clock = bench.desk.clock.clone();
    let credentials = JobCredentials::new(bench.desk.client.clone(), clock, JobId::new(JOB), Some(old));
    let s3 = s3(&bench.aws, &credentials);
    (bench, s3)
}

async fn id(credentials: &JobCredentials) -> String {
    credentials.keys().await.unwrap().access_key_id.expose().clone()
}

#[tokio::test]
async fn keys_are_renewed_before_they_end_and_by_one_of_many() {
    let (bench, clock) = bench(&[]).await;
    let job = bench.claimed().await;
    let credentials = job.credentials().clone();
    assert_eq!(id(&credentials).await, "canary-id-1");
    clock.advance(14 * MINUTE - Duration::from_secs(1));
    assert_eq!(
        (
            id(&credentials).await.as_str(),
            bench.asked.times("GetJobDetails")
        ),
        ("canary-id-1", 0)
    );
    clock.advance(Duration::from_secs(1));
    let many: Vec<_> = (0..20)
        .map(|_| {
            let credentials = credentials.clone();
            tokio::spawn(async move { id(&credentials).await })
        })
        .collect();
    for one in many {
        assert_eq!(one.await.unwrap(), "canary-id-2");
    }
    assert_eq!(bench.asked.times("GetJobDetails"), 1);
    credentials.forget();
    assert_eq!(
        (
            id(&credentials).await.as_str(),
            bench.asked.times("GetJobDetails")
        ),
        ("canary-id-3", 2)
    );
    let provided = credentials.provide_credentials().await.unwrap();
    assert_eq!(
        (provided.access_key_id(), provided.session_token()),
        ("canary-id-3", Some("canary-session"))
    );
    assert_eq!(provided.secret_access_key(), "canary-secret-key");
    assert!(!format!("{credentials:?} {provided:?}").contains("canary-secret"));
    drop(job);
    bench.desk.reporters.finish().await;
}

#[tokio::test]
async fn keys_that_cannot_be_renewed_are_used_as_long_as_they_may_be_good() {
    let (bench, clock) = bench(&["AccessDeniedException"; 3]).await;
    let job = bench.claimed().await;
    let credentials = job.credentials();
    clock.advance(14 * MINUTE + Duration::from_secs(30));
    assert_eq!(id(credentials).await, "canary-id-1");
    clock.advance(Duration::from_secs(31));
    let error = credentials.keys().await.unwrap_err();
    assert!(
        matches!(&error, KeysError::Renew { job, .. } if job.as_str() == JOB),
        "{error}"
    );
    credentials.forget();
    assert!(credentials.keys().await.is_err() && !credentials.is_gone());
    assert_eq!(id(credentials).await, "canary-id-5");
}

#[tokio::test]
async fn a_job_that_is_gone_or_has_no_keys_is_told() {
    let (bench, _) = bench(&["JobNotFoundException", "none"]).await;
    let clock = bench.desk.clock.clone();
    let credentials = JobCredentials::new(bench.desk.client.clone(), clock, JobId::new(JOB), None);
    let error = credentials.provide_credentials().await.unwrap_err();
    let error = slipway::failure::chain(&error);
    assert!(error.contains(&format!("job {JOB} is over")), "{error}");
    assert!(credentials.is_gone());
    let error = credentials.keys().await.unwrap_err();
    assert!(matches!(error, KeysError::None(_)), "{error}");
}

#[tokio::test]
async fn s3_says_that_keys_have_expired_and_is_asked_again_with_others() {
    const EXPIRED: &[u8] =
        b"<?xml version=\"1.0\"?><Error><Code>ExpiredToken</Code><Message>old</Message></Error>";
    for body in [EXPIRED, b""] {
        let (aws, asked) = respond(move |operation, _, asked| match operation {
            "GetJobDetails" => ok(json!({ "jobDetails": { "id": JOB, "data": data() } })),
            _ if asked.times("GetJobDetails") == 0 => Answer::Raw(400, body),
            _ => Answer::Raw(200, b"the artifact"),
        })
        .await;
        let (bench, s3) = with_old_keys(aws, asked);
        let got = s3
            .get_object()
            .bucket("artifacts")
            .key("shop/x")
            .send()
            .await
            .unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), b"the artifact");
        assert_eq!(
            (bench.asked.times(""), bench.asked.times("GetJobDetails")),
            (2, 1)
        );
    }
}

#[tokio::test]
async fn many_calls_that_find_their_keys_ended_ask_for_others_once() {
    const UNKNOWN: &[u8] =
        b"<?xml version=\"1.0\"?><Error><Code>InvalidToken</Code><Message>no</Message></Error>";
    const CALLS: usize = 8;
    let (aws, asked) = respond(move |operation, _, asked| match operation {
        "GetJobDetails" => ok(json!({ "jobDetails": { "id": JOB, "data": data() } })),
        _ if asked.times("GetJobDetails") == 0 => Answer::Raw(400, UNKNOWN),
        _ => Answer::Raw(200, b"the artifact"),
    })
    .await;
    let (bench, s3) = with_old_keys(aws, asked);
    let calls = (0..CALLS).map(|_| s3.get_object().bucket("artifacts").key("shop/x").send());
    for got in futures_util::future::join_all(calls).await {
        assert!(got.is_ok(), "{got:?}");
    }
    assert_eq!(bench.asked.times("GetJobDetails"), 1);
}

#[tokio::test]
async fn other_refusals_of_s3_renew_nothing() {
    const DENIED: &[u8] =
        b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let (aws, asked) = respond(|_, _, _| Answer::Raw(403, DENIED)).await;
    let (bench, s3) = with_old_keys(aws, asked);
    assert!(s3.get_object().bucket("artifacts").key("x").send().await.is_err());
    assert_eq!(
        (bench.asked.times(""), bench.asked.times("GetJobDetails")),
        (1, 0)
    );
}
