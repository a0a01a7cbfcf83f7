//! What the Engine could not do.

use super::wire::WireError;
use crate::failure::Kind;
use crate::image::endpoint::{Address, EndpointError};
use crate::image::files::ContextError;
use crate::image::session::SessionError;
use crate::image::transcript::{BuildFailure, PushFailure};
use crate::name::ImageRef;
use std::error::Error;
use std::io;
use std::path::PathBuf;

/// What the Engine could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// It is not clear which Engine is meant.
    #[error("cannot find out which Docker Engine to use")]
    Locate(#[source] EndpointError),
    /// The socket does not exist: no Engine runs here.
    #[error("no Docker Engine runs here: there is no socket `{}`", .0.display())]
    NoSocket(PathBuf),
    /// We may not open the socket.
    #[error("the Docker Engine's socket `{}` may not be opened by this user", .0.display())]
    SocketDenied(PathBuf),
    /// Nothing answers at the address.
    #[error("no Docker Engine answers at `{address}`")]
    Unreachable {
        /// Where.
        address: Address,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The connection failed before a request could be made.
    #[error("cannot talk to the Docker Engine")]
    Talk(#[source] WireError),
    /// Something accepts the connection and does not answer.
    #[error("the Docker Engine at `{0}` accepts the connection and does not answer")]
    Silent(Address),
    /// Its ping is answered with an error.
    #[error("the Docker Engine at `{address}` answers its ping with status {status}")]
    Unwell {
        /// Where.
        address: Address,
        /// The HTTP status.
        status: u16,
    },
    /// `DOCKER_API_VERSION` is no version.
    #[error("`DOCKER_API_VERSION` is `{0}`, which is not of the form `1.41`")]
    BadApiVersion(String),
    /// No API version could be agreed on.
    #[error("cannot agree on an API version with the Docker Engine")]
    Negotiate(#[source] Box<bollard::errors::Error>),
    /// The context cannot be sent.
    #[error("the build context cannot be used")]
    Context(#[source] ContextError),
    /// Secrets need BuildKit, and the classic builder was asked for or is all there is.
    #[error("build secrets need BuildKit, which {}", if *.asked { "the setting `builder` rules out" } else { "this Docker Engine does not offer" })]
    SecretsNeedBuildKit {
        /// Whether the settings ask for the classic builder.
        asked: bool,
    },
    /// BuildKit was asked for, and this Engine does not have it.
    #[error("this Docker Engine does not offer BuildKit")]
    NoBuildKit,
    /// The session that BuildKit needs could not be opened.
    #[error("cannot open a build session with the Docker Engine")]
    OpenSession(#[source] SessionError),
    /// The build ran and failed, or the Engine refused it.
    #[error("the image `{image}` did not build")]
    Build {
        /// The image's table name.
        image: String,
        /// The step, its line and its last lines.
        #[source]
        failure: Box<BuildFailure>,
    },
    /// The Engine went away, or its stream was cut.
    #[error("the Docker Engine went away during the {during}")]
    Gone {
        /// `build`, `push`.
        during: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The Engine sent something that is no message.
    #[error("the Docker Engine's messages during the {during} cannot be understood")]
    Garbled {
        /// `build`, `push`.
        during: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The built image cannot be looked at.
    #[error("cannot inspect the image `{id}`")]
    Inspect {
        /// The image.
        id: String,
        /// The cause.
        #[source]
        source: Box<bollard::errors::Error>,
    },
    /// The image could not be given a name.
    #[error("cannot tag the image as `{name}`")]
    Tag {
        /// The name.
        name: ImageRef,
        /// The cause.
        #[source]
        source: Box<bollard::errors::Error>,
    },
    /// A push needs a name with a tag.
    #[error("`{0}` cannot be pushed: it has no tag")]
    NoTag(ImageRef),
    /// The push ran and failed, or the Engine refused it.
    #[error("the push of `{name}` failed")]
    Push {
        /// The name.
        name: ImageRef,
        /// The sort and the registry's words.
        #[source]
        failure: Box<PushFailure>,
    },
    /// The registry does not tell the digest behind a name.
    #[error("the registry does not tell the digest of `{name}`")]
    RegistryDigest {
        /// The name.
        name: ImageRef,
        /// The sort and the registry's words.
        #[source]
        failure: Box<PushFailure>,
    },
    /// We were asked to stop; what was being done was cancelled in the Engine.
    #[error("the {during} was stopped")]
    Stopped {
        /// `build`, `push`.
        during: &'static str,
        /// Which signal asked.
        by: Kind,
    },
}

impl EngineError {
    /// Sorts why there is no connection.
    pub(super) fn unreachable(error: WireError) -> Self {
        match error {
            WireError::Connect {
                address: Address::Unix(path),
                source,
            } => match source.kind() {
                io::ErrorKind::NotFound => Self::NoSocket(path),
                io::ErrorKind::PermissionDenied => Self::SocketDenied(path),
                _ => Self::Unreachable {
                    address: Address::Unix(path),
                    source,
                },
            },
            WireError::Connect { address, source } => Self::Unreachable { address, source },
            error @ (WireError::TlsFiles(..) | WireError::Exchange(_) | WireError::Compose(_)) => {
                Self::Talk(error)
            }
        }
    }

    /// Whether the same call may succeed when it is made again: the registry or the connection to it failed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Push { failure, .. } | Self::RegistryDigest { failure, .. } => failure.is_transient(),
            Self::Locate(_)
            | Self::NoSocket(_)
            | Self::SocketDenied(_)
            | Self::Unreachable { .. }
            | Self::Talk(_)
            | Self::Silent(_)
            | Self::Unwell { .. }
            | Self::BadApiVersion(_)
            | Self::Negotiate(_)
            | Self::Context(_)
            | Self::SecretsNeedBuildKit { .. }
            | Self::NoBuildKit
            | Self::OpenSession(_)
            | Self::Build { .. }
            | Self::Gone { .. }
            | Self::Garbled { .. }
            | Self::Inspect { .. }
            | Self::Tag { .. }
            | Self::NoTag(_)
            | Self::Stopped { .. } => false,
        }
    }
}
