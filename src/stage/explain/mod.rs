//! The explanation of a deployment: from a capture, or from what ECS still knows of a live service's last one.
//!
//! Both are judged by the judge of a watch, and told in its words; nothing is ever changed.

mod live;

pub use live::{LivePlan, live};

use super::deploy::account::{Account, merge};
use super::deploy::watch::serving;
use crate::ecs::answers::finished_at;
use crate::ecs::capture::{Capture, End, Recorded, Replay, Step, Told, replay, word};
use crate::ecs::diagnosis::{Gathered, diagnose};
use crate::ecs::rollout::{Proof, Verdict};
use crate::failure::{Failure, Kind};
use crate::name::ServiceName;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A deployment of one service, explained.
#[derive(Debug)]
pub struct Explained {
    /// The service; none where the run ended before it came to any.
    pub service: Option<ServiceName>,
    /// Its cluster.
    pub cluster: Option<String>,
    /// The deployment's id; none if none had begun.
    pub deployment: Option<String>,
    /// `family:revision` that it brings.
    pub revision: Option<String>,
    /// From the update to the verdict.
    pub elapsed: Duration,
    /// How it stands.
    pub standing: Standing,
    /// What changed from look to look.
    pub steps: Vec<Step>,
    /// When ECS completed it (RFC 3339), if it is healthy and ECS says so.
    pub since: Option<String>,
    /// The exit code of the run that was recorded; none if it did not live to have one, or if nothing was recorded.
    pub told: Option<u8>,
}

/// How a deployment stands.
#[derive(Debug)]
pub enum Standing {
    /// Healthy, and proven.
    Healthy(Vec<Proof>),
    /// Lost, with the stable word of the loss.
    Lost(&'static str, Failure),
    /// The run that was recorded ended otherwise: it was stopped, or refused before a watch began.
    Ended(Failure),
    /// The run gave it up because another service failed; what became of it.
    GivenUp(String),
    /// Neither healthy nor lost at the last look.
    Waiting {
        /// What for.
        on: String,
        /// What goes wrong meanwhile, if anything does.
        trouble: Option<Failure>,
        /// What serves.
        left: Option<String>,
    },
}

/// Where what is explained comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Capture,
    Live,
}

/// Judges a capture again: its services, or those that are named.
///
/// # Errors
/// A service is named that the capture does not have.
pub fn recorded(capture: &Capture, services: &[String]) -> Result<Vec<Explained>, Failure> {
    explain(capture, services, From::Capture)
}

fn explain(capture: &Capture, services: &[String], from: From) -> Result<Vec<Explained>, Failure> {
    let wanted = |name: &str| services.is_empty() || services.iter().any(|service| service == name);
    let watched = capture
        .services
        .iter()
        .filter(|service| wanted(&service.head.name));
    let mut explained: Vec<Explained> = watched
        .filter_map(|service| of_service(service, capture, from))
        .collect();
    for told in capture.unwatched.iter().filter(|told| wanted(&told.service)) {
        if let (Ok(service), Some(standing)) = (told.service.parse(), ended(told)) {
            explained.push(unwatched(Some(service), standing, told.exit_code));
        }
    }
    if let (true, Some(end)) = (explained.is_empty() && services.is_empty(), &capture.end)
        && let Some(block) = &end.failure
    {
        let failure = block.clone().into_failure(end.exit_code);
        explained.push(unwatched(None, Standing::Ended(failure), Some(end.exit_code)));
    }
    if let Some(end) = &capture.end {
        tell_others(&mut explained, end);
    }
    let has = |name: &String| {
        let named = |found: &Explained| found.service.as_ref().is_some_and(|it| it.as_str() == name);
        explained.iter().any(named)
    };
    if let Some(missing) = services.iter().find(|name| !has(name)) {
        let known: Vec<String> = capture
            .services
            .iter()
            .map(|service| format!("`{}`", service.head.name))
            .collect();
        return Err(
            Failure::new(Kind::Usage, format!("the capture has no service `{missing}`"))
                .hint(format!("it has {}", known.join(", "))),
        );
    }
    Ok(explained)
}

/// The failure that the run ended with tells also of the other services, and of one-off tasks that ran.
fn tell_others(explained: &mut [Explained], end: &End) {
    let Some(block) = &end.failure else { return };
    let failures = explained
        .iter_mut()
        .filter_map(|found| match &mut found.standing {
            Standing::Lost(_, failure) | Standing::Ended(failure) => Some(failure),
            Standing::Healthy(_) | Standing::GivenUp(_) | Standing::Waiting { .. } => None,
        });
    let is_it = |failure: &&mut Failure| {
        failure.what == block.error
            && failure.kind.exit_code() == end.exit_code
            && failure.place == block.place
    };
    for failure in failures.filter(is_it) {
        failure.others.clone_from(&block.others);
        let left = failure.left.as_deref().unwrap_or_default();
        if let Some(whole) = block.left.as_ref().filter(|whole| whole.starts_with(left)) {
            failure.left = Some(whole.clone());
        }
    }
}

/// How the run itself ended the story of a service; none where its looks tell.
fn ended(told: &Told) -> Option<Standing> {
    match (told.exit_code, &told.failure, &told.left) {
        (Some(exit_code), Some(block), _) => Some(Standing::Ended(block.clone().into_failure(exit_code))),
        (None, _, Some(left)) => Some(Standing::GivenUp(left.clone())),
        (Some(_), None, _) | (None, _, None) => None,
    }
}

/// A service that no watch had begun for, in the run's own words.
fn unwatched(service: Option<ServiceName>, standing: Standing, told: Option<u8>) -> Explained {
    Explained {
        service,
        cluster: None,
        deployment: None,
        revision: None,
        elapsed: Duration::ZERO,
        standing,
        steps: Vec::new(),
        since: None,
        told,
    }
}

fn of_service(recorded: &Recorded, capture: &Capture, from: From) -> Option<Explained> {
    let replay = replay(recorded);
    let head = &recorded.head;
    let service: ServiceName = head.name.parse().ok()?;
    let standing = standing(recorded, &replay, &service, capture.is_complete(), from);
    Some(Explained {
        service: Some(service),
        cluster: Some(head.cluster.clone()),
        deployment: Some(head.deployment.clone()),
        revision: Some(head.revision.clone()),
        elapsed: replay.elapsed,
        since: since(recorded).filter(|_| matches!(standing, Standing::Healthy(_))),
        standing,
        steps: replay.steps,
        told: recorded.told.as_ref().and_then(|told| told.exit_code),
    })
}

/// When ECS completed the deployment, by the last look.
fn since(recorded: &Recorded) -> Option<String> {
    let (_, answers) = recorded.looks.last()?;
    let seconds = finished_at(&recorded.head.deployment, answers)?;
    let instant = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    instant.format(&Rfc3339).ok()
}

fn standing(
    recorded: &Recorded,
    replay: &Replay,
    service: &ServiceName,
    complete: bool,
    from: From,
) -> Standing {
    let said = recorded.told.as_ref().and_then(ended);
    if let Some(Standing::GivenUp(left)) = said {
        return Standing::GivenUp(left);
    }
    let mut last_seen = replay.last_seen.as_ref();
    let mut seen = replay.seen.clone();
    if let Some(closing) = &replay.closing {
        last_seen = closing.seen_service().or(last_seen);
        seen = merge(closing.clone(), seen);
    }
    let nothing = Gathered::default();
    let gathered = match (&recorded.closing, &recorded.told) {
        (Some(closing), _) => Some(&closing.gathered),
        // The run saw no reason to look closer.
        (None, Some(_)) => None,
        (None, None) => Some(&nothing),
    };
    let comparison = recorded.head.comparison();
    let service_deployment = replay.service_deployment.as_deref();
    let head = &recorded.head;
    match &replay.verdict {
        Verdict::Healthy if complete => Standing::Healthy(replay.proofs.clone()),
        Verdict::Healthy => Standing::Waiting {
            on: "the end of the run, which the capture does not have; the last look was good".to_owned(),
            trouble: None,
            left: serving(&seen),
        },
        Verdict::Lost(loss) => {
            let account = Account {
                loss,
                service,
                cluster: &head.cluster,
                deployed: (!head.unchanged).then_some((&head.deployment, &head.revision)),
                service_deployment,
                elapsed: replay.elapsed,
                seen: &seen,
                last_seen,
                old_events: &head.old_events,
                comparison: &comparison,
                // What a capture holds is masked already.
                secrets: &[],
                gathered,
            };
            let failure = account.failure(recorded.aftermath.clone());
            Standing::Lost(word(loss), failure)
        }
        Verdict::Wait(on) => {
            if let Some(said) = said {
                return said;
            }
            let on = on.to_string();
            let left = serving(&seen);
            let gathered = gathered.unwrap_or(&nothing);
            let diagnosis = diagnose(gathered.known(&seen, &head.old_events, &comparison, &[]));
            let trouble = diagnosis.cause.clone().map(|cause| {
                let what = match from {
                    From::Capture => format!(
                        "the capture ends before a verdict: service `{service}` was still waiting for {on}"
                    ),
                    From::Live => format!("service `{service}` is not healthy: it waits for {on}"),
                };
                let place = format!(
                    "service `{service}` in cluster `{}`, deployment {}",
                    head.cluster, head.deployment
                );
                let failure = Failure::new(Kind::Unclear, what).cause(&cause).place(place);
                let failure = match &left {
                    Some(left) => failure.left(left.clone()),
                    None => failure,
                };
                let failure = diagnosis.hints.iter().cloned().fold(failure, Failure::hint);
                let room = failure.room_for_evidence();
                failure.evidence(diagnosis.evidence(room))
            });
            Standing::Waiting { on, trouble, left }
        }
    }
}

impl Explained {
    /// The verdict as one stable word: `healthy`, `waiting`, a loss, or the kind of the failure that ended the run.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match &self.standing {
            Standing::Healthy(_) => "healthy",
            Standing::Lost(word, _) => word,
            Standing::Ended(failure) => failure.kind.word(),
            Standing::GivenUp(_) => "given-up",
            Standing::Waiting { .. } => "waiting",
        }
    }

    /// The exit code that the verdict stands for; none where there is no verdict.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        match &self.standing {
            Standing::Healthy(_) => Some(0),
            Standing::Lost(_, failure) | Standing::Ended(failure) => Some(failure.kind.exit_code()),
            Standing::GivenUp(_) | Standing::Waiting { .. } => None,
        }
    }

    /// What went wrong, if anything did.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match &self.standing {
            Standing::Lost(_, failure) | Standing::Ended(failure) => Some(failure),
            Standing::Waiting { trouble, .. } => trouble.as_ref(),
            Standing::Healthy(_) | Standing::GivenUp(_) => None,
        }
    }
}
