//! The main job on the real Engine: built, pushed, deployed and watched until it is healthy, or rolled back with its
//! cause named.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

use crate::support::{Busybox, docker};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The line that tells why the broken version is unhealthy.
const CAUSE: &str = "the database `orders` is unreachable";

/// A version serves its number; without `READY=yes` its health check finds nothing.
const STEPS: &str = r#"ARG VERSION=1
ARG READY=yes
RUN /bin/busybox mkdir -p /www && echo $VERSION > /www/index.html && if [ $READY = yes ]; then echo ok > /www/health; fi
ENV READY=$READY
ENTRYPOINT ["/bin/sh", "-c", "[ $READY = yes ] || echo CAUSE >&2; exec /bin/busybox httpd -f -p 8080 -h /www"]
"#;

/// What one dry run showed.
struct Run {
    status: Option<i32>,
    data: String,
    told: String,
}

/// Runs `slipway dry-run run` on a service of two tasks; its journal is kept for the referees.
fn dry_run(test: &str, builder: &str, args: &[&str]) -> Run {
    dry_run_of(test, builder, STEPS, "", args)
}

/// The same of another image, and with more in slipway.toml.
fn dry_run_of(test: &str, builder: &str, steps: &str, more: &str, args: &[&str]) -> Run {
    stages_of("run", test, builder, steps, more, args)
}

/// The same of other stages.
fn stages_of(stages: &str, test: &str, builder: &str, steps: &str, more: &str, args: &[&str]) -> Run {
    let app = Busybox::new(test, &steps.replace("CAUSE", &format!("'{CAUSE}'")));
    let config = format!(
        r#"region = "eu-west-1"
[image.web]
repository = "{test}"
builder = "{builder}"
tags = ["v2"]
args = {{ VERSION = "2" }}
[deploy]
cluster = "test"
timeout = "4m"
[service.web]
task-definition = "taskdef.json"
[dry-run]
before-args = {{ VERSION = "1", READY = "yes" }}
desired-count = 2
port = 8080
health-path = "/health"
requests-per-second = 20
{more}"#
    );
    fs::write(app.path().join("slipway.toml"), config).unwrap();
    fs::write(app.path().join("taskdef.json"), task_definition().to_string()).unwrap();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("journals");
    fs::create_dir_all(&folder).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(["dry-run", stages])
        .arg(app.path())
        .arg("--journal")
        .arg(folder.join(format!("engine-{test}.jsonl")))
        .args(args)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let owner = child.id().to_string();
    let output = child.wait_with_output().unwrap();
    for things in [
        ["ps", "--all"].as_slice(),
        ["network", "ls"].as_slice(),
        ["volume", "ls"].as_slice(),
    ] {
        let shown = docker(&[things, &["--format", "{{.Label \"slipway.owner\"}}"]].concat());
        let left = shown
            .lines()
            .filter(|line| line.split(' ').next() == Some(&owner));
        assert_eq!(left.count(), 0, "{things:?}");
    }
    Run {
        status: output.status.code(),
        data: String::from_utf8(output.stdout).unwrap(),
        told: String::from_utf8(output.stderr).unwrap(),
    }
}

fn task_definition() -> Value {
    json!({
        "family": "web",
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": "arn:aws:iam::000000000000:role/execution",
        "containerDefinitions": [{
            "name": "web",
            "image": "web",
            "portMappings": [{ "containerPort": 8080 }],
            "stopTimeout": 2,
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/web", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "web",
                "awslogs-create-group": "true" } },
        }],
    })
}

#[test]
fn a_version_that_is_healthy_replaces_the_last_and_no_request_is_lost() {
    for builder in ["buildkit", "classic"] {
        let run = dry_run(&format!("healthy-{builder}"), builder, &[]);
        assert_eq!(run.status, Some(0), "{builder}: {}", run.told);
        let deployed: Value = serde_json::from_str(&run.data).unwrap();
        assert_eq!(deployed["revision"], "web:2", "{builder}");
        for wanted in ["2 tasks proven to run sha256:", " requests, 0 lost; "] {
            assert!(run.told.contains(wanted), "{builder}, {wanted}: {}", run.told);
        }
    }
}

#[test]
fn a_version_whose_health_check_fails_is_rolled_back_and_its_last_words_are_shown() {
    let run = dry_run("broken", "auto", &["--build-arg", "READY=no"]);
    assert_eq!(run.status, Some(14), "{}", run.told);
    let (_, failure) = run.told.split_once("error: ").unwrap();
    for wanted in [CAUSE, "cause: ", "codes: [404]"] {
        assert!(failure.contains(wanted), "{wanted}: {}", run.told);
    }
    assert_eq!(run.data, "", "nothing was deployed");
}

/// A task that says where it migrates to, and which version's image it runs in.
const TASK: &str = r#"
[task.migrate]
command = ["/bin/sh", "-c", "echo migrating to $TO; cat /www/index.html; [ $TO != nowhere ] || exit 3"]
env = { web = { TO = "WHERE" } }
timeout = "2m"
"#;

/// The image's command, which a task replaces; an entry point would stay.
fn with_a_command() -> String {
    STEPS.replace("ENTRYPOINT", "CMD")
}

#[test]
fn a_task_runs_in_the_new_image_before_the_service_changes() {
    let run = dry_run_of(
        "task",
        "auto",
        &with_a_command(),
        &TASK.replace("WHERE", "three"),
        &[],
    );
    assert_eq!(run.status, Some(0), "{}", run.told);
    let at = |what: &str| {
        let found = run.told.find(what);
        found.unwrap_or_else(|| panic!("no `{what}`: {}", run.told))
    };
    assert!(
        at("migrate: | migrating to three") < at("migrate: | 2"),
        "{}",
        run.told
    );
    assert!(
        at("migrate: | 2") < at("migrate: done: container web ended with exit code 0"),
        "{}",
        run.told
    );
    assert!(
        at("migrate: done: ") < at("web: deployment ecs-svc/"),
        "{}",
        run.told
    );
    assert!(run.told.contains(", proven to run sha256:"), "{}", run.told);
    assert!(run.told.contains(" requests, 0 lost; "), "{}", run.told);
}

#[test]
fn a_task_that_fails_leaves_the_old_version_in_place() {
    let run = dry_run_of(
        "task-fails",
        "auto",
        &with_a_command(),
        &TASK.replace("WHERE", "nowhere"),
        &[],
    );
    assert_eq!(run.status, Some(18), "{}", run.told);
    let (_, failure) = run.told.split_once("error: ").unwrap();
    for wanted in [
        "task `migrate` failed, so no service was updated",
        "container web exited with code 3",
        "migrating to nowhere",
        "`web:1` serves as before; revision `web:2` is registered and not used",
    ] {
        assert!(failure.contains(wanted), "{wanted}: {}", run.told);
    }
    assert!(
        !run.told.contains("ecs-svc/"),
        "no deployment began: {}",
        run.told
    );
    assert_eq!(run.data, "", "nothing was deployed");
}

/// The same deploys by a worker, from jobs of a pipeline in the sandbox.
fn pipeline(test: &str, steps: &str) -> Run {
    let run = stages_of("pipeline", test, "auto", steps, "", &[]);
    assert!(run.told.contains("0 lost"), "{}", run.told);
    run
}

fn actions(run: &Run) -> Vec<Value> {
    let lines = run.data.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_pipeline_takes_a_folder_to_healthy_tasks_by_jobs_of_a_worker() {
    let run = pipeline("pipeline", STEPS);
    assert_eq!(run.status, Some(0), "{}", run.told);
    let actions = actions(&run);
    let of = |member: &str| -> Vec<&str> {
        let texts = actions.iter().map(|action| action[member].as_str().unwrap());
        texts.collect()
    };
    assert_eq!(of("stage"), ["Source", "Build", "Deploy"]);
    assert_eq!(of("status"), ["Succeeded"; 3]);
    assert_eq!(of("summary")[2], "healthy: web runs web:2");
    assert!(
        actions[2]["link"]
            .as_str()
            .unwrap()
            .contains("/clusters/test/services/web/"),
        "{actions:?}"
    );
    for said in [
        "handed back",
        "goes on from where it was handed back",
        "web: 2 tasks proven to run",
        "every job is closed",
    ] {
        assert!(run.told.contains(said), "{said}: {}", run.told);
    }
}

#[test]
fn a_pipeline_whose_deploy_fails_ends_as_the_deploy_does_and_tells_the_cause_to_codepipeline() {
    let broken = STEPS.replace("ARG READY=yes", "ARG READY=no");
    let run = pipeline("pipeline-broken", &broken);
    assert_eq!(run.status, Some(14), "{}", run.told);
    assert_eq!(run.data, "");
    assert!(
        run.told.contains("stage Deploy of the pipeline: Failed"),
        "{}",
        run.told
    );
    assert!(
        run.told.matches(CAUSE).count() >= 2,
        "in the log and in the pipeline: {}",
        run.told
    );
}
