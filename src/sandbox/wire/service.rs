//! The services of the sandbox: what they are called, how they sign, and how each says that it refuses.

use super::super::world::error::ApiError;
use super::super::world::quotas::Api;
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
    /// Amazon SQS.
    Sqs,
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
    /// awsJson1.1, of SQS awsJson1.0.
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
            Self::Sqs => "sqs",
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
            | Self::Sqs
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
            "AmazonSQS" => Some(Self::Sqs),
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
            Self::Ecs | Self::Ecr | Self::Logs | Self::CodePipeline | Self::Sqs => Speech::Json,
            Self::Sts => Speech::Query("https://sts.amazonaws.com/doc/2011-06-15/"),
            Self::Elb => Speech::Query("http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"),
            Self::S3 => Speech::Xml,
            Self::Registry => Speech::Distribution,
        }
    }

    /// The type of its JSON bodies.
    pub fn json_type(self) -> &'static str {
        if self == Self::Sqs {
            "application/x-amz-json-1.0"
        } else {
            "application/x-amz-json-1.1"
        }
    }

    /// Whose quotas it has; `None` when the sandbox imitates none.
    pub fn quotas(self) -> Option<Api> {
        match self {
            Self::Ecs => Some(Api::Ecs),
            Self::CodePipeline => Some(Api::CodePipeline),
            Self::Ecr | Self::Logs | Self::Sqs | Self::Sts | Self::Elb | Self::S3 | Self::Registry => None,
        }
    }

    /// Whether it speaks smithy-rpc-v2-cbor as well, by its service model.
    pub fn speaks_cbor(self) -> bool {
        self == Self::CodePipeline
    }

    /// The namespace of its shapes, where an error names it.
    pub fn namespace(self) -> String {
        format!("com.amazonaws.{}", self.name())
    }

    /// The members that are instants in its answers, where the encoding must tell them from numbers; no member of
    /// another type has such a name.
    pub fn timestamps(self) -> &'static [&'static str] {
        if self == Self::CodePipeline {
            &[
                "approvedAt",
                "created",
                "endTime",
                "lastChangedAt",
                "lastStatusChange",
                "lastTriggered",
                "lastUpdateTime",
                "pollingDisabledAt",
                "startTime",
                "updated",
            ]
        } else {
            &[]
        }
    }

    /// The error as this service writes it.
    pub fn refuse(self, error: &ApiError, request_id: &str) -> Reply {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
        match self.speech() {
            Speech::Json => {
                let body = json!({ "__type": error.code, "message": error.message }).to_string();
                let reply = Reply::text(status, self.json_type(), body);
                if self == Self::Sqs {
                    reply.with("x-amzn-query-error", &format!("{};Sender", queried(&error.code)))
                } else {
                    reply
                }
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

    /// How it refuses a session that does not open an action (`s3:GetObject`).
    pub fn denied_to(self, arn: &str, action: &str, resource: Option<&str>) -> ApiError {
        let resource = resource.map_or_else(String::new, |name| format!(" on resource: \"{name}\""));
        let text = format!(
            "User: {arn} is not authorized to perform: {action}{resource} because no session policy allows the {action} \
             action"
        );
        match self.speech() {
            Speech::Json => ApiError::new("AccessDeniedException", text),
            Speech::Query(_) | Speech::Xml => ApiError::new("AccessDenied", text).status(403),
            Speech::Distribution => ApiError::new("DENIED", text).status(403),
        }
    }

    /// How it refuses somebody whom the policy of a resource denies an action.
    pub fn denied_by_policy(self, arn: &str, action: &str, resource: &str) -> ApiError {
        let text = format!(
            "User: {arn} is not authorized to perform: {action} on resource: \"{resource}\" with an explicit deny in a \
             resource-based policy"
        );
        ApiError::new("AccessDenied", text).status(403)
    }

    /// How it refuses keys that it does not know, or that came with another token than theirs.
    pub fn unknown_keys(self, with_token: bool) -> ApiError {
        const TEXT: &str = "The security token included in the request is invalid.";
        match self.speech() {
            Speech::Json => ApiError::new("UnrecognizedClientException", TEXT),
            Speech::Query(_) => ApiError::new("InvalidClientTokenId", TEXT).status(403),
            Speech::Xml if with_token => ApiError::new(
                "InvalidToken",
                "The provided token is malformed or otherwise invalid.",
            ),
            Speech::Xml => ApiError::new(
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            )
            .status(403),
            Speech::Distribution => ApiError::new("UNAUTHORIZED", "Not Authorized").status(401),
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

/// The code of an error of SQS in the query protocol, by which its clients still tell some.
fn queried(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "QueueNameExists" => "QueueAlreadyExists".to_owned(),
        "PurgeQueueInProgress"
        | "MessageNotInflight"
        | "UnsupportedOperation"
        | "TooManyEntriesInBatchRequest"
        | "EmptyBatchRequest"
        | "BatchEntryIdsNotDistinct" => format!("AWS.SimpleQueueService.{code}"),
        "MissingRequiredParameterException" => "MissingParameter".to_owned(),
        other => other.trim_end_matches("Exception").to_owned(),
    }
}
