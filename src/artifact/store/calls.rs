//! What S3's refusals mean for an artifact.

use super::error::StoreError;
use crate::aws::sort::{CallError, Sorted};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;

/// The act of looking at what was written, by a HEAD.
pub const VERIFY: &str = "verify";

/// How an object is called in messages: `s3://bucket/key`.
#[must_use]
pub fn address(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

/// Reads what a refusal means. `act` is what was done to the place; [`VERIFY`] is a HEAD, whose refusals have no words.
pub fn refuse<E>(act: &'static str, action: &'static str, place: &str, error: SdkError<E>) -> StoreError
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
        Sorted::Missing { code } if code.starts_with("KMS.") || code == "NoSuchUpload" => {
            StoreError::Call { act, place, source }
        }
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
        | Sorted::CredentialsFailed
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
