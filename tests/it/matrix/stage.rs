//! Sets the stage of a row: the service as it was before the deploy.

use super::{Balancer, Breaker, Row, check, with};
use crate::support::{Bench, CLUSTER, SERVICE, image, task_definition};
use serde_json::{Value, json};
use slipway::shutdown::Shutdown;
use std::time::Duration;

/// A sandbox with the row's service, steady if it is to be.
pub async fn set(row: &Row) -> Bench {
    let bench = Bench::empty(row.scenario, None).await;
    let mut definition = task_definition("shop", &image(1));
    if let Some(interval) = row.service.check {
        definition["containerDefinitions"][0]["healthCheck"] = check(interval);
    }
    bench.ask("RegisterTaskDefinition", &definition);
    bench.ask(
        "RegisterTaskDefinition",
        &task_definition("somebody-else", &image(9)),
    );
    bench.ask("CreateService", &service(&bench, row));
    if row.service.proven {
        steady(&bench).await;
    }
    let more: Value = serde_json::from_str(row.service.configuration).unwrap();
    if more.as_object().is_some_and(|more| !more.is_empty()) {
        // Set afterwards: hooks and alarms are about our deployment, not about the service's creation.
        let configuration = with(breaker(row), &more);
        bench.ask(
            "UpdateService",
            &json!({ "cluster": CLUSTER, "service": SERVICE, "deploymentConfiguration": configuration }),
        );
    }
    bench
}

fn breaker(row: &Row) -> Value {
    let breaker = match row.service.breaker {
        Breaker::Off => json!({ "enable": false, "rollback": false }),
        Breaker::Fails => json!({ "enable": true, "rollback": false }),
        Breaker::RollsBack => json!({ "enable": true, "rollback": true }),
    };
    json!({ "deploymentCircuitBreaker": breaker })
}

fn service(bench: &Bench, row: &Row) -> Value {
    let mut service = json!({
        "cluster": CLUSTER, "serviceName": SERVICE, "taskDefinition": "shop:1",
        "desiredCount": row.service.desired, "launchType": "FARGATE",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"], "securityGroups": ["sg-1"] } },
        "deploymentController": { "type": row.service.controller },
    });
    if row.service.controller == "ECS" {
        service["deploymentConfiguration"] = breaker(row);
    }
    if let Some(balancer) = row.service.balancer {
        let group = target_group(bench, balancer);
        service["loadBalancers"] =
            json!([{ "targetGroupArn": group, "containerName": "web", "containerPort": 8080 }]);
    }
    service
}

/// A target group behind a listener; it checks every ten seconds.
fn target_group(bench: &Bench, balancer: Balancer) -> String {
    let made = elb(
        bench,
        "CreateLoadBalancer",
        &[
            ("Name", "front"),
            ("Subnets.member.1", "subnet-1"),
            ("Subnets.member.2", "subnet-2"),
        ],
    );
    let front = between(&made, "<LoadBalancerArn>", "</LoadBalancerArn>");
    let made = elb(
        bench,
        "CreateTargetGroup",
        &[
            ("Name", "web"),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("VpcId", "vpc-1"),
            ("TargetType", "ip"),
            ("HealthCheckIntervalSeconds", "10"),
            ("HealthyThresholdCount", "2"),
            ("UnhealthyThresholdCount", "2"),
        ],
    );
    let group = between(&made, "<TargetGroupArn>", "</TargetGroupArn>");
    let drain = balancer.drain.to_string();
    elb(
        bench,
        "ModifyTargetGroupAttributes",
        &[
            ("TargetGroupArn", &group),
            ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
            ("Attributes.member.1.Value", &drain),
        ],
    );
    elb(
        bench,
        "CreateListener",
        &[
            ("LoadBalancerArn", &front),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", &group),
        ],
    );
    group
}

fn elb(bench: &Bench, operation: &str, params: &[(&str, &str)]) -> String {
    let params = params
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    bench
        .sandbox
        .world()
        .visit(|world, now| world.elb.call(now, operation, &params))
        .unwrap()
}

fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split_once(before).unwrap().1;
    rest.split_once(after).unwrap().0.to_owned()
}

/// Lets time pass until version 1 completed, past the wire and what goes wrong there.
async fn steady(bench: &Bench) {
    for _ in 0..400 {
        let asked = json!({ "cluster": CLUSTER, "services": [SERVICE] });
        let described = bench.ask("DescribeServices", &asked);
        let deployments = described["services"][0]["deployments"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if deployments.is_empty() || (deployments.len() == 1 && deployments[0]["rolloutState"] == "COMPLETED")
        {
            return;
        }
        let _ = bench
            .tools
            .clock
            .pause(Duration::from_secs(10), &Shutdown::never())
            .await;
    }
    panic!("the service did not become steady");
}
