//! The root cause: everything that was found, in the order in which it explains the rest.

use super::log::{self, last_line, line_of_memory, line_of_trouble};
use super::stopped::{Group, starting};
use super::{Known, events, targets};
use crate::ecs::observation::{Health, MonitorStatus, StopCode};
use crate::ecs::rollout::target_group_name;
use std::time::Duration;

/// The table of precedence: what stands first explains what stands below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A container said what is wrong before it ended or failed its checks.
    Said,
    /// A task did not start: image, secret, log group, network.
    StartFailure,
    /// The kernel killed a container for its memory.
    OutOfMemory,
    /// A container ended, and did not say why.
    Exit,
    /// Health checks of a load balancer or of a container fail.
    Health,
    /// A CloudWatch alarm ended the deployment.
    Alarm,
    /// The host went away.
    Infrastructure,
    /// ECS cannot place or launch tasks, by a service event.
    Placement,
    /// Somebody stopped tasks.
    Somebody,
    /// The circuit breaker counted failures that nothing else shows.
    Breaker,
    /// No task failed, and some have not started yet.
    Starting,
}

/// One thing that may be the cause.
#[derive(Debug, Clone)]
pub(super) struct Finding<'a> {
    /// Whether it is of few tasks beside the most frequent failure.
    rare: bool,
    told: Told,
    pub container: Option<&'a str>,
}

/// A cause in words.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub rank: Rank,
    /// All of it.
    pub text: String,
    /// What ECS and the load balancer say of it.
    pub symptom: String,
    /// What the container says of it.
    pub said: Option<String>,
}

impl Told {
    const fn by_ecs(rank: Rank, text: String, symptom: String) -> Self {
        Self {
            rank,
            text,
            symptom,
            said: None,
        }
    }
}

impl Finding<'_> {
    pub fn told(&self) -> &Told {
        &self.told
    }
}

/// Everything that was found, the root cause first.
pub(super) fn findings<'a>(
    known: Known<'a>,
    groups: &[Group<'a>],
    complaints: &[String],
    events: &[String],
) -> Vec<Finding<'a>> {
    let most = groups.iter().map(|group| group.count).max().unwrap_or_default();
    let mut findings: Vec<Finding<'a>> = groups
        .iter()
        .map(|group| Finding {
            rare: group.count * 2 < most,
            told: of_group(known, group, complaints, events),
            container: group.culprit.map(|culprit| culprit.name.as_str()),
        })
        .collect();
    let mut add = |rank, text: String, container| {
        findings.push(Finding {
            rare: false,
            told: Told::by_ecs(rank, text.clone(), text),
            container,
        });
    };
    for complaint in complaints {
        add(Rank::Health, complaint.clone(), None);
    }
    let tasks = known.seen.tasks.as_deref().unwrap_or_default();
    let mut containers = tasks.iter().flat_map(|task| &task.containers);
    if let Some(failing) = containers.find(|container| container.health == Health::Unhealthy) {
        add(
            Rank::Health,
            fails_its_check(&failing.name),
            Some(failing.name.as_str()),
        );
    }
    // ECS backs off and throttles after what it gave a reason for.
    let (reasoned, bare): (Vec<&String>, Vec<&String>) =
        events.iter().rev().partition(|event| events::gives_reason(event));
    for event in reasoned.into_iter().chain(bare) {
        if let Some(text) = events::cause(event) {
            let health = targets::of_event(event).is_some();
            add(if health { Rank::Health } else { Rank::Placement }, text, None);
        }
    }
    if let Some(found) = &known.seen.service_deployment {
        match found.triggered_alarms.as_slice() {
            [] => {}
            [alarm] => add(Rank::Alarm, format!("alarm `{alarm}` fired"), None),
            alarms => add(
                Rank::Alarm,
                format!("alarms `{}` fired", alarms.join("`, `")),
                None,
            ),
        }
        let tripped = found.breaker.as_ref();
        if let Some(tripped) = tripped.filter(|breaker| breaker.status == MonitorStatus::Triggered) {
            let (failures, threshold) = (tripped.failures, tripped.threshold);
            let text =
                format!("the circuit breaker tripped after {failures} failures (threshold {threshold})");
            add(Rank::Breaker, text, None);
        }
    }
    let stopped = tasks
        .iter()
        .find(|task| task.stop_code == Some(StopCode::UserInitiated));
    if let Some(task) = stopped {
        let reason = task.stopped_reason.as_deref().unwrap_or("no reason given");
        add(
            Rank::Somebody,
            format!("somebody stopped tasks of the new revision: {reason}"),
            None,
        );
    }
    if let Some((text, _)) = starting(tasks) {
        add(Rank::Starting, format!("no task failed: {text}"), None);
    }
    findings.sort_by_key(|finding| (finding.rare, finding.told.rank));
    findings
}

fn fails_its_check(container: &str) -> String {
    format!("container {container} fails its health check")
}

/// The cause of stopped tasks, with what the container said of it.
fn of_group(known: Known<'_>, group: &Group<'_>, complaints: &[String], events: &[String]) -> Told {
    let lines = log::of(known.logs, group.example).map(|log| log.lines.as_slice());
    let lines = lines.unwrap_or_default();
    let name = group.culprit.map_or("", |culprit| culprit.name.as_str());
    let said = line_of_trouble(lines);
    let ended = group.text.clone();
    match group.rank {
        Rank::OutOfMemory => {
            let shape = known.comparison.shape();
            let limit = shape.and_then(|shape| shape.container(name)?.memory);
            let limit = limit.map(|limit| format!("; its hard limit is {limit} MiB"));
            let said = line_of_memory(lines).map(|line| format!("; it said \"{line}\""));
            let text = format!("{ended}{}{}", limit.unwrap_or_default(), said.unwrap_or_default());
            Told::by_ecs(Rank::OutOfMemory, text, ended)
        }
        Rank::Exit => {
            let rank = if said.is_some() { Rank::Said } else { Rank::Exit };
            match said.or_else(|| last_line(lines)) {
                Some(line) => Told {
                    rank,
                    text: format!("{ended}: \"{line}\""),
                    symptom: ended,
                    said: Some(line),
                },
                None => {
                    let ended = match log::of(known.logs, group.example) {
                        Some(_) => in_silence(&ended, group.example.ran_for),
                        None => ended,
                    };
                    Told::by_ecs(rank, ended.clone(), ended)
                }
            }
        }
        Rank::Health => {
            let own = ended.contains("container health checks");
            let symptom = if own {
                fails_its_check(name)
            } else {
                symptom(&ended, complaints, events)
            };
            match said {
                Some(line) => Told {
                    rank: Rank::Said,
                    text: if own {
                        format!("{symptom}; it said \"{line}\"")
                    } else {
                        format!("container {name} said \"{line}\"; {symptom}")
                    },
                    symptom,
                    said: Some(line),
                },
                None => Told::by_ecs(Rank::Health, symptom.clone(), symptom),
            }
        }
        rank => Told::by_ecs(rank, ended.clone(), ended),
    }
}

/// With nothing said, how long it took is the next best that is known.
fn in_silence(ended: &str, ran_for: Option<Duration>) -> String {
    let after = ran_for.map(|ran_for| format!(" after {} s", ran_for.as_secs()));
    format!("{ended}{}, {}", after.unwrap_or_default(), log::SILENCE)
}

/// What the load balancer answers of the target group that a stopped reason names.
fn symptom(reason: &str, complaints: &[String], events: &[String]) -> String {
    let group = reason
        .split_once("(target-group ")
        .and_then(|(_, rest)| rest.split_once(')'));
    let group = group.map(|(arn, _)| target_group_name(arn));
    let of_events = || events.iter().rev().find_map(|event| targets::of_event(event));
    let names = |complaint: &&String| {
        group.is_some_and(|group| complaint.starts_with(&format!("targets of {group} ")))
    };
    match complaints.iter().find(names).cloned().or_else(of_events) {
        Some(symptom) => symptom,
        None => match group {
            Some(group) => format!("targets of {group} failed the load balancer's health checks"),
            None => reason.to_owned(),
        },
    }
}
