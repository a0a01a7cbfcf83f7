//! Bodies on their way to files: hashed while they are written, never whole in memory.

use super::checksum::Crc;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use md5::Md5;
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

/// How the folders' names begin.
const PREFIX: &str = "slipway-spool-";

/// A folder of files that goes with the sandbox.
///
/// It is locked as long as its process lives, however that ends: an unlocked one is nobody's any more.
#[derive(Debug)]
pub struct Spool {
    folder: TempDir,
    _lock: std::fs::File,
    made: AtomicU64,
}

/// Hashes of a body, updated as it comes.
#[derive(Debug, Clone)]
pub struct Hashes {
    sha256: Sha256,
    md5: Md5,
    crc: Option<Crc>,
    bytes: u64,
}

/// What was received.
#[derive(Debug, Clone)]
pub struct Received {
    /// The name of its file.
    pub file: String,
    /// In bytes.
    pub bytes: u64,
    /// The SHA-256.
    pub sha256: [u8; 32],
    /// The MD5.
    pub md5: [u8; 16],
    /// The checksum that was asked for, big-endian.
    pub crc: Option<Vec<u8>>,
}

impl Hashes {
    /// Of nothing yet; `crc` is computed besides SHA-256 and MD5.
    pub fn new(crc: Option<Crc>) -> Self {
        Self {
            sha256: Sha256::new(),
            md5: Md5::new(),
            crc,
            bytes: 0,
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sha256.update(bytes);
        self.md5.update(bytes);
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
    }

    /// How many bytes came.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 so far, in hex.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256.clone().finalize())
    }

    fn finish(self, file: String) -> Received {
        Received {
            file,
            bytes: self.bytes,
            sha256: self.sha256.finalize().into(),
            md5: self.md5.finalize().into(),
            crc: self.crc.map(|crc| crc.value()),
        }
    }
}

impl Spool {
    /// A folder under the system's temporary one; those of sandboxes that were killed are removed.
    pub fn create() -> io::Result<Self> {
        Self::create_in(&tempfile::env::temp_dir())
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        loop {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
            // Between its creation and its lock another sandbox may take it for abandoned.
            let Ok(lock) = std::fs::File::open(folder.path()) else {
                continue;
            };
            lock.lock()?;
            if folder.path().exists() {
                return Ok(Self {
                    folder,
                    _lock: lock,
                    made: AtomicU64::new(0),
                });
            }
        }
    }

    /// A name that no file has.
    pub fn name(&self) -> String {
        format!("{:08}", self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// Where a file of this name lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Begins a file of its own; `crc` is computed besides SHA-256 and MD5.
    pub async fn writer(&self, crc: Option<Crc>) -> io::Result<Writer> {
        let name = self.name();
        let file = File::create(self.path(&name)).await?;
        Ok(Writer {
            name,
            file,
            hashes: Hashes::new(crc),
        })
    }

    /// Joins files to one of their own; `crc` is computed besides SHA-256 and MD5.
    pub async fn join(&self, names: &[String], crc: Option<Crc>) -> io::Result<Received> {
        let mut writer = self.writer(crc).await?;
        for part in names {
            let mut source = ReaderStream::new(File::open(self.path(part)).await?);
            while let Some(bytes) = source.next().await {
                writer.write(&bytes?).await?;
            }
        }
        writer.finish().await
    }

    /// Gives a file another name.
    pub async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        tokio::fs::rename(self.path(from), self.path(to)).await
    }

    /// Removes a file; one that is gone already is no problem, and the folder goes with the sandbox anyway.
    pub async fn discard(&self, name: &str) {
        let _ = tokio::fs::remove_file(self.path(name)).await;
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct Writer {
    name: String,
    file: File,
    hashes: Hashes,
}

/// Removes the folders of sandboxes whose processes are dead. What cannot be removed stays: it may be another user's.
fn remove_abandoned(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| {
        entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
    });
    for path in folders.map(|entry| entry.path()) {
        if let Ok(folder) = std::fs::File::open(&path)
            && folder.try_lock().is_ok()
        {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

impl Writer {
    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Takes the next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hashes.update(bytes);
        self.file.write_all(bytes).await
    }

    /// Ends the file.
    pub async fn finish(mut self) -> io::Result<Received> {
        self.file.flush().await?;
        Ok(self.hashes.finish(self.name))
    }
}

/// Appends a body to a file; gives how many bytes came.
pub async fn append<S, E>(path: &Path, mut body: S, hashes: &mut Hashes) -> io::Result<u64>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut file = OpenOptions::new().create(true).append(true).open(path).await?;
    let before = hashes.bytes();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(io::Error::other)?;
        hashes.update(&bytes);
        file.write_all(&bytes).await?;
    }
    file.flush().await?;
    Ok(hashes.bytes() - before)
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{PREFIX, Spool};
    use std::fs;

    #[test]
    fn a_folder_whose_process_is_dead_is_removed_and_one_whose_process_lives_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join(format!("{PREFIX}dead"));
        let other = parent.path().join("other");
        fs::create_dir_all(dead.join("below")).unwrap();
        fs::create_dir_all(&other).unwrap();
        let first = Spool::create_in(parent.path()).unwrap();
        fs::write(first.path("blob"), "kept").unwrap();
        let second = Spool::create_in(parent.path()).unwrap();
        assert!(!dead.exists() && other.exists());
        assert!(first.path("blob").exists() && second.path("").exists());
        drop((first, second));
        assert_eq!(
            fs::read_dir(parent.path()).unwrap().count(),
            1,
            "`other` alone is left"
        );
    }
}
