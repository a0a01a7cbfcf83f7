//! A registry that serves one image, to whoever knows the password.

use super::image::{Image, MANIFEST};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{StatusCode, header};
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves an image as every repository's tag `1`; gives the registry's host.
pub async fn serve(image: Arc<Image>, password: &str) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("AWS:{password}")));
    let router = Router::new().fallback(move |request: Request| {
        let response = answer(&image, &expected, &request);
        async move { response }
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    host
}

fn answer(image: &Image, expected: &str, request: &Request) -> Response {
    let known = request.headers().get(header::AUTHORIZATION);
    if known.is_none_or(|known| known != expected) {
        return Response::builder()
            .status(StatusCode::UNAUTHORIZED)
            .header(header::WWW_AUTHENTICATE, "Basic realm=\"sandbox\"")
            .body(Body::from(
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#,
            ))
            .unwrap();
    }
    let path = request.uri().path();
    let (kind, bytes) = match path.rsplit_once('/') {
        Some(("/v2", "")) => ("application/json", b"{}".as_slice()),
        Some((above, name)) if above.ends_with("/manifests") && (name == "1" || name == image.digest) => {
            (MANIFEST, image.manifest.as_slice())
        }
        Some((_, name)) if image.blobs.contains_key(name) => {
            ("application/octet-stream", image.blobs[name].as_slice())
        }
        _ => {
            return Response::builder()
                .status(StatusCode::NOT_FOUND)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(
                    r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
                ))
                .unwrap();
        }
    };
    Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, bytes.len())
        .header(
            "docker-content-digest",
            if kind == MANIFEST { &image.digest } else { "" },
        )
        .body(Body::from(bytes.to_vec()))
        .unwrap()
}
