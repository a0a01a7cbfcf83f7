//! When a task counts as healthy.

use super::Timings;
use super::task::{Stage, Task};
use crate::sandbox::world::elb::{Elb, TargetHealth};
use crate::sandbox::world::orders::ContainerHealth;
use std::time::Duration;

/// What a task's checks say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Nothing final yet.
    Starting,
    /// It counts.
    Healthy,
    /// A check failed.
    Unhealthy(Ailment),
}

/// Which check failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ailment {
    /// A target group's.
    Target {
        /// The target group's ARN.
        group: String,
        /// The port that was checked.
        port: u16,
        /// The description of DescribeTargetHealth.
        reason: String,
    },
    /// A container's own.
    Container,
}

impl Ailment {
    /// The `stoppedReason` of a task that stops for it.
    #[must_use]
    pub fn stopped_reason(&self) -> String {
        match self {
            Self::Target { group, .. } => format!("Task failed ELB health checks in (target-group {group})"),
            Self::Container => "Task failed container health checks".to_owned(),
        }
    }
}

/// Looks up the health of a task's targets.
#[must_use]
pub fn targets(task: &Task, elb: &Elb) -> Vec<Option<TargetHealth>> {
    task.targets
        .iter()
        .map(|target| elb.health(&target.group, target.id.as_ref()?))
        .collect()
}

/// Judges a task by the rule of `minimumHealthyPercent` (DeploymentConfiguration).
///
/// Without a load balancer and without a check of an essential container it must run for `timings.settle`; otherwise
/// every target must be `healthy`, and be registered for `timings.target_notice`, and the task be HEALTHY, as far as
/// there are such checks. Failed checks count only once the
/// task has run for `grace`. `targets` are in the order of the task's targets.
#[must_use]
pub fn assess(
    task: &Task,
    targets: &[Option<TargetHealth>],
    now: Duration,
    grace: Duration,
    timings: &Timings,
) -> Health {
    let Some(started) = task.times.started.filter(|_| task.stage == Stage::Running) else {
        return Health::Starting;
    };
    let ailing = targets
        .iter()
        .zip(&task.targets)
        .find_map(|(health, target)| {
            let health = health.as_ref().filter(|health| health.state == "unhealthy")?;
            Some(Ailment::Target {
                group: target.group.clone(),
                port: target.port,
                reason: health
                    .description
                    .clone()
                    .unwrap_or_else(|| "Health checks failed".to_owned()),
            })
        })
        .or_else(|| {
            let bad = |health| health == Some(ContainerHealth::Unhealthy);
            let mut essentials = task.containers.iter().filter(|container| container.essential);
            essentials
                .any(|container| bad(container.health))
                .then_some(Ailment::Container)
        });
    if let Some(ailment) = ailing {
        return if now < started + grace {
            Health::Starting
        } else {
            Health::Unhealthy(ailment)
        };
    }
    let served = targets
        .iter()
        .all(|health| health.as_ref().is_some_and(|health| health.state == "healthy"));
    let checked = !task.has_container_checks()
        || task
            .containers
            .iter()
            .filter(|container| container.essential && container.checked)
            .all(|container| container.health == Some(ContainerHealth::Healthy));
    let ran_for = now.saturating_sub(started);
    let patient = match (task.targets.is_empty(), task.has_container_checks()) {
        (false, _) => ran_for >= timings.target_notice,
        (true, true) => true,
        (true, false) => ran_for >= timings.settle,
    };
    if served && checked && patient {
        Health::Healthy
    } else {
        Health::Starting
    }
}
