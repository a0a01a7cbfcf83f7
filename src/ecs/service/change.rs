//! The changes: UpdateService and StopServiceDeployment.

use super::{Begun, Ecs, ServiceError};
use crate::aws::sort::CallError;
use crate::ecs::observation::Service;
use aws_sdk_ecs::types::StopServiceDeploymentStopType;

impl Ecs {
    /// Points the service at a task definition and returns the deployment that this began. Of the answer only the
    /// primary deployment's id is used: its counts are of the moment before.
    ///
    /// `before` is the primary deployment's id before the call. After a lost answer the service is looked at: if it
    /// names the task definition already, the update is not repeated.
    ///
    /// # Errors
    /// [`ServiceError`] when the update failed, or its answer names no deployment.
    pub async fn update(
        &self,
        task_definition: &str,
        force: bool,
        before: Option<&str>,
    ) -> Result<Begun, ServiceError> {
        match self.update_once(task_definition, force).await {
            Err(error) if error.is_in_doubt() => {
                let service = self.describe().await?;
                if let Some(begun) = already(&service, task_definition, before) {
                    return Ok(begun);
                }
                self.update_once(task_definition, force).await
            }
            done => done,
        }
    }

    async fn update_once(&self, task_definition: &str, force: bool) -> Result<Begun, ServiceError> {
        const ACTION: &str = "ecs:UpdateService";
        let answer = self
            .aws
            .ecs
            .update_service()
            .cluster(&self.cluster)
            .service(&self.service)
            .task_definition(task_definition)
            .set_force_new_deployment(force.then_some(true))
            .send()
            .await
            .map_err(CallError::of(ACTION))?;
        let service = answer.service().map(super::convert::service);
        service
            .as_ref()
            .and_then(Service::primary)
            .filter(|primary| !primary.id.is_empty())
            .map(|primary| Begun {
                deployment: primary.id.clone(),
            })
            .ok_or(ServiceError::Incomplete {
                action: ACTION,
                lacks: "primary deployment",
            })
    }

    /// Asks ECS to roll a service deployment back; works without any rollback setting of the service.
    ///
    /// # Errors
    /// [`ServiceError`] when the call failed.
    pub async fn stop_and_roll_back(&self, service_deployment: &str) -> Result<(), ServiceError> {
        self.aws
            .ecs
            .stop_service_deployment()
            .service_deployment_arn(service_deployment)
            .stop_type(StopServiceDeploymentStopType::Rollback)
            .send()
            .await
            .map_err(CallError::of("ecs:StopServiceDeployment"))?;
        Ok(())
    }
}

/// The deployment of an update whose answer was lost.
fn already(service: &Service, task_definition: &str, before: Option<&str>) -> Option<Begun> {
    let primary = service.primary()?;
    (primary.task_definition == task_definition && Some(primary.id.as_str()) != before).then(|| Begun {
        deployment: primary.id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::already;
    use crate::ecs::rollout::tests::build;

    #[test]
    fn a_lost_answer_is_recognised_by_revision_and_a_deployment_that_was_not_there_before() {
        let service = build::service(2);
        let revision = service.task_definition.clone();
        let begun = already(&service, &revision, Some("ecs-svc/1"));
        assert_eq!(begun.map(|begun| begun.deployment).as_deref(), Some("ecs-svc/2"));
        assert_eq!(already(&service, &revision, Some("ecs-svc/2")), None);
        assert_eq!(already(&service, "another", Some("ecs-svc/1")), None);
    }
}
