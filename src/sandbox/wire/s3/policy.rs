//! Bucket policies: kept as they are put; of what they say, only the demand for KMS is obeyed, and for one of its keys.

use super::super::Site;
use super::super::exchange::{Head, Reply};
use super::super::service::Service;
use super::headers::{ENCRYPTION, KMS_KEY};
use super::no_such_bucket;
use crate::sandbox::journal;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::s3::Bucket;
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
        bucket.demands_kms = demanded(&policy, ENCRYPTION).contains(&"aws:kms".to_owned());
        bucket.demands_key = demanded(&policy, KMS_KEY);
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
        bucket.demands_key.clear();
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    })
}

/// Whether the policy of a bucket lets somebody put an object so; it sees the request, and not what S3 makes of it.
///
/// # Errors
/// `AccessDenied`, as a policy denies.
pub(super) fn check(bucket: &Bucket, head: &Head, arn: &str, resource: &str) -> Result<(), ApiError> {
    let encryption = head.header(ENCRYPTION).unwrap_or_default();
    let key = head.header(KMS_KEY).unwrap_or_default();
    let is_other_key = !bucket.demands_key.is_empty() && !bucket.demands_key.iter().any(|one| one == key);
    if (bucket.demands_kms && encryption != "aws:kms") || is_other_key {
        return Err(Service::S3.denied_by_policy(arn, "s3:PutObject", resource));
    }
    Ok(())
}

/// The values of which puts must bring one in a header, or a statement denies them, as CodePipeline's own bucket policy
/// does.
fn demanded(policy: &Value, header: &str) -> Vec<String> {
    let key = format!("s3:{header}");
    let denials = each(&policy["Statement"])
        .iter()
        .filter(|statement| statement["Effect"] == "Deny" && is_about_puts(&statement["Action"]));
    denials
        .flat_map(|statement| each(&statement["Condition"]["StringNotEquals"][&key]))
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect()
}

fn is_about_puts(action: &Value) -> bool {
    each(action)
        .iter()
        .any(|action| matches!(action.as_str(), Some("s3:PutObject" | "s3:Put*" | "s3:*" | "*")))
}

/// The items of what a policy writes as one of them, or as a list.
fn each(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

fn malformed() -> ApiError {
    ApiError::new("MalformedPolicy", "This policy contains invalid Json")
}

#[cfg(test)]
mod tests {
    use super::demanded;
    use serde_json::json;

    const ENCRYPTION: &str = "x-amz-server-side-encryption";

    #[test]
    fn the_policy_of_an_artifact_bucket_demands_kms() {
        let statement = json!({
            "Sid": "DenyUnEncryptedObjectUploads",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Condition": { "StringNotEquals": { "s3:x-amz-server-side-encryption": "aws:kms" } },
        });
        let mut reading = statement.clone();
        reading["Action"] = json!(["s3:GetObject"]);
        let mut keys = statement.clone();
        keys["Condition"] = json!({ "StringNotEquals": {
            "s3:x-amz-server-side-encryption-aws-kms-key-id": ["arn:1", "arn:2"],
        } });
        for (statements, header, expected) in [
            (json!([statement]), ENCRYPTION, vec!["aws:kms"]),
            (statement.clone(), ENCRYPTION, vec!["aws:kms"]),
            (json!([statement, keys]), super::KMS_KEY, vec!["arn:1", "arn:2"]),
            (json!([statement]), super::KMS_KEY, vec![]),
            (json!([reading]), ENCRYPTION, vec![]),
            (
                json!([{ "Effect": "Deny", "Action": "s3:*" }]),
                ENCRYPTION,
                vec![],
            ),
            (json!(null), ENCRYPTION, vec![]),
        ] {
            assert_eq!(
                demanded(&json!({ "Statement": statements }), header),
                expected,
                "{header} of {statements}"
            );
        }
    }
}
