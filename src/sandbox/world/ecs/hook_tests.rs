//! Lifecycle hooks: functions that answer, fail or never come back, and pauses that somebody ends or nobody does.

use super::timeline::{Timeline, lines};
use serde_json::{Value, json};

const SMOKE: &str = "arn:aws:lambda:eu-west-1:000000000000:function:smoke-test";

fn function(stage: &str) -> Value {
    let role = "arn:aws:iam::000000000000:role/hooks";
    json!({ "hookTargetArn": SMOKE, "roleArn": role, "lifecycleStages": [stage] })
}

fn pause(stage: &str, timeout: &Value) -> Value {
    json!({ "targetType": "PAUSE", "lifecycleStages": [stage], "timeoutConfiguration": timeout })
}

/// A service of one task, complete before any hook is configured, and its update to the next revision with these hooks.
fn deploying(scenario: &str, hooks: &Value) -> Timeline {
    let configuration = json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0 });
    let mut timeline = Timeline::serving(scenario, 1, json!({ "deploymentConfiguration": configuration }));
    timeline.update(json!({ "deploymentConfiguration": { "lifecycleHooks": hooks } }));
    timeline
}

/// The hooks of the present stage.
fn hooks(timeline: &mut Timeline) -> Value {
    timeline.service_deployment()["lifecycleHookDetails"].clone()
}

/// Answers a pause.
fn answer(timeline: &mut Timeline, action: &str) {
    let record = timeline.service_deployment();
    let input = json!({
        "serviceDeploymentArn": record["serviceDeploymentArn"],
        "hookId": record["lifecycleHookDetails"][0]["hookId"],
        "action": action,
    });
    let answer = timeline.call("ContinueServiceDeployment", input);
    assert_eq!(
        answer,
        json!({ "serviceDeploymentArn": record["serviceDeploymentArn"] })
    );
}

#[test]
fn a_function_that_succeeds_lets_the_deployment_go_on_after_a_few_seconds() {
    let slow = "[[hook]]\nstage = \"POST_SCALE_UP\"\noutcome = \"succeeds\"\nafter-seconds = 90";
    for (scenario, takes) in [("", 10), (slow, 90)] {
        let mut timeline = deploying(scenario, &json!([function("POST_SCALE_UP")]));
        let begun = timeline.pass_to("POST_SCALE_UP");
        let details = hooks(&mut timeline);
        let expires = details[0]["expiresAt"].as_u64().unwrap();
        assert_eq!(
            details,
            json!([{
                "hookId": details[0]["hookId"], "targetType": "AWS_LAMBDA", "targetArn": SMOKE,
                "status": "IN_PROGRESS", "expiresAt": expires, "timeoutAction": "ROLLBACK",
            }])
        );
        assert!(details[0]["hookId"].as_str().unwrap().starts_with("ecs-lambda-"));
        assert_eq!(timeline.pass_to("TEST_TRAFFIC_SHIFT"), begun + takes);
        timeline.pass(300);
        assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
    }
}

#[test]
fn a_function_that_fails_rolls_back_in_the_words_of_ecs() {
    for (outcome, says) in [
        (
            "fails",
            format!("Lifecycle hook target {SMOKE} returned FAILED status."),
        ),
        (
            "breaks",
            format!("ECS was unable to parse the response from {SMOKE} due to HookStatus must not be null"),
        ),
    ] {
        let scenario = format!("[[hook]]\ntarget = \"smoke-test\"\noutcome = \"{outcome}\"");
        let mut timeline = deploying(&scenario, &json!([function("PRE_SCALE_UP")]));
        timeline.pass_until("rolling back");
        let record = timeline.service_deployment();
        let reason =
            format!("Service deployment rolled back because PRE_SCALE_UP lifecycle hook(s) failed. {says}");
        assert_eq!(record["statusReason"], reason);
        assert_eq!(record["rollback"]["reason"], reason);
        assert_eq!(record["lifecycleHookDetails"][0]["status"], "FAILED");
        assert_eq!(
            lines(timeline.events()),
            [
                format!(
                    "  17 (deployment D) deployment failed: {}.",
                    reason.trim_end_matches('.')
                ),
                "  17 rolling back to deployment D.".to_owned(),
            ]
        );
        timeline.pass(30);
        assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    }
}

#[test]
fn a_hook_that_fails_a_service_s_first_deployment_leaves_nothing_to_go_back_to() {
    let mut timeline = Timeline::new("[[hook]]\noutcome = \"fails\"");
    let configuration = json!({
        "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "lifecycleHooks": [function("PRE_SCALE_UP")],
    });
    let settings = json!({ "deploymentConfiguration": configuration });
    timeline.call("CreateService", super::timeline::service(1, settings));
    timeline.pass(300);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_FAILED");
    assert_eq!(
        record["statusReason"],
        "No rollback candidate was found to run the rollback."
    );
    assert_eq!(timeline.service()["runningCount"], 0);
    assert!(
        timeline.events()[0]
            .1
            .contains("PRE_SCALE_UP lifecycle hook(s) failed")
    );
}

#[test]
fn a_function_that_never_ends_times_out() {
    let mut hook = function("POST_TEST_TRAFFIC_SHIFT");
    hook["timeoutConfiguration"] = json!({ "timeoutInMinutes": 3 });
    let mut timeline = deploying("[[hook]]\noutcome = \"hangs\"", &json!([hook]));
    timeline.pass_to("POST_TEST_TRAFFIC_SHIFT");
    timeline.pass(179);
    assert_eq!(hooks(&mut timeline)[0]["status"], "IN_PROGRESS");
    timeline.pass(1);
    let record = timeline.service_deployment();
    assert_eq!(record["lifecycleHookDetails"][0]["status"], "TIMED_OUT");
    assert_eq!(record["status"], "ROLLBACK_IN_PROGRESS");
}

#[test]
fn a_pause_waits_for_a_day_unless_somebody_continues() {
    let mut timeline = deploying("", &json!([pause("POST_TEST_TRAFFIC_SHIFT", &json!(null))]));
    let begun = timeline.pass_to("POST_TEST_TRAFFIC_SHIFT");
    let details = hooks(&mut timeline);
    assert_eq!(details[0]["status"], "AWAITING_ACTION");
    assert_eq!(details[0]["timeoutAction"], "ROLLBACK");
    assert!(details[0].get("targetArn").is_none());
    assert!(details[0]["hookId"].as_str().unwrap().starts_with("ecs-pause-"));
    timeline.pass(3600);
    assert_eq!(hooks(&mut timeline)[0]["status"], "AWAITING_ACTION");
    answer(&mut timeline, "CONTINUE");
    assert_eq!(timeline.pass_to("PRODUCTION_TRAFFIC_SHIFT"), begun + 3600);
    timeline.pass(300);
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
}

#[test]
fn a_pause_that_somebody_rolls_back_rolls_back() {
    let mut timeline = deploying("", &json!([pause("POST_PRODUCTION_TRAFFIC_SHIFT", &json!(null))]));
    timeline.pass_to("POST_PRODUCTION_TRAFFIC_SHIFT");
    answer(&mut timeline, "ROLLBACK");
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_IN_PROGRESS");
    assert_eq!(record["lifecycleHookDetails"][0]["status"], "FAILED");
    assert_eq!(
        record["targetServiceRevision"]["requestedProductionTrafficWeight"],
        0.0
    );
    timeline.pass(60);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn a_pause_that_nobody_answers_does_what_its_time_limit_says() {
    for (action, status) in [("ROLLBACK", "ROLLBACK_SUCCESSFUL"), ("CONTINUE", "SUCCESSFUL")] {
        let timeout = json!({ "timeoutInMinutes": 10, "action": action });
        let mut timeline = deploying("", &json!([pause("POST_SCALE_UP", &timeout)]));
        timeline.pass_to("POST_SCALE_UP");
        timeline.pass(600);
        let record = timeline.service_deployment();
        if action == "ROLLBACK" {
            assert_eq!(record["lifecycleHookDetails"][0]["status"], "TIMED_OUT");
            assert_eq!(
                record["statusReason"],
                "Service deployment rolled back because POST_SCALE_UP pause hook timed out."
            );
        }
        timeline.pass(300);
        assert_eq!(timeline.service_deployment()["status"], status);
    }
}

#[test]
fn all_hooks_of_a_stage_must_agree() {
    let both = json!([function("POST_SCALE_UP"), pause("POST_SCALE_UP", &json!(null))]);
    let scenario = "[[hook]]\noutcome = \"fails\"\nafter-seconds = 120";
    let mut timeline = deploying(scenario, &both);
    timeline.pass_to("POST_SCALE_UP");
    timeline.pass(60);
    let statuses: Vec<Value> = hooks(&mut timeline)
        .as_array()
        .unwrap()
        .iter()
        .map(|hook| hook["status"].clone())
        .collect();
    assert_eq!(statuses, ["IN_PROGRESS", "AWAITING_ACTION"]);
    timeline.pass(60);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_IN_PROGRESS");
}

#[test]
fn a_pause_before_production_traffic_comes_back_at_every_step() {
    let configuration = json!({
        "strategy": "LINEAR", "bakeTimeInMinutes": 0,
        "linearConfiguration": { "stepPercent": 50.0, "stepBakeTimeInMinutes": 1 },
    });
    let mut timeline = Timeline::serving("", 1, json!({ "deploymentConfiguration": configuration }));
    let hooks_of = json!([pause("PRE_PRODUCTION_TRAFFIC_SHIFT", &json!(null))]);
    timeline.update(json!({ "deploymentConfiguration": { "lifecycleHooks": hooks_of } }));
    let mut ids = Vec::new();
    for weight in [0.0, 50.0] {
        timeline.pass_to("PRE_PRODUCTION_TRAFFIC_SHIFT");
        let record = timeline.service_deployment();
        assert_eq!(
            record["targetServiceRevision"]["requestedProductionTrafficWeight"],
            weight
        );
        ids.push(record["lifecycleHookDetails"][0]["hookId"].clone());
        answer(&mut timeline, "CONTINUE");
        timeline.pass_to("PRODUCTION_TRAFFIC_SHIFT");
    }
    assert_ne!(ids[0], ids[1]);
    timeline.pass(300);
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
}

#[test]
fn what_can_not_be_continued_is_refused() {
    let mut timeline = deploying(
        "",
        &json!([pause("POST_SCALE_UP", &json!(null)), function("POST_SCALE_UP")]),
    );
    timeline.pass_to("POST_SCALE_UP");
    let record = timeline.service_deployment();
    let arn = record["serviceDeploymentArn"].clone();
    let [paused, lambda] = [0, 1].map(|index: usize| record["lifecycleHookDetails"][index]["hookId"].clone());
    let refused = |timeline: &mut Timeline, arn: &Value, id: &Value| {
        let input = json!({ "serviceDeploymentArn": arn, "hookId": id });
        let error = timeline.ask("ContinueServiceDeployment", input).unwrap_err();
        (error.code, error.message)
    };
    let unavailable = (
        "InvalidParameterException".to_owned(),
        "Provided hookId is either completed, unavailable, or not associated with the given Resource ARN"
            .to_owned(),
    );
    assert_eq!(
        refused(&mut timeline, &arn, &lambda),
        unavailable,
        "a function answers for itself"
    );
    let unknown = refused(&mut timeline, &arn, &json!("mine"));
    assert!(unknown.1.contains("hookId must follow the format"), "{unknown:?}");
    let nowhere = refused(
        &mut timeline,
        &json!("arn:aws:ecs:eu-west-1:000000000000:service-deployment/a/b/c"),
        &paused,
    );
    assert_eq!(nowhere.0, "ServiceDeploymentNotFoundException");
    answer(&mut timeline, "CONTINUE");
    assert_eq!(
        refused(&mut timeline, &arn, &paused),
        unavailable,
        "it was answered"
    );
    timeline.pass(300);
    let over = refused(&mut timeline, &arn, &paused);
    assert!(over.1.contains("terminal states"), "{over:?}");
}
