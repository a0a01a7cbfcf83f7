//! A capture: what a deploy saw and how it judged, as JSON lines, so that the same can be judged again without AWS.
//!
//! The first line names the format. Then come, as they happened: one line when the watch of a service begins, one line
//! per look, one for the closing look with log lines, one if slipway rolled back, one verdict per service; the last line
//! says how the run ended. A run that was killed leaves whole lines and at most one that is cut.

mod asked;
mod read;
mod replay;
mod scrub;
mod told;

pub use asked::{Asked, Digests, Until};
pub use read::{Capture, CaptureError, Recorded, read};
pub use replay::{Change, Replay, Step, replay};
pub use scrub::Scrub;
pub use told::{Aftermath, Block, End, Told, word};

use super::answers::{self, Answer};
use super::diagnosis::{Comparison, Gathered, Revision};
use super::rollout::{Baseline, Caution, Kept, Ours, Policy, Print, Rollout};
use super::task_definition::TaskDefinition;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The format's name.
pub const FORMAT: &str = "slipway";

/// The format's version. It grows only when an older slipway would misread a newer capture: lines and members that a
/// version does not know are passed over.
pub const VERSION: u32 = 2;

/// One line of a capture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// What the file is; the first line.
    Capture(Header),
    /// The watch of a service begins.
    Service(Box<Head>),
    /// A look, at one service or at several.
    Look(Look),
    /// What was asked once more, to find the cause.
    Closing(Closing),
    /// What came of the rollback that slipway asked for.
    Rollback(Aftermath),
    /// How the run judged a service.
    Verdict(Told),
    /// How the run ended; the last line.
    End(End),
    /// What a kept capture must be judged as; no run writes it.
    Expect(Value),
}

/// What the file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// The version of slipway that wrote it.
    pub slipway: String,
}

/// A service, and what is asked of its rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// Its cluster, as the calls name it.
    pub cluster: String,
    /// `family:revision` that is deployed.
    pub revision: String,
    /// Our deployment's id: `ecs-svc/...`.
    pub deployment: String,
    /// The primary deployment before the update.
    #[serde(default)]
    pub previous: Option<String>,
    /// Its task definition's ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_arn: Option<String>,
    /// An earlier run saw our deployment: this one takes its watch up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub taken_up: bool,
    /// What that run knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// The ids of the other deployments that were there before the update.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub elders: BTreeSet<String>,
    /// The prints of ids of such deployments, where nothing else is known of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub prints: BTreeSet<String>,
    /// `family:revision` that the service ran before; none if nothing was deployed, or nobody knows.
    #[serde(default)]
    pub previous_revision: Option<String>,
    /// The ids of events that were there before the update. A recorder leaves both the ids and the events out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub old_events: BTreeSet<String>,
    /// Nothing was deployed: what runs is proven.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unchanged: bool,
    /// What is asked.
    pub policy: Asked,
    /// The service before the update, as DescribeServices said it, but for its deployments and its events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The task definition that is deployed, without values of the environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<Value>,
    /// The task definition that the service ran before, likewise; none if nothing was deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_task_definition: Option<Value>,
}

/// A look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The services that it was a look at, each as `CLUSTER/NAME`, and the seconds since its update. Version 1 has only
    /// the name.
    pub of: BTreeMap<String, f64>,
    /// What the far ends said.
    pub answers: Vec<Answer>,
}

/// What was asked once more, to find the cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    /// The service.
    pub service: String,
    /// Its cluster, as the calls name it. Version 1 does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What the far ends said.
    pub answers: Vec<Answer>,
    /// What only a diagnosis asks for.
    #[serde(flatten)]
    pub gathered: Gathered,
}

impl Header {
    /// The header of a capture that is written now.
    #[must_use]
    pub fn current() -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            slipway: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Head {
    /// What earlier looks of the watch know of the time before the update.
    #[must_use]
    pub fn baseline(&self) -> Baseline {
        Baseline {
            deployment: self.previous.clone(),
            task_definition: self.previous_arn.clone(),
            elders: self.elders.clone(),
            prints: self.prints(),
            events: self.old_events.clone(),
            caution: self.caution().unwrap_or_default(),
        }
    }

    fn prints(&self) -> BTreeSet<Print> {
        self.prints
            .iter()
            .filter_map(|digits| Print::of_digits(digits))
            .collect()
    }

    /// The judge of its rollout.
    #[must_use]
    pub fn rollout(&self, policy: Policy) -> Rollout {
        let rollout = Rollout::new(policy, self.ours(), self.baseline());
        match &self.kept {
            Some(kept) => rollout.knowing(kept),
            None if self.taken_up => rollout.taken_up(),
            None => rollout,
        }
    }

    /// How the service was told to deploy before the update; a recorder of old did not keep it.
    fn caution(&self) -> Option<Caution> {
        let before = answers::read::service(self.before.as_ref()?).ok()?;
        Some(Baseline::of(&before).caution)
    }

    /// Our deployment.
    #[must_use]
    pub fn ours(&self) -> Ours {
        Ours {
            deployment: self.deployment.clone(),
        }
    }
}

impl Head {
    /// The two revisions, as far as they were recorded.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        let revision = |name: &String, document: &Option<Value>| {
            let definition = TaskDefinition::parse(document.as_ref()?.to_string().as_bytes()).ok()?;
            Some(Revision {
                name: name.clone(),
                shape: definition.shape(),
            })
        };
        let previous = self.previous_revision.as_ref();
        let previous = previous.and_then(|name| revision(name, &self.previous_task_definition));
        Comparison {
            ours: revision(&self.revision, &self.task_definition),
            previous: previous.filter(|previous| previous.name != self.revision),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
