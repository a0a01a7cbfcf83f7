//! What there is before our update: a service with its task definitions and its load balancer.

use super::{CLUSTER, PORT, Place, SERVICE};
use crate::runner::CONTAINER;
use crate::script::Kind;
use serde_json::{Value, json};

impl Place {
    pub(super) fn definition(&self, family: &str, digest: &str) -> Value {
        let mut container = json!({
            "name": CONTAINER,
            "image": format!("registry.example/shop/web@{digest}"),
            "portMappings": [{ "containerPort": PORT }],
        });
        if let Some(interval) = self.script.check {
            container["healthCheck"] = json!({ "command": ["CMD-SHELL", "true"], "interval": interval });
        }
        json!({
            "family": family, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256",
            "memory": "512", "containerDefinitions": [container],
        })
    }

    pub(super) fn service(&self) -> Value {
        let script = &self.script;
        let mut breaker = json!({ "enable": false, "rollback": false });
        if let Some(set) = &script.breaker {
            breaker =
                json!({ "enable": true, "rollback": set.rollback, "resetOnHealthyTask": !set.cumulative });
            if let Some((kind, value)) = set.threshold {
                breaker["thresholdConfiguration"] = json!({ "type": kind, "value": value });
            }
        }
        let mut service = json!({
            "cluster": CLUSTER, "serviceName": SERVICE, "taskDefinition": "shop:1", "desiredCount": script.desired,
            "launchType": "FARGATE",
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
            "deploymentConfiguration": {
                "minimumHealthyPercent": script.percents.0, "maximumPercent": script.percents.1,
                "deploymentCircuitBreaker": breaker,
            },
        });
        let configuration = &mut service["deploymentConfiguration"];
        match script.kind {
            Kind::Rolling => {}
            Kind::EarlySuccess { percent, deferred } => {
                let cleanup = if deferred { "DEFERRED" } else { "BLOCKING" };
                configuration["earlySuccessCriteria"] = json!({ "enable": true, "healthyPercent": percent.max(script.percents.0), "sourceServiceRevisionCleanup": cleanup });
            }
            Kind::BlueGreen(bake) => {
                configuration["strategy"] = json!("BLUE_GREEN");
                configuration["bakeTimeInMinutes"] = json!(bake);
            }
            Kind::Canary => {
                configuration["strategy"] = json!("CANARY");
                configuration["canaryConfiguration"] =
                    json!({ "canaryPercent": 20.0, "canaryBakeTimeInMinutes": 1 });
            }
        }
        if script.alarmed {
            configuration["alarms"] = json!({ "alarmNames": ["errors"], "enable": true, "rollback": true });
        }
        if let Some(group) = &self.target_group {
            service["loadBalancers"] =
                json!([{ "targetGroupArn": group, "containerName": CONTAINER, "containerPort": PORT }]);
            service["healthCheckGracePeriodSeconds"] = json!(script.grace);
        }
        service
    }

    pub(super) fn balancer(&mut self) -> String {
        let made = self.elb(
            "CreateLoadBalancer",
            &[
                ("Name", "front"),
                ("Subnets.member.1", "subnet-1"),
                ("Subnets.member.2", "subnet-2"),
            ],
        );
        let balancer = between(&made, "<LoadBalancerArn>", "</LoadBalancerArn>");
        let made = self.elb(
            "CreateTargetGroup",
            &[
                ("Name", "web"),
                ("Protocol", "HTTP"),
                ("Port", "80"),
                ("VpcId", "vpc-1"),
                ("TargetType", "ip"),
                ("HealthCheckIntervalSeconds", "10"),
                ("HealthyThresholdCount", "2"),
                ("UnhealthyThresholdCount", "2"),
            ],
        );
        let group = between(&made, "<TargetGroupArn>", "</TargetGroupArn>");
        self.elb(
            "ModifyTargetGroupAttributes",
            &[
                ("TargetGroupArn", &group),
                ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
                ("Attributes.member.1.Value", "20"),
            ],
        );
        self.elb(
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

    fn elb(&mut self, operation: &str, params: &[(&str, &str)]) -> String {
        let params = params
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        self.world.elb.call(self.now, operation, &params).unwrap()
    }
}

fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text.split_once(before).unwrap().1;
    rest.split_once(after).unwrap().0.to_owned()
}
