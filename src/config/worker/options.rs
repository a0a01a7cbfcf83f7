//! The one table of everything that a worker can be told: flags, their variables, and what is meant if neither is there.

/// Something that a worker can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerOption {
    /// Its flag.
    pub flag: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Whether it may have several values; in a variable, separated by commas.
    pub several: bool,
    /// What is meant if nobody says it; empty where that is nothing at all.
    pub default: &'static str,
    /// What it sets.
    pub about: &'static str,
}

const fn option(
    flag: &'static str,
    variable: &'static str,
    default: &'static str,
    about: &'static str,
) -> WorkerOption {
    WorkerOption {
        flag,
        variable,
        several: false,
        default,
        about,
    }
}

impl WorkerOption {
    const fn several(mut self) -> Self {
        self.several = true;
        self
    }
}

/// The action types that are served.
pub(super) const ACTION_TYPE: WorkerOption = option(
    "--action-type",
    "SLIPWAY_ACTION_TYPE",
    "Build/Slipway/1,Deploy/Slipway/1",
    "the action types that a worker serves, separated by commas",
)
.several();
/// The values of `Fleet` that are served.
pub(super) const FLEET: WorkerOption = option(
    "--fleet",
    "SLIPWAY_FLEET",
    "default",
    "the values of `Fleet` that a worker serves, separated by commas",
)
.several();
/// Slots for deploys.
pub(super) const JOBS: WorkerOption = option(
    "--jobs",
    "SLIPWAY_JOBS",
    "20",
    "a worker's deploys at the same time",
);
/// Slots for builds.
pub(super) const BUILDS: WorkerOption = option(
    "--builds",
    "SLIPWAY_BUILDS",
    "2",
    "a worker's builds at the same time",
);
/// The folder of journals.
pub(super) const STATE_DIR: WorkerOption = option(
    "--state-dir",
    "SLIPWAY_STATE_DIR",
    "/var/lib/slipway",
    "where a worker writes down which jobs it holds",
);
/// The folder of artifacts.
pub(super) const WORK_DIR: WorkerOption = option(
    "--work-dir",
    "SLIPWAY_WORK_DIR",
    "",
    "where a worker unpacks artifacts; `slipway` in TMPDIR or /tmp if unset",
);
/// Whose keys.
pub(super) const ARTIFACT_CREDENTIALS: WorkerOption = option(
    "--artifact-credentials",
    "SLIPWAY_ARTIFACT_CREDENTIALS",
    "job",
    "whose keys read and write artifacts: `job` or `worker`",
);
/// The length of a stretch.
pub(super) const STRETCH: WorkerOption = option(
    "--stretch",
    "SLIPWAY_STRETCH",
    "60s",
    "how long a worker watches a deploy before it hands it back",
);
/// The grace after a signal.
pub(super) const GRACE: WorkerOption = option(
    "--grace",
    "SLIPWAY_GRACE",
    "10m",
    "how long a worker's builds may go on after the first signal",
);
/// The longest build.
pub(super) const BUILD_TIMEOUT: WorkerOption = option(
    "--build-timeout",
    "SLIPWAY_BUILD_TIMEOUT",
    "1h",
    "how long a worker's build may take, from its job to its artifact",
);
/// What an abandoned execution leaves.
pub(super) const ON_ABANDON: WorkerOption = option(
    "--on-abandon",
    "SLIPWAY_ON_ABANDON",
    "leave",
    "what becomes of a deployment whose execution is abandoned: `leave` or `rollback`",
);
/// What a worker that died leaves.
pub(super) const LOST_BUILDS: WorkerOption = option(
    "--lost-builds",
    "SLIPWAY_LOST_BUILDS",
    "retry",
    "what becomes of builds whose worker died: `retry` or `fail`",
);
/// The busy pause.
pub(super) const POLL_BUSY: WorkerOption = option(
    "--poll-busy",
    "SLIPWAY_POLL_BUSY",
    "1s",
    "the pause between a worker's polls of an action type while jobs come",
);
/// The idle pause.
pub(super) const POLL_IDLE: WorkerOption = option(
    "--poll-idle",
    "SLIPWAY_POLL_IDLE",
    "20s",
    "the same while none do; times the number of fleets",
);
/// Where health is served.
pub(super) const HEALTH_LISTEN: WorkerOption = option(
    "--health-listen",
    "SLIPWAY_HEALTH_LISTEN",
    "",
    "where a worker serves its health and metrics: `ADDRESS:PORT`, or a port of 127.0.0.1",
);
/// The queue of events.
pub(super) const WAKE_QUEUE: WorkerOption = option(
    "--wake-queue",
    "SLIPWAY_WAKE_QUEUE",
    "",
    "the URL of an SQS queue that EventBridge feeds with started actions",
);

/// Every option, in the order of the help.
pub const OPTIONS: &[WorkerOption] = &[
    ACTION_TYPE,
    FLEET,
    JOBS,
    BUILDS,
    STATE_DIR,
    WORK_DIR,
    ARTIFACT_CREDENTIALS,
    STRETCH,
    GRACE,
    BUILD_TIMEOUT,
    ON_ABANDON,
    LOST_BUILDS,
    POLL_BUSY,
    POLL_IDLE,
    HEALTH_LISTEN,
    WAKE_QUEUE,
];
