//! How a service is told to deploy: what its verdicts and the advice before an update depend on.

use std::fmt;
use std::time::Duration;

/// `deploymentConfiguration` of a service, but for what [`super::Service`] holds itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// How long both revisions run after the last step; ECS may still roll back.
    pub bake: Option<Duration>,
    /// The steps of a `LINEAR` deployment.
    pub linear: Option<Shift>,
    /// The first step of a `CANARY` deployment.
    pub canary: Option<Shift>,
    /// Alarms that end a deployment.
    pub alarms: AlarmSettings,
    /// When the circuit breaker trips.
    pub threshold: Threshold,
    /// Whether and when ECS calls a rolling update completed before all of it is healthy.
    pub early_success: Option<EarlySuccess>,
    /// Hooks between the stages.
    pub hooks: Vec<HookSettings>,
}

/// A step of production traffic, and how long ECS waits after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    /// How much of the traffic moves.
    pub share: Share,
    /// How long ECS waits before the next step.
    pub bake: Duration,
}

/// A share of traffic, in tenths of a percent: ECS knows no finer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

/// `deploymentConfiguration.alarms`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlarmSettings {
    /// Whether they end a deployment.
    pub enabled: bool,
    /// Whether ECS then brings the last completed deployment back, whatever the circuit breaker does.
    pub rolls_back: bool,
    /// Their names.
    pub names: Vec<String>,
}

/// `deploymentCircuitBreaker.thresholdConfiguration`: how the number of failures that trips it follows from the desired
/// count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Threshold {
    /// A percentage, at least 3 and at most 200 failures.
    BoundedPercent(u32),
    /// A percentage.
    UnboundedPercent(u32),
    /// The number itself.
    Count(u32),
    /// A kind that this version does not know.
    Unrecognised(String),
}

/// `deploymentConfiguration.earlySuccessCriteria`, where it is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlySuccess {
    /// The percentage of healthy tasks at which ECS says `COMPLETED`.
    pub healthy_percent: u32,
    /// Whether old tasks may still run then.
    pub deferred_cleanup: bool,
}

/// An element of `deploymentConfiguration.lifecycleHooks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSettings {
    /// Whether it waits for somebody's word, instead of a function's.
    pub pauses: bool,
    /// The stages that it belongs to.
    pub stages: Vec<String>,
    /// How long it may take at each.
    pub timeout: Duration,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(1000);

    /// Of a percentage between 0 and 100; what is finer than a tenth is cut off, so that nothing less is ever the
    /// whole.
    #[must_use]
    pub fn of_percent(percent: f64) -> Option<Self> {
        // A tenth that binary fractions cannot hold, 99.9 for example, is a hair below itself.
        const HAIR: f64 = 1e-6;
        let tenths = (percent * 10.0 + HAIR).floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and 1000"
        )]
        (0.0..=1000.0).contains(&tenths).then_some(Self(tenths as u16))
    }

    /// In tenths of a percent.
    #[must_use]
    pub const fn tenths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => write!(f, "{whole} %"),
            (whole, tenths) => write!(f, "{whole}.{tenths} %"),
        }
    }
}

impl Default for Threshold {
    /// ECS's own default.
    fn default() -> Self {
        Self::BoundedPercent(50)
    }
}

impl Threshold {
    /// The number of failures that trips the breaker of a service that wants this many tasks; none where the kind is
    /// not known. ECS computes it anew when the desired count changes.
    #[must_use]
    pub fn failures(&self, desired: u32) -> Option<u32> {
        let percent_of = |percent: u32| {
            let failures = (u64::from(percent) * u64::from(desired)).div_ceil(100);
            u32::try_from(failures).unwrap_or(u32::MAX)
        };
        match self {
            Self::BoundedPercent(percent) => Some(percent_of(*percent).clamp(3, 200)),
            Self::UnboundedPercent(percent) => Some(percent_of(*percent).max(1)),
            Self::Count(count) => Some((*count).max(1)),
            Self::Unrecognised(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, Threshold};

    #[test]
    fn the_threshold_follows_the_desired_count() {
        for (threshold, desired, failures) in [
            (Threshold::default(), 0, Some(3)),
            (Threshold::default(), 1, Some(3)),
            (Threshold::default(), 25, Some(13)),
            (Threshold::default(), 400, Some(200)),
            (Threshold::default(), 800, Some(200)),
            (Threshold::UnboundedPercent(50), 1, Some(1)),
            (Threshold::UnboundedPercent(50), 800, Some(400)),
            (Threshold::Count(7), 1, Some(7)),
            (Threshold::Unrecognised("GUESS".to_owned()), 4, None),
        ] {
            assert_eq!(
                threshold.failures(desired),
                failures,
                "{threshold:?} of {desired}"
            );
        }
    }

    #[test]
    fn a_share_is_whole_only_at_100_percent() {
        for (percent, says) in [
            (0.0, "0 %"),
            (0.1, "0.1 %"),
            (10.0, "10 %"),
            (12.5, "12.5 %"),
            (99.9, "99.9 %"),
            (99.99, "99.9 %"),
            (100.0, "100 %"),
        ] {
            let share = Share::of_percent(percent).unwrap();
            assert_eq!(share.to_string(), says);
            assert_eq!(share == Share::WHOLE, percent >= 100.0);
        }
        for percent in [-0.2, 100.2, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::of_percent(percent), None, "{percent}");
        }
    }
}
