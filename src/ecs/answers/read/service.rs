//! A service, as DescribeServices and UpdateService show it.

use super::{Unreadable, all, count, is_on, list, number, optional, optional_number, port, text, word};
use crate::ecs::observation::{
    AlarmSettings, Attachment, BreakerSetting, Configuration, Controller, Deployment, EarlySuccess,
    HookSettings, Service, ServiceEvent, Share, Shift, Strategy, Threshold,
};
use serde_json::Value;
use std::time::Duration;

/// How long a hook may take at a stage, where nobody said otherwise (ECS's own default).
const HOOK_TIMEOUT: Duration = Duration::from_secs(1440 * 60);

/// An element of `services` (DescribeServices), or `service` (UpdateService).
///
/// # Errors
/// [`Unreadable`] when something that a verdict rests on is missing or is not what it should be.
pub fn service(from: &Value) -> Result<Service, Unreadable> {
    let settings = &from["deploymentConfiguration"];
    let daemon = from["schedulingStrategy"] == "DAEMON";
    let percent = |value: &Value, default: u32| number(value).unwrap_or(default);
    let deployments = all(&from["deployments"], "deployments")?;
    let balancers = &from["loadBalancers"];
    let load_balancers = list(balancers)
        .iter()
        .filter(|each| !each["targetGroupArn"].is_null())
        .map(attachment)
        .collect::<Result<Vec<Attachment>, Unreadable>>()?;
    let lattice = deployments
        .iter()
        .any(|deployment| is_there(&deployment["vpcLatticeConfigurations"]));
    Ok(Service {
        status: word(&from["status"]).into(),
        controller: optional(&from["deploymentController"]["type"]).unwrap_or(Controller::Ecs),
        strategy: optional(&settings["strategy"]).unwrap_or(Strategy::Rolling),
        breaker: breaker_setting(settings),
        percent: (
            percent(&settings["minimumHealthyPercent"], if daemon { 0 } else { 100 }),
            percent(&settings["maximumPercent"], if daemon { 100 } else { 200 }),
        ),
        desired: count(&from["desiredCount"], "desiredCount")?,
        running: count(&from["runningCount"], "runningCount")?,
        pending: count(&from["pendingCount"], "pendingCount")?,
        task_definition: word(&from["taskDefinition"]).to_owned(),
        deployments: deployments
            .iter()
            .map(deployment)
            .collect::<Result<Vec<Deployment>, Unreadable>>()?,
        events: list(&from["events"]).iter().map(event).collect(),
        current_service_deployment: text(&from["currentServiceDeployment"]),
        unseen_health: lattice || !balancers.is_array() || load_balancers.len() < list(balancers).len(),
        load_balancers,
        configuration: configuration(settings)?,
    })
}

/// Whether a list has elements; anything that is no list might.
fn is_there(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(elements) => !elements.is_empty(),
        _ => true,
    }
}

fn breaker_setting(settings: &Value) -> BreakerSetting {
    let breaker = &settings["deploymentCircuitBreaker"];
    let on = |member: &str| breaker[member].as_bool() == Some(true);
    match (on("enable"), on("rollback")) {
        (true, true) => BreakerSetting::RollsBack,
        (true, false) => BreakerSetting::On,
        (false, _) => BreakerSetting::Off,
    }
}

fn configuration(settings: &Value) -> Result<Configuration, Unreadable> {
    let alarms = &settings["alarms"];
    let early = &settings["earlySuccessCriteria"];
    Ok(Configuration {
        bake: minutes(&settings["bakeTimeInMinutes"], "bakeTimeInMinutes")?.filter(|bake| !bake.is_zero()),
        linear: shift(
            &settings["linearConfiguration"],
            ["stepPercent", "stepBakeTimeInMinutes"],
            (10.0, 6),
        ),
        canary: shift(
            &settings["canaryConfiguration"],
            ["canaryPercent", "canaryBakeTimeInMinutes"],
            (5.0, 10),
        ),
        alarms: AlarmSettings {
            enabled: is_on(&alarms["enable"]),
            rolls_back: is_on(&alarms["enable"]) && alarms["rollback"].as_bool() == Some(true),
            names: list(&alarms["alarmNames"]).iter().filter_map(text).collect(),
        },
        threshold: threshold(&settings["deploymentCircuitBreaker"]["thresholdConfiguration"]),
        early_success: is_on(&early["enable"]).then(|| EarlySuccess {
            healthy_percent: number(&early["healthyPercent"]).unwrap_or(0).min(100),
            deferred_cleanup: early["sourceServiceRevisionCleanup"] != "BLOCKING",
        }),
        hooks: list(&settings["lifecycleHooks"]).iter().map(hook).collect(),
    })
}

fn minutes(value: &Value, member: &'static str) -> Result<Option<Duration>, Unreadable> {
    let minutes = optional_number(value, member)?;
    Ok(minutes.map(|minutes| Duration::from_secs(u64::from(minutes) * 60)))
}

/// A step of traffic with ECS's defaults for what is left out; none where there is no such configuration.
fn shift(from: &Value, members: [&str; 2], defaults: (f64, u32)) -> Option<Shift> {
    from.as_object()?;
    let percent = from[members[0]].as_f64().unwrap_or(defaults.0);
    let minutes = number(&from[members[1]]).unwrap_or(defaults.1);
    Some(Shift {
        share: Share::of_percent(percent)?,
        bake: Duration::from_secs(u64::from(minutes) * 60),
    })
}

fn threshold(from: &Value) -> Threshold {
    let value = number(&from["value"]).unwrap_or(50);
    match from["type"].as_str() {
        None | Some("BOUNDED_PERCENT") => Threshold::BoundedPercent(value),
        Some("UNBOUNDED_PERCENT") => Threshold::UnboundedPercent(value),
        Some("COUNT") => Threshold::Count(value),
        Some(other) => Threshold::Unrecognised(other.to_owned()),
    }
}

fn hook(from: &Value) -> HookSettings {
    let timeout = number(&from["timeoutConfiguration"]["timeoutInMinutes"]);
    HookSettings {
        pauses: from["targetType"] == "PAUSE",
        stages: list(&from["lifecycleStages"]).iter().filter_map(text).collect(),
        timeout: timeout.map_or(HOOK_TIMEOUT, |minutes| {
            Duration::from_secs(u64::from(minutes) * 60)
        }),
    }
}

fn attachment(from: &Value) -> Result<Attachment, Unreadable> {
    const MEMBER: &str = "loadBalancers";
    let unreadable = Unreadable { member: MEMBER };
    Ok(Attachment {
        target_group: text(&from["targetGroupArn"]).ok_or(unreadable)?,
        alternate: text(&from["advancedConfiguration"]["alternateTargetGroupArn"]),
        container: word(&from["containerName"]).to_owned(),
        port: match &from["containerPort"] {
            Value::Null => None,
            other => Some(port(other).ok_or(unreadable)?),
        },
    })
}

fn deployment(from: &Value) -> Result<Deployment, Unreadable> {
    Ok(Deployment {
        id: text(&from["id"]).ok_or(Unreadable {
            member: "deployments[].id",
        })?,
        status: word(&from["status"]).into(),
        rollout: optional(&from["rolloutState"]),
        reason: text(&from["rolloutStateReason"]),
        desired: count(&from["desiredCount"], "deployments[].desiredCount")?,
        running: count(&from["runningCount"], "deployments[].runningCount")?,
        pending: count(&from["pendingCount"], "deployments[].pendingCount")?,
        // No success rests on it, and not every version of the API has it.
        failed: number(&from["failedTasks"]).unwrap_or_default(),
        task_definition: word(&from["taskDefinition"]).to_owned(),
    })
}

fn event(from: &Value) -> ServiceEvent {
    ServiceEvent {
        id: word(&from["id"]).to_owned(),
        message: word(&from["message"]).to_owned(),
    }
}
