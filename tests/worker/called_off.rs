//! Rollouts that are called off when somebody abandons their execution, and only then.

use crate::bench::Bench;
use crate::bench::place::FIRST_IMAGE;
use crate::bench::workers::Plan;
use serde_json::json;
use slipway::sandbox::scenario::faults::Faults;
use slipway::sandbox::world::pipeline::{ExecutionStatus, JobState, JobView};

fn rolls_back() -> Plan {
    Plan {
        roll_back_abandoned: true,
        ..Plan::default()
    }
}

/// Rollouts last for several stretches then.
const LONG: u32 = 300;

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
    let bench = Bench::starting_after(LONG).await;
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
    let bench = Bench::starting_after(LONG).await;
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

/// Waits until a worker is at work on a deploy that was handed back before.
async fn in_stretch(bench: &Bench) {
    let at_work = |job: &JobView| job.state == JobState::InProgress && job.continuation.is_some();
    bench
        .until("a stretch begins", 3600, || !bench.jobs(at_work).is_empty())
        .await;
}

/// Waits until a fault hits a request.
async fn struck(bench: &Bench) {
    let struck = bench.sandbox.struck();
    bench
        .until("the fault strikes", 900, || *struck.borrow() > 0)
        .await;
}

async fn comes_back(bench: &Bench) -> bool {
    bench
        .comes_true(900, || bench.image_of("shop") == FIRST_IMAGE)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_fails_is_tried_again() {
    let bench = Bench::starting_after(LONG).await;
    let worker = bench.worker(&rolls_back());
    let execution = bench.release("shop");
    handed_back(&bench).await;
    abandon(&bench, &execution);
    bench.set_fault(
        "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\naction = \"access-denied\"\n",
    );
    struck(&bench).await;
    bench.let_pass(30).await;
    bench.sandbox.set_faults(Faults::default());
    let is_back = comes_back(&bench).await;
    let told = worker.stop().await.human();
    assert!(is_back, "{told}");
    assert!(told.contains("ecs:DescribeServices"), "it failed first: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_while_it_calls_a_deploy_off_loses_nothing() {
    let bench = Bench::starting_after(LONG).await;
    let worker = bench.worker(&rolls_back());
    let execution = bench.release("shop");
    handed_back(&bench).await;
    abandon(&bench, &execution);
    bench.set_fault(
        "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\naction = \"slow\"\nms = 15000\n",
    );
    struck(&bench).await;
    let mut told = worker.stop().await.human();
    bench.sandbox.set_faults(Faults::default());
    let next = bench.worker(&rolls_back());
    let is_back = comes_back(&bench).await;
    told += &next.stop().await.human();
    assert!(is_back, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_died_of_in_a_stretch_is_called_off_by_the_next_one() {
    let bench = Bench::starting_after(LONG).await;
    let mut dies = bench.process(&rolls_back());
    let execution = bench.release("shop");
    in_stretch(&bench).await;
    dies.kill();
    abandon(&bench, &execution);
    assert_ne!(bench.image_of("shop"), FIRST_IMAGE, "{}", dies.log());
    let next = bench.worker(&rolls_back());
    let is_back = comes_back(&bench).await;
    let left = bench.left_in_journal().await;
    let told = next.stop().await.human();
    assert!(is_back, "{told}");
    assert!(left.is_empty(), "{left:?} {told}");
}

/// Waits until a deploy begins, and then until its worker hands it back, which takes a while; meanwhile this goes wrong,
/// too.
async fn handing_back(bench: &Bench, besides: &str) {
    let begins = |job: &JobView| job.category == "Deploy" && job.state == JobState::InProgress;
    bench
        .until("a deploy begins", 3600, || !bench.jobs(begins).is_empty())
        .await;
    bench.set_fault(&format!(
        "[[fault]]\nservice = \"codepipeline\"\noperation = \"PutJobSuccessResult\"\naction = \"slow\"\nms = 15000\n{besides}"
    ));
    struck(bench).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_whose_reason_is_not_to_be_had_yet_is_asked_after_until_it_is() {
    let bench = Bench::starting_after(LONG).await;
    let worker = bench.worker(&rolls_back());
    let execution = bench.release("shop");
    let besides = "[[fault]]\nservice = \"codepipeline\"\noperation = \"ListActionExecutions\"\naction = \"throttle\"\n";
    handing_back(&bench, besides).await;
    abandon(&bench, &execution);
    let is_refused = || worker.told.human().contains("not wanted any more");
    bench.until("the deploy is not taken back", 900, is_refused).await;
    bench.let_pass(30).await;
    bench.sandbox.set_faults(Faults::default());
    let is_back = comes_back(&bench).await;
    let told = worker.stop().await.human();
    assert!(is_back, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_worker_died_of_handing_back_is_called_off_by_the_next_one() {
    let bench = Bench::starting_after(LONG).await;
    let mut dies = bench.process(&rolls_back());
    let execution = bench.release("shop");
    handing_back(&bench, "").await;
    dies.kill();
    abandon(&bench, &execution);
    bench.sandbox.set_faults(Faults::default());
    assert_ne!(bench.image_of("shop"), FIRST_IMAGE, "{}", dies.log());
    let next = bench.worker(&rolls_back());
    let is_back = comes_back(&bench).await;
    let told = next.stop().await.human();
    assert!(is_back, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_see_actions_asks_once_after_what_was_handed_back_and_calls_nothing_off() {
    let bench = Bench::starting_after(LONG).await;
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
