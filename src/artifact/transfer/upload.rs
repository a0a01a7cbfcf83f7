//! A multipart upload: completed, or else aborted, also when nobody waits for it any more.

use super::bucket::Bucket;
use super::parts::{Packed, Part};
use super::written::{Sum, Written};
use crate::artifact::store::StoreError;
use crate::config::settings::ArtifactTarget;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ServerSideEncryption,
};
use tokio::runtime::Handle;

/// How often an upload is aborted that nobody waits for, each time with the SDK's own attempts.
const ABORTS: u32 = 3;

/// An upload that is neither completed nor aborted yet.
pub struct Upload {
    through: Bucket,
    bucket: String,
    key: String,
    id: String,
    place: String,
    parts: Vec<CompletedPart>,
    is_open: bool,
}

impl Upload {
    /// Begins an upload. Encryption is said here, and not again with the parts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin(bucket: &Bucket, target: &ArtifactTarget, place: &str) -> Result<Self, StoreError> {
        let begun = bucket
            .call("write", "s3:PutObject", place, || {
                bucket
                    .s3()
                    .create_multipart_upload()
                    .bucket(&target.bucket)
                    .key(&target.key)
                    .content_type("application/zip")
                    .server_side_encryption(ServerSideEncryption::AwsKms)
                    .set_ssekms_key_id(target.kms_key.clone())
                    .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
                    .checksum_type(ChecksumType::FullObject)
                    .send()
            })
            .await?;
        let id = begun.upload_id.ok_or_else(|| StoreError::NotAsWritten {
            place: place.to_owned(),
            difference: "it was begun without an id".to_owned(),
        })?;
        Ok(Self {
            through: bucket.clone(),
            bucket: target.bucket.clone(),
            key: target.key.clone(),
            id,
            place: place.to_owned(),
            parts: Vec::new(),
            is_open: true,
        })
    }

    /// Sends a part. Several may be on their way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn send(&self, bucket: &Bucket, part: Part) -> Result<CompletedPart, StoreError> {
        let sent = bucket
            .call("write", "s3:PutObject", &self.place, || {
                bucket
                    .s3()
                    .upload_part()
                    .bucket(&self.bucket)
                    .key(&self.key)
                    .upload_id(&self.id)
                    .part_number(part.number)
                    .checksum_crc64_nvme(&part.crc)
                    .body(part.bytes.clone().into())
                    .send()
            })
            .await?;
        Ok(CompletedPart::builder()
            .part_number(part.number)
            .set_e_tag(sent.e_tag)
            .checksum_crc64_nvme(part.crc)
            .build())
    }

    /// Notes the parts that were sent, in any order.
    pub fn note(&mut self, mut parts: Vec<CompletedPart>) {
        parts.sort_by_key(CompletedPart::part_number);
        self.parts = parts;
    }

    /// What is written when the upload is completed, without what S3 says of it.
    pub fn unanswered(packed: &Packed) -> Written {
        Written {
            length: packed.length,
            sum: Sum::Crc64(packed.crc.clone()),
            e_tag: None,
            encryption: None,
            key: None,
        }
    }

    /// Leaves an upload alone that is known to be completed.
    pub fn close(mut self) {
        self.is_open = false;
    }

    /// Completes the upload. The object is there then, and also after an error whose answer was lost.
    ///
    /// # Errors
    /// [`StoreError`]; the upload is still to be aborted.
    pub async fn complete(&mut self, bucket: &Bucket, packed: &Packed) -> Result<Written, StoreError> {
        let parts = CompletedMultipartUpload::builder()
            .set_parts(Some(self.parts.clone()))
            .build();
        let done = bucket
            .call("write", "s3:PutObject", &self.place, || {
                bucket
                    .s3()
                    .complete_multipart_upload()
                    .bucket(&self.bucket)
                    .key(&self.key)
                    .upload_id(&self.id)
                    .checksum_crc64_nvme(&packed.crc)
                    .checksum_type(ChecksumType::FullObject)
                    .set_mpu_object_size(i64::try_from(packed.length).ok())
                    .multipart_upload(parts.clone())
                    .send()
            })
            .await?;
        self.is_open = false;
        Ok(Written {
            e_tag: done.e_tag,
            encryption: done.server_side_encryption,
            key: done.ssekms_key_id,
            ..Self::unanswered(packed)
        })
    }

    /// Aborts the upload. When this is cancelled, it is aborted all the same.
    pub async fn abort(mut self, bucket: &Bucket) {
        let aborted = bucket
            .call("write", "s3:AbortMultipartUpload", &self.place, || {
                let abort = bucket.s3().abort_multipart_upload();
                abort
                    .bucket(&self.bucket)
                    .key(&self.key)
                    .upload_id(&self.id)
                    .send()
            })
            .await;
        match aborted {
            Ok(_) => self.is_open = false,
            // It was completed, or aborted before.
            Err(error) if error.code() == Some("NoSuchUpload") => self.is_open = false,
            Err(error) => tracing::debug!(place = self.place, %error, "the upload is not aborted yet"),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let s3 = self.through.clone();
        let aborting = s3.aborting();
        let [bucket, key, id] = [&mut self.bucket, &mut self.key, &mut self.id].map(std::mem::take);
        runtime.spawn(async move {
            let _aborting = aborting;
            for _ in 0..ABORTS {
                let aborted = s3
                    .call("write", "s3:AbortMultipartUpload", &key, || {
                        let abort = s3.s3().abort_multipart_upload();
                        abort.bucket(&bucket).key(&key).upload_id(&id).send()
                    })
                    .await;
                match aborted {
                    Ok(_) => return,
                    Err(error) if error.code() == Some("NoSuchUpload") => return,
                    Err(_) => {}
                }
            }
            tracing::warn!(
                bucket,
                key,
                id,
                "an upload could not be aborted; its parts are paid for until it is"
            );
        });
    }
}
