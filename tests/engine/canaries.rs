//! No secret leaves by any door of a build: canaries are planted wherever a build can hold one, the real binary runs
//! on a real Engine well and badly, and everything that it printed, left in a file or showed in `/proc` is searched.

use crate::search::{clean, files_below};
use crate::support::{Busybox, Images, Registry, docker, docker_variables, unique};
use serde_json::json;
use slipway::clock::Clock;
use slipway::sandbox::scenario::Scenario;
use slipway::sandbox::server::{Options, Sandbox, Tasks};
use slipway::sandbox::world::ecs::Timings;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Values that nothing may show. A build argument is public in the image, and still none of our log's business.
const CANARIES: [&str; 8] = [
    "AKIACANARY",
    "canary-secret-key",
    "canary-session-token",
    "canary-from-variable",
    "canary-from-file",
    "canary-argument",
    // The password of the private registry, and `me:canary` as Docker's configuration stores it.
    "bWU6Y2FuYXJ5",
    "\"canary\"",
];

/// What each step of a build may print, but for what it prints itself.
const GOOD: &str = "ARG TOKEN\nRUN --mount=type=secret,id=variable --mount=type=secret,id=file \
                    busybox wc -c < /run/secrets/variable && busybox wc -c < /run/secrets/file && echo $TOKEN | busybox wc -c\n";
const BAD: &str =
    "ARG TOKEN\nRUN --mount=type=secret,id=variable,required=true test -z \"$TOKEN\" && echo never\n";

struct Bench {
    root: Busybox,
    home: tempfile::TempDir,
}

impl Bench {
    /// A context of its own, a home with a credential helper that logs what it can see of its parent.
    fn new(test: &str, steps: &str, registry: &str) -> Self {
        let bench = Self {
            root: Busybox::new(test, steps),
            home: tempfile::tempdir().unwrap(),
        };
        for folder in [".docker", "bin", "temporary"] {
            fs::create_dir(bench.path(folder)).unwrap();
        }
        let helper = bench.path("bin/docker-credential-spy");
        let script = format!(
            "#!/bin/sh\ntr '\\0' ' ' < /proc/$PPID/cmdline >> {log}\ntr '\\0' ' ' < /proc/$$/cmdline >> {log}\n\
             printf '{{\"Username\":\"me\",\"Secret\":\"canary\"}}'\n",
            log = bench.path("command-lines").display()
        );
        fs::write(&helper, script).unwrap();
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
        let config = json!({
            "auths": { "other.invalid": { "auth": "bWU6Y2FuYXJ5" } },
            "credHelpers": { registry: "spy" },
        });
        fs::write(bench.path(".docker/config.json"), config.to_string()).unwrap();
        fs::write(bench.path("token"), "canary-from-file").unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Builds in both formats, and searches everything that comes of it.
    async fn search(&self, repository: &str, endpoint: &str, code: i32, expected: &str) {
        for format in ["human", "json"] {
            let mut command = tokio::process::Command::from(self.command(repository, endpoint, format));
            let output = command.output().await.unwrap();
            let told =
                String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
            assert_eq!(output.status.code(), Some(code), "{told}");
            assert!(told.contains(expected), "{told}");
            clean("the output", &told, &CANARIES);
            let inputs = BTreeSet::from([
                self.path(".docker/config.json"),
                self.path("token"),
                self.path("bin/docker-credential-spy"),
            ]);
            for file in files_below(self.home.path()).difference(&inputs) {
                let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
                // The argument was given on the command line, by the caller.
                let text = text.replace("TOKEN=canary-argument", "");
                clean(&file.display().to_string(), &text, &CANARIES);
            }
        }
    }

    fn command(&self, repository: &str, endpoint: &str, format: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        command
            .arg("build")
            .arg(self.root.path())
            .args(["-v", "--log-format", format, "--repository", repository])
            .args(["--container", "web", "--tag", "v1", "--no-cache"])
            .args(["--build-arg", "TOKEN=canary-argument"])
            .args(["--secret", "id=variable,env=NPM_TOKEN"])
            .arg("--secret")
            .arg(format!("id=file,src={}", self.path("token").display()))
            .arg("--output")
            .arg(self.path("imagedefinitions.json"))
            .arg("--metadata")
            .arg(self.path("metadata.json"))
            .arg("--image-detail")
            .arg(self.path("imageDetail.json"))
            .arg("--env-file")
            .arg(self.path("slipway.env"))
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home.path())
            .env("TMPDIR", self.path("temporary"))
            .env("RUST_LOG", "trace")
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_ACCESS_KEY_ID", "AKIACANARY")
            .env("AWS_SECRET_ACCESS_KEY", "canary-secret-key")
            .env("AWS_SESSION_TOKEN", "canary-session-token")
            .env("NPM_TOKEN", "canary-from-variable")
            .envs(docker_variables())
            .stdin(Stdio::null());
        command
    }
}

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn a_build_for_a_private_registry_shows_no_secret() {
    let registry = Registry::start_private().await;
    let repository = format!("{}/{}", registry.host, unique("canaries"));
    let _images = Images(vec![format!("{repository}:v1")]);
    let good = Bench::new("canaries-good", GOOD, &registry.host);
    good.search(&repository, NOBODY, 0, &repository).await;
    let lines = fs::read_to_string(good.path("command-lines")).unwrap();
    assert!(
        lines.contains("slipway build") && lines.contains("docker-credential-spy get"),
        "{lines}"
    );
    let bad = Bench::new("canaries-bad", BAD, &registry.host);
    bad.search(&repository, NOBODY, 10, "did not build").await;
}

#[tokio::test]
async fn a_push_that_is_refused_shows_no_secret() {
    let registry = Registry::start_private().await;
    let repository = format!("{}/{}", registry.host, unique("canaries-refused"));
    let _images = Images(vec![format!("{repository}:v1")]);
    let bench = Bench::new("canaries-refused", GOOD, &registry.host);
    let helper = bench.path("bin/docker-credential-spy");
    let wrong = fs::read_to_string(&helper)
        .unwrap()
        .replace("\"me\"", "\"nobody\"");
    fs::write(&helper, wrong).unwrap();
    bench.search(&repository, NOBODY, 11, "push").await;
}

#[tokio::test]
async fn a_build_for_ecr_shows_no_token_and_its_journal_no_credential() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.jsonl");
    let sandbox = Sandbox::start(Options {
        port: 0,
        journal: Some(journal.clone()),
        scenario: Scenario::default(),
        region: "eu-west-1".to_owned(),
        tasks: Tasks::Simulated,
        timings: Timings::default(),
        clock: Clock::System,
        docker_host: None,
    })
    .await
    .unwrap();
    let name = unique("canaries-ecr");
    let bench = Bench::new("canaries-ecr", GOOD, "other.invalid");
    bench
        .search(&name, sandbox.endpoint(), 11, "does not exist")
        .await;
    let host = sandbox.endpoint().trim_start_matches("http://").to_owned();
    let image = format!("{host}/{name}:v1");
    let _images = Images(vec![image]);
    let mut command = bench.command(&name, sandbox.endpoint(), "human");
    command.arg("--create-repository");
    let output = tokio::process::Command::from(command).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{told}");
    clean("the output", &told, &CANARIES);
    let text = fs::read_to_string(&journal).unwrap();
    clean("the journal", &text, &CANARIES);
    assert!(text.contains("\"x-amz-security-token\":\"[removed]\""));
    assert!(
        text.contains("authorizationToken\\\":\\\"[removed]\\\""),
        "a token was given"
    );
    // `AWS:` in base64, as every token begins, on the wire and in our hands.
    for shown in [&told, &text] {
        assert!(!shown.contains("QVdTO"), "{shown}");
    }
    assert!(!docker(&["info", "--format", "{{.RegistryConfig}}"]).contains("QVdTO"));
}
