//! The dry-run story: the same stages against a sandbox on loopback.

use crate::config::settings::Settings;
use crate::failure::{Failure, Kind};
use crate::image::endpoint::EngineEnv;
use crate::report::event::Tell;
use crate::shutdown::Shutdown;
use std::path::PathBuf;

/// Which stages a dry-run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRunVerb {
    /// The build stage.
    Build,
    /// The deploy stage.
    Deploy,
    /// Both.
    Run,
}

/// What a dry-run was asked to do.
#[derive(Debug, Clone)]
pub struct DryRunRequest {
    /// The stages.
    pub verb: DryRunVerb,
    /// The settings, as for the real account.
    pub settings: Settings,
    /// Tasks are simulated, on a virtual clock.
    pub simulated: bool,
    /// Where the journal of requests goes.
    pub journal: Option<PathBuf>,
    /// The scenario file.
    pub scenario: Option<PathBuf>,
    /// Where events go.
    pub tell: Tell,
    /// Asked at safe points; clean-up never asks.
    pub shutdown: Shutdown,
    /// Which Engine builds and runs.
    pub engine: EngineEnv,
}

/// Does a dry-run and returns the lines for stdout.
///
/// # Errors
/// The failure of the stage, as against the real account.
pub async fn run(_request: DryRunRequest) -> Result<Vec<String>, Failure> {
    Err(Failure::new(Kind::Bug, "`dry-run` is not wired"))
}
