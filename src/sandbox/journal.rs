//! The journal: one JSON object per request, flushed line by line, without credentials and values of environments.
//!
//! Independent referees read it, so a removed value stays a text: `[removed]`.

use crate::secret::Secret;
use crate::secret::redact::{REMOVED, environment_values, hide, unless_public};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

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

/// Elements of XML documents that carry credentials (AssumeRole).
const SECRET_ELEMENTS: &[&str] = &["SecretAccessKey", "SessionToken"];

/// Maps of texts that may hold secret properties of CodePipeline's actions.
const SECRET_MAPS: &[&str] = &["configuration", "resolvedConfiguration"];

/// Bodies of text are written whole up to this size; larger ones by their size and hash.
const TEXT_LIMIT: usize = 1024 * 1024;

/// A file that gets one line per request.
#[derive(Debug)]
pub struct Journal(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    /// Values of environments that went by: a container may write one to its log.
    values: Vec<Secret<String>>,
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
    /// Whose request it is: `account`, or the ARN of a session; `None` when nobody signed it.
    pub principal: Option<&'a str>,
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
    /// Creates the file, which only its owner may read, or empties it.
    ///
    /// # Errors
    /// Those of creating a file.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let file = options.open(path)?;
        // One that was there keeps its mode.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if file.metadata()?.is_file() {
                file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            }
        }
        Ok(Self(Mutex::new(Inner {
            file,
            values: Vec::new(),
        })))
    }

    /// Appends a request.
    ///
    /// # Errors
    /// Those of writing a file.
    pub fn write(&self, entry: &Entry<'_>) -> io::Result<()> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let documents = [entry.request_body, entry.body].map(document);
        for document in documents.iter().flatten() {
            inner.learn(document);
        }
        let [request, answer] = documents;
        let request = show_body(entry.request_body, request, &inner.values);
        let answer = show_body(entry.body, answer, &inner.values);
        let mut line = shown(entry, &request, &answer).to_string();
        line.push('\n');
        inner.file.write_all(line.as_bytes())?;
        inner.file.flush()
    }
}

impl Inner {
    /// Keeps the values of the environments in a document.
    fn learn(&mut self, document: &Value) {
        match document {
            Value::Object(members) => {
                let variables = members.get("environment").and_then(Value::as_array);
                let pairs = variables.into_iter().flatten().filter_map(|variable| {
                    Some((variable.get("name")?.as_str()?, variable.get("value")?.as_str()?))
                });
                let found = environment_values(pairs);
                if !found.is_empty() {
                    self.values.extend(found);
                    self.values = unless_public(std::mem::take(&mut self.values), &[]);
                }
                members.values().for_each(|member| self.learn(member));
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
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

fn shown(entry: &Entry<'_>, request: &Value, answer: &Value) -> Value {
    json!({
        "time": entry.time,
        "service": entry.service,
        "operation": entry.operation,
        "principal": entry.principal,
        "request": {
            "method": entry.method,
            "path": without_secrets(entry.path),
            "headers": show_headers(entry.request_headers),
            "body": request,
        },
        "status": entry.status,
        "response": {
            "headers": show_headers(entry.headers),
            "body": answer,
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

/// A body as JSON, if it is a document.
fn document(body: &Body) -> Option<Value> {
    match body {
        Body::Text(text) if text.starts_with(['{', '[']) => serde_json::from_str(text).ok(),
        Body::Text(_) | Body::Empty | Body::Binary { .. } => None,
    }
}

/// A document that nothing is removed from stays as it came, to the letter.
fn show_body(body: &Body, document: Option<Value>, values: &[Secret<String>]) -> Value {
    match (body, document) {
        (Body::Empty, _) => Value::String(String::new()),
        (Body::Text(text), Some(json)) => {
            let mut cleaned = json.clone();
            clean(&mut cleaned, values);
            Value::String(if cleaned == json {
                text.clone()
            } else {
                cleaned.to_string()
            })
        }
        (Body::Text(text), None) if text.starts_with("Action=") => {
            Value::String(without_secret_parameters(text))
        }
        (Body::Text(text), None) => {
            let mut text = without_secret_elements(text);
            hide(&mut text, values);
            Value::String(text)
        }
        (Body::Binary { bytes, sha256 }, _) => json!({ "bytes": bytes, "sha256": sha256 }),
    }
}

/// Removes credentials and values of environments; what was a text stays one.
fn clean(json: &mut Value, values: &[Secret<String>]) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                if SECRET_MEMBERS.contains(&name.as_str()) && value.is_string() {
                    *value = Value::from(REMOVED);
                    continue;
                }
                if SECRET_MAPS.contains(&name.as_str())
                    && let Value::Object(entries) = &mut *value
                {
                    entries
                        .values_mut()
                        .filter(|value| value.is_string())
                        .for_each(|value| *value = Value::from(REMOVED));
                }
                if let ("environment", Value::Array(variables)) = (name.as_str(), &mut *value) {
                    variables
                        .iter_mut()
                        .filter_map(|one| one.get_mut("value"))
                        .filter(|value| value.as_str().is_some_and(|text| !text.is_empty()))
                        .for_each(|value| *value = Value::from(REMOVED));
                }
                clean(value, values);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clean(item, values)),
        Value::String(text) => hide(text, values),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
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

/// An XML document, the content of secret elements removed; they have neither attributes nor elements.
fn without_secret_elements(text: &str) -> String {
    let mut text = text.to_owned();
    for name in SECRET_ELEMENTS {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let mut from = 0;
        while let Some(start) = text[from..].find(&open).map(|at| from + at + open.len()) {
            let Some(end) = text[start..].find(&close).map(|at| start + at) else {
                break;
            };
            text.replace_range(start..end, REMOVED);
            from = start + REMOVED.len();
        }
    }
    text
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
                principal: Some("account"),
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
        assert_eq!(json["principal"], "account");
        assert_eq!(json["request"]["headers"]["x-amz-target"], "kept");
        assert_eq!(json["request"]["path"], "/?X-Amz-Signature=[removed]&x=1");
        assert_eq!(
            json["response"]["body"],
            r#"{"authorizationData":[{"authorizationToken":"[removed]","expiresAt":1.5}]}"#
        );
    }

    #[test]
    fn no_value_of_an_environment_reaches_the_journal_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        std::fs::write(&path, "old").unwrap();
        let journal = Journal::create(&path).unwrap();
        let registered = r#"{"family":"shop","containerDefinitions":[{"name":"web","environment":
            [{"name":"DB_PASSWORD","value":"canary"},{"name":"MODE","value":"canary-mode"},{"name":"N","value":"5canary5A"}]}]}"#;
        let logged = r#"{"events":[{"message":"no access for canary, 5canary5A"}]}"#;
        let text = "not JSON: canary";
        for (request, answer) in [(registered, registered), ("{}", logged), (text, text)] {
            journal
                .write(&Entry {
                    time: 1.5,
                    service: "ecs",
                    operation: "RegisterTaskDefinition",
                    principal: None,
                    method: "POST",
                    path: "/",
                    request_headers: &HeaderMap::new(),
                    request_body: &Body::of(request.as_bytes()),
                    status: Some(200),
                    headers: &HeaderMap::new(),
                    body: &Body::of(answer.as_bytes()),
                })
                .unwrap();
        }
        let all = std::fs::read_to_string(&path).unwrap();
        assert!(!all.contains("canary"), "{all}");
        let first: Value = serde_json::from_str(all.lines().next().unwrap()).unwrap();
        let body: Value = serde_json::from_str(first["request"]["body"].as_str().unwrap()).unwrap();
        let variables = &body["containerDefinitions"][0]["environment"];
        assert_eq!(
            (&variables[0]["name"], &variables[0]["value"]),
            (&"DB_PASSWORD".into(), &"[removed]".into())
        );
        assert!(all.contains("no access for [secret], [secret]"), "{all}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn no_configuration_of_an_action_and_no_key_of_its_artifacts_reaches_the_journal() {
        let job = r#"{"jobs":[{"id":"1","data":{
            "actionConfiguration":{"configuration":{"Fleet":"canary-1","Secrets":"canary-2"}},
            "artifactCredentials":{"accessKeyId":"ASIA1","secretAccessKey":"canary-3","sessionToken":"canary-4"}}}]}"#;
        let shown = show_body(&Body::of(job.as_bytes()), serde_json::from_str(job).ok(), &[]);
        let shown = shown.as_str().unwrap();
        assert!(!shown.contains("canary"), "{shown}");
        assert!(
            shown.contains(r#""Secrets":"[removed]""#) && shown.contains("ASIA1"),
            "{shown}"
        );
        let cluster = r#"{"configuration":{"executeCommandConfiguration":{"logging":"DEFAULT"}}}"#;
        let kept = show_body(
            &Body::of(cluster.as_bytes()),
            serde_json::from_str(cluster).ok(),
            &[],
        );
        assert_eq!(kept, cluster);
    }

    #[test]
    fn a_form_keeps_all_but_its_credentials() {
        let form = "Action=AssumeRoleWithWebIdentity&WebIdentityToken=canary&RoleArn=r";
        assert_eq!(
            show_body(&Body::of(form.as_bytes()), None, &[]),
            "Action=AssumeRoleWithWebIdentity&WebIdentityToken=[removed]&RoleArn=r"
        );
    }

    #[test]
    fn the_keys_of_a_role_s_session_are_removed() {
        let xml = "<C><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>canary</SecretAccessKey>\
                   <SessionToken>canary</SessionToken></C><C><SessionToken>canary</SessionToken></C><SessionToken>";
        assert_eq!(
            show_body(&Body::of(xml.as_bytes()), None, &[]),
            "<C><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>[removed]</SecretAccessKey>\
             <SessionToken>[removed]</SessionToken></C><C><SessionToken>[removed]</SessionToken></C><SessionToken>"
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
