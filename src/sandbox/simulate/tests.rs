use super::Simulator;
use crate::sandbox::scenario::Scenario;
use crate::sandbox::world::ecs::Timings;
use crate::sandbox::world::orders::{
    CheckOutcome, ContainerHealth, ContainerSpec, Fact, Order, TargetCheck, TargetId, TaskSpec,
};
use serde_json::{Value, json};
use std::time::Duration;

fn simulator(scenario: &str) -> Simulator {
    Simulator::new(Scenario::parse(scenario).unwrap().fates, Timings::default())
}

fn spec(task: &str, containers: &[Value]) -> TaskSpec {
    let container = |definition: &Value| ContainerSpec {
        name: definition["name"].as_str().unwrap().to_owned(),
        image: "shop/web:2".into(),
        pull: format!("shop/web@sha256:{}", "0".repeat(64)),
        definition: definition.clone(),
    };
    TaskSpec {
        task: task.into(),
        group: "service:shop".into(),
        revision: "web:2".into(),
        task_definition: json!({ "containerDefinitions": containers }),
        overrides: None,
        containers: containers.iter().map(container).collect(),
    }
}

/// Everything that happens within `seconds`, as (second, what).
fn told(simulator: &mut Simulator, seconds: u64) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    while let Some(at) = simulator.next_due().filter(|at| at.as_secs() <= seconds) {
        for fact in simulator.due(at) {
            all.push((at.as_secs(), short(&fact)));
        }
    }
    all
}

fn short(fact: &Fact) -> String {
    match fact {
        Fact::Address { address, .. } => format!("address {address}"),
        Fact::PullStarted { .. } => "pull".into(),
        Fact::PullStopped { digests, .. } => format!("pulled {}", digests.len()),
        Fact::ContainerStarted { container, .. } => format!("{container} runs"),
        Fact::ContainerRefused {
            container, reason, ..
        } => format!("{container} refused: {reason}"),
        Fact::ContainerHealth {
            container, health, ..
        } => {
            format!(
                "{container} {}",
                if *health == ContainerHealth::Healthy {
                    "healthy"
                } else {
                    "unhealthy"
                }
            )
        }
        Fact::ContainerExited {
            container,
            code,
            out_of_memory,
            ..
        } => format!(
            "{container} exits {code}{}",
            if *out_of_memory { " (memory)" } else { "" }
        ),
        Fact::TaskRefused { reason, .. } => format!("refused: {reason}"),
        Fact::Interrupted { by, .. } => format!("interrupted by {by:?}"),
        Fact::TaskGone { .. } => "gone".into(),
        Fact::LogLine { container, line, .. } => format!("{container}: {line}"),
        Fact::TargetChecked { outcome, .. } => format!("checked {outcome:?}"),
    }
}

fn web() -> Value {
    json!({ "name": "web", "healthCheck": { "command": ["CMD", "true"], "interval": 10, "retries": 2, "startPeriod": 5 } })
}

/// What becomes of a started task within three minutes, after its pull.
fn fate(scenario: &str, containers: &[Value]) -> Vec<(u64, String)> {
    let mut simulator = simulator(scenario);
    simulator.obey(Duration::ZERO, Order::Start(Box::new(spec("t1", containers))));
    told(&mut simulator, 180).split_off(2)
}

fn lines(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected
        .iter()
        .map(|(at, text)| (*at, (*text).to_owned()))
        .collect()
}

#[test]
fn a_task_without_a_fate_is_healthy_for_ever() {
    let mut simulator = simulator("");
    simulator.obey(Duration::ZERO, Order::Start(Box::new(spec("t1", &[web()]))));
    assert_eq!(
        told(&mut simulator, 10_000),
        lines(&[
            (12, "address 10.0.0.4"),
            (17, "pull"),
            (25, "pulled 1"),
            (30, "web runs"),
            (40, "web healthy")
        ])
    );
}

#[test]
fn every_fate_has_its_course() {
    let pulled = (25, "pulled 1");
    let runs = (30, "web runs");
    for (scenario, course) in [
        ("never-starts = true", vec![pulled]),
        (
            "pull-failure = \"CannotPull\"",
            vec![(127, "web refused: CannotPull")],
        ),
        ("health = \"fails\"", vec![pulled, runs, (55, "web unhealthy")]),
        ("health = \"undecided\"", vec![pulled, runs]),
        (
            "lines = [\"no database\"]\ncrash = { after-seconds = 3, exit-code = 2 }\nhealth = \"undecided\"",
            vec![pulled, runs, (30, "web: no database"), (33, "web exits 2")],
        ),
        (
            "start-failure = \"ResourceInitializationError: no secret\"",
            vec![(127, "refused: ResourceInitializationError: no secret")],
        ),
        (
            "start-failure = \"ResourceInitializationError: no secret\"\nfails-after-seconds = 3",
            vec![(20, "refused: ResourceInitializationError: no secret")],
        ),
        (
            "container-failure = \"CannotStartContainerError: exec format error\"",
            vec![
                pulled,
                (30, "web refused: CannotStartContainerError: exec format error"),
            ],
        ),
        (
            "starts-after-seconds = 20",
            vec![pulled, (50, "web runs"), (60, "web healthy")],
        ),
        (
            "health = { first = \"fails\", for-seconds = 40, then = \"passes\" }",
            vec![pulled, runs, (55, "web unhealthy"), (80, "web healthy")],
        ),
        (
            "health = { first = \"fails\", for-seconds = 20, then = \"passes\" }",
            vec![pulled, runs, (60, "web healthy")],
        ),
        (
            "health = { first = \"passes\", for-seconds = 60, then = \"fails\" }",
            vec![pulled, runs, (40, "web healthy"), (110, "web unhealthy")],
        ),
        (
            "runs = { for-seconds = 4 }\nhealth = \"undecided\"",
            vec![pulled, runs, (34, "web exits 0")],
        ),
        (
            "interrupted = { after-seconds = 5, by = \"spot\" }\nhealth = \"undecided\"",
            vec![pulled, runs, (35, "interrupted by Spot")],
        ),
        (
            "crash = { out-of-memory = true }\nhealth = \"undecided\"",
            vec![pulled, runs, (30, "web exits 137 (memory)")],
        ),
    ] {
        let seen = fate(&format!("[[fate]]\nfamily = \"web\"\n{scenario}"), &[web()]);
        assert_eq!(seen, lines(&course), "{scenario}");
    }
}

#[test]
fn a_fate_picks_its_tasks() {
    for (selector, picked) in [
        ("family = \"web\"\nrevision = 2", true),
        ("revision = 3", false),
        ("service = \"shop\"", true),
        ("service = \"other\"", false),
        ("image = \"web:2\"", true),
        ("image = \"web:3\"", false),
        ("tasks = 0", false),
    ] {
        let seen = fate(
            &format!("[[fate]]\n{selector}\nnever-starts = true"),
            &[json!({ "name": "web" })],
        );
        assert_eq!(seen == lines(&[(25, "pulled 1")]), picked, "{selector}");
    }
}

#[test]
fn only_the_first_tasks_meet_a_limited_fate() {
    let mut simulator = simulator("[[fate]]\ntasks = 1\nnever-starts = true");
    for (at, task) in [(0, "t1"), (100, "t2")] {
        simulator.obey(
            Duration::from_secs(at),
            Order::Start(Box::new(spec(task, &[json!({ "name": "web" })]))),
        );
    }
    let runs: Vec<u64> = told(&mut simulator, 500)
        .into_iter()
        .filter(|(_, text)| text == "web runs")
        .map(|(at, _)| at)
        .collect();
    assert_eq!(runs, [130]);
}

#[test]
fn a_container_that_others_wait_for_runs_first_and_ends() {
    let migrate = json!({ "name": "migrate", "essential": false });
    let web = json!({ "name": "web", "dependsOn": [{ "containerName": "migrate", "condition": "SUCCESS" }] });
    let texts: Vec<String> = fate("", &[web, migrate])
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(texts, ["pulled 2", "migrate runs", "migrate exits 0", "web runs"]);
}

#[test]
fn a_stop_ends_containers_and_forgets_what_was_to_come() {
    for (scenario, timeout, course) in [
        ("", 30, [(125, "web exits 143"), (125, "gone")]),
        ("", 5, [(105, "web exits 137"), (105, "gone")]),
        (
            "[[fate]]\nhangs-at-stop = true",
            30,
            [(130, "web exits 137"), (130, "gone")],
        ),
    ] {
        let mut simulator = simulator(scenario);
        let container = json!({ "name": "web", "stopTimeout": timeout });
        simulator.obey(Duration::ZERO, Order::Start(Box::new(spec("t1", &[container]))));
        told(&mut simulator, 100);
        simulator.obey(Duration::from_secs(100), Order::Stop { task: "t1".into() });
        assert_eq!(told(&mut simulator, 500), lines(&course), "{scenario} {timeout}");
    }
    let mut early = simulator("");
    early.obey(Duration::ZERO, Order::Start(Box::new(spec("t1", &[web()]))));
    early.obey(Duration::from_secs(1), Order::Stop { task: "t1".into() });
    assert_eq!(told(&mut early, 500), lines(&[(1, "gone")]));
}

#[test]
fn a_target_answers_as_long_as_its_task_runs() {
    for (scenario, at, outcome) in [
        ("", 60, CheckOutcome::Status(200)),
        ("", 20, CheckOutcome::Refused),
        ("[[fate]]\ntarget = 503", 60, CheckOutcome::Status(503)),
        (
            "[[fate]]\ntarget = { first = 503, for-seconds = 20, then = 200 }",
            45,
            CheckOutcome::Status(503),
        ),
        (
            "[[fate]]\ntarget = { first = 503, for-seconds = 20, then = 200 }",
            60,
            CheckOutcome::Status(200),
        ),
        ("[[fate]]\ntarget = \"timeout\"", 60, CheckOutcome::Timeout),
        ("[[fate]]\ntarget = \"refused\"", 60, CheckOutcome::Refused),
    ] {
        let mut simulator = simulator(scenario);
        simulator.obey(
            Duration::ZERO,
            Order::Start(Box::new(spec("t1", &[json!({ "name": "web" })]))),
        );
        told(&mut simulator, at);
        let check = TargetCheck {
            target_group: "group".into(),
            target: TargetId {
                id: "10.0.0.4".into(),
                port: 80,
            },
            protocol: "HTTP".into(),
            port: 80,
            path: "/".into(),
            timeout: Duration::from_secs(4),
        };
        simulator.obey(Duration::from_secs(at), Order::Check(check));
        let seen = told(&mut simulator, 1000);
        assert!(
            seen.iter()
                .any(|(_, text)| *text == format!("checked {outcome:?}")),
            "{scenario}: {seen:?}"
        );
    }
}
