//! Why an artifact was not unpacked.

use crate::artifact::archive::advice;
use crate::failure::Kind;
use std::io;

/// Why an artifact was not unpacked. `entry` is the name of the entry, fit to be shown.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The artifact could not be read.
    #[error("read it")]
    Read(#[source] io::Error),
    /// Another kind of archive.
    #[error("it is {found}; a zip, a tar archive or one compressed by gzip is expected")]
    OtherArchive {
        /// `a 7z archive`.
        found: &'static str,
    },
    /// CodeBuild's full clone: a reference to a commit, which only CodeBuild can follow.
    #[error("it is a reference to a Git commit (a full clone), which only CodeBuild can follow")]
    CloneReference,
    /// No archive at all.
    #[error("it is no archive but a file of {bytes} bytes")]
    BareFile {
        /// How long it is.
        bytes: u64,
    },
    /// The zip makes no sense.
    #[error("it is a zip that cannot be read: {problem}")]
    BadZip {
        /// What is wrong.
        problem: &'static str,
    },
    /// The tar archive makes no sense.
    #[error("it is a tar archive that cannot be read: {problem}")]
    BadTar {
        /// What is wrong.
        problem: &'static str,
    },
    /// The gzip file is damaged.
    #[error("it is a gzip file that cannot be decompressed")]
    BadGzip(#[source] io::Error),

    /// An entry without a name.
    #[error("an entry has no name")]
    NoName,
    /// A name with a NUL.
    #[error("the name of `{entry}` has a NUL in it")]
    NulName {
        /// The entry.
        entry: String,
    },
    /// A name that is not UTF-8.
    #[error("the name of `{entry}` is not UTF-8")]
    NotUtf8 {
        /// The entry.
        entry: String,
    },
    /// A name that no file may have.
    #[error("the name of `{entry}` is too long")]
    LongName {
        /// The entry.
        entry: String,
    },
    /// A name with `..` in it.
    #[error("`{entry}` could leave the folder, by `..`")]
    Parent {
        /// The entry.
        entry: String,
    },
    /// A name from the root of the file system.
    #[error("`{entry}` is an absolute path")]
    Absolute {
        /// The entry.
        entry: String,
    },
    /// A name with a drive or a backslash.
    #[error("`{entry}` is a path of Windows")]
    WindowsName {
        /// The entry.
        entry: String,
    },
    /// Two entries of the same name.
    #[error("`{entry}` is there twice")]
    Twice {
        /// The entry.
        entry: String,
    },
    /// Two names that differ in upper and lower case only.
    #[error("`{entry}` and another name differ in upper and lower case only")]
    Collides {
        /// The entry.
        entry: String,
    },
    /// One name for a file and for a folder.
    #[error("`{entry}` makes one name a folder and something else")]
    FileAndFolder {
        /// The entry.
        entry: String,
    },

    /// An entry below a symbolic link.
    #[error("`{entry}` goes through a symbolic link of the archive")]
    ThroughLink {
        /// The entry.
        entry: String,
    },
    /// A symbolic link out of the folder, perhaps by way of others.
    #[error("the symbolic link `{entry}` leaves the folder: `{target}`")]
    LeavingLink {
        /// The entry.
        entry: String,
        /// What it leads to.
        target: String,
    },
    /// Too many links that lead to each other.
    #[error("the symbolic link `{entry}` leads to more links than a system follows")]
    LinkChain {
        /// The entry.
        entry: String,
    },
    /// A link to nothing that could be a path.
    #[error("the link `{entry}` has a target that is no path")]
    LinkTarget {
        /// The entry.
        entry: String,
    },
    /// A hard link out of the folder.
    #[error("the hard link `{entry}` leaves the folder: `{target}`")]
    LeavingHardLink {
        /// The entry.
        entry: String,
        /// What it leads to.
        target: String,
    },
    /// A hard link to something that is no file before it.
    #[error("the hard link `{entry}` leads to `{target}`, which is no file before it")]
    HardLinkToNoFile {
        /// The entry.
        entry: String,
        /// What it leads to.
        target: String,
    },
    /// A device, a FIFO, a socket.
    #[error("`{entry}` is {found}")]
    Device {
        /// The entry.
        entry: String,
        /// `a character device`.
        found: &'static str,
    },
    /// A type of entry that is not known.
    #[error("`{entry}` is {found}, which is not known here")]
    UnknownType {
        /// The entry.
        entry: String,
        /// `a sparse file`.
        found: &'static str,
    },

    /// An encrypted entry.
    #[error("`{entry}` is encrypted")]
    Encrypted {
        /// The entry.
        entry: String,
    },
    /// An entry that is compressed otherwise than by deflate.
    #[error("`{entry}` is compressed by a method that is not known ({method})")]
    UnknownMethod {
        /// The entry.
        entry: String,
        /// The number of the method.
        method: u16,
    },
    /// An entry that is not as long as the archive says.
    #[error("`{entry}` has {actual} bytes or more, and the archive says {declared}")]
    WrongSize {
        /// The entry.
        entry: String,
        /// What the archive says.
        declared: u64,
        /// What was read.
        actual: u64,
    },
    /// Something that the archive says twice, and differently.
    #[error("the archive states the {what} of `{entry}` twice, and differently")]
    Contradiction {
        /// The entry.
        entry: String,
        /// `size`.
        what: &'static str,
    },
    /// Entries whose data is the same bytes.
    #[error("the data of `{entry}` overlaps another entry's")]
    Overlap {
        /// The entry.
        entry: String,
    },
    /// Damaged data.
    #[error("the data of `{entry}` is damaged")]
    Damaged {
        /// The entry.
        entry: String,
    },

    /// Too many names.
    #[error("it has more than {limit} files and folders")]
    TooManyEntries {
        /// The limit.
        limit: u64,
    },
    /// Too many bytes.
    #[error("it becomes more than {limit} bytes")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },
    /// A file that is too long.
    #[error("`{entry}` becomes more than {limit} bytes")]
    FileTooLong {
        /// The entry.
        entry: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A bomb.
    #[error("it becomes more than {limit} times as long as it is")]
    Ratio {
        /// The limit.
        limit: u64,
    },
    /// Too many symbolic links.
    #[error("its symbolic links have more than {limit} bytes")]
    TooManyLinks {
        /// The limit, in bytes.
        limit: u64,
    },

    /// A file could not be written.
    #[error("cannot write `{entry}`")]
    Write {
        /// The entry.
        entry: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The folder itself cannot be opened.
    #[error("cannot open the folder to unpack into")]
    Folder(#[source] io::Error),
    /// Nobody wants it any more.
    #[error("it was stopped")]
    Unwanted,
}

impl UnpackError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        let advice = match self {
            Self::CloneReference => advice::CLONE_REFERENCE,
            Self::OtherArchive { .. } => advice::OTHER_ARCHIVE,
            Self::BareFile { .. } => "pack it as a zip, also if it is one file only",
            Self::WindowsName { .. } => "pack it with a program that writes `/` between folders",
            Self::Encrypted { .. } => "pack it without a password; KMS encrypts the artifact as a whole",
            Self::UnknownMethod { .. } => "pack it with deflate, or uncompressed",
            Self::UnknownType { .. } => "pack plain files, folders and links only",
            Self::Collides { .. } => "rename one of them: not every file system can hold both",
            Self::TooManyEntries { .. } | Self::TooManyBytes { .. } | Self::FileTooLong { .. } => {
                "leave out of the artifact what no stage needs, such as `.git` and installed dependencies"
            }
            Self::LeavingLink { .. } | Self::LeavingHardLink { .. } => {
                "link to files of the artifact only, by relative paths"
            }
            Self::Write { source, .. } if is_full(source) => {
                "give the worker more disk space for its temporary files"
            }
            Self::Read(_)
            | Self::BadZip { .. }
            | Self::BadTar { .. }
            | Self::BadGzip(_)
            | Self::NoName
            | Self::NulName { .. }
            | Self::NotUtf8 { .. }
            | Self::LongName { .. }
            | Self::Parent { .. }
            | Self::Absolute { .. }
            | Self::Twice { .. }
            | Self::FileAndFolder { .. }
            | Self::ThroughLink { .. }
            | Self::LinkChain { .. }
            | Self::LinkTarget { .. }
            | Self::HardLinkToNoFile { .. }
            | Self::Device { .. }
            | Self::WrongSize { .. }
            | Self::Contradiction { .. }
            | Self::Overlap { .. }
            | Self::Damaged { .. }
            | Self::Ratio { .. }
            | Self::TooManyLinks { .. }
            | Self::Write { .. }
            | Self::Folder(_)
            | Self::Unwanted => return None,
        };
        Some(advice)
    }

    /// The kind of failure that this is: the artifact's fault, or that of the machine that unpacks it.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Read(_) | Self::Write { .. } | Self::Folder(_) => Kind::FarEnd,
            Self::Unwanted => Kind::Terminated,
            _ => Kind::Input,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
