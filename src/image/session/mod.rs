//! Our side of a BuildKit build: a gRPC server on a connection that the Engine was asked to turn around.
//!
//! `POST /session` with `Upgrade: h2c` makes the Engine the client. It then asks for registry credentials and build
//! secrets while it builds; they go over this connection and nowhere else.

mod services;

use super::daemon::RegistryAuth;
use super::daemon::wire::{Wire, WireError};
use super::endpoint::EngineEnv;
use crate::config::settings::BuildSecret;
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

/// What the Engine may ask for during a build.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// Credentials by registry host; they come before Docker's own configuration.
    pub auth: BTreeMap<String, RegistryAuth>,
    /// Where Docker's configuration is, for every other registry.
    pub env: EngineEnv,
    /// The build's secrets.
    pub secrets: Vec<BuildSecret>,
}

/// An open session; dropping it closes the connection.
#[derive(Debug)]
pub struct Session {
    id: String,
    _serving: JoinSet<()>,
}

/// Why no session could be opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The Engine could not be asked.
    #[error("cannot ask the Engine for a build session")]
    Ask(#[source] WireError),
    /// The Engine said no; an Engine without BuildKit does.
    #[error("the Engine refuses a build session with status {0}")]
    Refused(u16),
    /// The connection could not be turned around.
    #[error("the Engine did not hand the build session over")]
    TakeOver(#[source] hyper::Error),
}

impl Session {
    /// Opens a session and serves it in the background.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn open(wire: &Wire, offer: Offer) -> Result<Self, SessionError> {
        let id = format!("slipway{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let mut request = http::Request::post("/session")
            .header(http::header::CONNECTION, "Upgrade")
            .header(http::header::UPGRADE, "h2c")
            .header("X-Docker-Expose-Session-Uuid", &id)
            .header("X-Docker-Expose-Session-Name", "slipway")
            // BuildKit shares what it keeps of a context between sessions of one key; we send each context anew.
            .header("X-Docker-Expose-Session-Sharedkey", &id);
        for method in services::METHODS {
            request = request.header("X-Docker-Expose-Session-Grpc-Method", method);
        }
        let response = wire
            .send(request, Empty::<Bytes>::new())
            .await
            .map_err(SessionError::Ask)?;
        if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(SessionError::Refused(response.status().as_u16()));
        }
        let connection = hyper::upgrade::on(response)
            .await
            .map_err(SessionError::TakeOver)?;
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let service = TowerToHyperService::new(services::routes(offer));
            let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(connection, service)
                .await;
            // A session that breaks fails the build on the Engine's side, which says so in the build's own stream.
            if let Err(error) = served {
                tracing::debug!(%error, "the build session ended");
            }
        });
        Ok(Self {
            id,
            _serving: serving,
        })
    }

    /// The id to name in the build request.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}
