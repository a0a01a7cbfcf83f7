//! Whose role was refused: of three roles that a job is done with, a message names the one whose policy is to change.

use crate::bench::place::{ARTIFACTS, DEPLOYER, s3};
use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use bytes::Bytes;
use http::Method;
use slipway::sandbox::world::pipeline::ExecutionStatus;

/// What CodePipeline is told of an action where this operation is denied.
async fn told(service: &str, operation: &str, action: &str, own_keys: bool) -> String {
    let fault = format!("service = \"{service}\"\noperation = \"{operation}\"\naction = \"access-denied\"\n");
    let (message, log) = failed(&fault, action, own_keys).await;
    assert!(message.starts_with("PermissionError: "), "{message}\n{log}");
    message
}

/// What CodePipeline is told of an action that fails by a fault, and the worker's log.
async fn failed(fault: &str, action: &str, own_keys: bool) -> (String, String) {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    bench.set_fault(&format!("[[fault]]\n{fault}"));
    let worker = bench.worker(&Plan {
        own_keys,
        ..Plan::default()
    });
    let execution = bench.release("shop");
    let outcome = bench.outcome(&execution, 3600).await;
    let log = worker.stop().await.human();
    assert_eq!(outcome.execution.status, ExecutionStatus::Failed, "{log}");
    (outcome.message(action), log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_is_gone_and_a_far_end_that_is_down_are_no_fault_of_a_role() {
    for (code, status, expected) in [
        ("NoSuchKey", 404, "RevisionUnavailable: "),
        ("InternalError", 500, "SystemUnavailable: "),
    ] {
        let fault = format!(
            "service = \"s3\"\noperation = \"GetObject\"\naction = \"error\"\ncode = \"{code}\"\nstatus = {status}\n\
             message = \"as it is\"\n"
        );
        let (message, log) = failed(&fault, "Build", true).await;
        assert!(message.starts_with(expected), "{message}\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_of_the_worker_s_own_role_names_it() {
    let message = told("ecr", "DescribeRepositories", "Build", false).await;
    let role = "role: the worker's role may not do `ecr:DescribeRepositories`";
    assert!(message.contains(role), "{message}");
    assert!(!message.contains("the pipeline's role"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_of_a_job_s_keys_names_the_pipeline_s_role_unless_they_are_the_worker_s() {
    for (own_keys, whose) in [(false, "the pipeline's role"), (true, "the worker's role")] {
        let read = told("s3", "GetObject", "Build", own_keys).await;
        let role = format!("role: either the object is not there, or {whose} may not do `s3:GetObject`");
        assert!(read.contains(&role), "{read}");
        let written = told("s3", "PutObject", "Build", own_keys).await;
        let role = format!("role: {whose} may not do `s3:PutObject`");
        assert!(written.contains(&role), "{written}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_of_an_assumed_role_names_it_and_one_of_assuming_it_names_the_worker_s() {
    let message = told("ecs", "RegisterTaskDefinition", "Deploy", false).await;
    let role = format!("role: role `{DEPLOYER}` may not do `ecs:RegisterTaskDefinition`");
    assert!(message.contains(&role), "{message}");
    assert!(!message.contains("the worker's role may not"), "{message}");
    let message = told("sts", "AssumeRole", "Deploy", false).await;
    let role = "role: the worker's role may not do `sts:AssumeRole`";
    assert!(message.contains(role), "{message}");
    assert!(!message.contains("the role that may not is"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_is_gone_may_be_missing_or_denied_and_the_message_says_both() {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    let execution = bench.release("shop");
    bench
        .until("the source is stored", 600, || {
            let execution = bench.execution(&execution);
            execution.runs.iter().any(|run| run.action == "Build")
        })
        .await;
    let path = format!("/{ARTIFACTS}?list-type=2");
    let listed = s3(&bench.sandbox, Method::GET, &path, Bytes::new()).await;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let keys: Vec<&str> = listed
        .split("<Key>")
        .skip(1)
        .filter_map(|rest| rest.split("</Key>").next())
        .collect();
    assert_eq!(keys.len(), 1, "{listed}");
    let path = format!("/{ARTIFACTS}/{}", keys[0]);
    s3(&bench.sandbox, Method::DELETE, &path, Bytes::new()).await;
    let worker = bench.worker(&Plan::default());
    let outcome = bench.outcome(&execution, 3600).await;
    let log = worker.stop().await.human();
    let message = outcome.message("Build");
    for words in [
        "PermissionError: ",
        "either the object is not there, or the pipeline's role may not do `s3:GetObject`, or `kms:Decrypt` with its key",
        "not authorized to perform: s3:ListBucket",
    ] {
        assert!(message.contains(words), "{words}: {message}\n{log}");
    }
}
