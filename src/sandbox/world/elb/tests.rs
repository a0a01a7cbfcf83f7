//! The operations, and targets over a timeline.

use super::super::ecs::Timings;
use super::super::orders::{CheckOutcome, Order, TargetId};
use super::super::{WorldConfig, error::ApiError};
use super::{Elb, TargetHealth};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

type Params<'a> = &'a [(&'a str, &'a str)];

fn call(elb: &mut Elb, now: Duration, operation: &str, params: Params<'_>) -> Result<String, ApiError> {
    let params = params
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    elb.call(now, operation, &params.collect::<BTreeMap<_, _>>())
}

/// The text of the first element of a name.
fn first<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0
}

fn empty() -> Elb {
    Elb::new(&WorldConfig {
        region: "eu-west-1".to_owned(),
        registry_host: "127.0.0.1:4566".to_owned(),
        timings: Timings::default(),
    })
}

fn group(elb: &mut Elb, more: &[(&str, &str)]) -> String {
    let mut params = vec![
        ("Name", "web"),
        ("Protocol", "HTTP"),
        ("Port", "8080"),
        ("VpcId", "vpc-1"),
        ("TargetType", "ip"),
    ];
    params.extend_from_slice(more);
    let xml = call(elb, Duration::ZERO, "CreateTargetGroup", &params).unwrap();
    first(&xml, "TargetGroupArn").to_owned()
}

fn balancer(elb: &mut Elb) -> String {
    let params = [
        ("Name", "front"),
        ("Subnets.member.1", "subnet-1"),
        ("Subnets.member.2", "subnet-2"),
    ];
    let xml = call(elb, Duration::ZERO, "CreateLoadBalancer", &params).unwrap();
    first(&xml, "LoadBalancerArn").to_owned()
}

fn listener(elb: &mut Elb, balancer: &str, group: &str, port: &str) -> Result<String, ApiError> {
    let params = [
        ("LoadBalancerArn", balancer),
        ("Protocol", "HTTP"),
        ("Port", port),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", group),
    ];
    call(elb, Duration::ZERO, "CreateListener", &params)
}

/// A group behind a listener on port 9000, and its ARN.
fn served(more: &[(&str, &str)]) -> (Elb, String) {
    let mut elb = empty();
    let group = group(&mut elb, more);
    let balancer = balancer(&mut elb);
    listener(&mut elb, &balancer, &group, "9000").unwrap();
    (elb, group)
}

fn target(last: u8) -> TargetId {
    TargetId {
        id: format!("10.0.0.{last}"),
        port: 8080,
    }
}

/// Lets time pass and answers every check as `outcome` says for the target.
fn run(elb: &mut Elb, until: Duration, outcome: impl Fn(&TargetId) -> CheckOutcome) {
    while let Some(due) = elb.next_change().filter(|due| *due <= until) {
        elb.advance(due);
        for order in elb.take_orders() {
            let Order::Check(check) = order else {
                panic!("{order:?}")
            };
            let said = outcome(&check.target);
            elb.checked(due, &check.target_group, &check.target, &said);
        }
    }
}

/// The targets that take turns at a port, in the order of their ids.
fn routes(elb: &Elb, port: u16) -> Vec<TargetId> {
    let targets: BTreeSet<TargetId> = (0..100).filter_map(|turn| elb.route(port, turn)).collect();
    targets.into_iter().collect()
}

fn state(elb: &Elb, group: &str, last: u8) -> Option<&'static str> {
    elb.health(group, &target(last)).map(|health| health.state)
}

#[test]
fn a_target_group_is_answered_with_the_defaults_of_the_api() {
    let mut elb = empty();
    let arn = group(&mut elb, &[]);
    assert_eq!(
        arn,
        "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/web/9e3779b97f4a7c15"
    );
    let xml = call(&mut elb, Duration::ZERO, "DescribeTargetGroups", &[]).unwrap();
    for (name, value) in [
        ("TargetGroupArn", arn.as_str()),
        ("Protocol", "HTTP"),
        ("Port", "8080"),
        ("HealthCheckPort", "traffic-port"),
        ("HealthCheckPath", "/"),
        ("HealthCheckIntervalSeconds", "30"),
        ("HealthCheckTimeoutSeconds", "5"),
        ("HealthyThresholdCount", "5"),
        ("UnhealthyThresholdCount", "2"),
        ("HttpCode", "200"),
        ("TargetType", "ip"),
        ("LoadBalancerArns", ""),
    ] {
        assert_eq!(first(&xml, name), value);
    }
}

#[test]
fn what_the_api_refuses_is_refused_with_its_code() {
    let (mut elb, group) = served(&[]);
    let group = group.as_str();
    let cases: [(&str, Params<'_>, &str); 15] = [
        ("DescribeTrustStores", &[], "InvalidAction"),
        ("DescribeRules", &[], "ValidationError"),
        (
            "CreateTargetGroup",
            &[("Name", "-x")],
            "InvalidConfigurationRequest",
        ),
        (
            "CreateTargetGroup",
            &[
                ("Name", "other"),
                ("Protocol", "HTTP"),
                ("Port", "80"),
                ("VpcId", "vpc-1"),
            ],
            "InvalidConfigurationRequest",
        ),
        (
            "CreateTargetGroup",
            &[
                ("Name", "web"),
                ("Protocol", "HTTP"),
                ("Port", "81"),
                ("VpcId", "vpc-1"),
                ("TargetType", "ip"),
            ],
            "DuplicateTargetGroupName",
        ),
        (
            "CreateLoadBalancer",
            &[("Name", "one"), ("Subnets.member.1", "s")],
            "InvalidConfigurationRequest",
        ),
        (
            "DescribeTargetGroups",
            &[("Names.member.1", "absent")],
            "TargetGroupNotFound",
        ),
        (
            "DescribeLoadBalancers",
            &[("Names.member.1", "absent")],
            "LoadBalancerNotFound",
        ),
        (
            "DescribeListeners",
            &[("ListenerArns.member.1", "absent")],
            "ListenerNotFound",
        ),
        ("DeleteTargetGroup", &[("TargetGroupArn", group)], "ResourceInUse"),
        (
            "RegisterTargets",
            &[("TargetGroupArn", group), ("Targets.member.1.Id", "8.8.8.8")],
            "InvalidTarget",
        ),
        (
            "RegisterTargets",
            &[("TargetGroupArn", "absent"), ("Targets.member.1.Id", "10.0.0.1")],
            "TargetGroupNotFound",
        ),
        (
            "DescribeTargetHealth",
            &[("TargetGroupArn", "absent")],
            "TargetGroupNotFound",
        ),
        (
            "ModifyTargetGroupAttributes",
            &[
                ("TargetGroupArn", group),
                ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
                ("Attributes.member.1.Value", "3601"),
            ],
            "InvalidConfigurationRequest",
        ),
        (
            "ModifyTargetGroupAttributes",
            &[
                ("TargetGroupArn", group),
                ("Attributes.member.1.Key", "stickiness.enabled"),
                ("Attributes.member.1.Value", "true"),
            ],
            "InvalidConfigurationRequest",
        ),
    ];
    for (operation, params, code) in cases {
        let error = call(&mut elb, Duration::ZERO, operation, params).unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.status),
            (code, 400),
            "{operation} {params:?}"
        );
    }
}

#[test]
fn a_port_and_a_target_group_have_one_load_balancer() {
    let (mut elb, web) = served(&[]);
    let front = first(
        &call(&mut elb, Duration::ZERO, "DescribeLoadBalancers", &[]).unwrap(),
        "LoadBalancerArn",
    )
    .to_owned();
    let params = [
        ("Name", "back"),
        ("Subnets.member.1", "subnet-1"),
        ("Subnets.member.2", "subnet-2"),
    ];
    let back = call(&mut elb, Duration::ZERO, "CreateLoadBalancer", &params).unwrap();
    let back = first(&back, "LoadBalancerArn");
    for (balancer, port, code) in [
        (front.as_str(), "9000", "DuplicateListener"),
        (back, "9000", "InvalidConfigurationRequest"),
        (back, "9001", "TargetGroupAssociationLimit"),
    ] {
        assert_eq!(listener(&mut elb, balancer, &web, port).unwrap_err().code, code);
    }
}

#[test]
fn targets_of_a_group_without_a_listener_are_unused_and_unchecked() {
    let mut elb = empty();
    let web = group(&mut elb, &[]);
    elb.register(Duration::ZERO, &web, target(1));
    assert_eq!(elb.is_attached(&web), Some(false));
    assert_eq!(
        elb.health(&web, &target(1)).unwrap().reason,
        Some("Target.NotInUse")
    );
    assert_eq!(elb.next_change(), None);
    let front = balancer(&mut elb);
    listener(&mut elb, &front, &web, "9000").unwrap();
    assert_eq!(elb.is_attached(&web), Some(true));
    assert_eq!(state(&elb, &web, 1), Some("initial"));
    assert_eq!(elb.next_change(), Some(at(1)));
}

#[test]
fn a_check_asks_the_port_and_path_of_the_group() {
    let (mut elb, web) = served(&[("HealthCheckPort", "9999"), ("HealthCheckPath", "/up")]);
    elb.register(Duration::ZERO, &web, target(1));
    elb.advance(at(1));
    let orders = elb.take_orders();
    let [Order::Check(check)] = orders.as_slice() else {
        panic!("{orders:?}")
    };
    assert_eq!(
        (check.port, check.path.as_str(), check.timeout),
        (9999, "/up", at(5))
    );
    assert_eq!(check.target, target(1));
    assert!(elb.take_orders().is_empty());
}

#[test]
fn requests_go_to_healthy_targets_and_to_all_when_none_is() {
    let (mut elb, web) = served(&[]);
    assert!(routes(&elb, 9000).is_empty());
    for last in 1..=3 {
        elb.register(Duration::ZERO, &web, target(last));
    }
    assert_eq!(routes(&elb, 9000).len(), 3, "it fails open while none is healthy");
    run(&mut elb, at(61), |id| {
        if *id == target(2) {
            CheckOutcome::Timeout
        } else {
            CheckOutcome::Status(200)
        }
    });
    assert_eq!(state(&elb, &web, 2), Some("unhealthy"));
    assert_eq!(routes(&elb, 9000), [target(1), target(3)]);
    elb.deregister(at(61), &web, &target(1));
    assert_eq!(routes(&elb, 9000), [target(3)]);
    assert!(elb.carries(9000, &target(1)), "a request in flight goes on");
    elb.deregister(at(61), &web, &target(3));
    assert_eq!(
        routes(&elb, 9000),
        [target(2)],
        "it fails open to those that do not drain"
    );
    assert!(routes(&elb, 9001).is_empty(), "no listener has that port");
}

#[test]
fn a_drain_takes_the_deregistration_delay() {
    let (mut elb, web) = served(&[]);
    let params = [
        ("TargetGroupArn", web.as_str()),
        ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
        ("Attributes.member.1.Value", "20"),
    ];
    let xml = call(&mut elb, Duration::ZERO, "ModifyTargetGroupAttributes", &params).unwrap();
    assert!(xml.contains("<Key>deregistration_delay.timeout_seconds</Key><Value>20</Value>"));
    elb.register(Duration::ZERO, &web, target(1));
    run(&mut elb, at(10), |_| CheckOutcome::Status(200));
    elb.deregister(at(10), &web, &target(1));
    run(&mut elb, at(29), |_| CheckOutcome::Status(200));
    assert_eq!(state(&elb, &web, 1), Some("draining"));
    run(&mut elb, at(30), |_| CheckOutcome::Status(200));
    assert_eq!(elb.health(&web, &target(1)), None);
    assert!(!elb.carries(9000, &target(1)));
    assert_eq!(elb.next_change(), None);
}

#[test]
fn health_is_described_in_the_words_of_the_api() {
    let (mut elb, web) = served(&[]);
    let register = [
        ("TargetGroupArn", web.as_str()),
        ("Targets.member.1.Id", "10.0.0.1"),
        ("Targets.member.2.Id", "10.0.0.2"),
        ("Targets.member.2.Port", "8081"),
    ];
    call(&mut elb, Duration::ZERO, "RegisterTargets", &register).unwrap();
    run(&mut elb, at(31), |id| match id.port {
        8081 => CheckOutcome::Status(503),
        _ => CheckOutcome::Status(200),
    });
    let all = [("TargetGroupArn", web.as_str())];
    assert_eq!(
        call(&mut elb, at(31), "DescribeTargetHealth", &all).unwrap(),
        "<TargetHealthDescriptions>\
         <member><Target><Id>10.0.0.1</Id><Port>8080</Port></Target><HealthCheckPort>8080</HealthCheckPort>\
         <TargetHealth><State>healthy</State></TargetHealth></member>\
         <member><Target><Id>10.0.0.2</Id><Port>8081</Port></Target><HealthCheckPort>8081</HealthCheckPort>\
         <TargetHealth><State>unhealthy</State><Reason>Target.ResponseCodeMismatch</Reason>\
         <Description>Health checks failed with these codes: [503]</Description></TargetHealth></member>\
         </TargetHealthDescriptions>"
    );
    let absent = [
        ("TargetGroupArn", web.as_str()),
        ("Targets.member.1.Id", "10.0.0.9"),
    ];
    assert_eq!(
        call(&mut elb, at(31), "DescribeTargetHealth", &absent).unwrap(),
        "<TargetHealthDescriptions>\
         <member><Target><Id>10.0.0.9</Id><Port>8080</Port></Target><HealthCheckPort>8080</HealthCheckPort>\
         <TargetHealth><State>unused</State><Reason>Target.NotRegistered</Reason>\
         <Description>Target is not registered to the target group</Description></TargetHealth></member>\
         </TargetHealthDescriptions>"
    );
    assert_eq!(
        elb.health(&web, &target(1)),
        Some(TargetHealth {
            state: "healthy",
            reason: None,
            description: None
        })
    );
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    let mut elb = empty();
    for n in 0..5 {
        let name = format!("web-{n}");
        group(&mut elb, &[("Name", &name)]);
    }
    let mut marker = String::new();
    let mut sizes = Vec::new();
    loop {
        let mut params = vec![("PageSize", "2")];
        if !marker.is_empty() {
            params.push(("Marker", marker.as_str()));
        }
        let xml = call(&mut elb, Duration::ZERO, "DescribeTargetGroups", &params).unwrap();
        sizes.push(xml.matches("<TargetGroupArn>").count());
        if !xml.contains("<NextMarker>") {
            break;
        }
        marker = first(&xml, "NextMarker").to_owned();
    }
    assert_eq!(sizes, [2, 2, 1]);
}
