//! The life of one task: its network, its images, its containers, and their end.

use super::container::Container;
use super::depends::{self, Met};
use super::engine::Engine;
use super::logs;
use super::settings::{self, Place};
use super::words;
use crate::sandbox::world::orders::{ContainerHealth, ContainerSpec, Fact, TaskSpec};
use bollard::errors::Error;
use bollard::models::{ContainerState, HealthStatusEnum};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How often a task is looked at when the Engine tells of nothing: an event may be lost with its connection.
const LOOK: Duration = Duration::from_secs(2);
/// How long the last lines of a container that ended may take to arrive.
const LAST_LINES: Duration = Duration::from_secs(2);
/// The exit code of a container that was removed by somebody else: nobody knows its own.
const VANISHED: i64 = 137;

/// How others reach a task.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Asks for an orderly stop, answered by `TaskGone`.
    pub stop: CancellationToken,
    /// Asks the actor to return as it is; somebody else removes what is there.
    pub halt: CancellationToken,
    /// Says that something happened to a container.
    pub news: Arc<Notify>,
}

/// A task and its containers.
pub struct Task {
    engine: Arc<Engine>,
    spec: TaskSpec,
    facts: UnboundedSender<Fact>,
    signals: Signals,
    /// Every container that was created, the one that holds the network first.
    created: Vec<String>,
    volumes: BTreeMap<String, String>,
    containers: Vec<Container>,
}

/// The task cannot start: which container, and the agent's words.
struct Refused {
    container: String,
    reason: String,
}

impl Task {
    /// A task that nothing was done for yet.
    pub fn new(engine: Arc<Engine>, spec: TaskSpec, facts: UnboundedSender<Fact>, signals: Signals) -> Self {
        Self {
            engine,
            spec,
            facts,
            signals,
            created: Vec::new(),
            volumes: BTreeMap::new(),
            containers: Vec::new(),
        }
    }

    /// Runs the task until it is stopped and gone, or until it is told to leave everything.
    pub async fn run(mut self) {
        if let Err(refused) = self.start().await {
            self.refuse(refused);
        } else {
            self.watch().await;
        }
        self.signals.stop.cancelled().await;
        let halt = self.signals.halt.clone();
        tokio::select! {
            biased;
            () = halt.cancelled() => {}
            () = self.end() => {}
        }
    }

    /// Everything up to created containers. It is never cancelled inside a request that makes something, so that what
    /// was made is known.
    async fn start(&mut self) -> Result<(), Refused> {
        let first = self
            .spec
            .containers
            .first()
            .map_or("", |container| container.name.as_str());
        let of_task = |reason: String| Refused {
            container: first.to_owned(),
            reason,
        };
        for container in &self.spec.containers {
            if let Some(reason) = settings::refusal(&container.definition) {
                return Err(Refused {
                    container: container.name.clone(),
                    reason,
                });
            }
        }
        let wanted = settings::volumes(&self.spec.task_definition).map_err(of_task)?;
        let task = &self.spec.task;
        let (pause, address) = self
            .engine
            .start_pause(task)
            .await
            .map_err(|error| of_task(words::no_network(&words::engine_says(&error))))?;
        self.created.push(pause.clone());
        self.tell(Fact::Address {
            task: task.clone(),
            address,
        });
        for volume in wanted {
            let made = self.engine.create_volume(task, volume).await;
            let name =
                made.map_err(|error| of_task(words::no_volume(volume, &words::engine_says(&error))))?;
            self.volumes.insert(volume.to_owned(), name);
        }
        self.pull().await?;
        for container in self.spec.containers.clone() {
            self.create(container, &pause).await?;
        }
        Ok(())
    }

    /// Pulls all images at the same time; a stop cuts it short.
    async fn pull(&self) -> Result<(), Refused> {
        let task = &self.spec.task;
        self.tell(Fact::PullStarted { task: task.clone() });
        let pulls = self.spec.containers.iter().map(|container| async {
            let digest = self.engine.pull(&container.pull).await;
            digest.map_err(|reason| Refused {
                container: container.name.clone(),
                reason,
            })
        });
        let pulled = tokio::select! {
            pulled = join_all(pulls) => pulled,
            () = self.signals.stop.cancelled() => return Ok(()),
        };
        let mut digests = Vec::new();
        for (container, digest) in self.spec.containers.iter().zip(pulled) {
            digests.extend(digest?.map(|digest| (container.name.clone(), digest)));
        }
        self.tell(Fact::PullStopped {
            task: task.clone(),
            digests,
        });
        Ok(())
    }

    async fn create(&mut self, container: ContainerSpec, pause: &str) -> Result<(), Refused> {
        if self.signals.stop.is_cancelled() {
            return Ok(());
        }
        let place = Place {
            network_of: pause.to_owned(),
            volumes: self.volumes.clone(),
            labels: self.engine.task_labels(&self.spec.task, Some(&container.name)),
        };
        let body = settings::container(&self.spec, &container, &place);
        match self.engine.create(&self.spec.task, &container.name, body).await {
            Ok(id) => {
                self.created.push(id.clone());
                self.containers.push(Container::created(container, id));
                Ok(())
            }
            Err(error) => Err(Refused {
                container: container.name,
                reason: words::cannot_create(&words::engine_says(&error)),
            }),
        }
    }

    /// Starts containers as their dependencies allow, and tells what becomes of them, until a stop is asked for.
    async fn watch(&mut self) {
        let mut starting = true;
        while !self.signals.stop.is_cancelled() {
            self.look().await;
            if starting {
                match self.start_what_is_ready().await {
                    Ok(true) => continue,
                    Ok(false) => {}
                    Err(refused) => {
                        self.refuse(refused);
                        starting = false;
                    }
                }
            }
            tokio::select! {
                () = self.signals.news.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = self.signals.stop.cancelled() => {}
            }
        }
    }

    /// Starts what may start; whether it started anything.
    async fn start_what_is_ready(&mut self) -> Result<bool, Refused> {
        let mut any = false;
        for index in 0..self.containers.len() {
            if self.signals.stop.is_cancelled() {
                break;
            }
            if self.containers[index].started.is_none() && self.is_ready(index)? {
                self.start_container(index).await?;
                any = true;
            }
        }
        Ok(any)
    }

    fn is_ready(&self, index: usize) -> Result<bool, Refused> {
        let container = &self.containers[index].spec;
        for dependency in depends::dependencies(&container.definition) {
            let on = self
                .containers
                .iter()
                .find(|other| other.spec.name == dependency.on);
            let lost = |why: &str| Refused {
                container: container.name.clone(),
                reason: words::dependency_lost(
                    &container.name,
                    &dependency.on,
                    dependency.condition.as_str(),
                    why,
                ),
            };
            let Some(on) = on else {
                return Err(lost("does not exist"));
            };
            match dependency.met(on.progress()) {
                Met::Yes => {}
                Met::Never => return Err(lost("ended")),
                Met::NotYet => {
                    let patience = settings::start_timeout(&on.spec.definition);
                    return match on.started {
                        Some(since) if since.elapsed() > patience => Err(lost("timed out")),
                        _ => Ok(false),
                    };
                }
            }
        }
        Ok(true)
    }

    async fn start_container(&mut self, index: usize) -> Result<(), Refused> {
        let id = self.containers[index].id.clone();
        let name = self.containers[index].spec.name.clone();
        if let Err(error) = self.engine.start(&id).await {
            return Err(Refused {
                container: name,
                reason: words::cannot_start(&words::engine_says(&error)),
            });
        }
        self.tell(Fact::ContainerStarted {
            task: self.spec.task.clone(),
            container: name.clone(),
            runtime_id: id.clone(),
        });
        let lines = logs::follow(
            self.engine.clone(),
            id,
            self.facts.clone(),
            self.spec.task.clone(),
            name,
        );
        let container = &mut self.containers[index];
        container.started = Some(Instant::now());
        container.lines = Some(tokio::spawn(lines));
        Ok(())
    }

    /// Looks at every container that runs, and tells what is not known yet.
    async fn look(&mut self) {
        for index in 0..self.containers.len() {
            if !self.containers[index].runs() {
                continue;
            }
            match self.engine.inspect(&self.containers[index].id).await {
                Ok(seen) => self.learn(index, &seen.state.unwrap_or_default()).await,
                Err(Error::DockerResponseServerError { status_code: 404, .. }) => {
                    self.ended(index, VANISHED, false).await;
                }
                // The next look may tell.
                Err(error) => tracing::debug!(%error, "a container could not be inspected"),
            }
        }
    }

    async fn learn(&mut self, index: usize, state: &ContainerState) {
        let health = match state.health.as_ref().and_then(|health| health.status) {
            Some(HealthStatusEnum::HEALTHY) => Some(ContainerHealth::Healthy),
            Some(HealthStatusEnum::UNHEALTHY) => Some(ContainerHealth::Unhealthy),
            _ => None,
        };
        if let Some(health) = health.filter(|health| Some(*health) != self.containers[index].health) {
            self.containers[index].health = Some(health);
            self.tell(Fact::ContainerHealth {
                task: self.spec.task.clone(),
                container: self.containers[index].spec.name.clone(),
                health,
            });
        }
        if state.running == Some(false) {
            let code = state.exit_code.unwrap_or(VANISHED);
            // The Engine also marks a container whose main process outlived the one that was killed.
            let killed = state.oom_killed == Some(true) && code == VANISHED;
            self.ended(index, code, killed).await;
        }
    }

    /// A container ended; its last lines come before the fact.
    async fn ended(&mut self, index: usize, code: i64, out_of_memory: bool) {
        let container = &mut self.containers[index];
        container.exit = Some(code);
        if let Some(mut lines) = container.lines.take()
            && timeout(LAST_LINES, &mut lines).await.is_err()
        {
            lines.abort();
        }
        let container = container.spec.name.clone();
        self.tell(Fact::ContainerExited {
            task: self.spec.task.clone(),
            container,
            code,
            out_of_memory,
        });
    }

    /// Stops and removes everything; one that resists does not keep the others.
    async fn end(&mut self) {
        let engine = &self.engine;
        join_all(
            self.containers
                .iter()
                .filter(|container| container.runs())
                .map(|container| container.stop(engine)),
        )
        .await;
        self.look().await;
        // The container that holds the network goes last.
        for group in [self.created.get(1..), self.created.get(..1)] {
            let removals = group
                .unwrap_or_default()
                .iter()
                .map(|id| remove(&self.engine, id));
            join_all(removals).await;
        }
        for volume in self.volumes.values() {
            if let Err(error) = self.engine.remove_volume(volume).await {
                tracing::warn!(%error, volume, "a volume could not be removed");
            }
        }
        self.tell(Fact::TaskGone {
            task: self.spec.task.clone(),
        });
    }

    fn refuse(&self, refused: Refused) {
        self.tell(Fact::ContainerRefused {
            task: self.spec.task.clone(),
            container: refused.container,
            reason: refused.reason,
        });
    }

    fn tell(&self, fact: Fact) {
        // Nobody listens any more only when the sandbox is being stopped.
        let _ = self.facts.send(fact);
    }
}

async fn remove(engine: &Engine, id: &str) {
    if let Err(error) = engine.remove(id).await {
        tracing::warn!(%error, id, "a container could not be removed");
    }
}
