//! From what was seen to why: the root cause in one line, the lines that prove it, and what to do.
//!
//! A cause goes before its symptoms: what a container said before it died, then how tasks ended, then what the load
//! balancer and ECS say of it.

mod hints;

use super::observation::{Observation, ServiceEvent, StopCode, TargetState, Task};
use super::rollout::{signature, target_group_name};
use std::collections::{BTreeMap, BTreeSet};

/// The most lines of evidence; with the other lines of a failure they stay below 40.
const MOST_EVIDENCE: usize = 26;

/// The most groups of stopped tasks that are shown.
const MOST_GROUPS: usize = 4;

/// The most service events that are shown.
const MOST_EVENTS: usize = 5;

/// The most lines of a container's log that are shown.
const MOST_LOG_LINES: usize = 10;

/// The longest line, in characters.
const LONGEST_LINE: usize = 240;

/// What is known of a failed rollout.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The last look that listed tasks.
    pub seen: &'a Observation,
    /// Events that were there before our update.
    pub baseline: &'a BTreeSet<String>,
    /// The last log lines of failed containers.
    pub logs: &'a [LogTail],
}

/// The last lines that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTail {
    /// The container.
    pub container: String,
    /// Its task.
    pub task: String,
    /// The lines, oldest first.
    pub lines: Vec<String>,
}

/// Why a rollout failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnosis {
    /// The root cause; none if nothing points at one.
    pub cause: Option<String>,
    /// Lines that prove it.
    pub evidence: Vec<String>,
    /// What to do.
    pub hints: Vec<String>,
}

/// Stopped tasks of one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group<'a> {
    signature: String,
    count: usize,
    example: &'a Task,
}

/// Finds the root cause.
#[must_use]
pub fn diagnose(known: Known<'_>) -> Diagnosis {
    let tasks = known.seen.tasks.as_deref().unwrap_or_default();
    let groups = groups(tasks);
    let events = events(known);
    let complaints = complaints(known.seen);
    let cause = cause_of_tasks(&groups, &complaints, &events, known.logs)
        .or_else(|| complaints.first().cloned())
        .or_else(|| unhealthy_container(tasks))
        .or_else(|| events.iter().rev().find_map(|event| cause_of_event(event)));
    let mut hints = Vec::new();
    for text in cause
        .iter()
        .chain(groups.iter().map(|group| &group.signature))
        .chain(&complaints)
    {
        if let Some(hint) = hints::of(text).filter(|hint| !hints.iter().any(|known| known == hint)) {
            hints.push(hint.to_owned());
        }
    }
    hints.truncate(3);
    Diagnosis {
        cause: cause.map(|cause| clip(&cause)),
        evidence: evidence(known, &groups, &complaints, &events),
        hints,
    }
}

/// The task and container whose log says most about the failure: the example of the biggest group.
#[must_use]
pub fn log_wanted(seen: &Observation) -> Option<(String, String)> {
    let tasks = seen.tasks.as_deref().unwrap_or_default();
    let groups = groups(tasks);
    let task = groups
        .first()
        .map(|group| group.example)
        .or_else(|| tasks.iter().find(|task| task.runs()))?;
    let failed = |code: Option<i32>| code.is_some_and(|code| code != 0);
    let container = task
        .containers
        .iter()
        .find(|container| failed(container.exit_code))
        .or_else(|| task.containers.first())?;
    Some((task.id.clone(), container.name.clone()))
}

/// Failed tasks by cause, the most frequent first.
fn groups(tasks: &[Task]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.failed()) {
        let signature = signature(task);
        groups
            .entry(signature.clone())
            .and_modify(|group| group.count += 1)
            .or_insert(Group {
                signature,
                count: 1,
                example: task,
            });
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

fn cause_of_tasks(
    groups: &[Group<'_>],
    complaints: &[String],
    events: &[String],
    logs: &[LogTail],
) -> Option<String> {
    let group = groups.first()?;
    let log = logs.iter().find(|log| log.task == group.example.id);
    match &group.example.stop_code {
        Some(StopCode::EssentialContainerExited) => {
            Some(match log.and_then(|log| telling_line(&log.lines)) {
                Some(line) => format!("{}: \"{line}\"", group.signature),
                None => group.signature.clone(),
            })
        }
        Some(StopCode::ServiceSchedulerInitiated) if group.signature.contains("ELB health checks") => {
            let unhealthy = events.iter().rev().find_map(|event| unhealthy_target(event));
            let symptom = complaints
                .first()
                .cloned()
                .or(unhealthy)
                .unwrap_or_else(|| group.signature.clone());
            let said = log.and_then(|log| Some((&log.container, line_of_trouble(&log.lines)?)));
            Some(match said {
                Some((name, line)) => format!("container {name} said \"{line}\"; {symptom}"),
                None => symptom,
            })
        }
        Some(StopCode::ServiceSchedulerInitiated) if group.signature.contains("container health checks") => {
            let name = group
                .example
                .containers
                .first()
                .map_or("", |container| container.name.as_str());
            Some(match log.and_then(|log| line_of_trouble(&log.lines)) {
                Some(line) => format!("container {name} fails its health check; it said \"{line}\""),
                None => format!("container {name} fails its health check"),
            })
        }
        _ => Some(group.signature.clone()),
    }
}

/// What the load balancer says of targets that are not healthy, without repetition.
fn complaints(seen: &Observation) -> Vec<String> {
    let mut complaints: BTreeMap<String, usize> = BTreeMap::new();
    for group in &seen.target_groups {
        let failing = |state: &TargetState| {
            matches!(
                state,
                TargetState::Unhealthy | TargetState::UnhealthyDraining | TargetState::Unused
            )
        };
        for target in group.targets.iter().filter(|target| failing(&target.state)) {
            let why = target
                .description
                .as_deref()
                .or(target.reason.as_deref())
                .unwrap_or("no reason given");
            let line = format!(
                "targets of {} are {}: {why}",
                target_group_name(&group.arn),
                target.state
            );
            *complaints.entry(line).or_default() += 1;
        }
    }
    let mut complaints: Vec<(String, usize)> = complaints.into_iter().collect();
    complaints.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    complaints.into_iter().map(|(line, _)| line).collect()
}

fn unhealthy_container(tasks: &[Task]) -> Option<String> {
    let mut containers = tasks.iter().flat_map(|task| &task.containers);
    let failing = containers.find(|container| container.health == super::observation::Health::Unhealthy)?;
    Some(format!("container {} fails its health check", failing.name))
}

/// The events since our update without repetition, oldest first, without the `(service S)` that each starts with.
fn events(known: Known<'_>) -> Vec<String> {
    let events = known
        .seen
        .seen_service()
        .map(|service| service.events.as_slice())
        .unwrap_or_default();
    let mut seen = BTreeSet::new();
    let since: Vec<&ServiceEvent> = events
        .iter()
        .filter(|event| !known.baseline.contains(&event.id))
        .collect();
    since
        .into_iter()
        .rev()
        .map(|event| {
            event
                .message
                .split_once(") ")
                .map_or(event.message.as_str(), |(_, rest)| rest)
                .to_owned()
        })
        .filter(|message| seen.insert(message.clone()))
        .collect()
}

/// Words of events that tell of trouble (ECS's service event messages).
const TROUBLE: [&str; 8] = [
    "unable to",
    "failed",
    "unhealthy",
    "error",
    "throttled",
    "alarm detected",
    "rolling back",
    "missing",
];

fn tells_trouble(event: &str) -> bool {
    TROUBLE.iter().any(|word| event.contains(word))
}

/// The reason in an event: `was unable to place a task. Reason: CannotPullContainerError: ...`.
fn cause_of_event(event: &str) -> Option<String> {
    let trouble = event.contains("unable to") || event.contains("failed to launch");
    match event.split_once("Reason: ") {
        Some((_, reason)) if trouble => Some(reason.trim_end_matches('.').to_owned()),
        _ => unhealthy_target(event).or_else(|| trouble.then(|| event.trim_end_matches('.').to_owned())),
    }
}

/// `... is unhealthy in (target-group ARN) due to (reason Health checks failed with these codes: [404]).`
fn unhealthy_target(event: &str) -> Option<String> {
    let (_, rest) = event.split_once("is unhealthy in (target-group ")?;
    let (group, why) = rest.split_once(") due to (reason ")?;
    let why = why.trim_end_matches(['.', ')']);
    Some(format!(
        "targets of {} are unhealthy: {why}",
        target_group_name(group)
    ))
}

/// The line of a dead container's log that says most: the last one that names a problem, or else the last one.
fn telling_line(lines: &[String]) -> Option<String> {
    let last = || {
        lines
            .iter()
            .rev()
            .map(|line| line.trim())
            .find(|line| !line.is_empty())
    };
    line_of_trouble(lines).or_else(|| last().map(clip))
}

/// The last line of a log that names a problem.
fn line_of_trouble(lines: &[String]) -> Option<String> {
    const WORDS: [&str; 17] = [
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
        "unable to",
        "unreachable",
        "unavailable",
        "timed out",
        "timeout",
    ];
    let full: Vec<&str> = lines
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .collect();
    let names_problem = |line: &str| {
        let line = line.to_lowercase();
        !line.starts_with("note:") && !line.starts_with("at ") && WORDS.iter().any(|word| line.contains(word))
    };
    let at = full.iter().rposition(|line| names_problem(line))?;
    let line = full[at];
    // A Rust panic says where on one line, and what on the next.
    let line = match full.get(at + 1) {
        Some(next) if line.ends_with(':') => format!("{line} {next}"),
        _ => line.to_owned(),
    };
    Some(clip(&line))
}

fn evidence(known: Known<'_>, groups: &[Group<'_>], complaints: &[String], events: &[String]) -> Vec<String> {
    let mut lines = Vec::new();
    for group in groups.iter().take(MOST_GROUPS) {
        let tasks = if group.count == 1 { "task" } else { "tasks" };
        let code = group
            .example
            .stop_code
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        lines.push(format!(
            "{} {tasks} stopped ({code}): {} (task {})",
            group.count, group.signature, group.example.id
        ));
    }
    lines.extend(complaints.iter().take(MOST_GROUPS).cloned());
    let breaker = known
        .seen
        .service_deployment
        .as_ref()
        .and_then(|found| found.breaker.as_ref());
    if let Some(breaker) = breaker.filter(|breaker| breaker.failures > 0) {
        let (failures, threshold) = (breaker.failures, breaker.threshold);
        lines.push(format!(
            "circuit breaker: {failures} failures, threshold {threshold} ({})",
            breaker.status
        ));
    }
    let trouble = alike(events.iter().filter(|event| tells_trouble(event)));
    let skip = trouble.len().saturating_sub(MOST_EVENTS);
    lines.extend(
        trouble
            .into_iter()
            .skip(skip)
            .map(|event| format!("event: {event}")),
    );
    for log in known.logs.iter().filter(|log| !log.lines.is_empty()) {
        lines.push(format!(
            "last lines of container {} (task {}):",
            log.container, log.task
        ));
        let skip = log.lines.len().saturating_sub(MOST_LOG_LINES);
        lines.extend(
            log.lines
                .iter()
                .skip(skip)
                .map(|line| format!("  | {}", line.trim_end())),
        );
    }
    lines.truncate(MOST_EVIDENCE);
    lines.iter().map(|line| clip(line)).collect()
}

/// Events that say the same of several tasks become one that says of how many.
fn alike<'a>(events: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut kinds: Vec<(&str, &str, usize)> = Vec::new();
    for event in events {
        let of_any_task = match event.strip_prefix("(task ") {
            Some(rest) => rest.split_once(") ").map_or(event.as_str(), |(_, rest)| rest),
            None => event,
        };
        match kinds.iter_mut().find(|(kind, ..)| *kind == of_any_task) {
            Some((_, _, count)) => *count += 1,
            None => kinds.push((of_any_task, event, 1)),
        }
    }
    let told = kinds.into_iter().map(|(kind, event, count)| match count {
        1 => event.to_owned(),
        _ => format!("({count} tasks) {kind}"),
    });
    told.collect()
}

fn clip(line: &str) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
