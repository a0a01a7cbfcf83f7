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

/// A service as DescribeServices shows it, with members added.
fn described(name: &str, desired: u32, more: &Value) -> Value {
    let mut service = json!({
        "serviceName": name, "desiredCount": desired, "runningCount": 0, "pendingCount": 0, "deployments": [],
        "loadBalancers": [],
    });
    let members = service.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    service
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
            "services": [described("api", 1, &json!({})), described("web", 7, &json!({}))],
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
fn calls_that_services_share_are_read_for_each() {
    let of_cluster = said(
        LIST_TASKS,
        json!({ "cluster": "prod", "desiredStatus": "RUNNING" }),
        json!({ "taskArns": ["t/1", "t/2"] }),
    );
    let described = said(
        DESCRIBE_TASKS,
        json!({ "cluster": "prod", "tasks": ["t/1", "t/2"] }),
        json!({ "tasks": [
            { "taskArn": "t/1", "startedBy": "ecs-svc/2" },
            { "taskArn": "t/2", "startedBy": "ecs-svc/9" },
        ] }),
    );
    let look = observe(OURS, &[of_cluster.clone(), described.clone()]);
    assert_eq!(look.tasks.unwrap()[0].id, "1");
    let elsewhere = Sought {
        cluster: "staging",
        ..OURS
    };
    assert_eq!(observe(elsewhere, &[of_cluster, described]).tasks, None);

    let own = said(
        LIST_TASKS,
        json!({ "cluster": "prod", "serviceName": "web" }),
        json!({ "taskArns": ["t/1"] }),
    );
    let lost = |task: &str| {
        failed(
            DESCRIBE_TASKS,
            json!({ "cluster": "prod", "tasks": [task] }),
            BlindReason::Transient,
        )
    };
    let others = observe(OURS, &[own.clone(), lost("t/3")]);
    assert_eq!((others.tasks, others.blind.len()), (Some(Vec::new()), 0));
    let ours = observe(OURS, &[own, lost("t/1")]);
    assert_eq!((ours.tasks, ours.blind.len()), (None, 1));

    for (arn, blind) in [
        ("arn:x:service-deployment/prod/web/id", 1),
        ("arn:x:service-deployment/prod/api/id", 0),
        ("arn:x:service-deployment/staging/web/id", 0),
    ] {
        let denied = failed(
            DESCRIBE_SERVICE_DEPLOYMENTS,
            json!({ "serviceDeploymentArns": [arn] }),
            BlindReason::Denied,
        );
        assert_eq!(observe(OURS, &[denied]).blind.len(), blind, "{arn}");
    }
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
    let groups = json!({ "loadBalancers": [{ "targetGroupArn": "tg" }, { "targetGroupArn": "other" }] });
    let service = json!({ "services": [described("web", 1, &groups)] });
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

#[test]
fn a_service_that_lacks_what_a_verdict_rests_on_is_not_seen() {
    let mut service = described("web", 1, &json!({}));
    service.as_object_mut().unwrap().remove("desiredCount");
    let look = observe(
        OURS,
        &[said(
            DESCRIBE_SERVICES,
            of_two(),
            json!({ "services": [service] }),
        )],
    );
    assert_eq!(
        look.service,
        Presence::Unreadable {
            member: "desiredCount"
        }
    );
    assert_eq!(look.seen_service(), None);
}

#[test]
fn a_task_that_is_described_twice_is_one_task_and_one_without_a_name_is_none() {
    let of =
        |arn: &str, status: &str| json!({ "taskArn": arn, "startedBy": "ecs-svc/2", "lastStatus": status });
    let asked = json!({ "cluster": "prod", "serviceName": "web" });
    let described = |tasks: Value| {
        said(
            DESCRIBE_TASKS,
            json!({ "cluster": "prod" }),
            json!({ "tasks": tasks }),
        )
    };
    let look = observe(
        OURS,
        &[
            said(LIST_TASKS, asked, json!({})),
            described(json!([
                of("x/1", "RUNNING"),
                of("", "RUNNING"),
                json!({ "startedBy": "ecs-svc/2" })
            ])),
            described(json!([of("x/1", "STOPPED")])),
        ],
    );
    let tasks = look.tasks.unwrap();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].status.to_string(), "STOPPED");
}

#[test]
fn our_revision_is_found_and_read_by_its_number() {
    let arn = |number: u32| format!("arn:aws:ecs:r:0:service-revision/prod/web/{number}");
    let revisions = json!({ "currentServiceRevisions": [{ "arn": arn(1) }, { "arn": arn(2) }] });
    let service = said(
        DESCRIBE_SERVICES,
        of_two(),
        json!({ "services": [described("web", 1, &revisions)] }),
    );
    assert_eq!(revision_arn(OURS, &[service]), Some(arn(2)));
    let target = json!({ "serviceDeployments": [{ "targetServiceRevision": { "arn": arn(2) } }] });
    let target = said(DESCRIBE_SERVICE_DEPLOYMENTS, json!({}), target);
    assert_eq!(revision_arn(OURS, &[target]), Some(arn(2)));
    assert_eq!(revision_arn(OURS, &[]), None);

    let both =
        json!({ "serviceRevisions": [{ "serviceRevisionArn": arn(1) }, { "serviceRevisionArn": arn(2) }] });
    let look = observe(OURS, &[said(DESCRIBE_SERVICE_REVISIONS, json!({}), both)]);
    assert_eq!(look.revision.unwrap().arn, arn(2));
    let denied = failed(DESCRIBE_SERVICE_REVISIONS, json!({}), BlindReason::Denied);
    let look = observe(OURS, &[denied]);
    assert_eq!((look.revision, look.blind.len()), (None, 1));
}
