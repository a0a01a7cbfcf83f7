//! Several services in one run, end to end against the sandbox with simulated tasks on a virtual clock: what a watch of
//! many costs, and what is said of each when one of them fails.

use crate::support::{Bench, CLUSTER, OTHER_CLUSTER, Setup, image, task_definition};
use serde_json::json;
use slipway::config::settings::{OnFailure, OnFirstFailure};
use slipway::failure::{Failure, Kind};
use slipway::report::event::{Event, Tell};
use slipway::stage::deploy::{DeployPlan, Deployed};
use std::time::Duration;

/// Read calls a minute for ten services.
const CALLS_A_MINUTE: f64 = 20.0;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("service-{at:02}")).collect()
}

async fn bench(scenario: &str, names: &[String], setup: impl Fn() -> Setup) -> (Bench, DeployPlan) {
    let services: Vec<(&str, Setup)> = names.iter().map(|name| (name.as_str(), setup())).collect();
    let bench = Bench::with_services(scenario, &services).await;
    let places: Vec<(&str, &str)> = names.iter().map(|name| (CLUSTER, name.as_str())).collect();
    let plan = bench.version_two_of(&places);
    (bench, plan)
}

/// Read calls since the first update, by operation.
fn reads(bench: &Bench) -> Vec<String> {
    let asked = bench.journal();
    let first = asked
        .iter()
        .position(|operation| operation == "ecs:UpdateService");
    let changes = ["ecs:UpdateService", "ecs:RegisterTaskDefinition"];
    asked[first.unwrap()..]
        .iter()
        .filter(|operation| !changes.contains(&operation.as_str()))
        .cloned()
        .collect()
}

fn counted(reads: &[String]) -> String {
    let mut kinds: Vec<&String> = reads.iter().collect();
    kinds.sort();
    kinds.dedup();
    let count = |kind: &&String| reads.iter().filter(|read| read == kind).count();
    kinds
        .iter()
        .map(|kind| format!("{} {kind}", count(kind)))
        .collect::<Vec<_>>()
        .join(", ")
}

async fn timed(bench: &Bench, plan: &DeployPlan) -> (Result<Vec<Deployed>, Failure>, Duration) {
    let start = bench.tools.clock.now();
    let outcome = bench.deploy(plan).await;
    (outcome, bench.tools.clock.now() - start)
}

/// The calls of a whole run are few for its time.
fn assert_few(bench: &Bench, took: Duration) {
    let reads = reads(bench);
    let told = format!(
        "{} calls in {} s: {}",
        reads.len(),
        took.as_secs(),
        counted(&reads)
    );
    let minutes = took.as_secs_f64() / 60.0;
    assert!(
        u32::try_from(reads.len()).is_ok_and(|calls| f64::from(calls) <= CALLS_A_MINUTE * minutes),
        "{told}"
    );
}

fn failed(outcome: Result<Vec<Deployed>, Failure>) -> (Failure, String) {
    let failure = outcome.unwrap_err();
    let text = Bench::rendered(&failure);
    assert!(text.lines().count() <= 40, "more than a screen:\n{text}");
    (failure, text)
}

fn crash(family: &str) -> String {
    format!(
        "[[fate]]\nfamily = \"{family}\"\nrevision = 2\nlines = [\"panic: no DATABASE_URL\"]\n\
         crash = {{ after-seconds = 1, exit-code = 3 }}\n"
    )
}

#[tokio::test]
async fn ten_services_cost_hardly_more_calls_than_one() {
    for interval in [0, 10, 30] {
        let setup = || {
            let mut setup = Setup::default();
            if interval > 0 {
                setup.task_definition["containerDefinitions"][0]["healthCheck"] =
                    json!({ "command": ["CMD-SHELL", "true"], "interval": interval });
            }
            setup
        };
        let (bench, plan) = bench("", &names(10), setup).await;
        let (outcome, took) = timed(&bench, &plan).await;
        assert_eq!(outcome.unwrap().len(), 10);
        assert_few(&bench, took);
    }
}

#[tokio::test]
async fn services_behind_one_target_group_ask_for_it_once() {
    let names = names(2);
    let bench = Bench::empty("", None).await;
    let group = bench.target_group("shared").await;
    for name in &names {
        let setup = Setup {
            target_group: Some(group.clone()),
            ..Setup::default()
        };
        bench.add_service(name, &setup).await;
    }
    bench.let_pass(Duration::from_secs(300)).await;
    let places: Vec<(&str, &str)> = names.iter().map(|name| (CLUSTER, name.as_str())).collect();
    let deployed = bench.deploy(&bench.version_two_of(&places)).await.unwrap();
    assert_eq!(deployed.len(), 2);
    let asked = reads(&bench);
    let of_targets = asked.iter().filter(|read| *read == "elb:DescribeTargetHealth");
    assert!(of_targets.count() <= 4, "{}", counted(&asked));
}

#[tokio::test]
async fn a_service_that_fails_holds_up_no_other_and_every_state_is_told() {
    let (bench, plan) = bench(&crash("service-01"), &names(3), Setup::default).await;
    let (outcome, _) = timed(&bench, &plan).await;
    let (failure, text) = failed(outcome);
    assert_eq!(failure.kind, Kind::RolledBack, "{text}");
    assert!(text.lines().next().unwrap().contains("`service-01`"), "{text}");
    assert!(
        failure.cause.unwrap().contains("panic: no DATABASE_URL"),
        "{text}"
    );
    assert_eq!(
        failure.others,
        ["proven: `service-00` runs `service-00:2`; `service-02` runs `service-02:2`"]
    );
    let told = bench.told();
    let at = |is: &dyn Fn(&Event) -> bool| told.iter().position(is).unwrap();
    let healthy =
        at(&|event| matches!(event, Event::Healthy { service, .. } if service.as_str() == "service-02"));
    let lost = at(&|event| matches!(event, Event::Lost { .. }));
    assert!(healthy < lost, "the healthy ones were told at once");
}

#[tokio::test]
async fn with_fail_fast_the_others_are_left_to_ecs_with_their_state_told() {
    let scenario = format!(
        "{}[[fate]]\nfamily = \"service-00\"\nrevision = 2\nnever-starts = true\n",
        crash("service-01")
    );
    let (bench, mut plan) = bench(&scenario, &names(3), Setup::default).await;
    plan.deploy.on_first_failure = OnFirstFailure::FailFast;
    let (outcome, took) = timed(&bench, &plan).await;
    let (failure, text) = failed(outcome);
    assert_eq!(failure.kind, Kind::RolledBack, "{text}");
    assert!(took < plan.deploy.timeout / 2, "the slow one was not waited for");
    assert_eq!(
        failure.others,
        [
            "goes on unwatched: `service-00` (waiting for tasks to start (0/2 running))",
            "proven: `service-02` runs `service-02:2`"
        ]
    );
    assert_eq!(
        bench.primary(CLUSTER, "service-00"),
        ("service-00:2".to_owned(), false)
    );
}

#[tokio::test]
async fn keep_going_watches_the_others_to_their_own_ends() {
    let scenario = format!(
        "{}[[fate]]\nfamily = \"service-00\"\nrevision = 2\nnever-starts = true\n",
        crash("service-01")
    );
    let (bench, plan) = bench(&scenario, &names(3), Setup::default).await;
    let (outcome, took) = timed(&bench, &plan).await;
    let (failure, text) = failed(outcome);
    assert_eq!(failure.kind, Kind::RolledBack, "the first loss decides: {text}");
    assert!(took >= plan.deploy.timeout, "{text}");
    assert!(
        failure.others[0].starts_with("also failed: service `service-00` is not healthy"),
        "{text}"
    );
}

#[tokio::test]
async fn rollback_all_takes_back_the_healthy_and_those_under_way() {
    let scenario = "[[fate]]\nfamily = \"service-00\"\nrevision = 2\nnever-starts = true\n\
        [[fate]]\nfamily = \"service-01\"\nrevision = 2\ncrash = { after-seconds = 25, exit-code = 3 }\n";
    let (bench, mut plan) = bench(scenario, &names(4), Setup::default).await;
    plan.deploy.on_failure = OnFailure::RollbackAll;
    let (outcome, _) = timed(&bench, &plan).await;
    let (failure, text) = failed(outcome);
    assert_eq!(failure.kind, Kind::RolledBack, "{text}");
    assert!(text.lines().next().unwrap().contains("`service-01`"), "{text}");
    let back = failure
        .others
        .iter()
        .find(|other| other.starts_with("taken back: "))
        .unwrap();
    assert!(
        back.contains("`service-00` was under way, and `service-00:1` is back"),
        "{text}"
    );
    assert!(
        back.contains("`service-02` was healthy, and `service-02:1` is back"),
        "{text}"
    );
    for name in names(4) {
        assert_eq!(bench.primary(CLUSTER, &name).0, format!("{name}:1"), "{text}");
    }
}

#[tokio::test]
async fn services_of_two_clusters_are_watched_together() {
    let bench = Bench::empty("", None).await;
    let mut places = Vec::new();
    for cluster in [CLUSTER, OTHER_CLUSTER] {
        for name in ["api", "web"] {
            let setup = Setup {
                cluster,
                ..Setup::default()
            };
            bench.add_service(name, &setup).await;
            places.push((cluster, name));
        }
    }
    bench.let_pass(Duration::from_secs(180)).await;
    let plan = bench.version_two_of(&places);
    let (outcome, _) = timed(&bench, &plan).await;
    assert_eq!(outcome.unwrap().len(), 4);
    for (cluster, name) in places {
        assert_ne!(bench.primary(cluster, name).0, format!("{name}:1"));
    }
}

#[tokio::test]
async fn thirty_registrations_are_paced_and_two_of_one_family_follow_each_other() {
    let names = names(30);
    let bench = Bench::empty("", None).await;
    for name in &names {
        // All of one family, as a worker and its web server often are.
        let revision = bench.register(&Setup::default().task_definition).await;
        bench
            .create_service(
                name,
                &revision,
                &Setup {
                    desired: 1,
                    ..Setup::default()
                },
            )
            .await;
        bench.let_pass(Duration::from_secs(1)).await;
    }
    bench.let_pass(Duration::from_secs(300)).await;
    let places: Vec<(&str, &str)> = names.iter().map(|name| (CLUSTER, name.as_str())).collect();
    let deployed = bench.deploy(&bench.version_two_of(&places)).await.unwrap();
    assert_eq!(deployed.len(), 30);
    let mut revisions: Vec<&str> = deployed.iter().map(|done| done.revision.as_str()).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), 30, "each service has a revision of its own");
    let registered = |revision: &&str| {
        let described = bench.ask("DescribeTaskDefinition", &json!({ "taskDefinition": revision }));
        described["taskDefinition"]["registeredAt"].as_f64().unwrap()
    };
    let mut times: Vec<f64> = revisions.iter().map(registered).collect();
    times.sort_by(f64::total_cmp);
    for (at, time) in times.iter().enumerate().skip(20) {
        let took = time - times[0];
        let fits = 20.0 + took;
        assert!(
            f64::from(u32::try_from(at).unwrap()) <= fits,
            "{at} registrations in {took} s"
        );
    }
}

#[tokio::test]
async fn a_registration_that_is_refused_for_another_of_its_family_is_repeated() {
    let race = "[[fault]]\nservice = \"ecs\"\noperation = \"RegisterTaskDefinition\"\nfrom = 3\nto = 5\naction = \"error\"\n\
        code = \"ClientException\"\nmessage = \"Too many concurrent attempts to create a new revision of the specified family.\"\n";
    let (bench, plan) = bench(race, &names(2), Setup::default).await;
    assert_eq!(bench.deploy(&plan).await.unwrap().len(), 2);
}

#[tokio::test]
async fn without_the_service_deployment_api_all_are_judged_by_describe_services() {
    let denied =
        "[[fault]]\nservice = \"ecs\"\noperation = \"*ServiceDeployments\"\naction = \"access-denied\"\n";
    let (bench, plan) = bench(
        &format!("{denied}{}", crash("service-03")),
        &names(4),
        Setup::default,
    )
    .await;
    let (outcome, _) = timed(&bench, &plan).await;
    let (failure, text) = failed(outcome);
    assert_eq!(failure.kind, Kind::RolledBack, "{text}");
    assert!(failure.others[0].starts_with("proven: `service-00`"), "{text}");
    let asked = reads(&bench);
    let of_deployments = asked
        .iter()
        .filter(|read| read.contains("ServiceDeployments"))
        .count();
    assert!(of_deployments <= 6, "{}", counted(&asked));
}

#[tokio::test]
async fn a_deployment_that_could_not_make_progress_is_refused_before_anything_changes() {
    let names = names(2);
    let bench = Bench::empty("", None).await;
    for (name, percent) in names.iter().zip([None, Some((100, 100))]) {
        let setup = Setup {
            percent,
            ..Setup::default()
        };
        bench.add_service(name, &setup).await;
    }
    bench.let_pass(Duration::from_secs(180)).await;
    let places: Vec<(&str, &str)> = names.iter().map(|name| (CLUSTER, name.as_str())).collect();
    let mut plan = bench.version_two_of(&places);
    let (failure, text) = failed(bench.deploy(&plan).await);
    assert_eq!(failure.kind, Kind::Refused, "{text}");
    assert!(text.lines().next().unwrap().contains("`service-01`"), "{text}");
    for name in &names {
        assert_eq!(bench.primary(CLUSTER, name).0, format!("{name}:1"));
    }
    plan.deploy.force = true;
    plan.deploy.timeout = Duration::from_secs(200);
    let (failure, text) = failed(bench.deploy(&plan).await);
    assert_eq!(failure.kind, Kind::Deadline, "{text}");
    assert!(
        bench
            .told()
            .iter()
            .any(|event| matches!(event, Event::Warning(text) if text.contains("cannot make progress")))
    );
}

/// Does something to the world when the first service is lost.
async fn deploy_while(
    bench: &Bench,
    plan: &DeployPlan,
    act: impl Fn(&Event) -> bool + Send + Sync + 'static,
    deed: impl Fn(&Bench),
) -> Result<Vec<Deployed>, Failure> {
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut tools = bench.tools.clone();
    tools.tell = Tell::new(move |event| {
        if act(&event) {
            let _ = tell.send(());
        }
    });
    let somebody = async {
        heard.recv().await.unwrap();
        deed(bench);
    };
    let (outcome, ()) = tokio::join!(slipway::stage::deploy::deploy(&tools, plan), somebody);
    outcome
}

#[tokio::test]
async fn a_service_that_somebody_else_deployed_to_is_not_taken_back() {
    let (bench, mut plan) = bench(&crash("service-01"), &names(2), Setup::default).await;
    plan.deploy.on_failure = OnFailure::RollbackAll;
    let foreign = bench.register(&task_definition("somebody-else", &image(9))).await;
    let healthy = |event: &Event| matches!(event, Event::Healthy { .. });
    let outcome = deploy_while(&bench, &plan, healthy, |bench| {
        let update = json!({ "cluster": CLUSTER, "service": "service-00", "taskDefinition": foreign });
        bench.ask("UpdateService", &update);
    })
    .await;
    let (failure, text) = failed(outcome);
    assert_eq!(failure.kind, Kind::RolledBack, "{text}");
    assert!(
        failure.others[0].contains("`service-00` was healthy, and was left alone: deployment ecs-svc/"),
        "{text}"
    );
    assert_eq!(bench.primary(CLUSTER, "service-00").0, "somebody-else:1");
}

#[tokio::test]
async fn a_revision_that_was_deregistered_meanwhile_is_registered_again_to_go_back() {
    let scenario = format!(
        "{}[[fault]]\nservice = \"ecs\"\noperation = \"StopServiceDeployment\"\naction = \"access-denied\"\n",
        crash("service-00")
    );
    let setup = || Setup {
        breaker: false,
        ..Setup::default()
    };
    let (bench, plan) = bench(&scenario, &names(1), setup).await;
    let begun = |event: &Event| matches!(event, Event::DeploymentStarted { .. });
    let outcome = deploy_while(&bench, &plan, begun, |bench| {
        bench.ask(
            "DeregisterTaskDefinition",
            &json!({ "taskDefinition": "service-00:1" }),
        );
    })
    .await;
    let (failure, text) = failed(outcome);
    assert_eq!(failure.kind, Kind::RolledBack, "{text}");
    assert!(
        failure.left.unwrap().starts_with("`service-00:3` is back"),
        "{text}"
    );
    let (first, third) = (
        bench.registered("service-00:1").await,
        bench.registered("service-00:3").await,
    );
    assert_eq!(first, third, "nothing of it is lost");
}
