//! Manifests, tags and referrers.

use super::super::Site;
use super::super::exchange::{Head, Reply};
use super::{name_unknown, refuse};
use crate::sandbox::journal;
use crate::sandbox::world::ecr::manifest::{OCI_INDEX, is_digest};
use crate::sandbox::world::ecr::repository::{Put, Refusal, Repository, is_tag};
use crate::sandbox::world::ecr::tag_taken;
use crate::sandbox::world::error::ApiError;
use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use serde_json::json;

/// The most bytes of a manifest (PutImage: 4,194,304).
const LIMIT: usize = 4 * 1024 * 1024;

/// GET and HEAD.
pub(super) fn fetch(site: &Site, name: &str, reference: &str) -> Result<Reply, ApiError> {
    look(site, name, |repository| {
        let image = repository.find(reference).ok_or_else(manifest_unknown)?;
        let mut reply = Reply::empty(StatusCode::OK)
            .with("content-type", &image.manifest.media_type)
            .with("docker-content-digest", &image.digest);
        reply.content = super::super::Content::Bytes(Bytes::from(image.text.clone()));
        Ok(reply)
    })
}

/// PUT, by tag or by digest.
pub(super) async fn put(
    site: &Site,
    head: &Head,
    name: &str,
    reference: &str,
    body: Body,
    received: &mut journal::Body,
) -> Result<Reply, ApiError> {
    let body = Limited::new(body, LIMIT).collect().await;
    let body = body
        .map_err(|_| invalid("the manifest broke off, or is larger than 4 MiB"))?
        .to_bytes();
    *received = journal::Body::of(&body);
    let text = std::str::from_utf8(&body).map_err(|_| invalid("the manifest is no text"))?;
    let by_digest = is_digest(reference);
    if !by_digest && !is_tag(reference) {
        return Err(refuse(
            StatusCode::BAD_REQUEST,
            "TAG_INVALID",
            "manifest tag did not match URI",
        ));
    }
    let put = Put {
        text,
        media_type: head.header("content-type"),
        tag: (!by_digest).then_some(reference),
        digest: by_digest.then_some(reference),
    };
    let (stored, subject) = site.shared.visit(|world, now| {
        let repository = world
            .ecr
            .repository_mut(name)
            .map_err(|error| name_unknown(&error))?;
        let stored = repository
            .put(now, put)
            .map_err(|refusal| refused(name, put.tag, refusal))?;
        let subject = repository
            .find(&stored.digest)
            .and_then(|image| image.manifest.subject.clone());
        Ok((stored, subject))
    })?;
    let reply = Reply::empty(StatusCode::CREATED)
        .with(
            "location",
            &format!(
                "http://{}/v2/{name}/manifests/{}",
                site.registry_host, stored.digest
            ),
        )
        .with("docker-content-digest", &stored.digest);
    Ok(match subject {
        Some(subject) => reply.with("oci-subject", &subject),
        None => reply,
    })
}

/// DELETE: a tag, or an image with its tags.
pub(super) fn delete(site: &Site, name: &str, reference: &str) -> Result<Reply, ApiError> {
    site.shared.visit(|world, _| {
        let repository = world
            .ecr
            .repository_mut(name)
            .map_err(|error| name_unknown(&error))?;
        if !is_digest(reference) {
            repository.untag(reference).ok_or_else(manifest_unknown)?;
        } else if repository.parent_of(reference).is_some() {
            return Err(refuse(
                StatusCode::FORBIDDEN,
                "DENIED",
                "Requested image referenced by manifest list",
            ));
        } else {
            repository.remove(reference).ok_or_else(manifest_unknown)?;
        }
        Ok(Reply::empty(StatusCode::ACCEPTED))
    })
}

/// The tags, page by page (`n`, `last`).
pub(super) fn list_tags(site: &Site, head: &Head, name: &str) -> Result<Reply, ApiError> {
    let size = head
        .parameter("n")
        .and_then(|n| n.parse().ok())
        .filter(|n| (1..=1000).contains(n))
        .unwrap_or(1000);
    let after = head.parameter("last").unwrap_or_default();
    look(site, name, |repository| {
        let rest: Vec<&String> = repository
            .tags()
            .keys()
            .filter(|tag| tag.as_str() > after)
            .collect();
        let page: Vec<&String> = rest.iter().take(size).copied().collect();
        let body = json!({ "name": name, "tags": page }).to_string();
        let reply = Reply::text(StatusCode::OK, "application/json", body);
        Ok(match page.last().filter(|_| rest.len() > page.len()) {
            Some(last) => reply.with(
                "link",
                &format!("</v2/{name}/tags/list?n={size}&last={last}>; rel=\"next\""),
            ),
            None => reply,
        })
    })
}

/// The manifests that are about a digest, as an index.
pub(super) fn referrers(site: &Site, head: &Head, name: &str, digest: &str) -> Result<Reply, ApiError> {
    let wanted = head.parameter("artifactType");
    look(site, name, |repository| {
        let about = repository.images().filter(|image| {
            image.manifest.subject.as_deref() == Some(digest)
                && wanted.is_none_or(|wanted| image.manifest.artifact_type.as_deref() == Some(wanted))
        });
        let manifests = about.map(|image| {
            json!({
                "mediaType": image.manifest.media_type,
                "digest": image.digest,
                "size": image.text.len(),
                "artifactType": image.manifest.artifact_type,
            })
        });
        let manifests: Vec<_> = manifests.collect();
        let body = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests }).to_string();
        let reply = Reply::text(StatusCode::OK, OCI_INDEX, body);
        Ok(if wanted.is_some() {
            reply.with("oci-filters-applied", "artifactType")
        } else {
            reply
        })
    })
}

fn look<T>(
    site: &Site,
    name: &str,
    act: impl FnOnce(&Repository) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    site.shared
        .visit(|world, _| act(world.ecr.repository(name).map_err(|error| name_unknown(&error))?))
}

fn refused(name: &str, tag: Option<&str>, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Invalid(problem) => invalid(&problem),
        Refusal::DigestMismatch { actual } => {
            let text = format!("provided digest did not match uploaded content {actual}");
            refuse(StatusCode::BAD_REQUEST, "DIGEST_INVALID", &text)
        }
        Refusal::TagTaken => refuse(StatusCode::BAD_REQUEST, "TAG_INVALID", &tag_taken(name, tag)),
        Refusal::LayersMissing(digests) | Refusal::ImagesMissing(digests) => {
            let text = format!("manifest references unknown content: {}", digests.join(", "));
            refuse(StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN", &text)
        }
    }
}

fn invalid(problem: &str) -> ApiError {
    refuse(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", problem)
}

fn manifest_unknown() -> ApiError {
    refuse(
        StatusCode::NOT_FOUND,
        "MANIFEST_UNKNOWN",
        "Requested image not found",
    )
}
