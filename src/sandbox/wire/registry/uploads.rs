//! Blobs on their way in: sessions that receive chunks, and end with a digest that must be theirs.

use super::super::Site;
use super::super::exchange::{Head, Reply};
use super::super::spool::{Hashes, append};
use super::{broken, refuse};
use crate::sandbox::journal;
use crate::sandbox::world::ecr::manifest::is_digest;
use crate::sandbox::world::error::ApiError;
use axum::body::Body;
use http::StatusCode;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The least size of a chunk that is not the last one.
pub const LEAST_CHUNK: u64 = 5 * 1024 * 1024;

/// The uploads under way; one that is being written is taken out, so that nobody else can write it.
#[derive(Debug, Default)]
pub struct Uploads {
    open: Mutex<BTreeMap<String, Upload>>,
}

/// An upload under way.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Where it goes.
    pub repository: String,
    /// The file that it is written to.
    pub file: String,
    /// The hashes so far.
    pub hashes: Hashes,
    /// The last byte of the first chunk: ECR's `Range` never gets beyond it.
    first_chunk: Option<u64>,
    /// Whether the last chunk was too small for another to follow.
    closed: bool,
}

impl Upload {
    /// An empty one.
    pub fn new(repository: &str, file: String) -> Self {
        Self {
            repository: repository.to_owned(),
            file,
            hashes: Hashes::new(None),
            first_chunk: None,
            closed: false,
        }
    }
}

impl Uploads {
    /// Keeps an upload, under its file's name.
    pub fn put(&self, upload: Upload) -> String {
        let id = upload.file.clone();
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), upload);
        id
    }

    /// Takes an upload out.
    pub fn take(&self, id: &str) -> Option<Upload> {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id)
    }
}

/// The file of a blob.
pub fn blob_file(digest: &str) -> String {
    format!("blob-{}", digest.trim_start_matches("sha256:"))
}

/// POST: begins an upload, mounts a blob, or takes a whole one; `None` cuts the connection.
pub(super) async fn start(
    site: &Site,
    head: &Head,
    name: &str,
    body: Body,
    received: &mut journal::Body,
) -> Result<Option<Reply>, ApiError> {
    if site.shared.visit(|world, _| world.ecr.repository(name).is_err()) {
        return Ok(None);
    }
    if let (Some(digest), Some(from)) = (head.parameter("mount"), head.parameter("from")) {
        let mounted = site.shared.visit(|world, _| {
            let size = world.ecr.can_mount(from, name, digest)?;
            world
                .ecr
                .repository_mut(name)
                .ok()?
                .blobs
                .insert(digest.to_owned(), size)
                .or(Some(size))
        });
        if mounted.is_some() {
            return Ok(Some(created(site, name, digest)));
        }
    }
    let upload = Upload::new(name, site.spool.name());
    if let Some(digest) = head.parameter("digest") {
        return complete(site, upload, digest, body, received).await.map(Some);
    }
    let id = site.uploads.put(upload);
    Ok(Some(under_way(site, StatusCode::ACCEPTED, name, &id, 0)))
}

/// PATCH: appends a chunk.
pub(super) async fn patch(
    site: &Site,
    head: &Head,
    name: &str,
    id: &str,
    body: Body,
    received: &mut journal::Body,
) -> Result<Reply, ApiError> {
    let mut upload = take(site, name, id)?;
    if let Err(refusal) = check_chunk(head, &upload) {
        site.uploads.put(upload);
        return Err(refusal);
    }
    let path = site.spool.path(&upload.file);
    // A chunk that breaks off takes its session with it: ECR never resumes one.
    let bytes = append(&path, body.into_data_stream(), &mut upload.hashes)
        .await
        .map_err(|error| broken(&error))?;
    *received = journal::Body::Binary { bytes, sha256: None };
    upload.closed = bytes < LEAST_CHUNK;
    let last = *upload
        .first_chunk
        .get_or_insert(upload.hashes.bytes().saturating_sub(1));
    site.uploads.put(upload);
    Ok(under_way(site, StatusCode::CREATED, name, id, last))
}

/// A chunk must go on where the last one ended, and only the last may be small.
fn check_chunk(head: &Head, upload: &Upload) -> Result<(), ApiError> {
    if upload.closed {
        let text = "A chunk of less than 5 MiB must be the last one";
        return Err(refuse(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", text));
    }
    let Some(content_range) = head.header("content-range") else {
        return Ok(());
    };
    let expected = upload.hashes.bytes();
    let first = content_range
        .trim_start_matches("bytes ")
        .split('-')
        .next()
        .and_then(|first| first.parse().ok());
    if first == Some(expected) {
        return Ok(());
    }
    let text = format!(
        "First byte of the layer part is {} instead of {expected}",
        first.unwrap_or(0_u64)
    );
    Err(refuse(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", &text))
}

/// PUT: appends what is left, and ends the upload.
pub(super) async fn finish(
    site: &Site,
    head: &Head,
    name: &str,
    id: &str,
    body: Body,
    received: &mut journal::Body,
) -> Result<Reply, ApiError> {
    let Some(digest) = head.parameter("digest") else {
        return Err(refuse(
            StatusCode::BAD_REQUEST,
            "DIGEST_INVALID",
            "the digest is missing",
        ));
    };
    let upload = take(site, name, id)?;
    complete(site, upload, digest, body, received).await
}

async fn complete(
    site: &Site,
    mut upload: Upload,
    digest: &str,
    body: Body,
    received: &mut journal::Body,
) -> Result<Reply, ApiError> {
    let path = site.spool.path(&upload.file);
    let bytes = append(&path, body.into_data_stream(), &mut upload.hashes)
        .await
        .map_err(|error| broken(&error))?;
    if bytes > 0 {
        *received = journal::Body::Binary { bytes, sha256: None };
    }
    let actual = format!("sha256:{}", upload.hashes.sha256_hex());
    if upload.hashes.bytes() == 0 {
        site.spool.discard(&upload.file).await;
        let text = "The upload does not have any parts";
        return Err(refuse(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", text));
    }
    if !is_digest(digest) || actual != digest {
        site.spool.discard(&upload.file).await;
        let text = format!("provided digest {digest} did not match uploaded content {actual}");
        return Err(refuse(StatusCode::BAD_REQUEST, "DIGEST_INVALID", &text));
    }
    keep(site, &upload, digest).await?;
    Ok(created(site, &upload.repository, digest))
}

/// Makes a whole upload a blob of its repository.
///
/// # Errors
/// When it cannot be stored, or the repository is gone.
pub async fn keep(site: &Site, upload: &Upload, digest: &str) -> Result<(), ApiError> {
    site.spool
        .rename(&upload.file, &blob_file(digest))
        .await
        .map_err(|error| broken(&error))?;
    let size = upload.hashes.bytes();
    site.shared.visit(|world, _| {
        let repository = world.ecr.repository_mut(&upload.repository)?;
        repository.blobs.insert(digest.to_owned(), size);
        Ok(())
    })
}

/// DELETE: forgets an upload.
pub(super) async fn cancel(site: &Site, id: &str) -> Result<Reply, ApiError> {
    let upload = site.uploads.take(id).ok_or_else(unknown_upload)?;
    site.spool.discard(&upload.file).await;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn unknown_upload() -> ApiError {
    refuse(
        StatusCode::NOT_FOUND,
        "BLOB_UPLOAD_UNKNOWN",
        "blob upload unknown to registry",
    )
}

fn take(site: &Site, name: &str, id: &str) -> Result<Upload, ApiError> {
    let upload = site.uploads.take(id).ok_or_else(unknown_upload)?;
    if upload.repository == name {
        return Ok(upload);
    }
    site.uploads.put(upload);
    Err(unknown_upload())
}

fn under_way(site: &Site, status: StatusCode, name: &str, id: &str, last: u64) -> Reply {
    Reply::empty(status)
        .with(
            "location",
            &format!("http://{}/v2/{name}/blobs/uploads/{id}", site.registry_host),
        )
        .with("docker-upload-uuid", id)
        .with("range", &format!("0-{last}"))
}

fn created(site: &Site, name: &str, digest: &str) -> Reply {
    Reply::empty(StatusCode::CREATED)
        .with(
            "location",
            &format!("http://{}/v2/{name}/blobs/{digest}", site.registry_host),
        )
        .with("docker-content-digest", digest)
}
