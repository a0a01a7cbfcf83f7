//! Unpacking an artifact below a folder, with every guard that an archive of unknown origin needs.
//!
//! `names`, `links` and `limits` decide what may be; `zip` and `tar` read, `folder` writes. Nothing is written outside of
//! the folder, not even for a moment; symbolic links are made last, when all of them are known.

mod error;
mod folder;
mod limits;
mod links;
mod names;
mod tar;
mod zip;

pub use error::UnpackError;
pub use limits::Limits;

use crate::artifact::archive::{Shape, is_clone_reference, recognise};
use folder::Folder;
use limits::Tally;
use links::{LinkFault, find_bad_link};
use names::{Kind, LONGEST, Name, Names, shown};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacked {
    /// How many files and links.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// The longest reference to a commit that is looked for.
const CLONE_REFERENCE: u64 = 64 * 1024;

/// Unpacks a zip, a tar archive, or one compressed by gzip, into a folder that is there and empty. Blocks: it reads and
/// writes files. Modes are kept but for setuid, setgid and sticky bits; owners and times are not.
///
/// # Errors
/// [`UnpackError`]; what was unpacked until then is still there.
pub fn unpack(archive: File, into: &Path, limits: &Limits) -> Result<Unpacked, UnpackError> {
    unpack_unless(archive, into, limits, Arc::default())
}

/// The same, until it is unwanted: it ends at the next file or piece of one then.
///
/// # Errors
/// [`UnpackError`]; what was unpacked until then is still there.
pub fn unpack_unless(
    mut archive: File,
    into: &Path,
    limits: &Limits,
    unwanted: Arc<AtomicBool>,
) -> Result<Unpacked, UnpackError> {
    let mut start = Vec::new();
    let length = archive.metadata().map_err(UnpackError::Read)?.len();
    archive
        .seek(SeekFrom::Start(0))
        .and_then(|_| (&archive).take(CLONE_REFERENCE).read_to_end(&mut start))
        .and_then(|_| archive.seek(SeekFrom::Start(0)))
        .map_err(UnpackError::Read)?;
    let folder = Folder::open(into).map_err(UnpackError::Folder)?;
    let mut target = Target::new(folder, Tally::new(*limits, length, unwanted));
    match recognise(&start) {
        Shape::Zip => zip::unpack(&archive, limits, &mut target)?,
        Shape::Tar => tar::unpack(&archive, &mut target)?,
        Shape::Gzip => tar::unpack_gzip(&archive, &mut target)?,
        Shape::Other(found) => return Err(UnpackError::OtherArchive { found }),
        Shape::Bare if is_clone_reference(&start) => return Err(UnpackError::CloneReference),
        Shape::Bare => return Err(UnpackError::BareFile { bytes: length }),
    }
    target.finish()
}

/// Where an archive is unpacked to, and what is known of it so far.
struct Target {
    folder: Folder,
    tally: Tally,
    names: Names,
    links: BTreeMap<String, String>,
    files: u64,
}

impl Target {
    fn new(folder: Folder, tally: Tally) -> Self {
        Self {
            folder,
            tally,
            names: Names::default(),
            links: BTreeMap::new(),
            files: 0,
        }
    }

    fn add(&mut self, name: &Name, kind: Kind) -> Result<(), UnpackError> {
        let added = self.names.add(name, kind)?;
        self.tally.entries(added.names)
    }

    fn make_folder(&mut self, name: &Name, mode: u32) -> Result<(), UnpackError> {
        self.add(name, Kind::Folder)?;
        let made = self.folder.folder(name, mode & 0o777);
        made.map_err(|source| refuse_write(name, source))
    }

    /// Makes a file of `bytes` bytes, which are written to what this returns.
    fn make_file(&mut self, name: &Name, mode: u32, bytes: u64) -> Result<Filling, UnpackError> {
        self.add(name, Kind::File)?;
        self.tally.announce(&shown(name.as_str().as_bytes()), bytes)?;
        let file = self.folder.file(name, mode & 0o777);
        self.files += 1;
        file.map(|file| Filling {
            name: name.clone(),
            file,
        })
        .map_err(|source| refuse_write(name, source))
    }

    /// Notes a symbolic link, which is made at the end.
    fn note_link(&mut self, name: &Name, target: &[u8]) -> Result<(), UnpackError> {
        let entry = || shown(name.as_str().as_bytes());
        self.add(name, Kind::Link)?;
        self.tally.link(name.as_str().len() + target.len())?;
        let text = std::str::from_utf8(target).ok();
        let text = text.filter(|text| !text.is_empty() && text.len() <= LONGEST && !text.contains('\0'));
        let text = text.ok_or_else(|| UnpackError::LinkTarget { entry: entry() })?;
        self.links.insert(name.as_str().to_owned(), text.to_owned());
        self.files += 1;
        Ok(())
    }

    /// Makes a second name of a file that is there.
    fn make_hard_link(&mut self, name: &Name, target: &[u8]) -> Result<(), UnpackError> {
        let entry = || shown(name.as_str().as_bytes());
        let leaving = || UnpackError::LeavingHardLink {
            entry: entry(),
            target: shown(target),
        };
        let of = match Name::read(target) {
            Ok(of) => of,
            Err(UnpackError::Parent { .. } | UnpackError::Absolute { .. }) => return Err(leaving()),
            Err(_) => return Err(UnpackError::LinkTarget { entry: entry() }),
        };
        let of = of.filter(|of| self.names.kind(of).is_some_and(|kind| kind != Kind::Folder));
        let of = of.ok_or_else(|| UnpackError::HardLinkToNoFile {
            entry: entry(),
            target: shown(target),
        })?;
        if let Some(same) = self.links.get(of.as_str()).cloned() {
            // A link is not there yet; another one like it is as good.
            return self.note_link(name, same.as_bytes());
        }
        self.add(name, Kind::File)?;
        self.files += 1;
        let made = self.folder.hard_link(name, &of);
        made.map_err(|source| refuse_write(name, source))
    }

    fn finish(mut self) -> Result<Unpacked, UnpackError> {
        if let Some((link, fault)) = find_bad_link(&self.links) {
            let entry = shown(link.as_bytes());
            return Err(match fault {
                LinkFault::Chain => UnpackError::LinkChain { entry },
                LinkFault::Leaves => UnpackError::LeavingLink {
                    target: self
                        .links
                        .get(link)
                        .map(|target| shown(target.as_bytes()))
                        .unwrap_or_default(),
                    entry,
                },
            });
        }
        for (link, target) in &self.links {
            // Its name is one that was read before.
            let Some(name) = Name::read(link.as_bytes())? else {
                continue;
            };
            let made = self.folder.link(&name, target);
            made.map_err(|source| refuse_write(&name, source))?;
        }
        Ok(Unpacked {
            files: self.files,
            bytes: self.tally.sum(),
        })
    }
}

/// A file that is being written.
struct Filling {
    name: Name,
    file: File,
}

impl Filling {
    fn write(&mut self, tally: &mut Tally, bytes: &[u8]) -> Result<(), UnpackError> {
        tally.bytes(bytes.len() as u64)?;
        let written = self.file.write_all(bytes);
        written.map_err(|source| refuse_write(&self.name, source))
    }
}

fn refuse_write(name: &Name, source: std::io::Error) -> UnpackError {
    UnpackError::Write {
        entry: shown(name.as_str().as_bytes()),
        source,
    }
}
