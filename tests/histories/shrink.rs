//! Makes a counterexample as small as it gets: one thing after another is taken away for as long as it stays one.

use crate::script::{Digests, Fate, Script};

/// The smallest script that still fails with the same kind of objection.
pub fn shrink(
    script: &Script,
    objection: &str,
    plays: impl Fn(&Script) -> Option<String>,
) -> (Script, String) {
    let kind = |objection: &str| {
        objection
            .split([';', '{', '('])
            .next()
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_ascii_digit())
            .collect::<String>()
    };
    let wanted = kind(objection);
    let (mut best, mut says) = (script.clone(), objection.to_owned());
    loop {
        let smaller = simpler(&best).into_iter().find_map(|candidate| {
            let objection = plays(&candidate)?;
            (kind(&objection) == wanted).then_some((candidate, objection))
        });
        match smaller {
            Some((candidate, objection)) => (best, says) = (candidate, objection),
            None => return (best, says),
        }
    }
}

/// Scripts that differ in one thing, and are simpler in it.
fn simpler(script: &Script) -> Vec<Script> {
    let plain = Script::plain();
    let mut candidates = Vec::new();
    let mut with = |change: &dyn Fn(&mut Script)| {
        let mut candidate = script.clone();
        change(&mut candidate);
        if candidate != *script {
            candidates.push(candidate);
        }
    };
    for at in 0..script.troubles.len() {
        with(&|one| {
            one.troubles.remove(at);
        });
        with(&|one| one.troubles[at].looks = one.troubles[at].looks.min(1));
        with(&|one| one.troubles[at].from /= 2);
        with(&|one| one.troubles[at].from = one.troubles[at].from.saturating_sub(1));
    }
    for at in 0..script.acts.len() {
        with(&|one| {
            one.acts.remove(at);
        });
        with(&|one| one.acts[at].after /= 2);
    }
    for at in 0..script.fates.len() {
        with(&|one| {
            if one.fates.len() > 1 {
                one.fates.remove(at);
            }
        });
        with(&|one| one.fates[at] = Fate::Healthy);
    }
    with(&|one| one.desired = one.desired.min(1));
    with(&|one| one.desired = one.desired.saturating_sub(1).max(1));
    with(&|one| one.percents = plain.percents);
    with(&|one| one.breaker = None);
    with(&|one| {
        if let Some(breaker) = &mut one.breaker {
            breaker.threshold = None;
            breaker.cumulative = false;
        }
    });
    with(&|one| one.balanced = false);
    with(&|one| one.alarmed = false);
    with(&|one| one.kind = plain.kind);
    with(&|one| one.check = None);
    with(&|one| one.grace = 0);
    with(&|one| one.proven = true);
    with(&|one| one.digests = Digests::Deployed);
    with(&|one| one.extra_members = false);
    with(&|one| one.quirks = plain.quirks);
    with(&|one| one.speed = 1);
    with(&|one| one.steady = false);
    with(&|one| one.allow_zero = false);
    with(&|one| one.latency_ms = 0);
    with(&|one| one.timeout = plain.timeout);
    candidates
}
