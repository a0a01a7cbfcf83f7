//! Rollouts that fail: what is told, counted, rolled back.

use super::timeline::{Timeline, breaker, definition, lines, row};
use serde_json::json;

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

/// The stopped task of revision 2 that fates decided over first.
fn first_stopped(timeline: &mut Timeline) -> serde_json::Value {
    let stopped = |task: &serde_json::Value| {
        task["lastStatus"] == "STOPPED" && task["taskDefinitionArn"].as_str().unwrap().ends_with(":2")
    };
    timeline.tasks().into_iter().find(stopped).unwrap()
}

#[test]
fn resources_that_can_not_be_made_are_told_by_the_task_and_by_no_container() {
    let words = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed";
    let fate = format!("[[fate]]\nrevision = 2\nstart-failure = \"{words}\"\nfails-after-seconds = 20");
    let mut timeline = Timeline::serving(&fate, 1, breaker());
    timeline.update(json!({}));
    timeline.pass_until(&format!("was unable to place a task. Reason: {words}."));
    timeline.pass(20);
    let task = first_stopped(&mut timeline);
    assert_eq!(
        (&task["stopCode"], &task["stoppedReason"]),
        (&json!("TaskFailedToStart"), &json!(words))
    );
    let container = &task["containers"][0];
    assert!(
        container.get("reason").is_none() && container.get("exitCode").is_none(),
        "{container}"
    );
    assert!(task["pullStartedAt"].is_number() && task.get("startedAt").is_none());
}

#[test]
fn a_container_that_the_agent_can_not_start_says_why() {
    let words = "CannotStartContainerError: exec /bin/web: exec format error";
    let fate = format!("[[fate]]\nrevision = 2\ncontainer-failure = \"{words}\"");
    let mut timeline = Timeline::serving(&fate, 1, breaker());
    timeline.update(json!({}));
    timeline.pass_until("was unable to place a task");
    timeline.pass(20);
    let task = first_stopped(&mut timeline);
    assert_eq!(task["stopCode"], "TaskFailedToStart");
    assert_eq!(task["containers"][0]["reason"], words);
    assert!(task["pullStoppedAt"].is_number() && task.get("startedAt").is_none());
}

#[test]
fn a_task_that_lost_its_machine_is_replaced_and_counts_for_nothing() {
    let fate = "[[fate]]\nrevision = 2\ntasks = 4\ninterrupted = { after-seconds = 5, by = \"spot\" }";
    let mut timeline = Timeline::serving(fate, 1, breaker());
    timeline.update(json!({}));
    timeline.pass(600);
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [1, 1, 0, 0])]
    );
    let task = first_stopped(&mut timeline);
    assert_eq!(
        (&task["stopCode"], &task["stoppedReason"]),
        (
            &json!("SpotInterruption"),
            &json!("Your Spot Task was interrupted.")
        )
    );
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
}

#[test]
fn a_one_off_task_ends_with_its_exit_code() {
    for (fate, code) in [
        ("runs = { for-seconds = 7 }", 0),
        ("runs = { for-seconds = 7, exit-code = 3 }", 3),
    ] {
        let mut timeline = Timeline::new(&format!("[[fate]]\nfamily = \"web\"\n{fate}"));
        let input = json!({ "taskDefinition": "web", "launchType": "FARGATE",
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } } });
        let arn = timeline.call("RunTask", input)["tasks"][0]["taskArn"].clone();
        timeline.pass(120);
        let task = timeline.call("DescribeTasks", json!({ "tasks": [arn] }))["tasks"][0].clone();
        assert_eq!(task["lastStatus"], "STOPPED");
        assert_eq!(task["stopCode"], "EssentialContainerExited");
        assert_eq!(task["containers"][0]["exitCode"], code);
        let ran = task["executionStoppedAt"].as_f64().unwrap() - task["startedAt"].as_f64().unwrap();
        assert!((ran - 7.0).abs() < 0.1, "{ran}");
    }
}

#[test]
fn a_task_without_a_place_is_tried_again_and_told_of_once() {
    let trouble = "[[placement]]\nservice = \"web\"\nrevision = 2\ntimes = 5";
    let mut timeline = Timeline::serving(trouble, 1, breaker());
    timeline.update(json!({}));
    timeline.pass(600);
    assert_eq!(
        lines(timeline.events())[..2],
        [
            "  14 was unable to place a task because no container instance met all of its requirements.",
            "  64 has started 1 tasks: (task T).",
        ]
    );
    assert_eq!(
        timeline.deployments(),
        [row("PRIMARY", "COMPLETED", [1, 1, 0, 0])]
    );
}

#[test]
fn trouble_that_counts_trips_the_breaker() {
    let trouble = "[[placement]]\nservice = \"web\"\nrevision = 2\ncounted = true";
    let mut timeline = Timeline::serving(trouble, 1, breaker());
    timeline.update(json!({}));
    assert!(timeline.pass_until("rolling back") < 60);
}

#[test]
fn run_task_answers_well_and_names_the_tasks_that_found_no_place() {
    let mut timeline =
        Timeline::new("[[placement]]\nfamily = \"web\"\ntimes = 2\nreason = \"RESOURCE:MEMORY\"");
    let input = json!({ "taskDefinition": "web", "launchType": "FARGATE", "count": 3,
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } } });
    let answer = timeline.call("RunTask", input.clone());
    assert_eq!(answer["tasks"].as_array().unwrap().len(), 1);
    let reasons: Vec<&str> = answer["failures"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["reason"].as_str())
        .collect();
    assert_eq!(reasons, ["RESOURCE:MEMORY", "RESOURCE:MEMORY"]);
    assert_eq!(timeline.call("RunTask", input)["failures"], json!([]));
}
