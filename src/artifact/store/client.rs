//! Reading and writing artifacts.

use super::calls::address;
use super::error::StoreError;
use crate::artifact::archive::{ArchiveError, find_definitions};
use crate::artifact::imagedefinitions::Definitions;
use crate::artifact::transfer::{Bucket, fetch, look_again, put_whole};
use crate::config::settings::{ArtifactTarget, DefinitionsSource};
use aws_sdk_s3::Client;
use std::fs::File;
use std::io;
use std::path::Path;

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
            let spool = tempfile::tempfile().map_err(|error| StoreError::Download {
                place: place.clone(),
                source: error.into(),
            })?;
            let artifact = fetch(&Bucket::new(s3), (bucket, key), spool).await?;
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
    let bucket = Bucket::new(s3);
    let written = put_whole(&bucket, target, bytes, &place).await?;
    look_again(&bucket, target, &written, &place).await?;
    Ok(place)
}
