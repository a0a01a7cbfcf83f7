//! Looks at whether actions still run: those of all jobs together are few, so that jobs' own calls always fit.

use crate::clock::Clock;
use crate::ecs::quota::Bucket;
use crate::pipeline::client::{ActionStatus, Pipeline, PipelineError};
use crate::pipeline::job::Context;
use crate::shutdown::Shutdown;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many at once, and so long until one comes back: CodePipeline publishes no rate for ListActionExecutions.
const AT_ONCE: u32 = 5;
const ONE_PER: Duration = Duration::from_millis(250);

/// How long a look waits for its turn at most. Nobody waits in a queue that only gets longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a look saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// What has become of the action, and the summary that it shows.
    Seen(ActionStatus, Option<String>),
    /// No answer came that would say so.
    Nothing,
    /// Others had all turns.
    Crowded,
}

/// The looks of all jobs of a worker.
#[derive(Debug)]
pub(super) struct Looks(Mutex<Bucket>);

impl Looks {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Bucket::new(AT_ONCE, ONE_PER)))
    }

    /// Looks at an action when it has its turn; no stop cuts that short but by dropping it.
    pub(super) async fn at(&self, of: &Context, pipeline: &Pipeline, clock: &Clock) -> Look {
        if !self.turn(clock).await {
            return Look::Crowded;
        }
        match pipeline.action(of).await {
            Ok((status, summary)) => Look::Seen(status, summary),
            Err(error) => {
                self.heed(&error, clock.now());
                Look::Nothing
            }
        }
    }

    /// Waits for a turn, if there is one soon.
    async fn turn(&self, clock: &Clock) -> bool {
        let Some(wait) = self.bucket().take_within(clock.now(), PATIENCE) else {
            return false;
        };
        if !wait.is_zero() {
            let _ = clock.pause(wait, &Shutdown::never()).await;
        }
        true
    }

    fn heed(&self, error: &PipelineError, now: Duration) {
        if error.is_throttled() {
            self.bucket().drain(now);
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Looks;
    use crate::clock::{Clock, VirtualClock};
    use std::time::Duration;

    #[tokio::test]
    async fn a_few_do_not_wait_many_take_turns_and_who_is_late_comes_again() {
        let start = Duration::from_secs(1_000);
        let shared = VirtualClock::starting_at(start);
        let clock = Clock::Virtual(shared.clone());
        let looks = Looks::new();
        for _ in 0..5 {
            assert!(looks.turn(&clock).await);
        }
        assert_eq!(shared.now(), start);
        let turns = futures_util::future::join_all((0..195).map(|_| looks.turn(&clock))).await;
        assert_eq!(turns.into_iter().filter(|had| *had).count(), 40);
        assert_eq!(shared.now(), start + Duration::from_secs(10));
        assert!(looks.turn(&clock).await, "those that went have left room");
    }
}
