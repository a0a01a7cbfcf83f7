//! Deployments with two revisions side by side: stages, traffic, and the ways back.

use super::timeline::{Timeline, definition, lines, row, service};
use serde_json::{Value, json};

/// Settings of a service with this strategy, five minutes of bake time, and more of its deployment configuration.
fn strategy(strategy: &str, more: &Value) -> Value {
    let mut configuration = json!({ "strategy": strategy, "bakeTimeInMinutes": 5 });
    let members = configuration.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    json!({ "deploymentConfiguration": configuration })
}

/// The breaker's settings, as members of a deployment configuration.
fn with_breaker() -> Value {
    json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } })
}

/// What the newest service deployment shows, each time it shows something new: second, status, stage, and the target
/// revision's production and test traffic.
fn course(timeline: &mut Timeline, seconds: u64) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for second in 0..=seconds {
        let record = timeline.service_deployment();
        let target = &record["targetServiceRevision"];
        let shown = format!(
            "{} {} {} {}",
            record["status"].as_str().unwrap(),
            record["lifecycleStage"].as_str().unwrap_or("-"),
            target["requestedProductionTrafficWeight"],
            target["requestedTestTrafficWeight"]
        );
        if seen.last().is_none_or(|last| !last.ends_with(&shown)) {
            seen.push(format!("{second:>4} {shown}"));
        }
        timeline.pass(1);
    }
    seen
}

#[test]
fn a_blue_green_deployment_keeps_both_revisions_until_the_clean_up() {
    let mut timeline = Timeline::serving("", 2, strategy("BLUE_GREEN", &json!({})));
    timeline.update(json!({}));
    assert_eq!(
        course(&mut timeline, 300),
        [
            "   0 PENDING - 0.0 0.0",
            "  14 IN_PROGRESS PRE_SCALE_UP 0.0 0.0",
            "  24 IN_PROGRESS SCALE_UP 0.0 0.0",
            "  94 IN_PROGRESS POST_SCALE_UP 0.0 0.0",
            " 104 IN_PROGRESS TEST_TRAFFIC_SHIFT 0.0 100.0",
            " 114 IN_PROGRESS POST_TEST_TRAFFIC_SHIFT 0.0 100.0",
            " 124 IN_PROGRESS PRODUCTION_TRAFFIC_SHIFT 100.0 100.0",
            " 134 IN_PROGRESS POST_PRODUCTION_TRAFFIC_SHIFT 100.0 0.0",
            " 144 IN_PROGRESS BAKE_TIME 100.0 0.0",
        ]
    );
    let service = timeline.service();
    assert_eq!(
        (&service["desiredCount"], &service["runningCount"]),
        (&json!(2), &json!(4))
    );
    assert_eq!(
        timeline.deployments(),
        [
            row("PRIMARY", "IN_PROGRESS", [2, 2, 0, 0]),
            row("ACTIVE", "COMPLETED", [2, 2, 0, 0])
        ]
    );
    assert_eq!(timeline.pass_to("CLEAN_UP"), 444);
    timeline.pass(100);
    assert_eq!(
        lines(timeline.events()),
        [
            "  24 has started 2 tasks: (task T) (task T).",
            " 444 has stopped 2 running tasks: (task T) (task T).",
            " 484 (deployment D) deployment completed.",
            " 484 has reached a steady state.",
        ]
    );
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [2, 2, 0, 0])]
    );
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "SUCCESSFUL");
    assert_eq!(
        record["targetServiceRevision"]["requestedProductionTrafficWeight"],
        100.0
    );
    assert_eq!(
        record["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"],
        0.0
    );
}

#[test]
fn a_linear_deployment_moves_traffic_in_steps_that_bake() {
    let steps = json!({ "linearConfiguration": { "stepPercent": 40.0, "stepBakeTimeInMinutes": 2 } });
    let mut timeline = Timeline::serving("", 1, strategy("LINEAR", &steps));
    timeline.update(json!({}));
    timeline.pass_to("PRODUCTION_TRAFFIC_SHIFT");
    timeline.start_over();
    assert_eq!(
        course(&mut timeline, 270),
        [
            "   0 IN_PROGRESS PRODUCTION_TRAFFIC_SHIFT 40.0 100.0",
            " 120 IN_PROGRESS PRODUCTION_TRAFFIC_SHIFT 80.0 100.0",
            " 240 IN_PROGRESS PRODUCTION_TRAFFIC_SHIFT 100.0 100.0",
            " 250 IN_PROGRESS POST_PRODUCTION_TRAFFIC_SHIFT 100.0 0.0",
            " 260 IN_PROGRESS BAKE_TIME 100.0 0.0",
        ]
    );
}

#[test]
fn a_canary_holds_its_share_and_then_takes_the_rest() {
    let mut timeline = Timeline::serving("", 1, strategy("CANARY", &json!({ "bakeTimeInMinutes": 0 })));
    let configured = timeline.service()["deploymentConfiguration"]["canaryConfiguration"].clone();
    assert_eq!(
        configured,
        json!({ "canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10 })
    );
    timeline.update(json!({}));
    timeline.pass_to("PRODUCTION_TRAFFIC_SHIFT");
    let record = timeline.service_deployment();
    assert_eq!(
        record["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"],
        95.0
    );
    timeline.start_over();
    assert_eq!(
        course(&mut timeline, 700),
        [
            "   0 IN_PROGRESS PRODUCTION_TRAFFIC_SHIFT 5.0 100.0",
            " 600 IN_PROGRESS PRODUCTION_TRAFFIC_SHIFT 100.0 100.0",
            " 610 IN_PROGRESS POST_PRODUCTION_TRAFFIC_SHIFT 100.0 0.0",
            " 620 IN_PROGRESS CLEAN_UP 100.0 0.0",
            " 660 SUCCESSFUL CLEAN_UP 100.0 0.0",
        ]
    );
}

#[test]
fn the_first_revision_of_a_service_has_nothing_to_bake_with() {
    let mut timeline = Timeline::new("");
    let steps = json!({ "linearConfiguration": { "stepPercent": 10.0 } });
    timeline.call("CreateService", service(1, strategy("LINEAR", &steps)));
    timeline.pass_to("CLEAN_UP");
    assert_eq!(
        lines(timeline.events()),
        [
            "  24 has started 1 tasks: (task T).",
            " 144 (deployment D) deployment completed.",
            " 144 has reached a steady state.",
        ]
    );
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
}

#[test]
fn the_breaker_trips_while_the_new_revision_scales_up_and_no_old_task_was_touched() {
    let crash = "[[fate]]\nrevision = 2\ncrash = { after-seconds = 1 }";
    let mut timeline = Timeline::serving(crash, 1, strategy("BLUE_GREEN", &with_breaker()));
    let old = timeline.tasks()[0]["taskArn"].clone();
    timeline.update(json!({}));
    timeline.pass_until("rolling back");
    let record = timeline.service_deployment();
    assert_eq!(
        (&record["status"], &record["lifecycleStage"]),
        (&json!("ROLLBACK_IN_PROGRESS"), &json!("SCALE_UP"))
    );
    assert_eq!(record["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    timeline.pass(120);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(
        record["statusReason"],
        "Service deployment rolled back because the circuit breaker threshold was exceeded."
    );
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [1, 1, 0, 0])]
    );
    let running: Vec<Value> = timeline
        .tasks()
        .into_iter()
        .filter(|task| task["lastStatus"] == "RUNNING")
        .map(|task| task["taskArn"].clone())
        .collect();
    assert_eq!(running, [old]);
}

#[test]
fn a_breaker_of_rolling_deployments_only_leaves_a_blue_green_one_alone() {
    let scenario =
        "[ecs]\nbreaker-is-rolling-only = true\n[[fate]]\nrevision = 2\ncrash = { after-seconds = 1 }";
    let mut timeline = Timeline::serving(scenario, 1, strategy("BLUE_GREEN", &with_breaker()));
    timeline.update(json!({}));
    timeline.pass(1200);
    let record = timeline.service_deployment();
    assert_eq!(
        (&record["status"], &record["lifecycleStage"]),
        (&json!("IN_PROGRESS"), &json!("SCALE_UP"))
    );
    assert!(timeline.deployments()[0].5 > 3, "{:?}", timeline.deployments());
}

#[test]
fn no_stage_lasts_longer_than_a_day() {
    let hangs = "[[fate]]\nrevision = 2\nnever-starts = true";
    let mut timeline = Timeline::serving(hangs, 1, strategy("BLUE_GREEN", &json!({})));
    timeline.update(json!({}));
    timeline.pass(24 * 3600);
    assert_eq!(timeline.service_deployment()["status"], "IN_PROGRESS");
    timeline.pass(120);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_SUCCESSFUL");
    assert!(record["statusReason"].as_str().unwrap().contains("SCALE_UP"));
}

#[test]
fn stopping_it_in_the_bake_time_returns_the_traffic_at_once() {
    let mut timeline = Timeline::serving(
        "[ecs]\nrollback-mints-id = true",
        2,
        strategy("BLUE_GREEN", &json!({})),
    );
    let old = timeline.service()["deployments"][0]["id"].clone();
    timeline.update(json!({}));
    timeline.pass_to("BAKE_TIME");
    timeline.start_over();
    let arn = timeline.service_deployment()["serviceDeploymentArn"].clone();
    timeline.call("StopServiceDeployment", json!({ "serviceDeploymentArn": arn }));
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_IN_PROGRESS");
    let weight = |revision: &Value| revision["requestedProductionTrafficWeight"].clone();
    assert_eq!(weight(&record["targetServiceRevision"]), 0.0);
    assert_eq!(weight(&record["sourceServiceRevisions"][0]), 100.0);
    assert_eq!(timeline.service()["deployments"][0]["id"], old);
    timeline.pass(120);
    assert_eq!(
        lines(timeline.events()),
        [
            "   0 (deployment D) deployment failed: deployment failure.",
            "   0 rolling back to deployment D.",
            "  10 has stopped 2 running tasks: (task T) (task T).",
            "  50 (deployment D) deployment completed.",
            "  50 has reached a steady state.",
        ]
    );
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [2, 2, 0, 0])]
    );
}

#[test]
fn stopping_it_in_the_clean_up_starts_the_old_revision_anew_before_traffic_returns() {
    let mut timeline = Timeline::serving("", 1, strategy("BLUE_GREEN", &json!({})));
    timeline.update(json!({}));
    timeline.pass_to("CLEAN_UP");
    timeline.pass(35);
    assert_eq!(timeline.service()["runningCount"], 1, "the old task is gone");
    let arn = timeline.service_deployment()["serviceDeploymentArn"].clone();
    timeline.call("StopServiceDeployment", json!({ "serviceDeploymentArn": arn }));
    timeline.pass(30);
    let record = timeline.service_deployment();
    assert_eq!(
        record["targetServiceRevision"]["requestedProductionTrafficWeight"],
        100.0
    );
    assert_eq!(
        record["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"],
        0.0
    );
    assert_eq!(record["targetServiceRevision"]["runningTaskCount"], 1);
    timeline.pass(300);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(
        record["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"],
        100.0
    );
    assert_eq!(timeline.service()["runningCount"], 1);
}

#[test]
fn an_update_while_traffic_moves_reconciles_first() {
    let mut timeline = Timeline::serving("", 1, strategy("CANARY", &json!({})));
    timeline.update(json!({}));
    timeline.pass_to("PRODUCTION_TRAFFIC_SHIFT");
    let first = timeline.service_deployment()["serviceDeploymentArn"].clone();
    timeline.update(json!({}));
    timeline.start_over();
    assert_eq!(timeline.pass_to("RECONCILE_SERVICE"), 14);
    let record = timeline.service_deployment();
    let weights: Vec<f64> = record["sourceServiceRevisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|revision| revision["requestedProductionTrafficWeight"].as_f64().unwrap())
        .collect();
    assert_eq!(
        weights,
        [0.0, 100.0],
        "the canary of before, and the revision that serves"
    );
    let asked = json!({ "serviceDeploymentArns": [first] });
    let superseded = timeline.call("DescribeServiceDeployments", asked);
    assert_eq!(superseded["serviceDeployments"][0]["status"], "STOPPED");
    timeline.pass_to("PRE_SCALE_UP");
    assert_eq!(timeline.deployments().len(), 2);
    timeline.pass(1200);
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [1, 1, 0, 0])]
    );
}

#[test]
fn an_update_in_the_clean_up_begins_from_the_revision_that_has_the_traffic_and_goes_back_to_it() {
    for fate in ["", "[[fate]]\nrevision = 3\ncrash = { after-seconds = 1 }\n"] {
        let configuration = json!({ "bakeTimeInMinutes": 0, "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
        let mut timeline = Timeline::serving(fate, 1, strategy("BLUE_GREEN", &configuration));
        timeline.update(json!({}));
        timeline.pass_to("CLEAN_UP");
        let serving = timeline.service_deployment()["targetServiceRevision"]["arn"].clone();
        timeline.pass(1);
        timeline.update(json!({}));
        let mut over = false;
        for second in 0..1200 {
            let record = timeline.service_deployment();
            over = ["SUCCESSFUL", "ROLLBACK_SUCCESSFUL"].contains(&record["status"].as_str().unwrap());
            let sources = record["sourceServiceRevisions"].as_array().unwrap().iter();
            let source = sources.clone().find(|one| one["arn"] == serving).unwrap();
            let weights = (
                &source["requestedProductionTrafficWeight"],
                &record["targetServiceRevision"]["requestedProductionTrafficWeight"],
            );
            assert!(*weights.0 == 100.0 || *weights.1 == 100.0, "{second}: {record:#}");
            assert!(
                *weights.0 == 0.0 || source["runningTaskCount"] == 1,
                "{second}: {record:#}"
            );
            if over {
                break;
            }
            timeline.pass(1);
        }
        let record = timeline.service_deployment();
        assert!(over, "{record:#}");
        assert_eq!(record["status"] == "SUCCESSFUL", fate.is_empty());
        if !fate.is_empty() {
            assert_eq!(record["rollback"]["serviceRevisionArn"], serving);
        }
        assert_eq!(timeline.service()["runningCount"], 1);
    }
}

#[test]
fn a_scale_out_in_the_bake_time_reaches_both_revisions() {
    let mut timeline = Timeline::serving("", 1, strategy("BLUE_GREEN", &json!({})));
    timeline.update(json!({}));
    timeline.pass_to("BAKE_TIME");
    timeline.call("UpdateService", json!({ "service": "web", "desiredCount": 3 }));
    timeline.pass(60);
    let deployments = timeline.deployments();
    assert_eq!((deployments[0].3, deployments[1].3), (3, 3));
}

#[test]
fn a_service_that_goes_back_to_rolling_rolls() {
    let mut timeline = Timeline::serving("", 2, strategy("BLUE_GREEN", &json!({})));
    timeline.call("RegisterTaskDefinition", definition());
    timeline.update(json!({ "deploymentConfiguration": { "strategy": "ROLLING", "bakeTimeInMinutes": 0 } }));
    timeline.pass(200);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "SUCCESSFUL");
    assert!(record.get("lifecycleStage").is_none());
    let target = &record["targetServiceRevision"];
    assert!(target.get("requestedProductionTrafficWeight").is_none());
}
