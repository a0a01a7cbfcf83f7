//! One look at a service, as plain data: what ECS and the load balancer said, and what could not be seen.
//!
//! Values that the far end may extend carry an `Unrecognised` arm, so that nothing unknown is ever taken for success.

mod configuration;
mod service_deployment;
mod words;

pub use configuration::{AlarmSettings, Configuration, EarlySuccess, HookSettings, Share, Shift, Threshold};
pub use service_deployment::{
    Breaker, Hook, Revision, RevisionCounts, RevisionImage, Rollback, ServiceDeployment,
};
pub use words::{
    Controller, DeploymentStatus, Health, HookAction, HookStatus, HookTarget, LifecycleStage, MonitorStatus,
    RolloutState, ServiceDeploymentStatus, ServiceStatus, StopCode, Strategy, TargetState, TaskStatus,
};

use crate::name::Digest;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The service.
    pub service: Presence,
    /// Our service deployment, where that API answers and knows it.
    pub service_deployment: Option<ServiceDeployment>,
    /// The revision that our deployment brings, where it was asked for: a second proof of the digests.
    pub revision: Option<Revision>,
    /// Tasks that our deployment started, running and stopped; none if this look did not list them.
    pub tasks: Option<Vec<Task>>,
    /// The targets of the service's target groups; a group that was not looked at is absent.
    pub target_groups: Vec<TargetGroup>,
    /// What could not be seen.
    pub blind: Vec<Blind>,
}

/// Whether the service was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// DescribeServices described it.
    Seen(Box<Service>),
    /// DescribeServices says `MISSING`.
    Missing,
    /// DescribeServices described it without something that a verdict rests on.
    Unreadable {
        /// What lacks, or is not what it should be: `desiredCount`.
        member: &'static str,
    },
    /// DescribeServices did not answer; `blind` says why.
    Unseen,
}

/// Something that a look could not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    /// The IAM action of the call that failed: `ecs:DescribeTasks`.
    pub action: String,
    /// Why.
    pub why: BlindReason,
}

/// Why a look could not see something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlindReason {
    /// Access is denied: looking again will not help.
    Denied,
    /// The credentials have ended during the watch.
    NoCredentials,
    /// The far end did not answer, or throttled: the next look may see it.
    Transient,
    /// The far end does not know the operation, or refuses it.
    Unsupported,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Whether it exists.
    pub status: ServiceStatus,
    /// Who deploys it.
    pub controller: Controller,
    /// How ECS deploys it.
    pub strategy: Strategy,
    /// Whether the deployment circuit breaker is on.
    pub breaker: BreakerSetting,
    /// The least and most percentage of tasks during a deployment.
    pub percent: (u32, u32),
    /// Tasks wanted.
    pub desired: u32,
    /// Tasks running, of all deployments.
    pub running: u32,
    /// Tasks starting, of all deployments.
    pub pending: u32,
    /// The task definition that the service names.
    pub task_definition: String,
    /// Its deployments, as ECS orders them.
    pub deployments: Vec<Deployment>,
    /// Its events, newest first.
    pub events: Vec<ServiceEvent>,
    /// The service deployment under way.
    pub current_service_deployment: Option<String>,
    /// Where its tasks are registered.
    pub load_balancers: Vec<Attachment>,
    /// Whether something that a look cannot see decides on health, too: a Classic Load Balancer, VPC Lattice, or load
    /// balancers that the answer does not list. Then only ECS's own word will do.
    pub unseen_health: bool,
    /// How it is told to deploy.
    pub configuration: Configuration,
}

/// Whether the circuit breaker is on, and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerSetting {
    /// Nothing ends a failing deployment.
    Off,
    /// It fails the deployment.
    On,
    /// It fails the deployment and brings the last completed one back. Also set for alarms that roll back.
    RollsBack,
}

/// A target group of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The target group's ARN.
    pub target_group: String,
    /// The group that a blue/green deployment uses in turn with it.
    pub alternate: Option<String>,
    /// The container that is registered.
    pub container: String,
    /// Its port.
    pub port: Option<u16>,
}

/// An entry of `services[].deployments[]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// `ecs-svc/...`.
    pub id: String,
    /// Its place among the deployments.
    pub status: DeploymentStatus,
    /// How far it is; absent for a Classic Load Balancer.
    pub rollout: Option<RolloutState>,
    /// Why.
    pub reason: Option<String>,
    /// Tasks that the scheduler wants in it at the moment: 0 right after UpdateService.
    pub desired: u32,
    /// Tasks running.
    pub running: u32,
    /// Tasks starting.
    pub pending: u32,
    /// Failed tasks in a row.
    pub failed: u32,
    /// Its task definition's ARN.
    pub task_definition: String,
}

/// A service event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEvent {
    /// Its id.
    pub id: String,
    /// ECS's words.
    pub message: String,
}

/// A task that our deployment started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its 32 hex digits.
    pub id: String,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// Whether ECS does not want it to run.
    pub stopping: bool,
    /// How long it ran; none while it runs, or where ECS does not say.
    pub ran_for: Option<Duration>,
    /// Its health by container checks.
    pub health: Health,
    /// Its address in the network, for `awsvpc` tasks.
    pub address: Option<String>,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Why it stopped, as a code.
    pub stop_code: Option<StopCode>,
    /// Why it stopped, in words.
    pub stopped_reason: Option<String>,
}

/// A container of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its health by its own check.
    pub health: Health,
    /// The digest of the image that it runs, as its runtime reports it.
    pub digest: Option<Digest>,
    /// What its runtime calls it; a log stream without a prefix is named after it.
    pub runtime_id: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Why it ended or could not start.
    pub reason: Option<String>,
}

/// The targets of one target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: String,
    /// Its targets.
    pub targets: Vec<Target>,
}

/// A target of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// An address or an instance id.
    pub id: String,
    /// Its port.
    pub port: Option<u16>,
    /// Its state.
    pub state: TargetState,
    /// A code for why: `Target.ResponseCodeMismatch`.
    pub reason: Option<String>,
    /// The same in words: `Health checks failed with these codes: [404]`.
    pub description: Option<String>,
}

/// How a target group checks its targets (DescribeTargetGroups).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GroupCheck {
    /// The target group's ARN.
    pub arn: String,
    /// `HTTP`, `TCP`.
    pub protocol: Option<String>,
    /// A number, or `traffic-port`: the port that the target was registered with.
    pub port: Option<String>,
    /// The path of an HTTP check.
    pub path: Option<String>,
    /// The status codes that are a success: `200-299`.
    pub codes: Option<String>,
    /// Seconds that an answer may take.
    pub timeout: Option<u32>,
}

impl Service {
    /// The deployment with this id.
    #[must_use]
    pub fn deployment(&self, id: &str) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.id == id)
    }

    /// The newest deployment.
    #[must_use]
    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments
            .iter()
            .find(|deployment| deployment.status == DeploymentStatus::Primary)
    }

    /// The ARNs of all target groups that its tasks may be in, each once.
    #[must_use]
    pub fn target_groups(&self) -> Vec<&str> {
        let mut groups = Vec::new();
        for attachment in &self.load_balancers {
            let both = [Some(&attachment.target_group), attachment.alternate.as_ref()];
            for group in both.into_iter().flatten().map(String::as_str) {
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
        }
        groups
    }
}

impl Task {
    /// Whether it runs and is meant to go on running.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.status == TaskStatus::Running && !self.stopping
    }

    /// Whether it ended, or is ending, for another reason than a normal replacement or scaling.
    #[must_use]
    pub fn failed(&self) -> bool {
        match &self.stop_code {
            None | Some(StopCode::UserInitiated) => false,
            Some(StopCode::ServiceSchedulerInitiated) => !self
                .stopped_reason
                .as_deref()
                .unwrap_or_default()
                .starts_with("Scaling activity initiated by"),
            Some(_) => true,
        }
    }
}

impl Observation {
    /// A look that got no answer at all.
    #[must_use]
    pub fn unanswered() -> Self {
        Self {
            service: Presence::Unseen,
            service_deployment: None,
            revision: None,
            tasks: None,
            target_groups: Vec::new(),
            blind: vec![Blind {
                action: "ecs:DescribeServices".to_owned(),
                why: BlindReason::Transient,
            }],
        }
    }

    /// The service, if this look saw it.
    #[must_use]
    pub fn seen_service(&self) -> Option<&Service> {
        match &self.service {
            Presence::Seen(service) => Some(service),
            Presence::Missing | Presence::Unreadable { .. } | Presence::Unseen => None,
        }
    }
}

/// `web:42` of a task definition's ARN; a text that is no ARN stays as it is.
#[must_use]
pub fn revision_name(task_definition: &str) -> &str {
    task_definition.rsplit('/').next().unwrap_or(task_definition)
}
