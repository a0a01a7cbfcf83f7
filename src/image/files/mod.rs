//! Walks a context folder and streams it as a tar, chunk by chunk into a bounded channel.
//!
//! Blocking code, meant for a blocking thread; what is sent and in which order is decided by `context`.

mod content;

use self::content::Exact;
use super::context::{
    ContextPlan, Device, DockerfilePlace, Entry, EntryKind, Found, FoundKind, IGNORE_FILE, matchable, plan,
    with_builder_files,
};
use super::ignore::{IgnoreError, IgnoreRules};
use super::source::Sum;
use bytes::{Bytes, BytesMut};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// Bytes per chunk; with [`CHUNKS`] it bounds what a slow Engine makes us hold: 1 MiB.
pub const CHUNK: usize = 64 * 1024;
/// Chunks that the channel should hold.
pub const CHUNKS: usize = 16;

/// A context that was looked at and can be sent.
#[derive(Debug, Clone)]
pub struct Context {
    root: PathBuf,
    plan: ContextPlan,
    /// What the files held when [`Context::fingerprint`] read them, entry by entry; empty before.
    sums: Vec<Option<Sum>>,
    /// The Dockerfile's path in the stream, for the builder.
    pub dockerfile_name: String,
    /// The Dockerfile's text, for finding a failed step's line.
    pub dockerfile_text: String,
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of the tar stream.
    pub bytes: u64,
    /// Entries in it.
    pub entries: u64,
}

/// Why a context cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The context is missing or cannot be read.
    #[error("cannot read the context folder `{}`", path.display())]
    ReadContext {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The context is a file or something else.
    #[error("the context `{}` is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// There is no Dockerfile.
    #[error("there is no Dockerfile at `{}`", .0.display())]
    NoDockerfile(PathBuf),
    /// The Dockerfile cannot be read.
    #[error("cannot read the Dockerfile `{}`", path.display())]
    ReadDockerfile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The Dockerfile's path inside the context is no UTF-8, which the Engine's API cannot carry.
    #[error("the path of the Dockerfile is not UTF-8: `{}`", .0.display())]
    DockerfileName(PathBuf),
    /// The ignore file cannot be read.
    #[error("cannot read `{}`", path.display())]
    ReadIgnoreFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The ignore file holds something that is no pattern.
    #[error("`{}` is not a valid ignore file", path.display())]
    BadIgnoreFile {
        /// The file.
        path: PathBuf,
        /// The line and its problem.
        #[source]
        source: IgnoreError,
    },
    /// A file or folder of the context cannot be read.
    #[error("cannot read `{}` of the context", path.display())]
    ReadEntry {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file became shorter while it was sent.
    #[error("`{}` became shorter while it was read", .0.display())]
    Shrank(PathBuf),
    /// A file changed between the two times that it was read.
    #[error("`{}` changed while the context was read", .0.display())]
    Changed(PathBuf),
    /// Nobody takes the stream any more: the Engine closed it, or the build was stopped.
    #[error("the Engine stopped reading the context")]
    Cut,
}

/// Looks at everything that would be sent, and opens every file once, so that an unreadable one is found before
/// anything is sent.
///
/// # Errors
/// [`ContextError`], naming the file.
pub fn survey(context: &Path, dockerfile: &Path) -> Result<Context, ContextError> {
    let root = fs::canonicalize(context).map_err(|source| ContextError::ReadContext {
        path: context.to_owned(),
        source,
    })?;
    if !root.is_dir() {
        return Err(ContextError::NotAFolder(context.to_owned()));
    }
    let (place, text) = find_dockerfile(&root, dockerfile)?;
    let rules = with_builder_files(read_rules(&root, dockerfile)?, &place);
    let mut found = Vec::new();
    walk(&root, &[], &rules, &mut found)?;
    let plan = plan(found, &rules, place);
    for entry in &plan.entries {
        if matches!(entry.kind, EntryKind::File(_)) {
            open(&root, entry)?;
        }
    }
    let dockerfile_name = String::from_utf8(plan.dockerfile.clone())
        .map_err(|_| ContextError::DockerfileName(dockerfile.to_owned()))?;
    Ok(Context {
        root,
        plan,
        sums: Vec::new(),
        dockerfile_name,
        dockerfile_text: text,
    })
}

fn find_dockerfile(root: &Path, dockerfile: &Path) -> Result<(DockerfilePlace, String), ContextError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            ContextError::NoDockerfile(dockerfile.to_owned())
        }
        _ => ContextError::ReadDockerfile {
            path: dockerfile.to_owned(),
            source,
        },
    };
    let real = fs::canonicalize(dockerfile).map_err(failed)?;
    let content = fs::read(&real).map_err(failed)?;
    let text = String::from_utf8_lossy(&content).into_owned();
    let place = match real.strip_prefix(root) {
        Ok(inside) => DockerfilePlace::Inside(inside.as_os_str().as_bytes().to_vec()),
        Err(_) => DockerfilePlace::Outside(content),
    };
    Ok((place, text))
}

/// The rules of `<Dockerfile>.dockerignore`, else those of the context's `.dockerignore`, else none.
fn read_rules(root: &Path, dockerfile: &Path) -> Result<IgnoreRules, ContextError> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(IGNORE_FILE);
    for path in [PathBuf::from(own), root.join(IGNORE_FILE)] {
        match fs::read(&path) {
            Ok(content) => {
                return IgnoreRules::parse(&String::from_utf8_lossy(&content))
                    .map_err(|source| ContextError::BadIgnoreFile { path, source });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(ContextError::ReadIgnoreFile { path, source }),
        }
    }
    Ok(IgnoreRules::default())
}

/// Collects everything below `below`, except in folders from which nothing can be sent.
fn walk(root: &Path, below: &[u8], rules: &IgnoreRules, found: &mut Vec<Found>) -> Result<(), ContextError> {
    let folder = root.join(OsStr::from_bytes(below));
    let failed = |path: PathBuf| move |source| ContextError::ReadEntry { path, source };
    for child in fs::read_dir(&folder).map_err(failed(folder.clone()))? {
        let child = child.map_err(failed(folder.clone()))?;
        let mut path = below.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(child.file_name().as_bytes());
        let metadata = child.metadata().map_err(failed(child.path()))?;
        let kind = kind_of(&child.path(), &metadata).map_err(failed(child.path()))?;
        let descend = kind == FoundKind::Folder && !rules.prunes(&matchable(&path));
        found.push(Found {
            path: path.clone(),
            kind,
            mode: metadata.mode() & 0o7777,
            modified: metadata.mtime(),
        });
        if descend {
            walk(root, &path, rules, found)?;
        }
    }
    Ok(())
}

fn kind_of(path: &Path, metadata: &fs::Metadata) -> io::Result<FoundKind> {
    let device = Device {
        major: rustix::fs::major(metadata.rdev()),
        minor: rustix::fs::minor(metadata.rdev()),
    };
    let kind = metadata.file_type();
    Ok(if kind.is_dir() {
        FoundKind::Folder
    } else if kind.is_symlink() {
        FoundKind::Link(fs::read_link(path)?.as_os_str().as_bytes().to_vec())
    } else if kind.is_fifo() {
        FoundKind::Fifo
    } else if kind.is_char_device() {
        FoundKind::CharDevice(device)
    } else if kind.is_block_device() {
        FoundKind::BlockDevice(device)
    } else if kind.is_socket() {
        FoundKind::Socket
    } else {
        FoundKind::File(metadata.len())
    })
}

fn open(root: &Path, entry: &Entry) -> Result<File, ContextError> {
    let path = root.join(OsStr::from_bytes(&entry.path));
    File::open(&path).map_err(|source| ContextError::ReadEntry { path, source })
}

impl Context {
    /// Sends the tar stream. A file that grew since the survey is sent as long as it was; one that shrank ends the
    /// stream, so that the Engine never gets a tar that is not what it says.
    ///
    /// # Errors
    /// [`ContextError::Cut`] when the receiver is gone; otherwise the file that could not be read.
    pub fn stream(&self, chunks: &mpsc::Sender<io::Result<Bytes>>) -> Result<Sent, ContextError> {
        let sent = self.stream_all(chunks.clone());
        if sent.is_err() {
            // The body must break off: a tar that merely ends early would be taken for a whole one.
            let _ = chunks.blocking_send(Err(io::Error::other("the context could not be read to its end")));
        }
        sent
    }

    fn stream_all(&self, chunks: mpsc::Sender<io::Result<Bytes>>) -> Result<Sent, ContextError> {
        let mut tar = tar::Builder::new(Chunks {
            pending: BytesMut::with_capacity(CHUNK),
            chunks,
            bytes: 0,
        });
        for (at, entry) in self.plan.entries.iter().enumerate() {
            let sum = self.sums.get(at).and_then(Option::as_ref);
            self.append(&mut tar, entry, sum)?;
        }
        let mut chunks = tar.into_inner().map_err(|_| ContextError::Cut)?;
        chunks.flush().map_err(|_| ContextError::Cut)?;
        Ok(Sent {
            bytes: chunks.bytes,
            entries: self.plan.entries.len() as u64,
        })
    }

    fn append(
        &self,
        tar: &mut tar::Builder<Chunks>,
        entry: &Entry,
        sum: Option<&Sum>,
    ) -> Result<(), ContextError> {
        let (mut header, mut path) = (header(entry), entry.path.clone());
        let cut = |_: io::Error| ContextError::Cut;
        match &entry.kind {
            EntryKind::File(size) => {
                let mut content = Exact::new(open(&self.root, entry)?, *size, sum.is_some());
                let sent = tar.append_data(&mut header, OsStr::from_bytes(&path), &mut content);
                let name = || self.root.join(OsStr::from_bytes(&entry.path));
                match sent {
                    Ok(()) if sum.is_none_or(|sum| content.sum() == *sum) => Ok(()),
                    // The image would say of itself that it was built from what it was not built from.
                    Ok(()) => Err(ContextError::Changed(name())),
                    Err(_) => Err(content.error(name).unwrap_or(ContextError::Cut)),
                }
            }
            EntryKind::Content(content) => tar
                .append_data(&mut header, OsStr::from_bytes(&path), content.as_slice())
                .map_err(cut),
            EntryKind::Link(target) => tar
                .append_link(&mut header, OsStr::from_bytes(&path), OsStr::from_bytes(target))
                .map_err(cut),
            EntryKind::Folder => {
                path.push(b'/');
                tar.append_data(&mut header, OsStr::from_bytes(&path), io::empty())
                    .map_err(cut)
            }
            EntryKind::Fifo | EntryKind::CharDevice(_) | EntryKind::BlockDevice(_) => tar
                .append_data(&mut header, OsStr::from_bytes(&path), io::empty())
                .map_err(cut),
        }
    }
}

fn header(entry: &Entry) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_mtime(entry.modified);
    header.set_uid(0);
    header.set_gid(0);
    let (kind, size, device) = match &entry.kind {
        EntryKind::Folder => (tar::EntryType::Directory, 0, None),
        EntryKind::File(size) => (tar::EntryType::Regular, *size, None),
        EntryKind::Content(content) => (tar::EntryType::Regular, content.len() as u64, None),
        EntryKind::Link(_) => (tar::EntryType::Symlink, 0, None),
        EntryKind::Fifo => (tar::EntryType::Fifo, 0, None),
        EntryKind::CharDevice(device) => (tar::EntryType::Char, 0, Some(device)),
        EntryKind::BlockDevice(device) => (tar::EntryType::Block, 0, Some(device)),
    };
    header.set_entry_type(kind);
    header.set_size(size);
    if let (Some(device), Some(gnu)) = (device, header.as_gnu_mut()) {
        gnu.set_device_major(device.major);
        gnu.set_device_minor(device.minor);
    }
    header
}

/// A writer whose chunks go into the channel; it blocks while the channel is full.
struct Chunks {
    pending: BytesMut,
    chunks: mpsc::Sender<io::Result<Bytes>>,
    bytes: u64,
}

impl Write for Chunks {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let take = data.len().min(CHUNK - self.pending.len());
        self.pending.extend_from_slice(&data[..take]);
        if self.pending.len() == CHUNK {
            self.flush()?;
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.pending, BytesMut::with_capacity(CHUNK)).freeze();
        self.bytes += chunk.len() as u64;
        self.chunks
            .blocking_send(Ok(chunk))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

#[cfg(test)]
mod tests;
