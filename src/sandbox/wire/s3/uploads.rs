//! The listing of multipart uploads under way: what a client began, and neither completed nor aborted.

use super::super::Site;
use super::super::exchange::{Head, Reply};
use super::buckets::shown_name;
use super::headers::iso_date;
use super::{NAMESPACE, no_such_bucket, xml};
use crate::sandbox::world::error::ApiError;
use quick_xml::escape::escape;
use std::fmt::Write as _;

/// The most uploads of a page.
const PAGE: usize = 1000;

pub(super) fn list(site: &Site, head: &Head, bucket: &str) -> Result<Reply, ApiError> {
    if head.parameter("delimiter").is_some() {
        let text = "the sandbox lists multipart uploads without delimiters";
        return Err(ApiError::new("NotImplemented", text).status(501));
    }
    let prefix = head.parameter("prefix").unwrap_or_default();
    let size = head
        .parameter("max-uploads")
        .and_then(|size| size.parse().ok())
        .unwrap_or(PAGE)
        .min(PAGE);
    let encoded = head.parameter("encoding-type") == Some("url");
    let name = |text: &str| shown_name(text, encoded);
    let (key, id) = (head.parameter("key-marker"), head.parameter("upload-id-marker"));
    let follows = |one: &(String, String)| match (key, id) {
        (None, _) => true,
        (Some(key), None) => one.0.as_str() > key,
        (Some(key), Some(id)) => (one.0.as_str(), one.1.as_str()) > (key, id),
    };
    let (mut text, mut last, mut truncated) = (String::new(), None, false);
    site.shared.visit(|world, _| {
        world.s3.bucket(bucket).ok_or_else(no_such_bucket)?;
        let uploads = world.s3.uploads(bucket, prefix);
        let names = uploads
            .into_iter()
            .map(|(id, upload)| (id, upload.initiated, upload.key.clone()));
        let mut rest = names.filter(|(id, _, key)| follows(&(key.clone(), (*id).clone())));
        for (id, initiated, key) in rest.by_ref().take(size) {
            // Writing into a String cannot fail, here and below.
            let _ = write!(
                text,
                "<Upload><Key>{}</Key><UploadId>{id}</UploadId><StorageClass>STANDARD</StorageClass>\
                 <Initiated>{}</Initiated></Upload>",
                name(&key),
                iso_date(initiated),
            );
            last = Some((key, id.clone()));
        }
        truncated = rest.next().is_some();
        Ok(())
    })?;
    let mut markers = format!(
        "<KeyMarker>{}</KeyMarker><UploadIdMarker>{}</UploadIdMarker>",
        name(key.unwrap_or_default()),
        escape(id.unwrap_or_default()),
    );
    if let Some((key, id)) = last.filter(|_| truncated) {
        let _ = write!(
            markers,
            "<NextKeyMarker>{}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>",
            name(&key),
        );
    }
    if encoded {
        markers.push_str("<EncodingType>url</EncodingType>");
    }
    Ok(xml(&format!(
        "<ListMultipartUploadsResult xmlns=\"{NAMESPACE}\"><Bucket>{bucket}</Bucket>{markers}<Prefix>{}</Prefix>\
         <MaxUploads>{size}</MaxUploads><IsTruncated>{truncated}</IsTruncated>{text}</ListMultipartUploadsResult>",
        name(prefix),
    )))
}
