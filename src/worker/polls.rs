//! The polls of one action type: look for jobs when there is room for them, and give each to a task of its own.

use super::crew::Crew;
use super::job;
use super::metrics::PollResult;
use crate::clock::Pause;
use crate::pipeline::action_type::properties::FLEET;
use crate::pipeline::job::{ActionTypeId, Offer};
use crate::pipeline::pace::{Pace, Seen};
use crate::shutdown::Urgency;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

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
    let mut told = None;
    while rest(&crew, &action_type, &mut pace, pause, &wake).await == Pause::Passed {
        let mut seen = Seen::Jobs(0);
        for fleet in &fleets {
            let slots = tokio::select! {
                slots = crew.slots.free(action_type.category) => slots,
                _ = crew.tools.shutdown.reached(Urgency::WindDown) => return,
            };
            let most = u16::try_from(slots.len()).unwrap_or(u16::MAX);
            // A poll is let end: jobs that it dispatched are nobody's until they are offered again.
            let answer = crew.pipeline.poll(&action_type, Some((FLEET, fleet)), most).await;
            if crew.tools.shutdown.is_raised() {
                return;
            }
            match answer {
                Ok(offers) => {
                    let result = if offers.is_empty() {
                        PollResult::Empty
                    } else {
                        PollResult::Jobs
                    };
                    crew.metrics.polled(&action_type, result, crew.clock().now());
                    crew.health.answered(&action_type);
                    seen = more(seen, offers.len());
                    for (offer, slot) in offers.into_iter().zip(slots) {
                        let _ = jobs.send(Box::pin(job::take(Arc::clone(&crew), offer, slot.take())));
                    }
                    told = None;
                }
                Err(error) => {
                    let throttled = error.is_throttled();
                    let result = if throttled {
                        PollResult::Throttled
                    } else {
                        PollResult::Failed
                    };
                    crew.metrics.polled(&action_type, result, crew.clock().now());
                    seen = if throttled { Seen::Throttled } else { Seen::Failed };
                    let failure = error.into_failure();
                    let text = format!("{}: {}", failure.what, failure.root_cause().unwrap_or_default());
                    if throttled {
                        crew.health.answered(&action_type);
                    } else {
                        crew.health.failed(&action_type, text.clone());
                    }
                    // Once per reason: an outage of hours is one line.
                    if !throttled && told.as_ref() != Some(&text) {
                        crew.warn(format!("polling {action_type}: {text}"));
                        for hint in &failure.hints {
                            crew.note(hint.clone());
                        }
                        told = Some(text);
                    }
                    break;
                }
            }
        }
        pause = pace.next(crew.clock().now(), seen);
    }
}

/// A round of polls that met jobs met so many more.
const fn more(seen: Seen, jobs: usize) -> Seen {
    match seen {
        Seen::Jobs(before) => Seen::Jobs(before + jobs),
        other => other,
    }
}

/// Waits for the next poll: for its pause, or until a slot was freed or somebody says that there is work.
async fn rest(
    crew: &Crew,
    action_type: &ActionTypeId,
    pace: &mut Pace,
    pause: Duration,
    wake: &Notify,
) -> Pause {
    let shutdown = &crew.tools.shutdown;
    let woken = async {
        tokio::select! {
            () = wake.notified() => {}
            () = crew.slots.freed(action_type.category) => {}
        }
    };
    tokio::select! {
        biased;
        pause = crew.clock().pause(pause, shutdown) => return pause,
        () = woken => {}
    }
    let soon = pace.hurry(crew.clock().now());
    if soon.is_zero() && !shutdown.is_raised() {
        return Pause::Passed;
    }
    crew.clock().pause(soon, shutdown).await
}

/// Takes nothing of an offer but what a log may show.
pub(super) fn shown(offer: &Offer) -> String {
    let context = &offer.job.context;
    format!("{}/{}/{}", context.pipeline, context.stage, context.action)
}
