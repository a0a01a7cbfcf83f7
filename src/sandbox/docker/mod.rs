//! Runs ECS tasks as real containers of the local Engine, and checks targets over real connections.
//!
//! A [`Runner`] obeys the world's orders and tells it facts. Every sandbox has a bridge network, every task a container
//! that holds its network namespace and address, which the task's own containers join. What happens is heard from the
//! Engine's events and always looked up: a lost event can delay a fact, never lose it. Everything carries labels
//! that name the sandbox and its process, and nothing without them is ever removed.

mod check;
mod container;
mod depends;
mod engine;
mod lines;
mod logs;
mod owner;
mod pause;
mod settings;
mod sweep;
mod task;
mod words;

use super::world::orders::{Fact, Order, TaskId, TaskSpec};
use crate::secret::Secret;
use bollard::errors::Error;
use bollard::query_parameters::EventsOptionsBuilder;
use engine::Engine;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
pub use sweep::Leftover;
use task::{Signals, Task};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// Between two attempts to hear the Engine's events.
const RECONNECT: Duration = Duration::from_millis(500);

/// What a runner needs to know.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// The Engine, in the form of `DOCKER_HOST`; the standard socket when `None`.
    pub docker_host: Option<String>,
    /// The sandbox's id, unique among the sandboxes of an Engine: lower-case letters, digits and `-`.
    pub sandbox: String,
    /// `127.0.0.1:4566`: images in its namespace are pulled with the password, and removed at the end.
    pub registry_host: String,
    /// The password of the user `AWS` at the registry.
    pub registry_password: Secret<String>,
}

/// Why a runner did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No Engine answers.
    #[error("connect to the Docker Engine at `{host}`")]
    Connect {
        /// Where it was looked for.
        host: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// The Engine runs on a processor that the sandbox has no program for.
    #[error("the Docker Engine runs on `{name}`; the sandbox runs tasks on amd64 and arm64 only")]
    Processor {
        /// The processor, as the Engine names it.
        name: String,
    },
    /// The sandbox's network could not be made.
    #[error("create the sandbox's network")]
    Network(#[source] Error),
    /// The image of the containers that hold a task's network could not be imported.
    #[error("import the image that holds a task's network")]
    Pause(#[source] Error),
}

/// Runs tasks until it is stopped.
#[derive(Debug)]
#[must_use = "a runner must be stopped, or it leaves containers behind"]
pub struct Runner {
    engine: Arc<Engine>,
    halt: CancellationToken,
    work: JoinHandle<()>,
}

impl Runner {
    /// Connects to the Engine, removes what sandboxes of dead processes left there, and obeys orders from then on.
    /// Whoever cancels it may leave a network behind, which the next sandbox removes.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left on the Engine then.
    pub async fn start(
        orders: UnboundedReceiver<Order>,
        facts: UnboundedSender<Fact>,
        config: RunnerConfig,
    ) -> Result<Self, StartError> {
        let engine = Engine::open(config).await?;
        for left in sweep::sweep_dead(&engine.docker, &engine.owner).await {
            tracing::warn!(cause = %left.why, "an earlier sandbox left {left}");
        }
        if let Err(error) = prepare(&engine).await {
            engine.sweep().await;
            return Err(error);
        }
        let engine = Arc::new(engine);
        let halt = CancellationToken::new();
        let work = tokio::spawn(obey(engine.clone(), orders, facts, halt.clone()));
        Ok(Self { engine, halt, work })
    }

    /// Ends every task at once and removes everything that the sandbox made: containers, volumes, the network, and the
    /// images of its registry. It goes on when its caller is cancelled. Gives what could not be removed.
    pub async fn stop(self) -> Vec<Leftover> {
        let clean_up = tokio::spawn(async move {
            self.halt.cancel();
            // A panic in there must not keep anything on the Engine.
            let _ = self.work.await;
            self.engine.sweep().await
        });
        clean_up.await.unwrap_or_default()
    }
}

async fn prepare(engine: &Engine) -> Result<(), StartError> {
    engine.create_network().await?;
    engine.import_pause().await
}

/// The tasks that run, and how to reach them.
#[derive(Debug, Clone, Default)]
struct Board(Arc<Mutex<BTreeMap<TaskId, Signals>>>);

impl Board {
    fn tasks(&self) -> MutexGuard<'_, BTreeMap<TaskId, Signals>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something happened to a task, or to any of them.
    fn notify(&self, task: Option<&String>) {
        for (id, signals) in self.tasks().iter() {
            if task.is_none_or(|task| task == id) {
                signals.news.notify_one();
            }
        }
    }
}

/// Obeys orders until it is halted; then ends every actor.
async fn obey(
    engine: Arc<Engine>,
    mut orders: UnboundedReceiver<Order>,
    facts: UnboundedSender<Fact>,
    halt: CancellationToken,
) {
    let board = Board::default();
    let mut tasks = JoinSet::new();
    let mut helpers = JoinSet::new();
    helpers.spawn(hear_events(engine.clone(), board.clone()));
    loop {
        tokio::select! {
            () = halt.cancelled() => break,
            Some(_) = tasks.join_next() => {}
            Some(_) = helpers.join_next() => {}
            Some(order) = orders.recv() => match order {
                Order::Start(spec) => start(&engine, &board, &facts, &halt, &mut tasks, *spec),
                Order::Stop { task } => stop(&board, &facts, task),
                Order::Check(order) => {
                    let facts = facts.clone();
                    helpers.spawn(async move {
                        let outcome = check::carry_out(&order).await;
                        let _ = facts.send(Fact::TargetChecked {
                            target_group: order.target_group,
                            target: order.target,
                            outcome,
                        });
                    });
                }
            },
        }
    }
    helpers.shutdown().await;
    for signals in board.tasks().values() {
        signals.stop.cancel();
    }
    while tasks.join_next().await.is_some() {}
}

fn start(
    engine: &Arc<Engine>,
    board: &Board,
    facts: &UnboundedSender<Fact>,
    halt: &CancellationToken,
    tasks: &mut JoinSet<()>,
    spec: TaskSpec,
) {
    let signals = Signals {
        halt: halt.clone(),
        ..Signals::default()
    };
    let id = spec.task.clone();
    if board.tasks().insert(id.clone(), signals.clone()).is_some() {
        tracing::error!(task = id, "a task was started twice");
    }
    let task = Task::new(engine.clone(), spec, facts.clone(), signals);
    let board = board.clone();
    tasks.spawn(async move {
        task.run().await;
        board.tasks().remove(&id);
    });
}

/// Asks a task to stop; one that does not run is gone already.
fn stop(board: &Board, facts: &UnboundedSender<Fact>, task: TaskId) {
    match board.tasks().get(&task) {
        Some(signals) => signals.stop.cancel(),
        None => {
            let _ = facts.send(Fact::TaskGone { task });
        }
    }
}

/// Wakes the tasks that the Engine has news of. After every (re)connection all are woken: what happened in between was
/// not heard.
async fn hear_events(engine: Arc<Engine>, board: Board) {
    let label = format!("{}={}", owner::SANDBOX, engine.config.sandbox);
    let filters = sweep::labelled(&label);
    loop {
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let mut events = engine.docker.events(Some(options));
        board.notify(None);
        while let Some(Ok(event)) = events.next().await {
            let labels = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
            board.notify(labels.get(owner::TASK));
        }
        tokio::time::sleep(RECONNECT).await;
    }
}
