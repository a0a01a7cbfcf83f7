//! A service's events, newest first, and their wording.

use super::request::stamp;
use serde_json::{Value, json};
use std::time::Duration;

/// ECS keeps this many events of a service (DescribeServices).
const MOST: usize = 100;

/// The events of one service.
#[derive(Debug, Default)]
pub struct Events {
    newest_first: Vec<Event>,
}

#[derive(Debug)]
struct Event {
    id: String,
    at: Duration,
    message: String,
}

impl Events {
    /// Adds an event.
    pub fn tell(&mut self, at: Duration, id: String, message: String) {
        self.newest_first.insert(0, Event { id, at, message });
        self.newest_first.truncate(MOST);
    }

    /// Whether the same text was told less than `within` ago.
    #[must_use]
    pub fn told(&self, now: Duration, message: &str, within: Duration) -> bool {
        self.newest_first
            .iter()
            .take_while(|event| event.at + within > now)
            .any(|event| event.message == message)
    }

    /// As DescribeServices shows them.
    #[must_use]
    pub fn shape(&self) -> Value {
        self.newest_first
            .iter()
            .map(|event| json!({ "id": event.id, "createdAt": stamp(event.at), "message": event.message }))
            .collect()
    }
}

/// `(task a) (task b)`.
fn named(tasks: &[String]) -> String {
    let names: Vec<String> = tasks.iter().map(|task| format!("(task {task})")).collect();
    names.join(" ")
}

/// Tasks were started, `replaced` of them for unhealthy ones.
#[must_use]
pub fn started(service: &str, tasks: &[String], replaced: u32) -> String {
    let count = tasks.len();
    let text = format!("(service {service}) has started {count} tasks: {}.", named(tasks));
    match replaced {
        0 => text,
        n => format!("{text} Amazon ECS replaced {n} tasks due to an unhealthy status."),
    }
}

/// Tasks were stopped.
#[must_use]
pub fn stopped(service: &str, tasks: &[String]) -> String {
    let count = tasks.len();
    format!(
        "(service {service}) has stopped {count} running tasks: {}.",
        named(tasks)
    )
}

/// Targets were registered.
#[must_use]
pub fn registered(service: &str, count: usize, group: &str) -> String {
    format!("(service {service}) registered {count} targets in (target-group {group})")
}

/// Targets were deregistered.
#[must_use]
pub fn deregistered(service: &str, count: usize, group: &str) -> String {
    format!("(service {service}) deregistered {count} targets in (target-group {group})")
}

/// Tasks began to drain.
#[must_use]
pub fn draining(service: &str, deployment: &str, count: usize) -> String {
    format!("(service {service}, taskSet {deployment}) has begun draining connections on {count} tasks.")
}

/// A target is unhealthy.
#[must_use]
pub fn unhealthy_target(service: &str, task: &str, port: u16, group: &str, reason: &str) -> String {
    format!(
        "(service {service}) (task {task}) (port {port}) is unhealthy in (target-group {group}) due to (reason {reason})"
    )
}

/// A container's own health check failed.
#[must_use]
pub fn unhealthy_container(service: &str, task: &str) -> String {
    format!("(service {service}) (task {task}) failed container health checks.")
}

/// A task did not start.
#[must_use]
pub fn unplaced(service: &str, reason: &str) -> String {
    let reason = reason.trim_end_matches('.');
    format!("(service {service}) was unable to place a task. Reason: {reason}.")
}

/// A task found no place.
#[must_use]
pub fn nowhere(service: &str, why: &str) -> String {
    format!("(service {service}) was unable to place a task {why}.")
}

/// Launches back off.
#[must_use]
pub fn inconsistent(service: &str) -> String {
    format!("(service {service}) is unable to consistently start tasks successfully.")
}

/// The percentages allow neither a start nor a stop.
#[must_use]
pub fn deadlocked(service: &str) -> String {
    format!(
        "(service {service}) was unable to stop or start tasks during a deployment because of the service deployment \
         configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
    )
}

/// A deployment is complete.
#[must_use]
pub fn completed(service: &str, deployment: &str) -> String {
    format!("(service {service}) (deployment {deployment}) deployment completed.")
}

/// A deployment failed.
#[must_use]
pub fn failed(service: &str, deployment: &str, why: &str) -> String {
    format!("(service {service}) (deployment {deployment}) deployment failed: {why}.")
}

/// A rollback began.
#[must_use]
pub fn rolling_back(service: &str, deployment: &str) -> String {
    format!("(service {service}) rolling back to deployment {deployment}.")
}

/// All is well.
#[must_use]
pub fn steady(service: &str) -> String {
    format!("(service {service}) has reached a steady state.")
}

#[cfg(test)]
mod tests {
    use super::{Events, started};
    use std::time::Duration;

    #[test]
    fn the_newest_event_comes_first_and_a_hundred_are_kept() {
        let mut events = Events::default();
        for n in 0..130_u64 {
            events.tell(Duration::from_secs(n), format!("id-{n}"), format!("event {n}"));
        }
        let shape = events.shape();
        assert_eq!(shape.as_array().unwrap().len(), 100);
        assert_eq!(shape[0]["message"], "event 129");
        assert_eq!(shape[0]["createdAt"], 129);
        assert!(events.told(Duration::from_secs(130), "event 125", Duration::from_secs(10)));
        assert!(!events.told(Duration::from_secs(130), "event 115", Duration::from_secs(10)));
    }

    #[test]
    fn replacements_are_counted_in_the_start_event() {
        let tasks = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            started("web", &tasks, 0),
            "(service web) has started 2 tasks: (task a) (task b)."
        );
        assert_eq!(
            started("web", &tasks[..1], 1),
            "(service web) has started 1 tasks: (task a). Amazon ECS replaced 1 tasks due to an unhealthy status."
        );
    }
}
