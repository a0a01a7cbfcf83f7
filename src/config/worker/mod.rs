//! What a worker is told by flags and variables. What its jobs do is in the `slipway.toml` of their artifacts.
//!
//! `options` is the one table of what can be said, `resolve` makes settings of it, with every problem at once.

mod options;
mod resolve;

pub use options::{OPTIONS, WorkerOption};
pub use resolve::{ResolvedWorker, address, resolve};

use crate::pipeline::job::ActionTypeId;
use crate::pipeline::pace::Limits;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How a worker is to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The region, if a layer names one; the AWS profile or the machine decides otherwise.
    pub region: Option<String>,
    /// The action types that it serves, each once.
    pub action_types: Vec<ActionTypeId>,
    /// The values of the queryable property that it serves, each once.
    pub fleets: Vec<String>,
    /// Deploys at the same time.
    pub deploys: usize,
    /// Builds at the same time.
    pub builds: usize,
    /// Where it writes down which jobs it holds.
    pub state_dir: PathBuf,
    /// Where artifacts are unpacked; what is there when it starts may be removed.
    pub work_dir: PathBuf,
    /// Whose keys read and write artifacts.
    pub artifact_credentials: ArtifactCredentials,
    /// How long a deploy is watched before it is handed back with a new token.
    pub stretch: Duration,
    /// How long builds may go on after the first signal.
    pub grace: Duration,
    /// How long a build may take.
    pub build_timeout: Duration,
    /// What is done about ECS when somebody abandons an action.
    pub on_abandon: OnAbandon,
    /// What becomes of builds whose worker died.
    pub lost_builds: LostBuilds,
    /// How often each action type is polled.
    pub pace: Limits,
    /// Where health and metrics are served, if anywhere.
    pub health: Option<SocketAddr>,
    /// The URL of the queue that says that there may be work, if there is one.
    pub wake_queue: Option<String>,
}

/// Whose keys read and write artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArtifactCredentials {
    /// Those that come with each job: a session of the pipeline's role.
    #[default]
    Job,
    /// The worker's own, where bucket and key trust its role.
    Worker,
}

/// What is done about ECS when the execution that a deploy belongs to is abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnAbandon {
    /// Nothing: ECS goes on with the deployment, as CodePipeline's documentation says of abandoned actions.
    #[default]
    Leave,
    /// The deployment is rolled back.
    Rollback,
}

/// What becomes of a build whose worker died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LostBuilds {
    /// It is built again, once: a build is repeatable, and what was pushed already is found.
    #[default]
    Retry,
    /// It is reported failed.
    Fail,
}
