//! The same judge over the same looks: the verdict that the watch came to, and what changed on the way.

use super::Recorded;
use crate::ecs::answers::{Sought, observe};
use crate::ecs::observation::{BlindReason, Observation, Service};
use crate::ecs::rollout::{Proof, Verdict, WaitingOn, proofs};
use std::time::Duration;

/// A watch that was judged again.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// What the last look that was needed says.
    pub verdict: Verdict,
    /// When that was, since the update.
    pub elapsed: Duration,
    /// What it saw.
    pub seen: Observation,
    /// The service when it was last seen.
    pub last_seen: Option<Service>,
    /// The ARN of our service deployment, once it was seen.
    pub service_deployment: Option<String>,
    /// What the closing look saw, if there was one.
    pub closing: Option<Observation>,
    /// What changed, oldest first.
    pub steps: Vec<Step>,
    /// How many looks were judged.
    pub looks: usize,
    /// The containers whose image was proven, if all is well.
    pub proofs: Vec<Proof>,
}

/// A look that changed something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it was, since the update.
    pub at: Duration,
    /// What it showed.
    pub change: Change,
}

/// What a look showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An event of ECS.
    News(String),
    /// It waits for something else.
    Waiting(String),
    /// A call failed that had not failed before.
    Blind(String),
}

/// Judges a recorded watch again, up to the look that decides.
#[must_use]
pub fn replay(recorded: &Recorded) -> Replay {
    let head = &recorded.head;
    let sought = Sought {
        cluster: &head.cluster,
        service: &head.name,
        deployment: &head.deployment,
    };
    let mut replay = Replay {
        verdict: Verdict::Wait(WaitingOn::DeploymentToAppear),
        elapsed: Duration::ZERO,
        seen: Observation::unanswered(),
        last_seen: None,
        service_deployment: None,
        closing: None,
        steps: Vec::new(),
        looks: 0,
        proofs: Vec::new(),
    };
    // A capture with a policy that cannot be is refused when it is read.
    let Ok(policy) = head.policy.policy() else {
        return replay;
    };
    let mut rollout = head.rollout(policy.clone());
    let mut waiting = None;
    let mut blind = Vec::new();
    for (at, answers) in &recorded.looks {
        let seen = observe(sought, answers);
        let mut step = |change| replay.steps.push(Step { at: *at, change });
        for event in rollout.news(&seen) {
            step(Change::News(event.message.clone()));
        }
        for missed in &seen.blind {
            if !blind.contains(missed) {
                step(Change::Blind(format!("`{}` {}", missed.action, why(missed.why))));
                blind.push(missed.clone());
            }
        }
        replay.verdict = rollout.judge(*at, &seen);
        if let Verdict::Wait(on) = &replay.verdict
            && waiting.as_ref() != Some(on)
        {
            step(Change::Waiting(on.to_string()));
            waiting = Some(on.clone());
        }
        replay.elapsed = *at;
        let ours = seen.service_deployment.as_ref().map(|found| found.arn.clone());
        replay.service_deployment = ours.or(replay.service_deployment);
        replay.last_seen = seen.seen_service().cloned().or(replay.last_seen);
        replay.seen = seen;
        replay.looks += 1;
        if !matches!(replay.verdict, Verdict::Wait(_)) {
            break;
        }
    }
    if replay.verdict == Verdict::Healthy {
        replay.proofs = proofs(policy.images.keys(), &replay.seen);
    }
    let closing = recorded.closing.as_ref();
    replay.closing = closing.map(|closing| observe(sought, &closing.answers));
    replay
}

const fn why(why: BlindReason) -> &'static str {
    match why {
        BlindReason::Denied => "is denied",
        BlindReason::NoCredentials => "had no credentials any more",
        BlindReason::Transient => "did not answer",
        BlindReason::Unsupported => "was refused",
    }
}
