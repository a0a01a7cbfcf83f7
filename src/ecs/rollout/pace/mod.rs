//! How often to look, and at what: fast while things change, slow while nothing does, and nothing that cannot matter.
//!
//! A quiet watch costs about 7 calls a minute: one call a look, and our service deployment at every tenth look. Tasks
//! are listed when enough of them run to end the wait, or when something failed. While all of them run and only their
//! health is waited for, the one call that shows it is made often and the rest hardly ever.
//!
//! Many services share a budget of calls, so that the pauses grow with their number.
//!
//! A rollback shows beforehand: its breaker counts failures up to a threshold, and alarms fire only when tasks of ours
//! run. While it takes no more than what is under way to get there, the pause is never longer than `ON_ALERT`.

use super::WaitingOn;
use crate::ecs::observation::{
    BreakerSetting, Deployment, DeploymentStatus, RolloutState, Service, Strategy,
};
use std::time::Duration;

/// Pauses after a look, by the number of looks since something changed, in seconds.
const PAUSES: [u64; 4] = [5, 8, 10, 10];

/// The longest pause while ECS may begin a rollback without another sign.
const ON_ALERT: Duration = Duration::from_millis(4500);

/// The longest pause after tasks have failed: the next failure may be the one that ends the wait.
const AFTER_FAILURES: Duration = Duration::from_secs(8);

/// The pause while tasks only have to stay as they are.
const SETTLING: Duration = Duration::from_secs(10);

/// Looks after which our service deployment is asked for although DescribeServices shows nothing of interest.
const LOOKS_BETWEEN_SERVICE_DEPLOYMENTS: u32 = 10;

/// Looks after which everything is looked at although nothing changed: a crash between two looks can leave the counts
/// as they were.
const LOOKS_BETWEEN_LISTS: u32 = 14;

/// Services that one call of DescribeServices shows.
const SERVICES_A_CALL: usize = 10;

/// The time that is paid for each call of DescribeServices: many services leave room for others, since all clients of an
/// account share its quota.
const A_CALL: Duration = Duration::from_secs(2);

/// Between two glances at the one thing that is waited for, in the beginning.
const GLANCE: Duration = Duration::from_secs(5);

/// The same at most.
pub const LONGEST_GLANCE: Duration = Duration::from_secs(10);

/// After how many times as long as the pause between glances that pause may grow: the longer it took so far, the less
/// does a second matter.
const PATIENCE: u32 = 4;

/// Between two calls that show whether the service changed, while its tasks' health is glanced at: what somebody does
/// shows nowhere else, and each such call is one of the twelve that a minute may cost.
const PEEK_BESIDE_GLANCES: Duration = Duration::from_secs(35);

/// The same for services that share a glance at one of them.
const PEEK: Duration = Duration::from_secs(15);

/// After this time a whole look is due although glances and peeks saw nothing new.
pub const WHOLE_LOOK: Duration = Duration::from_secs(100);

/// A whole look comes within this time when a glance saw a part of what is waited for.
pub const PROGRESS: Duration = Duration::from_secs(15);

/// Between whole looks at one service for what a glance at another one showed, and what each service adds to it.
const SWEEP: Duration = Duration::from_secs(15);
const SWEEP_A_SERVICE: Duration = Duration::from_millis(1500);

/// How long to pause between glances, when the same was waited for since so long.
#[must_use]
pub fn glance_after(waited: Duration) -> Duration {
    (waited / PATIENCE).clamp(GLANCE, LONGEST_GLANCE)
}

/// The least time between two looks at a service that another one's change is the reason for, by the number of services.
#[must_use]
pub fn sweep_after(services: usize) -> Duration {
    SWEEP.max(SWEEP_A_SERVICE.saturating_mul(u32::try_from(services).unwrap_or(u32::MAX)))
}

/// What a glance may ask for one by one, by the number of services.
#[must_use]
pub fn groups_at_a_glance(services: usize) -> usize {
    (12 / services.max(1)).max(1)
}

/// What a look asks for beside the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closeness {
    /// Our service deployment.
    pub service_deployment: bool,
    /// Our running tasks, and their targets.
    pub tasks: bool,
    /// Our stopped tasks.
    pub stopped: bool,
    /// The revision that our deployment brings.
    pub revision: bool,
}

impl Closeness {
    /// Everything.
    pub const ALL: Self = Self {
        service_deployment: true,
        tasks: true,
        stopped: true,
        revision: false,
    };
}

/// What of a service shows that something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fingerprint {
    deployments: Vec<Deployment>,
    newest_event: Option<String>,
    counts: (u32, u32, u32),
}

impl Fingerprint {
    /// What brings the end nearer: not that tasks are on their way, after which nothing comes for a while.
    fn moved(&self) -> (Vec<Deployment>, u32, u32) {
        let mut deployments = self.deployments.clone();
        for deployment in &mut deployments {
            deployment.pending = 0;
        }
        let (desired, running, _) = self.counts;
        (deployments, desired, running)
    }
}

/// Remembers what changed when, in looks.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    last: Option<Fingerprint>,
    quiet: u32,
    since_list: u32,
    since_service_deployment: u32,
    settling: bool,
    /// The next look is about the last one before the instant that a pause may not pass: the deadline, or when tasks
    /// have run for long enough.
    due: bool,
    wants_revision: bool,
    on_alert: bool,
    failed: bool,
    /// Tasks that events said to be started, since the first look.
    started: u32,
    /// How many services are watched beside this one.
    others: usize,
    /// The first look of a watch that is taken up: the newest event before the update, and whether it is at everything.
    first: Option<(Option<String>, bool)>,
}

impl Pace {
    /// Says how many services are watched together.
    pub const fn among(&mut self, services: usize) {
        self.others = services.saturating_sub(1);
    }

    /// Says that an earlier process watched: tasks that it saw start count, and its look may have been at more than ours
    /// would be.
    pub fn takes_up(&mut self, newest_event: Option<String>, closely: bool) {
        self.first = Some((newest_event, closely));
    }

    /// Calls of DescribeServices that show all services once.
    fn batches(&self) -> u32 {
        u32::try_from(self.others / SERVICES_A_CALL + 1).unwrap_or(u32::MAX)
    }

    /// How long to pause before the next call that shows whether the service changed, while its tasks' health is
    /// glanced at.
    #[must_use]
    pub fn peek_after(&self) -> Duration {
        let pause = match (self.on_alert, self.others) {
            (true, _) => ON_ALERT,
            (false, 0) => PEEK_BESIDE_GLANCES,
            (false, _) => PEEK,
        };
        pause.max(A_CALL.saturating_mul(self.batches()))
    }

    /// Takes note of a look at the service, and says what else it must ask for.
    pub fn closely(&mut self, ours: &str, service: &Service) -> Closeness {
        let print = Fingerprint {
            deployments: service.deployments.clone(),
            newest_event: service.events.first().map(|event| event.id.clone()),
            counts: (service.desired, service.running, service.pending),
        };
        let changed = self.last.as_ref() != Some(&print);
        let moved = self
            .last
            .as_ref()
            .is_none_or(|last| last.moved() != print.moved());
        self.quiet = if moved { 0 } else { self.quiet + 1 };
        self.since_list += 1;
        let deployment = service.deployment(ours);
        let before = self.last.as_ref().and_then(|last| find(&last.deployments, ours));
        let fewer = match (before, deployment) {
            // One that was on its way and does not run has failed, even if ECS does not count it yet.
            (Some(before), Some(now)) => now.running < before.running || under_way(now) < under_way(before),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let failed = deployment.is_some_and(|deployment| deployment.failed > 0);
        let first = self.first.take();
        let closely = first.as_ref().is_some_and(|(_, closely)| *closely);
        let overdue = self.since_list > LOOKS_BETWEEN_LISTS.saturating_mul(self.batches());
        let since = match (&self.last, first) {
            (Some(last), _) => Some(last.newest_event.clone()),
            (None, Some((newest, _))) => Some(newest),
            (None, None) => None,
        };
        let starts = since.map_or(0, |known| starts(known.as_ref(), service));
        self.started = self.started.saturating_add(starts);
        // More starts than tasks: some were replaced, although the counts may be what they were.
        let replaced = self.started > service.desired;
        let trouble = closely || fewer || (changed && (failed || replaced)) || overdue;
        self.failed = failed || replaced;
        self.on_alert = may_roll_back(service, deployment);
        let enough = deployment.is_some_and(|ours| ours.running >= service.desired);
        let tasks = trouble || (enough && (changed || !self.settling || self.due));
        if tasks {
            self.since_list = 0;
        }
        self.last = Some(print);
        self.since_service_deployment += 1;
        // A rolling update that goes on says all of it in DescribeServices.
        let rolls = service.strategy == Strategy::Rolling
            && deployment.is_some_and(|ours| {
                ours.status == DeploymentStatus::Primary && ours.rollout == Some(RolloutState::InProgress)
            });
        let service_deployment =
            trouble || !rolls || self.since_service_deployment > LOOKS_BETWEEN_SERVICE_DEPLOYMENTS;
        if service_deployment {
            self.since_service_deployment = 0;
        }
        Closeness {
            service_deployment,
            tasks,
            stopped: trouble,
            revision: self.wants_revision,
        }
    }

    /// Takes note of what the last look left to wait for.
    pub const fn waits_for(&mut self, waiting_on: &WaitingOn) {
        self.wants_revision = waiting_on.wants_revision();
    }

    /// Everything, and the revision too if that is what is waited for.
    #[must_use]
    pub const fn everything(&self) -> Closeness {
        Closeness {
            revision: self.wants_revision,
            ..Closeness::ALL
        }
    }

    /// Says whether the tasks only have to stay as they are: then they are not listed until something changes.
    pub const fn settling(&mut self, settling: bool) {
        self.settling = settling;
    }

    /// How long to pause until the next look, at most until the deadline.
    #[must_use]
    pub fn pause(&mut self, until_deadline: Duration) -> Duration {
        let last = PAUSES.len() - 1;
        let at = usize::try_from(self.quiet).unwrap_or(last).min(last);
        let pause = if self.settling {
            SETTLING
        } else {
            Duration::from_secs(PAUSES[at])
        };
        let longest = if self.on_alert {
            ON_ALERT
        } else if self.failed {
            AFTER_FAILURES
        } else {
            pause
        };
        let pause = pause.min(longest).max(A_CALL.saturating_mul(self.batches()));
        // A look that begins before that instant may end after it.
        self.due = pause + GLANCE >= until_deadline;
        // At the deadline one last look is taken.
        pause.min(until_deadline.max(Duration::from_millis(1)))
    }
}

/// Tasks that were started since an event, as events tell.
fn starts(known: Option<&String>, service: &Service) -> u32 {
    let new = service.events.iter().take_while(|event| Some(&event.id) != known);
    let tasks = new
        .filter(|event| event.message.contains(" has started "))
        .map(|event| event.message.matches("(task ").count());
    u32::try_from(tasks.sum::<usize>()).unwrap_or(u32::MAX)
}

/// Whether what is under way is enough for ECS to begin a rollback: as many tasks of ours as are missing to the
/// breaker's threshold, or any that alarms could be about. A deployment that is not as it should be may do anything.
fn may_roll_back(service: &Service, ours: Option<&Deployment>) -> bool {
    let Some(ours) = ours else { return true };
    if ours.status != DeploymentStatus::Primary || ours.rollout == Some(RolloutState::Failed) {
        return true;
    }
    if ours.rollout == Some(RolloutState::Completed) {
        return false;
    }
    let configuration = &service.configuration;
    if configuration.alarms.enabled && ours.running > 0 {
        return true;
    }
    let under_way = under_way(ours).max(u32::from(ours.failed > 0));
    let missing = configuration
        .threshold
        .failures(service.desired)
        .unwrap_or(1)
        .saturating_sub(ours.failed);
    service.breaker != BreakerSetting::Off && under_way >= missing
}

/// Tasks that run or are to run soon.
const fn under_way(deployment: &Deployment) -> u32 {
    deployment.running.saturating_add(deployment.pending)
}

fn find<'a>(deployments: &'a [Deployment], id: &str) -> Option<&'a Deployment> {
    deployments.iter().find(|deployment| deployment.id == id)
}

#[cfg(test)]
mod tests;
