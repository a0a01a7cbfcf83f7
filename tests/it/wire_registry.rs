//! The sandbox's registry over real sockets, spoken to in plain HTTP.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use crate::sandbox_support::{REGION, config, start};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use slipway::sandbox::server::Sandbox;

const EMPTY_CONFIG: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

struct Registry {
    sandbox: Sandbox,
    client: Client<HttpConnector, Full<Bytes>>,
    authorization: String,
}

impl Registry {
    async fn start() -> Self {
        let sandbox = start("").await;
        let ecr = aws_sdk_ecr::Client::new(&config(&sandbox, REGION));
        ecr.create_repository()
            .repository_name("shop/web")
            .send()
            .await
            .unwrap();
        let answer = ecr.get_authorization_token().send().await.unwrap();
        let token = answer.authorization_data()[0].authorization_token().unwrap();
        let authorization = format!("Basic {token}");
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            sandbox,
            client,
            authorization,
        }
    }

    /// Sends a request; `place` is a path, or what a Location header said.
    async fn ask(
        &self,
        method: Method,
        place: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response<Bytes> {
        self.try_ask(method, place, headers, body).await.unwrap()
    }

    async fn try_ask(
        &self,
        method: Method,
        place: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Response<Bytes>> {
        let url = if place.starts_with('/') {
            format!("{}{place}", self.sandbox.endpoint())
        } else {
            place.to_owned()
        };
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", &self.authorization);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let (parts, body) = self.client.request(request).await.ok()?.into_parts();
        Some(Response::from_parts(
            parts,
            body.collect().await.unwrap().to_bytes(),
        ))
    }

    /// Begins an upload; gives its place.
    async fn begin(&self) -> String {
        let begun = self
            .ask(Method::POST, "/v2/shop/web/blobs/uploads/", &[], b"")
            .await;
        assert_eq!(begun.status(), StatusCode::ACCEPTED);
        header(&begun, "location")
    }
}

fn header(response: &Response<Bytes>, name: &str) -> String {
    response.headers()[name].to_str().unwrap().to_owned()
}

fn code(response: &Response<Bytes>) -> String {
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    body["errors"][0]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_token_the_registry_asks_for_basic_credentials() {
    let mut registry = Registry::start().await;
    assert_eq!(
        registry.ask(Method::GET, "/v2/", &[], b"").await.status(),
        StatusCode::OK
    );
    registry.authorization = "Basic QVdTOndyb25n".to_owned();
    let refused = registry.ask(Method::GET, "/v2/", &[], b"").await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(header(&refused, "www-authenticate").starts_with("Basic realm="));
    registry.sandbox.stop().await;
}

#[tokio::test]
async fn chunks_must_follow_each_other_and_only_the_last_may_be_small() {
    let registry = Registry::start().await;
    let place = registry.begin().await;
    let chunk = vec![b'x'; 5 * 1024 * 1024];
    let first = registry
        .ask(Method::PATCH, &place, &[("content-range", "0-5242879")], &chunk)
        .await;
    assert_eq!(first.status(), StatusCode::CREATED, "ECR answers 201");
    assert_eq!(header(&first, "range"), "0-5242879");
    let gap = registry
        .ask(
            Method::PATCH,
            &place,
            &[("content-range", "6000000-6000001")],
            b"xx",
        )
        .await;
    assert_eq!(gap.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let second = registry
        .ask(
            Method::PATCH,
            &place,
            &[("content-range", "5242880-5242881")],
            b"xx",
        )
        .await;
    assert_eq!(
        header(&second, "range"),
        "0-5242879",
        "the range stays that of the first chunk"
    );
    let third = registry.ask(Method::PATCH, &place, &[], b"x").await;
    assert_eq!(
        third.status(),
        StatusCode::BAD_REQUEST,
        "a small chunk was the last one"
    );
    assert_eq!(
        registry.ask(Method::GET, &place, &[], b"").await.status(),
        StatusCode::NOT_FOUND
    );
    registry.sandbox.stop().await;
}

#[tokio::test]
async fn a_digest_must_be_the_content_s_and_nothing_is_no_blob() {
    let registry = Registry::start().await;
    let put = async |body: &[u8]| {
        let place = format!("{}?digest={EMPTY_CONFIG}", registry.begin().await);
        registry.ask(Method::PUT, &place, &[], body).await
    };
    assert_eq!(code(&put(b"[]").await), "DIGEST_INVALID");
    assert_eq!(code(&put(b"").await), "BLOB_UPLOAD_INVALID");
    let stored = put(b"{}").await;
    assert_eq!(stored.status(), StatusCode::CREATED);
    assert_eq!(header(&stored, "docker-content-digest"), EMPTY_CONFIG);
    let place = format!("/v2/shop/web/blobs/{EMPTY_CONFIG}");
    let head = registry.ask(Method::HEAD, &place, &[], b"").await;
    assert_eq!(
        (head.status(), header(&head, "content-length").as_str()),
        (StatusCode::OK, "2")
    );
    let moved = registry.ask(Method::GET, &place, &[], b"").await;
    assert_eq!(moved.status(), StatusCode::TEMPORARY_REDIRECT);
    let layer = registry
        .ask(
            Method::GET,
            &header(&moved, "location"),
            &[("range", "bytes=1-1")],
            b"",
        )
        .await;
    assert_eq!(
        (layer.status(), &layer.body()[..]),
        (StatusCode::PARTIAL_CONTENT, &b"}"[..])
    );
    registry.sandbox.stop().await;
}

#[tokio::test]
async fn a_push_into_a_missing_repository_loses_its_connection() {
    let registry = Registry::start().await;
    let cut = registry
        .try_ask(Method::POST, "/v2/no/such/blobs/uploads/", &[], b"")
        .await;
    assert!(cut.is_none());
    let missing = registry.ask(Method::GET, "/v2/no/such/tags/list", &[], b"").await;
    assert_eq!(
        (missing.status(), code(&missing).as_str()),
        (StatusCode::NOT_FOUND, "NAME_UNKNOWN")
    );
    registry.sandbox.stop().await;
}

#[tokio::test]
async fn a_manifest_needs_its_blobs_and_an_immutable_tag_stays() {
    let registry = Registry::start().await;
    let ecr = aws_sdk_ecr::Client::new(&config(&registry.sandbox, REGION));
    ecr.put_image_tag_mutability()
        .repository_name("shop/web")
        .image_tag_mutability("IMMUTABLE".into())
        .send()
        .await
        .unwrap();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let text = |note: &str| {
        serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type, "annotations": { "note": note }, "layers": [],
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": EMPTY_CONFIG, "size": 2 },
        })
        .to_string()
    };
    let put = async |note: &str| {
        let (place, headers) = ("/v2/shop/web/manifests/v1", [("content-type", media_type)]);
        registry
            .ask(Method::PUT, place, &headers, text(note).as_bytes())
            .await
    };
    assert_eq!(code(&put("one").await), "MANIFEST_BLOB_UNKNOWN");
    let whole = format!("/v2/shop/web/blobs/uploads/?digest={EMPTY_CONFIG}");
    assert_eq!(
        registry.ask(Method::POST, &whole, &[], b"{}").await.status(),
        StatusCode::CREATED
    );
    let stored = put("one").await;
    assert_eq!(stored.status(), StatusCode::CREATED);
    assert_eq!(
        put("one").await.status(),
        StatusCode::CREATED,
        "the same image again is no problem"
    );
    assert_eq!(code(&put("two").await), "TAG_INVALID");
    let got = registry
        .ask(Method::GET, "/v2/shop/web/manifests/v1", &[], b"")
        .await;
    assert_eq!(header(&got, "content-type"), media_type);
    assert_eq!(
        header(&got, "docker-content-digest"),
        header(&stored, "docker-content-digest")
    );
    assert_eq!(&got.body()[..], text("one").as_bytes());
    let tags = registry
        .ask(Method::GET, "/v2/shop/web/tags/list", &[], b"")
        .await;
    assert_eq!(&tags.body()[..], br#"{"name":"shop/web","tags":["v1"]}"#);
    registry.sandbox.stop().await;
}
