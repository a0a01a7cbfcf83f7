//! What may still take healthy tasks away: hooks, traffic that has not moved, bake time, alarms.
//!
//! ECS rolls back as long as these last, so tasks that are healthy meanwhile are no success. Where ECS is about to look
//! at alarms it does so before it says `COMPLETED`.

use super::health::Now;
use super::{Rollout, WaitingOn};
use crate::ecs::observation::{
    Hook, HookStatus, HookTarget, LifecycleStage, MonitorStatus, Service, ServiceDeployment, Share, Strategy,
};
use std::time::Duration;

const MINUTE: u64 = 60;

/// Whether new tasks replace old ones, by both APIs; the older one may not know the strategy.
pub(super) fn is_rolling(service: &Service, theirs: Option<&ServiceDeployment>) -> bool {
    let told = theirs.and_then(|theirs| theirs.strategy.as_ref());
    service.strategy == Strategy::Rolling && told.is_none_or(|strategy| *strategy == Strategy::Rolling)
}

impl Rollout {
    /// What must pass before healthy tasks are a success; none if nothing must. `healthy` says whether the tasks are.
    pub(super) fn danger(&mut self, now: &Now<'_>, healthy: bool) -> Option<WaitingOn> {
        let (service, theirs) = (now.service, now.theirs);
        let rolling = is_rolling(service, theirs);
        if now.completed {
            return (!rolling && healthy)
                .then(|| unshifted(service, theirs))
                .flatten();
        }
        if let Some(waiting) = theirs.and_then(at_a_hook) {
            return Some(waiting);
        }
        let stage = theirs.and_then(|theirs| theirs.stage.as_ref());
        let bakes =
            stage == Some(&LifecycleStage::BakeTime) || (rolling && healthy && bakes(service, theirs));
        if bakes {
            let since = *self.memory.baking_since.get_or_insert(now.elapsed);
            return Some(WaitingOn::BakeTime {
                minutes_left: left(service.configuration.bake, now.elapsed.saturating_sub(since)),
            });
        }
        self.memory.baking_since = None;
        match stage {
            Some(
                LifecycleStage::PreProductionTrafficShift
                | LifecycleStage::ProductionTrafficShift
                | LifecycleStage::PostProductionTrafficShift,
            ) => Some(WaitingOn::TrafficShift {
                share: theirs.and_then(production),
            }),
            _ if !healthy => None,
            _ if !rolling || !service.configuration.hooks.is_empty() => Some(WaitingOn::Completion {
                stage: stage.map(ToString::to_string),
            }),
            _ => None,
        }
    }
}

/// The hook that holds our deployment up.
fn at_a_hook(theirs: &ServiceDeployment) -> Option<WaitingOn> {
    let stage = theirs.stage.as_ref().map(ToString::to_string);
    let holds = |hook: &&Hook| {
        !matches!(
            hook.status,
            HookStatus::Succeeded | HookStatus::Failed | HookStatus::TimedOut
        )
    };
    let awaits = |hook: &&Hook| hook.status == HookStatus::AwaitingAction || hook.target == HookTarget::Pause;
    let holding: Vec<&Hook> = theirs.hooks.iter().filter(holds).collect();
    let hook = holding
        .iter()
        .copied()
        .find(awaits)
        .or_else(|| holding.first().copied())?;
    Some(if awaits(&hook) {
        WaitingOn::Pause {
            stage,
            hook: hook.id.clone(),
            deployment: theirs.arn.clone(),
            on_timeout: hook.on_timeout.as_ref().map(ToString::to_string),
        }
    } else {
        WaitingOn::Hook {
            stage,
            target: hook.target_arn.clone(),
        }
    })
}

/// Whether a rolling update goes on to watch alarms, or to bake, after its tasks are healthy.
fn bakes(service: &Service, theirs: Option<&ServiceDeployment>) -> bool {
    let configuration = &service.configuration;
    let watched = match theirs.and_then(|theirs| theirs.alarms.as_ref()) {
        Some(MonitorStatus::Complete | MonitorStatus::Disabled) => false,
        Some(MonitorStatus::Monitoring | MonitorStatus::Triggered | MonitorStatus::Unrecognised(_)) => true,
        None => configuration.alarms.enabled,
    };
    watched || configuration.bake.is_some()
}

/// Whole minutes that are left at most.
fn left(bake: Option<Duration>, so_far: Duration) -> Option<u64> {
    bake.map(|bake| bake.saturating_sub(so_far).as_secs().div_ceil(MINUTE))
}

fn production(theirs: &ServiceDeployment) -> Option<Share> {
    theirs.target.as_ref()?.production
}

/// Completed beside a rolling update, and a load balancer is told to send some traffic elsewhere.
fn unshifted(service: &Service, theirs: Option<&ServiceDeployment>) -> Option<WaitingOn> {
    let share = theirs.and_then(production)?;
    (!service.load_balancers.is_empty() && share < Share::WHOLE)
        .then_some(WaitingOn::TrafficShift { share: Some(share) })
}
