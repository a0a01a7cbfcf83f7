//! A request's head and an answer, as every wire of the sandbox handles them.

use super::super::journal;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

/// A request without its body.
#[derive(Debug, Clone)]
pub struct Head {
    /// The HTTP method.
    pub method: Method,
    /// The path as it came, with its query.
    pub target: String,
    /// The path, percent-decoded.
    pub path: String,
    /// The query's parameters, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
}

impl Head {
    /// Takes the head of a request.
    pub fn of(parts: &http::request::Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self {
            method: parts.method.clone(),
            target: parts
                .uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
            path: percent_encoding::percent_decode_str(parts.uri.path())
                .decode_utf8_lossy()
                .into_owned(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            headers: parts.headers.clone(),
        }
    }

    /// A header, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub content: Content,
    /// Whether the connection ends in the middle of the body.
    pub cut: bool,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum Content {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A stretch of a file.
    File(Stretch),
}

/// A stretch of a file.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// The file.
    pub path: PathBuf,
    /// Where it begins.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
}

/// A reply, and what the journal says about the request's body.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The reply; `None` cuts the connection.
    pub reply: Option<Reply>,
    /// The request's body.
    pub received: journal::Body,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self {
            reply: Some(reply),
            received: journal::Body::Empty,
        }
    }
}

impl Reply {
    /// An answer with a status and nothing else.
    pub fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            content: Content::Bytes(Bytes::new()),
            cut: false,
        }
    }

    /// An answer of some type.
    pub fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::empty(status);
        reply.content = Content::Bytes(body.into());
        reply.with("content-type", content_type)
    }

    /// The same answer with a header; a value that no header can carry is left out.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The size of the body.
    pub fn length(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(stretch) => stretch.length,
        }
    }

    /// The body as the journal shows it.
    pub fn journal_body(&self) -> journal::Body {
        match &self.content {
            Content::Bytes(bytes) => journal::Body::of(bytes),
            Content::File(stretch) => journal::Body::Binary {
                bytes: stretch.length,
                sha256: None,
            },
        }
    }

    /// The answer as HTTP sends it; `head_only` keeps the length and drops the body.
    pub async fn send(self, head_only: bool) -> Response {
        let length = self.length();
        let body = match self.content {
            _ if head_only => Body::empty(),
            Content::Bytes(bytes) if self.cut => {
                Body::from_stream(cut(stream::iter([Ok(bytes.slice(..bytes.len() / 2))])))
            }
            Content::Bytes(bytes) => Body::from(bytes),
            Content::File(stretch) => match open(&stretch).await {
                Ok(file) if self.cut => {
                    Body::from_stream(cut(ReaderStream::new(file.take(stretch.length / 2))))
                }
                Ok(file) => Body::from_stream(ReaderStream::new(file.take(stretch.length))),
                Err(error) => {
                    tracing::error!(%error, "the sandbox lost a file");
                    let mut gone = Response::new(Body::empty());
                    *gone.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    return gone;
                }
            },
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let bodyless = self.status == StatusCode::NO_CONTENT || self.status == StatusCode::NOT_MODIFIED;
        if !bodyless && !response.headers().contains_key("content-length") {
            response
                .headers_mut()
                .insert("content-length", HeaderValue::from(length));
        }
        response
    }
}

/// The same stream with an end that breaks the connection, once what came before is sent.
fn cut(
    body: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    body.chain(stream::once(async {
        // The connection sends what it has while it waits for more.
        tokio::task::yield_now().await;
        Err(std::io::ErrorKind::ConnectionAborted.into())
    }))
}

async fn open(stretch: &Stretch) -> std::io::Result<tokio::fs::File> {
    let mut file = tokio::fs::File::open(&stretch.path).await?;
    if stretch.offset > 0 {
        file.seek(std::io::SeekFrom::Start(stretch.offset)).await?;
    }
    Ok(file)
}

/// What a Range header asks of a body of `size` bytes: `None` for the whole, an error for what is outside.
pub fn range(header: Option<&str>, size: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some((first, last)) = header
        .and_then(|text| text.strip_prefix("bytes="))
        .and_then(|text| text.split_once('-'))
    else {
        return Ok(None);
    };
    let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if last.is_empty() => (first, size.saturating_sub(1)),
        (Err(_), Ok(last)) if first.is_empty() && last > 0 => {
            (size.saturating_sub(last), size.saturating_sub(1))
        }
        _ => return Ok(None),
    };
    if first >= size {
        Err(())
    } else {
        Ok(Some((first, last)))
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_first_to_last() {
        for (header, expected) in [
            ("bytes=0-4", Ok(Some((0, 4)))),
            ("bytes=5-", Ok(Some((5, 9)))),
            ("bytes=-3", Ok(Some((7, 9)))),
            ("bytes=8-99", Ok(Some((8, 9)))),
            ("bytes=10-", Err(())),
            ("bytes=4-2", Ok(None)),
            ("lines=1-2", Ok(None)),
        ] {
            assert_eq!(range(Some(header), 10), expected, "{header}");
        }
        assert_eq!(range(None, 10), Ok(None));
    }
}
