//! What load balancers say of our targets.

use super::Known;
use super::evidence::Part;
use crate::ecs::observation::{GroupCheck, Observation, StopCode, Target, TargetGroup, TargetState, Task};
use crate::ecs::rollout::target_group_name;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The targets of a group that are our tasks': addresses tell. Where targets are instances, or tasks could not be
/// listed, all of the group's.
fn ours<'a>(group: &'a TargetGroup, seen: &'a Observation) -> Vec<&'a Target> {
    let is_ours = |target: &&Target| {
        let by_address = target.id.parse::<IpAddr>().is_ok();
        let of = |task: &Task| task.address.as_ref() == Some(&target.id);
        match &seen.tasks {
            Some(tasks) if by_address => tasks.iter().any(of),
            _ => true,
        }
    };
    group.targets.iter().filter(is_ours).collect()
}

/// What is wrong with targets of ours, without repetition, the most frequent first.
pub(super) fn complaints(seen: &Observation) -> Vec<String> {
    let mut complaints: BTreeMap<String, usize> = BTreeMap::new();
    for group in &seen.target_groups {
        for target in ours(group, seen) {
            let failing = matches!(
                target.state,
                TargetState::Unhealthy | TargetState::UnhealthyDraining | TargetState::Unused
            );
            if failing {
                let line = format!(
                    "targets of {} are {}: {}",
                    target_group_name(&group.arn),
                    target.state,
                    why(target).unwrap_or_else(|| "no reason given".to_owned())
                );
                *complaints.entry(line).or_default() += 1;
            }
        }
    }
    let mut complaints: Vec<(String, usize)> = complaints.into_iter().collect();
    complaints.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    complaints.into_iter().map(|(line, _)| line).collect()
}

/// `Health checks failed with these codes: [404] (Target.ResponseCodeMismatch)`.
fn why(target: &Target) -> Option<String> {
    match (&target.description, &target.reason) {
        (Some(words), Some(code)) => Some(format!("{words} ({code})")),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    }
}

/// The states of our targets, counted per group.
pub(super) fn part(seen: &Observation) -> Part {
    let of_group = |group: &TargetGroup| {
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for target in ours(group, seen) {
            let state = match why(target) {
                Some(why) => format!("{}: {why}", target.state),
                None => target.state.to_string(),
            };
            *states.entry(state).or_default() += 1;
        }
        let states: Vec<String> = states
            .into_iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        let name = target_group_name(&group.arn);
        (!states.is_empty()).then(|| format!("targets of {name}: {}", states.join("; ")))
    };
    Part::of(seen.target_groups.iter().filter_map(of_group).collect(), 2)
}

/// `... is unhealthy in (target-group ARN) due to (reason Health checks failed with these codes: [404]).`
pub(super) fn of_event(event: &str) -> Option<String> {
    let (_, rest) = event.split_once("is unhealthy in (target-group ")?;
    let (group, why) = rest.split_once(") due to (reason ")?;
    let why = why.trim_end_matches(['.', ')']);
    Some(format!(
        "targets of {} are unhealthy: {why}",
        target_group_name(group)
    ))
}

/// The groups whose checks are worth a look: some of our tasks failed them, or are failing them.
pub(super) fn checks_wanted(seen: &Observation) -> Vec<String> {
    let Some(service) = seen.seen_service() else {
        return Vec::new();
    };
    let complained = !complaints(seen).is_empty();
    let tasks = seen.tasks.as_deref().unwrap_or_default();
    let stopped = tasks.iter().any(|task| {
        let reason = task.stopped_reason.as_deref().unwrap_or_default();
        task.stop_code == Some(StopCode::ServiceSchedulerInitiated) && reason.contains("ELB health checks")
    });
    let told = || {
        service
            .events
            .iter()
            .any(|event| of_event(&event.message).is_some())
    };
    if !(complained || stopped || told()) {
        return Vec::new();
    }
    let groups: BTreeSet<String> = service
        .load_balancers
        .iter()
        .map(|attachment| attachment.target_group.clone())
        .collect();
    groups.into_iter().collect()
}

/// A target group's check and the container behind it, as a hint names them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked<'a> {
    pub check: Option<&'a GroupCheck>,
    pub container: Option<&'a str>,
    /// The port that the service registers.
    pub registered: Option<u16>,
    /// The ports that the container's task definition maps.
    pub mapped: &'a [u16],
}

/// The first attachment whose target group a text names; the only one if it names none.
pub(super) fn checked<'a>(known: &Known<'a>, text: &str) -> Option<Checked<'a>> {
    let attachments = &known.seen.seen_service()?.load_balancers;
    let named = attachments.iter().find(|attachment| {
        let name = target_group_name(&attachment.target_group);
        text.split([' ', ')', ',', ':', '`']).any(|word| word == name)
            || text.contains(&attachment.target_group)
    });
    let attachment = match (named, attachments.as_slice()) {
        (Some(named), _) => named,
        (None, [only]) => only,
        (None, _) => return None,
    };
    let shape = known.comparison.shape();
    let container = shape.and_then(|shape| shape.container(&attachment.container));
    Some(Checked {
        check: known
            .checks
            .iter()
            .find(|check| check.arn == attachment.target_group),
        container: Some(&attachment.container),
        registered: attachment.port,
        mapped: container
            .map(|container| container.ports.as_slice())
            .unwrap_or_default(),
    })
}

impl Checked<'_> {
    /// The port that is checked.
    pub fn port(&self) -> Option<u16> {
        let own = self.check.and_then(|check| check.port.as_deref());
        own.and_then(|port| port.parse().ok()).or(self.registered)
    }

    /// `` path `/health` of port 8080 ``, as far as it is known.
    pub fn target(&self) -> String {
        let path = self.check.and_then(|check| check.path.as_deref());
        match (path, self.port()) {
            (Some(path), Some(port)) => format!("`{path}` on port {port}"),
            (Some(path), None) => format!("`{path}`"),
            (None, Some(port)) => format!("port {port}"),
            (None, None) => "the health check's path and port".to_owned(),
        }
    }

    /// Whether the port that is checked is none that the container says it listens on.
    pub fn misses(&self) -> Option<u16> {
        self.port()
            .filter(|port| !self.mapped.is_empty() && !self.mapped.contains(port))
    }
}
