//! A client of S3 that carries what one request may carry.

use super::ranges::Amounts;
use crate::artifact::store::{StoreError, refuse};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;
use std::fmt;
use std::future::Future;

/// S3, as one job sees it. Its client renews credentials that end in the middle of a transfer.
pub struct Bucket {
    s3: Client,
    amounts: Amounts,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}

impl Bucket {
    /// What this client sees.
    #[must_use]
    pub fn new(s3: &Client) -> Self {
        Self {
            s3: s3.clone(),
            amounts: Amounts::default(),
        }
    }

    /// The same, which carries other amounts by one request.
    #[must_use]
    pub fn in_amounts(self, amounts: Amounts) -> Self {
        Self { amounts, ..self }
    }

    pub(super) const fn amounts(&self) -> Amounts {
        self.amounts
    }

    /// The client.
    #[must_use]
    pub const fn s3(&self) -> &Client {
        &self.s3
    }

    /// Makes a call. `act` is what is done to the place, in the words of [`StoreError::Call`]; `action` is the IAM action.
    pub(super) async fn call<T, E, F>(
        &self,
        act: &'static str,
        action: &'static str,
        place: &str,
        send: impl FnOnce() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let sent = Box::pin(send()).await;
        sent.map_err(|error| refuse(act, action, place, error))
    }
}
