//! JSON documents through the SDK, unparsed: the SDK signs, retries and finds the endpoint, and never sees a field.

use aws_sdk_ecs::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_ecs::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_types::body::SdkBody;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The bytes of an answer.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// Takes the bytes of the last answer; none if there was no answer.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The last answer as JSON; null if there was none. The SDK has read it already, so it is JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.take()).unwrap_or_default()
    }
}

/// Keeps the bytes of an answer, which has fields that the SDK does not know.
pub(super) struct ReadAnswer(Captured);

impl ReadAnswer {
    pub(super) fn into(captured: &Captured) -> Self {
        Self(captured.clone())
    }
}

impl fmt::Debug for ReadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadAnswer")
    }
}

impl Intercept for ReadAnswer {
    fn name(&self) -> &'static str {
        "ReadAnswer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if context.response().status().is_success() {
            let bytes = context.response().body().bytes().unwrap_or_default().to_vec();
            *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
        }
        Ok(())
    }
}

/// Sends a document as the body of a request, in the place of what the SDK wrote. It has environment values, so it is
/// never shown.
pub(super) struct SendDocument(Vec<u8>);

impl SendDocument {
    pub(super) fn new(document: Vec<u8>) -> Self {
        Self(document)
    }
}

impl fmt::Debug for SendDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendDocument")
    }
}

impl Intercept for SendDocument {
    fn name(&self) -> &'static str {
        "SendDocument"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request
            .headers_mut()
            .insert("content-length", self.0.len().to_string());
        *request.body_mut() = SdkBody::from(self.0.clone());
        Ok(())
    }
}
