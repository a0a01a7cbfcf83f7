//! Packing an artifact.

use super::error::ArchiveError;
use std::io::{Cursor, Write};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Packs files into a zip. The same files give the same bytes: sorted names, one fixed time, mode 0644.
///
/// # Errors
/// [`ArchiveError::Pack`] when two files have the same name.
pub fn pack(files: &[(&str, &[u8])]) -> Result<Vec<u8>, ArchiveError> {
    let mut files = files.to_vec();
    files.sort_unstable();
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(name, options).map_err(ArchiveError::Pack)?;
        writer
            .write_all(bytes)
            .map_err(|error| ArchiveError::Pack(ZipError::Io(error)))?;
    }
    writer
        .finish()
        .map(Cursor::into_inner)
        .map_err(ArchiveError::Pack)
}
