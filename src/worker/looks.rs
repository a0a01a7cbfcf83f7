//! Looks at whether actions still run, in turns: CodePipeline publishes no rate for ListActionExecutions.

use crate::clock::Clock;
use crate::ecs::quota::Bucket;
use crate::pipeline::client::{ActionStatus, Pipeline};
use crate::pipeline::job::Context;
use crate::shutdown::Shutdown;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many looks of a sort begin at once.
const AT_ONCE: u32 = 5;

/// So long until one more may at a job that is being worked on: two hundred are looked at in a minute.
const A_JOB: Duration = Duration::from_millis(300);

/// So long until one more may at a deploy that was handed back: three hundred are looked at in five minutes.
const A_HANDED_BACK: Duration = Duration::from_secs(1);

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

/// How long nobody looks after CodePipeline said, in spite of the SDK's retries, that it is asked too often.
const THROTTLED: Duration = Duration::from_secs(10);

/// The looks of one sort of all jobs of a worker.
#[derive(Debug)]
pub(super) struct Looks(Mutex<Bucket>);

/// A turn, given back if it is not used.
struct Turn<'a> {
    looks: &'a Looks,
    used: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.used {
            self.looks.bucket().give_back();
        }
    }
}

impl Looks {
    /// At jobs that are being worked on.
    pub(super) const fn at_jobs() -> Self {
        Self::one_per(A_JOB)
    }

    /// At deploys that were handed back.
    pub(super) const fn after_jobs() -> Self {
        Self::one_per(A_HANDED_BACK)
    }

    const fn one_per(time: Duration) -> Self {
        Self(Mutex::new(Bucket::new(AT_ONCE, time)))
    }

    /// Looks at an action when it has its turn; no stop cuts that short but by dropping it.
    pub(super) async fn at(&self, of: &Context, pipeline: &Pipeline, clock: &Clock) -> Look {
        if !self.turn(clock).await {
            return Look::Crowded;
        }
        match pipeline.action(of).await {
            Ok((status, summary)) => Look::Seen(status, summary),
            Err(error) => {
                if error.is_throttled() {
                    self.bucket().hold(clock.now(), THROTTLED);
                }
                Look::Nothing
            }
        }
    }

    /// Waits for a turn, if there is one soon.
    async fn turn(&self, clock: &Clock) -> bool {
        let Some(wait) = self.bucket().take_within(clock.now(), PATIENCE) else {
            return false;
        };
        let mut turn = Turn {
            looks: self,
            used: false,
        };
        if !wait.is_zero() {
            let _ = clock.pause(wait, &Shutdown::never()).await;
        }
        turn.used = true;
        true
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Looks, PATIENCE};
    use crate::clock::{Clock, VirtualClock};
    use futures_util::FutureExt;
    use std::time::Duration;

    #[tokio::test]
    async fn a_few_do_not_wait_many_take_turns_and_who_is_late_comes_again() {
        let start = Duration::from_secs(1_000);
        let shared = VirtualClock::starting_at(start);
        let clock = Clock::Virtual(shared.clone());
        let looks = Looks::one_per(Duration::from_millis(250));
        for _ in 0..5 {
            assert!(looks.turn(&clock).await);
        }
        assert_eq!(shared.now(), start);
        let turns = futures_util::future::join_all((0..195).map(|_| looks.turn(&clock))).await;
        assert_eq!(turns.into_iter().filter(|had| *had).count(), 40);
        assert_eq!(shared.now(), start + PATIENCE);
        assert!(looks.turn(&clock).await, "those that went have left room");
    }

    #[tokio::test]
    async fn a_turn_that_nobody_waits_for_any_more_is_somebody_elses() {
        let clock = Clock::Virtual(VirtualClock::starting_at(Duration::from_secs(1_000)));
        let looks = Looks::at_jobs();
        let mut waiting: Vec<_> = (0..60).map(|_| Box::pin(looks.turn(&clock))).collect();
        // Each takes its turn when it is polled first.
        let had = waiting
            .iter_mut()
            .filter_map(FutureExt::now_or_never)
            .filter(|had| *had)
            .count();
        assert_eq!(had, 5);
        assert_eq!(looks.turn(&clock).now_or_never(), Some(false), "all are taken");
        drop(waiting);
        assert_eq!(looks.turn(&clock).now_or_never(), None, "it waits for one");
    }
}
