//! No secret of a job leaves by any door: canaries are planted wherever a secret can be, pipelines end well and badly, and
//! everything that a worker told, wrote, kept or reported is searched.

use crate::bench::canaries;
use crate::bench::place::s3;
use crate::bench::source::Source;
use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use crate::engine::wire::exchange;
use crate::search::{clean, files_below};
use bytes::Bytes;
use http::{Method, Request};
use slipway::pipeline::token::Continuation;
use slipway::sandbox::world::pipeline::ExecutionStatus;
use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::net::TcpListener;
use std::time::Duration;

/// What the sandbox gives out: secret keys and session tokens of jobs and roles, tokens of the registry.
const GIVEN: [&str; 3] = [
    "sandbox/secret/",
    "sandbox//session//token",
    "sandbox-registry-token",
];

/// What refusals say of the secrets that they repeat.
const SAID: &str = "is not wanted";

/// Everything that nothing may show.
fn secrets() -> Vec<&'static str> {
    [&canaries::ALL[..], &GIVEN].concat()
}

/// A port of loopback that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// What the worker answers; nothing before it listens and after it has ended.
pub async fn get(port: u16, path: &str) -> Option<String> {
    let host = format!("127.0.0.1:{port}");
    let answer = exchange(&host, Request::get(path), Bytes::new()).await.ok()?;
    Some(String::from_utf8_lossy(&answer.body).into_owned())
}

/// Runs a pipeline with a worker that logs at every level, and searches whatever comes of it.
async fn search(scenario: &str, dockerfile: Option<&str>, expected: ExecutionStatus) {
    for json in [false, true] {
        let setup = Setup {
            // Long enough for what was handed back to be looked at.
            scenario: "[codepipeline]\ncontinuation-seconds = 160\n".to_owned(),
            ..Setup::default()
        };
        let bench = Bench::with_pipeline(&setup).await;
        if let Some(dockerfile) = dockerfile {
            let source = Source::of(&bench.services, "2", "");
            bench.commit("shop", &source.file("Dockerfile", dockerfile)).await;
        }
        // Long enough to be looked at.
        bench.engine.build_takes(Duration::from_secs(20));
        bench.set_fault(scenario);
        let plan = Plan {
            health: Some(free_port()),
            json,
            // Then what is handed back is written down, too.
            roll_back_abandoned: json,
            ..Plan::default()
        };
        let mut worker = bench.process(&plan);
        let execution = bench.release("shop");
        let (secrets, mut seen, mut handed, mut heard) = (secrets(), 0, 0, BTreeMap::new());
        // What is on disk and in the metrics is searched while it is there.
        while !bench.is_over(&execution) {
            for (file, text) in bench.kept() {
                clean(&file.display().to_string(), &text, &secrets);
                let is_json = file.extension().is_some_and(|it| it == "json");
                let was_handed = file.components().any(|part| part.as_os_str() == "handed");
                seen += usize::from(is_json && !was_handed);
                handed += usize::from(is_json && was_handed);
            }
            for path in ["/metrics", "/", "/livez", "/readyz"] {
                if let Some(answer) = get(plan.health.unwrap(), path).await {
                    clean(path, &answer, &secrets);
                    *heard.entry(path).or_insert(0) += 1;
                }
            }
            bench.let_pass(2).await;
        }
        bench.set_fault("");
        let outcome = bench.look(&execution).await;
        let log = worker.log();
        assert_eq!(
            outcome.execution.status,
            expected,
            "{scenario} {dockerfile:?}: {} {}\n{log}",
            outcome.message("Build"),
            outcome.message("Deploy")
        );
        assert!(log.contains("claimed"), "{log}");
        assert!(
            heard.len() == 4 || expected == ExecutionStatus::Failed,
            "{heard:?}"
        );
        for token in outcome.jobs.iter().filter_map(|job| job.continuation.as_deref()) {
            let inside = Continuation::read(token).unwrap();
            clean("a token", &format!("{inside:?}"), &secrets);
        }
        if dockerfile.is_some() {
            assert!(log.contains("hello [secret]"), "the step prints it: {log}");
        }
        let is_noted = json && expected == ExecutionStatus::Succeeded;
        assert_eq!(handed > 0, is_noted, "{handed} looks at what was handed back");
        // A job that is refused at once is over before anybody looks.
        assert!(seen > 0 || expected == ExecutionStatus::Failed, "{log}");
        let reports = format!("{:?} {:?}", outcome.execution, outcome.jobs);
        clean("the reports", &reports, &secrets);
        worker.kill();
        search_files(&bench, &secrets);
        for run in outcome.execution.runs.iter().filter(|run| run.action == "Build") {
            for (_, bucket, key) in run.outputs.iter().filter(|_| outcome.artifact.is_some()) {
                let artifact = s3(
                    &bench.sandbox,
                    Method::GET,
                    &format!("/{bucket}/{key}"),
                    Bytes::new(),
                )
                .await;
                // slipway.toml goes along to the deploy; its value in clear is its author's.
                let secrets: Vec<&str> = secrets
                    .iter()
                    .copied()
                    .filter(|secret| *secret != canaries::TOML_VALUE)
                    .collect();
                clean_zip(&artifact, &secrets);
            }
        }
    }
}

/// Searches the worker's log, what it left in its folders, and the sandbox's journal.
fn search_files(bench: &Bench, secrets: &[&str]) {
    let files = files_below(bench.folder.path());
    let is_there = |end: &str| files.iter().any(|file| file.to_string_lossy().ends_with(end));
    assert!(is_there(".log") && is_there("journal.jsonl"), "{files:?}");
    for file in &files {
        // The Engine's socket is no file to read.
        let Ok(bytes) = std::fs::read(file) else {
            continue;
        };
        // What a scenario makes the sandbox say is not the sandbox's to hide.
        let text = String::from_utf8_lossy(&bytes);
        let is_journal = file == bench.journal_file();
        for line in text.lines().filter(|line| !(is_journal && line.contains(SAID))) {
            clean(&file.display().to_string(), line, secrets);
        }
    }
}

fn clean_zip(bytes: &[u8], secrets: &[&str]) {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        let mut text = Vec::new();
        entry.read_to_end(&mut text).unwrap();
        clean(&entry.name().unwrap(), &String::from_utf8_lossy(&text), secrets);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_that_succeeds_shows_no_secret() {
    search("", None, ExecutionStatus::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_fails_shows_none_even_if_it_prints_one() {
    let dockerfile = "FROM scratch\nARG NOTE\nRUN echo $NOTE\nRUN exit 7\n";
    search("", Some(dockerfile), ExecutionStatus::Failed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_that_repeat_what_they_were_sent_show_none() {
    let refusal = |service: &str, operation: &str| {
        format!(
            "[[fault]]\nservice = \"{service}\"\noperation = \"{operation}\"\naction = \"error\"\ncode = \"ClientException\"\n\
             status = 400\nmessage = \"TOKEN={} API_KEY={} {SAID}\"\n",
            canaries::PROPERTY,
            canaries::TASK_VALUE,
        )
    };
    for scenario in [
        refusal("ecs", "RegisterTaskDefinition"),
        refusal("ecs", "UpdateService"),
        "[[fault]]\nservice = \"s3\"\noperation = \"PutObject\"\naction = \"access-denied\"\n".to_owned(),
        "[[fault]]\nservice = \"ecr\"\noperation = \"GetAuthorizationToken\"\naction = \"access-denied\"\n"
            .to_owned(),
    ] {
        search(&scenario, None, ExecutionStatus::Failed).await;
    }
}
