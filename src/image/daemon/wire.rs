//! The HTTP connection to an Engine: a Unix socket, TCP, or TLS over TCP.
//!
//! Every request has a connection of its own, so that dropping an answer closes it, which stops a build.

use crate::image::endpoint::{Address, Endpoint, TlsFiles};
use bytes::Bytes;
use http::{Request, Response, header};
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// An Engine answers a connection at once, or the network between is broken.
const CONNECT_PATIENCE: Duration = Duration::from_secs(20);

/// Makes connections to one Engine.
#[derive(Clone)]
pub struct Wire {
    address: Address,
    tls: Option<TlsConnector>,
    /// `/v1.41` before every path, once it is negotiated.
    version: Option<String>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Wire").field(&self.address).finish()
    }
}

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No connection.
    #[error("cannot connect to `{address}`")]
    Connect {
        /// Where.
        address: Address,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The TLS files cannot be used.
    #[error("the TLS files for the Engine cannot be used: {0}")]
    TlsFiles(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection broke before an answer came.
    #[error("the Engine closed the connection")]
    Exchange(#[source] hyper::Error),
    /// The request itself is malformed.
    #[error("a request to the Engine cannot be written")]
    Compose(#[source] http::Error),
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Wire {
    /// Prepares connections to an endpoint; nothing is connected yet.
    ///
    /// # Errors
    /// [`WireError::TlsFiles`].
    pub fn new(endpoint: &Endpoint) -> Result<Self, WireError> {
        let tls = endpoint.tls.as_ref().map(tls_connector).transpose()?;
        Ok(Self {
            address: endpoint.address.clone(),
            tls,
            version: None,
        })
    }

    /// The same wire, speaking one version of the API.
    #[must_use]
    pub fn speaking(self, major: usize, minor: usize) -> Self {
        Self {
            version: Some(format!("/v{major}.{minor}")),
            ..self
        }
    }

    /// Where it connects to.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request built from parts and waits for the head of its answer.
    ///
    /// # Errors
    /// [`WireError`].
    pub async fn send<B>(
        &self,
        request: http::request::Builder,
        body: B,
    ) -> Result<Response<Incoming>, WireError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.exchange(request.body(body).map_err(WireError::Compose)?)
            .await
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// [`WireError`].
    pub async fn exchange<B>(&self, mut request: Request<B>) -> Result<Response<Incoming>, WireError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // The path alone goes over the wire; the host is in its header.
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = match &self.version {
            Some(version) if !path.starts_with("/v1.") => format!("{version}{path}"),
            _ => path.to_owned(),
        };
        *request.uri_mut() = path
            .parse()
            .map_err(|error: http::uri::InvalidUri| WireError::Compose(error.into()))?;
        let host = match &self.address {
            Address::Unix(_) => "docker".to_owned(),
            Address::Tcp { host, port, .. } => format!("{host}:{port}"),
        };
        let host = header::HeaderValue::from_str(&host).map_err(|error| WireError::Compose(error.into()))?;
        request.headers_mut().insert(header::HOST, host);
        let stream = tokio::time::timeout(CONNECT_PATIENCE, self.connect())
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
            .map_err(|source| WireError::Connect {
                address: self.address.clone(),
                source,
            })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(WireError::Exchange)?;
        // It ends by itself when the answer is read or dropped.
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::trace!(%error, "a connection to the Engine ended");
            }
        });
        sender.send_request(request).await.map_err(WireError::Exchange)
    }

    async fn connect(&self) -> io::Result<Box<dyn Io>> {
        match (&self.address, &self.tls) {
            (Address::Unix(path), _) => Ok(Box::new(UnixStream::connect(path).await?)),
            (Address::Tcp { host, port, .. }, None) => {
                Ok(Box::new(TcpStream::connect((host.as_str(), *port)).await?))
            }
            (Address::Tcp { host, port, .. }, Some(tls)) => {
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                Ok(Box::new(tls.connect(name, stream).await?))
            }
        }
    }
}

fn tls_connector(files: &TlsFiles) -> Result<TlsConnector, WireError> {
    let bad = |what| move |error: rustls_pki_types::pem::Error| WireError::TlsFiles(what, error.into());
    let unfit = |what| move |error: rustls::Error| WireError::TlsFiles(what, error.into());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&files.ca) {
        let certificate = certificate.map_err(bad("`ca.pem`"))?;
        roots.add(certificate).map_err(unfit("`ca.pem`"))?;
    }
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unfit("the protocol versions"))?
            .with_root_certificates(roots);
    let config = match &files.client {
        Some((certificate, key)) => {
            let chain = CertificateDer::pem_slice_iter(certificate)
                .collect::<Result<Vec<_>, _>>()
                .map_err(bad("`cert.pem`"))?;
            let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(bad("`key.pem`"))?;
            config
                .with_client_auth_cert(chain, key)
                .map_err(unfit("`cert.pem` with `key.pem`"))?
        }
        None => config.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}
