//! The registry `/v2` as ECR serves it: the distribution specification with ECR's quirks.
//!
//! A repository must exist before a push: ECR cuts the connection of an upload into a missing one. A PATCH is answered
//! 201, which every client takes for success as it takes the specification's 202 (tried: the Engine 20.10, skopeo).

mod blobs;
mod manifests;
mod uploads;

use super::Site;
use super::exchange::{Head, Outcome, Reply};
use super::service::Service;
use crate::sandbox::journal;
use crate::sandbox::world::error::ApiError;
use axum::body::Body;
pub use blobs::serve_layer;
use http::{Method, StatusCode};
pub use uploads::{Upload, Uploads, blob_file, keep};

/// A request to the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    method: Method,
    place: Place,
}

/// What a path of the registry names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Base,
    Tags(String),
    Referrers(String, String),
    Manifest(String, String),
    Blob(String, String),
    Uploads(String),
    Upload(String, String),
    Nowhere,
}

impl Asked {
    /// Reads the path; a repository's name may have any depth.
    pub fn of(head: &Head) -> Self {
        Self {
            method: head.method.clone(),
            place: Place::of(&head.path),
        }
    }

    /// What the journal and scenarios call it.
    pub fn name(&self) -> &'static str {
        let read = self.method == Method::GET || self.method == Method::HEAD;
        match &self.place {
            Place::Base => "Ping",
            Place::Tags(_) => "ListTags",
            Place::Referrers(..) => "ListReferrers",
            Place::Manifest(..) if self.method == Method::HEAD => "HeadManifest",
            Place::Manifest(..) if read => "GetManifest",
            Place::Manifest(..) if self.method == Method::DELETE => "DeleteManifest",
            Place::Manifest(..) => "PutManifest",
            Place::Blob(..) if self.method == Method::HEAD => "HeadBlob",
            Place::Blob(..) => "GetBlob",
            Place::Uploads(_) => "StartUpload",
            Place::Upload(..) if read => "GetUpload",
            Place::Upload(..) if self.method == Method::PATCH => "PatchUpload",
            Place::Upload(..) if self.method == Method::DELETE => "CancelUpload",
            Place::Upload(..) => "PutUpload",
            Place::Nowhere => "Unknown",
        }
    }
}

impl Place {
    fn of(path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/v2/").filter(|rest| !rest.is_empty()) else {
            return Self::Base;
        };
        let own = str::to_owned;
        if let Some(name) = rest.strip_suffix("/tags/list") {
            Self::Tags(own(name))
        } else if let Some((name, id)) = rest.rsplit_once("/blobs/uploads/") {
            if id.is_empty() {
                Self::Uploads(own(name))
            } else {
                Self::Upload(own(name), own(id))
            }
        } else if let Some(name) = rest.strip_suffix("/blobs/uploads") {
            Self::Uploads(own(name))
        } else if let Some((name, digest)) = rest.rsplit_once("/blobs/") {
            Self::Blob(own(name), own(digest))
        } else if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
            Self::Manifest(own(name), own(reference))
        } else if let Some((name, digest)) = rest.rsplit_once("/referrers/") {
            Self::Referrers(own(name), own(digest))
        } else {
            Self::Nowhere
        }
    }
}

/// Answers one request.
pub async fn answer(site: &Site, head: &Head, asked: Asked, body: Body) -> Outcome {
    let mut received = journal::Body::Empty;
    let result = match (asked.method, asked.place) {
        (Method::GET | Method::HEAD, Place::Base) => {
            Ok(Some(Reply::text(StatusCode::OK, "application/json", "{}")))
        }
        (Method::GET, Place::Tags(name)) => manifests::list_tags(site, head, &name).map(Some),
        (Method::GET, Place::Referrers(name, digest)) => {
            manifests::referrers(site, head, &name, &digest).map(Some)
        }
        (Method::GET | Method::HEAD, Place::Manifest(name, reference)) => {
            manifests::fetch(site, &name, &reference).map(Some)
        }
        (Method::PUT, Place::Manifest(name, reference)) => {
            manifests::put(site, head, &name, &reference, body, &mut received)
                .await
                .map(Some)
        }
        (Method::DELETE, Place::Manifest(name, reference)) => {
            manifests::delete(site, &name, &reference).map(Some)
        }
        (Method::GET | Method::HEAD, Place::Blob(name, digest)) => {
            blobs::fetch(site, &head.method, &name, &digest).map(Some)
        }
        (Method::POST, Place::Uploads(name)) => {
            Box::pin(uploads::start(site, head, &name, body, &mut received)).await
        }
        (Method::PATCH, Place::Upload(name, id)) => {
            Box::pin(uploads::patch(site, head, &name, &id, body, &mut received))
                .await
                .map(Some)
        }
        (Method::PUT, Place::Upload(name, id)) => {
            Box::pin(uploads::finish(site, head, &name, &id, body, &mut received))
                .await
                .map(Some)
        }
        (Method::DELETE, Place::Upload(_, id)) => uploads::cancel(site, &id).await.map(Some),
        // ECR does not tell how far an upload is.
        (_, Place::Upload(..)) => Err(uploads::unknown_upload()),
        _ => Err(refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "UNSUPPORTED",
            "The operation is unsupported.",
        )),
    };
    let reply = match result {
        Ok(Some(reply)) => Some(reply.with("docker-distribution-api-version", "registry/2.0")),
        Ok(None) => None,
        Err(error) => Some(Service::Registry.refuse(&error, "")),
    };
    Outcome { reply, received }
}

/// An error of the distribution specification.
fn refuse(status: StatusCode, code: &str, message: &str) -> ApiError {
    ApiError::new(code, message).status(status.as_u16())
}

/// `NAME_UNKNOWN`, in the words of ECR's own error.
fn name_unknown(error: &ApiError) -> ApiError {
    refuse(StatusCode::NOT_FOUND, "NAME_UNKNOWN", &error.message)
}

/// What a broken connection or a full disk is to the client, if it still listens.
fn broken(error: &std::io::Error) -> ApiError {
    tracing::debug!(%error, "an upload broke off");
    refuse(
        StatusCode::INTERNAL_SERVER_ERROR,
        "UNKNOWN",
        "the upload broke off, or could not be stored",
    )
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn repositories_may_have_any_depth() {
        let own = str::to_owned;
        for (path, place) in [
            ("/v2/", Place::Base),
            ("/v2", Place::Base),
            ("/v2/web/tags/list", Place::Tags(own("web"))),
            ("/v2/a/b/c/manifests/v1", Place::Manifest(own("a/b/c"), own("v1"))),
            (
                "/v2/blobs/blobs/sha256:1",
                Place::Blob(own("blobs"), own("sha256:1")),
            ),
            ("/v2/a/b/blobs/uploads/", Place::Uploads(own("a/b"))),
            ("/v2/a/b/blobs/uploads", Place::Uploads(own("a/b"))),
            ("/v2/a/b/blobs/uploads/7", Place::Upload(own("a/b"), own("7"))),
            (
                "/v2/a/referrers/sha256:1",
                Place::Referrers(own("a"), own("sha256:1")),
            ),
            ("/v2/_catalog", Place::Nowhere),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }
}
