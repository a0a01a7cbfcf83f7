//! Image references: `registry[:port]/path[:tag][@digest]`, after the distribution reference grammar.

use super::{NameError, wrong};
use std::fmt;
use std::str::FromStr;

/// The registry of a reference that names none.
const DOCKER_HUB: &str = "docker.io";

/// A registry host with an optional port: `123456789012.dkr.ecr.eu-west-1.amazonaws.com`, `localhost:5000`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryHost(String);

/// A repository path below a registry: lower case, any depth.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

/// A tag: up to 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// A content digest: `sha256:` and 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// A parsed image reference; prints back as it was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    /// The registry, if the reference names one (Docker's rule: the first part has a `.`, a `:` or is `localhost`).
    pub registry: Option<RegistryHost>,
    /// The repository path.
    pub repository: Repository,
    /// The tag.
    pub tag: Option<Tag>,
    /// The digest.
    pub digest: Option<Digest>,
}

macro_rules! text_of {
    ($($type:ident),*) => {$(
        impl $type {
            /// The value as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
text_of!(RegistryHost, Repository, Tag, Digest);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::{Digest as _, Sha256};
        use std::fmt::Write as _;
        let mut text = String::from("sha256:");
        for byte in Sha256::digest(bytes) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// The first twelve hex digits, as Docker shows them.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }
}

impl FromStr for Digest {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const WHAT: &str = "image digest";
        let Some(hex) = text.strip_prefix("sha256:") else {
            return Err(wrong(WHAT, text, "it does not start with `sha256:`"));
        };
        if let Some((at, bad)) = hex
            .char_indices()
            .find(|(_, c)| !matches!(c, '0'..='9' | 'a'..='f'))
        {
            return Err(wrong(
                WHAT,
                text,
                format!("{bad:?} at byte {} is no lower-case hex digit", at + 7),
            ));
        }
        if hex.len() != 64 {
            return Err(wrong(
                WHAT,
                text,
                format!("it has {} hex digits, 64 are needed", hex.len()),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const WHAT: &str = "image tag";
        if text.is_empty() {
            return Err(wrong(WHAT, text, "it is empty"));
        }
        if let Some((at, bad)) = text
            .char_indices()
            .find(|(at, c)| !(c.is_ascii_alphanumeric() || *c == '_' || (*at > 0 && matches!(c, '.' | '-'))))
        {
            return Err(wrong(
                WHAT,
                text,
                format!("{bad:?} at byte {at} is not allowed there"),
            ));
        }
        if text.len() > 128 {
            return Err(wrong(
                WHAT,
                text,
                format!("it has {} characters, 128 are allowed", text.len()),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Repository {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const WHAT: &str = "repository name";
        if text.is_empty() {
            return Err(wrong(WHAT, text, "it is empty"));
        }
        if text.len() > 255 {
            return Err(wrong(
                WHAT,
                text,
                format!("it has {} characters, 255 are allowed", text.len()),
            ));
        }
        for part in text.split('/') {
            check_component(part).map_err(|problem| wrong(WHAT, text, problem))?;
        }
        Ok(Self(text.to_owned()))
    }
}

/// One path component: `[a-z0-9]+` runs joined by `.`, `_`, `__` or dashes.
fn check_component(part: &str) -> Result<(), String> {
    if part.is_empty() {
        return Err("a path component is empty".to_owned());
    }
    if let Some(bad) = part
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'))
    {
        let why = if bad.is_ascii_uppercase() {
            "must be lower case"
        } else {
            "is not allowed"
        };
        return Err(format!("{bad:?} in `{part}` {why}"));
    }
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !part.starts_with(alphanumeric) || !part.ends_with(alphanumeric) {
        return Err(format!("`{part}` must start and end with a letter or a digit"));
    }
    let separators = part.split(alphanumeric).filter(|run| !run.is_empty());
    for run in separators {
        if !(matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-')) {
            return Err(format!("`{run}` in `{part}` is no separator"));
        }
    }
    Ok(())
}

impl FromStr for RegistryHost {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const WHAT: &str = "registry host";
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(']') || text.starts_with('[') => (host, Some(port)),
            _ => (text, None),
        };
        let (host, port) = if text.starts_with('[') && text.ends_with(']') {
            (text, None)
        } else {
            (host, port)
        };
        if let Some(port) = port
            && port.parse::<u16>().is_err()
        {
            return Err(wrong(WHAT, text, format!("`{port}` is no port")));
        }
        let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let good = match inside {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.split('.').all(|label| {
                !label.is_empty()
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            }),
        };
        if !good {
            return Err(wrong(WHAT, text, format!("`{host}` is no host name")));
        }
        Ok(Self(text.to_owned()))
    }
}

impl RegistryHost {
    /// Whether this is a private ECR registry (`<account>.dkr.ecr.<region>.amazonaws.com`, its FIPS and China forms).
    #[must_use]
    pub fn is_ecr(&self) -> bool {
        self.ecr_parts().is_some()
    }

    /// The account and region of a private ECR registry.
    #[must_use]
    pub fn ecr_parts(&self) -> Option<(&str, &str)> {
        let rest = self
            .0
            .strip_suffix(".amazonaws.com")
            .or_else(|| self.0.strip_suffix(".amazonaws.com.cn"))?;
        let mut parts = rest.split('.');
        let account = parts.next()?;
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) || parts.next()? != "dkr" {
            return None;
        }
        let service = parts.next()?;
        let region = parts.next()?;
        (matches!(service, "ecr" | "ecr-fips") && parts.next().is_none()).then_some((account, region))
    }
}

impl ImageRef {
    /// The reference without tag and digest: `registry/path`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.repository),
            None => self.repository.to_string(),
        }
    }

    /// The registry's host; Docker Hub's, as Docker calls it, if the reference names none.
    #[must_use]
    pub fn host(&self) -> &str {
        self.registry
            .as_ref()
            .map_or(DOCKER_HUB, |registry| registry.as_str())
    }

    /// The same repository at a tag.
    #[must_use]
    pub fn at_tag(&self, tag: Tag) -> Self {
        Self {
            tag: Some(tag),
            digest: None,
            ..self.clone()
        }
    }

    /// The same repository at a digest, without a tag: the form that is deployed.
    #[must_use]
    pub fn at_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const WHAT: &str = "image reference";
        let part = |error: NameError| wrong(WHAT, text, format!("{}: {}", error.what, error.problem));
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse().map_err(part)?)),
            None => (text, None),
        };
        // A colon after the last slash starts the tag; one before it belongs to the registry's port.
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag.parse().map_err(part)?)),
            _ => (rest, None),
        };
        let (registry, repository) = match path.split_once('/') {
            Some((first, others)) if is_host(first) => (Some(first.parse().map_err(part)?), others),
            _ => (None, path),
        };
        let repository = repository.parse().map_err(part)?;
        Ok(Self {
            registry,
            repository,
            tag,
            digest,
        })
    }
}

/// Docker's rule for telling a registry from the first path component.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':', '[']) || first == "localhost" || first.chars().any(|c| c.is_ascii_uppercase())
}
