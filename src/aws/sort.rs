//! Every SDK error sorted by what can be done about it.
//!
//! [`sort`] is a table over plain values; [`CallError::of`] reads those values from an error of any operation.

use crate::failure::{Failure, Kind, Nature};
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_types::request_id::RequestId;
use serde_json::Value;
use std::error::Error;

/// What can be done about a failed call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sorted {
    /// The far end had a passing problem that outlasted the SDK's retries.
    Transient,
    /// Too many calls, after all retries.
    Throttled,
    /// The caller may not do this.
    Denied,
    /// The credentials were good once.
    ExpiredCredentials,
    /// There are no credentials, or AWS does not know them.
    NoCredentials,
    /// What gives the credentials failed to give them; nothing was sent.
    CredentialsFailed,
    /// The thing that was named does not exist; the code says which: `ClusterNotFoundException`.
    Missing {
        /// The error code.
        code: String,
    },
    /// AWS refuses the request as such.
    Refused {
        /// The error code.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// No answer came: no connection, or none in time. Whether the call took effect is unknown.
    Unreachable,
    /// AWS said that the call succeeded, in an answer that cannot be read: cut, or rewritten on its way. The effect may
    /// have happened, and the answer is lost.
    Garbled,
    /// An answer without any code of AWS, as a proxy gives. Whether AWS saw the call is unknown.
    Foreign {
        /// The HTTP status.
        status: u16,
    },
}

/// What an error says of itself, as plain values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symptom<'a> {
    /// The far end answered.
    Answer {
        /// The error code, where the answer has one.
        code: Option<&'a str>,
        /// The message, where the answer has one.
        message: Option<&'a str>,
        /// The HTTP status; 0 if the answer broke off before it.
        status: u16,
    },
    /// No answer: the connection failed, or took too long.
    NoAnswer,
    /// The request was not sent: credentials could not be found.
    NoCredentials,
    /// The request was not sent: a provider of credentials failed.
    CredentialsFailed,
    /// The request could not be built.
    NotBuilt,
}

/// The code of an error, as AWS's protocols of JSON and XML have it; empty if there is none.
pub(super) fn code_in(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Option<Value> = serde_json::from_str(&text).ok();
    let code = match &json {
        Some(json) => ["__type", "code"].iter().find_map(|name| json[*name].as_str()),
        None => text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split('<').next()),
    };
    let code = code.unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().to_owned()
}

/// Sorts one symptom. Codes first, since AWS sends many of them with status 400; the status decides unknown codes. An
/// answer without a code is not AWS's: its error protocols all have one, and a proxy's 403 or 404 says nothing of what the
/// caller may do or of what exists.
#[must_use]
pub fn sort(symptom: Symptom<'_>) -> Sorted {
    let (code, message, status) = match symptom {
        Symptom::Answer {
            code,
            message,
            status,
        } => (code.unwrap_or_default(), message, status),
        Symptom::NoAnswer => return Sorted::Unreachable,
        Symptom::NoCredentials => return Sorted::NoCredentials,
        Symptom::CredentialsFailed => return Sorted::CredentialsFailed,
        Symptom::NotBuilt => {
            return Sorted::Refused {
                code: "RequestNotBuilt".to_owned(),
                message: String::new(),
            };
        }
    };
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete" => Sorted::Throttled,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "AuthorizationError"
        | "UnauthorizedException"
        | "KMS.AccessDeniedException"
        | "AllAccessDisabled" => Sorted::Denied,
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            Sorted::ExpiredCredentials
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "AuthFailure" => Sorted::NoCredentials,
        "ServerException"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalError"
        | "InternalServiceError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "KmsException" => Sorted::Transient,
        missing if is_missing(missing) => Sorted::Missing {
            code: missing.to_owned(),
        },
        "" if status == 0 => Sorted::Unreachable,
        "" if status == 429 => Sorted::Throttled,
        _ if status >= 500 => Sorted::Transient,
        "" if is_success(status) => Sorted::Garbled,
        "" => Sorted::Foreign { status },
        refused => Sorted::Refused {
            code: refused.to_owned(),
            message: message.unwrap_or_default().to_owned(),
        },
    }
}

/// Whether AWS says with this status that it did what was asked for.
pub(super) const fn is_success(status: u16) -> bool {
    matches!(status, 200..300)
}

impl Sorted {
    /// Whether the call may have taken effect although it failed.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        match self {
            Self::Transient | Self::Unreachable | Self::Garbled | Self::Foreign { .. } => true,
            Self::Throttled
            | Self::Denied
            | Self::ExpiredCredentials
            | Self::NoCredentials
            | Self::CredentialsFailed
            | Self::Missing { .. }
            | Self::Refused { .. } => false,
        }
    }
}

/// An answer that has a status, and nothing of AWS's that could be read.
#[derive(Debug, thiserror::Error)]
#[error("HTTP {status}, {}", if is_success(*status) { "and the answer cannot be read" } else { "in an answer that is not AWS's" })]
pub(super) struct Unreadable {
    pub(super) status: u16,
    pub(super) source: Option<Box<dyn Error + Send + Sync>>,
}

/// An answer that can be read, and lacks what the operation always answers with.
#[derive(Debug, thiserror::Error)]
#[error("the answer has no {0}")]
struct Lacking(&'static str);

fn is_missing(code: &str) -> bool {
    matches!(
        code,
        "NoSuchBucket"
            | "NoSuchKey"
            | "NoSuchUpload"
            | "NotFound"
            | "TargetGroupNotFound"
            | "LoadBalancerNotFound"
    ) || code.ends_with("NotFoundException")
}

/// A call to AWS that failed after the SDK's retries.
#[derive(Debug, thiserror::Error)]
#[error("call `{action}`{}", request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default())]
pub struct CallError {
    /// The IAM action: `ecs:UpdateService`.
    pub action: &'static str,
    /// Of which sort it is.
    pub sorted: Sorted,
    /// AWS's id of the request, for a support case.
    pub request_id: Option<String>,
    /// The SDK's error.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl CallError {
    /// Reads what an SDK error says; for `map_err`: `.map_err(CallError::of("ecs:UpdateService"))`.
    pub fn of<E>(action: &'static str) -> impl Fn(SdkError<E, Response>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        move |error| Self {
            action,
            sorted: sort(symptom(&error)),
            request_id: error.request_id().map(str::to_owned),
            source: match (answer(&error), symptom(&error)) {
                (Some(answer), _) => answer.into(),
                (None, Symptom::Answer { status, .. }) if status > 0 => Box::new(Unreadable {
                    status,
                    source: unread(error),
                }),
                // The SDK's wrapper says only "dispatch failure"; what it wraps says more.
                (None, _) => error.into_source().unwrap_or_else(Into::into),
            },
        }
    }

    /// A call whose answer of success lacks a member that it always has: it is as good as unread. For `ok_or_else`.
    pub fn lacking(action: &'static str, member: &'static str) -> impl Fn() -> Self {
        move || Self {
            action,
            sorted: Sorted::Garbled,
            request_id: None,
            source: Box::new(Lacking(member)),
        }
    }

    /// A call that was not sent: the SDK does not take what it would say.
    pub fn unbuilt(action: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            action,
            sorted: sort(Symptom::NotBuilt),
            request_id: None,
            source: source.into(),
        }
    }

    /// The failure to show when nothing was changed yet. `what` is the act in the story's words.
    #[must_use]
    pub fn into_failure(self, what: impl Into<String>) -> Failure {
        let mut failure = Failure::new(self.kind(), what).nature(self.nature());
        failure.hints.extend(self.hint());
        failure.because(self)
    }

    /// What stood between slipway and AWS.
    #[must_use]
    pub fn nature(&self) -> Nature {
        match self.sorted {
            Sorted::Denied => Nature::denied(self.action),
            Sorted::ExpiredCredentials | Sorted::NoCredentials => Nature::Credentials,
            Sorted::CredentialsFailed => self.beneath().map_or(self.of_the_provider(), Self::nature),
            Sorted::Missing { .. } => Nature::Missing,
            Sorted::Transient
            | Sorted::Throttled
            | Sorted::Unreachable
            | Sorted::Garbled
            | Sorted::Foreign { .. } => Nature::FarEnd,
            Sorted::Refused { .. } => Nature::Plain,
        }
    }

    /// What the SDK's own providers say: little more than that they were not answered.
    fn of_the_provider(&self) -> Nature {
        let mut next: Option<&(dyn Error + 'static)> = Some(&*self.source);
        while let Some(error) = next {
            if let Some(CredentialsError::ProviderTimedOut(_)) = error.downcast_ref() {
                return Nature::FarEnd;
            }
            next = error.source();
        }
        Nature::Credentials
    }

    /// The call of ours that this one failed for: that of what gives the credentials.
    fn beneath(&self) -> Option<&Self> {
        let mut next = self.source();
        while let Some(error) = next {
            let boxed = || error.downcast_ref::<Box<Self>>().map(|call| &**call);
            if let Some(call) = error.downcast_ref().or_else(boxed) {
                return Some(call);
            }
            next = error.source();
        }
        None
    }

    /// What to do about it, where its sort says that much.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if let (Sorted::CredentialsFailed, Some(call)) = (&self.sorted, self.beneath()) {
            return call.hint();
        }
        let hint = match &self.sorted {
            Sorted::Denied => return Some(format!("allow `{}` in the role's policy", self.action)),
            Sorted::ExpiredCredentials => {
                "the credentials have expired: sign in again, or raise the role's session duration"
            }
            Sorted::NoCredentials => {
                "AWS does not accept these credentials: check which profile or role is used, the region, and the clock"
            }
            Sorted::CredentialsFailed => {
                "what gives the AWS credentials failed, which may pass: run again; else check the profile or role that is used"
            }
            Sorted::Throttled => "other tools share the account's request rate: run again in a minute",
            Sorted::Transient => "AWS had a passing problem: run again",
            Sorted::Unreachable => "check the network, the region, and any VPC endpoint or proxy",
            Sorted::Garbled | Sorted::Foreign { .. } => {
                "something between here and AWS answers, or changes answers: check any proxy and the endpoint's address"
            }
            Sorted::Missing { .. } | Sorted::Refused { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// The kind of failure that this is when nothing was changed yet.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if let (Sorted::CredentialsFailed, Some(call)) = (&self.sorted, self.beneath()) {
            return call.kind();
        }
        match self.sorted {
            Sorted::Transient
            | Sorted::Throttled
            | Sorted::Unreachable
            | Sorted::CredentialsFailed
            | Sorted::Foreign { .. } => Kind::FarEnd,
            Sorted::Garbled => Kind::Unclear,
            Sorted::NoCredentials => Kind::Usage,
            Sorted::Denied | Sorted::ExpiredCredentials | Sorted::Missing { .. } | Sorted::Refused { .. } => {
                Kind::Refused
            }
        }
    }
}

/// AWS's own words, `Code: message`; the SDK shows errors that it does not model as Rust values.
fn answer<E: ProvideErrorMetadata>(error: &SdkError<E, Response>) -> Option<String> {
    let (code, message) = (error.code()?, error.message().unwrap_or_default());
    Some(if message.is_empty() {
        code.to_owned()
    } else {
        format!("{code}: {message}")
    })
}

/// Why an answer is of no use. Of one that it can read, the SDK has only a Rust value to show, and perhaps a message in it.
fn unread<E>(error: SdkError<E, Response>) -> Option<Box<dyn Error + Send + Sync>>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let mut next = Some(&error as &(dyn Error + 'static));
    while let Some(cause) = next {
        match cause.downcast_ref::<ErrorMetadata>() {
            Some(read) => return read.message().map(Into::into),
            None => next = cause.source(),
        }
    }
    Some(error.into_source().unwrap_or_else(Into::into))
}

fn symptom<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E, Response>) -> Symptom<'_> {
    match error {
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => Symptom::Answer {
            code: error.code(),
            message: error.message(),
            status: error
                .raw_response()
                .map_or(0, |response| response.status().as_u16()),
        },
        SdkError::TimeoutError(_) => Symptom::NoAnswer,
        SdkError::ConstructionFailure(_) => credentials(error).unwrap_or(Symptom::NotBuilt),
        // Credentials are looked up while dispatching, so their errors come in this shape too.
        _ => credentials(error).unwrap_or(Symptom::NoAnswer),
    }
}

/// Finds an error of the credential chain among the sources.
fn credentials(error: &(dyn Error + 'static)) -> Option<Symptom<'static>> {
    let mut next = Some(error);
    while let Some(error) = next {
        match error.downcast_ref() {
            Some(CredentialsError::CredentialsNotLoaded(_)) => return Some(Symptom::NoCredentials),
            Some(_) => return Some(Symptom::CredentialsFailed),
            None => next = error.source(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{CallError, CredentialsError, Nature, Sorted, Symptom, sort};

    #[test]
    fn codes_decide_first_and_the_status_decides_the_rest() {
        let missing = |code: &str| Sorted::Missing {
            code: code.to_owned(),
        };
        let refused = |code: &str| Sorted::Refused {
            code: code.to_owned(),
            message: "why".to_owned(),
        };
        for (code, status, expected) in [
            ("ThrottlingException", 400, Sorted::Throttled),
            ("SlowDown", 503, Sorted::Throttled),
            ("", 429, Sorted::Throttled),
            ("AccessDeniedException", 400, Sorted::Denied),
            ("AccessDenied", 403, Sorted::Denied),
            ("", 200, Sorted::Garbled),
            ("", 302, Sorted::Foreign { status: 302 }),
            ("", 403, Sorted::Foreign { status: 403 }),
            ("", 0, Sorted::Unreachable),
            ("ExpiredTokenException", 400, Sorted::ExpiredCredentials),
            ("ExpiredToken", 400, Sorted::ExpiredCredentials),
            ("UnrecognizedClientException", 400, Sorted::NoCredentials),
            ("SignatureDoesNotMatch", 403, Sorted::NoCredentials),
            (
                "ClusterNotFoundException",
                400,
                missing("ClusterNotFoundException"),
            ),
            (
                "ServiceNotFoundException",
                400,
                missing("ServiceNotFoundException"),
            ),
            ("NoSuchKey", 404, missing("NoSuchKey")),
            ("", 404, Sorted::Foreign { status: 404 }),
            ("ServerException", 500, Sorted::Transient),
            ("ServiceUnavailable", 503, Sorted::Transient),
            ("SomethingNew", 502, Sorted::Transient),
            ("", 500, Sorted::Transient),
            ("ClientException", 400, refused("ClientException")),
            (
                "ServiceNotActiveException",
                400,
                refused("ServiceNotActiveException"),
            ),
            ("SomethingNew", 400, refused("SomethingNew")),
            ("", 400, Sorted::Foreign { status: 400 }),
            ("InternalError", 200, Sorted::Transient),
            ("SomethingNew", 200, refused("SomethingNew")),
        ] {
            let answer = Symptom::Answer {
                code: Some(code),
                message: Some("why"),
                status,
            };
            assert_eq!(sort(answer), expected, "{code} {status}");
        }
    }

    #[test]
    fn credentials_that_are_not_to_be_had_are_as_bad_as_what_gives_them() {
        let failed = |source: CredentialsError| CallError {
            action: "s3:GetObject",
            sorted: Sorted::CredentialsFailed,
            request_id: None,
            source: source.into(),
        };
        let call = |sorted| CallError {
            action: "sts:AssumeRole",
            sorted,
            request_id: None,
            source: "why".into(),
        };
        for (sorted, expected) in [
            (Sorted::Denied, Nature::denied("sts:AssumeRole")),
            (Sorted::Throttled, Nature::FarEnd),
            (Sorted::Unreachable, Nature::FarEnd),
            (Sorted::ExpiredCredentials, Nature::Credentials),
        ] {
            for source in [
                CredentialsError::provider_error(call(sorted.clone())),
                CredentialsError::provider_error(Box::new(call(sorted.clone()))),
            ] {
                let (failed, beneath) = (failed(source), call(sorted.clone()));
                assert_eq!(failed.nature(), expected, "{sorted:?}");
                assert_eq!((failed.hint(), failed.kind()), (beneath.hint(), beneath.kind()));
            }
        }
        let other = CredentialsError::provider_error("AccessDenied: no");
        assert_eq!(failed(other).nature(), Nature::Credentials, "it may be anything");
        let timed_out = CredentialsError::provider_timed_out(std::time::Duration::from_secs(5));
        assert_eq!(failed(timed_out).nature(), Nature::FarEnd);
    }

    #[test]
    fn no_answer_is_told_from_no_credentials() {
        assert_eq!(sort(Symptom::NoAnswer), Sorted::Unreachable);
        assert_eq!(sort(Symptom::NoCredentials), Sorted::NoCredentials);
        assert_eq!(sort(Symptom::CredentialsFailed), Sorted::CredentialsFailed);
    }
}
