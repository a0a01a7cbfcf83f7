//! What simulated tasks do: the `[[fate]]` tables of a scenario file.
//!
//! ```toml
//! [[fate]]
//! family = "web"            # which tasks: family, revision, service, group and image must all match, as far as given
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
    /// The task's group: `task:migrate`.
    pub group: Option<String>,
    /// A part of a container's image, such as `shop/web:2`.
    pub image: Option<String>,
    /// How many tasks it decides over, at most.
    pub tasks: Option<u32>,
    /// The container that it is about; every essential one when not given.
    pub container: Option<String>,
    /// The pull fails with these words: `CannotPullContainerError: ...`.
    pub pull_failure: Option<String>,
    /// The task's resources can not be made: `ResourceInitializationError: ...`.
    pub start_failure: Option<String>,
    /// The container can not be made or started: `CannotStartContainerError: ...`.
    pub container_failure: Option<String>,
    /// Seconds until one of these three shows; as long as it usually takes when not given.
    pub fails_after_seconds: Option<u32>,
    /// Seconds that the containers start later than usual.
    pub starts_after_seconds: u32,
    /// Whether the containers are never started.
    pub never_starts: bool,
    /// The container ends by itself, and it should not.
    pub crash: Option<Crash>,
    /// The container does its work and ends: a one-off task.
    pub runs: Option<Run>,
    /// What the task runs on is taken away.
    pub interrupted: Option<Interrupted>,
    /// What the container's health check says.
    pub health: Course<Health>,
    /// What a target check answers.
    pub target: Course<Target>,
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

/// How a container does its work.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Run {
    /// Seconds from the container's start to its end.
    pub for_seconds: u32,
    /// Its exit code.
    #[serde(default)]
    pub exit_code: i64,
}

/// How a task loses what it runs on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Interrupted {
    /// Seconds from its start.
    pub after_seconds: u32,
    /// By what.
    pub by: Interruptor,
}

/// What takes away what a task runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interruptor {
    /// Fargate Spot.
    Spot,
    /// The end of the instance.
    Termination,
    /// Maintenance.
    Infrastructure,
}

/// Something that stays as it is, or changes once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected `passes`, `fails` or `undecided` (of a target: a status, `timeout` or `refused`), or a table with \
                 `first`, `for-seconds` and `then`"
)]
pub enum Course<T> {
    /// It stays so.
    Steady(T),
    /// It changes.
    Turns(Turn<T>),
}

/// A change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Turn<T> {
    /// What it is at first.
    pub first: T,
    /// For how many seconds, from the container's start.
    pub for_seconds: u32,
    /// What it is from then on.
    pub then: T,
}

impl<T: Default> Default for Course<T> {
    fn default() -> Self {
        Self::Steady(T::default())
    }
}

impl<T: Copy> Course<T> {
    /// What it is when the container has run for some time; `second` is how long a second takes.
    #[must_use]
    pub fn at(&self, ran_for: Duration, second: Duration) -> T {
        match self {
            Self::Steady(it) => *it,
            Self::Turns(turn) if ran_for < second * turn.for_seconds => turn.first,
            Self::Turns(turn) => turn.then,
        }
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
    /// How and when its container ends by itself: seconds from its start, the exit code, whether for its memory.
    #[must_use]
    pub fn end(&self) -> Option<(u32, i64, bool)> {
        match (&self.crash, &self.runs) {
            (Some(crash), _) => {
                let code = if crash.out_of_memory { 137 } else { crash.exit_code };
                Some((crash.after_seconds, code, crash.out_of_memory))
            }
            (None, Some(run)) => Some((run.for_seconds, run.exit_code, false)),
            (None, None) => None,
        }
    }

    fn matches(&self, task: &TaskSpec) -> bool {
        let (family, revision) = task.revision.split_once(':').unwrap_or((&task.revision, ""));
        self.family.as_deref().is_none_or(|wanted| wanted == family)
            && self.revision.is_none_or(|wanted| wanted.to_string() == revision)
            && self
                .service
                .as_deref()
                .is_none_or(|wanted| task.group.strip_prefix("service:") == Some(wanted))
            && self.group.as_deref().is_none_or(|wanted| wanted == task.group)
            && self.image.as_deref().is_none_or(|wanted| {
                task.containers
                    .iter()
                    .any(|container| container.image.contains(wanted))
            })
    }
}
