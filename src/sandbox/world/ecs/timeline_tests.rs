//! Rollouts without load balancers, on a virtual timeline with the timings seen on Fargate.

use super::timeline::{Timeline, breaker, definition};
use serde_json::json;

fn lines(events: Vec<(u64, String)>) -> Vec<String> {
    events
        .into_iter()
        .map(|(at, text)| format!("{at:>4} {text}"))
        .collect()
}

fn row(status: &str, state: &str, counts: [u64; 4]) -> (String, String, u64, u64, u64, u64) {
    let [desired, running, pending, failed] = counts;
    (status.into(), state.into(), desired, running, pending, failed)
}

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
fn an_image_that_can_not_be_pulled_fails_slowly_and_the_old_deployment_id_comes_back() {
    let pull_failure = "[[fate]]\nrevision = 2\npull-failure = \"CannotPullContainerError: not found\"";
    let mut timeline = Timeline::serving(pull_failure, 1, breaker());
    let old = timeline.service()["deployments"][0]["id"].clone();
    timeline.update(json!({}));
    let failed = timeline.pass_until("deployment failed");
    assert_eq!(
        lines(timeline.events()),
        [
            "  14 has started 1 tasks: (task T).",
            " 151 was unable to place a task. Reason: CannotPullContainerError: not found.",
            " 154 has started 1 tasks: (task T).",
            " 291 was unable to place a task. Reason: CannotPullContainerError: not found.",
            " 291 is unable to consistently start tasks successfully.",
            " 534 has started 1 tasks: (task T).",
            " 671 was unable to place a task. Reason: CannotPullContainerError: not found.",
            " 679 (deployment D) deployment failed: tasks failed to start.",
            " 679 rolling back to deployment D.",
        ]
    );
    assert_eq!(failed, 679);
    let service = timeline.service();
    assert_eq!(service["deployments"][0]["id"], old);
    let reason = service["deployments"][0]["rolloutStateReason"].as_str().unwrap();
    assert!(
        reason.starts_with("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/"),
        "{reason}"
    );
    timeline.pass(60);
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [1, 1, 0, 0])]
    );
    assert_eq!(
        timeline.service()["taskDefinition"]
            .as_str()
            .unwrap()
            .rsplit(':')
            .next(),
        Some("1")
    );
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(
        record["deploymentCircuitBreaker"],
        json!({ "status": "TRIGGERED", "failureCount": 3, "threshold": 3 })
    );
    let stopped = &timeline.tasks()[1];
    assert_eq!(stopped["stopCode"], "TaskFailedToStart");
    assert_eq!(stopped["stoppedReason"], "CannotPullContainerError: not found");
    assert!(stopped.get("startedAt").is_none() && stopped["pullStartedAt"].is_number());
    assert!(stopped["containers"][0].get("exitCode").is_none());
}

#[test]
fn a_crash_loop_is_started_four_times_before_the_breaker_trips() {
    let crash = "[[fate]]\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }";
    let mut timeline = Timeline::serving(crash, 1, breaker());
    timeline.update(json!({}));
    timeline.pass_until("rolling back");
    assert_eq!(
        lines(timeline.events()),
        [
            "  14 has started 1 tasks: (task T).",
            "  64 has started 1 tasks: (task T).",
            " 114 has started 1 tasks: (task T).",
            " 164 has started 1 tasks: (task T).",
            " 169 (deployment D) deployment failed: tasks failed to start.",
            " 169 rolling back to deployment D.",
        ]
    );
    let crashed = &timeline.tasks()[1];
    assert_eq!(crashed["stopCode"], "EssentialContainerExited");
    assert_eq!(crashed["containers"][0]["exitCode"], 3);
    assert_eq!(crashed["version"], 6);
}

#[test]
fn a_breaker_without_rollback_leaves_the_failed_deployment_in_place() {
    let crash = "[[fate]]\nrevision = 2\ncrash = {}";
    let configuration = json!({ "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": false } } });
    let mut timeline = Timeline::serving(crash, 1, configuration);
    timeline.update(json!({}));
    timeline.pass(900);
    let deployments = timeline.deployments();
    assert_eq!(
        (deployments[0].1.as_str(), deployments[1].1.as_str()),
        ("FAILED", "COMPLETED")
    );
    assert_eq!((deployments[1].2, deployments[1].3), (1, 1));
    assert_eq!(timeline.service_deployment()["status"], "STOPPED");
}

#[test]
fn without_a_deployment_that_completed_there_is_nothing_to_roll_back_to() {
    let mut timeline = Timeline::new("[[fate]]\ncrash = {}");
    timeline.call("CreateService", super::timeline::service(1, breaker()));
    timeline.pass(900);
    assert_eq!(timeline.deployments()[0].1, "FAILED");
    let record = timeline.service_deployment();
    assert_eq!(record["status"], "ROLLBACK_FAILED");
    assert_eq!(
        record["statusReason"],
        "No rollback candidate was found to run the rollback."
    );
}

#[test]
fn without_a_breaker_a_crash_loop_never_ends_and_the_old_tasks_serve() {
    let mut timeline = Timeline::serving("[[fate]]\nrevision = 2\ncrash = {}", 1, json!({}));
    timeline.update(json!({}));
    timeline.pass(3600);
    let deployments = timeline.deployments();
    assert_eq!(deployments[0].1, "IN_PROGRESS");
    assert!(deployments[0].5 > 50, "{deployments:?}");
    assert_eq!((deployments[1].2, deployments[1].3), (1, 1));
}

#[test]
fn a_task_that_becomes_healthy_resets_the_count_unless_it_is_cumulative() {
    // Two crashes, a task that is healthy for a while, one more crash: four failures, never three in a row.
    let flaky = "[[fate]]\nrevision = 2\ntasks = 2\ncrash = {}\n[[fate]]\nrevision = 2\ntasks = 1\ncrash = { after-seconds = 60 }\n\
                 [[fate]]\nrevision = 2\ntasks = 1\ncrash = {}";
    for (reset, fails) in [(true, false), (false, true)] {
        let configuration = json!({ "deploymentConfiguration": {
            "deploymentCircuitBreaker": { "enable": true, "rollback": true, "resetOnHealthyTask": reset },
            "minimumHealthyPercent": 100, "bakeTimeInMinutes": 2,
        } });
        let mut timeline = Timeline::serving(flaky, 1, configuration);
        timeline.update(json!({}));
        timeline.pass(1200);
        let failed = timeline
            .events()
            .iter()
            .any(|(_, text)| text.contains("deployment failed"));
        assert_eq!(
            failed,
            fails,
            "resetOnHealthyTask {reset}: {:#?}",
            timeline.events()
        );
    }
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
fn a_rollback_can_have_an_id_of_its_own_and_show_what_drains() {
    let quirks =
        "[ecs]\nrollback-mints-id = true\ndraining-status = true\n[[fate]]\nrevision = 2\ncrash = {}";
    let mut timeline = Timeline::serving(quirks, 1, breaker());
    let old = timeline.service()["deployments"][0]["id"].clone();
    timeline.update(json!({}));
    timeline.pass_until("rolling back");
    let service = timeline.service();
    assert_ne!(service["deployments"][0]["id"], old);
    assert!(
        service["deployments"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["status"] == "DRAINING")
    );
    timeline.pass(600);
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [1, 1, 0, 0])]
    );
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
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
fn a_container_that_fails_its_own_check_is_replaced_and_counted() {
    let fails = "[[fate]]\nrevision = 2\nhealth = \"fails\"";
    let mut timeline = Timeline::serving(fails, 1, breaker());
    let mut checked = definition();
    checked["containerDefinitions"][0]["healthCheck"] =
        json!({ "command": ["CMD-SHELL", "true"], "interval": 5 });
    timeline.call("RegisterTaskDefinition", checked);
    timeline.call(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web" }),
    );
    timeline.pass_until("rolling back");
    let texts: Vec<String> = timeline
        .events()
        .into_iter()
        .map(|(_, text)| text)
        .take(4)
        .collect();
    assert_eq!(
        texts,
        [
            "has started 1 tasks: (task T).",
            "(task T) failed container health checks.",
            "has stopped 1 running tasks: (task T).",
            "has started 1 tasks: (task T).",
        ]
    );
    let stopped = &timeline.tasks()[1];
    assert_eq!(stopped["stoppedReason"], "Task failed container health checks");
    assert_eq!(stopped["healthStatus"], "UNHEALTHY");
    assert_eq!(stopped["containers"][0]["exitCode"], 143);
}

#[test]
fn a_task_that_dies_in_a_steady_service_is_replaced_without_a_deployment() {
    let once = "[[fate]]\ntasks = 1\ncrash = { after-seconds = 900, out-of-memory = true }";
    let mut timeline = Timeline::serving(once, 2, json!({}));
    timeline.pass(900);
    let texts: Vec<String> = timeline.events().into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        texts,
        ["has started 1 tasks: (task T).", "has reached a steady state."]
    );
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [2, 2, 0, 0])]
    );
    let dead = timeline
        .tasks()
        .into_iter()
        .find(|task| task["lastStatus"] == "STOPPED")
        .unwrap();
    assert_eq!(dead["containers"][0]["exitCode"], 137);
    assert_eq!(
        dead["containers"][0]["reason"],
        "OutOfMemoryError: Container killed due to memory usage"
    );
}

#[test]
fn a_task_without_its_log_group_does_not_start() {
    let mut timeline = Timeline::serving("", 1, json!({}));
    let mut logged = definition();
    logged["executionRoleArn"] = json!("arn:aws:iam::000000000000:role/execution");
    logged["containerDefinitions"][0]["logConfiguration"] = json!({ "logDriver": "awslogs", "options": { "awslogs-group": "gone", "awslogs-region": "eu-west-1" } });
    timeline.call("RegisterTaskDefinition", logged);
    timeline.call(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web" }),
    );
    timeline.pass_until("was unable to place a task. Reason: ResourceInitializationError");
    let failed = timeline
        .tasks()
        .into_iter()
        .find(|task| task["stopCode"] == "TaskFailedToStart")
        .unwrap();
    assert!(
        failed["stoppedReason"]
            .as_str()
            .unwrap()
            .contains("log group does not exist")
    );
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
