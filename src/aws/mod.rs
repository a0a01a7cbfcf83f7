//! AWS clients from one configuration, and SDK errors sorted once.
//!
//! Leaves to others what a refusal means for a story; [`sort`] only says of which sort it is.

mod elsewhere;
mod error;
mod head;
pub mod limits;
#[cfg(test)]
mod loopback_tests;
pub mod patience;
pub(crate) mod renew;
pub mod sort;

use crate::clock::Clock;
use crate::config::settings::Place;
use crate::ecs::quota::Category;
use crate::failure::Failure;
use crate::secret::Secret;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_types::service_config::ServiceConfigKey;
use elsewhere::Assumed;
pub use error::ConnectError;
use limits::Limits;
use patience::{AskAgain, Counter, Listener, Patience, Silence};
use renew::{Fresh, Renew};
use sort::{CallError, Sorted};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Attempts of one call, the first one included. The SDK's standard mode waits up to 1, 2, 4, ... seconds between them
/// (20 at most), so a far end that is down is given up after about half a minute.
pub const ATTEMPTS: u32 = 6;

/// The first pause between attempts against an endpoint on loopback, which has nobody else to make room for.
const LOOPBACK_BACKOFF: Duration = Duration::from_millis(20);

/// The ids of the services that are talked to, as endpoints are looked up by.
const SERVICES: [&str; 8] = [
    "ECS",
    "ECR",
    "S3",
    "STS",
    "Elastic Load Balancing v2",
    "CloudWatch Logs",
    "CodePipeline",
    "SQS",
];

/// Which AWS to talk to.
#[derive(Debug, Clone, Default)]
pub struct AwsSettings {
    /// The region; the environment, the profile or the instance decides if absent.
    pub region: Option<String>,
    /// The address of every service: the sandbox's, on loopback.
    pub endpoint: Option<String>,
    /// Static keys; the SDK's default chain (environment, profile, container, instance) if absent.
    pub credentials: Option<StaticKeys>,
}

/// An access key that was handed in, not looked up.
#[derive(Debug, Clone)]
pub struct StaticKeys {
    /// The access key id.
    pub access_key_id: Secret<String>,
    /// The secret access key.
    pub secret_access_key: Secret<String>,
    /// The session token of temporary credentials.
    pub session_token: Option<Secret<String>>,
}

/// The clients that the stories need.
#[derive(Clone)]
pub struct Aws {
    /// Amazon ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// Amazon ECR.
    pub ecr: aws_sdk_ecr::Client,
    /// Amazon S3.
    pub s3: aws_sdk_s3::Client,
    /// AWS STS.
    pub sts: aws_sdk_sts::Client,
    /// Elastic Load Balancing v2.
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    /// CloudWatch Logs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// AWS CodePipeline.
    pub codepipeline: aws_sdk_codepipeline::Client,
    /// Amazon SQS.
    pub sqs: aws_sdk_sqs::Client,
    region: String,
    /// Where it is, seen from the run; its region is always named.
    place: Arc<Place>,
    limits: Arc<Limits>,
    config: SdkConfig,
    endpoint: Option<String>,
    patience: Patience,
}

impl Aws {
    /// Resolves region and credentials, then makes the clients. Asks no AWS service but those that give credentials.
    ///
    /// # Errors
    /// [`ConnectError`] when the region or the credentials are missing.
    pub async fn connect(settings: AwsSettings) -> Result<Self, ConnectError> {
        Self::connect_telling(settings, Patience::new(None, None), None).await
    }

    async fn connect_telling(
        settings: AwsSettings,
        patience: Patience,
        clock: Option<Clock>,
    ) -> Result<Self, ConnectError> {
        let endpoint = settings.endpoint.clone();
        let config = load(settings).await;
        if endpoint.is_none() {
            check_endpoints(&config)?;
        }
        check_region(config.region().map_or("", Region::as_ref))?;
        check_credentials(&config).await?;
        Self::of_config(config, endpoint, patience, Place::default(), clock)
    }

    /// The clients of another place, with what this one has.
    async fn elsewhere(&self, place: &Place, session: &str, clock: Option<Clock>) -> Result<Self, Failure> {
        let mut builder = self.config.to_builder();
        if let Some(region) = &place.region {
            builder = builder.region(Region::new(region.clone()));
        }
        if let Some(role) = &place.role {
            let sts = match &place.region {
                // A region's own STS: the global one may be out of reach.
                Some(_) => {
                    let there = Place {
                        role: None,
                        ..place.clone()
                    };
                    let there = Box::pin(self.elsewhere(&there, session, None)).await?;
                    there.sts
                }
                None => self.sts.clone(),
            };
            let assumed = Assumed::new(sts, role.clone(), session)
                .await
                .map_err(|error| elsewhere::not_assumed(error, role))?;
            let cache = Fresh::new(|| {
                IdentityCache::lazy()
                    .load_timeout(elsewhere::PATIENCE)
                    .buffer_time(elsewhere::RENEWED_BEFORE)
                    .build()
            });
            builder = builder
                .credentials_provider(SharedCredentialsProvider::new(assumed))
                .identity_cache(SharedIdentityCache::new(cache));
        }
        Self::of_config(
            builder.build(),
            self.endpoint.clone(),
            self.patience.clone(),
            place.clone(),
            clock,
        )
        .map_err(ConnectError::into_failure)
    }

    fn of_config(
        config: SdkConfig,
        endpoint: Option<String>,
        patience: Patience,
        place: Place,
        clock: Option<Clock>,
    ) -> Result<Self, ConnectError> {
        let region = config.region().ok_or(ConnectError::NoRegion)?.to_string();
        check_region(&region)?;
        // Set on each client: an `AWS_ENDPOINT_URL_ECS` of the environment or the profile would win over the one that
        // is set for all, and a dry run would talk to it.
        macro_rules! client {
            ($sdk:ident) => {
                client!($sdk, Renew::new())
            };
            ($sdk:ident, $renew:expr) => {{
                let mut builder = $sdk::config::Builder::from(&config)
                    .interceptor(patience.clone())
                    .interceptor($renew)
                    .retry_classifier(AskAgain)
                    .retry_classifier($renew);
                if endpoint.is_some() {
                    builder.set_endpoint_url(endpoint.clone());
                }
                builder
            }};
        }
        // A bucket as a host name does not resolve below a loopback address.
        let s3 = client!(aws_sdk_s3, Renew::s3()).force_path_style(endpoint.is_some());
        Ok(Self {
            ecs: aws_sdk_ecs::Client::from_conf(client!(aws_sdk_ecs).build()),
            ecr: aws_sdk_ecr::Client::from_conf(client!(aws_sdk_ecr).build()),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            sts: aws_sdk_sts::Client::from_conf(client!(aws_sdk_sts).build()),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(
                client!(aws_sdk_elasticloadbalancingv2).build(),
            ),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(client!(aws_sdk_cloudwatchlogs).build()),
            codepipeline: aws_sdk_codepipeline::Client::from_conf(client!(aws_sdk_codepipeline).build()),
            sqs: aws_sdk_sqs::Client::from_conf(client!(aws_sdk_sqs).build()),
            place: Arc::new(Place {
                region: Some(region.clone()),
                ..place
            }),
            region,
            limits: Arc::new(Limits::new(clock)),
            config,
            endpoint,
            patience,
        })
    }

    /// Where it is: its region, and the role that was assumed there.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What all calls to it share.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Makes a call when its bucket allows, if calls are paced; and takes note if AWS throttles it all the same.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn paced<T>(
        &self,
        category: Category,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        self.limits.fit(category).await;
        let answer = call.await;
        if matches!(
            &answer,
            Err(CallError {
                sorted: Sorted::Throttled,
                ..
            })
        ) {
            self.limits.throttled(category);
        }
        answer
    }

    /// The region that every client talks to.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws")
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// AWS, with region and credentials looked for when it is first asked for: a build that stays outside AWS needs neither.
#[derive(Debug, Clone)]
pub struct AwsOnDemand {
    settings: AwsSettings,
    listener: Option<Listener>,
    counter: Option<Counter>,
    clock: Option<Clock>,
    session: String,
    aws: Arc<OnceCell<Aws>>,
    elsewhere: Elsewhere,
}

/// Clients of other places, each made once for all clones.
type Elsewhere = Arc<Mutex<BTreeMap<Place, Arc<OnceCell<Aws>>>>>;

/// The name of sessions that nobody named.
const SESSION: &str = "slipway";

impl AwsOnDemand {
    /// The AWS of these settings; nothing is looked for yet.
    #[must_use]
    pub fn new(settings: AwsSettings) -> Self {
        Self {
            settings,
            listener: None,
            counter: None,
            clock: None,
            session: SESSION.to_owned(),
            aws: Arc::default(),
            elsewhere: Arc::default(),
        }
    }

    /// Makes calls of ECS no faster than AWS's quotas allow, over all clones: a process with hundreds of deploys waits
    /// instead of being throttled.
    #[must_use]
    pub fn paced_by(self, clock: Clock) -> Self {
        Self {
            clock: Some(clock),
            ..self
        }
    }

    /// Names the sessions of roles that are assumed, as CloudTrail shows them: `slipway-NAME`.
    #[must_use]
    pub fn in_session(self, name: &str) -> Self {
        Self {
            session: format!("{SESSION}-{name}"),
            ..self
        }
    }

    /// Has somebody told, again and again, while a call has no answer.
    #[must_use]
    pub fn telling(self, tell: impl Fn(Silence) + Send + Sync + 'static) -> Self {
        Self {
            listener: Some(Listener::new(tell)),
            ..self
        }
    }

    /// Has somebody count the answers of AWS that it is asked too often, by service, also those that are asked again for.
    /// Clients that are made already are left as they are.
    #[must_use]
    pub fn counting(self, count: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            counter: Some(Counter::new(count)),
            ..self
        }
    }

    /// The clients, the same ones each time.
    ///
    /// # Errors
    /// The [`Failure`] of a region or of credentials that are missing.
    pub async fn get(&self) -> Result<&Aws, Failure> {
        self.aws
            .get_or_try_init(|| {
                Box::pin(Aws::connect_telling(
                    self.settings.clone(),
                    Patience::new(self.listener.clone(), self.counter.clone()),
                    self.clock.clone(),
                ))
            })
            .await
            .map_err(ConnectError::into_failure)
    }

    /// The clients of a place: the run's own, or those of another region or account, the same ones each time and for all
    /// clones.
    ///
    /// # Errors
    /// The [`Failure`] of a region or of credentials that are missing, or of a role that cannot be assumed.
    pub async fn at(&self, place: &Place) -> Result<Aws, Failure> {
        let home = self.get().await?;
        if *place == Place::default() || *place == *home.place() {
            return Ok(home.clone());
        }
        let there = {
            let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
            elsewhere.entry(place.clone()).or_default().clone()
        };
        let made = there
            .get_or_try_init(|| Box::pin(home.elsewhere(place, &self.session, self.clock.clone())))
            .await?;
        Ok(made.clone())
    }
}

impl From<Aws> for AwsOnDemand {
    fn from(aws: Aws) -> Self {
        Self {
            settings: AwsSettings::default(),
            listener: None,
            counter: None,
            clock: None,
            session: SESSION.to_owned(),
            elsewhere: Arc::default(),
            aws: Arc::new(OnceCell::new_with(Some(aws))),
        }
    }
}

async fn load(settings: AwsSettings) -> SdkConfig {
    let mut retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
    if settings.endpoint.is_some() {
        retries = retries.with_initial_backoff(LOOPBACK_BACKOFF);
    }
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(retries)
        .identity_cache(Fresh::new(|| IdentityCache::lazy().build()))
        // Of calls whose operation is not known; the others have their own.
        .timeout_config(patience::timeouts(""));
    if let Ok(name) = AppName::new(concat!("slipway/", env!("CARGO_PKG_VERSION"))) {
        loader = loader.app_name(name);
    }
    if let Some(region) = settings.region {
        loader = loader.region(Region::new(region));
    }
    if let Some(endpoint) = settings.endpoint {
        // A custom address has no FIPS or dual-stack variant; the endpoint rules refuse the combination.
        loader = loader
            .endpoint_url(endpoint)
            .use_fips(false)
            .use_dual_stack(false);
    }
    if let Some(keys) = settings.credentials {
        loader = loader.credentials_provider(Credentials::new(
            keys.access_key_id.expose(),
            keys.secret_access_key.expose(),
            keys.session_token.map(|token| token.expose().clone()),
            None,
            "slipway",
        ));
    }
    loader.load().await
}

/// A region becomes a part of a host's name, and the SDK refuses what cannot be one with each call.
fn check_region(region: &str) -> Result<(), ConnectError> {
    let is_label = region.len() <= 63
        && !region.starts_with('-')
        && region
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match region {
        "" => Err(ConnectError::NoRegion),
        _ if is_label => Ok(()),
        _ => Err(ConnectError::BadRegion(region.to_owned())),
    }
}

/// An address that is none looks like a network that is down to whoever calls it.
fn check_endpoints(config: &SdkConfig) -> Result<(), ConnectError> {
    for service in SERVICES {
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let own = config.service_config().zip(key.ok());
        let own = own.and_then(|(service_config, key)| service_config.load_config(key));
        let url = own.or_else(|| config.endpoint_url().map(str::to_owned));
        if url.is_some_and(|url| !is_url(&url)) {
            return Err(ConnectError::BadEndpoint { service });
        }
    }
    Ok(())
}

fn is_url(text: &str) -> bool {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    rest.is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

async fn check_credentials(config: &SdkConfig) -> Result<(), ConnectError> {
    let missing = || ConnectError::NoCredentials(CredentialsError::not_loaded("no provider is configured"));
    let provider = config.credentials_provider().ok_or_else(missing)?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error @ CredentialsError::CredentialsNotLoaded(_)) => Err(ConnectError::NoCredentials(error)),
        Err(error) => Err(ConnectError::Credentials(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Aws, AwsSettings, ConnectError, StaticKeys, check_region, is_url};
    use crate::failure::Kind;
    use aws_credential_types::provider::error::CredentialsError;

    fn sandbox() -> AwsSettings {
        AwsSettings {
            region: Some("eu-west-1".to_owned()),
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            credentials: Some(StaticKeys {
                access_key_id: "AKIDCANARY".to_owned().into(),
                secret_access_key: "secret-canary".to_owned().into(),
                session_token: Some("token-canary".to_owned().into()),
            }),
        }
    }

    #[tokio::test]
    async fn the_region_is_known_and_debug_shows_no_key() {
        let settings = sandbox();
        assert!(!format!("{settings:?}").to_lowercase().contains("canary"));
        let aws = Aws::connect(settings).await.unwrap();
        assert_eq!(aws.region(), "eu-west-1");
        assert_eq!(format!("{aws:?}"), "Aws { region: \"eu-west-1\", .. }");
    }

    #[test]
    fn a_region_and_an_address_are_told_from_garbage() {
        for region in ["eu-west-1", "us-gov-east-1", "local"] {
            assert!(check_region(region).is_ok(), "{region}");
        }
        for region in ["eu west 1", "eu-west-1/x", "-eu", "\u{fc}", "a.b"] {
            assert!(
                matches!(check_region(region), Err(ConnectError::BadRegion(_))),
                "{region}"
            );
        }
        assert!(matches!(check_region(""), Err(ConnectError::NoRegion)));
        for (text, expected) in [
            ("http://127.0.0.1:4566", true),
            ("https://vpce-1.ecs.eu-west-1.vpce.amazonaws.com/", true),
            ("http://[::1]:8000", true),
            ("garbage", false),
            ("", false),
            ("http://", false),
            ("ftp://host", false),
            ("http://a b", false),
        ] {
            assert_eq!(is_url(text), expected, "{text}");
        }
    }

    #[test]
    fn a_missing_region_and_missing_credentials_are_usage_errors_with_a_way_out() {
        for error in [
            ConnectError::NoRegion,
            ConnectError::BadRegion("eu west".to_owned()),
            ConnectError::BadEndpoint { service: "ECS" },
            ConnectError::NoCredentials(CredentialsError::not_loaded("nothing set")),
            ConnectError::Credentials(CredentialsError::provider_error("expired")),
        ] {
            let failure = error.into_failure();
            assert_eq!((failure.kind, failure.hints.len()), (Kind::Usage, 1));
        }
    }
}
