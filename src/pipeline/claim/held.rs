//! The job in hand.

use super::Desk;
use super::close::close;
use super::take::Certainty;
use crate::pipeline::client::JobOver;
use crate::pipeline::credentials::JobCredentials;
use crate::pipeline::job::Job;
use crate::pipeline::journal::{Entry, Record};
use crate::pipeline::result::{Details, Ending, FailureReport, FailureType, Outcome, Variables};
use std::fmt;

/// What became of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Closed {
    /// CodePipeline took it.
    Accepted,
    /// No result was wanted any more.
    Over {
        /// Why.
        why: JobOver,
    },
    /// CodePipeline could not be told. The journal keeps the result, and the next look at it tells.
    Unreported,
}

impl Closed {
    /// Whether CodePipeline has the result, as far as anybody can know.
    #[must_use]
    pub const fn is_told(self) -> bool {
        matches!(
            self,
            Self::Accepted
                | Self::Over {
                    why: JobOver::Unclear
                }
        )
    }
}

/// A job that is acknowledged, and its entry in the journal. It is closed by [`succeed`](Self::succeed),
/// [`fail`](Self::fail) or [`hand_back`](Self::hand_back); dropped without, by a panic too, it is reported failed.
///
/// Once one of them was called the result is put, whether or not its future lives on.
#[must_use = "a job that is not closed hangs its pipeline"]
pub struct ClaimedJob {
    job: Job,
    credentials: JobCredentials,
    certainty: Certainty,
    record: Record,
    /// None once it is being closed.
    held: Option<(Desk, Entry)>,
}

impl fmt::Debug for ClaimedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimedJob")
            .field("job", &self.job)
            .field("certainty", &self.certainty)
            .finish_non_exhaustive()
    }
}

impl ClaimedJob {
    pub(super) fn new(
        desk: Desk,
        job: Job,
        credentials: JobCredentials,
        certainty: Certainty,
        entry: Entry,
    ) -> Self {
        Self {
            job,
            credentials,
            certainty,
            record: entry.record().clone(),
            held: Some((desk, entry)),
        }
    }

    /// The job.
    #[must_use]
    pub const fn job(&self) -> &Job {
        &self.job
    }

    /// The credentials of its artifacts.
    #[must_use]
    pub const fn credentials(&self) -> &JobCredentials {
        &self.credentials
    }

    /// Whether it is surely nobody else's.
    #[must_use]
    pub const fn certainty(&self) -> Certainty {
        self.certainty
    }

    /// What the journal knew of it when it was claimed: among others how many workers left it, and since when it is held.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// The action succeeded. Variables are shown to everybody who sees the pipeline.
    pub async fn succeed(self, details: Details, variables: Variables) -> Closed {
        self.close(Ending::Success(Outcome::Final(details, variables)))
            .await
    }

    /// The job failed, and its action with it.
    pub async fn fail(self, report: FailureReport) -> Closed {
        self.close(Ending::Failure(report)).await
    }

    /// The job ends, and another one of the same action goes on with the token, on whichever worker.
    pub async fn hand_back(self, token: String, details: Details) -> Closed {
        self.close(Ending::Success(Outcome::Again(token, details))).await
    }

    /// Whether another worker may close it, or has: then its being over says nothing of its action.
    fn doubt(&self) -> bool {
        self.certainty == Certainty::Maybe || self.record.attempts > 0
    }

    async fn close(mut self, ending: Ending) -> Closed {
        let Some((desk, entry)) = self.held.take() else {
            return Closed::Unreported;
        };
        let reporters = desk.reporters.clone();
        let closed = reporters.run(close(desk, entry, ending, self.doubt())).await;
        // A report whose runtime is gone left its entry.
        closed.unwrap_or(Closed::Unreported)
    }
}

impl Drop for ClaimedJob {
    fn drop(&mut self) {
        let Some((desk, entry)) = self.held.take() else {
            return;
        };
        let report = FailureReport::new(
            FailureType::JobFailed,
            "error: slipway gave this job up without a result; cause: a bug in slipway; left: unknown, what it did is not \
             taken back; hint: retry the stage, and report the bug with the worker's log",
        );
        let doubt = self.doubt();
        let reporters = desk.reporters.clone();
        // Nobody waits for it but the end of the program.
        drop(reporters.run(close(desk, entry, Ending::Failure(report), doubt)));
    }
}
