//! The listener on loopback, and the world behind it: what a sandbox is started with, what it shares, how it stops.

use super::balancer::Balancer;
use super::docker::{self, Leftover, Runner, RunnerConfig};
use super::journal::Journal;
use super::listener::{Line, Loopback};
use super::scenario::Scenario;
use super::scenario::faults::Faults;
use super::simulate::{self, Simulator};
use super::wire::{self, Site, Spool};
use super::world::acts::Acts;
use super::world::ecs::Timings;
use super::world::orders::{Fact, Order};
use super::world::{World, WorldConfig};
use crate::clock::Clock;
use axum::Router;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How long requests under way may take to end when the sandbox stops; clients on loopback need far less.
const GRACE: Duration = Duration::from_secs(2);

/// How tasks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tasks {
    /// Real containers of the local Engine.
    Docker,
    /// The scenario's fates, on whatever clock the sandbox has.
    Simulated,
}

/// How to start a sandbox.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port on 127.0.0.1; 0 for a free one.
    pub port: u16,
    /// One JSON object per request goes here.
    pub journal: Option<PathBuf>,
    /// What goes wrong.
    pub scenario: Scenario,
    /// The region of every ARN.
    pub region: String,
    /// How tasks run.
    pub tasks: Tasks,
    /// The Engine of [`Tasks::Docker`], as `DOCKER_HOST` names it; the standard socket when `None`.
    pub docker_host: Option<String>,
    /// How long ECS takes.
    pub timings: Timings,
    /// The clock; a virtual one makes minutes into microseconds for a client in the same process.
    pub clock: Clock,
}

/// The world, its clock, and whoever runs its tasks; cheap to clone.
///
/// Everything that looks at the world or changes it goes through [`Shared::visit`], so that time has passed for it and
/// its orders are handed on.
#[derive(Debug, Clone)]
pub struct Shared {
    world: Arc<Mutex<World>>,
    runner: Arc<Mutex<Orders>>,
    clock: Clock,
    changed: Arc<Notify>,
    /// Messages of SQS.
    arrived: Arc<Notify>,
}

/// Where the world's orders go.
#[derive(Debug)]
enum Orders {
    Docker(mpsc::UnboundedSender<Order>),
    Simulated(Box<Simulator>),
}

impl Shared {
    fn new(world: World, clock: Clock, orders: Orders) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            runner: Arc::new(Mutex::new(orders)),
            clock,
            changed: Arc::new(Notify::new()),
            arrived: Arc::new(Notify::new()),
        }
    }

    /// Lets time pass up to the clock's instant, then lends the world and that instant to `act`.
    ///
    /// `act` must be short: every request waits for it.
    pub fn visit<T>(&self, act: impl FnOnce(&mut World, Duration) -> T) -> T {
        let (answer, _) = self.look(act);
        self.changed.notify_one();
        answer
    }

    /// Tells the world what a task or a target did.
    pub fn learn(&self, fact: Fact) {
        self.visit(|world, now| world.learn(now, fact));
    }

    /// The clock that the world lives by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Ends when a message was sent to a queue, from now on.
    pub fn arrived(&self) -> impl Future<Output = ()> + Send + use<> {
        self.arrived.clone().notified_owned()
    }

    /// A visit that wakes nobody but who waits for a message; gives the next instant at which something is due as well.
    fn look<T>(&self, act: impl FnOnce(&mut World, Duration) -> T) -> (T, Option<Duration>) {
        let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let sent = world.sqs.sent();
        let looked = match &mut *runner {
            Orders::Simulated(simulator) => {
                simulate::drive(&mut world, simulator, now);
                let answer = act(&mut world, now);
                simulate::drive(&mut world, simulator, now);
                let due = [world.next_change(), simulator.next_due()]
                    .into_iter()
                    .flatten()
                    .min();
                (answer, due)
            }
            Orders::Docker(orders) => {
                world.advance(now);
                let answer = act(&mut world, now);
                world.advance(now);
                for order in world.take_orders() {
                    // Nobody takes orders any more once the sandbox stops.
                    let _ = orders.send(order);
                }
                (answer, world.next_change())
            }
        };
        if world.sqs.sent() != sent {
            self.arrived.notify_waiters();
        }
        looked
    }

    /// Lets time pass for as long as somebody polls it: wakes whenever something is due, or somebody visited.
    async fn keep_time(self) {
        loop {
            let ((), due) = self.look(|_, _| ());
            let changed = self.changed.notified();
            match due {
                Some(due) => {
                    tokio::select! {
                        () = self.clock.reaches(due) => {}
                        () = changed => {}
                    }
                }
                None => changed.await,
            }
        }
    }
}

/// A sandbox that serves.
#[derive(Debug)]
#[must_use = "a sandbox must be stopped, or it leaves containers behind"]
pub struct Sandbox {
    endpoint: String,
    shared: Shared,
    site: Arc<Site>,
    close: oneshot::Sender<()>,
    server: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
    far: Option<(Runner, Balancer)>,
}

impl Sandbox {
    /// Binds 127.0.0.1 and serves.
    ///
    /// # Errors
    /// [`StartError`] when the port is taken, the journal cannot be written, or no Engine answers.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let port = options.port;
        let bind = |source| StartError::Bind { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(bind)?;
        let host = listener.local_addr().map_err(bind)?.to_string();
        let journal = match &options.journal {
            None => None,
            Some(path) => Some(Journal::create(path).map_err(|source| StartError::Journal {
                path: path.clone(),
                source,
            })?),
        };
        let spool = Spool::create().map_err(StartError::Spool)?;
        let mut world = World::new(WorldConfig {
            region: options.region.clone(),
            registry_host: host.clone(),
            timings: options.timings.clone(),
        });
        world.ecs.quirks = options.scenario.quirks.clone();
        world.pipeline.quirks = options.scenario.codepipeline.clone();
        world.ecs.troubles = options.scenario.troubles.clone();
        world.ecs.hooks = options.scenario.hooks.clone();
        world.sts.roles = options.scenario.roles.clone();
        world.acts = Acts::new(
            options.scenario.acts.clone(),
            options.clock.now(),
            options.timings.second,
        );
        world.quotas.enforced = options.scenario.quotas_enforced;
        for (category, rate) in &options.scenario.rates {
            world.quotas.set(*category, *rate);
        }
        for wake in &options.scenario.wakes {
            world.sqs.subscribe(wake.clone());
        }
        let (shared, mut helpers, far) = Box::pin(start_runner(world, &options, &host)).await?;
        if !matches!(options.clock, Clock::Virtual(_)) {
            helpers.push(tokio::spawn(shared.clone().keep_time()));
        }
        let site = Arc::new(Site::new(shared.clone(), spool, journal, options.scenario.faults));
        let (close, closed) = oneshot::channel();
        let server = tokio::spawn(listen(listener, site.clone(), closed));
        Ok(Self {
            endpoint: format!("http://{host}"),
            shared,
            site,
            close,
            server,
            helpers,
            far,
        })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The world behind the wire, for tests.
    #[must_use]
    pub fn world(&self) -> Shared {
        self.shared.clone()
    }

    /// From now on these faults happen, counted from here, and none of those before.
    pub fn set_faults(&self, faults: Faults) {
        self.site.set_faults(faults);
    }

    /// How many requests a fault has hit; one whose answer is held counts once its effect has happened.
    #[must_use]
    pub fn struck(&self) -> watch::Receiver<u64> {
        self.site.struck()
    }

    /// Stops serving, and removes every container and network that it made; it goes on when its caller is cancelled.
    /// Gives what could not be removed.
    pub async fn stop(self) -> Vec<Leftover> {
        tokio::spawn(self.wind_up()).await.unwrap_or_default()
    }

    async fn wind_up(self) -> Vec<Leftover> {
        // The server may have ended by itself.
        let _ = self.close.send(());
        let mut server = self.server;
        if tokio::time::timeout(GRACE, &mut server).await.is_err() {
            server.abort();
        }
        let mut left = Vec::new();
        if let Some((runner, balancer)) = self.far {
            balancer.stop().await;
            left = runner.stop().await;
        }
        for helper in self.helpers {
            helper.abort();
        }
        left
    }
}

/// Starts whoever runs tasks.
async fn start_runner(
    world: World,
    options: &Options,
    host: &str,
) -> Result<(Shared, Vec<JoinHandle<()>>, Option<(Runner, Balancer)>), StartError> {
    let clock = options.clock.clone();
    if options.tasks == Tasks::Simulated {
        let simulator = Simulator::new(options.scenario.fates.clone(), options.timings.clone());
        return Ok((
            Shared::new(world, clock, Orders::Simulated(Box::new(simulator))),
            Vec::new(),
            None,
        ));
    }
    let (orders, taken) = mpsc::unbounded_channel();
    let (facts, mut told) = mpsc::unbounded_channel();
    let shared = Shared::new(world, clock, Orders::Docker(orders));
    let config = RunnerConfig {
        docker_host: options.docker_host.clone(),
        sandbox: format!(
            "{}-{}",
            std::process::id(),
            host.rsplit(':').next().unwrap_or_default()
        ),
        registry_host: host.to_owned(),
        registry_password: shared.visit(|world, _| world.ecr.agent_token()),
    };
    let runner = Runner::start(taken, facts, config)
        .await
        .map_err(StartError::Runner)?;
    let balancer = Balancer::start(shared.world.clone());
    let listener = shared.clone();
    let listens = tokio::spawn(async move {
        while let Some(fact) = told.recv().await {
            listener.learn(fact);
        }
    });
    Ok((shared, vec![listens], Some((runner, balancer))))
}

/// Serves until it is told to close, then lets requests under way end.
async fn listen(listener: TcpListener, site: Arc<Site>, closed: oneshot::Receiver<()>) {
    let app = Router::new().fallback(wire::serve).with_state(site);
    let service = app.into_make_service_with_connect_info::<Line>();
    let server = axum::serve(Loopback(listener), service).with_graceful_shutdown(async {
        // A sandbox that was dropped closes as well.
        let _ = closed.await;
    });
    if let Err(error) = server.await {
        tracing::error!(%error, "the sandbox's listener ended");
    }
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port could not be bound.
    #[error("listen on 127.0.0.1:{port}")]
    Bind {
        /// The port.
        port: u16,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The journal could not be created.
    #[error("create the journal `{}`", path.display())]
    Journal {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No folder for blobs and objects.
    #[error("create a temporary folder")]
    Spool(#[source] std::io::Error),
    /// Whoever runs tasks did not start.
    #[error("start the runner of tasks")]
    Runner(#[source] docker::StartError),
}
