//! Fresh credentials for a call whose own have expired, before anybody is told.
//!
//! Credentials can end earlier than they said, or be kept for too long on their way here. A call that is refused for it
//! did nothing, so it is tried once more, also where calls are not repeated otherwise.

use super::sort::code_in;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityCachePartition, IdentityFuture, ResolveCachedIdentity, SharedIdentityCache,
    SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use aws_smithy_types::retry::RetryConfig;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// What is known of the credentials of one call; lives as long as the call.
#[derive(Debug, Default)]
struct Keys {
    /// Which renewal they came with.
    renewal: AtomicU64,
    /// Whether the last attempt was refused because they have expired.
    are_stale: AtomicBool,
    /// How many attempts were.
    refused: AtomicU32,
}

impl Storable for Keys {
    type Storer = StoreReplace<Self>;
}

/// If the last attempt of a call was refused because its credentials have expired: which renewal these came with, as
/// [`came_with`] was told. Asked once for each attempt.
pub(crate) fn stale(call: &ConfigBag) -> Option<u64> {
    let keys = call.load::<Keys>()?;
    let are_stale = keys.are_stale.swap(false, Ordering::AcqRel);
    are_stale.then(|| keys.renewal.load(Ordering::Acquire))
}

/// The credentials of a call came with this renewal.
pub(crate) fn came_with(call: &ConfigBag, renewal: u64) {
    if let Some(keys) = call.load::<Keys>() {
        keys.renewal.store(renewal, Ordering::Release);
    }
}

/// Repeats a call whose credentials have expired, once. `Self::s3` knows S3's own ways to say so, too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renew {
    by_s3: bool,
}

impl Renew {
    pub(super) const fn new() -> Self {
        Self { by_s3: false }
    }

    pub(super) const fn s3() -> Self {
        Self { by_s3: true }
    }

    fn sees(self, response: Option<&Response>, failed: bool) -> bool {
        response.filter(|_| failed).is_some_and(|response| {
            let body = response.body().bytes().unwrap_or_default();
            is_expired(response.status().as_u16(), body, self.by_s3)
        })
    }
}

impl Intercept for Renew {
    fn name(&self) -> &'static str {
        "Renew"
    }

    fn read_before_serialization(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        call.interceptor_state().store_put(Keys::default());
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let failed = context.output_or_error().is_some_and(|outcome| outcome.is_err());
        if !self.sees(context.response(), failed) {
            return Ok(());
        }
        let (Some(keys), Some(attempts), Some(retries)) = (
            call.load::<Keys>(),
            call.load::<RequestAttempts>(),
            call.load::<RetryConfig>(),
        ) else {
            return Ok(());
        };
        keys.are_stale.store(true, Ordering::Release);
        let attempts = attempts.attempts();
        // Whoever refuses fresh ones as well refuses whatever comes.
        let most = match keys.refused.fetch_add(1, Ordering::AcqRel) {
            0 => retries.max_attempts().max(attempts + 1),
            _ => attempts,
        };
        let retries = retries.clone().with_max_attempts(most);
        call.interceptor_state().store_put(retries);
        Ok(())
    }
}

impl ClassifyRetry for Renew {
    fn classify_retry(&self, call: &InterceptorContext) -> RetryAction {
        let failed = call.output_or_error().is_some_and(|outcome| outcome.is_err());
        if self.sees(call.response(), failed) {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "Renew"
    }
}

/// Whether AWS says that credentials have expired. S3's answer to HEAD has the status and no words; of 400 it means
/// nothing else that fresh ones could not be tried for. And S3 calls temporary ones that it does not know any more invalid.
fn is_expired(status: u16, body: &[u8], by_s3: bool) -> bool {
    if !matches!(status, 400 | 401 | 403) {
        return false;
    }
    if body.is_empty() {
        return by_s3 && status == 400;
    }
    let code = code_in(body);
    ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"].contains(&code.as_str())
        || (by_s3 && code == "InvalidToken")
}

/// A cache of credentials that lets go of those that were refused, and keeps those that cannot be renewed for as long as
/// they are good.
pub(super) struct Fresh {
    make: fn() -> SharedIdentityCache,
    held: Mutex<Held>,
}

struct Held {
    cache: SharedIdentityCache,
    /// Counts the caches.
    renewal: u64,
    /// What was given last.
    last: BTreeMap<IdentityCachePartition, Identity>,
}

impl Fresh {
    pub(super) fn new(make: fn() -> SharedIdentityCache) -> Self {
        let held = Held {
            cache: make(),
            renewal: 0,
            last: BTreeMap::new(),
        };
        Self {
            make,
            held: Mutex::new(held),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cache to ask. Of many calls whose credentials were refused the first one renews it.
    fn cache(&self, call: &ConfigBag) -> SharedIdentityCache {
        let mut held = self.held();
        if stale(call) == Some(held.renewal) {
            held.cache = (self.make)();
            held.renewal += 1;
            held.last.clear();
        }
        came_with(call, held.renewal);
        held.cache.clone()
    }

    fn keep(&self, partition: IdentityCachePartition, identity: &Identity) {
        self.held().last.insert(partition, identity.clone());
    }

    fn kept(&self, partition: IdentityCachePartition, now: SystemTime) -> Option<Identity> {
        let last = self.held().last.get(&partition).cloned();
        last.filter(|last| last.expiration().is_some_and(|end| end > now))
    }
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").finish_non_exhaustive()
    }
}

impl ResolveCachedIdentity for Fresh {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        call: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::new(async move {
            let cache = self.cache(call);
            let partition = resolver.cache_partition();
            let resolved = cache.resolve_cached_identity(resolver, components, call).await;
            match resolved {
                Ok(identity) => {
                    self.keep(partition, &identity);
                    Ok(identity)
                }
                Err(error) => {
                    let now = components.time_source().unwrap_or_default().now();
                    self.kept(partition, now).ok_or(error)
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Fresh, Renew, is_expired};
    use crate::aws::loopback_tests;
    use crate::aws::sort::{CallError, Sorted};
    use crate::clock::Clock;
    use aws_config::identity::IdentityCache;
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::error::CredentialsError;
    use aws_credential_types::provider::{ProvideCredentials, future};
    use axum::http::{HeaderMap, StatusCode};
    use futures_util::future::join_all;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::{Duration, UNIX_EPOCH};

    const HOUR: Duration = Duration::from_secs(3600);

    /// Gives other credentials each time.
    #[derive(Debug, Default, Clone)]
    struct Numbered(Arc<AtomicU32>);

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::AcqRel) + 1;
            let id = format!("id{number}");
            future::ProvideCredentials::ready(Ok(Credentials::new(id, "key", None, None, "test")))
        }
    }

    /// Refuses the first `stale` credentials as expired, on loopback.
    async fn refusing(stale: u32) -> String {
        let answer = move |headers: HeaderMap| async move {
            let signed = headers.get("authorization").and_then(|value| value.to_str().ok());
            let is_stale = |number: &u32| signed.is_some_and(|by| by.contains(&format!("=id{number}/")));
            if (1..=stale).any(|number| is_stale(&number)) {
                (StatusCode::BAD_REQUEST, r#"{"__type":"ExpiredTokenException"}"#)
            } else {
                (StatusCode::OK, r#"{"taskArns":[]}"#)
            }
        };
        loopback_tests::serve(answer).await
    }

    #[tokio::test]
    async fn a_refused_call_is_made_with_fresh_credentials_once_and_of_many_calls_one_renews() {
        for (stale, works) in [(0, true), (1, true), (2, false)] {
            let provider = Numbered::default();
            let config = loopback_tests::ecs(refusing(stale).await)
                .credentials_provider(provider.clone())
                .interceptor(Renew::new())
                .retry_classifier(Renew::new())
                .identity_cache(Fresh::new(|| IdentityCache::lazy().build()));
            let ecs = aws_sdk_ecs::Client::from_conf(config.build());
            let sent = join_all((0..5).map(|_| ecs.list_tasks().send())).await;
            assert!(sent.iter().all(|one| one.is_ok() == works), "{stale}: {sent:?}");
            let given = provider.0.load(Ordering::Acquire);
            assert_eq!(given, stale.min(1) + 1, "{stale}");
        }
    }

    /// Gives credentials of half an hour once, and fails then.
    #[derive(Debug, Default)]
    struct Once(AtomicU32);

    impl ProvideCredentials for Once {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let end = UNIX_EPOCH + Clock::System.now() + HOUR / 2;
            future::ProvideCredentials::ready(match self.0.fetch_add(1, Ordering::AcqRel) {
                0 => Ok(Credentials::new("id", "key", None, Some(end), "test")),
                _ => Err(CredentialsError::provider_error("throttled")),
            })
        }
    }

    #[tokio::test]
    async fn credentials_that_cannot_be_renewed_are_used_while_they_are_good() {
        // Nobody listens there: a call that is sent has no answer.
        let config = loopback_tests::ecs("http://127.0.0.1:9")
            .credentials_provider(Once::default())
            .identity_cache(Fresh::new(|| IdentityCache::lazy().buffer_time(HOUR).build()));
        let ecs = aws_sdk_ecs::Client::from_conf(config.build());
        for call in 1..=2 {
            let sent = ecs.list_tasks().send().await;
            let error = sent.map_err(CallError::of("ecs:ListTasks")).unwrap_err();
            assert_eq!(error.sorted, Sorted::Unreachable, "call {call}");
        }
    }

    #[test]
    fn expired_credentials_are_told_from_other_refusals() {
        let xml = |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        let json = |code: &str| format!("{{\"__type\":\"{code}\",\"message\":\"ExpiredToken\"}}");
        for (status, body, expected) in [
            (400, xml("ExpiredToken"), true),
            (403, xml("ExpiredToken"), true),
            (400, xml("TokenRefreshRequired"), true),
            (400, json("ExpiredTokenException"), true),
            (400, json("com.amazon.coral.service#ExpiredTokenException"), true),
            (400, xml("InvalidRequest"), false),
            (403, xml("AccessDenied"), false),
            (400, json("ClientException"), false),
            (400, "ExpiredToken".to_owned(), false),
            (200, xml("ExpiredToken"), false),
            (500, json("ExpiredTokenException"), false),
        ] {
            assert_eq!(
                is_expired(status, body.as_bytes(), false),
                expected,
                "{status} {body}"
            );
        }
        for (status, body, by_s3, expected) in [
            (400, String::new(), true, true),
            (400, String::new(), false, false),
            (403, String::new(), true, false),
            (404, String::new(), true, false),
            (400, xml("InvalidToken"), true, true),
            (400, xml("InvalidToken"), false, false),
        ] {
            let said = is_expired(status, body.as_bytes(), by_s3);
            assert_eq!(said, expected, "{status} {body} {by_s3}");
        }
    }
}
