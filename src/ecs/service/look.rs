//! One look at a watched service: few calls, and every one that fails is written down instead of ending the watch.

use super::{Ecs, ServiceError, TASKS_PER_CALL, convert};
use crate::aws::sort::{CallError, Sorted};
use crate::ecs::observation::{
    Blind, BlindReason, Observation, Presence, Service, ServiceDeployment, TargetGroup, Task,
};
use crate::ecs::rollout::WaitingOn;
use crate::ecs::rollout::pace::{Closeness, Pace};
use aws_sdk_ecs::types::DesiredStatus;

/// Service deployments that are listed to find ours; it is among the newest.
const DEPLOYMENTS_LISTED: i32 = 20;

/// A service under watch: our deployment, and what earlier looks found out.
#[derive(Debug, Clone)]
pub struct Watched {
    deployment: String,
    service_deployment: Option<String>,
    service_deployments_work: bool,
    /// Decides how closely and how often to look.
    pub pace: Pace,
}

impl Watched {
    /// Watches a deployment.
    #[must_use]
    pub fn new(deployment: impl Into<String>) -> Self {
        Self {
            deployment: deployment.into(),
            service_deployment: None,
            service_deployments_work: true,
            pace: Pace::default(),
        }
    }

    /// The ARN of our service deployment, once it was found.
    #[must_use]
    pub fn service_deployment(&self) -> Option<&str> {
        self.service_deployment.as_deref()
    }
}

impl Ecs {
    /// Looks once. Never fails: what could not be seen is in [`Observation::blind`].
    pub async fn look(&self, watched: &mut Watched) -> Observation {
        self.look_at(watched, None).await
    }

    /// A look at everything, for a diagnosis or a proof.
    pub async fn look_closely(&self, watched: &mut Watched) -> Observation {
        self.look_at(watched, Some(Closeness::ALL)).await
    }

    async fn look_at(&self, watched: &mut Watched, closeness: Option<Closeness>) -> Observation {
        let mut blind = Vec::new();
        let service = match self.describe().await {
            Ok(service) => service,
            Err(error) => {
                let presence = match &error {
                    ServiceError::NoService => Presence::Missing,
                    error => {
                        blind.push(blindness("ecs:DescribeServices", error));
                        Presence::Unseen
                    }
                };
                return Observation {
                    service: presence,
                    service_deployment: None,
                    tasks: None,
                    target_groups: Vec::new(),
                    blind,
                };
            }
        };
        let closeness = closeness.unwrap_or_else(|| watched.pace.closely(&watched.deployment, &service));
        let service_deployment = if closeness.service_deployment {
            self.our_service_deployment(watched, &mut blind).await
        } else {
            None
        };
        let (tasks, target_groups) = if closeness.tasks {
            let tasks = self.our_tasks(&watched.deployment, closeness.stopped).await;
            let tasks = tasks.map_err(|error| blind.push(blind_call(&error))).ok();
            (tasks, self.target_groups(&service, &mut blind).await)
        } else {
            (None, Vec::new())
        };
        let service = Presence::Seen(Box::new(service));
        Observation {
            service,
            service_deployment,
            tasks,
            target_groups,
            blind,
        }
    }

    /// Whether a glance at what is waited for sees what the last look saw. One call; true where it fails, since the
    /// next look will tell. False where no single call shows it.
    pub async fn is_still(&self, waiting_on: &WaitingOn, seen: &Observation) -> bool {
        match waiting_on {
            WaitingOn::Targets { target_group, .. } => {
                let last = seen.target_groups.iter().find(|group| group.arn == *target_group);
                match self.target_group(target_group).await {
                    Ok(group) => last == Some(&group),
                    Err(_) => true,
                }
            }
            WaitingOn::ContainerHealth { .. } | WaitingOn::Digest { .. } => {
                let running = seen.tasks.iter().flatten().filter(|task| task.runs());
                let running: Vec<&Task> = running.take(TASKS_PER_CALL).collect();
                let ids = running.iter().map(|task| task.id.clone()).collect();
                match self.describe_tasks(ids).await {
                    Ok(tasks) => {
                        let tasks: Vec<Task> = tasks.iter().map(convert::task).collect();
                        tasks.len() == running.len() && running.into_iter().all(|task| tasks.contains(task))
                    }
                    Err(_) => true,
                }
            }
            _ => false,
        }
    }

    async fn our_service_deployment(
        &self,
        watched: &mut Watched,
        blind: &mut Vec<Blind>,
    ) -> Option<ServiceDeployment> {
        if !watched.service_deployments_work {
            return None;
        }
        let found = async {
            if watched.service_deployment.is_none() {
                watched.service_deployment = self.find_service_deployment(&watched.deployment).await?;
            }
            match &watched.service_deployment {
                Some(arn) => self.service_deployment(arn).await,
                None => Ok(None),
            }
        };
        match found.await {
            Ok(found) => found,
            Err(error) => {
                let why = blind_call(&error);
                // DescribeServices tells enough; asking again would only cost calls.
                watched.service_deployments_work = why.why == BlindReason::Transient;
                blind.push(why);
                None
            }
        }
    }

    /// Ours is the one whose target revision has the number of our deployment's id.
    async fn find_service_deployment(&self, deployment: &str) -> Result<Option<String>, CallError> {
        let number = deployment.rsplit('/').next().unwrap_or(deployment);
        let answer = self
            .aws
            .ecs
            .list_service_deployments()
            .cluster(&self.cluster)
            .service(&self.service)
            .max_results(DEPLOYMENTS_LISTED)
            .send()
            .await
            .map_err(CallError::of("ecs:ListServiceDeployments"))?;
        Ok(answer
            .service_deployments()
            .iter()
            .find(|brief| {
                brief
                    .target_service_revision_arn()
                    .and_then(|arn| arn.rsplit('/').next())
                    == Some(number)
            })
            .and_then(|brief| brief.service_deployment_arn())
            .map(str::to_owned))
    }

    async fn service_deployment(&self, arn: &str) -> Result<Option<ServiceDeployment>, CallError> {
        let answer = self
            .aws
            .ecs
            .describe_service_deployments()
            .service_deployment_arns(arn)
            .send()
            .await
            .map_err(CallError::of("ecs:DescribeServiceDeployments"))?;
        Ok(answer
            .service_deployments()
            .first()
            .map(convert::service_deployment))
    }

    /// Every task that a deployment started and that runs, and the stopped ones if they are wanted. ListTasks refuses `startedBy` beside any other
    /// filter and would then leave stopped tasks out, so the service's tasks are listed and ours picked from them.
    ///
    /// # Errors
    /// [`CallError`] when a call fails; a part of the tasks would be misleading.
    pub async fn our_tasks(&self, deployment: &str, stopped: bool) -> Result<Vec<Task>, CallError> {
        let mut arns = Vec::new();
        self.list_tasks(DesiredStatus::Running, &mut arns).await?;
        if stopped {
            self.list_tasks(DesiredStatus::Stopped, &mut arns).await?;
        }
        let mut tasks = Vec::new();
        for part in arns.chunks(TASKS_PER_CALL) {
            let described = self.describe_tasks(part.to_vec()).await?;
            let ours = described
                .iter()
                .filter(|task| task.started_by() == Some(deployment));
            tasks.extend(ours.map(convert::task));
        }
        Ok(tasks)
    }

    async fn describe_tasks(&self, tasks: Vec<String>) -> Result<Vec<aws_sdk_ecs::types::Task>, CallError> {
        let call = self.aws.ecs.describe_tasks().cluster(&self.cluster);
        let answer = call.set_tasks(Some(tasks)).send().await;
        let answer = answer.map_err(CallError::of("ecs:DescribeTasks"))?;
        Ok(answer.tasks.unwrap_or_default())
    }

    async fn list_tasks(&self, status: DesiredStatus, arns: &mut Vec<String>) -> Result<(), CallError> {
        let mut pages = self
            .aws
            .ecs
            .list_tasks()
            .cluster(&self.cluster)
            .service_name(&self.service)
            .desired_status(status)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            arns.extend(
                page.map_err(CallError::of("ecs:ListTasks"))?
                    .task_arns
                    .unwrap_or_default(),
            );
        }
        Ok(())
    }

    async fn target_groups(&self, service: &Service, blind: &mut Vec<Blind>) -> Vec<TargetGroup> {
        let mut groups = Vec::new();
        for attachment in &service.load_balancers {
            match self.target_group(&attachment.target_group).await {
                Ok(group) => groups.push(group),
                Err(error) => blind.push(blind_call(&error)),
            }
        }
        groups
    }

    async fn target_group(&self, arn: &str) -> Result<TargetGroup, CallError> {
        let call = self.aws.elb.describe_target_health().target_group_arn(arn);
        let answer = call
            .send()
            .await
            .map_err(CallError::of("elasticloadbalancing:DescribeTargetHealth"))?;
        Ok(TargetGroup {
            arn: arn.to_owned(),
            targets: answer
                .target_health_descriptions()
                .iter()
                .map(convert::target)
                .collect(),
        })
    }
}

fn blindness(action: &'static str, error: &ServiceError) -> Blind {
    match error {
        ServiceError::Call(error) => blind_call(error),
        ServiceError::NoService | ServiceError::Incomplete { .. } | ServiceError::TaskDefinition(_) => {
            Blind {
                action: action.to_owned(),
                why: BlindReason::Transient,
            }
        }
    }
}

fn blind_call(error: &CallError) -> Blind {
    let why = match error.sorted {
        Sorted::Denied => BlindReason::Denied,
        Sorted::ExpiredCredentials | Sorted::NoCredentials => BlindReason::NoCredentials,
        Sorted::Transient | Sorted::Throttled | Sorted::Unreachable => BlindReason::Transient,
        Sorted::Missing { .. } | Sorted::Refused { .. } => BlindReason::Unsupported,
    };
    Blind {
        action: error.action.to_owned(),
        why,
    }
}
