//! The journal: one JSON object per request, flushed line by line, with every credential removed.
//!
//! Independent referees read it, so a removed value stays a text: `[removed]`.

use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What stands for a credential.
const REMOVED: &str = "[removed]";

/// Headers that carry credentials.
const SECRET_HEADERS: &[&str] = &[
    "authorization",
    "x-amz-security-token",
    "cookie",
    "set-cookie",
    "proxy-authorization",
];

/// Parameters that carry credentials: of presigned URLs, and of the forms with which a client asks STS for a role.
const SECRET_PARAMETERS: &[&str] = &[
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-credential",
    "webidentitytoken",
    "samlassertion",
    "tokencode",
];

/// Members of JSON documents that carry credentials (GetAuthorizationToken, Docker's login answers).
const SECRET_MEMBERS: &[&str] = &[
    "authorizationToken",
    "password",
    "token",
    "secretAccessKey",
    "sessionToken",
];

/// Bodies of text are written whole up to this size; larger ones by their size and hash.
const TEXT_LIMIT: usize = 1024 * 1024;

/// A file that gets one line per request.
#[derive(Debug)]
pub struct Journal {
    file: Mutex<File>,
}

/// A body as the journal shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// A text.
    Text(String),
    /// Too big, or no text: its size, and its SHA-256 in hex where it was computed.
    Binary {
        /// In bytes.
        bytes: u64,
        /// Of all bytes.
        sha256: Option<String>,
    },
}

/// One request and its answer.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Seconds since the epoch, on the sandbox's clock.
    pub time: f64,
    /// `ecs`, `registry`, ...
    pub service: &'a str,
    /// `DescribeServices`, ...
    pub operation: &'a str,
    /// The HTTP method.
    pub method: &'a str,
    /// The path with its query.
    pub path: &'a str,
    /// The request's headers.
    pub request_headers: &'a HeaderMap,
    /// The request's body.
    pub request_body: &'a Body,
    /// The answer's HTTP status; `None` when the connection was cut.
    pub status: Option<u16>,
    /// The answer's headers.
    pub headers: &'a HeaderMap,
    /// The answer's body.
    pub body: &'a Body,
}

impl Journal {
    /// Creates the file, or empties it.
    ///
    /// # Errors
    /// Those of creating a file.
    pub fn create(path: &Path) -> io::Result<Self> {
        File::create(path).map(|file| Self {
            file: Mutex::new(file),
        })
    }

    /// Appends a request.
    ///
    /// # Errors
    /// Those of writing a file.
    pub fn write(&self, entry: &Entry<'_>) -> io::Result<()> {
        let mut line = shown(entry).to_string();
        line.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes())?;
        file.flush()
    }
}

impl Body {
    /// The body that some bytes are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok("") => Self::Empty,
            Ok(text) if text.len() <= TEXT_LIMIT => Self::Text(text.to_owned()),
            Ok(_) | Err(_) => {
                let digest = super::world::ecr::repository::digest_of(bytes);
                let sha256 = digest.strip_prefix("sha256:").map(str::to_owned);
                Self::Binary {
                    bytes: bytes.len() as u64,
                    sha256,
                }
            }
        }
    }
}

fn shown(entry: &Entry<'_>) -> Value {
    json!({
        "time": entry.time,
        "service": entry.service,
        "operation": entry.operation,
        "request": {
            "method": entry.method,
            "path": without_secrets(entry.path),
            "headers": show_headers(entry.request_headers),
            "body": show_body(entry.request_body),
        },
        "status": entry.status,
        "response": {
            "headers": show_headers(entry.headers),
            "body": show_body(entry.body),
        },
    })
}

fn show_headers(headers: &HeaderMap) -> Value {
    let mut shown = Map::new();
    for (name, value) in headers {
        let value = if SECRET_HEADERS.contains(&name.as_str()) {
            REMOVED.to_owned()
        } else if name == "location" {
            without_secrets(&String::from_utf8_lossy(value.as_bytes()))
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        shown.insert(name.as_str().to_owned(), Value::String(value));
    }
    Value::Object(shown)
}

fn show_body(body: &Body) -> Value {
    match body {
        Body::Empty => Value::String(String::new()),
        Body::Text(text) if text.starts_with("Action=") => Value::String(without_secret_parameters(text)),
        Body::Text(text) => Value::String(clean(text)),
        Body::Binary { bytes, sha256 } => json!({ "bytes": bytes, "sha256": sha256 }),
    }
}

/// The text, with the secret members of a JSON document removed.
fn clean(text: &str) -> String {
    let suspicious = SECRET_MEMBERS.iter().any(|member| text.contains(member));
    if !suspicious {
        return text.to_owned();
    }
    match serde_json::from_str::<Value>(text) {
        Ok(mut json) => {
            remove_members(&mut json);
            json.to_string()
        }
        Err(_) => text.to_owned(),
    }
}

fn remove_members(json: &mut Value) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                if SECRET_MEMBERS.contains(&name.as_str()) && value.is_string() {
                    *value = Value::from(REMOVED);
                } else {
                    remove_members(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(remove_members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A path with its query, the values of secret parameters removed.
fn without_secrets(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else {
        return path.to_owned();
    };
    format!("{path}?{}", without_secret_parameters(query))
}

/// A query, or a form, the values of secret parameters removed.
fn without_secret_parameters(query: &str) -> String {
    let parameters = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, _)) if SECRET_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) => {
            format!("{name}={REMOVED}")
        }
        Some(_) | None => parameter.to_owned(),
    });
    parameters.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::{Body, Entry, Journal, show_body};
    use http::HeaderMap;
    use serde_json::Value;

    #[test]
    fn no_credential_reaches_the_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let journal = Journal::create(&path).unwrap();
        let mut headers = HeaderMap::new();
        for name in ["authorization", "x-amz-security-token", "cookie"] {
            headers.insert(name, "canary".parse().unwrap());
        }
        headers.insert("x-amz-target", "kept".parse().unwrap());
        let answer = r#"{"authorizationData":[{"authorizationToken":"canary","expiresAt":1.5}]}"#;
        journal
            .write(&Entry {
                time: 1.5,
                service: "ecr",
                operation: "GetAuthorizationToken",
                method: "POST",
                path: "/?X-Amz-Signature=canary&x=1",
                request_headers: &headers,
                request_body: &Body::of(b"{}"),
                status: Some(200),
                headers: &HeaderMap::new(),
                body: &Body::of(answer.as_bytes()),
            })
            .unwrap();
        let line = std::fs::read_to_string(&path).unwrap();
        assert!(!line.contains("canary"), "{line}");
        let json: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["request"]["headers"]["x-amz-target"], "kept");
        assert_eq!(json["request"]["path"], "/?X-Amz-Signature=[removed]&x=1");
        assert_eq!(
            json["response"]["body"],
            r#"{"authorizationData":[{"authorizationToken":"[removed]","expiresAt":1.5}]}"#
        );
    }

    #[test]
    fn a_form_keeps_all_but_its_credentials() {
        let form = "Action=AssumeRoleWithWebIdentity&WebIdentityToken=canary&RoleArn=r";
        assert_eq!(
            show_body(&Body::of(form.as_bytes())),
            "Action=AssumeRoleWithWebIdentity&WebIdentityToken=[removed]&RoleArn=r"
        );
    }

    #[test]
    fn what_is_no_text_is_shown_by_size_and_hash() {
        assert_eq!(Body::of(b""), Body::Empty);
        let Body::Binary { bytes, sha256 } = Body::of(&[0xff, 0xfe]) else {
            panic!("not text")
        };
        assert_eq!((bytes, sha256.unwrap().len()), (2, 64));
    }
}
