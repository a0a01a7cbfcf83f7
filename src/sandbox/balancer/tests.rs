//! The balancer over loopback sockets, with targets that are plain listeners.

use super::{Balancer, Patience, Protocol, TargetId, Targets};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// The targets of one listener, changed by the test.
struct Table {
    port: u16,
    protocol: Protocol,
    routes: Mutex<Vec<TargetId>>,
    draining: Mutex<BTreeSet<TargetId>>,
}

impl Targets for Table {
    fn listeners(&self) -> BTreeMap<u16, Protocol> {
        BTreeMap::from([(self.port, self.protocol)])
    }

    fn route(&self, _port: u16, turn: usize) -> Option<TargetId> {
        let routes = self.routes.lock().unwrap();
        routes.get(turn.checked_rem(routes.len())?).cloned()
    }

    fn carries(&self, _port: u16, target: &TargetId) -> bool {
        self.routes.lock().unwrap().contains(target) || self.draining.lock().unwrap().contains(target)
    }
}

impl Table {
    fn set(&self, targets: &[&Target]) {
        *self.routes.lock().unwrap() = targets.iter().map(|target| target.id.clone()).collect();
    }

    /// The target gets no new request; what is in flight goes on until [`Table::forget`].
    fn drain(&self, target: &Target) {
        self.draining.lock().unwrap().insert(target.id.clone());
        self.routes.lock().unwrap().retain(|id| *id != target.id);
    }

    fn forget(&self, target: &Target) {
        self.draining.lock().unwrap().remove(&target.id);
    }
}

/// A target that answers each request with its name, when the test says so.
struct Target {
    id: TargetId,
    /// A line for every request that came in: its head.
    seen: mpsc::UnboundedReceiver<String>,
    /// One message lets one request to `/slow` go on.
    go: mpsc::UnboundedSender<()>,
}

async fn target(name: &'static str) -> Target {
    target_that_keeps(name, true).await
}

/// A target that closes a connection after one answer, without a word, unless it `keeps` it.
async fn target_that_keeps(name: &'static str, keeps: bool) -> Target {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (said, seen) = mpsc::unbounded_channel();
    let (go, gate) = mpsc::unbounded_channel();
    let gate = Arc::new(tokio::sync::Mutex::new(gate));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (said, gate) = (said.clone(), gate.clone());
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while answer(name, &mut stream, &said, &gate).await.is_some() && keeps {}
            });
        }
    });
    Target {
        id: TargetId {
            id: "127.0.0.1".to_owned(),
            port,
        },
        seen,
        go,
    }
}

/// Answers one request; `None` when the connection is over.
async fn answer(
    name: &str,
    stream: &mut BufReader<TcpStream>,
    said: &mpsc::UnboundedSender<String>,
    gate: &tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
) -> Option<()> {
    let head = read_head(stream).await?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let _ = said.send(head.clone());
    // The head goes out first: a streamed answer.
    let length = name.len() + body.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nX-From: {name}\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    if head.contains(" /slow ") {
        gate.lock().await.recv().await;
    }
    stream.write_all(name.as_bytes()).await.ok()?;
    stream.write_all(&body).await.ok()
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head.replace("\r\n", "\n"))
}

/// A free port, a table of targets at it, and a balancer that serves it.
async fn balancer(protocol: Protocol, targets: &[&Target]) -> (Balancer, Arc<Table>) {
    impatient_balancer(protocol, targets, Patience::default()).await
}

async fn impatient_balancer(
    protocol: Protocol,
    targets: &[&Target],
    patience: Patience,
) -> (Balancer, Arc<Table>) {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let table = Arc::new(Table {
        port: free.local_addr().unwrap().port(),
        protocol,
        routes: Mutex::default(),
        draining: Mutex::default(),
    });
    drop(free);
    table.set(targets);
    let balancer = Balancer::with_patience(table.clone(), patience);
    balancer.refresh().await.unwrap();
    (balancer, table)
}

/// A client that keeps its connection.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(table: &Table) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, table.port))
            .await
            .unwrap();
        Self(BufReader::new(stream))
    }

    async fn post(&mut self, path: &str, body: &str) {
        let length = body.len();
        let request = format!("POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {length}\r\n\r\n{body}");
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// The status and the body of the next answer.
    async fn hear(&mut self) -> (u16, String) {
        let head = read_head(&mut self.0).await.unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        match self.0.read_exact(&mut body).await {
            Ok(_) => (status, String::from_utf8(body).unwrap()),
            Err(_) => (status, "cut".to_owned()),
        }
    }

    async fn get(&mut self, path: &str) -> (u16, String) {
        self.ask(path).await;
        self.hear().await
    }
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

#[tokio::test]
async fn requests_of_one_connection_take_turns_among_the_targets() {
    let (a, b) = (target("a").await, target("b").await);
    let (_balancer, table) = balancer(Protocol::Http, &[&a, &b]).await;
    let mut client = Client::connect(&table).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(client.get("/").await.1);
    }
    assert_eq!(seen, ["a", "b", "a", "b"]);
}

#[tokio::test]
async fn a_target_sees_the_path_the_host_and_who_asked() {
    let mut a = target("a").await;
    let (_balancer, table) = balancer(Protocol::Http, &[&a]).await;
    let mut client = Client::connect(&table).await;
    client.post("/cart?item=1", "three").await;
    assert_eq!(client.hear().await, ok("athree"));
    let head = a.seen.recv().await.unwrap();
    let port = format!("x-forwarded-port: {}", table.port);
    for line in [
        "POST /cart?item=1 HTTP/1.1",
        "host: shop",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        &port,
    ] {
        assert!(head.lines().any(|seen| seen == line), "{line} in {head}");
    }
}

#[tokio::test]
async fn a_kept_connection_follows_the_targets_as_they_change() {
    let (a, b) = (target("a").await, target("b").await);
    let (_balancer, table) = balancer(Protocol::Http, &[&a]).await;
    let mut client = Client::connect(&table).await;
    assert_eq!(client.get("/").await, ok("a"));
    table.set(&[&b]);
    assert_eq!(client.get("/").await, ok("b"));
    table.set(&[]);
    assert_eq!(client.get("/").await.0, 503);
    table.set(&[&a]);
    assert_eq!(client.get("/").await, ok("a"));
}

#[tokio::test]
async fn a_draining_target_finishes_what_it_began_and_begins_nothing() {
    let (mut old, new) = (target("old").await, target("new").await);
    let (balancer, table) = balancer(Protocol::Http, &[&old]).await;
    let mut waiting = Client::connect(&table).await;
    waiting.ask("/slow").await;
    old.seen.recv().await.unwrap();
    table.set(&[&old, &new]);
    table.drain(&old);
    let mut other = Client::connect(&table).await;
    for _ in 0..3 {
        assert_eq!(other.get("/").await, ok("new"));
    }
    assert_eq!(balancer.in_flight(&old.id), 1);
    old.go.send(()).unwrap();
    assert_eq!(waiting.hear().await, ok("old"));
    assert_eq!(waiting.get("/").await, ok("new"));
    assert_eq!(balancer.in_flight(&old.id), 0);
}

#[tokio::test]
async fn a_request_that_outlives_the_drain_is_cut() {
    let mut old = target("old").await;
    let (_balancer, table) = balancer(Protocol::Http, &[&old]).await;
    let mut waiting = Client::connect(&table).await;
    waiting.ask("/slow").await;
    old.seen.recv().await.unwrap();
    table.drain(&old);
    table.forget(&old);
    assert_eq!(waiting.hear().await, (200, "cut".to_owned()));
}

#[tokio::test]
async fn a_target_that_refuses_is_a_502_and_one_that_is_silent_a_504() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut silent = target("silent").await;
    silent.id.port = taken.local_addr().unwrap().port();
    let patience = Patience {
        answer: Duration::from_millis(50),
        ..Patience::default()
    };
    let (_balancer, table) = impatient_balancer(Protocol::Http, &[&silent], patience).await;
    let mut client = Client::connect(&table).await;
    assert_eq!(client.get("/").await.0, 504);
    drop(taken);
    assert_eq!(client.get("/").await.0, 502);
    table.set(&[]);
    assert_eq!(client.get("/").await.0, 503, "the client's connection is kept");
}

#[tokio::test]
async fn a_connection_that_its_target_closed_costs_no_request() {
    let curt = target_that_keeps("curt", false).await;
    let (_balancer, table) = balancer(Protocol::Http, &[&curt]).await;
    let mut client = Client::connect(&table).await;
    for _ in 0..100 {
        assert_eq!(client.get("/").await, ok("curt"));
    }
}

#[tokio::test]
async fn no_request_is_lost_while_targets_are_rolled() {
    let (old, new) = (target("old").await, target("new").await);
    let (balancer, table) = balancer(Protocol::Http, &[&old]).await;
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let table = table.clone();
            tokio::spawn(async move {
                let mut client = Client::connect(&table).await;
                let mut answers = Vec::new();
                while answers.last().is_none_or(|(_, body)| body != "new") || answers.len() < 200 {
                    answers.push(client.get("/").await);
                }
                answers
            })
        })
        .collect();
    table.set(&[&old, &new]);
    table.drain(&old);
    for client in clients {
        for (status, body) in client.await.unwrap() {
            assert_eq!(status, 200, "{body}");
        }
    }
    assert_eq!(balancer.in_flight(&old.id), 0);
}

#[tokio::test]
async fn a_stopped_balancer_gives_its_port_back() {
    let a = target("a").await;
    let (balancer, table) = balancer(Protocol::Http, &[&a]).await;
    let mut client = Client::connect(&table).await;
    assert_eq!(client.get("/").await, ok("a"));
    balancer.stop().await;
    assert_eq!(
        client.0.read(&mut [0]).await.unwrap_or(0),
        0,
        "the client is told"
    );
    while TcpListener::bind((Ipv4Addr::LOCALHOST, table.port))
        .await
        .is_err()
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_tcp_listener_relays_bytes() {
    let a = target("a").await;
    let (_balancer, table) = balancer(Protocol::Tcp, &[&a]).await;
    let mut client = Client::connect(&table).await;
    client.post("/", "raw").await;
    let head = read_head(&mut client.0).await.unwrap();
    assert!(head.contains("X-From: a"), "nothing was rewritten: {head}");
}
