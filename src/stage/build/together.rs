//! Running several jobs side by side, of which one that fails winds the others down.

use crate::failure::{Failure, Kind};
use crate::shutdown::{self, Shutdown, ShutdownSwitch, Urgency};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;

/// How the jobs ended, as a whole.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one value of it is alive at a time")]
pub(super) enum Ended<T> {
    /// All did their work; in the order of the jobs.
    Well(Vec<T>),
    /// One failed, and the others were wound down.
    Failed {
        /// The failure that came first; those of the jobs that were wound down are its consequence.
        failure: Failure,
        /// What was done all the same.
        done: Vec<T>,
    },
    /// A stop was asked for.
    Stopped {
        /// Which signal asked.
        signal: Kind,
        /// What was done all the same.
        done: Vec<T>,
    },
}

/// One thing that happens while jobs run.
#[expect(clippy::large_enum_variant, reason = "one value of it is alive at a time")]
enum Moment<T> {
    /// A signal came, or came again.
    Asked(Kind),
    /// The job of this number ended.
    Ended(usize, Result<T, Failure>),
    /// No job is left.
    AllEnded,
}

/// Why the jobs are wound down.
#[expect(clippy::large_enum_variant, reason = "one value of it is alive at a time")]
enum Cause {
    Failure(Failure),
    Signal(Kind),
}

/// Runs `job` for each of `items`, up to `at_once` side by side, each with a stop signal that is raised when `shutdown`
/// is, or when another one fails. Ends only when every job that began has ended; none begins after that signal.
pub(super) async fn together<'a, I, T>(
    at_once: usize,
    shutdown: &Shutdown,
    items: impl IntoIterator<Item = I>,
    job: impl Fn(I, Shutdown) -> BoxFuture<'a, Result<T, Failure>>,
) -> Ended<T> {
    let (switch, inner) = shutdown::switch();
    let mut state = State::new(switch);
    let mut waiting: VecDeque<(usize, I)> = items.into_iter().enumerate().collect();
    let mut running = FuturesUnordered::new();
    let mut heard = Urgency::None;
    loop {
        while running.len() < at_once && !inner.is_raised() {
            let Some((number, item)) = waiting.pop_front() else {
                break;
            };
            running.push(job(item, inner.clone()).map(move |end| (number, end)));
        }
        let next = above(heard);
        let moment = tokio::select! {
            biased;
            signal = reached(shutdown, next) => Moment::Asked(signal),
            ended = running.next() => ended.map_or(Moment::AllEnded, |(number, end)| Moment::Ended(number, end)),
        };
        match moment {
            Moment::Asked(_) => heard = next.unwrap_or(heard),
            Moment::AllEnded => return state.end(),
            Moment::Ended(..) => {}
        }
        state.take(moment);
    }
}

/// The urgency to listen for after one was heard.
fn above(heard: Urgency) -> Option<Urgency> {
    match heard {
        Urgency::None => Some(Urgency::WindDown),
        Urgency::WindDown => Some(Urgency::Now),
        Urgency::Now => None,
    }
}

async fn reached(shutdown: &Shutdown, level: Option<Urgency>) -> Kind {
    match level {
        Some(level) => shutdown.reached(level).await,
        None => std::future::pending().await,
    }
}

struct State<T> {
    switch: ShutdownSwitch,
    cause: Option<Cause>,
    done: Vec<(usize, T)>,
}

impl<T> State<T> {
    fn new(switch: ShutdownSwitch) -> Self {
        Self {
            switch,
            cause: None,
            done: Vec::new(),
        }
    }

    fn take(&mut self, moment: Moment<T>) {
        match moment {
            Moment::Asked(signal) => {
                self.cause.get_or_insert(Cause::Signal(signal));
                self.switch.raise(signal);
            }
            Moment::Ended(number, Ok(result)) => self.done.push((number, result)),
            Moment::Ended(_, Err(failure)) => {
                if self.cause.is_none() {
                    self.cause = Some(Cause::Failure(failure));
                    self.switch.raise(Kind::Interrupted);
                }
            }
            Moment::AllEnded => {}
        }
    }

    fn end(mut self) -> Ended<T> {
        self.done.sort_by_key(|(number, _)| *number);
        let done = self.done.into_iter().map(|(_, result)| result).collect();
        match self.cause {
            None => Ended::Well(done),
            Some(Cause::Failure(failure)) => Ended::Failed { failure, done },
            Some(Cause::Signal(signal)) => Ended::Stopped { signal, done },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, together};
    use crate::failure::{Failure, Kind};
    use crate::shutdown::{Shutdown, Urgency, switch};
    use futures_util::FutureExt;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Barrier;

    /// A job that only ends when it is wound down, and then with a failure of its own.
    async fn wait_for_a_stop(shutdown: &Shutdown) -> Result<usize, Failure> {
        shutdown.reached(Urgency::WindDown).await;
        Err(Failure::new(Kind::FarEnd, "the connection was closed"))
    }

    #[tokio::test]
    async fn results_come_in_the_order_of_the_jobs_and_no_more_run_at_once_than_allowed() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let job = |number: usize, _| {
            let (running, most) = (&running, &most);
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..10 - number {
                    tokio::task::yield_now().await;
                }
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            }
            .boxed()
        };
        let Ended::Well(done) = together(3, &Shutdown::never(), 0..10, job).await else {
            panic!("no job fails");
        };
        assert_eq!(done, (0..10).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn one_failure_winds_the_others_down_and_is_the_one_that_is_told() {
        let all_run = Barrier::new(3);
        let all_run = &all_run;
        let job = |number: usize, shutdown: Shutdown| {
            async move {
                if number == 3 {
                    panic!("a job that has not begun does not begin");
                }
                all_run.wait().await;
                match number {
                    0 => {
                        shutdown.reached(Urgency::WindDown).await;
                        Ok(0)
                    }
                    1 => Err(Failure::new(Kind::Build, "step 2 failed")),
                    _ => wait_for_a_stop(&shutdown).await,
                }
            }
            .boxed()
        };
        let Ended::Failed { failure, done } = together(3, &Shutdown::never(), 0..4, job).await else {
            panic!("a job fails");
        };
        assert_eq!(
            (failure.kind, failure.what.as_str(), done),
            (Kind::Build, "step 2 failed", vec![0])
        );
    }

    #[tokio::test]
    async fn a_signal_winds_all_down_and_their_failures_are_not_told() {
        let (hand, shutdown) = switch();
        let hand = &hand;
        let job = |number: usize, inner: Shutdown| {
            async move {
                if number == 1 {
                    hand.raise(Kind::Terminated);
                }
                let ended = wait_for_a_stop(&inner).await;
                assert_eq!(inner.asked().1, Some(Kind::Terminated));
                ended
            }
            .boxed()
        };
        let ended = together(2, &shutdown, 0..3, job).await;
        assert!(matches!(ended, Ended::Stopped { signal: Kind::Terminated, done } if done.is_empty()));
    }

    #[tokio::test]
    async fn a_second_signal_reaches_the_jobs_as_now() {
        let (hand, shutdown) = switch();
        let hand = &hand;
        let job = |_: usize, inner: Shutdown| {
            async move {
                hand.raise(Kind::Interrupted);
                inner.reached(Urgency::WindDown).await;
                hand.raise(Kind::Interrupted);
                inner.reached(Urgency::Now).await;
                Ok(())
            }
            .boxed()
        };
        let ended = together(1, &shutdown, 0..1, job).await;
        assert!(matches!(ended, Ended::Stopped { done, .. } if done.len() == 1));
    }
}
