//! What a sandbox leaves on the Engine: nothing, however it ended.

use super::bench::{Bench, config, docker, things_of};
use bollard::models::NetworkCreateRequest;
use serde_json::json;
use slipway::sandbox::docker::Runner;
use tokio::sync::mpsc;

const SLEEP: [&str; 2] = ["sleep", "600"];

#[tokio::test]
async fn a_sandbox_that_ends_with_tasks_in_every_state_leaves_nothing() {
    let bench = Bench::start("busy").await;
    for task in ["a1", "a2", "a3"] {
        bench.run_with(
            task,
            json!({"volumes": [{"name": "data"}]}),
            &[json!({
                "name": "web", "image": "web:1", "command": SLEEP,
                "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}]
            })],
        );
    }
    bench.stop_task("a2");
    // The tasks are being pulled, created or started: whatever it is, it is undone.
    bench.finish().await;
}

#[tokio::test]
async fn the_clean_up_goes_on_when_its_caller_is_cancelled() {
    let mut bench = Bench::start("cancelled").await;
    bench.run(
        "a1",
        &[json!({"name": "web", "image": "web:1", "command": SLEEP})],
    );
    bench
        .until(|fact| {
            matches!(
                fact,
                slipway::sandbox::world::orders::Fact::ContainerStarted { .. }
            )
        })
        .await;
    let stop = bench.runner.stop();
    drop(tokio::time::timeout(std::time::Duration::from_millis(1), stop).await);
    while !things_of(&bench.config).await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_a_dead_process_left_is_removed_and_what_a_living_one_has_is_not() {
    let docker = docker().await;
    let realm = format!(
        "{} {}",
        std::fs::read_link("/proc/self/ns/pid").unwrap().display(),
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap()
            .trim()
    );
    let mut child = tokio::process::Command::new("true").spawn().unwrap();
    let dead = child.id().unwrap();
    child.wait().await.unwrap();
    let mine = std::process::id();
    for (name, owner) in [
        ("dead", format!("{dead} {realm}")),
        ("living", format!("{mine} {realm}")),
        ("elsewhere", format!("{dead} pid:[1] elsewhere")),
    ] {
        let name = format!("test-{mine}-{name}");
        let labels = [
            ("slipway.sandbox".to_owned(), name.clone()),
            ("slipway.owner".to_owned(), owner),
            ("slipway.registry".to_owned(), "127.0.0.1:1".to_owned()),
        ];
        let request = NetworkCreateRequest {
            name: format!("slipway-sandbox-{name}"),
            labels: Some(labels.into()),
            ..NetworkCreateRequest::default()
        };
        docker.create_network(request).await.unwrap();
    }
    let (_orders, received) = mpsc::unbounded_channel();
    let (told, _facts) = mpsc::unbounded_channel();
    let later = config("later", "127.0.0.1:2".to_owned(), "open");
    let runner = Runner::start(received, told, later.clone()).await.unwrap();
    for (name, stays) in [("dead", false), ("living", true), ("elsewhere", true)] {
        let left = config(name, "127.0.0.1:1".to_owned(), "open");
        assert_eq!(!things_of(&left).await.is_empty(), stays, "{name}");
        if stays {
            let network = format!("slipway-sandbox-test-{mine}-{name}");
            docker.remove_network(&network).await.unwrap();
        }
    }
    assert!(runner.stop().await.is_empty());
}
