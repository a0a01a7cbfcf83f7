//! Whether the tasks of our deployment, which is the primary one, are what was asked for.

use super::steady::steady;
use super::targets::{self, Vouched};
use super::{Doubt, Goal, Loss, Rollout, STABLE_FOR, Verdict, WaitingOn, count, unknown, unsighted};
use crate::ecs::answers::{
    DESCRIBE_SERVICE_DEPLOYMENTS, DESCRIBE_SERVICE_REVISIONS, LIST_SERVICE_DEPLOYMENTS,
};
use crate::ecs::observation::{
    Blind, BlindReason, Deployment, Health, Observation, RolloutState, Service, ServiceDeployment,
    ServiceDeploymentStatus, Task, TaskStatus,
};
use crate::name::ContainerName;
use std::time::Duration;

/// Looks in a row that must show a completed deployment without any task wanted.
const LOOKS_AT_ZERO: u32 = 3;

/// The longest reason that is shown of what is waited for, in characters.
const LONGEST_REASON: usize = 160;

/// One look at our deployment, with what follows from it.
pub(super) struct Now<'a> {
    pub(super) elapsed: Duration,
    pub(super) ours: &'a Deployment,
    /// Our service deployment, where it was seen.
    pub(super) theirs: Option<&'a ServiceDeployment>,
    pub(super) service: &'a Service,
    pub(super) seen: &'a Observation,
    /// Whether ECS calls the rollout completed.
    pub(super) completed: bool,
}

impl Now<'_> {
    /// What ECS's word is worth: with early success criteria it says `COMPLETED` of a part.
    fn vouched(&self) -> Vouched {
        match (self.completed, self.service.configuration.early_success) {
            (false, _) => Vouched::No,
            (true, Some(early)) if early.healthy_percent < 100 => Vouched::Partly,
            (true, _) => Vouched::Fully,
        }
    }

    /// How far ECS is, where nothing else says it.
    pub(super) fn completion(&self) -> WaitingOn {
        let stage = self.theirs.and_then(|theirs| theirs.stage.as_ref());
        WaitingOn::Completion {
            stage: stage.map(ToString::to_string),
        }
    }
}

impl Rollout {
    /// Every condition in the order in which a rollout meets them; the first unmet one is what it waits for.
    pub(super) fn health(&mut self, elapsed: Duration, service: &Service, seen: &Observation) -> Verdict {
        let Some(ours) = service.deployment(&self.ours.deployment) else {
            return Verdict::Wait(WaitingOn::SecondLook);
        };
        let theirs = self.our_service_deployment(seen);
        if ours.rollout.is_none() && theirs.is_none() {
            return self.nobody_says(seen);
        }
        let completed = self.is_completed(ours, theirs, service);
        if completed {
            self.memory.completed_at.get_or_insert(elapsed);
        }
        let now = Now {
            elapsed,
            ours,
            theirs,
            service,
            seen,
            completed,
        };
        if service.desired == 0 {
            return self.nothing_wanted(&now);
        }
        self.memory.at_zero = 0;
        let tasks = self.tasks(&now);
        if let Err(Verdict::Lost(loss)) = tasks {
            return Verdict::Lost(loss);
        }
        // Tasks that are healthy now are no success while ECS may still take them away.
        if let Some(danger) = self.danger(&now, tasks.is_ok()) {
            return Verdict::Wait(danger);
        }
        match tasks {
            Err(verdict) => verdict,
            Ok(()) if self.policy.goal == Goal::Steady => steady(&now, &self.memory.old_targets),
            Ok(()) => Verdict::Healthy,
        }
    }

    /// Whether ECS calls the rollout completed. Beside a rolling update the service deployment has the last word,
    /// where it can be seen: `rolloutState` knows of no stages.
    fn is_completed(&self, ours: &Deployment, theirs: Option<&ServiceDeployment>, service: &Service) -> bool {
        let successful = theirs.is_some_and(|theirs| theirs.status == ServiceDeploymentStatus::Successful);
        let told = self.memory.service_deployments_seen && !super::danger::is_rolling(service, theirs);
        successful || (!told && ours.rollout == Some(RolloutState::Completed))
    }

    /// Neither API says how far our deployment is.
    fn nobody_says(&self, seen: &Observation) -> Verdict {
        let of_deployments = |blind: &&Blind| {
            blind.action == LIST_SERVICE_DEPLOYMENTS || blind.action == DESCRIBE_SERVICE_DEPLOYMENTS
        };
        match seen.blind.iter().find(of_deployments) {
            Some(blind) => unsighted(blind),
            None => unknown("rollout state", None),
        }
    }

    /// A service that wants no task proves nothing.
    fn nothing_wanted(&mut self, now: &Now<'_>) -> Verdict {
        match (self.policy.allow_zero, now.completed) {
            (true, true) if self.policy.goal == Goal::Steady => steady(now, &self.memory.old_targets),
            (true, true) => Verdict::Healthy,
            (true, false) => Verdict::Wait(now.completion()),
            (false, completed) => {
                self.memory.at_zero += u32::from(completed);
                if self.memory.at_zero < LOOKS_AT_ZERO {
                    return Verdict::Wait(WaitingOn::TasksWanted);
                }
                Verdict::Lost(Loss::CannotTell(Doubt::NoTasksWanted))
            }
        }
    }

    fn tasks(&self, now: &Now<'_>) -> Result<(), Verdict> {
        let (service, seen, desired) = (now.service, now.seen, now.service.desired);
        let Some(tasks) = &seen.tasks else {
            return self.unlisted(now);
        };
        let strange = tasks.iter().find_map(|task| match &task.status {
            TaskStatus::Unrecognised(word) if !task.stopping => Some(word.clone()),
            _ => None,
        });
        let tasks: Vec<&Task> = tasks.iter().filter(|task| task.runs()).collect();
        self.wrong_digest(&tasks, seen)?;
        let running = count(tasks.len()).min(now.ours.running);
        if running < desired {
            return Err(match strange {
                Some(word) => unknown("task status", Some(&word)),
                None => Verdict::Wait(self.to_start(now, running)),
            });
        }
        // A task that one check calls healthy and another does not is not healthy: each check asks those that passed the
        // ones before.
        let mut healthy = self.container_health(&tasks, desired)?;
        for attachment in &service.load_balancers {
            healthy = targets::healthy(attachment, healthy, service, seen, now.vouched())?;
        }
        if service.unseen_health && now.vouched() != Vouched::Fully {
            return Err(Verdict::Wait(now.completion()));
        }
        self.stable(&tasks, now)?;
        self.digests(Some(&tasks), seen)
    }

    /// This look has no list of tasks.
    fn unlisted(&self, now: &Now<'_>) -> Result<(), Verdict> {
        let (service, seen) = (now.service, now.seen);
        if now.ours.running < service.desired {
            return Err(Verdict::Wait(self.to_start(now, now.ours.running)));
        }
        // Nothing changed since the look that listed them.
        if self.unchecked(service) && !now.completed && self.settles_in(now.elapsed).is_some() {
            return self.stable(&[], now);
        }
        let of_tasks = seen.blind.iter().find(|blind| blind.action.ends_with("Tasks"));
        let Some(blind) = of_tasks else {
            return Err(Verdict::Wait(WaitingOn::TasksListed));
        };
        if !matches!(blind.why, BlindReason::Denied | BlindReason::Unsupported) {
            return Err(unsighted(blind));
        }
        // Tasks may not be seen. ECS's word for their health and for the digests of our revision will do, if it
        // covers all of them.
        match now.vouched() {
            Vouched::No => Err(Verdict::Wait(now.completion())),
            Vouched::Partly => Err(unsighted(blind)),
            Vouched::Fully => {
                self.vouched_for(now, blind)?;
                self.wrong_digest(&[], seen)?;
                let revisions = |each: &&Blind| each.action == DESCRIBE_SERVICE_REVISIONS;
                match seen.blind.iter().find(revisions) {
                    Some(revisions) if revisions.why != BlindReason::Transient => Err(unsighted(blind)),
                    _ => self.digests(None, seen),
                }
            }
        }
    }

    /// ECS vouches for the tasks that ran when it said `COMPLETED`, and not for those that took their places since.
    fn vouched_for(&self, now: &Now<'_>, blind: &Blind) -> Result<(), Verdict> {
        let memory = &self.memory;
        let (Some(whole), Some(completed)) = (memory.whole_since, memory.completed_at) else {
            return Err(Verdict::Wait(now.completion()));
        };
        if whole < completed || (whole == completed && memory.first_look == Some(completed)) {
            Ok(())
        } else if !self.unchecked(now.service) {
            Err(unsighted(blind))
        } else if now.elapsed.saturating_sub(whole) < STABLE_FOR {
            Err(Verdict::Wait(WaitingOn::TasksToStay {
                stable_for: STABLE_FOR,
            }))
        } else {
            Ok(())
        }
    }

    /// Tasks that do not run yet, with what is known of why.
    fn to_start(&self, now: &Now<'_>, running: u32) -> WaitingOn {
        let desired = now.service.desired;
        let failures = &self.memory.failures;
        let failed = failures.count(now.ours.failed).max(now.ours.failed);
        match (failures.most(now.ours.failed), failures.in_the_way()) {
            (Some((reason, _)), _) if failed > 0 => WaitingOn::FailingTasks {
                running,
                desired,
                failed,
                reason: clipped(reason),
            },
            (_, Some(reason)) => WaitingOn::TasksToPlace {
                running,
                desired,
                reason: clipped(reason),
            },
            _ => WaitingOn::TasksToStart {
                running,
                desired,
                failed,
            },
        }
    }

    /// The tasks that pass every container health check, if they are enough.
    fn container_health<'a>(&self, tasks: &[&'a Task], desired: u32) -> Result<Vec<&'a Task>, Verdict> {
        let passing: Vec<&Task> = tasks.iter().copied().filter(|task| self.passes(task)).collect();
        let healthy = count(passing.len());
        if healthy < desired {
            return Err(Verdict::Wait(WaitingOn::ContainerHealth { healthy, desired }));
        }
        Ok(passing)
    }

    /// Whether every container of a task that has a check passes it.
    fn passes(&self, task: &Task) -> bool {
        let passes = |name: &ContainerName| {
            task.containers
                .iter()
                .any(|container| container.name == name.as_str() && container.health == Health::Healthy)
        };
        self.policy.checked.iter().all(passes)
    }

    /// Whether nothing but its staying up shows that a task is healthy.
    pub(super) fn unchecked(&self, service: &Service) -> bool {
        self.policy.checked.is_empty() && service.load_balancers.is_empty() && !service.unseen_health
    }

    /// Tasks that nothing checks must have run for a while, or a crash after the start would be taken for health. ECS
    /// waits as long before it says `COMPLETED`, so that it vouches for the tasks that ran then: those of a look before
    /// the one that saw it, or of the first look at a deployment that was completed before.
    fn stable(&self, tasks: &[&Task], now: &Now<'_>) -> Result<(), Verdict> {
        if !self.unchecked(now.service) {
            return Ok(());
        }
        let completed_at = match now.vouched() {
            Vouched::Fully => self.memory.completed_at,
            Vouched::No | Vouched::Partly => None,
        };
        let first_look = self.memory.first_look;
        let stays = |task: &&&Task| {
            self.memory.runs.since(&task.id).is_some_and(|since| {
                completed_at.is_some_and(|at| since < at || (since == at && first_look == Some(at)))
                    || now.elapsed.saturating_sub(since) >= STABLE_FOR
            })
        };
        if count(tasks.iter().filter(stays).count()) < now.service.desired {
            return Err(Verdict::Wait(WaitingOn::TasksToStay {
                stable_for: STABLE_FOR,
            }));
        }
        Ok(())
    }

    /// Whether a task of ours is healthy by what checks it, or stays up if nothing does; none if this look cannot say.
    pub(super) fn any_lasts(&self, elapsed: Duration, service: &Service, seen: &Observation) -> Option<bool> {
        if service.deployment(&self.ours.deployment)?.running == 0 {
            return Some(false);
        }
        if self.unchecked(service) || service.unseen_health {
            return self.memory.runs.any_for(STABLE_FOR, elapsed);
        }
        let tasks = seen.tasks.as_ref()?.iter().filter(|task| !task.stopping);
        any(tasks.map(|task| match task.status {
            TaskStatus::Running => self.is_in_service(task, service, seen),
            TaskStatus::Unrecognised(_) => None,
            _ => Some(false),
        }))
    }

    /// Whether everything that checks a task calls it healthy; none if something says nothing that is understood.
    fn is_in_service(&self, task: &Task, service: &Service, seen: &Observation) -> Option<bool> {
        let passes = |name: &ContainerName| {
            let mut containers = task.containers.iter();
            match &containers.find(|one| one.name == name.as_str())?.health {
                Health::Unrecognised(_) => None,
                health => Some(*health == Health::Healthy),
            }
        };
        let serves = |attachment| targets::serves(attachment, task, seen);
        let checks = self.policy.checked.iter().map(passes);
        let fails = any(checks
            .chain(service.load_balancers.iter().map(serves))
            .map(|holds| holds.map(|holds| !holds)));
        fails.map(|fails| !fails)
    }
}

/// Whether one of them is so; none if that hangs on those that are not known.
fn any(all: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(false);
    for each in all {
        match each {
            Some(true) => return each,
            Some(false) => {}
            None => known = None,
        }
    }
    known
}

/// The beginning of a reason; agents and SDKs write whole stack traces into it.
fn clipped(reason: &str) -> String {
    match reason.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}
