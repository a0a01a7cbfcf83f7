//! How the watch of a service ends, and what runs there then, in words.

use super::super::begin::Beginning;
use super::super::prepare::Prepared;
use crate::ecs::observation::{Observation, Service, revision_name};
use crate::ecs::rollout::{Kept, Loss, WaitingOn};
use crate::ecs::service::Watched;
use crate::failure::Kind;
use std::time::Duration;

/// A service that left the watch.
#[derive(Debug)]
pub(in crate::stage::deploy) struct Ended<'a> {
    pub(in crate::stage::deploy) place: usize,
    pub(in crate::stage::deploy) prepared: &'a Prepared,
    pub(in crate::stage::deploy) begun: Beginning,
    pub(in crate::stage::deploy) changed: bool,
    /// What its judge remembers.
    pub(in crate::stage::deploy) kept: Kept,
    /// Whether an earlier stretch proved it.
    pub(in crate::stage::deploy) proven: bool,
    /// When it was updated.
    pub(in crate::stage::deploy) started: Duration,
    /// From the update to the end.
    pub(in crate::stage::deploy) elapsed: Duration,
    pub(in crate::stage::deploy) end: End,
}

/// How a watch ended.
#[derive(Debug)]
pub(in crate::stage::deploy) enum End {
    /// Healthy, by this look.
    Healthy(Observation),
    /// Lost, as which one of the run.
    Lost(Box<Lost>, usize),
    /// A stop was asked for; as which one of the run.
    Stopped(Kind, Sofar, usize),
    /// The stretch is over, and a later one goes on.
    HandedBack(Sofar),
    /// Another service failed, so this one is left to ECS.
    Unwatched(Sofar),
    /// Another service failed, so this one goes back.
    Back {
        /// The ARN of its service deployment, where it is known.
        service_deployment: Option<String>,
        /// Whether it was proven healthy.
        healthy: bool,
    },
}

/// A lost rollout.
#[derive(Debug)]
pub(in crate::stage::deploy) struct Lost {
    pub(in crate::stage::deploy) loss: Loss,
    pub(in crate::stage::deploy) elapsed: Duration,
    /// The last look.
    pub(in crate::stage::deploy) seen: Observation,
    /// The service when it was last seen.
    pub(in crate::stage::deploy) last_seen: Option<Service>,
    pub(in crate::stage::deploy) watched: Watched,
}

/// How far a service was when its watch ended without a verdict.
#[derive(Debug, Default)]
pub(in crate::stage::deploy) struct Sofar {
    pub(in crate::stage::deploy) waiting_on: Option<WaitingOn>,
    /// The service when it was last seen.
    pub(in crate::stage::deploy) last_seen: Option<Service>,
}

/// Whether the loss is ours for sure: not slow, not in doubt, and not somebody else's act, who may be about to act on
/// the other services as well.
pub(super) const fn is_certain(loss: &Loss) -> bool {
    !matches!(
        loss,
        Loss::Deadline { .. }
            | Loss::CannotTell(_)
            | Loss::Superseded { .. }
            | Loss::Stopped { .. }
            | Loss::ServiceGone { .. }
    )
}

/// What runs, by revision: `` `web:41` runs 2 tasks, `web:42` none ``.
pub(in crate::stage) fn serving(seen: &Observation) -> Option<String> {
    seen.seen_service().map(running)
}

/// The same of a service.
pub(in crate::stage::deploy) fn running(service: &Service) -> String {
    let mut revisions: Vec<(&str, u32)> = Vec::new();
    for deployment in &service.deployments {
        let name = revision_name(&deployment.task_definition);
        match revisions.iter_mut().find(|(known, _)| *known == name) {
            Some((_, running)) => *running += deployment.running,
            None => revisions.push((name, deployment.running)),
        }
    }
    revisions.sort_by_key(|(_, running)| std::cmp::Reverse(*running));
    if revisions.iter().all(|(_, running)| *running == 0) {
        return "no task runs".to_owned();
    }
    let runs: Vec<String> = revisions
        .iter()
        .map(|(name, running)| match running {
            0 => format!("`{name}` none"),
            1 => format!("`{name}` runs 1 task"),
            running => format!("`{name}` runs {running} tasks"),
        })
        .collect();
    runs.join(", ")
}
