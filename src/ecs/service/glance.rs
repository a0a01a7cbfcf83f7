//! Glances: one call shows whether the one thing that a watch waits for is as it was; services share those, too.

use super::Ecs;
use super::ask::TASKS_PER_CALL;
use crate::ecs::answers::{Outcome, read, target_group};
use crate::ecs::observation::{Observation, TargetGroup, Task};
use crate::ecs::rollout::WaitingOn;
use futures_util::stream::{self, StreamExt as _};
use std::collections::{BTreeMap, BTreeSet};

/// Calls that are under way at the same time.
const AT_ONCE: usize = 8;

/// One service whose watch waits for something that shows at a glance.
#[derive(Debug)]
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

/// Whether each thing that is waited for is still as the last look saw it; true where a call fails, since the next look
/// will tell, and false where no single call shows it.
pub async fn glance(glances: &[Glance<'_>]) -> Vec<bool> {
    let sight = see(glances).await;
    glances.iter().map(|glance| glance.is_still(&sight)).collect()
}

async fn see(glances: &[Glance<'_>]) -> Sight {
    let mut sight = Sight::default();
    let mut groups: BTreeMap<&str, &Ecs> = BTreeMap::new();
    let mut clusters: BTreeMap<&str, (&Ecs, BTreeSet<&str>)> = BTreeMap::new();
    for glance in glances {
        if let WaitingOn::Targets { target_group, .. } = glance.waiting_on {
            groups.insert(target_group, glance.ecs);
        }
        let ids = glance.running().map(|task| task.id.as_str());
        let (_, of_cluster) = clusters
            .entry(&glance.ecs.cluster)
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
    for (cluster, (ecs, ids)) in clusters {
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
    /// The tasks that a call is to show.
    fn running(&self) -> impl Iterator<Item = &'a Task> + use<'a> {
        let shown = matches!(self.waiting_on, WaitingOn::ContainerHealth { .. });
        let tasks = self.last.tasks.iter().flatten().filter(|task| task.runs());
        tasks.take(if shown { TASKS_PER_CALL } else { 0 })
    }

    fn is_still(&self, sight: &Sight) -> bool {
        match self.waiting_on {
            WaitingOn::Targets { target_group, .. } => {
                let before = self
                    .last
                    .target_groups
                    .iter()
                    .find(|group| group.arn == *target_group);
                match sight.groups.get(target_group) {
                    Some(Some(now)) => before == Some(now),
                    Some(None) => true,
                    None => false,
                }
            }
            WaitingOn::ContainerHealth { .. } => self.running().all(|before| {
                let place = (self.ecs.cluster.clone(), before.id.clone());
                sight.unanswered.contains(&place) || sight.tasks.get(&place) == Some(before)
            }),
            _ => false,
        }
    }
}
