//! Bringing the last good revision back, when ECS does not do it by itself.

use super::back::watch_back;
use super::begin::{Beginning, Unpointed, in_time, point};
use super::prepare::Prepared;
use super::registrations::register_definition;
use super::roll::Run;
use super::watch::Lost;
use crate::ecs::mark::KEYS;
use crate::ecs::observation::{RolloutState, Service, revision_name};
use crate::ecs::service::ServiceError;
use crate::report::event::Event;

/// What came of the request to roll back.
#[derive(Debug)]
pub(super) enum Undone {
    /// A revision of before is what the service wants, its tasks are healthy, and ours are gone or end.
    Back {
        /// `family:revision` that came back.
        revision: String,
        /// What runs.
        left: String,
    },
    /// ECS was asked and agreed, and was not seen to have done it.
    UnderWay {
        /// `family:revision` that comes back.
        revision: String,
        /// The last look, if there was one.
        service: Option<Box<Service>>,
        /// What keeps its own tasks from running, if they fail, too.
        failures: Option<String>,
    },
    /// There is no revision that completed before.
    NothingBefore,
    /// The revision that completed before is ours, which a forced update deployed once more.
    SameBefore,
    /// This deployment has replaced ours meanwhile, so nothing was touched.
    NotOurs(String),
    /// ECS refused.
    Refused(Option<ServiceError>),
    /// ECS was asked, and may or may not have done it.
    Unknown(String, Option<ServiceError>),
}

impl Undone {
    /// Whether the service still wants our revision, or may.
    pub(super) const fn stays(&self) -> bool {
        match self {
            Self::Back { .. } | Self::UnderWay { .. } | Self::NotOurs(_) => false,
            Self::NothingBefore | Self::SameBefore | Self::Refused(_) | Self::Unknown(..) => true,
        }
    }
}

/// What completed last before our update.
#[derive(Debug, PartialEq, Eq)]
enum Last {
    /// Nothing.
    Nothing,
    /// Our own revision, which a forced update deploys once more.
    Ours,
    /// The task definition of another revision.
    Another(String),
}

/// Asks ECS to roll our service deployment back; where it has none, or refuses, points the service at the revision
/// that completed last. Then watches for a while.
pub(super) async fn undo(run: &Run<'_>, prepared: &Prepared, lost: &Lost, begun: &Beginning) -> Undone {
    bring_back(run, prepared, lost.watched.service_deployment(), begun).await
}

/// The same for a service that has no verdict, or is healthy. A service that somebody else deployed to meanwhile is
/// never touched.
pub(super) async fn bring_back(
    run: &Run<'_>,
    prepared: &Prepared,
    service_deployment: Option<&str>,
    begun: &Beginning,
) -> Undone {
    let tools = run.tools;
    let previous = match last_completed(&begun.before, &begun.revision) {
        Last::Another(previous) => previous,
        Last::Ours => return Undone::SameBefore,
        Last::Nothing => return Undone::NothingBefore,
    };
    let name = revision_name(&previous).to_owned();
    tools.tell.tell(Event::RollingBack {
        service: prepared.name.clone(),
        revision: name.clone(),
    });
    // It names our deployment, so it cannot hit another one.
    let mut doubt = false;
    if let Some(arn) = service_deployment {
        match in_time(tools, prepared.ecs.stop_and_roll_back(arn)).await {
            Some(Ok(())) => return watch_back(tools, prepared, begun, &previous).await,
            Some(Err(error)) => doubt = error.is_in_doubt(),
            None => return Undone::Unknown(name, None),
        }
    }
    let ours = begun.ours.deployment.as_str();
    match in_time(tools, prepared.ecs.describe()).await {
        None => return Undone::Unknown(name, None),
        Some(Ok(service)) => match service.primary() {
            Some(primary) if primary.id != ours && primary.task_definition != previous => {
                return Undone::NotOurs(primary.id.clone());
            }
            // ECS has gone back by itself.
            Some(primary) if primary.id != ours => {
                return watch_back(tools, prepared, begun, &previous).await;
            }
            Some(_) | None => {}
        },
        Some(Err(error)) if doubt => return Undone::Unknown(name, Some(error)),
        Some(Err(error)) => return Undone::Refused(Some(error)),
    }
    match point_back(run, prepared, &previous, ours).await {
        Ok(target) => watch_back(tools, prepared, begun, &target).await,
        Err(unpointed) if doubt || unpointed.doubt => Undone::Unknown(name, unpointed.error),
        Err(unpointed) => Undone::Refused(unpointed.error),
    }
}

/// Points the service at the revision of before. One that was deregistered meanwhile cannot be deployed, so its document
/// is registered again. Gives the ARN that the service wants now.
async fn point_back(
    run: &Run<'_>,
    prepared: &Prepared,
    previous: &str,
    ours: &str,
) -> Result<String, Unpointed> {
    let (tools, ecs) = (run.tools, &prepared.ecs);
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
    let registering = async {
        // It is made once more by this run, and by no execution that an old mark names.
        let document = ecs.task_definition(previous).await?.without_tags(&KEYS);
        register_definition(tools, ecs, &document, None, || false).await
    };
    // A stop that leaves no time for it leaves the refusal as the last word.
    let Some(again) = in_time(tools, registering).await else {
        return Err(unpointed);
    };
    let Some(again) = again.map_err(refused)? else {
        return Err(unpointed);
    };
    tools.tell.tell(Event::Registered {
        service: prepared.name.clone(),
        revision: revision_name(&again).to_owned(),
    });
    point(tools, ecs, &again, false, Some(ours)).await?;
    Ok(again)
}

/// What had completed before our update.
fn last_completed(service: &Service, ours: &str) -> Last {
    let completed = service
        .deployments
        .iter()
        .find(|deployment| deployment.rollout == Some(RolloutState::Completed));
    match completed.map(|deployment| &deployment.task_definition) {
        None => Last::Nothing,
        Some(previous) if revision_name(previous) == ours => Last::Ours,
        Some(previous) => Last::Another(previous.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Last, last_completed};
    use crate::ecs::rollout::tests::build;

    #[test]
    fn only_another_revision_that_completed_can_come_back() {
        let before = build::before(2);
        let previous =
            || Last::Another("arn:aws:ecs:eu-west-1:000000000000:task-definition/web:1".to_owned());
        assert_eq!(last_completed(&before, "web:2"), previous());
        assert_eq!(last_completed(&before, "web:1"), Last::Ours);
        let mut second = build::service(2);
        assert_eq!(
            last_completed(&second, "web:3"),
            previous(),
            "the primary one had not completed"
        );
        second.deployments.pop();
        assert_eq!(last_completed(&second, "web:3"), Last::Nothing);
    }
}
