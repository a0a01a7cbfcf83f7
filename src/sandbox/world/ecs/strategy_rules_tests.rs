//! What is refused of strategies, hooks, alarms and early success.

use super::timeline::{Timeline, service};
use serde_json::{Value, json};

fn refusal(configuration: &Value) -> (String, String) {
    let input = service(1, json!({ "deploymentConfiguration": configuration }));
    let error = Timeline::new("").ask("CreateService", input).unwrap_err();
    (error.code, error.message)
}

fn hook(more: &Value) -> Value {
    let mut hook = json!({
        "hookTargetArn": "arn:aws:lambda:eu-west-1:000000000000:function:f", "roleArn": "arn:aws:iam::000000000000:role/r",
        "lifecycleStages": ["POST_SCALE_UP"],
    });
    hook.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": [hook] })
}

#[test]
fn configurations_that_ecs_refuses_are_refused() {
    let pause = |stage: &str| {
        let hooks = json!([{ "targetType": "PAUSE", "lifecycleStages": [stage] }]);
        json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": hooks })
    };
    let early = |more: Value| json!({ "earlySuccessCriteria": more });
    let full = json!({ "enable": true, "healthyPercent": 100, "sourceServiceRevisionCleanup": "DEFERRED" });
    for (configuration, says) in [
        (
            json!({ "strategy": "PURPLE" }),
            "Invalid deployment strategy: PURPLE",
        ),
        (
            json!({ "strategy": "BLUE_GREEN" }),
            "bakeTimeInMinutes must be provided",
        ),
        (
            json!({ "strategy": "CANARY", "bakeTimeInMinutes": 1441 }),
            "between 0 and 1440, not 1441",
        ),
        (
            json!({ "strategy": "LINEAR", "linearConfiguration": { "stepPercent": 2.9 } }),
            "from 3.0 to 100.0, not 2.9",
        ),
        (
            json!({ "strategy": "LINEAR", "linearConfiguration": { "stepPercent": 10.25 } }),
            "multiple of 0.1",
        ),
        (
            json!({ "strategy": "LINEAR", "linearConfiguration": { "stepBakeTimeInMinutes": 1441 } }),
            "stepBakeTimeInMinutes",
        ),
        (
            json!({ "strategy": "CANARY", "canaryConfiguration": { "canaryPercent": 0 } }),
            "from 0.1 to 100.0, not 0",
        ),
        (
            json!({ "strategy": "CANARY", "linearConfiguration": {} }),
            "only valid for the deployment strategy LINEAR",
        ),
        (
            hook(&json!({ "hookTargetArn": null })),
            "hookTargetArn is required",
        ),
        (
            hook(&json!({ "targetType": "EMAIL" })),
            "Valid values are: AWS_LAMBDA, PAUSE",
        ),
        (
            hook(&json!({ "targetType": "PAUSE" })),
            "hookTargetArn is not applicable",
        ),
        (
            hook(&json!({ "lifecycleStages": [] })),
            "lifecycleStages can not be empty",
        ),
        (
            hook(&json!({ "lifecycleStages": ["BAKE_TIME"] })),
            "Invalid lifecycle stage for a hook: BAKE_TIME",
        ),
        (
            hook(&json!({ "timeoutConfiguration": { "timeoutInMinutes": 20161 } })),
            "between 1 and 20160",
        ),
        (
            hook(&json!({ "timeoutConfiguration": { "action": "WAIT" } })),
            "Invalid timeout action: WAIT",
        ),
        (
            pause("PRODUCTION_TRAFFIC_SHIFT"),
            "Invalid lifecycle stage provided for Pause Hook",
        ),
        (
            json!({ "alarms": { "alarmNames": ["a"], "enable": true } }),
            "alarms.rollback should not be null",
        ),
        (
            json!({ "alarms": { "alarmNames": [], "enable": true, "rollback": true } }),
            "alarmNames can not be empty",
        ),
        (
            early(json!({ "enable": true, "healthyPercent": 100 })),
            "must be BLOCKING or DEFERRED",
        ),
        (
            early(
                json!({ "enable": true, "healthyPercent": 99, "sourceServiceRevisionCleanup": "DEFERRED" }),
            ),
            "at least minimumHealthyPercent",
        ),
        (
            json!({ "strategy": "CANARY", "earlySuccessCriteria": full }),
            "only with the deployment strategy ROLLING",
        ),
    ] {
        let (code, message) = refusal(&configuration);
        assert_eq!(code, "InvalidParameterException", "{configuration}: {message}");
        assert!(message.contains(says), "{configuration}: {message}");
    }
    let rolling = json!({ "lifecycleHooks": hook(&json!({}))["lifecycleHooks"] });
    assert_eq!(
        refusal(&rolling).0,
        "UnsupportedFeatureException",
        "refused by name, never ignored"
    );
}

#[test]
fn eleven_hooks_of_a_kind_are_too_many() {
    let one = hook(&json!({}))["lifecycleHooks"][0].clone();
    let all = |count: usize| {
        let hooks: Vec<Value> = std::iter::repeat_n(one.clone(), count).collect();
        let configuration =
            json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": hooks });
        service(1, json!({ "deploymentConfiguration": configuration }))
    };
    assert!(Timeline::new("").ask("CreateService", all(10)).is_ok());
    let error = Timeline::new("").ask("CreateService", all(11)).unwrap_err();
    assert!(error.message.contains("at most 10"), "{error}");
}

#[test]
fn a_daemon_and_another_controller_have_no_strategies() {
    let configuration = json!({ "strategy": "CANARY" });
    for more in [
        json!({ "schedulingStrategy": "DAEMON", "launchType": "EC2", "desiredCount": null }),
        json!({ "deploymentController": { "type": "CODE_DEPLOY" } }),
    ] {
        let mut input = service(1, json!({ "deploymentConfiguration": configuration }));
        input
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let error = Timeline::new("").ask("CreateService", input).unwrap_err();
        assert_eq!(error.code, "InvalidParameterException", "{error}");
    }
}

#[test]
fn settings_of_a_strategy_leave_with_it() {
    let canary = json!({ "strategy": "CANARY", "canaryConfiguration": { "canaryPercent": 20 } });
    let mut timeline = Timeline::serving("", 1, json!({ "deploymentConfiguration": canary }));
    let linear = json!({ "strategy": "LINEAR" });
    timeline.call(
        "UpdateService",
        json!({ "service": "web", "deploymentConfiguration": linear }),
    );
    let configuration = timeline.service()["deploymentConfiguration"].clone();
    assert!(configuration.get("canaryConfiguration").is_none());
    assert_eq!(
        configuration["linearConfiguration"],
        json!({ "stepPercent": 10.0, "stepBakeTimeInMinutes": 6 })
    );
    assert_eq!(timeline.deployments().len(), 1, "it starts no deployment");
}
