//! Who asks: the credential scope of a signed request, whose its keys are, and the password of the registry.
//!
//! Signatures are not verified; the sandbox knows no secret keys. A missing or misdirected one is refused as AWS does.

use super::super::world::ecr::Admission;
use super::super::world::error::ApiError;
use super::super::world::sessions::{Refusal, Session, Sessions};
use super::exchange::Head;
use super::service::{Service, Speech};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::time::Duration;

/// Checks that a request is signed for this service and region.
///
/// # Errors
/// The service's own refusal.
pub fn check_scope(head: &Head, service: Service, region: &str) -> Result<(), ApiError> {
    let Some(scope) = scope(head) else {
        return Err(unsigned(service));
    };
    let [_key, _date, signed_region, signed_service, "aws4_request"] =
        scope.split('/').collect::<Vec<_>>()[..]
    else {
        return Err(malformed(
            service,
            "the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
        ));
    };
    if signed_service != service.signing_name() {
        let name = service.signing_name();
        return Err(malformed(
            service,
            &format!("Credential should be scoped to correct service: '{name}'."),
        ));
    }
    if signed_region != region {
        return Err(match service.speech() {
            Speech::Xml => malformed(
                service,
                &format!("the region '{signed_region}' is wrong; expecting '{region}'"),
            ),
            Speech::Json | Speech::Query(_) | Speech::Distribution => {
                malformed(service, "Credential should be scoped to a valid region.")
            }
        });
    }
    Ok(())
}

/// The session whose keys a request is signed with; `None` for the account's own.
///
/// # Errors
/// The service's own refusal of keys that have ended, or that are not what they seem.
pub fn check_keys(
    head: &Head,
    service: Service,
    sessions: &Sessions,
    now: Duration,
) -> Result<Option<Session>, ApiError> {
    let key = access_key(head).unwrap_or_default();
    match sessions.admit(now, key, token(head)) {
        Ok(session) => Ok(session.cloned()),
        Err(Refusal::Expired) => Err(service.expired()),
        Err(Refusal::Stranger) => Err(service.unknown_keys(token(head).is_some())),
    }
}

/// Whose request it is, as the journal tells: `account`, or the ARN of a session; `None` when nobody can say.
pub fn principal(head: &Head, sessions: &Sessions, now: Duration) -> Option<String> {
    let key = access_key(head)?;
    match sessions.admit(now, key, token(head)) {
        Ok(None) => Some("account".to_owned()),
        Ok(Some(session)) => Some(session.arn.clone()),
        Err(Refusal::Expired) => sessions.of_key(key).map(|session| session.arn.clone()),
        Err(Refusal::Stranger) => None,
    }
}

fn access_key(head: &Head) -> Option<&str> {
    scope(head)?.split('/').next()
}

fn token(head: &Head) -> Option<&str> {
    head.header("x-amz-security-token")
        .or_else(|| head.parameter("X-Amz-Security-Token"))
}

/// The credential scope: of the Authorization header, or of a presigned URL.
fn scope(head: &Head) -> Option<&str> {
    if let Some(credential) = head.parameter("X-Amz-Credential") {
        return Some(credential);
    }
    let rest = head.header("authorization")?.strip_prefix("AWS4-HMAC-SHA256")?;
    rest.split(',')
        .find_map(|part| part.trim().strip_prefix("Credential="))
}

fn unsigned(service: Service) -> ApiError {
    match service.speech() {
        Speech::Json => ApiError::new(
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
        Speech::Query(_) => ApiError::new(
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        )
        .status(403),
        Speech::Xml => ApiError::new("AccessDenied", "Access Denied").status(403),
        Speech::Distribution => ApiError::new("UNAUTHORIZED", "Not Authorized").status(401),
    }
}

fn malformed(service: Service, problem: &str) -> ApiError {
    match service.speech() {
        Speech::Json => ApiError::new("InvalidSignatureException", problem),
        Speech::Query(_) => ApiError::new("SignatureDoesNotMatch", problem).status(403),
        Speech::Xml | Speech::Distribution => ApiError::new(
            "AuthorizationHeaderMalformed",
            format!("The authorization header is malformed; {problem}"),
        ),
    }
}

/// The token of a Basic Authorization header whose user is `AWS`.
pub fn registry_token(head: &Head) -> Option<String> {
    let encoded = head.header("authorization")?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.strip_prefix("AWS:").map(str::to_owned)
}

/// The registry's refusal, if the token does not open it.
///
/// # Errors
/// 401 for a token that nobody gave out, 403 for one that has ended.
pub fn check_admission(admission: Admission) -> Result<(), ApiError> {
    match admission {
        Admission::Granted => Ok(()),
        Admission::Expired => Err(Service::Registry.expired()),
        Admission::Unknown => Err(unsigned(Service::Registry)),
    }
}

#[cfg(test)]
mod tests {
    use super::{check_scope, registry_token};
    use crate::sandbox::wire::exchange::Head;
    use crate::sandbox::wire::service::Service;
    use http::{HeaderMap, Method};

    fn head(authorization: Option<&str>) -> Head {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert("authorization", value.parse().unwrap());
        }
        Head {
            method: Method::POST,
            target: "/".into(),
            path: "/".into(),
            query: Vec::new(),
            headers,
        }
    }

    fn check(service: Service, scope: &str) -> Result<(), String> {
        let value = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00");
        check_scope(&head(Some(&value)), service, "eu-west-1").map_err(|error| error.to_string())
    }

    #[test]
    fn a_scope_must_name_this_service_and_region() {
        assert_eq!(
            check(Service::Ecs, "AK/20260101/eu-west-1/ecs/aws4_request"),
            Ok(())
        );
        assert_eq!(
            check(
                Service::Elb,
                "AK/20260101/eu-west-1/elasticloadbalancing/aws4_request"
            ),
            Ok(())
        );
        assert_eq!(
            check(Service::Ecs, "AK/20260101/us-east-1/ecs/aws4_request").unwrap_err(),
            "InvalidSignatureException: Credential should be scoped to a valid region."
        );
        assert_eq!(
            check(Service::S3, "AK/20260101/us-east-1/s3/aws4_request").unwrap_err(),
            "AuthorizationHeaderMalformed: The authorization header is malformed; the region 'us-east-1' is wrong; \
             expecting 'eu-west-1'"
        );
        assert!(check(Service::Sts, "AK/20260101/eu-west-1/ecs/aws4_request").is_err());
        assert!(check(Service::Ecs, "AK").is_err());
    }

    #[test]
    fn an_unsigned_request_is_refused_in_the_service_s_words() {
        let code = |service| check_scope(&head(None), service, "eu-west-1").unwrap_err().code;
        assert_eq!(code(Service::Ecs), "MissingAuthenticationTokenException");
        assert_eq!(code(Service::Sts), "MissingAuthenticationToken");
        assert_eq!(code(Service::S3), "AccessDenied");
    }

    #[test]
    fn the_registry_s_user_is_aws() {
        // AWS:secret, and bob:secret.
        assert_eq!(
            registry_token(&head(Some("Basic QVdTOnNlY3JldA=="))).as_deref(),
            Some("secret")
        );
        assert_eq!(registry_token(&head(Some("Basic Ym9iOnNlY3JldA=="))), None);
        assert_eq!(registry_token(&head(None)), None);
    }
}
