//! What can be wrong with an artifact.

use super::advice;
use super::zip::{WriteFault, ZipFault};
use crate::artifact::imagedefinitions::{FILE_NAME, MAX_BYTES};
use std::io;

/// Why no imagedefinitions.json was found in the bytes of an artifact, or why none could be packed.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The bytes could not be read.
    #[error("read it")]
    Read(#[source] io::Error),
    /// Another kind of archive.
    #[error("it is {found}; a zip or the file itself is expected")]
    OtherArchive {
        /// `a gzip file`, `a tar archive`.
        found: &'static str,
    },
    /// CodeBuild's full clone: a reference to a commit, which only CodeBuild can follow.
    #[error("it is a reference to a Git commit (a full clone), which only CodeBuild can follow")]
    CloneReference,
    /// The zip is cut off or malformed.
    #[error("it is a zip that cannot be read")]
    BadZip(#[source] ZipFault),
    /// The zip has no such file.
    #[error("it is a zip without `{FILE_NAME}` at its root")]
    NotInside,
    /// The zip has the file in a folder.
    #[error("it is a zip with `{path}`, and `{FILE_NAME}` must be at its root")]
    NotAtRoot {
        /// Where it is.
        path: String,
    },
    /// Two entries have the same name, so that readers may disagree about its content.
    #[error("it is a zip that has the same file name twice")]
    Twice,
    /// The entry is a folder or a symbolic link.
    #[error("`{FILE_NAME}` in the zip is {found}, a file is expected")]
    NotAFile {
        /// `a folder`, `a symbolic link`.
        found: &'static str,
    },
    /// The entry is encrypted.
    #[error("`{FILE_NAME}` in the zip is encrypted")]
    Encrypted,
    /// The entry is compressed by a method other than deflate.
    #[error("`{FILE_NAME}` in the zip is compressed by a method that is not known")]
    UnknownMethod,
    /// The entry is longer than any imagedefinitions.json may be.
    #[error("`{FILE_NAME}` in the zip has {bytes} bytes or more, {MAX_BYTES} are allowed")]
    TooLong {
        /// Its declared size, or how much of it was read.
        bytes: u64,
    },
    /// The entry is not as long as the zip says.
    #[error("`{FILE_NAME}` in the zip has {actual} bytes, and the zip says {declared}")]
    WrongSize {
        /// What the directory says.
        declared: u64,
        /// What was read.
        actual: u64,
    },
    /// A zip could not be packed.
    #[error("pack the zip")]
    Pack(#[source] WriteFault),
}

impl ArchiveError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::CloneReference => Some(advice::CLONE_REFERENCE),
            Self::NotAtRoot { .. } => {
                Some("in the buildspec's `artifacts`, set `base-directory` or `discard-paths: yes`")
            }
            Self::NotInside => Some(
                "name imagedefinitions.json in the buildspec's `artifacts: files`, or choose the build's output",
            ),
            Self::OtherArchive { .. } => Some(advice::OTHER_ARCHIVE),
            Self::Read(_)
            | Self::BadZip(_)
            | Self::Twice
            | Self::NotAFile { .. }
            | Self::Encrypted
            | Self::UnknownMethod
            | Self::TooLong { .. }
            | Self::WrongSize { .. }
            | Self::Pack(_) => None,
        }
    }
}
