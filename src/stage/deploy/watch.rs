//! The watch: look, judge, tell, pause, until the verdict.

use super::Deployed;
use super::prepare::Prepared;
use crate::clock::Pause;
use crate::config::settings::DeploySettings;
use crate::ecs::observation::{Observation, Service, revision_name};
use crate::ecs::rollout::pace::{GLANCE, GLANCES};
use crate::ecs::rollout::{Baseline, Loss, Ours, Rollout, Verdict, WaitingOn};
use crate::ecs::service::{Look, Watched};
use crate::failure::{Failure, Kind};
use crate::report::event::Event;
use crate::shutdown::Urgency;
use crate::stage::Tools;
use std::time::Duration;

/// How long the look at the deadline may take.
const LAST_LOOK: Duration = Duration::from_secs(30);

/// How a watch ended.
#[derive(Debug)]
pub(super) enum End {
    /// Healthy, by this look.
    Healthy(Observation),
    /// Lost.
    Lost(Box<Lost>),
    /// A stop was asked for.
    Stopped(Stopped),
}

/// A lost rollout.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) loss: Loss,
    pub(super) elapsed: Duration,
    /// The last look.
    pub(super) seen: Observation,
    /// The service when it was last seen.
    pub(super) last_seen: Option<Service>,
    pub(super) watched: Watched,
}

/// A watch that was stopped.
#[derive(Debug)]
pub(super) struct Stopped {
    kind: Kind,
    waiting_on: Option<WaitingOn>,
    seen: Option<Observation>,
}

/// Watches a deployment until its verdict, the deadline or a stop.
pub(super) async fn watch(
    tools: &Tools,
    deploy: &DeploySettings,
    prepared: &Prepared,
    ours: &Ours,
    baseline: Baseline,
) -> End {
    let start = tools.clock.now();
    let mut rollout = Rollout::new(prepared.policy(deploy), ours.clone(), baseline);
    let mut watched = Watched::new(&ours.deployment);
    let mut told: Option<WaitingOn> = None;
    let mut last: Option<Observation> = None;
    loop {
        let look = tokio::select! {
            look = prepared.ecs.look(&mut watched) => look,
            // A call that hangs must not outlast the deadline by all its retries.
            () = tools.clock.reaches(start + deploy.timeout + LAST_LOOK) => {
                Look { seen: Observation::unanswered(), answers: Vec::new() }
            }
            kind = tools.shutdown.reached(Urgency::WindDown) => {
                return End::Stopped(Stopped { kind, waiting_on: told, seen: last });
            }
        };
        let seen = &look.seen;
        let elapsed = tools.clock.now().saturating_sub(start);
        for event in rollout.news(seen) {
            let message = event.message.clone();
            tools.tell.tell(Event::ServiceEvent {
                service: prepared.name.clone(),
                message,
            });
        }
        match rollout.judge(elapsed, seen) {
            Verdict::Healthy => return End::Healthy(look.seen),
            Verdict::Lost(loss) => {
                let last_seen = [Some(seen), last.as_ref()];
                let last_seen = last_seen
                    .into_iter()
                    .flatten()
                    .find_map(Observation::seen_service);
                return End::Lost(Box::new(Lost {
                    loss,
                    elapsed,
                    last_seen: last_seen.cloned(),
                    seen: look.seen,
                    watched,
                }));
            }
            Verdict::Wait(waiting_on) => {
                if told.as_ref() != Some(&waiting_on) {
                    let what_for = waiting_on.to_string();
                    tools.tell.tell(Event::Waiting {
                        service: prepared.name.clone(),
                        elapsed,
                        what_for,
                    });
                }
                told = Some(waiting_on.clone());
                let settles = match &waiting_on {
                    WaitingOn::TasksToStay { .. } => rollout.settles_in(elapsed),
                    _ => None,
                };
                watched.pace.waits_for(&waiting_on);
                let left = deploy.timeout.saturating_sub(elapsed);
                let pause = watched
                    .pace
                    .pause(settles.map_or(left, |settles| settles.min(left)));
                watched
                    .pace
                    .settling(settles.is_some_and(|settles| settles > pause));
                let until = tools.clock.now() + left;
                if wait(tools, prepared, &waiting_on, &watched, &look, pause, until).await == Pause::Stopped {
                    let kind = tools.shutdown.asked().1.unwrap_or(Kind::Terminated);
                    return End::Stopped(Stopped {
                        kind,
                        waiting_on: told,
                        seen: Some(look.seen),
                    });
                }
            }
        }
        last = Some(look.seen);
    }
}

/// Pauses; while the thing that is waited for shows itself by one call, glances at it until it changes or a whole look
/// is due.
async fn wait(
    tools: &Tools,
    prepared: &Prepared,
    waiting_on: &WaitingOn,
    watched: &Watched,
    last: &Look,
    pause: Duration,
    until: Duration,
) -> Pause {
    if !waiting_on.shows_at_a_glance() {
        return tools.clock.pause(pause, &tools.shutdown).await;
    }
    for _ in 0..GLANCES {
        let left = until.saturating_sub(tools.clock.now());
        let pause = GLANCE.min(left.max(Duration::from_millis(1)));
        if tools.clock.pause(pause, &tools.shutdown).await == Pause::Stopped {
            return Pause::Stopped;
        }
        if tools.clock.now() >= until {
            return Pause::Passed;
        }
        let still = tokio::select! {
            still = prepared.ecs.is_still(waiting_on, watched, last) => still,
            () = tools.clock.reaches(until) => return Pause::Passed,
            _ = tools.shutdown.reached(Urgency::WindDown) => return Pause::Stopped,
        };
        if !still {
            return Pause::Passed;
        }
    }
    Pause::Passed
}

impl Stopped {
    pub(super) fn into_failure(self, prepared: &Prepared, ours: &Ours) -> Failure {
        let what = format!("stopped while watching service `{}`", prepared.name);
        let waiting = self
            .waiting_on
            .map(|on| format!("; it was waiting for {on}"))
            .unwrap_or_default();
        let serving = self
            .seen
            .as_ref()
            .and_then(serving)
            .map(|serving| format!("; {serving}"))
            .unwrap_or_default();
        Failure::new(self.kind, what)
            .place(prepared.place(&ours.deployment))
            .left(format!("ECS goes on with deployment {}{waiting}{serving}", ours.deployment))
            .hint("run the same command again to watch and prove it: nothing is deployed twice when nothing differs")
    }

    /// The same where nothing had been changed.
    pub(super) fn into_failure_of_unchanged(self, prepared: &Prepared) -> Failure {
        let what = format!("stopped while service `{}` was being proven", prepared.name);
        let serving = self
            .seen
            .as_ref()
            .and_then(serving)
            .unwrap_or_else(|| "unknown what serves".to_owned());
        Failure::new(self.kind, what)
            .place(format!(
                "service `{}` in cluster `{}`",
                prepared.name, prepared.cluster
            ))
            .left(format!(
                "nothing was changed: the service already had this revision; {serving}"
            ))
    }
}

/// What runs, by revision: `` `web:41` runs 2 tasks, `web:42` none ``.
pub(super) fn serving(seen: &Observation) -> Option<String> {
    seen.seen_service().map(running)
}

/// The same of a service.
pub(super) fn running(service: &Service) -> String {
    let mut revisions: Vec<(&str, u32)> = Vec::new();
    for deployment in &service.deployments {
        let name = revision_name(&deployment.task_definition);
        match revisions.iter_mut().find(|(known, _)| *known == name) {
            Some((_, running)) => *running += deployment.running,
            None => revisions.push((name, deployment.running)),
        }
    }
    revisions.sort_by_key(|(_, running)| std::cmp::Reverse(*running));
    if revisions.iter().all(|(_, running)| *running == 0) {
        return "no task runs".to_owned();
    }
    let runs: Vec<String> = revisions
        .iter()
        .map(|(name, running)| match running {
            0 => format!("`{name}` none"),
            1 => format!("`{name}` runs 1 task"),
            running => format!("`{name}` runs {running} tasks"),
        })
        .collect();
    runs.join(", ")
}

/// Tells the proof and sums up.
pub(super) fn proven(
    tools: &Tools,
    prepared: &Prepared,
    ours: Option<&Ours>,
    revision: &str,
    seen: &Observation,
) -> Deployed {
    let tasks = seen.tasks.as_deref().unwrap_or_default();
    let mut images = Vec::new();
    for (container, image) in &prepared.images {
        if !prepared.expected.contains_key(container) {
            continue;
        }
        let running: Vec<_> = tasks
            .iter()
            .filter(|task| task.runs())
            .flat_map(|task| &task.containers)
            .collect();
        let digests = running
            .iter()
            .filter(|found| found.name == container.as_str())
            .filter_map(|found| found.digest.clone());
        let digests: Vec<_> = digests.collect();
        // Where tasks may not be seen, ECS's own word for our revision has proven it.
        let resolved = seen
            .revision
            .iter()
            .flat_map(|revision| &revision.images)
            .find(|resolved| resolved.container == container.as_str())
            .and_then(|resolved| resolved.digest.clone());
        let by_revision = digests.is_empty();
        let Some(digest) = digests.first().cloned().or(resolved) else {
            continue;
        };
        let primary = seen.seen_service().and_then(Service::primary);
        let tasks = if by_revision {
            primary.map_or(0, |primary| {
                usize::try_from(primary.running).unwrap_or(usize::MAX)
            })
        } else {
            digests.len()
        };
        images.push(image.to_string());
        tools.tell.tell(Event::DigestProven {
            service: prepared.name.clone(),
            container: container.clone(),
            digest,
            tasks,
        });
    }
    Deployed {
        service: prepared.name.clone(),
        revision: revision.to_owned(),
        deployment: ours.map(|ours| ours.deployment.clone()),
        images,
    }
}
