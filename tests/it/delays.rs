//! How soon after the world shows that a rollout is lost its verdict comes.

use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use serde_json::{Value, json};
use slipway::clock::Pause;
use slipway::config::settings::{OnFailure, OnFirstFailure};
use slipway::failure::Kind;
use slipway::shutdown::Shutdown;
use std::time::Duration;

/// Seconds from the first sign of a rollback to the verdict.
const AFTER_ROLLBACK: u64 = 5;

/// The same where somebody acts, which nothing shows beforehand, while the health of tasks is glanced at.
const AFTER_AN_ACT: u64 = 40;

/// Seconds from the third failure of one kind to the verdict, where nothing else ends it.
const AFTER_THIRD_FAILURE: u64 = 10;

const CRASHES: &str =
    "[[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n";

const CRASHES_LATER: &str =
    "[[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 30, exit-code = 1 }\n";

const PULLS_FAIL: &str = "[[fate]]\nfamily = \"shop\"\nrevision = 2\npull-failure = \"pull image manifest has been retried 1 time(s): x: not found\"\n";

const UNHEALTHY: &str = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nhealth = \"fails\"\n";

fn setup(desired: i32, breaker: bool, checked: bool) -> Setup {
    let mut definition = task_definition("shop", &image(1));
    if checked {
        definition["containerDefinitions"][0]["healthCheck"] =
            json!({ "command": ["CMD-SHELL", "true"], "interval": 10 });
    }
    Setup {
        task_definition: definition,
        desired,
        breaker,
        ..Setup::default()
    }
}

/// Seconds from the update to the second at which the world of its own shows what is asked for.
async fn world_shows(scenario: &str, setup: Setup, shows: impl Fn(&Bench, &str) -> bool) -> u64 {
    let mut definition = setup.task_definition.clone();
    let bench = Bench::with_service(scenario, setup).await;
    definition["containerDefinitions"][0]["image"] = json!(image(2));
    let revision = bench.register(&definition).await;
    let update = json!({ "cluster": CLUSTER, "service": SERVICE, "taskDefinition": revision });
    let updated = bench.ask("UpdateService", &update);
    let ours = updated["service"]["deployments"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for second in 0..3600 {
        if shows(&bench, &ours) {
            return second;
        }
        let pause = bench
            .tools
            .clock
            .pause(Duration::from_secs(1), &Shutdown::never())
            .await;
        assert_eq!(pause, Pause::Passed);
    }
    panic!("the world never shows it");
}

/// Whether ECS rolls back: our deployment is not the primary one any more, or failed.
fn rolls_back(bench: &Bench, ours: &str) -> bool {
    let described = bench.ask(
        "DescribeServices",
        &json!({ "cluster": CLUSTER, "services": [SERVICE] }),
    );
    let deployments = described["services"][0]["deployments"].as_array().unwrap();
    let primary =
        |each: &&Value| each["id"] == ours && each["status"] == "PRIMARY" && each["rolloutState"] != "FAILED";
    !deployments.iter().any(|each| primary(&each))
}

/// Whether three tasks of ours have failed.
fn three_failed(bench: &Bench, ours: &str) -> bool {
    let listed = bench.ask(
        "ListTasks",
        &json!({ "cluster": CLUSTER, "serviceName": SERVICE, "desiredStatus": "STOPPED" }),
    );
    if listed["taskArns"].as_array().unwrap().is_empty() {
        return false;
    }
    let described = bench.ask(
        "DescribeTasks",
        &json!({ "cluster": CLUSTER, "tasks": listed["taskArns"] }),
    );
    let tasks = described["tasks"].as_array().unwrap().iter();
    tasks
        .filter(|task| task["startedBy"] == ours && task["stopCode"].is_string())
        .count()
        >= 3
}

/// (seconds from the update to the verdict, its kind).
async fn verdict(scenario: &str, setup: Setup) -> (u64, Kind) {
    let bench = Bench::with_service(scenario, setup).await;
    let start = bench.tools.clock.now();
    let mut plan = bench.version_two();
    plan.deploy.on_failure = OnFailure::Leave;
    plan.deploy.timeout = Duration::from_secs(3600);
    let failure = bench.deploy(&plan).await.unwrap_err();
    ((bench.tools.clock.now() - start).as_secs(), failure.kind)
}

#[tokio::test]
async fn the_verdict_comes_within_seconds_of_the_first_sign_of_a_rollback() {
    for (scenario, desired, checked) in [
        (CRASHES, 1, false),
        (CRASHES, 2, false),
        (CRASHES, 4, false),
        (CRASHES_LATER, 2, false),
        (CRASHES_LATER, 5, false),
        (PULLS_FAIL, 1, false),
        (PULLS_FAIL, 4, false),
        (UNHEALTHY, 2, true),
        (UNHEALTHY, 6, true),
    ] {
        let sign = world_shows(scenario, setup(desired, true, checked), rolls_back).await;
        let (took, kind) = verdict(scenario, setup(desired, true, checked)).await;
        assert_eq!(kind, Kind::RolledBack, "{scenario}");
        assert!(took >= sign, "said at {took} s what showed at {sign} s");
        assert!(
            took - sign <= AFTER_ROLLBACK,
            "{} s after the sign at {sign} s, {desired} tasks: {scenario}",
            took - sign
        );
    }
}

#[tokio::test]
async fn what_somebody_does_while_health_is_waited_for_shows_within_seconds() {
    let undecided = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nhealth = \"undecided\"\n";
    let failing = "[[fate]]\nfamily = \"shop\"\nrevision = 2\ntarget = 503\n";
    let acts = [
        "act = \"stop-deployment\"",
        "act = \"update\"\ntask-definition = \"shop:1\"\nforce = true",
    ];
    for (waits, checked) in [(undecided, true), (failing, false)] {
        let setup = || Setup {
            balanced: !checked,
            ..setup(2, false, checked)
        };
        for act in acts {
            for after in [61, 68, 75, 117] {
                let scenario =
                    format!("{waits}[[act]]\nservice = \"shop\"\nafter-seconds = {after}\n{act}\n");
                let sign = world_shows(&scenario, setup(), rolls_back).await;
                let (took, kind) = verdict(&scenario, setup()).await;
                assert!(
                    matches!(kind, Kind::RolledBack | Kind::Superseded),
                    "{kind:?}: {scenario}"
                );
                assert!(
                    (sign..=sign + AFTER_AN_ACT).contains(&took),
                    "said at {took} s what showed at {sign} s: {scenario}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_alarm_while_health_is_waited_for_shows_within_seconds() {
    let waits = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nhealth = \"undecided\"\n";
    for after in [61, 68, 75, 117] {
        let alarm = "act = \"alarm\"\nname = \"errors\"\nstate = \"alarm\"";
        let scenario = format!("{waits}[[act]]\nservice = \"shop\"\nafter-seconds = {after}\n{alarm}\n");
        let setup = || Setup {
            alarmed: true,
            ..setup(2, true, true)
        };
        let sign = world_shows(&scenario, setup(), rolls_back).await;
        let (took, kind) = verdict(&scenario, setup()).await;
        assert_eq!(kind, Kind::RolledBack, "{scenario}");
        assert!(
            (sign..=sign + AFTER_ROLLBACK).contains(&took),
            "said at {took} s what showed at {sign} s: {scenario}"
        );
    }
}

/// Ten services of which one fails: its verdict, which ends the run, comes as soon as if it were alone.
#[tokio::test]
async fn beside_nine_others_the_verdict_comes_as_soon() {
    for (scenario, breaker, kind, within) in [
        (CRASHES, true, Kind::RolledBack, AFTER_ROLLBACK),
        (CRASHES_LATER, true, Kind::RolledBack, AFTER_ROLLBACK),
        (CRASHES, false, Kind::RolloutFailed, AFTER_THIRD_FAILURE),
    ] {
        let sign = if breaker {
            world_shows(scenario, setup(2, breaker, false), rolls_back).await
        } else {
            world_shows(scenario, setup(2, breaker, false), three_failed).await
        };
        let scenario = scenario.replace("family = \"shop\"", "family = \"service-00\"");
        let names: Vec<String> = (0..10).map(|at| format!("service-{at:02}")).collect();
        let setups: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), setup(2, breaker, false)))
            .collect();
        let bench = Bench::with_services(&scenario, &setups).await;
        let places: Vec<_> = names.iter().map(|name| (CLUSTER, name.as_str())).collect();
        let mut plan = bench.version_two_of(&places);
        plan.deploy.on_failure = OnFailure::Leave;
        plan.deploy.on_first_failure = OnFirstFailure::FailFast;
        plan.deploy.timeout = Duration::from_secs(3600);
        let start = bench.tools.clock.now();
        let failure = bench.deploy(&plan).await.unwrap_err();
        let took = (bench.tools.clock.now() - start).as_secs();
        assert_eq!(failure.kind, kind, "{scenario}");
        assert!(took >= sign, "said at {took} s what showed at {sign} s");
        assert!(
            took - sign <= within,
            "{} s after the sign at {sign} s: {scenario}",
            took - sign
        );
    }
}

#[tokio::test]
async fn without_a_breaker_the_third_failure_of_one_kind_ends_the_wait_within_seconds() {
    for (scenario, desired, checked) in [
        (CRASHES, 1, false),
        (CRASHES, 2, false),
        (CRASHES, 4, false),
        (CRASHES_LATER, 2, false),
        (PULLS_FAIL, 1, false),
        (UNHEALTHY, 2, true),
    ] {
        let third = world_shows(scenario, setup(desired, false, checked), three_failed).await;
        let (took, kind) = verdict(scenario, setup(desired, false, checked)).await;
        assert_eq!(kind, Kind::RolloutFailed, "{scenario}");
        assert!(
            took <= third + AFTER_THIRD_FAILURE,
            "{took} s, and the third failure was at {third} s, {desired} tasks: {scenario}"
        );
    }
}

#[tokio::test]
async fn a_bake_time_is_advised_of_waited_for_and_never_taken_for_success() {
    for (timeout, expected) in [(900, Err(Kind::Deadline)), (3600, Ok(()))] {
        let bench = Bench::with_service("", setup(2, true, false)).await;
        let bake = json!({ "bakeTimeInMinutes": 20 });
        let update = json!({ "cluster": CLUSTER, "service": SERVICE, "deploymentConfiguration": bake });
        bench.ask("UpdateService", &update);
        let start = bench.tools.clock.now();
        let mut plan = bench.version_two();
        plan.deploy.timeout = Duration::from_secs(timeout);
        let ended = bench.deploy(&plan).await;
        let took = bench.tools.clock.now() - start;
        assert_eq!(ended.map(|_| ()).map_err(|failure| failure.kind), expected);
        assert!(expected.is_err() || took >= Duration::from_secs(20 * 60));
        let told = bench.told();
        let says = |text: &str| told.iter().any(|event| format!("{event:?}").contains(text));
        assert_eq!(says("waits for 20 min by its own settings"), expected.is_err());
        assert!(says("the bake time to end (20 min left at most)"), "{told:#?}");
    }
}
