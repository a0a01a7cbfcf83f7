//! Jobs of custom actions: what is offered to job workers, and what became of it.

use super::action_type::TypeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// A job: one errand of a run of an action. A continuation token ends it, and begins another one.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// A number that grows with every job.
    pub serial: u64,
    /// The type of its action.
    pub type_id: TypeId,
    /// The pipeline.
    pub pipeline: String,
    /// The run of the action.
    pub run: String,
    /// How it is.
    pub state: JobState,
    /// From when on it is offered.
    pub available: Duration,
    /// How often it was offered, which is the nonce of the last offer.
    pub nonce: u64,
    /// When it was offered last.
    pub offered: Option<Duration>,
    /// What the job before it handed back.
    pub continuation: Option<String>,
    /// How often it was acknowledged.
    pub acknowledged: u32,
    /// How many results of it were accepted.
    pub closed: u32,
    /// How many results of it were refused, because it was not in progress.
    pub refused: u32,
    /// When it was over.
    pub over: Option<Duration>,
}

/// How a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Nobody was offered it yet.
    Queued,
    /// It was offered, and nobody acknowledged it yet.
    Dispatched,
    /// A job worker acknowledged it.
    InProgress,
    /// A success was reported, or it was handed back.
    Succeeded,
    /// A failure was reported.
    Failed,
    /// Its action ran out of time.
    TimedOut,
    /// Its action was abandoned; no job worker is told.
    Abandoned,
}

impl JobState {
    /// As AcknowledgeJob answers; the API has no word for a job that was abandoned.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::Dispatched => "Dispatched",
            Self::InProgress => "InProgress",
            Self::Succeeded => "Succeeded",
            Self::Failed | Self::Abandoned => "Failed",
            Self::TimedOut => "TimedOut",
        }
    }

    /// Whether nothing can become of it any more.
    pub fn is_over(self) -> bool {
        match self {
            Self::Queued | Self::Dispatched | Self::InProgress => false,
            Self::Succeeded | Self::Failed | Self::TimedOut | Self::Abandoned => true,
        }
    }
}

/// Every job.
#[derive(Debug, Default)]
pub struct Jobs {
    all: BTreeMap<String, Job>,
    /// Those that nobody acknowledged yet, in the order of their beginning.
    open: BTreeMap<u64, String>,
}

impl Jobs {
    /// Adds a job.
    pub fn add(&mut self, job: Job) {
        self.open.insert(job.serial, job.id.clone());
        self.all.insert(job.id.clone(), job);
    }

    /// A job.
    pub fn get(&self, id: &str) -> Option<&Job> {
        self.all.get(id)
    }

    /// A job, to count something of it.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Job> {
        self.all.get_mut(id)
    }

    /// Jobs that can be offered, the oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Job> {
        self.open.values().filter_map(|id| self.all.get(id))
    }

    /// All jobs.
    pub fn all(&self) -> impl Iterator<Item = &Job> {
        self.all.values()
    }

    /// A job worker acknowledged a job.
    pub fn begin(&mut self, id: &str) {
        if let Some(job) = self.all.get_mut(id) {
            job.state = JobState::InProgress;
            job.acknowledged += 1;
            self.open.remove(&job.serial);
        }
    }

    /// A job is over.
    pub fn end(&mut self, now: Duration, id: &str, state: JobState) {
        if let Some(job) = self.all.get_mut(id) {
            job.state = state;
            job.over = Some(now);
            self.open.remove(&job.serial);
        }
    }

    /// Forgets the jobs of a pipeline.
    pub fn forget(&mut self, pipeline: &str) {
        self.all.retain(|_, job| job.pipeline != pipeline);
        let all = &self.all;
        self.open.retain(|_, id| all.contains_key(id));
    }
}
