//! The stories: what a stage does, from its inputs to its proof.

use crate::aws::AwsOnDemand;
use crate::clock::Clock;
use crate::ecs::recorder::Recorder;
use crate::image::endpoint::EngineEnv;
use crate::report::event::Tell;
use crate::shutdown::Shutdown;

pub mod build;
pub mod deploy;
pub mod explain;

/// What every story carries.
#[derive(Debug, Clone)]
pub struct Tools {
    /// AWS clients, made from one configuration when a story first needs them.
    pub aws: AwsOnDemand,
    /// Tells the time and pauses.
    pub clock: Clock,
    /// Asked at safe points.
    pub shutdown: Shutdown,
    /// Where events go.
    pub tell: Tell,
    /// Which Engine builds; it is connected to only when an image is built.
    pub engine: EngineEnv,
    /// Keeps what deploys see, if that is wanted.
    pub record: Recorder,
}
