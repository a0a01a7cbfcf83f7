//! What a service's last deployment was, without having been there when it began.

use super::Ecs;
use super::ask::{self, answer};
use crate::aws::sort::CallError;
use crate::ecs::answers::{Answer, DESCRIBE_SERVICES, LIST_SERVICE_DEPLOYMENTS};
use crate::ecs::observation::Blind;
use serde_json::json;

impl Ecs {
    /// Describes the service and lists its service deployments.
    pub async fn survey(&self) -> Vec<Answer> {
        let services = [self.service.clone()];
        let described = ask::describe_services(&self.aws, &self.cluster, &services).await;
        let described = answer(
            DESCRIBE_SERVICES,
            json!({ "cluster": self.cluster, "services": services }),
            described,
        );
        let listed = ask::list_service_deployments(&self.aws, &self.cluster, &self.service).await;
        let asked = json!({ "cluster": self.cluster, "service": self.service });
        vec![described, answer(LIST_SERVICE_DEPLOYMENTS, asked, listed)]
    }

    /// The task definition's ARN that a service revision names; none if ECS does not know the revision.
    ///
    /// # Errors
    /// What could not be seen, and why.
    pub async fn task_definition_of(&self, revision: &str) -> Result<Option<String>, Blind> {
        const ACTION: &str = "ecs:DescribeServiceRevisions";
        let call = self
            .aws
            .ecs
            .describe_service_revisions()
            .service_revision_arns(revision);
        let said = call.send().await.map_err(CallError::of(ACTION));
        let said = said.map_err(|error| ask::blind(&error))?;
        let found = said.service_revisions().first();
        Ok(found.and_then(|found| found.task_definition()).map(str::to_owned))
    }
}
