//! The address of an Engine, and which of several is meant.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where an Engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port; TLS when `secure`, or when the settings around it ask for TLS.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// Written as `https://`.
        secure: bool,
    },
}

/// Why a text is no address of an Engine that we can talk to; `Display` says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// `npipe://`: named pipes exist on Windows only.
    #[error("`{0}` is a Windows named pipe; expose the Engine on a TCP port and use `tcp://`")]
    NamedPipe(String),
    /// `ssh://`.
    #[error(
        "`{0}` goes through SSH; forward the socket with `ssh -L /tmp/docker.sock:/var/run/docker.sock` and use `unix:///tmp/docker.sock`"
    )]
    Ssh(String),
    /// Another scheme, or none.
    #[error("`{0}` starts with none of `unix://`, `tcp://`, `http://`, `https://`")]
    Scheme(String),
    /// A TCP address that is not `host:port`.
    #[error("`{0}` is not of the form `host:port`")]
    HostPort(String),
    /// A socket without a path.
    #[error("`{0}` names no socket")]
    NoPath(String),
}

impl Address {
    /// Whether it is a TCP address.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp { .. })
    }

    /// Whether the address itself asks for TLS.
    #[must_use]
    pub fn wants_tls(&self) -> bool {
        matches!(self, Self::Tcp { secure: true, .. })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| AddressError::Scheme(text.to_owned()))?;
        let tcp = |default, secure| {
            host_port(rest, default, secure).ok_or_else(|| AddressError::HostPort(text.to_owned()))
        };
        match scheme {
            "unix" if rest.is_empty() => Err(AddressError::NoPath(text.to_owned())),
            "unix" => Ok(Self::Unix(PathBuf::from(rest))),
            // Docker's own ports: 2375 without TLS, 2376 with it.
            "tcp" | "http" => tcp(2375, false),
            "https" => tcp(2376, true),
            "npipe" => Err(AddressError::NamedPipe(text.to_owned())),
            "ssh" => Err(AddressError::Ssh(text.to_owned())),
            _ => Err(AddressError::Scheme(text.to_owned())),
        }
    }
}

fn host_port(text: &str, default_port: u16, secure: bool) -> Option<Address> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() || text.contains(['/', '@', '?', '#', ' ']) {
        return None;
    }
    let (host, port) = match text.rsplit_once(':') {
        // The last colon of `[::1]` belongs to the address.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, default_port),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(host) => host,
        None if host.contains(':') => return None,
        None if host.is_empty() => "127.0.0.1",
        None => host,
    };
    Some(Address::Tcp {
        host: host.to_owned(),
        port,
        secure,
    })
}

/// Which endpoint is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The one of `DOCKER_HOST`.
    Host(String),
    /// The one of a context.
    Context(String),
    /// The default socket.
    Default,
}

/// Docker's order: `DOCKER_HOST`, `DOCKER_CONTEXT`, the configuration's current context, the default. Empty values
/// count as absent, and the context named `default` is the default socket.
#[must_use]
pub fn choose(host: Option<&str>, context: Option<&str>, current: Option<&str>) -> Choice {
    let filled = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(host) = filled(host) {
        return Choice::Host(host);
    }
    match filled(context).or_else(|| filled(current)) {
        Some(name) if name != "default" => Choice::Context(name),
        _ => Choice::Default,
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, AddressError, Choice, choose};

    #[test]
    fn addresses_are_read_as_docker_reads_them() {
        for (text, shown) in [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
            ("tcp://engine", "tcp://engine:2375"),
            ("tcp://:4243", "tcp://127.0.0.1:4243"),
            ("tcp://[::1]:2376/", "tcp://[::1]:2376"),
            ("tcp://[::1]", "tcp://[::1]:2375"),
            ("http://engine:80", "tcp://engine:80"),
            ("https://engine", "tcp://engine:2376"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert_eq!(address.wants_tls(), text.starts_with("https"), "{text}");
        }
    }

    #[test]
    fn addresses_that_cannot_be_reached_say_why() {
        type Wrong = fn(String) -> AddressError;
        let cases: [(&str, Wrong); 9] = [
            ("npipe:////./pipe/docker_engine", AddressError::NamedPipe),
            ("ssh://me@host", AddressError::Ssh),
            ("/var/run/docker.sock", AddressError::Scheme),
            ("fd://", AddressError::Scheme),
            ("unix://", AddressError::NoPath),
            ("tcp://host:x", AddressError::HostPort),
            ("tcp://", AddressError::HostPort),
            ("tcp://host:1/prefix", AddressError::HostPort),
            ("tcp://::1:2375", AddressError::HostPort),
        ];
        for (text, wrong) in cases {
            assert_eq!(text.parse::<Address>(), Err(wrong(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn the_order_is_dockers() {
        let context = |name: &str| Choice::Context(name.to_owned());
        for (host, name, current, choice) in [
            (
                Some("tcp://h"),
                Some("a"),
                Some("b"),
                Choice::Host("tcp://h".to_owned()),
            ),
            (Some(""), Some("a"), Some("b"), context("a")),
            (None, None, Some("b"), context("b")),
            (None, Some(""), Some("b"), context("b")),
            (None, Some("default"), Some("b"), Choice::Default),
            (None, None, Some("default"), Choice::Default),
            (None, None, None, Choice::Default),
        ] {
            assert_eq!(choose(host, name, current), choice);
        }
    }
}
