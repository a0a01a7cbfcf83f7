//! From what was seen to why: the root cause in one line, the lines that prove it, and what to do.
//!
//! A cause goes before its symptoms: what a container said before it died, then how tasks ended, then what the load
//! balancer and ECS say of it; [`Rank`] is the table. Every text of a far end passes [`crate::secret::redact`].

mod cause;
mod events;
mod evidence;
mod hints;
mod log;
mod stopped;
mod targets;

pub use cause::Rank;
pub use evidence::Part;
pub use log::{LogStream, LogTail, LogWanted};

use super::observation::{Blind, BlindReason, GroupCheck, Observation};
use super::task_definition::Shape;
use crate::secret::Secret;
use crate::secret::redact::mask;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The longest text that is shown whole, in characters: six rows of a log of 100 columns, less the indent.
const LONGEST: usize = 540;

/// The longest line of evidence, in characters.
const LONGEST_LINE: usize = 270;

/// The most hints that are given.
const MOST_HINTS: usize = 3;

/// What is known of a failed rollout.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The last look that listed tasks.
    pub seen: &'a Observation,
    /// Events that were there before our update.
    pub baseline: &'a BTreeSet<String>,
    /// The last log lines of failed containers.
    pub logs: &'a [LogTail],
    /// The revision that failed, and the one before.
    pub comparison: &'a Comparison,
    /// How the service's target groups check.
    pub checks: &'a [GroupCheck],
    /// What could not be looked at beside [`Observation::blind`].
    pub blind: &'a [Blind],
    /// Values that no text may show.
    pub secrets: &'a [Secret<String>],
}

/// What only a diagnosis asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Gathered {
    /// The last log lines of failed containers.
    pub logs: Vec<LogTail>,
    /// How the service's target groups check.
    pub checks: Vec<GroupCheck>,
    /// What could not be looked at.
    pub blind: Vec<Blind>,
}

impl Gathered {
    /// All that is known, with what looks have shown.
    #[must_use]
    pub fn known<'a>(
        &'a self,
        seen: &'a Observation,
        baseline: &'a BTreeSet<String>,
        comparison: &'a Comparison,
        secrets: &'a [Secret<String>],
    ) -> Known<'a> {
        Known {
            seen,
            baseline,
            logs: &self.logs,
            comparison,
            checks: &self.checks,
            blind: &self.blind,
            secrets,
        }
    }
}

/// The two revisions of a rollout, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// The one that was deployed.
    pub ours: Option<Revision>,
    /// The one that ran before.
    pub previous: Option<Revision>,
}

/// A revision of a task definition, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// `family:revision`.
    pub name: String,
    /// What it says.
    pub shape: Shape,
}

/// Why a rollout failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnosis {
    /// The root cause; none if nothing points at one.
    pub cause: Option<String>,
    /// Whether the cause is no more than that no task failed, and some have not started yet.
    pub is_weak: bool,
    /// What proves it, in the order in which it is shown.
    pub parts: Vec<Part>,
    /// What to do.
    pub hints: Vec<String>,
}

impl Diagnosis {
    /// The lines that prove the cause, as many as fit into this many rows.
    #[must_use]
    pub fn evidence(&self, room: usize) -> Vec<String> {
        evidence::fit(&self.parts, room)
    }
}

impl Comparison {
    /// What the revision that was deployed says.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        self.ours.as_ref().map(|ours| &ours.shape)
    }
}

/// Finds the root cause.
#[must_use]
pub fn diagnose(known: Known<'_>) -> Diagnosis {
    let tasks = known.seen.tasks.as_deref().unwrap_or_default();
    let groups = stopped::groups(known.seen, known.comparison.shape());
    let events = events::since(known);
    let complaints = targets::complaints(known.seen);
    let findings = cause::findings(known, &groups, &complaints, &events);
    let facts = hints::Facts {
        container: findings.first().and_then(|finding| finding.container),
        known,
    };
    let first = findings.first().map(cause::Finding::told);
    let of_said = first.and_then(|told| hints::of_said(told.said.as_deref()?, &facts));
    let symptoms = first.map(|told| &told.symptom).into_iter();
    let symptoms = symptoms
        .chain(groups.iter().map(|group| &group.text))
        .chain(&complaints);
    let of_symptoms = symptoms.filter_map(|symptom| hints::of(symptom, &facts));
    let mut hints: Vec<String> = Vec::new();
    for hint in of_said.into_iter().chain(of_symptoms) {
        let hint = mask(&hint, known.secrets);
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints.truncate(MOST_HINTS);
    let cause = first.map(|told| told.text.clone());
    let found = known.seen.service_deployment.as_ref();
    let mut parts = vec![
        stopped::part(&groups, tasks),
        targets::part(known.seen),
        evidence::monitors(known.seen),
        events::part(&events, &groups, found.and_then(|found| found.reason.as_deref())),
        evidence::blindness(known),
        log::part(known, &groups, cause.as_deref().unwrap_or_default()),
    ];
    for line in parts.iter_mut().flat_map(|part| &mut part.lines) {
        *line = clip(&mask(line, known.secrets), LONGEST_LINE);
    }
    parts.retain(|part| !part.lines.is_empty());
    Diagnosis {
        is_weak: first.is_some_and(|told| told.rank == Rank::Starting),
        cause: cause.map(|cause| clip(&mask(&cause, known.secrets), LONGEST)),
        parts,
        hints,
    }
}

/// The advice for what ECS says of a deployment that it ended itself.
#[must_use]
pub fn hint_of_reason(reason: &str) -> Option<String> {
    hints::of_reason(reason)
}

/// The container whose log says most about the failure; none if no container that ran has to do with it.
#[must_use]
pub fn log_wanted(seen: &Observation, shape: Option<&Shape>) -> Option<LogWanted> {
    log::wanted(seen, shape)
}

/// The ARNs of the target groups whose health checks the failure is about.
#[must_use]
pub fn checks_wanted(seen: &Observation) -> Vec<String> {
    targets::checks_wanted(seen)
}

/// A text that is too long loses its middle, between words: AWS says what was done first, and what went wrong last.
fn clip(text: &str, longest: usize) -> String {
    let length = text.chars().count();
    if length <= longest {
        return text.to_owned();
    }
    let head = longest * 3 / 5;
    let tail = longest - head - 3;
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    // A word longer than a quarter of its side is cut.
    let start = start
        .rsplit_once(' ')
        .filter(|(kept, _)| kept.len() * 4 >= start.len() * 3)
        .map_or(start.as_str(), |(kept, _)| kept);
    let end = end
        .split_once(' ')
        .filter(|(_, kept)| kept.len() * 4 >= end.len() * 3)
        .map_or(end.as_str(), |(_, kept)| kept);
    format!("{} … {}", start.trim_end(), end.trim_start())
}

/// `1 task`, `2 tasks`.
fn tasks(count: usize) -> String {
    let noun = if count == 1 { "task" } else { "tasks" };
    format!("{count} {noun}")
}

/// How a call that showed nothing is told: `could not look: ecs:ListTasks is denied`.
#[must_use]
pub fn could_not_look(action: &str, why: BlindReason) -> String {
    let why = match why {
        BlindReason::Denied => "is denied",
        BlindReason::NoCredentials => "has no valid credentials any more",
        BlindReason::Transient => "did not answer",
        BlindReason::Unsupported => "was refused",
    };
    format!("could not look: {action} {why}")
}

#[cfg(test)]
mod tests;
