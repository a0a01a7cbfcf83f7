//! The service events that matter: since our update, of our tasks, each once, and not the normal ones.

use super::Known;
use super::evidence::Part;
use super::stopped::Group;
use super::targets;
use std::collections::BTreeSet;

/// The most service events that are shown.
const MOST: usize = 6;

/// Words of events that tell of trouble (ECS's service event messages).
const TROUBLE: [&str; 9] = [
    "unable to",
    "failed",
    "unhealthy",
    "error",
    "throttled",
    "alarm detected",
    "rolling back",
    "rolled back",
    "missing",
];

/// The events since our update without repetition, oldest first, without the `(service S)` that each starts with.
/// Events of tasks that are not ours are left out where this look listed ours.
pub(super) fn since(known: Known<'_>) -> Vec<String> {
    let service = known.seen.seen_service();
    let events = service
        .map(|service| service.events.as_slice())
        .unwrap_or_default();
    let mut seen = BTreeSet::new();
    events
        .iter()
        .filter(|event| !known.baseline.contains(&event.id))
        .rev()
        .map(|event| {
            let rest = event.message.split_once(") ");
            rest.map_or(event.message.as_str(), |(_, rest)| rest).to_owned()
        })
        .filter(|message| is_of_ours(message, known) && seen.insert(message.clone()))
        .collect()
}

/// `(task ID) (port 80) is unhealthy ...`: is it one of ours?
fn is_of_ours(event: &str, known: Known<'_>) -> bool {
    let Some((id, _)) = event.strip_prefix("(task ").and_then(|rest| rest.split_once(')')) else {
        return true;
    };
    let blind = known
        .seen
        .blind
        .iter()
        .any(|blind| blind.action.ends_with("Tasks"));
    match &known.seen.tasks {
        Some(tasks) if !blind && !tasks.is_empty() => tasks.iter().any(|task| task.id == id),
        _ => true,
    }
}

/// The reason in an event: `was unable to place a task. Reason: CannotPullContainerError: ...`. One that names no error
/// says little without what ECS could not do for it, and an event has no subject of its own.
pub(super) fn cause(event: &str) -> Option<String> {
    let trouble = [
        "unable to",
        "failed to launch",
        "failed to register",
        "operations are being throttled",
    ];
    let trouble = trouble.iter().any(|words| event.contains(words));
    match event.split_once(". Reason: ") {
        Some((act, reason)) if trouble => {
            let reason = reason.trim_end_matches('.');
            let names_error = reason.contains("Error: ") || reason.contains("Exception: ");
            Some(if names_error {
                reason.to_owned()
            } else {
                format!("ECS {act}: {reason}")
            })
        }
        _ => targets::of_event(event)
            .or_else(|| trouble.then(|| format!("ECS {}", event.trim_end_matches('.')))),
    }
}

/// Whether an event says why, and not only that something does not work.
pub(super) fn gives_reason(event: &str) -> bool {
    ["Reason: ", "because", "(reason ", "(error "]
        .iter()
        .any(|words| event.contains(words))
}

/// The newest of those that tell of trouble; alike ones of several tasks as one, and none whose reason stopped tasks
/// or ECS's word on the deployment have told already.
pub(super) fn part(events: &[String], groups: &[Group<'_>], said_by_ecs: Option<&str>) -> Part {
    let told = |event: &str| {
        let of_task = event
            .split_once("Reason: ")
            .map(|(_, reason)| reason.trim_end_matches('.'));
        let of_deployment = event
            .split_once(" deployment failed: ")
            .map(|(_, reason)| reason.trim_end_matches('.'));
        of_task.is_some_and(|reason| groups.iter().any(|group| group.text.contains(reason)))
            || of_deployment.is_some_and(|reason| said_by_ecs.is_some_and(|said| said.contains(reason)))
    };
    let tells = |event: &&String| TROUBLE.iter().any(|word| event.contains(word)) && !told(event);
    let trouble = alike(events.iter().filter(tells));
    let skip = trouble.len().saturating_sub(MOST);
    let lines = trouble
        .into_iter()
        .skip(skip)
        .map(|event| format!("event: {event}"));
    Part::newest(lines.collect(), 2)
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
