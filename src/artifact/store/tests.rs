//! The adapter against files, and against a responder on loopback that answers as S3 would.

use super::{StoreError, put_artifact, read_definitions};
use crate::artifact::archive::pack;
use crate::aws::{Aws, AwsSettings, StaticKeys};
use crate::config::settings::{ArtifactTarget, DefinitionsSource};
use crate::failure::Kind;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fs;
use std::sync::{Arc, Mutex};

/// One answer: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// One request: headers, body.
type Request = (BTreeMap<String, String>, Bytes);

#[derive(Clone)]
struct FarEnd {
    script: Arc<Mutex<VecDeque<(Method, Answer)>>>,
    seen: Arc<Mutex<Vec<Request>>>,
}

async fn answer(
    State(far_end): State<FarEnd>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let (expected, (status, answer, text)) = far_end
        .script
        .lock()
        .unwrap()
        .pop_front()
        .expect("a call too many");
    assert_eq!(method, expected);
    let sent = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    far_end.seen.lock().unwrap().push((sent, body));
    let answer = answer
        .into_iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect();
    (StatusCode::from_u16(status).unwrap(), answer, text)
}

async fn s3(script: Vec<(Method, Answer)>) -> (aws_sdk_s3::Client, FarEnd) {
    let far_end = FarEnd {
        script: Arc::new(Mutex::new(script.into())),
        seen: Arc::default(),
    };
    let router = axum::Router::new().fallback(answer).with_state(far_end.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = AwsSettings {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint),
        credentials: Some(StaticKeys {
            access_key_id: "AKID".to_owned().into(),
            secret_access_key: "secret".to_owned().into(),
            session_token: None,
        }),
    };
    (Aws::connect(settings).await.unwrap().s3, far_end)
}

fn refusal(status: u16, code: &str) -> Answer {
    let text = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    (status, Vec::new(), text.into_bytes())
}

fn object() -> DefinitionsSource {
    DefinitionsSource::S3 {
        bucket: "artifacts".to_owned(),
        key: "pipe/Build/x1".to_owned(),
    }
}

fn target(kms_key: Option<&str>) -> ArtifactTarget {
    ArtifactTarget {
        bucket: "artifacts".to_owned(),
        key: "pipe/Build/x1".to_owned(),
        kms_key: kms_key.map(str::to_owned),
    }
}

const GOOD: &[u8] = br#"[{"name":"web","imageUri":"shop/web:v1"}]"#;

#[tokio::test]
async fn a_file_or_a_zip_is_read_whatever_its_name_is() {
    let (s3, _) = s3(Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    for bytes in [GOOD.to_vec(), pack(&[("imagedefinitions.json", GOOD)]).unwrap()] {
        let path = folder.path().join("artifact");
        fs::write(&path, bytes).unwrap();
        let read = read_definitions(&s3, &DefinitionsSource::File(path))
            .await
            .unwrap();
        assert_eq!(read.entries()[0].image.to_string(), "shop/web:v1");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_file_becomes_a_failure_with_a_place_and_advice() {
    let (s3, _) = s3(Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    let failure = async |bytes: Option<&[u8]>| {
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let source = DefinitionsSource::File(path.clone());
        let failure = read_definitions(&s3, &source).await.unwrap_err().into_failure();
        assert_eq!(failure.kind, Kind::Input);
        let cause = failure.source.as_ref().map(ToString::to_string);
        (
            failure.what.replace(&path.display().to_string(), "FILE"),
            cause,
            failure.hints.len(),
        )
    };
    assert_eq!(failure(None).await, ("`FILE` does not exist".to_owned(), None, 1));
    assert_eq!(
        failure(Some(b"{}")).await,
        (
            "the imagedefinitions.json in `FILE` is not valid".to_owned(),
            Some("it is one object, a list of them is expected".to_owned()),
            1
        )
    );
    assert_eq!(
        failure(Some(&pack(&[("a", b"")]).unwrap())).await,
        (
            "no imagedefinitions.json can be read from `FILE`".to_owned(),
            Some("it is a zip without `imagedefinitions.json` at its root".to_owned()),
            1
        )
    );
    let folder_itself = DefinitionsSource::File(folder.path().to_owned());
    let error = read_definitions(&s3, &folder_itself).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadFile { .. }) && error.source().is_some());
}

#[tokio::test]
async fn an_object_is_read_as_a_file_is() {
    let zip = pack(&[("imagedefinitions.json", GOOD)]).unwrap();
    let (s3, _) = s3(vec![(Method::GET, (200, Vec::new(), zip))]).await;
    assert_eq!(read_definitions(&s3, &object()).await.unwrap().entries().len(), 1);
}

#[tokio::test]
async fn each_refusal_of_s3_says_what_to_do() {
    let redirect = vec![("x-amz-bucket-region", "us-east-1".to_owned())];
    let moved = b"<Error><Code>PermanentRedirect</Code><Message>no</Message></Error>".to_vec();
    for (answer, kind, what, hint) in [
        (
            refusal(404, "NoSuchKey"),
            Kind::Input,
            "`s3://artifacts/pipe/Build/x1` does not exist",
            "check the key",
        ),
        (
            refusal(404, "NoSuchBucket"),
            Kind::Usage,
            "the bucket of `s3://artifacts/pipe/Build/x1` does not exist",
            "check the bucket",
        ),
        (
            refusal(403, "AccessDenied"),
            Kind::Input,
            "cannot read `s3://artifacts/pipe/Build/x1`",
            "kms:Decrypt",
        ),
        (
            refusal(403, "AccessDenied"),
            Kind::Input,
            "cannot read `s3://artifacts/pipe/Build/x1`",
            "either the object is not there, or the role may not read it",
        ),
        (
            refusal(400, "ExpiredToken"),
            Kind::Input,
            "cannot read `s3://artifacts/pipe/Build/x1`",
            "expired",
        ),
        (
            (301, redirect, moved),
            Kind::Usage,
            "the bucket of `s3://artifacts/pipe/Build/x1` is in another region, `us-east-1`",
            "AWS_REGION=us-east-1",
        ),
    ] {
        // With keys that have ended it is asked once more.
        let asked = if hint == "expired" { 2 } else { 1 };
        let (s3, _) = s3(vec![(Method::GET, answer); asked]).await;
        let failure = read_definitions(&s3, &object()).await.unwrap_err().into_failure();
        assert_eq!((failure.kind, failure.what.as_str()), (kind, what));
        assert!(failure.hints.join("\n").contains(hint), "{:?}", failure.hints);
    }
}

/// What S3 says of an object that it holds.
fn held(bytes: &[u8], encryption: &str, e_tag: &str) -> Answer {
    let headers = vec![
        ("content-length", bytes.len().to_string()),
        ("etag", format!("\"{e_tag}\"")),
        ("x-amz-server-side-encryption", encryption.to_owned()),
        ("x-amz-checksum-sha256", STANDARD.encode(Sha256::digest(bytes))),
    ];
    (200, headers, Vec::new())
}

fn put(e_tag: &str) -> (Method, Answer) {
    (
        Method::PUT,
        (200, vec![("etag", format!("\"{e_tag}\""))], Vec::new()),
    )
}

#[tokio::test]
async fn an_artifact_is_written_encrypted_and_looked_at_again() {
    for key in [None, Some("alias/pipeline")] {
        let (s3, far_end) = s3(vec![put("1"), (Method::HEAD, held(b"zip", "aws:kms", "1"))]).await;
        let place = put_artifact(&s3, &target(key), b"zip".to_vec()).await.unwrap();
        assert_eq!(place, "s3://artifacts/pipe/Build/x1");
        let seen = far_end.seen.lock().unwrap();
        let (headers, body) = &seen[0];
        assert_eq!(body.as_ref(), b"zip");
        assert_eq!(headers["x-amz-server-side-encryption"], "aws:kms");
        let sent_key = headers.get("x-amz-server-side-encryption-aws-kms-key-id");
        assert_eq!(sent_key.map(String::as_str), key);
        assert_eq!(
            headers["x-amz-checksum-sha256"],
            STANDARD.encode(Sha256::digest(b"zip"))
        );
    }
}

#[tokio::test]
async fn an_object_that_is_not_as_written_is_a_failure() {
    for (answer, says) in [
        (held(b"zi", "aws:kms", "1"), "it has 2 bytes of 3"),
        (held(b"zip", "aws:kms", "2"), "its ETag is another"),
        (held(b"zap", "aws:kms", "1"), "its SHA-256 is another"),
        (
            held(b"zip", "AES256", "1"),
            "it is encrypted by `AES256`, `aws:kms` was asked for",
        ),
    ] {
        let (s3, _) = s3(vec![put("1"), (Method::HEAD, answer)]).await;
        let error = put_artifact(&s3, &target(None), b"zip".to_vec())
            .await
            .unwrap_err();
        let place = "s3://artifacts/pipe/Build/x1";
        assert_eq!(
            error.to_string(),
            format!("S3 does not hold `{place}` as it was written: {says}")
        );
    }
}

#[tokio::test]
async fn a_write_that_is_denied_names_the_action_and_the_key() {
    let (s3, _) = s3(vec![(Method::PUT, refusal(403, "AccessDenied"))]).await;
    let failure = put_artifact(&s3, &target(None), Vec::new())
        .await
        .unwrap_err()
        .into_failure();
    assert_eq!(failure.kind, Kind::Refused);
    let hints = failure.hints.join("\n");
    assert!(
        hints.contains("`s3:PutObject`") && hints.contains("`kms:GenerateDataKey`"),
        "{hints}"
    );
}

#[tokio::test]
async fn a_look_at_what_was_written_that_is_denied_is_told_from_a_proxy_s_word() {
    let id = || vec![("x-amz-request-id", "4442587FB7D0A2F9".to_owned())];
    for (status, headers, kind, cause, hint) in [
        (403, id(), Kind::Refused, "HTTP 403; ", "allow `s3:GetObject`"),
        (403, Vec::new(), Kind::FarEnd, "not AWS's", "check any proxy"),
        (404, id(), Kind::Input, "NotFound", "check the key"),
        (404, Vec::new(), Kind::FarEnd, "not AWS's", "check any proxy"),
        (400, id(), Kind::Refused, "HTTP 400; ", ""),
    ] {
        let refused = (Method::HEAD, (status, headers, Vec::new()));
        // So is a HEAD refused, without a word, when keys have ended: it is asked once more.
        let looks = if status == 400 { 2 } else { 1 };
        let script = [vec![put("1")], vec![refused; looks]].concat();
        let (s3, _) = s3(script).await;
        let written = put_artifact(&s3, &target(None), b"zip".to_vec()).await;
        let failure = written.unwrap_err().into_failure();
        let causes = failure.root_cause().unwrap_or_default();
        assert_eq!(failure.kind, kind, "{status}: {causes}");
        assert!(
            causes.contains(cause) && !causes.contains("Error {"),
            "{status}: {causes}"
        );
        assert!(
            failure.hints.join("\n").contains(hint),
            "{status}: {:?}",
            failure.hints
        );
    }
}
