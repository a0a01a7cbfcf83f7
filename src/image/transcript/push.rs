//! The messages of a push, folded into layer progress and the digest or the reason why there is none.

use crate::name::Digest;
use crate::report::event::Event;
use crate::secret::redact::redact;

/// One message of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushMessage {
    /// The layer's short id, or the tag.
    pub id: Option<String>,
    /// The Engine's word for what happens.
    pub status: Option<String>,
    /// Bytes done, of bytes in all.
    pub progress: Option<(u64, u64)>,
    /// The digest, where the Engine sends it as data.
    pub digest: Option<String>,
    /// Set when the message is an error; empty when the Engine gave no text.
    pub error: Option<String>,
}

/// Why a push failed, in the Engine's and the registry's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct PushFailure {
    /// The sort of failure.
    pub fault: PushFault,
    /// The text, without anything that looks like a credential.
    pub text: String,
}

/// The sorts of failed pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFault {
    /// The registry knows us and says no.
    Denied,
    /// The registry says no and not why: an answer to HEAD has no text, so an expired token looks like a denial.
    Forbidden,
    /// No credentials, wrong ones, or an expired token.
    Unauthorised,
    /// The repository does not exist.
    NoRepository,
    /// The tag exists and the repository keeps its tags.
    ImmutableTag,
    /// The registry failed or throttled.
    Server,
    /// The registry could not be reached, or the connection broke. ECR also closes the connection when the
    /// repository does not exist.
    Connection,
    /// The Engine has no image of that name.
    NoImage,
    /// No space is left where the Engine keeps its data.
    NoSpace,
    /// The stream ended without a digest and without an error.
    NoDigest,
    /// Anything else.
    Other,
}

impl PushFailure {
    /// Sorts a text of the Engine. Only texts exist here, no codes; this is the one place that reads them.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let fault = RULES
            .iter()
            .find(|(_, marks)| marks.iter().any(|mark| lower.contains(mark)))
            .map_or(PushFault::Other, |(fault, _)| *fault);
        Self {
            fault,
            text: redact(text.trim()),
        }
    }

    /// Whether the same push may succeed when it is tried again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.fault {
            PushFault::Server | PushFault::Connection => true,
            PushFault::Denied
            | PushFault::Forbidden
            | PushFault::Unauthorised
            | PushFault::NoRepository
            | PushFault::ImmutableTag
            | PushFault::NoImage
            | PushFault::NoSpace
            | PushFault::NoDigest
            | PushFault::Other => false,
        }
    }
}

/// The first rule that has a mark in the text decides, so the particular stand before the general.
const RULES: [(PushFault, &[&str]); 9] = [
    (PushFault::NoSpace, &["no space left on device"]),
    (
        PushFault::NoImage,
        &["does not exist locally", "no such image", "tag does not exist"],
    ),
    (
        PushFault::ImmutableTag,
        &[
            "tag is immutable",
            "repository is immutable",
            "cannot be overwritten",
        ],
    ),
    (
        PushFault::NoRepository,
        &["name unknown", "name_unknown", "repository not found"],
    ),
    (
        PushFault::Unauthorised,
        &[
            "token has expired",
            "no basic auth credentials",
            "unauthorized",
            "authentication required",
            "authorization failed",
            "status: 401",
        ],
    ),
    (PushFault::Denied, &["denied", "not authorized"]),
    (PushFault::Forbidden, &["forbidden"]),
    (
        PushFault::Server,
        &[
            "toomanyrequests",
            "too many requests",
            "unexpected http status: 5",
            "unexpected status: 5",
            "internal server error",
            "service unavailable",
            "bad gateway",
            "blob unknown",
        ],
    ),
    (
        PushFault::Connection,
        &[
            "eof",
            "connection refused",
            "connection reset",
            "broken pipe",
            "no such host",
            "no route to host",
            "network is unreachable",
            "i/o timeout",
            "handshake timeout",
            "client.timeout",
            "deadline exceeded",
            "use of closed network connection",
        ],
    ),
];

/// Folds the messages of one push.
#[derive(Debug)]
pub struct PushTranscript {
    image: String,
    tag: String,
    digest: Option<Digest>,
    failure: Option<PushFailure>,
}

impl PushTranscript {
    /// A transcript of pushing `tag`, told under the image's table name.
    #[must_use]
    pub fn new(image: impl Into<String>, tag: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            tag: tag.into(),
            digest: None,
            failure: None,
        }
    }

    /// Takes one message and says what to tell.
    pub fn fold(&mut self, message: PushMessage) -> Option<Event> {
        if let Some(error) = message.error {
            let error = if error.is_empty() {
                "the Engine gave no reason"
            } else {
                &error
            };
            // The first error is the cause; what follows are its consequences.
            self.failure.get_or_insert_with(|| PushFailure::of(error));
            return None;
        }
        if let Some(digest) = message.digest.as_deref().and_then(|digest| digest.parse().ok()) {
            self.digest = Some(digest);
        }
        let status = message.status?;
        match message.id {
            Some(layer) => Some(Event::LayerProgress {
                image: self.image.clone(),
                layer,
                status: redact(&status),
                bytes: message.progress,
            }),
            None => {
                if let Some(digest) = digest_line(&status, &self.tag) {
                    self.digest = Some(digest);
                }
                None
            }
        }
    }

    /// The digest that was pushed.
    ///
    /// # Errors
    /// The first error of the stream, or that it ended without a digest.
    pub fn finish(self) -> Result<Digest, PushFailure> {
        match (self.failure, self.digest) {
            (Some(failure), _) => Err(failure),
            (None, Some(digest)) => Ok(digest),
            (None, None) => Err(PushFailure {
                fault: PushFault::NoDigest,
                text: "the Engine ended the push without a digest".to_owned(),
            }),
        }
    }
}

/// The digest of `<tag>: digest: sha256:... size: N`.
fn digest_line(status: &str, tag: &str) -> Option<Digest> {
    let rest = status.strip_prefix(tag)?.strip_prefix(": digest: ")?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{PushFailure, PushFault, PushMessage, PushTranscript};
    use crate::name::Digest;
    use crate::report::event::Event;

    fn status(text: &str) -> PushMessage {
        PushMessage {
            status: Some(text.to_owned()),
            ..PushMessage::default()
        }
    }

    fn error(text: &str) -> PushMessage {
        PushMessage {
            error: Some(text.to_owned()),
            ..PushMessage::default()
        }
    }

    fn pushed(messages: Vec<PushMessage>) -> Result<Digest, PushFailure> {
        let mut transcript = PushTranscript::new("web", "v1");
        for message in messages {
            transcript.fold(message);
        }
        transcript.finish()
    }

    #[test]
    fn the_digest_comes_from_the_last_line_or_from_data() {
        let digest = Digest::of(b"x");
        let line = status(&format!("v1: digest: {digest} size: 528"));
        assert_eq!(
            pushed(vec![status("The push refers to"), line.clone()]),
            Ok(digest.clone())
        );
        let data = PushMessage {
            digest: Some(digest.to_string()),
            ..PushMessage::default()
        };
        assert_eq!(pushed(vec![data]), Ok(digest.clone()));
        let other = status(&format!("v2: digest: {digest} size: 528"));
        assert_eq!(pushed(vec![other]).unwrap_err().fault, PushFault::NoDigest);
        assert_eq!(pushed(vec![]).unwrap_err().fault, PushFault::NoDigest);
    }

    #[test]
    fn an_error_fails_the_push_whatever_else_was_said() {
        let digest = status(&format!("v1: digest: {} size: 1", Digest::of(b"x")));
        let failure = pushed(vec![error("denied: no"), digest.clone(), error("EOF")]).unwrap_err();
        assert_eq!(
            (failure.fault, failure.text.as_str()),
            (PushFault::Denied, "denied: no")
        );
        let failure = pushed(vec![error(""), digest]).unwrap_err();
        assert_eq!(failure.fault, PushFault::Other);
    }

    #[test]
    fn layers_are_told_with_their_progress() {
        let mut transcript = PushTranscript::new("web", "v1");
        let told = transcript.fold(PushMessage {
            id: Some("5f70bf18a086".to_owned()),
            status: Some("Pushing".to_owned()),
            progress: Some((1, 2)),
            ..PushMessage::default()
        });
        assert_eq!(
            told,
            Some(Event::LayerProgress {
                image: "web".to_owned(),
                layer: "5f70bf18a086".to_owned(),
                status: "Pushing".to_owned(),
                bytes: Some((1, 2)),
            })
        );
    }

    #[test]
    fn failures_are_sorted_by_what_registries_say() {
        use PushFault::{
            Connection, Denied, Forbidden, ImmutableTag, NoImage, NoRepository, NoSpace, Other, Server,
            Unauthorised,
        };
        for (text, fault, transient) in [
            (
                "denied: Your authorization token has expired. Reauthenticate and try again.",
                Unauthorised,
                false,
            ),
            ("no basic auth credentials", Unauthorised, false),
            ("unauthorized: authentication required", Unauthorised, false),
            (
                "denied: User: arn:aws:sts::000000000000:assumed-role/x is not authorized to perform: \
                 ecr:InitiateLayerUpload on resource: y",
                Denied,
                false,
            ),
            (
                "denied: requested access to the resource is denied",
                Denied,
                false,
            ),
            ("received unexpected HTTP status: 403 Forbidden", Forbidden, false),
            (
                "unexpected status from HEAD request to https://r/v2/shop/web/blobs/sha256:0: 403 Forbidden",
                Forbidden,
                false,
            ),
            (
                "push access denied, repository does not exist or may require authorization: \
                 authorization failed: no basic auth credentials",
                Unauthorised,
                false,
            ),
            (
                "name unknown: The repository with name 'shop/web' does not exist in the registry with id \
                 '000000000000'",
                NoRepository,
                false,
            ),
            (
                "tag invalid: The image tag 'v1' already exists in the 'shop/web' repository and cannot be \
                 overwritten because the repository is immutable.",
                ImmutableTag,
                false,
            ),
            (
                "received unexpected HTTP status: 500 Internal Server Error",
                Server,
                true,
            ),
            ("toomanyrequests: Rate exceeded", Server, true),
            ("EOF", Connection, true),
            (
                "Get \"https://r.example.com/v2/\": dial tcp 127.0.0.1:443: connect: connection refused",
                Connection,
                true,
            ),
            (
                "Head \"https://r/v2/\": net/http: TLS handshake timeout",
                Connection,
                true,
            ),
            ("An image does not exist locally with the tag: x", NoImage, false),
            (
                "write /var/lib/docker/tmp/x: no space left on device",
                NoSpace,
                false,
            ),
            ("server gave HTTP response to HTTPS client", Other, false),
        ] {
            let failure = PushFailure::of(text);
            assert_eq!(
                (failure.fault, failure.is_transient()),
                (fault, transient),
                "{text}"
            );
        }
    }

    #[test]
    fn a_token_in_the_text_is_not_shown() {
        let failure = pushed(vec![error("denied: Authorization: Basic QVdTOmNhbmFyeQ==")]).unwrap_err();
        assert!(!failure.text.contains("QVdT"), "{failure}");
    }
}
