//! The polls of one action type: look for jobs when there is room for them, and give each to a task of its own.

use super::crew::Crew;
use super::job;
use super::metrics::PollResult;
use super::slots::MOST_AT_ONCE;
use crate::clock::Pause;
use crate::failure::chain;
use crate::pipeline::action_type::properties::FLEET;
use crate::pipeline::job::{ActionTypeId, Category};
use crate::pipeline::pace::{Pace, Seen};
use crate::shutdown::Urgency;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};

/// A job's work, for whoever runs it.
pub(super) type Work = BoxFuture<'static, ()>;

/// Polls an action type until a stop is asked for.
pub(super) async fn poll(
    crew: Arc<Crew>,
    action_type: ActionTypeId,
    wake: Arc<Notify>,
    jobs: UnboundedSender<Work>,
) {
    let fleets = crew.settings.fleets.clone();
    let seed = fastrand::u64(..);
    let mut pace = Pace::new(crew.settings.pace.for_rounds_of(fleets.len()), seed);
    let mut pause = pace.first();
    let mut polls = Polls {
        freed: crew.slots.freed(action_type.category),
        done: crew.done.subscribe(),
        crew,
        action_type,
        jobs,
        told: BTreeMap::new(),
    };
    // Each round begins with another fleet: whoever is throttled every time has asked for each of them.
    let mut first = 0;
    while polls.rest(&mut pace, pause, &wake).await == Pause::Passed {
        if polls.heard_of_a_done_job() {
            pace.stirs(polls.crew.clock().now());
        }
        let order = fleets.iter().cycle().skip(first).take(fleets.len());
        let Some(seen) = polls.round(order).await else {
            return;
        };
        first = (first + 1) % fleets.len().max(1);
        pause = pace.next(polls.crew.clock().now(), seen);
    }
}

/// The polls of an action type.
struct Polls {
    crew: Arc<Crew>,
    action_type: ActionTypeId,
    jobs: UnboundedSender<Work>,
    /// Changes when a slot was freed since the last poll.
    freed: watch::Receiver<u64>,
    /// Changes when a job is done, whatever its type.
    done: watch::Receiver<u64>,
    /// What was told of each fleet last: an outage of hours is one line.
    told: BTreeMap<String, String>,
}

/// How a poll ended.
enum Polled {
    Jobs(usize),
    /// As many as one poll gives at the most.
    Full,
    Throttled,
    Failed(String),
}

impl Polls {
    /// Whether a job was done since it was asked last.
    fn heard_of_a_done_job(&mut self) -> bool {
        // An error is of a sender that is gone, and it lives as long as the crew does.
        let heard = self.done.has_changed().unwrap_or_default();
        self.done.mark_unchanged();
        heard
    }

    /// Polls for each fleet once; none if a stop was asked for.
    async fn round<'a>(&mut self, fleets: impl Iterator<Item = &'a String>) -> Option<Seen> {
        let mut polled = Vec::new();
        for fleet in fleets {
            let one = self.poll(fleet).await?;
            let throttled = matches!(one, Polled::Throttled);
            polled.push(one);
            if throttled {
                break;
            }
        }
        let failed = polled.iter().find_map(|one| match one {
            Polled::Failed(why) => Some(why.clone()),
            Polled::Jobs(_) | Polled::Full | Polled::Throttled => None,
        });
        match failed {
            Some(why) => self.crew.health.failed(&self.action_type, why),
            None => self.crew.health.answered(&self.action_type),
        }
        Some(seen(&polled))
    }

    /// Polls for one fleet when there is room; none if a stop was asked for.
    async fn poll(&mut self, fleet: &str) -> Option<Polled> {
        let crew = Arc::clone(&self.crew);
        let room = async {
            let category = self.action_type.category;
            let slots = crew.slots.free(category, &mut self.freed).await;
            (slots, lack(&crew, category).await)
        };
        let (slots, lack) = tokio::select! {
            room = room => room,
            _ = crew.tools.shutdown.reached(Urgency::WindDown) => return None,
        };
        if let Some((why, hints)) = lack {
            let text = format!("no jobs are taken: {why}");
            self.tell(fleet, &text, &hints);
            return Some(Polled::Failed(text));
        }
        let most = u16::try_from(slots.len()).unwrap_or(u16::MAX);
        // What it dispatched when a stop was asked for is nobody's, and is offered again.
        let answer = tokio::select! {
            answer = crew.pipeline.poll(&self.action_type, Some((FLEET, fleet)), most) => answer,
            _ = crew.tools.shutdown.reached(Urgency::WindDown) => return None,
        };
        let polled = match answer {
            Ok(offers) => {
                let count = offers.len();
                crew.home.learn(offers.iter().map(|offer| &offer.job.context));
                for (offer, slot) in offers.into_iter().zip(slots) {
                    let work = job::take(Arc::clone(&crew), offer, slot);
                    let _ = self.jobs.send(Box::pin(work));
                }
                self.told.remove(fleet);
                answered(count)
            }
            Err(error) if error.is_throttled() => Polled::Throttled,
            Err(error) => {
                let failure = error.into_failure();
                let text = format!("{}: {}", failure.what, failure.root_cause().unwrap_or_default());
                self.tell(fleet, &text, &failure.hints);
                Polled::Failed(text)
            }
        };
        let result = match &polled {
            Polled::Jobs(0) => PollResult::Empty,
            Polled::Jobs(_) | Polled::Full => PollResult::Jobs,
            Polled::Throttled => PollResult::Throttled,
            Polled::Failed(_) => PollResult::Failed,
        };
        crew.metrics.polled(&self.action_type, result, crew.clock().now());
        Some(polled)
    }

    fn tell(&mut self, fleet: &str, text: &str, hints: &[String]) {
        if self.told.get(fleet).is_some_and(|told| told == text) {
            return;
        }
        self.crew.warn(format!("polling {}: {text}", self.action_type));
        for hint in hints {
            self.crew.note(hint.clone());
        }
        self.told.insert(fleet.to_owned(), text.to_owned());
    }

    /// Waits for the next poll: for its pause, or until a slot was freed or somebody says that there is work. A job that is
    /// done says so: the next action of its pipeline may be ours.
    async fn rest(&mut self, pace: &mut Pace, pause: Duration, wake: &Notify) -> Pause {
        let crew = &self.crew;
        let shutdown = &crew.tools.shutdown;
        let woken = async {
            tokio::select! {
                biased;
                // It says more than the slot that the same job frees. Their senders live as long as the crew does.
                _ = self.done.changed() => true,
                _ = self.freed.changed() => false,
                () = wake.notified() => false,
            }
        };
        tokio::select! {
            biased;
            pause = crew.clock().pause(pause, shutdown) => return pause,
            done = woken => if done {
                pace.stirs(crew.clock().now());
            }
        }
        let soon = pace.hurry(crew.clock().now());
        if soon.is_zero() && !shutdown.is_raised() {
            return Pause::Passed;
        }
        crew.clock().pause(soon, shutdown).await
    }
}

/// Why no job of a category can be done here just now, and what to do about it: a poll would keep them from workers that
/// can do them.
async fn lack(crew: &Crew, category: Category) -> Option<(String, Vec<String>)> {
    // What cannot be written down is not acknowledged.
    if let Err(error) = crew.desk.state.is_well().await {
        return Some((chain(&error), Vec::new()));
    }
    if category == Category::Build {
        let error = crew.has_engine().await.err()?;
        let hint = "builds are taken again when it answers; `--builds 0` is for a worker without an Engine";
        return Some((chain(&error), vec![hint.to_owned()]));
    }
    None
}

/// What an answer with so many jobs says. Where fewer slots than this are free it mostly fills them, and the next poll waits.
const fn answered(jobs: usize) -> Polled {
    if jobs >= MOST_AT_ONCE {
        Polled::Full
    } else {
        Polled::Jobs(jobs)
    }
}

/// What a round of polls says of the pace: a fleet that fails does not slow down the others.
fn seen(polled: &[Polled]) -> Seen {
    let (mut answered, mut full) = (None, false);
    for one in polled {
        match one {
            Polled::Throttled => return Seen::Throttled,
            Polled::Jobs(jobs) => *answered.get_or_insert(0) += jobs,
            Polled::Full => full = true,
            Polled::Failed(_) => {}
        }
    }
    if full {
        return Seen::Full;
    }
    answered.map_or(Seen::Failed, Seen::Jobs)
}

#[cfg(test)]
mod tests {
    use super::{Polled, answered, seen};
    use crate::pipeline::pace::Seen;

    #[test]
    fn only_an_answer_that_is_as_long_as_any_says_that_more_may_wait() {
        for (jobs, expected) in [(0, Seen::Jobs(0)), (9, Seen::Jobs(9)), (10, Seen::Full)] {
            assert_eq!(seen(&[answered(jobs)]), expected);
        }
    }

    #[test]
    fn a_round_is_as_slow_as_all_of_its_polls_ask_for() {
        let failed = || Polled::Failed("no".to_owned());
        for (polled, expected) in [
            (vec![Polled::Jobs(0), Polled::Jobs(3)], Seen::Jobs(3)),
            (vec![Polled::Jobs(0), failed()], Seen::Jobs(0)),
            (vec![failed(), failed()], Seen::Failed),
            (vec![Polled::Jobs(0), Polled::Full, failed()], Seen::Full),
            (
                vec![Polled::Jobs(1), failed(), Polled::Throttled],
                Seen::Throttled,
            ),
        ] {
            assert_eq!(seen(&polled), expected);
        }
    }
}
