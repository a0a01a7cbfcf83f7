//! Services: CreateService, DescribeServices, DeleteService, ListServices.

use super::Ecs;
use super::events::Events;
use super::request::{
    at_most, copy, described, flag, invalid, list, listing, missing, number, page, required, text, texts,
    wants_tags,
};
use super::rollouts::Trigger;
use super::service::{Controller, Service, ServiceKey, ServiceStatus};
use super::service_rules::{check_balancers, check_network, deployment_configuration};
use super::strategy_rules::check_advanced;
use super::tags::check_tags;
use super::task::Task;
use crate::sandbox::world::elb::Elb;
use crate::sandbox::world::error::ApiError;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Members of a service that are shown as they were given.
const SHOWN: &[&str] = &[
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "networkConfiguration",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "propagateTags",
    "availabilityZoneRebalancing",
    "loadBalancers",
    "serviceRegistries",
    "placementConstraints",
    "placementStrategy",
];

impl Ecs {
    pub(super) fn create_service(
        &mut self,
        now: Duration,
        input: &Value,
        elb: &Elb,
    ) -> Result<Value, ApiError> {
        let cluster = self.cluster_of(input)?;
        let name = required(input, "serviceName")?.to_owned();
        if name.parse::<crate::name::ServiceName>().is_err() {
            return Err(invalid("Invalid service name."));
        }
        let key = ServiceKey { cluster, name };
        match self.services.get(&key).map(|service| service.status) {
            Some(ServiceStatus::Active) if self.created_before(&key, input)? => {
                return Ok(self.answer_with(&key, true));
            }
            Some(ServiceStatus::Active) => return Err(invalid("Creation of service was not idempotent.")),
            Some(ServiceStatus::Draining) => {
                return Err(invalid("Unable to Start a service that is still Draining."));
            }
            Some(ServiceStatus::Inactive) | None => {}
        }
        let service = self.new_service(now, key, input, elb)?;
        let key = service.key.clone();
        self.remember_creation(&key, input);
        self.services.insert(key.clone(), service);
        self.open_rollout(now, &key, Trigger::Creation);
        Ok(self.answer_with(&key, true))
    }

    fn new_service(
        &mut self,
        now: Duration,
        key: ServiceKey,
        input: &Value,
        elb: &Elb,
    ) -> Result<Service, ApiError> {
        let controller = match input["deploymentController"]["type"].as_str() {
            None | Some("ECS") => Controller::Ecs,
            Some("CODE_DEPLOY") => Controller::CodeDeploy,
            Some("EXTERNAL") => Controller::External,
            Some(other) => return Err(invalid(format!("Invalid deployment controller: {other}"))),
        };
        let tags = list(input, "tags").to_vec();
        check_tags(&tags)?;
        let daemon = input["schedulingStrategy"] == "DAEMON";
        let desired = number(input, "desiredCount")?;
        if daemon && launch_type(input) == Some("FARGATE") {
            return Err(invalid(
                "The daemon scheduling strategy is not supported with the FARGATE launch type.",
            ));
        }
        let definition = match (text(input, "taskDefinition"), controller) {
            (Some(name), _) => self.definitions.usable(name)?,
            (None, Controller::External) => return Err(invalid("The sandbox runs no EXTERNAL task sets.")),
            (None, _) => return Err(invalid("TaskDefinition can not be blank.")),
        };
        check_network(&definition.definition, input)?;
        check_balancers(&definition.definition, input, elb)?;
        if desired.is_none() && !daemon && controller == Controller::Ecs {
            return Err(invalid(
                "desiredCount is required for the REPLICA scheduling strategy.",
            ));
        }
        let configuration = deployment_configuration(&json!({}), &input["deploymentConfiguration"], daemon)?;
        check_advanced(&configuration, list(input, "loadBalancers"))?;
        if controller != Controller::Ecs && configuration["strategy"] != "ROLLING" {
            return Err(invalid(
                "A deployment strategy can be used only with the deployment controller ECS.",
            ));
        }
        Ok(Service {
            key,
            status: ServiceStatus::Active,
            controller,
            // A daemon runs once per instance, and the sandbox is one instance.
            desired: if daemon { 1 } else { desired.unwrap_or_default() },
            configuration,
            grace: grace(input)?.unwrap_or_default(),
            definition: definition.arn,
            shown: shown(input),
            tags,
            deployments: Vec::new(),
            last_completed: None,
            history: Vec::new(),
            revisions: Vec::new(),
            events: Events::default(),
            created: now,
            next_look: None,
            registered: None,
            failed_launches: 0,
            back_off_until: None,
            steady: false,
            stale: None,
        })
    }

    pub(super) fn describe_services(&mut self, input: &Value) -> Result<Value, ApiError> {
        let cluster = self.cluster_of(input)?;
        at_most(input, "services", 10)?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in texts(input, "services") {
            let key = ServiceKey {
                cluster: cluster.clone(),
                name: self.name_in(&cluster, "service", name)?.to_owned(),
            };
            match self.described(&key, wants_tags(input)) {
                Some(shape) => found.push(shape),
                None => {
                    let ServiceKey { cluster, name } = &key;
                    failures.push(missing(&self.place.arn(&format!("service/{cluster}/{name}"))));
                }
            }
        }
        Ok(described("services", found, failures))
    }

    /// The service as DescribeServices answers: as it is, or as it was while the answer lags behind an update.
    fn described(&mut self, key: &ServiceKey, tags: bool) -> Option<Value> {
        if let Some((old, polls)) = self.services.get_mut(key)?.stale.take() {
            if polls > 1 {
                let service = self.services.get_mut(key)?;
                service.stale = Some((old.clone(), polls - 1));
            }
            return Some(old);
        }
        self.service_shape(key, true, tags)
    }

    /// The service's shape; `current` adds the members that follow its service deployments.
    pub(super) fn service_shape(&self, key: &ServiceKey, current: bool, tags: bool) -> Option<Value> {
        let service = self.services.get(key)?;
        let tasks = self.tasks_of(key);
        let mut shape = service.shape(&self.place, &tasks, self.quirks.draining_status);
        if current && service.controller == Controller::Ecs {
            service.add_current(&mut shape, &self.place, &tasks);
        }
        if tags {
            shape.insert("tags".into(), json!(service.tags));
        }
        Some(Value::Object(shape))
    }

    /// The answer of an operation that gives one service back.
    pub(super) fn answer_with(&self, key: &ServiceKey, tags: bool) -> Value {
        json!({ "service": self.service_shape(key, false, tags).unwrap_or_default() })
    }

    pub(super) fn delete_service(&mut self, now: Duration, input: &Value) -> Result<Value, ApiError> {
        let key = self.service(input, required(input, "service")?)?.key.clone();
        let service = self.services.get_mut(&key).ok_or_else(unknown_service)?;
        if service.status == ServiceStatus::Inactive {
            return Err(unknown_service());
        }
        if service.desired > 0 && !flag(input, "force") {
            return Err(invalid(
                "The service cannot be stopped while it is scaled above 0.",
            ));
        }
        service.status = ServiceStatus::Draining;
        service.desired = 0;
        service.stale = None;
        service.wake(now);
        Ok(self.answer_with(&key, false))
    }

    pub(super) fn list_services(&self, input: &Value) -> Result<Value, ApiError> {
        let cluster = self.cluster_of(input)?;
        let matches = |service: &Service, key: &str| {
            let wanted = text(input, key);
            wanted.is_none() || wanted == service.shown.get(key).and_then(Value::as_str)
        };
        let arns: Vec<Value> = self
            .services
            .values()
            .filter(|service| service.key.cluster == cluster && service.status == ServiceStatus::Active)
            .filter(|service| matches(service, "launchType") && matches(service, "schedulingStrategy"))
            .map(|service| json!(service.arn(&self.place)))
            .collect();
        Ok(listing("serviceArns", page(input, arns, 10, 100)?))
    }

    /// The service that a request means; an INACTIVE one is still found.
    ///
    /// # Errors
    /// `ClusterNotFoundException`, `ServiceNotFoundException`, `InvalidParameterException`.
    pub(super) fn service(&self, input: &Value, name: &str) -> Result<&Service, ApiError> {
        let cluster = self.cluster_of(input)?;
        let name = self.name_in(&cluster, "service", name)?.to_owned();
        let key = ServiceKey { cluster, name };
        self.services.get(&key).ok_or_else(unknown_service)
    }

    /// The tasks of a service, oldest first.
    pub(super) fn tasks_of(&self, key: &ServiceKey) -> Vec<&Task> {
        let mut tasks: Vec<&Task> = self
            .tasks
            .values()
            .filter(|task| task.service.as_ref() == Some(key))
            .collect();
        tasks.sort_by_key(|task| task.serial);
        tasks
    }
}

/// The error for a service that does not exist.
pub fn unknown_service() -> ApiError {
    ApiError::new("ServiceNotFoundException", "Service not found.")
}

/// `FARGATE`, `EC2`, ...: EC2 where nothing is said and no capacity provider is named.
pub fn launch_type(input: &Value) -> Option<&str> {
    match text(input, "launchType") {
        None if list(input, "capacityProviderStrategy").is_empty() => Some("EC2"),
        given => given,
    }
}

fn shown(input: &Value) -> Map<String, Value> {
    let mut shown = Map::new();
    for key in [
        "loadBalancers",
        "serviceRegistries",
        "placementConstraints",
        "placementStrategy",
    ] {
        shown.insert(key.into(), json!([]));
    }
    shown.insert("schedulingStrategy".into(), json!("REPLICA"));
    shown.insert("enableECSManagedTags".into(), json!(false));
    shown.insert("propagateTags".into(), json!("NONE"));
    shown.insert("enableExecuteCommand".into(), json!(false));
    shown.insert("availabilityZoneRebalancing".into(), json!("ENABLED"));
    shown.insert("resourceManagementType".into(), json!("CUSTOMER"));
    copy(input, SHOWN, &mut shown);
    copy(input, &["schedulingStrategy"], &mut shown);
    if let Some(kind) = launch_type(input) {
        shown.insert("launchType".into(), json!(kind));
    }
    if shown.get("launchType").is_some_and(|kind| kind == "FARGATE") {
        fargate_platform(&mut shown);
    }
    shown
}

/// The platform of Fargate; `LATEST` is shown as what it resolves to.
pub fn fargate_platform(shown: &mut Map<String, Value>) {
    let version = shown.entry("platformVersion").or_insert_with(|| json!("LATEST"));
    if version == "LATEST" {
        *version = json!("1.4.0");
    }
    shown.insert("platformFamily".into(), json!("Linux"));
}

fn grace(input: &Value) -> Result<Option<Duration>, ApiError> {
    Ok(number(input, "healthCheckGracePeriodSeconds")?.map(|seconds| Duration::from_secs(seconds.into())))
}
