//! S3, and how much one request of it carries.

use super::ranges::Amounts;
use crate::artifact::store::{StoreError, refuse};
use crate::aws::sort::Sorted;
use crate::shutdown::{UnderWay, Unfinished};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;
use std::fmt;
use std::future::Future;

/// How often credentials are asked for that cannot be given.
const MOST_PROVIDINGS: u32 = 3;

/// S3, as one job sees it. Credentials that end in the middle of a transfer are renewed by `aws::renew`. A cheap
/// handle.
#[derive(Clone)]
pub struct Bucket {
    s3: Client,
    amounts: Amounts,
    /// Uploads that are being aborted, which nobody waits for any more.
    aborts: Unfinished,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}

impl Bucket {
    /// S3 by this client.
    #[must_use]
    pub fn new(s3: &Client) -> Self {
        Self {
            s3: s3.clone(),
            amounts: Amounts::default(),
            aborts: Unfinished::default(),
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

    /// Waits until no upload is being aborted any more whose future was dropped.
    pub async fn aborted(&self) {
        self.aborts.none().await;
    }

    /// Counts an abort.
    pub(super) fn aborting(&self) -> UnderWay {
        self.aborts.begin()
    }

    /// Makes a call, and again if what gives the credentials failed: nothing was sent then, and a transfer that may have
    /// taken many minutes is not given up for it. `act` is what is done to the place, in the words of
    /// [`StoreError::Call`]; `action` is the IAM action.
    pub(super) async fn call<T, E, F>(
        &self,
        act: &'static str,
        action: &'static str,
        place: &str,
        send: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let mut left = MOST_PROVIDINGS;
        loop {
            left -= 1;
            match Box::pin(send()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let error = refuse(act, action, place, error);
                    if left == 0 || !is_unprovided(&error) {
                        return Err(error);
                    }
                }
            }
        }
    }
}

fn is_unprovided(error: &StoreError) -> bool {
    error
        .call()
        .is_some_and(|call| call.sorted == Sorted::CredentialsFailed)
}
