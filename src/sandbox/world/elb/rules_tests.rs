//! Rules and weights: which target group gets which requests.

use super::super::WorldConfig;
use super::super::ecs::Timings;
use super::super::error::ApiError;
use super::super::orders::TargetId;
use super::Elb;
use std::collections::BTreeMap;
use std::time::Duration;

fn call(elb: &mut Elb, operation: &str, params: &[(&str, &str)]) -> Result<String, ApiError> {
    let pairs = params.iter();
    let pairs = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let params: BTreeMap<String, String> = pairs.collect();
    elb.call(Duration::ZERO, operation, &params)
}

/// The texts of all elements of a name.
fn all(xml: &str, name: &str) -> Vec<String> {
    let opening = format!("<{name}>");
    let parts = xml.split(&opening).skip(1);
    parts
        .map(|part| part.split("</").next().unwrap().to_owned())
        .collect()
}

/// A load balancer with a listener at port 9000 that forwards to the first of two groups of one target each.
struct Front {
    elb: Elb,
    listener: String,
    groups: [String; 2],
}

impl Front {
    fn new() -> Self {
        let mut elb = Elb::new(&WorldConfig {
            region: "eu-west-1".to_owned(),
            registry_host: "127.0.0.1:4566".to_owned(),
            timings: Timings::default(),
        });
        let subnets = [("Subnets.member.1", "subnet-1"), ("Subnets.member.2", "subnet-2")];
        let name = [("Name", "front")];
        let params = [&name[..], &subnets].concat();
        let made = call(&mut elb, "CreateLoadBalancer", &params).unwrap();
        let balancer = all(&made, "LoadBalancerArn").remove(0);
        let groups = [1_u8, 2].map(|number| {
            let name = format!("group-{number}");
            let params = [
                ("Name", name.as_str()),
                ("Protocol", "HTTP"),
                ("Port", "80"),
                ("VpcId", "vpc-1"),
                ("TargetType", "ip"),
            ];
            let made = call(&mut elb, "CreateTargetGroup", &params).unwrap();
            let arn = all(&made, "TargetGroupArn").remove(0);
            let id = format!("10.0.0.{number}");
            elb.register(Duration::ZERO, &arn, TargetId { id, port: 80 });
            arn
        });
        let params = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", "HTTP"),
            ("Port", "9000"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &groups[0]),
        ];
        let made = call(&mut elb, "CreateListener", &params).unwrap();
        let listener = all(&made, "ListenerArn").remove(0);
        Self {
            elb,
            listener,
            groups,
        }
    }

    /// Makes a rule that forwards to both groups with these weights.
    fn rule(&mut self, priority: &str, path: &str, weights: [&str; 2]) -> Result<String, ApiError> {
        let made = call(
            &mut self.elb,
            "CreateRule",
            &[
                ("ListenerArn", &self.listener),
                ("Priority", priority),
                ("Conditions.member.1.Field", "path-pattern"),
                ("Conditions.member.1.PathPatternConfig.Values.member.1", path),
                ("Actions.member.1.Type", "forward"),
                (
                    "Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn",
                    &self.groups[0],
                ),
                (
                    "Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight",
                    weights[0],
                ),
                (
                    "Actions.member.1.ForwardConfig.TargetGroups.member.2.TargetGroupArn",
                    &self.groups[1],
                ),
                (
                    "Actions.member.1.ForwardConfig.TargetGroups.member.2.Weight",
                    weights[1],
                ),
            ],
        )?;
        Ok(all(&made, "RuleArn").remove(0))
    }

    /// How many of ten requests each target gets.
    fn requests(&self) -> [usize; 2] {
        let targets: Vec<TargetId> = (0..10).filter_map(|turn| self.elb.route(9000, turn)).collect();
        ["10.0.0.1", "10.0.0.2"].map(|id| targets.iter().filter(|target| target.id == id).count())
    }
}

#[test]
fn the_rule_with_the_lowest_priority_decides_and_without_one_the_listener_does() {
    let mut front = Front::new();
    assert_eq!(front.elb.is_attached(&front.groups[1]), Some(false));
    assert_eq!(front.requests(), [10, 0]);
    let second = front.rule("20", "/*", ["3", "7"]).unwrap();
    assert_eq!(front.elb.is_attached(&front.groups[1]), Some(true));
    assert_eq!(front.requests(), [3, 7]);
    let first = front.rule("10", "/*", ["0", "1"]).unwrap();
    assert_eq!(front.requests(), [0, 10]);
    let target = TargetId {
        id: "10.0.0.1".into(),
        port: 80,
    };
    assert!(
        front.elb.carries(9000, &target),
        "what is in flight to a group of weight zero goes on"
    );
    for rule in [first, second] {
        call(&mut front.elb, "DeleteRule", &[("RuleArn", &rule)]).unwrap();
    }
    assert_eq!(front.requests(), [10, 0]);
    assert_eq!(front.elb.is_attached(&front.groups[1]), Some(false));
}

#[test]
fn a_group_gets_nothing_while_all_weights_are_zero() {
    let mut front = Front::new();
    front.rule("1", "/*", ["0", "0"]).unwrap();
    assert_eq!(front.requests(), [0, 0]);
}

#[test]
fn rules_are_described_with_the_default_one_and_go_with_their_listener() {
    let mut front = Front::new();
    let made = front.rule("5", "/*", ["1", "0"]).unwrap();
    let described = call(
        &mut front.elb,
        "DescribeRules",
        &[("ListenerArn", &front.listener)],
    )
    .unwrap();
    let mut priorities = all(&described, "Priority");
    priorities.sort();
    assert_eq!(priorities, ["5", "default"]);
    let arns = all(&described, "RuleArn");
    let default = arns.iter().find(|arn| **arn != made).unwrap().clone();
    assert!(
        arns.iter().all(|arn| arn.contains(":listener-rule/app/front/")),
        "{arns:?}"
    );
    let refused = call(&mut front.elb, "DeleteRule", &[("RuleArn", &default)]).unwrap_err();
    assert_eq!(refused.code, "OperationNotPermitted");
    front.elb.weigh(&default, &[(&front.groups[0], 500)]);
    assert_eq!(front.elb.forward_of(&default).unwrap()[0].1, 50);
    call(
        &mut front.elb,
        "DeleteListener",
        &[("ListenerArn", &front.listener)],
    )
    .unwrap();
    assert_eq!(front.elb.forward_of(&made), None);
    let gone = call(&mut front.elb, "DescribeRules", &[("RuleArns.member.1", &made)]).unwrap_err();
    assert_eq!(gone.code, "RuleNotFound");
}

#[test]
fn what_the_sandbox_does_not_imitate_of_rules_is_refused() {
    let mut front = Front::new();
    front.rule("1", "/*", ["1", "0"]).unwrap();
    for (priority, path, weights, code) in [
        ("1", "/*", ["1", "0"], "PriorityInUse"),
        ("0", "/*", ["1", "0"], "InvalidConfigurationRequest"),
        ("2", "/api/*", ["1", "0"], "InvalidConfigurationRequest"),
        ("2", "/*", ["1000", "0"], "InvalidConfigurationRequest"),
    ] {
        let error = front.rule(priority, path, weights).unwrap_err();
        assert_eq!(error.code, code, "{priority} {path} {weights:?}");
    }
    front.groups[1] = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/none/1".into();
    assert_eq!(
        front.rule("2", "/*", ["1", "0"]).unwrap_err().code,
        "TargetGroupNotFound"
    );
    front.listener.push('0');
    assert_eq!(
        front.rule("2", "/*", ["1", "0"]).unwrap_err().code,
        "ListenerNotFound"
    );
}
