//! The service deployments and revisions of a round.

use super::super::ask::{self, answer};
use super::super::{Ecs, Watched};
use super::{Member, Sharing, Turn, refusal, works};
use crate::ecs::answers::{
    Answer, DESCRIBE_SERVICE_DEPLOYMENTS, DESCRIBE_SERVICE_REVISIONS, LIST_SERVICE_DEPLOYMENTS, Outcome,
    describes, revision_arn, service_deployment_arn,
};
use serde_json::json;

/// Service deployments that one call describes.
const DEPLOYMENTS_PER_CALL: usize = 20;

/// Service revisions that one call describes.
const REVISIONS_PER_CALL: usize = 20;

/// Describes the service deployment of every member that asks for it. The one that ECS calls current is believed to be
/// ours when its target revision is; else ours is looked for in the list.
pub(super) async fn ask_service_deployments(
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

/// Asks for the digests that ECS resolved for the revisions of members whose tasks do not tell them.
pub(super) async fn ask_revisions(members: &[Member<'_>], turns: &[Option<Turn>], answers: &mut Vec<Answer>) {
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
