//! Bucket policies: kept as they are put; of what they say, only the demand for KMS is obeyed.

use super::super::Site;
use super::super::exchange::Reply;
use super::no_such_bucket;
use crate::sandbox::journal;
use crate::sandbox::world::error::ApiError;
use axum::body::Body;
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

/// The most bytes of a bucket policy (PutBucketPolicy: 20 KB).
const LIMIT: usize = 20 * 1024;

pub(super) async fn put(
    site: &Site,
    bucket: &str,
    body: Body,
    noted: &mut journal::Body,
) -> Result<Reply, ApiError> {
    let body = Limited::new(body, LIMIT)
        .collect()
        .await
        .map_err(|_| malformed())?
        .to_bytes();
    *noted = journal::Body::of(&body);
    let text = std::str::from_utf8(&body).map_err(|_| malformed())?;
    let policy: Value = serde_json::from_str(text).map_err(|_| malformed())?;
    site.shared.visit(|world, _| {
        let bucket = world.s3.bucket_mut(bucket).ok_or_else(no_such_bucket)?;
        bucket.demands_kms = demands_kms(&policy);
        bucket.policy = Some(text.to_owned());
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    })
}

pub(super) fn fetch(site: &Site, bucket: &str) -> Result<Reply, ApiError> {
    site.shared.visit(|world, _| {
        let bucket = world.s3.bucket(bucket).ok_or_else(no_such_bucket)?;
        let missing = || ApiError::new("NoSuchBucketPolicy", "The bucket policy does not exist").status(404);
        let policy = bucket.policy.clone().ok_or_else(missing)?;
        Ok(Reply::text(StatusCode::OK, "application/json", policy))
    })
}

pub(super) fn delete(site: &Site, bucket: &str) -> Result<Reply, ApiError> {
    site.shared.visit(|world, _| {
        let bucket = world.s3.bucket_mut(bucket).ok_or_else(no_such_bucket)?;
        bucket.policy = None;
        bucket.demands_kms = false;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    })
}

/// Whether a statement denies puts whose encryption is not `aws:kms`, as CodePipeline's own bucket policy does.
fn demands_kms(policy: &Value) -> bool {
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        one => std::slice::from_ref(one),
    };
    statements.iter().any(|statement| {
        statement["Effect"] == "Deny"
            && statement["Condition"]["StringNotEquals"]["s3:x-amz-server-side-encryption"] == "aws:kms"
    })
}

fn malformed() -> ApiError {
    ApiError::new("MalformedPolicy", "This policy contains invalid Json")
}

#[cfg(test)]
mod tests {
    use super::demands_kms;
    use serde_json::json;

    #[test]
    fn the_policy_of_an_artifact_bucket_demands_kms() {
        let statement = json!({
            "Sid": "DenyUnEncryptedObjectUploads",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Condition": { "StringNotEquals": { "s3:x-amz-server-side-encryption": "aws:kms" } },
        });
        assert!(demands_kms(&json!({ "Statement": [statement] })));
        assert!(demands_kms(&json!({ "Statement": statement })));
        assert!(!demands_kms(&json!({ "Statement": [{ "Effect": "Deny" }] })));
        assert!(!demands_kms(&json!({})));
    }
}
