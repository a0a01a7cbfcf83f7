//! The entry of one job.

use super::folder::name_of;
use super::record::{Phase, Record};
use super::{Inner, JournalError, State};
use crate::pipeline::result::Ending;
use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};

/// The entry of a job that this process holds. Dropped without having been forgotten, it is left for the next look.
#[must_use]
pub struct Entry {
    state: State,
    record: Record,
    is_over: bool,
    was_left: bool,
    /// How often it was written.
    writes: u64,
    file: Arc<Mutex<File>>,
}

/// What became of an entry's file. Whoever waits for a write may give up, and the write goes on: it must neither come after
/// a later one nor bring a file back.
#[derive(Debug, Default)]
struct File {
    /// The number of the last write that was begun.
    last: u64,
    is_removed: bool,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.record.job).finish()
    }
}

impl Entry {
    pub(super) fn new(state: State, record: Record) -> Self {
        Self {
            state,
            record,
            is_over: false,
            was_left: false,
            writes: 0,
            file: Arc::default(),
        }
    }

    pub(super) fn left_before(mut self) -> Self {
        self.was_left = true;
        self
    }

    /// Whether this process had an entry of the same job before, and left it.
    #[must_use]
    pub const fn was_left(&self) -> bool {
        self.was_left
    }

    /// What is written down.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Writes down that the job is ours.
    ///
    /// # Errors
    /// [`JournalError`]; the entry then says what it said before, which is safe.
    pub async fn working(&mut self) -> Result<(), JournalError> {
        self.phase(Phase::Working).await
    }

    /// Writes down how the job ends, so that any worker can say so.
    ///
    /// # Errors
    /// [`JournalError`]; the entry then says what it said before, and the next worker would do the job again.
    pub async fn reporting(&mut self, ending: Ending) -> Result<(), JournalError> {
        self.phase(Phase::Reporting(ending)).await
    }

    async fn phase(&mut self, phase: Phase) -> Result<(), JournalError> {
        let record = Record {
            phase,
            ..self.record.clone()
        };
        self.write(record).await
    }

    /// What is known is kept in memory even if the disk does not take it.
    pub(super) async fn write(&mut self, record: Record) -> Result<(), JournalError> {
        self.record = record.clone();
        self.writes += 1;
        let (number, file) = (self.writes, Arc::clone(&self.file));
        let write = move |inner: &Inner| {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if file.is_removed || number < file.last {
                return Ok(());
            }
            file.last = number;
            inner.write(&record)
        };
        self.state.on_disk(write).await.unwrap_or(Ok(()))
    }

    /// The job is over, or never was ours: nothing is left to do. Its file goes even if the future is dropped.
    pub async fn forget(mut self) {
        self.is_over = true;
        let inner = Arc::clone(&self.state.0);
        let job = self.record.job.clone();
        let file = Arc::clone(&self.file);
        let remove = move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.is_removed = true;
            let name = name_of(&job);
            let removed = inner
                .folder
                .as_ref()
                .map_or(Ok(()), |folder| folder.remove(&name));
            if let Err(error) = removed
                && error.kind() != ErrorKind::NotFound
            {
                inner.warn(&error);
            }
            // Not before: whoever begins the job again would lose its new file.
            inner.jobs().held.remove(&job);
        };
        let _ = tokio::task::spawn_blocking(remove).await;
    }

    pub(super) fn let_go(&mut self) {
        self.is_over = true;
        self.state.0.jobs().held.remove(&self.record.job);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let mut jobs = self.state.0.jobs();
        jobs.held.remove(&self.record.job);
        jobs.left.insert(self.record.job.clone(), self.record.clone());
    }
}
