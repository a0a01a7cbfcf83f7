use super::*;
use serde_json::json;

const OURS: Sought<'static> = Sought {
    cluster: "prod",
    service: "web",
    deployment: "ecs-svc/2",
};

fn said(action: &str, asked: Value, said: Value) -> Answer {
    Answer {
        action: action.to_owned(),
        asked,
        outcome: Outcome::Said(said),
    }
}

fn failed(action: &str, asked: Value, why: BlindReason) -> Answer {
    Answer {
        action: action.to_owned(),
        asked,
        outcome: Outcome::Failed(why),
    }
}

fn of_two() -> Value {
    json!({ "cluster": "prod", "services": ["api", "web"] })
}

#[test]
fn one_answer_tells_of_every_service_that_it_was_asked_for() {
    let both = [said(
        DESCRIBE_SERVICES,
        of_two(),
        json!({
            "services": [{ "serviceName": "api", "desiredCount": 1 }, { "serviceName": "web", "desiredCount": 7 }],
            "failures": [{ "arn": "arn:aws:ecs:r:0:service/prod/jobs", "reason": "MISSING" }],
        }),
    )];
    assert_eq!(observe(OURS, &both).seen_service().unwrap().desired, 7);
    let api = Sought {
        service: "api",
        ..OURS
    };
    assert_eq!(observe(api, &both).seen_service().unwrap().desired, 1);
    let elsewhere = Sought {
        cluster: "test",
        ..OURS
    };
    assert_eq!(observe(elsewhere, &both).service, Presence::Unseen);
}

#[test]
fn missing_is_told_from_not_answered_and_from_an_answer_without_the_service() {
    let arn = "arn:aws:ecs:r:0:service/prod/web";
    let missing = json!({ "services": [], "failures": [{ "arn": arn, "reason": "MISSING" }] });
    let look = observe(OURS, &[said(DESCRIBE_SERVICES, of_two(), missing)]);
    assert_eq!((look.service, look.blind), (Presence::Missing, Vec::new()));

    let denied = observe(OURS, &[failed(DESCRIBE_SERVICES, of_two(), BlindReason::Denied)]);
    assert_eq!(
        (&denied.service, denied.blind[0].why),
        (&Presence::Unseen, BlindReason::Denied)
    );

    let empty = observe(OURS, &[said(DESCRIBE_SERVICES, of_two(), json!({}))]);
    assert_eq!(
        (&empty.service, empty.blind[0].why),
        (&Presence::Unseen, BlindReason::Transient)
    );
}

#[test]
fn tasks_are_those_of_our_deployment_and_all_of_them_or_none() {
    let listed = || {
        said(
            LIST_TASKS,
            json!({ "cluster": "prod", "serviceName": "web" }),
            json!({ "taskArns": ["x/1", "x/2"] }),
        )
    };
    let described = json!({ "tasks": [
        { "taskArn": "x/1", "startedBy": "ecs-svc/2", "lastStatus": "RUNNING" },
        { "taskArn": "x/2", "startedBy": "ecs-svc/1", "lastStatus": "RUNNING" },
    ] });
    let asked = || json!({ "cluster": "prod", "tasks": ["x/1", "x/2"] });
    let whole = observe(
        OURS,
        &[listed(), said(DESCRIBE_TASKS, asked(), described.clone())],
    );
    assert_eq!(whole.tasks.unwrap().len(), 1);

    let part = [
        listed(),
        said(DESCRIBE_TASKS, asked(), described.clone()),
        failed(DESCRIBE_TASKS, asked(), BlindReason::Transient),
    ];
    assert_eq!(observe(OURS, &part).tasks, None);
    assert_eq!(
        observe(OURS, &[said(DESCRIBE_TASKS, asked(), described)]).tasks,
        None,
        "never listed"
    );
    let none = said(
        LIST_TASKS,
        json!({ "cluster": "prod", "serviceName": "web" }),
        json!({ "taskArns": [] }),
    );
    assert_eq!(observe(OURS, &[none]).tasks, Some(Vec::new()));
}

#[test]
fn our_service_deployment_is_the_one_with_our_number() {
    let revision = |number: u32| format!("arn:aws:ecs:r:0:service-revision/prod/web/{number}");
    let list = json!({ "serviceDeployments": [
        { "serviceDeploymentArn": "three", "targetServiceRevisionArn": revision(3) },
        { "serviceDeploymentArn": "two", "targetServiceRevisionArn": revision(2) },
    ] });
    assert_eq!(service_deployment_arn(&list, "ecs-svc/2").as_deref(), Some("two"));
    assert_eq!(service_deployment_arn(&list, "ecs-svc/22"), None);
    let both = json!({ "serviceDeployments": [
        { "serviceDeploymentArn": "three", "targetServiceRevision": { "arn": revision(3) } },
        { "serviceDeploymentArn": "two", "targetServiceRevision": { "arn": revision(2) }, "status": "SUCCESSFUL" },
    ] });
    let look = observe(OURS, &[said(DESCRIBE_SERVICE_DEPLOYMENTS, json!({}), both)]);
    assert_eq!(look.service_deployment.unwrap().arn, "two");
}

#[test]
fn targets_are_asked_for_by_their_group() {
    let service = json!({ "services": [{ "serviceName": "web", "loadBalancers": [{ "targetGroupArn": "tg" }, { "targetGroupArn": "other" }] }] });
    let answers = [
        said(DESCRIBE_SERVICES, of_two(), service),
        said(
            DESCRIBE_TARGET_HEALTH,
            json!({ "TargetGroupArn": "tg" }),
            json!({ "TargetHealthDescriptions": [{
                "Target": { "Id": "10.0.0.1", "Port": 80 },
                "TargetHealth": { "State": "unhealthy", "Reason": "Target.Timeout" },
            }] }),
        ),
        failed(
            DESCRIBE_TARGET_HEALTH,
            json!({ "TargetGroupArn": "other" }),
            BlindReason::Denied,
        ),
    ];
    let look = observe(OURS, &answers);
    assert_eq!(look.target_groups.len(), 1);
    assert_eq!(
        look.target_groups[0].targets[0].reason.as_deref(),
        Some("Target.Timeout")
    );
    assert_eq!(look.blind.len(), 1);
}

#[test]
fn an_answer_is_written_and_read_without_loss() {
    let answer = said(
        LIST_TASKS,
        json!({ "cluster": "c" }),
        json!({ "newMember": [1.50] }),
    );
    let text = serde_json::to_string(&answer).unwrap();
    assert_eq!(
        text,
        r#"{"action":"ecs:ListTasks","asked":{"cluster":"c"},"said":{"newMember":[1.5]}}"#
    );
    assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    let denied = failed(LIST_TASKS, json!({}), BlindReason::NoCredentials);
    let text = serde_json::to_string(&denied).unwrap();
    assert!(text.ends_with(r#""failed":"no-credentials"}"#), "{text}");
    assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), denied);
}
