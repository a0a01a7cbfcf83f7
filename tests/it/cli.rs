//! The real binary: what it prints where, and what it answers with.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use crate::golden;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// The binary in a folder of its own, with nothing of this machine's environment.
pub struct Bench {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// Keeps the AWS SDK from asking a metadata service that may not exist.
const NO_METADATA: (&str, &str) = ("AWS_EC2_METADATA_DISABLED", "true");

impl Bench {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: vec![(NO_METADATA.0.to_owned(), NO_METADATA.1.to_owned())],
        }
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(path), text).unwrap();
        self
    }

    /// The names of the files in its folder.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Everything that a run showed, in one text; what differs each time is replaced: the folder, ports, and how long it
    /// took.
    fn shown(&self, line: &str) -> String {
        let output = self.run(line);
        let folder = self.folder.path().canonicalize().unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(folder.to_str().unwrap(), "[folder]");
            without_ports(&without_elapsed(&without_times(&text)))
        };
        format!(
            "$ slipway {line}\n--- stdout\n{}--- stderr\n{}--- exit code {}\n",
            text(&output.stdout),
            text(&output.stderr),
            output.status.code().unwrap()
        )
    }

    pub fn golden(&self, name: &str, line: &str) {
        golden::check(&format!("tests/it/golden/{name}.txt"), &self.shown(line));
    }
}

/// `"elapsed_ms":12` becomes `"elapsed_ms":0`.
fn without_times(text: &str) -> String {
    const FIELD: &str = "\"elapsed_ms\":";
    let mut parts = text.split(FIELD);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += FIELD;
        out += "0";
        out += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out
}

/// The time that a line begins with becomes `  ...s`.
fn without_elapsed(text: &str) -> String {
    let line = |line: &str| match line.split_at_checked(6) {
        Some((time, rest)) if time.ends_with('s') && rest.starts_with("  ") => format!("  ...s{rest}"),
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// `127.0.0.1:43825` becomes `127.0.0.1:[port]`.
fn without_ports(text: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut parts = text.split(HOST);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += HOST;
        out += "[port]";
        out += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn short_help_fits_a_screen_each() {
    let bench = Bench::new();
    for verb in [
        "build",
        "deploy",
        "run",
        "dry-run",
        "sandbox",
        "explain",
        "worker",
        "action-type",
        "completions",
    ] {
        bench.golden(&format!("help-{verb}"), &format!("{verb} -h"));
    }
    bench.golden("help-action-type-register", "action-type register -h");
    bench.golden("help", "-h");
}

#[test]
fn the_version_is_data() {
    let output = Bench::new().run("--version");
    assert_eq!(
        output.stdout,
        format!("slipway {}\n", env!("CARGO_PKG_VERSION")).as_bytes()
    );
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn a_command_line_that_is_not_understood_says_what_was_meant() {
    let bench = Bench::new();
    bench.golden("usage-unknown-flag", "build --repositry shop/web");
    bench.golden("usage-unknown-verb", "biuld");
    bench.golden("usage-wrong-choice", "deploy --until later");
    bench.golden("usage-json", "--log-format json deploy --until later");
}

const MISTAKES: &str = r#"regoin = "eu-west-1"

[image.web]
repository = "shop/web:1"
args = { VERSION = "${build}" }
secrets = [{ id = "npm", env = "NPM_TOKEN" }]

[deploy]
timeout = "soon"

[service.shop-web]
env = "RELEASE=1"
"#;

#[test]
fn every_problem_of_the_configuration_is_reported_at_once() {
    let bench = Bench::new()
        .file("slipway.toml", MISTAKES)
        .variable("SLIPWAY_UNTIL", "later");
    bench.golden("config-problems", "run --platform amd64");
    bench.golden(
        "config-problems-json",
        "run --platform amd64 --log-format json -q",
    );
}

#[test]
fn broken_toml_names_its_line() {
    Bench::new()
        .file("slipway.toml", "[image.web]\nrepository = shop/web\n")
        .golden("config-broken-toml", "build");
}

#[test]
fn nothing_to_do_says_what_to_write() {
    let bench = Bench::new();
    bench.golden("nothing-to-build", "build");
    bench.golden("nothing-to-deploy", "deploy");
}

#[test]
fn a_folder_or_file_that_is_not_there_is_a_matter_of_usage() {
    let bench = Bench::new();
    bench.golden("no-folder", "build absent");
    bench.golden("no-config-file", "build --config absent.toml");
}

#[test]
fn a_log_format_that_does_not_exist_is_a_problem() {
    Bench::new()
        .variable("SLIPWAY_LOG_FORMAT", "xml")
        .golden("log-format", "build");
}

#[test]
fn without_a_region_or_credentials_nothing_is_done() {
    let stale = "imagedefinitions.json";
    let bench = Bench::new().file("Dockerfile", "FROM scratch").file(stale, "[]");
    let no_region = bench.run("build --repository web");
    assert!(
        !bench.folder.path().join(stale).exists(),
        "nothing stale is left to deploy"
    );
    assert_eq!(no_region.status.code(), Some(2));
    assert!(
        stderr(&no_region).starts_with("error: no AWS region is set\n"),
        "{}",
        stderr(&no_region)
    );
    assert!(stderr(&no_region).contains("left: nothing was built\n"));
    let no_keys = bench.run("build --repository web --region eu-west-1");
    assert_eq!(no_keys.status.code(), Some(2));
    assert!(
        stderr(&no_keys).starts_with("error: no AWS credentials were found\n"),
        "{}",
        stderr(&no_keys)
    );
}

#[test]
fn a_region_or_an_endpoint_that_is_none_is_told_before_anything_is_done() {
    for (name, value, said) in [
        ("AWS_REGION", "", "error: no AWS region is set\n"),
        ("AWS_REGION", "eu west", "error: `eu west` is no AWS region\n"),
        (
            "AWS_ENDPOINT_URL",
            "user:canary@garbage",
            "error: the endpoint URL of ECS is no http or https URL\n",
        ),
        (
            "AWS_ENDPOINT_URL_ECR",
            "garbage",
            "error: the endpoint URL of ECR is no http or https URL\n",
        ),
    ] {
        let bench = with_keys(Bench::new().file("imagedefinitions.json", DEFINITIONS), NOBODY);
        let output = bench.variable(name, value).run("deploy --cluster c --service s");
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{name}={value}: {text}");
        assert!(
            text.contains(said) && text.contains("hint: "),
            "{name}={value}: {text}"
        );
        assert!(!text.contains("canary"), "{text}");
    }
}

#[test]
fn a_service_that_the_file_does_not_have_is_the_only_problem() {
    let bench = Bench::new().file("slipway.toml", "[deploy]\ncluster = \"c\"\n[service.shop]\n");
    let output = bench.run("deploy --service nosuch");
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text.contains("`nosuch` is none of the services in the file: `shop`"),
        "{text}"
    );
    assert!(!text.contains("nothing to deploy to"), "{text}");
}

#[test]
fn a_configuration_without_an_end_is_refused() {
    let output = Bench::new().run("deploy --config /dev/zero");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("larger than 1 MiB"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn with_a_record_the_hint_to_run_again_names_another_file() {
    let fault = "[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\naction = \"http\"\n";
    let bench = Bench::new()
        .file("scenario.toml", fault)
        .file("imagedefinitions.json", DEFINITIONS);
    let line = "dry-run deploy --simulated --scenario scenario.toml --cluster c --service s";
    let again = "run the same command again";
    let plain = bench.run(line);
    assert!(stderr(&plain).contains(again), "{}", stderr(&plain));
    assert!(!stderr(&plain).contains("--record"), "{}", stderr(&plain));
    let recorded = bench.run(&format!("{line} --record run.jsonl"));
    let text = stderr(&recorded);
    assert!(
        text.contains(again) && text.contains("name another file for `--record` then: `run.jsonl`"),
        "{text}"
    );
    // A run that was killed before its first look leaves only the first line.
    let whole = fs::read_to_string(bench.folder.path().join("run.jsonl")).unwrap();
    let bench = bench.file("head.jsonl", &format!("{}\n", whole.lines().next().unwrap()));
    let nothing = bench.run("explain head.jsonl");
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(3), 0));
    assert!(
        stderr(&nothing).contains("holds nothing that could be explained"),
        "{}",
        stderr(&nothing)
    );
}

#[test]
fn a_dry_run_knows_the_tags_of_ecr_and_says_so_of_others() {
    let line = "dry-run deploy --simulated --region eu-west-1 --cluster c --service s";
    let ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/web";
    let entry = |name: &str, image: &str| format!(r#"{{"name": "{name}", "imageUri": "{image}"}}"#);
    let known = [
        format!("[{}]", entry("web", &format!("{ecr}:v42"))),
        format!(
            "[{}, {}]",
            entry("web", &format!("{ecr}:v42")),
            entry("side", &format!("{ecr}:v42"))
        ),
        format!(
            "[{}, {}]",
            entry("web", ecr),
            entry("side", &format!("{ecr}:v42"))
        ),
    ];
    for definitions in known {
        let output = Bench::new().file("imagedefinitions.json", &definitions).run(line);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{definitions}: {text}");
        assert!(
            text.contains(&format!("is now `{ecr}@sha256:")),
            "{definitions}: {text}"
        );
    }
    let elsewhere = ecr.replace("eu-west-1", "us-east-1");
    for image in ["nginx:1.27", &format!("{elsewhere}:v42")] {
        let definitions = format!("[{}]", entry("web", image));
        let output = Bench::new().file("imagedefinitions.json", &definitions).run(line);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(11), "{image}: {text}");
        assert!(
            text.contains("a dry run asks no real registry"),
            "{image}: {text}"
        );
    }
}

#[test]
fn a_build_for_a_registry_outside_aws_needs_neither_region_nor_credentials() {
    let bench = Bench::new()
        .file("Dockerfile", "FROM scratch")
        .variable("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let no_engine = bench.run("build --repository localhost:5000/web");
    assert_eq!(no_engine.status.code(), Some(20));
    assert!(
        stderr(&no_engine).starts_with("error: no Docker Engine runs here"),
        "{}",
        stderr(&no_engine)
    );
    let stored = bench.run("build --repository localhost:5000/web --artifact s3://bucket/key");
    assert_eq!(stored.status.code(), Some(2), "{}", stderr(&stored));
    assert!(stderr(&stored).starts_with("error: no AWS region is set\n"));
}

#[test]
fn a_strange_variable_is_warned_of_and_does_not_stop_the_run() {
    let bench = Bench::new().variable("SLIPWAY_CLUSTERS", "prod");
    let output = bench.run("build --repository web --log-format json");
    let first = stderr(&output).lines().next().unwrap().to_owned();
    let event: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(event["event"], "warning");
    assert!(
        event["text"]
            .as_str()
            .unwrap()
            .contains("did you mean `SLIPWAY_CLUSTER`?"),
        "{event}"
    );
}

#[test]
fn a_secret_never_appears_not_even_verbosely() {
    let file = "[image.web]\nrepository = \"web\"\nsecrets = [{ id = \"npm\", env = \"NPM_TOKEN\" }]\n";
    let bench = Bench::new()
        .file("slipway.toml", file)
        .variable("NPM_TOKEN", "canary-value");
    for line in [
        "build -v",
        "build -v --log-format json",
        "build -v --platform wrong",
    ] {
        let output = bench.run(line);
        let all = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(!all.is_empty() && !all.contains("canary-value"), "{all}");
    }
}

#[test]
fn colours_are_used_when_asked_for_and_not_in_a_log() {
    let bench = Bench::new();
    assert!(stderr(&bench.run("build --color always")).starts_with("\u{1b}[1;31merror:\u{1b}[0m "));
    assert!(stderr(&bench.run("build")).starts_with("error: "));
}

#[test]
fn completions_know_the_verbs() {
    let output = Bench::new().run("completions bash");
    let script = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0));
    assert!(script.contains("dry-run") && script.contains("--imagedefinitions"));
}

/// Static keys, and an address of ours in place of every service's.
pub fn with_keys(bench: Bench, endpoint: &str) -> Bench {
    bench
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "canary-key")
        .variable("AWS_REGION", "eu-west-1")
        .variable("AWS_ENDPOINT_URL", endpoint)
}

#[test]
fn an_action_type_is_printed_without_aws_and_never_deleted_by_mistake() {
    let bench = Bench::new();
    bench.golden(
        "action-type-json",
        "action-type print --category deploy --region eu-west-1",
    );
    bench.golden(
        "action-type-cloudformation",
        "action-type print --format cloudformation",
    );
    bench.golden("action-type-no-region", "action-type print");
    bench.golden(
        "action-type-wrong",
        "action-type print --region eu-west-1 --version 1234567890 --log-url https://logs.example.com/{Job}",
    );
    bench.golden(
        "action-type-delete",
        "action-type delete Deploy/Slipway/1 Build/Slipway/1",
    );
}

/// An address where nobody listens; no run that gets an input wrong may ask it anything.
const NOBODY: &str = "http://127.0.0.1:1";

#[test]
fn an_input_that_is_missing_or_wrong_is_told_before_aws_is_asked() {
    with_keys(Bench::new(), NOBODY).golden("no-imagedefinitions", "deploy --cluster c --service s");
    for text in ["", "{\"ImageURI\": \"web\"}", "[{\"name\":\"web\"}]"] {
        let bench = with_keys(Bench::new().file("imagedefinitions.json", text), NOBODY);
        let output = bench.run("deploy --cluster c --service s");
        assert_eq!(output.status.code(), Some(3), "{text}: {}", stderr(&output));
    }
}

const DEFINITIONS: &str = r#"[{"name":"web","imageUri":"localhost:5000/web@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]"#;

/// A far end that takes connections and never answers; each connection is announced.
fn silent_far_end() -> (String, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (announce, connections) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            if announce.send(connection).is_err() {
                break;
            }
        }
    });
    (address, connections)
}

#[test]
fn signals_end_a_run_that_hangs_with_their_own_exit_codes() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (address, connections) = silent_far_end();
        let bench = with_keys(Bench::new().file("imagedefinitions.json", DEFINITIONS), &address);
        let mut command = bench.command("deploy --cluster c --service s");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let _connection = connections.recv_timeout(Duration::from_secs(60)).unwrap();
        let mut told = String::new();
        kill_process(pid, signal).unwrap();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            // Each warning means that one more signal was heard; a run that ended meanwhile needs none.
            if line.contains("warning: ") {
                let _ = kill_process(pid, signal);
            }
            told += &(line + "\n");
        }
        assert_eq!(child.wait().unwrap().code(), Some(code), "{told}");
        assert!(
            told.contains("stopping at the next safe point") && told.contains("\nerror: "),
            "{told}"
        );
    }
}

/// Runs a line with a stdout or stderr that nobody reads.
fn with_closed(line: &str, close: fn(&mut Command, Stdio)) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let bench = Bench::new();
    let mut command = bench.command(line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    close(&mut command, writer.into());
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_closed_stdout_is_a_failure_that_says_so() {
    for line in ["completions bash", "--version", "build --help"] {
        let output = with_closed(line, |command, pipe| {
            command.stdout(pipe);
        });
        assert_eq!(output.status.code(), Some(17), "{line}");
        let text = stderr(&output);
        assert!(
            text.starts_with("error: the result could not be written to stdout\n  cause: Broken pipe"),
            "{text}"
        );
    }
}

#[test]
fn a_full_disk_behind_stdout_is_a_failure_that_says_so() {
    let bench = Bench::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = bench.command("completions bash").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(17));
    assert!(
        stderr(&output).contains("No space left on device"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_closed_stderr_changes_no_exit_code() {
    for (line, code) in [
        ("build", 2),
        ("build --log-format json", 2),
        ("biuld", 2),
        ("build -v --repository web --region eu-west-1", 3),
        ("completions bash", 0),
    ] {
        let output = with_closed(line, |command, pipe| {
            command.stderr(pipe);
        });
        assert_eq!(output.status.code(), Some(code), "{line}");
    }
}
