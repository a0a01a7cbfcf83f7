//! Deploys, end to end against the sandbox with simulated tasks on a virtual clock: no Docker, no waiting.

use crate::support::{Bench, CLUSTER, SERVICE, Setup, image, task_definition};
use aws_sdk_ecs::types::DeploymentControllerType;
use serde_json::json;
use slipway::config::settings::{DefinitionsSource, OnFailure};
use slipway::failure::{Failure, Kind};
use slipway::report::event::Event;
use std::time::Duration;

fn failed(outcome: Result<Vec<slipway::stage::deploy::Deployed>, Failure>) -> (Kind, String) {
    let failure = outcome.unwrap_err();
    let text = Bench::rendered(&failure);
    assert!(text.lines().count() <= 40, "more than a screen:\n{text}");
    (failure.kind, text)
}

#[tokio::test]
async fn a_healthy_roll_is_proven_by_digest() {
    let bench = Bench::with_service("", Setup::default()).await;
    let deployed = bench.deploy(&bench.version_two()).await.unwrap();
    assert_eq!(deployed[0].revision, "shop:2");
    assert_eq!(deployed[0].images, [image(2)]);
    assert_eq!(bench.revision().await, "shop:2");
    let told = bench.told();
    let proven = told
        .iter()
        .position(|event| matches!(event, Event::DigestProven { .. }))
        .unwrap();
    let healthy = told
        .iter()
        .position(|event| matches!(event, Event::Healthy { .. }))
        .unwrap();
    assert!(proven < healthy);
}

#[tokio::test]
async fn nothing_to_change_registers_and_deploys_nothing() {
    let bench = Bench::with_service("", Setup::default()).await;
    let same = bench.plan(&json!([{ "name": "web", "imageUri": image(1) }]).to_string());
    let deployed = bench.deploy(&same).await.unwrap();
    assert_eq!(
        (deployed[0].revision.as_str(), &deployed[0].deployment),
        ("shop:1", &None)
    );
    assert_eq!(bench.revisions().await, 1);
    assert!(
        bench
            .told()
            .iter()
            .any(|event| matches!(event, Event::Unchanged { .. }))
    );

    let mut forced = same;
    forced.deploy.force = true;
    let deployed = bench.deploy(&forced).await.unwrap();
    assert!(deployed[0].deployment.is_some());
}

#[tokio::test]
async fn fields_that_this_version_does_not_know_survive_the_roll() {
    let mut definition = task_definition("shop", &image(1));
    definition["containerDefinitions"][0]["versionConsistency"] = json!("disabled");
    definition["aFieldOfTheFuture"] = json!({ "empty": "", "list": [], "number": 1.50 });
    let setup = Setup {
        task_definition: definition,
        refereed: false,
        ..Setup::default()
    };
    let bench = Bench::with_service("", setup).await;
    bench.deploy(&bench.version_two()).await.unwrap();
    let text = bench.registered("shop:2").await;
    assert!(
        text.contains(r#""aFieldOfTheFuture":{"empty":"","list":[],"number":1.5"#),
        "{text}"
    );
    assert!(text.contains(r#""versionConsistency":"disabled""#), "{text}");
    assert!(text.contains(r#"{"name":"EMPTY","value":""}"#), "{text}");
}

#[tokio::test]
async fn another_deployment_that_replaces_ours_is_named() {
    let bench = Bench::with_service("", Setup::default()).await;
    let foreign = bench.register(&task_definition("somebody-else", &image(9))).await;
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut tools = bench.tools.clone();
    tools.tell = slipway::report::event::Tell::new(move |event| {
        if matches!(event, Event::DeploymentStarted { .. }) {
            let _ = tell.send(());
        }
    });
    let plan = bench.version_two();
    let somebody = async {
        heard.recv().await.unwrap();
        let call = bench.aws.ecs.update_service().cluster(CLUSTER).service(SERVICE);
        call.task_definition(&foreign).send().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(slipway::stage::deploy::deploy(&tools, &plan), somebody);
    let (kind, text) = failed(outcome);
    assert_eq!(kind, Kind::Superseded, "{text}");
    assert!(text.contains("somebody-else:1"), "{text}");
}

#[tokio::test]
async fn a_stop_while_watching_says_what_is_left() {
    let bench = Bench::with_service("", Setup::default()).await;
    let (hand, view) = slipway::shutdown::switch();
    let mut tools = bench.tools.clone();
    tools.shutdown = view;
    tools.tell = slipway::report::event::Tell::new(move |event| {
        if matches!(event, Event::DeploymentStarted { .. }) {
            hand.raise(Kind::Terminated);
        }
    });
    let (kind, text) = failed(slipway::stage::deploy::deploy(&tools, &bench.version_two()).await);
    assert_eq!(kind, Kind::Terminated, "{text}");
    assert!(text.contains("left:"), "{text}");
}

#[tokio::test]
async fn a_stop_before_the_update_changes_nothing() {
    let bench = Bench::with_service("", Setup::default()).await;
    bench.switch.raise(Kind::Interrupted);
    let (kind, text) = failed(bench.deploy(&bench.version_two()).await);
    assert_eq!(kind, Kind::Interrupted, "{text}");
    assert_eq!(bench.revision().await, "shop:1");
}

/// Every refusal comes before anything is changed.
async fn refused(bench: &Bench, plan: slipway::stage::deploy::DeployPlan, kind: Kind, says: &[&str]) {
    let before = bench.revisions().await;
    let (got, text) = failed(bench.deploy(&plan).await);
    assert_eq!(got, kind, "{text}");
    for part in says {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert_eq!(bench.revisions().await, before, "a revision was registered");
}

#[tokio::test]
async fn what_is_not_there_is_named_before_anything_changes() {
    let bench = Bench::with_service("", Setup::default()).await;
    let mut no_cluster = bench.version_two();
    no_cluster.deploy.cluster = Some("staging".to_owned());
    refused(&bench, no_cluster, Kind::Refused, &["`staging`"]).await;

    let mut no_service = bench.version_two();
    no_service.services[0].name = "checkout".parse().unwrap();
    refused(&bench, no_service, Kind::Refused, &["`checkout`"]).await;

    let no_container = bench.plan(&json!([{ "name": "api", "imageUri": image(2) }]).to_string());
    refused(&bench, no_container, Kind::Usage, &["`api`", "`web`"]).await;

    let mut no_file = bench.version_two();
    no_file.deploy.source = DefinitionsSource::File(bench.folder.path().join("absent.json"));
    refused(&bench, no_file, Kind::Input, &["absent.json"]).await;

    let mut no_bucket = bench.version_two();
    no_bucket.deploy.source = DefinitionsSource::S3 {
        bucket: "absent-bucket".to_owned(),
        key: "app.zip".to_owned(),
    };
    refused(&bench, no_bucket, Kind::Usage, &["absent-bucket"]).await;
}

#[tokio::test]
async fn a_desired_count_of_zero_proves_nothing_and_is_refused() {
    let bench = Bench::with_service(
        "",
        Setup {
            desired: 0,
            ..Setup::default()
        },
    )
    .await;
    refused(
        &bench,
        bench.version_two(),
        Kind::Refused,
        &["desired count", "0"],
    )
    .await;
    let mut allowed = bench.version_two();
    allowed.deploy.allow_zero = true;
    let deployed = bench.deploy(&allowed).await.unwrap();
    assert_eq!(deployed[0].revision, "shop:2");
}

#[tokio::test]
async fn services_of_other_controllers_are_refused() {
    for controller in [
        DeploymentControllerType::CodeDeploy,
        DeploymentControllerType::External,
    ] {
        let setup = Setup {
            controller: controller.clone(),
            ..Setup::default()
        };
        let bench = Bench::with_service("", setup).await;
        refused(&bench, bench.version_two(), Kind::Refused, &[controller.as_str()]).await;
    }
}

#[tokio::test]
async fn an_inactive_service_is_refused() {
    let bench = Bench::with_service("", Setup::default()).await;
    bench
        .aws
        .ecs
        .delete_service()
        .cluster(CLUSTER)
        .service(SERVICE)
        .force(true)
        .send()
        .await
        .unwrap();
    refused(&bench, bench.version_two(), Kind::Refused, &["`shop`"]).await;
}

#[tokio::test]
async fn a_crashing_version_is_rolled_back_and_its_own_words_are_the_cause() {
    let bench = Bench::with_service(CRASH, Setup::default()).await;
    let (kind, text) = failed(bench.deploy(&bench.version_two()).await);
    assert_eq!(kind, Kind::RolledBack, "{text}");
    let cause = text
        .lines()
        .find(|line| line.trim_start().starts_with("cause:"))
        .unwrap();
    assert!(cause.contains("code 1"), "{text}");
    assert!(text.contains("panic: DATABASE_URL is missing"), "{text}");
    assert!(
        text.lines()
            .any(|line| line.contains("left:") && line.contains("shop:1")),
        "{text}"
    );
}

#[tokio::test]
async fn without_a_breaker_a_crash_loop_ends_early_and_is_undone() {
    let setup = || Setup {
        breaker: false,
        ..Setup::default()
    };
    let bench = Bench::with_service(CRASH, setup()).await;
    let began = bench.tools.clock.now();
    let (kind, text) = failed(bench.deploy(&bench.version_two()).await);
    assert_eq!(kind, Kind::RolledBack, "{text}");
    assert!(
        bench.tools.clock.now() - began < Duration::from_secs(600),
        "{text}"
    );
    bench.wait_until_steady().await;
    assert_eq!(bench.revision().await, "shop:1");

    let bench = Bench::with_service(CRASH, setup()).await;
    let mut leave = bench.version_two();
    leave.deploy.on_failure = OnFailure::Leave;
    let (kind, text) = failed(bench.deploy(&leave).await);
    assert_eq!(kind, Kind::RolloutFailed, "{text}");
    assert_eq!(bench.revision().await, "shop:2");
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_is_the_cause() {
    let bench = Bench::with_service(NO_PULL, Setup::default()).await;
    let (kind, text) = failed(bench.deploy(&bench.version_two()).await);
    assert!(matches!(kind, Kind::RolledBack | Kind::RolloutFailed), "{text}");
    let cause = text
        .lines()
        .find(|line| line.trim_start().starts_with("cause:"))
        .unwrap();
    assert!(cause.contains("CannotPullContainerError"), "{text}");
}

#[tokio::test]
async fn a_version_that_never_starts_ends_at_the_deadline_with_what_it_waited_for() {
    let bench = Bench::with_service(NEVER_STARTS, Setup::default()).await;
    let mut plan = bench.version_two();
    plan.deploy.timeout = Duration::from_secs(300);
    let began = bench.tools.clock.now();
    let (kind, text) = failed(bench.deploy(&plan).await);
    assert_eq!(kind, Kind::Deadline, "{text}");
    assert!(text.contains("tasks to start"), "{text}");
    assert!(bench.tools.clock.now() - began < Duration::from_secs(330));
}

#[tokio::test]
async fn stale_looks_throttling_and_a_lost_answer_change_nothing_about_the_verdict() {
    for scenario in [STALE, THROTTLED, LOST_UPDATE, LOST_REGISTER] {
        let bench = Bench::with_service(scenario, Setup::default()).await;
        let deployed = bench.deploy(&bench.version_two()).await.unwrap();
        assert_eq!(deployed[0].images, [image(2)], "{scenario}");
        let services = bench.service().await;
        assert!(
            services
                .events()
                .iter()
                .filter(|event| event.message().unwrap_or("").contains("started 2 tasks"))
                .count()
                <= 2,
            "{scenario}"
        );
    }
}

pub const CRASH: &str = r#"
[[fate]]
family = "shop"
revision = 2
lines = ["starting", "panic: DATABASE_URL is missing"]
crash = { after-seconds = 1, exit-code = 1 }
"#;

pub const NO_PULL: &str = r#"
[[fate]]
family = "shop"
revision = 2
pull-failure = "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref registry.example/shop/web: not found"
"#;

pub const NEVER_STARTS: &str = r#"
[[fate]]
family = "shop"
revision = 2
never-starts = true
"#;

const STALE: &str = "[ecs]\nstale-describes = 3\n";

const THROTTLED: &str = r#"
[[fault]]
service = "ecs"
operation = "Describe*"
every = 9
action = "throttle"
"#;

const LOST_UPDATE: &str = r#"
[[fault]]
service = "ecs"
operation = "UpdateService"
nth = 1
action = "lost-answer"
"#;

const LOST_REGISTER: &str = r#"
[[fault]]
service = "ecs"
operation = "RegisterTaskDefinition"
nth = 2
action = "lost-answer"
"#;
