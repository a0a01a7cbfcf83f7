//! Rollouts without load balancers, on a virtual timeline with the timings seen on Fargate.

use super::timeline::{Timeline, breaker, definition, lines, row};
use serde_json::json;

#[test]
fn a_new_deployment_wants_nothing_at_first_and_the_old_one_stays_complete() {
    let mut timeline = Timeline::serving("", 2, json!({}));
    let answer = timeline.update(json!({}));
    assert_eq!(answer["deployments"][0]["desiredCount"], 0);
    assert_eq!(answer["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert!(answer.get("currentServiceDeployment").is_none());
    assert_eq!(
        timeline.deployments(),
        [
            row("PRIMARY", "IN_PROGRESS", [0, 0, 0, 0]),
            row("ACTIVE", "COMPLETED", [2, 2, 0, 0])
        ]
    );
    assert!(timeline.service()["currentServiceDeployment"].is_string());
}

#[test]
fn a_rollout_without_checks_waits_until_new_tasks_have_run_forty_seconds() {
    let mut timeline = Timeline::serving("", 2, json!({}));
    timeline.update(json!({}));
    timeline.pass(600);
    assert_eq!(
        lines(timeline.events()),
        [
            "  14 has started 2 tasks: (task T) (task T).",
            "  84 has stopped 2 running tasks: (task T) (task T).",
            " 124 (deployment D) deployment completed.",
            " 124 has reached a steady state.",
        ]
    );
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [2, 2, 0, 0])]
    );
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
}

#[test]
fn a_second_update_supersedes_the_first() {
    let mut timeline = Timeline::serving("", 2, json!({}));
    timeline.update(json!({}));
    timeline.pass(30);
    let first = timeline.service_deployment()["serviceDeploymentArn"].clone();
    timeline.update(json!({}));
    assert_eq!(
        timeline.deployments(),
        [
            row("PRIMARY", "IN_PROGRESS", [0, 0, 0, 0]),
            row("ACTIVE", "IN_PROGRESS", [2, 0, 2, 0]),
            row("ACTIVE", "COMPLETED", [2, 2, 0, 0]),
        ]
    );
    timeline.pass(600);
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [2, 2, 0, 0])]
    );
    assert!(
        timeline.service()["taskDefinition"]
            .as_str()
            .unwrap()
            .ends_with(":3")
    );
    let described = timeline.call(
        "DescribeServiceDeployments",
        json!({ "serviceDeploymentArns": [first] }),
    );
    assert_eq!(described["serviceDeployments"][0]["status"], "STOPPED");
}

#[test]
fn a_desired_count_of_zero_completes_at_the_first_look() {
    let mut timeline = Timeline::new("");
    timeline.call("CreateService", super::timeline::service(0, json!({})));
    timeline.pass(15);
    assert_eq!(
        lines(timeline.events()),
        [
            "  14 (deployment D) deployment completed.",
            "  14 has reached a steady state."
        ]
    );
}

#[test]
fn percentages_that_allow_no_move_are_told_of() {
    let stuck = json!({ "deploymentConfiguration": { "minimumHealthyPercent": 100, "maximumPercent": 100 } });
    let mut timeline = Timeline::serving("", 1, stuck);
    timeline.update(json!({}));
    timeline.pass(1800);
    assert_eq!(
        lines(timeline.events()),
        [
            "  14 was unable to stop or start tasks during a deployment because of the service deployment configuration. \
          Update the minimumHealthyPercent or maximumPercent value and try again."
        ]
    );
    assert_eq!(
        timeline.deployments()[0],
        row("PRIMARY", "IN_PROGRESS", [0, 0, 0, 0])
    );
}

#[test]
fn half_of_the_old_tasks_go_first_when_the_percentages_say_so() {
    let half = json!({ "deploymentConfiguration": { "minimumHealthyPercent": 50, "maximumPercent": 100 } });
    let mut timeline = Timeline::serving("", 4, half);
    timeline.update(json!({}));
    timeline.pass(600);
    let texts: Vec<String> = timeline.events().into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        texts,
        [
            "has stopped 2 running tasks: (task T) (task T).",
            "has started 2 tasks: (task T) (task T).",
            "has stopped 2 running tasks: (task T) (task T).",
            "has started 2 tasks: (task T) (task T).",
            "(deployment D) deployment completed.",
            "has reached a steady state.",
        ]
    );
}

#[test]
fn a_scale_out_during_a_rollout_reaches_both_revisions() {
    let mut timeline = Timeline::serving("", 2, json!({}));
    timeline.update(json!({}));
    timeline.pass(20);
    let answer = timeline.call("UpdateService", json!({ "service": "web", "desiredCount": 4 }));
    assert_eq!(answer["service"]["deployments"].as_array().unwrap().len(), 2);
    timeline.pass(10);
    let deployments = timeline.deployments();
    assert_eq!((deployments[0].2, deployments[1].2), (4, 4));
    timeline.pass(600);
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [4, 4, 0, 0])]
    );
}

#[test]
fn scaling_starts_no_deployment() {
    let mut timeline = Timeline::serving("", 1, json!({}));
    let before = timeline.service()["deployments"][0]["id"].clone();
    for (key, value) in [
        ("desiredCount", json!(3)),
        ("healthCheckGracePeriodSeconds", json!(0)),
        ("deploymentConfiguration", json!({ "maximumPercent": 150 })),
        ("taskDefinition", json!("web:1")),
    ] {
        let answer = timeline.call("UpdateService", json!({ "service": "web", key: value }));
        assert_eq!(
            answer["service"]["deployments"].as_array().unwrap().len(),
            1,
            "{key}"
        );
    }
    timeline.pass(120);
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [3, 3, 0, 0])]
    );
    assert_eq!(timeline.service()["deployments"][0]["id"], before);
    let forced = timeline.call(
        "UpdateService",
        json!({ "service": "web", "forceNewDeployment": true }),
    );
    assert_eq!(forced["service"]["deployments"].as_array().unwrap().len(), 2);
}

#[test]
fn a_third_party_stops_a_service_deployment_and_it_rolls_back() {
    let mut timeline = Timeline::serving("", 1, json!({}));
    timeline.update(json!({}));
    timeline.pass(20);
    let arn = timeline.service_deployment()["serviceDeploymentArn"].clone();
    let answer = timeline.call(
        "StopServiceDeployment",
        json!({ "serviceDeploymentArn": arn, "stopType": "ROLLBACK" }),
    );
    assert_eq!(answer, json!({ "serviceDeploymentArn": arn }));
    timeline.pass(300);
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_SUCCESSFUL");
    assert!(record["rollback"]["serviceRevisionArn"].is_string());
    assert!(
        timeline.service()["taskDefinition"]
            .as_str()
            .unwrap()
            .ends_with(":1")
    );
    let again = timeline.ask("StopServiceDeployment", json!({ "serviceDeploymentArn": arn }));
    assert_eq!(again.unwrap_err().code, "ConflictException");
}

#[test]
fn descriptions_lag_behind_an_update_as_long_as_the_scenario_says() {
    let mut timeline = Timeline::serving("[ecs]\nstale-describes = 2", 1, json!({}));
    timeline.update(json!({}));
    let counts: Vec<usize> = (0..3)
        .map(|_| timeline.service()["deployments"].as_array().unwrap().len())
        .collect();
    assert_eq!(counts, [1, 1, 2]);
}

#[test]
fn an_inactive_task_definition_can_not_be_deployed() {
    let mut timeline = Timeline::serving("", 1, json!({}));
    timeline.call("RegisterTaskDefinition", definition());
    timeline.call("DeregisterTaskDefinition", json!({ "taskDefinition": "web:2" }));
    let refused = timeline.ask(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web:2" }),
    );
    let error = refused.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("ClientException", "TaskDefinition is inactive")
    );
    assert_eq!(timeline.deployments().len(), 1);
}

#[test]
fn a_deleted_service_drains_and_becomes_inactive() {
    let mut timeline = Timeline::serving("", 2, json!({}));
    let refused = timeline
        .ask("DeleteService", json!({ "service": "web" }))
        .unwrap_err();
    assert_eq!(
        refused.message,
        "The service cannot be stopped while it is scaled above 0."
    );
    let answer = timeline.call("DeleteService", json!({ "service": "web", "force": true }));
    assert_eq!(answer["service"]["status"], "DRAINING");
    let again = timeline
        .ask("CreateService", super::timeline::service(1, json!({})))
        .unwrap_err();
    assert_eq!(again.message, "Unable to Start a service that is still Draining.");
    timeline.pass(120);
    let service = timeline.service();
    assert_eq!(
        (&service["status"], &service["runningCount"]),
        (&json!("INACTIVE"), &json!(0))
    );
    let updated = timeline
        .ask("UpdateService", json!({ "service": "web", "desiredCount": 1 }))
        .unwrap_err();
    assert_eq!(updated.code, "ServiceNotActiveException");
}

#[test]
fn a_standalone_task_runs_and_is_stopped_by_its_user() {
    let mut timeline = Timeline::new("");
    let input = json!({
        "taskDefinition": "web", "launchType": "FARGATE", "count": 2, "startedBy": "me",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    });
    let made = timeline.call("RunTask", input.clone());
    assert_eq!(made["tasks"][0]["lastStatus"], "PROVISIONING");
    assert_eq!(made["tasks"][0]["group"], "family:web");
    timeline.pass(60);
    let arn = made["tasks"][0]["taskArn"].clone();
    let describe = json!({ "tasks": [arn, "missing"] });
    let described = timeline.call("DescribeTasks", describe.clone());
    assert_eq!(described["tasks"][0]["lastStatus"], "RUNNING");
    assert_eq!(described["failures"][0]["reason"], "MISSING");
    let stopped = timeline.call("StopTask", json!({ "task": arn, "reason": "enough" }));
    assert_eq!(stopped["task"]["desiredStatus"], "STOPPED");
    timeline.pass(60);
    let described = timeline.call("DescribeTasks", describe.clone());
    let task = &described["tasks"][0];
    assert_eq!(
        (&task["stopCode"], &task["stoppedReason"]),
        (&json!("UserInitiated"), &json!("enough"))
    );
    let order = [
        "createdAt",
        "connectivityAt",
        "pullStartedAt",
        "pullStoppedAt",
        "startedAt",
        "stoppingAt",
        "executionStoppedAt",
        "stoppedAt",
    ];
    let times: Vec<f64> = order.iter().map(|key| task[key].as_f64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    timeline.pass(3500);
    assert_eq!(
        timeline.call("DescribeTasks", describe.clone())["tasks"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    timeline.pass(200);
    assert_eq!(timeline.call("DescribeTasks", describe)["tasks"], json!([]));
    let too_many = timeline
        .ask("RunTask", json!({ "taskDefinition": "web", "count": 11 }))
        .unwrap_err();
    assert_eq!(too_many.code, "InvalidParameterException");
}

#[test]
fn the_same_calls_give_the_same_answers() {
    let run = || {
        let mut timeline = Timeline::serving("[[fate]]\nrevision = 2\ncrash = {}", 2, breaker());
        timeline.update(json!({}));
        timeline.pass(400);
        (timeline.service(), timeline.tasks())
    };
    assert_eq!(run(), run());
}

#[test]
fn an_unknown_operation_is_refused_by_name() {
    let error = Timeline::new("").ask("ExecuteCommand", json!({})).unwrap_err();
    assert!(error.message.contains("ExecuteCommand"), "{error}");
}
