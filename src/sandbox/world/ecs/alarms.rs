//! CloudWatch alarms, as far as deployments ask for them.

use super::Ecs;
use std::time::Duration;

impl Ecs {
    /// Sets the state of a CloudWatch alarm.
    pub fn set_alarm(&mut self, _now: Duration, name: &str, in_alarm: bool) {
        if in_alarm {
            self.alarms.insert(name.to_owned());
        } else {
            self.alarms.remove(name);
        }
    }
}
