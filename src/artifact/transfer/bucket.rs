//! A client of S3 whose keys may end in the middle of a transfer.

use super::ranges::Amounts;
use crate::artifact::store::{StoreError, refuse};
use crate::aws::sort::Sorted;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often one call is made again with other keys.
const MOST_RENEWALS: u32 = 2;

/// S3, as one job sees it.
pub struct Bucket<'a> {
    s3: &'a Client,
    forget: Option<&'a (dyn Fn() + Send + Sync)>,
    /// How often keys were forgotten, so that of several calls that find them ended one says so.
    renewals: AtomicU32,
    amounts: Amounts,
}

impl fmt::Debug for Bucket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").finish_non_exhaustive()
    }
}

impl<'a> Bucket<'a> {
    /// A client, and what has its provider of credentials forget the keys that it has: it is called when S3 says that
    /// they have ended, and the call is made again.
    #[must_use]
    pub fn new(s3: &'a Client, forget: &'a (dyn Fn() + Send + Sync)) -> Self {
        Self {
            forget: Some(forget),
            ..Self::lasting(s3)
        }
    }

    /// A client whose credentials look after themselves, so that there are no others.
    #[must_use]
    pub fn lasting(s3: &'a Client) -> Self {
        Self {
            s3,
            forget: None,
            renewals: AtomicU32::new(0),
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
    pub const fn s3(&self) -> &'a Client {
        self.s3
    }

    /// Makes a call, and again when its keys have ended. `act` is what is done to the place, in the words of
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
        let mut tries = 0;
        loop {
            let seen = self.renewals.load(Ordering::Acquire);
            let error = match Box::pin(send()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => refuse(act, action, place, error),
            };
            let Some(forget) = self
                .forget
                .filter(|_| tries < MOST_RENEWALS && has_stale_keys(&error))
            else {
                return Err(error);
            };
            tries += 1;
            let ours = self
                .renewals
                .compare_exchange(seen, seen + 1, Ordering::AcqRel, Ordering::Acquire);
            if ours.is_ok() {
                forget();
            }
        }
    }
}

/// Whether other keys could help.
fn has_stale_keys(error: &StoreError) -> bool {
    let StoreError::Call { source, .. } = error else {
        return false;
    };
    match &source.sorted {
        Sorted::ExpiredCredentials | Sorted::CredentialsFailed => true,
        // Of temporary keys that S3 does not know any more; and a HEAD is refused so, without a word, when keys have ended.
        Sorted::Refused { code, .. } => ["InvalidToken", "HTTP 400"].contains(&code.as_str()),
        _ => false,
    }
}
