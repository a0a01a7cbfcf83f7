//! awsQuery: STS and Elastic Load Balancing.

use super::Site;
use super::exchange::Reply;
use super::service::{Service, Speech};
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::sessions::Session;
use http::StatusCode;
use std::collections::BTreeMap;

/// Answers one operation.
///
/// # Errors
/// The operation's own; an unknown operation is refused by name.
pub fn call(
    site: &Site,
    service: Service,
    operation: &str,
    params: &BTreeMap<String, String>,
    caller: Option<&Session>,
    request_id: &str,
) -> Result<Reply, ApiError> {
    let result = match service {
        Service::Elb => site
            .shared
            .visit(|world, now| world.elb.call(now, operation, params))?,
        Service::Sts => site.shared.visit(|world, now| {
            world
                .sts
                .call(now, operation, params, caller, &mut world.sessions)
        })?,
        Service::Ecs
        | Service::Ecr
        | Service::Logs
        | Service::CodePipeline
        | Service::Sqs
        | Service::S3
        | Service::Registry => {
            return Err(unknown("this service", operation));
        }
    };
    let namespace = match service.speech() {
        Speech::Query(namespace) => namespace,
        Speech::Json | Speech::Xml | Speech::Distribution => "",
    };
    let body = format!(
        "<{operation}Response xmlns=\"{namespace}\"><{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    );
    Ok(Reply::text(StatusCode::OK, "text/xml", body))
}

/// `InvalidAction`, naming what the sandbox does not know.
pub fn unknown(service: &str, operation: &str) -> ApiError {
    ApiError::new(
        "InvalidAction",
        format!("the sandbox does not know the operation {operation} of {service}"),
    )
}
