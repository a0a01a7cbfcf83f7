//! Taking up what an earlier attempt of the same execution did to a service: its own deployment is watched instead of
//! begun again, and its revision is used instead of registered a second time.

use super::again::previous;
use super::prepare::{Prepared, UNCHANGED};
use super::resume::print;
use crate::ecs::mark::{Found, KEYS, MOST_TAGS, Mark, Marking, spelled_out};
use crate::ecs::observation::{Deployment, RolloutState, revision_name};
use crate::ecs::resume::{Before, Kept, Print, UnderWay};
use crate::ecs::service::{MarkedRevision, ServiceError};
use crate::ecs::task_definition::{Diff, TaskDefinition};
use crate::failure::{Failure, Kind, Nature};
use crate::report::event::Event;
use crate::stage::Tools;
use std::collections::BTreeMap;
use std::time::Duration;

/// Why a service cannot be deployed to under a mark.
pub(super) enum Unadopted {
    /// It could not be looked at.
    Unasked(ServiceError),
    /// It must not be touched.
    Failed(Box<Failure>),
}

impl From<ServiceError> for Unadopted {
    fn from(error: ServiceError) -> Self {
        Self::Unasked(error)
    }
}

/// What an earlier attempt left of a service, if it did anything to it. `tagged` is what the service runs, with its tags;
/// `created` is when each of its deployments was created.
pub(super) async fn adopt(
    tools: &Tools,
    mark: &Mark,
    force: bool,
    prepared: &mut Prepared,
    tagged: &TaskDefinition,
    created: &BTreeMap<String, f64>,
) -> Result<(), Unadopted> {
    let marking = Marking {
        mark: mark.clone(),
        service: Print::of(&format!("{}/{}", prepared.cluster, prepared.name)),
        before: Before::of(&prepared.service),
    };
    let room = MOST_TAGS - KEYS.len();
    if prepared.wanted.count_of_tags() > room {
        let what = format!(
            "the task definition of service `{}` has too many tags",
            prepared.name
        );
        let failure = Failure::new(Kind::Usage, what)
            .cause(format!(
                "slipway adds {} to them, and ECS takes {MOST_TAGS} in all",
                KEYS.len()
            ))
            .left(UNCHANGED);
        return Err(Unadopted::Failed(Box::new(failure)));
    }
    prepared.marking = Some(marking.clone());
    // The primary deployment may be ours.
    let primary = prepared.service.primary().cloned();
    if let Some(primary) = &primary
        && let Some(found) = marking.find(tagged)
        && marking.is_made_of(tagged, &prepared.wanted)
    {
        let failed = primary.rollout == Some(RolloutState::Failed);
        if failed && !found.is_of(&mark.attempt) {
            let revision = revision_name(&primary.task_definition);
            note(
                tools,
                prepared,
                &format!("`{revision}` of an earlier attempt failed, and is deployed once more"),
            );
            prepared.registered = Some(primary.task_definition.clone());
            prepared.once_more = true;
            return Ok(());
        }
        // Another attempt has a timeout of its own: the earlier one's may be over.
        let at = created.get(&primary.id).copied();
        let at = at.filter(|_| found.is_of(&mark.attempt));
        take_up(tools, prepared, &primary.id, &primary.task_definition, found, at).await;
        return Ok(());
    }
    // One that another has replaced, or that ECS is rolling back.
    let others = prepared.service.deployments.iter();
    let others: Vec<Deployment> = others
        .filter(|other| primary.as_ref().is_none_or(|primary| primary.id != other.id))
        .cloned()
        .collect();
    for other in others {
        let Some(revision) = prepared.ecs.registered(&other.task_definition).await? else {
            continue;
        };
        let Some(found) = marking.find(&revision.definition) else {
            continue;
        };
        if !marking.is_made_of(&revision.definition, &prepared.wanted) {
            continue;
        }
        let at = created.get(&other.id).copied();
        if found.is_of(&mark.attempt) {
            take_up(tools, prepared, &other.id, &other.task_definition, found, at).await;
            return Ok(());
        }
        let name = revision_name(&other.task_definition);
        let what = if other.rollout == Some(RolloutState::Failed) {
            format!("ECS is rolling `{name}` of an earlier attempt back; it is deployed once more")
        } else {
            format!("`{name}` of an earlier attempt was replaced, and is deployed once more")
        };
        note(tools, prepared, &what);
        if revision.active {
            prepared.registered = Some(other.task_definition.clone());
            return Ok(());
        }
    }
    if prepared.is_unchanged() && !force {
        return Ok(());
    }
    let found = prepared.ecs.find_marked(&prepared.wanted, &marking).await?;
    if let Some(MarkedRevision { arn, found }) = found {
        registered_before(tools, mark, force, prepared, arn, found).await?;
    }
    Ok(())
}

/// A revision that an earlier attempt registered, and that no deployment brings any more, or none yet.
async fn registered_before(
    tools: &Tools,
    mark: &Mark,
    force: bool,
    prepared: &mut Prepared,
    arn: String,
    found: Found,
) -> Result<(), Unadopted> {
    let name = revision_name(&arn).to_owned();
    if found.is_of(&mark.attempt) {
        if let Some(earlier) = prepared.ecs.deployment_of(&arn).await {
            take_up(tools, prepared, &earlier.id, &arn, found, Some(earlier.created)).await;
            return Ok(());
        }
        // As if this attempt had gone on: what somebody else deployed meanwhile is not rolled over.
        let primary = prepared.service.primary();
        let by = primary.filter(|primary| Print::of(&primary.id) != found.before.deployment);
        if let (Some(by), false) = (by, force) {
            let by = format!("deployment {} (`{}`)", by.id, revision_name(&by.task_definition));
            let what = format!(
                "somebody else deployed to service `{}` since it was prepared",
                prepared.name
            );
            let failure = Failure::new(Kind::Refused, what)
                .nature(Nature::Overtaken)
                .cause(format!("{by} is the primary one"))
                .left(format!(
                    "{by} was left alone, and the service was not changed; revision `{name}` is registered and not used"
                ))
                .hint("retry the stage to deploy over it, or give `--force`");
            return Err(Unadopted::Failed(Box::new(failure)));
        }
    }
    note(
        tools,
        prepared,
        &format!("`{name}`, which an earlier attempt registered, is used"),
    );
    prepared.registered = Some(arn);
    Ok(())
}

/// Goes on with a deployment that is ours.
async fn take_up(
    tools: &Tools,
    prepared: &mut Prepared,
    deployment: &str,
    task_definition: &str,
    found: Found,
    created: Option<f64>,
) {
    let now = &prepared.service;
    let known = now
        .deployments
        .iter()
        .map(|one| revision_name(&one.task_definition));
    let before = spelled_out(found.before, &known);
    let service = before.service(now);
    let revision = revision_name(task_definition).to_owned();
    note(
        tools,
        prepared,
        &format!(
            "deployment {deployment} (`{revision}`) is ours, by an earlier attempt of this execution: it is watched, not \
             begun again"
        ),
    );
    let started = started(tools.clock.now(), created);
    prepared.adopted = Some(Box::new(UnderWay {
        place: prepared.place.clone(),
        cluster: prepared.cluster.clone(),
        service: prepared.name.to_string(),
        deployment: deployment.to_owned(),
        revision,
        started: started.as_secs(),
        changed: true,
        proven: false,
        containers: prepared.images.keys().map(ToString::to_string).collect(),
        images: print(&prepared.images),
        before,
        kept: Kept::of_seen(),
    }));
    prepared.running = previous(&prepared.ecs, &service, &prepared.wanted).await;
    prepared.before = prepared.running.shape();
    prepared.service = service;
    prepared.diff = Diff::default();
}

/// When the service was updated, or now if that is not to count: what ECS says, though its clock is not ours. It is never in
/// the future, so that nobody gets more time than was asked for; what it says of the past costs time at worst.
fn started(now: Duration, created: Option<f64>) -> Duration {
    let created = created.and_then(|at| Duration::try_from_secs_f64(at).ok());
    created.map_or(now, |created| created.min(now))
}

fn note(tools: &Tools, prepared: &Prepared, what: &str) {
    tools
        .tell
        .tell(Event::Note(format!("service `{}`: {what}", prepared.name)));
}

#[cfg(test)]
mod tests {
    use super::started;
    use std::time::Duration;

    #[test]
    fn an_update_was_never_in_the_future() {
        let now = Duration::from_secs(1_000);
        for (created, expected) in [
            (None, 1_000),
            (Some(900.0), 900),
            (Some(1_100.0), 1_000),
            (Some(f64::NAN), 1_000),
            (Some(-3.0), 1_000),
        ] {
            assert_eq!(started(now, created).as_secs(), expected, "{created:?}");
        }
    }
}
