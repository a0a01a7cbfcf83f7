//! A worker is asked to stop while a request of a job is under way, at every request of a good pipeline: it hands back or
//! finishes what it holds, and another worker goes on. A second signal ends it now, and it still reports.

use super::points::Point;
use super::{AT_ONCE, Verdict, at_once, bench, of_good_run, until_it_happens};
use crate::bench::workers::Plan;
use slipway::sandbox::scenario::faults::Faults;
use slipway::sandbox::world::pipeline::{ExecutionStatus, JobState};

/// How long a worker may take to stop: the grace of its builds, and a request that takes its time.
const STOPS_WITHIN: u64 = 900;

/// How long it may take once it is asked twice: a job's last words, and its report's, on a machine that has no time.
const STOPS_NOW_WITHIN: u64 = 600;

async fn stopped(point: Point, twice: bool) -> Verdict {
    let name = format!("stopped {} at {point}", if twice { "twice" } else { "once" });
    let bench = bench().await;
    bench.set_fault(&point.fault("action = \"slow\"\nms = 15000", 1));
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    let happened = bench.strikes(&execution, 3600).await;
    bench.sandbox.set_faults(Faults::default());
    worker.terminate();
    let within = if twice {
        worker.terminate();
        STOPS_NOW_WITHIN
    } else {
        STOPS_WITHIN
    };
    let mut broken = Vec::new();
    if !bench.comes_true(within, || worker.is_over()).await {
        broken.push(format!("it did not stop within {within} s"));
    }
    // What CodePipeline did not take in time is kept for the next worker.
    let kept = bench.state().concat();
    let held = bench.jobs(|job| job.state == JobState::InProgress && !kept.contains(&job.id));
    if !held.is_empty() {
        broken.push(format!("a worker that has stopped holds no job: {held:?}"));
    }
    if !twice && !kept.is_empty() {
        broken.push(format!("one that is let end leaves nothing: {kept}"));
    }
    let before = worker.end().await;
    let says_so = before.human().contains("left in the state directory");
    if says_so == kept.is_empty() {
        broken.push("it says whether it left something".to_owned());
    }
    let other = bench.worker(&Plan::default());
    let outcome = bench.outcome(&execution, 3600).await;
    // Who is cut off may not know what it left, and says so.
    let cut_off = twice && outcome.message("Deploy").contains("left: unknown");
    let rules = outcome.broken().into_iter();
    broken.extend(rules.filter(|words| !(cut_off && words.starts_with("a failure "))));
    broken.extend(bench.left_in_journal().await);
    let after = other.stop().await;
    let succeeded = outcome.execution.status == ExecutionStatus::Succeeded;
    if !succeeded && !twice {
        let messages = [outcome.message("Build"), outcome.message("Deploy")].concat();
        broken.push(format!("a stop fails no pipeline: {messages}"));
    }
    Verdict {
        name,
        happened,
        succeeded,
        broken,
        told: format!("{}\n--- another worker ---\n{}", before.human(), after.human()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_at_any_request_leaves_no_job_behind() {
    let points = of_good_run().await;
    let runs = points.into_iter().enumerate().flat_map(|(at, point)| {
        let turns = [false, true].map(|twice| (twice == (at % 2 == 0)).then_some(twice));
        let turns = turns
            .into_iter()
            .flatten()
            .chain(super::all().then_some(at % 2 != 0));
        turns.map(move |twice| {
            let point = point.clone();
            Box::pin(async move { until_it_happens(|| Box::pin(stopped(point.clone(), twice))).await })
        })
    });
    at_once(AT_ONCE, runs.collect()).await;
}
