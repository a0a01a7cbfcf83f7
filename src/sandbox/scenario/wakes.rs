//! Queues that get the events of pipelines, as a rule of EventBridge sends them: the `[[wake]]` tables of a scenario file.
//!
//! ```toml
//! [[wake]]
//! queue  = "slipway-wake"     # made when there is none
//! states = ["STARTED"]        # detail.state; every event if left out
//! ```

use crate::sandbox::world::sqs::Subscription;
use serde::Deserialize;

/// One `[[wake]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    queue: String,
    #[serde(default)]
    states: Vec<String>,
}

impl From<Written> for Subscription {
    fn from(written: Written) -> Self {
        Self {
            queue: written.queue,
            states: written.states,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sandbox::scenario::Scenario;
    use crate::sandbox::world::sqs::Subscription;

    #[test]
    fn a_scenario_says_which_queues_get_events() {
        let text = "[[wake]]\nqueue = \"a\"\n[[wake]]\nqueue = \"b\"\nstates = [\"STARTED\"]";
        let wake = |queue: &str, states: &[&str]| Subscription {
            queue: queue.to_owned(),
            states: states.iter().map(|state| (*state).to_owned()).collect(),
        };
        assert_eq!(
            Scenario::parse(text).unwrap().wakes,
            [wake("a", &[]), wake("b", &["STARTED"])]
        );
        assert!(Scenario::parse("[[wake]]\nstates = []").is_err());
    }
}
