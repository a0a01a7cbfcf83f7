//! What becomes of tasks on a real Engine.

use super::bench::{Bench, docker};
use bollard::query_parameters::InspectContainerOptions;
use serde_json::{Value, json};
use slipway::sandbox::world::orders::{CheckOutcome, ContainerHealth, Fact};

/// A container that runs a shell script.
fn shell(name: &str, script: &str, more: &Value) -> Value {
    let mut definition = json!({
        "name": name, "image": "web:1", "command": ["/bin/sh", "-c", script], "stopTimeout": 2
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        definition[key] = value.clone();
    }
    definition
}

/// A script that serves `/www` on port 8080, and ends with exit code 7 when it is asked to.
const SERVE: &str = "trap 'echo bye; exit 7' TERM; echo serving; httpd -f -p 8080 -h /www & wait";

fn is_line(fact: &Fact, wanted: &str) -> bool {
    matches!(fact, Fact::LogLine { line, .. } if line == wanted)
}

fn exit_of(facts: &[Fact], wanted: &str) -> Option<(i64, bool)> {
    facts.iter().find_map(|fact| match fact {
        Fact::ContainerExited {
            container,
            code,
            out_of_memory,
            ..
        } if container == wanted => Some((*code, *out_of_memory)),
        _ => None,
    })
}

fn refusal(facts: &[Fact]) -> (String, String) {
    match facts.last() {
        Some(Fact::ContainerRefused {
            container, reason, ..
        }) => (container.clone(), reason.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_task_runs_serves_and_stops() {
    let mut bench = Bench::start("serves").await;
    let image = format!("web:1@{}", bench.image.digest);
    bench.run("a1", &[shell("web", SERVE, &json!({"image": image}))]);
    let seen = bench.until(|fact| is_line(fact, "serving")).await;
    let [
        Fact::Address { address, .. },
        Fact::PullStarted { .. },
        Fact::PullStopped { digests, .. },
        Fact::ContainerStarted { .. },
        Fact::LogLine { .. },
    ] = seen.as_slice()
    else {
        panic!("{seen:#?}")
    };
    assert_eq!(*digests, [("web".to_owned(), bench.image.digest.clone())]);
    let address = address.to_string();
    // The line comes before the server listens.
    let mut outcome = bench.check(&address, 8080, "/").await;
    while outcome == CheckOutcome::Refused {
        outcome = bench.check(&address, 8080, "/").await;
    }
    assert_eq!(outcome, CheckOutcome::Status(200));
    assert_eq!(
        bench.check(&address, 8080, "/absent").await,
        CheckOutcome::Status(404)
    );
    assert_eq!(bench.check(&address, 8081, "/").await, CheckOutcome::Refused);
    let seen = bench.end("a1").await;
    assert!(
        is_line(&seen[0], "bye"),
        "the last lines come before the end: {seen:#?}"
    );
    assert_eq!(exit_of(&seen, "web"), Some((7, false)));
    bench.finish().await;
}

#[tokio::test]
async fn a_container_that_does_not_end_is_killed_and_the_images_check_is_ignored() {
    let mut bench = Bench::start("stubborn").await;
    bench.run(
        "a1",
        &[shell(
            "web",
            "trap '' TERM; echo up; while :; do sleep 1; done",
            &json!({}),
        )],
    );
    bench.until(|fact| is_line(fact, "up")).await;
    let seen = bench.end("a1").await;
    assert_eq!(exit_of(&seen, "web"), Some((137, false)));
    let checked = seen
        .iter()
        .any(|fact| matches!(fact, Fact::ContainerHealth { .. }));
    assert!(!checked, "the image's check is not the task's: {seen:#?}");
    bench.finish().await;
}

#[tokio::test]
async fn health_changes_are_told_both_ways() {
    let mut bench = Bench::start("health").await;
    let script = "touch /tmp-well; echo up; sleep 4; rm /tmp-well; while :; do sleep 1; done";
    let check = json!({"healthCheck": {
        "command": ["CMD-SHELL", "test -e /tmp-well"], "interval": 1, "timeout": 2, "retries": 2
    }});
    bench.run("a1", &[shell("web", script, &check)]);
    for wanted in [ContainerHealth::Healthy, ContainerHealth::Unhealthy] {
        bench
            .until(|fact| matches!(fact, Fact::ContainerHealth { health, .. } if *health == wanted))
            .await;
    }
    bench.end("a1").await;
    bench.finish().await;
}

#[tokio::test]
async fn a_crash_is_told_with_its_last_line_and_code() {
    let mut bench = Bench::start("crash").await;
    bench.run("a1", &[shell("web", "echo cannot bind >&2; exit 3", &json!({}))]);
    let seen = bench
        .until(|fact| matches!(fact, Fact::ContainerExited { .. }))
        .await;
    assert_eq!(exit_of(&seen, "web"), Some((3, false)));
    assert!(is_line(&seen[seen.len() - 2], "cannot bind"), "{seen:#?}");
    assert_eq!(
        bench.end("a1").await,
        [Fact::TaskGone {
            task: "a1".to_owned()
        }]
    );
    bench.finish().await;
}

#[tokio::test]
async fn a_container_without_enough_memory_is_killed_for_it() {
    let mut bench = Bench::start("memory").await;
    let script = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done";
    bench.run("a1", &[shell("web", script, &json!({"memory": 16}))]);
    let seen = bench
        .until(|fact| matches!(fact, Fact::ContainerExited { .. }))
        .await;
    // Not every Engine hears of it: 28.5 on cgroups v1 does not, and nobody else could know.
    let id = seen.iter().find_map(|fact| match fact {
        Fact::ContainerStarted { runtime_id, .. } => Some(runtime_id),
        _ => None,
    });
    let inspected = docker()
        .await
        .inspect_container(id.unwrap(), None::<InspectContainerOptions>)
        .await;
    let killed = inspected.unwrap().state.unwrap().oom_killed.unwrap();
    assert_eq!(exit_of(&seen, "web"), Some((137, killed)));
    bench.end("a1").await;
    bench.finish().await;
}

#[tokio::test]
async fn what_cannot_start_is_refused_in_the_agents_words() {
    let mut bench = Bench::start("refused").await;
    let secret = json!([{"name": "DB", "valueFrom": "/db"}]);
    for (task, definition, words) in [
        (
            "a1",
            json!({"name": "web", "image": "web:absent"}),
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref ",
        ),
        (
            "a2",
            json!({"name": "web", "image": "web:1", "command": ["/absent"]}),
            "CannotStartContainerError: Error response from daemon: ",
        ),
        (
            "a3",
            json!({"name": "web", "image": "web:1", "secrets": secret}),
            "ResourceInitializationError: unable to pull secrets or registry auth: ",
        ),
    ] {
        bench.run(task, &[definition]);
        let seen = bench
            .until(|fact| matches!(fact, Fact::ContainerRefused { .. }))
            .await;
        let (container, reason) = refusal(&seen);
        assert_eq!(container, "web");
        assert!(reason.starts_with(words), "{reason}");
        bench.end(task).await;
    }
    bench.finish().await;
}

#[tokio::test]
async fn containers_of_a_task_share_its_network_and_volumes_and_wait_for_each_other() {
    let mut bench = Bench::start("together").await;
    let depends = |on: &str, condition: &str| json!([{"containerName": on, "condition": condition}]);
    let mount = json!([{"sourceVolume": "data", "containerPath": "/data"}]);
    let check = json!({"command": ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"], "interval": 1});
    bench.run_with(
        "a1",
        json!({"family": "web", "volumes": [{"name": "data"}]}),
        &[
            shell(
                "last",
                "cat /data/note; wget -q -O - http://127.0.0.1:8080/; echo done",
                &json!({"dependsOn": depends("web", "HEALTHY"), "mountPoints": mount}),
            ),
            shell(
                "web",
                SERVE,
                &json!({"dependsOn": depends("first", "SUCCESS"), "healthCheck": check}),
            ),
            shell(
                "first",
                "echo from first > /data/note",
                &json!({"mountPoints": mount}),
            ),
        ],
    );
    let seen = bench
        .until(|fact| matches!(fact, Fact::ContainerExited { container, .. } if container == "last"))
        .await;
    let started: Vec<_> = seen
        .iter()
        .filter_map(|fact| match fact {
            Fact::ContainerStarted { container, .. } => Some(container.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(started, ["first", "web", "last"]);
    let said: Vec<_> = seen
        .iter()
        .filter_map(|fact| match fact {
            Fact::LogLine { container, line, .. } if container == "last" => Some(line.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said, ["from first", "hi", "done"]);
    bench.end("a1").await;
    bench.finish().await;
}

#[tokio::test]
async fn a_dependency_that_fails_refuses_the_container() {
    let mut bench = Bench::start("depends").await;
    let depends = json!({"dependsOn": [{"containerName": "first", "condition": "SUCCESS"}]});
    bench.run(
        "a1",
        &[
            shell("first", "exit 4", &json!({})),
            shell("web", "echo never", &depends),
        ],
    );
    let seen = bench
        .until(|fact| matches!(fact, Fact::ContainerRefused { .. }))
        .await;
    assert_eq!(exit_of(&seen, "first"), Some((4, false)));
    let words =
        "TaskDependencyError: container web cannot start: container first ended before it was SUCCESS";
    assert_eq!(refusal(&seen), ("web".to_owned(), words.to_owned()));
    bench.end("a1").await;
    bench.finish().await;
}

#[tokio::test]
async fn a_task_that_is_stopped_at_once_is_gone() {
    let mut bench = Bench::start("atonce").await;
    bench.run("a1", &[shell("web", SERVE, &json!({}))]);
    bench.end("a1").await;
    bench.stop_task("a1");
    let seen = bench.until(|fact| matches!(fact, Fact::TaskGone { .. })).await;
    assert_eq!(seen.len(), 1, "a task that is gone is gone again: {seen:?}");
    bench.finish().await;
}
