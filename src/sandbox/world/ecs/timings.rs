//! How long things take in ECS.

use std::time::Duration;

/// How long things take; the defaults are those seen on Fargate, `scaled` makes them shorter.
///
/// The first group is the world's own, the second one is of tasks that are simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timings {
    /// How long a second takes, where a scenario or a quota counts in seconds.
    pub second: Duration,
    /// From CreateService or UpdateService to the scheduler's first look.
    pub first_look: Duration,
    /// Between two looks of the scheduler.
    pub tick: Duration,
    /// How long a task without any health check must run to count as healthy.
    pub settle: Duration,
    /// From a target's registration until the scheduler believes that it is healthy: a rollout stopped its old tasks 41
    /// seconds after it had registered the new ones, though their targets were healthy within three.
    pub target_notice: Duration,
    /// From the scheduler's decision to stop tasks to their deregistration and draining.
    pub drain_notice: Duration,
    /// From a target's registration to its event; registrations of that time share one.
    pub registration_notice: Duration,
    /// From the failure that reaches the breaker's threshold to the breaker's verdict.
    pub breaker_lag: Duration,
    /// How long the scheduler waits after the second launch in a row that failed; doubled after each further one.
    pub back_off: Duration,
    /// The longest wait between launches (15 minutes in ECS).
    pub back_off_cap: Duration,
    /// From the start of a pull to its end, when the image does not exist (all retries).
    pub pull_failure: Duration,
    /// How long a task's network takes to go, once its containers ended (DEPROVISIONING).
    pub deprovision: Duration,
    /// How long a stopped task can still be described.
    pub remember_stopped: Duration,
    /// How long a minute of a deployment configuration is: bake times, time limits of hooks.
    pub minute: Duration,
    /// How long a lifecycle stage takes that waits for nothing.
    pub stage: Duration,
    /// From an alarm that goes off to the failure of the deployment: a published one took 21 seconds.
    pub alarm_lag: Duration,
    /// How long a rolling deployment with alarms bakes that says nothing of it: "less than 5 minutes".
    pub alarm_bake: Duration,
    /// How long a Lambda function of a lifecycle hook takes, unless a scenario says otherwise.
    pub hook: Duration,
    /// How long the same event text is not repeated.
    pub repeat_event: Duration,

    /// Simulated: from a task's creation to its address.
    pub address: Duration,
    /// Simulated: from the address to the start of the pulls.
    pub pull_delay: Duration,
    /// Simulated: how long the pulls take.
    pub pull: Duration,
    /// Simulated: from the end of the pulls to the containers' start.
    pub start: Duration,
    /// Simulated: from SIGTERM to a container's exit.
    pub exit: Duration,
    /// Simulated: from a target check to its answer.
    pub answer: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            first_look: Duration::from_secs(14),
            tick: Duration::from_secs(10),
            settle: Duration::from_secs(40),
            target_notice: Duration::from_secs(40),
            drain_notice: Duration::from_millis(1500),
            registration_notice: Duration::from_millis(500),
            breaker_lag: Duration::from_secs(5),
            back_off: Duration::from_secs(240),
            back_off_cap: Duration::from_secs(900),
            pull_failure: Duration::from_secs(110),
            deprovision: Duration::from_secs(10),
            remember_stopped: Duration::from_secs(3600),
            minute: Duration::from_secs(60),
            stage: Duration::from_secs(10),
            alarm_lag: Duration::from_secs(20),
            alarm_bake: Duration::from_secs(240),
            hook: Duration::from_secs(3),
            repeat_event: Duration::from_secs(6 * 3600),
            address: Duration::from_secs(12),
            pull_delay: Duration::from_secs(5),
            pull: Duration::from_secs(8),
            start: Duration::from_secs(5),
            exit: Duration::from_secs(25),
            answer: Duration::from_millis(20),
        }
    }
}

impl Timings {
    /// Every time divided by `speed`, but none below a millisecond; a speed that is not a positive number changes
    /// nothing. How long stopped tasks stay describable is a promise in the client's time and is not divided.
    #[must_use]
    pub fn scaled(&self, speed: f64) -> Self {
        if !(speed.is_finite() && speed > 0.0) {
            return self.clone();
        }
        let by = |time: Duration| {
            let seconds = (time.as_secs_f64() / speed).clamp(0.001, MOST_SECONDS);
            Duration::from_secs_f64(seconds)
        };
        Self {
            second: by(self.second),
            first_look: by(self.first_look),
            tick: by(self.tick),
            settle: by(self.settle),
            target_notice: by(self.target_notice),
            drain_notice: by(self.drain_notice),
            registration_notice: by(self.registration_notice),
            breaker_lag: by(self.breaker_lag),
            back_off: by(self.back_off),
            back_off_cap: by(self.back_off_cap),
            pull_failure: by(self.pull_failure),
            deprovision: by(self.deprovision),
            remember_stopped: self.remember_stopped,
            minute: by(self.minute),
            stage: by(self.stage),
            alarm_lag: by(self.alarm_lag),
            alarm_bake: by(self.alarm_bake),
            hook: by(self.hook),
            repeat_event: by(self.repeat_event),
            address: by(self.address),
            pull_delay: by(self.pull_delay),
            pull: by(self.pull),
            start: by(self.start),
            exit: by(self.exit),
            answer: by(self.answer),
        }
    }

    /// How long the scheduler waits after `failures` launches in a row that never reached RUNNING.
    #[must_use]
    pub fn back_off_after(&self, failures: u32) -> Duration {
        match failures {
            0 | 1 => Duration::ZERO,
            n => self
                .back_off
                .saturating_mul(1 << (n - 2).min(16))
                .min(self.back_off_cap),
        }
    }
}

/// A scaled time's upper bound, about three years: a slowed-down sandbox stays within what `Duration` can add.
const MOST_SECONDS: f64 = 1e8;

#[cfg(test)]
mod tests {
    use super::Timings;
    use std::time::Duration;

    #[test]
    fn scaling_divides_every_time_and_never_reaches_zero() {
        let fast = Timings::default().scaled(10.0);
        assert_eq!(fast.first_look, Duration::from_millis(1400));
        assert_eq!(fast.settle, Duration::from_secs(4));
        assert_eq!(fast.answer, Duration::from_millis(2));
        assert_eq!(fast.remember_stopped, Duration::from_secs(3600));
        assert_eq!(Timings::default().scaled(1e9).tick, Duration::from_millis(1));
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Timings::default().scaled(odd), Timings::default());
        }
    }

    #[test]
    fn launches_back_off_up_to_a_quarter_of_an_hour() {
        let timings = Timings::default();
        let waits: Vec<u64> = (0..8).map(|n| timings.back_off_after(n).as_secs()).collect();
        assert_eq!(waits, [0, 0, 240, 480, 900, 900, 900, 900]);
    }
}
