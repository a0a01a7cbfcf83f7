//! The adapter against a responder on loopback that answers as the test says and remembers what it was asked.

use super::{Ecr, EcrError, EcrRepository, HeldImage, IfMissing, TagMutability};
use crate::aws::sort::Sorted;
use crate::aws::{Aws, AwsSettings, StaticKeys};
use crate::clock::{Clock, VirtualClock};
use crate::failure::chain;
use crate::name::{Digest, Repository};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answers = Arc<Mutex<VecDeque<(&'static str, u16, Value)>>>;
type Asked = Arc<Mutex<Vec<Value>>>;

/// Answers each request with the next of the script, whose operation must be the one that was called.
async fn answer(
    State((answers, asked)): State<(Answers, Asked)>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let target = headers["x-amz-target"].to_str().unwrap();
    let operation = target.rsplit('.').next().unwrap();
    let (expected, status, answer) = answers.lock().unwrap().pop_front().expect("a call too many");
    assert_eq!(operation, expected);
    asked.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    (StatusCode::from_u16(status).unwrap(), answer.to_string())
}

/// ECR as scripted, with the virtual clock that its tokens expire by.
async fn ecr(script: Vec<(&'static str, u16, Value)>) -> (Ecr, Arc<VirtualClock>, Asked) {
    let asked = Asked::default();
    let answers = Arc::new(Mutex::new(VecDeque::from(script)));
    let router = axum::Router::new()
        .fallback(answer)
        .with_state((answers, asked.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let keys = StaticKeys {
        access_key_id: "AKID".to_owned().into(),
        secret_access_key: "secret".to_owned().into(),
        session_token: None,
    };
    let settings = AwsSettings {
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(endpoint),
        credentials: Some(keys),
    };
    let aws = Aws::connect(settings).await.unwrap();
    let clock = VirtualClock::starting_at(Duration::from_secs(1_000_000));
    (Ecr::new(&aws.ecr, Clock::Virtual(clock.clone())), clock, asked)
}

fn token(password: &str, expires: u64) -> (&'static str, u16, Value) {
    let text = STANDARD.encode(format!("AWS:{password}"));
    let data = json!({ "authorizationToken": text, "expiresAt": expires, "proxyEndpoint": "https://x" });
    (
        "GetAuthorizationToken",
        200,
        json!({ "authorizationData": [data] }),
    )
}

fn refusal(operation: &'static str, code: &str) -> (&'static str, u16, Value) {
    (operation, 400, json!({ "__type": code, "message": "no" }))
}

fn web() -> Repository {
    "shop/web".parse().unwrap()
}

const URI: &str = "000000000000.dkr.ecr.eu-west-1.amazonaws.com/shop/web";

fn described(mutability: &str) -> Value {
    json!({ "registryId": "000000000000", "repositoryName": "shop/web", "repositoryUri": URI,
            "imageTagMutability": mutability })
}

fn repository() -> EcrRepository {
    EcrRepository {
        name: web(),
        account: Some("000000000000".to_owned()),
        uri: URI.parse().unwrap(),
        mutability: TagMutability::Immutable,
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_until_it_runs_out_or_is_refused() {
    let in_12_hours = 1_000_000 + 12 * 3600;
    let script = vec![
        token("one", in_12_hours),
        token("two", 2_000_000),
        token("three", 2_000_000),
    ];
    let (ecr, clock, asked) = ecr(script).await;
    let password = async || ecr.authorize("host").await.unwrap().password.expose().clone();
    assert_eq!(
        (password().await, password().await),
        ("one".to_owned(), "one".to_owned())
    );
    clock.advance(Duration::from_secs(12 * 3600 - 1800));
    assert_eq!(password().await, "two");
    ecr.forget_token().await;
    assert_eq!(password().await, "three");
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_answer_without_a_token_is_an_error() {
    let script = vec![("GetAuthorizationToken", 200, json!({ "authorizationData": [] }))];
    let (ecr, ..) = ecr(script).await;
    assert!(matches!(ecr.authorize("host").await, Err(EcrError::Token(_))));
}

#[tokio::test]
async fn a_repository_is_found_with_what_its_tags_may_do() {
    for (text, mutability) in [
        ("MUTABLE", TagMutability::Mutable),
        ("IMMUTABLE", TagMutability::Immutable),
        ("MUTABLE_WITH_EXCLUSION", TagMutability::Filtered),
        ("LATER", TagMutability::Unrecognised("LATER".to_owned())),
    ] {
        let script = vec![(
            "DescribeRepositories",
            200,
            json!({ "repositories": [described(text)] }),
        )];
        let (ecr, _, asked) = ecr(script).await;
        let found = ecr
            .find_repository(&web(), Some("000000000000"), IfMissing::Refuse)
            .await
            .unwrap();
        assert_eq!(
            found,
            EcrRepository {
                mutability,
                ..repository()
            }
        );
        let expected = json!({ "registryId": "000000000000", "repositoryNames": ["shop/web"] });
        assert_eq!(*asked.lock().unwrap(), [expected]);
    }
}

#[tokio::test]
async fn a_missing_repository_is_an_error_of_its_own() {
    let (ecr, ..) = ecr(vec![refusal(
        "DescribeRepositories",
        "RepositoryNotFoundException",
    )])
    .await;
    let error = ecr
        .find_repository(&web(), None, IfMissing::Refuse)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the ECR repository `shop/web` does not exist");
    assert!(error.call().is_none());
}

#[tokio::test]
async fn a_missing_repository_is_created_with_scans_and_immutable_tags() {
    let script = vec![
        refusal("DescribeRepositories", "RepositoryNotFoundException"),
        (
            "CreateRepository",
            200,
            json!({ "repository": described("IMMUTABLE") }),
        ),
    ];
    let (ecr, _, asked) = ecr(script).await;
    let made = ecr
        .find_repository(&web(), None, IfMissing::Create)
        .await
        .unwrap();
    assert_eq!(made, repository());
    let expected = json!({
        "repositoryName": "shop/web",
        "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": { "scanOnPush": true },
    });
    assert_eq!(asked.lock().unwrap()[1], expected);
}

#[tokio::test]
async fn a_repository_that_somebody_else_creates_first_is_as_good() {
    let script = vec![
        refusal("DescribeRepositories", "RepositoryNotFoundException"),
        refusal("CreateRepository", "RepositoryAlreadyExistsException"),
        (
            "DescribeRepositories",
            200,
            json!({ "repositories": [described("IMMUTABLE")] }),
        ),
    ];
    let (ecr, ..) = ecr(script).await;
    assert_eq!(
        ecr.find_repository(&web(), None, IfMissing::Create)
            .await
            .unwrap(),
        repository()
    );
}

#[tokio::test]
async fn a_denied_call_says_which_action_is_denied() {
    let (ecr, ..) = ecr(vec![refusal("DescribeRepositories", "AccessDeniedException")]).await;
    let error = ecr
        .find_repository(&web(), None, IfMissing::Create)
        .await
        .unwrap_err();
    let call = error.call().unwrap();
    assert_eq!(
        (call.action, &call.sorted),
        ("ecr:DescribeRepositories", &Sorted::Denied)
    );
}

#[tokio::test]
async fn a_tag_gives_its_digest_and_manifest_or_nothing() {
    let digest = Digest::of(b"{}");
    let image =
        json!({ "imageId": { "imageDigest": digest.as_str(), "imageTag": "v1" }, "imageManifest": "{}" });
    let failure = |code: &str| json!({ "images": [], "failures": [{ "failureCode": code }] });
    let script = vec![
        ("BatchGetImage", 200, json!({ "images": [image], "failures": [] })),
        ("BatchGetImage", 200, failure("ImageNotFound")),
        ("BatchGetImage", 200, failure("KmsError")),
        ("BatchGetImage", 200, json!({ "images": [{ "imageId": {} }] })),
    ];
    let (ecr, _, asked) = ecr(script).await;
    let (repository, tag) = (repository(), "v1".parse().unwrap());
    let held = ecr.held_at(&repository, &tag).await.unwrap().unwrap();
    assert_eq!((held.digest, held.manifest.as_str()), (digest, "{}"));
    assert_eq!(ecr.held_at(&repository, &tag).await.unwrap(), None);
    let error = ecr.held_at(&repository, &tag).await.unwrap_err();
    assert_eq!(error.to_string(), "ECR cannot give `v1` of `shop/web`: KmsError");
    assert!(matches!(
        ecr.held_at(&repository, &tag).await,
        Err(EcrError::NoDigest { .. })
    ));
    let media_types = asked.lock().unwrap()[0]["acceptedMediaTypes"].clone();
    assert_eq!(
        media_types.as_array().unwrap().len(),
        4,
        "an index must be answered as an index"
    );
}

#[tokio::test]
async fn an_image_that_is_held_gets_another_tag_unless_that_is_another_image() {
    let script = vec![
        ("PutImage", 200, json!({ "image": {} })),
        refusal("PutImage", "ImageAlreadyExistsException"),
        refusal("PutImage", "ImageTagAlreadyExistsException"),
        refusal("PutImage", "AccessDeniedException"),
    ];
    let (ecr, _, asked) = ecr(script).await;
    let held = HeldImage {
        digest: Digest::of(b"{}"),
        manifest: "{}".to_owned(),
        media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
    };
    let (repository, tag) = (repository(), "v1".parse().unwrap());
    for expected in [None, None, Some(true), Some(false)] {
        let put = ecr.put_tag(&repository, &tag, &held).await;
        assert_eq!(put.err().map(|error| error.is_immutable_tag()), expected);
    }
    let asked = asked.lock().unwrap()[0].clone();
    assert_eq!(
        (
            &asked["imageManifest"],
            &asked["imageManifestMediaType"],
            &asked["imageDigest"]
        ),
        (
            &json!("{}"),
            &json!("application/vnd.oci.image.manifest.v1+json"),
            &json!(held.digest.as_str())
        )
    );
}

#[tokio::test]
async fn a_config_is_what_its_address_gives_if_that_has_its_digest() {
    let router = axum::Router::new()
        .route("/config", axum::routing::get(|| async { "{}" }))
        .route(
            "/large",
            axum::routing::get(|| async { " ".repeat(5 * 1024 * 1024) }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let at = |path: &str| {
        let url = format!("http://{host}{path}?X-Amz-Signature=canary");
        ("GetDownloadUrlForLayer", 200, json!({ "downloadUrl": url }))
    };
    let (ecr, ..) = ecr(vec![
        at("/config"),
        at("/config"),
        at("/gone"),
        at("/large"),
        (
            "GetDownloadUrlForLayer",
            200,
            json!({ "downloadUrl": "canary nowhere" }),
        ),
        ("GetDownloadUrlForLayer", 200, json!({})),
        refusal("GetDownloadUrlForLayer", "LayersNotFoundException"),
    ])
    .await;
    let (repository, digest) = (repository(), Digest::of(b"{}"));
    assert_eq!(ecr.config_of(&repository, &digest).await.unwrap(), b"{}");
    for (of, says) in [
        (b"other".as_slice(), "what came has another digest"),
        (b"{}", "the answer is HTTP 404"),
        (b"{}", "it is larger than 4 MiB"),
        (b"{}", "the address that ECR gives is no URL"),
        (b"{}", "the answer has no downloadUrl"),
        (b"{}", "LayersNotFoundException"),
    ] {
        let error = ecr.config_of(&repository, &Digest::of(of)).await.unwrap_err();
        let told = chain(&error);
        assert!(told.contains(says) && !told.contains("canary"), "{says}: {told}");
    }
}

#[tokio::test]
async fn only_the_digest_itself_confirms_a_push() {
    let digest = Digest::of(b"image");
    let listed = |digest: &Digest| json!({ "imageDetails": [{ "imageDigest": digest.as_str() }] });
    let script = vec![
        refusal("DescribeImages", "ImageNotFoundException"),
        ("DescribeImages", 200, json!({ "imageDetails": [] })),
        ("DescribeImages", 200, listed(&Digest::of(b"another"))),
        ("DescribeImages", 200, listed(&digest)),
        refusal("DescribeImages", "RepositoryNotFoundException"),
    ];
    let (ecr, ..) = ecr(script).await;
    for expected in [false, false, false, true] {
        assert_eq!(ecr.lists(&repository(), &digest).await.unwrap(), expected);
    }
    assert!(matches!(
        ecr.lists(&repository(), &digest).await,
        Err(EcrError::Confirm { .. })
    ));
}

#[tokio::test]
async fn a_role_that_may_not_describe_images_confirms_by_fetching_the_manifest() {
    let digest = Digest::of(b"{}");
    let image = json!({ "imageId": { "imageDigest": digest.as_str() }, "imageManifest": "{}" });
    let denied = || refusal("DescribeImages", "AccessDeniedException");
    let missing = json!({ "failures": [{ "failureCode": "ImageNotFound" }] });
    let script = vec![
        denied(),
        ("BatchGetImage", 200, missing),
        denied(),
        ("BatchGetImage", 200, json!({ "images": [image] })),
        denied(),
        refusal("BatchGetImage", "AccessDeniedException"),
    ];
    let (ecr, ..) = ecr(script).await;
    for expected in [false, true] {
        assert_eq!(ecr.lists(&repository(), &digest).await.unwrap(), expected);
    }
    assert!(ecr.lists(&repository(), &digest).await.is_err());
}

#[tokio::test]
async fn another_region_has_a_token_of_its_own() {
    let (ours, ..) = ecr(vec![token("ours", 2_000_000), token("theirs", 2_000_000)]).await;
    let theirs = ours.in_region("us-east-1");
    assert_eq!(ours.authorize("a").await.unwrap().password.expose(), "ours");
    assert_eq!(theirs.authorize("b").await.unwrap().password.expose(), "theirs");
    assert_eq!(
        ours.in_region("eu-west-1")
            .authorize("c")
            .await
            .unwrap()
            .password
            .expose(),
        "ours"
    );
}
