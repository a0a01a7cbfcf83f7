//! Whether nothing is left of what ours replaced.

use super::health::Now;
use super::{Verdict, WaitingOn, count};
use crate::ecs::observation::{Observation, Service, Target, TargetState};
use std::collections::BTreeSet;

/// The targets of tasks that ours replace. A target group does not say whose its targets are, and other services may
/// share it; so a target counts that was there while tasks of other deployments were, and is of no task of ours.
#[derive(Debug, Clone, Default)]
pub(super) struct OldTargets {
    listed: BTreeSet<(String, Option<u16>)>,
    /// Addresses of our tasks, also of those that were replaced.
    ours: BTreeSet<String>,
}

impl OldTargets {
    /// Remembers the targets of a look.
    pub(super) fn learn(&mut self, service: &Service, ours: &str, seen: &Observation) {
        let addresses = seen
            .tasks
            .iter()
            .flatten()
            .filter_map(|task| task.address.clone());
        self.ours.extend(addresses);
        // At the first look they may be all that is left of them.
        if self.listed.is_empty() || others(service, ours) > 0 {
            self.listed.extend(targets(seen).map(key));
        }
    }

    /// How many of them still answer the requests that they have.
    fn draining(&self, seen: &Observation) -> u32 {
        let drains = |target: &&Target| {
            let leaves = matches!(
                target.state,
                TargetState::Draining | TargetState::UnhealthyDraining
            );
            leaves && self.listed.contains(&key(target)) && !self.ours.contains(&target.id)
        };
        count(targets(seen).filter(drains).count())
    }
}

/// Completed, and nothing of other deployments is left.
pub(super) fn steady(now: &Now<'_>, old: &OldTargets) -> Verdict {
    match others(now.service, &now.ours.id).max(old.draining(now.seen)) {
        0 if now.completed => Verdict::Healthy,
        0 => Verdict::Wait(now.completion()),
        remaining => Verdict::Wait(WaitingOn::OldTasksToDrain { remaining }),
    }
}

/// Tasks of other deployments.
fn others(service: &Service, ours: &str) -> u32 {
    let others = service
        .deployments
        .iter()
        .filter(|deployment| deployment.id != ours);
    others.fold(0, |left, other| {
        left.saturating_add(other.running).saturating_add(other.pending)
    })
}

fn targets(seen: &Observation) -> impl Iterator<Item = &Target> {
    seen.target_groups.iter().flat_map(|group| &group.targets)
}

fn key(target: &Target) -> (String, Option<u16>) {
    (target.id.clone(), target.port)
}
