//! When a deployment is complete, when a service is steady, and when it is stuck.

use super::Ecs;
use super::alarms::AlarmWatch;
use super::events;
use super::plan::{Group, Moves, Scale, Stance};
use super::revision::Status;
use super::service::{RolloutState, Service};
use super::stages::{LifecycleStage, minutes};
use super::task::Stage;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// When a rolling deployment is complete before the service is stable (DeploymentEarlySuccessCriteria).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EarlySuccess {
    /// This percentage of the desired tasks must be healthy.
    percent: u64,
    /// Whether the old tasks may still be there.
    deferred: bool,
}

impl EarlySuccess {
    fn of(configuration: &Value) -> Option<Self> {
        let criteria = &configuration["earlySuccessCriteria"];
        (criteria["enable"] == true).then(|| Self {
            percent: criteria["healthyPercent"].as_u64().unwrap_or(100),
            deferred: criteria["sourceServiceRevisionCleanup"] == "DEFERRED",
        })
    }

    fn is_met(self, healthy: u32, desired: u32, alone: bool) -> bool {
        u64::from(healthy) * 100 >= u64::from(desired) * self.percent && (alone || self.deferred)
    }
}

/// What a deployment under way still waits for, once its tasks are healthy.
enum Wait {
    /// For its lifecycle stages.
    Stages,
    /// For a bake time.
    Bake(Duration),
}

impl Ecs {
    /// Drops deployments that are replaced and have no tasks any more.
    pub(super) fn forget_replaced(&self, service: &mut Service) {
        let left: BTreeMap<&String, bool> = self
            .tasks
            .values()
            .filter(|task| task.service.as_ref() == Some(&service.key) && task.stage != Stage::Stopped)
            .filter_map(|task| Some((task.deployment.as_ref()?, true)))
            .collect();
        let primary = service.primary().map(|one| one.number.clone());
        // An old revision without tasks still serves, as far as its deployment goes, until the clean-up.
        let kept = match service.scale() {
            Some(Scale::Before | Scale::Both) => service.serving(),
            Some(Scale::Alone) | None => None,
        };
        let kept = kept.map(|index| service.deployments[index].number.clone());
        service.deployments.retain(|one| {
            let number = Some(&one.number);
            number == primary.as_ref() || number == kept.as_ref() || left.contains_key(&one.number)
        });
    }

    /// Completes the deployment when it has all it needs, and says when it is steady or stuck.
    pub(super) fn conclude(
        &mut self,
        service: &mut Service,
        now: Duration,
        groups: &[Group],
        moves: &[Moves],
        stance: Stance,
    ) {
        let wait = self.wait(service);
        let early = EarlySuccess::of(&service.configuration);
        let alone = service.deployments.len() == 1;
        let (Some(group), Some(primary)) = (groups.first().copied(), service.deployments.first_mut()) else {
            return;
        };
        let quiet = moves
            .iter()
            .all(|moves| Moves { wanted: 0, ..*moves } == Moves::default());
        let all_healthy = group.healthy == service.desired && group.starting == 0 && group.unhealthy == 0;
        let stable = all_healthy && quiet && stance == Stance::Free;
        if primary.state == RolloutState::InProgress {
            let Wait::Bake(bake) = wait else { return };
            let enough = match early {
                Some(early) => {
                    stance != Stance::Frozen && early.is_met(group.healthy, service.desired, alone)
                }
                None => stable,
            };
            if enough {
                let since = *primary.healthy_since.get_or_insert(now);
                if (alone || early.is_some()) && now >= since + bake {
                    self.complete(service, now);
                    if stable && alone {
                        self.settle_down(service, now);
                    }
                } else if now < since + bake {
                    service.wake(since + bake);
                }
                return;
            }
            primary.healthy_since = None;
            if quiet && stance == Stance::Free {
                self.tell_if_stuck(service, now, groups);
            }
        } else if stable && alone {
            if service.steady {
                let text = events::steady(&service.key.name);
                self.tell_once(service, now, text);
            } else {
                let text = events::steady(&service.key.name);
                self.tell(service, now, text);
                service.steady = true;
            }
        }
    }

    fn wait(&self, service: &mut Service) -> Wait {
        let timings = &self.timings;
        let configured = minutes(&service.configuration["bakeTimeInMinutes"], timings.minute);
        let watched = AlarmWatch::is_enabled(&service.configuration);
        let Some(record) = service.current() else {
            return Wait::Bake(Duration::ZERO);
        };
        match (&record.course, record.status) {
            (_, Status::RollbackInProgress) => Wait::Bake(Duration::ZERO),
            (Some(course), _) if course.stage < LifecycleStage::CleanUp => Wait::Stages,
            (Some(_), _) => Wait::Bake(Duration::ZERO),
            (None, _) if configured.is_zero() && watched => Wait::Bake(timings.alarm_bake),
            (None, _) => Wait::Bake(configured),
        }
    }

    /// Tells of percentages that allow neither a start nor a stop.
    fn tell_if_stuck(&mut self, service: &mut Service, now: Duration, groups: &[Group]) {
        let starting: u32 = groups.iter().map(|group| group.starting).sum();
        let stopping = self
            .tasks_of(&service.key)
            .iter()
            .any(|task| !task.is_live() && task.stage != Stage::Stopped);
        if starting == 0 && !stopping {
            let text = events::deadlocked(&service.key.name);
            self.tell_once(service, now, text);
        }
    }
}
