//! The credentials that a job brings for its artifacts, renewed before they end.
//!
//! They are a session of the pipeline's role, of fifteen minutes by what AWS's own workers assume; CodePipeline says of
//! none when it ends. GetJobDetails gives new ones for as long as the job is open.

use super::client::{Pipeline, PipelineError};
use super::job::{ArtifactKeys, JobId};
use crate::aws::{Aws, renew};
use crate::clock::Clock;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_s3::Client;
use aws_smithy_runtime_api::client::identity::{
    IdentityFuture, ResolveCachedIdentity, ResolveIdentity as _, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// The age at which keys are renewed.
const RENEWED_AFTER: Duration = Duration::from_secs(14 * 60);

/// The age up to which keys are used if they cannot be renewed for now.
const LAST_USE: Duration = Duration::from_secs(15 * 60);

/// Why a job has no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The job is gone, and its keys with it.
    #[error(
        "job {0} is over: CodePipeline does not know it any more, so it gives no new keys for its artifacts"
    )]
    Gone(JobId),
    /// CodePipeline gave none.
    #[error("CodePipeline gave no keys for the artifacts of job {0}")]
    None(JobId),
    /// CodePipeline could not be asked.
    #[error("renew the keys for the artifacts of job {job}")]
    Renew {
        /// The job.
        job: JobId,
        /// The call.
        #[source]
        source: Box<PipelineError>,
    },
}

/// The artifact credentials of one job; a cheap handle.
#[derive(Clone)]
pub struct JobCredentials(Arc<Inner>);

struct Inner {
    client: Pipeline,
    clock: Clock,
    job: JobId,
    /// Held while new keys are asked for, so that of many that need some one asks.
    keys: Mutex<Option<Held>>,
    /// Counts up when the keys are not accepted any more.
    forgotten: AtomicU64,
    is_gone: AtomicBool,
}

struct Held {
    keys: ArtifactKeys,
    since: Duration,
    /// What `forgotten` was when they came.
    counted: u64,
}

impl fmt::Debug for JobCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JobCredentials").field(&self.0.job).finish()
    }
}

impl JobCredentials {
    /// The credentials of a job that came with `keys` at this moment; without, they are asked for when they are needed.
    #[must_use]
    pub fn new(client: Pipeline, clock: Clock, job: JobId, keys: Option<ArtifactKeys>) -> Self {
        let since = clock.now();
        let held = keys.map(|keys| Held {
            keys,
            since,
            counted: 0,
        });
        Self(Arc::new(Inner {
            client,
            clock,
            job,
            keys: Mutex::new(held),
            forgotten: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
        }))
    }

    /// The keys that are given now are not accepted any more: the next call asks for others.
    pub fn forget(&self) {
        self.forget_those(self.forgotten());
    }

    /// How often keys were forgotten.
    fn forgotten(&self) -> u64 {
        self.0.forgotten.load(Ordering::Acquire)
    }

    /// The keys that were given after so many were forgotten are not accepted. Of many that find it so the first one counts:
    /// what came meanwhile is good.
    fn forget_those(&self, counted: u64) {
        let next = counted + 1;
        let _ = self
            .0
            .forgotten
            .compare_exchange(counted, next, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether CodePipeline has said that the job is over.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.is_gone.load(Ordering::Acquire)
    }

    /// The keys, renewed if they are old.
    ///
    /// # Errors
    /// [`KeysError`].
    pub async fn keys(&self) -> Result<ArtifactKeys, KeysError> {
        let inner = &self.0;
        let mut held = inner.keys.lock().await;
        let counted = self.forgotten();
        let now = inner.clock.now();
        let usable = |most: Duration| {
            held.as_ref()
                .filter(|held| held.counted == counted && now.saturating_sub(held.since) < most)
                .map(|held| held.keys.clone())
        };
        if let Some(keys) = usable(RENEWED_AFTER) {
            return Ok(keys);
        }
        let job = || inner.job.clone();
        match inner.client.details(&inner.job).await {
            Ok(Some((_, Some(keys)))) => {
                *held = Some(Held {
                    keys: keys.clone(),
                    since: now,
                    counted,
                });
                Ok(keys)
            }
            Ok(Some((_, None))) => Err(KeysError::None(job())),
            Ok(None) => {
                inner.is_gone.store(true, Ordering::Release);
                Err(KeysError::Gone(job()))
            }
            Err(source) => usable(LAST_USE).ok_or_else(|| KeysError::Renew {
                job: job(),
                source: Box::new(source),
            }),
        }
    }
}

impl ProvideCredentials for JobCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let keys = self.keys().await.map_err(CredentialsError::provider_error)?;
            Ok(Credentials::new(
                keys.access_key_id.expose(),
                keys.secret_access_key.expose(),
                Some(keys.session_token.expose().clone()),
                None,
                "codepipeline-job",
            ))
        })
    }
}

/// S3 as the job's credentials may use it: the same endpoint, patience and retries as `aws.s3`, and each attempt signed
/// with keys that are good then. Keys that S3 calls expired are renewed, and the call is repeated.
#[must_use]
pub fn s3(aws: &Aws, credentials: &JobCredentials) -> Client {
    let config = aws.s3.config().to_builder();
    let config = config
        .credentials_provider(credentials.clone())
        .identity_cache(JobKeys(credentials.clone()));
    Client::from_conf(config.build())
}

/// Keeps no keys: the SDK's own cache would keep those that say no end for longer than they are good.
#[derive(Debug)]
struct JobKeys(JobCredentials);

impl ResolveCachedIdentity for JobKeys {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        call: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        if let Some(counted) = renew::stale(call) {
            self.0.forget_those(counted);
        }
        IdentityFuture::new(async move {
            let identity = resolver.resolve_identity(components, call).await;
            renew::came_with(call, self.0.forgotten());
            identity
        })
    }
}
