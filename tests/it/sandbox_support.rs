//! A sandbox with simulated tasks on a virtual clock, and clients of the official SDK for it.
#![expect(clippy::unwrap_used, reason = "a test without its sandbox cannot go on")]

use crate::journals::journal;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecs::config::{Credentials, SharedCredentialsProvider};
use slipway::aws::{Aws, AwsSettings, StaticKeys};
use slipway::clock::{Clock, VirtualClock};
use slipway::sandbox::scenario::Scenario;
use slipway::sandbox::server::{Options, Sandbox, Tasks};
use slipway::sandbox::world::ecs::Timings;
use slipway::sandbox::world::sessions::Keys;
use std::path::PathBuf;
use std::time::Duration;

/// The instant at which every test begins.
pub const NOW: Duration = Duration::from_secs(1_767_225_600);

/// The region of every test.
pub const REGION: &str = "eu-west-1";

/// Starts a sandbox on a free port.
pub async fn start(scenario: &str) -> Sandbox {
    start_with(scenario, journal(scenario)).await
}

/// Starts a sandbox with its journal in a certain file.
pub async fn start_with(scenario: &str, journal: Option<PathBuf>) -> Sandbox {
    start_on(scenario, Clock::Virtual(VirtualClock::starting_at(NOW)), journal).await
}

/// Starts a sandbox on a certain clock.
pub async fn start_on(scenario: &str, clock: Clock, journal: Option<PathBuf>) -> Sandbox {
    Box::pin(Sandbox::start(Options {
        port: 0,
        journal,
        scenario: Scenario::parse(scenario).unwrap(),
        region: REGION.into(),
        tasks: Tasks::Simulated,
        timings: Timings::default(),
        clock,
        docker_host: None,
    }))
    .await
    .unwrap()
}

/// Settings for clients that send every request once, signed for `region`.
pub fn config(sandbox: &Sandbox, region: &'static str) -> SdkConfig {
    config_of(sandbox, region, &own_keys())
}

/// The clients that slipway makes, for a sandbox.
pub async fn clients(sandbox: &Sandbox) -> Aws {
    let keys = own_keys();
    let settings = AwsSettings {
        region: Some(REGION.to_owned()),
        endpoint: Some(sandbox.endpoint().to_owned()),
        credentials: Some(StaticKeys {
            access_key_id: keys.access_key_id.into(),
            secret_access_key: keys.secret_access_key.into(),
            session_token: None,
        }),
    };
    Aws::connect(settings).await.unwrap()
}

/// The keys of the account itself.
fn own_keys() -> Keys {
    Keys {
        access_key_id: "sandbox".into(),
        secret_access_key: "sandbox".into(),
        session_token: String::new(),
    }
}

/// The same settings with certain keys; an empty token is none.
pub fn config_of(sandbox: &Sandbox, region: &'static str, keys: &Keys) -> SdkConfig {
    let token = Some(keys.session_token.clone()).filter(|token| !token.is_empty());
    let credentials = Credentials::new(&keys.access_key_id, &keys.secret_access_key, token, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .endpoint_url(sandbox.endpoint())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .build()
}
