//! What others do to a service deployment under way: StopServiceDeployment, ContinueServiceDeployment.

use super::Ecs;
use super::hooks::HookStatus;
use super::request::{client, invalid, required, text};
use super::revision::{ServiceDeployment, Status};
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};
use std::time::Duration;

impl Ecs {
    /// StopServiceDeployment with ROLLBACK, the only type that AWS supports.
    pub(super) fn stop_service_deployment(
        &mut self,
        now: Duration,
        input: &Value,
    ) -> Result<Value, ApiError> {
        let arn = required(input, "serviceDeploymentArn")?;
        match text(input, "stopType") {
            None | Some("ROLLBACK") => {}
            Some(other) => return Err(invalid(format!("The stop type {other} is not supported."))),
        }
        self.intervene(now, arn, |record| match record.status {
            Status::Pending | Status::InProgress => {
                record.enter(now, Status::RollbackRequested, None);
                Ok(true)
            }
            Status::RollbackRequested | Status::RollbackInProgress => Ok(false),
            Status::Successful | Status::Stopped | Status::RollbackSuccessful | Status::RollbackFailed => {
                let status = record.status.as_str();
                let text = format!("The service deployment can not be stopped: it is {status}.");
                Err(ApiError::new("ConflictException", text))
            }
        })?;
        Ok(json!({ "serviceDeploymentArn": arn }))
    }

    /// ContinueServiceDeployment: ends a pause, by going on or by going back.
    pub(super) fn continue_service_deployment(
        &mut self,
        now: Duration,
        input: &Value,
    ) -> Result<Value, ApiError> {
        let arn = required(input, "serviceDeploymentArn")?;
        let hook_id = required(input, "hookId")?;
        let goes_on = match text(input, "action") {
            None | Some("CONTINUE") => true,
            Some("ROLLBACK") => false,
            Some(other) => return Err(invalid(format!("Invalid action: {other}"))),
        };
        let id = hook_id.strip_prefix("ecs-").and_then(|rest| rest.split_once('-'));
        if id.is_none_or(|(kind, id)| !["pause", "lambda"].contains(&kind) || id.is_empty()) {
            return Err(invalid(
                "Invalid hookId: hookId must follow the format: ecs-{hookType}-{id}",
            ));
        }
        self.intervene(now, arn, |record| {
            if record.is_over() {
                return Err(client(
                    "Continuing a service deployment is not allowed for service deployment in terminal states.",
                ));
            }
            let in_progress = record.status == Status::InProgress;
            let hooks = record.course.iter_mut().flat_map(|course| &mut course.hooks);
            let paused = hooks
                .filter(|hook| hook.id == hook_id && hook.status == HookStatus::AwaitingAction)
                .find(|_| in_progress);
            let Some(hook) = paused else {
                return Err(invalid(
                    "Provided hookId is either completed, unavailable, or not associated with the given Resource ARN",
                ));
            };
            hook.status = if goes_on {
                HookStatus::Succeeded
            } else {
                HookStatus::Failed
            };
            record.updated = now;
            Ok(true)
        })?;
        Ok(json!({ "serviceDeploymentArn": arn }))
    }

    /// Changes the service deployment of an ARN; its service looks at once when `act` says so.
    fn intervene(
        &mut self,
        now: Duration,
        arn: &str,
        act: impl FnOnce(&mut ServiceDeployment) -> Result<bool, ApiError>,
    ) -> Result<(), ApiError> {
        let (key, id) = self
            .service_deployment(arn)
            .map(|(service, record)| (service.key.clone(), record.id.clone()))
            .ok_or_else(absent)?;
        let service = self.services.get_mut(&key).ok_or_else(absent)?;
        let record = service.history.iter_mut().find(|record| record.id == id);
        if act(record.ok_or_else(absent)?)? {
            service.wake(now);
        }
        Ok(())
    }
}

fn absent() -> ApiError {
    ApiError::new(
        "ServiceDeploymentNotFoundException",
        "The service deployment does not exist.",
    )
}
