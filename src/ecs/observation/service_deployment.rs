//! A service deployment and the revision that it brings, as DescribeServiceDeployments and DescribeServiceRevisions
//! show them.

use super::configuration::Share;
use super::words::{
    HookAction, HookStatus, HookTarget, LifecycleStage, MonitorStatus, ServiceDeploymentStatus, Strategy,
};
use crate::name::Digest;

/// A service deployment (ListServiceDeployments, DescribeServiceDeployments).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDeployment {
    /// Its ARN.
    pub arn: String,
    /// How far it is.
    pub status: ServiceDeploymentStatus,
    /// Why.
    pub reason: Option<String>,
    /// The revision that it brings.
    pub target: Option<RevisionCounts>,
    /// The rollback, once there is one.
    pub rollback: Option<Rollback>,
    /// Its circuit breaker.
    pub breaker: Option<Breaker>,
    /// Its alarms' state.
    pub alarms: Option<MonitorStatus>,
    /// Alarms that ended it.
    pub triggered_alarms: Vec<String>,
    /// How ECS deploys, as this deployment was begun.
    pub strategy: Option<Strategy>,
    /// The stage that it is in.
    pub stage: Option<LifecycleStage>,
    /// Its hooks at work.
    pub hooks: Vec<Hook>,
}

/// Counts and traffic of a service revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionCounts {
    /// The revision's ARN; its last part is the number of the deployment's id.
    pub arn: String,
    /// Tasks wanted.
    pub requested: Option<u32>,
    /// Tasks running.
    pub running: Option<u32>,
    /// Tasks starting.
    pub pending: Option<u32>,
    /// The share of production traffic that it is given.
    pub production: Option<Share>,
    /// The share of test traffic that it is given.
    pub test: Option<Share>,
}

/// A rollback of a service deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Why.
    pub reason: Option<String>,
    /// The revision that comes back.
    pub revision: Option<String>,
}

/// A deployment's circuit breaker at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// What it does.
    pub status: MonitorStatus,
    /// Failures counted.
    pub failures: u32,
    /// Failures that trip it; 0 where ECS does not say.
    pub threshold: u32,
}

/// An element of `lifecycleHookDetails`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The id by which ContinueServiceDeployment knows it.
    pub id: String,
    /// What does its work.
    pub target: HookTarget,
    /// The function's ARN.
    pub target_arn: Option<String>,
    /// How far it is.
    pub status: HookStatus,
    /// What ECS does when its time is over.
    pub on_timeout: Option<HookAction>,
}

/// A service revision (DescribeServiceRevisions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its ARN.
    pub arn: String,
    /// Its task definition's ARN.
    pub task_definition: Option<String>,
    /// The images that ECS resolved for it: every one of its tasks gets these.
    pub images: Vec<RevisionImage>,
}

/// An element of `containerImages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionImage {
    /// The container's name.
    pub container: String,
    /// The digest that ECS resolved.
    pub digest: Option<Digest>,
}
