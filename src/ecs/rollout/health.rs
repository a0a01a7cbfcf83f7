//! Whether the tasks of our deployment, which is the primary one, are what was asked for.

use super::{Doubt, Goal, Loss, Rollout, STABLE_FOR, Verdict, WaitingOn, unknown, unsighted};
use crate::ecs::observation::{
    Attachment, Blind, BlindReason, Deployment, Health, Observation, RolloutState, Service,
    ServiceDeploymentStatus, Strategy, TargetGroup, TargetState, Task,
};
use crate::name::ContainerName;

impl Rollout {
    /// Every condition in the order in which a rollout meets them; the first unmet one is what it waits for.
    pub(super) fn health(
        &self,
        elapsed: std::time::Duration,
        service: &Service,
        seen: &Observation,
    ) -> Verdict {
        let Some(ours) = service.deployment(&self.ours.deployment) else {
            return Verdict::Wait(WaitingOn::SecondLook);
        };
        let theirs = self.our_service_deployment(seen);
        if ours.rollout.is_none() && theirs.is_none() {
            return unknown("rollout state", None);
        }
        let completed = ours.rollout == Some(RolloutState::Completed)
            || theirs.is_some_and(|theirs| theirs.status == ServiceDeploymentStatus::Successful);
        let stage = theirs.and_then(|theirs| theirs.stage.as_ref().map(ToString::to_string));
        if service.desired == 0 {
            return match (self.policy.allow_zero, completed) {
                (true, true) => Verdict::Healthy,
                (true, false) => Verdict::Wait(WaitingOn::Completion { stage }),
                (false, _) => Verdict::Wait(WaitingOn::TasksWanted),
            };
        }
        // Beside a rolling update, production traffic reaches our tasks only at the end.
        if service.strategy != Strategy::Rolling && !completed {
            return Verdict::Wait(WaitingOn::Completion { stage });
        }
        match self.tasks(elapsed, ours, service, seen, completed) {
            Ok(()) if self.policy.goal == Goal::Steady => steady(ours, service, seen, completed),
            Ok(()) => Verdict::Healthy,
            Err(verdict) => verdict,
        }
    }

    fn tasks(
        &self,
        elapsed: std::time::Duration,
        ours: &Deployment,
        service: &Service,
        seen: &Observation,
        completed: bool,
    ) -> Result<(), Verdict> {
        let desired = service.desired;
        let to_start = |running: u32| {
            let failed = self.memory.failures.count().max(ours.failed);
            Err(Verdict::Wait(WaitingOn::TasksToStart {
                running,
                desired,
                failed,
            }))
        };
        let must_stay = !completed && self.policy.checked.is_empty() && service.load_balancers.is_empty();
        let tasks: Vec<&Task> = match &seen.tasks {
            Some(tasks) => tasks.iter().filter(|task| task.runs()).collect(),
            None if ours.running < desired => return to_start(ours.running),
            // Nothing changed since the look that listed them.
            None if must_stay && self.settles_in(elapsed).is_some() => {
                return self.stable(elapsed, &[], service, completed);
            }
            None => return Err(no_tasks(seen)),
        };
        self.wrong_digest(&tasks)?;
        let running = count(tasks.len()).min(ours.running);
        if running < desired {
            return to_start(running);
        }
        self.container_health(&tasks, desired)?;
        for attachment in &service.load_balancers {
            targets(attachment, &tasks, service, seen, completed)?;
        }
        self.stable(elapsed, &tasks, service, completed)?;
        self.digests(&tasks)
    }

    fn container_health(&self, tasks: &[&Task], desired: u32) -> Result<(), Verdict> {
        let passes = |task: &Task, name: &ContainerName| {
            task.containers
                .iter()
                .any(|container| container.name == name.as_str() && container.health == Health::Healthy)
        };
        let healthy = tasks
            .iter()
            .filter(|task| self.policy.checked.iter().all(|name| passes(task, name)))
            .count();
        let healthy = count(healthy);
        if healthy < desired {
            return Err(Verdict::Wait(WaitingOn::ContainerHealth { healthy, desired }));
        }
        Ok(())
    }

    /// Tasks that nothing checks must have run for a while, or a crash after the start would be taken for health.
    fn stable(
        &self,
        elapsed: std::time::Duration,
        tasks: &[&Task],
        service: &Service,
        completed: bool,
    ) -> Result<(), Verdict> {
        if completed || !self.policy.checked.is_empty() || !service.load_balancers.is_empty() {
            return Ok(());
        }
        let stays = |task: &&&Task| {
            let since = self.memory.running_since.get(&task.id);
            since.is_some_and(|since| elapsed.saturating_sub(*since) >= STABLE_FOR)
        };
        if count(tasks.iter().filter(stays).count()) < service.desired {
            return Err(Verdict::Wait(WaitingOn::TasksToStay {
                stable_for: STABLE_FOR,
            }));
        }
        Ok(())
    }

    /// A running container with another digest than any that proves its image.
    fn wrong_digest(&self, tasks: &[&Task]) -> Result<(), Verdict> {
        for (name, expected) in &self.policy.images {
            for found in containers(tasks, name).filter_map(|container| container.digest.as_ref()) {
                if *found == expected.deployed || expected.platforms.contains(found) {
                    continue;
                }
                let (container, found) = (name.clone(), found.clone());
                return Err(Verdict::Lost(if expected.resolved {
                    Loss::WrongDigest {
                        container,
                        expected: expected.deployed.clone(),
                        found,
                    }
                } else {
                    Loss::CannotTell(Doubt::UnreadableIndex { container, found })
                }));
            }
        }
        Ok(())
    }

    /// Every running task has every container with a digest; `wrong_digest` has compared them.
    fn digests(&self, tasks: &[&Task]) -> Result<(), Verdict> {
        for name in self.policy.images.keys() {
            let reported = containers(tasks, name)
                .filter(|container| container.digest.is_some())
                .count();
            if reported < tasks.len() {
                return Err(Verdict::Wait(WaitingOn::Digest {
                    container: name.clone(),
                }));
            }
        }
        Ok(())
    }
}

fn containers<'a>(
    tasks: &'a [&'a Task],
    name: &'a ContainerName,
) -> impl Iterator<Item = &'a crate::ecs::observation::Container> {
    tasks
        .iter()
        .flat_map(|task| &task.containers)
        .filter(move |container| container.name == name.as_str())
}

fn no_tasks(seen: &Observation) -> Verdict {
    match seen.blind.iter().find(|blind| blind.action.ends_with("Tasks")) {
        Some(blind) => unsighted(blind),
        None => Verdict::Wait(WaitingOn::TasksListed),
    }
}

/// The targets of our tasks in one group are healthy.
fn targets(
    attachment: &Attachment,
    tasks: &[&Task],
    service: &Service,
    seen: &Observation,
    completed: bool,
) -> Result<(), Verdict> {
    const ACTION: &str = "elasticloadbalancing:DescribeTargetHealth";
    let Some(group) = seen
        .target_groups
        .iter()
        .find(|group| group.arn == attachment.target_group)
    else {
        let blind = seen.blind.iter().find(|blind| blind.action == ACTION);
        return match blind {
            Some(Blind {
                why: BlindReason::Denied | BlindReason::Unsupported,
                ..
            }) if completed => {
                // ECS looks at the same targets before it calls a rollout completed.
                Ok(())
            }
            Some(Blind {
                why: BlindReason::Denied | BlindReason::Unsupported,
                ..
            }) => Err(Verdict::Wait(WaitingOn::Completion { stage: None })),
            Some(blind) => Err(unsighted(blind)),
            None => Err(Verdict::Wait(WaitingOn::Sight {
                action: ACTION.to_owned(),
            })),
        };
    };
    let (healthy, desired) = if tasks.iter().all(|task| task.address.is_some()) {
        let ours = tasks
            .iter()
            .filter(|task| is_healthy_target(group, attachment, task))
            .count();
        (count(ours), service.desired)
    } else {
        // Targets of instances cannot be matched with tasks: all of the service's must be healthy.
        let healthy = group
            .targets
            .iter()
            .filter(|target| target.state == TargetState::Healthy)
            .count();
        (count(healthy), service.running.max(service.desired))
    };
    if healthy < desired {
        return Err(Verdict::Wait(WaitingOn::Targets {
            target_group: attachment.target_group.clone(),
            healthy,
            desired,
            reason: group.targets.iter().find_map(complaint),
        }));
    }
    Ok(())
}

fn is_healthy_target(group: &TargetGroup, attachment: &Attachment, task: &Task) -> bool {
    group.targets.iter().any(|target| {
        task.address.as_ref() == Some(&target.id)
            && (attachment.port.is_none() || target.port.is_none() || attachment.port == target.port)
            && target.state == TargetState::Healthy
    })
}

fn complaint(target: &crate::ecs::observation::Target) -> Option<String> {
    if target.state != TargetState::Unhealthy {
        return None;
    }
    target.description.clone().or_else(|| target.reason.clone())
}

fn steady(ours: &Deployment, service: &Service, seen: &Observation, completed: bool) -> Verdict {
    let others = service
        .deployments
        .iter()
        .filter(|deployment| deployment.id != ours.id);
    let left: u32 = others
        .map(|other| other.running.saturating_add(other.pending))
        .sum();
    let draining = seen
        .target_groups
        .iter()
        .flat_map(|group| &group.targets)
        .filter(|target| {
            matches!(
                target.state,
                TargetState::Draining | TargetState::UnhealthyDraining
            )
        })
        .count();
    match left.max(count(draining)) {
        0 if completed => Verdict::Healthy,
        0 => Verdict::Wait(WaitingOn::Completion { stage: None }),
        remaining => Verdict::Wait(WaitingOn::OldTasksToDrain { remaining }),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
