//! What an action's configuration says to the worker: where slipway.toml is, and which variables it may name.

use crate::config::written::{Checkout, Environment};
use crate::failure::{Failure, Kind};
use crate::pipeline::action_type::properties::{BRANCH, COMMIT, CONFIG, PATH, SECRETS, VARIABLES};
use crate::pipeline::job::{Artifact, Job};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// What an action's configuration says.
#[derive(Debug, Clone)]
pub struct Properties {
    /// The folder of slipway.toml, relative to an artifact's root.
    pub path: PathBuf,
    /// The configuration file, relative to `path`.
    pub config: PathBuf,
    /// Commit and branch, as far as they are known.
    pub checkout: Checkout,
    /// Every variable that the configuration may name. The worker's own environment is not among them: it holds what no
    /// job may see.
    pub environment: Environment,
}

impl Properties {
    /// Reads the configuration of a job.
    ///
    /// # Errors
    /// Every property that is wrong, by name; no value is repeated.
    pub fn of(job: &Job) -> Result<Self, Failure> {
        let mut problems = Vec::new();
        let text = |name: &str| {
            let value = job.configuration.get(name).map(|value| value.expose().trim());
            value.filter(|value| !value.is_empty())
        };
        let path = relative(text(PATH).unwrap_or(".")).unwrap_or_else(|| {
            problems.push(format!("`{PATH}` must be a folder below the artifact's root"));
            PathBuf::new()
        });
        let config = relative(text(CONFIG).unwrap_or("slipway.toml")).unwrap_or_else(|| {
            problems.push(format!("`{CONFIG}` must be a file below `{PATH}`"));
            PathBuf::new()
        });
        let mut variables = BTreeMap::new();
        for name in [VARIABLES, SECRETS] {
            match text(name).map(object) {
                None => {}
                Some(Some(entries)) => variables.extend(entries),
                Some(None) => problems.push(format!(
                    "`{name}` must be a JSON object of strings: {{\"NAME\": \"value\"}}"
                )),
            }
        }
        if !problems.is_empty() {
            let what = "the action's configuration is wrong";
            return Err(Failure::new(Kind::Usage, what)
                .problems(problems)
                .left("nothing was done"));
        }
        let commit = text(COMMIT).map(str::to_owned);
        Ok(Self {
            path,
            config,
            checkout: Checkout {
                commit: commit.or_else(|| job.inputs.iter().find_map(commit_of)),
                branch: text(BRANCH).map(str::to_owned),
            },
            environment: variables.into_iter().collect(),
        })
    }
}

/// The commit that an artifact is of: git's name of one. An S3 source has a version id instead, which is none.
fn commit_of(artifact: &Artifact) -> Option<String> {
    let is_commit =
        |text: &&String| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    artifact.revision.as_ref().filter(is_commit).cloned()
}

fn object(text: &str) -> Option<BTreeMap<String, String>> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else {
        return None;
    };
    members
        .into_iter()
        .map(|(name, value)| Some((name, value.as_str()?.to_owned())))
        .collect()
}

/// A path that stays below where it starts.
fn relative(text: &str) -> Option<PathBuf> {
    let plain = |component: Component<'_>| match component {
        Component::Normal(name) => Some(Some(PathBuf::from(name))),
        Component::CurDir => Some(None),
        Component::ParentDir | Component::RootDir | Component::Prefix(_) => None,
    };
    let parts: Option<Vec<Option<PathBuf>>> = Path::new(text).components().map(plain).collect();
    Some(parts?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::Properties;
    use crate::pipeline::job::{Artifact, Context, Job, JobId};
    use std::path::Path;

    fn job(configuration: &[(&str, &str)], revision: Option<&str>) -> Job {
        Job {
            id: JobId::new("1"),
            action_type: "Build/Slipway/1".parse().unwrap(),
            account: "000000000000".to_owned(),
            context: Context::default(),
            configuration: configuration
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into()))
                .collect(),
            inputs: vec![Artifact {
                name: "Source".to_owned(),
                revision: revision.map(str::to_owned),
                bucket: "artifacts".to_owned(),
                key: "shop/Source/abc".to_owned(),
            }],
            outputs: Vec::new(),
            continuation: None,
            key: None,
        }
    }

    #[test]
    fn without_properties_the_root_has_slipway_toml_and_the_source_knows_its_commit() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let properties = Properties::of(&job(&[("Fleet", "default")], Some(commit))).unwrap();
        assert_eq!(
            (properties.path.as_path(), properties.config.as_path()),
            (Path::new(""), Path::new("slipway.toml"))
        );
        assert_eq!(properties.checkout.commit.as_deref(), Some(commit));
        let of_s3 = Properties::of(&job(&[], Some("L4kqtJlcpXroDTDmpUMLUo"))).unwrap();
        assert_eq!(of_s3.checkout.commit, None);
    }

    #[test]
    fn variables_and_secrets_are_an_environment_of_their_own() {
        let configuration = [
            ("Path", "./services/web/"),
            ("Commit", "abc"),
            ("Branch", "main"),
            ("Variables", r#"{"A": "1"}"#),
            ("Secrets", r#"{"TOKEN": "canary", "LONG": "canary-of-more"}"#),
        ];
        let properties = Properties::of(&job(&configuration, None)).unwrap();
        assert_eq!(properties.path, Path::new("services/web"));
        assert_eq!(properties.environment.value("A"), Some("1"));
        assert_eq!(properties.environment.value("TOKEN"), Some("canary"));
        assert_eq!(properties.environment.value("PATH"), None);
        assert!(!format!("{properties:?}").contains("canary"));
    }

    #[test]
    fn every_wrong_property_is_named_and_no_value_is_repeated() {
        let configuration = [
            ("Path", "../canary"),
            ("Config", "/etc/canary"),
            ("Variables", "canary"),
            ("Secrets", r#"{"A": 1}"#),
        ];
        let failure = Properties::of(&job(&configuration, None)).unwrap_err();
        assert_eq!(failure.evidence.len(), 4);
        assert!(!failure.evidence.join(" ").contains("canary"));
    }
}
