//! Draws a script.

use super::{Act, Breaker, Call, Deed, Digests, Fate, Harm, Kind, Quirks, Script, Trouble};
use fastrand::Rng;

/// Members of answers whose word can change into an unknown one.
const fn words(call: Call) -> &'static [&'static str] {
    match call {
        Call::Every => &[
            "rolloutState",
            "status",
            "lastStatus",
            "desiredStatus",
            "healthStatus",
            "State",
            "stopCode",
        ],
        Call::Services => &["rolloutState", "status"],
        Call::Deployments => &["status"],
        Call::Tasks => &["lastStatus", "desiredStatus", "healthStatus", "stopCode"],
        Call::Targets => &["State"],
    }
}

/// Members of answers that can be missing.
const fn members(call: Call) -> &'static [&'static str] {
    match call {
        Call::Every => &["status", "desiredCount", "imageDigest", "containers", "startedBy"],
        Call::Services => &[
            "rolloutState",
            "rolloutStateReason",
            "status",
            "deployments",
            "desiredCount",
            "runningCount",
            "pendingCount",
            "failedTasks",
            "events",
            "loadBalancers",
            "deploymentConfiguration",
        ],
        Call::Deployments => &[
            "status",
            "targetServiceRevision",
            "imageDigest",
            "serviceDeploymentArn",
        ],
        Call::Tasks => &[
            "lastStatus",
            "healthStatus",
            "imageDigest",
            "startedBy",
            "containers",
        ],
        Call::Targets => &["TargetHealth", "Target"],
    }
}

fn one_of(rng: &mut Rng, names: &[&'static str]) -> &'static str {
    names[rng.usize(..names.len())]
}

impl Script {
    /// Draws one.
    pub fn draw(rng: &mut Rng) -> Self {
        let desired = if rng.u8(..32) == 0 { 0 } else { rng.u32(1..=6) };
        let speed = [1, 1, 2, 3, 5][rng.usize(..5)];
        let kind = kind(rng);
        Self {
            desired,
            percents: [
                (100, 200),
                (100, 200),
                (50, 200),
                (50, 100),
                (0, 200),
                (100, 150),
                (100, 100),
            ][rng.usize(..7)],
            breaker: rng.bool().then(|| Breaker {
                rollback: rng.u8(..3) > 0,
                threshold: [
                    None,
                    None,
                    Some(("COUNT", rng.u32(1..=4))),
                    Some(("UNBOUNDED_PERCENT", 50)),
                    Some(("BOUNDED_PERCENT", 100)),
                ][rng.usize(..5)],
                cumulative: rng.u8(..4) == 0,
            }),
            // The other strategies want two target groups and a rule; without a load balancer they have their stages.
            balanced: rng.u8(..3) == 0 && !kind.shifts_traffic(),
            alarmed: rng.u8(..8) == 0,
            check: (rng.u8(..3) == 0).then(|| rng.u32(5..=20)),
            grace: if rng.u8(..4) == 0 { rng.u32(1..=90) } else { 0 },
            proven: rng.u8(..16) > 0,
            fates: fates(rng),
            digests: [
                Digests::Deployed,
                Digests::Deployed,
                Digests::Deployed,
                Digests::Index,
                Digests::UnreadableIndex,
            ][rng.usize(..5)],
            acts: acts(rng, desired),
            troubles: troubles(rng),
            extra_members: rng.u8(..8) == 0,
            quirks: Quirks {
                mints_id: rng.u8(..4) == 0,
                draining: rng.u8(..4) == 0,
                no_dot: rng.bool(),
                oldest_first: rng.bool(),
            },
            speed,
            kind,
            steady: rng.u8(..4) == 0,
            timeout: [60, 90, 120, 150, 180, 240][rng.usize(..6)],
            allow_zero: rng.bool(),
            latency_ms: [0, 0, 120, 900][rng.usize(..4)],
        }
    }
}

fn kind(rng: &mut Rng) -> Kind {
    match rng.u8(..16) {
        0..=11 => Kind::Rolling,
        12..=13 => Kind::EarlySuccess {
            percent: [50, 75, 100][rng.usize(..3)],
            deferred: rng.bool(),
        },
        14 => Kind::BlueGreen(rng.u32(..=1)),
        _ => Kind::Canary,
    }
}

fn fates(rng: &mut Rng) -> Vec<Fate> {
    let count = match rng.u8(..8) {
        0..=2 => return vec![Fate::Healthy],
        3..=4 => 1,
        _ => rng.usize(2..=8),
    };
    let mut fates: Vec<Fate> = (0..count).map(|_| fate(rng)).collect();
    // Trouble that passes is as likely as trouble that stays.
    if count > 1 && rng.bool() {
        fates.push(Fate::Healthy);
    }
    fates
}

fn fate(rng: &mut Rng) -> Fate {
    match rng.u8(..18) {
        0..=2 => Fate::Healthy,
        3 => Fate::Slow(rng.u32(1..=90)),
        4..=5 => Fate::Crash {
            after: rng.u32(..=2),
            code: 1,
            out_of_memory: false,
        },
        6 => Fate::Crash {
            after: rng.u32(3..=120),
            code: [0, 1, 139][rng.usize(..3)],
            out_of_memory: false,
        },
        7 => Fate::Crash {
            after: rng.u32(..=60),
            code: 137,
            out_of_memory: true,
        },
        8 => Fate::PullFailure,
        9 => Fate::NeverStarts,
        10 => Fate::Sick,
        11 => Fate::Heals(rng.u32(1..=90)),
        12 => Fate::Sickens(rng.u32(1..=120)),
        13 => Fate::WrongImage,
        14 => Fate::NoDigest,
        15 => Fate::StartFailure,
        16 => Fate::Unreachable,
        _ => Fate::Interrupted(rng.u32(1..=90)),
    }
}

fn acts(rng: &mut Rng, desired: u32) -> Vec<Act> {
    let count = match rng.u8(..8) {
        0..=4 => 0,
        5..=6 => 1,
        _ => 2,
    };
    let mut acts: Vec<Act> = (0..count)
        .map(|_| Act {
            after: rng.u32(..=160),
            what: match rng.u8(..12) {
                0 => Deed::Update,
                1 => Deed::UpdateBack,
                2 => Deed::Force,
                3..=5 => Deed::Scale(if rng.u8(..4) == 0 {
                    0
                } else {
                    rng.u32(1..=desired + 2)
                }),
                6..=7 => Deed::Stop,
                8 => Deed::Delete,
                9 => Deed::StopTask,
                _ => Deed::Alarm,
            },
        })
        .collect();
    acts.sort_by_key(|act| act.after);
    acts
}

fn troubles(rng: &mut Rng) -> Vec<Trouble> {
    let count = match rng.u8(..8) {
        0..=2 => 0,
        3..=5 => 1,
        6 => 2,
        _ => rng.usize(3..=5),
    };
    (0..count).map(|_| trouble(rng)).collect()
}

fn trouble(rng: &mut Rng) -> Trouble {
    let call = [
        Call::Every,
        Call::Services,
        Call::Services,
        Call::Deployments,
        Call::Tasks,
        Call::Targets,
    ][rng.usize(..6)];
    let looks = if rng.u8(..6) == 0 { 1000 } else { rng.u32(1..=3) };
    let (call, what) = match rng.u8(..18) {
        0..=4 => (call, Harm::Stale(rng.u32(1..=2))),
        16 => (Call::Services, Harm::Past(rng.u32(1..=8))),
        17 => (Call::Services, Harm::Missing),
        5..=7 => (call, Harm::Lost),
        8 => (call, Harm::Denied),
        9 => (Call::Every, Harm::NoCredentials),
        10 => (Call::Deployments, Harm::Unsupported),
        11..=12 => (call, Harm::Word(one_of(rng, words(call)))),
        13..=14 => (call, Harm::Drop(one_of(rng, members(call)))),
        _ => (call, Harm::Null(one_of(rng, members(call)))),
    };
    Trouble {
        from: rng.u32(..=24),
        // An answer that stays as it was for ever is no far end that anybody has seen.
        looks: match what {
            Harm::Stale(_) | Harm::Missing => looks.min(3),
            Harm::Past(_) => rng.u32(3..=5),
            _ => looks,
        },
        call,
        what,
    }
}
