//! How tasks move on: what their runner reports, and what is due by itself.

use super::Ecs;
use super::events;
use super::service::ServiceKey;
use super::task::{Doom, Stage, StopCode, Task};
use crate::sandbox::world::elb::Elb;
use crate::sandbox::world::orders::{ContainerHealth, Fact, Interruption, Order, TargetId, TaskId};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

impl Ecs {
    /// Learns what a task did; facts of unknown tasks, and of doomed ones' containers, are ignored.
    pub(super) fn learn_of_task(&mut self, now: Duration, fact: Fact, elb: &mut Elb) {
        match fact {
            Fact::Address { task, address } => self.addressed(now, &task, address),
            Fact::PullStarted { task } => self.pull_started(now, &task),
            Fact::PullStopped { task, digests } => self.pull_stopped(now, &task, digests),
            Fact::ContainerStarted {
                task,
                container,
                runtime_id,
            } => self.container_started(now, &task, &container, runtime_id, elb),
            Fact::ContainerRefused {
                task,
                container,
                reason,
            } => self.refused(now, &task, Some(&container), reason),
            Fact::TaskRefused { task, reason } => self.refused(now, &task, None, reason),
            Fact::Interrupted { task, by } => self.interrupted(now, &task, by),
            Fact::ContainerHealth {
                task,
                container,
                health,
            } => self.container_health(now, &task, &container, health),
            Fact::ContainerExited {
                task,
                container,
                code,
                out_of_memory,
            } => self.container_exited(now, &task, &container, code, out_of_memory),
            Fact::TaskGone { task } => self.task_gone(now, &task),
            Fact::LogLine { .. } | Fact::TargetChecked { .. } => {}
        }
    }

    fn addressed(&mut self, now: Duration, id: &TaskId, address: IpAddr) {
        if let Some(task) = self.tasks.get_mut(id) {
            task.address = Some(address);
            task.times.connected = Some(now);
            task.enter(Stage::Pending);
        }
    }

    fn pull_started(&mut self, now: Duration, id: &TaskId) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.is_live()) else {
            return;
        };
        task.times.pull_started = Some(now);
        task.enter(Stage::Activating);
        if let Some(Doom::Pull(..)) = task.doom {
            task.refused_at = Some(now + self.timings.pull_failure);
        }
    }

    fn pull_stopped(&mut self, now: Duration, id: &TaskId, digests: Vec<(String, String)>) {
        let platform = self.quirks.platform_digest;
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.is_live()) else {
            return;
        };
        match task.doom {
            Some(Doom::Pull(..)) => {
                // The runner has an image that the registry lacks: it may not run it.
                self.orders.push(Order::Stop { task: id.clone() });
                return;
            }
            Some(Doom::Resources(_)) => task.refused_at = Some(now),
            None => {}
        }
        task.times.pull_stopped = Some(now);
        let reported: BTreeMap<String, String> = digests.into_iter().collect();
        for container in &mut task.containers {
            let reported = reported.get(&container.name);
            container.image_digest = match (&container.resolved, reported) {
                (Some(image), reported)
                    if reported.is_none_or(|it| *it == image.digest || *it == image.platform_digest) =>
                {
                    Some(if platform {
                        image.platform_digest.clone()
                    } else {
                        image.digest.clone()
                    })
                }
                // What the runtime runs is the truth, even if it is not what was asked for.
                (_, reported) => reported.cloned(),
            };
        }
        let digests: Vec<(String, String)> = task
            .containers
            .iter()
            .filter_map(|container| Some((container.name.clone(), container.image_digest.clone()?)))
            .collect();
        let (key, number) = (task.service.clone(), task.deployment.clone());
        let service = key.and_then(|key| self.services.get_mut(&key));
        let revision = service.and_then(|service| {
            service
                .revisions
                .iter_mut()
                .find(|revision| Some(&revision.number) == number.as_ref())
        });
        if let Some(revision) = revision {
            for (container, digest) in digests {
                revision.digests.entry(container).or_insert(digest);
            }
        }
    }

    fn container_started(
        &mut self,
        now: Duration,
        id: &TaskId,
        name: &str,
        runtime_id: String,
        elb: &mut Elb,
    ) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.doom.is_none()) else {
            return;
        };
        if let Some(container) = task.container(name) {
            container.runtime_id = Some(runtime_id);
        }
        if task.is_live() && task.stage < Stage::Running && task.all_started() {
            self.running(now, id, elb);
        }
    }

    /// The task runs: its targets are registered.
    fn running(&mut self, now: Duration, id: &TaskId, elb: &mut Elb) {
        let notice = self.timings.registration_notice;
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        task.enter(Stage::Activating);
        task.enter(Stage::Running);
        task.times.started = Some(now);
        let mut groups = Vec::new();
        if let Some(address) = task.address {
            for target in &mut task.targets {
                let id = TargetId {
                    id: address.to_string(),
                    port: target.port,
                };
                elb.register(now, &target.group, id.clone());
                target.id = Some(id);
                groups.push(target.group.clone());
            }
        }
        let Some(service) = task.service.as_ref().and_then(|key| self.services.get_mut(key)) else {
            return;
        };
        service.failed_launches = 0;
        if !groups.is_empty() {
            let (_, waiting) = service.registered.get_or_insert((now + notice, Vec::new()));
            waiting.extend(groups);
        }
    }

    fn refused(&mut self, now: Duration, id: &TaskId, container: Option<&str>, reason: String) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.is_live()) else {
            return;
        };
        let (name, reason) = match task.doom.take() {
            Some(Doom::Pull(name, words)) => (Some(name), words),
            Some(Doom::Resources(words)) => (None, words),
            None => (container.map(str::to_owned), reason),
        };
        task.refused_at = None;
        if let Some(container) = name.and_then(|name| task.container(&name)) {
            container.reason = Some(reason.clone());
        }
        self.end_now(now, id, StopCode::TaskFailedToStart, reason);
    }

    /// A task that ran did not fail when its machine went; one that never ran could not be launched.
    fn interrupted(&mut self, now: Duration, id: &TaskId, by: Interruption) {
        let (code, reason) = match by {
            Interruption::Spot => (StopCode::SpotInterruption, "Your Spot Task was interrupted."),
            Interruption::Termination => (StopCode::TerminationNotice, "Host EC2 instance terminated."),
            Interruption::Infrastructure => (
                StopCode::InfrastructureHealth,
                "ECS is performing maintenance on the underlying infrastructure hosting the task.",
            ),
        };
        let failed = self
            .tasks
            .get(id)
            .is_some_and(|task| task.times.started.is_none());
        self.halt(now, id, code, reason.to_owned(), failed);
    }

    fn container_health(&mut self, now: Duration, id: &TaskId, name: &str, health: ContainerHealth) {
        let tick = self.timings.tick;
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.doom.is_none()) else {
            return;
        };
        if let Some(container) = task.container(name).filter(|container| container.checked) {
            container.health = Some(health);
            task.version += 1;
        }
        if let Some(service) = task.service.as_ref().and_then(|key| self.services.get_mut(key)) {
            service.wake(now + tick);
        }
    }

    fn container_exited(&mut self, now: Duration, id: &TaskId, name: &str, code: i64, out_of_memory: bool) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.doom.is_none()) else {
            return;
        };
        let Some(container) = task.container(name) else {
            return;
        };
        container.exit_code = Some(code);
        if out_of_memory {
            container.reason = Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
        }
        let essential = container.essential;
        if task
            .containers
            .iter()
            .all(|container| container.exit_code.is_some())
        {
            task.times.executed = Some(now);
        }
        if essential && task.is_live() {
            let reason = "Essential container in task exited".to_owned();
            self.end_now(now, id, StopCode::EssentialContainerExited, reason);
        }
    }

    fn task_gone(&mut self, now: Duration, id: &TaskId) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        if task.is_live() && task.refused_at.is_some() {
            task.runner_done = true;
            return;
        }
        if task.stop.is_none() {
            task.stop = Some((
                StopCode::EssentialContainerExited,
                "Essential container in task exited".to_owned(),
            ));
            task.failed = true;
            task.times.stopping = Some(now);
            task.deregister_at = Some(now);
        }
        if task.times.started.is_some() {
            task.times.executed.get_or_insert(now);
        }
        task.enter(Stage::Stopping);
        task.gone_at = Some(match task.awsvpc {
            true => {
                task.enter(Stage::Deprovisioning);
                now + self.timings.deprovision
            }
            false => now,
        });
    }

    /// Stops a task that serves: its targets drain first.
    pub(super) fn halt(&mut self, now: Duration, id: &TaskId, code: StopCode, reason: String, failed: bool) {
        let notice = self.timings.drain_notice;
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.is_live()) else {
            return;
        };
        task.failed = failed;
        if task.targets.iter().all(|target| target.id.is_none()) {
            self.end_now(now, id, code, reason);
            // The last word on `failed` is the caller's: a task that is scaled away did not fail.
            if let Some(task) = self.tasks.get_mut(id) {
                task.failed = failed;
            }
            return;
        }
        task.stop = Some((code, reason));
        task.times.stopping = Some(now);
        task.refused_at = None;
        task.deregister_at = Some(now + notice);
        task.enter(Stage::Deactivating);
    }

    /// Stops a task at once: nothing of it serves any more, or ever did.
    fn end_now(&mut self, now: Duration, id: &TaskId, code: StopCode, reason: String) {
        let Some(task) = self.tasks.get_mut(id).filter(|task| task.is_live()) else {
            return;
        };
        task.stop = Some((code, reason));
        task.failed = true;
        task.times.stopping = Some(now);
        task.refused_at = None;
        if task.targets.iter().any(|target| target.id.is_some()) {
            task.deregister_at = Some(now);
        }
        task.enter(Stage::Stopping);
        if task.runner_done {
            self.task_gone(now, id);
            return;
        }
        self.orders.push(Order::Stop { task: id.clone() });
    }

    /// Does what is due for tasks: deregistration, the stop after a drain, refusals, the end.
    pub(super) fn settle_tasks(&mut self, now: Duration, elb: &mut Elb) {
        self.deregister_due(now, elb);
        let mut ended = Vec::new();
        let mut refused = Vec::new();
        for task in self.tasks.values_mut() {
            if task.stage == Stage::Deactivating && task.deregister_at.is_none() && is_drained(task, elb) {
                task.enter(Stage::Stopping);
                self.orders.push(Order::Stop {
                    task: task.id.clone(),
                });
            }
            if task.refused_at.take_if(|at| *at <= now).is_some() {
                refused.push((task.serial, task.id.clone()));
            }
            if task.gone_at.is_some_and(|at| at <= now) {
                task.gone_at = None;
                task.enter(Stage::Stopped);
                task.times.stopped = Some(now);
                ended.push((task.serial, task.id.clone()));
            }
        }
        refused.sort();
        for (_, id) in refused {
            self.refused(now, &id, None, String::new());
        }
        ended.sort();
        for (_, id) in ended {
            if let Some(task) = self.tasks.remove(&id) {
                self.note_end(now, &task);
                self.tasks.insert(id, task);
            }
        }
        let keep = self.timings.remember_stopped;
        self.tasks
            .retain(|_, task| task.times.stopped.is_none_or(|at| now <= at + keep));
    }

    fn deregister_due(&mut self, now: Duration, elb: &mut Elb) {
        let mut targets: BTreeMap<(ServiceKey, String), usize> = BTreeMap::new();
        let mut draining: BTreeMap<(ServiceKey, String), usize> = BTreeMap::new();
        for task in self.tasks.values_mut() {
            if task.deregister_at.is_none_or(|at| at > now) {
                continue;
            }
            task.deregister_at = None;
            for target in task.targets.iter().filter(|target| target.id.is_some()) {
                if let Some(id) = &target.id {
                    elb.deregister(now, &target.group, id);
                }
                if let Some(key) = &task.service {
                    *targets.entry((key.clone(), target.group.clone())).or_default() += 1;
                }
            }
            if let (Some(key), Some(number), Stage::Deactivating) =
                (&task.service, &task.deployment, task.stage)
            {
                *draining.entry((key.clone(), number.clone())).or_default() += 1;
            }
        }
        for ((key, group), count) in targets {
            self.tell_service(now, &key, events::deregistered(&key.name, count, &group));
        }
        for ((key, number), count) in draining {
            self.tell_service(
                now,
                &key,
                events::draining(&key.name, &format!("ecs-svc/{number}"), count),
            );
        }
    }

    /// Tells of the targets that were registered a moment ago.
    pub(super) fn tell_registrations(&mut self, now: Duration) {
        let due: Vec<(ServiceKey, Vec<String>)> = self
            .services
            .values_mut()
            .filter(|service| service.registered.as_ref().is_some_and(|(at, _)| *at <= now))
            .filter_map(|service| Some((service.key.clone(), service.registered.take()?.1)))
            .collect();
        for (key, groups) in due {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for group in groups {
                *counts.entry(group).or_default() += 1;
            }
            for (group, count) in counts {
                self.tell_service(now, &key, events::registered(&key.name, count, &group));
            }
        }
    }

    fn tell_service(&mut self, now: Duration, key: &ServiceKey, message: String) {
        let id = self.ids.uuid();
        if let Some(service) = self.services.get_mut(key) {
            service.events.tell(now, id, message);
        }
    }
}

/// Whether the load balancers let go of the task.
fn is_drained(task: &Task, elb: &Elb) -> bool {
    task.targets
        .iter()
        .filter_map(|target| Some((&target.group, target.id.as_ref()?)))
        .all(|(group, id)| {
            elb.health(group, id)
                .is_none_or(|health| health.state == "unused")
        })
}
