//! What people do with pipelines: stages retried, executions side by side and one after the other, older artifacts rolled
//! back to, builds that fail.

use crate::bench::outcome::Outcome;
use crate::bench::place::FIRST_IMAGE;
use crate::bench::source::Source;
use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use serde_json::{Value, json};
use slipway::sandbox::world::pipeline::{ExecutionStatus, RunStatus};
use std::time::Duration;

fn with(scenario: &str) -> Setup {
    Setup {
        scenario: scenario.to_owned(),
        refereed: true,
        ..Setup::default()
    }
}

/// Succeeded, and no rule is broken.
fn assert_well(outcome: &Outcome, told: &str) {
    assert_eq!(
        outcome.execution.status,
        ExecutionStatus::Succeeded,
        "{} {}\n{told}",
        outcome.message("Build"),
        outcome.message("Deploy")
    );
    assert_eq!(outcome.broken(), Vec::<String>::new(), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_is_retried_takes_up_the_revision_that_it_registered() {
    let bench = Bench::with_pipeline(&with(
        "[[fate]]\nfamily = \"shop\"\nrevision = 2\ntasks = 3\nlines = [\"no database\"]\n\
         crash = { after-seconds = 1, exit-code = 3 }\n",
    ))
    .await;
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    let first = bench.outcome(&execution, 7200).await;
    assert_eq!(first.broken(), Vec::<String>::new(), "{}", worker.told.human());
    assert_eq!(first.execution.status, ExecutionStatus::Failed);
    let message = first.message("Deploy");
    assert!(
        message.starts_with("JobFailed") && message.contains("exit"),
        "{message}"
    );
    let link = first.run("Deploy").unwrap().external.clone();
    assert_eq!(link.as_deref(), Some("clusters/prod/services/shop"));
    bench.ask(
        "RetryStageExecution",
        &json!({ "pipelineName": "shop", "stageName": "Deploy", "pipelineExecutionId": execution,
            "retryMode": "FAILED_ACTIONS" }),
    );
    let second = bench.outcome(&execution, 7200).await;
    let told = worker.stop().await.human();
    assert_eq!(
        second.execution.status,
        ExecutionStatus::Succeeded,
        "{}\n{told}",
        second.message("Deploy")
    );
    let shop = &second.services[0];
    assert_eq!((shop.revision.as_str(), shop.revisions), ("shop:2", 2), "{told}");
    assert_eq!(shop.of_execution, ["shop:2"]);
    let deploys = second.execution.runs.iter().filter(|run| run.action == "Deploy");
    let states: Vec<RunStatus> = deploys.map(|run| run.status).collect();
    assert_eq!(states, [RunStatus::Failed, RunStatus::Succeeded]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_executions_side_by_side_the_later_wins_and_the_other_is_told_who_did() {
    let bench = Bench::new(&with(
        "[[fate]]\nfamily = \"shop\"\nrevision = 2\nnever-starts = true\n",
    ))
    .await;
    bench.add_pipeline("shop", "PARALLEL").await;
    let worker = bench.worker(&Plan::default());
    let older = bench.release("shop");
    bench
        .until("the older one is deploying", 1800, || {
            bench.count("ecs", "UpdateService") == 1
        })
        .await;
    bench.commit("shop", &Source::of(&bench.services, "3", "")).await;
    let newer = bench.release("shop");
    let new = bench.outcome(&newer, 3600).await;
    let old = bench.outcome(&older, 3600).await;
    let told = worker.stop().await.human();
    assert_eq!(
        new.execution.status,
        ExecutionStatus::Succeeded,
        "{}\n{told}",
        new.message("Deploy")
    );
    assert_eq!(old.execution.status, ExecutionStatus::Failed, "{told}");
    let message = old.message("Deploy");
    for words in ["another deployment replaced ours", "shop:3"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(new.services[0].of_execution, ["shop:3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_executions_deploy_one_after_the_other_and_a_stage_goes_back_to_an_older_artifact() {
    let bench = Bench::new(&with("")).await;
    bench.add_pipeline("shop", "QUEUED").await;
    let worker = bench.worker(&Plan::default());
    let first = bench.release("shop");
    bench
        .until("the first is built", 1800, || {
            bench.count("registry", "PutManifest") == 1
        })
        .await;
    bench.commit("shop", &Source::of(&bench.services, "3", "")).await;
    let second = bench.release("shop");
    let second = bench.outcome(&second, 3600).await;
    let first = bench.look(&first).await;
    for outcome in [&first, &second] {
        assert_eq!(
            outcome.execution.status,
            ExecutionStatus::Succeeded,
            "{}",
            worker.told.human()
        );
    }
    assert_eq!(second.broken(), Vec::<String>::new());
    assert_eq!(first.services[0].of_execution, ["shop:2"]);
    assert_eq!(second.services[0].of_execution, ["shop:3"]);
    assert_ne!(first.images(), second.images());

    let back = bench.ask(
        "RollbackStage",
        &json!({ "pipelineName": "shop", "stageName": "Deploy", "targetPipelineExecutionId": first.execution.id }),
    );
    let back = back["pipelineExecutionId"].as_str().unwrap().to_owned();
    let outcome = bench.outcome(&back, 3600).await;
    let told = worker.stop().await.human();
    assert_eq!(
        outcome.execution.status,
        ExecutionStatus::Succeeded,
        "{}\n{told}",
        outcome.message("Deploy")
    );
    let shop = &outcome.services[0];
    assert_eq!(
        shop.image,
        first.images()[0],
        "the older artifact's image\n{told}"
    );
    assert_eq!(shop.runs, first.images());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_fails_says_why_and_deploys_nothing() {
    let bench = Bench::with_pipeline(&with("")).await;
    let source = Source::of(&bench.services, "2", "").file("Dockerfile", "FROM scratch\nRUN exit 3\n");
    bench.commit("shop", &source).await;
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    let outcome = bench.outcome(&execution, 3600).await;
    let told = worker.stop().await.human();
    assert_eq!(outcome.broken(), Vec::<String>::new(), "{told}");
    let message = outcome.message("Build");
    assert!(
        message.starts_with("JobFailed") && message.contains("exit code 3"),
        "{message}"
    );
    assert_eq!(outcome.services[0].image, FIRST_IMAGE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_outlasts_the_keys_of_its_job_stores_its_artifact_with_new_ones() {
    let bench = Bench::with_pipeline(&with("[codepipeline]\ncredentials-seconds = 300\n")).await;
    bench.engine.build_takes(Duration::from_secs(600));
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    let outcome = bench.outcome(&execution, 7200).await;
    assert_well(&outcome, &worker.stop().await.human());
    assert!(bench.count("codepipeline", "GetJobDetails") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_migration_is_handed_back_again_and_again_and_runs_once() {
    let bench = Bench::with_pipeline(&Setup {
        scenario: "[[fate]]\nfamily = \"shop\"\nrevision = 2\ntasks = 1\ncrash = { after-seconds = 1200, exit-code = 0 }\n"
            .to_owned(),
        ..Setup::default()
    })
    .await;
    let task = "[task.migrate]\nservice = \"shop\"\ncommand = [\"./migrate\"]\ntimeout = \"2h\"\n";
    bench
        .commit("shop", &Source::of(&bench.services, "2", task))
        .await;
    let _worker = bench.process(&Plan::default());
    let execution = bench.release("shop");
    let outcome = bench.outcome(&execution, 14_400).await;
    assert_eq!(outcome.broken(), Vec::<String>::new());
    assert_eq!(
        outcome.execution.status,
        ExecutionStatus::Succeeded,
        "{}",
        outcome.message("Deploy")
    );
    assert_eq!(bench.count("ecs", "RunTask"), 1);
    let put = bench.journal();
    let put = put
        .iter()
        .filter(|entry| entry["operation"] == "PutJobSuccessResult");
    let of_task = put.clone().filter(|entry| {
        let body = entry["request"]["body"].as_str().unwrap_or_default();
        body.contains("continuationToken") && body.contains("task `migrate`: waiting for")
    });
    let said: Vec<&Value> = put.clone().map(|entry| &entry["request"]["body"]).collect();
    assert!(
        of_task.count() >= 2,
        "twenty minutes have several stretches: {said:?}"
    );
}
