//! An image's config, as far as it says what the image is.

use serde::Deserialize;
use std::collections::BTreeMap;

/// What a config says of its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
}

/// A text that is no config.
#[derive(Debug, thiserror::Error)]
#[error("the image's config is not readable")]
pub struct ConfigError(#[source] serde_json::Error);

#[derive(Deserialize)]
struct Document {
    os: String,
    architecture: String,
    variant: Option<String>,
    config: Option<Defaults>,
}

#[derive(Deserialize)]
struct Defaults {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

impl ImageConfig {
    /// Reads a config's text; Docker's and OCI's are alike here.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        let document: Document = serde_json::from_slice(text).map_err(ConfigError)?;
        let parts = [Some(document.os), Some(document.architecture), document.variant];
        let parts: Vec<String> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        Ok(Self {
            platform: parts.join("/"),
            labels: document
                .config
                .and_then(|defaults| defaults.labels)
                .unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ImageConfig;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn a_config_gives_its_platform_and_labels() {
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        for (document, platform, labels) in [
            (
                json!({ "os": "linux", "architecture": "arm64", "variant": "v8", "config": { "Labels": { "a": "b" } } }),
                "linux/arm64/v8",
                labels,
            ),
            (
                json!({ "os": "linux", "architecture": "amd64", "variant": "", "config": { "Labels": null } }),
                "linux/amd64",
                BTreeMap::new(),
            ),
            (
                json!({ "os": "linux", "architecture": "amd64", "config": null }),
                "linux/amd64",
                BTreeMap::new(),
            ),
            (
                json!({ "os": "linux", "architecture": "amd64", "rootfs": {} }),
                "linux/amd64",
                BTreeMap::new(),
            ),
        ] {
            let platform = platform.to_owned();
            let read = ImageConfig::parse(document.to_string().as_bytes()).unwrap();
            assert_eq!(read, ImageConfig { platform, labels }, "{document}");
        }
    }

    #[test]
    fn a_text_that_is_no_config_is_none() {
        for text in [
            "",
            "{}",
            r#"{"os":"linux"}"#,
            r#"{"os":"linux","architecture":"amd64","config":{"Labels":[]}}"#,
        ] {
            let error = ImageConfig::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "the image's config is not readable", "{text}");
        }
    }
}
