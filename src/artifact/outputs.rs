//! The companions of imagedefinitions.json: imageDetail.json, a metadata JSON and an env file, as texts.

use super::imagedefinitions::PushedImage;
use crate::name::ContainerName;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The name that CodePipeline's blue/green action looks for at the root of its input artifact.
pub const IMAGE_DETAIL: &str = "imageDetail.json";

/// Everything that the metadata JSON tells of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// The image in its registry.
    pub pushed: PushedImage,
    /// The containers that run it.
    pub containers: Vec<ContainerName>,
    /// The Engine's image id.
    pub id: String,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Size on disk, in bytes.
    pub size: u64,
    /// When its build began, since the Unix epoch.
    pub started: Duration,
    /// When the registry confirmed it, since the Unix epoch.
    pub finished: Duration,
}

/// Why an output cannot be written for these images.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// imageDetail.json names exactly one image.
    #[error("`imageDetail.json` names one image, and this run has {images}")]
    NotOneImage {
        /// How many there are.
        images: usize,
    },
    /// Two images would set the same variables.
    #[error("images `{first}` and `{second}` would both set `{variable}` in the env file")]
    SameVariable {
        /// The image that sets it first.
        first: String,
        /// The image that sets it again.
        second: String,
        /// The variable.
        variable: String,
    },
}

/// imageDetail.json: `{"ImageURI": ...}`, the member that CodeDeploy's blue/green action reads.
///
/// # Errors
/// [`OutputError::NotOneImage`].
pub fn image_detail(images: &[ImageRecord]) -> Result<String, OutputError> {
    match images {
        [only] => Ok(pretty(&json!({ "ImageURI": only.pushed.reference.to_string() }))),
        _ => Err(OutputError::NotOneImage { images: images.len() }),
    }
}

/// The metadata JSON: one object per image, in the plan's order. Times are RFC 3339, in UTC.
#[must_use]
pub fn metadata(images: &[ImageRecord]) -> String {
    let images: Vec<Value> = images
        .iter()
        .map(|record| {
            let containers: Vec<&str> = record.containers.iter().map(ContainerName::as_str).collect();
            json!({
                "image": record.pushed.image,
                "reference": record.pushed.reference.to_string(),
                "digest": record.pushed.digest.as_str(),
                "tags": record.pushed.tags,
                "platform": record.platform,
                "imageId": record.id,
                "sizeInBytes": record.size,
                "containers": containers,
                "started": rfc3339(record.started),
                "finished": rfc3339(record.finished),
            })
        })
        .collect();
    pretty(&json!({ "images": images }))
}

/// A file of `export NAME='value'` lines that any POSIX shell sources, so that a buildspec's `exported-variables` see
/// them: `SLIPWAY_WEB_IMAGE`, `SLIPWAY_WEB_DIGEST` and, for the first tag, `SLIPWAY_WEB_TAG`.
///
/// # Errors
/// [`OutputError::SameVariable`] when the names of two images differ only in what a variable cannot hold.
pub fn env_file(images: &[ImageRecord]) -> Result<String, OutputError> {
    check_variables(images.iter().map(|record| record.pushed.image.as_str()))?;
    let mut text = String::new();
    for record in images {
        let prefix = prefix_of(&record.pushed.image);
        let mut export = |suffix: &str, value: &str| {
            text.push_str(&format!("export {prefix}_{suffix}={}\n", quoted(value)));
        };
        export("IMAGE", &record.pushed.reference.to_string());
        export("DIGEST", record.pushed.digest.as_str());
        if let Some(tag) = record.pushed.tags.first() {
            export("TAG", tag);
        }
    }
    Ok(text)
}

/// Whether every image has variables of its own; asked before anything is built.
///
/// # Errors
/// [`OutputError::SameVariable`].
pub fn check_variables<'a>(images: impl IntoIterator<Item = &'a str>) -> Result<(), OutputError> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for second in images {
        let prefix = prefix_of(second);
        if let Some(first) = seen.insert(prefix.clone(), second) {
            return Err(OutputError::SameVariable {
                first: first.to_owned(),
                second: second.to_owned(),
                variable: format!("{prefix}_IMAGE"),
            });
        }
    }
    Ok(())
}

/// `SLIPWAY_` and the image's name in capitals; what a variable's name cannot hold becomes `_`.
fn prefix_of(image: &str) -> String {
    let name: String = image
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("SLIPWAY_{name}")
}

/// Single quotes keep every character but themselves.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn rfc3339(since_epoch: Duration) -> String {
    i64::try_from(since_epoch.as_secs())
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|instant| instant.format(&Rfc3339).ok())
        .unwrap_or_default()
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::{ImageRecord, OutputError, env_file, image_detail, metadata, quoted};
    use crate::artifact::imagedefinitions::PushedImage;
    use crate::name::Digest;
    use proptest::prelude::*;
    use std::io::Write;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    fn record(image: &str) -> ImageRecord {
        let repository = format!("registry.example.com/shop/{}", image.to_ascii_lowercase());
        let tags = ["v1".parse().unwrap(), "latest".parse().unwrap()];
        ImageRecord {
            pushed: PushedImage::confirmed(image, &repository.parse().unwrap(), Digest::of(b"web"), &tags),
            containers: vec!["web".parse().unwrap()],
            id: "sha256:1".to_owned(),
            platform: "linux/amd64".to_owned(),
            size: 1024,
            started: Duration::from_secs(1_700_000_000),
            finished: Duration::from_millis(1_700_000_009_999),
        }
    }

    /// What a POSIX shell has after it sourced the text.
    fn sourced(text: &str, show: &str) -> String {
        let mut shell = Command::new("sh")
            .args(["-eu"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let script = format!("{text}\nprintf '%s' \"{show}\"\n");
        shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = shell.wait_with_output().unwrap();
        assert!(output.status.success(), "{script}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn image_detail_names_exactly_one_image_by_digest() {
        let web = record("web");
        assert_eq!(
            image_detail(std::slice::from_ref(&web)).unwrap(),
            format!(
                "{{\n  \"ImageURI\": \"registry.example.com/shop/web@{}\"\n}}\n",
                web.pushed.digest
            )
        );
        for images in [vec![], vec![web, record("worker")]] {
            let expected = OutputError::NotOneImage { images: images.len() };
            assert_eq!(image_detail(&images), Err(expected));
        }
    }

    #[test]
    fn metadata_tells_everything_of_each_image() {
        let digest = Digest::of(b"web");
        let expected = format!(
            r#"{{
  "images": [
    {{
      "image": "web",
      "reference": "registry.example.com/shop/web@{digest}",
      "digest": "{digest}",
      "tags": [
        "v1",
        "latest"
      ],
      "platform": "linux/amd64",
      "imageId": "sha256:1",
      "sizeInBytes": 1024,
      "containers": [
        "web"
      ],
      "started": "2023-11-14T22:13:20Z",
      "finished": "2023-11-14T22:13:29Z"
    }}
  ]
}}
"#
        );
        assert_eq!(metadata(&[record("web")]), expected);
    }

    #[test]
    fn a_shell_that_sources_the_env_file_has_the_variables() {
        let text = env_file(&[record("web"), record("Log-router.2")]).unwrap();
        let show = "$SLIPWAY_WEB_IMAGE|$SLIPWAY_WEB_DIGEST|$SLIPWAY_WEB_TAG|$SLIPWAY_LOG_ROUTER_2_IMAGE";
        let digest = Digest::of(b"web");
        let host = "registry.example.com/shop";
        assert_eq!(
            sourced(&text, show),
            format!("{host}/web@{digest}|{digest}|v1|{host}/log-router.2@{digest}")
        );
    }

    #[test]
    fn two_images_that_would_share_a_variable_are_refused() {
        let error = env_file(&[record("a-b"), record("web"), record("a.b")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "images `a-b` and `a.b` would both set `SLIPWAY_A_B_IMAGE` in the env file"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn quoting_keeps_any_value_whole(value in "[^\\x00\\r]{0,40}") {
            prop_assert_eq!(sourced(&format!("export V={}", quoted(&value)), "$V"), value);
        }
    }
}
