//! What is asked of a rollout, as data.

use crate::ecs::rollout::{Expected, Goal, Policy};
use crate::name::ContainerName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is asked of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// `healthy` or `steady`.
    pub until: Until,
    /// From the update to giving up, in seconds; none if nobody gives up.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// Containers with a health check of their own.
    #[serde(default)]
    pub checked: BTreeSet<String>,
    /// The digests that prove each container's image.
    #[serde(default)]
    pub images: BTreeMap<String, Digests>,
    /// Whether a desired count of 0 is accepted.
    #[serde(default)]
    pub allow_zero: bool,
}

/// When a rollout counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Until {
    /// See [`Goal::Healthy`].
    Healthy,
    /// See [`Goal::Steady`].
    Steady,
}

/// The digests that prove an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// The digest that was deployed.
    pub deployed: String,
    /// The platform manifests, if that is an index.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub platforms: BTreeSet<String>,
    /// Whether it is known what the deployed digest is.
    pub resolved: bool,
}

impl Asked {
    /// The policy as data.
    #[must_use]
    pub fn of(policy: &Policy) -> Self {
        let digests = |expected: &Expected| Digests {
            deployed: expected.deployed.to_string(),
            platforms: expected.platforms.iter().map(ToString::to_string).collect(),
            resolved: expected.resolved,
        };
        Self {
            until: match policy.goal {
                Goal::Healthy => Until::Healthy,
                Goal::Steady => Until::Steady,
            },
            timeout: Some(policy.timeout.as_secs_f64()).filter(|_| policy.timeout != Duration::MAX),
            checked: policy.checked.iter().map(ToString::to_string).collect(),
            images: policy
                .images
                .iter()
                .map(|(container, expected)| (container.to_string(), digests(expected)))
                .collect(),
            allow_zero: policy.allow_zero,
        }
    }

    /// The policy; an error names what is wrong.
    pub(super) fn policy(&self) -> Result<Policy, String> {
        let name = |text: &String| text.parse::<ContainerName>().map_err(|error| error.to_string());
        let digest = |text: &String| {
            text.parse()
                .map_err(|error: crate::name::NameError| error.to_string())
        };
        let mut images = BTreeMap::new();
        for (container, digests) in &self.images {
            let expected = Expected {
                deployed: digest(&digests.deployed)?,
                platforms: digests.platforms.iter().map(digest).collect::<Result<_, _>>()?,
                resolved: digests.resolved,
            };
            images.insert(name(container)?, expected);
        }
        Ok(Policy {
            goal: match self.until {
                Until::Healthy => Goal::Healthy,
                Until::Steady => Goal::Steady,
            },
            timeout: match self.timeout {
                Some(seconds) => time(seconds)?,
                None => Duration::MAX,
            },
            checked: self.checked.iter().map(name).collect::<Result<_, _>>()?,
            images,
            allow_zero: self.allow_zero,
        })
    }
}

/// A time in seconds.
pub(super) fn time(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{seconds} s: {error}"))
}
