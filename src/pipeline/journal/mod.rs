//! What a worker holds, on disk, so that whoever comes after it can close what it left.
//!
//! An entry is written before its job is acknowledged and removed once the job is closed; a worker that dies lets go of the
//! lock of its folder, and the next that looks takes its entries over. Files are written and removed on threads of their
//! own: a shared volume takes its time.

mod entry;
pub(crate) mod files;
mod folder;
mod record;
mod takeover;
#[cfg(test)]
mod tests;

pub use entry::Entry;
pub use record::{Phase, Record};
pub use takeover::{Judge, Look, Taking};

use super::job::{JobId, Offer};
use crate::report::event::{Event, Tell};
use folder::{Folder, name_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Why the journal could not be kept; no job may be acknowledged then.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk is full, or the quota is used up.
    #[error("no space left to write `{}`", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A file or a folder could not be made or written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The file system has no locks.
    #[error("cannot lock `{}`", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// This process has the job already.
    #[error("job {0} is held by this worker already")]
    Held(JobId),
}

impl JournalError {
    fn of(path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace { path, source },
            _ => Self::Write { path, source },
        }
    }
}

/// Files that are written or removed at the same time.
const AT_A_TIME: usize = 4;

/// The journal of this process; a cheap handle. What no entry is held of and was not forgotten is left, and comes back as
/// an orphan.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    folder: Option<Folder>,
    /// Few at a time: each takes a thread, and hundreds of jobs may end together.
    turns: Semaphore,
    tell: Tell,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    held: BTreeSet<JobId>,
    left: BTreeMap<JobId, Record>,
    /// Files that are left where they are, and were told of.
    told: BTreeSet<PathBuf>,
    /// Whether the last write failed.
    ill: bool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("folder", &self.0.folder)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Opens a state directory for this process, making it if it is not there. It may be shared by any number of workers,
    /// also over a network, if its file system has locks (NFS 4 and EFS have).
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(directory: &Path, tell: Tell) -> Result<Self, JournalError> {
        Ok(Self::new(Some(Folder::make(directory)?), tell))
    }

    /// A journal in memory: a job that its process leaves behind when it dies is nobody's.
    #[must_use]
    pub fn none() -> Self {
        Self::new(None, Tell::nobody())
    }

    fn new(folder: Option<Folder>, tell: Tell) -> Self {
        Self(Arc::new(Inner {
            folder,
            turns: Semaphore::new(AT_A_TIME),
            tell,
            jobs: Mutex::default(),
        }))
    }

    /// Whether what is held outlives the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.0.folder.is_some()
    }

    /// Writes down that a job will be acknowledged. An entry that this process left of the same job is taken up.
    ///
    /// # Errors
    /// [`JournalError::Held`] while another entry of the job is held, and whatever the disk says.
    pub async fn begin(&self, offer: &Offer, now: Duration) -> Result<Entry, JournalError> {
        let record = Record {
            job: offer.job.id.clone(),
            action_type: Some(offer.job.action_type.clone()),
            fleet: offer.job.fleet(),
            context: offer.job.context.clone(),
            nonce: offer.nonce.clone(),
            phase: Phase::Acknowledging,
            attempts: 0,
            claimed: now,
        };
        let before = {
            let mut jobs = self.0.jobs();
            if !jobs.held.insert(record.job.clone()) {
                return Err(JournalError::Held(record.job));
            }
            jobs.left.remove(&record.job)
        };
        let is_new = before.is_none();
        let attempts = before.map_or(0, |before| before.attempts);
        let record = Record { attempts, ..record };
        let mut entry = self.entry(record.clone());
        if !is_new {
            entry = entry.left_before();
        }
        let written = entry.write(record).await;
        if written.is_err() && is_new {
            // Nothing was acknowledged by it, so there is nothing to come back to.
            entry.let_go();
        }
        written.map(|()| entry)
    }

    /// Looks for jobs that nobody holds, those that this process could not close and those that dead workers left, and takes
    /// those that the judge says. Of two workers that look at the same time only one gets each.
    pub async fn look(&self, mut judge: Judge) -> Look {
        let mut look = Look::default();
        // Entries before anything is awaited: whoever drops this look leaves them for the next.
        for record in self.0.take_left(&mut judge, &mut look.waiting) {
            look.taken.push(self.entry(record));
        }
        let state = self.clone();
        let over = move |inner: &Inner| {
            let (records, waiting) = inner.take_over(&mut judge);
            let entries: Vec<Entry> = records.into_iter().map(|record| state.entry(record)).collect();
            (entries, waiting)
        };
        if let Some((entries, waiting)) = self.on_disk(over).await {
            look.taken.extend(entries);
            look.waiting += waiting;
        }
        look
    }

    /// Whether what is to be held can be written down: tried where the last write failed, known otherwise.
    ///
    /// # Errors
    /// Why not.
    pub async fn is_well(&self) -> Result<(), JournalError> {
        if !self.0.jobs().ill {
            return Ok(());
        }
        self.on_disk(Inner::try_write).await.unwrap_or(Ok(()))
    }

    /// How many jobs this process has left, and nobody taken up yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.jobs().left.len()
    }

    /// Whether another worker that shares the directory has written down that this job is its own. One that only asks for it
    /// may be refused, and of two that ask neither may leave it to the other.
    pub async fn is_in_other_hands(&self, job: &JobId) -> bool {
        let name = name_of(job);
        let look = move |inner: &Inner| {
            let entries = inner.folder.as_ref().map(|folder| folder.elsewhere(&name));
            let records = entries.into_iter().flatten();
            let mut records = records.filter_map(|bytes| Record::read(&bytes).ok());
            records.any(|record| record.phase != Phase::Acknowledging)
        };
        self.on_disk(look).await.unwrap_or_default()
    }

    /// Does something with files on a thread of its own; none if the runtime shuts down meanwhile.
    async fn on_disk<T: Send + 'static>(&self, act: impl FnOnce(&Inner) -> T + Send + 'static) -> Option<T> {
        let inner = Arc::clone(&self.0);
        let _turn = self.0.turns.acquire().await.ok()?;
        tokio::task::spawn_blocking(move || act(&inner)).await.ok()
    }

    fn entry(&self, record: Record) -> Entry {
        Entry::new(self.clone(), record)
    }
}

impl Inner {
    fn write(&self, record: &Record) -> Result<(), JournalError> {
        let written = match &self.folder {
            Some(folder) => folder.write(&name_of(&record.job), &record.to_json()),
            None => Ok(()),
        };
        self.jobs().ill = written.is_err();
        written
    }

    fn try_write(&self) -> Result<(), JournalError> {
        let written = self.folder.as_ref().map_or(Ok(()), Folder::try_write);
        self.jobs().ill = written.is_err();
        written
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, error: &(dyn std::error::Error + 'static)) {
        let text = format!("the journal: {}", crate::failure::chain(error));
        self.tell.tell(Event::Warning(text));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            folder.remove_empty();
        }
    }
}
