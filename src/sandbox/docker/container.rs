//! One container of a task: how far it has come.

use super::depends::Progress;
use super::engine::Engine;
use super::settings;
use crate::sandbox::world::orders::{ContainerHealth, ContainerSpec};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A container that was created.
pub struct Container {
    /// What it runs.
    pub spec: ContainerSpec,
    /// The Engine's id.
    pub id: String,
    /// When it was started.
    pub started: Option<Instant>,
    /// The last health that was told.
    pub health: Option<ContainerHealth>,
    /// Its exit code, once it ended.
    pub exit: Option<i64>,
    /// Tells its output.
    pub lines: Option<JoinHandle<()>>,
}

impl Container {
    /// A container that was created and not started.
    pub fn created(spec: ContainerSpec, id: String) -> Self {
        Self {
            spec,
            id,
            started: None,
            health: None,
            exit: None,
            lines: None,
        }
    }

    /// How far it has come, for those that depend on it.
    pub fn progress(&self) -> Progress {
        match (self.exit, self.started) {
            (Some(code), _) => Progress::Exited { code },
            (None, Some(_)) => Progress::Running {
                healthy: self.health == Some(ContainerHealth::Healthy),
            },
            (None, None) => Progress::Waiting,
        }
    }

    /// Whether it was started and is not known to have ended.
    pub fn runs(&self) -> bool {
        self.started.is_some() && self.exit.is_none()
    }

    /// SIGTERM, its `stopTimeout`, SIGKILL.
    pub async fn stop(&self, engine: &Engine) {
        let patience = settings::stop_timeout(&self.spec.definition);
        if let Err(error) = engine.stop(&self.id, patience).await {
            tracing::debug!(%error, "a container did not stop; it is removed");
        }
    }
}
