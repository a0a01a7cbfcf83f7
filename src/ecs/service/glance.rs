//! Glances: one call shows whether the one thing that a watch waits for has come; services share those, too.

use super::Ecs;
use super::ask::TASKS_PER_CALL;
use crate::config::settings::Place;
use crate::ecs::answers::{Outcome, read, target_group};
use crate::ecs::observation::{Health, Observation, Target, TargetGroup, TargetState, Task};
use crate::ecs::rollout::WaitingOn;
use futures_util::stream::{self, StreamExt as _};
use std::collections::{BTreeMap, BTreeSet};

/// Calls that are under way at the same time.
const AT_ONCE: usize = 8;

/// One service whose watch waits for something that shows at a glance.
#[derive(Debug, Clone, Copy)]
pub struct Glance<'a> {
    /// Where it is.
    pub ecs: &'a Ecs,
    /// What the last look waits for.
    pub waiting_on: &'a WaitingOn,
    /// The last look.
    pub last: &'a Observation,
}

/// What glances saw.
#[derive(Debug, Default)]
struct Sight {
    groups: BTreeMap<String, Option<TargetGroup>>,
    /// Tasks by cluster and id; a call that failed leaves its tasks out and is in `unanswered`.
    tasks: BTreeMap<(String, String), Task>,
    unanswered: BTreeSet<(String, String)>,
}

/// What a glance shows of the thing that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glimpse {
    /// Nothing that matters changed since the last look; or the call failed, and the next look will tell.
    Still,
    /// A part of what is waited for came.
    Nearer,
    /// The wait may be over, or something went away, or no single call shows it.
    Changed,
}

/// The one thing that a glance asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject<'a> {
    Group(&'a str),
    Tasks,
}

/// Picks the glances that few calls can make, the first ones first: at most so many target groups, and of each cluster
/// the tasks that one call describes. Gives their places.
#[must_use]
pub fn affordable(glances: &[Glance<'_>], groups: usize) -> Vec<usize> {
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    let mut tasks: BTreeMap<(&Place, &str), usize> = BTreeMap::new();
    let mut picked = Vec::new();
    for (at, glance) in glances.iter().enumerate() {
        let room = match glance.subject() {
            Some(Subject::Group(group)) => {
                let room = asked.len() < groups || asked.contains(group);
                room && {
                    asked.insert(group);
                    true
                }
            }
            Some(Subject::Tasks) => {
                let of_cluster = tasks.entry(glance.ecs.cluster_in_place()).or_default();
                let more = glance.running().count();
                let room = *of_cluster == 0 || *of_cluster + more <= TASKS_PER_CALL;
                *of_cluster += if room { more } else { 0 };
                room
            }
            None => true,
        };
        if room {
            picked.push(at);
        }
    }
    picked
}

/// What became of each thing that is waited for since the last look.
pub async fn glance(glances: &[Glance<'_>]) -> Vec<Glimpse> {
    let sight = see(glances).await;
    glances.iter().map(|glance| glance.glimpse(&sight)).collect()
}

async fn see(glances: &[Glance<'_>]) -> Sight {
    let mut sight = Sight::default();
    let mut groups: BTreeMap<&str, &Ecs> = BTreeMap::new();
    let mut clusters: BTreeMap<(&Place, &str), (&Ecs, BTreeSet<&str>)> = BTreeMap::new();
    for glance in glances {
        if let Some(Subject::Group(group)) = glance.subject() {
            groups.insert(group, glance.ecs);
        }
        let ids = glance.running().map(|task| task.id.as_str());
        let (_, of_cluster) = clusters
            .entry(glance.ecs.cluster_in_place())
            .or_insert((glance.ecs, BTreeSet::new()));
        of_cluster.extend(ids);
    }
    let calls: Vec<_> = groups
        .into_iter()
        .map(|(group, ecs)| async move { (group.to_owned(), ecs.ask_targets(group).await) })
        .collect();
    let mut answers = stream::iter(calls).buffered(AT_ONCE);
    while let Some((group, answer)) = answers.next().await {
        let seen = match answer.outcome {
            Outcome::Said(said) => Some(target_group(&group, &said)),
            Outcome::Failed(_) => None,
        };
        sight.groups.insert(group, seen);
    }
    for ((_, cluster), (ecs, ids)) in clusters {
        let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
        for part in ids.chunks(TASKS_PER_CALL) {
            let place = |id: &String| (cluster.to_owned(), id.clone());
            match ecs.describe_tasks(part).await.outcome {
                Outcome::Said(said) => {
                    let tasks = read::list(&said["tasks"]).iter().map(read::task);
                    sight.tasks.extend(tasks.map(|task| (place(&task.id), task)));
                }
                Outcome::Failed(_) => sight.unanswered.extend(part.iter().map(place)),
            }
        }
    }
    sight
}

impl<'a> Glance<'a> {
    /// Where a target group lacks tasks of ours, too, its health is the last to come.
    fn subject(&self) -> Option<Subject<'a>> {
        match self.waiting_on {
            WaitingOn::Targets { target_group, .. } => Some(Subject::Group(target_group)),
            WaitingOn::ContainerHealth { .. } => {
                let lacking = self.last.target_groups.iter().find(|group| self.lacks(group) > 0);
                Some(lacking.map_or(Subject::Tasks, |group| Subject::Group(&group.arn)))
            }
            _ => None,
        }
    }

    /// How many running tasks are registered in a target group and not healthy there.
    fn lacks(&self, group: &TargetGroup) -> usize {
        let lacks = |task: &&Task| {
            let mut targets = group
                .targets
                .iter()
                .filter(|target| Some(&target.id) == task.address.as_ref());
            targets.any(|target| target.state != TargetState::Healthy)
        };
        self.all_running().filter(lacks).count()
    }

    fn all_running(&self) -> impl Iterator<Item = &'a Task> + use<'a> {
        self.last.tasks.iter().flatten().filter(|task| task.runs())
    }

    /// The tasks that a call is to show.
    fn running(&self) -> impl Iterator<Item = &'a Task> + use<'a> {
        let shown = self.subject() == Some(Subject::Tasks);
        self.all_running().take(if shown { TASKS_PER_CALL } else { 0 })
    }

    fn glimpse(&self, sight: &Sight) -> Glimpse {
        match (self.subject(), self.waiting_on) {
            (Some(Subject::Group(arn)), waiting_on) => {
                let Some(before) = self.last.target_groups.iter().find(|group| group.arn == arn) else {
                    return Glimpse::Changed;
                };
                let missing = match waiting_on {
                    WaitingOn::Targets { healthy, desired, .. } => desired.saturating_sub(*healthy) as usize,
                    _ => self.lacks(before),
                };
                match sight.groups.get(arn) {
                    Some(Some(now)) => of_targets(before, now, missing),
                    Some(None) => Glimpse::Still,
                    None => Glimpse::Changed,
                }
            }
            (Some(Subject::Tasks), WaitingOn::ContainerHealth { healthy, desired }) => {
                self.of_tasks(sight, desired.saturating_sub(*healthy) as usize)
            }
            _ => Glimpse::Changed,
        }
    }

    fn of_tasks(&self, sight: &Sight, missing: usize) -> Glimpse {
        let mut healthier = 0;
        for before in self.running() {
            let place = (self.ecs.cluster.clone(), before.id.clone());
            match sight.tasks.get(&place) {
                Some(now) if now == before => {}
                Some(now) if is_healthier(before, now) => healthier += 1,
                None if sight.unanswered.contains(&place) => {}
                Some(_) | None => return Glimpse::Changed,
            }
        }
        progress(healthier, missing)
    }
}

const fn progress(came: usize, missing: usize) -> Glimpse {
    match came {
        0 => Glimpse::Still,
        came if came < missing => Glimpse::Nearer,
        _ => Glimpse::Changed,
    }
}

/// Whether a task is as it was, but for checks that it passes now.
fn is_healthier(before: &Task, now: &Task) -> bool {
    let mut expected = before.clone();
    let passes = |expected: &mut Health, now: &Health| {
        if *now == Health::Healthy {
            *expected = Health::Healthy;
        }
    };
    passes(&mut expected.health, &now.health);
    for (expected, now) in expected.containers.iter_mut().zip(&now.containers) {
        passes(&mut expected.health, &now.health);
    }
    expected == *now
}

/// Targets that became healthy bring the end nearer; one that was in service or on its way and goes, or fails, is a
/// reason to look at everything.
fn of_targets(before: &TargetGroup, now: &TargetGroup, missing: usize) -> Glimpse {
    let state = |group: &TargetGroup, of: &Target| {
        let mut same = group
            .targets
            .iter()
            .filter(|target| (&target.id, target.port) == (&of.id, of.port));
        same.next().map(|target| target.state.clone())
    };
    let leaves = |target: &&Target| {
        let goes =
            |state: &TargetState| matches!(state, TargetState::Draining | TargetState::UnhealthyDraining);
        let failed = target.state == TargetState::Healthy;
        match state(now, target) {
            Some(TargetState::Healthy) => false,
            Some(_) if failed => true,
            Some(now) => goes(&now) && !goes(&target.state),
            None => !goes(&target.state),
        }
    };
    if before.targets.iter().any(|target| leaves(&target)) {
        return Glimpse::Changed;
    }
    let came = now.targets.iter().filter(|target| {
        target.state == TargetState::Healthy && state(before, target) != Some(TargetState::Healthy)
    });
    progress(came.count(), missing)
}
