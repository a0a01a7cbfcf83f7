//! Writing an artifact: a zip that is sent while it is packed, and looked at again.

use super::bucket::Bucket;
use super::parts::{Packed, Packing, Part};
use super::upload::Upload;
use super::written::{Written, is_there, look_again, put_whole};
use crate::artifact::archive::{ArchiveError, Content, Entry, WriteFault};
use crate::artifact::store::{StoreError, address};
use crate::aws::sort::Sorted;
use crate::config::settings::ArtifactTarget;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::io;

/// What was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where: `s3://bucket/key`.
    pub place: String,
    /// How long the zip is.
    pub bytes: u64,
}

/// Packs entries into a zip, as [`pack_into`](crate::artifact::archive::pack_into) does, and stores it, encrypted by KMS
/// with the target's key or else the account's own for S3. It is sent while it is packed, in parts if it is longer than
/// one, and looked at by HeadObject before this returns. An object that cannot be proven to be what was sent stays, and is
/// told as an error. No parts are left, also when this is dropped: a task of its own aborts the upload then, as long as
/// the runtime lives.
///
/// # Errors
/// [`StoreError`]. Needed are `s3:PutObject`, `s3:AbortMultipartUpload`, `s3:GetObject` for the look, and
/// `kms:GenerateDataKey` and `kms:Decrypt`.
pub async fn store(
    bucket: &Bucket,
    target: &ArtifactTarget,
    entries: Vec<Entry>,
) -> Result<Stored, StoreError> {
    let place = address(&target.bucket, &target.key);
    let size = bucket.amounts().part_size(estimate(&entries));
    let mut packing = Packing::begin(entries, usize::try_from(size).unwrap_or(usize::MAX));
    let (length, written) = match packing.parts.recv().await {
        None => {
            let packed = packed(packing, &place).await?;
            let whole = packed.whole.unwrap_or_default();
            let written = put_whole(bucket, target, whole, &place).await?;
            (packed.length, written)
        }
        Some(first) => Box::pin(store_parts(bucket, target, packing, first, &place)).await?,
    };
    match look_again(bucket, target, &written, &place).await {
        Ok(()) => {}
        // The keys of a job may be for writing only; then S3's own answer is what there is.
        Err(error) if is_denied(&error) && written.is_proven(target.kms_key.as_deref()) => {
            tracing::debug!(place, "what was written may not be looked at again");
        }
        Err(error) => return Err(error),
    }
    Ok(Stored { place, bytes: length })
}

fn is_denied(error: &StoreError) -> bool {
    error.call().is_some_and(|call| call.sorted == Sorted::Denied)
}

/// About how long the zip becomes: no longer than what is in it, but for headers.
fn estimate(entries: &[Entry]) -> u64 {
    entries
        .iter()
        .map(|entry| match &entry.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            // A file that is not there is told of when its turn comes.
            Content::File(path) => path.metadata().map_or(0, |file| file.len()),
        })
        .sum()
}

async fn packed(packing: Packing, place: &str) -> Result<Packed, StoreError> {
    let packed = packing.packed.await;
    let packed =
        packed.unwrap_or_else(|error| Err(ArchiveError::Pack(WriteFault::Write(io::Error::other(error)))));
    packed.map_err(|source| StoreError::Pack {
        place: place.to_owned(),
        source,
    })
}

async fn store_parts(
    bucket: &Bucket,
    target: &ArtifactTarget,
    packing: Packing,
    first: Part,
    place: &str,
) -> Result<(u64, Written), StoreError> {
    let mut upload = Upload::begin(bucket, target, place).await?;
    let packed = match Box::pin(send_all(bucket, &mut upload, packing, first, place)).await {
        Ok(packed) => packed,
        Err(error) => {
            upload.abort(bucket).await;
            return Err(error);
        }
    };
    let error = match upload.complete(bucket, &packed).await {
        Ok(written) => return Ok((packed.length, written)),
        Err(error) => error,
    };
    // The answer may have been lost. A call that was made again is refused then: the upload is no more.
    let is_in_doubt = error.call().is_some_and(|call| call.sorted.is_in_doubt());
    if is_in_doubt || error.code() == Some("NoSuchUpload") {
        let written = Upload::unanswered(&packed);
        if is_there(bucket, target, &written, place)
            .await
            .is_ok_and(|there| there)
        {
            upload.close();
            return Ok((packed.length, written));
        }
    }
    upload.abort(bucket).await;
    Err(error)
}

/// Sends every part as it is packed.
async fn send_all(
    bucket: &Bucket,
    upload: &mut Upload,
    mut packing: Packing,
    first: Part,
    place: &str,
) -> Result<Packed, StoreError> {
    let mut sent = Vec::new();
    let mut sending = FuturesUnordered::new();
    sending.push(upload.send(bucket, first));
    let mut is_packing = true;
    while is_packing || !sending.is_empty() {
        tokio::select! {
            part = packing.parts.recv(), if is_packing => match part {
                Some(part) => sending.push(upload.send(bucket, part)),
                None => is_packing = false,
            },
            Some(part) = sending.next(), if !sending.is_empty() => sent.push(part?),
        }
    }
    drop(sending);
    upload.note(sent);
    packed(packing, place).await
}
