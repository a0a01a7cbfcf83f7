//! The world that a script plays in, past every wire, and what others do in it.

mod setup;
mod truth;

pub use truth::{GRAIN, Truth};

use crate::runner::{BEFORE_IMAGE, DEPLOYED, Runner, drive};
use crate::script::{Act, Deed, Script};
use serde_json::{Value, json};
use slipway::sandbox::world::ecs::{Quirks, Timings};
use slipway::sandbox::world::error::ApiError;
use slipway::sandbox::world::orders::TargetId;
use slipway::sandbox::world::{World, WorldConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

pub const CLUSTER: &str = "prod";
pub const SERVICE: &str = "shop";
const PORT: u16 = 8080;
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
/// How long a task that nothing checks must run to count as healthy (UpdateService, `minimumHealthyPercent`).
pub const STAYS: Duration = Duration::from_secs(40);

pub struct Place {
    world: World,
    pub runner: Runner,
    pub now: Duration,
    script: Script,
    pub target_group: Option<String>,
    /// The primary deployment before our update.
    pub before: Value,
    pub ours: String,
    updated: Duration,
    acts: Vec<Act>,
    /// Deployments that others began, by their ids.
    pub foreign: BTreeSet<String>,
    /// When ECS was first seen to call our deployment completed: it vouches for the tasks that ran then.
    completed: Option<Duration>,
    /// Deployments that have been primary since our update.
    pub primaries: BTreeSet<String>,
    /// What happened, for the reader of a counterexample.
    pub log: Option<Vec<String>>,
    /// The service as it was described at this instant.
    known: Option<(Duration, Rc<Value>)>,
    /// Which deployment started a task, which never changes.
    started_by: BTreeMap<String, String>,
}

fn timings(speed: u32) -> Timings {
    Timings {
        // Rules of ECS that are the same however fast a service is.
        settle: STAYS,
        back_off: Duration::from_secs(30),
        back_off_cap: Duration::from_secs(120),
        ..Timings::default().scaled(speed.into())
    }
}

impl Place {
    /// A service whose version 1 runs, or was created a moment ago, and our update of it.
    pub fn new(script: &Script, log: bool) -> Self {
        let timings = timings(script.speed);
        let mut world = World::new(WorldConfig {
            region: "eu-west-1".to_owned(),
            registry_host: "127.0.0.1:4566".to_owned(),
            timings: timings.clone(),
        });
        world.ecs.quirks = Quirks {
            rollback_mints_id: script.quirks.mints_id,
            draining_status: script.quirks.draining,
            reason_without_dot: script.quirks.no_dot,
            ..Quirks::default()
        };
        let mut place = Self {
            world,
            runner: Runner::new(script.clone(), timings),
            now: EPOCH,
            script: script.clone(),
            target_group: None,
            before: Value::Null,
            ours: String::new(),
            updated: EPOCH,
            acts: script.acts.clone(),
            foreign: BTreeSet::new(),
            completed: None,
            primaries: BTreeSet::new(),
            log: log.then(Vec::new),
            known: None,
            started_by: BTreeMap::new(),
        };
        place.set_up();
        place
    }

    fn set_up(&mut self) {
        self.must("CreateCluster", json!({ "clusterName": CLUSTER }));
        self.must("RegisterTaskDefinition", self.definition("shop", BEFORE_IMAGE));
        self.must("RegisterTaskDefinition", self.definition("shop", DEPLOYED));
        self.must("RegisterTaskDefinition", self.definition("other", BEFORE_IMAGE));
        if self.script.balanced {
            self.target_group = Some(self.balancer());
        }
        self.must("CreateService", self.service());
        for _ in 0..10 {
            if !self.script.proven {
                break;
            }
            self.pass(Duration::from_secs(60));
            if self.described()["deployments"][0]["rolloutState"] == "COMPLETED" {
                break;
            }
        }
        self.before = Value::clone(&self.described());
        assert!(
            !self.script.proven || self.before["deployments"][0]["rolloutState"] == "COMPLETED",
            "{}",
            self.before
        );
        let updated = self.must(
            "UpdateService",
            json!({ "cluster": CLUSTER, "service": SERVICE, "taskDefinition": "shop:2" }),
        );
        self.ours = text(&updated["service"]["deployments"][0]["id"]);
        self.updated = self.now;
        self.say(|place| {
            format!(
                "our update began {}; before it was {}",
                place.ours, place.before["deployments"][0]["id"]
            )
        });
    }

    /// Asks the world itself.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass `json!` literals")]
    pub fn ask(&mut self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let World { ecs, elb, ecr, .. } = &mut self.world;
        let answer = ecs.call(self.now, operation, &input, elb, ecr);
        drive(&mut self.world, &mut self.runner, self.now, self.now);
        if !operation.starts_with("Describe") && !operation.starts_with("List") {
            self.known = None;
        }
        answer
    }

    fn must(&mut self, operation: &str, input: Value) -> Value {
        self.ask(operation, input).unwrap()
    }

    /// Writes to the log, if one is kept.
    pub fn say(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.log.is_some() {
            let line = format!("{:>6.1} s  {}", self.elapsed().as_secs_f64(), what(self));
            if let Some(log) = &mut self.log {
                log.push(line);
            }
        }
    }

    /// Since our update.
    pub fn elapsed(&self) -> Duration {
        self.now - self.updated
    }

    /// Lets time pass; what others do at their times is done.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(act) = self.acts.first().filter(|_| !self.ours.is_empty()) {
            let at = self.updated + Duration::from_secs(act.after.into());
            if at > until {
                break;
            }
            let act = self.acts.remove(0);
            self.go(at.max(self.now));
            self.act(act.what);
        }
        self.go(until);
    }

    fn go(&mut self, until: Duration) {
        drive(&mut self.world, &mut self.runner, self.now, until);
        self.now = until;
    }

    fn act(&mut self, deed: Deed) {
        let update = |more: Value| {
            let mut input = json!({ "cluster": CLUSTER, "service": SERVICE });
            input
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            input
        };
        let before = self.described()["deployments"][0]["id"].clone();
        let outcome = match deed {
            Deed::Update => self.ask("UpdateService", update(json!({ "taskDefinition": "other:1" }))),
            Deed::UpdateBack => self.ask("UpdateService", update(json!({ "taskDefinition": "shop:1" }))),
            Deed::Force => self.ask("UpdateService", update(json!({ "forceNewDeployment": true }))),
            Deed::Scale(to) => self.ask("UpdateService", update(json!({ "desiredCount": to }))),
            Deed::Stop => match self.our_record() {
                Value::Null => Ok(Value::Null),
                record => self.ask(
                    "StopServiceDeployment",
                    json!({ "serviceDeploymentArn": record["serviceDeploymentArn"], "stopType": "ROLLBACK" }),
                ),
            },
            Deed::Delete => self.ask(
                "DeleteService",
                json!({ "cluster": CLUSTER, "service": SERVICE, "force": true }),
            ),
            Deed::Alarm => {
                self.world.ecs.set_alarm(self.now, "errors", true);
                Ok(Value::Null)
            }
            Deed::StopTask => match self.listed("RUNNING").first().cloned() {
                None => Ok(Value::Null),
                Some(task) => self.ask("StopTask", json!({ "cluster": CLUSTER, "task": task })),
            },
        };
        let after = self.described()["deployments"][0]["id"].clone();
        if before != after && after.is_string() {
            self.foreign.insert(text(&after));
            // It may be gone again before the next look ends.
            self.primaries.insert(text(&after));
        }
        self.say(|_| match outcome {
            Ok(_) => format!("somebody: {deed:?}; primary is {after}"),
            Err(error) => format!("somebody: {deed:?} was refused: {error}"),
        });
    }

    /// The service, as DescribeServices shows it.
    pub fn described(&mut self) -> Rc<Value> {
        if self.known.as_ref().is_none_or(|(at, _)| *at != self.now) {
            let mut said = self.must(
                "DescribeServices",
                json!({ "cluster": CLUSTER, "services": [SERVICE] }),
            );
            self.known = Some((self.now, Rc::new(said["services"][0].take())));
        }
        self.known
            .as_ref()
            .map(|(_, service)| Rc::clone(service))
            .unwrap_or_default()
    }

    /// The service's service deployments, as ListServiceDeployments shows them.
    pub fn service_deployments(&mut self) -> Vec<Value> {
        let asked = json!({ "cluster": CLUSTER, "service": SERVICE, "maxResults": 100 });
        match self.ask("ListServiceDeployments", asked) {
            Ok(listed) => {
                let mut listed = items(listed, "serviceDeployments");
                if self.script.quirks.oldest_first {
                    listed.reverse();
                }
                listed
            }
            Err(_) => Vec::new(),
        }
    }

    /// Service deployments, as DescribeServiceDeployments shows them.
    pub fn records(&mut self, arn: &Value) -> Vec<Value> {
        let said = self.must(
            "DescribeServiceDeployments",
            json!({ "serviceDeploymentArns": [arn] }),
        );
        items(said, "serviceDeployments")
    }

    /// Our service deployment, as DescribeServiceDeployments shows it.
    pub fn our_record(&mut self) -> Value {
        let ours = self.ours.clone();
        let listed = self.service_deployments();
        match listed.iter().find(|one| brings(one, &ours)) {
            Some(one) => self.records(&one["serviceDeploymentArn"]).remove(0),
            None => Value::Null,
        }
    }

    /// A service revision, as DescribeServiceRevisions shows it.
    pub fn revision(&mut self, arn: &str) -> Vec<Value> {
        let said = self.must(
            "DescribeServiceRevisions",
            json!({ "serviceRevisionArns": [arn] }),
        );
        items(said, "serviceRevisions")
    }

    /// ARNs of the service's tasks.
    pub fn listed(&mut self, desired: &str) -> Vec<Value> {
        let said = self.ask(
            "ListTasks",
            json!({ "cluster": CLUSTER, "serviceName": SERVICE, "desiredStatus": desired }),
        );
        match said {
            Ok(said) => items(said, "taskArns"),
            Err(_) => Vec::new(),
        }
    }

    /// Tasks, as DescribeTasks shows them.
    pub fn tasks(&mut self, arns: &[Value]) -> Vec<Value> {
        let parts = arns.chunks(100).flat_map(|part| {
            let said = self.must("DescribeTasks", json!({ "cluster": CLUSTER, "tasks": part }));
            items(said, "tasks")
        });
        parts.collect()
    }

    /// The targets of the service's target group, as DescribeTargetHealth shows them.
    pub fn targets(&self) -> Vec<Value> {
        let Some(group) = &self.target_group else {
            return Vec::new();
        };
        let shown = self.runner.jobs.values().filter_map(|job| {
            let id = job.address.to_string();
            let target = TargetId {
                id: id.clone(),
                port: PORT,
            };
            let health = self.world.elb.health(group, &target)?;
            let mut shown = json!({ "State": health.state });
            if let Some(reason) = health.reason {
                shown["Reason"] = json!(reason);
            }
            if let Some(description) = health.description {
                shown["Description"] = json!(description);
            }
            Some(json!({ "Target": { "Id": id, "Port": PORT }, "TargetHealth": shown }))
        });
        shown.collect()
    }
}

/// Whether a brief service deployment is that of a deployment.
pub fn brings(brief: &Value, deployment: &str) -> bool {
    let number = deployment.rsplit('/').next().unwrap_or_default();
    let target = brief["targetServiceRevisionArn"].as_str();
    target.is_some_and(|arn| arn.rsplit('/').next() == Some(number))
}

/// The elements of a list in an answer.
fn items(mut answer: Value, key: &str) -> Vec<Value> {
    match answer[key].take() {
        Value::Array(items) => items,
        other => panic!("{key} is no list: {other}"),
    }
}

/// An answer with a list of one kind.
pub fn answer(key: &str, items: Vec<Value>) -> Value {
    Value::Object(serde_json::Map::from_iter([(
        key.to_owned(),
        Value::Array(items),
    )]))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn id_of(arn: &Value) -> String {
    text(arn).rsplit('/').next().unwrap_or_default().to_owned()
}
