//! The tasks and targets of a round.

use super::super::Ecs;
use super::super::ask::{self, Listed, TASKS_PER_CALL, answer};
use super::{AT_ONCE, Member, Sharing, Turn, works};
use crate::aws::sort::CallError;
use crate::ecs::answers::{Answer, DESCRIBE_TARGET_HEALTH, DESCRIBE_TASKS, LIST_TASKS, Outcome};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Lists and describes the tasks of every member that asks for them.
pub(super) async fn ask_tasks(
    sharing: &mut Sharing,
    members: &[Member<'_>],
    turns: &[Option<Turn>],
    answers: &mut Vec<Answer>,
) {
    let mut clusters: BTreeMap<&str, Vec<(&Member<'_>, bool)>> = BTreeMap::new();
    for (member, turn) in members.iter().zip(turns) {
        if let Some(turn) = turn.as_ref().filter(|turn| turn.asks(|asks| asks.tasks)) {
            let stopped = turn.asks(|asks| asks.stopped);
            clusters
                .entry(&member.ecs.cluster)
                .or_default()
                .push((member, stopped));
        }
    }
    for wanting in clusters.into_values() {
        let Some(ecs) = wanting.first().map(|(member, _)| member.ecs) else {
            continue;
        };
        // A list of a whole cluster's tasks is also taken for that of members that did not ask for theirs.
        let looked_at = members.iter().zip(turns).filter(|(_, turn)| turn.is_some());
        let ours: BTreeSet<&str> = looked_at
            .map(|(member, _)| member.watched.deployment.as_str())
            .collect();
        let mut lists = Vec::new();
        for listed in [Listed::Running, Listed::Stopped] {
            let of: Vec<&Ecs> = wanting
                .iter()
                .filter(|(_, stopped)| listed == Listed::Running || *stopped)
                .map(|(member, _)| member.ecs)
                .collect();
            lists.extend(list_tasks(sharing, &of, listed).await);
        }
        let described = describe_listed(ecs, &lists).await;
        answers.extend(lists);
        answers.extend(described.into_iter().map(|answer| only_of(&ours, answer)));
    }
}

/// The tasks of services of one cluster; all of the cluster's if that takes fewer calls.
async fn list_tasks(sharing: &mut Sharing, services: &[&Ecs], listed: Listed) -> Vec<Answer> {
    if let [first, _, ..] = services {
        let place = (first.cluster.clone(), listed);
        if !sharing.crowded.contains(&place) {
            let said = ask::list_tasks_of_cluster(&first.aws, &first.cluster, listed).await;
            let asked = json!({ "cluster": first.cluster, "desiredStatus": listed.word() });
            if let Some(said) = said.transpose() {
                let whole = answer(LIST_TASKS, asked, said);
                if works(&whole) {
                    return vec![whole];
                }
            }
            sharing.crowded.insert(place);
        }
    }
    let lists: Vec<_> = services.iter().map(|ecs| ecs.list_tasks(listed)).collect();
    stream::iter(lists).buffered(AT_ONCE).collect().await
}

async fn describe_listed(ecs: &Ecs, lists: &[Answer]) -> Vec<Answer> {
    let mut known = BTreeSet::new();
    let arns: Vec<String> = lists
        .iter()
        .filter_map(|list| match &list.outcome {
            Outcome::Said(said) => said["taskArns"].as_array(),
            Outcome::Failed(_) => None,
        })
        .flatten()
        .filter_map(Value::as_str)
        .filter(|arn| known.insert(*arn))
        .map(str::to_owned)
        .collect();
    let calls: Vec<_> = arns
        .chunks(TASKS_PER_CALL)
        .map(|part| ecs.describe_tasks(part))
        .collect();
    stream::iter(calls).buffered(AT_ONCE).collect().await
}

/// Leaves the tasks of others out of what was said of a cluster's.
fn only_of(deployments: &BTreeSet<&str>, mut answer: Answer) -> Answer {
    if let Outcome::Said(said) = &mut answer.outcome
        && let Some(tasks) = said["tasks"].as_array_mut()
    {
        tasks.retain(|task| {
            task["startedBy"]
                .as_str()
                .is_some_and(|by| deployments.contains(by))
        });
    }
    answer
}

pub(super) async fn ask_targets(members: &[Member<'_>], turns: &[Option<Turn>], answers: &mut Vec<Answer>) {
    let mut groups: BTreeMap<&str, &Ecs> = BTreeMap::new();
    for (member, turn) in members.iter().zip(turns) {
        if let Some(turn) = turn.as_ref().filter(|turn| turn.asks(|asks| asks.tasks)) {
            groups.extend(
                turn.target_groups
                    .iter()
                    .map(|group| (group.as_str(), member.ecs)),
            );
        }
    }
    let calls: Vec<_> = groups.iter().map(|(group, ecs)| ecs.ask_targets(group)).collect();
    answers.extend(stream::iter(calls).buffered(AT_ONCE).collect::<Vec<_>>().await);
}

impl Ecs {
    /// The tasks of this service alone.
    pub(in crate::ecs::service) async fn ask_tasks(&self, stopped: bool) -> Vec<Answer> {
        let mut answers = vec![self.list_tasks(Listed::Running).await];
        if stopped {
            answers.push(self.list_tasks(Listed::Stopped).await);
        }
        let described = describe_listed(self, &answers).await;
        answers.extend(described);
        answers
    }

    async fn list_tasks(&self, listed: Listed) -> Answer {
        let said = ask::list_tasks(&self.aws, &self.cluster, &self.service, listed).await;
        let asked = json!({ "cluster": self.cluster, "serviceName": self.service });
        answer(LIST_TASKS, asked, said)
    }

    pub(in crate::ecs::service) async fn describe_tasks(&self, tasks: &[String]) -> Answer {
        let said: Result<Value, CallError> = ask::describe_tasks(&self.aws, &self.cluster, tasks).await;
        answer(
            DESCRIBE_TASKS,
            json!({ "cluster": self.cluster, "tasks": tasks }),
            said,
        )
    }

    pub(in crate::ecs::service) async fn ask_targets(&self, group: &str) -> Answer {
        let said = ask::describe_target_health(&self.aws, group).await;
        answer(DESCRIBE_TARGET_HEALTH, json!({ "TargetGroupArn": group }), said)
    }
}
