//! The services of the sandbox: what they are called, how they sign, and how each says that it refuses.

use super::super::world::error::ApiError;
use super::exchange::Reply;
use http::StatusCode;
use quick_xml::escape::escape;
use serde_json::json;

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon ECS.
    Ecs,
    /// Amazon ECR's API.
    Ecr,
    /// CloudWatch Logs.
    Logs,
    /// AWS CodePipeline.
    CodePipeline,
    /// AWS STS.
    Sts,
    /// Elastic Load Balancing v2.
    Elb,
    /// Amazon S3.
    S3,
    /// Amazon ECR's registry.
    Registry,
}

/// How a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// awsJson1.1.
    Json,
    /// awsQuery, with the namespace of its answers.
    Query(&'static str),
    /// S3's XML.
    Xml,
    /// The distribution specification.
    Distribution,
}

impl Service {
    /// As scenarios and the journal call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ecs => "ecs",
            Self::Ecr => "ecr",
            Self::Logs => "logs",
            Self::CodePipeline => "codepipeline",
            Self::Sts => "sts",
            Self::Elb => "elb",
            Self::S3 => "s3",
            Self::Registry => "registry",
        }
    }

    /// As a credential scope calls it; the registry has none.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Elb => "elasticloadbalancing",
            Self::Ecs
            | Self::Ecr
            | Self::Logs
            | Self::CodePipeline
            | Self::Sts
            | Self::S3
            | Self::Registry => self.name(),
        }
    }

    /// The service that an `X-Amz-Target` names by its first half.
    pub fn of_target(prefix: &str) -> Option<Self> {
        match prefix {
            "AmazonEC2ContainerServiceV20141113" => Some(Self::Ecs),
            "AmazonEC2ContainerRegistry_V20150921" => Some(Self::Ecr),
            "Logs_20140328" => Some(Self::Logs),
            "CodePipeline_20150709" => Some(Self::CodePipeline),
            _ => None,
        }
    }

    /// The service of the query protocol that a `Version` belongs to.
    pub fn of_version(version: &str) -> Option<Self> {
        match version {
            "2011-06-15" => Some(Self::Sts),
            "2015-12-01" => Some(Self::Elb),
            _ => None,
        }
    }

    /// How it speaks.
    pub fn speech(self) -> Speech {
        match self {
            Self::Ecs | Self::Ecr | Self::Logs | Self::CodePipeline => Speech::Json,
            Self::Sts => Speech::Query("https://sts.amazonaws.com/doc/2011-06-15/"),
            Self::Elb => Speech::Query("http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"),
            Self::S3 => Speech::Xml,
            Self::Registry => Speech::Distribution,
        }
    }

    /// The error as this service writes it.
    pub fn refuse(self, error: &ApiError, request_id: &str) -> Reply {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
        match self.speech() {
            Speech::Json => {
                let body = json!({ "__type": error.code, "message": error.message }).to_string();
                Reply::text(status, "application/x-amz-json-1.1", body)
            }
            Speech::Query(namespace) => {
                let kind = if status.is_server_error() {
                    "Receiver"
                } else {
                    "Sender"
                };
                let body = format!(
                    "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}\
                     </Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                    escape(error.code.as_str()),
                    escape(error.message.as_str()),
                );
                Reply::text(status, "text/xml", body)
            }
            Speech::Xml => {
                let body = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code><Message>{}</Message>\
                     <RequestId>{request_id}</RequestId><HostId>sandbox</HostId></Error>",
                    escape(error.code.as_str()),
                    escape(error.message.as_str()),
                );
                Reply::text(status, "application/xml", body)
            }
            Speech::Distribution => {
                let body =
                    json!({ "errors": [{ "code": error.code, "message": error.message }] }).to_string();
                Reply::text(status, "application/json; charset=utf-8", body)
                    .with("docker-distribution-api-version", "registry/2.0")
            }
        }
    }

    /// How it refuses a client that asks too often.
    pub fn throttled(self) -> ApiError {
        match self.speech() {
            Speech::Json => ApiError::new("ThrottlingException", "Rate exceeded"),
            Speech::Query(_) => ApiError::new("Throttling", "Rate exceeded"),
            Speech::Xml => ApiError::new("SlowDown", "Please reduce your request rate.").status(503),
            Speech::Distribution => ApiError::new("TOOMANYREQUESTS", "Rate exceeded").status(429),
        }
    }

    /// How it refuses a client without the permission.
    pub fn denied(self, operation: &str) -> ApiError {
        let text = format!(
            "User: arn:aws:iam::{}:user/sandbox is not authorized to perform: {}:{operation} because no identity-based \
             policy allows the {}:{operation} action",
            super::super::ACCOUNT,
            self.signing_name(),
            self.signing_name(),
        );
        match self.speech() {
            Speech::Json => ApiError::new("AccessDeniedException", text),
            Speech::Query(_) => ApiError::new("AccessDenied", text).status(403),
            Speech::Xml => ApiError::new("AccessDenied", "Access Denied").status(403),
            Speech::Distribution => ApiError::new("DENIED", text.replace("registry:", "ecr:")).status(403),
        }
    }

    /// How it refuses credentials that have ended.
    pub fn expired(self) -> ApiError {
        const TEXT: &str = "The security token included in the request is expired";
        match self.speech() {
            Speech::Json => ApiError::new("ExpiredTokenException", TEXT),
            Speech::Query(_) => ApiError::new("ExpiredToken", TEXT).status(403),
            Speech::Xml => ApiError::new("ExpiredToken", "The provided token has expired."),
            Speech::Distribution => {
                let text = "Your authorization token has expired. Reauthenticate and try again.";
                ApiError::new("DENIED", text).status(403)
            }
        }
    }
}
