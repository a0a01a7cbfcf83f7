//! Tasks of our deployment that ended: grouped by how they ended, and which of their containers is to blame.

use super::cause::Rank;
use super::evidence::Part;
use super::tasks;
use crate::ecs::observation::{Container, Health, Observation, StopCode, Task};
use crate::ecs::rollout::signature;
use crate::ecs::task_definition::Shape;

/// Stopped tasks of one cause.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    /// Equal for equal causes.
    signature: (Option<StopCode>, String),
    /// The cause in the words of the example.
    pub text: String,
    pub count: usize,
    pub example: &'a Task,
    /// The container to blame.
    pub culprit: Option<&'a Container>,
    pub rank: Rank,
}

/// Failed tasks by cause, the first to blame first. A cause of fewer than half as many tasks as the most frequent one
/// has goes to the end, however telling it is: one image pull that timed out does not explain ten crashes.
pub(super) fn groups<'a>(seen: &'a Observation, shape: Option<&Shape>) -> Vec<Group<'a>> {
    let all = seen.tasks.as_deref().unwrap_or_default();
    let mut groups: Vec<Group<'a>> = Vec::new();
    for task in all.iter().filter(|task| task.failed()) {
        let of_it = (task.stop_code.clone(), signature(task));
        if let Some(group) = groups.iter_mut().find(|group| group.signature == of_it) {
            group.count += 1;
            continue;
        }
        let culprit = culprit(task, seen, shape);
        groups.push(Group {
            text: words(task, culprit),
            rank: rank(task, culprit),
            signature: of_it,
            count: 1,
            example: task,
            culprit,
        });
    }
    let most = groups.iter().map(|group| group.count).max().unwrap_or_default();
    groups.sort_by_key(|group| {
        let rare = group.count * 2 < most;
        (rare, group.rank, std::cmp::Reverse(group.count))
    });
    groups
}

fn rank(task: &Task, culprit: Option<&Container>) -> Rank {
    match &task.stop_code {
        Some(StopCode::TaskFailedToStart) => Rank::StartFailure,
        Some(StopCode::EssentialContainerExited) if culprit.is_some_and(out_of_memory) => Rank::OutOfMemory,
        Some(StopCode::EssentialContainerExited) => Rank::Exit,
        Some(StopCode::ServiceSchedulerInitiated) => Rank::Health,
        Some(StopCode::UserInitiated) => Rank::Somebody,
        Some(
            StopCode::SpotInterruption
            | StopCode::TerminationNotice
            | StopCode::InfrastructureHealth
            | StopCode::Unrecognised(_),
        )
        | None => Rank::Infrastructure,
    }
}

/// The agent's `OutOfMemoryError: Container killed due to memory usage`, as the reason of a container.
pub(super) fn out_of_memory(container: &Container) -> bool {
    let reason = container.reason.as_deref().unwrap_or_default().to_lowercase();
    reason.contains("outofmemory") || reason.contains("killed due to memory usage")
}

/// The container that a stopped task ended for. With the first essential container that ends, ECS stops the others,
/// so that their 143 (SIGTERM) and 137 (SIGKILL) say little.
fn culprit<'a>(task: &'a Task, seen: &Observation, shape: Option<&Shape>) -> Option<&'a Container> {
    let essential = |container: &Container| {
        let known = shape.and_then(|shape| shape.container(&container.name));
        known.is_none_or(|known| known.essential)
    };
    let by_itself = task.stop_code == Some(StopCode::EssentialContainerExited);
    let behind = behind_target_group(task, seen);
    let guilt = |container: &&'a Container| {
        let killed = matches!(container.exit_code, Some(137 | 143));
        let failed = container.exit_code.is_some_and(|code| code != 0) && !killed;
        if out_of_memory(container) {
            0
        } else if by_itself {
            match (failed, essential(container), container.exit_code) {
                (true, true, _) => 1,
                (true, false, _) => 2,
                (false, true, Some(0)) => 3,
                (false, _, Some(137)) => 4,
                (false, _, Some(_)) => 5,
                (false, _, None) => 6,
            }
        } else if container.reason.is_some() {
            1
        } else if container.health == Health::Unhealthy {
            2
        } else if behind == Some(container.name.as_str()) {
            3
        } else if failed {
            4
        } else if essential(container) {
            5
        } else {
            6
        }
    };
    task.containers.iter().min_by_key(guilt)
}

/// The container that is registered in the target group that a stopped reason names.
fn behind_target_group<'a>(task: &Task, seen: &'a Observation) -> Option<&'a str> {
    let reason = task.stopped_reason.as_deref()?;
    let attachments = &seen.seen_service()?.load_balancers;
    let attachment = attachments
        .iter()
        .find(|attachment| reason.contains(&attachment.target_group))?;
    Some(&attachment.container)
}

/// Why a task ended, in its own words.
fn words(task: &Task, culprit: Option<&Container>) -> String {
    let reason = task.stopped_reason.as_deref();
    let exited = culprit.and_then(|culprit| Some((culprit, culprit.exit_code?)));
    if task.stop_code == Some(StopCode::EssentialContainerExited)
        && let Some((culprit, code)) = exited
    {
        let name = &culprit.name;
        return match (out_of_memory(culprit), &culprit.reason) {
            (true, Some(reason)) => {
                format!("container {name} ran out of memory: killed with exit code {code} ({reason})")
            }
            (_, Some(reason)) => format!("container {name} exited with code {code} ({reason})"),
            (_, None) => format!("container {name} exited with code {code}"),
        };
    }
    // Some texts only say that there is a reason; then the container has it.
    let says_nothing = |reason: &str| reason.starts_with("Task failed to start") || reason.is_empty();
    match (reason, culprit) {
        (Some(reason), _) if !says_nothing(reason) => one_line(reason),
        (
            _,
            Some(Container {
                name,
                reason: Some(reason),
                ..
            }),
        ) => {
            format!("container {name}: {}", one_line(reason))
        }
        (Some(reason), _) if !reason.is_empty() => one_line(reason),
        _ => "ECS gives no reason".to_owned(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How our tasks ended; if none did, which of them still start.
pub(super) fn part(groups: &[Group<'_>], all: &[Task]) -> Part {
    let mut lines: Vec<String> = groups
        .iter()
        .map(|group| {
            let code = group.example.stop_code.as_ref();
            let code = code.map_or_else(|| "no stop code".to_owned(), ToString::to_string);
            let (count, text) = (tasks(group.count), &group.text);
            format!("{count} stopped ({code}): {text} (task {})", group.example.id)
        })
        .collect();
    let mut by_hand = all
        .iter()
        .filter(|task| task.stop_code == Some(StopCode::UserInitiated));
    if let Some(example) = by_hand.next() {
        let reason = example.stopped_reason.as_deref().unwrap_or("no reason given");
        let count = tasks(by_hand.count() + 1);
        lines.push(format!(
            "{count} stopped by somebody: {} (task {})",
            one_line(reason),
            example.id
        ));
    }
    let starting = starting(all).filter(|_| groups.is_empty());
    lines.extend(starting.map(|(text, example)| format!("{text} (task {})", example.id)));
    Part::of(lines, 4)
}

/// Tasks that still start and what of them has not started, and one of them.
pub(super) fn starting(all: &[Task]) -> Option<(String, &Task)> {
    use crate::ecs::observation::TaskStatus::{Activating, Pending, Provisioning};
    let mut starting = all
        .iter()
        .filter(|task| !task.stopping && matches!(task.status, Provisioning | Pending | Activating));
    let example = starting.next()?;
    let count = starting.count() + 1;
    let containers: Vec<&str> = example
        .containers
        .iter()
        .filter(|container| container.runtime_id.is_none() && container.exit_code.is_none())
        .map(|container| container.name.as_str())
        .collect();
    let waits = if containers.is_empty() {
        String::new()
    } else {
        format!(", container {} has not started", containers.join(" and "))
    };
    let verb = if count == 1 { "is" } else { "are" };
    Some((
        format!("{} {verb} still {}{waits}", tasks(count), example.status),
        example,
    ))
}
