//! The double's push: blobs that the registry lacks, then the manifest; failures in the words of the Engine.

use super::image::Image;
use super::wire::{Answer, exchange};
use base64::Engine as _;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::Value;
use slipway::name::Digest;

/// Pushes an image under a tag.
///
/// # Errors
/// The Engine's words for what went wrong.
pub async fn push(
    repository: &str,
    tag: &str,
    image: &Image,
    credentials: Option<(String, String)>,
) -> Result<(), String> {
    let (host, name) = repository.split_once('/').ok_or("invalid reference format")?;
    let push = Push {
        host,
        name,
        authorization: credentials.map(|(user, password)| {
            let pair = format!("{user}:{password}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }),
    };
    for blob in [&image.layer, &image.config] {
        push.blob(blob).await?;
    }
    let path = format!("/v2/{name}/manifests/{tag}");
    let body = Bytes::from(image.manifest.clone());
    let answer = push
        .ask(Method::PUT, &path, Some(Image::MEDIA_TYPE), body)
        .await?;
    accepted(&answer)
}

struct Push<'a> {
    host: &'a str,
    name: &'a str,
    authorization: Option<String>,
}

impl Push<'_> {
    async fn blob(&self, bytes: &[u8]) -> Result<(), String> {
        let (name, digest) = (self.name, Digest::of(bytes));
        let path = format!("/v2/{name}/blobs/{digest}");
        let there = self.ask(Method::HEAD, &path, None, Bytes::new()).await?;
        match there.status {
            StatusCode::OK => return Ok(()),
            StatusCode::NOT_FOUND => {}
            _ => accepted(&there)?,
        }
        let path = format!("/v2/{name}/blobs/uploads/");
        let begun = self.ask(Method::POST, &path, None, Bytes::new()).await?;
        accepted(&begun)?;
        let place = location(&begun)?;
        let sent = Bytes::copy_from_slice(bytes);
        let patched = self
            .ask(Method::PATCH, &place, Some("application/octet-stream"), sent)
            .await?;
        accepted(&patched)?;
        let place = location(&patched)?;
        let joint = if place.contains('?') { '&' } else { '?' };
        let path = format!("{place}{joint}digest={digest}");
        accepted(&self.ask(Method::PUT, &path, None, Bytes::new()).await?)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: Bytes,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        exchange(self.host, request, body).await
    }
}

/// Where an upload goes on: a path, whether the registry writes it as one or as a whole URL.
fn location(answer: &Answer) -> Result<String, String> {
    let place = answer
        .headers
        .get("location")
        .and_then(|place| place.to_str().ok());
    let place = place.ok_or("missing location header")?;
    let path = place
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
    Ok(path.unwrap_or_else(|| place.to_owned()))
}

/// The Engine's words for an answer that is no success.
fn accepted(answer: &Answer) -> Result<(), String> {
    if answer.status.is_success() {
        return Ok(());
    }
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = &document["errors"][0];
    Err(match (error["code"].as_str(), error["message"].as_str()) {
        (Some(code), Some(message)) => {
            format!("{}: {message}", code.to_lowercase().replace('_', " "))
        }
        _ if answer.status == StatusCode::UNAUTHORIZED => "no basic auth credentials".to_owned(),
        _ => format!("received unexpected HTTP status: {}", answer.status),
    })
}
