//! The listener on loopback: reads requests, sends each to one service's wire, keeps the journal, and moves the world.

use super::scenario::Scenario;
use super::world::ecs::Timings;
use crate::clock::Clock;
use std::path::PathBuf;

/// How tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// Real containers of the local Engine.
    Docker,
    /// The scenario's fates, on whatever clock the sandbox has.
    Simulated,
}

/// How to start a sandbox.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// One JSON object per request goes here.
    pub journal: Option<PathBuf>,
    /// What goes wrong.
    pub scenario: Scenario,
    /// The region of every ARN.
    pub region: String,
    /// How tasks run.
    pub tasks: Tasks,
    /// How long ECS takes.
    pub timings: Timings,
    /// The clock; a virtual one makes minutes into microseconds for a client in the same process.
    pub clock: Clock,
}

/// A sandbox that serves.
#[derive(Debug)]
#[must_use = "a sandbox must be stopped, or it leaves containers behind"]
pub struct Sandbox {
    endpoint: String,
}

impl Sandbox {
    /// Binds 127.0.0.1 and serves.
    ///
    /// # Errors
    /// [`StartError`] when the port is taken or no Engine answers.
    pub async fn start(_options: Options) -> Result<Self, StartError> {
        todo!()
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Stops serving, and removes every container and network that it made; cannot be cancelled.
    pub async fn stop(self) {
        todo!()
    }
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port could not be bound.
    #[error("listen on 127.0.0.1:{port}")]
    Bind {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
