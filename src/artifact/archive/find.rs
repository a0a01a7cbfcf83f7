//! Finding imagedefinitions.json in an artifact.

use super::error::ArchiveError;
use super::recognise::{START, Shape, is_clone_reference, recognise};
use super::zip::{Central, Directory, Inflater, Room, ZipFault};
use crate::artifact::imagedefinitions::{FILE_NAME, MAX_BYTES};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Gives the bytes of imagedefinitions.json: of the entry at a zip's root, or the whole of what is no archive. One byte
/// more than the file may have is read at most, so that its own checks can say that it is too long.
///
/// # Errors
/// [`ArchiveError`].
pub fn find_definitions(artifact: &File) -> Result<Vec<u8>, ArchiveError> {
    let bytes = read_start(artifact, START).map_err(ArchiveError::Read)?;
    match recognise(&bytes) {
        Shape::Zip => read_entry(artifact),
        Shape::Gzip => Err(ArchiveError::OtherArchive { found: "a gzip file" }),
        Shape::Tar => Err(ArchiveError::OtherArchive {
            found: "a tar archive",
        }),
        Shape::Other(found) => Err(ArchiveError::OtherArchive { found }),
        Shape::Bare => {
            let bytes = read_start(artifact, MAX_BYTES + 1).map_err(ArchiveError::Read)?;
            if is_clone_reference(&bytes) {
                return Err(ArchiveError::CloneReference);
            }
            Ok(bytes)
        }
    }
}

/// A name for a message: without control characters, and not endless.
#[must_use]
pub fn shown(raw: &[u8]) -> String {
    const MOST: usize = 200;
    let text = String::from_utf8_lossy(raw);
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push_str("...");
    }
    shown
}

fn read_start(mut file: &File, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_entry(artifact: &File) -> Result<Vec<u8>, ArchiveError> {
    let mut room = Room::default();
    let directory = Directory::open(artifact, u64::MAX, &mut room).map_err(refuse)?;
    let until = directory.begins();
    let entry = find_entry(&directory, &mut room)?;
    if entry.mode.is_some_and(is_link) {
        return Err(ArchiveError::NotAFile {
            found: "a symbolic link",
        });
    }
    let mut inflater = Inflater::default();
    let mut data = directory.data(&entry, until, &mut inflater).map_err(refuse)?;
    if entry.size > MAX_BYTES as u64 {
        return Err(ArchiveError::TooLong { bytes: entry.size });
    }
    // An entry that has more than it declares is an error of its own.
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match data.read(&mut buffer).map_err(refuse)? {
            0 => return Ok(bytes),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

const fn is_link(mode: u32) -> bool {
    mode & 0o170_000 == 0o120_000
}

fn refuse(fault: ZipFault) -> ArchiveError {
    match fault {
        ZipFault::Encrypted => ArchiveError::Encrypted,
        ZipFault::UnknownMethod { .. } => ArchiveError::UnknownMethod,
        ZipFault::WrongSize { declared, actual } => ArchiveError::WrongSize { declared, actual },
        ZipFault::Read(error) => ArchiveError::Read(error),
        fault => ArchiveError::BadZip(fault),
    }
}

/// The one entry that is called exactly so; nothing is ever written under an entry's name.
fn find_entry(directory: &Directory<'_>, room: &mut Room) -> Result<Central, ArchiveError> {
    let (mut found, mut like): (Option<Central>, Option<String>) = (None, None);
    for entry in directory.entries(room) {
        let entry = entry.map_err(refuse)?;
        if entry.name == FILE_NAME.as_bytes() {
            if found.is_some() {
                return Err(ArchiveError::Twice);
            }
            found = Some(entry);
            continue;
        }
        let name = String::from_utf8_lossy(&entry.name);
        let last = name.trim_end_matches('/').rsplit(['/', '\\']).next();
        if last == Some(FILE_NAME) && like.as_ref().is_none_or(|like| *name < **like) {
            like = Some(name.into_owned());
        }
    }
    match (found, like) {
        (Some(entry), _) => Ok(entry),
        (None, Some(name)) if name == format!("{FILE_NAME}/") => {
            Err(ArchiveError::NotAFile { found: "a folder" })
        }
        (None, Some(path)) => Err(ArchiveError::NotAtRoot {
            path: shown(path.as_bytes()),
        }),
        (None, None) => Err(ArchiveError::NotInside),
    }
}
