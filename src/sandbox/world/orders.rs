//! What the world asks of whoever runs tasks and checks targets, and what it learns back.
//!
//! Two parties carry orders out: `sandbox::docker` (real containers) and `sandbox::simulate` (a scenario's fates).

use serde_json::Value;
use std::net::IpAddr;
use std::time::Duration;

/// A task's 32 hex digits.
pub type TaskId = String;

/// Something to do; each is carried out once, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Run a task.
    Start(Box<TaskSpec>),
    /// Stop a task: SIGTERM to every container, its `stopTimeout`, then SIGKILL. Answered by `TaskGone`.
    Stop {
        /// The task.
        task: TaskId,
    },
    /// Check one target once. Answered by `TargetChecked`.
    Check(TargetCheck),
}

/// A task to run, as far as a runner needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSpec {
    /// The task.
    pub task: TaskId,
    /// `service:NAME` or `family:FAMILY`.
    pub group: String,
    /// The family and revision: `web:3`.
    pub revision: String,
    /// The whole task definition, as registered.
    pub task_definition: Value,
    /// RunTask's or the service's overrides, if any.
    pub overrides: Option<Value>,
    /// The containers in the definition's order, images resolved to digests where the sandbox's ECR knows them.
    pub containers: Vec<ContainerSpec>,
}

/// One container of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// The image as the definition names it.
    pub image: String,
    /// What to pull: the image at a digest where one was resolved.
    pub pull: String,
    /// The container definition, as registered.
    pub definition: Value,
}

/// One health check of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetCheck {
    /// The target group's ARN.
    pub target_group: String,
    /// The target.
    pub target: TargetId,
    /// `HTTP` or `TCP`.
    pub protocol: String,
    /// The port that is checked.
    pub port: u16,
    /// The path of an HTTP check.
    pub path: String,
    /// How long the target may take.
    pub timeout: Duration,
}

/// A target of a target group: an address and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId {
    /// The address (target type `ip`).
    pub id: String,
    /// The port.
    pub port: u16,
}

/// What became of a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckOutcome {
    /// An HTTP status, or 200 for a TCP check that connected.
    Status(u16),
    /// No answer in time.
    Timeout,
    /// The connection was refused, or cut.
    Refused,
}

/// A container's health, as the Engine reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerHealth {
    /// The check passes.
    Healthy,
    /// The check failed `retries` times in a row.
    Unhealthy,
}

/// What takes away what a task runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// Fargate Spot wants its capacity back.
    Spot,
    /// The instance was told that it ends.
    Termination,
    /// The infrastructure is not healthy any more.
    Infrastructure,
}

/// Something that happened to a task or a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The task has a network address.
    Address {
        /// The task.
        task: TaskId,
        /// Its address.
        address: IpAddr,
    },
    /// The pulls of a task began.
    PullStarted {
        /// The task.
        task: TaskId,
    },
    /// All images of a task are there.
    PullStopped {
        /// The task.
        task: TaskId,
        /// The digest of each container's image as the runtime reports it: (container, digest).
        digests: Vec<(String, String)>,
    },
    /// A container runs.
    ContainerStarted {
        /// The task.
        task: TaskId,
        /// The container.
        container: String,
        /// The runtime's id.
        runtime_id: String,
    },
    /// A container could not be pulled, created or started; the task fails to start.
    ContainerRefused {
        /// The task.
        task: TaskId,
        /// The container.
        container: String,
        /// The agent's words: `CannotPullContainerError: ...`, `CannotStartContainerError: ...`.
        reason: String,
    },
    /// The resources of a task could not be made; it fails to start, and no container says why.
    TaskRefused {
        /// The task.
        task: TaskId,
        /// The agent's words: `ResourceInitializationError: ...`.
        reason: String,
    },
    /// What a task runs on is taken away.
    Interrupted {
        /// The task.
        task: TaskId,
        /// By what.
        by: Interruption,
    },
    /// A container's health changed.
    ContainerHealth {
        /// The task.
        task: TaskId,
        /// The container.
        container: String,
        /// The health.
        health: ContainerHealth,
    },
    /// A container ended.
    ContainerExited {
        /// The task.
        task: TaskId,
        /// The container.
        container: String,
        /// Its exit code.
        code: i64,
        /// Whether the kernel killed it for its memory.
        out_of_memory: bool,
    },
    /// Everything of a task is gone.
    TaskGone {
        /// The task.
        task: TaskId,
    },
    /// A container wrote a line.
    LogLine {
        /// The task.
        task: TaskId,
        /// The container.
        container: String,
        /// The line, without its end.
        line: String,
    },
    /// A target was checked.
    TargetChecked {
        /// The target group's ARN.
        target_group: String,
        /// The target.
        target: TargetId,
        /// What became of it.
        outcome: CheckOutcome,
    },
}

impl Fact {
    /// The task that it happened to; none of a target.
    #[must_use]
    pub fn task(&self) -> Option<&TaskId> {
        match self {
            Self::Address { task, .. }
            | Self::PullStarted { task }
            | Self::PullStopped { task, .. }
            | Self::ContainerStarted { task, .. }
            | Self::ContainerRefused { task, .. }
            | Self::TaskRefused { task, .. }
            | Self::Interrupted { task, .. }
            | Self::ContainerHealth { task, .. }
            | Self::ContainerExited { task, .. }
            | Self::TaskGone { task }
            | Self::LogLine { task, .. } => Some(task),
            Self::TargetChecked { .. } => None,
        }
    }
}
