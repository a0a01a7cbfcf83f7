//! Reading and writing artifacts.

use super::error::StoreError;
use crate::artifact::archive::{ArchiveError, find_definitions};
use crate::artifact::imagedefinitions::Definitions;
use crate::aws::sort::{CallError, Sorted};
use crate::config::settings::{ArtifactTarget, DefinitionsSource};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ServerSideEncryption};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use std::error::Error;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// The longest artifact of CodePipeline: 5 GB from an S3 source.
const LONGEST: u64 = 5 * 1024 * 1024 * 1024;

/// The act of looking at what was written, by a HEAD.
const VERIFY: &str = "verify";

/// Reads and checks imagedefinitions.json: a file, an entry of a zip, or either of them as an S3 object. An object is
/// spooled to a temporary file, never held in memory.
///
/// # Errors
/// [`StoreError`].
pub async fn read_definitions(s3: &Client, source: &DefinitionsSource) -> Result<Definitions, StoreError> {
    let (place, artifact) = match source {
        DefinitionsSource::File(path) => (path.display().to_string(), open(path)?),
        DefinitionsSource::S3 { bucket, key } => {
            let place = address(bucket, key);
            let artifact = download(s3, bucket, key, &place).await?;
            (place, artifact)
        }
    };
    let bytes = find_definitions(&artifact).map_err(|source| {
        let place = place.clone();
        if let ArchiveError::Read(source) = source {
            StoreError::ReadFile { place, source }
        } else {
            StoreError::Archive { place, source }
        }
    })?;
    Definitions::parse(&bytes).map_err(|source| StoreError::Definitions { place, source })
}

fn open(path: &Path) -> Result<File, StoreError> {
    let place = path.display().to_string();
    match File::open(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NoFile { place }),
        Err(source) => Err(StoreError::ReadFile { place, source }),
    }
}

async fn download(s3: &Client, bucket: &str, key: &str, place: &str) -> Result<File, StoreError> {
    let answer = s3
        .get_object()
        .bucket(bucket)
        .key(key)
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .map_err(|error| refuse("read", "s3:GetObject", place, error))?;
    let broken = |source: Box<dyn Error + Send + Sync>| StoreError::Download {
        place: place.to_owned(),
        source,
    };
    let mut spool = tempfile::tempfile().map_err(|error| broken(error.into()))?;
    let mut length = 0;
    let mut body = answer.body;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| broken(error.into()))?;
        length += chunk.len() as u64;
        if length > LONGEST {
            let (place, limit) = (place.to_owned(), LONGEST);
            return Err(StoreError::TooLong { place, limit });
        }
        spool.write_all(&chunk).map_err(|error| broken(error.into()))?;
    }
    spool
        .seek(SeekFrom::Start(0))
        .map_err(|error| broken(error.into()))?;
    Ok(spool)
}

/// Writes an object encrypted by KMS, with the target's key or else the account's own for S3, and verifies with
/// HeadObject that S3 holds these bytes, so encrypted. Says where it is: `s3://bucket/key`.
///
/// # Errors
/// [`StoreError`].
pub async fn put_artifact(
    s3: &Client,
    target: &ArtifactTarget,
    bytes: Vec<u8>,
) -> Result<String, StoreError> {
    let place = address(&target.bucket, &target.key);
    let length = bytes.len();
    let checksum = STANDARD.encode(Sha256::digest(&bytes));
    let written = s3
        .put_object()
        .bucket(&target.bucket)
        .key(&target.key)
        .content_type("application/zip")
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .set_ssekms_key_id(target.kms_key.clone())
        .checksum_algorithm(ChecksumAlgorithm::Sha256)
        .checksum_sha256(&checksum)
        .body(ByteStream::from(bytes))
        .send()
        .await
        .map_err(|error| refuse("write", "s3:PutObject", &place, error))?;
    let held = s3
        .head_object()
        .bucket(&target.bucket)
        .key(&target.key)
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .map_err(|error| refuse(VERIFY, "s3:GetObject", &place, error))?;
    match difference(&held, length, written.e_tag(), &checksum) {
        None => Ok(place),
        Some(difference) => Err(StoreError::NotAsWritten { place, difference }),
    }
}

/// What of the object that S3 holds is not as it was written.
fn difference(held: &HeadObjectOutput, length: usize, e_tag: Option<&str>, checksum: &str) -> Option<String> {
    let bytes = held
        .content_length()
        .and_then(|bytes| usize::try_from(bytes).ok());
    if bytes != Some(length) {
        return Some(format!("it has {} bytes of {length}", bytes.unwrap_or_default()));
    }
    if e_tag.is_some() && held.e_tag() != e_tag {
        return Some("its ETag is another".to_owned());
    }
    // Not every store that speaks S3 keeps checksums.
    if held.checksum_sha256().is_some_and(|theirs| theirs != checksum) {
        return Some("its SHA-256 is another".to_owned());
    }
    match held.server_side_encryption() {
        Some(ServerSideEncryption::AwsKms) => None,
        Some(other) => Some(format!(
            "it is encrypted by `{}`, `aws:kms` was asked for",
            other.as_str()
        )),
        None => Some("it is not encrypted, `aws:kms` was asked for".to_owned()),
    }
}

fn address(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

fn refuse<E>(act: &'static str, action: &'static str, place: &str, error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let header = error
        .raw_response()
        .and_then(|response| response.headers().get("x-amz-bucket-region"))
        .map(str::to_owned);
    let call = CallError::of(action)(error);
    let source = Box::new(if act == VERIFY {
        call.of_head()
    } else {
        call.of_aws()
    });
    let place = place.to_owned();
    match &source.sorted {
        Sorted::Missing { code } if code == "NoSuchBucket" => StoreError::NoBucket { place, source },
        Sorted::Missing { code } if code.starts_with("KMS.") => StoreError::Call { act, place, source },
        Sorted::Missing { .. } => StoreError::NoObject { place, source },
        Sorted::Refused { code, message } => match other_region(code, message, header) {
            Some(region) => StoreError::OtherRegion {
                place,
                region,
                source,
            },
            None => StoreError::Call { act, place, source },
        },
        // Only S3 names the bucket's region with it; a proxy redirects to its own pages.
        Sorted::Foreign { status: 301 | 307 } if header.is_some() => StoreError::OtherRegion {
            place,
            region: header,
            source,
        },
        Sorted::Transient
        | Sorted::Throttled
        | Sorted::Denied
        | Sorted::ExpiredCredentials
        | Sorted::NoCredentials
        | Sorted::Garbled
        | Sorted::Foreign { .. }
        | Sorted::Unreachable => StoreError::Call { act, place, source },
    }
}

/// Whether a refusal means that the bucket is elsewhere, and where, if S3 says.
fn other_region(code: &str, message: &str, header: Option<String>) -> Option<Option<String>> {
    match code {
        "PermanentRedirect" | "TemporaryRedirect" | "IllegalLocationConstraintException" => Some(header),
        "AuthorizationHeaderMalformed" => {
            let named = message
                .split("expecting '")
                .nth(1)
                .and_then(|rest| rest.split('\'').next());
            Some(header.or_else(|| named.map(str::to_owned)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod unit {
    use super::other_region;

    #[test]
    fn a_bucket_elsewhere_is_recognised_and_its_region_named() {
        let message =
            "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
        let header = || Some("eu-central-1".to_owned());
        for (code, message, header, expected) in [
            (
                "AuthorizationHeaderMalformed",
                message,
                None,
                Some(Some("eu-west-1")),
            ),
            ("AuthorizationHeaderMalformed", "odd", None, Some(None)),
            ("PermanentRedirect", "", header(), Some(Some("eu-central-1"))),
            ("InvalidRequest", message, header(), None),
        ] {
            let expected = expected.map(|region| region.map(str::to_owned));
            assert_eq!(other_region(code, message, header), expected, "{code}");
        }
    }
}
