//! Multipart uploads.

use super::super::Site;
use super::super::exchange::{Head, Reply};
use super::super::spool::{Received, hex};
use super::headers::iso_date;
use super::{NAMESPACE, body, headers, no_such_bucket, objects, xml};
use crate::sandbox::journal;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::s3::{Object, Part, Upload};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use md5::{Digest as _, Md5};
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The least size of a part that is not the last one.
const LEAST_PART: u64 = 5 * 1024 * 1024;
/// The highest part number.
const LAST_PART: u32 = 10_000;

pub(super) fn create(site: &Site, head: &Head, bucket: &str, key: &str) -> Result<Reply, ApiError> {
    objects::check_key(key)?;
    let traits = headers::read(head, &site.region)?;
    let encryption = traits.encryption.clone();
    let id = site.shared.visit(|world, now| {
        world.s3.bucket(bucket).ok_or_else(no_such_bucket)?;
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        Ok(world.s3.begin(Upload {
            bucket,
            key,
            initiated: now,
            traits,
            parts: BTreeMap::new(),
        }))
    })?;
    let reply = xml(&format!(
        "<InitiateMultipartUploadResult xmlns=\"{NAMESPACE}\"><Bucket>{bucket}</Bucket><Key>{}</Key>\
         <UploadId>{id}</UploadId></InitiateMultipartUploadResult>",
        escape(key)
    ));
    let reply = headers::show_encryption(reply, &encryption);
    Ok(match head.header("x-amz-checksum-algorithm") {
        Some(algorithm) => reply.with("x-amz-checksum-algorithm", algorithm),
        None => reply,
    })
}

pub(super) async fn put_part(
    site: &Site,
    head: &Head,
    bucket: &str,
    key: &str,
    body: Body,
    noted: &mut journal::Body,
) -> Result<Reply, ApiError> {
    headers::refuse_encryption(head)?;
    let stored = body::receive(site, head, body, noted).await?;
    let file = stored.received.file.clone();
    let id = head.parameter("uploadId").unwrap_or_default();
    let number = head
        .parameter("partNumber")
        .and_then(|number| number.parse::<u32>().ok());
    let Some(number) = number.filter(|number| (1..=LAST_PART).contains(number)) else {
        site.spool.discard(&file).await;
        let text = "Part number must be an integer between 1 and 10000, inclusive";
        return Err(ApiError::new("InvalidArgument", text));
    };
    let placed = site.shared.visit(|world, now| {
        let upload = world.s3.upload_mut(id, bucket, key).ok_or_else(no_such_upload)?;
        let part = Part {
            file: file.clone(),
            size: stored.received.bytes,
            md5: stored.received.md5,
            modified: now,
        };
        Ok((
            upload.parts.insert(number, part),
            upload.traits.encryption.clone(),
        ))
    });
    match placed {
        Ok((replaced, encryption)) => {
            if let Some(part) = replaced {
                site.spool.discard(&part.file).await;
            }
            let (name, value) = &stored.checksum;
            let reply = Reply::empty(StatusCode::OK)
                .with("etag", &format!("\"{}\"", hex(&stored.received.md5)))
                .with(name, value);
            Ok(headers::show_encryption(reply, &encryption))
        }
        Err(refusal) => {
            site.spool.discard(&file).await;
            Err(refusal)
        }
    }
}

pub(super) async fn complete(
    site: &Site,
    head: &Head,
    bucket: &str,
    key: &str,
    body: Body,
    noted: &mut journal::Body,
) -> Result<Reply, ApiError> {
    let body = Limited::new(body, 4 * 1024 * 1024)
        .collect()
        .await
        .map_err(|_| malformed())?
        .to_bytes();
    *noted = journal::Body::of(&body);
    let text = std::str::from_utf8(&body).map_err(|_| malformed())?;
    let wanted = read_parts(text).ok_or_else(malformed)?;
    let id = head.parameter("uploadId").unwrap_or_default();
    let upload = site
        .shared
        .visit(|world, _| world.s3.upload(id, bucket, key).cloned());
    let upload = upload.ok_or_else(no_such_upload)?;
    let parts = choose(&upload, &wanted)?;
    let files: Vec<String> = parts.iter().map(|part| part.file.clone()).collect();
    let whole = whole_checksum(head);
    let crc = whole.as_ref().map(|(name, _)| body::crc_of(name));
    let received = site.spool.join(&files, crc.flatten()).await;
    let received = received.map_err(|_| body::internal())?;
    if let Err(refusal) = check_whole(head, whole.as_ref(), &received) {
        site.spool.discard(&received.file).await;
        return Err(refusal);
    }
    let mut md5 = Md5::new();
    for part in &parts {
        md5.update(part.md5);
    }
    let etag = format!("{}-{}", hex(&md5.finalize()), parts.len());
    let object = Object {
        file: received.file,
        size: received.bytes,
        etag: etag.clone(),
        modified: site.shared.clock().now(),
        traits: upload.traits.clone(),
        checksum: whole.map(|(name, value)| (name.to_owned(), value)),
        parts: Some(parts.len()),
    };
    let replaced = site.shared.visit(|world, _| {
        world.s3.end(id).ok_or_else(no_such_upload)?;
        let bucket = world.s3.bucket_mut(bucket).ok_or_else(no_such_bucket)?;
        let replaced = bucket.objects.insert(key.to_owned(), object);
        Ok(replaced.and_then(|object| world.s3.released(object)))
    })?;
    for file in upload
        .parts
        .values()
        .map(|part| &part.file)
        .chain(replaced.iter())
    {
        site.spool.discard(file).await;
    }
    let reply = xml(&format!(
        "<CompleteMultipartUploadResult xmlns=\"{NAMESPACE}\"><Location>http://{}/{bucket}/{}</Location>\
         <Bucket>{bucket}</Bucket><Key>{}</Key><ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>",
        site.registry_host,
        escape(key),
        escape(key),
    ));
    Ok(headers::show_encryption(reply, &upload.traits.encryption))
}

pub(super) async fn abort(site: &Site, head: &Head, bucket: &str, key: &str) -> Result<Reply, ApiError> {
    let id = head.parameter("uploadId").unwrap_or_default();
    let upload = site.shared.visit(|world, _| {
        world.s3.upload(id, bucket, key).ok_or_else(no_such_upload)?;
        world.s3.end(id).ok_or_else(no_such_upload)
    })?;
    for part in upload.parts.values() {
        site.spool.discard(&part.file).await;
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn list_parts(site: &Site, head: &Head, bucket: &str, key: &str) -> Result<Reply, ApiError> {
    let id = head.parameter("uploadId").unwrap_or_default();
    let size = head
        .parameter("max-parts")
        .and_then(|size| size.parse().ok())
        .unwrap_or(1000_usize)
        .min(1000);
    let after: u32 = head
        .parameter("part-number-marker")
        .and_then(|at| at.parse().ok())
        .unwrap_or(0);
    let upload = site
        .shared
        .visit(|world, _| world.s3.upload(id, bucket, key).cloned());
    let upload = upload.ok_or_else(no_such_upload)?;
    let rest: Vec<_> = upload.parts.range(after.saturating_add(1)..).collect();
    let mut text = String::new();
    for (number, part) in rest.iter().take(size) {
        let _ = write!(
            text,
            "<Part><PartNumber>{number}</PartNumber><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag>\
             <Size>{}</Size></Part>",
            iso_date(part.modified),
            hex(&part.md5),
            part.size,
        );
    }
    let truncated = rest.len() > size;
    if let Some((number, _)) = rest.get(size.wrapping_sub(1)).filter(|_| truncated) {
        let _ = write!(text, "<NextPartNumberMarker>{number}</NextPartNumberMarker>");
    }
    Ok(xml(&format!(
        "<ListPartsResult xmlns=\"{NAMESPACE}\"><Bucket>{bucket}</Bucket><Key>{}</Key><UploadId>{id}</UploadId>\
         <MaxParts>{size}</MaxParts><IsTruncated>{truncated}</IsTruncated>{text}</ListPartsResult>",
        escape(key)
    )))
}

/// The checksum of the whole object, if the client gives one; that is possible with CRCs only.
fn whole_checksum(head: &Head) -> Option<(&'static str, String)> {
    let is_full = head.header("x-amz-checksum-type") == Some("FULL_OBJECT");
    [
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc32c",
    ]
    .into_iter()
    .filter(|_| is_full)
    .find_map(|name| Some((name, head.header(name)?.to_owned())))
}

fn check_whole(
    head: &Head,
    whole: Option<&(&'static str, String)>,
    received: &Received,
) -> Result<(), ApiError> {
    let size = head.header("x-amz-mp-object-size").map(str::parse::<u64>);
    if size.is_some_and(|size| size != Ok(received.bytes)) {
        let text = "The provided 'x-amz-mp-object-size' header does not match what was computed.";
        return Err(ApiError::new("InvalidRequest", text));
    }
    let own = received.crc.as_ref().map(|crc| STANDARD.encode(crc));
    if whole.is_some_and(|(_, claimed)| Some(claimed) != own.as_ref()) {
        let text = "The checksum you specified did not match the calculated checksum.";
        return Err(ApiError::new("BadDigest", text));
    }
    Ok(())
}

/// The parts of an upload that the client wants, in its order.
fn choose(upload: &Upload, wanted: &[(u32, String)]) -> Result<Vec<Part>, ApiError> {
    if wanted.is_empty() {
        return Err(malformed());
    }
    if !wanted.is_sorted_by(|one, next| one.0 < next.0) {
        let text = "The list of parts was not in ascending order. Parts must be ordered by part number.";
        return Err(ApiError::new("InvalidPartOrder", text));
    }
    let mut parts = Vec::new();
    for (at, (number, etag)) in wanted.iter().enumerate() {
        let part = upload
            .parts
            .get(number)
            .filter(|part| hex(&part.md5) == etag.trim_matches('"'));
        let part = part.ok_or_else(|| {
            ApiError::new(
                "InvalidPart",
                "One or more of the specified parts could not be found. The part may not have been uploaded, or the \
                 specified entity tag may not match the part's entity tag.",
            )
        })?;
        if part.size < LEAST_PART && at + 1 < wanted.len() {
            let text = "Your proposed upload is smaller than the minimum allowed size";
            return Err(ApiError::new("EntityTooSmall", text));
        }
        parts.push(part.clone());
    }
    Ok(parts)
}

/// The part numbers and ETags of a CompleteMultipartUpload document.
fn read_parts(text: &str) -> Option<Vec<(u32, String)>> {
    let mut reader = Reader::from_str(text);
    let (mut parts, mut element, mut number, mut etag) = (Vec::new(), String::new(), None, String::new());
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => element = start.local_name().as_ref().to_owned(),
            Event::Text(content) => match element.as_str() {
                "PartNumber" => number = content.trim().parse().ok(),
                "ETag" => etag.push_str(content.trim()),
                _ => {}
            },
            Event::End(end) => {
                element.clear();
                if end.local_name().as_ref() == "Part" {
                    parts.push((number.take()?, std::mem::take(&mut etag)));
                }
            }
            Event::Eof => return Some(parts),
            // Among the rest is `&quot;` around an ETag, a reference of its own; quotes mean nothing.
            _ => {}
        }
    }
}

fn malformed() -> ApiError {
    let text = "The XML you provided was not well-formed or did not validate against our published schema";
    ApiError::new("MalformedXML", text)
}

fn no_such_upload() -> ApiError {
    let text = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted \
                or completed.";
    ApiError::new("NoSuchUpload", text).status(404)
}

#[cfg(test)]
mod tests {
    use super::read_parts;

    #[test]
    fn parts_are_read_with_and_without_quotes() {
        let text = "<CompleteMultipartUpload xmlns=\"x\"><Part><ETag>&quot;aa&quot;</ETag><PartNumber>1</PartNumber>\
                    <ChecksumCRC32>zz==</ChecksumCRC32></Part><Part><PartNumber>2</PartNumber><ETag>\"bb\"</ETag></Part>\
                    </CompleteMultipartUpload>";
        assert_eq!(
            read_parts(text).unwrap(),
            [(1, "aa".to_owned()), (2, "\"bb\"".to_owned())]
        );
        assert!(read_parts("<a><Part></Part></a>").is_none());
        assert!(read_parts("<a>").is_none() || read_parts("<a>").is_some_and(|parts| parts.is_empty()));
    }
}
