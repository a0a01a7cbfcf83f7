//! What ECS refuses, answers twice, or counts only once.

use super::timeline::{Timeline, definition, service};
use serde_json::{Value, json};

fn run(more: &Value) -> Value {
    let mut input = json!({ "taskDefinition": "web", "launchType": "FARGATE",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } } });
    input
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    input
}

fn arns(answer: &Value) -> Vec<Value> {
    let tasks = answer["tasks"].as_array().unwrap().iter();
    tasks.map(|task| task["taskArn"].clone()).collect()
}

#[test]
fn the_same_run_with_the_same_token_makes_no_second_task() {
    let mut timeline = Timeline::new("");
    let input = run(&json!({ "clientToken": "once", "count": 2 }));
    let first = timeline.call("RunTask", input.clone());
    timeline.pass(60);
    let second = timeline.call("RunTask", input);
    assert_eq!(arns(&first), arns(&second));
    assert_eq!(second["tasks"][0]["lastStatus"], "RUNNING");
    let listed = timeline.call("ListTasks", json!({}));
    assert_eq!(listed["taskArns"].as_array().unwrap().len(), 2);
    let other = run(&json!({ "clientToken": "once", "count": 3 }));
    assert_eq!(
        timeline.ask("RunTask", other).unwrap_err().code,
        "ConflictException"
    );
    let without = timeline.call("RunTask", run(&json!({})));
    assert_ne!(arns(&without), arns(&first)[..1]);
    for token in ["x".repeat(65), "two words".to_owned()] {
        let input = run(&json!({ "clientToken": token }));
        assert!(timeline.ask("RunTask", input).is_err(), "{token}");
    }
}

#[test]
fn a_service_is_made_once_by_the_same_request_and_not_by_another() {
    let mut timeline = Timeline::new("");
    let input = service(1, json!({ "clientToken": "once" }));
    let first = timeline.call("CreateService", input.clone());
    let second = timeline.call("CreateService", input);
    assert_eq!(
        first["service"]["deployments"][0]["id"],
        second["service"]["deployments"][0]["id"]
    );
    for other in [json!({}), json!({ "clientToken": "twice" })] {
        let error = timeline.ask("CreateService", service(1, other)).unwrap_err();
        assert_eq!(error.message, "Creation of service was not idempotent.");
    }
}

#[test]
fn a_task_definition_has_64_kilobytes() {
    let mut timeline = Timeline::new("");
    let mut large = definition();
    large["containerDefinitions"][0]["environment"] =
        json!([{ "name": "LARGE", "value": "x".repeat(60_000) }]);
    timeline.call("RegisterTaskDefinition", large.clone());
    large["containerDefinitions"][0]["environment"][0]["value"] = json!("x".repeat(65_536));
    let error = timeline.ask("RegisterTaskDefinition", large).unwrap_err();
    assert_eq!(error.code, "ClientException");
    assert!(
        error.message.contains("Max allowed length is '65536' bytes."),
        "{error}"
    );
}

#[test]
fn a_run_in_a_vpc_names_its_network_and_started_by_has_its_letters() {
    let mut timeline = Timeline::new("");
    let nowhere = timeline.ask(
        "RunTask",
        json!({ "taskDefinition": "web", "launchType": "FARGATE" }),
    );
    assert_eq!(nowhere.unwrap_err().code, "InvalidParameterException");
    let odd = timeline.ask("RunTask", run(&json!({ "startedBy": "two words" })));
    assert_eq!(odd.unwrap_err().code, "InvalidParameterException");
    let stranger = json!({ "overrides": { "containerOverrides": [{ "name": "other", "command": ["x"] }] } });
    assert_eq!(
        timeline.ask("RunTask", run(&stranger)).unwrap_err().code,
        "InvalidParameterException"
    );
    let good = json!({ "startedBy": "slipway/1_a-b", "group": "migrations", "tags": [{ "key": "a", "value": "b" }],
        "overrides": { "containerOverrides": [{ "name": "web", "command": ["migrate"] }] } });
    let answer = timeline.call("RunTask", run(&good));
    let task = &answer["tasks"][0];
    assert_eq!(
        (&task["group"], &task["startedBy"]),
        (&json!("migrations"), &json!("slipway/1_a-b"))
    );
    assert_eq!(
        task["overrides"]["containerOverrides"][0]["command"],
        json!(["migrate"])
    );
    assert_eq!(task["tags"], json!([{ "key": "a", "value": "b" }]));
}

#[test]
fn started_by_is_the_only_filter() {
    let mut timeline = Timeline::new("");
    timeline.call("RunTask", run(&json!({ "startedBy": "me" })));
    let listed = timeline.call("ListTasks", json!({ "startedBy": "me" }));
    assert_eq!(listed["taskArns"].as_array().unwrap().len(), 1);
    for (key, value) in [
        ("family", "web"),
        ("desiredStatus", "STOPPED"),
        ("launchType", "FARGATE"),
    ] {
        let error = timeline.ask("ListTasks", json!({ "startedBy": "me", key: value }));
        assert_eq!(error.unwrap_err().code, "InvalidParameterException", "{key}");
    }
}
