//! ECS: clusters, task definitions, services and their deployments, tasks.
//!
//! What it imitates: services of controller ECS that roll (REPLICA, DAEMON as on one instance) or are deployed blue/green,
//! in linear steps or with a canary, with load balancers, container checks, the circuit breaker, alarms and lifecycle
//! hooks; standalone tasks; service deployments and revisions. Services of the
//! controllers CODE_DEPLOY and EXTERNAL exist, but run nothing. What it does not imitate is refused by name.

mod alarms;
mod awslogs;
mod breaker;
mod clusters;
mod conclusion;
mod events;
mod failures;
mod fargate;
mod health;
mod hooks;
mod ids;
mod interventions;
mod launch;
mod lifecycle;
mod others;
mod placement;
mod plan;
mod progress;
mod registration;
mod request;
mod revision;
mod rollouts;
mod scheduler;
mod service;
mod service_rules;
mod services;
mod stages;
mod strategy_rules;
mod tags;
mod task;
mod task_definitions;
mod task_shape;
mod tasks;
mod timings;
mod tokens;
mod updates;

#[cfg(test)]
mod act_tests;
#[cfg(test)]
mod alarm_tests;
#[cfg(test)]
mod api_tests;
#[cfg(test)]
mod early_success_tests;
#[cfg(test)]
mod failure_tests;
#[cfg(test)]
mod hook_tests;
#[cfg(test)]
mod launch_tests;
#[cfg(test)]
mod lb_tests;
#[cfg(test)]
mod registry_tests;
#[cfg(test)]
mod strategy_property_tests;
#[cfg(test)]
mod strategy_rules_tests;
#[cfg(test)]
mod strategy_tests;
#[cfg(test)]
mod strict_tests;
#[cfg(test)]
mod timeline;
#[cfg(test)]
mod timeline_tests;
#[cfg(test)]
mod traffic_tests;

pub use hooks::{HookOutcome, HookRule, HookScript};
pub use placement::Trouble;
pub use stages::LifecycleStage;
pub use timings::Timings;

use super::WorldConfig;
use super::ecr::Ecr;
use super::elb::Elb;
use super::error::ApiError;
use super::logs::Logs;
use super::orders::{Fact, Order, TaskId};
use clusters::Cluster;
use ids::{Ids, Place};
use serde_json::Value;
use service::{Service, ServiceKey};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use task::Task;
use task_definitions::TaskDefinitions;
use tokens::Tokens;

/// Who is said to have registered and created everything.
const OPERATOR: &str = "arn:aws:iam::000000000000:root";

/// Where observations of AWS differ, or a scenario wants more than the usual: what ECS does then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks {
    /// How many DescribeServices answers after an UpdateService still show the service as it was.
    pub stale_describes: u32,
    /// Whether a rollback is a deployment with an id of its own; otherwise the id that completed last is used again.
    pub rollback_mints_id: bool,
    /// Whether a deployment that failed shows as `DRAINING` while its tasks go.
    pub draining_status: bool,
    /// Whether the reason `... rolling back to deploymentId ecs-svc/N` comes without its final dot.
    pub reason_without_dot: bool,
    /// Whether a container's `imageDigest` is the platform's manifest when the image is an index; otherwise the index.
    pub platform_digest: bool,
    /// How long a registration is under way; another one of the family is refused meanwhile. A client that awaits its
    /// answers never meets itself, so that the usual is no time at all.
    pub registration: Duration,
    /// Whether the circuit breaker watches over rolling deployments only, as the documentation says; a published test of
    /// real services says that it watches over all.
    pub breaker_is_rolling_only: bool,
    /// After how many launches in a row that failed the scheduler launches nothing for `stall_seconds`; never when
    /// `None`. Seen: "46 min of no events", and attempts that just end while the deployment stays IN_PROGRESS.
    pub stalls_after: Option<u32>,
    /// How long that takes, in seconds.
    pub stall_seconds: u32,
    /// The longest wait between launches, in seconds, for those that saw a launch every six to seven minutes.
    pub back_off_cap_seconds: Option<u32>,
    /// Whether the steady state of the old deployment is told once more after an UpdateService.
    pub steady_after_update: bool,
}

/// The state of ECS.
#[derive(Debug)]
pub struct Ecs {
    /// What a scenario asks for.
    pub quirks: Quirks,
    /// What the Lambda functions of lifecycle hooks answer.
    pub hooks: HookScript,
    /// Which tasks find no place.
    pub troubles: Vec<Trouble>,
    place: Place,
    /// The host of ECR's repositories.
    registry: String,
    timings: Timings,
    ids: Ids,
    clusters: BTreeMap<String, Cluster>,
    definitions: TaskDefinitions,
    services: BTreeMap<ServiceKey, Service>,
    tasks: BTreeMap<TaskId, Task>,
    orders: Vec<Order>,
    /// The CloudWatch alarms that are in ALARM.
    alarms: BTreeSet<String>,
    /// When clients updated each service, by its name.
    updates: BTreeMap<String, Vec<Duration>>,
    /// Until when somebody else registers revisions of a family all the time.
    crowded: BTreeMap<String, Duration>,
    tokens: Tokens,
}

impl Ecs {
    /// No clusters yet.
    #[must_use]
    pub fn new(config: &WorldConfig) -> Self {
        Self {
            quirks: Quirks::default(),
            hooks: HookScript::default(),
            troubles: Vec::new(),
            place: Place::new(&config.region),
            registry: config.registry_host.clone(),
            timings: config.timings.clone(),
            ids: Ids::default(),
            clusters: BTreeMap::new(),
            definitions: TaskDefinitions::default(),
            services: BTreeMap::new(),
            tasks: BTreeMap::new(),
            orders: Vec::new(),
            alarms: BTreeSet::new(),
            updates: BTreeMap::new(),
            crowded: BTreeMap::new(),
            tokens: Tokens::default(),
        }
    }

    /// Answers one operation (`RegisterTaskDefinition`, ...) of a client with the JSON of its output shape.
    ///
    /// # Errors
    /// The operation's declared errors; an unknown operation is refused by name.
    pub fn call(
        &mut self,
        now: Duration,
        operation: &str,
        input: &Value,
        elb: &mut Elb,
        ecr: &Ecr,
    ) -> Result<Value, ApiError> {
        let answer = self.perform(now, operation, input, elb, ecr)?;
        if operation == "UpdateService" {
            self.note_update(now, input);
        }
        Ok(answer)
    }

    /// The same for somebody who is no client: a scenario's act.
    ///
    /// # Errors
    /// Those of [`Ecs::call`].
    pub fn perform(
        &mut self,
        now: Duration,
        operation: &str,
        input: &Value,
        elb: &mut Elb,
        ecr: &Ecr,
    ) -> Result<Value, ApiError> {
        match operation {
            "CreateCluster" => self.create_cluster(input),
            "DescribeClusters" => self.describe_clusters(input),
            "ListClusters" => self.list_clusters(input),
            "DeleteCluster" => self.delete_cluster(input),
            "RegisterTaskDefinition" => self.register_task_definition(now, input),
            "DescribeTaskDefinition" => self.describe_task_definition(input),
            "ListTaskDefinitions" => self.list_task_definitions(input),
            "ListTaskDefinitionFamilies" => self.list_task_definition_families(input),
            "DeregisterTaskDefinition" => self.deregister_task_definition(now, input),
            "CreateService" => self.create_service(now, input, elb),
            "DescribeServices" => self.describe_services(input),
            "UpdateService" => self.update_service(now, input, elb),
            "DeleteService" => self.delete_service(now, input),
            "ListServices" => self.list_services(input),
            "ListServiceDeployments" => self.list_service_deployments(input),
            "DescribeServiceDeployments" => self.describe_service_deployments(input),
            "DescribeServiceRevisions" => self.describe_service_revisions(input),
            "StopServiceDeployment" => self.stop_service_deployment(now, input),
            "ContinueServiceDeployment" => self.continue_service_deployment(now, input),
            "RunTask" => self.run_task(now, input, ecr),
            "DescribeTasks" => self.describe_tasks(input),
            "ListTasks" => self.list_tasks(input),
            "StopTask" => self.stop_task(now, input),
            "TagResource" => self.tag_resource(input),
            "UntagResource" => self.untag_resource(input),
            "ListTagsForResource" => self.list_tags_for_resource(input),
            _ => Err(ApiError::new(
                "UnknownOperationException",
                format!("the sandbox does not know the operation {operation} of ecs"),
            )),
        }
    }

    /// The next instant at which something changes by itself; after an [`Ecs::advance`] it lies in the future.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        let services = self.services.values().filter_map(Service::next_change);
        services
            .chain(self.tasks.values().filter_map(Task::next_change))
            .min()
    }

    /// Does what is due at `now`.
    pub fn advance(&mut self, now: Duration, elb: &mut Elb, ecr: &Ecr, logs: &Logs) {
        self.settle_tasks(now, elb);
        self.tell_registrations(now);
        let due: Vec<ServiceKey> = self
            .services
            .values()
            .filter(|service| service.next_look.is_some_and(|at| at <= now))
            .map(|service| service.key.clone())
            .collect();
        for key in due {
            self.look(now, &key, elb, ecr);
        }
        self.check_log_groups(logs);
    }

    /// Takes the orders for the runner.
    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// Learns what a task did.
    pub fn learn(&mut self, now: Duration, fact: Fact, elb: &mut Elb) {
        self.learn_of_task(now, fact, elb);
    }
}
