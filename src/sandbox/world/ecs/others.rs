//! What a scenario's acts have to know of ECS: who updated what, which services there are, who crowds a family.

use super::Ecs;
use super::events;
use super::request::{client, short};
use super::service::{ServiceKey, ServiceStatus};
use crate::sandbox::world::error::ApiError;
use serde_json::Value;
use std::time::Duration;

impl Ecs {
    /// Notes that a client's UpdateService was accepted.
    pub(super) fn note_update(&mut self, now: Duration, input: &Value) {
        let name = short(input["service"].as_str().unwrap_or_default()).to_owned();
        self.updates.entry(name).or_default().push(now);
    }

    /// Tells once more of a steady state that the update has ended, where the scenario says so.
    pub(super) fn repeat_steady(&mut self, now: Duration, key: &ServiceKey) {
        if !self.quirks.steady_after_update {
            return;
        }
        let id = self.ids.uuid();
        if let Some(service) = self.services.get_mut(key) {
            service.events.tell(now, id, events::steady(&key.name));
        }
    }

    /// When a client's nth UpdateService of a service was accepted, counted from 1.
    #[must_use]
    pub fn updated(&self, service: &str, nth: usize) -> Option<Duration> {
        self.updates.get(service)?.get(nth.checked_sub(1)?).copied()
    }

    /// The cluster that has a service of this name which is not gone; the first one by name.
    #[must_use]
    pub fn cluster_with(&self, service: &str) -> Option<&str> {
        let mut keys = self
            .services
            .values()
            .filter(|one| one.status != ServiceStatus::Inactive);
        keys.find(|one| one.key.name == service)
            .map(|one| one.key.cluster.as_str())
    }

    /// Lets registrations of a family be refused for some seconds, as if somebody else registered all the time.
    pub fn crowd_family(&mut self, now: Duration, family: &str, seconds: u32) {
        let until = now + self.timings.second * seconds;
        self.crowded.insert(family.to_owned(), until);
    }

    /// Refuses a registration while another one of the family is under way.
    ///
    /// # Errors
    /// `ClientException`, as RegisterTaskDefinition words it.
    pub(super) fn take_turn(&mut self, now: Duration, family: &str) -> Result<(), ApiError> {
        if self.crowded.get(family).is_some_and(|until| now < *until) {
            return Err(client(
                "Too many concurrent attempts to create a new revision of the specified family.",
            ));
        }
        self.crowded
            .insert(family.to_owned(), now + self.quirks.registration);
        Ok(())
    }
}
