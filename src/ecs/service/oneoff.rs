//! One-off tasks: RunTask where a service's tasks run, and looks at the one task.

use super::ask;
use super::{Ecs, ServiceError};
use crate::aws::sort::CallError;
use crate::ecs::answers::{DESCRIBE_TASKS, LIST_TASKS, read};
use crate::ecs::observation::{Blind, BlindReason, Task};
use crate::ecs::oneoff::{Overrides, Sight};
use crate::ecs::quota::Category;
use aws_sdk_ecs::types as sdk;

/// Where a service's tasks run: its network, capacity and placement, as DescribeServices shows them.
#[derive(Debug, Clone, Default)]
pub struct Placement {
    network: Option<sdk::NetworkConfiguration>,
    launch_type: Option<sdk::LaunchType>,
    capacity: Vec<sdk::CapacityProviderStrategyItem>,
    platform: Option<String>,
    constraints: Vec<sdk::PlacementConstraint>,
    strategy: Vec<sdk::PlacementStrategy>,
    managed_tags: bool,
    propagated_tags: Option<sdk::PropagateTags>,
}

/// What RunTask is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RunRequest<'a> {
    /// The revision's ARN.
    pub task_definition: &'a str,
    /// Where it runs.
    pub placement: &'a Placement,
    /// Whether its containers have a network interface of their own; only such a task takes the service's network.
    pub awsvpc: bool,
    /// What it does differently.
    pub overrides: &'a Overrides,
    /// Who starts it.
    pub started_by: &'a str,
    /// Its group.
    pub group: &'a str,
    /// Requests with the same one run one task.
    pub token: &'a str,
}

/// A task that was started earlier.
#[derive(Debug, Clone)]
pub struct EarlierTask {
    /// Its id.
    pub id: String,
    /// Its group.
    pub group: String,
    /// Whether it is meant to run.
    pub runs: bool,
    /// When it was created, in seconds since the Unix epoch by ECS's clock.
    pub created: f64,
    /// The task.
    pub task: Task,
}

/// Why no task runs.
#[derive(Debug, thiserror::Error)]
pub enum NotRun {
    /// The call failed.
    #[error(transparent)]
    Call(#[from] ServiceError),
    /// RunTask answered with status 200 and a failure: there is no room, or no such capacity.
    #[error("{reason}{}{}", meaning(.reason), .detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
    NoRoom {
        /// ECS's code: `RESOURCE:MEMORY`, `AGENT`, or words.
        reason: String,
        /// More words, where there are any.
        detail: Option<String>,
    },
}

/// What a code of RunTask's failures means, after the code: the guide's "API failure reasons".
fn meaning(reason: &str) -> String {
    let lacks = match reason.split_once(':') {
        Some(("RESOURCE", "CPU")) => "CPU units",
        Some(("RESOURCE", "MEMORY")) => "memory",
        Some(("RESOURCE", "GPU")) => "GPUs",
        Some(("RESOURCE", "ENI")) => "network interfaces",
        _ if reason == "AGENT" => {
            return " (the container agent of every instance that would do is disconnected)".to_owned();
        }
        _ => return String::new(),
    };
    format!(" (no container instance has enough {lacks} free)")
}

impl Placement {
    /// Where the tasks of a service run.
    pub(super) fn of(service: &sdk::Service) -> Self {
        let capacity = service.capacity_provider_strategy().to_vec();
        Self {
            network: service.network_configuration().cloned(),
            // RunTask takes one of the two.
            launch_type: service.launch_type().filter(|_| capacity.is_empty()).cloned(),
            capacity,
            platform: service.platform_version().map(str::to_owned),
            constraints: service.placement_constraints().to_vec(),
            strategy: service.placement_strategy().to_vec(),
            managed_tags: service.enable_ecs_managed_tags(),
            // RunTask takes no other word, and tags need a permission of their own.
            propagated_tags: service
                .propagate_tags()
                .filter(|from| **from == sdk::PropagateTags::TaskDefinition)
                .cloned(),
        }
    }
}

impl Ecs {
    /// Runs one task and returns its id. The token makes it safe to repeat, by the SDK and by the caller.
    ///
    /// # Errors
    /// [`NotRun`] when no task was answered.
    pub async fn run_task(&self, request: RunRequest<'_>) -> Result<String, NotRun> {
        const ACTION: &str = "ecs:RunTask";
        let placement = request.placement;
        let some =
            |overrides: sdk::TaskOverride| (*request.overrides != Overrides::default()).then_some(overrides);
        let call = self
            .aws
            .ecs
            .run_task()
            .cluster(&self.cluster)
            .task_definition(request.task_definition)
            .count(1)
            .set_launch_type(placement.launch_type.clone())
            .set_capacity_provider_strategy(listed(&placement.capacity))
            .set_platform_version(placement.platform.clone())
            .set_placement_constraints(listed(&placement.constraints))
            .set_placement_strategy(listed(&placement.strategy))
            .set_network_configuration(placement.network.clone().filter(|_| request.awsvpc))
            .set_overrides(some(overrides(request.overrides)))
            .started_by(request.started_by)
            .group(request.group)
            .set_propagate_tags(placement.propagated_tags.clone())
            .enable_ecs_managed_tags(placement.managed_tags)
            .client_token(request.token);
        let call = Box::pin(async { call.send().await.map_err(CallError::of(ACTION)) });
        let answer = self.aws.paced(Category::TaskWrite, call).await;
        let answer = answer.map_err(ServiceError::from)?;
        if let Some(arn) = answer.tasks().first().and_then(|task| task.task_arn()) {
            return Ok(id_of(arn));
        }
        match answer.failures().first() {
            Some(failure) => Err(NotRun::NoRoom {
                reason: failure.reason().unwrap_or("no reason given").to_owned(),
                detail: failure.detail().map(str::to_owned),
            }),
            None => Err(NotRun::Call(ServiceError::Incomplete {
                action: ACTION,
                lacks: "task",
            })),
        }
    }

    /// The id of a task that was started under this name and is meant to run.
    ///
    /// # Errors
    /// [`CallError`] when tasks cannot be listed.
    pub async fn running_of(&self, started_by: &str) -> Result<Option<String>, CallError> {
        // `startedBy` must be the only filter beside the cluster (ListTasks).
        let answer = self
            .aws
            .ecs
            .list_tasks()
            .cluster(&self.cluster)
            .started_by(started_by)
            .send()
            .await
            .map_err(CallError::of(LIST_TASKS))?;
        let arns = answer
            .task_arns
            .ok_or_else(CallError::lacking(LIST_TASKS, "taskArns"))?;
        Ok(arns.first().map(|arn| id_of(arn)))
    }

    /// The tasks that were started under this name in a family, and that ECS still tells of: those that are meant to run,
    /// and those that ended within the last hour or so.
    ///
    /// # Errors
    /// [`CallError`] when tasks cannot be listed or described.
    pub async fn earlier_tasks(&self, family: &str, started_by: &str) -> Result<Vec<EarlierTask>, CallError> {
        let mut arns = Vec::new();
        for listed in [sdk::DesiredStatus::Running, sdk::DesiredStatus::Stopped] {
            let call = self.aws.ecs.list_tasks().cluster(&self.cluster).family(family);
            let mut pages = call.desired_status(listed).into_paginator().send();
            loop {
                let next = async { pages.next().await.transpose().map_err(CallError::of(LIST_TASKS)) };
                let Some(page) = self.aws.paced(Category::TaskRead, next).await? else {
                    break;
                };
                let lacking = CallError::lacking(LIST_TASKS, "taskArns");
                arns.extend(page.task_arns.ok_or_else(lacking)?);
            }
        }
        let mut found = Vec::new();
        for part in arns.chunks(ask::TASKS_PER_CALL) {
            let said = ask::describe_tasks(&self.aws, &self.cluster, part).await?;
            for said in read::list(&said["tasks"]) {
                if said["startedBy"].as_str() != Some(started_by) {
                    continue;
                }
                let task = read::task(said);
                found.push(EarlierTask {
                    id: task.id.clone(),
                    group: said["group"].as_str().unwrap_or_default().to_owned(),
                    runs: said["desiredStatus"] == "RUNNING",
                    created: said["createdAt"].as_f64().unwrap_or_default(),
                    task,
                });
            }
        }
        Ok(found)
    }

    /// Looks once at a task. Never fails: why it could not be seen is a [`Sight`] too.
    pub async fn look_at_task(&self, id: &str) -> Sight {
        let said = match ask::describe_tasks(&self.aws, &self.cluster, &[id.to_owned()]).await {
            Ok(said) => said,
            Err(error) => return Sight::Unseen(ask::blind(&error)),
        };
        if let Some(task) = read::list(&said["tasks"]).first() {
            return Sight::Seen(Box::new(read::task(task)));
        }
        if said["failures"][0]["reason"] == "MISSING" {
            return Sight::Missing;
        }
        Sight::Unseen(Blind {
            action: DESCRIBE_TASKS.to_owned(),
            why: BlindReason::Transient,
        })
    }
}

/// A list, or nothing where it is empty: an empty strategy is another thing than none.
fn listed<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn id_of(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

fn overrides(from: &Overrides) -> sdk::TaskOverride {
    let containers = from.containers.iter().map(|(name, one)| {
        let variables = one.environment.iter().map(|(name, value)| {
            sdk::KeyValuePair::builder()
                .name(name)
                .value(value.expose())
                .build()
        });
        sdk::ContainerOverride::builder()
            .name(name.as_str())
            .set_command(listed(&one.command))
            .set_environment(listed(&variables.collect::<Vec<_>>()))
            .build()
    });
    let containers: Vec<sdk::ContainerOverride> = containers.collect();
    sdk::TaskOverride::builder()
        .set_container_overrides(listed(&containers))
        .set_cpu(from.cpu.map(|units| units.to_string()))
        .set_memory(from.memory.map(|mebibytes| mebibytes.to_string()))
        .build()
}

#[cfg(test)]
mod tests {
    use super::NotRun;

    #[test]
    fn a_task_without_room_says_what_is_short() {
        for (reason, detail, expected) in [
            (
                "RESOURCE:MEMORY",
                None,
                "RESOURCE:MEMORY (no container instance has enough memory free)",
            ),
            (
                "AGENT",
                Some("i-1"),
                "AGENT (the container agent of every instance that would do is disconnected): i-1",
            ),
            (
                "Capacity is unavailable at this time",
                None,
                "Capacity is unavailable at this time",
            ),
        ] {
            let error = NotRun::NoRoom {
                reason: reason.to_owned(),
                detail: detail.map(str::to_owned),
            };
            assert_eq!(error.to_string(), expected);
        }
    }
}
