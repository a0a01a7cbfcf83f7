//! The registrations of a run: in each family's turn, and no faster than their quota allows.

use crate::ecs::quota::Bucket;
use crate::ecs::service::{Ecs, ServiceError};
use crate::ecs::task_definition::TaskDefinition;
use crate::stage::Tools;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Attempts at a change: to register while somebody else registers the same family, and to update while ECS throttles.
pub(super) const ATTEMPTS: u64 = 6;

/// The registrations of a run: paced, and one at a time in each family, since ECS refuses two at once.
#[derive(Debug)]
pub(super) struct Registrations {
    bucket: Mutex<Bucket>,
    families: Mutex<BTreeMap<String, Arc<Turn<()>>>>,
}

impl Default for Registrations {
    fn default() -> Self {
        Self {
            bucket: Mutex::new(Bucket::of_registrations()),
            families: Mutex::default(),
        }
    }
}

impl Registrations {
    /// Waits for the family's turn.
    async fn turn(&self, family: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
            families.entry(family.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }

    /// Waits until one more call fits into the quota.
    async fn fit(&self, tools: &Tools) {
        let wait = {
            let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(tools.clock.now())
        };
        if !wait.is_zero() {
            // A caller that goes on after a stop has seconds only, so it asks at once; ECS refuses what is too much.
            let _ = tools.clock.pause(wait, &tools.shutdown).await;
        }
    }

    fn drain(&self, now: Duration) {
        self.bucket
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(now);
    }
}

/// Registers a task definition in its family's turn; waits for the quota, and while somebody else registers the same
/// family. None if it is not wanted any more once its turn has come.
pub(super) async fn register_definition(
    tools: &Tools,
    registrations: &Registrations,
    ecs: &Ecs,
    definition: &TaskDefinition,
    halted: impl Fn() -> bool,
) -> Result<Option<String>, ServiceError> {
    let _turn = registrations.turn(definition.family()).await;
    let mut attempt = 1;
    loop {
        registrations.fit(tools).await;
        if halted() {
            return Ok(None);
        }
        match ecs.register(definition).await {
            Err(error) if (error.is_registration_race() || error.is_throttled()) && attempt < ATTEMPTS => {
                if error.is_throttled() {
                    registrations.drain(tools.clock.now());
                }
                let _ = tools
                    .clock
                    .pause(Duration::from_secs(attempt), &tools.shutdown)
                    .await;
                attempt += 1;
            }
            registered => return registered.map(Some),
        }
    }
}
