//! Counting tasks that failed: for the circuit breaker, and for the scheduler's back-off.

use super::Ecs;
use super::events;
use super::service::{RolloutState, Service};
use super::task::{StopCode, Task};
use std::time::Duration;

impl Ecs {
    /// Counts a task of a service that ended.
    pub(super) fn note_end(&mut self, now: Duration, task: &Task) {
        let Some(mut service) = task.service.as_ref().and_then(|key| self.services.remove(key)) else {
            return;
        };
        service.steady = false;
        service.wake(now + self.timings.tick);
        if task.failed {
            self.note_failure(&mut service, now, task);
        }
        self.services.insert(service.key.clone(), service);
    }

    /// How long nothing is launched after so many launches in a row that failed.
    fn back_off(&self, failures: u32) -> Duration {
        let quirks = &self.quirks;
        if quirks.stalls_after.is_some_and(|most| failures >= most) {
            return self.timings.second.saturating_mul(quirks.stall_seconds);
        }
        let usual = self.timings.back_off_after(failures);
        match quirks.back_off_cap_seconds {
            Some(most) => usual.min(self.timings.second * most),
            None => usual,
        }
    }

    fn note_failure(&mut self, service: &mut Service, now: Duration, task: &Task) {
        let number = task.deployment.clone().unwrap_or_default();
        let deployment = service.deployments.iter_mut().find(|one| one.number == number);
        if let Some(deployment) = deployment
            && deployment.state == RolloutState::InProgress
        {
            deployment.failed_tasks += 1;
            deployment.updated = now;
            if let Some(record) = service.current().filter(|record| record.target == number) {
                record.failures.0 += 1;
            }
        }
        if task.times.started.is_some() {
            return;
        }
        if let Some((StopCode::TaskFailedToStart, reason)) = &task.stop {
            let text = events::unplaced(&service.key.name, reason);
            self.tell(service, now, text);
        }
        service.failed_launches += 1;
        let wait = self.back_off(service.failed_launches);
        if !wait.is_zero() {
            service.back_off_until = Some(now + wait);
            let text = events::inconsistent(&service.key.name);
            self.tell_once(service, now, text);
        }
    }
}
