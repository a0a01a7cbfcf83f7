//! A small HTTP service that behaves well behind a load balancer: the example that `scripts/demo` builds and deploys.
//!
//! `GET /` answers the version, `GET /health` answers 200. It needs nothing but the standard library, so its image is
//! one static file on `FROM scratch`.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `VERSION` | what `GET /` answers; `dev` if unset |
//! | `PORT` | where to listen; 8080 if unset |
//! | `HEALTH` | the status of `GET /health`; anything but 200 says why in the log |
//! | `CRASH` | if set and not empty: the reason to end with status 1 at the start |
//!
//! `hello --check URL` asks a URL and ends with 0 for a 200, with 1 otherwise: an image without a shell has no `curl`
//! for its health check.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

mod signal;

/// More connections than this wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// A request head that is longer is refused.
const HEAD_LIMIT: usize = 16 * 1024;
/// A client that says nothing for so long is hung up on.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long new connections are still answered after SIGTERM: a load balancer may learn of it a moment later.
const LINGER: Duration = Duration::from_millis(500);
/// How long requests that are being answered may take after that.
const DRAIN: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("--check"), Some(url)) => report(check(&url)),
        (None, None) => report(serve()),
        _ => {
            eprintln!("usage: hello [--check http://HOST:PORT/PATH]");
            ExitCode::from(2)
        }
    }
}

fn report(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What the environment asks for.
struct Settings {
    version: String,
    port: u16,
    health: u16,
}

impl Settings {
    fn read() -> io::Result<Self> {
        Ok(Self {
            version: variable("VERSION").unwrap_or_else(|| "dev".to_owned()),
            port: number("PORT", 8080)?,
            health: number("HEALTH", 200)?,
        })
    }
}

/// A variable that is set and not empty: `ENV NAME=$ARG` sets an empty one when the build argument is absent.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(name: &str, default: u16) -> io::Result<u16> {
    match variable(name) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| io::Error::other(format!("{name} must be a number below 65536, not `{text}`"))),
    }
}

/// Serves until SIGTERM or SIGINT, then lets every request that has begun come to its end.
fn serve() -> io::Result<()> {
    // Before the first thread starts, so that every thread inherits the mask.
    let stop = signal::hold_back_stop_signals()?;
    if let Some(reason) = variable("CRASH") {
        return Err(io::Error::other(format!("cannot start: {reason}")));
    }
    let settings = Arc::new(Settings::read()?);
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, settings.port))?;
    println!(
        "hello: version {} listens on port {}",
        settings.version, settings.port
    );

    let busy = Arc::new(Busy::default());
    let inside = Arc::clone(&busy);
    thread::spawn(move || accept(&listener, &settings, &inside));

    stop.wait()?;
    println!("hello: asked to stop, finishing what was begun");
    thread::sleep(LINGER);
    if busy.wait_until_idle(DRAIN) {
        println!("hello: stopped");
        Ok(())
    } else {
        Err(io::Error::other("stopped with requests unanswered"))
    }
}

/// Accepts for ever, never more than [`CONNECTIONS`] at a time.
fn accept(listener: &TcpListener, settings: &Arc<Settings>, busy: &Arc<Busy>) {
    loop {
        let seat = Busy::take_seat(busy);
        let Ok((stream, _)) = listener.accept() else {
            // Out of file descriptors, or the client is gone already: neither ends the service.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let settings = Arc::clone(settings);
        thread::spawn(move || {
            // An answer that cannot be written is the client's loss; it hung up.
            let _ = converse(stream, &settings);
            drop(seat);
        });
    }
}

/// Reads one request and answers it; every answer closes its connection.
fn converse(mut stream: TcpStream, settings: &Settings) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(&mut stream)?;
    let mut words = head.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let (status, body) = answer(method, path, settings);
    let length = body.len();
    let body = if method == "HEAD" { String::new() } else { body };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

/// The status line and the body for one request.
fn answer(method: &str, path: &str, settings: &Settings) -> (String, String) {
    let (status, body) = match (method, path) {
        ("GET" | "HEAD", "/") => ("200 OK".to_owned(), settings.version.clone()),
        ("GET" | "HEAD", "/health") if settings.health == 200 => ("200 OK".to_owned(), "healthy".to_owned()),
        ("GET" | "HEAD", "/health") => {
            let problem = r#"database "orders" is unreachable"#;
            eprintln!("hello: health check answers {}: {problem}", settings.health);
            (format!("{} Not Healthy", settings.health), problem.to_owned())
        }
        ("GET" | "HEAD", _) => ("404 Not Found".to_owned(), "not found".to_owned()),
        _ => (
            "405 Method Not Allowed".to_owned(),
            "only GET and HEAD".to_owned(),
        ),
    };
    (status, body + "\n")
}

/// Reads up to the empty line that ends a request's or an answer's head.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() > HEAD_LIMIT {
            return Err(io::Error::other("the head is too long"));
        }
        match stream.read(&mut buffer)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            count => head.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Asks a URL; anything but a 200 is an error.
fn check(url: &str) -> io::Result<()> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| io::Error::other(format!("`{url}` does not start with http://")))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"
    )?;
    let head = read_head(&mut stream)?;
    match head.split_ascii_whitespace().nth(1) {
        Some("200") => Ok(()),
        Some(status) => Err(io::Error::other(format!("{url} answers {status}"))),
        None => Err(io::Error::other(format!("{url} does not speak HTTP"))),
    }
}

/// How many connections are being answered.
#[derive(Default)]
struct Busy {
    count: Mutex<usize>,
    changed: Condvar,
}

/// One connection's place; dropping it gives the place back.
struct Seat(Arc<Busy>);

impl Busy {
    fn count(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a free place.
    fn take_seat(busy: &Arc<Self>) -> Seat {
        let mut count = busy
            .changed
            .wait_while(busy.count(), |count| *count >= CONNECTIONS)
            .unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        Seat(Arc::clone(busy))
    }

    /// Waits until nobody but the accepting thread, which holds a seat for the next client, has one.
    fn wait_until_idle(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut count = self.count();
        while *count > 1 {
            let Some(rest) = end.checked_duration_since(Instant::now()) else {
                return false;
            };
            count = self
                .changed
                .wait_timeout(count, rest)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        *self.0.count() -= 1;
        self.0.changed.notify_all();
    }
}
