//! A world with simulated tasks on a virtual timeline, for tests: seconds since the first update, events as lines.

use super::Timings;
use crate::name::Digest;
use crate::sandbox::scenario::Scenario;
use crate::sandbox::simulate::{Simulator, drive};
use crate::sandbox::world::acts::Acts;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::{World, WorldConfig};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// When every test begins: 2025-11-24T16:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_764_000_000);

/// One deployment: (status, rollout state, desired, running, pending, failed).
pub type Row = (String, String, u64, u64, u64, u64);

/// A world, its simulator, and a clock that only tests move.
pub struct Timeline {
    world: World,
    simulator: Simulator,
    now: Duration,
    zero: Duration,
}

impl Timeline {
    /// A cluster `default`, and a task definition `web:1` that runs one container without any check.
    pub fn new(scenario: &str) -> Self {
        let scenario = Scenario::parse(scenario).unwrap();
        let timings = Timings::default();
        let mut world = World::new(WorldConfig {
            region: "eu-west-1".into(),
            registry_host: "127.0.0.1:4566".into(),
            timings: timings.clone(),
        });
        world.ecs.quirks = scenario.quirks;
        world.ecs.troubles = scenario.troubles;
        world.ecs.hooks = scenario.hooks;
        world.acts = Acts::new(scenario.acts, EPOCH, Duration::from_secs(1));
        let mut timeline = Self {
            world,
            simulator: Simulator::new(scenario.fates, timings),
            now: EPOCH,
            zero: EPOCH,
        };
        timeline.call("CreateCluster", json!({}));
        timeline.call("RegisterTaskDefinition", definition());
        timeline
    }

    /// A timeline whose service `web` runs `desired` tasks of `web:1`, complete and steady; the time is zero again.
    pub fn serving(scenario: &str, desired: u32, settings: Value) -> Self {
        let mut timeline = Self::new(scenario);
        timeline.call("CreateService", service(desired, settings));
        timeline.pass(600);
        assert_eq!(timeline.service()["deployments"][0]["rolloutState"], "COMPLETED");
        timeline.start_over();
        timeline
    }

    /// Makes this the second zero: events from before are not shown any more.
    pub fn start_over(&mut self) {
        self.zero = self.now;
    }

    /// What an operation answers.
    #[expect(clippy::needless_pass_by_value, reason = "tests pass `json!` literals")]
    pub fn ask(&mut self, operation: &str, input: Value) -> Result<Value, ApiError> {
        let World { ecs, elb, ecr, .. } = &mut self.world;
        let answer = ecs.call(self.now, operation, &input, elb, ecr);
        drive(&mut self.world, &mut self.simulator, self.now);
        answer
    }

    /// What an operation that must succeed answers.
    pub fn call(&mut self, operation: &str, input: Value) -> Value {
        self.ask(operation, input).unwrap()
    }

    /// What an operation of the load balancer answers.
    pub fn call_elb(&mut self, operation: &str, params: &[(&str, &str)]) -> String {
        let params: BTreeMap<String, String> = params
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        self.world.elb.call(self.now, operation, &params).unwrap()
    }

    /// Puts an image with this text as its only layer into the repository `web`, under a tag; gives its digest.
    pub fn put_image(&mut self, layer: &str, tag: &str) -> String {
        let (config, layer) = (
            Digest::of(b"{}").to_string(),
            Digest::of(layer.as_bytes()).to_string(),
        );
        // That it exists already is as good.
        let _ = self
            .world
            .ecr
            .call(self.now, "CreateRepository", &json!({ "repositoryName": "web" }));
        let repository = self.world.ecr.repository_mut("web").unwrap();
        repository.blobs.insert(config.clone(), 2);
        repository.blobs.insert(layer.clone(), 40);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 },
            "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 40 }],
        });
        self.put_manifest(&manifest, tag)
    }

    /// Puts a manifest into the repository `web`, under a tag; gives its digest.
    pub fn put_manifest(&mut self, manifest: &Value, tag: &str) -> String {
        let input =
            json!({ "repositoryName": "web", "imageManifest": manifest.to_string(), "imageTag": tag });
        let put = self.world.ecr.call(self.now, "PutImage", &input).unwrap();
        put["image"]["imageId"]["imageDigest"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Registers the next revision of `web` and rolls it out.
    pub fn update(&mut self, more: Value) -> Value {
        self.call("RegisterTaskDefinition", definition());
        let mut input = json!({ "service": "web", "taskDefinition": "web" });
        merge(&mut input, more);
        self.call("UpdateService", input)["service"].clone()
    }

    /// Sets the state of a CloudWatch alarm.
    pub fn set_alarm(&mut self, name: &str, in_alarm: bool) {
        self.world.ecs.set_alarm(self.now, name, in_alarm);
        drive(&mut self.world, &mut self.simulator, self.now);
    }

    /// How many of a hundred requests at a listener's port reach which of two target groups.
    pub fn requests(&self, port: u16, groups: [&str; 2]) -> [usize; 2] {
        let elb = &self.world.elb;
        let reached = |group: &str| {
            (0..100)
                .filter_map(|turn| elb.route(port, turn))
                .filter(|target| elb.health(group, target).is_some())
                .count()
        };
        groups.map(reached)
    }

    /// Lets time pass until the newest service deployment is in this lifecycle stage, and gives the seconds since zero.
    pub fn pass_to(&mut self, stage: &str) -> u64 {
        for _ in 0..7200 {
            if self.service_deployment()["lifecycleStage"] == stage {
                return (self.now - self.zero).as_secs();
            }
            self.pass(1);
        }
        panic!("{stage} was not reached: {:#}", self.service_deployment());
    }

    /// Lets seconds pass.
    pub fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        drive(&mut self.world, &mut self.simulator, self.now);
    }

    /// Lets time pass until the service's events contain `text`, and gives the second at which it was told.
    pub fn pass_until(&mut self, text: &str) -> u64 {
        for _ in 0..3600 {
            if let Some((at, _)) = self.events().into_iter().find(|(_, event)| event.contains(text)) {
                return at;
            }
            self.pass(1);
        }
        panic!("nothing told of `{text}` within an hour: {:#?}", self.events());
    }

    /// The service `web` as described.
    pub fn service(&mut self) -> Value {
        self.call("DescribeServices", json!({ "services": ["web"] }))["services"][0].clone()
    }

    /// The deployments of `web`, the PRIMARY first.
    pub fn deployments(&mut self) -> Vec<Row> {
        let service = self.service();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let each = service["deployments"].as_array().unwrap().iter();
        each.map(|one| {
            let count = |key: &str| one[key].as_u64().unwrap();
            (
                text(&one["status"]),
                text(&one["rolloutState"]),
                count("desiredCount"),
                count("runningCount"),
                count("pendingCount"),
                count("failedTasks"),
            )
        })
        .collect()
    }

    /// The events since second zero, oldest first: (second, text without `(service web)` and ids).
    pub fn events(&mut self) -> Vec<(u64, String)> {
        let service = self.service();
        let zero = self.zero.as_secs_f64();
        let mut events: Vec<(u64, String)> = Vec::new();
        for event in service["events"].as_array().unwrap().iter().rev() {
            let at = event["createdAt"].as_f64().unwrap() - zero;
            if at >= 0.0 {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a few thousand seconds"
                )]
                events.push((at as u64, anonymous(event["message"].as_str().unwrap())));
            }
        }
        events
    }

    /// The tasks of `web`, running or stopped, as described, oldest first.
    pub fn tasks(&mut self) -> Vec<Value> {
        let mut arns = Vec::new();
        for status in ["RUNNING", "STOPPED"] {
            let input = json!({ "serviceName": "web", "desiredStatus": status });
            arns.extend(
                self.call("ListTasks", input)["taskArns"]
                    .as_array()
                    .unwrap()
                    .clone(),
            );
        }
        if arns.is_empty() {
            return Vec::new();
        }
        let mut tasks = self.call("DescribeTasks", json!({ "tasks": arns }))["tasks"]
            .as_array()
            .unwrap()
            .clone();
        tasks.sort_by_key(|task| (task["createdAt"].as_f64().unwrap() * 1000.0).round().to_string());
        tasks
    }

    /// The newest service deployment of `web`, as described.
    pub fn service_deployment(&mut self) -> Value {
        let list = self.call("ListServiceDeployments", json!({ "service": "web" }));
        let arn = &list["serviceDeployments"][0]["serviceDeploymentArn"];
        self.call(
            "DescribeServiceDeployments",
            json!({ "serviceDeploymentArns": [arn] }),
        )["serviceDeployments"][0]
            .clone()
    }
}

/// A registration of `web`.
pub fn definition() -> Value {
    json!({
        "family": "web", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [{ "name": "web", "image": "example.com/web:1", "portMappings": [{ "containerPort": 80 }] }],
    })
}

/// A CreateService of `web`.
pub fn service(desired: u32, settings: Value) -> Value {
    let mut input = json!({
        "serviceName": "web", "taskDefinition": "web", "desiredCount": desired, "launchType": "FARGATE",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    });
    merge(&mut input, settings);
    input
}

/// A circuit breaker with rollback.
pub fn breaker() -> Value {
    json!({ "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } } })
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

/// The text with every id replaced by its kind, and without the service's name.
fn anonymous(message: &str) -> String {
    let words = message.trim_start_matches("(service web) ").split(' ');
    let words: Vec<String> = words
        .map(|word| {
            let bare = word.trim_end_matches(['.', ')', ':']);
            let tail = &word[bare.len()..];
            if bare.len() == 32 && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                format!("T{tail}")
            } else if bare.starts_with("ecs-svc/") {
                format!("D{tail}")
            } else if bare.starts_with("arn:aws:elasticloadbalancing") {
                format!("G{tail}")
            } else {
                word.to_owned()
            }
        })
        .collect();
    words.join(" ")
}

/// Events as `second text` lines.
pub fn lines(events: Vec<(u64, String)>) -> Vec<String> {
    events
        .into_iter()
        .map(|(at, text)| format!("{at:>4} {text}"))
        .collect()
}

/// A row of [`Timeline::deployments`]; the counts are desired, running, pending and failed tasks.
pub fn row(status: &str, state: &str, counts: [u64; 4]) -> Row {
    let [desired, running, pending, failed] = counts;
    (status.into(), state.into(), desired, running, pending, failed)
}
