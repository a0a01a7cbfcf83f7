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

/// For how long nobody gets a turn after CodePipeline said, in spite of the SDK's retries, that it is asked too often.
const THROTTLED: Duration = Duration::from_secs(10);

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A job that is being worked on.
    Job,
    /// A deploy that was handed back.
    HandedBack,
}

/// The looks of all jobs of a worker.
#[derive(Debug)]
pub(super) struct Looks(Mutex<Room>);

#[derive(Debug)]
struct Room {
    jobs: Bucket,
    handed_back: Bucket,
    /// Before this nobody gets a turn.
    not_before: Duration,
}

impl Room {
    const fn of(&mut self, sort: Sort) -> &mut Bucket {
        match sort {
            Sort::Job => &mut self.jobs,
            Sort::HandedBack => &mut self.handed_back,
        }
    }

    /// A clock that was set back holds nobody up for longer.
    fn is_held(&self, now: Duration) -> bool {
        let left = self.not_before.saturating_sub(now);
        !left.is_zero() && left <= THROTTLED
    }
}

/// A turn, given back if it is not used.
struct Turn<'a> {
    looks: &'a Looks,
    sort: Sort,
    used: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.used {
            self.looks.room().of(self.sort).give_back();
        }
    }
}

impl Looks {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Room {
            jobs: Bucket::new(AT_ONCE, A_JOB),
            handed_back: Bucket::new(AT_ONCE, A_HANDED_BACK),
            not_before: Duration::ZERO,
        }))
    }

    /// Looks at an action when it has its turn; no stop cuts that short but by dropping it.
    pub(super) async fn at(&self, sort: Sort, of: &Context, pipeline: &Pipeline, clock: &Clock) -> Look {
        if !self.turn(sort, clock).await {
            return Look::Crowded;
        }
        match pipeline.action(of).await {
            Ok((status, summary)) => Look::Seen(status, summary),
            Err(error) => {
                if error.is_throttled() {
                    self.hold(clock.now());
                }
                Look::Nothing
            }
        }
    }

    /// Waits for a turn, if there is one soon.
    async fn turn(&self, sort: Sort, clock: &Clock) -> bool {
        let now = clock.now();
        let wait = {
            let mut room = self.room();
            if room.is_held(now) {
                return false;
            }
            room.of(sort).take_within(now, PATIENCE)
        };
        let Some(wait) = wait else { return false };
        let mut turn = Turn {
            looks: self,
            sort,
            used: false,
        };
        if !wait.is_zero() {
            let _ = clock.pause(wait, &Shutdown::never()).await;
        }
        turn.used = !self.room().is_held(clock.now());
        turn.used
    }

    fn hold(&self, now: Duration) {
        self.room().not_before = now + THROTTLED;
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, Looks, PATIENCE, Sort, THROTTLED};
    use crate::clock::{Clock, VirtualClock};
    use futures_util::FutureExt;
    use std::sync::Arc;
    use std::time::Duration;

    const START: Duration = Duration::from_secs(1_000);

    fn clock() -> (Arc<VirtualClock>, Clock) {
        let shared = VirtualClock::starting_at(START);
        (shared.clone(), Clock::Virtual(shared))
    }

    #[tokio::test]
    async fn a_few_do_not_wait_many_take_turns_and_who_is_late_comes_again() {
        let (shared, clock) = clock();
        let looks = Looks::new();
        for _ in 0..AT_ONCE {
            assert!(looks.turn(Sort::Job, &clock).await);
        }
        assert_eq!(shared.now(), START);
        let turns = (0..195).map(|_| looks.turn(Sort::Job, &clock));
        let had = futures_util::future::join_all(turns)
            .await
            .into_iter()
            .filter(|had| *had)
            .count();
        assert_eq!((had, shared.now()), (33, START + Duration::from_millis(9_900)));
        assert!(shared.now() <= START + PATIENCE);
        assert!(
            looks.turn(Sort::Job, &clock).await,
            "those that went have left room"
        );
    }

    #[tokio::test]
    async fn what_was_handed_back_has_turns_of_its_own() {
        let (shared, clock) = clock();
        let looks = Looks::new();
        let turns = (0..60).map(|_| looks.turn(Sort::Job, &clock));
        let _ = futures_util::future::join_all(turns).await;
        let now = shared.now();
        assert!(looks.turn(Sort::HandedBack, &clock).await && shared.now() == now);
    }

    #[tokio::test]
    async fn a_turn_that_nobody_waits_for_any_more_is_somebody_elses() {
        let (_, clock) = clock();
        let looks = Looks::new();
        let mut waiting: Vec<_> = (0..60).map(|_| Box::pin(looks.turn(Sort::Job, &clock))).collect();
        // Each takes its turn when it is polled first.
        let had = waiting
            .iter_mut()
            .filter_map(FutureExt::now_or_never)
            .filter(|had| *had)
            .count();
        assert_eq!(had, 5);
        assert_eq!(
            looks.turn(Sort::Job, &clock).now_or_never(),
            Some(false),
            "all are taken"
        );
        drop(waiting);
        assert_eq!(
            looks.turn(Sort::Job, &clock).now_or_never(),
            None,
            "it waits for one"
        );
    }

    #[tokio::test]
    async fn after_a_refusal_none_begins_for_a_while_however_many_were_refused() {
        let (shared, clock) = clock();
        let looks = Looks::new();
        let mut waiting = Box::pin(async {
            for _ in 0..AT_ONCE {
                assert!(looks.turn(Sort::Job, &clock).await);
            }
            looks.turn(Sort::Job, &clock).await
        });
        assert_eq!(waiting.as_mut().now_or_never(), None);
        for _ in 0..50 {
            looks.hold(shared.now());
        }
        for sort in [Sort::Job, Sort::HandedBack] {
            assert!(!looks.turn(sort, &clock).await, "{sort:?}");
        }
        assert!(!waiting.await, "whoever waited for a turn does not begin either");
        let pause = clock.pause(THROTTLED, &crate::shutdown::Shutdown::never()).await;
        assert_eq!(pause, crate::clock::Pause::Passed);
        assert!(looks.turn(Sort::Job, &clock).await);
    }
}
