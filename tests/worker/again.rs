//! Builds that are done again, by an Engine that never makes the same image twice, where tags cannot move.

use crate::bench::outcome::Outcome;
use crate::bench::place::REPOSITORY;
use crate::bench::source::Source;
use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use serde_json::{Value, json};
use slipway::sandbox::scenario::faults::Faults;
use slipway::sandbox::world::pipeline::ExecutionStatus;

async fn forgetful() -> Bench {
    let bench = Bench::with_pipeline(&Setup::default()).await;
    bench.engine.be_forgetful();
    bench
}

/// An operation of ECR, past the wire.
fn ecr(bench: &Bench, operation: &str, mut input: Value) -> Value {
    input["repositoryName"] = json!(REPOSITORY);
    let answer = bench
        .sandbox
        .world()
        .visit(|world, now| world.ecr.call(now, operation, &input));
    answer.unwrap_or_else(|error| panic!("{operation}: {} {}", error.code, error.message))
}

/// The digest that each of these tags stands for.
fn digests(bench: &Bench, tags: &[&str]) -> Vec<String> {
    let of = |tag: &&str| {
        let held = ecr(
            bench,
            "BatchGetImage",
            json!({ "imageIds": [{ "imageTag": tag }] }),
        );
        let digest = held["images"][0]["imageId"]["imageDigest"].as_str();
        digest.unwrap_or_else(|| panic!("{tag}: {held}")).to_owned()
    };
    tags.iter().map(of).collect()
}

fn pushes(bench: &Bench) -> usize {
    let requests = bench.engine.requests();
    requests.iter().filter(|line| line.ends_with("/push")).count()
}

/// A source whose image has these tags, whatever the commit is; only its version tells it from others.
fn tagged(bench: &Bench, version: &str, tags: &[&str]) -> Source {
    let toml = format!(
        "[image.web]\nrepository = \"{REPOSITORY}\"\ntags = {tags:?}\n\
         labels = {{ \"org.opencontainers.image.revision\" = \"none\" }}\n"
    );
    let of = Source::of(&bench.services, version, "");
    of.file("slipway.toml", &toml)
        .file(".dockerignore", "slipway.toml\n")
}

/// Starts an execution that only builds, as far as this goes; what became of the build.
async fn build(bench: &Bench, source: &Source) -> Outcome {
    bench.commit("shop", source).await;
    let execution = bench.release("shop");
    bench.outcome(&execution, 3600).await
}

async fn retried(bench: &Bench, execution: &str) -> Outcome {
    bench.ask(
        "RetryStageExecution",
        &json!({ "pipelineName": "shop", "stageName": "Build", "pipelineExecutionId": execution,
            "retryMode": "FAILED_ACTIONS" }),
    );
    bench.outcome(execution, 3600).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_that_is_retried_after_its_push_takes_the_image_that_it_pushed() {
    let bench = forgetful().await;
    bench.set_fault("[[fault]]\nservice = \"s3\"\noperation = \"PutObject\"\naction = \"access-denied\"\n");
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    let first = bench.outcome(&execution, 3600).await;
    assert_eq!(
        first.execution.status,
        ExecutionStatus::Failed,
        "{}",
        worker.told.human()
    );
    bench.sandbox.set_faults(Faults::default());
    let second = retried(&bench, &execution).await;
    let told = worker.stop().await.human();
    assert_eq!(second.broken(), Vec::<String>::new(), "{told}");
    assert_eq!(second.execution.status, ExecutionStatus::Succeeded, "{told}");
    assert!(told.contains("was built from this very source earlier"), "{told}");
    assert_eq!(pushes(&bench), 1, "{told}");
    let image = &second.images()[0];
    assert!(
        second.services[0].runs.iter().all(|runs| runs == image),
        "{second:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_source_does_not_get_the_tag_of_an_earlier_one() {
    let bench = forgetful().await;
    let worker = bench.worker(&Plan::default());
    let first = build(&bench, &tagged(&bench, "2", &["v1"])).await;
    let before = digests(&bench, &["v1"]);
    assert_eq!(first.images().len(), 1, "{}", worker.told.human());
    let same = build(&bench, &tagged(&bench, "2", &["v1"])).await;
    assert_eq!(same.images(), first.images(), "{}", worker.told.human());
    let other = build(&bench, &tagged(&bench, "3", &["v1"])).await;
    let told = worker.stop().await.human();
    let message = other.message("Build");
    for words in ["is another image already", "which was built from another source"] {
        assert!(message.contains(words), "{words}: {message}\n{told}");
    }
    assert!(message.contains(&before[0]), "{message}");
    assert_eq!(digests(&bench, &["v1"]), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_cannot_be_read_is_not_taken_and_the_failure_says_why() {
    let bench = forgetful().await;
    let worker = bench.worker(&Plan::default());
    let source = tagged(&bench, "2", &["v1"]);
    build(&bench, &source).await;
    for (fault, says) in [
        (
            "service = \"ecr\"\noperation = \"GetDownloadUrlForLayer\"\naction = \"access-denied\"",
            "allow `ecr:GetDownloadUrlForLayer` on the repository",
        ),
        (
            "service = \"registry\"\noperation = \"GetLayer\"\naction = \"access-denied\"",
            "the answer is HTTP 403",
        ),
        (
            "service = \"registry\"\noperation = \"GetLayer\"\naction = \"refuse\"",
            "the connection failed",
        ),
        (
            "service = \"registry\"\noperation = \"GetLayer\"\naction = \"cut-body\"",
            "the answer broke off",
        ),
    ] {
        bench.set_fault(&format!("[[fault]]\n{fault}\n"));
        let message = build(&bench, &source).await.message("Build");
        for words in ["what it was built from is not known", says] {
            assert!(message.contains(words), "{words}: {message}");
        }
        assert!(
            !message.contains("X-Amz"),
            "an address is a credential: {message}"
        );
    }
    // What passes is asked again.
    bench.set_fault(
        "[[fault]]\nservice = \"registry\"\noperation = \"GetLayer\"\nto = 2\naction = \"refuse\"\n",
    );
    let again = build(&bench, &source).await;
    assert_eq!(again.images().len(), 1, "{}", worker.stop().await.human());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tags_that_an_earlier_run_did_not_come_to_are_given_to_its_image() {
    let bench = forgetful().await;
    bench.set_fault(
        "[[fault]]\nservice = \"registry\"\noperation = \"PutManifest\"\nfrom = 2\naction = \"access-denied\"\n",
    );
    let worker = bench.worker(&Plan::default());
    let first = build(&bench, &tagged(&bench, "2", &["v1", "stable"])).await;
    assert_eq!(first.images(), Vec::<String>::new());
    let before = digests(&bench, &["v1"]);
    bench.sandbox.set_faults(Faults::default());
    let second = retried(&bench, &first.execution.id).await;
    let told = worker.stop().await.human();
    assert_eq!(second.images().len(), 1, "{told}");
    assert_eq!(
        digests(&bench, &["v1", "stable"]),
        [before[0].clone(), before[0].clone()],
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_taken_by_its_own_digest_if_its_image_is_this_source() {
    let bench = forgetful().await;
    let worker = bench.worker(&Plan::default());
    build(&bench, &tagged(&bench, "2", &["v1"])).await;
    let held = ecr(
        &bench,
        "BatchGetImage",
        json!({ "imageIds": [{ "imageTag": "v1" }] }),
    );
    let size = held["images"][0]["imageManifest"].as_str().unwrap().len();
    let digest = digests(&bench, &["v1"]).remove(0);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            { "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": digest, "size": size,
              "platform": { "os": "linux", "architecture": "amd64" } },
            { "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest": digest, "size": size,
              "platform": { "os": "unknown", "architecture": "unknown" } },
        ],
    });
    ecr(
        &bench,
        "PutImage",
        json!({ "imageManifest": index.to_string(), "imageTag": "v2" }),
    );
    let source = tagged(&bench, "2", &["v2"]);
    let taken = build(&bench, &source).await;
    let other = build(&bench, &tagged(&bench, "3", &["v2"])).await;
    let told = worker.stop().await.human();
    let index = &digests(&bench, &["v2"])[0];
    assert_ne!(*index, digest);
    assert!(
        taken.images().iter().any(|image| image.ends_with(index)),
        "{told}"
    );
    let message = other.message("Build");
    assert!(
        message.contains("which was built from another source"),
        "{message}"
    );
}
