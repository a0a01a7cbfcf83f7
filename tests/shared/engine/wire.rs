//! One HTTP request on a connection of its own, without any client's patience or repetitions.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// As much of it as came.
    pub body: Bytes,
}

/// Sends a request to `host`, which is an address with its port.
///
/// # Errors
/// The words of Go's HTTP client, in which the Engine is written.
pub async fn exchange(host: &str, request: http::request::Builder, body: Bytes) -> Result<Answer, String> {
    let refused = |_| format!("Get \"http://{host}/v2/\": dial tcp {host}: connect: connection refused");
    let stream = TcpStream::connect(host).await.map_err(refused)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| "EOF".to_owned())?;
    let request = request.header("host", host).body(Full::new(body));
    let request = request.map_err(|error| error.to_string())?;
    // Whoever drops the exchange closes the connection.
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|_| "EOF".to_owned())?;
        let (parts, mut body) = answer.into_parts();
        let mut read = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            read.extend(frame.into_data().unwrap_or_default());
        }
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: read.into(),
        })
    };
    let mut connection = std::pin::pin!(connection);
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        _ = &mut connection => exchange.await,
    }
}
