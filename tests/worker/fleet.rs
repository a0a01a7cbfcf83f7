//! Many workers on one queue: each job is done once, whoever of them dies.

use crate::bench::place::ecs;
use crate::bench::workers::{Plan, Process};
use crate::bench::{Bench, SPEED, Setup};
use serde_json::json;
use slipway::config::layers;
use slipway::sandbox::world::pipeline::{ExecutionStatus, JobState};

/// Pipelines whose only action deploys what the services run already: two short jobs each time, of which there can be
/// many.
async fn with_deploys(pipelines: usize) -> Bench {
    // There is more to do than to wait for.
    let bench = Bench::new(&Setup {
        speed: SPEED / 3,
        balanced: false,
        ..Setup::default()
    })
    .await;
    for at in 0..pipelines {
        bench.add_deploys(&format!("deploys-{at}")).await;
    }
    bench
}

/// Releases each of the pipelines so often.
fn release(bench: &Bench, pipelines: usize, times: usize) -> usize {
    for _ in 0..times {
        for at in 0..pipelines {
            bench.release(&format!("deploys-{at}"));
        }
    }
    pipelines * times
}

/// How many executions are over.
fn over(bench: &Bench, pipelines: usize) -> usize {
    let names: Vec<String> = (0..pipelines).map(|at| format!("deploys-{at}")).collect();
    let executions = |name: &String| bench.executions(name);
    names
        .iter()
        .flat_map(executions)
        .filter(|execution| execution.status != ExecutionStatus::InProgress)
        .count()
}

/// Every job was acknowledged once, closed once, and succeeded.
fn each_once(bench: &Bench, told: &str) -> usize {
    let jobs = bench.jobs(|_| true);
    for job in &jobs {
        let lines = told.lines().filter(|line| line.contains(&job.id[..8]));
        assert_eq!(
            (job.state, job.acknowledged, job.closed),
            (JobState::Succeeded, 1, 1),
            "{job:?}\n{}",
            lines.collect::<Vec<_>>().join("\n")
        );
    }
    jobs.len()
}

async fn workers_share(workers: usize, pipelines: usize, times: usize) {
    let bench = with_deploys(pipelines).await;
    let running: Vec<_> = (0..workers).map(|_| bench.worker(&Plan::default())).collect();
    let expected = release(&bench, pipelines, times);
    bench
        .until("every execution is over", 3600, || {
            over(&bench, pipelines) == expected
        })
        .await;
    let mut took = Vec::new();
    let mut told = String::new();
    for worker in running {
        let human = worker.stop().await.human();
        took.push(human.lines().filter(|line| line.contains(": claimed")).count());
        told.push_str(&human);
    }
    let jobs = each_once(&bench, &told);
    let refused: Vec<_> = bench.jobs(|job| job.refused > 0);
    assert!(refused.is_empty(), "nobody reports a job twice: {refused:?}");
    println!("{workers} workers took {took:?} of {jobs} jobs");
    assert_eq!(took.iter().sum::<usize>(), jobs);
    assert!(took.iter().filter(|jobs| **jobs > 0).count() > 1, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_on_one_queue_do_each_job_once() {
    workers_share(2, 3, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_workers_on_one_queue_do_each_job_once() {
    workers_share(10, 5, 10).await;
}

/// `SLIPWAY_SEED` plays a run again, as far as machines do things again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_workers_any_may_be_killed_at_any_time_and_five_hundred_jobs_are_done() {
    const WORKERS: usize = 10;
    let environment = layers::environment();
    let seed = environment
        .value("SLIPWAY_SEED")
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SLIPWAY_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (pipelines, times) = (10, 25);
    let bench = with_deploys(pipelines).await;
    let plan = Plan::default();
    let mut workers: Vec<Process> = (0..WORKERS).map(|_| bench.process(&plan)).collect();
    let expected = release(&bench, pipelines, times);
    let (mut kills, mut logs) = (0, Vec::new());
    while over(&bench, pipelines) < expected {
        // By what is done and not by time, or a slow machine would do nothing else.
        let next = (over(&bench, pipelines) + random.usize(2..10)).min(expected);
        bench
            .until("some more are over", 3600, || over(&bench, pipelines) >= next)
            .await;
        let at = random.usize(..WORKERS);
        let mut killed = std::mem::replace(&mut workers[at], bench.process(&plan));
        killed.kill();
        logs.push(killed.log());
        kills += 1;
    }
    logs.extend(workers.iter().map(Process::log));
    let told = logs.join("\n");
    let healed = told.matches("it is taken over").count();
    let jobs = each_once(&bench, &told);
    println!("{jobs} jobs, {kills} kills; {healed} jobs were taken over from the dead");
    assert!(jobs >= 500, "{jobs}");
    assert_eq!(bench.left_in_journal().await, Vec::<String>::new());
    assert!(kills > 20, "{kills}");
    let shop = json!({ "familyPrefix": "shop" });
    let listed = ecs(&bench.sandbox, "ListTaskDefinitions", &shop);
    assert_eq!(
        listed["taskDefinitionArns"].as_array().unwrap().len(),
        1,
        "nothing changed"
    );
}
