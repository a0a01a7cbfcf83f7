//! Builds whose workers die, and what is said of them.

use crate::bench::outcome::Outcome;
use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use crate::canaries::{free_port, get};
use serde_json::json;
use slipway::sandbox::scenario::faults::Faults;
use slipway::sandbox::world::pipeline::ExecutionStatus;
use std::time::Duration;

/// Lets so many workers die in a build, one after the other, then one work. Gives what became of the execution, and what
/// all told.
async fn die(bench: &Bench, plan: &Plan, deaths: u64) -> (Outcome, String) {
    bench.engine.build_takes(Duration::from_secs(36_000));
    let begun = bench.engine.begun();
    let execution = bench.release("shop");
    let mut log = String::new();
    for death in 1..=deaths {
        let mut worker = bench.process(plan);
        bench
            .until("the build begins", 1800, || *begun.borrow() >= death)
            .await;
        worker.kill();
        log.push_str(&worker.log());
    }
    bench.engine.build_takes(Duration::ZERO);
    let worker = bench.process(plan);
    let outcome = bench.outcome(&execution, 3600).await;
    log.push_str(&worker.log());
    (outcome, log)
}

/// Lets a worker die once its image is pushed, and another one do the build again.
async fn die_after_push(bench: &Bench) -> (Outcome, String) {
    bench.set_fault(
        "[[fault]]\nservice = \"registry\"\noperation = \"PutManifest\"\naction = \"hold-answer\"\n",
    );
    let mut worker = bench.process(&Plan::default());
    let execution = bench.release("shop");
    assert!(bench.strikes(&execution, 1800).await);
    worker.kill();
    bench.sandbox.set_faults(Faults::default());
    let other = bench.process(&Plan::default());
    let outcome = bench.outcome(&execution, 3600).await;
    (outcome, format!("{}{}", worker.log(), other.log()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_whose_worker_dies_is_reported_failed_if_that_is_the_policy() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    let plan = Plan {
        retry_lost_builds: false,
        ..Plan::default()
    };
    let (outcome, log) = die(&bench, &plan, 1).await;
    assert_eq!(outcome.broken(), Vec::<String>::new(), "{log}");
    assert_eq!(outcome.execution.status, ExecutionStatus::Failed, "{log}");
    let message = outcome.message("Build");
    assert!(
        message.contains("the worker that had this build died") && message.contains("retry the stage"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_workers_die_of_again_and_again_is_given_up() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    let (outcome, log) = die(&bench, &Plan::default(), 2).await;
    assert_eq!(outcome.broken(), Vec::<String>::new(), "{log}");
    assert_eq!(outcome.execution.status, ExecutionStatus::Failed, "{log}");
    let message = outcome.message("Build");
    assert!(message.contains("again and again"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_is_done_again_finds_the_tag_that_cannot_move_if_it_makes_the_same_image() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    let (outcome, log) = die_after_push(&bench).await;
    assert_eq!(outcome.broken(), Vec::<String>::new(), "{log}");
    assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded, "{log}");
    let requests = bench.engine.requests();
    let pushes = requests.iter().filter(|line| line.ends_with("/push"));
    assert_eq!(pushes.count(), 1, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_makes_another_image_of_the_same_source_takes_the_one_that_is_there() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    bench.engine.be_forgetful();
    let (outcome, log) = die_after_push(&bench).await;
    assert_eq!(outcome.broken(), Vec::<String>::new(), "{log}");
    assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded, "{log}");
    assert!(log.contains("was built from this very source earlier"), "{log}");
    let requests = bench.engine.requests();
    let pushes = requests.iter().filter(|line| line.ends_with("/push"));
    assert_eq!(pushes.count(), 1, "{requests:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_workers_die_of_again_and_again_is_given_up_and_can_be_retried() {
    const MOST: u64 = 10;
    let bench = Bench::with_pipeline(&Setup::default()).await;
    bench.set_fault("[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\naction = \"hold\"\n");
    let struck = bench.sandbox.struck();
    let execution = bench.release("shop");
    let mut log = String::new();
    for death in 1..=MOST {
        let mut worker = bench.process(&Plan::default());
        bench
            .until("it would update", 1800, || *struck.borrow() >= death)
            .await;
        worker.kill();
        log.push_str(&worker.log());
    }
    bench.sandbox.set_faults(Faults::default());
    let worker = bench.process(&Plan::default());
    let outcome = bench.outcome(&execution, 3600).await;
    log.push_str(&worker.log());
    assert_eq!(outcome.execution.status, ExecutionStatus::Failed, "{log}");
    let message = outcome.message("Deploy");
    for words in ["workers died of this deploy again and again", "left: unknown"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    bench.ask(
        "RetryStageExecution",
        &json!({ "pipelineName": "shop", "stageName": "Deploy", "pipelineExecutionId": execution,
            "retryMode": "FAILED_ACTIONS" }),
    );
    let outcome = bench.outcome(&execution, 3600).await;
    assert_eq!(
        outcome.execution.status,
        ExecutionStatus::Succeeded,
        "{}",
        worker.log()
    );
    assert_eq!(outcome.services[0].of_execution, ["shop:2"]);
}

/// A worker whose Engine is down would take every build of its fleet and fail it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_no_engine_answers_builds_are_left_to_others_and_deploys_go_on() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    bench.add_deploys("other").await;
    bench.engine.is_unwell(true);
    let plan = Plan {
        health: Some(free_port()),
        ..Plan::default()
    };
    let worker = bench.worker(&plan);
    let execution = bench.release("shop");
    let is_told = || {
        worker
            .told
            .human()
            .contains("no jobs are taken: the Docker Engine at")
    };
    bench.until("it is told", 300, is_told).await;
    let deployed = bench.outcome(&bench.release("other"), 3600).await;
    assert_eq!(
        deployed.execution.status,
        ExecutionStatus::Succeeded,
        "{deployed:#?}"
    );
    let ready = get(plan.health.unwrap(), "/readyz").await.unwrap();
    assert!(ready.contains("the Docker Engine at"), "{ready}");
    assert!(!bench.is_over(&execution) && bench.engine.requests().iter().all(|line| line == "GET /_ping"));
    bench.engine.is_unwell(false);
    let outcome = bench.outcome(&execution, 3600).await;
    let log = worker.stop().await.human();
    assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded, "{log}");
    assert_eq!(
        log.matches("no jobs are taken").count(),
        1,
        "an outage is one line: {log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_is_taken_over_once_an_engine_answers() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    bench.engine.build_takes(Duration::from_secs(36_000));
    let begun = bench.engine.begun();
    let execution = bench.release("shop");
    let mut dead = bench.process(&Plan::default());
    bench
        .until("the build begins", 1800, || *begun.borrow() > 0)
        .await;
    dead.kill();
    bench.engine.is_unwell(true);
    let worker = bench.worker(&Plan::default());
    bench.let_pass(120).await;
    assert!(!bench.is_over(&execution), "{}", worker.told.human());
    bench.engine.build_takes(Duration::ZERO);
    bench.engine.is_unwell(false);
    let outcome = bench.outcome(&execution, 3600).await;
    let log = worker.stop().await.human();
    assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded, "{log}");
    assert_eq!(*begun.borrow(), 2, "{log}");
}
