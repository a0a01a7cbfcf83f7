//! What a watch costs in calls, and how soon after the world is healthy its verdict comes.

use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use serde_json::{Value, json};
use slipway::clock::Pause;
use slipway::shutdown::Shutdown;
use slipway::stage::deploy::{DeployPlan, Stretch, carry_on, start};
use std::collections::BTreeMap;
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

/// Read calls a minute, averaged over a rollout of about two and a half minutes: of one service, and of ten.
const CALLS_OF_ONE: f64 = 12.0;
const CALLS_OF_TEN: f64 = 20.0;

/// How a rollout spends its two and a half minutes: the least of a task's start, and then of what checks its health.
#[derive(Debug, Clone, Copy)]
struct Typical {
    /// Seconds that a pull takes beyond the sandbox's own.
    pull: u64,
    /// The interval of a container's health check in seconds, if it has one.
    check: Option<u64>,
    /// Seconds for which a target answers 503 at first, behind a target group.
    target: Option<u64>,
}

/// Rollouts that take their time in different places; each takes 150 s, give or take ten.
const TYPICAL: [Typical; 5] = [
    Typical {
        pull: 66,
        check: None,
        target: None,
    },
    Typical {
        pull: 76,
        check: Some(30),
        target: None,
    },
    Typical {
        pull: 46,
        check: Some(60),
        target: None,
    },
    Typical {
        pull: 76,
        check: None,
        target: Some(20),
    },
    Typical {
        pull: 46,
        check: Some(30),
        target: Some(50),
    },
];

impl Typical {
    fn scenario(self) -> String {
        let target = self.target.map_or_else(String::new, |seconds| {
            format!("target = {{ first = 503, for-seconds = {seconds}, then = 200 }}\n")
        });
        format!(
            "[[fate]]\nrevision = 2\nstarts-after-seconds = {}\n{target}",
            self.pull
        )
    }

    async fn world(self, services: usize) -> (Bench, DeployPlan) {
        let bench = Bench::empty(&self.scenario(), None).await;
        let names: Vec<String> = (0..services).map(|at| format!("service-{at:02}")).collect();
        for (port, name) in (8001..).zip(&names) {
            let target_group = match self.target {
                Some(_) => Some(bench.target_group_at(name, port).await),
                None => None,
            };
            bench
                .add_service(
                    name,
                    &Setup {
                        target_group,
                        ..setup(self.check.unwrap_or(0))
                    },
                )
                .await;
            if self.target.is_some() {
                let update =
                    json!({ "cluster": CLUSTER, "service": name, "healthCheckGracePeriodSeconds": 300 });
                bench.ask("UpdateService", &update);
            }
        }
        bench.let_pass(Duration::from_secs(300)).await;
        let places: Vec<(&str, &str)> = names.iter().map(|name| (CLUSTER, name.as_str())).collect();
        let plan = bench.version_two_of(&places);
        (bench, plan)
    }

    /// (read calls after the first update by operation, seconds from there to the last verdict).
    async fn watched(self, services: usize) -> (BTreeMap<String, usize>, f64) {
        let (bench, plan) = self.world(services).await;
        let start = bench.tools.clock.now();
        let earlier = bench.journal().len();
        assert_eq!(bench.deploy(&plan).await.unwrap().len(), services);
        let took = bench.tools.clock.now() - start;
        let asked = bench.journal();
        let mut calls = asked[earlier..]
            .iter()
            .skip_while(|operation| *operation != "ecs:UpdateService");
        calls.next();
        let changes = ["ecs:UpdateService", "ecs:RegisterTaskDefinition"];
        let mut by_operation = BTreeMap::new();
        for read in calls.filter(|operation| !changes.contains(&operation.as_str())) {
            *by_operation.entry(read.clone()).or_default() += 1;
        }
        (by_operation, took.as_secs_f64())
    }
}

/// Fails if any of the typical rollouts costs more calls a minute, and says what each cost.
async fn assert_cheap(services: usize, most: f64) {
    let mut told = String::new();
    let mut dear = false;
    for typical in TYPICAL {
        let (calls, took) = typical.watched(services).await;
        let sum = u32::try_from(calls.values().sum::<usize>()).unwrap();
        let a_minute = f64::from(sum) * 60.0 / took;
        told += &format!("{typical:?}: {sum} calls in {took:.0} s, {a_minute:.1} a minute: {calls:?}\n");
        dear |= a_minute > most || !(140.0..=160.0).contains(&took);
    }
    assert!(!dear, "{told}");
}

#[tokio::test]
async fn a_typical_rollout_of_one_service_costs_twelve_read_calls_a_minute_at_most() {
    assert_cheap(1, CALLS_OF_ONE).await;
}

#[tokio::test]
async fn a_typical_rollout_of_ten_services_costs_twenty_read_calls_a_minute_at_most() {
    assert_cheap(10, CALLS_OF_TEN).await;
}

/// Deploys at the same time in one worker, and what AWS gives all clients of an account and region of each kind of read
/// call, a second.
const DEPLOYS: f64 = 200.0;
const QUOTA: f64 = 20.0;

/// The read calls that ECS counts together.
const CATEGORIES: [(&str, &[&str]); 5] = [
    ("services", &["ecs:DescribeServices"]),
    ("tasks", &["ecs:ListTasks", "ecs:DescribeTasks"]),
    (
        "service deployments",
        &["ecs:ListServiceDeployments", "ecs:DescribeServiceDeployments"],
    ),
    ("service revisions", &["ecs:DescribeServiceRevisions"]),
    ("task definitions", &["ecs:DescribeTaskDefinition"]),
];

#[tokio::test]
async fn two_hundred_watches_in_stretches_stay_under_every_quota_of_reads() {
    let mut told = String::new();
    let mut dear = false;
    for typical in TYPICAL {
        let (bench, plan) = typical.world(1).await;
        let (began, earlier) = (bench.tools.clock.now(), bench.journal().len());
        let mut ended = start(&bench.tools, &plan, None, Duration::ZERO).await.unwrap();
        let mut jitter = 0;
        while let Stretch::UnderWay(progress) = ended {
            jitter = (jitter * 7 + 3) % 11;
            bench.let_pass(Duration::from_secs(30 + jitter)).await;
            let stretch = Duration::from_secs(60);
            ended = carry_on(&bench.tools, &progress.resume, stretch).await.unwrap();
        }
        let took = (bench.tools.clock.now() - began).as_secs_f64();
        let asked = bench.journal().split_off(earlier);
        told += &format!("{typical:?} in {took:.0} s:");
        for (category, operations) in CATEGORIES {
            let calls = asked
                .iter()
                .filter(|one| operations.contains(&one.as_str()))
                .count();
            let rate = DEPLOYS * f64::from(u32::try_from(calls).unwrap()) / took;
            told += &format!(" {category} {rate:.1}/s");
            dear |= rate >= QUOTA;
        }
        told += "\n";
    }
    println!("{told}");
    assert!(!dear, "{told}");
}
