//! Attempts of one execution: whatever the first one did before it died, the next one takes up, and does not do twice.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use crate::oneoff::task;
use crate::support::{Bench, CLUSTER, OTHER_CLUSTER, SERVICE, Setup, image};
use serde_json::{Value, json};
use slipway::ecs::oneoff::group_of;
use slipway::failure::{Failure, Kind};
use slipway::report::event::Event;
use slipway::sandbox::scenario::Scenario;
use slipway::stage::deploy::{DeployPlan, Deployed, ENDLESS, Mark, Stretch, carry_on, start};
use std::time::Duration;

/// Faults that come later answer what they did not read: no journal of theirs is one of AWS's.
fn unrefereed() -> Setup {
    Setup {
        refereed: false,
        ..Setup::default()
    }
}

fn mark(attempt: &str) -> Mark {
    Mark {
        execution: "3137f7cb-7cf7-4abc-8def-012345678901".to_owned(),
        place: "shop/Deploy/Services".to_owned(),
        attempt: attempt.to_owned(),
    }
}

async fn whole(bench: &Bench, plan: &DeployPlan, mark: &Mark) -> Result<Vec<Deployed>, Failure> {
    match start(&bench.tools, plan, Some(mark), ENDLESS).await? {
        Stretch::Done(deployed) => Ok(deployed),
        under_way => panic!("{under_way:?}"),
    }
}

/// Lets a worker die as soon as so many requests were answered since it began. Whether it did not end before.
async fn dies_after(bench: &Bench, plan: &DeployPlan, mark: &Mark, requests: usize) -> bool {
    let before = bench.journal().len();
    let death = async {
        while bench.journal().len() < before + requests {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        () = death => true,
        ended = start(&bench.tools, plan, Some(mark), Duration::ZERO) => {
            assert!(matches!(ended, Ok(Stretch::UnderWay(_))), "{ended:?}");
            false
        }
    }
}

fn of(operation: &str, bench: &Bench) -> usize {
    let asked = bench.journal();
    asked.iter().filter(|one| *one == operation).count()
}

/// The tags of a revision.
fn tags(bench: &Bench, revision: &str) -> Vec<(String, String)> {
    let said = bench.ask(
        "DescribeTaskDefinition",
        &json!({ "taskDefinition": revision, "include": ["TAGS"] }),
    );
    let tags = said["tags"].as_array().cloned().unwrap_or_default();
    let text = |tag: &Value, member: &str| tag[member].as_str().unwrap().to_owned();
    tags.iter()
        .map(|tag| (text(tag, "key"), text(tag, "value")))
        .collect()
}

/// The deployments that a service ever had, but for the one that created it.
fn deployments(bench: &Bench) -> usize {
    let said = bench.ask(
        "ListServiceDeployments",
        &json!({ "cluster": CLUSTER, "service": SERVICE }),
    );
    said["serviceDeployments"].as_array().unwrap().len() - 1
}

#[tokio::test]
async fn a_marked_run_tags_what_it_registers_and_other_tags_stay() {
    let mut setup = Setup::default();
    setup.task_definition["tags"] = json!([{ "key": "team", "value": "shop" }]);
    let bench = Bench::with_service("", setup).await;
    whole(&bench, &bench.version_two(), &mark("a1")).await.unwrap();
    let first = tags(&bench, "shop:2");
    let value = |key: &str| first.iter().find(|tag| tag.0 == key).map(|tag| tag.1.as_str());
    assert_eq!(value("team"), Some("shop"));
    assert_eq!(value("slipway:execution"), Some(mark("").execution.as_str()));
    assert_eq!(value("slipway:place"), Some("shop/Deploy/Services"));
    assert_eq!(value("slipway:attempt"), Some("a1"));
    assert!(value("slipway:before").unwrap().starts_with(":1 "), "{first:?}");
    assert_eq!(first.len(), 5);
    // What is made of it by a run without a mark has none, and nothing else differs.
    let same = bench.plan(&json!([{ "name": "web", "imageUri": image(2) }]).to_string());
    assert_eq!(
        bench.deploy(&same).await.unwrap()[0].deployment,
        None,
        "unchanged"
    );
    let newer = bench.plan(&json!([{ "name": "web", "imageUri": image(3) }]).to_string());
    bench.deploy(&newer).await.unwrap();
    assert_eq!(tags(&bench, "shop:3"), [("team".to_owned(), "shop".to_owned())]);
}

#[tokio::test]
async fn wherever_a_worker_dies_nothing_is_registered_or_deployed_twice() {
    let mut dead = 0;
    for requests in 1..40 {
        let bench = Bench::with_service("", Setup::default()).await;
        let plan = bench.version_two();
        if !dies_after(&bench, &plan, &mark("a1"), requests).await {
            assert!(requests > 6, "a start has more requests than {requests}");
            break;
        }
        dead += 1;
        bench.let_pass(Duration::from_secs(45)).await;
        let deployed = whole(&bench, &plan, &mark("a1")).await;
        let deployed = deployed.unwrap_or_else(|failure| panic!("{requests}: {}", Bench::rendered(&failure)));
        assert_eq!(
            (deployed[0].revision.as_str(), deployed[0].images.len()),
            ("shop:2", 1),
            "{requests}"
        );
        assert!(deployed[0].deployment.is_some(), "{requests}");
        assert_eq!(
            (bench.revisions().await, deployments(&bench)),
            (2, 1),
            "{requests}"
        );
    }
    assert!(dead > 6, "{dead}");
}

#[tokio::test]
async fn a_lost_answer_of_a_registration_registers_nothing_twice() {
    for action in [
        "action = \"lost-answer\"",
        "action = \"cut-body\"",
        "action = \"http\"\nstatus = 503",
    ] {
        for times in 1..3 {
            let fault = format!(
                "[[fault]]\nservice = \"ecs\"\noperation = \"RegisterTaskDefinition\"\nfrom = 2\nto = {}\n{action}\n",
                1 + times
            );
            let bench = Bench::with_service(&fault, Setup::default()).await;
            whole(&bench, &bench.version_two(), &mark("a1")).await.unwrap();
            assert_eq!(
                (bench.revisions().await, deployments(&bench)),
                (2, 1),
                "{action} {times}"
            );
        }
    }
}

#[tokio::test]
async fn a_deployment_that_is_taken_up_has_its_own_deadline() {
    let fate = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nnever-starts = true\n";
    let bench = Bench::with_service(fate, Setup::default()).await;
    let mut plan = bench.version_two();
    plan.deploy.timeout = Duration::from_secs(300);
    let began = bench.tools.clock.now();
    assert!(
        start(&bench.tools, &plan, Some(&mark("a1")), Duration::ZERO)
            .await
            .is_ok()
    );
    bench.let_pass(Duration::from_secs(200)).await;
    let failure = whole(&bench, &plan, &mark("a1")).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Deadline, "{}", Bench::rendered(&failure));
    let took = bench.tools.clock.now() - began;
    assert!((300..305).contains(&took.as_secs()), "{took:?}");
}

/// A slow rollout is no failed one: who retries gives it another while.
#[tokio::test]
async fn a_retry_that_takes_a_slow_deployment_up_has_a_deadline_of_its_own() {
    let fate = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nnever-starts = true\n";
    let bench = Bench::with_service(fate, Setup::default()).await;
    let mut plan = bench.version_two();
    plan.deploy.timeout = Duration::from_secs(300);
    plan.deploy.on_failure = slipway::config::settings::OnFailure::Leave;
    let failure = whole(&bench, &plan, &mark("a1")).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Deadline, "{}", Bench::rendered(&failure));
    bench.let_pass(Duration::from_secs(200)).await;
    let retried = bench.tools.clock.now();
    let failure = whole(&bench, &plan, &mark("a2")).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Deadline, "{}", Bench::rendered(&failure));
    let took = bench.tools.clock.now() - retried;
    assert!((300..305).contains(&took.as_secs()), "{took:?}");
    assert_eq!((bench.revisions().await, deployments(&bench)), (2, 1));
}

const CRASH: &str =
    "[[fate]]\nfamily = \"shop\"\nrevision = 2\ncrash = { after-seconds = 1, exit-code = 3 }\n";

#[tokio::test]
async fn what_ecs_rolled_back_meanwhile_fails_the_attempt_and_a_retry_deploys_it_once_more() {
    for waits in [150, 1200] {
        let bench = Bench::with_service(CRASH, Setup::default()).await;
        let plan = bench.version_two();
        assert!(
            start(&bench.tools, &plan, Some(&mark("a1")), Duration::ZERO)
                .await
                .is_ok()
        );
        bench.let_pass(Duration::from_secs(waits)).await;
        let failure = whole(&bench, &plan, &mark("a1")).await.unwrap_err();
        let text = Bench::rendered(&failure);
        assert_eq!(failure.kind, Kind::RolledBack, "{text}");
        assert_eq!((bench.revisions().await, deployments(&bench)), (2, 1), "{text}");
        bench.let_pass(Duration::from_secs(600)).await;
        let failure = whole(&bench, &plan, &mark("a2")).await.unwrap_err();
        assert_eq!(failure.kind, Kind::RolledBack, "{}", Bench::rendered(&failure));
        assert_eq!(
            (bench.revisions().await, deployments(&bench)),
            (2, 2),
            "the revision is used again"
        );
    }
}

#[tokio::test]
async fn a_retry_of_what_failed_and_stays_gets_a_new_deployment_of_the_same_revision() {
    let fails = "[[fate]]\nfamily = \"shop\"\nrevision = 2\ntasks = 6\ncrash = { after-seconds = 1, exit-code = 3 }\n";
    let bench = Bench::with_service(fails, Setup::default()).await;
    let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": false } });
    let update = json!({ "cluster": CLUSTER, "service": SERVICE, "deploymentConfiguration": breaker });
    bench.ask("UpdateService", &update);
    let mut plan = bench.version_two();
    plan.deploy.on_failure = slipway::config::settings::OnFailure::Leave;
    let failure = whole(&bench, &plan, &mark("a1")).await.unwrap_err();
    assert_eq!(failure.kind, Kind::RolloutFailed, "{}", Bench::rendered(&failure));
    // The same attempt sees what it did.
    let failure = whole(&bench, &plan, &mark("a1")).await.unwrap_err();
    assert_eq!(failure.kind, Kind::RolloutFailed, "{}", Bench::rendered(&failure));
    assert_eq!(deployments(&bench), 1);
    let again = whole(&bench, &plan, &mark("a2")).await;
    assert_eq!((bench.revisions().await, deployments(&bench)), (2, 2));
    assert_eq!(again.unwrap()[0].revision, "shop:2");
}

#[tokio::test]
async fn what_somebody_else_deployed_over_it_meanwhile_is_named_and_left_alone() {
    let bench = Bench::with_service("", Setup::default()).await;
    let plan = bench.version_two();
    assert!(
        start(&bench.tools, &plan, Some(&mark("a1")), Duration::ZERO)
            .await
            .is_ok()
    );
    let other = Mark {
        execution: "another".to_owned(),
        ..mark("b1")
    };
    let newer = bench.plan(&json!([{ "name": "web", "imageUri": image(3) }]).to_string());
    assert_eq!(whole(&bench, &newer, &other).await.unwrap()[0].revision, "shop:3");
    for waits in [0, 1200] {
        bench.let_pass(Duration::from_secs(waits)).await;
        let older = bench.version_two();
        let failure = whole(&bench, &older, &mark("a1")).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Superseded, "{}", Bench::rendered(&failure));
        assert_eq!(
            (
                bench.primary(CLUSTER, SERVICE).0.as_str(),
                bench.revisions().await
            ),
            ("shop:3", 3)
        );
    }
}

#[tokio::test]
async fn a_revision_that_was_registered_before_somebody_else_deployed_is_not_rolled_over_that() {
    let bench = Bench::with_service("", unrefereed()).await;
    let plan = bench.version_two();
    // The worker dies between its registration and its update.
    let refused = "[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\naction = \"access-denied\"\n";
    bench.sandbox.set_faults(Scenario::parse(refused).unwrap().faults);
    assert!(whole(&bench, &plan, &mark("a1")).await.is_err());
    bench.sandbox.set_faults(Scenario::parse("").unwrap().faults);
    let newer = bench.plan(&json!([{ "name": "web", "imageUri": image(3) }]).to_string());
    bench.deploy(&newer).await.unwrap();
    let older = bench.version_two();
    let failure = whole(&bench, &older, &mark("a1")).await.unwrap_err();
    let text = Bench::rendered(&failure);
    assert_eq!(failure.kind, Kind::Refused, "{text}");
    assert!(
        text.contains("somebody else deployed to service `shop` since it was prepared"),
        "{text}"
    );
    assert_eq!(bench.primary(CLUSTER, SERVICE).0, "shop:3");
    // A retry is somebody's will.
    assert_eq!(
        whole(&bench, &older, &mark("a2")).await.unwrap()[0].revision,
        "shop:2"
    );
    assert_eq!(bench.revisions().await, 3);
}

#[tokio::test]
async fn a_forced_deploy_of_the_same_image_is_known_again_too() {
    let bench = Bench::with_service("", Setup::default()).await;
    let mut plan = bench.plan(&json!([{ "name": "web", "imageUri": image(1) }]).to_string());
    plan.deploy.force = true;
    assert!(
        start(&bench.tools, &plan, Some(&mark("a1")), Duration::ZERO)
            .await
            .is_ok()
    );
    let deployed = whole(&bench, &plan, &mark("a1")).await.unwrap();
    assert_eq!(deployed[0].revision, "shop:2");
    assert_eq!((bench.revisions().await, deployments(&bench)), (2, 1));
}

#[tokio::test]
async fn two_services_of_one_family_keep_their_revisions_apart() {
    let bench = Bench::empty("", None).await;
    let revision = bench.register(&Setup::default().task_definition).await;
    for cluster in [CLUSTER, OTHER_CLUSTER] {
        let setup = Setup {
            cluster,
            ..Setup::default()
        };
        bench.create_service(SERVICE, &revision, &setup).await;
    }
    bench.let_pass(Duration::from_secs(180)).await;
    let plan = |cluster| bench.version_two_of(&[(cluster, SERVICE)]);
    for cluster in [CLUSTER, OTHER_CLUSTER] {
        whole(&bench, &plan(cluster), &mark("a1")).await.unwrap();
    }
    assert_eq!(bench.revisions().await, 3);
    for cluster in [CLUSTER, OTHER_CLUSTER] {
        assert!(
            whole(&bench, &plan(cluster), &mark("a1")).await.unwrap()[0]
                .deployment
                .is_some()
        );
    }
    assert_eq!(bench.revisions().await, 3);
}

#[tokio::test]
async fn denied_tags_are_told_with_the_statement_that_allows_them() {
    let fault = "[[fault]]\nservice = \"ecs\"\noperation = \"RegisterTaskDefinition\"\nfrom = 2\naction = \"error\"\n\
        code = \"AccessDeniedException\"\nstatus = 400\nmessage = \"User: arn is not authorized to perform: ecs:TagResource \
        on resource: arn:aws:ecs:eu-west-1:000000000000:task-definition/shop:*\"\n";
    let bench = Bench::with_service(fault, Setup::default()).await;
    let failure = whole(&bench, &bench.version_two(), &mark("a1"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind, Kind::Refused);
    let hints = failure.hints.join("\n");
    assert!(
        hints.contains(
            "\"Action\":\"ecs:TagResource\",\"Resource\":\"arn:aws:ecs:*:*:task-definition/shop:*\""
        ) && hints.contains("\"ecs:CreateAction\":\"RegisterTaskDefinition\""),
        "{hints}"
    );
}

/// A migration that ends after so long with this code.
fn migration(attempt: &str, seconds: u32, code: u32) -> String {
    let group = group_of(&"migrate".parse().unwrap(), &mark(attempt));
    format!("[[fate]]\ngroup = \"{group}\"\ncrash = {{ after-seconds = {seconds}, exit-code = {code} }}\n")
}

fn with_migration(bench: &Bench) -> DeployPlan {
    DeployPlan {
        tasks: vec![task("migrate")],
        ..bench.version_two()
    }
}

#[tokio::test]
async fn wherever_a_worker_dies_a_migration_runs_once() {
    let scenario = migration("a1", 30, 0);
    let mut dead = 0;
    for requests in 1..60 {
        let bench = Bench::with_service(&scenario, Setup::default()).await;
        let plan = with_migration(&bench);
        if !dies_after(&bench, &plan, &mark("a1"), requests).await {
            break;
        }
        dead += 1;
        bench
            .let_pass(Duration::from_secs(requests as u64 % 3 * 25))
            .await;
        let deployed = whole(&bench, &plan, &mark("a1")).await;
        let deployed = deployed.unwrap_or_else(|failure| panic!("{requests}: {}", Bench::rendered(&failure)));
        assert_eq!(deployed[0].revision, "shop:2", "{requests}");
        assert_eq!(
            (bench.revisions().await, deployments(&bench)),
            (2, 1),
            "{requests}"
        );
        let mut tasks = Vec::new();
        for status in ["RUNNING", "STOPPED"] {
            let listed = bench.ask(
                "ListTasks",
                &json!({ "cluster": CLUSTER, "family": "shop", "desiredStatus": status }),
            );
            tasks.extend(listed["taskArns"].as_array().unwrap().clone());
        }
        let described = bench.ask("DescribeTasks", &json!({ "cluster": CLUSTER, "tasks": tasks }));
        let migrations = described["tasks"].as_array().unwrap().iter();
        let migrations = migrations
            .filter(|task| task["startedBy"] == "slipway/shop/migrate")
            .count();
        assert_eq!(migrations, 1, "{requests}");
    }
    assert!(dead > 10, "{dead}");
}

#[tokio::test]
async fn a_migration_that_failed_fails_its_attempt_and_runs_again_for_a_retry() {
    let scenario = format!("{}{}", migration("a1", 2, 3), migration("a2", 2, 0));
    let bench = Bench::with_service(&scenario, Setup::default()).await;
    let plan = with_migration(&bench);
    for _ in 0..2 {
        let failure = whole(&bench, &plan, &mark("a1")).await.unwrap_err();
        assert_eq!(failure.kind, Kind::Gate, "{}", Bench::rendered(&failure));
    }
    assert_eq!(of("ecs:RunTask", &bench), 1);
    assert_eq!(
        whole(&bench, &plan, &mark("a2")).await.unwrap()[0].revision,
        "shop:2"
    );
    assert_eq!((of("ecs:RunTask", &bench), bench.revisions().await), (2, 2));
    // And a third attempt finds the service deployed, and the work done.
    whole(&bench, &plan, &mark("a3")).await.unwrap();
    assert_eq!((of("ecs:RunTask", &bench), deployments(&bench)), (2, 1));
}

#[tokio::test]
async fn a_retry_of_a_failed_update_does_not_migrate_again_and_another_execution_does() {
    let other = Mark {
        execution: "another".to_owned(),
        ..mark("b1")
    };
    let group = group_of(&"migrate".parse().unwrap(), &other);
    let scenario = format!(
        "{}[[fate]]\ngroup = \"{group}\"\ncrash = {{ after-seconds = 2, exit-code = 0 }}\n",
        migration("a1", 2, 0)
    );
    let bench = Bench::with_service(&scenario, unrefereed()).await;
    let plan = with_migration(&bench);
    let refused = "[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\naction = \"access-denied\"\n";
    bench.sandbox.set_faults(Scenario::parse(refused).unwrap().faults);
    assert!(whole(&bench, &plan, &mark("a1")).await.is_err());
    bench.sandbox.set_faults(Scenario::parse("").unwrap().faults);
    whole(&bench, &plan, &mark("a2")).await.unwrap();
    assert_eq!(of("ecs:RunTask", &bench), 1);
    let told = bench.told();
    let notes = told.iter().filter_map(|event| match event {
        Event::Note(text) => Some(text.as_str()),
        _ => None,
    });
    let notes: Vec<&str> = notes.collect();
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("task `migrate`: not run again, since it did its work")),
        "{notes:?}"
    );
    let mut newer = with_migration(&bench);
    newer.deploy = bench
        .plan(&json!([{ "name": "web", "imageUri": image(3) }]).to_string())
        .deploy;
    whole(&bench, &newer, &other).await.unwrap();
    assert_eq!(of("ecs:RunTask", &bench), 2);
}

#[tokio::test]
async fn stretches_of_a_marked_run_end_like_one() {
    let bench = Bench::with_service("", Setup::default()).await;
    let Stretch::UnderWay(progress) = start(
        &bench.tools,
        &bench.version_two(),
        Some(&mark("a1")),
        Duration::ZERO,
    )
    .await
    .unwrap() else {
        panic!("it was only begun");
    };
    let ended = carry_on(&bench.tools, &progress.resume, ENDLESS).await.unwrap();
    assert!(matches!(ended, Stretch::Done(deployed) if deployed[0].revision == "shop:2"));
}
