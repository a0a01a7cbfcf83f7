//! The way back under watch: judged and told like a rollout, so that nothing is called back that does not last.

use super::begin::Beginning;
use super::prepare::Prepared;
use super::undo::Undone;
use super::watch::{LAST_LOOK, running};
use crate::clock::Pause;
use crate::ecs::observation::{Deployment, Observation, RolloutState, Service, revision_name};
use crate::ecs::rollout::{Baseline, Goal, Loss, Ours, Policy, Rollout, Verdict, WaitingOn, signature};
use crate::ecs::service::Watched;
use crate::report::event::Event;
use crate::shutdown::Urgency;
use crate::stage::Tools;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a rollback that slipway asked for is watched. The old tasks are stopped last, so it is a matter of
/// seconds in most cases; with them gone it takes as long as a rollout.
const WATCHED_FOR: Duration = Duration::from_secs(300);

/// Between two looks until the service wants the revision of before again.
const BETWEEN_LOOKS: Duration = Duration::from_secs(5);

/// Watches until the revision of before is back, for [`WATCHED_FOR`] at most, or until a stop is asked for.
pub(super) async fn watch_back(
    tools: &Tools,
    prepared: &Prepared,
    begun: &Beginning,
    previous: &str,
) -> Undone {
    let mut way = Way {
        tools,
        prepared,
        begun,
        previous,
        revision: revision_name(previous).to_owned(),
        start: tools.clock.now(),
        events: None,
        told: String::new(),
        last: None,
    };
    let end = way.start + WATCHED_FOR;
    let undone = tokio::select! {
        undone = way.follow() => Some(undone),
        _ = tools.shutdown.reached(Urgency::WindDown) => None,
        // A call that hangs must not outlast the watch by all its retries.
        () = tools.clock.reaches(end + LAST_LOOK) => None,
    };
    undone.unwrap_or_else(|| way.under_way(None))
}

/// A service on its way back.
struct Way<'a> {
    tools: &'a Tools,
    prepared: &'a Prepared,
    begun: &'a Beginning,
    /// The task definition's ARN that ECS was asked to bring back.
    previous: &'a str,
    /// `family:revision` that comes back.
    revision: String,
    start: Duration,
    /// Events that were there when it was looked at first.
    events: Option<BTreeSet<String>>,
    /// What was said to be waited for.
    told: String,
    /// The service when it was last seen.
    last: Option<Service>,
}

/// What the service wants after ECS was asked.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// Our revision, still.
    Ours,
    /// One of before, by this deployment.
    Before,
    /// What somebody else deployed.
    Theirs,
}

impl Way<'_> {
    fn elapsed(&self) -> Duration {
        self.tools.clock.now().saturating_sub(self.start)
    }

    async fn follow(&mut self) -> Undone {
        loop {
            let wanted = match self.until_wanted().await {
                Ok(wanted) => wanted,
                Err(undone) => return undone,
            };
            match self.until_back(&wanted).await {
                Some(undone) => return undone,
                // An answer from the past showed it too early.
                None => continue,
            }
        }
    }

    /// Looks until the service wants a revision of before; gives the deployment that brings it.
    async fn until_wanted(&mut self) -> Result<Deployment, Undone> {
        loop {
            // The next look may see it.
            if let Ok(service) = self.prepared.ecs.describe().await {
                let events = || service.events.iter().map(|event| event.id.clone()).collect();
                self.events.get_or_insert_with(events);
                let primary = service.primary().cloned();
                self.last = Some(service);
                if let Some(primary) = primary {
                    match wish(self.begun, self.previous, &primary) {
                        Wish::Before => {
                            revision_name(&primary.task_definition).clone_into(&mut self.revision);
                            return Ok(primary);
                        }
                        Wish::Theirs => return Err(Undone::NotOurs(primary.id)),
                        Wish::Ours => {}
                    }
                }
            }
            self.tell("ECS to go back");
            let late = self.elapsed() >= WATCHED_FOR;
            let pause = self.tools.clock.pause(BETWEEN_LOOKS, &self.tools.shutdown);
            if late || pause.await == Pause::Stopped {
                return Err(self.under_way(None));
            }
        }
    }

    /// Judges the deployment that comes back like a rollout. None if the service wants ours again.
    async fn until_back(&mut self, wanted: &Deployment) -> Option<Undone> {
        let ours = &self.begun.ours.deployment;
        let ended = self.last.as_ref().and_then(|service| service.deployment(ours));
        let baseline = Baseline {
            deployment: Some(ours.clone()),
            task_definition: ended.map(|ended| ended.task_definition.clone()),
            events: self.events.clone().unwrap_or_default(),
            ..Baseline::default()
        };
        let returning = Ours {
            deployment: wanted.id.clone(),
        };
        let mut rollout = Rollout::new(self.policy(), returning, baseline).taken_up();
        let mut watched = Watched::by_service(&wanted.id);
        loop {
            let seen = self.prepared.ecs.look(&mut watched).await.seen;
            let elapsed = self.elapsed();
            self.last = seen.seen_service().cloned().or_else(|| self.last.take());
            for event in rollout.news(&seen) {
                self.tools.tell.tell(Event::ServiceEvent {
                    service: self.prepared.name.clone(),
                    message: event.message.clone(),
                });
            }
            let waiting_on = match rollout.judge(elapsed, &seen) {
                Verdict::Healthy => return Some(self.back()),
                Verdict::Lost(Loss::RollingBack { .. } | Loss::RolledBack { .. })
                    if elapsed < WATCHED_FOR =>
                {
                    return None;
                }
                Verdict::Lost(Loss::Superseded { by, .. }) => return Some(Undone::NotOurs(by)),
                Verdict::Lost(loss) => {
                    let failures = self.failures(&loss, &seen, &wanted.id).await;
                    return Some(self.under_way(failures));
                }
                Verdict::Wait(waiting_on) => waiting_on,
            };
            let fresh = waiting_on != WaitingOn::SecondLook;
            if fresh
                && seen
                    .seen_service()
                    .is_some_and(|service| completes(service, &wanted.id))
            {
                return Some(self.back());
            }
            self.tell(&waiting_on.to_string());
            let left = WATCHED_FOR.saturating_sub(elapsed);
            let settles = rollout.settles_in(elapsed);
            watched.pace.waits_for(&waiting_on);
            let pause = watched.pace.pause(settles.unwrap_or(left).min(left));
            if self.tools.clock.pause(pause, &self.tools.shutdown).await == Pause::Stopped {
                return Some(self.under_way(None));
            }
        }
    }

    /// As a rollout of what ran before is judged. Which digest it ran is not known.
    fn policy(&self) -> Policy {
        let running = &self.prepared.running;
        let checked = running
            .containers()
            .filter(|name| running.is_essential(name) && running.has_health_check(name));
        Policy {
            goal: Goal::Healthy,
            timeout: WATCHED_FOR,
            checked: checked.filter_map(|name| name.parse().ok()).collect(),
            images: BTreeMap::new(),
            allow_zero: true,
        }
    }

    fn tell(&mut self, waiting_on: &str) {
        let what_for = format!("`{}` to be back: {waiting_on}", self.revision);
        if self.told != what_for {
            self.tools.tell.tell(Event::Waiting {
                service: self.prepared.name.clone(),
                elapsed: self.elapsed(),
                what_for: what_for.clone(),
            });
        }
        self.told = what_for;
    }

    fn back(&self) -> Undone {
        let ours = &self.begun.ours.deployment;
        let left = self.last.as_ref().map(|service| {
            let ends = service.deployment(ours).is_some_and(|ours| ours.running > 0);
            let ends = if ends {
                format!(" (`{}` is being stopped)", self.begun.revision)
            } else {
                String::new()
            };
            format!("{}{ends}", running(service))
        });
        Undone::Back {
            revision: self.revision.clone(),
            left: left.unwrap_or_default(),
        }
    }

    fn under_way(&self, failures: Option<String>) -> Undone {
        Undone::UnderWay {
            revision: self.revision.clone(),
            service: self.last.clone().map(Box::new),
            failures,
        }
    }

    /// What keeps the tasks that come back from running, if they fail.
    async fn failures(&self, loss: &Loss, seen: &Observation, deployment: &str) -> Option<String> {
        let name = &self.revision;
        if let Loss::CannotStart { reason, times } = loss {
            return Some(format!(
                "tasks of `{name}` cannot start either ({times} times): {reason}"
            ));
        }
        let listed = self.prepared.ecs.our_tasks(deployment, true).await.ok();
        let tasks = listed.as_deref().or(seen.tasks.as_deref()).unwrap_or_default();
        let failed: Vec<_> = tasks.iter().filter(|task| task.failed()).collect();
        let reason = failed.first().map(|task| signature(task))?;
        Some(format!(
            "tasks of `{name}` failed, too (at least {}): {reason}",
            failed.len()
        ))
    }
}

/// Whether ECS calls the deployment completed, and all of its tasks run.
fn completes(service: &Service, deployment: &str) -> bool {
    service.primary().is_some_and(|primary| {
        primary.id == deployment
            && primary.rollout == Some(RolloutState::Completed)
            && primary.running >= service.desired
            && (primary.pending, primary.failed) == (0, 0)
    })
}

/// Whose the primary deployment is. What was there right before our update can only be primary again by a rollback.
fn wish(begun: &Beginning, previous: &str, primary: &Deployment) -> Wish {
    if primary.id == begun.ours.deployment {
        Wish::Ours
    } else if primary.task_definition == previous || begun.had(&primary.id) {
        Wish::Before
    } else {
        Wish::Theirs
    }
}

#[cfg(test)]
mod tests {
    use super::super::begin::Beginning;
    use super::{RolloutState, Service};
    use super::{Wish, completes, wish};
    use crate::ecs::rollout::Ours;
    use crate::ecs::rollout::tests::build;

    #[test]
    fn completed_is_believed_when_as_many_tasks_run_as_are_wanted() {
        let before = build::before(2);
        let id = before.deployments[0].id.clone();
        assert!(completes(&before, &id));
        assert!(!completes(&before, "ecs-svc/9"), "another one is the primary one");
        for spoil in [
            |service: &mut Service| service.deployments[0].running = 1,
            |service: &mut Service| service.deployments[0].pending = 1,
            |service: &mut Service| service.deployments[0].failed = 1,
            |service: &mut Service| service.deployments[0].rollout = Some(RolloutState::InProgress),
        ] {
            let mut service = before.clone();
            spoil(&mut service);
            assert!(!completes(&service, &id), "{service:?}");
        }
    }

    #[test]
    fn what_was_there_before_comes_back_and_what_was_not_is_somebody_elses() {
        let before = build::before(2);
        let previous = before.deployments[0].task_definition.clone();
        let ours = build::service(2).deployments[0].clone();
        let begun = Beginning::new(
            Ours {
                deployment: ours.id.clone(),
            },
            "web:2".to_owned(),
            before.clone(),
        );
        assert_eq!(wish(&begun, &previous, &ours), Wish::Ours);
        assert_eq!(wish(&begun, &previous, &before.deployments[0]), Wish::Before);
        let mut again = ours;
        again.id = "ecs-svc/9".to_owned();
        again.task_definition.clone_from(&previous);
        assert_eq!(
            wish(&begun, &previous, &again),
            Wish::Before,
            "a deployment of its own brings it"
        );
        assert_eq!(wish(&begun, "another", &again), Wish::Theirs);
        let known = &before.deployments[0];
        assert_eq!(
            wish(&begun, "another", known),
            Wish::Before,
            "ECS chose another one of before"
        );
    }
}
