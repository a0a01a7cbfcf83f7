//! No secret leaves by any door: canaries are planted wherever a secret can be, the real binary runs well and badly,
//! and everything that it printed or left in a file is searched.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use crate::sandbox_support;
use crate::search::{clean, files_below};
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Values of the environment of tasks: nothing may show them.
const TASK_VALUES: [&str; 3] = ["canary-file-env", "canary-toml-env", "canary-substituted"];

/// Credentials: nothing may show them.
const CREDENTIALS: [&str; 6] = [
    "AKIACANARY",
    "canary-secret-key",
    "canary-session-token",
    "canary-build-secret",
    "canary-registry-password",
    // `me:canary-registry-password`, as Docker's configuration stores it.
    "bWU6Y2FuYXJ5LXJlZ2lzdHJ5LXBhc3N3b3Jk",
];

const CONFIG: &str = r#"
[image.web]
repository = "registry.invalid/web"
secrets = [{ id = "npm", env = "NPM_TOKEN" }]

[deploy]
cluster = "prod"
timeout = "5m"

[service.shop]
task-definition = "taskdef.json"
env.web = { DB_PASSWORD = "canary-toml-env", TOKEN = "${env:TASK_TOKEN}" }
"#;

const DEFINITIONS: &str = r#"[{"name":"web","imageUri":"registry.invalid/web@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]"#;

/// A folder with a canary in every place.
struct Bench {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Bench {
    fn new() -> Self {
        let task_definition = json!({
            "family": "shop",
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": "arn:aws:iam::000000000000:role/ecsTaskExecutionRole",
            "containerDefinitions": [{
                "name": "web",
                "image": "web",
                "essential": true,
                "environment": [{ "name": "API_KEY", "value": "canary-file-env" }],
                "logConfiguration": { "logDriver": "awslogs", "options": {
                    "awslogs-group": "/ecs/shop", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "ecs" } },
            }],
        });
        let docker = json!({ "auths": { "registry.invalid": { "auth": CREDENTIALS[5] } } });
        let bench = Self {
            folder: tempfile::tempdir().unwrap(),
            variables: vec![
                ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
                ("AWS_REGION", "eu-west-1".to_owned()),
                ("AWS_ACCESS_KEY_ID", "AKIACANARY".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "canary-secret-key".to_owned()),
                ("AWS_SESSION_TOKEN", "canary-session-token".to_owned()),
                ("NPM_TOKEN", "canary-build-secret".to_owned()),
                ("TASK_TOKEN", "canary-substituted".to_owned()),
                ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
                // Whatever the libraries would like to tell, if anybody listened.
                ("RUST_LOG", "trace".to_owned()),
            ],
        };
        fs::create_dir(bench.path("temporary")).unwrap();
        fs::create_dir(bench.path(".docker")).unwrap();
        bench
            .file("slipway.toml", CONFIG)
            .file("taskdef.json", &task_definition.to_string())
            .file("imagedefinitions.json", DEFINITIONS)
            .file(".docker/config.json", &docker.to_string())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.path("temporary"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a line in both formats, and searches everything that comes of it.
    fn search(&self, line: &str, code: i32, expected: &str) {
        for format in ["human", "json"] {
            let line = format!("{line} -v --log-format {format}");
            let output = self.command(&line).output().unwrap();
            let told = told(&output);
            assert_eq!(output.status.code(), Some(code), "{line}\n{told}");
            assert!(told.contains(expected), "{line}\n{told}");
            clean(&line, &told, &TASK_VALUES);
            clean(&line, &told, &CREDENTIALS);
            self.search_files();
        }
    }

    /// Searches every file but those that the test wrote.
    fn search_files(&self) {
        let inputs = ["slipway.toml", "taskdef.json", ".docker/config.json"].map(|name| self.path(name));
        for file in files_below(self.folder.path()) {
            if inputs.contains(&file) {
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
            let name = file.display().to_string();
            clean(&name, &text, &CREDENTIALS);
            clean(&name, &text, &TASK_VALUES);
        }
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

const DRY_RUN: &str = "dry-run deploy --simulated --journal journal.jsonl";

#[test]
fn a_deploy_that_succeeds_shows_no_secret_and_neither_does_its_journal() {
    let bench = Bench::new();
    bench.search(DRY_RUN, 0, "\"service\":\"shop\"");
    let journal = fs::read_to_string(bench.path("journal.jsonl")).unwrap();
    for name in ["API_KEY", "DB_PASSWORD", "TOKEN"] {
        let variable = format!(r#"{{\"name\":\"{name}\",\"value\":\"[removed]\"}}"#);
        assert!(
            journal.contains(&variable),
            "`{variable}` was deployed: {journal}"
        );
    }
    assert!(
        journal.contains("\"authorization\":\"[removed]\""),
        "requests are signed"
    );
}

#[test]
fn a_capture_holds_no_secret_and_its_explanation_shows_none() {
    for (name, scenario, code) in [
        ("good", "", 0),
        (
            "bad",
            "[[fate]]\nfamily = \"shop\"\nrevision = 2\nlines = [\"no database\"]\ncrash = { exit-code = 3 }\n",
            14,
        ),
    ] {
        let bench = Bench::new().file("scenario.toml", scenario);
        let line = format!("{DRY_RUN} --scenario scenario.toml --record {name}.jsonl");
        let output = bench.command(&line).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        let capture = fs::read_to_string(bench.path(&format!("{name}.jsonl"))).unwrap();
        assert!(
            capture.contains(r#"{"name":"API_KEY","value":"[removed]"}"#),
            "{capture}"
        );
        assert!(
            capture.contains(r#"{"name":"DB_PASSWORD","value":"[removed]"}"#),
            "{capture}"
        );
        bench.search(
            &format!("explain {name}.jsonl --timeline"),
            0,
            "\"service\":\"shop\"",
        );
    }
}

#[test]
fn a_deploy_that_fails_shows_no_secret() {
    for (scenario, code, expected) in [
        (
            "[[fate]]\nfamily = \"shop\"\nrevision = 2\nlines = [\"no database\"]\ncrash = { exit-code = 3 }\n",
            14,
            "no database",
        ),
        (
            "[[fault]]\noperation = \"RegisterTaskDefinition\"\nnth = 2\naction = \"error\"\ncode = \
             \"ClientException\"\nmessage = \"the words of ECS\"\nstatus = 400\n",
            12,
            "the words of ECS",
        ),
        (
            "[[fault]]\noperation = \"UpdateService\"\naction = \"access-denied\"\n",
            12,
            "ecs:UpdateService",
        ),
        (
            "[[fault]]\noperation = \"RegisterTaskDefinition\"\nfrom = 2\nto = 99\naction = \"http\"\nstatus = 502\n",
            20,
            "ecs:RegisterTaskDefinition",
        ),
    ] {
        let bench = Bench::new().file("scenario.toml", scenario);
        bench.search(&format!("{DRY_RUN} --scenario scenario.toml"), code, expected);
    }
}

#[test]
fn a_task_that_is_run_shows_no_secret() {
    const TASK: &str = r#"
[task.migrate]
command = ["./manage", "migrate"]
env.web = { KEY = "canary-toml-env", TOKEN = "${env:TASK_TOKEN}" }
"#;
    for (scenario, code, expected) in [
        ("", 0, "\"service\":\"shop\""),
        (
            "[[fate]]\ngroup = \"task:migrate\"\ncrash = { exit-code = 3 }\n",
            18,
            "exited with code 3",
        ),
        (
            "[[fault]]\noperation = \"RunTask\"\naction = \"error\"\ncode = \"InvalidParameterException\"\n\
             message = \"the words of ECS\"\nstatus = 400\n",
            12,
            "the words of ECS",
        ),
        (
            "[[fault]]\noperation = \"RunTask\"\naction = \"lost-answer\"\n",
            17,
            "unknown whether the task runs",
        ),
    ] {
        let bench = Bench::new()
            .file("slipway.toml", &format!("{CONFIG}{TASK}"))
            .file("scenario.toml", scenario);
        bench.search(&format!("{DRY_RUN} --scenario scenario.toml"), code, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_own_keys_sign_requests_and_are_never_shown() {
    let bench = Bench::new();
    let sandbox = sandbox_support::start_with("", Some(bench.path("journal.jsonl"))).await;
    let bench = bench.variable("AWS_ENDPOINT_URL", sandbox.endpoint());
    bench.search("deploy", 12, "Cluster not found");
    let journal = fs::read_to_string(bench.path("journal.jsonl")).unwrap();
    assert!(
        journal.contains("\"x-amz-security-token\":\"[removed]\""),
        "{journal}"
    );
}

#[test]
fn a_configuration_with_mistakes_shows_no_value() {
    for (line, written, code, expected) in [
        (
            "TOKEN = \"${env:TASK_TOKEN}\"",
            "TOKEN = \"a${canary-toml-env\"",
            2,
            "no closing brace",
        ),
        (
            "TOKEN = \"${env:TASK_TOKEN}\"",
            "TOKEN = \"a${canary-toml-env}\"",
            2,
            "names no variable",
        ),
        (
            "TOKEN = \"${env:TASK_TOKEN}\"",
            "TOKEN = [\"canary-toml-env\"]",
            2,
            "found a table",
        ),
        ("\"canary-toml-env\"", "canary-toml-env", 2, "slipway.toml"),
        ("\"canary-toml-env\"", "\"canary-toml-env", 2, "slipway.toml"),
    ] {
        let config = CONFIG.replace(line, written);
        assert_ne!(config, CONFIG);
        Bench::new()
            .file("slipway.toml", &config)
            .search(DRY_RUN, code, expected);
    }
    for task_definition in [
        "{\"family\": \"shop\", \"canary-file-env\"",
        "[\"canary-file-env\"]",
        "{\"family\": \"shop\", \"containerDefinitions\": \"canary-file-env\"}",
        "{\"family\": \"shop\", \"containerDefinitions\": [{\"name\": \"web\", \"environment\": [\"canary-file-env\"]}]}",
    ] {
        let bench = Bench::new().file("taskdef.json", task_definition);
        let output = bench.command(DRY_RUN).output().unwrap();
        assert_ne!(output.status.code(), Some(0));
        clean(task_definition, &told(&output), &TASK_VALUES);
    }
}

#[test]
fn a_docker_configuration_with_mistakes_shows_no_password() {
    for config in [
        r#"{"auths": {"registry.invalid": "canary-registry-password"}}"#,
        r#"{"auths": {"registry.invalid": {"auth": "canary-registry-password"#,
    ] {
        let bench = Bench::new()
            .file("Dockerfile", "FROM scratch\n")
            .file(".docker/config.json", config);
        bench.search("build", 2, "cannot be understood");
    }
}
