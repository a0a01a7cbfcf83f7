//! Making a task: what it is to run, with images resolved, and the order for the runner.

use super::Ecs;
use super::lifecycle::balancers_of;
use super::registration::is_essential;
use super::request::list;
use super::revision::Revision;
use super::service::{Deployment, Service, ServiceKey};
use super::task::{Container, Doom, Stage, Target, Task, Times};
use crate::name::ImageRef;
use crate::sandbox::world::ecr::{Ecr, ResolvedImage};
use crate::sandbox::world::orders::{ContainerSpec, Order, TaskId, TaskSpec};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A task to be made.
pub struct Launch {
    /// The cluster's name.
    pub cluster: String,
    /// The service, unless it stands alone.
    pub service: Option<ServiceKey>,
    /// The number of its deployment.
    pub deployment: Option<String>,
    /// `service:NAME`, `family:FAMILY`.
    pub group: String,
    /// Who starts it.
    pub started_by: Option<String>,
    /// `FAMILY:REVISION`.
    pub revision: String,
    /// The task definition, as described.
    pub definition: Arc<Value>,
    /// RunTask's overrides.
    pub overrides: Option<Value>,
    /// Launch type, platform and execute command.
    pub shown: Map<String, Value>,
    /// The service's load balancers, as given.
    pub balancers: Vec<Value>,
    /// Its tags.
    pub tags: Vec<Value>,
}

/// Where a task comes from, as far as its images are concerned.
pub enum Origin<'a> {
    /// A service: its first task pins the digests for all others of the revision.
    Service(&'a mut Revision),
    /// RunTask.
    Alone,
}

impl Launch {
    /// A task of a service's deployment.
    #[must_use]
    pub fn of_service(
        service: &Service,
        deployment: &Deployment,
        revision: String,
        definition: Arc<Value>,
    ) -> Self {
        let mut shown = Map::new();
        for key in ["launchType", "platformVersion", "platformFamily"] {
            if let Some(value) = deployment.shown.get(key) {
                shown.insert(key.to_owned(), value.clone());
            }
        }
        let execute = service.shown.get("enableExecuteCommand").cloned();
        shown.insert("enableExecuteCommand".into(), execute.unwrap_or(json!(false)));
        let mut tags = match service.shown.get("propagateTags").and_then(Value::as_str) {
            Some("SERVICE") => service.tags.clone(),
            _ => Vec::new(),
        };
        if service.shown.get("enableECSManagedTags") == Some(&json!(true)) {
            tags.push(json!({ "key": "aws:ecs:clusterName", "value": service.key.cluster }));
            tags.push(json!({ "key": "aws:ecs:serviceName", "value": service.key.name }));
        }
        Self {
            cluster: service.key.cluster.clone(),
            service: Some(service.key.clone()),
            deployment: Some(deployment.number.clone()),
            group: format!("service:{}", service.key.name),
            started_by: Some(deployment.id()),
            revision,
            definition,
            overrides: None,
            shown,
            balancers: balancers_of(service, deployment),
            tags,
        }
    }
}

impl Ecs {
    /// Makes a task and orders its start.
    pub(super) fn launch(
        &mut self,
        now: Duration,
        launch: Launch,
        mut origin: Origin<'_>,
        ecr: &Ecr,
    ) -> TaskId {
        let id = self.ids.task();
        let mut doom = None;
        let (mut containers, mut specs) = (Vec::new(), Vec::new());
        for definition in list(&launch.definition, "containerDefinitions") {
            let resolved = match resolve(definition, &mut origin, ecr) {
                None => None,
                Some(Ok(image)) => Some(image),
                Some(Err(words)) => {
                    let name = definition["name"].as_str().unwrap_or_default().to_owned();
                    doom.get_or_insert(Doom::Pull(name, pull_error(&words)));
                    None
                }
            };
            let container = self.container(definition, resolved);
            specs.push(spec(&container, definition));
            containers.push(container);
        }
        let awsvpc = launch.definition["networkMode"] == "awsvpc";
        let task = Task {
            id: id.clone(),
            serial: self.ids.serial(),
            cluster: launch.cluster,
            service: launch.service,
            deployment: launch.deployment,
            group: launch.group.clone(),
            started_by: launch.started_by,
            definition_arn: launch.definition["taskDefinitionArn"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            definition: launch.definition.clone(),
            tags: launch.tags,
            overrides: launch.overrides.clone(),
            shown: launch.shown,
            awsvpc,
            attachment: self.ids.uuid(),
            stage: if awsvpc {
                Stage::Provisioning
            } else {
                Stage::Pending
            },
            times: Times {
                created: now,
                ..Times::default()
            },
            stop: None,
            failed: false,
            containers,
            address: None,
            targets: launch.balancers.iter().filter_map(target).collect(),
            version: 1,
            was_healthy: false,
            told_unhealthy: false,
            logs_checked: false,
            doom,
            deregister_at: None,
            refused_at: None,
            runner_done: false,
            gone_at: None,
        };
        self.tasks.insert(id.clone(), task);
        self.orders.push(Order::Start(Box::new(TaskSpec {
            task: id.clone(),
            group: launch.group,
            revision: launch.revision,
            task_definition: Value::clone(&launch.definition),
            overrides: launch.overrides,
            containers: specs,
        })));
        id
    }

    fn container(&mut self, definition: &Value, resolved: Option<ResolvedImage>) -> Container {
        let word = |key: &str| definition[key].as_str().unwrap_or_default().to_owned();
        let size = |key: &str| definition[key].as_u64().map(|size| size.to_string());
        Container {
            name: word("name"),
            image: word("image"),
            resolved,
            image_digest: None,
            essential: is_essential(definition),
            checked: definition["healthCheck"]["command"][0]
                .as_str()
                .is_some_and(|first| first != "NONE"),
            health: None,
            runtime_id: None,
            exit_code: None,
            reason: None,
            uuid: self.ids.uuid(),
            sizes: [size("cpu"), size("memory"), size("memoryReservation")],
        }
    }
}

/// What a container's image is: by the revision's pin, or by the registry; `None` when another registry has it.
fn resolve(definition: &Value, origin: &mut Origin<'_>, ecr: &Ecr) -> Option<Result<ResolvedImage, String>> {
    let name = definition["name"].as_str().unwrap_or_default();
    let image = definition["image"].as_str().unwrap_or_default();
    let consistent = definition["versionConsistency"] != "disabled";
    match origin {
        Origin::Service(revision) if consistent => {
            if let Some(pinned) = revision.resolved.get(name) {
                return Some(Ok(pinned.clone()));
            }
            let found = ecr.resolve(image);
            if let Some(Ok(image)) = &found {
                revision.resolved.insert(name.to_owned(), image.clone());
            }
            found
        }
        Origin::Service(_) | Origin::Alone => ecr.resolve(image),
    }
}

fn spec(container: &Container, definition: &Value) -> ContainerSpec {
    let by_digest = container.resolved.as_ref().and_then(|resolved| {
        let mut image: ImageRef = container.image.parse().ok()?;
        image.tag = None;
        image.digest = Some(resolved.digest.parse().ok()?);
        Some(image.to_string())
    });
    ContainerSpec {
        name: container.name.clone(),
        image: container.image.clone(),
        pull: by_digest.unwrap_or_else(|| container.image.clone()),
        definition: definition.clone(),
    }
}

fn target(balancer: &Value) -> Option<Target> {
    Some(Target {
        group: balancer["targetGroupArn"].as_str()?.to_owned(),
        id: None,
        port: balancer["containerPort"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok())?,
    })
}

/// The agent's words around the registry's.
fn pull_error(words: &str) -> String {
    if words.starts_with("CannotPull") {
        return words.to_owned();
    }
    format!("CannotPullContainerError: pull image manifest has been retried 7 time(s): {words}")
}
