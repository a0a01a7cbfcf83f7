//! What can be wrong with a zip.

use rawzip::ErrorKind;
use std::io;

/// What can be wrong with a zip, or with one entry of it.
#[derive(Debug, thiserror::Error)]
pub enum ZipFault {
    /// The file could not be read.
    #[error("read it")]
    Read(#[source] io::Error),
    /// A record is cut off or makes no sense.
    #[error("{0}")]
    Malformed(&'static str),
    /// More entries than are allowed.
    #[error("it has {entries} entries, {limit} are allowed")]
    TooMany {
        /// How many it says to have.
        entries: u64,
        /// The limit.
        limit: u64,
    },
    /// The entry is encrypted.
    #[error("it is encrypted")]
    Encrypted,
    /// The entry is compressed by a method other than deflate.
    #[error("it is compressed by a method that is not known ({method})")]
    UnknownMethod {
        /// The number of APPNOTE.
        method: u16,
    },
    /// The directory and the header before the data, or what follows it, say different things.
    #[error("the zip states its {what} twice, and differently")]
    Contradiction {
        /// `name`, `size`, ...
        what: &'static str,
    },
    /// The entry's data is another entry's as well.
    #[error("its data overlaps another entry's")]
    Overlap,
    /// The entry is not as long as the zip says.
    #[error("it has {actual} bytes or more, and the zip says {declared}")]
    WrongSize {
        /// What the directory says.
        declared: u64,
        /// What was read.
        actual: u64,
    },
    /// The data is damaged: its checksum is another.
    #[error("its checksum is wrong")]
    Checksum,
    /// The data is damaged: it cannot be decompressed.
    #[error("its data cannot be decompressed")]
    Garbled,
}

impl ZipFault {
    /// The fault that rawzip found; `cut` says of what the end is missing, and `other` that it is something else.
    pub fn of(error: rawzip::Error, cut: &'static str, other: &'static str) -> Self {
        match error.into_kind() {
            ErrorKind::IO(error) if error.kind() != io::ErrorKind::UnexpectedEof => Self::Read(error),
            ErrorKind::IO(_) | ErrorKind::Eof => Self::Malformed(cut),
            _ => Self::Malformed(other),
        }
    }
}
