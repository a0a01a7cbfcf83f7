//! Results put until CodePipeline has one, or wants none any more.

use super::{Closed, Desk};
use crate::failure::chain;
use crate::pipeline::client::{JobOver, PipelineError, Put};
use crate::pipeline::journal::Entry;
use crate::pipeline::result::Ending;
use crate::shutdown::{Shutdown, Urgency};
use std::time::Duration;

/// How long something may still be tried.
pub(super) struct Deadline<'a> {
    desk: &'a Desk,
    until: Duration,
    /// Whether a second stop has shortened it.
    hurried: bool,
}

impl<'a> Deadline<'a> {
    pub(super) fn of(desk: &'a Desk) -> Self {
        Self {
            desk,
            until: desk.clock.now() + desk.patience.whole,
            hurried: false,
        }
    }

    /// Waits for an answer for as long as there is time; none if there is none left.
    pub(super) async fn answer<T>(&mut self, asked: impl Future<Output = T>) -> Option<T> {
        let mut asked = std::pin::pin!(asked);
        loop {
            tokio::select! {
                biased;
                answer = &mut asked => return Some(answer),
                _ = self.desk.shutdown.reached(Urgency::Now), if !self.hurried => self.hurry(),
                () = self.desk.clock.reaches(self.until) => return None,
            }
        }
    }

    /// Waits until the next attempt; whether there is time for one.
    pub(super) async fn pause(&mut self, attempts: u32) -> bool {
        let clock = &self.desk.clock;
        if self.desk.shutdown.asked().0 == Urgency::Now && !self.hurried {
            self.hurry();
        }
        let left = self.until.saturating_sub(clock.now());
        let pause = self.desk.patience.pause(attempts).min(left);
        let never = Shutdown::never();
        tokio::select! {
            biased;
            // The next attempt may be the last one.
            _ = self.desk.shutdown.reached(Urgency::Now), if !self.hurried => {}
            _ = clock.pause(pause, &never) => {}
        }
        clock.now() < self.until
    }

    fn hurry(&mut self) {
        self.hurried = true;
        self.until = self
            .until
            .min(self.desk.clock.now() + self.desk.patience.last_words);
    }
}

/// Puts a result. Throttling and outages are waited out; a text that CodePipeline does not take is replaced by a lesser
/// one, since any result is better than none. `doubt` says whether somebody may have put one before.
pub(super) async fn close(desk: Desk, mut entry: Entry, ending: Ending, mut doubt: bool) -> Closed {
    let job = entry.record().job.clone();
    let mut ending = ending.fitted();
    let mut deadline = Deadline::of(&desk);
    let mut attempts = 0;
    let mut told = false;
    write_down(&desk, &mut entry, &ending).await;
    loop {
        let Some(answer) = deadline.answer(desk.client.put(&job, &ending)).await else {
            return unreported(&desk, entry, "no answer came in time");
        };
        attempts += 1;
        let error = match answer {
            Ok(Put::Accepted) => {
                desk.forget(entry).await;
                return Closed::Accepted;
            }
            Ok(Put::Over(why)) => {
                desk.forget(entry).await;
                let why = if doubt { JobOver::Unclear } else { why };
                return Closed::Over { why };
            }
            Err(error) => error,
        };
        doubt |= error.is_in_doubt();
        let lesser = lesser(&ending, &error);
        if !told && !error.is_throttled() {
            told = true;
            let goes_on = if lesser.is_some() {
                "less is said"
            } else {
                "tried again"
            };
            desk.warn_of(&entry, format!("{}; {goes_on}", chain(&error)));
        }
        if let Some(lesser) = lesser {
            ending = lesser;
            write_down(&desk, &mut entry, &ending).await;
            continue;
        }
        if !deadline.pause(attempts).await {
            return unreported(&desk, entry, &chain(&error));
        }
    }
}

/// What to say instead of what was refused as invalid.
fn lesser(ending: &Ending, error: &PipelineError) -> Option<Ending> {
    if error.is_too_large() {
        return ending.without_variables().or_else(|| ending.lesser());
    }
    if error.is_invalid() { ending.lesser() } else { None }
}

/// Without it the next worker would do the job again, which is no harm but the time it takes.
async fn write_down(desk: &Desk, entry: &mut Entry, ending: &Ending) {
    desk.written(entry.reporting(ending.clone())).await;
}

/// The entry is dropped, and so left for the next look at the journal.
fn unreported(desk: &Desk, entry: Entry, why: &str) -> Closed {
    let job = &entry.record().job;
    desk.warn_of(
        &entry,
        format!("the result of job {job} could not be reported: {why}; the journal keeps it"),
    );
    drop(entry);
    Closed::Unreported
}
