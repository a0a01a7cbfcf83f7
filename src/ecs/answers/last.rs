//! Which deployment of a service is its last one: after a rollback the primary deployment is the one before it.

use super::{Answer, DESCRIBE_SERVICES, LIST_SERVICE_DEPLOYMENTS, Outcome, names, of, read};
use serde_json::Value;
use std::collections::BTreeSet;

/// The last deployment that somebody began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// Its id: `ecs-svc/...`.
    pub deployment: String,
    /// The deployment before it, as far as it still shows.
    pub previous: Option<String>,
    /// That deployment's task definition's ARN, likewise.
    pub previous_task_definition: Option<String>,
    /// The ids of events from before it.
    pub old_events: BTreeSet<String>,
    /// Its target revision's ARN, if service deployments could be listed.
    pub revision: Option<String>,
    /// Its task definition's ARN, if DescribeServices still shows the deployment.
    pub task_definition: Option<String>,
}

/// Finds the last deployment of a service in answers of DescribeServices and ListServiceDeployments; none if the
/// service has none, or was not described.
#[must_use]
pub fn last(cluster: &str, service: &str, answers: &[Answer]) -> Option<Last> {
    let described = of(answers, DESCRIBE_SERVICES).find_map(|answer| {
        let asked = answer.asked["cluster"] == cluster && names(&answer.asked["services"], service);
        let Outcome::Said(said) = &answer.outcome else {
            return None;
        };
        let found = read::list(&said["services"])
            .iter()
            .find(|each| each["serviceName"] == service);
        found.filter(|_| asked)
    })?;
    let deployments = read::list(&described["deployments"]);
    let primary = deployments.iter().find(|each| each["status"] == "PRIMARY");
    let listed = of(answers, LIST_SERVICE_DEPLOYMENTS)
        .filter_map(|answer| match &answer.outcome {
            Outcome::Said(said) => Some(read::list(&said["serviceDeployments"])),
            Outcome::Failed(_) => None,
        })
        .flatten()
        .filter(|brief| brief["targetServiceRevisionArn"].is_string())
        .max_by(|a, b| created(a).total_cmp(&created(b)));
    let newer = |primary: &&Value| {
        listed.is_none_or(|listed| created(primary) > created(listed))
            && !is_rolled_back_to(described, primary)
    };
    let (deployment, revision, since) = match (primary.filter(newer), listed) {
        (None, Some(listed)) => {
            let revision = read::text(&listed["targetServiceRevisionArn"])?;
            (
                format!("ecs-svc/{}", revision.rsplit('/').next()?),
                Some(revision),
                created(listed),
            )
        }
        (Some(primary), _) => (read::text(&primary["id"])?, None, created(primary)),
        (None, None) => match (failed_before_rollback(described, deployments), primary) {
            (Some((failed, since)), _) => (failed, None, since),
            (None, Some(primary)) => (read::text(&primary["id"])?, None, created(primary)),
            (None, None) => return None,
        },
    };
    let entry = deployments.iter().find(|each| each["id"] == deployment.as_str());
    let others = deployments
        .iter()
        .filter(|each| each["id"] != deployment.as_str());
    let previous =
        others.max_by_key(|each| (each["status"] == "PRIMARY", each["rolloutState"] == "COMPLETED"));
    let old = read::list(&described["events"])
        .iter()
        .filter(|event| created(event) < since);
    Some(Last {
        previous: previous.and_then(|each| read::text(&each["id"])),
        previous_task_definition: previous.and_then(|each| read::text(&each["taskDefinition"])),
        old_events: old.filter_map(|event| read::text(&event["id"])).collect(),
        task_definition: entry.and_then(|entry| read::text(&entry["taskDefinition"])),
        deployment,
        revision,
    })
}

/// When it was created, in seconds since the epoch; before everything if it does not say.
fn created(of: &Value) -> f64 {
    of["createdAt"].as_f64().unwrap_or(f64::NEG_INFINITY)
}

/// Whether the newest rollback that the events tell of ends at this deployment: its id is used again, so that it looks
/// as if nobody had deployed since.
fn is_rolled_back_to(service: &Value, deployment: &Value) -> bool {
    let Some(id) = deployment["id"].as_str() else {
        return false;
    };
    let mut messages = messages(service).map(|(_, message)| message);
    let newest = messages.find_map(|message| after(message, "rolling back to deployment "));
    newest == Some(id)
}

/// The deployment that the newest rollback left, and when it began: the one that failed last.
fn failed_before_rollback(service: &Value, deployments: &[Value]) -> Option<(String, f64)> {
    let mut rolled_back =
        messages(service).skip_while(|(_, message)| !message.contains("rolling back to deployment "));
    let (at, failed) = rolled_back.find_map(|(at, message)| {
        let failed = message.contains(") deployment failed");
        Some((at, after(message, "(deployment ")?)).filter(|_| failed)
    })?;
    let entry = deployments.iter().find(|each| each["id"] == failed);
    // Its start is not told any more; its events begin with its tasks, after the last one that had completed.
    let completed = messages(service)
        .filter(|(before, message)| before < &at && message.contains("deployment completed"))
        .map(|(before, _)| before)
        .fold(f64::NEG_INFINITY, f64::max);
    Some((failed.to_owned(), entry.map_or(completed, created)))
}

/// The events' times and texts, newest first.
fn messages(service: &Value) -> impl Iterator<Item = (f64, &str)> {
    read::list(&service["events"])
        .iter()
        .filter_map(|event| Some((created(event), event["message"].as_str()?)))
}

/// The word after some text, without what ends a sentence.
fn after<'a>(message: &'a str, text: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(text)?;
    let end = rest.find([' ', ')']).unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::last;
    use crate::ecs::answers::{Answer, DESCRIBE_SERVICES, LIST_SERVICE_DEPLOYMENTS, Outcome};
    use crate::ecs::observation::BlindReason;
    use serde_json::{Value, json};

    fn answers(service: Value, list: Option<Value>) -> Vec<Answer> {
        let mut service = service;
        service["serviceName"] = json!("web");
        vec![
            Answer {
                action: DESCRIBE_SERVICES.to_owned(),
                asked: json!({ "cluster": "prod", "services": ["web"] }),
                outcome: Outcome::Said(json!({ "services": [service] })),
            },
            Answer {
                action: LIST_SERVICE_DEPLOYMENTS.to_owned(),
                asked: json!({ "cluster": "prod", "service": "web" }),
                outcome: match list {
                    Some(list) => Outcome::Said(json!({ "serviceDeployments": list })),
                    None => Outcome::Failed(BlindReason::Denied),
                },
            },
        ]
    }

    /// Deployment 2 was rolled back to deployment 1, whose id is used again.
    fn rolled_back() -> Value {
        json!({
            "deployments": [{ "id": "ecs-svc/1", "status": "PRIMARY", "rolloutState": "COMPLETED", "createdAt": 100.0,
                "taskDefinition": "x/web:1" }],
            "events": [
                { "id": "e", "createdAt": 205.0, "message": "(service web) has reached a steady state." },
                { "id": "d", "createdAt": 204.0, "message": "(service web) (deployment ecs-svc/1) deployment completed." },
                { "id": "c", "createdAt": 203.0, "message": "(service web) rolling back to deployment ecs-svc/1." },
                { "id": "b", "createdAt": 202.0,
                    "message": "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start." },
                { "id": "a", "createdAt": 110.0, "message": "(service web) (deployment ecs-svc/1) deployment completed." },
            ],
        })
    }

    fn brief(number: u32, created: f64) -> Value {
        json!({ "serviceDeploymentArn": "x", "createdAt": created,
            "targetServiceRevisionArn": format!("arn:aws:ecs:r:0:service-revision/prod/web/{number}") })
    }

    #[test]
    fn the_newest_service_deployment_is_the_last_although_an_older_one_is_primary() {
        let list = json!([brief(1, 100.5), brief(2, 200.0)]);
        let last = last("prod", "web", &answers(rolled_back(), Some(list))).unwrap();
        assert_eq!(
            (last.deployment.as_str(), last.previous.as_deref()),
            ("ecs-svc/2", Some("ecs-svc/1"))
        );
        assert_eq!(last.old_events, ["a".to_owned()].into());
        assert!(last.revision.is_some() && last.task_definition.is_none());
    }

    #[test]
    fn without_service_deployments_the_events_tell_of_the_rollback() {
        let last = last("prod", "web", &answers(rolled_back(), None)).unwrap();
        assert_eq!(last.deployment, "ecs-svc/2");
        assert!(
            last.old_events.is_empty(),
            "the one that completed is where its events begin: {last:?}"
        );
    }

    #[test]
    fn a_deployment_after_the_rollback_is_the_last() {
        let mut service = rolled_back();
        service["deployments"] = json!([
            { "id": "ecs-svc/3", "status": "PRIMARY", "rolloutState": "IN_PROGRESS", "createdAt": 300.0,
                "taskDefinition": "x/web:3" },
            { "id": "ecs-svc/1", "status": "ACTIVE", "rolloutState": "COMPLETED", "createdAt": 100.0 },
        ]);
        for list in [None, Some(json!([brief(2, 200.0)])), Some(json!([]))] {
            let last = last("prod", "web", &answers(service.clone(), list)).unwrap();
            assert_eq!(last.deployment, "ecs-svc/3");
            assert_eq!(last.previous.as_deref(), Some("ecs-svc/1"));
            assert_eq!(last.task_definition.as_deref(), Some("x/web:3"));
        }
    }

    #[test]
    fn a_service_that_was_not_described_has_none() {
        assert_eq!(last("test", "web", &answers(rolled_back(), None)), None);
        assert_eq!(last("prod", "web", &answers(json!({}), None)), None);
    }
}
