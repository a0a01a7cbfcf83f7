//! Deployment alarms: those that go off, those that were in ALARM before, and what becomes of the deployment.

use super::timeline::{Timeline, lines, row};
use serde_json::{Value, json};

fn alarms(rollback: bool) -> Value {
    json!({ "alarmNames": ["web-5xx", "web-slow"], "enable": true, "rollback": rollback })
}

fn rolling(rollback: bool) -> Value {
    json!({ "deploymentConfiguration": { "alarms": alarms(rollback) } })
}

#[test]
fn a_rolling_deployment_with_alarms_bakes_for_minutes_before_it_is_complete() {
    let mut timeline = Timeline::serving("", 1, rolling(true));
    timeline.update(json!({}));
    timeline.pass(300);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "IN_PROGRESS");
    assert_eq!(
        record["alarms"],
        json!({ "status": "MONITORING", "alarmNames": ["web-5xx", "web-slow"], "triggeredAlarmNames": [] })
    );
    timeline.pass_until("deployment completed");
    // New tasks are healthy at 84 and the old ones are told to go then: four minutes from there.
    assert_eq!(
        lines(timeline.events()).last().unwrap(),
        " 334 has reached a steady state."
    );
    let record = timeline.service_deployment();
    assert_eq!(record["alarms"]["status"], "MONITORING_COMPLETE");
}

#[test]
fn an_alarm_in_the_bake_time_rolls_back() {
    let mut timeline = Timeline::serving("", 1, rolling(true));
    timeline.update(json!({}));
    timeline.pass(200);
    timeline.set_alarm("somebody-else", true);
    timeline.set_alarm("web-5xx", true);
    timeline.pass(19);
    assert_eq!(timeline.service_deployment()["status"], "IN_PROGRESS");
    timeline.set_alarm("web-5xx", false);
    timeline.pass(1);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_IN_PROGRESS");
    assert_eq!(record["alarms"]["status"], "TRIGGERED");
    assert_eq!(record["alarms"]["triggeredAlarmNames"], json!(["web-5xx"]));
    let told = lines(timeline.events());
    assert_eq!(
        told[told.len() - 2..],
        [
            " 220 (deployment D) deployment failed: alarm detected.",
            " 220 rolling back to deployment D.",
        ]
    );
    timeline.pass(300);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    assert!(
        timeline.service()["taskDefinition"]
            .as_str()
            .unwrap()
            .ends_with(":1")
    );
}

#[test]
fn without_rollback_the_deployment_stays_as_it_failed() {
    let mut timeline = Timeline::serving("", 1, rolling(false));
    timeline.update(json!({}));
    timeline.pass(50);
    timeline.set_alarm("web-slow", true);
    timeline.pass(600);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "STOPPED");
    assert!(record["statusReason"].as_str().unwrap().contains("web-slow"));
    let deployments = timeline.deployments();
    assert_eq!(deployments[0].1, "FAILED");
    assert_eq!(deployments[1], row("ACTIVE", "COMPLETED", [1, 1, 0, 0]));
}

#[test]
fn an_alarm_that_was_in_alarm_before_is_ignored_for_that_deployment() {
    let mut timeline = Timeline::serving("", 1, rolling(true));
    timeline.set_alarm("web-5xx", true);
    timeline.update(json!({}));
    timeline.pass(100);
    timeline.set_alarm("web-5xx", false);
    timeline.set_alarm("web-5xx", true);
    timeline.pass(600);
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
    timeline.set_alarm("web-5xx", false);
    timeline.update(json!({}));
    timeline.pass(100);
    timeline.set_alarm("web-5xx", true);
    timeline.pass(600);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn an_alarm_while_both_revisions_bake_returns_the_traffic() {
    let configuration = json!({ "strategy": "CANARY", "bakeTimeInMinutes": 5, "alarms": alarms(true) });
    let mut timeline = Timeline::serving("", 2, json!({ "deploymentConfiguration": configuration }));
    timeline.update(json!({}));
    timeline.pass_to("BAKE_TIME");
    timeline.set_alarm("web-5xx", true);
    timeline.pass(20);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_IN_PROGRESS");
    assert_eq!(
        record["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"],
        100.0
    );
    assert_eq!(record["sourceServiceRevisions"][0]["runningTaskCount"], 2);
    timeline.pass(60);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(timeline.service()["runningCount"], 2);
}

#[test]
fn an_alarm_after_the_deployment_changes_nothing() {
    let mut timeline = Timeline::serving("", 1, rolling(true));
    timeline.set_alarm("web-5xx", true);
    timeline.pass(600);
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
    assert!(timeline.events().iter().all(|(_, text)| !text.contains("alarm")));
}
