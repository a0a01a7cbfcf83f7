//! Buckets, and the listing of their objects.

use super::super::Site;
use super::super::exchange::{Head, Reply};
use super::headers::iso_date;
use super::{NAMESPACE, no_such_bucket, xml};
use crate::sandbox::journal;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::s3::Query;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;
use std::fmt::Write as _;

/// What `encoding-type=url` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'/');

pub(super) fn list(site: &Site) -> Reply {
    let buckets = site.shared.visit(|world, _| {
        let mut text = String::new();
        for (name, bucket) in world.s3.buckets() {
            let date = iso_date(bucket.created);
            // Writing into a String cannot fail, here and below.
            let _ = write!(
                text,
                "<Bucket><Name>{name}</Name><CreationDate>{date}</CreationDate></Bucket>"
            );
        }
        text
    });
    xml(&format!(
        "<ListAllMyBucketsResult xmlns=\"{NAMESPACE}\"><Owner><ID>sandbox</ID></Owner><Buckets>{buckets}</Buckets>\
         </ListAllMyBucketsResult>"
    ))
}

pub(super) async fn create(
    site: &Site,
    bucket: &str,
    body: Body,
    noted: &mut journal::Body,
) -> Result<Reply, ApiError> {
    let body = Limited::new(body, 64 * 1024).collect().await;
    let body = body.map_err(|_| super::body::internal())?.to_bytes();
    *noted = journal::Body::of(&body);
    if !is_bucket_name(bucket) {
        return Err(ApiError::new(
            "InvalidBucketName",
            "The specified bucket is not valid.",
        ));
    }
    if !site.shared.visit(|world, now| world.s3.create(now, bucket)) {
        let text = "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(ApiError::new("BucketAlreadyOwnedByYou", text).status(409));
    }
    Ok(Reply::empty(StatusCode::OK).with("location", &format!("/{bucket}")))
}

pub(super) fn head(site: &Site, bucket: &str) -> Result<Reply, ApiError> {
    exists(site, bucket)?;
    Ok(Reply::empty(StatusCode::OK).with("x-amz-bucket-region", &site.region))
}

pub(super) fn location(site: &Site, bucket: &str) -> Result<Reply, ApiError> {
    exists(site, bucket)?;
    // The first region of AWS has no constraint.
    let constraint = if site.region == "us-east-1" {
        ""
    } else {
        &site.region
    };
    Ok(xml(&format!(
        "<LocationConstraint xmlns=\"{NAMESPACE}\">{constraint}</LocationConstraint>"
    )))
}

pub(super) fn delete(site: &Site, bucket: &str) -> Result<Reply, ApiError> {
    site.shared.visit(|world, _| {
        if !world
            .s3
            .bucket(bucket)
            .ok_or_else(no_such_bucket)?
            .objects
            .is_empty()
        {
            let text = "The bucket you tried to delete is not empty";
            return Err(ApiError::new("BucketNotEmpty", text).status(409));
        }
        world.s3.remove(bucket);
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    })
}

pub(super) fn list_objects(site: &Site, head: &Head, bucket: &str) -> Result<Reply, ApiError> {
    let prefix = head.parameter("prefix").unwrap_or_default();
    let delimiter = head.parameter("delimiter");
    let token = head.parameter("continuation-token");
    let after = match token {
        Some(token) => Some(decode_token(token).ok_or_else(bad_token)?),
        None => head.parameter("start-after").map(str::to_owned),
    };
    let size = match head.parameter("max-keys").map(str::parse::<usize>) {
        None => 1000,
        Some(Ok(size)) => size.min(1000),
        Some(Err(_)) => {
            return Err(ApiError::new(
                "InvalidArgument",
                "Provided max-keys not an integer or within integer range",
            ));
        }
    };
    let encoded = head.parameter("encoding-type") == Some("url");
    let name = |text: &str| shown_name(text, encoded);
    let mut text = format!(
        "<ListBucketResult xmlns=\"{NAMESPACE}\"><Name>{bucket}</Name><Prefix>{}</Prefix><MaxKeys>{size}</MaxKeys>",
        name(prefix)
    );
    if let Some(delimiter) = delimiter {
        let _ = write!(text, "<Delimiter>{}</Delimiter>", name(delimiter));
    }
    if encoded {
        text.push_str("<EncodingType>url</EncodingType>");
    }
    if let Some(token) = token {
        let _ = write!(text, "<ContinuationToken>{}</ContinuationToken>", escape(token));
    } else if let Some(after) = &after {
        let _ = write!(text, "<StartAfter>{}</StartAfter>", name(after));
    }
    site.shared.visit(|world, _| {
        let bucket = world.s3.bucket(bucket).ok_or_else(no_such_bucket)?;
        let listing = bucket.list(Query { prefix, delimiter, after: after.as_deref(), size });
        let count = listing.keys.len() + listing.prefixes.len();
        let _ = write!(text, "<KeyCount>{count}</KeyCount><IsTruncated>{}</IsTruncated>", listing.next.is_some());
        if let Some(next) = &listing.next {
            let token = URL_SAFE_NO_PAD.encode(next);
            let _ = write!(text, "<NextContinuationToken>{token}</NextContinuationToken>");
        }
        for key in &listing.keys {
            let Some(object) = bucket.objects.get(key) else { continue };
            let _ = write!(
                text,
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size>\
                 <StorageClass>STANDARD</StorageClass></Contents>",
                name(key),
                iso_date(object.modified),
                object.etag,
                object.size,
            );
        }
        for prefix in &listing.prefixes {
            let _ = write!(text, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", name(prefix));
        }
        Ok(())
    })?;
    text.push_str("</ListBucketResult>");
    Ok(xml(&text))
}

/// A key or a prefix in a listing, as `encoding-type` asks for it.
pub(super) fn shown_name(text: &str, encoded: bool) -> String {
    if encoded {
        utf8_percent_encode(text, PLAIN).to_string()
    } else {
        escape(text).into_owned()
    }
}

fn exists(site: &Site, bucket: &str) -> Result<(), ApiError> {
    site.shared
        .visit(|world, _| world.s3.bucket(bucket).map(drop))
        .ok_or_else(no_such_bucket)
}

fn decode_token(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

fn bad_token() -> ApiError {
    ApiError::new("InvalidArgument", "The continuation token provided is incorrect")
}

/// S3's rules for the names of general purpose buckets.
fn is_bucket_name(name: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && ends(name.bytes().next())
        && ends(name.bytes().last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::is_bucket_name;

    #[test]
    fn bucket_names_follow_the_rules() {
        for good in ["abc", "my-bucket.1", "0a0"] {
            assert!(is_bucket_name(good), "{good}");
        }
        for bad in [
            "ab",
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            "a..b",
            "127.0.0.1",
            &"a".repeat(64),
        ] {
            assert!(!is_bucket_name(bad), "{bad}");
        }
    }
}
