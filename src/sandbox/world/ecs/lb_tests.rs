//! Rollouts behind a load balancer: targets registered, checked, drained.

use super::timeline::{Timeline, breaker, service};
use serde_json::{Value, json};

/// A target group that checks every ten seconds and drains for thirty, with a listener that forwards to it.
fn target_group(timeline: &mut Timeline) -> String {
    let made = timeline.call_elb(
        "CreateLoadBalancer",
        &[
            ("Name", "front"),
            ("Subnets.member.1", "subnet-1"),
            ("Subnets.member.2", "subnet-2"),
        ],
    );
    let balancer = between(&made, "<LoadBalancerArn>", "</LoadBalancerArn>");
    let made = timeline.call_elb(
        "CreateTargetGroup",
        &[
            ("Name", "web"),
            ("Protocol", "HTTP"),
            ("Port", "80"),
            ("VpcId", "vpc-1"),
            ("TargetType", "ip"),
            ("HealthCheckIntervalSeconds", "10"),
            ("HealthyThresholdCount", "3"),
            ("UnhealthyThresholdCount", "2"),
        ],
    );
    let group = between(&made, "<TargetGroupArn>", "</TargetGroupArn>");
    timeline.call_elb(
        "ModifyTargetGroupAttributes",
        &[
            ("TargetGroupArn", &group),
            ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
            ("Attributes.member.1.Value", "30"),
        ],
    );
    timeline.call_elb(
        "CreateListener",
        &[
            ("LoadBalancerArn", &balancer),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &group),
        ],
    );
    group
}

fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split_once(before).unwrap().1;
    rest.split_once(after).unwrap().0.to_owned()
}

fn balanced(group: &str, more: &Value) -> Value {
    let mut settings = json!({
        "loadBalancers": [{ "targetGroupArn": group, "containerName": "web", "containerPort": 80 }],
    });
    settings
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    settings
}

/// A service of `desired` tasks behind the load balancer, complete and steady.
fn serving(scenario: &str, desired: u32, more: &Value) -> Timeline {
    let mut timeline = Timeline::new(scenario);
    let group = target_group(&mut timeline);
    timeline.call("CreateService", service(desired, balanced(&group, more)));
    timeline.pass(600);
    assert_eq!(timeline.service()["deployments"][0]["rolloutState"], "COMPLETED");
    timeline.start_over();
    timeline
}

#[test]
fn a_rollout_of_two_tasks_takes_as_long_as_one_on_fargate() {
    let mut timeline = serving("", 2, &json!({}));
    timeline.update(json!({}));
    timeline.pass(600);
    let events = timeline.events();
    let texts: Vec<&str> = events.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "has started 2 tasks: (task T) (task T).",
            "registered 2 targets in (target-group G)",
            "has stopped 2 running tasks: (task T) (task T).",
            "deregistered 2 targets in (target-group G)",
            "(service web, taskSet D) has begun draining connections on 2 tasks.",
            "(deployment D) deployment completed.",
            "has reached a steady state.",
        ]
    );
    // The trace: 14, 44, 85, 86, 86, 149, 149 seconds.
    for ((at, text), seen) in events.iter().zip([14, 44, 85, 86, 86, 149, 149_u64]) {
        assert!(at.abs_diff(seen) <= 10, "{text} at {at}, not near {seen}");
    }
}

#[test]
fn a_task_that_serves_stays_until_it_is_replaced_however_young_its_deployment_is() {
    let mut timeline = Timeline::new("");
    let group = target_group(&mut timeline);
    timeline.call("CreateService", service(1, balanced(&group, &json!({}))));
    timeline.pass_until("registered 1 targets");
    timeline.pass(5);
    timeline.start_over();
    timeline.update(json!({}));
    timeline.pass(600);
    let events = timeline.events();
    let at = |wanted: &str| events.iter().position(|(_, text)| text.contains(wanted)).unwrap();
    assert!(
        at("registered 1 targets") < at("has stopped 1 running tasks"),
        "{events:?}"
    );
}

#[test]
fn tasks_that_the_load_balancer_finds_unhealthy_trip_the_breaker() {
    let mut timeline = serving("[[fate]]\nrevision = 2\ntarget = 503", 1, &breaker());
    timeline.update(json!({}));
    timeline.pass_until("rolling back");
    let events = timeline.events();
    let texts: Vec<&str> = events.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        texts[..6],
        [
            "has started 1 tasks: (task T).",
            "registered 1 targets in (target-group G)",
            "(task T) (port 80) is unhealthy in (target-group G) due to (reason Health checks failed with these codes: [503])",
            "has stopped 1 running tasks: (task T).",
            "deregistered 1 targets in (target-group G)",
            "(service web, taskSet D) has begun draining connections on 1 tasks.",
        ]
    );
    assert_eq!(
        texts[texts.len() - 2..],
        [
            "(deployment D) deployment failed: tasks failed to start.",
            "rolling back to deployment D."
        ]
    );
    let stopped = timeline
        .tasks()
        .into_iter()
        .find(|task| task["lastStatus"] == "STOPPED")
        .unwrap();
    let reason = stopped["stoppedReason"].as_str().unwrap();
    assert!(
        reason.starts_with("Task failed ELB health checks in (target-group arn:"),
        "{reason}"
    );
    timeline.pass(300);
    assert_eq!(timeline.service()["runningCount"], 1);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn a_grace_period_lets_bad_checks_pass() {
    let mut timeline = serving(
        "[[fate]]\nrevision = 2\ntarget = 503",
        1,
        &json!({ "healthCheckGracePeriodSeconds": 600 }),
    );
    timeline.update(json!({}));
    timeline.pass(600);
    assert!(
        timeline
            .events()
            .iter()
            .all(|(_, text)| !text.contains("unhealthy"))
    );
    timeline.pass(60);
    assert!(
        timeline
            .events()
            .iter()
            .any(|(_, text)| text.contains("is unhealthy in"))
    );
}

#[test]
fn a_target_group_must_exist_and_be_attached_and_name_a_port_of_the_container() {
    let mut timeline = Timeline::new("");
    let attached = target_group(&mut timeline);
    let made = timeline.call_elb(
        "CreateTargetGroup",
        &[
            ("Name", "lone"),
            ("Protocol", "HTTP"),
            ("Port", "80"),
            ("VpcId", "vpc-1"),
            ("TargetType", "ip"),
        ],
    );
    let lone = between(&made, "<TargetGroupArn>", "</TargetGroupArn>");
    let port = json!({ "loadBalancers": [{ "targetGroupArn": attached, "containerName": "web", "containerPort": 81 }] });
    for (settings, says) in [
        (
            balanced("arn:aws:elasticloadbalancing:x", &json!({})),
            "does not exist.",
        ),
        (
            balanced(&lone, &json!({})),
            "does not have an associated load balancer.",
        ),
        (
            port,
            "The container web did not have a container port 81 defined.",
        ),
    ] {
        let error = timeline.ask("CreateService", service(1, settings)).unwrap_err();
        assert_eq!(error.code, "InvalidParameterException");
        assert!(error.message.contains(says), "{error}");
    }
}

#[test]
fn a_stopped_task_drains_before_it_ends() {
    let mut timeline = serving("", 1, &json!({}));
    let arn = timeline.tasks()[0]["taskArn"].clone();
    let stopped = timeline.call("StopTask", json!({ "task": arn }));
    assert_eq!(stopped["task"]["lastStatus"], "DEACTIVATING");
    assert_eq!(stopped["task"]["desiredStatus"], "STOPPED");
    timeline.pass(20);
    let described = timeline.call("DescribeTasks", json!({ "tasks": [arn] }));
    assert_eq!(described["tasks"][0]["lastStatus"], "DEACTIVATING");
    assert_eq!(described["tasks"][0]["containers"][0]["lastStatus"], "RUNNING");
    timeline.pass(120);
    let described = timeline.call("DescribeTasks", json!({ "tasks": [arn] }));
    assert_eq!(described["tasks"][0]["lastStatus"], "STOPPED");
    assert_eq!(timeline.service()["runningCount"], 1);
}
