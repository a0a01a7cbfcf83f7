//! Fills an empty sandbox with what a run expects to find: cluster, log groups, repositories, load balancer, service.

use crate::aws::Aws;
use crate::name::{ImageRef, ServiceName, Tag};
use aws_sdk_ecr::operation::create_repository::CreateRepositoryError;
use aws_sdk_ecr::operation::put_image::PutImageError;
use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, DeploymentCircuitBreaker, DeploymentConfiguration, LaunchType,
    LoadBalancer, NetworkConfiguration,
};
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ProtocolEnum, TargetGroupAttribute, TargetTypeEnum,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::error::Error;

/// Why the sandbox could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// One of its operations said no.
    #[error("`{operation}` in the sandbox")]
    Call {
        /// The operation.
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An answer lacked what the operation promises.
    #[error("`{operation}` in the sandbox answered without `{member}`")]
    Answer {
        /// The operation.
        operation: &'static str,
        /// The member.
        member: &'static str,
    },
}

pub(super) fn call<E: Error + Send + Sync + 'static>(operation: &'static str) -> impl FnOnce(E) -> SeedError {
    move |source| SeedError::Call {
        operation,
        source: Box::new(source),
    }
}

/// A load balancer in the sandbox, ready for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontDoor {
    /// The target group that the service registers its tasks in.
    pub target_group: String,
    /// The port on 127.0.0.1 that forwards to it.
    pub port: u16,
}

/// What a target group of the sandbox checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The container that is behind the load balancer.
    pub container: String,
    /// Its port.
    pub port: u16,
    /// The path that is checked.
    pub health_path: String,
}

/// Creates a cluster.
///
/// # Errors
/// [`SeedError`] of `CreateCluster`.
pub async fn cluster(aws: &Aws, name: &str) -> Result<(), SeedError> {
    aws.ecs
        .create_cluster()
        .cluster_name(name)
        .send()
        .await
        .map_err(call("CreateCluster"))?;
    Ok(())
}

/// Puts an image by tag where a look-up of ECR finds it: an index without images, since nobody pulls it, whose digest
/// belongs to this reference alone.
///
/// # Errors
/// [`SeedError`] of `CreateRepository` or `PutImage`.
pub async fn tagged_image(aws: &Aws, image: &ImageRef) -> Result<(), SeedError> {
    let repository = image.repository.to_string();
    let created = aws.ecr.create_repository().repository_name(&repository);
    match created.send().await {
        Ok(_) => {}
        Err(error)
            if error
                .as_service_error()
                .is_some_and(CreateRepositoryError::is_repository_already_exists_exception) => {}
        Err(error) => return Err(call("CreateRepository")(error)),
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [],
        "annotations": { "org.opencontainers.image.ref.name": image.to_string() },
    });
    let put = aws.ecr.put_image().repository_name(&repository);
    let put = put.image_manifest(index.to_string());
    match put
        .image_tag(image.tag.as_ref().map_or("latest", Tag::as_str))
        .send()
        .await
    {
        Ok(_) => Ok(()),
        // Two containers may have the same image.
        Err(error)
            if error
                .as_service_error()
                .is_some_and(PutImageError::is_image_already_exists_exception) =>
        {
            Ok(())
        }
        Err(error) => Err(call("PutImage")(error)),
    }
}

/// Creates the log groups that the containers of a task definition write to.
///
/// # Errors
/// [`SeedError`] of `CreateLogGroup`.
pub async fn log_groups(aws: &Aws, task_definition: &Value) -> Result<(), SeedError> {
    for group in groups_of(task_definition) {
        match aws.logs.create_log_group().log_group_name(group).send().await {
            Ok(_) => {}
            Err(error)
                if error.as_service_error().is_some_and(
                    aws_sdk_cloudwatchlogs::operation::create_log_group::CreateLogGroupError::is_resource_already_exists_exception,
                ) => {}
            Err(error) => return Err(call("CreateLogGroup")(error)),
        }
    }
    Ok(())
}

/// Creates a load balancer whose listener forwards to a target group of its own.
///
/// # Errors
/// [`SeedError`] of the ELBv2 operation that said no.
pub async fn front_door(
    aws: &Aws,
    service: &ServiceName,
    behind: &Behind,
    listener_port: u16,
) -> Result<FrontDoor, SeedError> {
    let missing = |operation, member| move || SeedError::Answer { operation, member };
    // ELBv2 names have at most 32 characters and no dash at the end.
    let name: String = service.as_str().replace('_', "-").chars().take(32).collect();
    let name = name.trim_matches('-').to_owned();
    let balancer = aws
        .elb
        .create_load_balancer()
        .name(&name)
        .subnets("subnet-00000000")
        .subnets("subnet-00000001")
        .send()
        .await
        .map_err(call("CreateLoadBalancer"))?;
    let balancer = balancer
        .load_balancers()
        .first()
        .and_then(|balancer| balancer.load_balancer_arn())
        .ok_or_else(missing("CreateLoadBalancer", "LoadBalancerArn"))?
        .to_owned();
    let group = aws
        .elb
        .create_target_group()
        .name(&name)
        .protocol(ProtocolEnum::Http)
        .port(i32::from(behind.port))
        .target_type(TargetTypeEnum::Ip)
        .vpc_id("vpc-00000000")
        .health_check_path(&behind.health_path)
        .health_check_interval_seconds(5)
        .health_check_timeout_seconds(2)
        .healthy_threshold_count(2)
        .unhealthy_threshold_count(2)
        .send()
        .await
        .map_err(call("CreateTargetGroup"))?;
    let group = group
        .target_groups()
        .first()
        .and_then(|group| group.target_group_arn())
        .ok_or_else(missing("CreateTargetGroup", "TargetGroupArn"))?
        .to_owned();
    aws.elb
        .modify_target_group_attributes()
        .target_group_arn(&group)
        .attributes(
            TargetGroupAttribute::builder()
                .key("deregistration_delay.timeout_seconds")
                .value(DEREGISTRATION_DELAY)
                .build(),
        )
        .send()
        .await
        .map_err(call("ModifyTargetGroupAttributes"))?;
    let forward = Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .target_group_arn(&group)
        .build();
    aws.elb
        .create_listener()
        .load_balancer_arn(balancer)
        .protocol(ProtocolEnum::Http)
        .port(i32::from(listener_port))
        .default_actions(forward)
        .send()
        .await
        .map_err(call("CreateListener"))?;
    Ok(FrontDoor {
        target_group: group,
        port: listener_port,
    })
}

/// Seconds that a stopping task keeps its open requests: short, since a laptop's user waits for it.
const DEREGISTRATION_DELAY: &str = "5";

/// Creates a service with a circuit breaker that rolls back.
///
/// # Errors
/// [`SeedError`] of `CreateService`.
pub async fn service(
    aws: &Aws,
    cluster: &str,
    name: &ServiceName,
    revision: &str,
    desired: u32,
    front: Option<(&FrontDoor, &Behind)>,
) -> Result<(), SeedError> {
    let breaker = DeploymentCircuitBreaker::builder()
        .enable(true)
        .rollback(true)
        .build();
    let vpc = AwsVpcConfiguration::builder()
        .subnets("subnet-00000000")
        .security_groups("sg-00000000")
        .assign_public_ip(AssignPublicIp::Disabled)
        .build()
        .map_err(call("CreateService"))?;
    let balancers = front.map(|(door, behind)| {
        vec![
            LoadBalancer::builder()
                .target_group_arn(&door.target_group)
                .container_name(&behind.container)
                .container_port(i32::from(behind.port))
                .build(),
        ]
    });
    aws.ecs
        .create_service()
        .cluster(cluster)
        .service_name(name.as_str())
        .task_definition(revision)
        .desired_count(i32::try_from(desired).unwrap_or(i32::MAX))
        .launch_type(LaunchType::Fargate)
        .network_configuration(NetworkConfiguration::builder().awsvpc_configuration(vpc).build())
        .deployment_configuration(
            DeploymentConfiguration::builder()
                .deployment_circuit_breaker(breaker)
                .build(),
        )
        .set_load_balancers(balancers)
        .send()
        .await
        .map_err(call("CreateService"))?;
    Ok(())
}

/// The task definition that runs before: the service's file with version 1's images, or a plain one.
#[must_use]
pub fn task_definition_before(
    service: &ServiceName,
    file: Option<&Value>,
    images: &BTreeMap<String, ImageRef>,
    port: Option<u16>,
    health_command: &[String],
) -> Value {
    if let Some(file) = file {
        let mut definition = file.get("taskDefinition").unwrap_or(file).clone();
        for container in containers_mut(&mut definition) {
            let image = container
                .get("name")
                .and_then(Value::as_str)
                .and_then(|name| images.get(name));
            if let Some(image) = image {
                container.insert("image".to_owned(), image.to_string().into());
            }
        }
        return definition;
    }
    let containers: Vec<Value> = images
        .iter()
        .enumerate()
        .map(|(index, (name, image))| {
            let mut container = json!({
                "name": name,
                "image": image.to_string(),
                "essential": true,
                "logConfiguration": { "logDriver": "awslogs", "options": {
                    "awslogs-group": format!("/ecs/{service}"),
                    "awslogs-region": "eu-west-1",
                    "awslogs-stream-prefix": "ecs",
                } },
            });
            if let (0, Some(port)) = (index, port) {
                container["portMappings"] = json!([{ "containerPort": port, "protocol": "tcp" }]);
            }
            if index == 0 && !health_command.is_empty() {
                container["healthCheck"] = json!({
                    "command": health_command, "interval": 5, "timeout": 2, "retries": 2,
                });
            }
            container
        })
        .collect();
    json!({
        "family": service.as_str(),
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": "arn:aws:iam::000000000000:role/ecsTaskExecutionRole",
        "containerDefinitions": containers,
    })
}

/// The container that the load balancer of a dry run forwards to: the one that maps `port`.
#[must_use]
pub fn container_behind(task_definition: &Value, port: u16) -> Option<String> {
    task_definition
        .get("containerDefinitions")?
        .as_array()?
        .iter()
        .find(|container| {
            let mappings = container.get("portMappings").and_then(Value::as_array);
            mappings.is_some_and(|mappings| {
                mappings.iter().any(|mapping| {
                    mapping.get("containerPort").and_then(Value::as_u64) == Some(u64::from(port))
                })
            })
        })
        .and_then(|container| container.get("name")?.as_str())
        .map(str::to_owned)
}

fn containers_mut(definition: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    definition
        .get_mut("containerDefinitions")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

fn groups_of(task_definition: &Value) -> Vec<String> {
    let containers = task_definition
        .get("containerDefinitions")
        .and_then(Value::as_array);
    let mut groups: Vec<String> = containers
        .into_iter()
        .flatten()
        .filter_map(|container| container.get("logConfiguration"))
        .filter(|logs| logs.get("logDriver").and_then(Value::as_str) == Some("awslogs"))
        .filter_map(|logs| logs.get("options")?.get("awslogs-group")?.as_str())
        .map(str::to_owned)
        .collect();
    groups.sort();
    groups.dedup();
    groups
}

#[cfg(test)]
mod tests {
    use super::{container_behind, groups_of, task_definition_before};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn images() -> BTreeMap<String, crate::name::ImageRef> {
        BTreeMap::from([("web".to_owned(), "127.0.0.1:1/shop/web:before".parse().unwrap())])
    }

    #[test]
    fn a_file_keeps_everything_but_the_images() {
        let file = json!({ "family": "shop", "future": { "a": [] }, "containerDefinitions": [
            { "name": "web", "image": "x", "new": "" }, { "name": "side", "image": "envoy:1" } ] });
        let service = "shop".parse().unwrap();
        let before = task_definition_before(&service, Some(&file), &images(), None, &[]);
        assert_eq!(
            before,
            json!({ "family": "shop", "future": { "a": [] }, "containerDefinitions": [
                { "name": "web", "image": "127.0.0.1:1/shop/web:before", "new": "" },
                { "name": "side", "image": "envoy:1" } ] })
        );
    }

    #[test]
    fn without_a_file_a_plain_definition_with_port_check_and_logs_is_made() {
        let service = "shop".parse().unwrap();
        let check = ["CMD".to_owned(), "/hello".to_owned()];
        let made = task_definition_before(&service, None, &images(), Some(8080), &check);
        assert_eq!(container_behind(&made, 8080).as_deref(), Some("web"));
        assert_eq!(container_behind(&made, 9090), None);
        assert_eq!(groups_of(&made), ["/ecs/shop"]);
        assert_eq!(
            made["containerDefinitions"][0]["healthCheck"]["command"],
            json!(check)
        );
    }
}
