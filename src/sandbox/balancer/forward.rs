//! HTTP/1.1 from a client to a target and back, streaming both ways.

use super::flights::Flight;
use super::{Shared, headers};
use bytes::Bytes;
use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode, Uri, Version, header, request};
use http_body_util::{BodyExt, Either, Empty, Full, combinators::BoxBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// How long a connection to a target is kept idle: less than servers keep theirs, so that they seldom close one first.
const IDLE: Duration = Duration::from_secs(1);

/// The body of a request to a target: the client's, or none when it is sent once more.
type AskedBody = Either<Incoming, Empty<Bytes>>;
type AnyBody = BoxBody<Bytes, BodyError>;
/// Sends requests to targets, over connections that are kept for a moment. One that its target closed is replaced when
/// nothing of the request was sent yet.
pub type Client = legacy::Client<HttpConnector, AskedBody>;

/// A client for targets, with a time limit for a connection.
pub fn client(connect: Duration) -> Client {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect));
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector)
}

/// Why an answer's body ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The target's connection broke.
    #[error("read the target's answer")]
    Target(#[source] hyper::Error),
    /// The target's drain was over before its answer.
    #[error("the target's deregistration delay is over")]
    Drained,
}

/// Serves one client's connection until either side closes it.
pub async fn converse(shared: Arc<Shared>, port: u16, client: TcpStream, peer: SocketAddr) {
    let service = service_fn(|request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(&shared, port, peer, request).await) }
    });
    let connection = server::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(client), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, port, "a client's connection broke");
    }
}

async fn answer(
    shared: &Shared,
    port: u16,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<AnyBody> {
    match forward(shared, port, peer, request).await {
        Ok(response) => response,
        Err(status) => refusal(status),
    }
}

/// Forwards one request; an error is the status that an Application Load Balancer answers with.
async fn forward(
    shared: &Shared,
    port: u16,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<AnyBody>, StatusCode> {
    prepare(&mut request, peer, port)?;
    let (head, body) = request.into_parts();
    // RFC 9110, 9.2.2: what is idempotent may be sent once more when the connection closed before an answer came.
    let again = (head.method.is_idempotent() && body.is_end_stream()).then(|| head.clone());
    match (send(shared, port, head, Either::Left(body)).await, again) {
        (Ok(response), _) => Ok(response),
        (Err(Loss::Unanswered), Some(head)) => send(shared, port, head, Either::Right(Empty::new()))
            .await
            .map_err(Loss::status),
        (Err(loss), _) => Err(loss.status()),
    }
}

/// Why a request got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// No target is registered.
    NoTarget,
    /// The target took no connection.
    Refused,
    /// The target's connection closed before an answer.
    Unanswered,
    /// The target took too long.
    Slow,
    /// The target's drain was over before its answer.
    Drained,
}

impl Loss {
    fn status(self) -> StatusCode {
        match self {
            Self::NoTarget => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused | Self::Unanswered | Self::Drained => StatusCode::BAD_GATEWAY,
            Self::Slow => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// Sends a request to the target whose turn it is.
async fn send(
    shared: &Shared,
    port: u16,
    mut head: request::Parts,
    body: AskedBody,
) -> Result<Response<AnyBody>, Loss> {
    let target = shared.next_target(port).ok_or(Loss::NoTarget)?;
    let mut uri = std::mem::take(&mut head.uri).into_parts();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = format!("{}:{}", target.id, target.port).parse().ok();
    head.uri = Uri::from_parts(uri).map_err(|_| Loss::Refused)?;

    let flight = shared.flights.begin(port, target);
    let answered = shared.client.request(Request::from_parts(head, body));
    let response = tokio::select! {
        answered = timeout(shared.patience.answer, answered) => match answered {
            Ok(answered) => answered.map_err(|error| loss(&error))?,
            Err(_) => return Err(Loss::Slow),
        },
        () = flight.cut() => return Err(Loss::Drained),
    };
    let (mut head, body) = response.into_parts();
    headers::strip_hop_by_hop(&mut head.headers);
    head.version = Version::HTTP_11;
    let cut = Box::pin(flight.cutter().cancelled_owned());
    let body = FlightBody {
        body,
        cut,
        _flight: flight,
    };
    Ok(Response::from_parts(head, body.boxed()))
}

fn loss(error: &legacy::Error) -> Loss {
    if !error.is_connect() {
        return Loss::Unanswered;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && error.kind() == std::io::ErrorKind::TimedOut
        {
            return Loss::Slow;
        }
        cause = error.source();
    }
    Loss::Refused
}

/// Turns a client's request into the one for a target.
fn prepare(request: &mut Request<Incoming>, peer: SocketAddr, port: u16) -> Result<(), StatusCode> {
    if request.method() == Method::CONNECT {
        return Err(StatusCode::BAD_REQUEST);
    }
    let host = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().to_owned());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    if let Some(host) = host.and_then(|host| host.parse().ok()) {
        headers.insert(header::HOST, host);
    }
    if !headers.contains_key(header::HOST) {
        return Err(StatusCode::BAD_REQUEST);
    }
    headers::strip_hop_by_hop(headers);
    headers::add_forwarded(headers, peer.ip(), port);
    Ok(())
}

/// The answer of the balancer itself, worded as an Application Load Balancer does.
fn refusal(status: StatusCode) -> Response<AnyBody> {
    let title = match status {
        StatusCode::SERVICE_UNAVAILABLE => "503 Service Temporarily Unavailable".to_owned(),
        StatusCode::GATEWAY_TIMEOUT => "504 Gateway Time-out".to_owned(),
        other => other.to_string(),
    };
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    let body = Full::from(page).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::SERVER, header::HeaderValue::from_static("awselb/2.0"));
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/html"),
    );
    response
}

/// A target's answer on its way to the client; the request is in flight until it is over.
struct FlightBody {
    body: Incoming,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    _flight: Flight,
}

impl Body for FlightBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Drained)));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Target)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
