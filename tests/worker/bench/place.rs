//! The account that a bench's pipelines are in: buckets with CodePipeline's policy, a repository, a cluster with services
//! that run version 1, the action types. What needs no wire is made past it, so that no fault and no count meets it.

use super::Setup;
use crate::engine::wire::exchange;
use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};
use slipway::pipeline::action_type::{LogLink, Place, define, request};
use slipway::sandbox::server::Sandbox;
use std::collections::BTreeMap;

pub const REGION: &str = "eu-west-1";
pub const CLUSTER: &str = "prod";
pub const REPOSITORY: &str = "shop/web";
pub const SOURCES: &str = "sources";
pub const ARTIFACTS: &str = "artifacts";
/// The key of the artifact store.
pub const KEY: &str = "arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-4000-8000-000000000001";
/// The role that services are deployed with.
pub const DEPLOYER: &str = "arn:aws:iam::000000000000:role/deployer";
/// What it demands of whoever assumes it.
pub const EXTERNAL_ID: &str = "pipelines";
/// What version 1 runs: an image of a registry that is not the sandbox's.
pub const FIRST_IMAGE: &str =
    "registry.example/shop/web@sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// An operation of ECS, past the wire.
pub fn ecs(sandbox: &Sandbox, operation: &str, input: &Value) -> Value {
    let answer = sandbox
        .world()
        .visit(|world, now| world.ecs.call(now, operation, input, &mut world.elb, &world.ecr));
    answer.unwrap_or_else(|error| panic!("{operation}: {} {}", error.code, error.message))
}

/// An operation of CodePipeline, past the wire.
pub fn pipeline(sandbox: &Sandbox, operation: &str, input: &Value) -> Value {
    try_pipeline(sandbox, operation, input).unwrap_or_else(|error| panic!("{operation}: {error}"))
}

/// The same; a refusal as `Code: message`.
pub fn try_pipeline(sandbox: &Sandbox, operation: &str, input: &Value) -> Result<Value, String> {
    let answer = sandbox.world().visit(|world, now| {
        world
            .pipeline
            .call(now, operation, input, &mut world.s3, &mut world.sessions)
    });
    answer.map_err(|error| format!("{}: {}", error.code, error.message))
}

/// Makes all of it, but for pipelines.
pub async fn furnish(sandbox: &Sandbox, setup: &Setup) {
    for bucket in [SOURCES, ARTIFACTS] {
        s3(sandbox, Method::PUT, &format!("/{bucket}"), Bytes::new()).await;
    }
    let deny = |condition: Value| {
        json!({
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": format!("arn:aws:s3:::{ARTIFACTS}/*"),
            "Condition": { "StringNotEquals": condition },
        })
    };
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            deny(json!({ "s3:x-amz-server-side-encryption": "aws:kms" })),
            deny(json!({ "s3:x-amz-server-side-encryption-aws-kms-key-id": KEY })),
        ],
    });
    let body = Bytes::from(policy.to_string());
    s3(sandbox, Method::PUT, &format!("/{ARTIFACTS}?policy"), body).await;
    let mutability = if setup.immutable { "IMMUTABLE" } else { "MUTABLE" };
    let repository = json!({ "repositoryName": REPOSITORY, "imageTagMutability": mutability });
    sandbox
        .world()
        .visit(|world, now| world.ecr.call(now, "CreateRepository", &repository))
        .unwrap();
    ecs(sandbox, "CreateCluster", &json!({ "clusterName": CLUSTER }));
    for (port, service) in (8000..).zip(&setup.services) {
        create_service(sandbox, service, setup.balanced.then_some(port));
    }
    for id in ["Build/Slipway/1", "Deploy/Slipway/1"] {
        let url = LogLink::Url("https://logs.example/{ExternalExecutionId}".to_owned());
        let definition = define(id.parse().unwrap(), &Place::in_region(REGION), &url);
        pipeline(sandbox, "CreateCustomActionType", &request(&definition));
    }
}

fn create_service(sandbox: &Sandbox, service: &str, port: Option<u16>) {
    let registered = ecs(sandbox, "RegisterTaskDefinition", &task_definition(service));
    let mut created = json!({
        "cluster": CLUSTER,
        "serviceName": service,
        "taskDefinition": registered["taskDefinition"]["taskDefinitionArn"],
        "desiredCount": 1,
        "launchType": "FARGATE",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"], "securityGroups": ["sg-1"] } },
        "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } },
    });
    if let Some(port) = port {
        let group = target_group(sandbox, service, port);
        created["loadBalancers"] =
            json!([{ "targetGroupArn": group, "containerName": "web", "containerPort": 8080 }]);
    }
    ecs(sandbox, "CreateService", &created);
}

/// The task definition of version 1, whose environment has a canary.
pub fn task_definition(family: &str) -> Value {
    json!({
        "family": family,
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": "arn:aws:iam::000000000000:role/ecsTaskExecutionRole",
        "containerDefinitions": [{
            "name": "web",
            "image": FIRST_IMAGE,
            "essential": true,
            "portMappings": [{ "containerPort": 8080, "protocol": "tcp" }],
            "environment": [{ "name": "API_KEY", "value": super::canaries::TASK_VALUE }],
        }],
    })
}

/// A target group behind a load balancer of its own. All balancers of a sandbox share an address, so each service has
/// another port.
fn target_group(sandbox: &Sandbox, name: &str, port: u16) -> String {
    let ask = |operation: &str, params: &[(&str, &str)]| {
        let params = params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let params: BTreeMap<String, String> = params.collect();
        let answer = sandbox
            .world()
            .visit(|world, now| world.elb.call(now, operation, &params));
        answer.unwrap_or_else(|error| panic!("{operation}: {} {}", error.code, error.message))
    };
    let subnets = [("Subnets.member.1", "subnet-1"), ("Subnets.member.2", "subnet-2")];
    let balancer = ask("CreateLoadBalancer", &[&[("Name", name)], &subnets[..]].concat());
    let group = ask(
        "CreateTargetGroup",
        &[
            ("Name", name),
            ("Protocol", "HTTP"),
            ("Port", "8080"),
            ("VpcId", "vpc-1"),
            ("TargetType", "ip"),
            ("HealthCheckIntervalSeconds", "5"),
            ("HealthCheckTimeoutSeconds", "2"),
            ("HealthyThresholdCount", "2"),
        ],
    );
    let group = element(&group, "TargetGroupArn");
    ask(
        "CreateListener",
        &[
            ("LoadBalancerArn", element(&balancer, "LoadBalancerArn")),
            ("Protocol", "HTTP"),
            ("Port", &port.to_string()),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", group),
        ],
    );
    group.to_owned()
}

/// The text of the first element of a name.
fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<{name}>")).unwrap();
    rest.split_once(&format!("</{name}>")).unwrap().0
}

/// Puts or reads an object or a bucket over the wire, as the account itself. The sandbox verifies no signatures.
pub async fn s3(sandbox: &Sandbox, method: Method, path: &str, body: Bytes) -> Bytes {
    let host = sandbox.endpoint().trim_start_matches("http://");
    let shown = format!("{method} {path}");
    let request = Request::builder().method(method).uri(path).header(
        "authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential=sandbox/20260101/{REGION}/s3/aws4_request, SignedHeaders=host, Signature=0"
        ),
    );
    let answer = exchange(
        host,
        request.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        body,
    )
    .await
    .unwrap();
    let text = String::from_utf8_lossy(&answer.body);
    assert!(answer.status.is_success(), "{shown}: {} {text}", answer.status);
    answer.body
}
