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
