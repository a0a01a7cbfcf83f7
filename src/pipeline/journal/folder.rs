//! The folders of a state directory: `worker-ID`, each with a `lock` that its worker holds for as long as it lives and one
//! file per job. What a dead worker left is renamed into the folder of the worker that found it, which only one can do.
//!
//! A folder is made and locked under a name that nobody looks at, and gets its own once it is whole; it is removed only by
//! whoever holds its lock.

use super::JournalError;
use super::files::{is_older, make_folder, private, same_file, sync, write_whole};
use crate::pipeline::job::JobId;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const WORKER: &str = "worker-";
const LOCK: &str = "lock";
const ASIDE: &str = "aside";

/// What the name of a file that is being written begins with.
const HALF: &str = ".half-";

/// How long it may take to make a folder.
const LONGEST_MAKING: Duration = Duration::from_secs(3600);

/// The folder of one worker, and the right to it.
#[derive(Debug)]
pub(super) struct Folder {
    state: PathBuf,
    path: PathBuf,
    /// Held until the last use of the folder is over.
    _lock: File,
}

impl Folder {
    /// Makes the folder of a new worker.
    pub(super) fn make(state: &Path) -> Result<Self, JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::of(path, source)
        };
        make_folder(state, true).map_err(failed(state))?;
        sweep(state).map_err(failed(state))?;
        let id = format!("{:016x}", fastrand::u64(..));
        let (hidden, path) = (
            state.join(format!(".{WORKER}{id}")),
            state.join(format!("{WORKER}{id}")),
        );
        make_folder(&hidden, false).map_err(failed(&hidden))?;
        let lock = hidden.join(LOCK);
        let made = locked(&lock).and_then(|file| {
            fs::rename(&hidden, &path).map_err(failed(&path))?;
            sync(state).map_err(failed(state))?;
            Ok(file)
        });
        match made {
            Ok(file) => Ok(Self {
                state: state.to_owned(),
                path,
                _lock: file,
            }),
            Err(error) => {
                let _ = fs::remove_dir_all(&hidden);
                Err(error)
            }
        }
    }

    /// The folders of workers that are dead, each with its lock taken.
    pub(super) fn dead(&self) -> io::Result<Vec<Self>> {
        let mut dead = Vec::new();
        for path in workers(&self.state)? {
            if path == self.path {
                continue;
            }
            // A folder without a lock is being removed.
            let Ok(lock) = private().open(path.join(LOCK)) else {
                continue;
            };
            if lock.try_lock().is_err() {
                continue;
            }
            // Whoever had it may have removed it meanwhile.
            if same_file(&lock, &path.join(LOCK)) {
                dead.push(Self {
                    state: self.state.clone(),
                    path,
                    _lock: lock,
                });
            }
        }
        Ok(dead)
    }

    /// The names of its entries; what was left half written is removed.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for found in fs::read_dir(&self.path)? {
            let name = found?.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(HALF) {
                let _ = fs::remove_file(self.path.join(name));
            } else if name.ends_with(".json") {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name))
    }

    /// Writes an entry so that it is there whole, or as it was before; also after a power cut.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
        // Of its own: an earlier write whose caller has given up may still be at work.
        let half = self.path.join(format!("{HALF}{:08x}-{name}", fastrand::u32(..)));
        let path = self.path.join(name);
        write_whole(&half, &path, bytes).map_err(|source| JournalError::of(path, source))
    }

    /// Writes a file that nobody reads, and removes it.
    pub(super) fn try_write(&self) -> Result<(), JournalError> {
        let path = self.path.join(format!("{HALF}try"));
        let written = private().create(true).truncate(true).open(&path);
        let written = written.and_then(|mut file| {
            file.write_all(&[0; 4096])?;
            file.sync_all()?;
            fs::remove_file(&path)
        });
        written.map_err(|source| JournalError::of(path, source))
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))?;
        sync(&self.path)
    }

    /// Takes an entry out of a dead worker's folder. Once it is here it is ours, whether or not that outlives a power cut:
    /// then it is in the other folder again.
    pub(super) fn take(&self, from: &Self, name: &str) -> io::Result<()> {
        fs::rename(from.path.join(name), self.path.join(name))?;
        let _ = sync(&self.path).and_then(|()| sync(&from.path));
        Ok(())
    }

    /// Moves a file that is no entry to where nobody trips over it, and says where that is.
    pub(super) fn set_aside(&self, name: &str) -> io::Result<PathBuf> {
        let aside = self.state.join(ASIDE);
        make_folder(&aside, true)?;
        let worker = self.path.file_name().unwrap_or_default().to_string_lossy();
        let place = aside.join(format!("{worker}-{name}"));
        fs::rename(self.path.join(name), &place)?;
        Ok(place)
    }

    /// Removes the folder of a worker if nothing is left in it.
    pub(super) fn remove_empty(&self) {
        if self.names().is_ok_and(|names| names.is_empty()) {
            let _ = fs::remove_file(self.path.join(LOCK));
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// The entries of this name that other workers have.
    pub(super) fn elsewhere(&self, name: &str) -> Vec<Vec<u8>> {
        let workers = workers(&self.state).unwrap_or_default();
        let others = workers.iter().filter(|worker| **worker != self.path);
        others
            .filter_map(|worker| fs::read(worker.join(name)).ok())
            .collect()
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Makes the lock of a new folder and takes it.
fn locked(path: &Path) -> Result<File, JournalError> {
    let place = || path.to_owned();
    let file = private().create_new(true).open(path);
    let file = file.map_err(|source| JournalError::of(place(), source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::of(place(), ErrorKind::WouldBlock.into())),
        Err(TryLockError::Error(source)) => Err(JournalError::Lock {
            path: place(),
            source,
        }),
    }
}

/// The name of a job's file. CodePipeline's ids are UUIDs; one that could be something else for the disk gets another name.
pub(super) fn name_of(job: &JobId) -> String {
    let id = job.as_str();
    let plain = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if plain {
        format!("{id}.json")
    } else {
        format!("{}.json", crate::name::Digest::of(id.as_bytes()).hex())
    }
}

/// The id of the job whose file has this name, if it is a UUID: what is in a damaged file may still be known by its name.
pub(super) fn id_of(name: &str) -> Option<JobId> {
    let id = name.strip_suffix(".json")?;
    let groups: Vec<usize> = id.split('-').map(str::len).collect();
    let digits = id.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    (digits && groups == [8, 4, 4, 4, 12]).then(|| JobId::new(id))
}

/// Removes folders whose workers died before they had their names; nothing was written down in those.
fn sweep(state: &Path) -> io::Result<()> {
    for found in fs::read_dir(state)? {
        let found = found?;
        let is_hidden = found
            .file_name()
            .to_string_lossy()
            .starts_with(&format!(".{WORKER}"));
        // One that is being made has no lock for a moment only.
        if is_hidden && is_older(&found, LONGEST_MAKING) {
            let _ = fs::remove_dir_all(found.path());
        }
    }
    Ok(())
}

fn workers(state: &Path) -> io::Result<Vec<PathBuf>> {
    let mut workers = Vec::new();
    for found in fs::read_dir(state)? {
        let found = found?;
        if found.file_name().to_string_lossy().starts_with(WORKER) {
            workers.push(found.path());
        }
    }
    workers.sort();
    Ok(workers)
}
