//! What AWS leaves unpublished of CodePipeline, each a knob of a scenario.

use std::time::Duration;

/// How the job engine behaves where AWS publishes nothing, or where a test wants it to be quicker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quirks {
    /// After how many seconds an offered job that nobody acknowledged is offered again.
    pub redispatch_seconds: u32,
    /// After how many seconds a job that was handed back with a continuation token is offered again. For Lambda actions
    /// AWS says 30.
    pub continuation_seconds: u32,
    /// How many seconds a source action takes.
    pub source_seconds: u32,
    /// After how many minutes an action times out: 24 hours for custom actions.
    pub action_timeout_minutes: u32,
    /// How many seconds the keys of a job live. It is a promise in the client's time, and no speed divides it: AWS's
    /// own worker says 15 minutes.
    pub credentials_seconds: u32,
    /// Whether a job can be acknowledged again with the nonce that it was acknowledged with.
    pub acknowledge_again: bool,
    /// After how many seconds a job that is over is not known any more; always known when `None`.
    pub forget_jobs_after_seconds: Option<u32>,
    /// Whether a pipeline starts when it is created, as AWS's do.
    pub start_when_created: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            redispatch_seconds: 30,
            continuation_seconds: 30,
            source_seconds: 3,
            action_timeout_minutes: 24 * 60,
            credentials_seconds: 15 * 60,
            acknowledge_again: false,
            forget_jobs_after_seconds: None,
            start_when_created: true,
        }
    }
}

/// How long things take, by the quirks and the pace of the sandbox.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a second takes.
    pub second: Duration,
    /// How long a minute takes.
    pub minute: Duration,
}

impl Pace {
    /// So many seconds.
    pub fn seconds(self, count: u32) -> Duration {
        self.second.saturating_mul(count)
    }

    /// So many minutes.
    pub fn minutes(self, count: u32) -> Duration {
        self.minute.saturating_mul(count)
    }
}
