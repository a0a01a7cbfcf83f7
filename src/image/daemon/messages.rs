//! The Engine's messages on the wire, turned into the plain ones that `transcript` folds.

use crate::image::transcript::{BuildMessage, Log, PushMessage, Vertex};
use bollard::models::{BuildInfo, BuildInfoAux};
use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::StatusResponse;
use bytes::{Buf as _, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// One message of `POST /build`.
pub(super) fn of_build(info: BuildInfo) -> Vec<BuildMessage> {
    let mut messages = Vec::new();
    messages.extend(info.stream.map(BuildMessage::Text));
    match info.aux {
        Some(BuildInfoAux::BuildKit(status)) => of_trace(status, &mut messages),
        Some(BuildInfoAux::Default(image)) => messages.extend(image.id.map(BuildMessage::ImageId)),
        None => {}
    }
    messages.extend(
        info.error_detail
            .map(|detail| BuildMessage::Error(detail.message.unwrap_or_default())),
    );
    messages
}

fn of_trace(status: StatusResponse, messages: &mut Vec<BuildMessage>) {
    let time = |stamp: Option<Timestamp>| {
        let stamp = stamp?;
        let (seconds, nanos) = (
            u64::try_from(stamp.seconds).ok()?,
            u32::try_from(stamp.nanos).ok()?,
        );
        Some(Duration::new(seconds, nanos))
    };
    // Output comes before the end of the step that printed it, also when both are in one message.
    messages.extend(status.logs.into_iter().map(|log| {
        BuildMessage::Log(Log {
            vertex: log.vertex,
            bytes: log.msg,
        })
    }));
    messages.extend(status.vertexes.into_iter().map(|vertex| {
        BuildMessage::Vertex(Vertex {
            digest: vertex.digest,
            name: vertex.name,
            cached: vertex.cached,
            started: time(vertex.started),
            completed: time(vertex.completed),
            error: vertex.error,
        })
    }));
    messages.extend(
        status
            .warnings
            .into_iter()
            .map(|warning| BuildMessage::Warning(String::from_utf8_lossy(&warning.short).into_owned())),
    );
}

/// One message of `POST /images/{name}/push`; bollard's type lacks the layer and the digest.
#[derive(Debug, Deserialize)]
pub(super) struct PushLine {
    status: Option<String>,
    id: Option<String>,
    #[serde(rename = "progressDetail")]
    progress: Option<Progress>,
    aux: Option<Aux>,
    error: Option<String>,
    #[serde(rename = "errorDetail")]
    detail: Option<Detail>,
}

#[derive(Debug, Deserialize)]
struct Progress {
    current: Option<u64>,
    total: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Aux {
    #[serde(rename = "Digest")]
    digest: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    message: Option<String>,
}

/// The error document of a refused request.
#[derive(Debug, Deserialize)]
struct Refusal {
    message: String,
}

impl From<PushLine> for PushMessage {
    fn from(line: PushLine) -> Self {
        let error = match (line.detail, line.error) {
            (Some(detail), error) => Some(detail.message.or(error).unwrap_or_default()),
            (None, error) => error,
        };
        Self {
            id: line.id,
            status: line.status,
            progress: line
                .progress
                .and_then(|progress| progress.current.zip(progress.total)),
            digest: line.aux.and_then(|aux| aux.digest),
            error,
        }
    }
}

/// Why a stream of messages could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    /// The connection broke.
    #[error("the stream of messages was cut")]
    Cut(#[source] hyper::Error),
    /// A line is no message.
    #[error("a message cannot be understood")]
    Message(#[source] serde_json::Error),
    /// A line is longer than any message.
    #[error("a message has more than {LONGEST_LINE} bytes")]
    TooLong,
}

/// The longest message of a push: a status is a few hundred bytes.
const LONGEST_LINE: usize = 1024 * 1024;

/// The most of an answer that is read whole: a refusal, or a descriptor, is a few hundred bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// A body of one JSON document per line.
pub(super) struct JsonLines {
    body: Incoming,
    buffer: BytesMut,
}

impl JsonLines {
    pub(super) fn new(body: Incoming) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
        }
    }

    /// The next document, or `None` at the end.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, StreamError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                if !line.trim_ascii().is_empty() {
                    return serde_json::from_slice(&line)
                        .map(Some)
                        .map_err(StreamError::Message);
                }
                continue;
            }
            match self.body.frame().await {
                Some(_) if self.buffer.len() > LONGEST_LINE => return Err(StreamError::TooLong),
                Some(frame) => {
                    if let Ok(data) = frame.map_err(StreamError::Cut)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None if self.buffer.trim_ascii().is_empty() => return Ok(None),
                None => {
                    let line = self.buffer.split();
                    return serde_json::from_slice(&line)
                        .map(Some)
                        .map_err(StreamError::Message);
                }
            }
        }
    }
}

/// An answer's body; what is too long for any answer is cut off.
pub(super) async fn whole(mut body: Incoming) -> Result<Vec<u8>, StreamError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(StreamError::Cut)?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > LONGEST_ANSWER {
            bytes.truncate(LONGEST_ANSWER);
            break;
        }
    }
    Ok(bytes)
}

/// The text of a refused request.
pub(super) async fn refusal(body: Incoming) -> Result<String, StreamError> {
    let bytes = whole(body).await?;
    Ok(match serde_json::from_slice::<Refusal>(&bytes) {
        Ok(refusal) => refusal.message,
        Err(_) => String::from_utf8_lossy(&bytes).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{PushLine, of_build};
    use crate::image::transcript::{BuildMessage, PushMessage};
    use bollard::models::BuildInfo;

    fn build(text: &str) -> Vec<BuildMessage> {
        of_build(serde_json::from_str::<BuildInfo>(text).unwrap())
    }

    fn push(text: &str) -> PushMessage {
        serde_json::from_str::<PushLine>(text).unwrap().into()
    }

    #[test]
    fn build_messages_are_read() {
        for (text, messages) in [
            (
                r#"{"stream":"Step 1/1 : FROM x\n"}"#,
                vec![BuildMessage::Text("Step 1/1 : FROM x\n".to_owned())],
            ),
            (
                r#"{"id":"moby.image.id","aux":{"ID":"sha256:1"}}"#,
                vec![BuildMessage::ImageId("sha256:1".to_owned())],
            ),
            (
                r#"{"errorDetail":{"code":1,"message":"boom"},"error":"boom"}"#,
                vec![BuildMessage::Error("boom".to_owned())],
            ),
            (
                r#"{"errorDetail":{"code":1}}"#,
                vec![BuildMessage::Error(String::new())],
            ),
            (r#"{"status":"Pulling","id":"x","progressDetail":{}}"#, vec![]),
        ] {
            assert_eq!(build(text), messages, "{text}");
        }
    }

    #[test]
    fn push_messages_are_read() {
        let read = push(r#"{"status":"Pushing","progressDetail":{"current":1,"total":2},"id":"abc"}"#);
        assert_eq!((read.id.as_deref(), read.progress), (Some("abc"), Some((1, 2))));
        let read = push(r#"{"progressDetail":{},"aux":{"Tag":"v1","Digest":"sha256:1","Size":1}}"#);
        assert_eq!(read.digest.as_deref(), Some("sha256:1"));
        for (text, error) in [
            (r#"{"errorDetail":{"message":"a"},"error":"b"}"#, "a"),
            (r#"{"errorDetail":{},"error":"b"}"#, "b"),
            (r#"{"errorDetail":{}}"#, ""),
            (r#"{"error":"b"}"#, "b"),
        ] {
            assert_eq!(push(text).error.as_deref(), Some(error), "{text}");
        }
    }
}
