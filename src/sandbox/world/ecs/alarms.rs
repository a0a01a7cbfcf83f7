//! CloudWatch alarms that watch over deployments (`deploymentConfiguration.alarms`).

use super::Ecs;
use super::request::texts;
use super::revision::Status;
use super::rollouts::Downfall;
use super::service::Service;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// The alarms of one service deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlarmWatch {
    names: Vec<String>,
    enabled: bool,
    /// Whether a deployment that they fail is rolled back.
    pub rollback: bool,
    /// Those that were in ALARM when the deployment began: "ignored for that deployment".
    ignored: BTreeSet<String>,
    /// Those that went off, and when the first did.
    triggered: Vec<String>,
    since: Option<Duration>,
}

impl AlarmWatch {
    /// The watch of a deployment that begins; `in_alarm` are the alarms in ALARM by then.
    #[must_use]
    pub fn of(configuration: &Value, in_alarm: &BTreeSet<String>) -> Self {
        let alarms = &configuration["alarms"];
        let names: Vec<String> = texts(alarms, "alarmNames")
            .into_iter()
            .map(str::to_owned)
            .collect();
        Self {
            enabled: alarms["enable"].as_bool().unwrap_or(false),
            rollback: alarms["rollback"].as_bool().unwrap_or(false),
            ignored: names
                .iter()
                .filter(|name| in_alarm.contains(*name))
                .cloned()
                .collect(),
            names,
            triggered: Vec::new(),
            since: None,
        }
    }

    /// Whether alarms decide over a deployment with this configuration.
    #[must_use]
    pub fn is_enabled(configuration: &Value) -> bool {
        configuration["alarms"]["enable"] == true && !texts(&configuration["alarms"], "alarmNames").is_empty()
    }

    /// Learns that an alarm went off; whether that matters.
    fn go_off(&mut self, now: Duration, name: &str) -> bool {
        let matters =
            self.enabled && self.names.iter().any(|known| known == name) && !self.ignored.contains(name);
        if matters && !self.triggered.iter().any(|known| known == name) {
            self.triggered.push(name.to_owned());
            self.since.get_or_insert(now);
        }
        matters
    }

    /// The alarms that went off, one after the other.
    #[must_use]
    pub fn triggered(&self) -> String {
        self.triggered.join(", ")
    }

    /// As DescribeServiceDeployments shows it.
    #[must_use]
    pub fn shape(&self, is_over: bool) -> Value {
        let status = match (self.enabled, self.triggered.is_empty()) {
            (false, _) => "DISABLED",
            (true, false) => "TRIGGERED",
            (true, true) if is_over => "MONITORING_COMPLETE",
            (true, true) => "MONITORING",
        };
        json!({ "status": status, "alarmNames": self.names, "triggeredAlarmNames": self.triggered })
    }
}

impl Ecs {
    /// Sets the state of a CloudWatch alarm. One that goes off fails the deployments under way that it watches over; a
    /// deployment that begins while it is in ALARM ignores it.
    pub fn set_alarm(&mut self, now: Duration, name: &str, in_alarm: bool) {
        if !in_alarm {
            self.alarms.remove(name);
            return;
        }
        if !self.alarms.insert(name.to_owned()) {
            return;
        }
        for service in self.services.values_mut() {
            let under_way = service
                .current()
                .filter(|record| matches!(record.status, Status::Pending | Status::InProgress));
            if under_way.is_some_and(|record| record.alarms.go_off(now, name)) {
                service.wake(now + self.timings.alarm_lag);
            }
        }
    }

    /// Asks the alarms: they reach their verdict a moment after one of them went off.
    pub(super) fn heed_alarms(&self, service: &mut Service, now: Duration) -> Option<Downfall> {
        let record = service
            .current()
            .filter(|record| record.status == Status::InProgress)?;
        let at = record.alarms.since? + self.timings.alarm_lag;
        if at <= now {
            return Some(Downfall::Alarm);
        }
        service.wake(at);
        None
    }
}
