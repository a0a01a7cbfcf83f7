//! The service scheduler: looks at a service, and starts, stops, completes or fails.

use super::Ecs;
use super::Timings;
use super::events;
use super::health::{Ailment, Health, assess, targets};
use super::launch::{Launch, Origin};
use super::plan::{Group, Moves, Stance, plan, side_by_side};
use super::revision::Status;
use super::rollouts::Downfall;
use super::service::{Controller, Deployment, RolloutState, Service, ServiceKey, ServiceStatus};
use super::task::{Stage, StopCode};
use crate::sandbox::world::ecr::Ecr;
use crate::sandbox::world::elb::Elb;
use crate::sandbox::world::orders::TaskId;
use std::time::Duration;

/// What the scheduler knows of one task that is meant to run.
struct Seen {
    id: TaskId,
    deployment: String,
    health: Health,
}

impl Ecs {
    /// Looks at one service and does what is to be done.
    pub(super) fn look(&mut self, now: Duration, key: &ServiceKey, elb: &mut Elb, ecr: &Ecr) {
        let Some(mut service) = self.services.remove(key) else {
            return;
        };
        service.next_look = None;
        match (service.status, service.controller) {
            (ServiceStatus::Active, Controller::Ecs) => self.schedule(&mut service, now, elb, ecr),
            (ServiceStatus::Draining, _) => self.drain(&mut service, now),
            (ServiceStatus::Active | ServiceStatus::Inactive, _) => {}
        }
        self.services.insert(key.clone(), service);
    }

    fn schedule(&mut self, service: &mut Service, now: Duration, elb: &mut Elb, ecr: &Ecr) {
        let seen = self.see(service, now, elb);
        self.note_health(service, now, &seen);
        service.wake(now + self.timings.tick);
        let groups = self.groups(service, &seen);
        let downfall = self
            .take_up(service, now)
            .or_else(|| self.heed_alarms(service, now))
            .or_else(|| self.judge(service, now))
            .or_else(|| self.walk(service, now, &groups, elb));
        if let Some(why) = downfall {
            // What follows from a failure is for the next look; traffic goes back at once.
            self.fail(service, now, &why);
            Self::direct_traffic(service, elb);
            return;
        }
        let stance = self.stance(service, now);
        let moves = match service.scale() {
            Some(scale) => side_by_side(service.desired, scale, stance, &groups, service.serving()),
            None => plan(service.desired, service.bounds(), stance, &groups),
        };
        self.make_moves(service, now, &seen, &moves, ecr);
        self.forget_replaced(service);
        self.conclude(service, now, &groups, &moves, stance);
        Self::direct_traffic(service, elb);
        if service.steady && service.balancers().is_empty() {
            // Nothing but a fact can change a steady service without targets.
            service.next_look = Some(now + self.timings.repeat_event);
        }
    }

    /// Takes up a service deployment that was just made; one that is to be stopped fails.
    fn take_up(&self, service: &mut Service, now: Duration) -> Option<Downfall> {
        let first_look = self.timings.first_look;
        let record = service.current()?;
        let ready = record.created + first_look;
        match record.status {
            Status::Pending if now >= ready => {
                record.started = Some(now);
                record.enter(now, Status::InProgress, None);
            }
            Status::Pending => service.wake(ready),
            Status::RollbackRequested => return Some(Downfall::Stopped),
            Status::InProgress
            | Status::Successful
            | Status::Stopped
            | Status::RollbackInProgress
            | Status::RollbackSuccessful
            | Status::RollbackFailed => {}
        }
        None
    }

    /// The tasks that are meant to run, oldest first, and what their checks say.
    fn see(&self, service: &Service, now: Duration, elb: &Elb) -> Vec<Seen> {
        let primary = service.primary().map(|one| &one.number);
        // The wait until a healthy target is believed holds back what it would replace; whoever is to be replaced
        // serves already, and goes by the rules of healthy tasks.
        let replaced = Timings {
            target_notice: Duration::ZERO,
            ..self.timings.clone()
        };
        self.tasks_of(&service.key)
            .into_iter()
            .filter(|task| task.is_live())
            .map(|task| {
                let is_new = task.deployment.as_ref() == primary;
                let timings = if is_new { &self.timings } else { &replaced };
                Seen {
                    id: task.id.clone(),
                    deployment: task.deployment.clone().unwrap_or_default(),
                    health: assess(task, &targets(task, elb), now, service.grace, timings),
                }
            })
            .collect()
    }

    /// Tells of checks that failed, and lets the first good look of a task reset the count of failures.
    fn note_health(&mut self, service: &mut Service, now: Duration, seen: &[Seen]) {
        let resets = service.breaker().reset_on_healthy;
        let mut news = Vec::new();
        for one in seen {
            let Some(task) = self.tasks.get_mut(&one.id) else {
                continue;
            };
            match &one.health {
                Health::Starting => {}
                Health::Healthy => {
                    let first = !std::mem::replace(&mut task.was_healthy, true);
                    let of_task = |number: &String| *number == one.deployment;
                    if let Some(deployment) = service.deployments.iter_mut().find(|d| of_task(&d.number))
                        && first
                        && resets
                        && deployment.state == RolloutState::InProgress
                    {
                        deployment.failed_tasks = 0;
                        deployment.verdict_at = None;
                        if let Some(record) = service.current().filter(|record| of_task(&record.target)) {
                            record.failures.0 = 0;
                        }
                    }
                }
                Health::Unhealthy(ailment) => {
                    if !std::mem::replace(&mut task.told_unhealthy, true) {
                        news.push(unhealthy(&service.key.name, &one.id, ailment));
                    }
                }
            }
        }
        for message in news {
            self.tell(service, now, message);
        }
    }

    /// Asks the circuit breaker: it reaches its verdict a moment after the threshold was reached.
    fn judge(&self, service: &mut Service, now: Duration) -> Option<Downfall> {
        let breaker = service.breaker();
        if self.quirks.breaker_is_rolling_only && service.current().is_some_and(|it| it.course.is_some()) {
            return None;
        }
        let threshold = breaker.trips_at(service.desired);
        let lag = self.timings.breaker_lag;
        if service
            .current()
            .is_some_and(|record| record.status == Status::RollbackInProgress)
        {
            // There is nothing behind a rollback to go back to.
            return None;
        }
        let primary = service.deployments.first_mut()?;
        if !breaker.enabled || primary.state != RolloutState::InProgress || primary.failed_tasks < threshold {
            return None;
        }
        let at = *primary.verdict_at.get_or_insert(now + lag);
        if at <= now {
            return Some(Downfall::Breaker);
        }
        service.wake(at);
        None
    }

    /// The tasks of each deployment, by what their checks say.
    fn groups(&self, service: &Service, seen: &[Seen]) -> Vec<Group> {
        let tasks = self.tasks_of(&service.key);
        let group = |deployment: &Deployment| {
            let mut group = Group {
                wanted: deployment.wanted,
                proven: deployment.proven && !deployment.condemned,
                ..Group::default()
            };
            for one in seen.iter().filter(|one| one.deployment == deployment.number) {
                match one.health {
                    Health::Starting => group.starting += 1,
                    Health::Healthy => group.healthy += 1,
                    Health::Unhealthy(_) => group.unhealthy += 1,
                }
            }
            let own = tasks
                .iter()
                .filter(|task| task.deployment.as_ref() == Some(&deployment.number));
            let ending = own.filter(|task| task.failed && !task.is_live() && task.stage != Stage::Stopped);
            group.ending = u32::try_from(ending.count()).unwrap_or(u32::MAX);
            group
        };
        service.deployments.iter().map(group).collect()
    }

    fn stance(&self, service: &Service, now: Duration) -> Stance {
        let waits = service.history.first().is_some_and(|record| {
            record.status == Status::Pending && now < record.created + self.timings.first_look
        });
        let failed = service
            .primary()
            .is_none_or(|primary| primary.state == RolloutState::Failed);
        if waits || failed {
            Stance::Frozen
        } else if service.back_off_until.is_some_and(|until| now < until) {
            Stance::BackingOff
        } else {
            Stance::Free
        }
    }

    fn make_moves(
        &mut self,
        service: &mut Service,
        now: Duration,
        seen: &[Seen],
        moves: &[Moves],
        ecr: &Ecr,
    ) {
        let numbers: Vec<String> = service.deployments.iter().map(|one| one.number.clone()).collect();
        let mut stopped = Vec::new();
        for (index, (number, moves)) in numbers.iter().zip(moves).enumerate() {
            if let Some(deployment) = service.deployments.get_mut(index) {
                deployment.wanted = moves.wanted;
            }
            let started: Vec<TaskId> = (0..moves.start)
                .filter_map(|_| self.start_task(service, now, number, ecr))
                .collect();
            if !started.is_empty() {
                service.steady = false;
                let text = events::started(&service.key.name, &started, moves.replacing);
                self.tell(service, now, text);
            }
            stopped.extend(self.stop_tasks(service, now, seen, number, moves, index == 0));
        }
        if !stopped.is_empty() {
            service.steady = false;
            let text = events::stopped(&service.key.name, &stopped);
            self.tell(service, now, text);
        }
    }

    fn start_task(
        &mut self,
        service: &mut Service,
        now: Duration,
        number: &str,
        ecr: &Ecr,
    ) -> Option<TaskId> {
        let deployment = service.deployments.iter().find(|one| one.number == number)?;
        let (revision, definition) = self.definitions.registered(&deployment.definition)?;
        if self.is_unplaced(service, now, number, &revision) {
            return None;
        }
        let deployment = service.deployments.iter().find(|one| one.number == number)?;
        let launch = Launch::of_service(service, deployment, revision, definition);
        let revision = service.revisions.iter_mut().find(|one| one.number == number)?;
        Some(self.launch(now, launch, Origin::Service(revision), ecr))
    }

    fn stop_tasks(
        &mut self,
        service: &Service,
        now: Duration,
        seen: &[Seen],
        number: &str,
        moves: &Moves,
        primary: bool,
    ) -> Vec<TaskId> {
        let own = || seen.iter().filter(|one| one.deployment == number);
        let mut chosen: Vec<&Seen> = own()
            .filter(|one| matches!(one.health, Health::Unhealthy(_)))
            .take(moves.stop_unhealthy as usize)
            .collect();
        let starting = own().filter(|one| one.health == Health::Starting);
        chosen.extend(starting.rev().take(moves.stop_starting as usize));
        let healthy = own().filter(|one| one.health == Health::Healthy);
        let count = moves.stop_healthy as usize;
        if primary {
            // Scaling in takes the youngest, replacing takes the oldest.
            chosen.extend(healthy.rev().take(count));
        } else {
            chosen.extend(healthy.take(count));
        }
        let by = service.primary().map(Deployment::id).unwrap_or_default();
        for one in &chosen {
            let reason = match &one.health {
                Health::Unhealthy(ailment) => ailment.stopped_reason(),
                Health::Starting | Health::Healthy => {
                    format!("Scaling activity initiated by (deployment {by})")
                }
            };
            let failed = matches!(one.health, Health::Unhealthy(_));
            self.halt(now, &one.id, StopCode::ServiceSchedulerInitiated, reason, failed);
        }
        chosen.into_iter().map(|one| one.id.clone()).collect()
    }

    /// Ends the tasks of a deleted service, and the service with the last one.
    fn drain(&mut self, service: &mut Service, now: Duration) {
        let tasks = self.tasks_of(&service.key);
        let left = tasks.iter().any(|task| task.stage != Stage::Stopped);
        let live: Vec<TaskId> = tasks
            .iter()
            .filter(|task| task.is_live())
            .map(|task| task.id.clone())
            .collect();
        if !left {
            service.status = ServiceStatus::Inactive;
            service.deployments.clear();
            service.registered = None;
            if let Some(record) = service.current() {
                record.enter(now, Status::Stopped, None);
            }
            return;
        }
        let by = service.primary().map(Deployment::id).unwrap_or_default();
        for id in &live {
            let reason = format!("Scaling activity initiated by (deployment {by})");
            self.halt(now, id, StopCode::ServiceSchedulerInitiated, reason, false);
        }
        if !live.is_empty() {
            let text = events::stopped(&service.key.name, &live);
            self.tell(service, now, text);
        }
        for deployment in &mut service.deployments {
            deployment.wanted = 0;
        }
        service.wake(now + self.timings.tick);
    }
}

fn unhealthy(service: &str, task: &str, ailment: &Ailment) -> String {
    match ailment {
        Ailment::Target { group, port, reason } => {
            events::unhealthy_target(service, task, *port, group, reason)
        }
        Ailment::Container => events::unhealthy_container(service, task),
    }
}
