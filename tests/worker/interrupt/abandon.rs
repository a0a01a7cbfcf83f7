//! An execution is abandoned while a request of a job is under way, at every request of a good pipeline. CodePipeline
//! tells no worker, which notices by itself, holds nothing any more, and does about ECS what its policy says.

use super::points::Point;
use super::{AT_ONCE, Verdict, at_once, bench, of_good_run, until_it_happens};
use crate::bench::place::FIRST_IMAGE;
use crate::bench::workers::Plan;
use serde_json::json;
use slipway::sandbox::scenario::faults::Faults;
use slipway::sandbox::world::pipeline::{ExecutionStatus, JobState};

async fn abandoned(point: Point, back: bool) -> Verdict {
    let policy = if back { "rollback" } else { "leave" };
    let name = format!("abandoned at {point}, policy {policy}");
    let bench = bench().await;
    bench.set_fault(&point.fault("action = \"slow\"\nms = 15000", 1));
    let worker = bench.worker(&Plan {
        roll_back_abandoned: back,
        ..Plan::default()
    });
    let execution = bench.release("shop");
    let happened = bench.strikes(&execution, 3600).await;
    bench.sandbox.set_faults(Faults::default());
    if !happened {
        return Verdict {
            name,
            happened,
            succeeded: true,
            broken: Vec::new(),
            told: worker.stop().await.human(),
        };
    }
    bench.ask(
        "StopPipelineExecution",
        &json!({ "pipelineName": "shop", "pipelineExecutionId": execution, "abandon": true }),
    );
    let mut broken = bench.left_in_journal().await;
    let updates = || bench.count("ecs", "UpdateService");
    let image = || bench.image_of("shop");
    if back {
        // What was handed back is asked after some minutes later.
        let is_back = bench.comes_true(900, || image() == FIRST_IMAGE).await;
        // A deploy that had reached its end before it could notice has nothing to call off.
        let was_done = || worker.told.human().contains("healthy: shop:2");
        if !is_back && !was_done() {
            broken.push(format!("the service is back: {}", image()));
        }
    } else {
        bench.let_pass(600).await;
        if updates() > 1 {
            broken.push("a deployment that is left is not touched".to_owned());
        }
    }
    let told = worker.stop().await.human();
    let outcome = bench.look(&execution).await;
    if outcome.execution.status != ExecutionStatus::Stopped {
        broken.push(format!("the execution: {:?}", outcome.execution.status));
    }
    let held = bench.jobs(|job| matches!(job.state, JobState::InProgress | JobState::Dispatched));
    if !held.is_empty() {
        broken.push(format!("no job is left: {held:?}"));
    }
    if !outcome.uploads.is_empty() {
        broken.push(format!("no upload is left: {:?}", outcome.uploads));
    }
    Verdict {
        name,
        happened,
        succeeded: true,
        broken,
        told,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_that_is_abandoned_at_any_request_is_noticed() {
    let points = of_good_run().await;
    let runs = points.into_iter().enumerate().flat_map(|(at, point)| {
        let turns = [false, true].map(|back| (super::all() || back == (at % 2 == 0)).then_some(back));
        let turns = turns.into_iter().flatten();
        turns.map(move |back| {
            let point = point.clone();
            Box::pin(async move { until_it_happens(|| Box::pin(abandoned(point.clone(), back))).await })
        })
    });
    at_once(AT_ONCE, runs.collect()).await;
}
