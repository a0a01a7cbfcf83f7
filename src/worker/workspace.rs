//! Where artifacts are unpacked: a folder for each job, in one for each worker that nobody else removes while it lives.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::runtime::Handle;

/// What the folders of workers are named like.
const OURS: &str = "slipway-work-";

/// What they are named like before they are locked.
const NEW: &str = "slipway-new-";

/// What they are named like while they are being removed, which may be cut short.
const DEAD: &str = ".slipway-dead-";

/// The file whose lock says that the worker lives.
const LOCK: &str = "lock";

/// A worker's folder.
#[derive(Debug)]
pub struct Workspace {
    folder: PathBuf,
    /// Locked as long as this lives.
    _lock: File,
    /// Removes the folder.
    _removes: Removes,
}

#[derive(Debug)]
struct Removes(PathBuf);

impl Drop for Removes {
    fn drop(&mut self) {
        // The next worker removes what is left.
        let _ = remove(&self.0);
    }
}

/// Removes a worker's folder. Of one that is half removed the name says so.
fn remove(folder: &Path) -> io::Result<()> {
    let name = folder.file_name().and_then(|name| name.to_str());
    let own = name.and_then(|name| name.strip_prefix(OURS)).unwrap_or_default();
    let dead = folder.with_file_name(format!("{DEAD}{own}"));
    fs::rename(folder, &dead)?;
    fs::remove_dir_all(&dead)
}

/// Why there is no folder.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The folder of all workers is not to be used.
    #[error("use the folder `{path}`")]
    Use {
        /// The folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A job has no folder.
    #[error("make a folder for a job in `{path}`")]
    Job {
        /// The worker's folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Workspace {
    /// Makes a worker's folder in `below`, and removes those of workers that have died.
    ///
    /// # Errors
    /// [`WorkspaceError::Use`].
    pub fn open(below: &Path) -> Result<Self, WorkspaceError> {
        Self::make(below).map_err(|source| WorkspaceError::Use {
            path: below.display().to_string(),
            source,
        })
    }

    fn make(below: &Path) -> io::Result<Self> {
        fs::create_dir_all(below)?;
        sweep(below)?;
        let new = tempfile::Builder::new().prefix(NEW).tempdir_in(below)?;
        let lock = File::create(new.path().join(LOCK))?;
        lock.try_lock().map_err(io::Error::from)?;
        // Named like a worker's only now that it is locked: a sweep never meets it without.
        let name = new.path().file_name().and_then(|name| name.to_str());
        let own = name.and_then(|name| name.strip_prefix(NEW)).unwrap_or_default();
        let folder = below.join(format!("{OURS}{own}"));
        fs::rename(new.keep(), &folder)?;
        let folder = folder.canonicalize()?;
        Ok(Self {
            _removes: Removes(folder.clone()),
            folder,
            _lock: lock,
        })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new folder for a job, which goes when it is dropped.
    ///
    /// # Errors
    /// [`WorkspaceError::Job`].
    pub fn job(&self) -> Result<JobFolder, WorkspaceError> {
        let made = tempfile::Builder::new().prefix("job-").tempdir_in(&self.folder);
        match made {
            Ok(folder) => Ok(JobFolder(Some(folder))),
            Err(source) => Err(WorkspaceError::Job {
                path: self.folder.display().to_string(),
                source,
            }),
        }
    }
}

/// A job's folder. It goes when this is dropped: on a thread that may block, since it may have a hundred thousand files.
#[derive(Debug)]
pub struct JobFolder(Option<TempDir>);

impl JobFolder {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

impl Drop for JobFolder {
    fn drop(&mut self) {
        let folder = self.0.take();
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn_blocking(move || drop(folder)));
        }
    }
}

/// Removes the folders of workers that have died.
fn sweep(below: &Path) -> io::Result<()> {
    for entry in fs::read_dir(below)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // A folder that cannot be removed costs room, and nothing else.
        if name.starts_with(DEAD) {
            let _ = fs::remove_dir_all(&path);
            continue;
        }
        if !name.starts_with(OURS) {
            continue;
        }
        // One without a lock is a living worker's, whose lock somebody took away, or not ours.
        let Ok(lock) = File::open(path.join(LOCK)) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => drop(remove(&path)),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Workspace;
    use std::fs;

    #[test]
    fn a_dead_worker_s_folder_goes_and_a_living_one_s_stays() {
        let below = tempfile::tempdir().unwrap();
        let dead = below.path().join("slipway-work-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("lock"), "").unwrap();
        let half_removed = below.path().join(".slipway-dead-removed");
        fs::create_dir_all(half_removed.join("job-1/files")).unwrap();
        let without_lock = below.path().join("slipway-work-notes");
        fs::create_dir(&without_lock).unwrap();
        fs::write(below.path().join("somebody-s"), "").unwrap();
        let first = Workspace::open(below.path()).unwrap();
        let job = first.job().unwrap();
        let second = Workspace::open(below.path()).unwrap();
        assert!(!dead.exists() && !half_removed.exists() && job.path().exists());
        assert_ne!(first.folder, second.folder);
        drop((job, first));
        let names = || fs::read_dir(below.path()).unwrap().count();
        assert_eq!(names(), 3, "the second one's, and what is not ours");
        drop(second);
        assert!(without_lock.exists() && names() == 2);
    }
}
