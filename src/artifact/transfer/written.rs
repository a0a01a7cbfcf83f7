//! Writing an object at once, and looking whether S3 holds what was written.

use super::bucket::Bucket;
use crate::artifact::store::{StoreError, VERIFY};
use crate::config::settings::ArtifactTarget;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ServerSideEncryption};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// The checksum that an object was written with, as S3 writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sum {
    /// SHA-256, of an object that was written at once.
    Sha256(String),
    /// CRC-64/NVME, of one that came in parts.
    Crc64(String),
}

/// What was written, and what S3 said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// How long it is.
    pub length: u64,
    /// What it sums up to.
    pub sum: Sum,
    /// Its ETag, if S3's answer came.
    pub e_tag: Option<String>,
    /// How it is encrypted, if S3's answer says.
    pub encryption: Option<ServerSideEncryption>,
    /// By which key of KMS.
    pub key: Option<String>,
}

/// Writes an object at once, encrypted by KMS.
///
/// # Errors
/// [`StoreError`].
pub async fn put_whole(
    bucket: &Bucket,
    target: &ArtifactTarget,
    bytes: Vec<u8>,
    place: &str,
) -> Result<Written, StoreError> {
    let length = bytes.len() as u64;
    let sum = STANDARD.encode(Sha256::digest(&bytes));
    let bytes = Bytes::from(bytes);
    let put = bucket
        .call("write", "s3:PutObject", place, || {
            bucket
                .s3()
                .put_object()
                .bucket(&target.bucket)
                .key(&target.key)
                .content_type("application/zip")
                .server_side_encryption(ServerSideEncryption::AwsKms)
                .set_ssekms_key_id(target.kms_key.clone())
                .checksum_algorithm(ChecksumAlgorithm::Sha256)
                .checksum_sha256(&sum)
                .body(bytes.clone().into())
                .send()
        })
        .await?;
    Ok(Written {
        length,
        sum: Sum::Sha256(sum),
        e_tag: put.e_tag,
        encryption: put.server_side_encryption,
        key: put.ssekms_key_id,
    })
}

/// Looks by HeadObject whether S3 holds what was written.
///
/// # Errors
/// [`StoreError`]; [`StoreError::NotAsWritten`] when it is something else.
pub async fn look_again(
    bucket: &Bucket,
    target: &ArtifactTarget,
    written: &Written,
    place: &str,
) -> Result<(), StoreError> {
    let held = head(bucket, target, place).await?;
    match difference(&held, written, target.kms_key.as_deref()) {
        None => Ok(()),
        Some(difference) => Err(StoreError::NotAsWritten {
            place: place.to_owned(),
            difference,
        }),
    }
}

/// Whether S3 holds just what was to be written, by a checksum that it knows: for a write whose answer was lost.
///
/// # Errors
/// [`StoreError`].
pub async fn is_there(
    bucket: &Bucket,
    target: &ArtifactTarget,
    written: &Written,
    place: &str,
) -> Result<bool, StoreError> {
    let held = match head(bucket, target, place).await {
        Ok(held) => held,
        Err(StoreError::NoObject { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let knows = match written.sum {
        Sum::Sha256(_) => held.checksum_sha256().is_some(),
        Sum::Crc64(_) => held.checksum_crc64_nvme().is_some(),
    };
    Ok(knows && difference(&held, written, target.kms_key.as_deref()).is_none())
}

async fn head(bucket: &Bucket, target: &ArtifactTarget, place: &str) -> Result<HeadObjectOutput, StoreError> {
    bucket
        .call(VERIFY, "s3:GetObject", place, || {
            let head = bucket.s3().head_object().bucket(&target.bucket).key(&target.key);
            head.checksum_mode(ChecksumMode::Enabled).send()
        })
        .await
}

/// What of the object that S3 holds is not as it was written.
fn difference(held: &HeadObjectOutput, written: &Written, key: Option<&str>) -> Option<String> {
    let length = written.length;
    let bytes = held.content_length().and_then(|bytes| u64::try_from(bytes).ok());
    if bytes != Some(length) {
        return Some(format!("it has {} bytes of {length}", bytes.unwrap_or_default()));
    }
    if written.e_tag.is_some() && held.e_tag() != written.e_tag.as_deref() {
        return Some("its ETag is another".to_owned());
    }
    // Not every store that speaks S3 keeps checksums.
    match &written.sum {
        Sum::Sha256(sum) if held.checksum_sha256().is_some_and(|theirs| theirs != sum) => {
            return Some("its SHA-256 is another".to_owned());
        }
        Sum::Crc64(sum) if held.checksum_crc64_nvme().is_some_and(|theirs| theirs != sum) => {
            return Some("its CRC-64 is another".to_owned());
        }
        Sum::Sha256(_) | Sum::Crc64(_) => {}
    }
    encryption_difference(held.server_side_encryption(), held.ssekms_key_id(), key)
}

/// What of an object's encryption is not as it was asked for.
fn encryption_difference(
    encryption: Option<&ServerSideEncryption>,
    theirs: Option<&str>,
    key: Option<&str>,
) -> Option<String> {
    match encryption {
        Some(ServerSideEncryption::AwsKms) => {}
        Some(other) => {
            return Some(format!(
                "it is encrypted by `{}`, `aws:kms` was asked for",
                other.as_str()
            ));
        }
        None => return Some("it is not encrypted, `aws:kms` was asked for".to_owned()),
    }
    match (key, theirs) {
        (Some(key), Some(theirs)) if !is_key(key, theirs) => Some(format!(
            "it is encrypted by the key `{theirs}`, `{key}` was asked for"
        )),
        _ => None,
    }
}

/// Whether S3's name of a key, which is an ARN, is the key that was asked for: an ARN or an id. What an alias stands for is
/// not known here.
fn is_key(asked: &str, arn: &str) -> bool {
    let is_alias = asked.starts_with("alias/") || asked.contains(":alias/");
    is_alias || asked == arn || arn.rsplit_once('/').is_some_and(|(_, id)| id == asked)
}

impl Written {
    /// Whether S3's answer to the write proves it: S3 compares the checksum that came with it before it answers, so what
    /// remains to be known is the encryption. For where looking again is not allowed.
    #[must_use]
    pub fn is_proven(&self, key: Option<&str>) -> bool {
        self.e_tag.is_some()
            && encryption_difference(self.encryption.as_ref(), self.key.as_deref(), key).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::{encryption_difference, is_key};
    use aws_sdk_s3::types::ServerSideEncryption::{Aes256, AwsKms};

    const ARN: &str = "arn:aws:kms:eu-west-1:000000000000:key/1234";

    #[test]
    fn a_key_is_recognised_by_whatever_name_it_was_asked_for() {
        for (asked, expected) in [
            (ARN, true),
            ("1234", true),
            ("alias/pipeline", true),
            ("arn:aws:kms:eu-west-1:000000000000:alias/pipeline", true),
            ("234", false),
            ("arn:aws:kms:eu-west-1:000000000000:key/5", false),
        ] {
            assert_eq!(is_key(asked, ARN), expected, "{asked}");
        }
    }

    #[test]
    fn encryption_is_as_it_was_asked_for_or_not() {
        for (encryption, theirs, key, says) in [
            (Some(AwsKms), Some(ARN), None, None),
            (Some(AwsKms), Some(ARN), Some("1234"), None),
            (Some(AwsKms), None, Some("1234"), None),
            (
                Some(AwsKms),
                Some(ARN),
                Some("5"),
                Some(format!("it is encrypted by the key `{ARN}`, `5` was asked for")),
            ),
            (
                Some(Aes256),
                None,
                None,
                Some("it is encrypted by `AES256`, `aws:kms` was asked for".to_owned()),
            ),
            (
                None,
                None,
                None,
                Some("it is not encrypted, `aws:kms` was asked for".to_owned()),
            ),
        ] {
            assert_eq!(encryption_difference(encryption.as_ref(), theirs, key), says);
        }
    }
}
