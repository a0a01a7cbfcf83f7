//! What a service's settings say of the time that a rollout needs, before it begins.

use crate::ecs::observation::{Service, Share, Shift, Strategy};
use std::time::Duration;

/// What is left of a rollout of the quickest kind beside its waits: the tasks' start and their first health checks.
/// Two small tasks took two and a half minutes on Fargate, half of it for the old ones' draining.
const START: Duration = Duration::from_secs(60);

/// What to warn of before the update: a `timeout` that is shorter than what ECS waits anyway.
#[must_use]
pub fn advice(service: &Service, timeout: Duration) -> Vec<String> {
    let mut advice = Vec::new();
    let waits = waits(service);
    if !waits.is_zero() && timeout < waits + START {
        let needs = minutes(waits + START);
        advice.push(format!(
            "`timeout` is {}, and a {} deployment of this service waits for {} by its own settings: raise `timeout` above {needs}, or \
             the verdict will be \"deadline\"",
            minutes(timeout),
            service.strategy,
            minutes(waits),
        ));
    }
    for hook in service.configuration.hooks.iter().filter(|hook| hook.pauses) {
        let stages = hook.stages.join(", ");
        advice.push(format!(
            "the deployment will pause ({stages}) until somebody lets it go on, {} at most; `timeout` is {}",
            minutes(hook.timeout),
            minutes(timeout),
        ));
    }
    advice
}

/// How long ECS waits between steps of traffic and before it calls the rollout completed. How long it watches alarms
/// beside a bake time is not documented.
fn waits(service: &Service) -> Duration {
    let configuration = &service.configuration;
    let steps = match &service.strategy {
        Strategy::Linear => configuration.linear.map(linear),
        Strategy::Canary => configuration.canary.map(|canary| canary.bake),
        Strategy::Rolling | Strategy::BlueGreen | Strategy::Unrecognised(_) => None,
    };
    steps.unwrap_or_default() + configuration.bake.unwrap_or_default()
}

/// The waits between equal steps; there is none after the last one, which reaches 100 %.
fn linear(shift: Shift) -> Duration {
    let step = u32::from(shift.share.tenths().max(1));
    let steps = u32::from(Share::WHOLE.tenths()).div_ceil(step);
    shift.bake * (steps - 1)
}

/// `90 s`, or `15 min`, rounded up.
fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 120 && !seconds.is_multiple_of(60) {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds.div_ceil(60))
    }
}

#[cfg(test)]
mod tests {
    use super::advice;
    use crate::ecs::observation::{HookSettings, Share, Shift};
    use crate::ecs::rollout::tests::build;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_timeout_that_is_shorter_than_the_configured_waits_is_warned_of() {
        let shift = |percent: f64, minutes: u32| {
            Some(Shift {
                share: Share::of_percent(percent).unwrap(),
                bake: MINUTE * minutes,
            })
        };
        for (strategy, bake, linear, canary, needs) in [
            ("ROLLING", 0, None, None, 0),
            ("ROLLING", 10, None, None, 11),
            ("BLUE_GREEN", 20, None, None, 21),
            ("LINEAR", 5, shift(10.0, 6), None, 54 + 5 + 1),
            ("LINEAR", 0, shift(30.0, 6), None, 18 + 1),
            ("LINEAR", 0, shift(100.0, 6), None, 0),
            ("CANARY", 5, None, shift(5.0, 10), 16),
        ] {
            let mut service = build::before(2);
            service.strategy = strategy.into();
            service.configuration.bake = (bake > 0).then(|| MINUTE * bake);
            service.configuration.linear = linear;
            service.configuration.canary = canary;
            assert!(advice(&service, MINUTE * needs).is_empty(), "{strategy} {needs}");
            if needs > 0 {
                let said = advice(&service, MINUTE * needs - Duration::from_secs(1));
                assert!(said[0].contains(&format!("above {needs} min")), "{said:?}");
                assert!(said[0].contains(strategy), "{said:?}");
            }
        }
    }

    #[test]
    fn a_pause_is_told_of_before_it_comes() {
        let mut service = build::before(2);
        service.configuration.hooks = vec![
            HookSettings {
                pauses: true,
                stages: vec!["POST_SCALE_UP".to_owned()],
                timeout: MINUTE * 1440,
            },
            HookSettings {
                pauses: false,
                stages: vec!["PRE_SCALE_UP".to_owned()],
                timeout: MINUTE * 1440,
            },
        ];
        let said = advice(&service, MINUTE * 15);
        assert_eq!(said.len(), 1);
        assert!(
            said[0].contains("POST_SCALE_UP") && said[0].contains("1440 min at most"),
            "{said:?}"
        );
    }
}
