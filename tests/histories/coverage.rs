//! What the histories were about: a test of a hundred thousand histories that are all alike proves nothing.

use crate::play::Ended;
use crate::script::{Fate, Harm, Script};
use slipway::ecs::rollout::{Doubt, Loss, Verdict};
use std::collections::BTreeMap;

/// What must have occurred, each at least once in [`RARE`] histories.
const WANTED: [&str; 70] = [
    "verdict Healthy",
    "verdict Failed",
    "verdict CannotStart",
    "verdict RollingBack",
    "verdict RolledBack",
    "verdict RollbackFailed",
    "verdict Superseded",
    "verdict ServiceGone",
    "verdict Deadline",
    "verdict Stuck",
    "verdict WrongDigest",
    "verdict CannotTell(Denied)",
    "verdict CannotTell(NoCredentials)",
    "verdict CannotTell(Blind)",
    "verdict CannotTell(UnreadableIndex)",
    "fate Healthy",
    "fate Slow",
    "fate Crash",
    "fate PullFailure",
    "fate StartFailure",
    "fate NeverStarts",
    "fate Sick",
    "fate Heals",
    "fate Sickens",
    "fate WrongImage",
    "fate NoDigest",
    "fate Interrupted",
    "fate Unreachable",
    "act Update",
    "act UpdateBack",
    "act Force",
    "act Scale",
    "act Stop",
    "act Delete",
    "act StopTask",
    "act Alarm",
    "trouble Stale of Every",
    "trouble Stale of Services",
    "trouble Stale of Deployments",
    "trouble Stale of Tasks",
    "trouble Stale of Targets",
    "trouble Lost of Every",
    "trouble Lost of Services",
    "trouble Denied of Deployments",
    "trouble NoCredentials of Every",
    "trouble Unsupported of Deployments",
    "trouble Past of Services",
    "trouble Missing of Services",
    "trouble Word of Services",
    "trouble Word of Deployments",
    "trouble Word of Tasks",
    "trouble Word of Targets",
    "trouble Drop of Services",
    "trouble Drop of Tasks",
    "trouble Drop of Deployments",
    "trouble Drop of Targets",
    "trouble Null of Services",
    "trouble Null of Tasks",
    "kind EarlySuccess",
    "kind BlueGreen",
    "kind Canary",
    "healthy in spite of a bad fate",
    "healthy in spite of stale answers",
    "healthy in spite of others' acts",
    "behind a load balancer",
    "with a container health check",
    "with nothing to go back to",
    "with an alarm",
    "failures that pass",
    "service deployments with the oldest first",
];

/// Histories in which the rarest kind occurs once.
const RARE: u64 = 2000;

/// How often each kind of thing occurred.
#[derive(Debug, Clone, Default)]
pub struct Coverage(pub BTreeMap<String, u64>);

impl Coverage {
    pub fn add(&mut self, other: Self) {
        for (kind, times) in other.0 {
            *self.0.entry(kind).or_default() += times;
        }
    }

    /// The kinds that occurred too seldom among so many histories, with how often.
    pub fn too_seldom(&self, histories: u64) -> Vec<String> {
        let times = |kind: &str| self.0.get(kind).copied().unwrap_or_default();
        WANTED
            .into_iter()
            .filter(|kind| times(kind) < histories / RARE)
            .map(|kind| format!("{kind}: {}", times(kind)))
            .collect()
    }

    fn saw(&mut self, kind: impl Into<String>) {
        *self.0.entry(kind.into()).or_default() += 1;
    }

    /// Counts what a history was about.
    pub fn count(&mut self, script: &Script, ended: &Ended) {
        self.saw(format!("verdict {}", verdict(&ended.verdict)));
        for fate in &script.fates {
            self.saw(format!("fate {}", word(fate)));
        }
        for act in &script.acts {
            self.saw(format!("act {}", word(&act.what)));
        }
        for trouble in &script.troubles {
            self.saw(format!(
                "trouble {} of {}",
                word(&trouble.what),
                word(&trouble.call)
            ));
        }
        let kind: Vec<String> = ended.waits.iter().map(word).collect();
        for (at, wait) in kind.iter().enumerate() {
            if !kind[..at].contains(wait) {
                self.saw(format!("wait {wait}"));
            }
        }
        let healthy = ended.verdict == Verdict::Healthy;
        let bad = |fate: &Fate| !matches!(fate, Fate::Healthy | Fate::Slow(_));
        if healthy && script.fates.iter().any(bad) {
            self.saw("healthy in spite of a bad fate");
        }
        if healthy
            && script
                .troubles
                .iter()
                .any(|trouble| matches!(trouble.what, Harm::Stale(_)))
        {
            self.saw("healthy in spite of stale answers");
        }
        if healthy && !script.acts.is_empty() {
            self.saw("healthy in spite of others' acts");
        }
        self.saw(format!("kind {}", word(&script.kind)));
        if script.quirks.oldest_first {
            self.saw("service deployments with the oldest first");
        }
        let passes = |fate: &Fate| matches!(fate, Fate::Interrupted(_) | Fate::Unreachable);
        if script.fates.iter().all(passes) {
            self.saw("failures that pass");
        }
        if script.alarmed {
            self.saw("with an alarm");
        }
        if script.balanced {
            self.saw("behind a load balancer");
        }
        if script.check.is_some() {
            self.saw("with a container health check");
        }
        if !script.proven {
            self.saw("with nothing to go back to");
        }
    }
}

/// `Crash` of `Crash { after: 1 }`.
fn word(of: &impl std::fmt::Debug) -> String {
    let text = format!("{of:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Lost(Loss::CannotTell(doubt)) => match doubt {
            Doubt::Denied { .. } => "CannotTell(Denied)".to_owned(),
            other => format!("CannotTell({})", word(other)),
        },
        Verdict::Lost(loss) => word(loss),
        other => word(other),
    }
}
