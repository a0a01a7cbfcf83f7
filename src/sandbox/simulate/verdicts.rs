//! What a container's own health check says, and when.

use crate::sandbox::scenario::fates::{Course, Health};
use crate::sandbox::world::orders::{ContainerHealth, ContainerSpec};
use std::time::Duration;

/// The verdicts of a container's check, each with the time from the container's start; none without a check. `second` is how
/// long a scenario's second takes.
pub fn of(
    container: &ContainerSpec,
    health: Course<Health>,
    second: Duration,
) -> Vec<(Duration, ContainerHealth)> {
    let check = container
        .definition
        .get("healthCheck")
        .filter(|check| !check.is_null());
    let Some(check) = check else {
        return Vec::new();
    };
    let number = |key: &str, usual: u64| Duration::from_secs(check[key].as_u64().unwrap_or(usual));
    let interval = number("interval", 30);
    let retries = u32::try_from(check["retries"].as_u64().unwrap_or(3)).unwrap_or(3);
    let verdict = |health| match health {
        Health::Passes => Some((interval, ContainerHealth::Healthy)),
        Health::Fails => Some((retries * interval, ContainerHealth::Unhealthy)),
        Health::Undecided => None,
    };
    // Failures before the end of the start period do not count.
    let grace = |health| match health {
        Health::Fails => number("startPeriod", 0),
        Health::Passes | Health::Undecided => Duration::ZERO,
    };
    match health {
        Course::Steady(health) => verdict(health)
            .map(|(after, verdict)| (grace(health) + after, verdict))
            .into_iter()
            .collect(),
        Course::Turns(turn) => {
            let turns = second * turn.for_seconds;
            let first = verdict(turn.first)
                .map(|(after, verdict)| (grace(turn.first) + after, verdict))
                .filter(|(after, _)| *after <= turns);
            let then = verdict(turn.then).map(|(after, verdict)| {
                let counted = turns.max(grace(turn.then));
                (counted + after, verdict)
            });
            first.into_iter().chain(then).collect()
        }
    }
}
