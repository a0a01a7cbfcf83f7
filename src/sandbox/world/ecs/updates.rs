//! UpdateService: what it changes, and what of that starts a deployment.

use super::Ecs;
use super::request::{copy, flag, invalid, list, number, required, text};
use super::rollouts::Trigger;
use super::service::{Controller, Service, ServiceStatus};
use super::service_rules::{check_balancers, check_network, deployment_configuration};
use super::services::fargate_platform;
use super::strategy_rules::check_advanced;
use crate::sandbox::world::elb::Elb;
use crate::sandbox::world::error::ApiError;
use serde_json::Value;
use std::time::Duration;

/// Members whose change starts a deployment.
const STARTS_DEPLOYMENT: &[&str] = &[
    "networkConfiguration",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "capacityProviderStrategy",
    "serviceConnectConfiguration",
    "volumeConfigurations",
];

/// Members whose change does not.
const CHANGES_QUIETLY: &[&str] = &[
    "placementConstraints",
    "placementStrategy",
    "propagateTags",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
];

/// Members that only requests have: no answer shows them at the service.
const NEVER_SHOWN: &[&str] = &["serviceConnectConfiguration", "volumeConfigurations"];

impl Ecs {
    pub(super) fn update_service(
        &mut self,
        now: Duration,
        input: &Value,
        elb: &Elb,
    ) -> Result<Value, ApiError> {
        let service = self.service(input, required(input, "service")?)?;
        let key = service.key.clone();
        if service.status != ServiceStatus::Active {
            return Err(ApiError::new(
                "ServiceNotActiveException",
                "Service was not ACTIVE.",
            ));
        }
        let change = self.change_of(service, input, elb)?;
        let before = self.service_shape(&key, true, true);
        let Some(service) = self.services.get_mut(&key) else {
            return Err(super::services::unknown_service());
        };
        let deploys = change.deploys;
        change.apply(service);
        service.steady = false;
        service.stale = before
            .filter(|_| self.quirks.stale_describes > 0)
            .map(|before| (before, self.quirks.stale_describes));
        service.wake(now + self.timings.first_look);
        if deploys {
            self.open_rollout(now, &key, Trigger::Update);
            self.repeat_steady(now, &key);
        }
        Ok(self.answer_with(&key, true))
    }

    /// Everything that a request changes, checked before anything is changed.
    fn change_of(&self, service: &Service, input: &Value, elb: &Elb) -> Result<Change, ApiError> {
        check_controller(service.controller, input)?;
        let named = text(input, "taskDefinition");
        let usable = match named {
            Some(name) => self.definitions.usable(name)?,
            // The revision that runs may have become INACTIVE; that is an error only for a deployment.
            None if flag(input, "forceNewDeployment") => self.definitions.usable(&service.definition)?,
            None => match self.definitions.registered(&service.definition) {
                Some((revision, definition)) => super::task_definitions::Usable {
                    arn: service.definition.clone(),
                    revision,
                    definition,
                    tags: Vec::new(),
                },
                None => self.definitions.usable(&service.definition)?,
            },
        };
        let mut shown = service.shown.clone();
        copy(input, CHANGES_QUIETLY, &mut shown);
        copy(input, STARTS_DEPLOYMENT, &mut shown);
        let replaced = STARTS_DEPLOYMENT.iter().any(|key| {
            let given = input.get(*key).filter(|value| !value.is_null());
            given.is_some_and(|value| service.shown.get(*key) != Some(value))
        });
        for key in NEVER_SHOWN {
            shown.remove(*key);
        }
        if !list(input, "capacityProviderStrategy").is_empty() {
            shown.remove("launchType");
        }
        if shown.get("launchType").is_some_and(|kind| kind == "FARGATE") {
            fargate_platform(&mut shown);
        }
        let whole = Value::Object(shown.clone());
        check_network(&usable.definition, &whole)?;
        check_balancers(&usable.definition, &whole, elb)?;
        let daemon = shown
            .get("schedulingStrategy")
            .is_some_and(|kind| kind == "DAEMON");
        let desired = number(input, "desiredCount")?;
        if daemon && desired.is_some() {
            return Err(invalid("The desired count of a DAEMON service can not be set."));
        }
        let given = &input["deploymentConfiguration"];
        let configuration = deployment_configuration(&service.configuration, given, daemon)?;
        check_advanced(&configuration, list(&whole, "loadBalancers"))?;
        Ok(Change {
            deploys: named.is_some() && usable.arn != service.definition
                || replaced
                || flag(input, "forceNewDeployment"),
            definition: usable.arn,
            desired,
            configuration,
            grace: number(input, "healthCheckGracePeriodSeconds")?,
            shown,
        })
    }
}

/// What an UpdateService changes.
struct Change {
    deploys: bool,
    definition: String,
    desired: Option<u32>,
    configuration: Value,
    grace: Option<u32>,
    shown: serde_json::Map<String, Value>,
}

impl Change {
    fn apply(self, service: &mut Service) {
        service.definition = self.definition;
        service.configuration = self.configuration;
        service.shown = self.shown;
        if let Some(grace) = self.grace {
            service.grace = Duration::from_secs(grace.into());
        }
        let Some(desired) = self.desired else { return };
        let more = desired.saturating_sub(service.desired);
        service.desired = desired;
        // A scale-out during a rollout reaches both revisions: the serving one grows too, until it is replaced.
        if let Some(serving) = service
            .deployments
            .iter_mut()
            .skip(1)
            .find(|one| one.proven && !one.condemned)
        {
            serving.wanted += more;
        }
        if let Some(record) = service.current() {
            record.desired = desired;
        }
    }
}

/// CODE_DEPLOY and EXTERNAL services change their tasks by other operations.
fn check_controller(controller: Controller, input: &Value) -> Result<(), ApiError> {
    if controller == Controller::Ecs {
        return Ok(());
    }
    let kind = controller.as_str();
    for (key, what) in [
        ("taskDefinition", "task definition"),
        ("networkConfiguration", "network configuration"),
        ("platformVersion", "platform version"),
        ("loadBalancers", "load balancers"),
    ] {
        if input.get(key).is_some_and(|value| !value.is_null()) {
            return Err(invalid(format!(
                "Unable to update {what} on services with a {kind} deployment controller. Use AWS CodeDeploy or a task \
                 set to trigger a new deployment."
            )));
        }
    }
    if flag(input, "forceNewDeployment") {
        return Err(invalid(format!(
            "Unable to force a new deployment on services with a {kind} deployment controller."
        )));
    }
    Ok(())
}
