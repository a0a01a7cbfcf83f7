//! Service deployments and service revisions: the record of every rollout.

use super::Ecs;
use super::alarms::AlarmWatch;
use super::breaker::Breaker;
use super::hooks::Hook;
use super::ids::Place;
use super::lifecycle::resolved;
use super::request::{at_most, described, listing, missing, page, required, set, stamp, texts};
use super::service::{Service, ServiceKey, count};
use super::stages::Course;
use super::task::Task;
use crate::sandbox::world::ecr::ResolvedImage;
use crate::sandbox::world::error::ApiError;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What became of a service deployment (`status`); the API has no "failed".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Made, and not looked at yet.
    Pending,
    /// Under way.
    InProgress,
    /// Complete.
    Successful,
    /// Superseded, or failed without a rollback.
    Stopped,
    /// StopServiceDeployment was called.
    RollbackRequested,
    /// Goes back.
    RollbackInProgress,
    /// Went back.
    RollbackSuccessful,
    /// There was nothing to go back to.
    RollbackFailed,
}

impl Status {
    /// As the API says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::Stopped => "STOPPED",
            Self::RollbackRequested => "ROLLBACK_REQUESTED",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            Self::RollbackFailed => "ROLLBACK_FAILED",
        }
    }
}

/// Where a rollback goes, and why.
#[derive(Debug, Clone)]
pub struct Rollback {
    /// Why.
    pub reason: String,
    /// Since when.
    pub started: Duration,
    /// The number of the revision that is restored.
    pub revision: String,
}

/// One service deployment.
#[derive(Debug, Clone)]
pub struct ServiceDeployment {
    /// Its 21 characters.
    pub id: String,
    /// The number of the revision that it was to bring.
    pub target: String,
    /// The numbers of the revisions that it was to replace.
    pub sources: Vec<String>,
    /// What became of it.
    pub status: Status,
    /// Why.
    pub reason: Option<String>,
    /// When it was made.
    pub created: Duration,
    /// When the scheduler took it up.
    pub started: Option<Duration>,
    /// When it changed last.
    pub updated: Duration,
    /// When it was over.
    pub finished: Option<Duration>,
    /// When it stopped before its end.
    pub stopped: Option<Duration>,
    /// Its rollback.
    pub rollback: Option<Rollback>,
    /// The deployment configuration at its time.
    pub configuration: Value,
    /// Failures counted by the breaker, and whether that tripped it.
    pub failures: (u32, bool),
    /// The service's desired count, for the breaker's threshold.
    pub desired: u32,
    /// The alarms that watch over it.
    pub alarms: AlarmWatch,
    /// How far it came in its lifecycle stages; a rolling deployment has none.
    pub course: Option<Course>,
}

impl ServiceDeployment {
    /// Whether nothing happens to it any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self.status {
            Status::Pending | Status::InProgress | Status::RollbackRequested | Status::RollbackInProgress => {
                false
            }
            Status::Successful | Status::Stopped | Status::RollbackSuccessful | Status::RollbackFailed => {
                true
            }
        }
    }

    /// Moves on to another status.
    pub fn enter(&mut self, now: Duration, status: Status, reason: Option<&str>) {
        self.status = status;
        self.updated = now;
        if let Some(reason) = reason {
            self.reason = Some(reason.to_owned());
        }
        match status {
            Status::Stopped | Status::RollbackFailed => {
                self.stopped = Some(now);
                self.finished = Some(now);
            }
            Status::Successful | Status::RollbackSuccessful => self.finished = Some(now),
            Status::Pending | Status::InProgress | Status::RollbackRequested | Status::RollbackInProgress => {
            }
        }
    }

    fn brief(&self, service: &Service, place: &Place) -> Map<String, Value> {
        let mut shape = Map::new();
        let arn = service.service_deployment_arn(place, &self.id);
        shape.insert("serviceDeploymentArn".into(), json!(arn));
        shape.insert("serviceArn".into(), json!(service.arn(place)));
        shape.insert("clusterArn".into(), json!(place.cluster(&service.key.cluster)));
        shape.insert("createdAt".into(), stamp(self.created));
        set(&mut shape, "startedAt", self.started.map(stamp));
        set(&mut shape, "finishedAt", self.finished.map(stamp));
        shape.insert("status".into(), json!(self.status.as_str()));
        set(&mut shape, "statusReason", self.reason.clone().map(Value::String));
        shape
    }

    fn shape(&self, service: &Service, place: &Place, tasks: &[&Task]) -> Value {
        let summary = |number: &String| {
            let own = tasks
                .iter()
                .copied()
                .filter(|task| task.deployment.as_ref() == Some(number));
            let (running, pending) = count(own);
            let wanted = service
                .deployments
                .iter()
                .find(|deployment| deployment.number == *number);
            let mut shape = json!({
                "arn": service.revision_arn(place, number),
                "requestedTaskCount": wanted.map_or(0, |deployment| deployment.wanted),
                "runningTaskCount": running,
                "pendingTaskCount": pending,
            });
            if self.course.is_some() {
                let percent = |tenths: u32| f64::from(tenths) / 10.0;
                let (production, test) = wanted.map_or((0, 0), |one| (one.production, one.test));
                shape["requestedTestTrafficWeight"] = json!(percent(test));
                shape["requestedProductionTrafficWeight"] = json!(percent(production));
            }
            shape
        };
        let mut shape = self.brief(service, place);
        set(&mut shape, "stoppedAt", self.stopped.map(stamp));
        shape.insert("updatedAt".into(), stamp(self.updated));
        let sources: Vec<Value> = self.sources.iter().map(summary).collect();
        shape.insert("sourceServiceRevisions".into(), Value::Array(sources));
        shape.insert("targetServiceRevision".into(), summary(&self.target));
        shape.insert("deploymentConfiguration".into(), self.configuration.clone());
        if let Some(rollback) = &self.rollback {
            let shown = json!({
                "reason": rollback.reason,
                "startedAt": stamp(rollback.started),
                "serviceRevisionArn": service.revision_arn(place, &rollback.revision),
            });
            shape.insert("rollback".into(), shown);
        }
        shape.insert("deploymentCircuitBreaker".into(), self.breaker());
        shape.insert("alarms".into(), self.alarms.shape(self.is_over()));
        if let Some(course) = self.course.as_ref().filter(|_| self.started.is_some()) {
            shape.insert("lifecycleStage".into(), json!(course.stage.as_str()));
            let hooks: Vec<Value> = course.hooks.iter().map(Hook::shape).collect();
            shape.insert("lifecycleHookDetails".into(), Value::Array(hooks));
        }
        Value::Object(shape)
    }

    fn breaker(&self) -> Value {
        let breaker = Breaker::of(&self.configuration);
        let status = match (breaker.enabled, self.failures.1) {
            (false, _) => "DISABLED",
            (true, true) => "TRIGGERED",
            (true, false) if self.is_over() => "MONITORING_COMPLETE",
            (true, false) => "MONITORING",
        };
        json!({
            "status": status,
            "failureCount": self.failures.0,
            "threshold": if breaker.enabled { breaker.trips_at(self.desired) } else { 0 },
        })
    }
}

/// What a service was to be at one time.
#[derive(Debug, Clone)]
pub struct Revision {
    /// The 19 digits, which are also those of its deployment.
    pub number: String,
    /// The ARN of its task definition.
    pub definition: String,
    /// The containers' names and images.
    pub images: Vec<(String, String)>,
    /// What the images resolved to, by container: by the first task, and the same for all others.
    pub resolved: BTreeMap<String, ResolvedImage>,
    /// Digests that the runtime reported, by container.
    pub digests: BTreeMap<String, String>,
    /// Launch type, platform, network and load balancers, as shown.
    pub shown: Map<String, Value>,
    /// Whether its tasks are targets of the alternate target groups.
    pub alternate: bool,
    /// When it was made.
    pub created: Duration,
}

impl Revision {
    fn shape(&self, service: &Service, place: &Place) -> Value {
        let mut shape = Map::new();
        let arn = service.revision_arn(place, &self.number);
        shape.insert("serviceRevisionArn".into(), json!(arn));
        shape.insert("serviceArn".into(), json!(service.arn(place)));
        shape.insert("clusterArn".into(), json!(place.cluster(&service.key.cluster)));
        shape.insert("taskDefinition".into(), json!(self.definition));
        for (key, value) in &self.shown {
            shape.insert(key.clone(), value.clone());
        }
        let balancers = self.shown.get("loadBalancers").unwrap_or(&Value::Null);
        set(
            &mut shape,
            "resolvedConfiguration",
            resolved(balancers, self.alternate),
        );
        let images: Vec<Value> = self
            .images
            .iter()
            .map(|(container, image)| {
                let mut shown = Map::new();
                shown.insert("containerName".into(), json!(container));
                set(
                    &mut shown,
                    "imageDigest",
                    self.digests.get(container).map(|digest| json!(digest)),
                );
                shown.insert("image".into(), json!(image));
                Value::Object(shown)
            })
            .collect();
        shape.insert("containerImages".into(), Value::Array(images));
        shape.insert("guardDutyEnabled".into(), json!(false));
        shape.insert("createdAt".into(), stamp(self.created));
        Value::Object(shape)
    }
}

/// The most ARNs of one describe call.
const MOST: usize = 20;

impl Ecs {
    pub(super) fn list_service_deployments(&self, input: &Value) -> Result<Value, ApiError> {
        let service = self.service(input, required(input, "service")?)?;
        let wanted = texts(input, "status");
        let bound = |key: &str| input["createdAt"][key].as_f64();
        let items: Vec<Value> = service
            .history
            .iter()
            .filter(|record| wanted.is_empty() || wanted.contains(&record.status.as_str()))
            .filter(|record| bound("after").is_none_or(|after| record.created.as_secs_f64() >= after))
            .filter(|record| bound("before").is_none_or(|before| record.created.as_secs_f64() <= before))
            .map(|record| {
                let mut shape = record.brief(service, &self.place);
                let target = service.revision_arn(&self.place, &record.target);
                shape.insert("targetServiceRevisionArn".into(), json!(target));
                Value::Object(shape)
            })
            .collect();
        Ok(listing("serviceDeployments", page(input, items, 20, 100)?))
    }

    pub(super) fn describe_service_deployments(&self, input: &Value) -> Result<Value, ApiError> {
        at_most(input, "serviceDeploymentArns", MOST)?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in texts(input, "serviceDeploymentArns") {
            match self.service_deployment(arn) {
                Some((service, record)) => {
                    found.push(record.shape(service, &self.place, &self.tasks_of(&service.key)));
                }
                None => failures.push(missing(arn)),
            }
        }
        Ok(described("serviceDeployments", found, failures))
    }

    pub(super) fn describe_service_revisions(&self, input: &Value) -> Result<Value, ApiError> {
        at_most(input, "serviceRevisionArns", MOST)?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in texts(input, "serviceRevisionArns") {
            let revision = self
                .behind(arn, "service-revision")
                .and_then(|(service, number)| {
                    let mut revisions = service.revisions.iter();
                    Some((service, revisions.find(|revision| revision.number == number)?))
                });
            match revision {
                Some((service, revision)) => found.push(revision.shape(service, &self.place)),
                None => failures.push(missing(arn)),
            }
        }
        Ok(described("serviceRevisions", found, failures))
    }

    /// The service deployment of that ARN, and its service.
    pub(super) fn service_deployment(&self, arn: &str) -> Option<(&Service, &ServiceDeployment)> {
        let (service, id) = self.behind(arn, "service-deployment")?;
        Some((service, service.history.iter().find(|record| record.id == id)?))
    }

    /// The service, and the last part, of `...:KIND/CLUSTER/SERVICE/ID`.
    fn behind<'a>(&self, arn: &'a str, kind: &str) -> Option<(&Service, &'a str)> {
        let resource = arn.strip_prefix(&self.place.arn(kind))?.strip_prefix('/')?;
        let mut parts = resource.split('/');
        let (cluster, name, id) = (parts.next()?, parts.next()?, parts.next()?);
        let key = ServiceKey {
            cluster: cluster.to_owned(),
            name: name.to_owned(),
        };
        Some((self.services.get(&key)?, id))
    }
}
