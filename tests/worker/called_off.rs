//! Rollouts that are called off when somebody abandons their execution, and only then.

use crate::bench::place::FIRST_IMAGE;
use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use serde_json::json;
use slipway::sandbox::world::pipeline::{ExecutionStatus, JobState, JobView};

fn rolls_back() -> Plan {
    Plan {
        roll_back_abandoned: true,
        ..Plan::default()
    }
}

fn abandon(bench: &Bench, execution: &str) {
    bench.ask(
        "StopPipelineExecution",
        &json!({ "pipelineName": "shop", "pipelineExecutionId": execution, "abandon": true }),
    );
}

/// Waits until a deploy was handed back, and nobody has its next job yet.
async fn handed_back(bench: &Bench) {
    let is_away = || {
        let of_deploys = bench.jobs(|job| job.category == "Deploy");
        let held = |job: &JobView| job.state == JobState::InProgress;
        of_deploys.iter().any(|job| job.closed > 0) && !of_deploys.iter().any(held)
    };
    bench.until("a deploy is handed back", 3600, is_away).await;
}

/// A worker whose acknowledgement seemed lost goes on beside the one that got the job.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_another_worker_handed_back_is_not_called_off() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    let worker = bench.worker(&rolls_back());
    let execution = bench.release("shop");
    let in_stretch = || bench.jobs(|job| job.state == JobState::InProgress && job.continuation.is_some());
    bench
        .until("a stretch begins", 3600, || !in_stretch().is_empty())
        .await;
    let job = in_stretch().remove(0);
    bench.ask(
        "PutJobSuccessResult",
        &json!({ "jobId": job.id, "continuationToken": job.continuation }),
    );
    let outcome = bench.outcome(&execution, 3600).await;
    let told = worker.stop().await.human();
    assert!(
        told.contains("not wanted any more"),
        "the result came too late: {told}"
    );
    assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded, "{told}");
    assert_eq!(bench.count("ecs", "UpdateService"), 1, "{told}");
    assert_eq!(bench.count("ecs", "StopServiceDeployment"), 0, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_handed_back_before_it_ended_is_called_off_by_the_next_one() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    let worker = bench.worker(&rolls_back());
    let execution = bench.release("shop");
    handed_back(&bench).await;
    let mut told = worker.stop().await.human();
    abandon(&bench, &execution);
    assert_ne!(bench.image_of("shop"), FIRST_IMAGE, "{told}");
    let next = bench.worker(&rolls_back());
    let is_back = bench
        .comes_true(900, || bench.image_of("shop") == FIRST_IMAGE)
        .await;
    told += &next.stop().await.human();
    assert!(is_back, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_see_actions_asks_once_after_what_was_handed_back_and_calls_nothing_off() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    bench.set_fault(
        "[[fault]]\nservice = \"codepipeline\"\noperation = \"ListActionExecutions\"\naction = \"access-denied\"\n",
    );
    let worker = bench.worker(&rolls_back());
    let execution = bench.release("shop");
    handed_back(&bench).await;
    abandon(&bench, &execution);
    bench.let_pass(400).await;
    let asked = bench.count("codepipeline", "ListActionExecutions");
    bench.let_pass(600).await;
    let told = worker.stop().await.human();
    assert!(asked > 0, "{told}");
    assert_eq!(
        bench.count("codepipeline", "ListActionExecutions"),
        asked,
        "{told}"
    );
    assert_eq!(told.matches("is not to be seen").count(), 1, "{told}");
    assert_ne!(bench.image_of("shop"), FIRST_IMAGE, "{told}");
}
