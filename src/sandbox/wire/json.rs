//! awsJson: ECS, ECR, CloudWatch Logs, CodePipeline and SQS.

use super::exchange::Reply;
use super::service::Service;
use super::{Site, layers, sqs};
use crate::sandbox::world::error::ApiError;
use http::StatusCode;
use serde_json::Value;

/// Answers one operation.
///
/// # Errors
/// The operation's own.
pub async fn call(site: &Site, service: Service, operation: &str, body: &[u8]) -> Result<Reply, ApiError> {
    let input = read(body)?;
    let answer = match (service, operation) {
        (Service::Ecr, "InitiateLayerUpload" | "UploadLayerPart" | "CompleteLayerUpload") => {
            Box::pin(layers::call(site, operation, &input)).await?
        }
        (Service::Sqs, _) => Box::pin(sqs::call(site, operation, &input)).await?,
        _ => site.shared.visit(|world, now| match service {
            Service::Ecs => world.ecs.call(now, operation, &input, &mut world.elb, &world.ecr),
            Service::Ecr => world.ecr.call(now, operation, &input),
            Service::Logs => world.logs.call(now, operation, &input),
            Service::CodePipeline => {
                world
                    .pipeline
                    .call(now, operation, &input, &mut world.s3, &mut world.sessions)
            }
            Service::Sqs | Service::Sts | Service::Elb | Service::S3 | Service::Registry => Err(
                ApiError::new("UnknownOperationException", "this service does not speak awsJson"),
            ),
        })?,
    };
    Ok(Reply::text(
        StatusCode::OK,
        service.json_type(),
        answer.to_string(),
    ))
}

/// The input: a JSON object, or nothing, which is an empty one.
fn read(body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    match serde_json::from_slice(body) {
        Ok(object @ Value::Object(_)) => Ok(object),
        Ok(_) => Err(ApiError::new(
            "SerializationException",
            "Start of structure or map found where not expected.",
        )),
        Err(_) => Err(ApiError::new(
            "SerializationException",
            "the request's body is no JSON",
        )),
    }
}
