//! A job that was acknowledged: a value that must be consumed, by success, by failure or by handing it back.
//!
//! `take` acknowledges, `held` is the value, `close` puts results until CodePipeline has one, `reporters` keeps that going
//! whatever becomes of whoever asked for it.

mod close;
mod held;
mod reporters;
mod take;

pub use held::{ClaimedJob, Closed};
pub use reporters::Reporters;
pub use take::{Adopted, Certainty, Claim, NotOurs, adopt, claim};

use super::client::Pipeline;
use super::job::{Context, JobId};
use super::journal::{Entry, JournalError, State};
use crate::clock::Clock;
use crate::failure::chain;
use crate::report::event::{Event, JobScope, Tell};
use crate::shutdown::{Shutdown, Urgency};
use std::time::Duration;

/// What claiming and closing takes; a cheap handle.
#[derive(Debug, Clone)]
pub struct Desk {
    /// CodePipeline.
    pub client: Pipeline,
    /// The clock.
    pub clock: Clock,
    /// The journal.
    pub state: State,
    /// Who goes on reporting.
    pub reporters: Reporters,
    /// The stop signal: the first ends a claim that is not made yet, the second shortens the time that results have.
    pub shutdown: Shutdown,
    /// Who is told of what goes wrong.
    pub tell: Tell,
    /// How long things are tried.
    pub patience: Patience,
}

/// How long CodePipeline is asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The first pause between attempts; each next one is twice as long, and between half and all of that is waited.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// How long a result, or an acknowledgement that is in doubt, is tried.
    pub whole: Duration,
    /// How long that may still take once a stop is asked for a second time.
    pub last_words: Duration,
}

impl Default for Patience {
    /// A result is tried for fifteen minutes, which outlasts most outages of a network, and for ten seconds of the thirty
    /// that ECS leaves between SIGTERM and SIGKILL.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
            whole: Duration::from_secs(15 * 60),
            last_words: Duration::from_secs(10),
        }
    }
}

impl Patience {
    /// The pause after so many attempts, with jitter: workers that lost their network together come back one by one.
    fn pause(&self, attempts: u32) -> Duration {
        let doubled = self
            .first
            .saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
        let most = doubled.min(self.longest);
        most.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// How long the disk may take to write something down; CodePipeline is told without it after that.
const LONGEST_WRITE: Duration = Duration::from_secs(30);

impl Desk {
    /// Waits until something is written down, but not for a disk that hangs, and no more once the worker is to end now.
    async fn written(&self, written: impl Future<Output = Result<(), JournalError>>) {
        tokio::select! {
            biased;
            written = self.on_disk(written) => {
                if let Some(Err(error)) = written {
                    self.warn(chain(&error));
                }
            }
            _ = self.shutdown.reached(Urgency::Now) => {}
        }
    }

    /// Waits until an entry's file is gone, but not for a disk that hangs.
    async fn forget(&self, entry: Entry) {
        let _ = self.on_disk(entry.forget()).await;
    }

    async fn on_disk<T>(&self, act: impl Future<Output = T>) -> Option<T> {
        let end = self.clock.now() + LONGEST_WRITE;
        tokio::select! {
            biased;
            done = act => Some(done),
            () = self.clock.reaches(end) => {
                self.warn("the journal: the disk does not answer; what goes on is not written down".to_owned());
                None
            }
        }
    }

    fn warn(&self, text: String) {
        self.tell.tell(Event::Warning(text));
    }

    /// The same, of the job of an entry.
    fn warn_of(&self, entry: &Entry, text: String) {
        let record = entry.record();
        let tell = self.tell.of_job(scope(Some(&record.job), &record.context));
        tell.tell(Event::Warning(text));
    }
}

/// What log lines say of a job, or of an action between two of its jobs.
#[must_use]
pub fn scope(job: Option<&JobId>, of: &Context) -> JobScope {
    JobScope {
        job: job.map(ToString::to_string).unwrap_or_default(),
        pipeline: of.pipeline.clone(),
        stage: of.stage.clone(),
        action: of.action.clone(),
        execution: of.execution.clone(),
        action_execution: of.action_execution.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::Patience;
    use std::time::Duration;

    #[test]
    fn pauses_grow_up_to_the_longest_and_never_are_in_step() {
        let patience = Patience::default();
        for (attempts, most) in [(1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (40, 30), (u32::MAX, 30)] {
            let most = Duration::from_secs(most);
            for _ in 0..50 {
                let pause = patience.pause(attempts);
                assert!(pause >= most / 2 && pause <= most, "{attempts}: {pause:?}");
            }
        }
    }
}
