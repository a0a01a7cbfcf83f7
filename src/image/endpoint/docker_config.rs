//! Docker's `config.json`, its contexts and its credential helpers' answers: what their texts mean.

use crate::image::daemon::RegistryAuth;
use crate::secret::Secret;
use base64::Engine as _;
use serde::Deserialize;
use serde_json::error::Category;
use std::collections::BTreeMap;

/// The name under which Docker keeps the credentials of Docker Hub.
pub const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// The user name with which a helper says that the password is an identity token.
pub const TOKEN_USER: &str = "<token>";

/// What we read of `config.json`. Its `Debug` shows no credentials.
#[derive(Debug, Default, Deserialize)]
pub struct DockerConfig {
    /// The context in use.
    #[serde(default, rename = "currentContext")]
    pub current_context: Option<String>,
    #[serde(default)]
    auths: BTreeMap<String, StoredAuth>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct StoredAuth {
    #[serde(default, deserialize_with = "secret")]
    auth: Option<Secret<String>>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    password: Option<Secret<String>>,
    #[serde(default, rename = "identitytoken", deserialize_with = "secret")]
    identity_token: Option<Secret<String>>,
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Secret<String>>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
}

/// Where a registry's credentials are.
#[derive(Debug)]
pub enum Source {
    /// There are none.
    Nowhere,
    /// In the configuration itself.
    Stored(RegistryAuth),
    /// A program has them.
    Helper {
        /// The program: `docker-credential-...`.
        program: String,
        /// What to ask it for.
        server: String,
    },
}

/// The context's part that we need.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContextMeta {
    pub(super) host: String,
    pub(super) skip_tls_verify: bool,
}

/// Where a text of Docker's is not of the form that Docker writes. serde's own words would repeat the value that it
/// stumbled over, which may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line} column {column}")]
pub struct Misread {
    problem: &'static str,
    line: usize,
    column: usize,
}

impl Misread {
    fn of(error: &serde_json::Error) -> Self {
        Self {
            problem: match error.classify() {
                Category::Syntax => "this is no JSON",
                Category::Eof => "the JSON breaks off",
                Category::Data => "a value of another type than Docker writes",
                Category::Io => "it cannot be read",
            },
            line: error.line(),
            column: error.column(),
        }
    }
}

impl DockerConfig {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// The place in the text that is no JSON or of the wrong type.
    pub fn parse(text: &[u8]) -> Result<Self, Misread> {
        serde_json::from_slice(text).map_err(|error| Misread::of(&error))
    }

    /// Where the credentials of a registry are, in Docker's order: its own helper, the store, the file.
    #[must_use]
    pub fn source(&self, registry: &str) -> Source {
        let server = server_of(registry);
        let named = |map: &BTreeMap<String, String>| {
            map.iter()
                .find(|(key, _)| registry_of(key) == registry_of(&server))
                .map(|(_, helper)| helper.clone())
        };
        let store = self.store.clone().filter(|name| !name.is_empty());
        if let Some(helper) = named(&self.helpers).or(store) {
            return Source::Helper {
                program: format!("docker-credential-{helper}"),
                server,
            };
        }
        self.auths
            .iter()
            .filter(|(key, _)| registry_of(key) == registry_of(&server))
            .find_map(|(_, stored)| stored.credentials(&server))
            .map_or(Source::Nowhere, Source::Stored)
    }
}

impl StoredAuth {
    fn credentials(&self, server: &str) -> Option<RegistryAuth> {
        let auth = |username: String, password: Secret<String>| RegistryAuth {
            username,
            password,
            server: server.to_owned(),
        };
        if let Some(token) = &self.identity_token {
            return Some(auth(TOKEN_USER.to_owned(), token.clone()));
        }
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            return Some(auth(username.clone(), password.clone()));
        }
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(self.auth.as_ref()?.expose())
            .ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.split_once(':')?;
        Some(auth(
            username.to_owned(),
            Secret::new(password.trim_end_matches('\0').to_owned()),
        ))
    }
}

/// The key under which Docker asks for a registry's credentials.
fn server_of(registry: &str) -> String {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" | DOCKER_HUB => DOCKER_HUB.to_owned(),
        other => other.to_owned(),
    }
}

/// The host of a key of `auths`, which may be a whole URL.
#[must_use]
pub fn registry_of(key: &str) -> &str {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    bare.split('/').next().unwrap_or(bare)
}

/// Reads a context's `meta.json`.
pub(super) fn parse_context(text: &[u8]) -> Result<ContextMeta, Misread> {
    #[derive(Deserialize)]
    struct Meta {
        #[serde(rename = "Endpoints")]
        endpoints: Endpoints,
    }
    #[derive(Deserialize)]
    struct Endpoints {
        docker: Docker,
    }
    #[derive(Deserialize)]
    struct Docker {
        #[serde(rename = "Host")]
        host: String,
        #[serde(default, rename = "SkipTLSVerify")]
        skip_tls_verify: bool,
    }
    let meta: Meta = serde_json::from_slice(text).map_err(|error| Misread::of(&error))?;
    let docker = meta.endpoints.docker;
    Ok(ContextMeta {
        host: docker.host,
        skip_tls_verify: docker.skip_tls_verify,
    })
}

/// Reads what a helper printed. A helper that has nothing fails with a text of its own, which is not an error.
pub(super) fn parse_helper_answer(
    succeeded: bool,
    stdout: &[u8],
    server: &str,
) -> Result<Option<RegistryAuth>, &'static str> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "Username")]
        username: String,
        #[serde(rename = "Secret", deserialize_with = "secret")]
        password: Option<Secret<String>>,
    }
    if !succeeded {
        let text = String::from_utf8_lossy(stdout);
        return match text.trim() {
            "credentials not found in native keychain" => Ok(None),
            _ => Err("it failed"),
        };
    }
    let answer: Answer =
        serde_json::from_slice(stdout).map_err(|_| "its answer is not of the agreed form")?;
    Ok(answer.password.map(|password| RegistryAuth {
        username: answer.username,
        password,
        server: server.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::{ContextMeta, DockerConfig, Source, parse_context, parse_helper_answer, registry_of};

    fn config(text: &str) -> DockerConfig {
        DockerConfig::parse(text.as_bytes()).unwrap()
    }

    fn stored(config: &DockerConfig, registry: &str) -> Option<(String, String)> {
        match config.source(registry) {
            Source::Stored(auth) => Some((auth.username, auth.password.expose().clone())),
            Source::Nowhere | Source::Helper { .. } => None,
        }
    }

    fn helper(config: &DockerConfig, registry: &str) -> Option<(String, String)> {
        match config.source(registry) {
            Source::Helper { program, server } => Some((program, server)),
            Source::Nowhere | Source::Stored(_) => None,
        }
    }

    fn pair(a: &str, b: &str) -> Option<(String, String)> {
        Some((a.to_owned(), b.to_owned()))
    }

    #[test]
    fn stored_credentials_are_found_by_host() {
        let config = config(
            r#"{"auths": {
                "https://index.docker.io/v1/": {"auth": "bWU6aHVi"},
                "registry.example.com": {"auth": "bWU6cGFzczp3b3Jk"},
                "https://old.example.com/v1/": {"username": "u", "password": "p"},
                "token.example.com": {"auth": "MDA6", "identitytoken": "id"},
                "broken.example.com": {"auth": "%%%"},
                "empty.example.com": {}
            }, "HttpHeaders": {"X": "y"}}"#,
        );
        assert_eq!(stored(&config, "registry.example.com"), pair("me", "pass:word"));
        assert_eq!(stored(&config, "docker.io"), pair("me", "hub"));
        assert_eq!(stored(&config, "registry-1.docker.io"), pair("me", "hub"));
        assert_eq!(stored(&config, "old.example.com"), pair("u", "p"));
        assert_eq!(stored(&config, "token.example.com"), pair("<token>", "id"));
        for nobody in ["broken.example.com", "empty.example.com", "other.example.com"] {
            assert_eq!(stored(&config, nobody), None, "{nobody}");
        }
        assert!(!format!("{config:?}").contains("bWU6"));
    }

    #[test]
    fn what_cannot_be_read_is_placed_and_never_quoted() {
        for (text, why) in [
            (
                r#"{"auths": {"r": "canary"}}"#,
                "a value of another type than Docker writes",
            ),
            (
                r#"{"auths": {"r": {"auth": 4711}}}"#,
                "a value of another type than Docker writes",
            ),
            (r#"{"auths": {"r": {"auth": "canary"#, "the JSON breaks off"),
            ("auth: canary", "this is no JSON"),
        ] {
            let error = DockerConfig::parse(text.as_bytes()).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                shown.starts_with(why) && shown.contains(" at line 1 column "),
                "{shown}"
            );
            assert!(!shown.contains("canary") && !shown.contains("4711"), "{shown}");
        }
    }

    #[test]
    fn helpers_come_before_what_is_stored() {
        let config = config(
            r#"{"auths": {"a.example.com": {"auth": "bWU6aHVi"}},
                "credHelpers": {"a.example.com": "ecr-login"}, "credsStore": "desktop"}"#,
        );
        assert_eq!(
            helper(&config, "a.example.com"),
            pair("docker-credential-ecr-login", "a.example.com")
        );
        assert_eq!(
            helper(&config, "docker.io"),
            pair("docker-credential-desktop", "https://index.docker.io/v1/")
        );
    }

    #[test]
    fn a_helpers_answer_is_read_and_never_quoted() {
        let auth = parse_helper_answer(true, br#"{"ServerURL":"s","Username":"u","Secret":"p"}"#, "s")
            .unwrap()
            .unwrap();
        assert_eq!(
            (auth.username.as_str(), auth.password.expose().as_str()),
            ("u", "p")
        );
        let none = parse_helper_answer(false, b"credentials not found in native keychain\n", "s");
        assert!(none.unwrap().is_none());
        assert_eq!(
            parse_helper_answer(false, b"canary", "s").unwrap_err(),
            "it failed"
        );
        let error = parse_helper_answer(true, b"canary", "s").unwrap_err();
        assert_eq!(error, "its answer is not of the agreed form");
    }

    #[test]
    fn a_context_names_its_engine() {
        let meta = parse_context(
            br#"{"Name":"x","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://e:2376","SkipTLSVerify":true}}}"#,
        );
        assert_eq!(
            meta.unwrap(),
            ContextMeta {
                host: "tcp://e:2376".to_owned(),
                skip_tls_verify: true
            }
        );
        assert!(parse_context(b"{}").is_err());
    }

    #[test]
    fn keys_of_auths_may_be_urls() {
        for (key, host) in [
            ("https://index.docker.io/v1/", "index.docker.io"),
            ("http://localhost:5000", "localhost:5000"),
            ("localhost:5000", "localhost:5000"),
        ] {
            assert_eq!(registry_of(key), host);
        }
    }
}
