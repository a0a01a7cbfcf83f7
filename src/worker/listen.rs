//! Serves a worker's health and metrics over HTTP: `/livez`, `/readyz` and `/metrics`, for reading only.

use super::health::Health;
use super::metrics::Metrics;
use crate::clock::Clock;
use axum::Router;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a probe waits for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[error("listen at {address}")]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// A server of health and metrics, which ends when this is dropped.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Listening {
    /// Where it listens: the port that was given, or the free one that was found.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Begins to serve. It goes on while the worker stops: a worker that drains is alive, and not ready.
///
/// # Errors
/// [`ListenError`] when the address cannot be listened at.
pub async fn listen(
    address: SocketAddr,
    health: Health,
    metrics: Metrics,
    clock: Clock,
) -> Result<Listening, ListenError> {
    let wrong = |source| ListenError { address, source };
    let listener = TcpListener::bind(address).await.map_err(wrong)?;
    let bound = listener.local_addr().map_err(wrong)?;
    let alive = health.clone();
    let router = Router::new()
        .route(
            "/livez",
            get(async move || verdict(alive.alive(clock.now()).map_err(|why| vec![why]))),
        )
        .route("/readyz", get(async move || verdict(health.ready())))
        .route(
            "/metrics",
            get(async move |headers: HeaderMap| counted(&metrics, &headers)),
        );
    let server = tokio::spawn(async move {
        // It ends only when it is dropped.
        let _ = axum::serve(listener, router).await;
    });
    Ok(Listening {
        address: bound,
        server,
    })
}

fn verdict(verdict: Result<(), Vec<String>>) -> Response {
    let (status, text) = match verdict {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
    };
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, text).into_response()
}

fn counted(metrics: &Metrics, headers: &HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    match metrics.text(accept) {
        Ok((kind, text)) => ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Why a worker is not known to be alive.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers there.
    #[error("ask the worker at {address}")]
    Ask {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It answers with something else than that it is alive.
    #[error("the worker at {address} is not alive: it answers `{answer}`")]
    Sick {
        /// The address.
        address: SocketAddr,
        /// The first line of its answer.
        answer: String,
    },
}

/// Asks a worker whether it is alive: the health check of an image that has no HTTP client but this program.
///
/// # Errors
/// [`ProbeError`] when it is not known to be.
pub async fn probe(address: SocketAddr) -> Result<(), ProbeError> {
    let asked = timeout(PATIENCE, ask(address)).await;
    let late = || Err(io::ErrorKind::TimedOut.into());
    let answer = asked
        .unwrap_or_else(|_| late())
        .map_err(|source| ProbeError::Ask { address, source })?;
    let status = answer.split(' ').nth(1);
    if status == Some("200") {
        return Ok(());
    }
    Err(ProbeError::Sick { address, answer })
}

/// The first line of the answer.
async fn ask(address: SocketAddr) -> io::Result<String> {
    /// What is read at most, of an answer whose first line has 20 characters.
    const ENOUGH: u64 = 4096;
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ENOUGH).read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(100)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::{Health, Listening, Metrics, ProbeError, listen, probe};
    use crate::clock::{Clock, VirtualClock};
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const START: Duration = Duration::from_secs(1_000_000);

    async fn serve(health: &Health) -> (Listening, Arc<VirtualClock>) {
        let clock = VirtualClock::starting_at(START);
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let served = listen(
            any_port,
            health.clone(),
            Metrics::default(),
            Clock::Virtual(clock.clone()),
        )
        .await;
        (served.unwrap(), clock)
    }

    async fn ask(served: &Listening, request: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(served.address()).await.unwrap();
        let whole = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(whole.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn health_and_metrics_are_served_for_reading_only() {
        let deploy = "Deploy/Slipway/1".parse().unwrap();
        let health = Health::of(std::slice::from_ref(&deploy));
        let (served, _) = serve(&health).await;
        let unready = ask(&served, "GET /readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503 "), "{unready}");
        assert!(
            unready.ends_with("\r\n\r\nDeploy/Slipway/1: not polled yet\n"),
            "{unready}"
        );
        health.answered(&deploy);
        for (request, begins, holds) in [
            ("GET /readyz", "HTTP/1.1 200 ", "\r\n\r\nok\n"),
            ("GET /livez", "HTTP/1.1 200 ", "\r\n\r\nok\n"),
            ("GET /metrics", "HTTP/1.1 200 ", "slipway_worker_draining 0\n"),
            (
                "GET /metrics",
                "HTTP/1.1 200 ",
                "content-type: text/plain; version=0.0.4; charset=utf-8\r\n",
            ),
            ("HEAD /livez", "HTTP/1.1 200 ", "content-length: 3\r\n"),
            ("POST /livez", "HTTP/1.1 405 ", "allow: GET,HEAD\r\n"),
            ("DELETE /metrics", "HTTP/1.1 405 ", "allow: GET,HEAD\r\n"),
            ("GET /", "HTTP/1.1 404 ", ""),
        ] {
            let answer = ask(&served, request).await;
            assert!(
                answer.starts_with(begins) && answer.contains(holds),
                "{request}: {answer}"
            );
        }
    }

    #[tokio::test]
    async fn a_probe_tells_the_living_from_the_hung_and_the_gone() {
        let health = Health::of(&[]);
        let (served, clock) = serve(&health).await;
        let address = served.address();
        health.beat(START);
        assert!(probe(address).await.is_ok());
        clock.advance(Duration::from_secs(600));
        let sick = probe(address).await.unwrap_err();
        assert!(matches!(sick, ProbeError::Sick { .. }), "{sick}");
        let taken = listen(address, health.clone(), Metrics::default(), Clock::System).await;
        assert_eq!(taken.unwrap_err().address, address);
        drop(served);
        loop {
            // The server ends soon after its handle.
            match probe(address).await {
                Err(ProbeError::Ask { .. }) => break,
                Ok(()) | Err(ProbeError::Sick { .. }) => tokio::task::yield_now().await,
            }
        }
    }
}
