//! The deployment circuit breaker: how many failed tasks are too many.

use serde_json::Value;

/// The circuit breaker's settings (`deploymentConfiguration.deploymentCircuitBreaker`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Whether it fails deployments.
    pub enabled: bool,
    /// Whether a failed deployment is rolled back.
    pub rollback: bool,
    /// Whether a task that becomes healthy sets the count back to zero.
    pub reset_on_healthy: bool,
    /// How the threshold is found.
    pub threshold: Threshold,
}

/// How many failures trip the breaker (`thresholdConfiguration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// A percentage of the desired count, at least 3 and at most 200.
    Bounded(u32),
    /// A percentage of the desired count.
    Unbounded(u32),
    /// A number of tasks.
    Count(u32),
}

impl Breaker {
    /// Reads it out of a `deploymentConfiguration`.
    #[must_use]
    pub fn of(configuration: &Value) -> Self {
        let breaker = &configuration["deploymentCircuitBreaker"];
        let threshold = &breaker["thresholdConfiguration"];
        let value = threshold["value"].as_u64().and_then(|n| u32::try_from(n).ok());
        Self {
            enabled: breaker["enable"].as_bool().unwrap_or(false),
            rollback: breaker["rollback"].as_bool().unwrap_or(false),
            reset_on_healthy: breaker["resetOnHealthyTask"].as_bool().unwrap_or(true),
            threshold: match threshold["type"].as_str() {
                Some("COUNT") => Threshold::Count(value.unwrap_or(3)),
                Some("UNBOUNDED_PERCENT") => Threshold::Unbounded(value.unwrap_or(50)),
                _ => Threshold::Bounded(value.unwrap_or(50)),
            },
        }
    }

    /// The number of failures that trips it, for the service's latest desired count.
    #[must_use]
    pub fn trips_at(&self, desired: u32) -> u32 {
        let share = |percent: u32| {
            let tasks = (u64::from(percent) * u64::from(desired)).div_ceil(100);
            u32::try_from(tasks).unwrap_or(u32::MAX)
        };
        match self.threshold {
            Threshold::Bounded(percent) => share(percent).clamp(3, 200),
            // A threshold of nothing would fail a deployment that did not start.
            Threshold::Unbounded(percent) => share(percent).max(1),
            Threshold::Count(count) => count.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Breaker;
    use serde_json::json;

    #[test]
    fn thresholds_follow_the_desired_count() {
        for (configuration, desired, trips_at) in [
            (json!({}), 1, 3),
            (json!({}), 25, 13),
            (json!({}), 400, 200),
            (json!({}), 800, 200),
            (json!({ "type": "BOUNDED_PERCENT", "value": 100 }), 10, 10),
            (json!({ "type": "BOUNDED_PERCENT", "value": 10 }), 10, 3),
            (json!({ "type": "UNBOUNDED_PERCENT", "value": 50 }), 1, 1),
            (json!({ "type": "UNBOUNDED_PERCENT", "value": 50 }), 800, 400),
            (json!({ "type": "COUNT", "value": 2 }), 800, 2),
        ] {
            let breaker = Breaker::of(&json!({
                "deploymentCircuitBreaker": { "enable": true, "rollback": true, "thresholdConfiguration": configuration }
            }));
            assert_eq!(
                breaker.trips_at(desired),
                trips_at,
                "{configuration} at {desired}"
            );
        }
    }

    #[test]
    fn the_count_is_of_failures_in_a_row_unless_it_is_told_otherwise() {
        assert!(Breaker::of(&json!({})).reset_on_healthy);
        let cumulative = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": false, "resetOnHealthyTask": false } });
        let breaker = Breaker::of(&cumulative);
        assert!(breaker.enabled && !breaker.rollback && !breaker.reset_on_healthy);
        assert!(!Breaker::of(&json!({})).enabled);
    }
}
