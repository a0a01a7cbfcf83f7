//! Blobs that are there: HEAD in the registry, GET through a redirect to the bucket behind it, as ECR serves them.

use super::super::Site;
use super::super::exchange::{Content, Head, Reply, Stretch, range};
use super::{name_unknown, refuse};
use crate::sandbox::world::ecr::Ecr;
use crate::sandbox::world::error::ApiError;
use http::{Method, StatusCode};

/// HEAD answers itself, GET redirects to a presigned URL.
pub(super) fn fetch(site: &Site, method: &Method, name: &str, digest: &str) -> Result<Reply, ApiError> {
    let (size, url) = site.shared.visit(|world, _| {
        let repository = world.ecr.repository(name).map_err(|error| name_unknown(&error))?;
        let size = repository.blobs.get(digest).copied();
        Ok((size, world.ecr.download_url(name, digest)))
    })?;
    let size =
        size.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry"))?;
    if method == Method::GET {
        return Ok(Reply::empty(StatusCode::TEMPORARY_REDIRECT)
            .with("location", &url)
            .with("docker-content-digest", digest));
    }
    let mut reply = Reply::empty(StatusCode::OK)
        .with("content-type", "application/octet-stream")
        .with("docker-content-digest", digest);
    reply.content = Content::File(Stretch {
        path: site.spool.path(&super::blob_file(digest)),
        offset: 0,
        length: size,
    });
    Ok(reply)
}

/// Serves a layer by its presigned URL.
///
/// S3 refuses a request that is signed twice; here the bucket has the registry's own address, so that clients rightly
/// keep their Authorization header over the redirect.
///
/// # Errors
/// When the layer is missing, or the range lies outside.
pub fn serve_layer(site: &Site, head: &Head, digest: &str) -> Result<Reply, ApiError> {
    let prefix = Ecr::layer_bucket(&site.region);
    let name = head
        .path
        .strip_prefix(&prefix)
        .and_then(|rest| rest.rsplit_once('/'))
        .map(|(name, _)| name);
    let size = site.shared.visit(|world, _| {
        let repository = world.ecr.repository(name?).ok()?;
        repository.blobs.get(digest).copied()
    });
    let size =
        size.ok_or_else(|| refuse(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry"))?;
    let wanted = range(head.header("range"), size).map_err(|()| {
        refuse(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "RANGE_INVALID",
            "invalid content range",
        )
    })?;
    let (status, offset, last) = match wanted {
        Some((first, last)) => (StatusCode::PARTIAL_CONTENT, first, last),
        None => (StatusCode::OK, 0, size.saturating_sub(1)),
    };
    let mut reply = Reply::empty(status)
        .with("content-type", "application/octet-stream")
        .with("accept-ranges", "bytes")
        .with("docker-content-digest", digest);
    if wanted.is_some() {
        reply = reply.with("content-range", &format!("bytes {offset}-{last}/{size}"));
    }
    reply.content = Content::File(Stretch {
        path: site.spool.path(&super::blob_file(digest)),
        offset,
        length: last + 1 - offset,
    });
    Ok(reply)
}
