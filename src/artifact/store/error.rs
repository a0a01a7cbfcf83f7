//! What reading or writing an artifact can end with.

use crate::artifact::archive::ArchiveError;
use crate::artifact::imagedefinitions::DefinitionsError;
use crate::aws::sort::{CallError, Sorted};
use crate::failure::{Failure, Kind, Nature};
use std::error::Error;
use std::io;

/// Why an artifact was not read or not written; `place` is a path or an `s3://` address.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such file.
    #[error("`{place}` does not exist")]
    NoFile {
        /// The path.
        place: String,
    },
    /// The file cannot be read.
    #[error("cannot read `{place}`")]
    ReadFile {
        /// The path.
        place: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The bytes are no artifact with an imagedefinitions.json.
    #[error("no imagedefinitions.json can be read from `{place}`")]
    Archive {
        /// Where.
        place: String,
        /// What is wrong.
        #[source]
        source: ArchiveError,
    },
    /// The imagedefinitions.json is bad.
    #[error("the imagedefinitions.json in `{place}` is not valid")]
    Definitions {
        /// Where.
        place: String,
        /// What is wrong.
        #[source]
        source: DefinitionsError,
    },
    /// The bucket does not exist.
    #[error("the bucket of `{place}` does not exist")]
    NoBucket {
        /// The object.
        place: String,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// The object does not exist.
    #[error("`{place}` does not exist")]
    NoObject {
        /// The object.
        place: String,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// The bucket is in another region than the client's.
    #[error("the bucket of `{place}` is in another region{}", region.as_ref().map(|region| format!(", `{region}`")).unwrap_or_default())]
    OtherRegion {
        /// The object.
        place: String,
        /// The bucket's region, where S3 says.
        region: Option<String>,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// S3 did not do it for another reason.
    #[error("cannot {act} `{place}`")]
    Call {
        /// `read`, `write`, `verify`.
        act: &'static str,
        /// The object.
        place: String,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// The object was not received whole.
    #[error("`{place}` was not received whole")]
    Download {
        /// The object.
        place: String,
        /// The connection's error, or the disk's.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The object was replaced by another one while it was read.
    #[error("`{place}` was replaced while it was read")]
    Replaced {
        /// The object.
        place: String,
    },
    /// What is to be written could not be packed.
    #[error("cannot pack what is to be written to `{place}`")]
    Pack {
        /// The object.
        place: String,
        /// What went wrong.
        #[source]
        source: ArchiveError,
    },
    /// The object is longer than any artifact may be.
    #[error("`{place}` has more than {limit} bytes, more than CodePipeline's artifacts may have")]
    TooLong {
        /// The object.
        place: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// S3 holds something other than what was written.
    #[error("S3 does not hold `{place}` as it was written: {difference}")]
    NotAsWritten {
        /// The object.
        place: String,
        /// What differs.
        difference: String,
    },
}

impl StoreError {
    /// The failure to show. What cannot be read is an input's fault; a write that AWS refuses changed nothing.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        let mut failure = Failure::new(self.kind(), self.to_string()).nature(self.nature());
        failure.hints = self.hints();
        // The text of this error is the headline, so the chain goes on below it.
        match self {
            Self::NoFile { .. }
            | Self::TooLong { .. }
            | Self::Replaced { .. }
            | Self::NotAsWritten { .. } => failure,
            Self::ReadFile { source, .. } => failure.because(source),
            Self::Archive { source, .. } | Self::Pack { source, .. } => failure.because(source),
            Self::Definitions { source, .. } => failure.because(source),
            Self::NoBucket { source, .. }
            | Self::NoObject { source, .. }
            | Self::OtherRegion { source, .. }
            | Self::Call { source, .. } => failure.because(*source),
            Self::Download { source, .. } => failure.because(source),
        }
    }

    /// The call that failed, if it was one.
    #[must_use]
    pub const fn call(&self) -> Option<&CallError> {
        match self {
            Self::NoBucket { source, .. }
            | Self::NoObject { source, .. }
            | Self::OtherRegion { source, .. }
            | Self::Call { source, .. } => Some(source),
            Self::NoFile { .. }
            | Self::ReadFile { .. }
            | Self::Archive { .. }
            | Self::Definitions { .. }
            | Self::Download { .. }
            | Self::Replaced { .. }
            | Self::Pack { .. }
            | Self::TooLong { .. }
            | Self::NotAsWritten { .. } => None,
        }
    }

    /// The code of the call that failed, where it has one that is told apart.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match &self.call()?.sorted {
            Sorted::Missing { code } | Sorted::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoFile { .. }
            | Self::ReadFile { .. }
            | Self::Archive { .. }
            | Self::Definitions { .. }
            | Self::NoObject { .. }
            | Self::Pack { .. }
            | Self::TooLong { .. } => Kind::Input,
            Self::NoBucket { .. } | Self::OtherRegion { .. } => Kind::Usage,
            Self::Call {
                act: "read", source, ..
            } => match source.kind() {
                Kind::Refused => Kind::Input,
                other => other,
            },
            Self::Call { source, .. } => source.kind(),
            Self::Download { .. } | Self::Replaced { .. } | Self::NotAsWritten { .. } => Kind::FarEnd,
        }
    }

    /// Whether what was to be written may be there all the same.
    #[must_use]
    pub fn may_be_there(&self) -> bool {
        match self {
            Self::NotAsWritten { .. } | Self::Call { act: "verify", .. } => true,
            Self::Call { source, .. } => source.sorted.is_in_doubt(),
            _ => false,
        }
    }

    fn nature(&self) -> Nature {
        match self {
            Self::NoObject { .. } => Nature::Missing,
            Self::Call { source, .. } => source.nature(),
            Self::Download { .. } | Self::Replaced { .. } => Nature::FarEnd,
            Self::NoFile { .. }
            | Self::ReadFile { .. }
            | Self::Archive { .. }
            | Self::Definitions { .. }
            | Self::NoBucket { .. }
            | Self::OtherRegion { .. }
            | Self::TooLong { .. }
            | Self::Pack { .. }
            | Self::NotAsWritten { .. } => Nature::Plain,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Archive { source, .. } => source.advice().map(str::to_owned).into_iter().collect(),
            Self::Definitions { source, .. } => source.advice().into_iter().collect(),
            Self::NoFile { .. } => {
                vec!["`slipway build` writes it; in a pipeline, check the action's input artifact".to_owned()]
            }
            Self::NoObject { .. } => {
                vec![
                    "check the key; without `s3:ListBucket` S3 says `access denied` for a missing key too"
                        .to_owned(),
                ]
            }
            Self::NoBucket { .. } => vec!["check the bucket's name".to_owned()],
            Self::OtherRegion { region, .. } => vec![match region {
                Some(region) => format!("use a bucket of the pipeline's region, or set AWS_REGION={region}"),
                None => "use a bucket of the pipeline's region, or set AWS_REGION to the bucket's".to_owned(),
            }],
            Self::Call { act, source, .. } if *act == "read" && source.sorted == Sorted::Denied => {
                let either = "either the object is not there, or the role may not read it or decrypt it with its key: \
                              without `s3:ListBucket` S3 says `access denied` of a missing object too";
                let hints = call_hints(source);
                std::iter::once(either.to_owned()).chain(hints).collect()
            }
            Self::Call { source, .. } => call_hints(source),
            Self::NotAsWritten { .. } | Self::Replaced { .. } => {
                vec!["somebody else may write the same key: run again".to_owned()]
            }
            Self::ReadFile { .. } | Self::Download { .. } | Self::Pack { .. } | Self::TooLong { .. } => {
                Vec::new()
            }
        }
    }
}

fn call_hints(call: &CallError) -> Vec<String> {
    match &call.sorted {
        Sorted::Denied => {
            let key_action = if call.action == "s3:PutObject" {
                "kms:GenerateDataKey"
            } else {
                "kms:Decrypt"
            };
            vec![
                format!(
                    "allow `{}` in the role's policy and in the bucket's policy",
                    call.action
                ),
                format!(
                    "an encrypted object also needs `{key_action}` in the role's policy and in the key's policy"
                ),
            ]
        }
        Sorted::Refused { code, .. } if code.starts_with("KMS.") => {
            vec![
                "check the KMS key: it must exist in the bucket's region, be enabled and symmetric"
                    .to_owned(),
            ]
        }
        Sorted::Transient
        | Sorted::Throttled
        | Sorted::ExpiredCredentials
        | Sorted::NoCredentials
        | Sorted::CredentialsFailed
        | Sorted::Missing { .. }
        | Sorted::Refused { .. }
        | Sorted::Garbled
        | Sorted::Foreign { .. }
        | Sorted::Unreachable => call.hint().into_iter().collect(),
    }
}
