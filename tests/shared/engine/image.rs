//! Images of the double: what a context makes of them, and what a registry is sent.

use serde_json::{Value, json};
use slipway::name::Digest;
use std::collections::BTreeMap;
use std::io::Read as _;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An image: a configuration, one layer, and the manifest that names both.
pub struct Image {
    /// The configuration's digest.
    pub id: String,
    pub config: Vec<u8>,
    pub layer: Vec<u8>,
    pub manifest: Vec<u8>,
}

impl Image {
    /// The manifest's media type.
    pub const MEDIA_TYPE: &str = MANIFEST;

    /// The manifest's digest.
    pub fn digest(&self) -> String {
        Digest::of(&self.manifest).to_string()
    }
}

/// What a build prints, and what it makes.
pub struct Built {
    pub lines: Vec<String>,
    /// The image, or what the last step died of.
    pub image: Result<Image, String>,
}

/// Builds what the context holds. `RUN echo WORDS` prints its words, arguments of the build filled in; `RUN exit N` ends
/// the build; every other instruction does nothing. The same context and labels make the same image, unless there is a
/// serial.
///
/// # Errors
/// A context without the Dockerfile.
pub fn build(context: &[u8], query: &BTreeMap<String, String>, serial: Option<u64>) -> Result<Built, String> {
    let wanted = query.get("dockerfile").map_or("Dockerfile", String::as_str);
    let mut dockerfile = None;
    let mut content = BTreeMap::new();
    let mut archive = tar::Archive::new(context);
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let path = entry.path_bytes();
        let path = String::from_utf8_lossy(&path).trim_start_matches("./").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if path == wanted {
            dockerfile = Some(String::from_utf8_lossy(&bytes).into_owned());
        }
        content.insert(path, Digest::of(&bytes).to_string());
    }
    let dockerfile = dockerfile.ok_or_else(|| format!("Cannot locate specified Dockerfile: {wanted}"))?;
    let arguments: BTreeMap<String, String> = map_of(query.get("buildargs"));
    let labels: BTreeMap<String, String> = map_of(query.get("labels"));
    let steps: Vec<&str> = dockerfile
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let mut lines = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        lines.push(format!("Step {}/{} : {step}\n", at + 1, steps.len()));
        if let Some(words) = step.strip_prefix("RUN echo ") {
            let filled = arguments.iter().fold(words.to_owned(), |words, (name, value)| {
                words.replace(&format!("${name}"), value)
            });
            lines.push(format!("{filled}\n"));
        }
        if let Some(code) = step.strip_prefix("RUN exit ") {
            let problem = format!("The command '/bin/sh -c exit {code}' returned a non-zero code: {code}");
            return Ok(Built {
                lines,
                image: Err(problem),
            });
        }
    }
    let image = make(&json!({ "files": content, "serial": serial }), &labels);
    Ok(Built {
        lines,
        image: Ok(image),
    })
}

fn map_of(text: Option<&String>) -> BTreeMap<String, String> {
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn make(content: &Value, labels: &BTreeMap<String, String>) -> Image {
    let layer = content.to_string().into_bytes();
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": { "Labels": labels },
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer).to_string()] },
    });
    let config = config.to_string().into_bytes();
    let blob = |kind: &str, bytes: &[u8]| json!({ "mediaType": kind, "size": bytes.len(), "digest": Digest::of(bytes).to_string() });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob("application/vnd.docker.container.image.v1+json", &config),
        "layers": [blob("application/vnd.docker.image.rootfs.diff.tar.gzip", &layer)],
    });
    Image {
        id: Digest::of(&config).to_string(),
        manifest: manifest.to_string().into_bytes(),
        config,
        layer,
    }
}
