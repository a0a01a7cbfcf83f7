//! One round of looks at services that are watched together: what several of them need is asked for once, few calls are
//! made, and every one that fails is written down instead of ending the watch.
//!
//! A call of DescribeServices describes ten services of a cluster, one of DescribeServiceDeployments twenty of any, one
//! of DescribeTasks a hundred tasks of a cluster. Tasks are listed for a whole cluster where one page holds them.

mod deployments;
mod tasks;

use super::ask::{self, Listed, SERVICES_PER_CALL, answer};
use super::{Ecs, Watched};
use crate::config::settings::Place;
use crate::ecs::answers::{Answer, DESCRIBE_SERVICES, Outcome, observe};
use crate::ecs::observation::{Blind, BlindReason, Observation, Presence, Service};
use crate::ecs::rollout::pace::Closeness;
use deployments::{ask_revisions, ask_service_deployments};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use tasks::{ask_targets, ask_tasks};

/// Calls of a round that are under way at the same time.
const AT_ONCE: usize = 8;

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
    /// The same of places where some of the services are.
    places: BTreeMap<Place, Self>,
}

/// What a round saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// What the far ends said.
    pub answers: Vec<Answer>,
    /// What the answers say of each member, in their order; none for one that was not looked at.
    pub seen: Vec<Option<Observation>>,
}

/// Looks at every member that asks for it, and at those whose change shows meanwhile. Members of one place share calls;
/// the places are asked at the same time.
pub async fn round(sharing: &mut Sharing, members: &mut [Member<'_>]) -> Round {
    let mut places: BTreeMap<&Place, Vec<(usize, Member<'_>)>> = BTreeMap::new();
    if let Some((first, others)) = members.split_first()
        && others
            .iter()
            .all(|other| other.ecs.aws.place() == first.ecs.aws.place())
    {
        return Box::pin(round_in_one_place(sharing, members)).await;
    }
    let mut seen: Vec<Option<Observation>> = members.iter().map(|_| None).collect();
    for (at, member) in members.iter_mut().enumerate() {
        let Member { ecs, watched, asks } = member;
        let (ecs, asks) = (*ecs, *asks);
        let member = Member { ecs, watched, asks };
        places.entry(ecs.aws.place()).or_default().push((at, member));
    }
    let mut answers = Vec::new();
    let rounds = places.into_iter().map(|(place, members)| {
        let mut sharing = sharing.places.remove(place).unwrap_or_default();
        async move {
            let (at, mut members): (Vec<usize>, Vec<Member<'_>>) = members.into_iter().unzip();
            let round = Box::pin(round_in_one_place(&mut sharing, &mut members)).await;
            (place.clone(), sharing, at, round)
        }
    });
    let rounds: Vec<_> = rounds.collect();
    for (place, of_place, at, round) in join_all(rounds).await {
        sharing.places.insert(place, of_place);
        answers.extend(round.answers);
        for (at, one) in at.into_iter().zip(round.seen) {
            if let Some(place) = seen.get_mut(at) {
                *place = one;
            }
        }
    }
    Round { answers, seen }
}

async fn round_in_one_place(sharing: &mut Sharing, members: &mut [Member<'_>]) -> Round {
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

async fn ask_services(members: &mut [Member<'_>]) -> Vec<Answer> {
    let mut clusters: BTreeMap<&str, (Vec<&str>, Vec<&str>)> = BTreeMap::new();
    let mut answers = Vec::new();
    for member in &mut *members {
        if let Some(shown) = member.watched.shown.take() {
            let asked = json!({ "cluster": member.ecs.cluster, "services": [member.ecs.service] });
            let said = json!({ "services": [shown], "failures": [] });
            answers.push(answer(DESCRIBE_SERVICES, asked, Ok(said)));
            continue;
        }
        let (due, others) = clusters.entry(&member.ecs.cluster).or_default();
        match member.asks {
            Asks::Look | Asks::Everything | Asks::Peek(_) => due.push(&member.ecs.service),
            Asks::IfChanged(_) => others.push(&member.ecs.service),
        }
    }
    let Some(aws) = members.first().map(|member| &member.ecs.aws) else {
        return answers;
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
    answers.extend(stream::iter(calls).buffered(AT_ONCE).collect::<Vec<_>>().await);
    answers
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
