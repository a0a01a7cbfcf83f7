//! A task with its containers, and a target of a load balancer.

use super::{list, optional, port, text, word};
use crate::ecs::observation::{Container, Health, Target, Task};
use serde_json::Value;
use std::time::Duration;

/// An element of `tasks` (DescribeTasks).
#[must_use]
pub fn task(from: &Value) -> Task {
    Task {
        id: word(&from["taskArn"])
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned(),
        status: word(&from["lastStatus"]).into(),
        stopping: from["desiredStatus"] != "RUNNING",
        ran_for: ran_for(from),
        health: health(&from["healthStatus"]),
        address: address(from),
        containers: list(&from["containers"]).iter().map(container).collect(),
        stop_code: optional(&from["stopCode"]),
        stopped_reason: text(&from["stoppedReason"]),
    }
}

/// From its start to its end, in ECS's own stamps: seconds since the epoch.
fn ran_for(from: &Value) -> Option<Duration> {
    let ends = ["executionStoppedAt", "stoppingAt", "stoppedAt"];
    let end = ends.iter().find_map(|end| from[*end].as_f64())?;
    Duration::try_from_secs_f64(end - from["startedAt"].as_f64()?).ok()
}

/// ECS always tells it, `UNKNOWN` where there is no check; left out, it is not known.
fn health(from: &Value) -> Health {
    word(from).into()
}

/// The private address of an `awsvpc` task: containers list it, and so does the task's network interface.
fn address(from: &Value) -> Option<String> {
    let of_containers = list(&from["containers"])
        .iter()
        .flat_map(|container| list(&container["networkInterfaces"]))
        .find_map(|interface| text(&interface["privateIpv4Address"]));
    let of_task = || {
        list(&from["attachments"])
            .iter()
            .flat_map(|attachment| list(&attachment["details"]))
            .find(|detail| detail["name"] == "privateIPv4Address")
            .and_then(|detail| text(&detail["value"]))
    };
    of_containers.or_else(of_task)
}

fn container(from: &Value) -> Container {
    Container {
        name: word(&from["name"]).to_owned(),
        health: health(&from["healthStatus"]),
        digest: from["imageDigest"]
            .as_str()
            .and_then(|digest| digest.parse().ok()),
        exit_code: from["exitCode"]
            .as_i64()
            .and_then(|code| i32::try_from(code).ok()),
        reason: text(&from["reason"]),
        runtime_id: text(&from["runtimeId"]),
    }
}

/// An element of `TargetHealthDescriptions` (DescribeTargetHealth).
#[must_use]
pub fn target(from: &Value) -> Target {
    let health = &from["TargetHealth"];
    Target {
        id: word(&from["Target"]["Id"]).to_owned(),
        port: port(&from["Target"]["Port"]),
        state: word(&health["State"]).into(),
        reason: text(&health["Reason"]),
        description: text(&health["Description"]),
    }
}
