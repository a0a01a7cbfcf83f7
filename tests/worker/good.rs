//! A pipeline to which nothing happens.

use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use slipway::sandbox::world::pipeline::ExecutionStatus;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_goes_from_its_source_to_running_tasks() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    let outcome = bench.outcome(&execution, 1800).await;
    let told = worker.stop().await;
    assert_eq!(
        outcome.broken(),
        Vec::<String>::new(),
        "{}\n{outcome:#?}",
        told.human()
    );
    assert_eq!(
        outcome.execution.status,
        ExecutionStatus::Succeeded,
        "{}\n{outcome:#?}",
        told.human()
    );
}
