//! What is drawn at random: a service, what becomes of its tasks, what others do to it, and what the wire does to the
//! watcher's questions. Everything that is random is decided here, so that a script can be played again, and shrunk.

use fastrand::Rng;

/// One history before it happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    pub desired: u32,
    /// `minimumHealthyPercent` and `maximumPercent`.
    pub percents: (u32, u32),
    pub breaker: Option<Breaker>,
    pub balanced: bool,
    /// Whether an alarm is watched that rolls back.
    pub alarmed: bool,
    /// The interval of the container health check, in seconds.
    pub check: Option<u32>,
    /// `healthCheckGracePeriodSeconds`.
    pub grace: u32,
    /// Whether version 1 completed before the update; otherwise there is nothing to roll back to.
    pub proven: bool,
    /// What becomes of the first, second, ... task of version 2; the last one is everybody's after it.
    pub fates: Vec<Fate>,
    pub digests: Digests,
    pub acts: Vec<Act>,
    pub troubles: Vec<Trouble>,
    /// Unknown members in every object of every answer.
    pub extra_members: bool,
    pub quirks: Quirks,
    /// How many times as fast as on Fargate tasks start and the scheduler looks.
    pub speed: u32,
    pub kind: Kind,
    pub steady: bool,
    /// Seconds.
    pub timeout: u32,
    pub allow_zero: bool,
    /// Between two calls of one look.
    pub latency_ms: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Breaker {
    pub rollback: bool,
    /// `thresholdConfiguration`: type and value.
    pub threshold: Option<(&'static str, u32)>,
    /// `resetOnHealthyTask` is off.
    pub cumulative: bool,
}

/// How ECS deploys, and what it watches meanwhile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Rolling,
    /// `earlySuccessCriteria` with this percentage; old tasks go later if `deferred`.
    EarlySuccess {
        percent: u32,
        deferred: bool,
    },
    /// With so many minutes of bake time.
    BlueGreen(u32),
    /// A fifth of the traffic first, for a minute.
    Canary,
}

impl Kind {
    /// Whether both revisions run side by side until the end.
    pub fn shifts_traffic(self) -> bool {
        matches!(self, Self::BlueGreen(_) | Self::Canary)
    }
}

/// What becomes of a task, by the second of its container's life.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    Healthy,
    /// It takes so much longer to start.
    Slow(u32),
    /// Its container ends by itself.
    Crash {
        after: u32,
        code: i64,
        out_of_memory: bool,
    },
    PullFailure,
    NeverStarts,
    /// Its checks never pass.
    Sick,
    /// Its checks pass from then on.
    Heals(u32),
    /// Its checks fail from then on.
    Sickens(u32),
    /// It runs another image than the one that was asked for.
    WrongImage,
    /// Its runtime never reports a digest.
    NoDigest,
    /// Its resources cannot be made.
    StartFailure,
    /// Its registry does not answer in time.
    Unreachable,
    /// It loses what it runs on.
    Interrupted(u32),
}

impl Fate {
    /// What makes the next task of the revision fail alike; none of what passes.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Crash {
                code, out_of_memory, ..
            } => Some(format!("exit {code}, out of memory: {out_of_memory}")),
            Self::PullFailure => Some("pull".to_owned()),
            Self::StartFailure => Some("start".to_owned()),
            Self::Sick | Self::Heals(_) | Self::Sickens(_) => Some("checks".to_owned()),
            Self::Healthy
            | Self::Slow(_)
            | Self::NeverStarts
            | Self::WrongImage
            | Self::NoDigest
            | Self::Unreachable
            | Self::Interrupted(_) => None,
        }
    }
}

/// What proves the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Digests {
    /// The runtime reports the digest that was deployed.
    Deployed,
    /// An index was deployed, and the runtime reports its platform's manifest.
    Index,
    /// The same, and nobody could read the index.
    UnreadableIndex,
}

/// What somebody else does, so many seconds after our update.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    pub after: u32,
    pub what: Deed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Deed {
    /// UpdateService to another family.
    Update,
    /// UpdateService to the revision from before.
    UpdateBack,
    /// UpdateService with `forceNewDeployment`.
    Force,
    /// UpdateService with this `desiredCount`.
    Scale(u32),
    /// StopServiceDeployment of our service deployment.
    Stop,
    /// DeleteService.
    Delete,
    /// StopTask of one of our tasks.
    StopTask,
    /// The alarm that the service watches goes off.
    Alarm,
}

/// What the wire does at some looks, counted from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    pub from: u32,
    pub looks: u32,
    pub call: Call,
    pub what: Harm,
}

/// Whose answers are harmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Every,
    Services,
    Deployments,
    Tasks,
    Targets,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Harm {
    /// The answer of so many looks ago.
    Stale(u32),
    /// The service of so many looks ago, as long as it lacks an event that the watch has seen: however many such answers
    /// come in a row, they can be told.
    Past(u32),
    /// DescribeServices does not find the service, twice in a row at most.
    Missing,
    /// No answer, or `ThrottlingException` after all retries.
    Lost,
    Denied,
    NoCredentials,
    /// The service deployment operations do not exist there.
    Unsupported,
    /// A word that nobody knows at this member.
    Word(&'static str),
    /// This member is missing.
    Drop(&'static str),
    /// This member is `null`.
    Null(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quirks {
    pub mints_id: bool,
    pub draining: bool,
    pub no_dot: bool,
    /// Service deployments are listed with the oldest first.
    pub oldest_first: bool,
}

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
    /// A service that rolls without any trouble; what shrinking goes towards.
    pub fn plain() -> Self {
        Self {
            desired: 1,
            percents: (100, 200),
            breaker: None,
            balanced: false,
            alarmed: false,
            check: None,
            grace: 0,
            proven: true,
            fates: vec![Fate::Healthy],
            digests: Digests::Deployed,
            acts: Vec::new(),
            troubles: Vec::new(),
            extra_members: false,
            quirks: Quirks::default(),
            speed: 1,
            kind: Kind::Rolling,
            steady: false,
            timeout: 300,
            allow_zero: false,
            latency_ms: 0,
        }
    }

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

    /// Whether ECS may roll back even when all tasks are healthy, so that only a completed rollout is done.
    pub fn bakes(&self) -> bool {
        self.alarmed || self.kind.shifts_traffic()
    }

    /// Whether members of what DescribeServices answers are left out.
    pub fn hides_services(&self) -> bool {
        self.troubles.iter().any(|trouble| {
            matches!(trouble.call, Call::Services | Call::Every)
                && matches!(trouble.what, Harm::Drop(_) | Harm::Null(_))
        })
    }

    /// What a task of version 2 does, counted from 0.
    pub fn fate(&self, nth: usize) -> &Fate {
        self.fates
            .get(nth)
            .or(self.fates.last())
            .unwrap_or(&Fate::Healthy)
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
