//! The only reader of time: the system's clock, one that runs faster, or a virtual one that moves when somebody pauses.
//!
//! Decisions never read it; they take time as an argument.

use crate::shutdown::{Shutdown, Urgency};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time and pauses.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock on which time passes faster than on the machine's, by the same count in every process: for several
    /// programs that live in one sandbox.
    Lapse(Lapse),
    /// A clock that stands still until somebody pauses on it.
    Virtual(Arc<VirtualClock>),
}

/// How much faster time passes on a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lapse {
    /// Seconds of the clock in one of the machine's; at least 1.
    pub speed: u32,
}

impl Lapse {
    /// The instant at which a clock of any speed shows what the machine's shows: midnight of 2026-01-01, so that times
    /// stay near.
    const START: Duration = Duration::from_secs(1_767_225_600);

    fn now(self) -> Duration {
        let passed = since_epoch().saturating_sub(Self::START);
        Self::START + passed * self.speed.max(1)
    }

    /// How long the machine takes for a time of the clock.
    fn real(self, time: Duration) -> Duration {
        time / self.speed.max(1)
    }
}

/// A shared instant that only [`Clock::pause`] and [`VirtualClock::advance`] move. Of several that pause at the same
/// time the one that wakes first moves it, so that their pauses overlap as they would on the machine's clock.
#[derive(Debug)]
pub struct VirtualClock {
    face: Mutex<Face>,
}

#[derive(Debug)]
struct Face {
    now: Duration,
    /// When each pause ends, and its number.
    sleepers: BTreeSet<(Duration, u64)>,
    pauses: u64,
    /// Whether [`Clock::reaches`] ends once pauses have moved the clock so far.
    punctual: bool,
}

impl VirtualClock {
    /// A virtual clock that starts at `now`, counted from the Unix epoch.
    #[must_use]
    pub fn starting_at(now: Duration) -> Arc<Self> {
        Arc::new(Self {
            face: Mutex::new(Face {
                now,
                sleepers: BTreeSet::new(),
                pauses: 0,
                punctual: false,
            }),
        })
    }

    /// From now on [`Clock::reaches`] ends as on the machine's clock: when a pause beside it ends at the same instant, both
    /// end, and what follows the pause comes too late.
    pub fn be_punctual(&self) {
        self.face().punctual = true;
    }

    fn is_punctual(&self) -> bool {
        self.face().punctual
    }

    /// The instant, counted from the Unix epoch.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.face().now
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.face().now += by;
    }

    fn face(&self) -> MutexGuard<'_, Face> {
        self.face.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleeper(&self, time: Duration) -> Sleeper<'_> {
        let mut face = self.face();
        face.pauses += 1;
        let until = (face.now + time, face.pauses);
        face.sleepers.insert(until);
        Sleeper { clock: self, until }
    }
}

/// A pause on a virtual clock.
struct Sleeper<'a> {
    clock: &'a VirtualClock,
    until: (Duration, u64),
}

impl Sleeper<'_> {
    /// Whether the pause is over; it is for the one that wakes first, which moves the clock.
    fn wakes(&self) -> bool {
        let mut face = self.clock.face();
        if face.sleepers.first() == Some(&self.until) {
            face.now = face.now.max(self.until.0);
        }
        face.now >= self.until.0
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.clock.face().sleepers.remove(&self.until);
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
            Self::Lapse(lapse) => lapse.now(),
            Self::Virtual(clock) => clock.now(),
        }
    }

    /// Waits until the clock shows `instant`, beside something that may take too long. A virtual clock does not get there
    /// unless it is punctual: it stands still while something else is awaited.
    pub async fn reaches(&self, instant: Duration) {
        match self {
            Self::System => tokio::time::sleep(instant.saturating_sub(self.now())).await,
            Self::Lapse(lapse) => tokio::time::sleep(lapse.real(instant.saturating_sub(self.now()))).await,
            Self::Virtual(clock) if clock.is_punctual() => {
                while clock.now() < instant {
                    tokio::task::yield_now().await;
                }
            }
            Self::Virtual(_) => std::future::pending().await,
        }
    }

    /// Waits for `time` to pass, or until a stop is asked for.
    pub async fn pause(&self, time: Duration, shutdown: &Shutdown) -> Pause {
        let real = match self {
            Self::System | Self::Virtual(_) => time,
            Self::Lapse(lapse) => lapse.real(time),
        };
        match self {
            Self::System | Self::Lapse(_) => {
                tokio::select! {
                    () = tokio::time::sleep(real) => Pause::Passed,
                    _ = shutdown.reached(Urgency::WindDown) => Pause::Stopped,
                }
            }
            Self::Virtual(clock) => {
                if shutdown.is_raised() {
                    return Pause::Stopped;
                }
                let sleeper = clock.sleeper(time);
                // Others that share the clock get their turn to begin a shorter pause.
                tokio::task::yield_now().await;
                while !sleeper.wakes() {
                    tokio::task::yield_now().await;
                }
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
    use super::{Clock, Lapse, Pause, VirtualClock};
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

    #[tokio::test]
    async fn an_hour_passes_soon_on_a_clock_that_runs_faster() {
        let clock = Clock::Lapse(Lapse { speed: 3_600_000 });
        let (began, hour) = (clock.now(), Duration::from_secs(3600));
        assert_eq!(clock.pause(hour, &Shutdown::never()).await, Pause::Passed);
        clock.reaches(began + 2 * hour).await;
        assert!(clock.now() >= began + 2 * hour);
    }

    #[tokio::test]
    async fn only_a_punctual_clock_reaches_an_instant_and_not_before_a_pause_moves_it() {
        let instant = Duration::from_secs(20);
        for punctual in [true, false] {
            let shared = VirtualClock::starting_at(Duration::ZERO);
            if punctual {
                shared.be_punctual();
            }
            let clock = Clock::Virtual(shared);
            let never = Shutdown::never();
            let ended = tokio::select! {
                biased;
                () = clock.reaches(instant) => clock.now(),
                () = async {
                    let _ = clock.pause(instant, &never).await;
                    let _ = clock.pause(instant, &never).await;
                } => clock.now(),
            };
            assert_eq!(ended < instant * 2, punctual);
            assert!(ended >= instant);
        }
    }

    #[tokio::test]
    async fn pauses_at_the_same_time_overlap_and_an_abandoned_one_holds_up_nobody() {
        let shared = VirtualClock::starting_at(Duration::ZERO);
        let clock = Clock::Virtual(shared.clone());
        let never = Shutdown::never();
        let sleep = async |seconds: &[u64]| {
            for pause in seconds {
                let passed = clock.pause(Duration::from_secs(*pause), &never).await;
                assert_eq!(passed, Pause::Passed);
            }
            clock.now().as_secs()
        };
        let ends = tokio::join!(sleep(&[5, 5, 5]), sleep(&[4, 4]), sleep(&[15]));
        assert_eq!(ends, (15, 8, 15));
        tokio::select! {
            biased;
            _ = sleep(&[60]) => panic!("a shorter pause ends first"),
            end = sleep(&[1]) => assert_eq!(end, 16),
        }
        assert_eq!(sleep(&[100]).await, 116);
    }
}
