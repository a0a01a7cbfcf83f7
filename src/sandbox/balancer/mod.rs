//! The sandbox's load balancer: listeners on 127.0.0.1 that forward to the targets which the world names.
//!
//! Every request is routed anew, also those of a client that keeps its connection. A draining target gets no new request,
//! and those in flight go on until its drain is over. An idle connection that a target closed costs no request that can
//! be sent once more.

mod flights;
mod forward;
mod headers;
mod passthrough;

use super::world::World;
use super::world::elb::Protocol;
use super::world::orders::TargetId;
use flights::Flights;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How often the balancer looks at which listeners it must have, and which requests outlived their target's drain.
const LOOK: Duration = Duration::from_millis(100);

/// What the balancer asks of the world, each time anew.
pub trait Targets: Send + Sync + 'static {
    /// The ports to listen at, and what each speaks.
    fn listeners(&self) -> BTreeMap<u16, Protocol>;
    /// Where the request of a turn goes that comes in at a port.
    fn route(&self, port: u16, turn: usize) -> Option<TargetId>;
    /// Whether a request in flight to a target may go on.
    fn carries(&self, port: u16, target: &TargetId) -> bool;
}

impl Targets for Mutex<World> {
    fn listeners(&self) -> BTreeMap<u16, Protocol> {
        let world = self.lock().unwrap_or_else(PoisonError::into_inner);
        world
            .elb
            .listeners()
            .map(|listener| (listener.port, listener.protocol))
            .collect()
    }

    fn route(&self, port: u16, turn: usize) -> Option<TargetId> {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elb
            .route(port, turn)
    }

    fn carries(&self, port: u16, target: &TargetId) -> bool {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .elb
            .carries(port, target)
    }
}

/// A load balancer that serves until it is stopped.
#[derive(Debug)]
#[must_use = "a balancer that is dropped stops serving"]
pub struct Balancer {
    shared: Arc<Shared>,
    doors: Arc<tokio::sync::Mutex<BTreeMap<u16, Door>>>,
    stop: CancellationToken,
}

/// A port that is listened at; cancelling `close` ends its listener and the connections of its clients.
#[derive(Debug)]
struct Door {
    protocol: Protocol,
    close: CancellationToken,
}

/// A port of a listener that cannot be listened at.
#[derive(Debug, thiserror::Error)]
#[error("listen on 127.0.0.1:{port} for a load balancer")]
pub struct BindError {
    /// The port.
    pub port: u16,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// What every connection needs.
struct Shared {
    targets: Arc<dyn Targets>,
    client: forward::Client,
    flights: Flights,
    turn: AtomicUsize,
    patience: Patience,
}

/// How long the balancer waits for targets.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection: 10 s in an Application Load Balancer.
    pub connect: Duration,
    /// For the head of an answer: the idle timeout, 60 s by default in an Application Load Balancer.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("flights", &self.flights)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The target whose turn it is.
    fn next_target(&self, port: u16) -> Option<TargetId> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.targets.route(port, turn)
    }
}

impl Balancer {
    /// Starts to serve the listeners that there are and will be.
    pub fn start(targets: Arc<dyn Targets>) -> Self {
        Self::with_patience(targets, Patience::default())
    }

    /// Starts with another patience for targets.
    pub fn with_patience(targets: Arc<dyn Targets>, patience: Patience) -> Self {
        let balancer = Self {
            shared: Arc::new(Shared {
                targets,
                client: forward::client(patience.connect),
                flights: Flights::default(),
                turn: AtomicUsize::new(0),
                patience,
            }),
            doors: Arc::default(),
            stop: CancellationToken::new(),
        };
        tokio::spawn(keep_looking(
            balancer.shared.clone(),
            balancer.doors.clone(),
            balancer.stop.clone(),
        ));
        balancer
    }

    /// Opens and closes listeners so that they are those of the world, at once: for whoever has just made one.
    ///
    /// # Errors
    /// The first port that cannot be listened at; it is tried again later.
    pub async fn refresh(&self) -> Result<(), BindError> {
        reconcile(&self.shared, &self.doors, &self.stop).await
    }

    /// How many requests (or connections of a TCP listener) are in flight to a target.
    #[must_use]
    pub fn in_flight(&self, target: &TargetId) -> usize {
        self.shared.flights.count(target)
    }

    /// Stops serving and cuts what is in flight.
    pub async fn stop(self) {
        self.stop.cancel();
        self.doors.lock().await.clear();
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

type Doors = tokio::sync::Mutex<BTreeMap<u16, Door>>;

async fn keep_looking(shared: Arc<Shared>, doors: Arc<Doors>, stop: CancellationToken) {
    let mut complained = false;
    loop {
        match reconcile(&shared, &doors, &stop).await {
            Ok(()) => complained = false,
            Err(error) if !complained => {
                complained = true;
                tracing::warn!(cause = %error.source, "{error}");
            }
            Err(_) => {}
        }
        shared
            .flights
            .cut_unless(|port, target| shared.targets.carries(port, target));
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn reconcile(shared: &Arc<Shared>, doors: &Doors, stop: &CancellationToken) -> Result<(), BindError> {
    let wanted = shared.targets.listeners();
    let mut doors = doors.lock().await;
    if stop.is_cancelled() {
        return Ok(());
    }
    doors.retain(|port, door| {
        let stays = wanted.get(port) == Some(&door.protocol);
        if !stays {
            door.close.cancel();
        }
        stays
    });
    let mut first_error = None;
    for (port, protocol) in wanted {
        if doors.contains_key(&port) {
            continue;
        }
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => {
                let close = stop.child_token();
                tokio::spawn(serve(shared.clone(), port, protocol, listener, close.clone()));
                doors.insert(port, Door { protocol, close });
            }
            Err(source) => {
                first_error.get_or_insert(BindError { port, source });
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

async fn serve(
    shared: Arc<Shared>,
    port: u16,
    protocol: Protocol,
    listener: TcpListener,
    close: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = close.cancelled() => return,
        };
        let Ok((client, peer)) = accepted else {
            // Out of file descriptors, most likely: some will be free again.
            tokio::time::sleep(LOOK).await;
            continue;
        };
        if let Err(error) = client.set_nodelay(true) {
            tracing::debug!(%error, port, "a client's connection stays slow");
        }
        let (shared, close) = (shared.clone(), close.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = async {
                    match protocol {
                        Protocol::Http => forward::converse(shared, port, client, peer).await,
                        Protocol::Tcp => passthrough::relay(&shared, port, client).await,
                    }
                } => {}
                () = close.cancelled() => {}
            }
        });
    }
}

#[cfg(test)]
mod tests;
