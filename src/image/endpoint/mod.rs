//! Which Engine to talk to, and with which credentials for registries: what Docker's own command line would choose.
//!
//! `address` and `docker_config` decide from texts; this module reads the files and runs the credential helpers.

mod address;
mod docker_config;

pub use address::{Address, AddressError, Choice, choose};
pub use docker_config::{DockerConfig, Misread, Source, TOKEN_USER, registry_of};

use super::daemon::RegistryAuth;
use crate::name::Digest;
use crate::secret::Secret;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// A credential helper asks a local keychain or one web service; it is no place to wait for a person.
const HELPER_PATIENCE: Duration = Duration::from_secs(30);

/// What the environment says about the Engine; `config::layers` fills it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineEnv {
    /// `DOCKER_HOST`.
    pub host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub context: Option<String>,
    /// `DOCKER_TLS_VERIFY`: any non-empty value switches verification on.
    pub tls_verify: Option<String>,
    /// `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_CONFIG`, or `$HOME/.docker`.
    pub config_dir: Option<PathBuf>,
    /// `DOCKER_API_VERSION`.
    pub api_version: Option<String>,
}

/// An Engine's endpoint.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Where it listens.
    pub address: Address,
    /// How its certificate is checked and ours is shown; none for a plain connection.
    pub tls: Option<TlsFiles>,
}

/// The PEM files of a TLS connection.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate authority that the Engine's certificate must come from.
    pub ca: Vec<u8>,
    /// Our certificate and its key, if the Engine asks who we are.
    pub client: Option<(Vec<u8>, Secret<Vec<u8>>)>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// Why the endpoint or the credentials cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address is not one that we can talk to.
    #[error("{origin} does not name an Engine that can be reached")]
    BadAddress {
        /// Where the address was written: `DOCKER_HOST`, or which context.
        origin: String,
        /// What is wrong with it.
        #[source]
        source: AddressError,
    },
    /// A context is named that does not exist.
    #[error("there is no Docker context `{name}` in `{}`", path.display())]
    NoContext {
        /// The context.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A context asks for TLS without verification.
    #[error("the Docker context `{0}` skips the verification of the Engine's certificate")]
    UnverifiedContext(String),
    /// A context is not of a form that we know.
    #[error("the Docker context in `{}` cannot be understood", path.display())]
    BadContext {
        /// Its file.
        path: PathBuf,
        /// The place in it.
        #[source]
        source: Misread,
    },
    /// Docker's configuration is no valid JSON.
    #[error("Docker's configuration `{}` cannot be understood", path.display())]
    BadConfig {
        /// The file.
        path: PathBuf,
        /// The place in it; quotes no values.
        #[source]
        source: Misread,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A credential helper cannot be run.
    #[error("cannot run the credential helper `{helper}` for `{registry}`")]
    RunHelper {
        /// The program.
        helper: String,
        /// The registry.
        registry: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A credential helper gave no answer that can be used.
    #[error("the credential helper `{helper}` gave no credentials for `{registry}`: {problem}")]
    HelperAnswer {
        /// The program.
        helper: String,
        /// The registry.
        registry: String,
        /// What happened; never a part of its output.
        problem: String,
    },
}

/// Finds the Engine's endpoint as the Docker command line does: `DOCKER_HOST`, else `DOCKER_CONTEXT`, else the
/// configuration's current context, else the default socket or the first of the usual others that exists.
///
/// # Errors
/// [`EndpointError`] when something is named that cannot be read or reached.
pub fn locate(env: &EngineEnv) -> Result<Endpoint, EndpointError> {
    let config = read_config(env)?;
    match choose(
        env.host.as_deref(),
        env.context.as_deref(),
        config.current_context.as_deref(),
    ) {
        Choice::Host(host) => {
            let address = parse(&host, || "`DOCKER_HOST`".to_owned())?;
            let verify = env.tls_verify.as_deref().is_some_and(|value| !value.is_empty());
            let tls = if address.wants_tls() || (verify && address.is_tcp()) {
                let folder = env.cert_path.clone().or_else(|| env.config_dir.clone());
                Some(read_tls(&folder.unwrap_or_default())?)
            } else {
                None
            };
            Ok(Endpoint { address, tls })
        }
        Choice::Context(name) => from_context(env, &name),
        Choice::Default => Ok(Endpoint {
            address: Address::Unix(default_socket(env)),
            tls: None,
        }),
    }
}

fn parse(host: &str, origin: impl FnOnce() -> String) -> Result<Address, EndpointError> {
    host.parse().map_err(|source| EndpointError::BadAddress {
        origin: origin(),
        source,
    })
}

/// The default socket; if it is absent, the first that exists of Docker Desktop's and the rootless Engine's.
fn default_socket(env: &EngineEnv) -> PathBuf {
    let default = PathBuf::from("/var/run/docker.sock");
    if default.exists() {
        return default;
    }
    let desktop = env
        .config_dir
        .as_ref()
        .map(|folder| folder.join("run/docker.sock"));
    let user = rustix::process::getuid().as_raw();
    let rootless = PathBuf::from(format!("/run/user/{user}/docker.sock"));
    desktop
        .into_iter()
        .chain([rootless])
        .find(|path| path.exists())
        .unwrap_or(default)
}

fn from_context(env: &EngineEnv, name: &str) -> Result<Endpoint, EndpointError> {
    let folder = env.config_dir.clone().unwrap_or_default().join("contexts");
    let digest = Digest::of(name.as_bytes());
    let id = digest.hex();
    let path = folder.join("meta").join(id).join("meta.json");
    let Some(text) = read_if_there(&path)? else {
        return Err(EndpointError::NoContext {
            name: name.to_owned(),
            path: folder,
        });
    };
    let meta =
        docker_config::parse_context(&text).map_err(|source| EndpointError::BadContext { path, source })?;
    let address = parse(&meta.host, || format!("the Docker context `{name}`"))?;
    let tls_folder = folder.join("tls").join(id).join("docker");
    let tls = if address.is_tcp() && (address.wants_tls() || tls_folder.exists()) {
        if meta.skip_tls_verify {
            return Err(EndpointError::UnverifiedContext(name.to_owned()));
        }
        Some(read_tls(&tls_folder)?)
    } else {
        None
    };
    Ok(Endpoint { address, tls })
}

fn read_tls(folder: &Path) -> Result<TlsFiles, EndpointError> {
    let ca_path = folder.join("ca.pem");
    let ca = std::fs::read(&ca_path).map_err(|source| EndpointError::ReadFile {
        path: ca_path,
        source,
    })?;
    let client = match (
        read_if_there(&folder.join("cert.pem"))?,
        read_if_there(&folder.join("key.pem"))?,
    ) {
        (Some(cert), Some(key)) => Some((cert, Secret::new(key))),
        _ => None,
    };
    Ok(TlsFiles { ca, client })
}

fn read_config(env: &EngineEnv) -> Result<DockerConfig, EndpointError> {
    let Some(folder) = &env.config_dir else {
        return Ok(DockerConfig::default());
    };
    let path = folder.join("config.json");
    match read_if_there(&path)? {
        Some(text) => DockerConfig::parse(&text).map_err(|source| EndpointError::BadConfig { path, source }),
        None => Ok(DockerConfig::default()),
    }
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, EndpointError> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(source) => Err(EndpointError::ReadFile {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The credentials that Docker's configuration has for a registry, asked of a credential helper where one is named.
///
/// # Errors
/// [`EndpointError`] when the configuration cannot be read or a helper fails; a registry without credentials is
/// `None`.
pub async fn registry_auth(env: &EngineEnv, registry: &str) -> Result<Option<RegistryAuth>, EndpointError> {
    match read_config(env)?.source(registry) {
        Source::Nowhere => Ok(None),
        Source::Stored(auth) => Ok(Some(auth)),
        Source::Helper { program, server } => ask_helper(&program, &server).await,
    }
}

/// Runs `docker-credential-X get`: the registry on its stdin, a JSON document on its stdout.
async fn ask_helper(program: &str, server: &str) -> Result<Option<RegistryAuth>, EndpointError> {
    let failed = |source| EndpointError::RunHelper {
        helper: program.to_owned(),
        registry: server.to_owned(),
        source,
    };
    let useless = |problem: &str| EndpointError::HelperAnswer {
        helper: program.to_owned(),
        registry: server.to_owned(),
        problem: problem.to_owned(),
    };
    let mut child = tokio::process::Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let conversation = async {
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that does not read its stdin closes it; its answer decides.
            let _ = stdin.write_all(server.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(HELPER_PATIENCE, conversation)
        .await
        .map_err(|_| useless("it took too long"))?
        .map_err(failed)?;
    docker_config::parse_helper_answer(output.status.success(), &output.stdout, server).map_err(useless)
}

#[cfg(test)]
mod tests;
