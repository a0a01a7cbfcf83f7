//! What RegisterTaskDefinition refuses, and with which words.

use super::fargate;
use super::request::{client, list, text, texts};
use crate::name::ContainerName;
use crate::sandbox::world::error::ApiError;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The size limit of a task definition, in bytes ("Amazon ECS service quotas").
const MAX_SIZE: usize = 64 * 1024;

/// Checks a registration; images at the host `registry` are ECR's.
///
/// # Errors
/// `ClientException` with the first rule that it breaks.
pub fn check(input: &Value, registry: &str) -> Result<(), ApiError> {
    let family = text(input, "family").ok_or_else(|| client("Family should not be null or empty."))?;
    // A family follows the same rule as a container's name: letters, digits, `-`, `_`, up to 255.
    if family.parse::<ContainerName>().is_err() {
        return Err(client(
            "Invalid family: it can have up to 255 letters, digits, hyphens and underscores.",
        ));
    }
    let size = input.to_string().len();
    if size > MAX_SIZE {
        return Err(client(format!(
            "Actual length: '{size}'. Max allowed length is '{MAX_SIZE}' bytes."
        )));
    }
    let containers = list(input, "containerDefinitions");
    if containers.is_empty() {
        return Err(client("Container list cannot be empty."));
    }
    let mut names = BTreeSet::new();
    for container in containers {
        let name = check_name(container)?;
        if !names.insert(name) {
            return Err(client(format!(
                "Invalid 'name' setting for container. Duplicate container name '{name}'."
            )));
        }
    }
    if !containers.iter().any(is_essential) {
        return Err(client(
            "Invalid setting for container list. At least one container must be essential.",
        ));
    }
    let awsvpc = input["networkMode"] == "awsvpc";
    for container in containers {
        check_container(container, input, awsvpc)?;
    }
    check_order(containers)?;
    if texts(input, "requiresCompatibilities").contains(&"FARGATE") {
        fargate::check(input, registry)?;
    }
    Ok(())
}

/// Containers are essential unless they say otherwise.
#[must_use]
pub fn is_essential(container: &Value) -> bool {
    container["essential"].as_bool().unwrap_or(true)
}

fn check_name(container: &Value) -> Result<&str, ApiError> {
    let name =
        text(container, "name").ok_or_else(|| client("Container.name should not be null or empty."))?;
    if name.parse::<ContainerName>().is_err() {
        return Err(client(format!(
            "Invalid 'name' setting for container '{name}'. Names can have up to 255 letters, digits, hyphens and \
             underscores."
        )));
    }
    Ok(name)
}

fn check_container(container: &Value, input: &Value, awsvpc: bool) -> Result<(), ApiError> {
    let name = text(container, "name").unwrap_or_default();
    let Some(image) = text(container, "image") else {
        return Err(client("Container.image should not be null or empty."));
    };
    if image.len() > 255 || image.chars().any(char::is_whitespace) {
        return Err(client(format!("Invalid 'image' setting for container '{name}'.")));
    }
    check_memory(container, name, input)?;
    if awsvpc && !list(container, "links").is_empty() {
        return Err(client("Links are not supported when networkMode=awsvpc."));
    }
    for mapping in list(container, "portMappings") {
        check_port(mapping, name, awsvpc)?;
    }
    check_health(container, name)?;
    check_timeouts(container, name, input)?;
    if container["logConfiguration"]["logDriver"] == "awslogs" {
        let options = &container["logConfiguration"]["options"];
        for option in ["awslogs-group", "awslogs-region"] {
            if text(options, option).is_none() {
                return Err(client(format!(
                    "Log driver awslogs requires options: awslogs-group, awslogs-region; container '{name}' lacks \
                     {option}."
                )));
            }
        }
    }
    Ok(())
}

fn check_memory(container: &Value, name: &str, input: &Value) -> Result<(), ApiError> {
    let size = |key: &str| container[key].as_u64();
    let task = fargate::memory(input);
    match (size("memory"), size("memoryReservation"), task) {
        (None, None, None) => Err(client(format!(
            "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
        ))),
        (Some(hard), Some(soft), _) if hard < soft => Err(client(format!(
            "Invalid setting for container '{name}'. 'memory' must be greater than or equal to 'memoryReservation'."
        ))),
        (Some(hard), _, _) if hard < 4 => Err(client(format!(
            "Invalid 'memory' setting for container '{name}'. The minimum is 4."
        ))),
        (Some(hard), _, Some(task)) if hard > task => Err(client(format!(
            "Invalid 'memory' setting for container '{name}'. It is greater than the task's memory."
        ))),
        _ => Ok(()),
    }
}

fn check_port(mapping: &Value, name: &str, awsvpc: bool) -> Result<(), ApiError> {
    let Some(port) = mapping.get("containerPort") else {
        // A range has no single port.
        return Ok(());
    };
    let port = port.as_u64().filter(|port| (1..=65_535).contains(port));
    let Some(port) = port else {
        return Err(client(format!(
            "Invalid 'containerPort' setting for container '{name}'."
        )));
    };
    let host = mapping["hostPort"].as_u64();
    if awsvpc && host.is_some_and(|host| host != port && host != 0) {
        return Err(client(
            "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
        ));
    }
    Ok(())
}

fn check_health(container: &Value, name: &str) -> Result<(), ApiError> {
    let Some(check) = container.get("healthCheck").filter(|check| !check.is_null()) else {
        return Ok(());
    };
    let command = texts(check, "command");
    let command_is_right = match command.first() {
        Some(&"CMD" | &"CMD-SHELL") => command.len() > 1,
        Some(&"NONE") => true,
        _ => false,
    };
    if !command_is_right {
        return Err(client(format!(
            "Invalid 'healthCheck.command' setting for container '{name}'. It must start with CMD or CMD-SHELL."
        )));
    }
    for (key, least, most) in [
        ("interval", 5, 300),
        ("timeout", 2, 60),
        ("retries", 1, 10),
        ("startPeriod", 0, 300),
    ] {
        if let Some(value) = check.get(key).filter(|value| !value.is_null())
            && !value
                .as_u64()
                .is_some_and(|value| (least..=most).contains(&value))
        {
            return Err(client(format!(
                "Invalid 'healthCheck.{key}' setting for container '{name}'. It must be between {least} and {most}."
            )));
        }
    }
    Ok(())
}

fn check_timeouts(container: &Value, name: &str, input: &Value) -> Result<(), ApiError> {
    let fargate = texts(input, "requiresCompatibilities").contains(&"FARGATE");
    for key in ["startTimeout", "stopTimeout"] {
        let Some(value) = container.get(key).filter(|value| !value.is_null()) else {
            continue;
        };
        let most = if fargate { 120 } else { u64::from(u32::MAX) };
        if !value.as_u64().is_some_and(|value| (2..=most).contains(&value)) {
            return Err(client(format!(
                "Invalid '{key}' setting for container '{name}'. It must be between 2 and {most}."
            )));
        }
    }
    Ok(())
}

/// `dependsOn` names other containers of the task, with conditions that they can meet, and without a cycle.
fn check_order(containers: &[Value]) -> Result<(), ApiError> {
    let by_name: BTreeMap<&str, &Value> = containers
        .iter()
        .filter_map(|container| Some((text(container, "name")?, container)))
        .collect();
    for (name, container) in &by_name {
        for dependency in list(container, "dependsOn") {
            let other = text(dependency, "containerName").unwrap_or_default();
            let Some(target) = by_name.get(other) else {
                return Err(client(format!(
                    "Invalid 'dependsOn' setting for container '{name}'. There is no container '{other}'."
                )));
            };
            match dependency["condition"].as_str() {
                Some("START") => {}
                Some("HEALTHY") if target.get("healthCheck").is_some() => {}
                Some("HEALTHY") => {
                    return Err(client(format!(
                        "Invalid 'dependsOn' setting for container '{name}'. Container '{other}' has no health check."
                    )));
                }
                Some("COMPLETE" | "SUCCESS") if !is_essential(target) => {}
                Some("COMPLETE" | "SUCCESS") => {
                    return Err(client(format!(
                        "Invalid 'dependsOn' setting for container '{name}'. Container '{other}' is essential, so \
                         nothing can wait for its end."
                    )));
                }
                _ => {
                    return Err(client(format!(
                        "Invalid 'dependsOn' setting for container '{name}'. The condition must be START, COMPLETE, \
                         SUCCESS or HEALTHY."
                    )));
                }
            }
        }
    }
    match by_name
        .keys()
        .find(|name| waits_for(name, name, &by_name, containers.len()))
    {
        Some(name) => Err(client(format!(
            "Invalid 'dependsOn' setting for container '{name}'. The dependencies have a cycle."
        ))),
        None => Ok(()),
    }
}

/// Whether `from` waits for `target`, over at most `depth` steps.
fn waits_for(from: &str, target: &str, by_name: &BTreeMap<&str, &Value>, depth: usize) -> bool {
    depth > 0
        && by_name.get(from).is_some_and(|container| {
            list(container, "dependsOn")
                .iter()
                .filter_map(|dependency| text(dependency, "containerName"))
                .any(|other| other == target || waits_for(other, target, by_name, depth - 1))
        })
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::{Value, json};

    fn web() -> Value {
        json!({ "name": "web", "image": "nginx:1", "memory": 128 })
    }

    fn with(key: &str, value: Value) -> Value {
        let mut container = web();
        container[key] = value;
        container
    }

    fn told(containers: &Value) -> String {
        let input = json!({ "family": "web", "networkMode": "awsvpc", "containerDefinitions": containers });
        match check(&input, "127.0.0.1:4566") {
            Ok(()) => "ok".to_owned(),
            Err(error) => {
                assert_eq!(error.code, "ClientException");
                error.message
            }
        }
    }

    #[test]
    fn every_rule_has_its_words() {
        let side = json!({ "name": "side", "image": "side:1", "memory": 128, "essential": false });
        for (containers, says) in [
            (json!([web()]), "ok"),
            (json!([]), "Container list cannot be empty."),
            (json!([web(), web()]), "Duplicate container name 'web'."),
            (
                json!([with("name", json!("we b"))]),
                "Invalid 'name' setting for container 'we b'.",
            ),
            (
                json!([with("name", json!(""))]),
                "Container.name should not be null or empty.",
            ),
            (
                json!([with("image", json!(null))]),
                "Container.image should not be null or empty.",
            ),
            (
                json!([with("essential", json!(false))]),
                "At least one container must be essential.",
            ),
            (
                json!([with("memory", json!(null))]),
                "At least one of 'memory' or 'memoryReservation'",
            ),
            (
                json!([with("memoryReservation", json!(256))]),
                "greater than or equal to 'memoryReservation'",
            ),
            (
                json!([with("links", json!(["db"]))]),
                "Links are not supported when networkMode=awsvpc.",
            ),
            (
                json!([with("portMappings", json!([{ "containerPort": 0 }]))]),
                "Invalid 'containerPort'",
            ),
            (
                json!([with(
                    "portMappings",
                    json!([{ "containerPort": 80, "hostPort": 81 }])
                )]),
                "must match.",
            ),
            (
                json!([with("healthCheck", json!({ "command": ["curl"] }))]),
                "CMD or CMD-SHELL",
            ),
            (
                json!([with(
                    "healthCheck",
                    json!({ "command": ["CMD-SHELL", "true"], "interval": 1 })
                )]),
                "It must be between 5 and 300.",
            ),
            (
                json!([with(
                    "dependsOn",
                    json!([{ "containerName": "db", "condition": "START" }])
                )]),
                "There is no container 'db'.",
            ),
            (
                json!([
                    with(
                        "dependsOn",
                        json!([{ "containerName": "side", "condition": "HEALTHY" }])
                    ),
                    side
                ]),
                "Container 'side' has no health check.",
            ),
            (
                json!([
                    with(
                        "dependsOn",
                        json!([{ "containerName": "side", "condition": "SUCCESS" }])
                    ),
                    side
                ]),
                "ok",
            ),
            (
                json!([with(
                    "dependsOn",
                    json!([{ "containerName": "web", "condition": "START" }])
                )]),
                "The dependencies have a cycle.",
            ),
            (
                json!([with(
                    "logConfiguration",
                    json!({ "logDriver": "awslogs", "options": { "awslogs-group": "g" } })
                )]),
                "lacks awslogs-region.",
            ),
        ] {
            let message = told(&containers);
            assert!(message.contains(says), "{containers}: {message}");
        }
    }
}
