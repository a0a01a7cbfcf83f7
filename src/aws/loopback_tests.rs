//! What the tests of this module call: a far end on loopback, and ECS's client of it.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use axum::Router;
use axum::handler::Handler;

/// Answers every request so, on loopback; the address.
pub(super) async fn serve<T: 'static>(answer: impl Handler<T, ()>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    endpoint
}

/// What a client of ECS at that address needs, but for its credentials. It makes each call once.
pub(super) fn ecs(endpoint: impl Into<String>) -> aws_sdk_ecs::config::Builder {
    aws_sdk_ecs::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
}
