//! Bringing the last good revision back, when ECS does not do it by itself.

use super::begin::{Beginning, point};
use super::prepare::Prepared;
use super::watch::Lost;
use crate::ecs::observation::{RolloutState, Service, revision_name};
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
pub(super) async fn undo(tools: &Tools, prepared: &Prepared, lost: &Lost, begun: &Beginning) -> Undone {
    let Some(previous) = last_completed(&prepared.service, &begun.revision) else {
        return Undone::NothingBefore;
    };
    let name = revision_name(&previous).to_owned();
    let ours = begun.ours.deployment.as_str();
    if let Some(arn) = lost.watched.service_deployment()
        && prepared.ecs.stop_and_roll_back(arn).await.is_ok()
    {
        return Undone::Asked(name);
    }
    match point(tools, &prepared.ecs, &previous, false, Some(ours)).await {
        Ok(_) => Undone::Asked(name),
        Err(error) => Undone::Refused(error),
    }
}

/// The task definition of the deployment that had completed before our update; none if it is ours, which a forced
/// update deploys once more.
fn last_completed(service: &Service, ours: &str) -> Option<String> {
    let mut completed = service
        .deployments
        .iter()
        .filter(|deployment| deployment.rollout == Some(RolloutState::Completed));
    let previous = completed
        .next()
        .map(|deployment| deployment.task_definition.clone());
    previous.filter(|previous| revision_name(previous) != ours)
}

#[cfg(test)]
mod tests {
    use super::last_completed;
    use crate::ecs::rollout::tests::build;

    #[test]
    fn only_another_revision_that_completed_can_come_back() {
        let before = build::before(2);
        let previous = "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:1";
        assert_eq!(last_completed(&before, "web:2").as_deref(), Some(previous));
        assert_eq!(last_completed(&before, "web:1"), None);
        let mut second = build::service(2);
        assert_eq!(
            last_completed(&second, "web:3").as_deref(),
            Some(previous),
            "the primary one had not completed"
        );
        second.deployments.pop();
        assert_eq!(last_completed(&second, "web:3"), None);
    }
}
