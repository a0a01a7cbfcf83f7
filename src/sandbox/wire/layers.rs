//! ECR's own upload of layers: InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload.

use super::Site;
use super::registry::{Upload, keep};
use super::spool::append;
use crate::sandbox::ACCOUNT;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::input::{Input, invalid};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

/// The part size that InitiateLayerUpload proposes.
const PART: u64 = 10 * 1024 * 1024;

/// Answers one of the three operations.
///
/// # Errors
/// The operation's own.
pub async fn call(site: &Site, operation: &str, input: &Value) -> Result<Value, ApiError> {
    let input = Input(input);
    let name = input.required("repositoryName")?;
    site.shared
        .visit(|world, _| world.ecr.repository(name).map(drop))?;
    match operation {
        "InitiateLayerUpload" => {
            let id = site.uploads.put(Upload::new(name, site.spool.name()));
            Ok(json!({ "uploadId": id, "partSize": PART }))
        }
        "UploadLayerPart" => upload_part(site, name, input).await,
        _ => complete(site, name, input).await,
    }
}

async fn upload_part(site: &Site, name: &str, input: Input<'_>) -> Result<Value, ApiError> {
    let id = input.required("uploadId")?;
    let first = input
        .number("partFirstByte", 0..=i64::MAX)?
        .unwrap_or_default()
        .unsigned_abs();
    let last = input
        .number("partLastByte", 0..=i64::MAX)?
        .unwrap_or_default()
        .unsigned_abs();
    let part = STANDARD.decode(input.required("layerPartBlob")?);
    let part = part.map_err(|_| ApiError::new("SerializationException", "layerPartBlob is no base64"))?;
    let mut upload = take(site, name, id)?;
    let expected = upload.hashes.bytes();
    if first != expected || last + 1 != first + part.len() as u64 {
        site.uploads.put(upload);
        let text = format!("First byte of the layer part is {first} instead of {expected}");
        return Err(ApiError::new("InvalidLayerPartException", text));
    }
    let body = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(part))]);
    let appended = append(&site.spool.path(&upload.file), body, &mut upload.hashes).await;
    let written = upload.hashes.bytes();
    site.uploads.put(upload);
    appended.map_err(|_| server_error())?;
    Ok(json!({
        "registryId": ACCOUNT,
        "repositoryName": name,
        "uploadId": id,
        "lastByteReceived": written.saturating_sub(1),
    }))
}

async fn complete(site: &Site, name: &str, input: Input<'_>) -> Result<Value, ApiError> {
    let id = input.required("uploadId")?;
    let digests = input.texts("layerDigests")?.unwrap_or_default();
    let [digest] = digests[..] else {
        return Err(invalid(
            "layerDigests",
            "Member must have length less than or equal to 1",
        ));
    };
    let upload = take(site, name, id)?;
    if upload.hashes.bytes() == 0 {
        let text = format!("The upload with upload id '{id}' does not have any parts");
        return Err(ApiError::new("EmptyUploadException", text));
    }
    let actual = format!("sha256:{}", upload.hashes.sha256_hex());
    if actual != digest {
        site.spool.discard(&upload.file).await;
        let text = format!("The layer digest '{digest}' does not match the uploaded layer's, '{actual}'");
        return Err(ApiError::new("InvalidLayerException", text));
    }
    if site.shared.visit(|world, _| {
        world
            .ecr
            .repository(name)
            .map(|one| one.blobs.contains_key(digest))
    })? {
        site.spool.discard(&upload.file).await;
        let text = format!(
            "Layer with digest '{digest}' already exists in the repository with name '{name}' in registry with id \
             '{ACCOUNT}'"
        );
        return Err(ApiError::new("LayerAlreadyExistsException", text));
    }
    keep(site, &upload, digest).await.map_err(|_| server_error())?;
    Ok(json!({ "registryId": ACCOUNT, "repositoryName": name, "uploadId": id, "layerDigest": digest }))
}

fn take(site: &Site, name: &str, id: &str) -> Result<Upload, ApiError> {
    let upload = site.uploads.take(id).filter(|upload| upload.repository == name);
    upload.ok_or_else(|| {
        let text = format!(
            "The upload with upload id '{id}' does not exist in the repository with name '{name}' in the registry with \
             id '{ACCOUNT}'"
        );
        ApiError::new("UploadNotFoundException", text)
    })
}

fn server_error() -> ApiError {
    ApiError::new("ServerException", "the layer could not be stored").status(500)
}
