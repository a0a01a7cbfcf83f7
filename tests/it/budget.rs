//! What a watch costs in calls, and how soon after the world is healthy its verdict comes.

use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use serde_json::{Value, json};
use slipway::clock::Pause;
use slipway::shutdown::Shutdown;
use std::time::Duration;

/// Read calls in a minute of a quiet watch.
const CALLS_A_MINUTE: u64 = 12;

/// Read calls of one rollout from its update to its verdict: 12 a minute over the two and a half minutes that a rollout
/// of two tasks takes on Fargate.
const CALLS_A_ROLLOUT: usize = 30;

/// Seconds from health to verdict, in the median.
const LATENCY: u64 = 3;

fn setup(interval: u64) -> Setup {
    let mut definition = task_definition("shop", &image(1));
    if interval > 0 {
        definition["containerDefinitions"][0]["healthCheck"] =
            json!({ "command": ["CMD-SHELL", "true"], "interval": interval });
    }
    Setup {
        task_definition: definition,
        ..Setup::default()
    }
}

/// Seconds from the update to two healthy tasks of version 2, in a world of its own that is asked every second.
async fn healthy_after(interval: u64) -> u64 {
    let bench = Bench::with_service("", setup(interval)).await;
    let mut definition = setup(interval).task_definition;
    definition["containerDefinitions"][0]["image"] = json!(image(2));
    let revision = bench.register(&definition).await;
    let cluster = json!({ "cluster": CLUSTER, "service": SERVICE, "taskDefinition": revision });
    let updated = bench.ask("UpdateService", &cluster);
    let ours = &updated["service"]["deployments"][0]["id"];
    for second in 0..600 {
        let tasks = bench.ask(
            "ListTasks",
            &json!({ "cluster": CLUSTER, "serviceName": SERVICE }),
        );
        let tasks = bench.ask(
            "DescribeTasks",
            &json!({ "cluster": CLUSTER, "tasks": tasks["taskArns"] }),
        );
        let good = |task: &&Value| {
            task["startedBy"] == *ours
                && task["lastStatus"] == "RUNNING"
                && (interval == 0 || task["healthStatus"] == "HEALTHY")
        };
        if tasks["tasks"].as_array().unwrap().iter().filter(good).count() == 2 {
            return second + if interval == 0 { 40 } else { 0 };
        }
        let pause = bench
            .tools
            .clock
            .pause(Duration::from_secs(1), &Shutdown::never())
            .await;
        assert_eq!(pause, Pause::Passed);
    }
    panic!("never healthy");
}

/// (read calls after the update, seconds from the update to the verdict).
async fn watched(scenario: &str, interval: u64) -> (usize, u64) {
    let bench = Bench::with_service(scenario, setup(interval)).await;
    let start = bench.tools.clock.now();
    let deployed = bench.deploy(&bench.version_two()).await;
    assert_eq!(deployed.is_ok(), scenario.is_empty());
    let took = bench.tools.clock.now() - start;
    let asked = bench.journal();
    let update = asked
        .iter()
        .rposition(|operation| operation == "ecs:UpdateService");
    (asked.len() - update.unwrap() - 1, took.as_secs())
}

#[tokio::test]
async fn a_watch_asks_little_and_its_verdict_comes_soon_after_health() {
    let mut late = Vec::new();
    for interval in [0, 5, 7, 10, 15, 20, 30] {
        let healthy = healthy_after(interval).await;
        let (calls, took) = watched("", interval).await;
        assert!(took >= healthy, "healthy at {healthy} s, and said so at {took} s");
        assert!(
            calls <= CALLS_A_ROLLOUT,
            "{calls} calls in {took} s with a check every {interval} s"
        );
        late.push(took - healthy);
    }
    late.sort_unstable();
    assert!(late[late.len() / 2] <= LATENCY, "{late:?}");
}

#[tokio::test]
async fn a_watch_of_tasks_that_never_start_asks_little() {
    let (calls, took) = watched(
        "[[fate]]\nfamily = \"shop\"\nrevision = 2\nnever-starts = true\n",
        0,
    )
    .await;
    assert!(took >= 900);
    assert!(
        u64::try_from(calls).unwrap() <= CALLS_A_MINUTE * took / 60,
        "{calls} calls in {took} s"
    );
}
