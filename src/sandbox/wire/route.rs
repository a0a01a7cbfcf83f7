//! Which service and operation a request is for.

use super::exchange::Head;
use super::query::unknown;
use super::service::Service;
use super::{cbor, registry, s3};
use crate::sandbox::journal;
use crate::sandbox::world::error::ApiError;
use axum::body::Body;
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt as _, Limited};
use std::collections::BTreeMap;

/// The most bytes of an API request; a layer part of 20 MiB in base64 is the largest there is (UploadLayerPart).
const LIMIT: usize = 32 * 1024 * 1024;

/// A request whose service and operation are known.
#[derive(Debug)]
pub struct Ask {
    /// The service.
    pub service: Service,
    /// The operation's name, as AWS calls it.
    pub operation: String,
    /// What is asked.
    pub asked: Asked,
    /// How the answer is encoded.
    pub encoding: Encoding,
}

/// How the body of an answer is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As its service speaks.
    Native,
    /// CBOR in the place of JSON.
    Cbor,
}

impl Ask {
    fn native(service: Service, operation: impl Into<String>, asked: Asked) -> Self {
        Self {
            service,
            operation: operation.into(),
            asked,
            encoding: Encoding::Native,
        }
    }
}

/// What is asked, as each kind of wire reads it.
#[derive(Debug)]
pub enum Asked {
    /// The body of an awsJson operation.
    Json(Bytes),
    /// The parameters of an awsQuery operation.
    Query(BTreeMap<String, String>),
    /// A request to the registry, its body unread.
    Registry(registry::Asked, Body),
    /// A request to S3, its body unread.
    S3(s3::Asked, Body),
    /// A layer, by the URL that the registry gave: its digest.
    Layer(String),
    /// A request that nobody knows.
    Bad(ApiError),
}

impl Asked {
    /// The body that was read, as the journal shows it; empty while it is unread.
    pub fn received(&self) -> journal::Body {
        match self {
            Self::Json(body) => journal::Body::of(body),
            Self::Query(params) => {
                let mut form = form_urlencoded::Serializer::new(String::new());
                journal::Body::of(form.extend_pairs(params).finish().as_bytes())
            }
            Self::Registry(..) | Self::S3(..) | Self::Layer(_) | Self::Bad(_) => journal::Body::Empty,
        }
    }
}

/// Finds the service and operation; reads the body where that takes it.
pub async fn read(head: &Head, body: Body) -> Ask {
    if head.path == "/v2" || head.path.starts_with("/v2/") {
        let asked = registry::Asked::of(head);
        let operation = asked.name();
        return Ask::native(Service::Registry, operation, Asked::Registry(asked, body));
    }
    if let Some(target) = head.header("x-amz-target") {
        return read_json(target, body).await;
    }
    if let Some(rest) = head.path.strip_prefix("/service/") {
        return read_cbor(head, rest, body).await;
    }
    if head.path == "/" && head.method == Method::POST {
        return read_query(body).await;
    }
    if let Some(digest) = head
        .path
        .contains("-starport-layer-bucket/")
        .then(|| head.path.rsplit('/').next())
        .flatten()
    {
        let asked = Asked::Layer(digest.to_owned());
        return Ask::native(Service::Registry, "GetLayer", asked);
    }
    let asked = s3::Asked::of(head);
    Ask::native(Service::S3, asked.name(), Asked::S3(asked, body))
}

async fn read_json(target: &str, body: Body) -> Ask {
    let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
    let Some(service) = Service::of_target(prefix) else {
        let error = ApiError::new(
            "UnknownOperationException",
            format!("the sandbox does not know the operation {operation} of {prefix}"),
        );
        return Ask::native(Service::Ecs, operation, Asked::Bad(error));
    };
    let asked = match collect(body).await {
        None => Asked::Bad(broken_off()),
        Some(body) => Asked::Json(body),
    };
    Ask::native(service, operation, asked)
}

/// `/service/TARGET/operation/NAME` of smithy-rpc-v2-cbor; `rest` is what follows `/service/`.
async fn read_cbor(head: &Head, rest: &str, body: Body) -> Ask {
    let (prefix, operation) = rest.split_once("/operation/").unwrap_or((rest, ""));
    let known = Service::of_target(prefix).filter(|service| service.speaks_cbor());
    let unknown = |text: String| Asked::Bad(ApiError::new("UnknownOperationException", text));
    let asked = match known {
        None => unknown(format!(
            "the sandbox does not know the operation {operation} of {prefix} in smithy-rpc-v2-cbor"
        )),
        Some(_) if head.method != Method::POST || head.header("smithy-protocol") != Some(cbor::PROTOCOL) => {
            unknown("this is no request of smithy-rpc-v2-cbor".to_owned())
        }
        Some(_) => read_cbor_body(head, body).await.unwrap_or_else(Asked::Bad),
    };
    Ask {
        service: known.unwrap_or(Service::CodePipeline),
        operation: operation.to_owned(),
        asked,
        encoding: Encoding::Cbor,
    }
}

async fn read_cbor_body(head: &Head, body: Body) -> Result<Asked, ApiError> {
    let body = collect(body).await.ok_or_else(broken_off)?;
    if !body.is_empty() && head.header("content-type") != Some(cbor::CONTENT_TYPE) {
        let text = format!("the content type of a body is {}", cbor::CONTENT_TYPE);
        return Err(ApiError::new("SerializationException", text).status(415));
    }
    Ok(Asked::Json(cbor::decode(&body)?.to_string().into()))
}

async fn read_query(body: Body) -> Ask {
    let body = collect(body).await.unwrap_or_default();
    let params: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let operation = params.get("Action").cloned().unwrap_or_default();
    let version = params.get("Version").cloned().unwrap_or_default();
    match Service::of_version(&version) {
        Some(service) => Ask::native(service, operation, Asked::Query(params)),
        None => {
            let asked = Asked::Bad(unknown(&format!("the API version `{version}`"), &operation));
            Ask::native(Service::Sts, operation, asked)
        }
    }
}

fn broken_off() -> ApiError {
    ApiError::new(
        "SerializationException",
        "the request's body broke off, or is too large",
    )
}

/// The whole body; `None` when it breaks off or is too large.
async fn collect(body: Body) -> Option<Bytes> {
    Limited::new(body, LIMIT)
        .collect()
        .await
        .ok()
        .map(http_body_util::Collected::to_bytes)
}
