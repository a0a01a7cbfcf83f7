//! Pushing a name, and asking a registry for a digest, through the Engine.
//!
//! Both go over our own wire: bollard's messages of a push lack the layer and the digest, and its credentials are not
//! in the URL-safe base64 that the Engine reads.

use super::messages::{JsonLines, PushLine, StreamError, refusal, whole};
use super::{ANSWER_PATIENCE, Engine, EngineError, RegistryAuth, auth_header};
use crate::image::transcript::{PushFailure, PushTranscript};
use crate::name::{Digest, ImageRef};
use crate::report::event::Tell;
use crate::shutdown::{Shutdown, Urgency};
use bytes::Bytes;
use http::request::Builder;
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use serde::Deserialize;
use std::error::Error;

impl Engine {
    /// Pushes one name (with a tag) and returns the digest that the push reported; `image` is the image's table name,
    /// under which progress is told. Winding down cancels the push in the Engine.
    ///
    /// # Errors
    /// [`EngineError`]; a tag that the registry keeps immutable is a sort of its own in [`EngineError::Push`].
    pub async fn push(
        &self,
        image: &str,
        name: &ImageRef,
        auth: Option<&RegistryAuth>,
        tell: &Tell,
        shutdown: &Shutdown,
    ) -> Result<Digest, EngineError> {
        tokio::select! {
            pushed = self.push_to_end(image, name, auth, tell) => pushed,
            by = shutdown.reached(Urgency::WindDown) => Err(EngineError::Stopped { during: "push", by }),
        }
    }

    async fn push_to_end(
        &self,
        image: &str,
        name: &ImageRef,
        auth: Option<&RegistryAuth>,
        tell: &Tell,
    ) -> Result<Digest, EngineError> {
        let tag = name
            .tag
            .as_ref()
            .ok_or_else(|| EngineError::NoTag(name.clone()))?;
        let gone = |source: Box<dyn Error + Send + Sync>| EngineError::Gone {
            during: "push",
            source,
        };
        let failed = |failure| EngineError::Push {
            name: name.clone(),
            failure: Box::new(failure),
        };
        let request = Request::post(format!("/images/{}/push?tag={tag}", name.name()))
            .header("X-Registry-Auth", registry_header(auth));
        let response = self.accepted(request).await.map_err(gone)?.map_err(failed)?;
        let mut transcript = PushTranscript::new(image, tag.as_str());
        let mut lines = JsonLines::new(response.into_body());
        while let Some(line) = lines.next::<PushLine>().await.map_err(broken)? {
            if let Some(event) = transcript.fold(line.into()) {
                tell.tell(event);
            }
        }
        transcript.finish().map_err(failed)
    }

    /// Asks the registry, through the Engine, for the digest behind a name; for registries other than ECR.
    ///
    /// # Errors
    /// [`EngineError`] when the registry does not answer or lacks the name.
    pub async fn registry_digest(
        &self,
        name: &ImageRef,
        auth: Option<&RegistryAuth>,
    ) -> Result<Digest, EngineError> {
        let failed = |failure| EngineError::RegistryDigest {
            name: name.clone(),
            failure: Box::new(failure),
        };
        let asked = tokio::time::timeout(ANSWER_PATIENCE, self.distribution(name, auth)).await;
        match asked {
            Ok(answer) => answer?.map_err(failed),
            Err(_) => Err(failed(PushFailure::of(
                "i/o timeout: the registry does not answer",
            ))),
        }
    }

    /// Sends a request without a body; an answer that is no success is the registry's, or the Engine's, refusal.
    async fn accepted(
        &self,
        request: Builder,
    ) -> Result<Result<Response<Incoming>, PushFailure>, Box<dyn Error + Send + Sync>> {
        let response = self.wire.send(request, Empty::<Bytes>::new()).await?;
        if response.status().is_success() {
            return Ok(Ok(response));
        }
        Ok(Err(PushFailure::of(&refusal(response.into_body()).await?)))
    }

    async fn distribution(
        &self,
        name: &ImageRef,
        auth: Option<&RegistryAuth>,
    ) -> Result<Result<Digest, PushFailure>, EngineError> {
        let gone = |source: Box<dyn Error + Send + Sync>| EngineError::Gone {
            during: "look at the registry",
            source,
        };
        let request = Request::get(format!("/distribution/{name}/json"))
            .header("X-Registry-Auth", registry_header(auth));
        let response = match self.accepted(request).await.map_err(gone)? {
            Ok(response) => response,
            Err(refused) => return Ok(Err(refused)),
        };
        let body = whole(response.into_body())
            .await
            .map_err(|error| gone(error.into()))?;
        let told = serde_json::from_slice::<Distribution>(&body)
            .ok()
            .and_then(|answer| answer.descriptor.digest.parse().ok());
        Ok(told.ok_or_else(|| PushFailure::of("the answer holds no digest")))
    }
}

fn broken(error: StreamError) -> EngineError {
    let during = "push";
    match error {
        StreamError::Cut(source) => EngineError::Gone {
            during,
            source: source.into(),
        },
        error @ (StreamError::Message(_) | StreamError::TooLong) => EngineError::Garbled {
            during,
            source: error.into(),
        },
    }
}

/// The Engine wants the header even when there are no credentials.
fn registry_header(auth: Option<&RegistryAuth>) -> HeaderValue {
    let document = auth.map_or_else(|| serde_json::json!({}), RegistryAuth::document);
    auth_header(&document).unwrap_or_else(|| HeaderValue::from_static("e30="))
}

#[derive(Debug, Deserialize)]
struct Distribution {
    #[serde(rename = "Descriptor")]
    descriptor: Descriptor,
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
}
