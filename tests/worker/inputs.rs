//! What artifacts and an action's configuration may say: folders, several inputs, several fleets, and files that are not the
//! job's own.

use crate::bench::place::{s3, task_definition};
use crate::bench::source::{Source, changed, declaration};
use crate::bench::workers::Plan;
use crate::bench::{Bench, FLEET, Setup};
use bytes::Bytes;
use http::Method;
use serde_json::json;
use slipway::sandbox::world::pipeline::ExecutionStatus;
use std::io::Cursor;

/// Where slipway.toml is.
const FOLDER: &str = "services/web";

/// A source whose files are in a folder, with a task definition that slipway.toml names.
fn in_folder(bench: &Bench, task_definition: &str) -> Source {
    let more = format!("task-definition = \"{task_definition}\"\n");
    Source::of(&bench.services, "2", &more).below(FOLDER)
}

/// What is in the output of a build.
async fn names_in_output(bench: &Bench, execution: &str) -> Vec<String> {
    let outcome = bench.look(execution).await;
    let (_, bucket, key) = &outcome.run("Build").unwrap().outputs[0];
    let bytes = s3(
        &bench.sandbox,
        Method::GET,
        &format!("/{bucket}/{key}"),
        Bytes::new(),
    )
    .await;
    let zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_finds_what_its_build_or_its_source_holds_in_a_folder() {
    for (inputs, named) in [
        (&["Images"][..], "../task.json"),
        (&["Images"], "templates/../../task.json"),
        (&["SourceOutput", "Images"], "../task.json"),
    ] {
        let bench = Bench::new(&Setup::default()).await;
        let pipeline = changed(declaration("shop", "QUEUED", true), |action| {
            action["configuration"]["Path"] = json!(FOLDER);
            if action["name"] == "Deploy" {
                let inputs = inputs.iter().map(|name| json!({ "name": name }));
                action["inputArtifacts"] = inputs.collect();
            }
        });
        let definition = task_definition("shop").to_string();
        let source = in_folder(&bench, named)
            .file("services/task.json", &definition)
            .file("services/web/templates/empty", "");
        bench.add("shop", &source, &pipeline).await;
        let worker = bench.worker(&Plan::default());
        let execution = bench.release("shop");
        let outcome = bench.outcome(&execution, 3600).await;
        let told = worker.stop().await.human();
        assert_eq!(
            outcome.execution.status,
            ExecutionStatus::Succeeded,
            "{inputs:?} {named} {} {}\n{told}",
            outcome.message("Build"),
            outcome.message("Deploy")
        );
        assert_eq!(outcome.services[0].of_execution, ["shop:2"], "{told}");
        assert_eq!(
            names_in_output(&bench, &execution).await,
            [
                "imagedefinitions.json",
                "services/task.json",
                "services/web/slipway.toml",
                "slipway.source.json"
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_worker_s_disk_is_neither_deployed_nor_stored() {
    let bench = Bench::new(&Setup::default()).await;
    let secret = bench.path("secret.json");
    std::fs::write(&secret, task_definition("shop").to_string()).unwrap();
    let up = "../".repeat(40);
    for named in [secret.display().to_string(), format!("{up}{}", secret.display())] {
        let pipeline = changed(declaration("shop", "QUEUED", true), |action| {
            action["configuration"]["Path"] = json!(FOLDER);
        });
        if bench.executions("shop").is_empty() {
            bench.add("shop", &in_folder(&bench, &named), &pipeline).await;
        } else {
            bench.commit("shop", &in_folder(&bench, &named)).await;
        }
        let worker = bench.worker(&Plan::default());
        let execution = bench.release("shop");
        let outcome = bench.outcome(&execution, 3600).await;
        let told = worker.stop().await.human();
        let message = outcome.message("Deploy");
        assert!(
            message.starts_with("ConfigurationError: ") && message.contains("service.shop.task-definition"),
            "{named}: {message}\n{told}"
        );
        assert_eq!(outcome.services[0].revisions, 1, "{named}");
        assert_eq!(
            names_in_output(&bench, &execution).await,
            [
                "imagedefinitions.json",
                "services/web/slipway.toml",
                "slipway.source.json"
            ],
            "{named}"
        );
    }
}

/// The output has no links, so a path that leads through one would be another file's there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_behind_a_link_is_never_taken_for_another() {
    let bench = Bench::new(&Setup::default()).await;
    let pipeline = changed(declaration("shop", "QUEUED", true), |action| {
        action["configuration"]["Path"] = json!(FOLDER);
    });
    let definition = task_definition("shop").to_string();
    let source = in_folder(&bench, "link/../task.json")
        .file("other/task.json", &definition)
        .file("other/folder/empty", "")
        .file("services/web/task.json", &definition)
        .link("services/web/link", "../../other/folder");
    bench.add("shop", &source, &pipeline).await;
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    let outcome = bench.outcome(&execution, 3600).await;
    let told = worker.stop().await.human();
    let message = outcome.message("Deploy");
    assert!(message.starts_with("ConfigurationError: "), "{message}\n{told}");
    assert!(told.contains("leads elsewhere through a link"), "{told}");
    assert_eq!(outcome.services[0].revisions, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_serves_its_fleets_and_no_other() {
    let bench = Bench::new(&Setup::default()).await;
    let fleets = [FLEET, "green", "grey"];
    for fleet in fleets {
        let pipeline = changed(declaration(fleet, "QUEUED", false), |action| {
            action["configuration"]["Fleet"] = json!(fleet);
        });
        let source = Source::unchanged(&bench.services);
        bench.add(fleet, &source, &pipeline).await;
    }
    let worker = bench.worker(&Plan {
        fleets: fleets[..2].iter().map(|&fleet| fleet.to_owned()).collect(),
        ..Plan::default()
    });
    let [blue, green, grey] = fleets.map(|fleet| bench.release(fleet));
    for execution in [&blue, &green] {
        let outcome = bench.outcome(execution, 3600).await;
        assert_eq!(
            outcome.execution.status,
            ExecutionStatus::Succeeded,
            "{}\n{}",
            outcome.message("Deploy"),
            worker.told.human()
        );
    }
    worker.stop().await;
    let jobs = bench.jobs(|job| job.execution == grey);
    assert!(jobs.iter().all(|job| job.offers == 0), "{jobs:?}");
    assert_eq!(jobs.len(), 1);
}
