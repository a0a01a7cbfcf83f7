//! Bringing the last good revision back, when ECS does not do it by itself.

use super::begin::{Beginning, Unpointed, point};
use super::prepare::Prepared;
use super::watch::Lost;
use crate::clock::Pause;
use crate::ecs::observation::{RolloutState, Service, revision_name};
use crate::ecs::service::ServiceError;
use crate::report::event::Event;
use crate::shutdown::Urgency;
use crate::stage::Tools;
use std::time::Duration;

/// How long a rollback that slipway asked for is watched. The old tasks are stopped last, so it is a matter of
/// seconds in most cases; with them gone it takes as long as a rollout.
const WATCHED_FOR: Duration = Duration::from_secs(300);

/// Between two looks at it.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// What came of the request to roll back.
#[derive(Debug)]
pub(super) enum Undone {
    /// The revision of before is what the service wants, with as many tasks running as it wants.
    Back(String, Service),
    /// ECS was asked and agreed, and was not seen to have done it; the last look, if there was one.
    UnderWay(String, Option<Service>),
    /// There is no revision that completed before.
    NothingBefore,
    /// This deployment has replaced ours meanwhile, so nothing was touched.
    NotOurs(String),
    /// ECS refused.
    Refused(Option<ServiceError>),
    /// ECS was asked, and may or may not have done it.
    Unknown(String, Option<ServiceError>),
}

/// Asks ECS to roll our service deployment back; where it has none, or refuses, points the service at the revision
/// that completed last. Then watches for a while.
pub(super) async fn undo(tools: &Tools, prepared: &Prepared, lost: &Lost, begun: &Beginning) -> Undone {
    bring_back(tools, prepared, lost.watched.service_deployment(), begun).await
}

/// The same for a service that has no verdict, or is healthy. A service that somebody else deployed to meanwhile is
/// never touched.
pub(super) async fn bring_back(
    tools: &Tools,
    prepared: &Prepared,
    service_deployment: Option<&str>,
    begun: &Beginning,
) -> Undone {
    let Some(previous) = last_completed(&prepared.service, &begun.revision) else {
        return Undone::NothingBefore;
    };
    let name = revision_name(&previous).to_owned();
    tools.tell.tell(Event::RollingBack {
        service: prepared.name.clone(),
        revision: name.clone(),
    });
    // It names our deployment, so it cannot hit another one.
    let mut doubt = false;
    if let Some(arn) = service_deployment {
        match prepared.ecs.stop_and_roll_back(arn).await {
            Ok(()) => return watch(tools, prepared, &previous, name).await,
            Err(error) => doubt = error.is_in_doubt(),
        }
    }
    let ours = begun.ours.deployment.as_str();
    match prepared.ecs.describe().await {
        Ok(service) => match service.primary() {
            Some(primary) if primary.id != ours && primary.task_definition != previous => {
                return Undone::NotOurs(primary.id.clone());
            }
            // ECS has gone back by itself.
            Some(primary) if primary.id != ours => return watch(tools, prepared, &previous, name).await,
            Some(_) | None => {}
        },
        Err(error) if doubt => return Undone::Unknown(name, Some(error)),
        Err(error) => return Undone::Refused(Some(error)),
    }
    match point_back(tools, prepared, &previous, ours).await {
        Ok(target) => {
            let name = revision_name(&target).to_owned();
            watch(tools, prepared, &target, name).await
        }
        Err(unpointed) if doubt || unpointed.doubt => Undone::Unknown(name, unpointed.error),
        Err(unpointed) => Undone::Refused(unpointed.error),
    }
}

/// Points the service at the revision of before. One that was deregistered meanwhile cannot be deployed, so its document
/// is registered again. Gives the ARN that the service wants now.
async fn point_back(
    tools: &Tools,
    prepared: &Prepared,
    previous: &str,
    ours: &str,
) -> Result<String, Unpointed> {
    let ecs = &prepared.ecs;
    let unpointed = match point(tools, ecs, previous, false, Some(ours)).await {
        Ok(_) => return Ok(previous.to_owned()),
        Err(unpointed) => unpointed,
    };
    let inactive = unpointed.error.as_ref().is_some_and(ServiceError::is_inactive);
    if !inactive || unpointed.doubt {
        return Err(unpointed);
    }
    let refused = |error| Unpointed {
        error: Some(error),
        doubt: false,
    };
    let document = ecs.task_definition(previous).await.map_err(refused)?;
    let again = ecs.register(&document).await.map_err(refused)?;
    tools.tell.tell(Event::Registered {
        service: prepared.name.clone(),
        revision: revision_name(&again).to_owned(),
    });
    point(tools, ecs, &again, false, Some(ours)).await?;
    Ok(again)
}

/// Looks until the revision of before is back, for [`WATCHED_FOR`] at most, or until a stop is asked for.
async fn watch(tools: &Tools, prepared: &Prepared, previous: &str, name: String) -> Undone {
    let start = tools.clock.now();
    let mut last = None;
    loop {
        let seen = tokio::select! {
            seen = prepared.ecs.describe() => seen,
            _ = tools.shutdown.reached(Urgency::WindDown) => return Undone::UnderWay(name, last),
        };
        match seen {
            Ok(service) if is_back(&service, previous) => return Undone::Back(name, service),
            Ok(service) => last = Some(service),
            // The next look may see it.
            Err(_) => {}
        }
        let late = tools.clock.now().saturating_sub(start) >= WATCHED_FOR;
        if late || tools.clock.pause(BETWEEN_LOOKS, &tools.shutdown).await == Pause::Stopped {
            return Undone::UnderWay(name, last);
        }
    }
}

/// The service wants the revision again, and as many of its tasks run as it wants.
fn is_back(service: &Service, previous: &str) -> bool {
    service.primary().is_some_and(|primary| {
        primary.task_definition == previous
            && primary.rollout != Some(RolloutState::Failed)
            && primary.running >= service.desired
    })
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
    use super::{is_back, last_completed};
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

    #[test]
    fn a_revision_is_back_when_it_is_wanted_and_enough_of_its_tasks_run() {
        let before = build::before(2);
        let previous = before.deployments[0].task_definition.clone();
        assert!(is_back(&before, &previous));
        assert!(!is_back(&build::service(2), &previous), "ours is the primary one");
        let mut starting = before;
        starting.deployments[0].running = 1;
        assert!(!is_back(&starting, &previous));
    }
}
