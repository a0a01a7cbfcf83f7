//! S3 by path: buckets, objects and multipart uploads, without versions and ACLs.

mod body;
mod buckets;
mod chunked;
mod headers;
mod multipart;
mod objects;
mod policy;
mod uploads;

use super::Site;
use super::exchange::{Head, Outcome, Reply};
use super::scope::Demand;
use super::service::Service;
use crate::sandbox::journal;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::s3::S3;
use axum::body::Body;
use http::Method;

/// A request to S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    operation: Operation,
    bucket: String,
    key: String,
}

/// The operations that the sandbox knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    ListBuckets,
    CreateBucket,
    HeadBucket,
    DeleteBucket,
    GetBucketLocation,
    PutBucketPolicy,
    GetBucketPolicy,
    DeleteBucketPolicy,
    ListObjectsV2,
    PutObject,
    GetObject,
    HeadObject,
    DeleteObject,
    CreateMultipartUpload,
    UploadPart,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    ListMultipartUploads,
    Unknown,
}

/// Parameters that choose no other operation than the path and method do.
const PLAIN: &[&str] = &[
    "x-id",
    "list-type",
    "prefix",
    "delimiter",
    "continuation-token",
    "start-after",
    "max-keys",
    "encoding-type",
    "fetch-owner",
    "location",
    "policy",
    "uploads",
    "uploadId",
    "partNumber",
    "part-number-marker",
    "max-parts",
    "max-buckets",
    "key-marker",
    "upload-id-marker",
    "max-uploads",
];

impl Asked {
    /// Reads path, method and query.
    pub fn of(head: &Head) -> Self {
        let path = head.path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let operation = if is_plain(head) {
            find(head, bucket, key)
        } else {
            Operation::Unknown
        };
        Self {
            operation,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        }
    }

    /// The operation's name.
    pub fn name(&self) -> &'static str {
        match self.operation {
            Operation::ListBuckets => "ListBuckets",
            Operation::CreateBucket => "CreateBucket",
            Operation::HeadBucket => "HeadBucket",
            Operation::DeleteBucket => "DeleteBucket",
            Operation::GetBucketLocation => "GetBucketLocation",
            Operation::PutBucketPolicy => "PutBucketPolicy",
            Operation::GetBucketPolicy => "GetBucketPolicy",
            Operation::DeleteBucketPolicy => "DeleteBucketPolicy",
            Operation::ListObjectsV2 => "ListObjectsV2",
            Operation::PutObject => "PutObject",
            Operation::GetObject => "GetObject",
            Operation::HeadObject => "HeadObject",
            Operation::DeleteObject => "DeleteObject",
            Operation::CreateMultipartUpload => "CreateMultipartUpload",
            Operation::UploadPart => "UploadPart",
            Operation::CompleteMultipartUpload => "CompleteMultipartUpload",
            Operation::AbortMultipartUpload => "AbortMultipartUpload",
            Operation::ListParts => "ListParts",
            Operation::ListMultipartUploads => "ListMultipartUploads",
            Operation::Unknown => "Unknown",
        }
    }

    /// The permissions that the request takes.
    pub fn demands(&self, head: &Head) -> Vec<Demand<'_>> {
        let demand = |action| Demand {
            action,
            bucket: &self.bucket,
            key: &self.key,
        };
        let mut demands = vec![demand(self.action(head))];
        if matches!(
            self.operation,
            Operation::PutObject | Operation::CreateMultipartUpload
        ) {
            let grants =
                |name: &http::HeaderName| name == "x-amz-acl" || name.as_str().starts_with("x-amz-grant-");
            if head.headers.keys().any(grants) {
                demands.push(demand("s3:PutObjectAcl"));
            }
            if head.header("x-amz-tagging").is_some() {
                demands.push(demand("s3:PutObjectTagging"));
            }
        }
        demands
    }

    /// Checks what the policy of the bucket says of the request.
    ///
    /// # Errors
    /// `AccessDenied`, as a policy denies.
    pub fn check_policy(&self, head: &Head, s3: &S3, arn: &str) -> Result<(), ApiError> {
        match (self.operation, s3.bucket(&self.bucket)) {
            (Operation::PutObject | Operation::CreateMultipartUpload, Some(bucket)) => {
                let resource = format!("arn:aws:s3:::{}/{}", self.bucket, self.key);
                policy::check(bucket, head, arn, &resource)
            }
            _ => Ok(()),
        }
    }

    /// The action of IAM that the operation is.
    fn action(&self, head: &Head) -> &'static str {
        match self.operation {
            Operation::ListBuckets => "s3:ListAllMyBuckets",
            Operation::CreateBucket => "s3:CreateBucket",
            Operation::DeleteBucket => "s3:DeleteBucket",
            Operation::HeadBucket | Operation::ListObjectsV2 => "s3:ListBucket",
            Operation::GetBucketLocation => "s3:GetBucketLocation",
            Operation::PutBucketPolicy => "s3:PutBucketPolicy",
            Operation::GetBucketPolicy => "s3:GetBucketPolicy",
            Operation::DeleteBucketPolicy => "s3:DeleteBucketPolicy",
            Operation::GetObject | Operation::HeadObject => "s3:GetObject",
            Operation::DeleteObject => "s3:DeleteObject",
            Operation::PutObject
            | Operation::CreateMultipartUpload
            | Operation::UploadPart
            | Operation::CompleteMultipartUpload => "s3:PutObject",
            Operation::AbortMultipartUpload => "s3:AbortMultipartUpload",
            Operation::ListParts => "s3:ListMultipartUploadParts",
            Operation::ListMultipartUploads => "s3:ListBucketMultipartUploads",
            Operation::Unknown => unknown_action(head),
        }
    }
}

/// The action of an operation that the sandbox does not know: whoever may do little must not learn that.
fn unknown_action(head: &Head) -> &'static str {
    let asks = |name: &str| head.parameter(name).is_some();
    match (&head.method, asks("acl"), asks("tagging")) {
        (&Method::GET | &Method::HEAD, true, _) => "s3:GetObjectAcl",
        (&Method::GET | &Method::HEAD, _, true) => "s3:GetObjectTagging",
        (_, true, _) => "s3:PutObjectAcl",
        (&Method::DELETE, _, true) => "s3:DeleteObjectTagging",
        (_, _, true) => "s3:PutObjectTagging",
        _ => "s3:*",
    }
}

fn is_plain(head: &Head) -> bool {
    let known =
        |name: &str| PLAIN.contains(&name) || name.starts_with("X-Amz-") || name.starts_with("response-");
    head.query.iter().all(|(name, _)| known(name)) && head.header("x-amz-copy-source").is_none()
}

fn find(head: &Head, bucket: &str, key: &str) -> Operation {
    let has = |name: &str| head.parameter(name).is_some();
    match (&head.method, bucket.is_empty(), key.is_empty()) {
        (&Method::GET, true, _) => Operation::ListBuckets,
        (&Method::PUT, false, true) if has("policy") => Operation::PutBucketPolicy,
        (&Method::GET, false, true) if has("policy") => Operation::GetBucketPolicy,
        (&Method::DELETE, false, true) if has("policy") => Operation::DeleteBucketPolicy,
        (&Method::GET, false, true) if has("location") => Operation::GetBucketLocation,
        (&Method::GET, false, true) if head.parameter("list-type") == Some("2") => Operation::ListObjectsV2,
        (&Method::GET, false, true) if has("uploads") => Operation::ListMultipartUploads,
        (&Method::PUT, false, true) => Operation::CreateBucket,
        (&Method::HEAD, false, true) => Operation::HeadBucket,
        (&Method::DELETE, false, true) => Operation::DeleteBucket,
        (&Method::PUT, false, false) if has("uploadId") => Operation::UploadPart,
        (&Method::GET, false, false) if has("uploadId") => Operation::ListParts,
        (&Method::DELETE, false, false) if has("uploadId") => Operation::AbortMultipartUpload,
        (&Method::POST, false, false) if has("uploadId") => Operation::CompleteMultipartUpload,
        (&Method::POST, false, false) if has("uploads") => Operation::CreateMultipartUpload,
        (&Method::PUT, false, false) => Operation::PutObject,
        (&Method::GET, false, false) => Operation::GetObject,
        (&Method::HEAD, false, false) => Operation::HeadObject,
        (&Method::DELETE, false, false) => Operation::DeleteObject,
        _ => Operation::Unknown,
    }
}

/// Answers one request.
pub async fn answer(site: &Site, head: &Head, asked: Asked, body: Body, id: &str) -> Outcome {
    let mut received = journal::Body::Empty;
    let (bucket, key) = (asked.bucket.as_str(), asked.key.as_str());
    let result = match asked.operation {
        Operation::ListBuckets => Ok(buckets::list(site)),
        Operation::CreateBucket => buckets::create(site, bucket, body, &mut received).await,
        Operation::HeadBucket => buckets::head(site, bucket),
        Operation::DeleteBucket => buckets::delete(site, bucket),
        Operation::GetBucketLocation => buckets::location(site, bucket),
        Operation::PutBucketPolicy => policy::put(site, bucket, body, &mut received).await,
        Operation::GetBucketPolicy => policy::fetch(site, bucket),
        Operation::DeleteBucketPolicy => policy::delete(site, bucket),
        Operation::ListObjectsV2 => buckets::list_objects(site, head, bucket),
        Operation::PutObject => Box::pin(objects::put(site, head, bucket, key, body, &mut received)).await,
        Operation::GetObject | Operation::HeadObject => objects::fetch(site, head, bucket, key),
        Operation::DeleteObject => objects::delete(site, bucket, key).await,
        Operation::CreateMultipartUpload => multipart::create(site, head, bucket, key),
        Operation::UploadPart => {
            Box::pin(multipart::put_part(site, head, bucket, key, body, &mut received)).await
        }
        Operation::CompleteMultipartUpload => {
            Box::pin(multipart::complete(site, head, bucket, key, body, &mut received)).await
        }
        Operation::AbortMultipartUpload => multipart::abort(site, head, bucket, key).await,
        Operation::ListParts => multipart::list_parts(site, head, bucket, key),
        Operation::ListMultipartUploads => uploads::list(site, head, bucket),
        Operation::Unknown => Err(ApiError::new(
            "NotImplemented",
            format!(
                "the sandbox does not know the S3 operation {} {}",
                head.method, head.target
            ),
        )
        .status(501)),
    };
    let reply = result.unwrap_or_else(|error| Service::S3.refuse(&error, id));
    Outcome {
        reply: Some(reply),
        received,
    }
}

/// An XML document, as S3 answers.
fn xml(body: &str) -> Reply {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    Reply::text(http::StatusCode::OK, "application/xml", body)
}

/// The namespace of S3's documents.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

fn no_such_bucket() -> ApiError {
    ApiError::new("NoSuchBucket", "The specified bucket does not exist").status(404)
}

#[cfg(test)]
mod tests {
    use super::Asked;
    use crate::sandbox::wire::exchange::Head;
    use http::{HeaderMap, Method, Request};

    fn name(method: Method, target: &str) -> &'static str {
        let request = Request::builder().method(method).uri(target).body(()).unwrap();
        let (parts, ()) = request.into_parts();
        let head = Head {
            headers: HeaderMap::new(),
            ..Head::of(&parts)
        };
        Asked::of(&head).name()
    }

    #[test]
    fn method_path_and_query_name_the_operation() {
        for (method, target, expected) in [
            (Method::GET, "/", "ListBuckets"),
            (Method::PUT, "/bucket", "CreateBucket"),
            (Method::PUT, "/bucket/", "CreateBucket"),
            (Method::GET, "/bucket?list-type=2&prefix=a", "ListObjectsV2"),
            (Method::GET, "/bucket", "Unknown"),
            (Method::PUT, "/bucket/a/b%20c?x-id=PutObject", "PutObject"),
            (Method::GET, "/bucket/key?x-id=GetObject", "GetObject"),
            (Method::POST, "/bucket/key?uploads", "CreateMultipartUpload"),
            (Method::PUT, "/bucket/key?partNumber=1&uploadId=u", "UploadPart"),
            (Method::POST, "/bucket/key?uploadId=u", "CompleteMultipartUpload"),
            (Method::GET, "/bucket?acl", "Unknown"),
            (Method::PUT, "/bucket?policy", "PutBucketPolicy"),
            (Method::GET, "/bucket?uploads", "ListMultipartUploads"),
        ] {
            assert_eq!(name(method.clone(), target), expected, "{method} {target}");
        }
    }
}
