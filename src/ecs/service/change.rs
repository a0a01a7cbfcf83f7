//! The changes: UpdateService and StopServiceDeployment.

use super::passthrough::{Captured, ReadAnswer};
use super::{Begun, Ecs, ServiceError, lacking};
use crate::aws::sort::CallError;
use crate::ecs::answers::read;
use crate::ecs::observation::Service;
use crate::ecs::quota::Category;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::types::StopServiceDeploymentStopType;

impl Ecs {
    /// Points the service at a task definition, in one attempt: a repeated forced update would begin a second
    /// deployment, so the caller looks before it repeats (see [`Self::begun_already`]). Of the answer only the primary
    /// deployment's id is used: its counts are of the moment before.
    ///
    /// # Errors
    /// [`ServiceError`] when the update failed, or its answer does not name a deployment of the task definition.
    pub async fn update(&self, task_definition: &str, force: bool) -> Result<Begun, ServiceError> {
        const ACTION: &str = "ecs:UpdateService";
        let once = aws_sdk_ecs::config::Builder::new().retry_config(RetryConfig::disabled());
        let body = Captured::default();
        let call = async {
            let call = self.aws.ecs.update_service().cluster(&self.cluster);
            call.service(&self.service)
                .task_definition(task_definition)
                .set_force_new_deployment(force.then_some(true))
                .customize()
                .config_override(once)
                .interceptor(ReadAnswer::into(&body))
                .send()
                .await
                .map_err(CallError::of(ACTION))
        };
        self.aws.paced(Category::ServiceWrite, call).await?;
        let service = read::service(&body.json()["service"]).map_err(lacking(ACTION))?;
        begun(&service, task_definition).ok_or(ServiceError::Incomplete {
            action: ACTION,
            lacks: "deployment of the new revision",
        })
    }

    /// Whether an update whose answer was lost took effect. `before` is the primary deployment's id before it.
    ///
    /// # Errors
    /// [`ServiceError`] when the service cannot be described.
    pub async fn begun_already(
        &self,
        task_definition: &str,
        before: Option<&str>,
    ) -> Result<Option<Begun>, ServiceError> {
        let service = self.describe().await?;
        Ok(begun(&service, task_definition).filter(|begun| Some(begun.deployment.as_str()) != before))
    }

    /// Asks ECS to roll a service deployment back; works without any rollback setting of the service.
    ///
    /// # Errors
    /// [`ServiceError`] when the call failed.
    pub async fn stop_and_roll_back(&self, service_deployment: &str) -> Result<(), ServiceError> {
        const ACTION: &str = "ecs:StopServiceDeployment";
        let answer = self
            .aws
            .ecs
            .stop_service_deployment()
            .service_deployment_arn(service_deployment)
            .stop_type(StopServiceDeploymentStopType::Rollback)
            .send()
            .await
            .map_err(CallError::of(ACTION))?;
        let stopped = answer.service_deployment_arn;
        stopped.map(drop).ok_or(ServiceError::Incomplete {
            action: ACTION,
            lacks: "service deployment",
        })
    }
}

/// The primary deployment, if it brings this task definition.
fn begun(service: &Service, task_definition: &str) -> Option<Begun> {
    let primary = service.primary()?;
    let ours = primary.task_definition == task_definition && !primary.id.is_empty();
    ours.then(|| Begun {
        deployment: primary.id.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::begun;
    use crate::ecs::rollout::tests::build;

    #[test]
    fn only_a_primary_deployment_of_the_task_definition_is_ours() {
        let service = build::service(2);
        let revision = service.task_definition.clone();
        assert_eq!(
            begun(&service, &revision)
                .map(|begun| begun.deployment)
                .as_deref(),
            Some("ecs-svc/2")
        );
        assert_eq!(begun(&service, "another"), None);
        assert_eq!(begun(&build::before(2), &revision), None);
    }
}
