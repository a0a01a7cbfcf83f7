//! Where requests go while a deployment with two revisions moves its traffic, behind a load balancer.

use super::timeline::{Timeline, service};
use serde_json::{Value, json};

/// The port of the production listener, and that of the test listener.
const PRODUCTION: u16 = 8080;
const TEST: u16 = 8081;

/// A load balancer with a listener for production traffic and one for test traffic, and two target groups that a rule
/// of each forwards to.
struct Front {
    blue: String,
    green: String,
    production: String,
    test: String,
}

impl Front {
    fn new(timeline: &mut Timeline) -> Self {
        let made = timeline.call_elb(
            "CreateLoadBalancer",
            &[
                ("Name", "front"),
                ("Subnets.member.1", "subnet-1"),
                ("Subnets.member.2", "subnet-2"),
            ],
        );
        let balancer = between(&made, "LoadBalancerArn");
        let [blue, green] = ["blue", "green"].map(|name| {
            let made = timeline.call_elb(
                "CreateTargetGroup",
                &[
                    ("Name", name),
                    ("Protocol", "HTTP"),
                    ("Port", "80"),
                    ("VpcId", "vpc-1"),
                    ("TargetType", "ip"),
                    ("HealthCheckIntervalSeconds", "10"),
                ],
            );
            let group = between(&made, "TargetGroupArn");
            timeline.call_elb(
                "ModifyTargetGroupAttributes",
                &[
                    ("TargetGroupArn", &group),
                    ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
                    ("Attributes.member.1.Value", "30"),
                ],
            );
            group
        });
        let [production, test] = [PRODUCTION, TEST].map(|port| {
            let listener = timeline.call_elb(
                "CreateListener",
                &[
                    ("LoadBalancerArn", &balancer),
                    ("Protocol", "HTTP"),
                    ("Port", &port.to_string()),
                    ("DefaultActions.member.1.Type", "forward"),
                    ("DefaultActions.member.1.TargetGroupArn", &blue),
                ],
            );
            let group = |n: u8| format!("Actions.member.1.ForwardConfig.TargetGroups.member.{n}");
            let made = timeline.call_elb(
                "CreateRule",
                &[
                    ("ListenerArn", &between(&listener, "ListenerArn")),
                    ("Priority", "1"),
                    ("Conditions.member.1.Field", "path-pattern"),
                    ("Conditions.member.1.Values.member.1", "/*"),
                    ("Actions.member.1.Type", "forward"),
                    (&format!("{}.TargetGroupArn", group(1)), &blue),
                    (&format!("{}.Weight", group(1)), "1"),
                    (&format!("{}.TargetGroupArn", group(2)), &green),
                    (&format!("{}.Weight", group(2)), "0"),
                ],
            );
            between(&made, "RuleArn")
        });
        Self {
            blue,
            green,
            production,
            test,
        }
    }

    /// A service's load balancers.
    fn balancers(&self) -> Value {
        json!([{
            "targetGroupArn": self.blue, "containerName": "web", "containerPort": 80,
            "advancedConfiguration": {
                "alternateTargetGroupArn": self.green, "roleArn": "arn:aws:iam::000000000000:role/ecs",
                "productionListenerRule": self.production, "testListenerRule": self.test,
            },
        }])
    }

    /// How many of a hundred requests reach blue and green targets.
    fn requests(&self, timeline: &Timeline, port: u16) -> [usize; 2] {
        timeline.requests(port, [&self.blue, &self.green])
    }
}

fn between(text: &str, name: &str) -> String {
    let rest = text.split_once(&format!("<{name}>")).unwrap().1;
    rest.split_once("</").unwrap().0.to_owned()
}

/// A service of two tasks behind the load balancer, with this deployment configuration, complete and steady.
fn serving(scenario: &str, configuration: &Value) -> (Timeline, Front) {
    let mut timeline = Timeline::new(scenario);
    let front = Front::new(&mut timeline);
    let settings = json!({ "loadBalancers": front.balancers(), "deploymentConfiguration": configuration });
    timeline.call("CreateService", service(2, settings));
    timeline.pass(600);
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
    assert_eq!(front.requests(&timeline, PRODUCTION), [100, 0]);
    timeline.start_over();
    (timeline, front)
}

#[test]
fn a_canary_gets_its_share_of_requests_and_the_next_deployment_goes_the_other_way() {
    let canary = json!({ "canaryPercent": 12.0, "canaryBakeTimeInMinutes": 2 });
    let (mut timeline, front) = serving(
        "",
        &json!({ "strategy": "CANARY", "bakeTimeInMinutes": 1, "canaryConfiguration": canary }),
    );
    timeline.update(json!({}));
    timeline.pass_to("POST_SCALE_UP");
    assert_eq!(front.requests(&timeline, PRODUCTION), [100, 0]);
    timeline.pass_to("TEST_TRAFFIC_SHIFT");
    assert_eq!(front.requests(&timeline, TEST), [0, 100]);
    assert_eq!(front.requests(&timeline, PRODUCTION), [100, 0]);
    timeline.pass_to("PRODUCTION_TRAFFIC_SHIFT");
    assert_eq!(front.requests(&timeline, PRODUCTION), [88, 12]);
    timeline.pass_to("BAKE_TIME");
    assert_eq!(front.requests(&timeline, PRODUCTION), [0, 100]);
    timeline.pass(300);
    assert_eq!(timeline.service_deployment()["status"], "SUCCESSFUL");
    let revision = timeline.service_deployment()["targetServiceRevision"]["arn"].clone();
    let described = timeline.call(
        "DescribeServiceRevisions",
        json!({ "serviceRevisionArns": [revision] }),
    );
    assert_eq!(
        described["serviceRevisions"][0]["resolvedConfiguration"],
        json!({ "loadBalancers": [{ "targetGroupArn": front.green, "productionListenerRule": front.production }] })
    );

    timeline.update(json!({}));
    timeline.pass_to("PRODUCTION_TRAFFIC_SHIFT");
    assert_eq!(front.requests(&timeline, PRODUCTION), [12, 88]);
    timeline.pass(600);
    assert_eq!(front.requests(&timeline, PRODUCTION), [100, 0]);
}

#[test]
fn a_tenth_of_a_percent_is_heard_of_by_the_load_balancer() {
    let canary = json!({ "canaryPercent": 0.5, "canaryBakeTimeInMinutes": 2 });
    let (mut timeline, front) = serving(
        "",
        &json!({ "strategy": "CANARY", "bakeTimeInMinutes": 0, "canaryConfiguration": canary }),
    );
    timeline.update(json!({}));
    timeline.pass_to("PRODUCTION_TRAFFIC_SHIFT");
    let rules = timeline.call_elb("DescribeRules", &[("RuleArns.member.1", &front.production)]);
    assert!(
        rules.contains("<Weight>995</Weight>") && rules.contains("<Weight>5</Weight>"),
        "{rules}"
    );
}

#[test]
fn a_rollback_in_the_bake_time_returns_the_requests_before_anything_stops() {
    let (mut timeline, front) = serving("", &json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5 }));
    timeline.update(json!({}));
    timeline.pass_to("BAKE_TIME");
    assert_eq!(front.requests(&timeline, PRODUCTION), [0, 100]);
    let arn = timeline.service_deployment()["serviceDeploymentArn"].clone();
    timeline.call("StopServiceDeployment", json!({ "serviceDeploymentArn": arn }));
    assert_eq!(front.requests(&timeline, PRODUCTION), [100, 0]);
    assert_eq!(timeline.service()["runningCount"], 4);
    timeline.pass(300);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    assert_eq!(front.requests(&timeline, PRODUCTION), [100, 0]);
}

#[test]
fn a_rollback_in_the_clean_up_moves_no_request_before_the_old_revision_is_back() {
    let (mut timeline, front) = serving("", &json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0 }));
    timeline.update(json!({}));
    timeline.pass_to("CLEAN_UP");
    while timeline.service()["deployments"].as_array().unwrap()[1]["runningCount"] != 0 {
        timeline.pass(1);
    }
    let arn = timeline.service_deployment()["serviceDeploymentArn"].clone();
    timeline.call("StopServiceDeployment", json!({ "serviceDeploymentArn": arn }));
    let mut seen = Vec::new();
    while timeline.service_deployment()["status"] == "ROLLBACK_IN_PROGRESS" {
        seen.push(front.requests(&timeline, PRODUCTION));
        timeline.pass(1);
    }
    seen.dedup();
    assert_eq!(seen, [[0, 100], [100, 0]], "no request is lost on the way");
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn a_revision_that_the_load_balancer_finds_unhealthy_gets_no_request() {
    let breaker = json!({ "enable": true, "rollback": true });
    let (mut timeline, front) = serving(
        "[[fate]]\nrevision = 2\ntarget = 503",
        &json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0, "deploymentCircuitBreaker": breaker }),
    );
    timeline.update(json!({}));
    timeline.pass_until("rolling back");
    assert_eq!(front.requests(&timeline, PRODUCTION), [100, 0]);
    timeline.pass(300);
    assert_eq!(timeline.service_deployment()["status"], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn a_target_group_that_no_rule_forwards_to_fails_the_deployment_before_it_starts_a_task() {
    let (mut timeline, front) = serving("", &json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0 }));
    for rule in [&front.production, &front.test] {
        timeline.call_elb("DeleteRule", &[("RuleArn", rule)]);
    }
    timeline.update(json!({}));
    timeline.pass_until("rolling back");
    let record = timeline.service_deployment();
    assert_eq!(
        record["statusReason"],
        "Service deployment rolled back because of invalid networking configuration. One or more rules not found"
    );
    assert_eq!(timeline.service()["pendingCount"], 0);
}

#[test]
fn advanced_settings_that_ecs_refuses_are_refused() {
    let mut timeline = Timeline::new("");
    let front = Front::new(&mut timeline);
    let with = |key: &str, value: Value| {
        let mut balancers = front.balancers();
        balancers[0]["advancedConfiguration"][key] = value;
        balancers
    };
    let mut plain = front.balancers();
    plain[0].as_object_mut().unwrap().remove("advancedConfiguration");
    let listener = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:listener/app/front/1/2";
    for (balancers, says) in [
        (
            plain,
            "advancedConfiguration field is required for all loadBalancers",
        ),
        (
            with("alternateTargetGroupArn", json!(null)),
            "alternateTargetGroupArn should not be null",
        ),
        (with("roleArn", json!(null)), "roleArn should not be null"),
        (
            with("productionListenerRule", json!(listener)),
            "Must be RuleArn for ALB or ListenerArn for NLB.",
        ),
        (
            with("testListenerRule", json!(front.production)),
            "cannot be used as both production and test",
        ),
        (
            with("alternateTargetGroupArn", json!(front.blue)),
            "Duplicate targetGroupArn found",
        ),
    ] {
        let configuration = json!({ "strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0 });
        let settings = json!({ "loadBalancers": balancers, "deploymentConfiguration": configuration });
        let error = timeline.ask("CreateService", service(1, settings)).unwrap_err();
        assert_eq!(error.code, "InvalidParameterException");
        assert!(error.message.contains(says), "{error}");
    }
}
