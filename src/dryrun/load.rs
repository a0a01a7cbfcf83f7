//! A client that sends requests through the sandbox's load balancer while a service rolls, and counts what it got.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A request without an answer for this long counts as lost; ALB's own idle timeout is longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of an answer is read to tell versions apart, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// How many different answers are told apart.
const MAX_KINDS: usize = 6;

/// What the client saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that were answered with a status below 500.
    pub answered: u64,
    /// Requests that were not: refused, cut, timed out, or answered with 5xx.
    pub lost: u64,
    /// Why the first lost one was lost.
    pub first_loss: Option<String>,
    /// How often each answer (its first line) came.
    pub answers: BTreeMap<String, u64>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests, {} lost", self.answered + self.lost, self.lost)?;
        if let Some(why) = &self.first_loss {
            write!(f, " (first: {why})")?;
        }
        for (answer, times) in &self.answers {
            write!(f, "; {times} x `{answer}`")?;
        }
        Ok(())
    }
}

/// A running client; stop it to get its tally.
#[derive(Debug)]
#[must_use = "a load that is not stopped goes on until the program ends"]
pub struct Load {
    stop: watch::Sender<bool>,
    sender: JoinHandle<()>,
    tally: Arc<Mutex<Tally>>,
}

impl Load {
    /// Sends `per_second` requests a second to `http://127.0.0.1:<port>/`, over kept-alive connections.
    pub fn start(port: u16, per_second: u32) -> Self {
        let (stop, stopped) = watch::channel(false);
        let tally = Arc::new(Mutex::new(Tally::default()));
        let sender = tokio::spawn(send(port, per_second.max(1), stopped, tally.clone()));
        Self { stop, sender, tally }
    }

    /// Sends no more, waits for the requests in flight, and tells what was seen.
    pub async fn stop(self) -> Tally {
        self.stop.send_replace(true);
        let _ = self.sender.await;
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn send(port: u16, per_second: u32, mut stopped: watch::Receiver<bool>, tally: Arc<Mutex<Tally>>) {
    let client: Client<HttpConnector, Empty<Bytes>> = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build_http();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut in_flight = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => break,
            _ = ticks.tick() => {
                let (client, tally) = (client.clone(), tally.clone());
                in_flight.spawn(async move {
                    let outcome = ask(&client, port).await;
                    count(&mut tally.lock().unwrap_or_else(PoisonError::into_inner), outcome);
                });
            }
            Some(_) = in_flight.join_next() => {}
        }
    }
    while in_flight.join_next().await.is_some() {}
}

async fn ask(client: &Client<HttpConnector, Empty<Bytes>>, port: u16) -> Result<String, String> {
    let address = format!("http://127.0.0.1:{port}/");
    let uri = address
        .parse()
        .map_err(|_| format!("`{address}` is no address"))?;
    let exchange = async {
        let answer = client.get(uri).await.map_err(|error| root_cause(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_BODY).collect().await;
        if status.is_server_error() {
            return Err(format!("status {}", status.as_u16()));
        }
        let body = body.map_err(|error| root_cause(error.as_ref()))?.to_bytes();
        Ok(first_line(&body))
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .unwrap_or_else(|_| Err(format!("no answer in {} s", PATIENCE.as_secs())))
}

fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(60)
        .collect()
}

fn count(tally: &mut Tally, outcome: Result<String, String>) {
    match outcome {
        Ok(answer) => {
            tally.answered += 1;
            let known = tally.answers.contains_key(&answer) || tally.answers.len() < MAX_KINDS;
            let key = if known { answer } else { "other".to_owned() };
            *tally.answers.entry(key).or_default() += 1;
        }
        Err(why) => {
            tally.lost += 1;
            tally.first_loss.get_or_insert(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_KINDS, Tally, count, first_line};

    #[test]
    fn answers_and_losses_are_told_apart() {
        let mut tally = Tally::default();
        count(&mut tally, Ok("hello 1".to_owned()));
        count(&mut tally, Ok("hello 1".to_owned()));
        count(&mut tally, Err("status 502".to_owned()));
        count(&mut tally, Err("status 503".to_owned()));
        assert_eq!(
            tally.to_string(),
            "4 requests, 2 lost (first: status 502); 2 x `hello 1`"
        );
    }

    #[test]
    fn endless_variety_is_kept_in_bounds() {
        let mut tally = Tally::default();
        for n in 0..100 {
            count(&mut tally, Ok(format!("request {n}")));
        }
        assert_eq!(tally.answers.len(), MAX_KINDS + 1);
        assert_eq!(tally.answers.values().sum::<u64>(), 100);
    }

    #[test]
    fn only_the_first_line_tells_a_version() {
        assert_eq!(first_line(b"hello 2\nmore"), "hello 2");
        assert_eq!(first_line(b""), "");
    }
}
