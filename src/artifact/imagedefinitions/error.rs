//! What can be wrong with an imagedefinitions.json, and what to do about it.

use super::definitions::MAX_BYTES;
use crate::name::{ContainerName, NameError};

/// Why a text is not an imagedefinitions.json; entries are counted from 1, bytes and columns too.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionsError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// More than [`MAX_BYTES`].
    #[error("it has {bytes} bytes, CodePipeline reads up to {MAX_BYTES}")]
    TooLong {
        /// Its length; of a zip's entry or an object that was cut, a lower bound.
        bytes: usize,
    },
    /// It starts with a byte order mark.
    #[error("it starts with a byte order mark ({encoding} BOM), which is no JSON")]
    ByteOrderMark {
        /// `UTF-8`, `UTF-16`.
        encoding: &'static str,
    },
    /// It is not UTF-8.
    #[error("it is not UTF-8: byte {at} cannot be decoded")]
    NotUtf8 {
        /// The first bad byte.
        at: usize,
    },
    /// Strings in single quotes, as a shell's `printf` writes them by mistake.
    #[error("it is not JSON: a single quote at line {line}, column {column}")]
    SingleQuote {
        /// Line.
        line: usize,
        /// Column.
        column: usize,
    },
    /// The parser refused it.
    #[error("it is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The object of a blue/green deployment.
    #[error("it is one object with `ImageURI`, the `imageDetail.json` of blue/green deployments")]
    BlueGreen,
    /// An entry without the list around it.
    #[error("it is one object, a list of them is expected")]
    OneObject,
    /// Something that is neither a list nor an object.
    #[error("it is {found}, a list of objects is expected")]
    NotAList {
        /// `a string`, `a number`, ...
        found: &'static str,
    },
    /// An empty list.
    #[error("it is an empty list: it names no container")]
    NoEntries,
    /// An entry that is no object.
    #[error("entry {entry} is {found}, an object with `name` and `imageUri` is expected")]
    NotAnObject {
        /// Which one.
        entry: usize,
        /// `a string`, `a number`, ...
        found: &'static str,
    },
    /// A member that the format does not have.
    #[error("entry {entry} has an unknown member `{member}`; `name` and `imageUri` are known")]
    UnknownMember {
        /// Which entry.
        entry: usize,
        /// The member.
        member: String,
    },
    /// A member twice in one entry.
    #[error("entry {entry} has `{member}` twice")]
    RepeatedMember {
        /// Which entry.
        entry: usize,
        /// The member.
        member: String,
    },
    /// A member is missing.
    #[error("entry {entry} has no `{member}`")]
    MissingMember {
        /// Which entry.
        entry: usize,
        /// The member.
        member: &'static str,
    },
    /// A member that is no string.
    #[error("`{member}` of entry {entry} is {found}, a string is expected")]
    NotAString {
        /// Which entry.
        entry: usize,
        /// The member.
        member: &'static str,
        /// `a number`, `null`, ...
        found: &'static str,
    },
    /// A name that no container can have.
    #[error("`name` of entry {entry} cannot be a container's")]
    ContainerName {
        /// Which entry.
        entry: usize,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// An image reference that no registry would understand.
    #[error("`imageUri` of entry {entry} (container `{name}`) is no image reference")]
    ImageReference {
        /// Which entry.
        entry: usize,
        /// The container.
        name: ContainerName,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// One container in two entries.
    #[error("container `{name}` is named by entry {first} and by entry {second}")]
    RepeatedContainer {
        /// The container.
        name: ContainerName,
        /// The entry that named it first.
        first: usize,
        /// The entry that named it again.
        second: usize,
    },
}

impl DefinitionsError {
    /// What to do about it, where that is more than to correct the place that the error names.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        const SHAPE: &str = r#"the file looks like [{"name": "web", "imageUri": "repository@sha256:..."}]"#;
        match self {
            Self::Empty | Self::NotAList { .. } | Self::NotAnObject { .. } | Self::NoEntries => {
                Some(SHAPE.to_owned())
            }
            Self::OneObject => Some(format!("put it in a list: {SHAPE}")),
            Self::BlueGreen => Some(format!(
                "`slipway deploy` does rolling deployments and reads imagedefinitions.json; {SHAPE}"
            )),
            Self::ByteOrderMark { .. } => Some(
                "write it without the mark: in PowerShell `Out-File -Encoding utf8NoBOM`, or let `slipway build` write it"
                    .to_owned(),
            ),
            Self::NotUtf8 { .. } => Some("save it as UTF-8".to_owned()),
            Self::SingleQuote { .. } => Some(
                r#"JSON strings take double quotes; in a shell: printf '[{"name":"%s","imageUri":"%s"}]' web "$URI""#
                    .to_owned(),
            ),
            Self::UnknownMember { member, .. } => {
                let meant = ["name", "imageUri"].into_iter().find(|known| known.eq_ignore_ascii_case(member));
                let meant = meant.or_else(|| member.eq_ignore_ascii_case("image").then_some("imageUri"));
                meant.map(|meant| format!("did you mean `{meant}`?"))
            }
            Self::RepeatedContainer { .. } => Some("keep one of the two entries".to_owned()),
            Self::TooLong { .. }
            | Self::NotJson(_)
            | Self::RepeatedMember { .. }
            | Self::MissingMember { .. }
            | Self::NotAString { .. }
            | Self::ContainerName { .. }
            | Self::ImageReference { .. } => None,
        }
    }
}
