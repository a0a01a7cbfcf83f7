//! One round of looks at services that are watched together: what several of them need is asked for once, few calls are
//! made, and every one that fails is written down instead of ending the watch.
//!
//! A call of DescribeServices describes ten services of a cluster, one of DescribeServiceDeployments twenty of any, one
//! of DescribeTasks a hundred tasks of a cluster. Tasks are listed for a whole cluster where one page holds them.

use super::ask::{self, Listed, SERVICES_PER_CALL, TASKS_PER_CALL, answer};
use super::{Ecs, Watched};
use crate::aws::sort::CallError;
use crate::ecs::answers::{
    Answer, DESCRIBE_SERVICE_DEPLOYMENTS, DESCRIBE_SERVICE_REVISIONS, DESCRIBE_SERVICES,
    DESCRIBE_TARGET_HEALTH, DESCRIBE_TASKS, LIST_SERVICE_DEPLOYMENTS, LIST_TASKS, Outcome, describes,
    observe, revision_arn, service_deployment_arn,
};
use crate::ecs::observation::{Blind, BlindReason, Observation, Presence, Service};
use crate::ecs::rollout::pace::Closeness;
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Calls of a round that are under way at the same time.
const AT_ONCE: usize = 8;

/// Service deployments that one call describes.
const DEPLOYMENTS_PER_CALL: usize = 20;

/// Service revisions that one call describes.
const REVISIONS_PER_CALL: usize = 20;

/// A service of a round.
#[derive(Debug)]
pub struct Member<'a> {
    /// Where it is.
    pub ecs: &'a Ecs,
    /// What is followed.
    pub watched: &'a mut Watched,
    /// What this round is to see of it.
    pub asks: Asks<'a>,
}

/// What a round is to see of a service.
#[derive(Debug, Clone, Copy)]
pub enum Asks<'a> {
    /// The service, and what its pace says beside it.
    Look,
    /// Everything.
    Everything,
    /// A look if it is not any more what it was.
    Peek(Option<&'a Service>),
    /// The same, as far as that shows in a call that others need anyway.
    IfChanged(Option<&'a Service>),
}

/// What earlier rounds found out about sharing calls.
#[derive(Debug, Clone, Default)]
pub struct Sharing {
    /// Clusters with more tasks than one page lists.
    crowded: BTreeSet<(String, Listed)>,
    /// One of several service deployments may not be described, so each is asked for by itself.
    apart: bool,
}

/// What a round saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// What the far ends said.
    pub answers: Vec<Answer>,
    /// What the answers say of each member, in their order; none for one that was not looked at.
    pub seen: Vec<Option<Observation>>,
}

/// Looks at every member that asks for it, and at those whose change shows meanwhile.
pub async fn round(sharing: &mut Sharing, members: &mut [Member<'_>]) -> Round {
    let mut answers = ask_services(members).await;
    let turns: Vec<Option<Turn>> = members.iter_mut().map(|member| member.turn(&answers)).collect();
    ask_service_deployments(sharing, members, &turns, &mut answers).await;
    ask_tasks(sharing, members, &turns, &mut answers).await;
    ask_targets(members, &turns, &mut answers).await;
    ask_revisions(members, &turns, &mut answers).await;
    let seen = members
        .iter()
        .zip(&turns)
        .map(|(member, turn)| turn.as_ref().map(|_| member.observe(&answers)))
        .collect();
    Round { answers, seen }
}

/// A member that is looked at in this round.
#[derive(Debug, Default)]
struct Turn {
    /// What is asked for beside the service; none where the service was not seen.
    closeness: Option<Closeness>,
    /// The service deployment that ECS calls the current one.
    current: Option<String>,
    target_groups: Vec<String>,
}

impl Turn {
    fn asks(&self, what: impl Fn(&Closeness) -> bool) -> bool {
        self.closeness.as_ref().is_some_and(what)
    }
}

impl Member<'_> {
    fn observe(&self, answers: &[Answer]) -> Observation {
        observe(self.ecs.sought(&self.watched.deployment), answers)
    }

    fn turn(&mut self, answers: &[Answer]) -> Option<Turn> {
        let service = match (self.observe(answers).service, self.asks) {
            (Presence::Seen(service), Asks::IfChanged(known) | Asks::Peek(known))
                if known == Some(&*service) =>
            {
                return None;
            }
            (Presence::Missing | Presence::Unseen | Presence::Unreadable { .. }, Asks::IfChanged(_)) => {
                return None;
            }
            (
                Presence::Missing | Presence::Unseen | Presence::Unreadable { .. },
                Asks::Look | Asks::Everything | Asks::Peek(_),
            ) => return Some(Turn::default()),
            (Presence::Seen(service), _) => service,
        };
        let closeness = match self.asks {
            Asks::Everything => self.watched.pace.everything(),
            Asks::Look | Asks::Peek(_) | Asks::IfChanged(_) => {
                self.watched.pace.closely(&self.watched.deployment, &service)
            }
        };
        Some(Turn {
            closeness: Some(closeness),
            target_groups: service.target_groups().into_iter().map(str::to_owned).collect(),
            current: service.current_service_deployment,
        })
    }

    /// The service deployment to describe: ours if it is known, else the one that may be.
    fn to_describe(&self, turn: &Turn) -> Option<String> {
        let current = turn.current.as_ref();
        let known = self.watched.service_deployment.as_ref();
        known
            .or_else(|| current.filter(|current| self.watched.not_ours.as_ref() != Some(*current)))
            .cloned()
    }
}

/// Divides the services of one cluster among calls: those that are due, and others where a call has room for them.
fn calls(due: &[&str], others: &[&str]) -> Vec<Vec<String>> {
    let room = due.len().div_ceil(SERVICES_PER_CALL) * SERVICES_PER_CALL;
    let names: Vec<String> = due
        .iter()
        .chain(others)
        .take(room)
        .map(|name| (*name).to_owned())
        .collect();
    names.chunks(SERVICES_PER_CALL).map(<[String]>::to_vec).collect()
}

async fn ask_services(members: &[Member<'_>]) -> Vec<Answer> {
    let mut clusters: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    for member in members {
        let (due, others) = clusters.entry(&member.ecs.cluster).or_default();
        match member.asks {
            Asks::Look | Asks::Everything | Asks::Peek(_) => due.push(&member.ecs.service),
            Asks::IfChanged(_) => others.push(&member.ecs.service),
        }
    }
    let Some(aws) = members.first().map(|member| &member.ecs.aws) else {
        return Vec::new();
    };
    let calls = clusters.into_iter().flat_map(|(cluster, (due, others))| {
        let of_cluster = move |services| (cluster, services);
        calls(&due, &others).into_iter().map(of_cluster)
    });
    let calls = calls.map(|(cluster, services)| async move {
        let said = ask::describe_services(aws, cluster, &services).await;
        answer(
            DESCRIBE_SERVICES,
            json!({ "cluster": cluster, "services": services }),
            said,
        )
    });
    let calls: Vec<_> = calls.collect();
    stream::iter(calls).buffered(AT_ONCE).collect().await
}

/// Describes the service deployment of every member that asks for it. The one that ECS calls current is believed to be
/// ours when its target revision is; else ours is looked for in the list.
async fn ask_service_deployments(
    sharing: &mut Sharing,
    members: &mut [Member<'_>],
    turns: &[Option<Turn>],
    answers: &mut Vec<Answer>,
) {
    let mut wanting: Vec<(&mut Member<'_>, &Turn)> = members
        .iter_mut()
        .zip(turns)
        .filter_map(|(member, turn)| Some((member, turn.as_ref()?)))
        .filter(|(member, turn)| {
            member.watched.no_service_deployments.is_none() && turn.asks(|asks| asks.service_deployment)
        })
        .collect();
    let Some(ecs) = wanting.first().map(|(member, _)| member.ecs) else {
        return;
    };
    let presumed: Vec<String> = wanting
        .iter()
        .filter_map(|(member, turn)| member.to_describe(turn))
        .collect();
    describe_deployments(ecs, sharing, &presumed, answers).await;
    for (member, turn) in &mut wanting {
        let arn = member.to_describe(turn);
        member.watched.learn(arn.as_deref(), answers);
    }
    let mut found = Vec::new();
    for (member, turn) in &mut wanting {
        // One that is known, or could not be looked at this time.
        if member.to_describe(turn).is_some()
            || member.watched.no_service_deployments.is_some()
            || member.watched.no_list.is_some()
        {
            continue;
        }
        let watched = &mut *member.watched;
        let Ecs { cluster, service, .. } = member.ecs;
        let said = ask::list_service_deployments(&ecs.aws, cluster, service).await;
        if let Ok(said) = &said {
            watched.service_deployment = service_deployment_arn(said, &watched.deployment);
            found.extend(watched.service_deployment.clone());
        }
        let asked = json!({ "cluster": cluster, "service": service });
        let listed = answer(LIST_SERVICE_DEPLOYMENTS, asked, said);
        watched.no_list = refusal(&listed);
        answers.push(listed);
    }
    describe_deployments(ecs, sharing, &found, answers).await;
    for (member, _) in &mut wanting {
        let arn = member.watched.service_deployment.clone();
        member.watched.learn(arn.as_deref(), answers);
    }
}

/// Whether the operation may answer another time. Where access is denied DescribeServices tells enough; asking again
/// would only cost calls.
fn works(answer: &Answer) -> bool {
    refusal(answer).is_none()
}

/// What an operation leaves unseen that will not answer another time either.
fn refusal(answer: &Answer) -> Option<Blind> {
    match answer.outcome {
        Outcome::Said(_) | Outcome::Failed(BlindReason::Transient) => None,
        Outcome::Failed(why) => Some(Blind {
            action: answer.action.clone(),
            why,
        }),
    }
}

impl Watched {
    /// Takes note of what describing a service deployment said.
    fn learn(&mut self, arn: Option<&str>, answers: &[Answer]) {
        let described = answers.iter().filter(|answer| {
            let mut arns = answer.asked["serviceDeploymentArns"]
                .as_array()
                .into_iter()
                .flatten();
            answer.action == DESCRIBE_SERVICE_DEPLOYMENTS && arns.any(|each| each.as_str() == arn)
        });
        for answer in described {
            self.no_service_deployments = self.no_service_deployments.take().or_else(|| refusal(answer));
            if let (Outcome::Said(said), None) = (&answer.outcome, &self.service_deployment) {
                let held = if describes(said, &self.deployment) {
                    &mut self.service_deployment
                } else {
                    &mut self.not_ours
                };
                *held = arn.map(str::to_owned);
            }
        }
    }
}

async fn describe_deployments(ecs: &Ecs, sharing: &mut Sharing, arns: &[String], answers: &mut Vec<Answer>) {
    let most = if sharing.apart { 1 } else { DEPLOYMENTS_PER_CALL };
    for arns in arns.chunks(most) {
        let together = describe_deployments_of(ecs, arns).await;
        if works(&together) || arns.len() == 1 {
            answers.push(together);
            continue;
        }
        // One that may not be described must not hide the others.
        sharing.apart = true;
        for arn in arns {
            answers.push(describe_deployments_of(ecs, std::slice::from_ref(arn)).await);
        }
    }
}

async fn describe_deployments_of(ecs: &Ecs, arns: &[String]) -> Answer {
    let said = ask::describe_service_deployments(&ecs.aws, arns).await;
    answer(
        DESCRIBE_SERVICE_DEPLOYMENTS,
        json!({ "serviceDeploymentArns": arns }),
        said,
    )
}

/// Lists and describes the tasks of every member that asks for them.
async fn ask_tasks(
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

async fn ask_targets(members: &[Member<'_>], turns: &[Option<Turn>], answers: &mut Vec<Answer>) {
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

/// Asks for the digests that ECS resolved for the revisions of members whose tasks do not tell them.
async fn ask_revisions(members: &[Member<'_>], turns: &[Option<Turn>], answers: &mut Vec<Answer>) {
    let wanting = members.iter().zip(turns).filter_map(|(member, turn)| {
        let wants = turn.as_ref()?.asks(|asks| asks.revision);
        wants.then_some(member)
    });
    let wanting: Vec<&Member<'_>> = wanting.collect();
    let Some(aws) = wanting.first().map(|member| &member.ecs.aws) else {
        return;
    };
    let arns: Vec<String> = wanting
        .iter()
        .filter_map(|member| revision_arn(member.ecs.sought(&member.watched.deployment), answers))
        .collect();
    for arns in arns.chunks(REVISIONS_PER_CALL) {
        let said = ask::describe_service_revisions(aws, arns).await;
        let asked = json!({ "serviceRevisionArns": arns });
        answers.push(answer(DESCRIBE_SERVICE_REVISIONS, asked, said));
    }
}

impl Ecs {
    /// The tasks of this service alone.
    pub(super) async fn ask_tasks(&self, stopped: bool) -> Vec<Answer> {
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

    pub(super) async fn describe_tasks(&self, tasks: &[String]) -> Answer {
        let said: Result<Value, CallError> = ask::describe_tasks(&self.aws, &self.cluster, tasks).await;
        answer(
            DESCRIBE_TASKS,
            json!({ "cluster": self.cluster, "tasks": tasks }),
            said,
        )
    }

    pub(super) async fn ask_targets(&self, group: &str) -> Answer {
        let said = ask::describe_target_health(&self.aws, group).await;
        answer(DESCRIBE_TARGET_HEALTH, json!({ "TargetGroupArn": group }), said)
    }
}

#[cfg(test)]
mod tests {
    use super::calls;

    #[test]
    fn services_that_are_not_due_come_along_where_a_call_has_room() {
        let names: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let of = |range: std::ops::Range<usize>| names[range].iter().map(String::as_str).collect::<Vec<_>>();
        for (due, others, expected) in [
            (0..0, 0..30, vec![]),
            (0..1, 1..1, vec![1]),
            (0..1, 1..5, vec![5]),
            (0..3, 3..30, vec![10]),
            (0..10, 10..30, vec![10]),
            (0..11, 11..30, vec![10, 10]),
            (0..25, 25..30, vec![10, 10, 10]),
        ] {
            let calls = calls(&of(due.clone()), &of(others));
            let sizes: Vec<usize> = calls.iter().map(Vec::len).collect();
            assert_eq!(sizes, expected, "{due:?} are due");
            assert_eq!(calls.concat()[..due.len()], names[due]);
        }
    }
}
