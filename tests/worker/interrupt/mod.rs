//! Exhaustive interruption: every request of a good pipeline goes wrong once, in every way that the wire knows; at every
//! request the worker is killed, or stopped, and another one comes; at every request the execution is abandoned.
//!
//! By default each request meets some of them, which take turns. `SLIPWAY_INTERRUPTIONS=all` plays everything.

mod abandon;
mod case;
mod points;
mod services;
mod stop;

use crate::bench::Bench;
use crate::bench::workers::Plan;
use case::{Case, Way};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};
use points::{Point, points};
use slipway::config::layers;
use slipway::sandbox::world::pipeline::ExecutionStatus;
use std::collections::BTreeSet;
use tokio::sync::OnceCell;

/// Cases at the same time; they wait most of it.
const AT_ONCE: usize = 16;

/// How often a case is run whose request did not come, and good pipelines that lack some.
const TRIES: usize = 4;

/// How much of what workers told is shown of a case that broke a rule.
const LAST_LINES: usize = 40;

/// Whether every case is played.
fn all() -> bool {
    layers::environment().value("SLIPWAY_INTERRUPTIONS") == Some("all")
}

/// A bench whose rollouts last for several stretches.
async fn bench() -> Bench {
    Bench::starting_after(150).await
}

/// The requests of a good pipeline.
async fn of_good_run() -> Vec<Point> {
    static POINTS: OnceCell<Vec<Point>> = OnceCell::const_new();
    POINTS
        .get_or_init(|| {
            Box::pin(async {
                let mut points = common(bench).await;
                // A job that waits for a busy machine may find a rollout that is over.
                for _ in 1..TRIES {
                    if missing(&points).is_some() {
                        points = common(bench).await;
                    }
                }
                assert_eq!(missing(&points), None, "{points:?}");
                points
            })
        })
        .await
        .clone()
}

/// The first operation that no good pipeline does without and that is called too rarely: a matrix that shrinks is seen.
fn missing(points: &[Point]) -> Option<&'static str> {
    let there = |operation: &str| points.iter().filter(|point| point.operation == operation).count();
    let wanted = [
        ("PollForJobs", 4),
        ("AcknowledgeJob", 4),
        ("PutJobSuccessResult", 4),
        ("GetObject", 2),
        ("PutObject", 1),
        ("GetAuthorizationToken", 1),
        ("PutManifest", 1),
        ("AssumeRole", 1),
        ("DescribeServices", 3),
        ("RegisterTaskDefinition", 1),
        ("UpdateService", 1),
        ("DescribeTasks", 1),
    ];
    let missing = wanted
        .into_iter()
        .find(|(operation, least)| there(operation) < *least);
    missing.map(|(operation, _)| operation)
}

/// The requests that each of some good pipelines makes. How often a rollout is looked at depends on how the looks fall,
/// and with time that passes so quickly on how busy the machine is: so it is as busy as it will be with the cases.
async fn common<F: Future<Output = Bench> + Send + 'static>(mut bench: impl FnMut() -> F) -> Vec<Point> {
    let runs: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(points_of(bench()))).collect();
    let mut good: Vec<Vec<Point>> = Vec::new();
    for run in runs {
        good.push(run.await.unwrap());
    }
    let all = good.iter().flatten().collect::<BTreeSet<_>>().len();
    let mut points = good.pop().unwrap();
    points.retain(|point| good.iter().all(|other| other.contains(point)));
    println!(
        "{} requests are made by each of {AT_ONCE} good pipelines, {} more by some",
        points.len(),
        all - points.len()
    );
    points
}

/// Runs a case until what is to happen to it happens, a few times at most.
async fn until_it_happens<F: Future<Output = Verdict>>(mut run: impl FnMut() -> F) -> Verdict {
    for _ in 1..TRIES {
        let verdict = run().await;
        if verdict.happened || !verdict.broken.is_empty() {
            return verdict;
        }
    }
    run().await
}

/// The requests of the pipeline of a bench to which nothing happens.
async fn points_of(bench: impl Future<Output = Bench>) -> Vec<Point> {
    let bench = bench.await;
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

/// What came of a case.
#[derive(Debug)]
struct Verdict {
    name: String,
    /// Whether what was to happen happened.
    happened: bool,
    /// Whether the pipeline succeeded all the same.
    succeeded: bool,
    /// Broken rules, each in words.
    broken: Vec<String>,
    /// What the workers told.
    told: String,
}

/// Runs cases, so many at the same time, and fails if one broke a rule or did not happen.
async fn at_once<F: Future<Output = Verdict> + Send + 'static>(many: usize, cases: Vec<F>) {
    let count = cases.len();
    let runs = cases.into_iter().map(tokio::spawn);
    let verdicts: Vec<Verdict> = stream::iter(runs)
        .buffer_unordered(many)
        .map(Result::unwrap)
        .collect()
        .await;
    assert_eq!(verdicts.len(), count);
    let broken: Vec<&Verdict> = verdicts.iter().filter(|one| !one.broken.is_empty()).collect();
    for one in &broken {
        let lines: Vec<&str> = one.told.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        println!("=== {}\n{}\n{last}", one.name, one.broken.join("\n"));
    }
    let missed = verdicts.iter().filter(|one| !one.happened);
    let missed: Vec<&str> = missed.map(|one| one.name.as_str()).collect();
    let failed = verdicts.iter().filter(|one| !one.succeeded);
    let failed: Vec<&str> = failed.map(|one| one.name.as_str()).collect();
    println!(
        "{count} cases: {} ended well, {} failed as they may: {failed:?}; {} broke a rule; {} did not happen: {missed:?}",
        count - failed.len(),
        failed.len(),
        broken.len(),
        missed.len(),
    );
    assert!(broken.is_empty() && missed.is_empty());
}

/// Every case, or as many as a default run has time for: of each request one of the wire's ways, and one kill.
fn cases(points: &[Point], all: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for (at, point) in points.iter().enumerate() {
        let (of_wire, of_workers) = (Way::OF_WIRE.len(), Way::OF_WORKERS.len());
        let wire = (0..of_wire).filter(|way| all || *way == at % of_wire);
        let wire = wire.map(|way| Way::OF_WIRE[way]);
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
    let points = of_good_run().await;
    let cases = cases(&points, all());
    let runs = cases.into_iter().map(|case| -> BoxFuture<'static, Verdict> {
        Box::pin(async move { until_it_happens(|| Box::pin(case.clone().run())).await })
    });
    at_once(AT_ONCE, runs.collect()).await;
}
