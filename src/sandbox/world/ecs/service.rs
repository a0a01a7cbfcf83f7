//! A service: its settings, its deployments, and how DescribeServices shows it.

use super::breaker::Breaker;
use super::events::Events;
use super::ids::Place;
use super::plan::Bounds;
use super::request::{set, stamp};
use super::revision::{Revision, ServiceDeployment};
use super::task::{Stage, Task};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A service's cluster and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey {
    /// The cluster's name.
    pub cluster: String,
    /// The service's name.
    pub name: String,
}

/// Whether a service is there (`status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceStatus {
    /// It is scheduled.
    Active,
    /// It was deleted and its tasks end.
    Draining,
    /// It is gone, and can be described for a while.
    Inactive,
}

/// Who decides over its deployments (`deploymentController.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// ECS itself.
    Ecs,
    /// CodeDeploy; the sandbox runs none of its tasks.
    CodeDeploy,
    /// Somebody else; the sandbox runs none of its tasks.
    External,
}

impl Controller {
    /// As the API says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ecs => "ECS",
            Self::CodeDeploy => "CODE_DEPLOY",
            Self::External => "EXTERNAL",
        }
    }
}

/// How far a deployment came (`rolloutState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RolloutState {
    /// On its way.
    InProgress,
    /// Done.
    Completed,
    /// Given up.
    Failed,
}

/// One deployment of a service.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Its 19 digits.
    pub number: String,
    /// The ARN of its task definition.
    pub definition: String,
    /// How many tasks the scheduler wants in it (`desiredCount`).
    pub wanted: u32,
    /// Failed tasks (`failedTasks`).
    pub failed_tasks: u32,
    /// How far it came.
    pub state: RolloutState,
    /// Why (`rolloutStateReason`).
    pub reason: String,
    /// When it was made.
    pub created: Duration,
    /// When it changed last.
    pub updated: Duration,
    /// Whether it was complete once.
    pub proven: bool,
    /// Whether it is a failed one that is being taken away.
    pub condemned: bool,
    /// Launch type, platform and network, as shown.
    pub shown: Map<String, Value>,
    /// When the breaker gives its verdict, once the threshold is reached.
    pub verdict_at: Option<Duration>,
    /// When its tasks were all healthy first; the bake time starts then.
    pub healthy_since: Option<Duration>,
    /// Whether its tasks are targets of the alternate target groups.
    pub alternate: bool,
    /// What it is to have of production traffic, in tenths of a percent; listener rules alone obey it.
    pub production: u32,
    /// What it is to have of test traffic, in tenths of a percent.
    pub test: u32,
}

impl Deployment {
    /// `ecs-svc/N`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("ecs-svc/{}", self.number)
    }
}

/// One service.
#[derive(Debug)]
pub struct Service {
    /// Its cluster and name.
    pub key: ServiceKey,
    /// Whether it is there.
    pub status: ServiceStatus,
    /// Who decides over its deployments.
    pub controller: Controller,
    /// The desired count.
    pub desired: u32,
    /// `deploymentConfiguration`, defaults filled in.
    pub configuration: Value,
    /// Seconds after a task's start during which failed checks are ignored.
    pub grace: Duration,
    /// The ARN of the task definition.
    pub definition: String,
    /// Members that are shown as they were given.
    pub shown: Map<String, Value>,
    /// Its tags.
    pub tags: Vec<Value>,
    /// Its deployments, the PRIMARY first.
    pub deployments: Vec<Deployment>,
    /// The deployment that was complete last: what a rollback goes back to.
    pub last_completed: Option<Deployment>,
    /// Its service deployments, newest first.
    pub history: Vec<ServiceDeployment>,
    /// Its revisions, newest first.
    pub revisions: Vec<Revision>,
    /// Its events.
    pub events: Events,
    /// When it was made.
    pub created: Duration,
    /// When the scheduler looks next; `None` while nothing can change by itself.
    pub next_look: Option<Duration>,
    /// When to tell of the targets registered meanwhile, and their groups.
    pub registered: Option<(Duration, Vec<String>)>,
    /// Launches in a row that never reached RUNNING.
    pub failed_launches: u32,
    /// Until when nothing is launched.
    pub back_off_until: Option<Duration>,
    /// Whether it was told that the service is steady, since something last moved.
    pub steady: bool,
    /// A DescribeServices answer from before the last update, and how many polls still see it.
    pub stale: Option<(Value, u32)>,
}

impl Service {
    /// The ARN.
    #[must_use]
    pub fn arn(&self, place: &Place) -> String {
        place.arn(&format!("service/{}/{}", self.key.cluster, self.key.name))
    }

    /// The ARN of one of its revisions.
    #[must_use]
    pub fn revision_arn(&self, place: &Place, number: &str) -> String {
        let ServiceKey { cluster, name } = &self.key;
        place.arn(&format!("service-revision/{cluster}/{name}/{number}"))
    }

    /// The ARN of one of its service deployments.
    #[must_use]
    pub fn service_deployment_arn(&self, place: &Place, id: &str) -> String {
        let ServiceKey { cluster, name } = &self.key;
        place.arn(&format!("service-deployment/{cluster}/{name}/{id}"))
    }

    /// The circuit breaker's settings.
    #[must_use]
    pub fn breaker(&self) -> Breaker {
        Breaker::of(&self.configuration)
    }

    /// How far the number of tasks may move.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let percent = |key: &str, usual: u32| {
            let given = self.configuration[key].as_u64();
            given.and_then(|n| u32::try_from(n).ok()).unwrap_or(usual)
        };
        Bounds::of(
            self.desired,
            percent("minimumHealthyPercent", 100),
            percent("maximumPercent", 200),
        )
    }

    /// Its load balancers, as given.
    #[must_use]
    pub fn balancers(&self) -> &[Value] {
        let balancers = self.shown.get("loadBalancers").and_then(Value::as_array);
        balancers.map(Vec::as_slice).unwrap_or_default()
    }

    /// The PRIMARY deployment.
    #[must_use]
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.first()
    }

    /// Lets the scheduler look at `at`, or earlier if it does so anyway.
    pub fn wake(&mut self, at: Duration) {
        self.next_look = Some(self.next_look.map_or(at, |planned| planned.min(at)));
    }

    /// The service deployment that is under way.
    pub fn current(&mut self) -> Option<&mut ServiceDeployment> {
        self.history.first_mut().filter(|record| !record.is_over())
    }

    /// The next instant at which something is due.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        [self.next_look, self.registered.as_ref().map(|(at, _)| *at)]
            .into_iter()
            .flatten()
            .min()
    }

    /// As DescribeServices shows it.
    #[must_use]
    pub fn shape(&self, place: &Place, tasks: &[&Task], quirk_draining: bool) -> Map<String, Value> {
        let mut shape = Map::new();
        shape.insert("serviceArn".into(), json!(self.arn(place)));
        shape.insert("serviceName".into(), json!(self.key.name));
        shape.insert("clusterArn".into(), json!(place.cluster(&self.key.cluster)));
        for (key, value) in &self.shown {
            shape.insert(key.clone(), value.clone());
        }
        let status = match self.status {
            ServiceStatus::Active => "ACTIVE",
            ServiceStatus::Draining => "DRAINING",
            ServiceStatus::Inactive => "INACTIVE",
        };
        shape.insert("status".into(), json!(status));
        shape.insert("desiredCount".into(), json!(self.desired));
        let (running, pending) = count(tasks.iter().copied());
        shape.insert("runningCount".into(), json!(running));
        shape.insert("pendingCount".into(), json!(pending));
        shape.insert("taskDefinition".into(), json!(self.definition));
        shape.insert("deploymentConfiguration".into(), self.configuration.clone());
        let controller = json!({ "type": self.controller.as_str() });
        shape.insert("deploymentController".into(), controller);
        if self.controller != Controller::Ecs {
            shape.insert("taskSets".into(), json!([]));
        }
        let deployments: Vec<Value> = self
            .deployments
            .iter()
            .enumerate()
            .map(|(index, deployment)| deployment_shape(deployment, index == 0, tasks, quirk_draining))
            .collect();
        shape.insert("deployments".into(), Value::Array(deployments));
        shape.insert("events".into(), self.events.shape());
        shape.insert("createdAt".into(), stamp(self.created));
        shape.insert(
            "healthCheckGracePeriodSeconds".into(),
            json!(self.grace.as_secs()),
        );
        shape.insert("createdBy".into(), json!(super::OPERATOR));
        shape
    }

    /// The members that follow the service deployments; the immediate answer of UpdateService lacks them.
    pub fn add_current(&self, shape: &mut Map<String, Value>, place: &Place, tasks: &[&Task]) {
        let Some(record) = self.history.first() else {
            return;
        };
        let arn = self.service_deployment_arn(place, &record.id);
        shape.insert("currentServiceDeployment".into(), json!(arn));
        let revisions: Vec<Value> = self
            .deployments
            .iter()
            .map(|deployment| {
                let own = tasks
                    .iter()
                    .copied()
                    .filter(|task| task.deployment.as_ref() == Some(&deployment.number));
                let (running, pending) = count(own);
                json!({
                    "arn": self.revision_arn(place, &deployment.number),
                    "requestedTaskCount": deployment.wanted,
                    "runningTaskCount": running,
                    "pendingTaskCount": pending,
                })
            })
            .collect();
        shape.insert("currentServiceRevisions".into(), Value::Array(revisions));
    }
}

fn deployment_shape(deployment: &Deployment, primary: bool, tasks: &[&Task], quirk_draining: bool) -> Value {
    let own = tasks
        .iter()
        .copied()
        .filter(|task| task.deployment.as_ref() == Some(&deployment.number));
    let (running, pending) = count(own);
    let status = if primary {
        "PRIMARY"
    } else if quirk_draining && deployment.condemned {
        "DRAINING"
    } else {
        "ACTIVE"
    };
    let state = match deployment.state {
        RolloutState::InProgress => "IN_PROGRESS",
        RolloutState::Completed => "COMPLETED",
        RolloutState::Failed => "FAILED",
    };
    let mut shape = Map::new();
    shape.insert("id".into(), json!(deployment.id()));
    shape.insert("status".into(), json!(status));
    shape.insert("taskDefinition".into(), json!(deployment.definition));
    shape.insert("desiredCount".into(), json!(deployment.wanted));
    shape.insert("pendingCount".into(), json!(pending));
    shape.insert("runningCount".into(), json!(running));
    shape.insert("failedTasks".into(), json!(deployment.failed_tasks));
    shape.insert("createdAt".into(), stamp(deployment.created));
    shape.insert("updatedAt".into(), stamp(deployment.updated));
    for (key, value) in &deployment.shown {
        set(&mut shape, key, Some(value.clone()));
    }
    shape.insert("rolloutState".into(), json!(state));
    shape.insert("rolloutStateReason".into(), json!(deployment.reason));
    Value::Object(shape)
}

/// Running and pending tasks among these.
pub fn count<'a>(tasks: impl Iterator<Item = &'a Task>) -> (u32, u32) {
    tasks.fold((0, 0), |(running, pending), task| match task.stage {
        Stage::Running => (running + 1, pending),
        Stage::Provisioning | Stage::Pending | Stage::Activating => (running, pending + 1),
        Stage::Deactivating | Stage::Stopping | Stage::Deprovisioning | Stage::Stopped => (running, pending),
    })
}
