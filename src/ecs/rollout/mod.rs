//! The judge of a rollout: a pure function over looks that follows our own deployment, and nothing else.
//!
//! "The service is stable" proves nothing: it is stable after a rollback, too. So the judge asks for our deployment's
//! id, its service deployment and its target revision, and takes no unknown value, missing field, young deployment or
//! stale look for success.

mod advice;
mod caution;
mod danger;
mod digests;
mod failures;
mod fate;
mod health;
mod kept;
mod monitors;
pub mod nature;
pub mod pace;
mod runs;
mod signs;
mod steady;
mod targets;
mod verdict;
mod waiting;

pub use advice::advice;
pub use caution::Caution;
pub use digests::{Proof, proofs};
pub use failures::signature;
pub use kept::{Kept, Print};
pub use verdict::{Doubt, Loss, RollbackCause, Verdict};
pub use waiting::{WaitingOn, target_group_name};

use super::observation::{
    Blind, BlindReason, BreakerSetting, Observation, Presence, Service, ServiceEvent, ServiceStatus,
};
use crate::name::{ContainerName, Digest};
use failures::Failures;
pub use fate::LOOKS_TO_VANISH;
use runs::Runs;
use signs::Freshness;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use steady::OldTargets;

/// How long looks in a row may be refused for their credentials before it counts as so for good: each of them asks for
/// fresh ones.
pub const CREDENTIALS_MAY_FAIL_FOR: Duration = Duration::from_secs(120);

/// How long a task without any health check must run before it counts as healthy; ECS's own rule for
/// `minimumHealthyPercent`.
pub const STABLE_FOR: Duration = Duration::from_secs(40);

/// Task failures with one reason that end the wait when no circuit breaker does; as many as the least threshold of
/// ECS's own breaker.
pub const START_FAILURES: u32 = 3;

/// Failures that are older than this do not make a deadline a failure; twice what ECS takes for one that fails its load
/// balancer's checks.
const RECENT: Duration = Duration::from_secs(660);

/// When a rollout counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// All tasks of our revision run, are healthy by every check, and have the right digest.
    Healthy,
    /// Healthy, completed, and the old tasks are gone.
    Steady,
}

/// What the judge asks of a rollout.
#[derive(Debug, Clone)]
pub struct Policy {
    /// When it is done.
    pub goal: Goal,
    /// From UpdateService to giving up.
    pub timeout: Duration,
    /// Containers with a health check of their own.
    pub checked: BTreeSet<ContainerName>,
    /// The digests that containers may run.
    pub images: BTreeMap<ContainerName, Expected>,
    /// Call a service with desired count 0 done when ECS does.
    pub allow_zero: bool,
}

/// The digests that prove an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The digest that was deployed.
    pub deployed: Digest,
    /// The platform manifests, if the deployed digest is an index.
    pub platforms: BTreeSet<Digest>,
    /// Whether it is known what the deployed digest is; if not, another running digest proves nothing either way.
    pub resolved: bool,
}

/// Our deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// The id from UpdateService: `ecs-svc/...`.
    pub deployment: String,
}

/// What was there before UpdateService.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baseline {
    /// The primary deployment's id.
    pub deployment: Option<String>,
    /// The primary deployment's task definition.
    pub task_definition: Option<String>,
    /// The ids of the other deployments: a rollback of ours brings one of them back, under the id that it had.
    pub elders: BTreeSet<String>,
    /// The same of deployments that are known by the print of their id alone.
    pub prints: BTreeSet<Print>,
    /// The ids of the events that were there.
    pub events: BTreeSet<String>,
    /// How the service was told to deploy.
    pub caution: Caution,
}

impl Baseline {
    /// What a look before UpdateService saw.
    #[must_use]
    pub fn of(service: &Service) -> Self {
        let mut caution = Caution::default();
        caution.heed(service);
        let primary = service.primary().map(|primary| primary.id.clone());
        let ids = service.deployments.iter().map(|deployment| deployment.id.clone());
        let elders = ids.filter(|id| !id.is_empty() && Some(id) != primary.as_ref());
        Self {
            caution,
            elders: elders.collect(),
            prints: BTreeSet::new(),
            deployment: primary,
            task_definition: service.primary().map(|primary| primary.task_definition.clone()),
            events: service.events.iter().map(|event| event.id.clone()).collect(),
        }
    }
}

/// A rollout under judgement.
#[derive(Debug, Clone)]
pub struct Rollout {
    policy: Policy,
    ours: Ours,
    baseline: Baseline,
    told: BTreeSet<String>,
    /// Events since the update that an earlier process told.
    told_before: u32,
    memory: Memory,
}

/// What earlier looks saw.
#[derive(Debug, Clone, Default)]
struct Memory {
    /// Our deployment was seen.
    appeared: bool,
    /// An earlier process saw it, and this one has not looked yet.
    taken_up: bool,
    /// Whether nothing but its staying up shows that a task is healthy.
    unchecked: Option<bool>,
    /// Our service deployment was seen.
    service_deployments_seen: bool,
    /// Deployments that were there before ours, or were seen beside it while it was the primary one.
    elders: BTreeSet<String>,
    freshness: Freshness,
    old_targets: OldTargets,
    caution: Caution,
    /// Looks in a row that missed our deployment after it had appeared, or saw it replaced without a second sign.
    vanished: u32,
    /// Looks that saw our service deployment stopped, and not why.
    stopped: u32,
    /// Since when every look was refused for its credentials.
    keyless_since: Option<Duration>,
    /// Looks in a row that said `MISSING`.
    missing: u32,
    /// Looks in a row that saw our deployment failed and a rollback announced, but not begun.
    announced: u32,
    runs: Runs,
    /// Since which look as many tasks of ours run as are wanted.
    whole_since: Option<Duration>,
    /// When our deployment was first looked at.
    first_look: Option<Duration>,
    /// When ECS was first seen to call our deployment completed.
    completed_at: Option<Duration>,
    /// When the bake time was first seen.
    baking_since: Option<Duration>,
    /// Looks in a row that saw our deployment completed, and no task wanted.
    at_zero: u32,
    failures: Failures,
    /// ECS's own count of failures in a row, as it was last seen.
    counted: u32,
}

impl Rollout {
    /// Begins to follow our deployment.
    #[must_use]
    pub fn new(policy: Policy, ours: Ours, baseline: Baseline) -> Self {
        Self {
            told: baseline.events.clone(),
            memory: Memory {
                elders: baseline.elders.clone(),
                freshness: Freshness::knowing(&baseline.events),
                caution: baseline.caution.clone(),
                ..Memory::default()
            },
            policy,
            ours,
            baseline,
            told_before: 0,
        }
    }

    /// Goes on with a rollout that an earlier process saw begin, and of which nothing else is known.
    #[must_use]
    pub fn taken_up(mut self) -> Self {
        self.memory.appeared = true;
        self.memory.taken_up = true;
        self
    }

    /// Judges one look taken `elapsed` after the service was updated.
    pub fn judge(&mut self, elapsed: Duration, seen: &Observation) -> Verdict {
        let verdict = self.judge_look(elapsed, seen);
        if !matches!(verdict, Verdict::Wait(WaitingOn::Credentials { .. })) {
            self.memory.keyless_since = None;
        }
        match verdict {
            Verdict::Wait(WaitingOn::Credentials { .. }) if self.stays_keyless(elapsed) => {
                Verdict::Lost(Loss::CannotTell(Doubt::NoCredentials))
            }
            Verdict::Wait(last) if elapsed >= self.policy.timeout => {
                Verdict::Lost(self.give_up(elapsed, last))
            }
            Verdict::Wait(_) | Verdict::Healthy | Verdict::Lost(_) => verdict,
        }
    }

    /// Returns the service's events that were not returned before, oldest first. Events are known by their ids: the
    /// far end's clock is not ours.
    pub fn news<'a>(&mut self, seen: &'a Observation) -> Vec<&'a ServiceEvent> {
        let events = seen
            .seen_service()
            .map(|service| service.events.as_slice())
            .unwrap_or_default();
        let since = || {
            let new = |event: &&ServiceEvent| !self.baseline.events.contains(&event.id);
            events.iter().rev().filter(new)
        };
        if !events.is_empty() {
            let before = usize::try_from(std::mem::take(&mut self.told_before)).unwrap_or(usize::MAX);
            let told: Vec<String> = since().take(before).map(|event| event.id.clone()).collect();
            self.told.extend(told);
        }
        events
            .iter()
            .rev()
            .filter(|event| self.told.insert(event.id.clone()))
            .collect()
    }

    /// How long until every task that was seen running has run for [`STABLE_FOR`]; none if they all have.
    #[must_use]
    pub fn settles_in(&self, elapsed: Duration) -> Option<Duration> {
        let youngest = self.memory.runs.youngest()?;
        (youngest + STABLE_FOR)
            .checked_sub(elapsed)
            .filter(|left| !left.is_zero())
    }

    /// Our deployment's id.
    #[must_use]
    pub fn deployment(&self) -> &str {
        &self.ours.deployment
    }

    fn stays_keyless(&mut self, elapsed: Duration) -> bool {
        let since = *self.memory.keyless_since.get_or_insert(elapsed);
        elapsed.saturating_sub(since) >= CREDENTIALS_MAY_FAIL_FOR || elapsed >= self.policy.timeout
    }

    fn judge_look(&mut self, elapsed: Duration, seen: &Observation) -> Verdict {
        let service = match &seen.service {
            Presence::Seen(service) => service,
            Presence::Missing => return self.missing(),
            Presence::Unreadable { member } => return unknown(member, None),
            Presence::Unseen => return unseen(seen),
        };
        self.memory.missing = 0;
        match &service.status {
            ServiceStatus::Active => {}
            status @ (ServiceStatus::Draining | ServiceStatus::Inactive) => {
                return Verdict::Lost(Loss::ServiceGone {
                    status: status.to_string(),
                });
            }
            ServiceStatus::Unrecognised(value) => return unknown("service status", Some(value)),
        }
        if self.memory.freshness.is_past(service) {
            self.note_refusal(seen);
            return Verdict::Wait(WaitingOn::SecondLook);
        }
        let service = &*self.memory.caution.heed(service);
        self.remember(elapsed, service, seen);
        if let Some(verdict) = self.fate(service, seen) {
            return verdict;
        }
        if let Some(loss) = self.hopeless(elapsed, service, seen) {
            return Verdict::Lost(loss);
        }
        self.health(elapsed, service, seen)
    }

    fn missing(&mut self) -> Verdict {
        self.memory.missing += 1;
        if self.memory.missing >= LOOKS_TO_VANISH {
            return Verdict::Lost(Loss::ServiceGone {
                status: "MISSING".to_owned(),
            });
        }
        Verdict::Wait(WaitingOn::SecondLook)
    }

    fn remember(&mut self, elapsed: Duration, service: &Service, seen: &Observation) {
        // When tasks failed that an earlier process may have seen is not known.
        let taken_up = std::mem::take(&mut self.memory.taken_up);
        let at = (!taken_up).then_some(elapsed);
        self.memory.first_look.get_or_insert(elapsed);
        self.memory.unchecked = Some(self.unchecked(service));
        self.learn(elapsed, service, seen, at);
        if taken_up {
            self.memory.failures.catch_up(self.memory.counted, elapsed);
        }
    }

    fn learn(&mut self, elapsed: Duration, service: &Service, seen: &Observation, at: Option<Duration>) {
        self.memory
            .old_targets
            .learn(service, &self.ours.deployment, seen);
        let ours = service.deployment(&self.ours.deployment);
        self.memory.counted = ours.map_or(self.memory.counted, |ours| ours.failed);
        let events = signs::since(service, &self.baseline.events);
        self.memory.failures.learn_events(events, at);
        let running = ours.map_or(0, |ours| ours.running);
        self.memory.whole_since =
            (running >= service.desired).then(|| self.memory.whole_since.unwrap_or(elapsed));
        let Some(tasks) = &seen.tasks else {
            if running == 0 {
                self.memory.runs.none_at(elapsed);
            }
            return;
        };
        self.memory.runs.learn(elapsed, tasks);
        self.memory.failures.learn(tasks, at);
    }

    /// Failures that nothing will end: the same one again and again, no breaker, and no task that lasts.
    fn hopeless(&self, elapsed: Duration, service: &Service, seen: &Observation) -> Option<Loss> {
        if service.breaker != BreakerSetting::Off {
            return None;
        }
        let counted = service.deployment(&self.ours.deployment)?.failed;
        let (reason, times) = self.memory.failures.most_lasting(counted)?;
        let hopeless = times >= START_FAILURES && self.any_lasts(elapsed, service, seen) == Some(false);
        hopeless.then(|| Loss::CannotStart {
            reason: reason.to_owned(),
            times,
        })
    }

    /// What the deadline makes of a wait. Tasks that failed make it a failure if they still do, and are what is waited
    /// for: ECS counts failures in a row.
    fn give_up(&self, elapsed: Duration, last: WaitingOn) -> Loss {
        let failures = &self.memory.failures;
        let failed = failures.count(self.memory.counted);
        let lately = |at: Duration| elapsed.saturating_sub(at) < RECENT;
        let fails = self.memory.counted > 0 || failures.newest().is_some_and(lately);
        if last.is_blind() {
            Loss::CannotTell(Doubt::Blind { last })
        } else if failed > 0 && fails && last.is_for_tasks() {
            Loss::Stuck { last, failed }
        } else {
            Loss::Deadline { last }
        }
    }
}

fn unseen(seen: &Observation) -> Verdict {
    match seen.blind.first() {
        Some(blind) => unsighted(blind),
        None => Verdict::Wait(WaitingOn::Sight {
            action: "ecs:DescribeServices".to_owned(),
        }),
    }
}

/// What follows from a call that is needed and failed.
fn unsighted(blind: &Blind) -> Verdict {
    let action = blind.action.clone();
    match blind.why {
        BlindReason::Transient => Verdict::Wait(WaitingOn::Sight { action }),
        BlindReason::Denied | BlindReason::Unsupported => {
            Verdict::Lost(Loss::CannotTell(Doubt::Denied { action }))
        }
        BlindReason::NoCredentials => Verdict::Wait(WaitingOn::Credentials { action }),
    }
}

fn unknown(of: &'static str, value: Option<&str>) -> Verdict {
    Verdict::Wait(WaitingOn::KnownState {
        of,
        value: value.map(str::to_owned),
    })
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
