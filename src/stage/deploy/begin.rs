//! The change itself: a revision is registered, and the service is pointed at it.

use super::prepare::{Prepared, warn};
use crate::config::settings::DeploySettings;
use crate::ecs::observation::revision_name;
use crate::ecs::rollout::Ours;
use crate::ecs::service::{Begun, Ecs, ServiceError};
use crate::failure::{Failure, Kind};
use crate::report::event::Event;
use crate::stage::Tools;
use std::time::Duration;

/// Attempts at a change: to register while somebody else registers the same family, and to update while ECS throttles.
const ATTEMPTS: u64 = 6;

/// What was begun.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) ours: Ours,
    /// `family:revision` that was registered.
    pub(super) revision: String,
}

pub(super) async fn begin(
    tools: &Tools,
    deploy: &DeploySettings,
    prepared: &Prepared,
) -> Result<Beginning, Failure> {
    warn(tools, prepared);
    tell_changes(tools, prepared);
    let arn = if prepared.is_unchanged() {
        // Forced: the same revision gets a new deployment.
        prepared.previous().to_owned()
    } else {
        register(tools, prepared).await?
    };
    let revision = revision_name(&arn).to_owned();
    let serves = format!("`{}` serves as before", prepared.revision());
    let unused = format!("{serves}; revision `{revision}` is registered and not used");
    if let (_, Some(kind)) = tools.shutdown.asked() {
        return Err(Failure::new(
            kind,
            format!("stopped before service `{}` was changed", prepared.name),
        )
        .left(unused));
    }
    let before = prepared.service.primary().map(|primary| primary.id.as_str());
    let force = deploy.force || prepared.is_unchanged();
    let updated = point(tools, &prepared.ecs, &arn, force, before).await;
    let begun = updated.map_err(|error| not_updated(error, prepared, &unused))?;
    let deployment = begun.deployment;
    tools.tell.tell(Event::DeploymentStarted {
        service: prepared.name.clone(),
        deployment: deployment.clone(),
    });
    Ok(Beginning {
        ours: Ours { deployment },
        revision,
    })
}

/// Points the service at a task definition. After a lost answer it looks whether the update took effect before it asks
/// again; a throttled update is repeated after a pause.
pub(super) async fn point(
    tools: &Tools,
    ecs: &Ecs,
    task_definition: &str,
    force: bool,
    before: Option<&str>,
) -> Result<Begun, ServiceError> {
    let mut attempt = 1;
    loop {
        let error = match ecs.update(task_definition, force).await {
            Ok(begun) => return Ok(begun),
            Err(error) if attempt < ATTEMPTS && (error.is_in_doubt() || error.is_throttled()) => error,
            Err(error) => return Err(error),
        };
        let _ = tools
            .clock
            .pause(Duration::from_secs(attempt), &tools.shutdown)
            .await;
        if error.is_in_doubt()
            && let Some(begun) = ecs.begun_already(task_definition, before).await?
        {
            return Ok(begun);
        }
        attempt += 1;
    }
}

fn tell_changes(tools: &Tools, prepared: &Prepared) {
    for change in &prepared.diff.images {
        let image = prepared
            .images
            .iter()
            .find(|(name, _)| name.as_str() == change.container);
        if let Some((container, to)) = image {
            tools.tell.tell(Event::ImageChange {
                service: prepared.name.clone(),
                container: container.clone(),
                from: change.from.clone().unwrap_or_default(),
                to: to.clone(),
            });
        }
    }
    if !prepared.diff.paths.is_empty() {
        let paths = prepared.diff.paths.join(", ");
        tools.tell.tell(Event::Note(format!(
            "service `{}`: also changes {paths}",
            prepared.name
        )));
    }
}

async fn register(tools: &Tools, prepared: &Prepared) -> Result<String, Failure> {
    let mut attempt = 1;
    let registered = loop {
        match prepared.ecs.register(&prepared.wanted).await {
            Err(error) if error.is_registration_race() && attempt < ATTEMPTS => {
                let _ = tools
                    .clock
                    .pause(Duration::from_secs(attempt), &tools.shutdown)
                    .await;
                attempt += 1;
            }
            registered => break registered,
        }
    };
    let arn = registered.map_err(|error| {
        let what = format!(
            "the new revision of service `{}` could not be registered",
            prepared.name
        );
        refused(error, what)
            .left(format!(
                "nothing was changed; `{}` serves as before",
                prepared.revision()
            ))
            .place(format!(
                "service `{}` in cluster `{}`",
                prepared.name, prepared.cluster
            ))
    })?;
    let revision = revision_name(&arn).to_owned();
    tools.tell.tell(Event::Registered {
        service: prepared.name.clone(),
        revision,
    });
    Ok(arn)
}

fn not_updated(error: ServiceError, prepared: &Prepared, unused: &str) -> Failure {
    let doubt = error.is_in_doubt();
    let failure = refused(error, format!("service `{}` could not be updated", prepared.name)).place(format!(
        "service `{}` in cluster `{}`",
        prepared.name, prepared.cluster
    ));
    if doubt {
        let left = format!("unknown whether the update took effect; before it, {unused}");
        return Failure {
            kind: Kind::Unclear,
            ..failure
        }
        .left(left);
    }
    failure.left(unused)
}

fn refused(error: ServiceError, what: String) -> Failure {
    match error {
        ServiceError::Call(error) => error.into_failure(what),
        error @ (ServiceError::NoService
        | ServiceError::Incomplete { .. }
        | ServiceError::TaskDefinition(_)) => Failure::new(Kind::Refused, what).because(error),
    }
}
