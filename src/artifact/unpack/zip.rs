//! Unpacking a zip. The whole directory is judged before anything is written, and then read again for the data.

use super::error::UnpackError;
use super::limits::{Limits, Tally};
use super::names::{Kind, LONGEST, Name, Names, shown};
use super::{Filling, Target};
use crate::artifact::archive::zip::{Central, Directory, Inflater, Room, ZipFault};
use std::fs::File;
use std::sync::Arc;

/// How much is moved at once.
const CHUNK: usize = 128 * 1024;

/// The least length of the header before an entry's data.
const LEAST_HEADER: u64 = 30;

/// What is moved at once, and what inflates it.
struct Tools {
    buffer: Vec<u8>,
    inflater: Inflater,
}

pub(super) fn unpack(archive: &File, limits: &Limits, target: &mut Target) -> Result<(), UnpackError> {
    let mut room = Room::default();
    let directory = Directory::open(archive, limits.entries, &mut room).map_err(refuse_zip)?;
    let places = survey(&directory, &mut room, limits, &target.tally)?;
    let mut tools = Tools {
        buffer: vec![0; CHUNK],
        inflater: Inflater::default(),
    };
    let end = directory.begins();
    for entry in directory.entries(&mut room) {
        let entry = entry.map_err(refuse_zip)?;
        let first = places.partition_point(|&place| place < entry.offset);
        let next = places.partition_point(|&place| place <= entry.offset);
        if next - first > 1 {
            let entry = shown(&entry.name);
            return Err(UnpackError::Overlap { entry });
        }
        let until = places.get(next).copied().unwrap_or(end);
        unpack_entry(&directory, &entry, until, target, &mut tools)?;
    }
    Ok(())
}

/// Judges all that the directory says, and gives the places where entries begin, in order.
fn survey(
    directory: &Directory<'_>,
    room: &mut Room,
    limits: &Limits,
    tally: &Tally,
) -> Result<Vec<u64>, UnpackError> {
    let end = directory.begins();
    let (mut names, mut count, mut bytes) = (
        Names::default(),
        Tally::new(*limits, u64::MAX, Arc::default()),
        0_u64,
    );
    let mut places = Vec::new();
    for entry in directory.entries(room) {
        let entry = entry.map_err(refuse_zip)?;
        let shown = || shown(&entry.name);
        if let Some(name) = Name::read(&entry.name)? {
            let kind = kind_of(&entry)?;
            count.entries(names.add(&name, kind)?.names)?;
        }
        tally.announce(&shown(), entry.size)?;
        bytes = bytes.saturating_add(entry.size);
        tally.check(bytes)?;
        let least = entry.compressed.saturating_add(LEAST_HEADER);
        if entry.offset.saturating_add(least) > end {
            return Err(UnpackError::Overlap { entry: shown() });
        }
        places.push(entry.offset);
    }
    places.sort_unstable();
    Ok(places)
}

fn kind_of(entry: &Central) -> Result<Kind, UnpackError> {
    const TYPE: u32 = 0o170_000;
    let name = || shown(&entry.name);
    let is_folder = entry.name.ends_with(b"/");
    let device = |found| Err(UnpackError::Device { entry: name(), found });
    match entry.mode.unwrap_or_default() & TYPE {
        0 | 0o040_000 | 0o100_000 if is_folder && entry.size == 0 => Ok(Kind::Folder),
        0o040_000 => Err(UnpackError::FileAndFolder { entry: name() }),
        0 | 0o100_000 | 0o120_000 if is_folder => Err(UnpackError::FileAndFolder { entry: name() }),
        0o120_000 => Ok(Kind::Link),
        0 | 0o100_000 => Ok(Kind::File),
        0o010_000 => device("a FIFO"),
        0o020_000 => device("a character device"),
        0o060_000 => device("a block device"),
        0o140_000 => device("a socket"),
        _ => Err(UnpackError::UnknownType {
            entry: name(),
            found: "of a type of file",
        }),
    }
}

fn unpack_entry(
    directory: &Directory<'_>,
    entry: &Central,
    until: u64,
    target: &mut Target,
    tools: &mut Tools,
) -> Result<(), UnpackError> {
    let kind = kind_of(entry)?;
    let name = Name::read(&entry.name)?;
    let refuse = |fault| refuse_entry(&entry.name, fault);
    let mut data = directory
        .data(entry, until, &mut tools.inflater)
        .map_err(refuse)?;
    let mut filling: Option<Filling> = None;
    let mut text = Vec::new();
    match (&name, kind) {
        (Some(name), Kind::Folder) => target.make_folder(name, entry.mode.unwrap_or(0o755))?,
        (Some(name), Kind::File) => {
            filling = Some(target.make_file(name, entry.mode.unwrap_or(0o644), entry.size)?);
        }
        (Some(_), Kind::Link) if entry.size > LONGEST as u64 => {
            let entry = shown(&entry.name);
            return Err(UnpackError::LinkTarget { entry });
        }
        (Some(_), Kind::Link) | (None, Kind::Folder) => {}
        (None, _) => {
            let entry = shown(&entry.name);
            return Err(UnpackError::FileAndFolder { entry });
        }
    }
    loop {
        let read = data.read(&mut tools.buffer).map_err(refuse)?;
        let bytes = &tools.buffer[..read];
        if bytes.is_empty() {
            break;
        }
        match &mut filling {
            Some(filling) => filling.write(&mut target.tally, bytes)?,
            None => text.extend_from_slice(bytes),
        }
    }
    match (&name, kind) {
        (Some(name), Kind::Link) => target.note_link(name, &text),
        _ => Ok(()),
    }
}

fn refuse_zip(fault: ZipFault) -> UnpackError {
    match fault {
        ZipFault::Read(error) => UnpackError::Read(error),
        ZipFault::TooMany { limit, .. } => UnpackError::TooManyEntries { limit },
        ZipFault::Malformed(problem) => UnpackError::BadZip { problem },
        ZipFault::Encrypted
        | ZipFault::UnknownMethod { .. }
        | ZipFault::Contradiction { .. }
        | ZipFault::Overlap
        | ZipFault::WrongSize { .. }
        | ZipFault::Checksum
        | ZipFault::Garbled => UnpackError::BadZip {
            problem: "its directory is damaged",
        },
    }
}

fn refuse_entry(name: &[u8], fault: ZipFault) -> UnpackError {
    let entry = shown(name);
    match fault {
        ZipFault::Encrypted => UnpackError::Encrypted { entry },
        ZipFault::UnknownMethod { method } => UnpackError::UnknownMethod { entry, method },
        ZipFault::Contradiction { what } => UnpackError::Contradiction { entry, what },
        ZipFault::Overlap => UnpackError::Overlap { entry },
        ZipFault::WrongSize { declared, actual } => UnpackError::WrongSize {
            entry,
            declared,
            actual,
        },
        ZipFault::Checksum | ZipFault::Garbled => UnpackError::Damaged { entry },
        ZipFault::Read(_) | ZipFault::TooMany { .. } | ZipFault::Malformed(_) => refuse_zip(fault),
    }
}
