//! HTTP/1.1 from a client to a target and back, streaming both ways.

use super::flights::Flight;
use super::{Shared, headers};
use bytes::Bytes;
use futures_util::future::Either;
use http::{Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

type AnyBody = BoxBody<Bytes, BodyError>;

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
    let target = shared.next_target(port).ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let flight = shared.flights.begin(port, target.clone());

    let address = (target.id.as_str(), target.port);
    let stream = match timeout(shared.patience.connect, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return Err(StatusCode::BAD_GATEWAY),
        Err(_) => return Err(StatusCode::GATEWAY_TIMEOUT),
    };
    let (mut sender, connection) = client::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| StatusCode::BAD_GATEWAY)?;
    tokio::spawn(drive(connection, flight.cutter()));

    let asked = timeout(shared.patience.answer, sender.send_request(request));
    let response = match futures_util::future::select(pin!(asked), pin!(flight.cut())).await {
        Either::Left((Ok(Ok(response)), _)) => response,
        Either::Left((Ok(Err(_)), _)) | Either::Right(_) => return Err(StatusCode::BAD_GATEWAY),
        Either::Left((Err(_), _)) => return Err(StatusCode::GATEWAY_TIMEOUT),
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

/// Turns a client's request into the one for a target.
fn prepare(request: &mut Request<Incoming>, peer: SocketAddr, port: u16) -> Result<(), StatusCode> {
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

/// Moves a target's connection until its answer is over, or cut.
async fn drive(connection: client::Connection<TokioIo<TcpStream>, Incoming>, cut: CancellationToken) {
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a target's connection broke");
            }
        }
        () = cut.cancelled() => {}
    }
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
