//! Rolling deployments that are complete before the service is stable.

use super::timeline::{Timeline, lines, row};
use serde_json::{Value, json};

fn early(percent: u32, cleanup: &str, more: &Value) -> Value {
    let criteria =
        json!({ "enable": true, "healthyPercent": percent, "sourceServiceRevisionCleanup": cleanup });
    let mut configuration = json!({ "earlySuccessCriteria": criteria });
    let members = configuration.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    json!({ "deploymentConfiguration": configuration })
}

#[test]
fn deferred_it_is_complete_while_old_tasks_still_run() {
    let half = json!({ "minimumHealthyPercent": 50, "maximumPercent": 150 });
    let mut timeline = Timeline::serving("", 4, early(50, "DEFERRED", &half));
    timeline.update(json!({}));
    timeline.pass_until("deployment completed");
    timeline.pass(300);
    let events = lines(timeline.events());
    let at = |wanted: &str| events.iter().position(|text| text.contains(wanted)).unwrap();
    assert!(
        at("deployment completed") < at("has reached a steady state"),
        "{events:#?}"
    );
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "SUCCESSFUL");
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [4, 4, 0, 0])]
    );
}

#[test]
fn at_the_very_moment_the_counts_show_both_revisions() {
    let mut timeline = Timeline::serving("", 2, early(100, "DEFERRED", &json!({})));
    timeline.update(json!({}));
    let done = timeline.pass_until("deployment completed");
    assert_eq!(
        done, 84,
        "forty seconds after the new tasks ran, and not when the old ones were gone"
    );
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
    let service = timeline.service();
    assert_eq!(service["deployments"].as_array().unwrap().len(), 2);
    timeline.pass(60);
    assert_eq!(
        lines(timeline.events()),
        [
            "  14 has started 2 tasks: (task T) (task T).",
            "  84 has stopped 2 running tasks: (task T) (task T).",
            "  84 (deployment D) deployment completed.",
            " 124 has reached a steady state.",
        ]
    );
}

#[test]
fn blocking_it_waits_for_the_old_tasks_but_not_for_all_new_ones() {
    // One of the four new tasks never starts.
    let scenario = "[[fate]]\nrevision = 2\ntasks = 1\nnever-starts = true";
    let bounds = json!({ "minimumHealthyPercent": 50, "maximumPercent": 200 });
    let mut timeline = Timeline::serving(scenario, 4, early(75, "BLOCKING", &bounds));
    timeline.update(json!({}));
    timeline.pass_until("deployment completed");
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [4, 3, 1, 0])]
    );
    assert!(timeline.events().iter().all(|(_, text)| !text.contains("steady")));
}

#[test]
fn its_bake_time_counts_from_the_percentage() {
    let mut timeline = Timeline::serving("", 1, early(100, "DEFERRED", &json!({ "bakeTimeInMinutes": 2 })));
    timeline.update(json!({}));
    assert_eq!(timeline.pass_until("deployment completed"), 84 + 120);
}

#[test]
fn what_comes_after_the_success_is_no_failure_of_the_deployment() {
    let scenario = "[[fate]]\nrevision = 2\ncrash = { after-seconds = 60 }";
    let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
    let mut timeline = Timeline::serving(scenario, 1, early(100, "DEFERRED", &breaker));
    timeline.update(json!({}));
    timeline.pass(1800);
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
    assert_eq!(timeline.deployments()[0].1, "COMPLETED");
}
