//! Rollouts that a run left under way and another takes up: whatever ended the first, the second comes to the verdict
//! that one run alone would have come to, and changes nothing.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use crate::cli::Bench as Binary;
use crate::support::{Bench, CLUSTER, Setup, image};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use slipway::config::settings::OnFirstFailure;
use slipway::ecs::resume::{LONGEST, Print, Resume};
use slipway::failure::{Failure, Kind, Nature};
use slipway::report::event::{Event, Tell};
use slipway::sandbox::scenario::faults::Faults;
use slipway::stage::deploy::{self, DeployPlan, Deployed};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{ChildStderr, Stdio};
use std::time::Duration;

const CRASH: &str = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nlines = [\"panic: no DATABASE_URL\"]\n\
    crash = { after-seconds = 1, exit-code = 3 }\n";

/// Interrupts a run as soon as its service was updated.
async fn interrupted(bench: &Bench, plan: &DeployPlan) -> Failure {
    let (hand, view) = slipway::shutdown::switch();
    let mut tools = bench.tools.clone();
    tools.shutdown = view;
    tools.tell = Tell::new(move |event| {
        if matches!(event, Event::DeploymentStarted { .. }) {
            hand.raise(Kind::Terminated);
        }
    });
    deploy::deploy(&tools, plan).await.unwrap_err()
}

async fn resumed(bench: &Bench, plan: &DeployPlan, failure: &Failure) -> Result<Vec<Deployed>, Failure> {
    assert!(!failure.resume.is_empty(), "{}", Bench::rendered(failure));
    assert!(failure.resume.iter().all(|token| token.len() <= LONGEST));
    let text = Bench::rendered(failure);
    assert!(
        text.contains(&format!("--resume {}", failure.resume[0])),
        "{text}"
    );
    let earlier = Resume::read(&failure.resume).unwrap();
    deploy::resume(&bench.tools, &plan.deploy, &earlier).await
}

/// How often the service was updated, and revisions registered.
fn changes(bench: &Bench) -> usize {
    let changing = ["ecs:UpdateService", "ecs:RegisterTaskDefinition"];
    let asked = bench.journal();
    asked
        .iter()
        .filter(|operation| changing.contains(&operation.as_str()))
        .count()
}

#[tokio::test]
async fn an_interrupted_watch_is_taken_up_and_ends_as_it_would_have() {
    for scenario in ["", CRASH, "[ecs]\nstale-describes = 3\n"] {
        let alone = Bench::with_service(scenario, Setup::default()).await;
        let expected = alone.deploy(&alone.version_two()).await;

        let bench = Bench::with_service(scenario, Setup::default()).await;
        let plan = bench.version_two();
        let failure = interrupted(&bench, &plan).await;
        assert_eq!(failure.kind, Kind::Terminated);
        let before = changes(&bench);
        match (resumed(&bench, &plan, &failure).await, expected) {
            (Ok(resumed), Ok(expected)) => {
                assert_eq!(resumed[0].images, [image(2)], "proven");
                assert_eq!(resumed[0].revision, expected[0].revision);
            }
            (Err(resumed), Err(expected)) => {
                assert_eq!(resumed.kind, expected.kind, "{scenario}");
                assert_eq!(resumed.what, expected.what, "{scenario}");
                assert_eq!(resumed.cause, expected.cause, "{scenario}");
                assert!(resumed.resume.is_empty(), "it has its verdict");
            }
            (resumed, expected) => panic!("{scenario}: {resumed:?}, not {expected:?}"),
        }
        assert_eq!(changes(&bench), before, "{scenario}: nothing is changed twice");
    }
}

#[tokio::test]
async fn a_rollout_that_ended_meanwhile_has_its_verdict_at_once() {
    for (scenario, kind) in [("", None), (CRASH, Some(Kind::RolledBack))] {
        let bench = Bench::with_service(scenario, Setup::default()).await;
        let plan = bench.version_two();
        let failure = interrupted(&bench, &plan).await;
        bench.let_pass(Duration::from_secs(1200)).await;
        let start = bench.tools.clock.now();
        let outcome = resumed(&bench, &plan, &failure).await;
        assert_eq!(outcome.err().map(|failure| failure.kind), kind);
        let took = bench.tools.clock.now() - start;
        assert!(took <= Duration::from_secs(10), "{took:?}");
    }
}

#[tokio::test]
async fn somebody_elses_deployment_meanwhile_supersedes_what_is_taken_up() {
    let bench = Bench::with_service("", Setup::default()).await;
    let plan = bench.version_two();
    let failure = interrupted(&bench, &plan).await;
    let foreign = bench.register(&Setup::default().task_definition).await;
    let update = json!({ "cluster": CLUSTER, "service": "shop", "taskDefinition": foreign });
    bench.ask("UpdateService", &update);
    let failure = resumed(&bench, &plan, &failure).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Superseded, "{}", Bench::rendered(&failure));
}

#[tokio::test]
async fn a_deadline_can_be_taken_up_with_the_whole_time_again() {
    let setup = || {
        let mut setup = Setup::default();
        setup.task_definition["containerDefinitions"][0]["healthCheck"] =
            json!({ "command": ["CMD-SHELL", "true"], "interval": 60, "startPeriod": 0 });
        setup
    };
    let bench = Bench::with_service("", setup()).await;
    let mut plan = bench.version_two();
    plan.deploy.timeout = Duration::from_secs(70);
    let failure = bench.deploy(&plan).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Deadline, "{}", Bench::rendered(&failure));
    let deployed = resumed(&bench, &plan, &failure).await.unwrap();
    assert_eq!(deployed[0].revision, "shop:2");
}

#[tokio::test]
async fn lost_credentials_can_be_taken_up_with_new_ones() {
    let ended = "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\nfrom = 6\naction = \"expired-token\"\n";
    let bench = Bench::with_services(ended, &[("shop", Setup::default())]).await;
    let plan = bench.version_two();
    let failure = bench.deploy(&plan).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unclear, "{}", Bench::rendered(&failure));
    assert_eq!(failure.nature, Nature::Credentials);
    bench.sandbox.set_faults(Faults::default());
    assert_eq!(
        resumed(&bench, &plan, &failure).await.unwrap()[0].revision,
        "shop:2"
    );
}

#[tokio::test]
async fn what_fail_fast_left_is_taken_up_and_nothing_else() {
    let scenario = CRASH.replace("shop", "web");
    let services = [("api", Setup::default()), ("web", Setup::default())];
    let slow =
        format!("{scenario}[[fate]]\nfamily = \"api\"\nrevision = 2\nnever-starts = true\ntasks = 2\n");
    let bench = Bench::with_services(&slow, &services).await;
    let mut plan = bench.version_two_of(&[(CLUSTER, "api"), (CLUSTER, "web")]);
    plan.deploy.on_first_failure = OnFirstFailure::FailFast;
    let failure = bench.deploy(&plan).await.unwrap_err();
    assert_eq!(failure.kind, Kind::RolledBack, "{}", Bench::rendered(&failure));
    let earlier = Resume::read(&failure.resume).unwrap();
    let names: Vec<&str> = earlier
        .services
        .iter()
        .map(|service| service.service.as_str())
        .collect();
    assert_eq!(names, ["api"]);
    plan.deploy.timeout = Duration::from_secs(120);
    let failure = resumed(&bench, &plan, &failure).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Deadline, "{}", Bench::rendered(&failure));
}

#[tokio::test]
async fn a_token_of_another_account_is_refused() {
    let bench = Bench::with_service("", Setup::default()).await;
    let plan = bench.version_two();
    let failure = interrupted(&bench, &plan).await;
    let mut earlier = Resume::read(&failure.resume).unwrap();
    let other = image(3).split_once('@').unwrap().1.to_owned();
    let other = BTreeMap::from([("web".to_owned(), Some(other))]);
    earlier.services[0].images = Print::of_images(&other);
    let failure = deploy::resume(&bench.tools, &plan.deploy, &earlier)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, Kind::Usage, "{}", Bench::rendered(&failure));
}

#[tokio::test]
async fn a_service_that_was_deleted_meanwhile_is_no_success() {
    let bench = Bench::with_service("", Setup::default()).await;
    let plan = bench.version_two();
    let failure = interrupted(&bench, &plan).await;
    bench.ask(
        "DeleteService",
        &json!({ "cluster": CLUSTER, "service": "shop", "force": true }),
    );
    let before = changes(&bench);
    let failure = resumed(&bench, &plan, &failure).await.unwrap_err();
    assert_eq!(failure.kind, Kind::RolloutFailed, "{}", Bench::rendered(&failure));
    assert_eq!(changes(&bench), before);
}

/// The binary, with the bench's sandbox for AWS.
fn binary(bench: &Bench) -> Binary {
    let definitions = json!([{ "name": "web", "imageUri": image(2) }]).to_string();
    Binary::new()
        .file("imagedefinitions.json", &definitions)
        .variable("AWS_ENDPOINT_URL", bench.sandbox.endpoint())
        .variable("AWS_REGION", "eu-west-1")
        .variable("AWS_ACCESS_KEY_ID", "sandbox")
        .variable("AWS_SECRET_ACCESS_KEY", "sandbox")
}

/// The events that a run tells; `heard` is given each.
fn events(told: ChildStderr, mut heard: impl FnMut(&Value)) -> Vec<Value> {
    let lines = BufReader::new(told).lines();
    let events = lines.map(|line| {
        let event = serde_json::from_str(&line.unwrap()).unwrap();
        heard(&event);
        event
    });
    events.collect()
}

/// Deploys with the binary, which leaves the rollout under way: the sandbox's time does not pass meanwhile. Gives the
/// tokens of the failure.
fn left_under_way(binary: &Binary, flags: &str, signal: Option<Signal>, code: i32) -> Vec<String> {
    let line = format!("deploy --cluster {CLUSTER} --service shop --log-format json {flags}");
    let mut child = binary.command(&line).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_child(&child);
    let events = events(child.stderr.take().unwrap(), |event| {
        if let Some(signal) = signal.filter(|_| event["event"] == "deployment-started") {
            kill_process(pid, signal).unwrap();
        }
    });
    assert_eq!(child.wait().unwrap().code(), Some(code), "{events:?}");
    let failure = events.iter().find(|event| event["event"] == "failure").unwrap();
    let tokens = failure["resume"].as_array().unwrap().iter();
    tokens.map(|token| token.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_that_a_deploy_prints_is_all_that_it_takes_to_go_on() {
    for (flags, signal, code) in [
        ("--timeout 1s", None, 16),
        ("", Some(Signal::TERM), 143),
        ("", Some(Signal::INT), 130),
    ] {
        let bench = Bench::with_service("", Setup::default()).await;
        let binary = binary(&bench);
        let tokens = left_under_way(&binary, flags, signal, code);
        assert_eq!(tokens.len(), 1);
        let before = changes(&bench);
        bench.let_pass(Duration::from_secs(1200)).await;
        let output = binary.run(&format!("deploy --resume {}", tokens[0]));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{told}");
        let deployed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(deployed["service"], "shop", "{told}");
        assert_eq!(changes(&bench), before, "nothing is registered or updated again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ecs_rolled_back_meanwhile_fails_where_it_is_taken_up() {
    let bench = Bench::with_service(CRASH, Setup::default()).await;
    let binary = binary(&bench);
    let tokens = left_under_way(&binary, "--timeout 1s", None, 16);
    let before = changes(&bench);
    bench.let_pass(Duration::from_secs(1200)).await;
    let output = binary.run(&format!("deploy --resume {}", tokens[0]));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(14), "{told}");
    assert!(output.stdout.is_empty() && !told.contains("--resume"), "{told}");
    assert_eq!(changes(&bench), before);
}
