//! What a session opens of the wire: the artifacts of a job are some objects of S3, and nothing else of any service.

use super::exchange::Head;
use super::route::{Ask, Asked};
use super::service::Service;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::s3::S3;
use crate::sandbox::world::sessions::{Scope, Session};

/// Checks that a session may ask.
///
/// # Errors
/// The service's own refusal, naming the session and the action.
pub fn check(session: &Session, head: &Head, ask: &Ask, s3: &S3) -> Result<(), ApiError> {
    match (&session.scope, &ask.asked) {
        (Scope::Role, _) => Ok(()),
        (Scope::Artifacts { .. }, Asked::S3(asked, _)) => check_objects(session, &asked.demands(head), s3),
        // AWS: "No permissions are required to perform this operation."
        (Scope::Artifacts { .. }, _)
            if ask.service == Service::Sts && ask.operation == "GetCallerIdentity" =>
        {
            Ok(())
        }
        (Scope::Artifacts { .. }, _) => {
            let action = format!("{}:{}", ask.service.signing_name(), ask.operation);
            Err(ask.service.denied_to(&session.arn, &action, None))
        }
    }
}

/// One permission that a request to S3 takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand<'a> {
    /// `s3:GetObject`.
    pub action: &'static str,
    /// The bucket; empty for none.
    pub bucket: &'a str,
    /// The key; empty for the bucket itself.
    pub key: &'a str,
}

fn check_objects(session: &Session, demands: &[Demand<'_>], s3: &S3) -> Result<(), ApiError> {
    let refuse = |action: &str, bucket: &str, key: &str| {
        let resource = match (bucket, key) {
            ("", _) => "*".to_owned(),
            (bucket, "") => format!("arn:aws:s3:::{bucket}"),
            (bucket, key) => format!("arn:aws:s3:::{bucket}/{key}"),
        };
        Err(Service::S3.denied_to(&session.arn, action, Some(&resource)))
    };
    for Demand { action, bucket, key } in demands {
        if !session.scope.opens_object(action, bucket, key) {
            return refuse(action, bucket, key);
        }
        // Whoever may not list a bucket is not told that an object is missing.
        let is_missing = s3
            .bucket(bucket)
            .is_some_and(|bucket| !bucket.objects.contains_key(*key));
        if *action == "s3:GetObject" && is_missing {
            return refuse("s3:ListBucket", bucket, "");
        }
    }
    Ok(())
}
