//! The worker as a process: how it begins, what it serves and logs, and how it ends.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use crate::cli::{Bench, with_keys};
use crate::responder::{Asked, error, ok, serve};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

#[test]
fn every_problem_of_a_worker_is_told_before_anything_is_done() {
    let bench = Bench::new()
        .variable("SLIPWAY_JOBS", "many")
        .variable("SLIPWAY_FLEETS", "a");
    bench.golden(
        "worker-problems",
        "worker --action-type Test/Slipway/1 --poll-idle 1s --poll-busy 2s --health-listen localhost --fleet a.b",
    );
}

#[test]
fn a_probe_of_nobody_is_no_success() {
    let bench = Bench::new();
    let output = bench.run("worker --probe 127.0.0.1:1");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(20), "{text}");
    assert!(
        text.starts_with(
            "error: the worker is not known to be alive\n  cause: ask the worker at 127.0.0.1:1"
        )
    );
    let wrong = bench.run("worker --probe nowhere");
    assert_eq!(wrong.status.code(), Some(2));
    let both = bench.run("worker --probe 127.0.0.1:1 --jobs 3");
    assert_eq!(both.status.code(), Some(2));
}

/// The status and the body of a GET.
fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
}

/// An Engine that only says that it is there, as whoever polls for builds wants to know; the DOCKER_HOST to reach it.
fn engine() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK";
            // Whoever went away wants no answer.
            let _ = stream.get_mut().write_all(answer.as_bytes());
        }
    });
    host
}

/// Runs a worker with an empty queue until it is ready, then stops it; its objects of the log, what it answered at
/// `/metrics`, and its exit code.
fn run_until_ready(bench: &Bench, signal: Signal) -> (Vec<Value>, String, Option<i32>) {
    let line = "worker --state-dir state --work-dir work --health-listen 0 --log-format json --fleet team-a";
    let mut command = bench.command(line);
    let mut child = command
        .env("DOCKER_HOST", engine())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut objects: Vec<Value> = Vec::new();
    let mut next = || {
        let line = lines.next()?.unwrap();
        Some(serde_json::from_str::<Value>(&line).unwrap())
    };
    let address = loop {
        let object = next().unwrap();
        let text = object["text"].as_str().unwrap_or_default().to_owned();
        objects.push(object);
        if let Some(address) = text.strip_prefix("health and metrics: http://") {
            break address.trim_end_matches('/').to_owned();
        }
    };
    // Each question is answered, so that this is no loop without a wait.
    while get(&address, "/readyz").0 != "200" {}
    assert_eq!(get(&address, "/livez").0, "200");
    let probe = bench.run(&format!("worker --probe {address}"));
    assert_eq!((probe.status.code(), probe.stdout.len()), (Some(0), 0));
    let metrics = get(&address, "/metrics").1;
    kill_process(Pid::from_child(&child), signal).unwrap();
    objects.extend(std::iter::from_fn(next));
    (objects, metrics, child.wait().unwrap().code())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_ready_when_both_types_answer_and_a_signal_is_its_proper_end() {
    let (endpoint, asked) = serve(|_, _, _: &Asked| ok(json!({"jobs": []}))).await;
    let bench = with_keys(Bench::new(), &endpoint);
    let (objects, metrics, code) = tokio::task::spawn_blocking(move || run_until_ready(&bench, Signal::TERM))
        .await
        .unwrap();
    assert_eq!(code, Some(0), "{objects:?}");
    // Of a run that lasts, each line tells the time of day.
    for object in &objects {
        let time = object["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{object}");
    }
    assert_eq!(objects.last().unwrap()["event"], "done");
    for line in [
        "slipway_worker_slots{category=\"deploy\"} 20",
        "slipway_worker_jobs_in_flight{category=\"build\"} 0",
        "slipway_worker_draining 0",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line}\n{metrics}");
    }
    for id in ["Build/Slipway/1", "Deploy/Slipway/1"] {
        let polls = format!("slipway_worker_polls_total{{action_type=\"{id}\",result=\"empty\"}} ");
        assert!(metrics.contains(&polls), "{polls}\n{metrics}");
    }
    let poll: Value = serde_json::from_slice(&asked.bodies("PollForJobs")[0]).unwrap();
    assert_eq!(poll["queryParam"], json!({"Fleet": "team-a"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_that_it_asks_too_often_counts() {
    let (endpoint, asked) = serve(|_, _, _: &Asked| error("ThrottlingException", "slow down")).await;
    let bench = with_keys(Bench::new(), &endpoint);
    let (objects, metrics, code) = tokio::task::spawn_blocking(move || run_until_ready(&bench, Signal::TERM))
        .await
        .unwrap();
    assert_eq!(code, Some(0), "{objects:?}");
    let counted = metrics
        .lines()
        .find_map(|line| line.strip_prefix("slipway_worker_throttles_total{service=\"CodePipeline\"} "));
    let counted: usize = counted.unwrap().parse().unwrap();
    assert!(counted > 0 && counted <= asked.times("PollForJobs"), "{counted}");
}
