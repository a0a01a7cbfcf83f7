//! Exhaustive interruption: every request of a good pipeline goes wrong once, in every way that the wire knows, and at
//! every request the worker is killed and another one comes.
//!
//! By default each request meets two of the ways, which take turns, and one kill. `SLIPWAY_INTERRUPTIONS=all` plays
//! everything.

mod case;
mod points;

use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use case::{Case, Told, Way};
use futures_util::stream::{self, StreamExt as _};
use points::{Point, points};
use slipway::config::layers;
use slipway::sandbox::world::pipeline::ExecutionStatus;

/// Cases at the same time; they wait most of it.
const AT_ONCE: usize = 24;

/// The variable that asks for every case.
const VARIABLE: &str = "SLIPWAY_INTERRUPTIONS";

/// The requests of a good pipeline.
async fn of_good_run(setup: &Setup) -> Vec<Point> {
    let bench = Bench::with_pipeline(setup).await;
    let skip = bench.journal().len();
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    bench
        .until("a good pipeline ends", 3600, || bench.is_over(&execution))
        .await;
    let journal = bench.journal();
    let outcome = bench.look(&execution).await;
    let told = worker.stop().await.human();
    assert_eq!(
        outcome.execution.status,
        ExecutionStatus::Succeeded,
        "{told}\n{outcome:#?}"
    );
    points(&journal[skip..])
}

/// Every case, or as many as a default run has time for: of each request two of the wire's ways, and one kill.
fn cases(points: &[Point], all: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, point) in points.iter().enumerate() {
        let (of_wire, of_workers) = (Way::OF_WIRE.len(), Way::OF_WORKERS.len());
        let is_turn = |way: usize| way == at % of_wire || way == (at + of_wire / 2) % of_wire;
        let wire = (0..of_wire)
            .filter(|way| all || is_turn(*way))
            .map(|way| Way::OF_WIRE[way]);
        let kills = (0..of_workers).filter(|way| all || *way == at % of_workers);
        let kills = kills.map(|way| Way::OF_WORKERS[way]);
        cases.extend(wire.chain(kills).map(|way| Case {
            point: point.clone(),
            way,
        }));
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_any_request_or_to_the_worker_no_job_is_lost() {
    let setup = Setup::default();
    let all = layers::environment().value(VARIABLE) == Some("all");
    let points = of_good_run(&setup).await;
    let cases = cases(&points, all);
    println!("{} requests, {} cases", points.len(), cases.len());
    let runs = cases.into_iter().map(|case| {
        let setup = setup.clone();
        tokio::spawn(async move { Box::pin(case.run(&setup)).await })
    });
    let told: Vec<Told> = stream::iter(runs)
        .buffer_unordered(AT_ONCE)
        .map(Result::unwrap)
        .collect()
        .await;
    report(&told);
}

fn report(told: &[Told]) {
    let mut failed = 0;
    for one in told.iter().filter(|one| !one.broken.is_empty()) {
        failed += 1;
        println!("=== {}\n{}\n{}", one.case, one.broken.join("\n"), one.why);
    }
    let missed: Vec<String> = told
        .iter()
        .filter(|one| !one.happened)
        .map(|one| one.case.to_string())
        .collect();
    let succeeded = told.iter().filter(|one| one.succeeded).count();
    println!(
        "{} cases: {succeeded} pipelines succeeded, {} failed as they may; {failed} broke a rule; {} did not happen: {}",
        told.len(),
        told.len() - succeeded,
        missed.len(),
        missed.join(", ")
    );
    assert_eq!(failed, 0, "cases broke a rule");
    assert!(missed.is_empty(), "these did not happen: {missed:?}");
}
