//! What CreateService and UpdateService refuse of deployment strategies, lifecycle hooks, alarms and early success.

use super::request::{flag, invalid, list, number, text, texts};
use super::stages::{LifecycleStage, tenths};
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A day: the longest bake time (LinearConfiguration, CanaryConfiguration).
const MOST_MINUTES: u32 = 1440;
/// The longest time limit of a hook (DeploymentLifecycleHookDuration).
const MOST_HOOK_MINUTES: u32 = 20160;
/// "You can configure a maximum of 10 pause hooks and 10 Lambda hooks per service."
const MOST_HOOKS: usize = 10;

/// Checks the strategy of a deployment configuration, fills in its defaults, and drops what belongs to another strategy.
pub fn check_strategy(all: &mut Value, old: &Value, given: &Value, daemon: bool) -> Result<(), ApiError> {
    let strategy = all["strategy"].as_str().unwrap_or_default().to_owned();
    if !["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"].contains(&strategy.as_str()) {
        return Err(invalid(format!("Invalid deployment strategy: {strategy}")));
    }
    if daemon && strategy != "ROLLING" {
        return Err(invalid(format!(
            "The deployment strategy {strategy} is not supported with the DAEMON scheduling strategy."
        )));
    }
    check_minutes(all, "bakeTimeInMinutes")?;
    if strategy == "BLUE_GREEN" && old["strategy"] != "BLUE_GREEN" && given["bakeTimeInMinutes"].is_null() {
        return Err(invalid(
            "bakeTimeInMinutes must be provided for the deployment strategy BLUE_GREEN.",
        ));
    }
    for (key, of, percent, usual, range, bake, minutes) in [
        (
            "linearConfiguration",
            "LINEAR",
            "stepPercent",
            10.0,
            30..=1000,
            "stepBakeTimeInMinutes",
            6,
        ),
        (
            "canaryConfiguration",
            "CANARY",
            "canaryPercent",
            5.0,
            1..=1000,
            "canaryBakeTimeInMinutes",
            10,
        ),
    ] {
        if strategy != of {
            if !given[key].is_null() {
                return Err(invalid(format!(
                    "{key} is only valid for the deployment strategy {of}."
                )));
            }
            if let Some(members) = all.as_object_mut() {
                members.remove(key);
            }
            continue;
        }
        let settings = &mut all[key];
        if settings.is_null() {
            *settings = json!({});
        }
        for (member, value) in [(percent, json!(usual)), (bake, json!(minutes))] {
            if settings[member].is_null() {
                settings[member] = value;
            }
        }
        if tenths(&settings[percent]).is_none_or(|tenths| !range.contains(&tenths)) {
            let least = f64::from(*range.start()) / 10.0;
            return Err(invalid(format!(
                "{percent} must be a multiple of 0.1 from {least:.1} to 100.0, not {}.",
                settings[percent]
            )));
        }
        check_minutes(settings, bake)?;
    }
    check_hooks(given, &strategy)?;
    check_alarms(&all["alarms"])
}

fn check_minutes(settings: &Value, key: &str) -> Result<(), ApiError> {
    match number(settings, key)? {
        Some(minutes) if minutes > MOST_MINUTES => Err(invalid(format!(
            "{key} must be between 0 and {MOST_MINUTES}, not {minutes}."
        ))),
        _ => Ok(()),
    }
}

fn check_hooks(given: &Value, strategy: &str) -> Result<(), ApiError> {
    let hooks = list(given, "lifecycleHooks");
    if strategy == "ROLLING" && !hooks.is_empty() {
        return Err(ApiError::new(
            "UnsupportedFeatureException",
            "The sandbox does not imitate lifecycle hooks of the deployment strategy ROLLING.",
        ));
    }
    let mut pauses = 0;
    for hook in hooks {
        let pause = match text(hook, "targetType").unwrap_or("AWS_LAMBDA") {
            "PAUSE" => true,
            "AWS_LAMBDA" => false,
            _ => return Err(invalid("Invalid targetType. Valid values are: AWS_LAMBDA, PAUSE")),
        };
        pauses += usize::from(pause);
        for key in ["hookTargetArn", "roleArn"] {
            match (pause, text(hook, key)) {
                (true, Some(_)) => return Err(invalid(format!("{key} is not applicable to PAUSE hooks."))),
                (false, None) => return Err(invalid(format!("{key} is required for AWS_LAMBDA hooks."))),
                (true, None) | (false, Some(_)) => {}
            }
        }
        let stages = texts(hook, "lifecycleStages");
        if stages.is_empty() {
            return Err(invalid("lifecycleStages can not be empty."));
        }
        for stage in stages {
            let known = LifecycleStage::ALL.into_iter().find(|one| one.as_str() == stage);
            match known {
                Some(known) if known.takes_hooks(pause) => {}
                Some(known) if known.takes_hooks(false) => {
                    return Err(invalid("Invalid lifecycle stage provided for Pause Hook"));
                }
                Some(_) | None => {
                    return Err(invalid(format!("Invalid lifecycle stage for a hook: {stage}")));
                }
            }
        }
        let timeout = &hook["timeoutConfiguration"];
        if let Some(minutes) = number(timeout, "timeoutInMinutes")?
            && !(1..=MOST_HOOK_MINUTES).contains(&minutes)
        {
            return Err(invalid(format!(
                "timeoutInMinutes must be between 1 and {MOST_HOOK_MINUTES}, not {minutes}."
            )));
        }
        if let Some(action) = text(timeout, "action")
            && !["CONTINUE", "ROLLBACK"].contains(&action)
        {
            return Err(invalid(format!("Invalid timeout action: {action}")));
        }
    }
    if pauses > MOST_HOOKS || hooks.len() - pauses > MOST_HOOKS {
        return Err(invalid(format!(
            "A service can have at most {MOST_HOOKS} PAUSE hooks and {MOST_HOOKS} AWS_LAMBDA hooks."
        )));
    }
    Ok(())
}

/// All members of DeploymentAlarms are required.
fn check_alarms(alarms: &Value) -> Result<(), ApiError> {
    if alarms.is_null() {
        return Ok(());
    }
    for key in ["enable", "rollback"] {
        if !alarms[key].is_boolean() {
            return Err(invalid(format!("alarms.{key} should not be null.")));
        }
    }
    if !alarms["alarmNames"].is_array() || flag(alarms, "enable") && texts(alarms, "alarmNames").is_empty() {
        return Err(invalid("alarms.alarmNames can not be empty."));
    }
    Ok(())
}

/// DeploymentEarlySuccessCriteria: "only with rolling deployment strategy", "between 0 and 100", "greater than or equal to
/// the minimumHealthyPercent value".
pub fn check_early_success(all: &Value, minimum: u32) -> Result<(), ApiError> {
    let criteria = &all["earlySuccessCriteria"];
    if !flag(criteria, "enable") {
        return Ok(());
    }
    if all["strategy"] != "ROLLING" {
        return Err(invalid(
            "earlySuccessCriteria can be used only with the deployment strategy ROLLING.",
        ));
    }
    let percent = number(criteria, "healthyPercent")?;
    if percent.is_none_or(|percent| percent > 100 || percent < minimum) {
        return Err(invalid(
            "healthyPercent must be between 0 and 100, and at least minimumHealthyPercent.",
        ));
    }
    match text(criteria, "sourceServiceRevisionCleanup") {
        Some("BLOCKING" | "DEFERRED") => Ok(()),
        _ => Err(invalid(
            "sourceServiceRevisionCleanup must be BLOCKING or DEFERRED.",
        )),
    }
}

/// Checks the advanced settings that load balancers need for any strategy but ROLLING.
pub fn check_advanced(configuration: &Value, balancers: &[Value]) -> Result<(), ApiError> {
    let advanced: Vec<&Value> = balancers
        .iter()
        .map(|balancer| &balancer["advancedConfiguration"])
        .collect();
    let given = advanced.iter().filter(|settings| !settings.is_null()).count();
    if configuration["strategy"] != "ROLLING" && given < balancers.len() {
        return Err(invalid(
            "advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy",
        ));
    }
    if given == 0 {
        return Ok(());
    }
    if given < balancers.len() {
        return Err(invalid(
            "Either all or none of the provided loadBalancers must have advancedConfiguration defined",
        ));
    }
    let (mut groups, mut production, mut test) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (balancer, settings) in balancers.iter().zip(advanced) {
        for key in ["alternateTargetGroupArn", "roleArn"] {
            if text(settings, key).is_none() {
                return Err(invalid(format!(
                    "advancedConfiguration.{key} should not be null or empty."
                )));
            }
        }
        for (key, rules) in [
            ("productionListenerRule", &mut production),
            ("testListenerRule", &mut test),
        ] {
            let Some(rule) = text(settings, key) else { continue };
            let of_network = rule.contains(":listener/net/");
            if !of_network && !rule.contains(":listener-rule/app/") {
                return Err(invalid(format!(
                    "{key} has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: {rule}"
                )));
            }
            rules.insert(rule);
        }
        let both = [
            text(balancer, "targetGroupArn"),
            text(settings, "alternateTargetGroupArn"),
        ];
        for group in both.into_iter().flatten() {
            if !groups.insert(group) {
                return Err(invalid(format!("Duplicate targetGroupArn found: {group}")));
            }
        }
    }
    let shared: Vec<&str> = production.intersection(&test).copied().collect();
    if !shared.is_empty() {
        return Err(invalid(format!(
            "The following rules cannot be used as both production and test listener rules: {}",
            shared.join(", ")
        )));
    }
    Ok(())
}
