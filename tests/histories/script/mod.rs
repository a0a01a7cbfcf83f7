//! What is drawn at random: a service, what becomes of its tasks, what others do to it, and what the wire does to the
//! watcher's questions. Everything that is random is decided here, so that a script can be played again, and shrunk.

mod draw;

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
