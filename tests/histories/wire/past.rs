//! Answers from the past.

use super::Wire;
use crate::place::{Place, SERVICE, answer};
use serde_json::{Value, json};
use slipway::ecs::answers::{
    DESCRIBE_SERVICE_DEPLOYMENTS, DESCRIBE_SERVICE_REVISIONS, DESCRIBE_SERVICES, DESCRIBE_TARGET_HEALTH,
    DESCRIBE_TASKS, LIST_SERVICE_DEPLOYMENTS, LIST_TASKS,
};
use std::rc::Rc;
use std::time::Duration;

/// Answers in a row that may miss a service that is there.
const MOST_MISSED: u32 = 2;

/// Everything that a look may ask for, at one instant.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) at: Duration,
    pub(super) service: Rc<Value>,
    pub(super) listed: Vec<Value>,
    pub(super) record: Value,
    pub(super) running: Vec<Value>,
    pub(super) stopped: Vec<Value>,
    pub(super) tasks: Vec<Value>,
    pub(super) targets: Vec<Value>,
}

impl Snapshot {
    pub(super) fn take(place: &mut Place) -> Self {
        let running = place.listed("RUNNING");
        let stopped = place.listed("STOPPED");
        let all: Vec<Value> = running.iter().chain(&stopped).cloned().collect();
        Self {
            at: place.now,
            service: place.described(),
            listed: place.service_deployments(),
            record: place.our_record(),
            tasks: place.tasks(&all),
            targets: place.targets(),
            running,
            stopped,
        }
    }
}

impl Wire {
    /// The service of so many looks ago, if the watch can know that it is not that of now.
    pub(super) fn long_past(&mut self, action: &str, by: u32) -> Option<Value> {
        let newest = self.newest_event.as_ref()?;
        let last = self.past.len().checked_sub(1)?;
        let then = &self.past[last.saturating_sub(by as usize)];
        let events = then.service["events"].as_array()?;
        if action != DESCRIBE_SERVICES || events.iter().any(|event| event["id"] == *newest) {
            return None;
        }
        self.oldest = self.oldest.min(then.at);
        Some(answer("services", vec![Value::clone(&then.service)]))
    }

    pub(super) fn missing(&mut self, action: &str) -> Option<Value> {
        if action != DESCRIBE_SERVICES || self.missed >= MOST_MISSED {
            return None;
        }
        self.missed += 1;
        Some(json!({ "services": [], "failures": [{ "arn": SERVICE, "reason": "MISSING" }] }))
    }

    /// What this operation answered so many looks ago.
    pub(super) fn stale(&mut self, action: &str, asked: &Value, by: u32) -> Option<Value> {
        let last = self.past.len().checked_sub(1)?;
        let then = &self.past[last.saturating_sub(by as usize)];
        let said = match action {
            DESCRIBE_SERVICES => answer("services", vec![Value::clone(&then.service)]),
            LIST_SERVICE_DEPLOYMENTS => answer("serviceDeployments", then.listed.clone()),
            DESCRIBE_SERVICE_DEPLOYMENTS if then.record.is_null() => answer("serviceDeployments", Vec::new()),
            DESCRIBE_SERVICE_DEPLOYMENTS => answer("serviceDeployments", vec![then.record.clone()]),
            LIST_TASKS => {
                let all: Vec<&Value> = then.running.iter().chain(&then.stopped).collect();
                json!({ "taskArns": all })
            }
            DESCRIBE_TASKS => {
                let asked = asked["tasks"].as_array().unwrap();
                let known = |task: &&Value| asked.contains(&task["taskArn"]);
                json!({ "tasks": then.tasks.iter().filter(known).collect::<Vec<_>>() })
            }
            // A revision does not change, but for digests that are known later.
            DESCRIBE_SERVICE_REVISIONS => return None,
            DESCRIBE_TARGET_HEALTH => json!({ "TargetHealthDescriptions": then.targets }),
            other => panic!("no stale answer of {other}"),
        };
        self.oldest = self.oldest.min(then.at);
        Some(said)
    }
}
