//! The Docker Engine: build, tag and push.
//!
//! It streams the context, folds the Engine's messages with `transcript`, and tells progress; it decides nothing.

mod build;
mod error;
mod messages;
mod push;
pub mod wire;

pub use error::EngineError;

use super::endpoint::{EngineEnv, TOKEN_USER, locate};
use crate::config::settings::ImageSettings;
use crate::name::{Digest, ImageRef};
use crate::secret::Secret;
use base64::Engine as _;
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion, Docker};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use std::collections::BTreeMap;
use std::time::Duration;
use wire::{Wire, WireError};

/// What the Engine answers at once (inspect, tag) it answers within this, also on a busy machine.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);
/// Since this API version the Engine's `Builder-Version` header says which builder it wants; before, it said
/// "classic" on every Engine.
const BUILDER_VERSION_MEANS_IT: (usize, usize) = (1, 42);

/// A connection to an Engine, its API version negotiated.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    wire: Wire,
    env: EngineEnv,
    has_buildkit: bool,
}

/// Credentials for one registry.
#[derive(Debug, Clone)]
pub struct RegistryAuth {
    /// User name; `AWS` for ECR.
    pub username: String,
    /// Password or token.
    pub password: Secret<String>,
    /// The registry's address.
    pub server: String,
}

/// What to build.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The image's settings: context, Dockerfile, arguments, target, platform, secrets, cache, builder.
    pub image: ImageSettings,
    /// All labels, the OCI annotations included; the one of [`crate::image::source`] is added to them.
    pub labels: BTreeMap<String, String>,
    /// Names to give the result: `registry/repository:tag`.
    pub names: Vec<ImageRef>,
    /// Credentials for pulling bases, by registry host.
    pub auth: BTreeMap<String, RegistryAuth>,
}

/// What the Engine built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct BuiltImage {
    /// The Engine's image id: the config's digest, or the index's on the containerd store.
    pub id: String,
    /// The digest of what it was built from, as its label says: [`crate::image::source`].
    pub source: Digest,
    /// `os/architecture[/variant]` of the result.
    pub platform: String,
    /// Its size on disk, in bytes.
    pub size: u64,
}

/// Reaches an Engine; gives its answer to a ping, which says what it is.
async fn ping(env: &EngineEnv, patience: Duration) -> Result<(Wire, http::Response<Incoming>), EngineError> {
    let endpoint = locate(env).map_err(EngineError::Locate)?;
    let wire = Wire::new(&endpoint).map_err(EngineError::unreachable)?;
    let asked = wire.send(http::Request::get("/_ping"), Empty::<Bytes>::new());
    let ping = tokio::time::timeout(patience, asked)
        .await
        .map_err(|_| EngineError::Silent(wire.address().clone()))?
        .map_err(EngineError::unreachable)?;
    if !ping.status().is_success() {
        return Err(EngineError::Unwell {
            address: wire.address().clone(),
            status: ping.status().as_u16(),
        });
    }
    Ok((wire, ping))
}

impl Engine {
    /// Connects and negotiates the API version.
    ///
    /// # Errors
    /// [`EngineError`] when no Engine answers at the endpoint.
    pub async fn connect(env: &EngineEnv) -> Result<Self, EngineError> {
        let (wire, ping) = ping(env, ANSWER_PATIENCE).await?;
        let header = |name: &str| ping.headers().get(name).and_then(|value| value.to_str().ok());
        let is_windows = header("ostype") == Some("windows");
        let wants_classic = header("builder-version") == Some("1");
        let docker = negotiate(&wire, env).await?;
        let version = docker.client_version();
        let api = (version.major_version, version.minor_version);
        Ok(Self {
            wire: wire.speaking(api.0, api.1),
            docker,
            env: env.clone(),
            has_buildkit: !is_windows && (!wants_classic || api < BUILDER_VERSION_MEANS_IT),
        })
    }

    /// Whether an Engine answers at all; waited for as long as `patience`.
    ///
    /// # Errors
    /// [`EngineError`] when none does.
    pub async fn answers(env: &EngineEnv, patience: Duration) -> Result<(), EngineError> {
        ping(env, patience).await.map(drop)
    }

    /// The API version that is spoken: `1.41`.
    #[must_use]
    pub fn api_version(&self) -> String {
        let version = self.docker.client_version();
        format!("{}.{}", version.major_version, version.minor_version)
    }
}

/// A client for the plain calls. Each request goes over our own wire, so that one place knows how to connect.
async fn negotiate(wire: &Wire, env: &EngineEnv) -> Result<Docker, EngineError> {
    let client = |wire: Wire, version: &ClientVersion| {
        let send = move |request: BollardRequest| {
            let wire = wire.clone();
            async move { wire.exchange(request).await.map_err(into_bollard) }
        };
        Docker::connect_with_custom_transport(send, Some("http://docker"), ANSWER_PATIENCE.as_secs(), version)
            .map_err(|source| EngineError::Negotiate(Box::new(source)))
    };
    let version = match env.api_version.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => parse_version(text)?,
        None => client(wire.clone(), API_DEFAULT_VERSION)?
            .negotiate_version()
            .await
            .map_err(|source| EngineError::Negotiate(Box::new(source)))?
            .client_version(),
    };
    let (major, minor) = (version.major_version, version.minor_version);
    client(wire.clone().speaking(major, minor), &version)
}

fn parse_version(text: &str) -> Result<ClientVersion, EngineError> {
    let number = |text: &str| text.parse::<usize>().ok();
    text.trim_start_matches('v')
        .split_once('.')
        .and_then(|(major, minor)| Some((number(major)?, number(minor)?)))
        .map(|(major_version, minor_version)| ClientVersion {
            major_version,
            minor_version,
        })
        .ok_or_else(|| EngineError::BadApiVersion(text.to_owned()))
}

fn into_bollard(error: WireError) -> bollard::errors::Error {
    match error {
        WireError::Connect { source, .. } => bollard::errors::Error::IOError { err: source },
        WireError::Exchange(err) => bollard::errors::Error::HyperResponseError { err },
        WireError::Compose(err) => bollard::errors::Error::HttpClientError { err },
        error @ WireError::TlsFiles(..) => bollard::errors::Error::IOError {
            err: std::io::Error::other(error),
        },
    }
}

/// Credentials as the Engine's headers carry them: JSON in URL-safe base64.
impl RegistryAuth {
    fn document(&self) -> serde_json::Value {
        let password = self.password.expose();
        if self.username == TOKEN_USER {
            return serde_json::json!({ "identitytoken": password, "serveraddress": self.server });
        }
        serde_json::json!({ "username": self.username, "password": password, "serveraddress": self.server })
    }
}

/// The value of `X-Registry-Auth` (one document) or `X-Registry-Config` (documents by registry); marked sensitive, so
/// that no log of headers shows it.
fn auth_header(document: &serde_json::Value) -> Option<http::HeaderValue> {
    let text = base64::engine::general_purpose::URL_SAFE.encode(document.to_string());
    let mut value = http::HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::{RegistryAuth, auth_header, parse_version};
    use crate::secret::Secret;
    use base64::Engine as _;

    #[test]
    fn credentials_travel_url_safe_and_are_never_shown() {
        let auth = |username: &str| RegistryAuth {
            username: username.to_owned(),
            password: Secret::new("~~~???".to_owned()),
            server: "r.example.com".to_owned(),
        };
        let value = auth_header(&auth("me").document()).unwrap();
        let decoded = base64::engine::general_purpose::URL_SAFE
            .decode(value.as_bytes())
            .unwrap();
        let document: serde_json::Value = serde_json::from_slice(&decoded).unwrap();
        assert_eq!(
            document,
            serde_json::json!({"username": "me", "password": "~~~???", "serveraddress": "r.example.com"})
        );
        assert_eq!(format!("{value:?}"), "Sensitive");
        assert_eq!(
            auth("<token>").document(),
            serde_json::json!({"identitytoken": "~~~???", "serveraddress": "r.example.com"})
        );
    }

    #[test]
    fn an_api_version_is_two_numbers() {
        let version = parse_version("1.41").unwrap();
        assert_eq!((version.major_version, version.minor_version), (1, 41));
        for bad in ["", "1", "1.x", "one.two"] {
            assert!(parse_version(bad).is_err(), "{bad}");
        }
    }
}
