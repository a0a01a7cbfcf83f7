//! The only reader of time: the system's clock, or a virtual one that moves when somebody pauses.
//!
//! Decisions never read it; they take time as an argument.

use crate::shutdown::{Shutdown, Urgency};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time and pauses.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until somebody pauses on it.
    Virtual(Arc<VirtualClock>),
}

/// A shared instant that only [`Clock::pause`] and [`VirtualClock::advance`] move.
#[derive(Debug)]
pub struct VirtualClock {
    now: Mutex<Duration>,
}

impl VirtualClock {
    /// A virtual clock that starts at `now`, counted from the Unix epoch.
    #[must_use]
    pub fn starting_at(now: Duration) -> Arc<Self> {
        Arc::new(Self { now: Mutex::new(now) })
    }

    /// The instant, counted from the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }
}

/// How a pause ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Pause {
    /// The whole time passed.
    Passed,
    /// A stop was asked for first.
    Stopped,
}

impl Clock {
    /// The time since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        match self {
            Self::System => since_epoch(),
            Self::Virtual(clock) => clock.now(),
        }
    }

    /// Waits until the clock shows `instant`, beside something that may take too long. A virtual clock never gets there:
    /// it stands still while something else is awaited.
    pub async fn reaches(&self, instant: Duration) {
        match self {
            Self::System => tokio::time::sleep(instant.saturating_sub(self.now())).await,
            Self::Virtual(_) => std::future::pending().await,
        }
    }

    /// Waits for `time` to pass, or until a stop is asked for.
    pub async fn pause(&self, time: Duration, shutdown: &Shutdown) -> Pause {
        match self {
            Self::System => {
                tokio::select! {
                    () = tokio::time::sleep(time) => Pause::Passed,
                    _ = shutdown.reached(Urgency::WindDown) => Pause::Stopped,
                }
            }
            Self::Virtual(clock) => {
                if shutdown.is_raised() {
                    return Pause::Stopped;
                }
                clock.advance(time);
                // Others that share the clock get their turn to see the new instant.
                tokio::task::yield_now().await;
                Pause::Passed
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is the one reader of the system's clock"
)]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Clock, Pause, VirtualClock};
    use crate::shutdown::Shutdown;
    use std::time::Duration;

    #[tokio::test]
    async fn a_pause_on_a_virtual_clock_takes_no_time_and_moves_it() {
        let shared = VirtualClock::starting_at(Duration::from_secs(10));
        let clock = Clock::Virtual(shared.clone());
        assert_eq!(
            clock.pause(Duration::from_secs(660), &Shutdown::never()).await,
            Pause::Passed
        );
        assert_eq!(clock.now(), Duration::from_secs(670));
    }
}
