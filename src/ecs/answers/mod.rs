//! What the far ends answered during one look, in their own words, and what that says of one service.
//!
//! The watch, a capture and the tests against the sandbox's world all hand over answers as JSON, so all three read
//! them by the same rules; members that this version does not know stay in a capture for a later one.

pub mod last;
pub mod read;

use super::observation::{
    Blind, BlindReason, Observation, Presence, Revision, Service, ServiceDeployment, TargetGroup, Task,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// DescribeServices.
pub const DESCRIBE_SERVICES: &str = "ecs:DescribeServices";
/// ListServiceDeployments.
pub const LIST_SERVICE_DEPLOYMENTS: &str = "ecs:ListServiceDeployments";
/// DescribeServiceDeployments.
pub const DESCRIBE_SERVICE_DEPLOYMENTS: &str = "ecs:DescribeServiceDeployments";
/// DescribeServiceRevisions.
pub const DESCRIBE_SERVICE_REVISIONS: &str = "ecs:DescribeServiceRevisions";
/// ListTasks.
pub const LIST_TASKS: &str = "ecs:ListTasks";
/// DescribeTasks.
pub const DESCRIBE_TASKS: &str = "ecs:DescribeTasks";
/// DescribeTargetHealth.
pub const DESCRIBE_TARGET_HEALTH: &str = "elasticloadbalancing:DescribeTargetHealth";

/// One call and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The IAM action: `ecs:DescribeServices`.
    pub action: String,
    /// The request, with the API's own member names.
    pub asked: Value,
    /// What came back.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The answer, with the API's own member names as the AWS CLI prints them.
    Said(Value),
    /// The call failed.
    Failed(BlindReason),
}

/// The service that is looked for among answers, and our deployment of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought<'a> {
    /// The cluster, as the calls name it.
    pub cluster: &'a str,
    /// The service's name.
    pub service: &'a str,
    /// Our deployment's id: `ecs-svc/...`.
    pub deployment: &'a str,
}

/// What the answers of one look say of a service. What was not asked for is absent; what was asked for and did not
/// answer is in [`Observation::blind`].
#[must_use]
pub fn observe(sought: Sought<'_>, answers: &[Answer]) -> Observation {
    let mut blind = Vec::new();
    let service = presence(sought, answers, &mut blind);
    let tasks = tasks(sought, answers, &mut blind);
    let target_groups = match &service {
        Presence::Seen(service) => target_groups(service, answers, &mut blind),
        Presence::Missing | Presence::Unreadable { .. } | Presence::Unseen => Vec::new(),
    };
    Observation {
        service_deployment: service_deployment(sought, answers, &mut blind),
        revision: revision(sought, answers, &mut blind),
        service,
        tasks,
        target_groups,
        blind,
    }
}

/// The ARN of the service deployment whose target revision has the number of a deployment's id, in an answer of
/// ListServiceDeployments.
#[must_use]
pub fn service_deployment_arn(said: &Value, deployment: &str) -> Option<String> {
    read::list(&said["serviceDeployments"])
        .iter()
        .find(|brief| is_number_of(&brief["targetServiceRevisionArn"], deployment))
        .and_then(|brief| read::text(&brief["serviceDeploymentArn"]))
}

/// When the service deployment of a deployment ended, in whole seconds since the epoch.
#[must_use]
pub fn finished_at(deployment: &str, answers: &[Answer]) -> Option<i64> {
    let mut said = of(answers, DESCRIBE_SERVICE_DEPLOYMENTS).filter_map(|answer| match &answer.outcome {
        Outcome::Said(said) => Some(read::list(&said["serviceDeployments"])),
        Outcome::Failed(_) => None,
    });
    let ours = said.find_map(|list| {
        let is_ours = |each: &&Value| is_number_of(&each["targetServiceRevision"]["arn"], deployment);
        list.iter().find(is_ours)
    })?;
    let at = Duration::try_from_secs_f64(ours["finishedAt"].as_f64()?).ok()?;
    i64::try_from(at.as_secs()).ok()
}

/// Whether a service revision's ARN ends with the number of a deployment's id.
fn is_number_of(revision: &Value, deployment: &str) -> bool {
    let number = deployment.rsplit('/').next();
    revision.as_str().and_then(|arn| arn.rsplit('/').next()) == number
}

fn of<'a>(answers: &'a [Answer], action: &'a str) -> impl Iterator<Item = &'a Answer> {
    answers.iter().filter(move |answer| answer.action == action)
}

/// Adds a call that failed to what could not be seen, once.
fn missed(answer: &Answer, why: BlindReason, blind: &mut Vec<Blind>) {
    let missed = Blind {
        action: answer.action.clone(),
        why,
    };
    if !blind.contains(&missed) {
        blind.push(missed);
    }
}

fn names(list: &Value, name: &str) -> bool {
    read::list(list)
        .iter()
        .filter_map(Value::as_str)
        .any(|each| each == name || each.rsplit('/').next() == Some(name))
}

fn presence(sought: Sought<'_>, answers: &[Answer], blind: &mut Vec<Blind>) -> Presence {
    let asked = of(answers, DESCRIBE_SERVICES).filter(|answer| {
        answer.asked["cluster"] == sought.cluster && names(&answer.asked["services"], sought.service)
    });
    let mut presence = Presence::Unseen;
    for answer in asked {
        match &answer.outcome {
            Outcome::Failed(why) => missed(answer, *why, blind),
            Outcome::Said(said) => {
                let found = read::list(&said["services"])
                    .iter()
                    .find(|service| service["serviceName"] == sought.service);
                let missing = || {
                    read::list(&said["failures"]).iter().any(|failure| {
                        failure["reason"] == "MISSING"
                            && failure["arn"].as_str().and_then(|arn| arn.rsplit('/').next())
                                == Some(sought.service)
                    })
                };
                if let Some(service) = found {
                    presence = match read::service(service) {
                        Ok(service) => Presence::Seen(Box::new(service)),
                        Err(read::Unreadable { member }) => Presence::Unreadable { member },
                    };
                } else if missing() {
                    presence = Presence::Missing;
                } else {
                    missed(answer, BlindReason::Transient, blind);
                }
            }
        }
    }
    presence
}

fn service_deployment(
    sought: Sought<'_>,
    answers: &[Answer],
    blind: &mut Vec<Blind>,
) -> Option<ServiceDeployment> {
    let mut found = None;
    let listed = of(answers, LIST_SERVICE_DEPLOYMENTS).filter(|answer| {
        answer.asked["service"] == sought.service && answer.asked["cluster"] == sought.cluster
    });
    for answer in listed.chain(of(answers, DESCRIBE_SERVICE_DEPLOYMENTS)) {
        match &answer.outcome {
            Outcome::Failed(_) if is_of_others(sought, &answer.asked["serviceDeploymentArns"]) => {}
            Outcome::Failed(why) => missed(answer, *why, blind),
            Outcome::Said(said) => {
                let ours = read::list(&said["serviceDeployments"])
                    .iter()
                    .find(|each| is_number_of(&each["targetServiceRevision"]["arn"], sought.deployment));
                found = ours.map(read::service_deployment).or(found);
            }
        }
    }
    found
}

/// The revision with our number.
fn revision(sought: Sought<'_>, answers: &[Answer], blind: &mut Vec<Blind>) -> Option<Revision> {
    let mut found = None;
    for answer in of(answers, DESCRIBE_SERVICE_REVISIONS) {
        match &answer.outcome {
            Outcome::Failed(why) => missed(answer, *why, blind),
            Outcome::Said(said) => {
                let ours = read::list(&said["serviceRevisions"])
                    .iter()
                    .find(|each| is_number_of(&each["serviceRevisionArn"], sought.deployment));
                found = ours.map(read::revision).or(found);
            }
        }
    }
    found
}

/// The ARN of the service revision that our deployment brings, for DescribeServiceRevisions: DescribeServices names the
/// revisions at work, and a service deployment its target.
#[must_use]
pub fn revision_arn(sought: Sought<'_>, answers: &[Answer]) -> Option<String> {
    let said = answers.iter().filter_map(|answer| match &answer.outcome {
        Outcome::Said(said) => Some(said),
        Outcome::Failed(_) => None,
    });
    let ours = |arn: &&Value| is_number_of(arn, sought.deployment);
    said.flat_map(|said| {
        let services = read::list(&said["services"]).iter();
        let revisions = services.flat_map(|service| read::list(&service["currentServiceRevisions"]));
        let at_work = revisions.map(|revision| &revision["arn"]);
        let deployments = read::list(&said["serviceDeployments"]).iter();
        at_work.chain(deployments.map(|deployment| &deployment["targetServiceRevision"]["arn"]))
    })
    .find(ours)
    .and_then(read::text)
}

/// Whether service deployments were asked for and all are of other services: `.../prod/web/ID` is of `web` in `prod`.
fn is_of_others(sought: Sought<'_>, arns: &Value) -> bool {
    let cluster = sought.cluster.rsplit('/').next();
    let is_ours = |arn: &Value| {
        let mut parts = arn.as_str().unwrap_or_default().rsplit('/').skip(1);
        parts.next() == Some(sought.service) && parts.next() == cluster
    };
    arns.is_array() && !read::list(arns).iter().any(is_ours)
}

/// The tasks of our deployment; none unless the service's running tasks were listed, by themselves or with all of the
/// cluster's, and every listed task described, since a part of them would be misleading.
fn tasks(sought: Sought<'_>, answers: &[Answer], blind: &mut Vec<Blind>) -> Option<Vec<Task>> {
    let listed = of(answers, LIST_TASKS).filter(|answer| {
        let of_service = &answer.asked["serviceName"];
        (of_service.is_null() || of_service == sought.service) && answer.asked["cluster"] == sought.cluster
    });
    let described = of(answers, DESCRIBE_TASKS).filter(|answer| answer.asked["cluster"] == sought.cluster);
    let mut tasks = Vec::new();
    let mut ids = BTreeSet::new();
    let mut lists = 0;
    let mut whole = true;
    for answer in listed {
        lists += 1;
        match &answer.outcome {
            Outcome::Failed(why) => {
                missed(answer, *why, blind);
                whole = false;
            }
            Outcome::Said(said) => ids.extend(read::list(&said["taskArns"]).iter().filter_map(Value::as_str)),
        }
    }
    if lists == 0 {
        return None;
    }
    let is_listed = |task: &Value| task.as_str().is_some_and(|id| ids.contains(id));
    for answer in described {
        match &answer.outcome {
            // Tasks of another service may have been in that call.
            Outcome::Failed(_) if !read::list(&answer.asked["tasks"]).iter().any(is_listed) => {}
            Outcome::Failed(why) => {
                missed(answer, *why, blind);
                whole = false;
            }
            Outcome::Said(said) => {
                let ours = read::list(&said["tasks"])
                    .iter()
                    .filter(|task| task["startedBy"] == sought.deployment);
                for task in ours.map(read::task).filter(|task| !task.id.is_empty()) {
                    // A task that is described twice is one task; the later answer knows more.
                    tasks.retain(|known: &Task| known.id != task.id);
                    tasks.push(task);
                }
            }
        }
    }
    whole.then_some(tasks)
}

fn target_groups(service: &Service, answers: &[Answer], blind: &mut Vec<Blind>) -> Vec<TargetGroup> {
    let mut groups = Vec::new();
    for group in service.target_groups() {
        let asked =
            of(answers, DESCRIBE_TARGET_HEALTH).find(|answer| answer.asked["TargetGroupArn"] == group);
        match asked.map(|answer| (answer, &answer.outcome)) {
            Some((answer, Outcome::Failed(why))) => missed(answer, *why, blind),
            Some((_, Outcome::Said(said))) => groups.push(target_group(group, said)),
            None => {}
        }
    }
    groups
}

/// What an answer of DescribeTargetHealth says of a target group.
#[must_use]
pub fn target_group(arn: &str, said: &Value) -> TargetGroup {
    TargetGroup {
        arn: arn.to_owned(),
        targets: read::list(&said["TargetHealthDescriptions"])
            .iter()
            .map(read::target)
            .collect(),
    }
}

/// Whether an answer of DescribeServiceDeployments describes the service deployment that brings a deployment.
#[must_use]
pub fn describes(said: &Value, deployment: &str) -> bool {
    read::list(&said["serviceDeployments"])
        .iter()
        .any(|each| is_number_of(&each["targetServiceRevision"]["arn"], deployment))
}

#[cfg(test)]
mod tests;
