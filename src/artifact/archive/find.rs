//! Finding imagedefinitions.json in an artifact.
//!
//! What the bytes are is decided by their first bytes, never by a name: CodePipeline's object keys have no extension.

use super::error::ArchiveError;
use crate::artifact::imagedefinitions::{FILE_NAME, MAX_BYTES};
use serde_json::Value;
use std::io::{self, Read, Seek, SeekFrom};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// Gives the bytes of imagedefinitions.json: of the entry at a zip's root, or the whole of what is no archive. One byte
/// more than the file may have is read at most, so that its own checks can say that it is too long.
///
/// # Errors
/// [`ArchiveError`].
pub fn find_definitions(mut artifact: impl Read + Seek) -> Result<Vec<u8>, ArchiveError> {
    let mut start = Vec::new();
    artifact
        .by_ref()
        .take(TAR_MAGIC_END)
        .read_to_end(&mut start)
        .and_then(|_| artifact.seek(SeekFrom::Start(0)))
        .map_err(ArchiveError::Read)?;
    match start.as_slice() {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => read_entry(artifact),
        [0x1f, 0x8b, ..] => Err(ArchiveError::OtherArchive { found: "a gzip file" }),
        [.., b'u', b's', b't', b'a', b'r'] if start.len() as u64 == TAR_MAGIC_END => {
            Err(ArchiveError::OtherArchive {
                found: "a tar archive",
            })
        }
        _ => {
            let bytes = read_limited(&mut artifact).map_err(ArchiveError::Read)?;
            if is_clone_reference(&bytes) {
                return Err(ArchiveError::CloneReference);
            }
            Ok(bytes)
        }
    }
}

/// Where `ustar` ends in the header of a tar archive.
const TAR_MAGIC_END: u64 = 262;

fn read_limited(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A full clone is a JSON object that names a repository and a commit, and no image.
fn is_clone_reference(bytes: &[u8]) -> bool {
    let Ok(Value::Object(object)) = serde_json::from_slice(bytes) else {
        return false;
    };
    let has = |wanted: &[&str]| {
        object
            .keys()
            .any(|key| wanted.iter().any(|known| known.eq_ignore_ascii_case(key)))
    };
    has(&[
        "FullRepositoryId",
        "FullRepositoryName",
        "RepositoryName",
        "ConnectionArn",
    ]) && has(&["CommitId", "BranchName"])
}

fn read_entry(artifact: impl Read + Seek) -> Result<Vec<u8>, ArchiveError> {
    let mut archive = ZipArchive::new(artifact).map_err(ArchiveError::BadZip)?;
    let index = find_entry(&archive)?;
    let entry = archive.by_index_data(index).map_err(ArchiveError::BadZip)?;
    if entry.encrypted() {
        return Err(ArchiveError::Encrypted);
    }
    if entry.is_symlink() {
        return Err(ArchiveError::NotAFile {
            found: "a symbolic link",
        });
    }
    if !matches!(
        entry.compression(),
        CompressionMethod::Stored | CompressionMethod::Deflated
    ) {
        return Err(ArchiveError::UnknownMethod);
    }
    let declared = entry.size();
    if declared > MAX_BYTES as u64 {
        return Err(ArchiveError::TooLong { bytes: declared });
    }
    let mut entry = archive.by_index(index).map_err(ArchiveError::BadZip)?;
    // A wrong checksum is an I/O error of the entry.
    let bytes = read_limited(&mut entry).map_err(|error| ArchiveError::BadZip(ZipError::Io(error)))?;
    let actual = bytes.len() as u64;
    if actual > MAX_BYTES as u64 {
        // A small declared size, and a stream that does not end.
        return Err(ArchiveError::TooLong { bytes: actual });
    }
    if actual != declared {
        return Err(ArchiveError::WrongSize { declared, actual });
    }
    Ok(bytes)
}

/// The index of the one entry that is called exactly so; nothing is ever written under an entry's name.
fn find_entry<R: Read + Seek>(archive: &ZipArchive<R>) -> Result<usize, ArchiveError> {
    if archive.has_duplicate_names() {
        return Err(ArchiveError::Twice);
    }
    if let Some(index) = archive.index_for_name_raw(FILE_NAME.as_bytes()) {
        return Ok(index);
    }
    let names = archive.file_names_raw().map(String::from_utf8_lossy);
    let like = names
        .filter(|name| name.trim_end_matches('/').rsplit(['/', '\\']).next() == Some(FILE_NAME))
        .min();
    match like {
        Some(name) if *name == *format!("{FILE_NAME}/") => Err(ArchiveError::NotAFile { found: "a folder" }),
        Some(path) => Err(ArchiveError::NotAtRoot {
            path: path.into_owned(),
        }),
        None => Err(ArchiveError::NotInside),
    }
}
