//! CloudWatch Logs' operations, called as the wire calls them.

use super::{Logs, WorldConfig};
use crate::sandbox::world::ecs::Timings;
use serde_json::{Value, json};
use std::time::Duration;

const NOW: Duration = Duration::from_millis(1_767_225_600_123);

fn logs() -> Logs {
    let mut logs = Logs::new(&WorldConfig {
        region: "eu-west-1".into(),
        registry_host: String::new(),
        timings: Timings::default(),
    });
    call(&mut logs, "CreateLogGroup", json!({ "logGroupName": "/ecs/web" }));
    for line in ["one", "two", "three"] {
        logs.append(NOW, "/ecs/web", "web/app/1", line);
    }
    logs
}

fn call(logs: &mut Logs, operation: &str, input: impl Into<Value>) -> Value {
    logs.call(NOW, operation, &input.into()).unwrap()
}

fn messages(answer: &Value) -> Vec<&str> {
    answer["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["message"].as_str().unwrap())
        .collect()
}

#[test]
fn events_come_from_either_end_and_tokens_carry_on() {
    let mut logs = logs();
    let ask = |logs: &mut Logs, extra: Value| {
        let mut input = json!({ "logGroupName": "/ecs/web", "logStreamName": "web/app/1", "limit": 2 });
        input
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        call(logs, "GetLogEvents", input)
    };
    let tail = ask(&mut logs, json!({}));
    assert_eq!(messages(&tail), ["two", "three"]);
    let head = ask(&mut logs, json!({ "startFromHead": true }));
    assert_eq!(messages(&head), ["one", "two"]);
    assert_eq!(head["events"][0]["timestamp"], 1_767_225_600_123_u64);
    let more = ask(&mut logs, json!({ "nextToken": head["nextForwardToken"] }));
    assert_eq!(messages(&more), ["three"]);
    let end = ask(&mut logs, json!({ "nextToken": more["nextForwardToken"] }));
    assert_eq!(
        end["nextForwardToken"], more["nextForwardToken"],
        "the end is told by the same token again"
    );
    let back = ask(&mut logs, json!({ "nextToken": tail["nextBackwardToken"] }));
    assert_eq!(messages(&back), ["one"]);
}

#[test]
fn what_is_missing_is_named() {
    let mut logs = logs();
    let refused = |logs: &mut Logs, group: &str, stream: &str| {
        let input = json!({ "logGroupName": group, "logStreamName": stream });
        logs.call(NOW, "GetLogEvents", &input).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&mut logs, "/no", "s"),
        "ResourceNotFoundException: The specified log group does not exist."
    );
    assert_eq!(
        refused(&mut logs, "/ecs/web", "s"),
        "ResourceNotFoundException: The specified log stream does not exist."
    );
    logs.append(NOW, "/no", "s", "lost");
    assert!(!logs.has_group("/no"));
}

#[test]
fn a_filter_finds_lines_across_streams() {
    let mut logs = logs();
    logs.append(NOW + Duration::from_secs(1), "/ecs/web", "web/app/2", "two more");
    let input = json!({ "logGroupName": "/ecs/web", "filterPattern": "two", "limit": 1 });
    let first = call(&mut logs, "FilterLogEvents", input);
    assert_eq!(messages(&first), ["two"]);
    let input = json!({
        "logGroupName": "/ecs/web", "filterPattern": "two", "limit": 1, "nextToken": first["nextToken"]
    });
    let second = call(&mut logs, "FilterLogEvents", input);
    assert_eq!(messages(&second), ["two more"]);
    assert_eq!(second["events"][0]["logStreamName"], "web/app/2");
}
