//! SIGTERM to a worker's process.

use crate::bench::workers::{Plan, Process};
use crate::bench::{Bench, Setup};
use slipway::sandbox::scenario::faults::Faults;
use slipway::sandbox::world::pipeline::{ExecutionStatus, JobState, JobView};
use std::time::Duration;

/// Nothing answers these requests of S3.
fn held(operation: &str) -> String {
    format!("[[fault]]\nservice = \"s3\"\noperation = \"{operation}\"\naction = \"hold\"\n")
}

/// A worker's process, and an execution whose build takes so many seconds and has begun.
async fn building(seconds: u64, plan: &Plan) -> (Bench, Process, String) {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    bench.engine.build_takes(Duration::from_secs(seconds));
    let begun = bench.engine.begun();
    let worker = bench.process(plan);
    let execution = bench.release("shop");
    bench
        .until("the build begins", 1800, || *begun.borrow() > 0)
        .await;
    (bench, worker, execution)
}

/// Waits until a process has ended, well, and holds no job any more.
async fn ends(bench: &Bench, worker: Process, seconds: u64) {
    let worker = std::cell::RefCell::new(worker);
    let code = || worker.borrow_mut().code();
    let ended = bench.comes_true(seconds, || code().is_some()).await;
    let log = worker.borrow().log();
    assert!(ended, "it did not end within {seconds} s:\n{log}");
    assert_eq!(code(), Some(Some(0)), "{log}");
    let held = bench.jobs(|job: &JobView| job.state == JobState::InProgress);
    assert!(held.is_empty(), "{held:?}\n{log}");
    assert_eq!(bench.left_in_journal().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_ends_in_its_grace_and_another_worker_deploys_it() {
    let (bench, worker, execution) = building(120, &Plan::default()).await;
    worker.terminate();
    ends(&bench, worker, 900).await;
    bench.engine.build_takes(Duration::ZERO);
    let _other = bench.process(&Plan::default());
    let outcome = bench.outcome(&execution, 3600).await;
    assert_eq!(outcome.broken(), Vec::<String>::new());
    assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded);
    assert_eq!(*bench.engine.begun().borrow(), 1, "it is built once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_takes_longer_than_its_grace_is_reported_failed() {
    let plan = Plan {
        grace: 60,
        ..Plan::default()
    };
    let (bench, worker, execution) = building(7200, &plan).await;
    worker.terminate();
    ends(&bench, worker, 600).await;
    let outcome = bench.outcome(&execution, 60).await;
    assert_eq!(outcome.broken(), Vec::<String>::new());
    let message = outcome.message("Build");
    assert!(message.contains("--grace"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_a_build_now_and_it_is_still_reported() {
    let (bench, worker, execution) = building(7200, &Plan::default()).await;
    worker.terminate();
    // Two signals in one instant are one.
    bench.let_pass(10).await;
    worker.terminate();
    ends(&bench, worker, 120).await;
    let outcome = bench.outcome(&execution, 60).await;
    assert_eq!(outcome.broken(), Vec::<String>::new());
    assert_eq!(outcome.execution.status, ExecutionStatus::Failed);
    let message = outcome.message("Build");
    assert!(message.contains("retry the stage"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_is_handed_back_at_once_and_another_worker_goes_on() {
    let bench = Bench::starting_after(600).await;
    let plan = Plan {
        stretch: 3600,
        ..Plan::default()
    };
    let worker = bench.process(&plan);
    let execution = bench.release("shop");
    let watching = || {
        let jobs = bench.jobs(|job| job.continuation.is_some() && job.state == JobState::InProgress);
        !jobs.is_empty()
    };
    bench.until("the deploy is watched", 1800, watching).await;
    worker.terminate();
    ends(&bench, worker, 200).await;
    assert!(!bench.is_over(&execution));
    let _other = bench.process(&Plan::default());
    let outcome = bench.outcome(&execution, 3600).await;
    assert_eq!(outcome.broken(), Vec::<String>::new());
    assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded);
    assert_eq!(bench.count("ecs", "UpdateService"), 1);
}

/// Artifacts may take minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_an_artifact_that_is_on_its_way() {
    for (builds, operation, expected) in [
        (false, "GetObject", ""),
        (
            true,
            "GetObject",
            "input artifact `SourceOutput` was being fetched",
        ),
        (true, "PutObject", "output artifact `Images` was being stored"),
    ] {
        let bench = Bench::new(&Setup::default()).await;
        if builds {
            bench.add_pipeline("shop", "QUEUED").await;
        } else {
            bench.add_deploys("shop").await;
        }
        bench.set_fault(&held(operation));
        let plan = Plan {
            grace: 5,
            ..Plan::default()
        };
        let worker = bench.process(&plan);
        let execution = bench.release("shop");
        assert!(bench.strikes(&execution, 1800).await, "{}", worker.log());
        worker.terminate();
        ends(&bench, worker, 60).await;
        bench.sandbox.set_faults(Faults::default());
        if builds {
            let message = bench.outcome(&execution, 60).await.message("Build");
            assert!(
                message.contains(expected) && message.contains("--grace"),
                "{message}"
            );
            continue;
        }
        let _other = bench.process(&plan);
        let outcome = bench.outcome(&execution, 3600).await;
        let message = outcome.message("Deploy");
        assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded, "{message}");
        assert!(
            outcome.jobs.iter().all(|job| job.closed == 1),
            "{:?}",
            outcome.jobs
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_hangs_is_reported_failed_and_leaves_its_slot() {
    let plan = Plan {
        builds: 1,
        build_timeout: 600,
        ..Plan::default()
    };
    let (bench, _worker, hung) = building(86_400, &plan).await;
    let outcome = bench.outcome(&hung, 3600).await;
    assert_eq!(outcome.broken(), Vec::<String>::new());
    let message = outcome.message("Build");
    assert!(
        message.contains("the build did not end within 600 s"),
        "{message}"
    );
    assert!(message.contains("--build-timeout"), "{message}");
    bench.engine.build_takes(Duration::ZERO);
    let next = bench.release("shop");
    let outcome = bench.outcome(&next, 3600).await;
    assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded);
}

/// With its own signals, settings and clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_hands_its_deploy_back_at_a_signal_and_another_worker_goes_on() {
    let bench = Bench::starting_after(2000).await;
    let program = bench.program();
    let execution = bench.release("shop");
    let in_stretch = |job: &JobView| job.state == JobState::InProgress && job.continuation.is_some();
    bench
        .until("a stretch begins", 1800, || !bench.jobs(in_stretch).is_empty())
        .await;
    program.terminate();
    ends(&bench, program, 900).await;
    assert!(!bench.is_over(&execution));
    let _other = bench.program();
    let outcome = bench.outcome(&execution, 3600).await;
    assert_eq!(outcome.broken(), Vec::<String>::new());
    let message = outcome.message("Deploy");
    assert_eq!(outcome.execution.status, ExecutionStatus::Succeeded, "{message}");
    assert_eq!(bench.count("ecs", "UpdateService"), 1);
}
