//! What follows when a service leaves the watch: its proof, its diagnosis, its way back.

use super::Deployed;
use super::outcome::{Outcome, doing};
use super::prepare::{Prepared, whose};
use super::resume::print;
use super::roll::Run;
use super::undo::{Undone, bring_back};
use super::watch::{End, Ended, Lost, Sofar, running};
use super::words::describe;
use crate::config::settings::OnFailure;
use crate::ecs::capture::{Aftermath, Line};
use crate::ecs::observation::Observation;
use crate::ecs::resume::UnderWay;
use crate::ecs::rollout::{Loss, Ours, proofs};
use crate::ecs::service::ServiceError;
use crate::failure::{Failure, Kind, chain};
use crate::name::ContainerName;
use crate::report::event::{Event, Phase};
use crate::stage::Tools;
use std::time::Duration;

/// Closes one service; gives its place in the run, and what became of it.
pub(super) async fn close(run: &Run<'_>, ended: Ended<'_>) -> (usize, Outcome) {
    let goes_on = changes(&ended).then(|| Box::new(under_way(&ended)));
    let proven_before = ended.proven;
    let kept = matches!(ended.end, End::Healthy(_) | End::HandedBack(_)).then(|| Box::new(under_way(&ended)));
    let Ended {
        place,
        prepared,
        begun,
        changed,
        elapsed,
        end,
        ..
    } = ended;
    let tools = run.tools;
    let outcome = match end {
        End::Healthy(seen) => {
            let ours = changed.then_some(&begun.ours);
            let deployed = if proven_before {
                proven_again(prepared, ours, &begun.revision)
            } else {
                let deployed = proven(tools, prepared, ours, &begun.revision, &seen);
                tell_proven(tools, &deployed, elapsed);
                deployed
            };
            Outcome::Proven(deployed, kept)
        }
        End::Lost(lost, order) => {
            tell_lost(run, prepared, &lost, changed);
            let goes_on = goes_on.filter(|_| leaves_under_way(&lost.loss, run.deploy.on_failure));
            let failure = if changed {
                lost.into_failure(run, prepared, &begun).await
            } else {
                lost.into_failure_of_unchanged(tools, prepared, &begun).await
            };
            Outcome::Lost {
                failure: Box::new(whose(failure, &prepared.place)),
                order,
                goes_on,
            }
        }
        End::Stopped(kind, sofar, order) => {
            let failure = if changed {
                stopped(kind, sofar, prepared, &begun.ours)
            } else {
                stopped_unchanged(kind, &sofar, prepared)
            };
            Outcome::Lost {
                failure: Box::new(failure),
                order,
                goes_on,
            }
        }
        End::HandedBack(sofar) => match kept {
            Some(under_way) => Outcome::HandedBack {
                under_way,
                waiting_on: sofar.waiting_on,
                elapsed,
            },
            None => Outcome::Untouched(String::new()),
        },
        End::Unwatched(sofar) => {
            let doing = doing(sofar.waiting_on.as_ref());
            tools.tell.tell(Event::Unwatched {
                service: prepared.name.clone(),
                doing: doing.clone(),
            });
            Outcome::Unwatched { doing, goes_on }
        }
        End::Back {
            service_deployment,
            healthy,
        } => {
            let undone = bring_back(run, prepared, service_deployment.as_deref(), &begun).await;
            let stays = undone.stays();
            let aftermath = went_back(undone, prepared, &begun.revision, healthy);
            tools.record.line(|| Line::Rollback(aftermath.clone()));
            Outcome::Back { aftermath, stays }
        }
    };
    (place, outcome)
}

/// Whether this run changed the service, so that there is a rollout to take up again.
const fn changes(ended: &Ended<'_>) -> bool {
    ended.changed && !matches!(ended.end, End::Healthy(_) | End::Back { .. } | End::HandedBack(_))
}

/// Whether ECS goes on with a rollout that was given up.
fn leaves_under_way(loss: &Loss, on_failure: OnFailure) -> bool {
    match loss {
        Loss::Deadline { .. } | Loss::CannotTell(_) => true,
        Loss::Stuck { .. } => on_failure == OnFailure::Leave,
        _ => false,
    }
}

fn under_way(ended: &Ended<'_>) -> UnderWay {
    let prepared = ended.prepared;
    UnderWay {
        place: prepared.place.clone(),
        cluster: prepared.cluster.clone(),
        service: prepared.name.to_string(),
        deployment: ended.begun.ours.deployment.clone(),
        revision: ended.begun.revision.clone(),
        started: ended.started.as_secs(),
        changed: ended.changed,
        proven: matches!(ended.end, End::Healthy(_)),
        containers: prepared.images.keys().map(ToString::to_string).collect(),
        images: print(&prepared.images),
        before: ended.begun.kept.clone(),
        kept: ended.kept.clone(),
    }
}

/// Tells the proof and sums up.
fn proven(
    tools: &Tools,
    prepared: &Prepared,
    ours: Option<&Ours>,
    revision: &str,
    seen: &Observation,
) -> Deployed {
    let wanted = |container: &&ContainerName| prepared.expected.contains_key(*container);
    let mut images = Vec::new();
    for proof in proofs(prepared.images.keys().filter(wanted), seen) {
        images.extend(prepared.images.get(&proof.container).map(ToString::to_string));
        tools.tell.tell(Event::DigestProven {
            service: prepared.name.clone(),
            container: proof.container,
            digest: proof.digest,
            tasks: proof.tasks,
        });
    }
    Deployed {
        service: prepared.name.clone(),
        revision: revision.to_owned(),
        deployment: ours.map(|ours| ours.deployment.clone()),
        images,
    }
}

/// What an earlier stretch proved and told.
fn proven_again(prepared: &Prepared, ours: Option<&Ours>, revision: &str) -> Deployed {
    let images = prepared.images.iter();
    let proven = images.filter(|(container, _)| prepared.expected.contains_key(*container));
    Deployed {
        service: prepared.name.clone(),
        revision: revision.to_owned(),
        deployment: ours.map(|ours| ours.deployment.clone()),
        images: proven.map(|(_, image)| image.to_string()).collect(),
    }
}

fn tell_proven(tools: &Tools, deployed: &Deployed, took: Duration) {
    let service = deployed.service.clone();
    let revision = deployed.revision.clone();
    if deployed.deployment.is_none() {
        tools.tell.tell(Event::Unchanged { service, revision });
        return;
    }
    let of = service.to_string();
    tools.tell.tell(Event::Healthy {
        service,
        revision,
        took,
    });
    tools.tell.tell(Event::PhaseFinished {
        phase: Phase::Deploy,
        of,
        took,
    });
}

/// Says that a service is lost, unless the end of the run will say so at once.
fn tell_lost(run: &Run<'_>, prepared: &Prepared, lost: &Lost, changed: bool) {
    let undone = changed && run.deploy.on_failure != OnFailure::Leave && lost.loss.leaves_new_revision();
    if run.services > 1 || undone {
        let failure = describe(&lost.loss, &prepared.name, lost.elapsed.as_secs());
        run.tools.tell.tell(Event::Lost {
            service: prepared.name.clone(),
            what: failure.what,
        });
    }
}

/// The failure of a watch that was stopped.
fn stopped(kind: Kind, sofar: Sofar, prepared: &Prepared, ours: &Ours) -> Failure {
    let what = format!("stopped while watching service `{}`", prepared.name);
    let waiting = sofar
        .waiting_on
        .map(|on| format!("; it was waiting for {on}"))
        .unwrap_or_default();
    let serving = sofar
        .last_seen
        .as_ref()
        .map(|service| format!("; {}", running(service)))
        .unwrap_or_default();
    Failure::new(kind, what)
        .place(prepared.place(&ours.deployment))
        .left(format!("ECS goes on with deployment {}{waiting}{serving}", ours.deployment))
        .hint("run the same command again to watch and prove it: nothing is deployed twice when nothing differs")
}

/// The same where nothing had been changed.
fn stopped_unchanged(kind: Kind, sofar: &Sofar, prepared: &Prepared) -> Failure {
    let what = format!("stopped while service `{}` was being proven", prepared.name);
    let serving = sofar.last_seen.as_ref().map(running);
    let serving = serving.unwrap_or_else(|| "unknown what serves".to_owned());
    Failure::new(kind, what)
        .place(format!(
            "service `{}` in cluster `{}`",
            prepared.name, prepared.cluster
        ))
        .left(format!(
            "nothing was changed: the service already had this revision; {serving}"
        ))
}

/// What became of a service that another one's failure took back.
pub(super) fn went_back(undone: Undone, prepared: &Prepared, ours: &str, healthy: bool) -> Aftermath {
    let was = if healthy { "was healthy" } else { "was under way" };
    let rolled_back = matches!(undone, Undone::Back { .. } | Undone::UnderWay { .. });
    let refusal = |error: Option<ServiceError>| {
        let why = error.map(|error| format!(": {}", chain(&error)));
        why.unwrap_or_default()
    };
    let left = match undone {
        Undone::Back { revision, left } => format!("{was}, and `{revision}` is back; {left}"),
        Undone::UnderWay {
            revision,
            service,
            failures,
        } => {
            let serving = service.as_ref().map(|service| format!("; {}", running(service)));
            let failures = failures.map(|failures| format!("; {failures}"));
            format!(
                "{was}; ECS was asked to bring `{revision}` back and was still at it when last seen{}{}",
                serving.unwrap_or_default(),
                failures.unwrap_or_default()
            )
        }
        Undone::NothingBefore => {
            format!("{was}, and stays on `{ours}`: no revision completed before")
        }
        Undone::SameBefore => {
            format!("{was}, and stays on `{ours}`, which it had before: it was deployed once more")
        }
        Undone::NotOurs(by) => format!("{was}, and was left alone: deployment {by} has replaced ours"),
        Undone::Refused(error) => {
            let why = refusal(error);
            format!("{was}, and stays on `{ours}`: the rollback was refused{why}")
        }
        Undone::Unknown(revision, error) => {
            let why = refusal(error);
            format!("{was}; unknown whether it wants `{ours}` still or `{revision}` again{why}")
        }
    };
    Aftermath {
        service: prepared.name.to_string(),
        cluster: Some(prepared.cluster.clone()),
        rolled_back,
        left,
        evidence: Vec::new(),
        hints: Vec::new(),
    }
}
