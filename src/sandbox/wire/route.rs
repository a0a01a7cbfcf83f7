//! Which service and operation a request is for.

use super::exchange::Head;
use super::query::unknown;
use super::service::Service;
use super::{registry, s3};
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

/// Finds the service and operation; reads the body where that takes it.
pub async fn read(head: &Head, body: Body) -> Ask {
    if head.path == "/v2" || head.path.starts_with("/v2/") {
        let asked = registry::Asked::of(head);
        return Ask {
            service: Service::Registry,
            operation: asked.name().to_owned(),
            asked: Asked::Registry(asked, body),
        };
    }
    if let Some(target) = head.header("x-amz-target") {
        return read_json(target, body).await;
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
        return Ask {
            service: Service::Registry,
            operation: "GetLayer".to_owned(),
            asked,
        };
    }
    if let Some(rest) = head.path.strip_prefix("/service/") {
        let error = ApiError::new(
            "UnknownOperationException",
            format!("the sandbox does not speak smithy-rpc-v2-cbor: {rest}"),
        );
        return Ask {
            service: Service::Ecs,
            operation: rest.to_owned(),
            asked: Asked::Bad(error),
        };
    }
    let asked = s3::Asked::of(head);
    Ask {
        service: Service::S3,
        operation: asked.name().to_owned(),
        asked: Asked::S3(asked, body),
    }
}

async fn read_json(target: &str, body: Body) -> Ask {
    let (prefix, operation) = target.split_once('.').unwrap_or((target, ""));
    let service = Service::of_target(prefix);
    let asked = match (service, collect(body).await) {
        (None, _) => Asked::Bad(ApiError::new(
            "UnknownOperationException",
            format!("the sandbox does not know the operation {operation} of {prefix}"),
        )),
        (Some(_), None) => Asked::Bad(ApiError::new(
            "SerializationException",
            "the request's body broke off, or is too large",
        )),
        (Some(_), Some(body)) => Asked::Json(body),
    };
    Ask {
        service: service.unwrap_or(Service::Ecs),
        operation: operation.to_owned(),
        asked,
    }
}

async fn read_query(body: Body) -> Ask {
    let body = collect(body).await.unwrap_or_default();
    let params: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let operation = params.get("Action").cloned().unwrap_or_default();
    let version = params.get("Version").cloned().unwrap_or_default();
    match Service::of_version(&version) {
        Some(service) => Ask {
            service,
            operation,
            asked: Asked::Query(params),
        },
        None => {
            let asked = Asked::Bad(unknown(&format!("the API version `{version}`"), &operation));
            Ask {
                service: Service::Sts,
                operation,
                asked,
            }
        }
    }
}

/// The whole body; `None` when it breaks off or is too large.
async fn collect(body: Body) -> Option<Bytes> {
    Limited::new(body, LIMIT)
        .collect()
        .await
        .ok()
        .map(http_body_util::Collected::to_bytes)
}
