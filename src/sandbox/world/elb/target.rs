//! The life of one target: initial, healthy or unhealthy by its checks, draining, gone.

use super::super::orders::CheckOutcome;
use super::TargetHealth;
use super::check::HealthCheck;
use std::time::Duration;

/// From RegisterTargets to the first check. Targets of real services turn healthy 1 s to 3 s after they are seen as
/// `initial` when checks are fast.
const REGISTRATION: Duration = Duration::from_secs(1);

/// A registered target of a group that is attached to a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    state: State,
    /// Outcomes of the same kind in a row, counted against the thresholds.
    streak: u32,
    next_check: Duration,
    in_flight: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Registering,
    Initial,
    Healthy,
    Unhealthy(Why),
    Draining { until: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Code(u16),
    Timeout,
    Refused,
}

/// What a target does at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing yet.
    Nothing,
    /// A check is to be carried out.
    Check,
    /// Its drain is over: it is not registered any more.
    Gone,
}

impl Target {
    /// A target that was registered at `now`.
    pub fn registered(now: Duration) -> Self {
        Self {
            state: State::Registering,
            streak: 0,
            next_check: now + REGISTRATION,
            in_flight: false,
        }
    }

    /// Registers a target once more: one that drains starts anew, any other stays as it is (RegisterTargets).
    pub fn register_again(&mut self, now: Duration) {
        if matches!(self.state, State::Draining { .. }) {
            let in_flight = self.in_flight;
            *self = Self::registered(now);
            self.in_flight = in_flight;
        }
    }

    /// Starts the drain; a second call changes nothing.
    pub fn drain(&mut self, until: Duration) {
        if !matches!(self.state, State::Draining { .. }) {
            self.state = State::Draining { until };
        }
    }

    /// Whether new requests may go to it while the checks pass.
    pub fn is_healthy(&self) -> bool {
        self.state == State::Healthy
    }

    /// Whether it is being deregistered.
    pub fn is_draining(&self) -> bool {
        matches!(self.state, State::Draining { .. })
    }

    /// The next instant at which something changes by itself.
    pub fn next_change(&self) -> Option<Duration> {
        match self.state {
            State::Draining { until } => Some(until),
            _ if self.in_flight => None,
            _ => Some(self.next_check),
        }
    }

    /// Does what is due at `now`.
    pub fn advance(&mut self, now: Duration, check: &HealthCheck) -> Due {
        match self.state {
            State::Draining { until } if until <= now => Due::Gone,
            State::Draining { .. } => Due::Nothing,
            _ if self.in_flight || self.next_check > now => Due::Nothing,
            _ => {
                if self.state == State::Registering {
                    self.state = State::Initial;
                }
                self.in_flight = true;
                self.next_check = now + check.interval;
                Due::Check
            }
        }
    }

    /// Learns the outcome of the check in flight.
    ///
    /// One success makes an initial target healthy: `HealthyThresholdCount` is the number of successes "required before
    /// considering an unhealthy target healthy" (CreateTargetGroup), and real targets turn healthy after one.
    pub fn checked(&mut self, now: Duration, check: &HealthCheck, outcome: &CheckOutcome) {
        if !std::mem::take(&mut self.in_flight) {
            return;
        }
        // A check that took longer than the interval must not be followed by one in the past.
        self.next_check = self.next_check.max(now);
        let failure = match outcome {
            CheckOutcome::Status(code) if check.matcher.accepts(*code) => None,
            CheckOutcome::Status(code) => Some(Why::Code(*code)),
            CheckOutcome::Timeout => Some(Why::Timeout),
            CheckOutcome::Refused => Some(Why::Refused),
        };
        match (&self.state, failure) {
            (State::Draining { .. }, _) => {}
            (State::Registering | State::Initial, None) => self.turn(State::Healthy),
            (State::Healthy, None) => self.streak = 0,
            (State::Unhealthy(_), None) => {
                self.streak += 1;
                if self.streak >= check.healthy_threshold {
                    self.turn(State::Healthy);
                }
            }
            (State::Unhealthy(_), Some(why)) => self.turn(State::Unhealthy(why)),
            (State::Registering | State::Initial | State::Healthy, Some(why)) => {
                self.streak += 1;
                if self.streak >= check.unhealthy_threshold {
                    self.turn(State::Unhealthy(why));
                }
            }
        }
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.streak = 0;
    }

    /// The state in DescribeTargetHealth's words.
    pub fn health(&self) -> TargetHealth {
        let (state, reason, description) = match &self.state {
            State::Registering => (
                "initial",
                "Elb.RegistrationInProgress",
                "Target registration is in progress".to_owned(),
            ),
            State::Initial => (
                "initial",
                "Elb.InitialHealthChecking",
                "Initial health checks in progress".to_owned(),
            ),
            State::Healthy => {
                return TargetHealth {
                    state: "healthy",
                    reason: None,
                    description: None,
                };
            }
            State::Unhealthy(Why::Code(code)) => (
                "unhealthy",
                "Target.ResponseCodeMismatch",
                format!("Health checks failed with these codes: [{code}]"),
            ),
            State::Unhealthy(Why::Timeout) => ("unhealthy", "Target.Timeout", "Request timed out".to_owned()),
            State::Unhealthy(Why::Refused) => (
                "unhealthy",
                "Target.FailedHealthChecks",
                "Health checks failed".to_owned(),
            ),
            State::Draining { .. } => (
                "draining",
                "Target.DeregistrationInProgress",
                "Target deregistration is in progress".to_owned(),
            ),
        };
        TargetHealth {
            state,
            reason: Some(reason),
            description: Some(description),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{HealthCheck, Protocol};
    use super::{CheckOutcome, Due, Duration, Target};

    fn check() -> HealthCheck {
        HealthCheck {
            interval: Duration::from_secs(10),
            healthy_threshold: 3,
            ..HealthCheck::of_group(Protocol::Http)
        }
    }

    /// Advances to the target's next change, answers the check, and says the state and reason that follow.
    fn look(target: &mut Target, outcome: &CheckOutcome) -> (Duration, String) {
        let now = target.next_change().unwrap();
        assert_eq!(target.advance(now, &check()), Due::Check);
        assert_eq!(target.advance(now, &check()), Due::Nothing, "one check in flight");
        assert_eq!(target.next_change(), None, "nothing happens before the answer");
        target.checked(now, &check(), outcome);
        let health = target.health();
        (
            now,
            format!("{} {}", health.state, health.description.unwrap_or_default()),
        )
    }

    #[test]
    fn the_states_follow_the_checks() {
        use CheckOutcome::{Refused, Status, Timeout};
        let initial = "initial Initial health checks in progress";
        let refused = "unhealthy Health checks failed";
        let timeline = [
            (1, Refused, initial),
            (11, Status(200), "healthy "),
            (21, Status(503), "healthy "),
            (31, Status(200), "healthy "),
            (41, Status(503), "healthy "),
            (
                51,
                Status(500),
                "unhealthy Health checks failed with these codes: [500]",
            ),
            (61, Timeout, "unhealthy Request timed out"),
            (71, Refused, refused),
            (81, Status(200), refused),
            (91, Status(200), refused),
            (
                101,
                Status(404),
                "unhealthy Health checks failed with these codes: [404]",
            ),
            (
                111,
                Status(200),
                "unhealthy Health checks failed with these codes: [404]",
            ),
            (
                121,
                Status(200),
                "unhealthy Health checks failed with these codes: [404]",
            ),
            (131, Status(200), "healthy "),
        ];
        let mut target = Target::registered(Duration::ZERO);
        assert_eq!(target.health().reason, Some("Elb.RegistrationInProgress"));
        for (at, outcome, says) in timeline {
            assert_eq!(
                look(&mut target, &outcome),
                (Duration::from_secs(at), says.to_owned())
            );
        }
    }

    #[test]
    fn a_draining_target_ignores_checks_and_goes_when_the_delay_is_over() {
        let mut target = Target::registered(Duration::ZERO);
        look(&mut target, &CheckOutcome::Status(200));
        let until = Duration::from_secs(40);
        target.drain(until);
        target.drain(Duration::from_secs(900));
        target.checked(Duration::from_secs(12), &check(), &CheckOutcome::Refused);
        assert_eq!(target.health().reason, Some("Target.DeregistrationInProgress"));
        assert_eq!(target.next_change(), Some(until));
        assert_eq!(target.advance(Duration::from_secs(39), &check()), Due::Nothing);
        assert_eq!(target.advance(until, &check()), Due::Gone);
    }

    #[test]
    fn registering_a_draining_target_starts_it_anew() {
        let mut target = Target::registered(Duration::ZERO);
        look(&mut target, &CheckOutcome::Status(200));
        target.register_again(Duration::from_secs(5));
        assert!(target.is_healthy());
        target.drain(Duration::from_secs(40));
        target.register_again(Duration::from_secs(6));
        assert_eq!(target.health().reason, Some("Elb.RegistrationInProgress"));
        assert_eq!(target.next_change(), Some(Duration::from_secs(7)));
    }
}
