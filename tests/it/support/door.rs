//! A load balancer with one target group, for a service to stand behind.

use aws_sdk_ecs::types::LoadBalancer;
use aws_sdk_elasticloadbalancingv2::types::{Action, ActionTypeEnum, ProtocolEnum, TargetTypeEnum};
use slipway::aws::Aws;
use std::net::TcpListener;

/// Makes both, and says how a service names them.
pub async fn open(aws: &Aws) -> LoadBalancer {
    let balancer = aws.elb.create_load_balancer().name("shop");
    let balancer = balancer
        .subnets("subnet-1")
        .subnets("subnet-2")
        .send()
        .await
        .unwrap();
    let balancer = balancer.load_balancers()[0]
        .load_balancer_arn()
        .unwrap()
        .to_owned();
    let group = aws
        .elb
        .create_target_group()
        .name("shop-web")
        .protocol(ProtocolEnum::Http)
        .port(8080)
        .target_type(TargetTypeEnum::Ip)
        .vpc_id("vpc-1")
        .health_check_path("/healthz")
        .health_check_interval_seconds(5)
        .health_check_timeout_seconds(2)
        .healthy_threshold_count(2)
        .unhealthy_threshold_count(2)
        .send()
        .await
        .unwrap();
    let group = group.target_groups()[0].target_group_arn().unwrap().to_owned();
    let forward = Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .target_group_arn(&group)
        .build();
    aws.elb
        .create_listener()
        .load_balancer_arn(balancer)
        .protocol(ProtocolEnum::Http)
        .port(free_port())
        .default_actions(forward)
        .send()
        .await
        .unwrap();
    LoadBalancer::builder()
        .target_group_arn(group)
        .container_name("web")
        .container_port(8080)
        .build()
}

/// A port of loopback that nobody listens on.
fn free_port() -> i32 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    i32::from(listener.local_addr().unwrap().port())
}
