//! What somebody else does during a roll: the acts of a scenario, on a virtual timeline.

use super::timeline::{Timeline, breaker, row};
use serde_json::json;

#[test]
fn somebody_else_updates_the_service_thirty_seconds_into_the_roll() {
    let act = "[[act]]\nservice = \"web\"\nafter-seconds = 30\nact = \"update\"\ntask-definition = \"web:1\"\nforce = true";
    let mut timeline = Timeline::serving(act, 2, json!({}));
    timeline.update(json!({}));
    timeline.pass(29);
    let ours = timeline.service()["deployments"][0]["id"].clone();
    timeline.pass(1);
    let service = timeline.service();
    assert_ne!(service["deployments"][0]["id"], ours);
    assert_eq!(service["deployments"][1]["id"], ours);
    timeline.pass(600);
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [2, 2, 0, 0])]
    );
    assert!(
        timeline.service()["taskDefinition"]
            .as_str()
            .unwrap()
            .ends_with(":1")
    );
    // Done once, however much time passes.
    assert_eq!(
        timeline.service()["deployments"][0]["id"],
        service["deployments"][0]["id"]
    );
}

#[test]
fn an_act_happens_at_its_instant_though_nobody_asks_meanwhile() {
    let act = "[[act]]\nservice = \"web\"\nafter-seconds = 20\nact = \"stop-deployment\"";
    let mut timeline = Timeline::serving(act, 1, breaker());
    timeline.update(json!({}));
    timeline.pass(900);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    let told = timeline.pass_until("rolling back to deployment");
    assert!((20..=30).contains(&told), "{told}");
}

#[test]
fn the_second_update_of_a_client_is_counted_and_those_of_acts_are_not() {
    let act = "[[act]]\nservice = \"web\"\nafter-seconds = 1\nact = \"scale\"\ndesired = 2\n\
               [[act]]\nservice = \"web\"\nnth = 2\nafter-seconds = 5\nact = \"scale\"\ndesired = 3";
    let mut timeline = Timeline::serving(act, 1, json!({}));
    timeline.update(json!({}));
    timeline.pass(300);
    assert_eq!(timeline.service()["desiredCount"], 2);
    timeline.update(json!({}));
    timeline.pass(300);
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [3, 3, 0, 0])]
    );
}

#[test]
fn a_service_is_deleted_a_revision_deregistered_and_tasks_stopped_under_a_roll() {
    let acts = "[[act]]\nservice = \"web\"\nafter-seconds = 40\nact = \"delete-service\"\n\
                [[act]]\nservice = \"web\"\nafter-seconds = 10\nact = \"deregister\"\ntask-definition = \"web:1\"\n\
                [[act]]\nservice = \"web\"\nafter-seconds = 5\nact = \"stop-tasks\"\ncount = 1\nreason = \"enough\"";
    let mut timeline = Timeline::serving(acts, 2, json!({}));
    timeline.update(json!({}));
    timeline.pass(6);
    let stopped = timeline
        .tasks()
        .into_iter()
        .filter(|task| task["desiredStatus"] == "STOPPED");
    let reasons: Vec<_> = stopped.map(|task| task["stoppedReason"].clone()).collect();
    assert_eq!(reasons, ["enough"]);
    timeline.pass(5);
    let described = timeline.call("DescribeTaskDefinition", json!({ "taskDefinition": "web:1" }));
    assert_eq!(described["taskDefinition"]["status"], "INACTIVE");
    timeline.pass(30);
    assert_eq!(timeline.service()["status"], "DRAINING");
    timeline.pass(300);
    assert_eq!(timeline.service()["status"], "INACTIVE");
}

#[test]
fn a_family_that_somebody_else_registers_is_refused_for_a_while() {
    let act = "[[act]]\nact = \"throttle-family\"\nfamily = \"web\"\nafter-seconds = 1\nseconds = 5";
    let mut timeline = Timeline::new(act);
    timeline.pass(1);
    let refused = timeline
        .ask("RegisterTaskDefinition", super::timeline::definition())
        .unwrap_err();
    assert_eq!(refused.code, "ClientException");
    assert_eq!(
        refused.message,
        "Too many concurrent attempts to create a new revision of the specified family."
    );
    timeline.pass(5);
    timeline.call("RegisterTaskDefinition", super::timeline::definition());
}

#[test]
fn two_registrations_of_a_family_at_a_time_are_one_too_many_when_they_take_time() {
    let mut timeline = Timeline::new("[ecs]\nregistration-ms = 1500");
    timeline.pass(2);
    timeline.call("RegisterTaskDefinition", super::timeline::definition());
    let refused = timeline.ask("RegisterTaskDefinition", super::timeline::definition());
    assert_eq!(refused.unwrap_err().code, "ClientException");
    let mut other = super::timeline::definition();
    other["family"] = json!("worker");
    timeline.call("RegisterTaskDefinition", other);
    timeline.pass(2);
    let third = timeline.call("RegisterTaskDefinition", super::timeline::definition());
    assert_eq!(third["taskDefinition"]["revision"], 3);
}

#[test]
fn an_alarm_of_the_scenario_goes_off_during_the_roll() {
    let act = "[[act]]\nservice = \"web\"\nafter-seconds = 30\nact = \"alarm\"\nname = \"errors\"";
    let watched = json!({ "deploymentConfiguration": {
        "alarms": { "alarmNames": ["errors"], "enable": true, "rollback": true } } });
    let mut timeline = Timeline::serving(act, 1, watched);
    timeline.update(json!({}));
    let told = timeline.pass_until("deployment failed: alarm detected");
    assert!((30..=90).contains(&told), "{told}");
    timeline.pass(600);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn somebody_continues_a_deployment_that_a_hook_pauses() {
    let act = "[[act]]\nservice = \"web\"\nafter-seconds = 300\nact = \"continue-deployment\"";
    let paused = json!({ "deploymentConfiguration": { "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0,
        "lifecycleHooks": [{ "targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"] }] } });
    let mut timeline = Timeline::new(act);
    timeline.call("CreateService", super::timeline::service(1, paused));
    timeline.pass(900);
    let first = timeline.service_deployment();
    timeline.start_over();
    timeline.update(json!({}));
    timeline.pass(200);
    let waits = timeline.service_deployment();
    assert_ne!(first["serviceDeploymentArn"], waits["serviceDeploymentArn"]);
    assert_eq!(
        waits["lifecycleHookDetails"][0]["status"], "AWAITING_ACTION",
        "{waits}"
    );
    timeline.pass(900);
    assert_eq!(
        timeline.service_deployment()["status"],
        "SUCCESSFUL",
        "{}",
        timeline.service_deployment()
    );
}
