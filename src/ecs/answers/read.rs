//! JSON of the APIs to our own plain data; every word of an API goes through its text, so that none is lost or mistaken.

use crate::ecs::observation::{
    Attachment, Breaker, BreakerSetting, Container, Controller, Deployment, Health, RevisionCounts, Rollback,
    Service, ServiceDeployment, ServiceEvent, Strategy, Target, Task,
};
use serde_json::Value;

/// The elements of an array; none of anything else.
#[must_use]
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A string.
#[must_use]
pub fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn count(value: &Value) -> u32 {
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or_default()
}

fn port(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|port| u16::try_from(port).ok())
}

/// An element of `services` (DescribeServices), or `service` (UpdateService).
#[must_use]
pub fn service(from: &Value) -> Service {
    let settings = &from["deploymentConfiguration"];
    let daemon = from["schedulingStrategy"] == "DAEMON";
    let percent = |value: &Value, default: u32| value.as_u64().map_or(default, |_| count(value));
    Service {
        status: word(&from["status"]).into(),
        controller: from["deploymentController"]["type"]
            .as_str()
            .map_or(Controller::Ecs, Into::into),
        strategy: settings["strategy"]
            .as_str()
            .map_or(Strategy::Rolling, Into::into),
        breaker: breaker_setting(settings),
        percent: (
            percent(&settings["minimumHealthyPercent"], if daemon { 0 } else { 100 }),
            percent(&settings["maximumPercent"], if daemon { 100 } else { 200 }),
        ),
        desired: count(&from["desiredCount"]),
        running: count(&from["runningCount"]),
        pending: count(&from["pendingCount"]),
        task_definition: word(&from["taskDefinition"]).to_owned(),
        deployments: list(&from["deployments"]).iter().map(deployment).collect(),
        events: list(&from["events"]).iter().map(event).collect(),
        current_service_deployment: text(&from["currentServiceDeployment"]),
        load_balancers: list(&from["loadBalancers"])
            .iter()
            .filter_map(attachment)
            .collect(),
    }
}

fn breaker_setting(settings: &Value) -> BreakerSetting {
    let on = |value: &Value| value.as_bool() == Some(true);
    let breaker = &settings["deploymentCircuitBreaker"];
    let alarms = &settings["alarms"];
    let rolls_back = |monitor: &Value| on(&monitor["enable"]) && on(&monitor["rollback"]);
    match (rolls_back(breaker) || rolls_back(alarms), on(&breaker["enable"])) {
        (true, _) => BreakerSetting::RollsBack,
        (false, true) => BreakerSetting::On,
        (false, false) => BreakerSetting::Off,
    }
}

fn attachment(from: &Value) -> Option<Attachment> {
    Some(Attachment {
        target_group: text(&from["targetGroupArn"])?,
        container: word(&from["containerName"]).to_owned(),
        port: port(&from["containerPort"]),
    })
}

fn deployment(from: &Value) -> Deployment {
    Deployment {
        id: word(&from["id"]).to_owned(),
        status: word(&from["status"]).into(),
        rollout: from["rolloutState"].as_str().map(Into::into),
        reason: text(&from["rolloutStateReason"]),
        desired: count(&from["desiredCount"]),
        running: count(&from["runningCount"]),
        pending: count(&from["pendingCount"]),
        failed: count(&from["failedTasks"]),
        task_definition: word(&from["taskDefinition"]).to_owned(),
    }
}

fn event(from: &Value) -> ServiceEvent {
    ServiceEvent {
        id: word(&from["id"]).to_owned(),
        message: word(&from["message"]).to_owned(),
    }
}

/// An element of `serviceDeployments` (DescribeServiceDeployments).
#[must_use]
pub fn service_deployment(from: &Value) -> ServiceDeployment {
    let there = |value: &Value| value.is_object();
    let target = &from["targetServiceRevision"];
    let rollback = &from["rollback"];
    let breaker = &from["deploymentCircuitBreaker"];
    ServiceDeployment {
        arn: word(&from["serviceDeploymentArn"]).to_owned(),
        status: word(&from["status"]).into(),
        reason: text(&from["statusReason"]),
        target: there(target).then(|| RevisionCounts {
            arn: word(&target["arn"]).to_owned(),
            requested: count(&target["requestedTaskCount"]),
            running: count(&target["runningTaskCount"]),
            pending: count(&target["pendingTaskCount"]),
        }),
        rollback: there(rollback).then(|| Rollback {
            reason: text(&rollback["reason"]),
            revision: text(&rollback["serviceRevisionArn"]),
        }),
        breaker: there(breaker).then(|| Breaker {
            status: word(&breaker["status"]).into(),
            failures: count(&breaker["failureCount"]),
            threshold: count(&breaker["threshold"]),
        }),
        triggered_alarms: list(&from["alarms"]["triggeredAlarmNames"])
            .iter()
            .filter_map(text)
            .collect(),
        stage: text(&from["lifecycleStage"]),
    }
}

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
        stopping: from["desiredStatus"] == "STOPPED",
        health: health(&from["healthStatus"]),
        address: address(from),
        containers: list(&from["containers"]).iter().map(container).collect(),
        stop_code: from["stopCode"].as_str().map(Into::into),
        stopped_reason: text(&from["stoppedReason"]),
    }
}

fn health(from: &Value) -> Health {
    from.as_str().map_or(Health::Unknown, Into::into)
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
