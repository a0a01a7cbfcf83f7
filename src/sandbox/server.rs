//! The listener on loopback, and the world behind it: what a sandbox is started with, what it shares, how it stops.

use super::scenario::Scenario;
use super::world::World;
use super::world::ecs::Timings;
use super::world::orders::{Fact, Order};
use crate::clock::Clock;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

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
    /// How long ECS takes.
    pub timings: Timings,
    /// The clock; a virtual one makes minutes into microseconds for a client in the same process.
    pub clock: Clock,
    /// The Engine that runs tasks, as `DOCKER_HOST` names it; the default socket if absent.
    pub docker_host: Option<String>,
}

/// The world, its clock, and the way to whoever runs tasks; cheap to clone.
///
/// Everything that looks at the world or changes it goes through [`Shared::visit`], so that time has passed for it and
/// its orders are handed on.
#[derive(Debug, Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    world: Mutex<World>,
    clock: Clock,
    orders: mpsc::UnboundedSender<Order>,
    changed: Notify,
}

impl Shared {
    /// Shares a world; its orders go to `orders`.
    #[must_use]
    pub fn new(world: World, clock: Clock, orders: mpsc::UnboundedSender<Order>) -> Self {
        Self {
            inner: Arc::new(Inner {
                world: Mutex::new(world),
                clock,
                orders,
                changed: Notify::new(),
            }),
        }
    }

    /// Lets time pass up to the clock's instant, then lends the world and that instant to `act`.
    ///
    /// `act` must be short: every request waits for it.
    pub fn visit<T>(&self, act: impl FnOnce(&mut World, Duration) -> T) -> T {
        let answer = self.look(act);
        self.inner.changed.notify_one();
        answer
    }

    /// A visit that wakes nobody.
    fn look<T>(&self, act: impl FnOnce(&mut World, Duration) -> T) -> T {
        let mut world = self.inner.world.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.inner.clock.now();
        world.advance(now);
        let answer = act(&mut world, now);
        for order in world.take_orders() {
            // Nobody takes orders any more once the sandbox stops.
            let _ = self.inner.orders.send(order);
        }
        answer
    }

    /// Tells the world what a task or a target did.
    pub fn learn(&self, fact: Fact) {
        self.visit(|world, now| world.learn(now, fact));
    }

    /// The clock that the world lives by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }
}

/// A sandbox that serves.
#[derive(Debug)]
#[must_use = "a sandbox must be stopped, or it leaves containers behind"]
pub struct Sandbox {
    endpoint: String,
}

impl Sandbox {
    /// Binds 127.0.0.1 and serves.
    ///
    /// # Errors
    /// [`StartError`] when the port is taken or no Engine answers.
    pub async fn start(_options: Options) -> Result<Self, StartError> {
        todo!()
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The world behind the wire, for tests.
    #[must_use]
    pub fn world(&self) -> Shared {
        todo!()
    }

    /// Stops serving, and removes every container and network that it made; cannot be cancelled.
    pub async fn stop(self) {
        todo!()
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
}
