//! What a worker holds, on disk, so that whoever comes after it can close what it left.
//!
//! An entry is written before its job is acknowledged and removed once the job is closed; a worker that dies lets go of the
//! lock of its folder, and the next that looks takes its entries over. Files are written and removed on threads of their
//! own: a shared volume takes its time.

mod folder;
mod record;
#[cfg(test)]
mod tests;

pub use record::{Phase, Record};

use super::job::{JobId, Offer};
use super::result::Ending;
use crate::report::event::{Event, Tell};
use folder::{Folder, id_of, name_of};
use record::Foreign;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// The journal of this process; a cheap handle. What no entry is held of and was not forgotten is left, and comes back as
/// an orphan.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    folder: Option<Folder>,
    tell: Tell,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    held: BTreeSet<JobId>,
    left: BTreeMap<JobId, Record>,
    /// Files of newer versions that were told of.
    told: BTreeSet<PathBuf>,
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
        let written = entry.write(record).await;
        if written.is_err() && is_new {
            // Nothing was acknowledged by it, so there is nothing to come back to.
            entry.let_go();
        }
        written.map(|()| entry)
    }

    /// The jobs that nobody holds: those that dead workers left, now taken over, and those that this process could not
    /// close. Of two workers that look at the same time only one gets each.
    pub async fn orphans(&self) -> Vec<Entry> {
        let left = {
            let mut jobs = self.0.jobs();
            let left = std::mem::take(&mut jobs.left);
            jobs.held.extend(left.keys().cloned());
            left
        };
        let mut orphans: Vec<Entry> = left.into_values().map(|record| self.entry(record)).collect();
        let inner = Arc::clone(&self.0);
        let taken = tokio::task::spawn_blocking(move || inner.take_over()).await;
        for record in taken.unwrap_or_default() {
            let mut entry = self.entry(record.clone());
            if let Err(error) = entry.write(record).await {
                self.0.warn(&error);
            }
            orphans.push(entry);
        }
        orphans
    }

    /// Whether another worker that shares the directory has written down this job.
    pub async fn is_held_elsewhere(&self, job: &JobId) -> bool {
        let (inner, name) = (Arc::clone(&self.0), name_of(job));
        let look = move || {
            inner
                .folder
                .as_ref()
                .is_some_and(|folder| folder.is_elsewhere(&name))
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    fn entry(&self, record: Record) -> Entry {
        Entry {
            state: self.clone(),
            record,
            is_over: false,
        }
    }
}

impl Inner {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, error: &(dyn std::error::Error + 'static)) {
        let text = format!("the journal: {}", crate::failure::chain(error));
        self.tell.tell(Event::Warning(text));
    }

    /// Moves the entries of dead workers into our folder; each counts one more worker that left it.
    fn take_over(&self) -> Vec<Record> {
        let Some(folder) = &self.folder else {
            return Vec::new();
        };
        let dead = folder.dead().unwrap_or_else(|error| {
            self.warn(&error);
            Vec::new()
        });
        let mut taken = Vec::new();
        for dead in dead {
            match self.take_from(folder, &dead) {
                Ok(records) => taken.extend(records),
                Err(error) => self.warn(&error),
            }
            dead.remove_empty();
        }
        taken
    }

    fn take_from(&self, folder: &Folder, dead: &Folder) -> io::Result<Vec<Record>> {
        let mut taken = Vec::new();
        for name in dead.names()? {
            match self.take(folder, dead, &name) {
                Ok(record) => taken.extend(record),
                Err(error) => self.warn(&error),
            }
        }
        Ok(taken)
    }

    fn take(&self, folder: &Folder, dead: &Folder, name: &str) -> io::Result<Option<Record>> {
        let record = match Record::read(&dead.read(name)?) {
            Ok(record) if name_of(&record.job) == name => record,
            Err(Foreign::Newer(version)) => {
                self.told_of_newer(dead.path_of(name), version);
                return Ok(None);
            }
            Ok(_) | Err(Foreign::Damaged) => return self.take_damaged(folder, dead, name),
        };
        if !self.jobs().held.insert(record.job.clone()) {
            // It was offered to us again meanwhile, so the other never acknowledged it.
            dead.remove(name)?;
            return Ok(None);
        }
        if let Err(error) = folder.take(dead, name) {
            self.jobs().held.remove(&record.job);
            return Err(error);
        }
        Ok(Some(left_once_more(record)))
    }

    /// What is in the file is lost, but the job may be known by the file's name.
    fn take_damaged(&self, folder: &Folder, dead: &Folder, name: &str) -> io::Result<Option<Record>> {
        let record = id_of(name).map(|job| left_once_more(Record::of_id(job)));
        let record = record.filter(|record| self.jobs().held.insert(record.job.clone()));
        // Before the other is moved away: the job is in one of the two folders at any time.
        if let Some(record) = &record
            && let Err(error) = folder.write(name, &record.to_json())
        {
            self.jobs().held.remove(&record.job);
            self.warn(&error);
            return Ok(None);
        }
        let place = dead.set_aside(name)?;
        let known = record.as_ref().map_or_else(
            || "it does not say of which job".to_owned(),
            |record| format!("job {} is known by its name", record.job),
        );
        self.tell.tell(Event::Warning(format!(
            "the journal had a damaged entry, which is now `{}`; {known}",
            place.display()
        )));
        Ok(record)
    }

    /// A worker of that version takes it up, so it is left where it is.
    fn told_of_newer(&self, path: PathBuf, version: u64) {
        if self.jobs().told.insert(path.clone()) {
            self.tell.tell(Event::Warning(format!(
                "`{}` is of version {version} of the journal: a worker as new as the one that wrote it can close that job",
                path.display()
            )));
        }
    }
}

const fn left_once_more(mut record: Record) -> Record {
    record.attempts = record.attempts.saturating_add(1);
    record
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            folder.remove_empty();
        }
    }
}

/// The entry of a job that this process holds. Dropped without having been forgotten, it is left for the next look.
#[must_use]
pub struct Entry {
    state: State,
    record: Record,
    is_over: bool,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.record.job).finish()
    }
}

impl Entry {
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
    async fn write(&mut self, record: Record) -> Result<(), JournalError> {
        self.record = record.clone();
        let inner = Arc::clone(&self.state.0);
        let write = move || match &inner.folder {
            Some(folder) => folder.write(&name_of(&record.job), &record.to_json()),
            None => Ok(()),
        };
        let written = tokio::task::spawn_blocking(write).await;
        // A runtime that shuts down writes no more.
        written.unwrap_or(Ok(()))
    }

    /// The job is over, or never was ours: nothing is left to do.
    pub async fn forget(mut self) {
        let (inner, name) = (Arc::clone(&self.state.0), name_of(&self.record.job));
        let remove = move || {
            let removed = inner
                .folder
                .as_ref()
                .map_or(Ok(()), |folder| folder.remove(&name));
            if let Err(error) = removed
                && error.kind() != ErrorKind::NotFound
            {
                inner.warn(&error);
            }
        };
        let _ = tokio::task::spawn_blocking(remove).await;
        self.let_go();
    }

    fn let_go(&mut self) {
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
