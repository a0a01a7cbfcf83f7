//! Packing an artifact.

use super::error::ArchiveError;
use super::zip::{WriteFault, Writer, ZipEntry};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

/// Where the bytes of an entry are.
#[derive(Debug, Clone)]
pub enum Content {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file, which is read when its turn comes.
    File(PathBuf),
}

/// A file of a zip.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name, with `/` between folders.
    pub name: String,
    /// Its bytes.
    pub content: Content,
    /// Its Unix mode: read, write and execute; nothing else is kept.
    pub mode: u32,
}

/// Packs files into a zip. The same files give the same bytes: sorted names, one fixed time, the same maker.
///
/// # Errors
/// [`ArchiveError::Pack`] when two files have the same name.
pub fn pack(files: &[(&str, &[u8])]) -> Result<Vec<u8>, ArchiveError> {
    let entries = files.iter().map(|(name, bytes)| Entry {
        name: (*name).to_owned(),
        content: Content::Bytes(bytes.to_vec()),
        mode: 0o644,
    });
    pack_into(entries.collect(), Vec::new())
}

/// Packs entries as [`pack`] does, and writes the zip as a stream; memory does not grow with what is in it. Blocks.
///
/// # Errors
/// [`ArchiveError::Pack`]; what was written until then is no zip.
pub fn pack_into<W: Write>(mut entries: Vec<Entry>, sink: W) -> Result<W, ArchiveError> {
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let mut writer = Writer::new(sink);
    for entry in &entries {
        add(&mut writer, entry).map_err(ArchiveError::Pack)?;
    }
    writer.finish().map_err(ArchiveError::Pack)
}

fn add(writer: &mut Writer<impl Write>, entry: &Entry) -> Result<(), WriteFault> {
    let (name, mode) = (entry.name.as_str(), entry.mode);
    match &entry.content {
        Content::Bytes(bytes) => {
            let size = bytes.len() as u64;
            writer.add(ZipEntry { name, mode, size }, bytes.as_slice())
        }
        Content::File(path) => {
            let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
            let (size, file) = opened.map_err(|source| WriteFault::Read {
                entry: name.to_owned(),
                source,
            })?;
            writer.add(ZipEntry { name, mode, size }, file)
        }
    }
}
