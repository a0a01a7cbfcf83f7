//! Answers that are not AWS's, cut, or rewritten on their way: what each is taken for, by status, body and operation.

use crate::responder::{Answer, respond};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures_util::stream::{self, StreamExt as _};
use slipway::aws::sort::{CallError, Sorted};
use slipway::ecs::service::{Ecs, ServiceError};
use slipway::failure::{Kind, chain};
use std::error::Error;

/// Far ends at work at the same time.
const AT_ONCE: usize = 24;

/// Bodies that no service of AWS writes: an answer in JSON has an object, and an error a code.
const BODIES: [(&str, &[u8]); 7] = [
    ("empty", b""),
    ("an empty object", b"{}"),
    ("a page", b"<!doctype html><title>Sign in</title>"),
    ("cut JSON", br#"{"services": [{"serviceName": "#),
    ("binary", &[0xff, 0xfe, 0x00, 0x1f, 0x8b]),
    ("another list", br#"["ok"]"#),
    ("another object", br#"{"message": "Forbidden"}"#),
];

/// Bodies that can be read as an answer of success: every member may be absent.
const READABLE: [&str; 3] = ["empty", "an empty object", "another object"];

/// The operations, and whether their answers are JSON.
const OPERATIONS: [(&str, bool); 9] = [
    ("ecs:DescribeServices", true),
    ("ecs:RegisterTaskDefinition", true),
    ("ecs:RunTask", true),
    ("ecs:StopServiceDeployment", true),
    ("ecr:BatchGetImage", true),
    ("logs:GetLogEvents", true),
    ("elasticloadbalancing:DescribeTargetHealth", false),
    ("sts:GetCallerIdentity", false),
    ("s3:HeadObject", false),
];

fn sorted<T, E>(answer: Result<T, SdkError<E, Response>>) -> Option<CallError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    answer.err().map(CallError::of("some:Action"))
}

/// Asks once against a far end that always answers so; gives what that is taken for, and how often it was asked.
async fn asked(operation: &str, status: u16, body: &'static [u8]) -> (Option<CallError>, usize) {
    let (aws, asked) = respond(move |_, _, _| Answer::Raw(status, body)).await;
    let error = match operation {
        "ecs:DescribeServices" => sorted(aws.ecs.describe_services().services("shop").send().await),
        "ecs:RegisterTaskDefinition" => {
            let call = aws.ecs.register_task_definition().family("shop");
            sorted(call.set_container_definitions(Some(Vec::new())).send().await)
        }
        "ecs:RunTask" => sorted(aws.ecs.run_task().task_definition("shop").send().await),
        "ecs:StopServiceDeployment" => {
            let call = aws.ecs.stop_service_deployment();
            sorted(call.service_deployment_arn("arn").send().await)
        }
        "ecr:BatchGetImage" => {
            let call = aws.ecr.batch_get_image().repository_name("shop");
            sorted(call.set_image_ids(Some(Vec::new())).send().await)
        }
        "logs:GetLogEvents" => {
            let call = aws.logs.get_log_events().log_group_name("shop");
            sorted(call.log_stream_name("web").send().await)
        }
        "elasticloadbalancing:DescribeTargetHealth" => sorted(
            aws.elb
                .describe_target_health()
                .target_group_arn("arn")
                .send()
                .await,
        ),
        "s3:HeadObject" => {
            let call = aws.s3.head_object().bucket("artifacts").key("out.zip");
            sorted(call.send().await).map(CallError::of_head)
        }
        "sts:GetCallerIdentity" => sorted(aws.sts.get_caller_identity().send().await),
        other => panic!("{other}"),
    };
    (error, asked.all())
}

/// What one answer is taken for.
async fn check(operation: &'static str, json: bool, name: &'static str, body: &'static [u8], status: u16) {
    let case = format!("{operation}: {status} with {name}");
    let (error, asked) = asked(operation, status, body).await;
    let expected = match status {
        200 if operation == "s3:HeadObject" || json && READABLE.contains(&name) => None,
        200 => Some((Sorted::Garbled, true)),
        429 => Some((Sorted::Throttled, false)),
        500.. => Some((Sorted::Transient, true)),
        // So, without a word, S3 refuses a HEAD whose keys have ended: it is asked once more with others.
        status => Some((
            Sorted::Foreign { status },
            status == 400 && operation == "s3:HeadObject",
        )),
    };
    let Some((sort, again)) = expected else {
        assert!(error.is_none(), "{case}: {error:?}");
        return;
    };
    let error = error.unwrap_or_else(|| panic!("{case}: taken for an answer"));
    assert_eq!(error.sorted, sort, "{case}");
    // The SDK's purse for retries is one for all tests, so they may be fewer, and none are too many.
    assert!(again || asked == 1, "{case}: asked {asked} times");
    assert_eq!(error.sorted.is_in_doubt(), status != 429, "{case}");
    let text = chain(&error);
    assert!(text.contains(&format!("HTTP {status}, ")), "{case}: {text}");
    assert!(!text.contains("Error {"), "{case}: a Rust value is shown: {text}");
    let failure = error.into_failure("x");
    let kind = failure.kind;
    assert!(matches!(kind, Kind::FarEnd | Kind::Unclear), "{case}: {kind:?}");
    assert!(
        !failure.hints.iter().any(|hint| hint.contains("policy")),
        "{case}"
    );
}

#[tokio::test]
async fn an_answer_is_taken_for_aws_s_only_if_it_is() {
    let mut checks = Vec::new();
    for (operation, json) in OPERATIONS {
        for (name, body) in BODIES {
            for status in [200, 302, 400, 403, 404, 429, 503] {
                checks.push(check(operation, json, name, body, status));
            }
        }
    }
    stream::iter(checks)
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

#[tokio::test]
async fn an_update_is_asked_for_once_and_stays_in_doubt() {
    for (name, body) in BODIES {
        let (aws, asked) = respond(move |_, _, _| Answer::Raw(200, body)).await;
        let ecs = Ecs::new(aws, "prod", "shop");
        let error = ecs.update("shop:2", false).await.unwrap_err();
        assert!(error.is_in_doubt(), "{name}: {error:?}");
        assert_eq!(asked.times("UpdateService"), 1, "{name}");
        let error = ecs.stop_and_roll_back("arn").await.unwrap_err();
        assert!(error.is_in_doubt(), "{name}: {error:?}");
        let listed = ecs.running_of("me").await;
        assert!(listed.is_err(), "{name}: no list is taken for an empty one");
        let described = ecs.describe().await.unwrap_err();
        assert!(!matches!(described, ServiceError::NoService), "{name}");
    }
}

#[tokio::test]
async fn a_refusal_in_aws_s_own_words_is_taken_at_its_word() {
    let body = br#"{"__type": "AccessDeniedException", "message": "no"}"#;
    for status in [400, 403] {
        let (error, asked) = asked("ecs:DescribeServices", status, body).await;
        assert_eq!((error.unwrap().sorted, asked), (Sorted::Denied, 1), "{status}");
    }
}
