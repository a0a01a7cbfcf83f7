//! Objects: put, get, head, delete.

use super::super::Site;
use super::super::exchange::{Content, Head, Reply, Stretch, range};
use super::super::spool::hex;
use super::{body, headers, no_such_bucket};
use crate::sandbox::journal;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::s3::Object;
use axum::body::Body;
use http::StatusCode;

/// The longest key, in bytes.
const LONGEST_KEY: usize = 1024;

pub(super) async fn put(
    site: &Site,
    head: &Head,
    bucket: &str,
    key: &str,
    body: Body,
    noted: &mut journal::Body,
) -> Result<Reply, ApiError> {
    let stored = body::receive(site, head, body, noted).await?;
    let file = stored.received.file.clone();
    let placed = place(site, head, bucket, key, stored);
    match placed {
        Ok((reply, replaced)) => {
            if let Some(replaced) = replaced {
                site.spool.discard(&replaced).await;
            }
            Ok(reply)
        }
        Err(refusal) => {
            site.spool.discard(&file).await;
            Err(refusal)
        }
    }
}

/// Puts a stored body into its bucket; gives the file that it replaces.
fn place(
    site: &Site,
    head: &Head,
    bucket: &str,
    key: &str,
    stored: body::Stored,
) -> Result<(Reply, Option<String>), ApiError> {
    check_key(key)?;
    let traits = headers::read(head, &site.region)?;
    let etag = hex(&stored.received.md5);
    let (name, value) = stored.checksum.clone();
    let reply = headers::show_encryption(Reply::empty(StatusCode::OK), &traits.encryption)
        .with("etag", &format!("\"{etag}\""))
        .with(&name, &value)
        .with("x-amz-checksum-type", "FULL_OBJECT");
    let replaced = site.shared.visit(|world, now| {
        let bucket = world.s3.bucket_mut(bucket).ok_or_else(no_such_bucket)?;
        if head.header("if-none-match") == Some("*") && bucket.objects.contains_key(key) {
            return Err(precondition_failed());
        }
        let object = Object {
            file: stored.received.file,
            size: stored.received.bytes,
            etag,
            modified: now,
            traits,
            checksum: Some(stored.checksum),
            parts: None,
        };
        let replaced = bucket.objects.insert(key.to_owned(), object);
        Ok(replaced.and_then(|object| world.s3.released(object)))
    })?;
    Ok((reply, replaced))
}

/// GET and HEAD.
pub(super) fn fetch(site: &Site, head: &Head, bucket: &str, key: &str) -> Result<Reply, ApiError> {
    headers::refuse_encryption(head)?;
    let object = site.shared.visit(|world, _| {
        let bucket = world.s3.bucket(bucket).ok_or_else(no_such_bucket)?;
        let missing = || ApiError::new("NoSuchKey", "The specified key does not exist.").status(404);
        bucket.objects.get(key).cloned().ok_or_else(missing)
    })?;
    if head
        .header("if-match")
        .is_some_and(|wanted| !matches_etag(wanted, &object.etag))
    {
        return Err(precondition_failed());
    }
    let wanted = range(head.header("range"), object.size)
        .map_err(|()| ApiError::new("InvalidRange", "The requested range is not satisfiable").status(416))?;
    let (status, first, length) = match wanted {
        Some((first, last)) => (StatusCode::PARTIAL_CONTENT, first, last + 1 - first),
        None => (StatusCode::OK, 0, object.size),
    };
    let mut reply = headers::show_object(Reply::empty(status), &object);
    if wanted.is_some() {
        let last = first + length - 1;
        reply = reply.with("content-range", &format!("bytes {first}-{last}/{}", object.size));
    } else if let Some((name, value)) = &object.checksum
        && head
            .header("x-amz-checksum-mode")
            .is_some_and(|mode| mode.eq_ignore_ascii_case("enabled"))
    {
        reply = reply.with(name, value).with("x-amz-checksum-type", "FULL_OBJECT");
    }
    reply.content = Content::File(Stretch {
        path: site.spool.path(&object.file),
        offset: first,
        length,
    });
    Ok(reply)
}

fn matches_etag(wanted: &str, etag: &str) -> bool {
    wanted == "*"
        || wanted
            .split(',')
            .any(|wanted| wanted.trim().trim_matches('"') == etag)
}

fn precondition_failed() -> ApiError {
    let text = "At least one of the pre-conditions you specified did not hold";
    ApiError::new("PreconditionFailed", text).status(412)
}

pub(super) async fn delete(site: &Site, bucket: &str, key: &str) -> Result<Reply, ApiError> {
    let removed = site.shared.visit(|world, _| {
        let bucket = world.s3.bucket_mut(bucket).ok_or_else(no_such_bucket)?;
        let removed = bucket.objects.remove(key);
        Ok(removed.and_then(|object| world.s3.released(object)))
    })?;
    if let Some(file) = removed {
        site.spool.discard(&file).await;
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn check_key(key: &str) -> Result<(), ApiError> {
    if key.len() > LONGEST_KEY {
        return Err(ApiError::new("KeyTooLongError", "Your key is too long"));
    }
    Ok(())
}
