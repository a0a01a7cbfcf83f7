//! The content of a context's files: read as far as the survey saw it, and summed up.

use super::{Context, ContextError, EntryKind, open};
use crate::image::source::{Sum, of_context};
use crate::name::Digest;
use sha2::{Digest as _, Sha256};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

impl Context {
    /// Reads all that will be sent and gives a digest of it; see [`of_context`]. From then on, a file that changed
    /// since ends the stream.
    ///
    /// # Errors
    /// The file that could not be read.
    pub fn fingerprint(&mut self) -> Result<Digest, ContextError> {
        let mut sums = Vec::with_capacity(self.plan.entries.len());
        for entry in &self.plan.entries {
            sums.push(match &entry.kind {
                EntryKind::File(size) => {
                    let mut content = Exact::new(open(&self.root, entry)?, *size, true);
                    let name = || self.root.join(OsStr::from_bytes(&entry.path));
                    io::copy(&mut content, &mut io::sink())
                        .map_err(|_| content.error(name).unwrap_or(ContextError::Cut))?;
                    Some(content.sum())
                }
                EntryKind::Content(_)
                | EntryKind::Folder
                | EntryKind::Link(_)
                | EntryKind::Fifo
                | EntryKind::CharDevice(_)
                | EntryKind::BlockDevice(_) => None,
            });
        }
        self.sums = sums;
        Ok(of_context(&self.plan, &self.sums))
    }
}

/// Reads exactly as many bytes as the header says, and remembers why it could not.
pub(super) struct Exact {
    file: File,
    left: u64,
    failed: Option<io::Error>,
    hash: Option<Sha256>,
}

impl Exact {
    /// The first `left` bytes of a file, summed up if that is wanted.
    pub(super) fn new(file: File, left: u64, summed: bool) -> Self {
        Self {
            file,
            left,
            failed: None,
            hash: summed.then(Sha256::new),
        }
    }

    /// The sum of what was read.
    pub(super) fn sum(&self) -> Sum {
        let hash = self.hash.clone().unwrap_or_default();
        Sum(hash.finalize().into())
    }

    /// Why it could not be read; nothing if reading did not fail.
    pub(super) fn error(&mut self, name: impl FnOnce() -> PathBuf) -> Option<ContextError> {
        let source = self.failed.take()?;
        Some(if source.kind() == io::ErrorKind::UnexpectedEof {
            ContextError::Shrank(name())
        } else {
            ContextError::ReadEntry { path: name(), source }
        })
    }
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if room == 0 {
            return Ok(0);
        }
        let read = match self.file.read(&mut buffer[..room]) {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            other => other,
        };
        match read {
            Ok(count) => {
                self.left -= count as u64;
                if let Some(hash) = &mut self.hash {
                    hash.update(&buffer[..count]);
                }
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = io::Error::from(error.kind());
                self.failed = Some(error);
                Err(told)
            }
        }
    }
}
