//! Rollouts that a run left under way and another takes up: whatever ended the first, the second comes to the verdict
//! that one run alone would have come to, and changes nothing.

use crate::support::{Bench, CLUSTER, Setup, image};
use serde_json::json;
use slipway::config::settings::OnFirstFailure;
use slipway::ecs::resume::{LONGEST, Resume};
use slipway::failure::{Failure, Kind};
use slipway::report::event::{Event, Tell};
use slipway::stage::deploy::{self, DeployPlan, Deployed};
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
    let ended = "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\nfrom = 6\nto = 6\naction = \"expired-token\"\n";
    let bench = Bench::with_services(ended, &[("shop", Setup::default())]).await;
    let plan = bench.version_two();
    let failure = bench.deploy(&plan).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unclear, "{}", Bench::rendered(&failure));
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
    earlier.services[0].images.insert("web".to_owned(), Some(other));
    let failure = deploy::resume(&bench.tools, &plan.deploy, &earlier)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, Kind::Usage, "{}", Bench::rendered(&failure));
}
