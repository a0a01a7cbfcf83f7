//! A pipeline to which nothing happens.

use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use slipway::sandbox::world::pipeline::ExecutionStatus;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_goes_from_its_source_to_running_tasks() {
    let bench = Bench::with_pipeline(&Setup {
        refereed: true,
        ..Setup::default()
    })
    .await;
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
    let shop = &outcome.services[0];
    assert_eq!(shop.of_execution, ["shop:2"], "its mark is on its revision");
    let requests = bench.engine.requests();
    let pushes = requests.iter().filter(|line| line.ends_with("/push"));
    assert_eq!(pushes.count(), 1, "{requests:?}");
    assert!(told.json().lines().all(|line| line.starts_with('{')));
}
