//! What containers wrote: whose log is wanted, where it is, and which of its lines says most.

use super::Known;
use super::cause::Rank;
use super::evidence::Part;
use super::stopped::{Group, groups};
use super::targets;
use crate::ecs::observation::{Container, Health, Observation, Task};
use crate::ecs::task_definition::{LogRoute, Shape};
use serde::{Deserialize, Serialize};

/// The container whose log says most about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogWanted {
    /// The container.
    pub container: String,
    /// Its task.
    pub task: String,
    /// What its runtime calls it.
    pub runtime_id: Option<String>,
}

/// A stream of CloudWatch Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStream {
    /// The log group.
    pub group: String,
    /// The stream's name.
    pub stream: String,
    /// The group's region; the deploy's own if none.
    pub region: Option<String>,
}

/// The last lines that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogTail {
    /// The container.
    pub container: String,
    /// Its task.
    pub task: String,
    /// The lines, oldest first; none if it wrote nothing.
    pub lines: Vec<String>,
}

impl LogWanted {
    /// Where its log is, if that is CloudWatch Logs: the awslogs driver names a stream `prefix/container/task`, and
    /// without a prefix after the container's runtime id.
    #[must_use]
    pub fn stream(&self, shape: &Shape) -> Option<LogStream> {
        let LogRoute::CloudWatch {
            group,
            prefix,
            region,
        } = &shape.container(&self.container)?.logs
        else {
            return None;
        };
        let stream = match prefix {
            Some(prefix) => format!("{prefix}/{}/{}", self.container, self.task),
            None => self.runtime_id.clone()?,
        };
        Some(LogStream {
            group: group.clone(),
            stream,
            region: region.clone(),
        })
    }
}

/// The container to blame of the most telling group; with no failed task, one that runs and is not well.
pub(super) fn wanted(seen: &Observation, shape: Option<&Shape>) -> Option<LogWanted> {
    let of = |task: &Task, container: &Container| LogWanted {
        container: container.name.clone(),
        task: task.id.clone(),
        runtime_id: container.runtime_id.clone(),
    };
    let groups = groups(seen, shape);
    if !groups.is_empty() {
        return telling(&groups).map(|(task, culprit)| of(task, culprit));
    }
    let running = || seen.tasks.iter().flatten().filter(|task| task.runs());
    let unhealthy = |task: &&Task| task.containers.iter().any(is_unhealthy);
    let task = running().find(unhealthy).or_else(|| running().next())?;
    let behind = seen
        .seen_service()
        .and_then(|service| service.load_balancers.first());
    let essential = |container: &Container| {
        let known = shape.and_then(|shape| shape.container(&container.name));
        known.is_none_or(|known| known.essential)
    };
    let container = task.containers.iter().min_by_key(|container| {
        let registered = behind.is_some_and(|behind| behind.container == container.name);
        (!is_unhealthy(container), !registered, !essential(container))
    })?;
    Some(of(task, container))
}

fn is_unhealthy(container: &Container) -> bool {
    container.health == Health::Unhealthy
}

/// Whether the container that a log is of fails its own checks, or those of a load balancer.
fn fails_checks(seen: &Observation, log: &LogTail) -> bool {
    let tasks = || seen.tasks.iter().flatten().filter(|task| task.id == log.task);
    let unhealthy = tasks().flat_map(|task| &task.containers).any(is_unhealthy);
    unhealthy || !targets::complaints(seen).is_empty()
}

/// The group whose log says most: of a container that ended by itself, then of one that failed its checks, then of one
/// that was killed. An image that was not pulled has no log.
fn telling<'a>(groups: &[Group<'a>]) -> Option<(&'a Task, &'a Container)> {
    let most = groups.iter().map(|group| group.count).max().unwrap_or_default();
    let order = |group: &&Group<'_>| {
        let by_rank = match group.rank {
            Rank::Exit => 0,
            Rank::Health => 1,
            Rank::OutOfMemory => 2,
            _ => 3,
        };
        (group.count * 2 < most, by_rank)
    };
    let ran = |group: &&Group<'_>| {
        let of_it = |culprit: &Container| culprit.exit_code.is_some() || culprit.runtime_id.is_some();
        group.rank == Rank::Health || group.culprit.is_some_and(of_it)
    };
    let group = groups.iter().filter(ran).min_by_key(order)?;
    Some((group.example, group.culprit?))
}

/// How a cause ends that says of its container that it said nothing.
pub(super) const SILENCE: &str = "and wrote nothing to its log";

/// The last lines of the failed container, or where they are.
pub(super) fn part(known: Known<'_>, groups: &[Group<'_>], cause: &str) -> Part {
    if let Some(log) = known.logs.first() {
        let (container, task) = (&log.container, &log.task);
        if log.lines.is_empty() {
            // A container that is well, or lost its host, need not say anything; a cause that says so says it once.
            let failed = groups.iter().any(|group| group.rank != Rank::Infrastructure);
            if (!failed && !fails_checks(known.seen, log)) || cause.ends_with(SILENCE) {
                return Part::default();
            }
            return Part::of(
                vec![format!(
                    "container {container} wrote nothing to its log (task {task})"
                )],
                1,
            );
        }
        let heading = format!("last lines of container {container} (task {task}):");
        let lines = log.lines.iter().map(|line| format!("  {}", line.trim_end()));
        return Part::newest(std::iter::once(heading).chain(lines).collect(), 8).headed(1);
    }
    let Some(shape) = known.comparison.shape() else {
        return Part::default();
    };
    let culprit = telling(groups).map(|(_, culprit)| culprit);
    let Some(container) = culprit.and_then(|culprit| shape.container(&culprit.name)) else {
        return Part::default();
    };
    let name = &container.name;
    let line = match &container.logs {
        LogRoute::CloudWatch { .. } => return Part::default(),
        LogRoute::Driver(driver) => format!("the log of container {name} goes to `{driver}`: look there"),
        LogRoute::Nowhere => {
            format!("container {name} has no `logConfiguration`: what it wrote is on its host, if anywhere")
        }
    };
    Part::of(vec![line], 1)
}

/// The lines of a task's container, if they were read.
pub(super) fn of<'a>(logs: &'a [LogTail], task: &Task) -> Option<&'a LogTail> {
    logs.iter().find(|log| log.task == task.id)
}

/// The last line that says anything.
pub(super) fn last_line(lines: &[String]) -> Option<String> {
    let last = lines.iter().rev().map(|line| line.trim());
    last.filter(|line| !line.is_empty()).map(str::to_owned).next()
}

/// The last line of a log that names a problem.
pub(super) fn line_of_trouble(lines: &[String]) -> Option<String> {
    const WORDS: [&str; 18] = [
        "panic",
        "fatal",
        "error",
        "exception",
        "cannot",
        "can't",
        "could not",
        "failed",
        "refused",
        "denied",
        "missing",
        "not found",
        "no such",
        "unable to",
        "unreachable",
        "unavailable",
        "timed out",
        "timeout",
    ];
    // What a program says when it is asked to stop is no cause of its stop.
    const FAREWELLS: [&str; 5] = [
        "sigterm",
        "shutting down",
        "shutdown",
        "context canceled",
        "server closed",
    ];
    let full: Vec<&str> = lines
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .collect();
    let names_problem = |line: &str| {
        let line = line.to_lowercase();
        let quotes = line.starts_with("note:") || line.starts_with("at ");
        !quotes
            && WORDS.iter().any(|word| line.contains(word))
            && !FAREWELLS.iter().any(|word| line.contains(word))
    };
    let at = full.iter().rposition(|line| names_problem(line))?;
    let line = full[at];
    // A Rust panic says where on one line, and what on the next.
    Some(match full.get(at + 1) {
        Some(next) if line.ends_with(':') => format!("{line} {next}"),
        _ => line.to_owned(),
    })
}

/// The last line of a log that speaks of memory.
pub(super) fn line_of_memory(lines: &[String]) -> Option<String> {
    const WORDS: [&str; 4] = ["memory", "heap", "oom", "alloc"];
    let speaks = |line: &&String| {
        let line = line.to_lowercase();
        WORDS.iter().any(|word| line.contains(word))
    };
    lines.iter().rev().find(speaks).map(|line| line.trim().to_owned())
}
