//! One task: its lifecycle and its containers.

use super::ids::Place;
use super::service::ServiceKey;
use crate::sandbox::world::ecr::ResolvedImage;
use crate::sandbox::world::orders::{ContainerHealth, TargetId, TaskId};
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Where a task is in its life (`lastStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Waits for its network.
    Provisioning,
    /// Has its network.
    Pending,
    /// Pulls images and starts containers.
    Activating,
    /// All containers started.
    Running,
    /// Its targets drain.
    Deactivating,
    /// Its containers are told to end.
    Stopping,
    /// Its network goes.
    Deprovisioning,
    /// Gone.
    Stopped,
}

impl Stage {
    /// As `lastStatus` says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Activating => "ACTIVATING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Why a task stops (`stopCode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCode {
    /// It never ran.
    TaskFailedToStart,
    /// An essential container ended.
    EssentialContainerExited,
    /// StopTask.
    UserInitiated,
    /// The service's scheduler.
    ServiceSchedulerInitiated,
    /// Fargate Spot.
    SpotInterruption,
    /// The instance ends.
    TerminationNotice,
    /// The infrastructure is not healthy any more.
    InfrastructureHealth,
}

impl StopCode {
    /// As `stopCode` says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskFailedToStart => "TaskFailedToStart",
            Self::EssentialContainerExited => "EssentialContainerExited",
            Self::UserInitiated => "UserInitiated",
            Self::ServiceSchedulerInitiated => "ServiceSchedulerInitiated",
            Self::SpotInterruption => "SpotInterruption",
            Self::TerminationNotice => "TerminationNotice",
            Self::InfrastructureHealth => "InfrastructureHealth",
        }
    }
}

/// One container of a task.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The image as the definition names it.
    pub image: String,
    /// What the image resolved to when the task was made.
    pub resolved: Option<ResolvedImage>,
    /// The digest that DescribeTasks shows.
    pub image_digest: Option<String>,
    /// Whether the task ends with it.
    pub essential: bool,
    /// Whether the definition checks its health.
    pub checked: bool,
    /// What the check says; `None` before its first verdict.
    pub health: Option<ContainerHealth>,
    /// The runtime's id, once started.
    pub runtime_id: Option<String>,
    /// The exit code, once ended.
    pub exit_code: Option<i64>,
    /// Why it did not start, or what killed it.
    pub reason: Option<String>,
    /// The last part of its ARN.
    pub uuid: String,
    /// CPU units, memory and soft memory of the definition, as texts.
    pub sizes: [Option<String>; 3],
}

/// A target that a task has, or will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The target group's ARN.
    pub group: String,
    /// The address and port, once registered.
    pub id: Option<TargetId>,
    /// The port that the service names.
    pub port: u16,
}

/// Why a task will not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doom {
    /// This container's image does not exist: its name, and the agent's words.
    Pull(String, String),
    /// The task's resources can not be made: the agent's words.
    Resources(String),
}

/// The instants of a task's life, in their order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// `createdAt`.
    pub created: Duration,
    /// `connectivityAt`.
    pub connected: Option<Duration>,
    /// `pullStartedAt`.
    pub pull_started: Option<Duration>,
    /// `pullStoppedAt`.
    pub pull_stopped: Option<Duration>,
    /// `startedAt`: RUNNING.
    pub started: Option<Duration>,
    /// `stoppingAt`.
    pub stopping: Option<Duration>,
    /// `executionStoppedAt`: the last container ended.
    pub executed: Option<Duration>,
    /// `stoppedAt`.
    pub stopped: Option<Duration>,
}

/// One task.
#[derive(Debug)]
pub struct Task {
    /// Its 32 hex digits.
    pub id: TaskId,
    /// The order of creation.
    pub serial: u64,
    /// The cluster's name.
    pub cluster: String,
    /// The service, unless it stands alone.
    pub service: Option<ServiceKey>,
    /// The number of the deployment that it belongs to.
    pub deployment: Option<String>,
    /// `service:NAME`, `family:FAMILY`, or what RunTask said.
    pub group: String,
    /// Who started it.
    pub started_by: Option<String>,
    /// The task definition's ARN.
    pub definition_arn: String,
    /// The task definition, as described.
    pub definition: Arc<Value>,
    /// Its tags.
    pub tags: Vec<Value>,
    /// RunTask's overrides.
    pub overrides: Option<Value>,
    /// Members that are shown as they were given: launch type, platform, tags, execute command.
    pub shown: Map<String, Value>,
    /// Whether it has a network interface of its own.
    pub awsvpc: bool,
    /// The id of its network attachment.
    pub attachment: String,
    /// Where it is in its life.
    pub stage: Stage,
    /// Its instants.
    pub times: Times,
    /// Why it stops.
    pub stop: Option<(StopCode, String)>,
    /// Whether it ended as a failure: it did not start, or crashed, or a check failed.
    pub failed: bool,
    /// Its containers, in the definition's order.
    pub containers: Vec<Container>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its targets.
    pub targets: Vec<Target>,
    /// Counts state changes.
    pub version: u64,
    /// Whether it counted as healthy once.
    pub was_healthy: bool,
    /// Whether a failed check of it was told.
    pub told_unhealthy: bool,
    /// Whether the log groups of its containers were looked up.
    pub logs_checked: bool,
    /// When its targets are to be deregistered.
    pub deregister_at: Option<Duration>,
    /// Why it will not start, whatever its runner says.
    pub doom: Option<Doom>,
    /// When that shows.
    pub refused_at: Option<Duration>,
    /// Whether a doomed task's runner is done with it, before its doom shows.
    pub runner_done: bool,
    /// When its network is gone.
    pub gone_at: Option<Duration>,
}

impl Task {
    /// Whether it is meant to run.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stop.is_none()
    }

    /// The next instant at which something is due.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        [self.deregister_at, self.refused_at, self.gone_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Moves on to a later stage; an earlier one is ignored, since a life has one direction.
    pub fn enter(&mut self, stage: Stage) {
        if stage > self.stage {
            self.stage = stage;
            // STOPPING is no event of its own: both full traces of real tasks end with version 6.
            if stage != Stage::Stopping {
                self.version += 1;
            }
        }
    }

    /// The container of that name.
    pub fn container(&mut self, name: &str) -> Option<&mut Container> {
        self.containers
            .iter_mut()
            .find(|container| container.name == name)
    }

    /// Whether every container started (or came and went).
    #[must_use]
    pub fn all_started(&self) -> bool {
        self.containers
            .iter()
            .all(|container| container.runtime_id.is_some() || container.exit_code.is_some())
    }

    /// The task's health: UNHEALTHY if any essential container is, UNKNOWN if any essential one is, else HEALTHY.
    #[must_use]
    pub fn health(&self) -> &'static str {
        let essentials = || self.containers.iter().filter(|container| container.essential);
        if essentials().any(|container| container.health == Some(ContainerHealth::Unhealthy)) {
            "UNHEALTHY"
        } else if essentials().all(|container| container.health == Some(ContainerHealth::Healthy)) {
            "HEALTHY"
        } else {
            "UNKNOWN"
        }
    }

    /// Whether a health check of an essential container decides over the task.
    #[must_use]
    pub fn has_container_checks(&self) -> bool {
        self.containers
            .iter()
            .any(|container| container.essential && container.checked)
    }

    /// The ARN.
    #[must_use]
    pub fn arn(&self, place: &Place) -> String {
        place.arn(&format!("task/{}/{}", self.cluster, self.id))
    }
}
