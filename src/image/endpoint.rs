//! Which Engine to talk to: `DOCKER_HOST`, TLS variables, contexts, the default socket.

use std::path::PathBuf;

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
