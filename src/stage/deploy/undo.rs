//! Bringing the last good revision back, when ECS does not do it by itself.

use super::begin::point;
use super::prepare::Prepared;
use super::watch::Lost;
use crate::ecs::observation::{RolloutState, revision_name};
use crate::ecs::service::ServiceError;
use crate::stage::Tools;

/// What came of the request to roll back.
#[derive(Debug)]
pub(super) enum Undone {
    /// ECS was asked and agreed; the revision that comes back.
    Asked(String),
    /// There is no revision that completed before.
    NothingBefore,
    /// ECS refused.
    Refused(ServiceError),
}

/// Asks ECS to roll our service deployment back; where it has none, or refuses, points the service at the revision
/// that completed last.
pub(super) async fn undo(tools: &Tools, prepared: &Prepared, lost: &Lost, ours: &str) -> Undone {
    let Some(previous) = last_completed(prepared) else {
        return Undone::NothingBefore;
    };
    let name = revision_name(&previous).to_owned();
    if let Some(arn) = lost.watched.service_deployment() {
        if prepared.ecs.stop_and_roll_back(arn).await.is_ok() {
            return Undone::Asked(name);
        }
    }
    match point(tools, &prepared.ecs, &previous, false, Some(ours)).await {
        Ok(_) => Undone::Asked(name),
        Err(error) => Undone::Refused(error),
    }
}

/// The task definition of the deployment that had completed before our update.
fn last_completed(prepared: &Prepared) -> Option<String> {
    prepared
        .service
        .deployments
        .iter()
        .find(|deployment| deployment.rollout == Some(RolloutState::Completed))
        .map(|deployment| deployment.task_definition.clone())
}
