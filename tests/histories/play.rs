//! Plays a script: the watch's loop on a clock of its own, until the verdict.

use crate::place::{Place, Truth};
use crate::runner::{CONTAINER, DEPLOYED, PLATFORM};
use crate::script::{Digests, Script};
use crate::wire::Wire;
use slipway::ecs::answers::read;
use slipway::ecs::observation::Observation;
use slipway::ecs::rollout::pace::{LONGEST_GLANCE, Pace, glance_after};
use slipway::ecs::rollout::{Baseline, Expected, Goal, Ours, Policy, Rollout, Verdict, WaitingOn};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How a history ended, with all that a referee may ask for.
pub struct Ended {
    pub verdict: Verdict,
    pub place: Place,
    pub wire: Wire,
    /// What was true at each look: before it, and when each of its calls was answered.
    pub truths: Vec<Truth>,
    /// What each look waited for.
    pub waits: Vec<WaitingOn>,
    /// How long before its end every look had been unharmed, and the world healthy at all of them.
    pub healthy_for: Option<Duration>,
    /// The longest such time of the whole history, with what was waited for at its end.
    pub overdue: Option<(Duration, WaitingOn)>,
}

/// More looks than any timeout leaves room for.
const MOST_LOOKS: usize = 2000;

/// What a watcher may do otherwise than ours: ask for less, see something else, or say something else of it.
pub struct Watcher {
    pub ask: fn(&mut Policy),
    pub see: fn(&mut Observation),
    pub say: fn(&Observation, Verdict) -> Verdict,
}

impl Default for Watcher {
    fn default() -> Self {
        Self {
            ask: |_| {},
            see: |_| {},
            say: |_, verdict| verdict,
        }
    }
}

pub fn play(script: &Script, log: bool) -> Ended {
    play_as(script, log, &Watcher::default())
}

pub fn play_as(script: &Script, log: bool, watcher: &Watcher) -> Ended {
    let mut place = Place::new(script, log);
    let mut wire = Wire::new(script, &mut place);
    let ours = Ours {
        deployment: place.ours.clone(),
    };
    let baseline = Baseline::of(&read::service(&place.before).unwrap());
    let mut policy = policy(script);
    (watcher.ask)(&mut policy);
    let mut rollout = Rollout::new(policy, ours, baseline);
    let mut pace = Pace::default();
    let timeout = Duration::from_secs(script.timeout.into());
    let mut truths = Vec::new();
    let mut waits = Vec::new();
    let mut healthy_since: Option<Duration> = None;
    let mut overdue: Option<(Duration, WaitingOn)> = None;
    loop {
        let began = place.now;
        truths.push(place.truth());
        let mut seen = wire.look(&mut place, &mut pace);
        (watcher.see)(&mut seen);
        truths.append(&mut wire.truths);
        let elapsed = place.elapsed();
        let verdict = rollout.judge(elapsed, &seen);
        // Nobody waits after the deadline.
        let verdict = if elapsed < timeout {
            (watcher.say)(&seen, verdict)
        } else {
            verdict
        };
        note(&mut place, &truths, &verdict);
        let Verdict::Wait(waiting) = verdict else {
            let healthy_for = healthy_since.map(|since| elapsed - since);
            return Ended {
                verdict,
                healthy_for,
                place,
                wire,
                truths,
                waits,
                overdue,
            };
        };
        let of_look = truths.iter().rev().take_while(|truth| truth.at >= began);
        let done = |truth: &Truth| {
            (!script.bakes() || truth.is_completed())
                && (!script.steady || truth.is_completed() && truth.old == 0)
        };
        let good = !wire.harmed
            && of_look
                .clone()
                .all(|truth| truth.is_healthy(&place.ours) && truth.unproven == 0 && done(truth));
        healthy_since = if good {
            healthy_since.or(Some(elapsed))
        } else {
            None
        };
        if let Some(since) = healthy_since
            && overdue.as_ref().is_none_or(|(late, _)| *late < elapsed - since)
        {
            overdue = Some((elapsed - since, waiting.clone()));
        }
        let settles = match &waiting {
            WaitingOn::TasksToStay { .. } => rollout.settles_in(elapsed),
            _ => None,
        };
        let left = timeout.saturating_sub(elapsed);
        let pause = pace.pause(settles.map_or(left, |settles| settles.min(left)));
        pace.waits_for(&waiting);
        pace.settling(settles.is_some_and(|settles| settles > pause));
        // A glance sees what a look sees; the last one of a row is a whole look anyway.
        let pause = if waiting.shows_at_a_glance() {
            glance_after(Duration::ZERO).min(left.max(Duration::from_millis(1)))
        } else {
            pause
        };
        assert!(pause <= LONGEST_GLANCE);
        place.pass(pause);
        waits.push(waiting);
        assert!(waits.len() < MOST_LOOKS, "it never ends");
    }
}

fn note(place: &mut Place, truths: &[Truth], verdict: &Verdict) {
    if place.log.is_none() {
        return;
    }
    let truth = truths.last().unwrap();
    let healthy = truth.is_healthy(&place.ours);
    let line = format!(
        "{verdict:?}\n            in truth: primary {}, ours {:?}, {} of {} good, {} wrong, {} without digest, {} old{}{}",
        truth.primary,
        truth.ours,
        truth.good,
        truth.desired,
        truth.wrong,
        truth.unproven,
        truth.old,
        if truth.active { "" } else { ", deleted" },
        if healthy { ": healthy" } else { "" },
    );
    place.say(|_| line);
}

fn policy(script: &Script) -> Policy {
    let container: slipway::name::ContainerName = CONTAINER.parse().unwrap();
    let platforms = if script.digests == Digests::Index {
        BTreeSet::from([PLATFORM.parse().unwrap()])
    } else {
        BTreeSet::new()
    };
    Policy {
        goal: if script.steady {
            Goal::Steady
        } else {
            Goal::Healthy
        },
        timeout: Duration::from_secs(script.timeout.into()),
        checked: script.check.iter().map(|_| container.clone()).collect(),
        images: BTreeMap::from([(
            container,
            Expected {
                deployed: DEPLOYED.parse().unwrap(),
                platforms,
                resolved: script.digests != Digests::UnreadableIndex,
            },
        )]),
        allow_zero: script.allow_zero,
    }
}
