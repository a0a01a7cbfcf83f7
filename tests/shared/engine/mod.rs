//! A double of the Docker Engine for tests without one: on a unix socket it speaks as much of the Engine API as a build by
//! the classic builder and a push take, and it really pushes: a small image, to whatever registry its name says.
//!
//! Like a real one it ends a build or a push whose client goes away, keeps its images while it lives, and gives an image
//! that is built again from the same context the id that it had, unless it is told to forget.

mod image;
mod push;
pub mod wire;

use base64::Engine as _;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use image::Image;
use serde_json::{Value, json};
use slipway::clock::Clock;
use slipway::shutdown::Shutdown;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// An Engine that listens for as long as this lives.
pub struct EngineDouble {
    socket: PathBuf,
    inner: Arc<Inner>,
    server: JoinHandle<()>,
}

struct Inner {
    clock: Clock,
    state: Mutex<State>,
    begun: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// By id.
    images: BTreeMap<String, Arc<Image>>,
    /// `registry/repository:tag` to id.
    names: BTreeMap<String, String>,
    requests: Vec<String>,
    build_takes: Duration,
    forgetful: bool,
    unwell: bool,
    builds: u64,
}

type Body = Either<Full<Bytes>, StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

impl EngineDouble {
    /// An Engine on a socket in a folder.
    pub fn start(folder: &Path, clock: Clock) -> Self {
        let socket = folder.join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let inner = Arc::new(Inner {
            clock,
            state: Mutex::default(),
            begun: watch::Sender::new(0),
        });
        let server = tokio::spawn(listen(listener, inner.clone()));
        Self {
            socket,
            inner,
            server,
        }
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// From now on each build takes so long, on the clock.
    pub fn build_takes(&self, time: Duration) {
        self.inner.state().build_takes = time;
    }

    /// From now on each build gives another image, as without a cache.
    pub fn be_forgetful(&self) {
        self.inner.state().forgetful = true;
    }

    /// Whether it answers its ping with an error from now on.
    pub fn is_unwell(&self, unwell: bool) {
        self.inner.state().unwell = unwell;
    }

    /// Counts the builds that have begun.
    pub fn begun(&self) -> watch::Receiver<u64> {
        self.inner.begun.subscribe()
    }

    /// The requests that came, in order: `POST /build`, `POST /images/.../push`.
    pub fn requests(&self) -> Vec<String> {
        self.inner.state().requests.clone()
    }
}

impl Drop for EngineDouble {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(listener: UnixListener, inner: Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept().await {
        let inner = inner.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(inner.clone(), request));
            // A client that goes away ends what it asked for.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let path = path
        .strip_prefix("/v1.")
        .and_then(|rest| rest.find('/').map(|at| rest[at..].to_owned()))
        .unwrap_or(path);
    let query = query_of(&request);
    let line = format!("{} {path}", request.method());
    inner.state().requests.push(line);
    let post = request.method() == Method::POST;
    let answer = match path.as_str() {
        "/_ping" if inner.state().unwell => refusal(StatusCode::INTERNAL_SERVER_ERROR, "unwell"),
        "/_ping" => text(StatusCode::OK, "OK"),
        "/version" => json_of(&json!({ "ApiVersion": "1.43", "MinAPIVersion": "1.12", "Version": "24.0.0" })),
        "/build" if post => return Ok(build(inner, query, request).await),
        _ => match path.strip_prefix("/images/") {
            Some(rest) if post && rest.ends_with("/push") => {
                let name = rest.trim_end_matches("/push").to_owned();
                return Ok(push(&inner, &name, &query, &request));
            }
            Some(rest) if post && rest.ends_with("/tag") => {
                tag(&inner, rest.trim_end_matches("/tag"), &query)
            }
            Some(rest) if rest.ends_with("/json") => inspect(&inner, rest.trim_end_matches("/json")),
            _ => refusal(StatusCode::NOT_FOUND, "page not found"),
        },
    };
    Ok(answer)
}

fn query_of(request: &Request<Incoming>) -> BTreeMap<String, String> {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    form_urlencoded::parse(query).into_owned().collect()
}

/// Reads the context, then builds as the classic builder tells it.
async fn build(
    inner: Arc<Inner>,
    query: BTreeMap<String, String>,
    request: Request<Incoming>,
) -> Response<Body> {
    let Ok(context) = request.into_body().collect().await else {
        return refusal(StatusCode::BAD_REQUEST, "unexpected EOF");
    };
    let context = context.to_bytes();
    let (serial, takes) = {
        let mut state = inner.state();
        state.builds += 1;
        (state.forgetful.then_some(state.builds), state.build_takes)
    };
    let built = match image::build(&context, &query, serial) {
        Ok(built) => built,
        Err(problem) => return refusal(StatusCode::BAD_REQUEST, &problem),
    };
    lines(move |tell| async move {
        inner.begun.send_modify(|count| *count += 1);
        for line in built.lines {
            tell.send(json!({ "stream": line })).await.ok()?;
        }
        if !takes.is_zero() {
            let _ = inner.clock.pause(takes, &Shutdown::never()).await;
        }
        match built.image {
            Err(problem) => {
                let detail = json!({ "code": 1, "message": problem });
                tell.send(json!({ "errorDetail": detail, "error": problem }))
                    .await
                    .ok()
            }
            Ok(image) => {
                let id = image.id.clone();
                {
                    let mut state = inner.state();
                    state.images.insert(id.clone(), Arc::new(image));
                    if let Some(name) = query.get("t") {
                        state.names.insert(name.clone(), id.clone());
                    }
                }
                tell.send(json!({ "aux": { "ID": id } })).await.ok()?;
                let short = id.trim_start_matches("sha256:")[..12].to_owned();
                let line = format!("Successfully built {short}\n");
                tell.send(json!({ "stream": line })).await.ok()
            }
        }
    })
}

fn tag(inner: &Inner, id: &str, query: &BTreeMap<String, String>) -> Response<Body> {
    let mut state = inner.state();
    let named = query.get("repo").zip(query.get("tag"));
    match (state.images.contains_key(id), named) {
        (true, Some((repository, tag))) => {
            state.names.insert(format!("{repository}:{tag}"), id.to_owned());
            text(StatusCode::CREATED, "")
        }
        _ => refusal(StatusCode::NOT_FOUND, &format!("No such image: {id}")),
    }
}

fn inspect(inner: &Inner, id: &str) -> Response<Body> {
    match inner.state().images.get(id) {
        Some(image) => json_of(&json!({
            "Id": image.id,
            "Os": "linux",
            "Architecture": "amd64",
            "Size": image.layer.len(),
        })),
        None => refusal(StatusCode::NOT_FOUND, &format!("No such image: {id}")),
    }
}

fn push(
    inner: &Inner,
    repository: &str,
    query: &BTreeMap<String, String>,
    request: &Request<Incoming>,
) -> Response<Body> {
    let tag = query.get("tag").cloned().unwrap_or_default();
    let image = {
        let state = inner.state();
        let id = state.names.get(&format!("{repository}:{tag}"));
        id.and_then(|id| state.images.get(id)).cloned()
    };
    let Some(image) = image else {
        let text = format!("An image does not exist locally with the tag: {repository}");
        return refusal(StatusCode::NOT_FOUND, &text);
    };
    let credentials = request.headers().get("x-registry-auth").and_then(|value| {
        let bytes = base64::engine::general_purpose::URL_SAFE.decode(value).ok()?;
        let document: Value = serde_json::from_slice(&bytes).ok()?;
        let part = |name: &str| document[name].as_str().map(str::to_owned);
        Some((part("username")?, part("password")?))
    });
    let repository = repository.to_owned();
    lines(move |tell| async move {
        let status = format!("The push refers to repository [{repository}]");
        tell.send(json!({ "status": status })).await.ok()?;
        match push::push(&repository, &tag, &image, credentials).await {
            Err(problem) => {
                let detail = json!({ "message": problem });
                tell.send(json!({ "errorDetail": detail, "error": problem }))
                    .await
                    .ok()
            }
            Ok(()) => {
                let (digest, size) = (image.digest(), image.manifest.len());
                let status = format!("{tag}: digest: {digest} size: {size}");
                tell.send(json!({ "status": status })).await.ok()?;
                let aux = json!({ "Tag": tag, "Digest": digest, "Size": size });
                tell.send(json!({ "progressDetail": {}, "aux": aux })).await.ok()
            }
        }
    })
}

/// An answer of JSON lines that come as they are told; it ends, and so does whoever tells, when the client goes away.
fn lines<F: Future<Output = Option<()>> + Send + 'static>(
    work: impl FnOnce(mpsc::Sender<Value>) -> F,
) -> Response<Body> {
    let (tell, told) = mpsc::channel(16);
    let work = work(tell);
    let lines = stream::unfold((Some(Box::pin(work)), told), |(mut work, mut told)| async move {
        let line = loop {
            let Some(going) = &mut work else {
                break told.recv().await;
            };
            tokio::select! {
                biased;
                line = told.recv() => break line,
                _ = going => work = None,
            }
        };
        let frame = Frame::data(Bytes::from(format!("{}\r\n", line?)));
        Some((Ok(frame), (work, told)))
    });
    let body: Body = Either::Right(StreamBody::new(Box::pin(lines)));
    headed(StatusCode::OK).body(body).unwrap()
}

fn headed(status: StatusCode) -> http::response::Builder {
    // The Engine that wants its classic builder.
    Response::builder()
        .status(status)
        .header("builder-version", "1")
        .header("ostype", "linux")
        .header("content-type", "application/json")
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    let body = Either::Left(Full::new(Bytes::from(text.to_owned())));
    headed(status).body(body).unwrap()
}

fn json_of(document: &Value) -> Response<Body> {
    text(StatusCode::OK, &document.to_string())
}

fn refusal(status: StatusCode, message: &str) -> Response<Body> {
    text(status, &json!({ "message": message }).to_string())
}
