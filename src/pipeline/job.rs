//! A job as CodePipeline hands it out: plain data, whose `Debug` shows ids and names only.
//!
//! Limits are those of the service's model (API version 2015-07-09).

use super::action_type::properties::FLEET;
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The id of a job: it names one attempt, and changes when the job is handed back with a continuation token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(String);

impl JobId {
    /// Takes an id as CodePipeline gives it.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an action does, as far as slipway serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Builds and pushes images.
    Build,
    /// Deploys them.
    Deploy,
}

impl Category {
    /// As the API writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Build => "Build",
            Self::Deploy => "Deploy",
        }
    }
}

/// A custom action type: the owner is always `Custom`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionTypeId {
    /// What the action does.
    pub category: Category,
    /// The provider: 1 to 35 of letters, digits, `_` and `-`.
    pub provider: String,
    /// The version: 1 to 9 of the same.
    pub version: String,
}

impl fmt::Display for ActionTypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.category.word(), self.provider, self.version)
    }
}

/// Why a text is no action type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` is no action type: {problem}")]
pub struct ActionTypeError {
    /// The text.
    pub input: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl FromStr for ActionTypeId {
    type Err = ActionTypeError;

    fn from_str(text: &str) -> Result<Self, ActionTypeError> {
        let wrong = |problem| ActionTypeError {
            input: text.to_owned(),
            problem,
        };
        let parts: Vec<&str> = text.split('/').collect();
        let [category, provider, version] = parts[..] else {
            return Err(wrong(
                "expected `CATEGORY/PROVIDER/VERSION`, such as `Deploy/Slipway/1`",
            ));
        };
        let category = match category {
            "Build" => Category::Build,
            "Deploy" => Category::Deploy,
            _ => return Err(wrong("the category is `Build` or `Deploy`")),
        };
        let is_word = |text: &str, most: usize| {
            (1..=most).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        if !is_word(provider, 35) {
            return Err(wrong("the provider has 1 to 35 letters, digits, `_` and `-`"));
        }
        if !is_word(version, 9) {
            return Err(wrong("the version has 1 to 9 letters, digits, `_` and `-`"));
        }
        Ok(Self {
            category,
            provider: provider.to_owned(),
            version: version.to_owned(),
        })
    }
}

/// Where in which pipeline a job is from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// The pipeline's name.
    pub pipeline: String,
    /// Its ARN.
    pub pipeline_arn: String,
    /// The execution of the pipeline; a retry of a stage keeps it.
    pub execution: String,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The execution of the action; a retry has a new one, a continuation has not.
    pub action_execution: String,
}

/// An input or output artifact of a job, which is an S3 object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Its name in the pipeline.
    pub name: String,
    /// The source's revision, if CodePipeline knows it.
    pub revision: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// The key, which has no extension that could be relied on.
    pub key: String,
}

/// A job.
#[derive(Clone)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The type of its action.
    pub action_type: ActionTypeId,
    /// The account of the pipeline.
    pub account: String,
    /// Where it is from.
    pub context: Context,
    /// The action's configuration; `secret` properties are in it in clear.
    pub configuration: BTreeMap<String, Secret<String>>,
    /// Input artifacts.
    pub inputs: Vec<Artifact>,
    /// Output artifacts, whose objects do not exist yet.
    pub outputs: Vec<Artifact>,
    /// What the attempt before it handed back.
    pub continuation: Option<String>,
    /// The KMS key (id, ARN or alias) of the artifacts, if it is not the account's own for S3.
    pub key: Option<String>,
}

impl Job {
    /// The fleet that it is for, which a poll asks for by name.
    #[must_use]
    pub fn fleet(&self) -> Option<String> {
        self.configuration.get(FLEET).map(|fleet| fleet.expose().clone())
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("action_type", &self.action_type)
            .field("context", &self.context)
            .field("configuration", &self.configuration.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// The temporary keys of a job for its artifacts: a session of the pipeline's role. CodePipeline does not say when they
/// end; AWS's own workers renew them after 14 minutes.
#[derive(Debug, Clone)]
pub struct ArtifactKeys {
    /// The access key id.
    pub access_key_id: Secret<String>,
    /// The secret access key.
    pub secret_access_key: Secret<String>,
    /// The session token.
    pub session_token: Secret<String>,
}

/// A job that a poll offered: nobody's until it is acknowledged with its nonce.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The job.
    pub job: Job,
    /// What tells CodePipeline that this offer is meant.
    pub nonce: String,
    /// The first keys for the artifacts.
    pub keys: Option<ArtifactKeys>,
}

#[cfg(test)]
mod tests {
    use super::{ActionTypeId, Category};

    #[test]
    fn an_action_type_is_written_as_it_is_read() {
        let deploy: ActionTypeId = "Deploy/Slipway/1".parse().unwrap();
        assert_eq!(
            (deploy.category, deploy.to_string().as_str()),
            (Category::Deploy, "Deploy/Slipway/1")
        );
        for bad in [
            "",
            "Deploy",
            "Test/Slipway/1",
            "Deploy//1",
            "Deploy/S l/1",
            "Deploy/Slipway/1234567890",
        ] {
            assert!(bad.parse::<ActionTypeId>().is_err(), "{bad}");
        }
    }
}
