//! How deployments begin and end: opened, superseded, completed, failed, rolled back.

use super::Ecs;
use super::alarms::AlarmWatch;
use super::events;
use super::lifecycle::takes_alternate;
use super::request::copy;
use super::revision::{Revision, Rollback, ServiceDeployment, Status};
use super::service::{Controller, Deployment, RolloutState, Service, ServiceKey};
use super::stages::{Course, LifecycleStage, Shift};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// What opens a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// CreateService.
    Creation,
    /// UpdateService.
    Update,
    /// A rollback, for services where it gets an id of its own.
    Rollback,
}

/// Why a deployment fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downfall {
    /// The circuit breaker's threshold was reached.
    Breaker,
    /// An alarm went off.
    Alarm,
    /// StopServiceDeployment.
    Stopped,
    /// A lifecycle hook, a lifecycle stage or the listener rules: the reason, as `statusReason` says it.
    Lifecycle(String),
}

impl Downfall {
    fn event(&self) -> &str {
        match self {
            Self::Breaker => "tasks failed to start",
            Self::Alarm => "alarm detected",
            Self::Stopped => "deployment failure",
            // Seen in the event of a hook that failed: the whole reason.
            Self::Lifecycle(reason) => reason.trim_end_matches('.'),
        }
    }

    fn rollout_reason(&self) -> String {
        match self {
            Self::Breaker => "ECS deployment circuit breaker: tasks failed to start.".to_owned(),
            Self::Alarm | Self::Stopped | Self::Lifecycle(_) => {
                format!("ECS deployment failed: {}.", self.event())
            }
        }
    }

    /// The `statusReason` of a service deployment that goes back, or stays as it is.
    fn status_reason(&self, goes_back: bool, alarms: &str) -> String {
        match (self, goes_back) {
            (Self::Breaker, true) => {
                "Service deployment rolled back because the circuit breaker threshold was exceeded."
                    .to_owned()
            }
            (Self::Breaker, false) => "Service deployment circuit breaker: tasks failed to start.".to_owned(),
            (Self::Alarm, true) => {
                format!(
                    "Service deployment rolled back because alarms were detected in ALARM state: {alarms}."
                )
            }
            (Self::Alarm, false) => format!("Service deployment alarms: detected in ALARM state: {alarms}."),
            (Self::Stopped, _) => "Service deployment rolled back because it was stopped.".to_owned(),
            (Self::Lifecycle(reason), _) => reason.clone(),
        }
    }
}

/// Between two events that ECS writes one after the other.
const NEXT_EVENT: Duration = Duration::from_millis(1);

impl Ecs {
    /// Opens a deployment of the service's settings, as the PRIMARY.
    pub(super) fn open_rollout(&mut self, now: Duration, key: &ServiceKey, trigger: Trigger) {
        let Some(mut service) = self.services.remove(key) else {
            return;
        };
        if service.controller == Controller::Ecs {
            let definition = service.definition.clone();
            self.open(now, &mut service, &definition, trigger);
        }
        self.services.insert(key.clone(), service);
    }

    fn open(&mut self, now: Duration, service: &mut Service, definition: &str, trigger: Trigger) {
        if trigger != Trigger::Rollback {
            service.serve_from_clean_up();
        }
        let number = self.ids.deployment();
        let settings = Value::Object(service.shown.clone());
        let mut shown = Map::new();
        let of_deployment = [
            "capacityProviderStrategy",
            "launchType",
            "platformVersion",
            "platformFamily",
            "networkConfiguration",
        ];
        copy(&settings, &of_deployment, &mut shown);
        let shift = Shift::of(&service.configuration, self.timings.minute);
        let alternate = takes_alternate(service, shift.is_some());
        let mut of_revision = shown.clone();
        copy(
            &settings,
            &["loadBalancers", "serviceRegistries"],
            &mut of_revision,
        );
        service.revisions.insert(
            0,
            Revision {
                number: number.clone(),
                definition: definition.to_owned(),
                images: self.images_of(definition),
                resolved: BTreeMap::new(),
                digests: BTreeMap::new(),
                shown: of_revision,
                alternate,
                created: now,
            },
        );
        if trigger != Trigger::Rollback {
            if let Some(record) = service.current() {
                record.enter(
                    now,
                    Status::Stopped,
                    Some("Service deployment stopped: a newer one took its place."),
                );
            }
            let course = shift.map(|shift| match service.serving() {
                Some(_) => Course::new(shift, service.deployments.len() > 1),
                None => Course::new(Shift::of_first_revision(), false),
            });
            let record = ServiceDeployment {
                id: self.ids.service_deployment(),
                target: number.clone(),
                sources: service.deployments.iter().map(|one| one.number.clone()).collect(),
                status: Status::Pending,
                reason: None,
                created: now,
                started: None,
                updated: now,
                finished: None,
                stopped: None,
                rollback: None,
                configuration: service.configuration.clone(),
                failures: (0, false),
                desired: service.desired,
                alarms: AlarmWatch::of(&service.configuration, &self.alarms),
                course,
            };
            service.history.insert(0, record);
        }
        let reason = format!("ECS deployment ecs-svc/{number} in progress.");
        service.deployments.insert(
            0,
            Deployment {
                number,
                definition: definition.to_owned(),
                wanted: 0,
                failed_tasks: 0,
                state: RolloutState::InProgress,
                reason,
                created: now,
                updated: now,
                proven: false,
                condemned: false,
                shown,
                verdict_at: None,
                healthy_since: None,
                alternate,
                production: 0,
                test: 0,
            },
        );
        service.failed_launches = 0;
        service.back_off_until = None;
        service.steady = false;
        service.wake(now + self.timings.first_look);
    }

    fn images_of(&self, definition: &str) -> Vec<(String, String)> {
        let registered = self.definitions.registered(definition);
        let containers = registered.iter().flat_map(|(_, definition)| {
            definition["containerDefinitions"]
                .as_array()
                .into_iter()
                .flatten()
        });
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        containers
            .map(|container| (word(&container["name"]), word(&container["image"])))
            .collect()
    }

    /// Adds an event to a service.
    pub(super) fn tell(&mut self, service: &mut Service, at: Duration, message: String) {
        service.events.tell(at, self.ids.uuid(), message);
    }

    /// Adds an event unless it was told lately.
    pub(super) fn tell_once(&mut self, service: &mut Service, at: Duration, message: String) {
        if !service.events.told(at, &message, self.timings.repeat_event) {
            self.tell(service, at, message);
        }
    }

    /// The PRIMARY has all that it needs: it is complete.
    pub(super) fn complete(&mut self, service: &mut Service, now: Duration) {
        service.give_back_traffic();
        let Some(primary) = service.deployments.first_mut() else {
            return;
        };
        primary.state = RolloutState::Completed;
        primary.reason = format!("ECS deployment {} completed.", primary.id());
        primary.updated = now;
        primary.proven = true;
        primary.failed_tasks = 0;
        primary.verdict_at = None;
        let primary = primary.clone();
        let id = primary.id();
        service.last_completed = Some(primary);
        if let Some(record) = service.current() {
            let status = match record.status {
                Status::RollbackInProgress => Status::RollbackSuccessful,
                Status::Pending
                | Status::InProgress
                | Status::Successful
                | Status::Stopped
                | Status::RollbackRequested
                | Status::RollbackSuccessful
                | Status::RollbackFailed => Status::Successful,
            };
            record.enter(now, status, None);
        }
        let name = service.key.name.clone();
        self.tell(service, now, events::completed(&name, &id));
    }

    /// Says that the service is steady, right after its deployment was complete.
    pub(super) fn settle_down(&mut self, service: &mut Service, now: Duration) {
        let text = events::steady(&service.key.name);
        self.tell(service, now + NEXT_EVENT, text);
        service.steady = true;
    }

    /// The PRIMARY failed: it stays, or the deployment that was complete last takes its place.
    pub(super) fn fail(&mut self, service: &mut Service, now: Duration, why: &Downfall) {
        let Some(primary) = service.deployments.first_mut() else {
            return;
        };
        primary.state = RolloutState::Failed;
        primary.reason = why.rollout_reason();
        primary.updated = now;
        primary.verdict_at = None;
        let id = primary.id();
        let name = service.key.name.clone();
        self.tell(service, now, events::failed(&name, &id, why.event()));
        let breaker = service.breaker();
        let candidate = service.last_completed.clone();
        let Some(record) = service.current() else {
            return;
        };
        let goes_back = match why {
            Downfall::Breaker => breaker.rollback,
            Downfall::Alarm => record.alarms.rollback,
            Downfall::Stopped | Downfall::Lifecycle(_) => true,
        };
        let reason = why.status_reason(goes_back, &record.alarms.triggered());
        record.failures.1 = *why == Downfall::Breaker;
        match (candidate, goes_back) {
            (_, false) => record.enter(now, Status::Stopped, Some(&reason)),
            (None, true) => {
                let reason = "No rollback candidate was found to run the rollback.";
                record.enter(now, Status::RollbackFailed, Some(reason));
            }
            (Some(target), true) => {
                record.enter(now, Status::RollbackInProgress, Some(&reason));
                self.go_back(service, now, target, why, reason);
            }
        }
    }

    /// Makes the deployment that was complete last the PRIMARY again.
    fn go_back(
        &mut self,
        service: &mut Service,
        now: Duration,
        mut target: Deployment,
        why: &Downfall,
        reason: String,
    ) {
        let course = service.current().and_then(|record| record.course.as_ref());
        let staged = course.is_some();
        // Until the clean-up the old revision runs in full, and takes its traffic back at once.
        let whole = course.is_some_and(|course| course.stage < LifecycleStage::CleanUp);
        for failed in &mut service.deployments {
            if failed.state != RolloutState::Completed {
                failed.condemned = true;
            }
        }
        service.definition.clone_from(&target.definition);
        if self.quirks.rollback_mints_id && !staged {
            let definition = target.definition.clone();
            self.open(now, service, &definition, Trigger::Rollback);
        } else {
            let serving = service
                .deployments
                .iter()
                .position(|one| one.number == target.number);
            if let Some(index) = serving {
                target = service.deployments.remove(index);
            } else {
                // It starts anew, and has no traffic before it is whole again.
                target.wanted = 0;
                target.production = 0;
            }
            target.state = RolloutState::InProgress;
            target.condemned = false;
            target.updated = now;
            service.deployments.insert(0, target);
        }
        service.failed_launches = 0;
        service.back_off_until = None;
        let dot = if self.quirks.reason_without_dot { "" } else { "." };
        let Some(primary) = service.deployments.first_mut() else {
            return;
        };
        primary.healthy_since = None;
        let (id, number) = (primary.id(), primary.number.clone());
        primary.reason = match why {
            Downfall::Breaker => {
                format!("ECS deployment circuit breaker: rolling back to deploymentId {id}{dot}")
            }
            Downfall::Alarm | Downfall::Stopped | Downfall::Lifecycle(_) => {
                format!("ECS deployment {id} in progress.")
            }
        };
        if let Some(record) = service.current() {
            record.rollback = Some(Rollback {
                reason,
                started: now,
                revision: number,
            });
        }
        if whole {
            service.give_back_traffic();
        }
        let name = service.key.name.clone();
        self.tell(service, now + NEXT_EVENT, events::rolling_back(&name, &id));
        service.wake(now + self.timings.tick);
    }
}
