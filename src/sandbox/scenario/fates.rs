//! What simulated tasks do: the `[[fate]]` tables of a scenario file.
//!
//! ```toml
//! [[fate]]
//! family = "web"            # which tasks: family, revision, service and image must all match, as far as given
//! revision = 2
//! tasks = 3                 # only the first three of them
//! container = "web"         # whose fate; every essential container's when not given
//! lines = ["no database"]   # written once the container runs
//! crash = { after-seconds = 1, exit-code = 1 }
//! ```
//!
//! The first table that matches a task decides over it; a task without one is healthy for ever.

use crate::sandbox::world::orders::TaskSpec;
use serde::Deserialize;
use std::time::Duration;

/// The fates of tasks, in the file's order.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Fates {
    /// The tables.
    pub rules: Vec<Rule>,
}

/// One `[[fate]]` table: which tasks, and what becomes of them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rule {
    /// The task definition's family.
    pub family: Option<String>,
    /// The task definition's revision.
    pub revision: Option<u32>,
    /// The service's name.
    pub service: Option<String>,
    /// A part of a container's image, such as `shop/web:2`.
    pub image: Option<String>,
    /// How many tasks it decides over, at most.
    pub tasks: Option<u32>,
    /// The container that it is about; every essential one when not given.
    pub container: Option<String>,
    /// The pull fails with these words: `CannotPullContainerError: ...`.
    pub pull_failure: Option<String>,
    /// Whether the containers are never started.
    pub never_starts: bool,
    /// The container ends by itself.
    pub crash: Option<Crash>,
    /// What the container's health check says.
    pub health: Health,
    /// What a target check answers.
    pub target: Target,
    /// Whether SIGTERM is ignored.
    pub hangs_at_stop: bool,
    /// Lines that the container writes once it runs.
    pub lines: Vec<String>,
}

/// How a container ends.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Crash {
    /// Seconds from the container's start.
    #[serde(default)]
    pub after_seconds: u32,
    /// Its exit code.
    #[serde(default = "one")]
    pub exit_code: i64,
    /// Whether the kernel killed it for its memory.
    #[serde(default)]
    pub out_of_memory: bool,
}

fn one() -> i64 {
    1
}

impl Crash {
    /// The time from the container's start.
    #[must_use]
    pub fn after(&self) -> Duration {
        Duration::from_secs(self.after_seconds.into())
    }
}

/// What a container's health check says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It passes.
    #[default]
    Passes,
    /// It fails.
    Fails,
    /// It never comes to a verdict.
    Undecided,
}

/// What a target check answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum Target {
    /// This HTTP status.
    Status(u16),
    /// Nothing: the connection is refused, or runs into its timeout.
    Silent(Silence),
}

impl Default for Target {
    fn default() -> Self {
        Self::Status(200)
    }
}

/// How a target does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Silence {
    /// No answer in time.
    Timeout,
    /// No connection.
    Refused,
}

impl Fates {
    /// The index and the rule that decide over a task; `used` counts the tasks of each rule so far.
    #[must_use]
    pub fn of(&self, task: &TaskSpec, used: &[u32]) -> Option<(usize, &Rule)> {
        self.rules.iter().enumerate().find(|(index, rule)| {
            let left = rule
                .tasks
                .is_none_or(|most| used.get(*index).copied().unwrap_or_default() < most);
            left && rule.matches(task)
        })
    }
}

impl Rule {
    fn matches(&self, task: &TaskSpec) -> bool {
        let (family, revision) = task.revision.split_once(':').unwrap_or((&task.revision, ""));
        self.family.as_deref().is_none_or(|wanted| wanted == family)
            && self.revision.is_none_or(|wanted| wanted.to_string() == revision)
            && self
                .service
                .as_deref()
                .is_none_or(|wanted| task.group.strip_prefix("service:") == Some(wanted))
            && self.image.as_deref().is_none_or(|wanted| {
                task.containers
                    .iter()
                    .any(|container| container.image.contains(wanted))
            })
    }
}
