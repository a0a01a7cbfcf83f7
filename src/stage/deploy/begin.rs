//! The change itself: a revision is registered, and the service is pointed at it.

use super::prepare::Prepared;
use super::registrations::{ATTEMPTS, register_definition};
use super::roll::Run;
use crate::aws::sort::Sorted;
use crate::clock::Pause;
use crate::ecs::observation::{Deployment, Service, revision_name};
use crate::ecs::resume::{Before, Print};
use crate::ecs::rollout::{Baseline, Ours, advice};
use crate::ecs::service::{Begun, Ecs, ServiceError};
use crate::failure::{Failure, Kind, Nature, chain};
use crate::report::event::Event;
use crate::shutdown::{Shutdown, Urgency};
use crate::stage::Tools;
use std::time::Duration;

/// How long a call that changes the service may still take when a stop was asked for: its answer says what is left.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was begun.
#[derive(Debug, Clone)]
pub(super) struct Beginning {
    pub(super) ours: Ours,
    /// `family:revision` that was registered.
    pub(super) revision: String,
    /// The service right before it.
    pub(super) before: Box<Service>,
    /// What a later process is told of that.
    pub(super) kept: Before,
}

impl Beginning {
    /// What a run began by itself.
    pub(super) fn new(ours: Ours, revision: String, before: Service) -> Self {
        Self {
            ours,
            revision,
            kept: Before::of(&before),
            before: Box::new(before),
        }
    }

    /// What was there before it. Deployments that an earlier process knew, and that are not listed any more, may come
    /// back.
    pub(super) fn baseline(&self) -> Baseline {
        let listed = |print: &Print| {
            let mut ids = self.before.deployments.iter();
            ids.any(|deployment| Print::of(&deployment.id) == *print)
        };
        let mut prints = self.kept.prints();
        prints.retain(|print| !listed(print));
        Baseline {
            prints,
            ..Baseline::of(&self.before)
        }
    }

    /// Whether a deployment was there before it.
    pub(super) fn had(&self, deployment: &str) -> bool {
        self.before.deployment(deployment).is_some() || self.kept.prints().contains(&Print::of(deployment))
    }
}

/// Between two looks that must both show that the service changed: an answer may be from the past.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Why a service was not begun.
#[derive(Debug)]
pub(super) enum Unbegun {
    /// It could not be, or a stop was asked for.
    Failed(Failure),
    /// Somebody else deployed to it since it was prepared.
    Overtaken(Failure),
    /// Another service failed first; what is left.
    Halted(String),
}

impl From<Failure> for Unbegun {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Points the service at the revision that was registered for it, or registers it first.
pub(super) async fn begin(
    run: &Run<'_>,
    prepared: &Prepared,
    registered: Option<String>,
) -> Result<Beginning, Unbegun> {
    let (tools, deploy) = (run.tools, run.deploy);
    for advice in advice(&prepared.service, deploy.timeout) {
        let warning = format!("service `{}`: {advice}", prepared.name);
        tools.tell.tell(Event::Warning(warning));
    }
    let arn = match registered {
        Some(arn) => arn,
        None => {
            let halted = || run.is_halted();
            revision_for(tools, prepared, halted).await?
        }
    };
    let revision = revision_name(&arn).to_owned();
    let unused = unused(prepared, &revision);
    let stopped = format!("stopped before service `{}` was changed", prepared.name);
    if let (_, Some(kind)) = tools.shutdown.asked() {
        return Err(Failure::new(kind, stopped).left(unused).into());
    }
    if run.is_halted() {
        return Err(Unbegun::Halted(unused));
    }
    let before = tokio::select! {
        biased;
        before = still(tools, prepared, deploy.force, &unused) => before?,
        kind = tools.shutdown.reached(Urgency::WindDown) => return Err(Failure::new(kind, stopped).left(unused).into()),
    };
    if run.is_halted() {
        return Err(Unbegun::Halted(unused));
    }
    let primary = before.primary().map(|primary| primary.id.as_str());
    let force = deploy.force || prepared.diff.is_empty();
    let deployment = point(tools, &prepared.ecs, &arn, force, primary)
        .await
        .map_err(|unpointed| not_updated(tools, unpointed, prepared, &unused))?
        .deployment;
    tools.tell.tell(Event::DeploymentStarted {
        service: prepared.name.clone(),
        deployment: deployment.clone(),
    });
    Ok(Beginning::new(Ours { deployment }, revision, before))
}

/// The service right before the update. Between its preparation and this, one-off tasks ran and registrations waited
/// for their turn: what somebody else deployed meanwhile is not rolled over, unless that is forced.
async fn still(tools: &Tools, prepared: &Prepared, force: bool, unused: &str) -> Result<Service, Unbegun> {
    let known = prepared.service.primary().map(|primary| &primary.id);
    let place = || format!("service `{}` in cluster `{}`", prepared.name, prepared.cluster);
    let mut second = false;
    let service = loop {
        let service = prepared.ecs.describe().await.map_err(|error| {
            let what = format!(
                "service `{}` could not be looked at before its update",
                prepared.name
            );
            refused(error, what).left(unused).place(place())
        })?;
        if second || service.primary().map(|primary| &primary.id) == known {
            break service;
        }
        second = true;
        // A stop ends the story that this is a part of.
        let _ = tools.clock.pause(SECOND_LOOK, &tools.shutdown).await;
    };
    let by = match service.primary() {
        Some(primary) if Some(&primary.id) != known => theirs(primary),
        _ => return Ok(service),
    };
    if force {
        let warning = format!(
            "service `{}`: {by} began since it was prepared, and is deployed over",
            prepared.name
        );
        tools.tell.tell(Event::Warning(warning));
        return Ok(service);
    }
    let what = format!(
        "somebody else deployed to service `{}` since it was prepared",
        prepared.name
    );
    let left = format!("{by} was left alone, and the service was not changed");
    let left = match unused.split_once("; ") {
        Some((_, registered)) => format!("{left}; {registered}"),
        None => left,
    };
    Err(Unbegun::Overtaken(
        Failure::new(Kind::Refused, what)
            .nature(Nature::Overtaken)
            .cause(format!("{by} is the primary one"))
            .place(place())
            .left(left)
            .hint("run the same command again to deploy over it, or give `--force`"),
    ))
}

fn theirs(deployment: &Deployment) -> String {
    format!(
        "deployment {} (`{}`)",
        deployment.id,
        revision_name(&deployment.task_definition)
    )
}

/// The ARN of the revision that the service is to get: registered, unless nothing differs.
pub(super) async fn revision_for(
    tools: &Tools,
    prepared: &Prepared,
    halted: impl Fn() -> bool,
) -> Result<String, Unbegun> {
    tell_changes(tools, prepared);
    if let Some(registered) = &prepared.registered {
        return Ok(registered.clone());
    }
    if prepared.diff.is_empty() && prepared.marking.is_none() {
        // Forced: the same revision gets a new deployment. Under a mark it gets one of its own, by which it is known.
        return Ok(prepared.previous().to_owned());
    }
    tokio::select! {
        biased;
        registered = register(tools, prepared, halted) => registered,
        kind = tools.shutdown.reached(Urgency::WindDown) => {
            let what = format!("stopped while a revision for service `{}` was being registered", prepared.name);
            Err(Failure::new(kind, what).left(maybe_registered(prepared)).into())
        }
    }
}

/// What there is when the revision is registered and the service does not name it.
pub(super) fn unused(prepared: &Prepared, revision: &str) -> String {
    let serves = format!("`{}` serves as before", prepared.revision());
    if revision == prepared.revision() {
        return serves;
    }
    format!("{serves}; revision `{revision}` is registered and not used")
}

/// Why a service could not be pointed at a task definition.
#[derive(Debug)]
pub(super) struct Unpointed {
    /// What the last call said; none if a stop was asked for while it was under way.
    pub(super) error: Option<ServiceError>,
    /// Whether one of the calls may have taken effect. Once in doubt, no later refusal takes the doubt away.
    pub(super) doubt: bool,
}

/// Points the service at a task definition. After a lost answer it looks whether the update took effect before it asks
/// again; a throttled update is repeated after a pause. A stop ends it after the call under way, or without its answer
/// if that does not come soon.
pub(super) async fn point(
    tools: &Tools,
    ecs: &Ecs,
    task_definition: &str,
    force: bool,
    before: Option<&str>,
) -> Result<Begun, Unpointed> {
    let mut doubt = false;
    for attempt in 1.. {
        let error = match in_time(tools, Box::pin(ecs.update(task_definition, force))).await {
            Some(Ok(begun)) => return Ok(begun),
            Some(Err(error)) => error,
            None => {
                return Err(Unpointed {
                    error: None,
                    doubt: true,
                });
            }
        };
        doubt |= error.is_in_doubt();
        if attempt >= ATTEMPTS || !(error.is_in_doubt() || error.is_throttled()) {
            return Err(Unpointed {
                error: Some(error),
                doubt,
            });
        }
        let pause = tools
            .clock
            .pause(Duration::from_secs(attempt), &tools.shutdown)
            .await;
        if doubt {
            match ecs.begun_already(task_definition, before).await {
                Ok(Some(begun)) => return Ok(begun),
                Ok(None) => {}
                Err(error) => {
                    return Err(Unpointed {
                        error: Some(error),
                        doubt,
                    });
                }
            }
        }
        if pause == Pause::Stopped {
            return Err(Unpointed {
                error: Some(error),
                doubt,
            });
        }
    }
    Err(Unpointed { error: None, doubt })
}

/// What a call answers; none if it is still silent when a stop has waited long enough.
pub(super) async fn in_time<T>(tools: &Tools, call: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answer = call => Some(answer),
        () = patience(tools) => None,
    }
}

/// Ends when a stop was asked for and the far end had its time to answer, or with the second signal.
async fn patience(tools: &Tools) {
    tools.shutdown.reached(Urgency::WindDown).await;
    let unstopped = Shutdown::never();
    tokio::select! {
        _ = tools.clock.pause(PATIENCE, &unstopped) => {}
        _ = tools.shutdown.reached(Urgency::Now) => {}
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

async fn register(tools: &Tools, prepared: &Prepared, halted: impl Fn() -> bool) -> Result<String, Unbegun> {
    let Prepared { ecs, wanted, .. } = prepared;
    let registered = register_definition(tools, ecs, wanted, prepared.marking.as_ref(), halted).await;
    let arn = registered.map_err(|error| {
        let what = format!(
            "the new revision of service `{}` could not be registered",
            prepared.name
        );
        let left = if error.is_in_doubt() {
            maybe_registered(prepared)
        } else {
            format!("nothing was changed; `{}` serves as before", prepared.revision())
        };
        let tags = denies_tags(&error);
        let failure = refused(error, what).left(left).place(format!(
            "service `{}` in cluster `{}`",
            prepared.name, prepared.cluster
        ));
        if tags {
            failure.hint(allow_tags(wanted.family()))
        } else {
            failure
        }
    })?;
    let Some(arn) = arn else {
        let left = format!("`{}` serves as before", prepared.revision());
        return Err(Unbegun::Halted(left));
    };
    let revision = revision_name(&arn).to_owned();
    tools.tell.tell(Event::Registered {
        service: prepared.name.clone(),
        revision,
    });
    Ok(arn)
}

/// Whether it is the tags of a registration that are denied. AWS says so in its words alone, which name the action.
pub(super) fn denies_tags(error: &ServiceError) -> bool {
    let ServiceError::Call(call) = error else {
        return false;
    };
    call.sorted == Sorted::Denied && chain(error).contains("ecs:TagResource")
}

/// The statement that lets a role tag what it registers in a family, and nothing else.
pub(super) fn allow_tags(family: &str) -> String {
    format!(
        "slipway tags what it registers for a pipeline, so that a retry finds it; allow it with the statement          {{\"Effect\":\"Allow\",\"Action\":\"ecs:TagResource\",\"Resource\":\"arn:aws:ecs:*:*:task-definition/{family}:*\",\
         \"Condition\":{{\"StringEquals\":{{\"ecs:CreateAction\":\"RegisterTaskDefinition\"}}}}}}"
    )
}

fn maybe_registered(prepared: &Prepared) -> String {
    format!(
        "`{}` serves as before; it is unknown whether the revision is registered, and nothing uses it",
        prepared.revision()
    )
}

fn not_updated(tools: &Tools, unpointed: Unpointed, prepared: &Prepared, unused: &str) -> Failure {
    let Unpointed { error, doubt } = unpointed;
    let passing = doubt || error.as_ref().is_none_or(ServiceError::is_throttled);
    let what = format!("service `{}` could not be updated", prepared.name);
    let mut failure = match error {
        Some(error) => refused(error, what),
        None => Failure::new(
            Kind::Unclear,
            format!("stopped while service `{}` was being updated", prepared.name),
        ),
    }
    .place(format!(
        "service `{}` in cluster `{}`",
        prepared.name, prepared.cluster
    ));
    if doubt {
        failure.kind = Kind::Unclear;
        failure = failure
            .left(format!("unknown whether the update took effect; before it, {unused}"))
            .hint("look at the service before you act, or run the same command again: it deploys only what differs");
    } else {
        failure = failure.left(unused);
    }
    if let (true, (_, Some(kind))) = (passing, tools.shutdown.asked()) {
        failure.kind = kind;
    }
    failure
}

pub(super) fn refused(error: ServiceError, what: String) -> Failure {
    match error {
        ServiceError::Call(error) => error.into_failure(what),
        error @ (ServiceError::NoService
        | ServiceError::Incomplete { .. }
        | ServiceError::TaskDefinition(_)) => Failure::new(Kind::Refused, what).because(error),
    }
}
