//! smithy-rpc-v2-cbor on the sandbox's wire, spoken in plain HTTP: the official SDK for Rust speaks awsJson only.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use crate::sandbox_support::start_with;
use bytes::Bytes;
use ciborium::Value as Cbor;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use slipway::sandbox::server::Sandbox;
use std::path::Path;

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-west-1/codepipeline/aws4_request, \
                      SignedHeaders=host, Signature=00";

struct Caller {
    sandbox: Sandbox,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Caller {
    async fn start(journal: &Path) -> Self {
        Self {
            sandbox: start_with("", Some(journal.to_owned())).await,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Sends a body to an operation, with the headers of the protocol but for those that are left out.
    async fn ask(&self, operation: &str, left_out: &str, body: Vec<u8>) -> Response<Bytes> {
        let url = format!(
            "{}/service/CodePipeline_20150709/operation/{operation}",
            self.sandbox.endpoint()
        );
        let mut request = Request::post(url);
        for (name, value) in [
            ("authorization", SIGNED),
            ("smithy-protocol", "rpc-v2-cbor"),
            ("content-type", "application/cbor"),
            ("accept", "application/cbor"),
        ] {
            if name != left_out {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let (parts, body) = self.client.request(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }
}

fn written(value: &Cbor) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn read(answer: &Response<Bytes>) -> Cbor {
    assert_eq!(answer.headers()["content-type"], "application/cbor");
    assert_eq!(answer.headers()["smithy-protocol"], "rpc-v2-cbor");
    ciborium::from_reader(&answer.body()[..]).unwrap()
}

/// A text at a path of names.
fn text<'a>(mut value: &'a Cbor, path: &[&str]) -> Option<&'a str> {
    for name in path {
        let entries = value.as_map()?;
        let (_, inner) = entries.iter().find(|(key, _)| key.as_text() == Some(*name))?;
        value = inner;
    }
    value.as_text()
}

fn map(pairs: &[(&str, Cbor)]) -> Cbor {
    let entries = pairs.iter();
    Cbor::Map(
        entries
            .map(|(name, value)| (Cbor::Text((*name).to_owned()), value.clone()))
            .collect(),
    )
}

/// The members of an action type, and more.
fn kind(more: &[(&'static str, Cbor)]) -> Vec<(&'static str, Cbor)> {
    let named = [
        ("category", word("Build")),
        ("provider", word("Slipway")),
        ("version", word("1")),
    ];
    [&named, more].concat()
}

fn word(text: &str) -> Cbor {
    Cbor::Text(text.to_owned())
}

#[tokio::test]
async fn an_operation_is_the_same_in_cbor_and_the_journal_tells_it_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let caller = Caller::start(&path).await;
    let counts = map(&[
        ("minimumCount", Cbor::Integer(0.into())),
        ("maximumCount", Cbor::Integer(5.into())),
    ]);
    let wanted = [
        ("inputArtifactDetails", counts.clone()),
        ("outputArtifactDetails", counts),
    ];
    let create = map(&kind(&wanted));
    let made = caller.ask("CreateCustomActionType", "", written(&create)).await;
    assert_eq!(made.status().as_u16(), 200);
    assert_eq!(text(&read(&made), &["actionType", "id", "owner"]), Some("Custom"));
    let poll = map(&[("actionTypeId", map(&kind(&[("owner", word("Custom"))])))]);
    let none = caller.ask("PollForJobs", "", written(&poll)).await;
    assert_eq!(read(&none), map(&[("jobs", Cbor::Array(vec![]))]));
    let nobody = map(&[
        ("jobId", word("00000000-0000-4000-8000-000000000099")),
        ("nonce", word("1")),
    ]);
    let missing = caller.ask("AcknowledgeJob", "", written(&nobody)).await;
    assert_eq!(
        text(&read(&missing), &["__type"]),
        Some("com.amazonaws.codepipeline#JobNotFoundException")
    );
    caller.sandbox.stop().await;
    let journal = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = journal
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let body = |line: usize, side: &str| -> serde_json::Value {
        serde_json::from_str(lines[line][side]["body"].as_str().unwrap()).unwrap()
    };
    assert_eq!(lines[1]["request"]["headers"]["smithy-protocol"], "rpc-v2-cbor");
    assert_eq!(lines[1]["principal"], "account");
    assert_eq!(body(1, "request")["actionTypeId"]["provider"], "Slipway");
    assert_eq!(body(1, "response"), serde_json::json!({ "jobs": [] }));
    assert_eq!(body(2, "response")["__type"], "JobNotFoundException");
}

#[tokio::test]
async fn refusals_are_cbor_with_the_status_and_the_shape_of_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let caller = Caller::start(&path).await;
    let empty = written(&Cbor::Map(vec![]));
    for (operation, left_out, body, status, code) in [
        ("Sulk", "", empty.clone(), 400, "UnknownOperationException"),
        (
            "PollForJobs",
            "smithy-protocol",
            empty.clone(),
            400,
            "UnknownOperationException",
        ),
        (
            "PollForJobs",
            "content-type",
            empty.clone(),
            415,
            "SerializationException",
        ),
        (
            "PollForJobs",
            "authorization",
            empty.clone(),
            400,
            "MissingAuthenticationTokenException",
        ),
        ("PollForJobs", "", b"\xff".to_vec(), 400, "SerializationException"),
        (
            "PollForJobs",
            "",
            written(&Cbor::Array(vec![])),
            400,
            "SerializationException",
        ),
    ] {
        let answer = caller.ask(operation, left_out, body).await;
        assert_eq!(answer.status().as_u16(), status, "{operation} without {left_out}");
        let named = format!("com.amazonaws.codepipeline#{code}");
        let body = read(&answer);
        assert_eq!(text(&body, &["__type"]), Some(named.as_str()));
        assert!(text(&body, &["message"]).is_some_and(|text| !text.is_empty()));
    }
    caller.sandbox.stop().await;
}
