//! What CreateService, UpdateService and RunTask refuse: networks, load balancers, deployment configurations.

use super::request::{invalid, list, number, text};
use super::strategy_rules::{check_early_success, check_strategy};
use crate::sandbox::world::elb::Elb;
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};

/// awsvpc tasks need a network configuration with subnets, and others may not have one.
pub fn check_network(definition: &Value, input: &Value) -> Result<(), ApiError> {
    let network = &input["networkConfiguration"]["awsvpcConfiguration"];
    let given = !list(network, "subnets").is_empty();
    if definition["networkMode"] == "awsvpc" && !given {
        return Err(invalid(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        ));
    }
    if definition["networkMode"] != "awsvpc" && !network.is_null() {
        return Err(invalid(
            "Network Configuration is not valid for the given networkMode of this task definition.",
        ));
    }
    for (key, most) in [("subnets", 16), ("securityGroups", 5)] {
        if list(network, key).len() > most {
            return Err(invalid(format!("{key} can have at most {most} items.")));
        }
    }
    Ok(())
}

/// Load balancers name a container, one of its ports, and a target group that a load balancer uses.
pub fn check_balancers(definition: &Value, input: &Value, elb: &Elb) -> Result<(), ApiError> {
    for balancer in list(input, "loadBalancers") {
        let group = text(balancer, "targetGroupArn").ok_or_else(|| {
            invalid("The sandbox imitates no Classic Load Balancers: name a targetGroupArn.")
        })?;
        match elb.is_attached(group) {
            None => return Err(invalid(format!("The target group {group} does not exist."))),
            Some(false) => {
                return Err(invalid(format!(
                    "The target group with targetGroupArn {group} does not have an associated load balancer."
                )));
            }
            Some(true) => {}
        }
        let name = text(balancer, "containerName").unwrap_or_default();
        let containers = list(definition, "containerDefinitions");
        let Some(container) = containers.iter().find(|container| container["name"] == name) else {
            return Err(invalid(format!(
                "The container {name} does not exist in the task definition."
            )));
        };
        let port = &balancer["containerPort"];
        if list(container, "portMappings")
            .iter()
            .all(|mapping| mapping["containerPort"].as_u64() != port.as_u64())
        {
            return Err(invalid(format!(
                "The container {name} did not have a container port {port} defined."
            )));
        }
    }
    if input["healthCheckGracePeriodSeconds"]
        .as_u64()
        .is_some_and(|n| n > 0)
        && list(input, "loadBalancers").is_empty()
        && !has_checks(definition)
    {
        return Err(invalid(
            "Health check grace period is only valid for services configured to use load balancers",
        ));
    }
    Ok(())
}

fn has_checks(definition: &Value) -> bool {
    list(definition, "containerDefinitions")
        .iter()
        .any(|container| container.get("healthCheck").is_some())
}

/// The deployment configuration with what was given and ECS's defaults.
///
/// # Errors
/// `InvalidParameterException` for values out of range, or that do not go together; `UnsupportedFeatureException` for
/// what the sandbox does not imitate.
pub fn deployment_configuration(old: &Value, given: &Value, daemon: bool) -> Result<Value, ApiError> {
    let (maximum, minimum) = if daemon { (100, 0) } else { (200, 100) };
    let mut all = json!({
        "deploymentCircuitBreaker": { "enable": false, "rollback": false },
        "maximumPercent": maximum,
        "minimumHealthyPercent": minimum,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    });
    for (key, value) in [old, given].into_iter().filter_map(Value::as_object).flatten() {
        if !value.is_null() {
            all[key.as_str()] = value.clone();
        }
    }
    check_strategy(&mut all, old, given, daemon)?;
    let maximum = number(&all, "maximumPercent")?.unwrap_or(200);
    let minimum = number(&all, "minimumHealthyPercent")?.unwrap_or(100);
    if maximum == 0 || maximum < minimum {
        return Err(invalid(
            "maximumPercent must be above 0 and at least minimumHealthyPercent.",
        ));
    }
    if minimum > 100 {
        return Err(invalid("minimumHealthyPercent must be at most 100."));
    }
    check_early_success(&all, minimum)?;
    Ok(all)
}
