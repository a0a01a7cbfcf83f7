//! What a put says about an object in headers, and how they come back.

use super::super::exchange::{Head, Reply};
use crate::sandbox::ACCOUNT;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::s3::{Encryption, Object, Traits};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// How an object is encrypted: `AES256` or `aws:kms`.
pub const ENCRYPTION: &str = "x-amz-server-side-encryption";
/// The key of KMS: its id, its ARN or that of an alias.
pub const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";

/// Headers that come back as they were put.
const KEPT: &[&str] = &[
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
];

/// Reads what a put says about its object.
///
/// # Errors
/// `InvalidArgument` for an encryption that S3 does not know.
pub fn read(head: &Head, region: &str) -> Result<Traits, ApiError> {
    let mut traits = Traits {
        encryption: read_encryption(head, region)?,
        ..Traits::default()
    };
    for (name, value) in &head.headers {
        let name = name.as_str();
        let Ok(value) = value.to_str() else { continue };
        if KEPT.contains(&name) || name.starts_with("x-amz-meta-") {
            // `aws-chunked` is of the transfer, not of the object.
            let value = value
                .split(',')
                .map(str::trim)
                .filter(|part| *part != "aws-chunked")
                .collect::<Vec<_>>()
                .join(",");
            if !value.is_empty() {
                traits.headers.insert(name.to_owned(), value);
            }
        }
    }
    Ok(traits)
}

/// Refuses what a put says of encryption where S3 takes it for an error: with a part, or with a get.
///
/// # Errors
/// `InvalidArgument`, naming the header.
pub fn refuse_encryption(head: &Head) -> Result<(), ApiError> {
    let given = [ENCRYPTION, KMS_KEY]
        .into_iter()
        .find(|name| head.headers.contains_key(*name));
    match given {
        None => Ok(()),
        Some(name) => Err(ApiError::new(
            "InvalidArgument",
            format!("{name} header is not supported for this operation."),
        )),
    }
}

fn read_encryption(head: &Head, region: &str) -> Result<Encryption, ApiError> {
    let key = head.header(KMS_KEY).filter(|key| !key.is_empty());
    match head.header(ENCRYPTION) {
        None | Some("AES256") if key.is_none() => Ok(Encryption::Aes256),
        Some("aws:kms") => Ok(Encryption::Kms(match key {
            Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
            Some(alias) if alias.starts_with("alias/") => format!("arn:aws:kms:{region}:{ACCOUNT}:{alias}"),
            Some(id) => format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}"),
            // The AWS managed key aws/s3.
            None => format!("arn:aws:kms:{region}:{ACCOUNT}:key/00000000-0000-4000-8000-000000000053"),
        })),
        None | Some("AES256") => Err(ApiError::new(
            "InvalidArgument",
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
        )),
        Some(_) => Err(ApiError::new(
            "InvalidArgument",
            "The encryption method specified is not supported",
        )),
    }
}

/// Adds how an object is encrypted.
pub fn show_encryption(reply: Reply, encryption: &Encryption) -> Reply {
    match encryption {
        Encryption::Aes256 => reply.with(ENCRYPTION, "AES256"),
        Encryption::Kms(key) => reply.with(ENCRYPTION, "aws:kms").with(KMS_KEY, key),
    }
}

/// Adds everything that GetObject and HeadObject say about an object.
pub fn show_object(mut reply: Reply, object: &Object) -> Reply {
    reply = reply.with("content-type", "binary/octet-stream");
    for (name, value) in &object.traits.headers {
        reply = reply.with(name, value);
    }
    show_encryption(reply, &object.traits.encryption)
        .with("etag", &format!("\"{}\"", object.etag))
        .with("last-modified", &http_date(object.modified))
        .with("accept-ranges", "bytes")
}

/// An instant as HTTP writes it, to the second.
pub fn http_date(at: Duration) -> String {
    let format = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    instant(at).format(format).unwrap_or_default()
}

/// An instant as S3's documents write it, to the second.
pub fn iso_date(at: Duration) -> String {
    let text = instant(at).format(&Rfc3339).unwrap_or_default();
    text.replace('Z', ".000Z")
}

fn instant(at: Duration) -> OffsetDateTime {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::{http_date, iso_date};
    use std::time::Duration;

    #[test]
    fn instants_are_written_as_http_and_s3_write_them() {
        let at = Duration::from_millis(1_767_225_600_999);
        assert_eq!(http_date(at), "Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(iso_date(at), "2026-01-01T00:00:00.000Z");
    }
}
