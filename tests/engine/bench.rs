//! A runner on the real Engine, with its own sandbox and registry.

use super::image::{self, Image};
use super::registry;
use bollard::Docker;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptions, ListNetworksOptions, ListVolumesOptions,
};
use serde_json::{Value, json};
use slipway::sandbox::docker::{Runner, RunnerConfig};
use slipway::sandbox::world::orders::{
    CheckOutcome, ContainerSpec, Fact, Order, TargetCheck, TargetId, TaskSpec,
};
use slipway::secret::Secret;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// More than anything takes that a test waits for.
const PATIENCE: Duration = Duration::from_secs(90);

/// One sandbox's runner, and both ends of its channels.
pub struct Bench {
    pub runner: Runner,
    pub orders: mpsc::UnboundedSender<Order>,
    pub facts: mpsc::UnboundedReceiver<Fact>,
    pub config: RunnerConfig,
    pub image: Arc<Image>,
}

/// The Engine that the tests use.
#[expect(
    clippy::disallowed_methods,
    reason = "tests choose the Engine as its own client does"
)]
pub fn docker_host() -> Option<String> {
    std::env::var("DOCKER_HOST").ok()
}

/// A connection of the test's own.
pub async fn docker() -> Docker {
    let host = docker_host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
    let docker = Docker::connect_with_host(&host).unwrap();
    docker.negotiate_version().await.unwrap()
}

/// The configuration of a sandbox: `name` is unique among the tests.
pub fn config(name: &str, registry_host: String, password: &str) -> RunnerConfig {
    RunnerConfig {
        docker_host: docker_host(),
        sandbox: format!("test-{}-{name}", std::process::id()),
        registry_host,
        registry_password: Secret::new(password.to_owned()),
    }
}

impl Bench {
    pub async fn start(name: &str) -> Self {
        let image = Arc::new(image::busybox(name));
        let host = registry::serve(image.clone(), "open").await;
        let config = config(name, host, "open");
        let (orders, received) = mpsc::unbounded_channel();
        let (told, facts) = mpsc::unbounded_channel();
        let runner = Runner::start(received, told, config.clone()).await.unwrap();
        Self {
            runner,
            orders,
            facts,
            config,
            image,
        }
    }

    /// Orders a task of container definitions; an image `web:1` is one of the sandbox's registry.
    pub fn run(&self, task: &str, definitions: &[Value]) {
        self.run_with(task, json!({"family": "web"}), definitions);
    }

    pub fn run_with(&self, task: &str, task_definition: Value, definitions: &[Value]) {
        let containers = definitions.iter().map(|definition| {
            let image = format!(
                "{}/{}",
                self.config.registry_host,
                definition["image"].as_str().unwrap()
            );
            ContainerSpec {
                name: definition["name"].as_str().unwrap().to_owned(),
                pull: image.replace(":1@", "@"),
                image,
                definition: definition.clone(),
            }
        });
        self.order(Order::Start(Box::new(TaskSpec {
            task: task.to_owned(),
            group: "service:web".to_owned(),
            revision: "web:1".to_owned(),
            containers: containers.collect(),
            task_definition,
            overrides: None,
        })));
    }

    pub fn order(&self, order: Order) {
        self.orders.send(order).unwrap();
    }

    pub fn stop_task(&self, task: &str) {
        self.order(Order::Stop {
            task: task.to_owned(),
        });
    }

    /// The facts up to the one that is waited for, which is the last.
    pub async fn until(&mut self, wanted: impl Fn(&Fact) -> bool) -> Vec<Fact> {
        let mut seen = Vec::new();
        loop {
            match timeout(PATIENCE, self.facts.recv()).await {
                Ok(Some(fact)) => {
                    let last = wanted(&fact);
                    seen.push(fact);
                    if last {
                        return seen;
                    }
                }
                _ => panic!("waited in vain; seen: {seen:#?}"),
            }
        }
    }

    /// Stops a task and gives the facts up to its end.
    pub async fn end(&mut self, task: &str) -> Vec<Fact> {
        self.stop_task(task);
        self.until(|fact| matches!(fact, Fact::TaskGone { task: gone } if gone == task))
            .await
    }

    /// Checks a target once.
    pub async fn check(&mut self, address: &str, port: u16, path: &str) -> CheckOutcome {
        self.order(Order::Check(TargetCheck {
            target_group: "web".to_owned(),
            target: TargetId {
                id: address.to_owned(),
                port,
            },
            protocol: "HTTP".to_owned(),
            port,
            path: path.to_owned(),
            timeout: Duration::from_secs(2),
        }));
        let mut seen = self
            .until(|fact| matches!(fact, Fact::TargetChecked { .. }))
            .await;
        match seen.pop() {
            Some(Fact::TargetChecked { outcome, .. }) => outcome,
            other => panic!("{other:?}"),
        }
    }

    /// Ends the sandbox: nothing of it is left on the Engine.
    pub async fn finish(self) {
        let left = self.runner.stop().await;
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(things_of(&self.config).await, Vec::<String>::new());
    }
}

/// Everything on the Engine that belongs to a sandbox.
pub async fn things_of(config: &RunnerConfig) -> Vec<String> {
    let docker = docker().await;
    let options = ListContainersOptionsBuilder::default().all(true).build();
    let containers = docker.list_containers(Some(options)).await.unwrap();
    let networks = docker.list_networks(None::<ListNetworksOptions>).await.unwrap();
    let volumes = docker.list_volumes(None::<ListVolumesOptions>).await.unwrap();
    let images = docker.list_images(None::<ListImagesOptions>).await.unwrap();
    let names = containers
        .into_iter()
        .flat_map(|container| container.names.unwrap_or_default())
        .chain(networks.into_iter().filter_map(|network| network.name))
        .chain(
            volumes
                .volumes
                .unwrap_or_default()
                .into_iter()
                .map(|volume| volume.name),
        )
        .chain(
            images
                .into_iter()
                .flat_map(|image| [image.repo_tags, image.repo_digests].concat()),
        );
    let ours = |name: &String| name.contains(&config.sandbox) || name.contains(&config.registry_host);
    names.filter(ours).collect()
}
