//! The parts of the help that clap does not write: examples, and the exit codes from the kinds of failure.

use crate::failure::Kind;
use clap::Command;
use clap_complete::Shell;

/// Examples, by verb.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "build",
        &[
            "slipway build",
            "slipway build services/web --repository shop/web --tag '${commit}'",
            "slipway build --secret id=npm,env=NPM_TOKEN --artifact s3://bucket/build.zip",
        ],
    ),
    (
        "deploy",
        &[
            "slipway deploy",
            "slipway deploy --cluster prod --service shop-web --timeout 20m",
            "slipway deploy --imagedefinitions s3://bucket/build.zip --until steady",
        ],
    ),
    (
        "run",
        &[
            "slipway run",
            "slipway run --repository shop/web --container web --cluster prod --service shop-web",
        ],
    ),
    (
        "dry-run",
        &[
            "slipway dry-run",
            "slipway dry-run run examples/hello",
            "slipway dry-run deploy --simulated --scenario broken.toml",
        ],
    ),
    (
        "sandbox",
        &[
            "slipway sandbox --port 4566 --journal requests.jsonl",
            "AWS_ENDPOINT_URL=http://127.0.0.1:4566 aws ecs list-clusters",
        ],
    ),
    (
        "explain",
        &[
            "slipway deploy --record capture.jsonl; slipway explain capture.jsonl --timeline",
            "slipway explain --cluster prod --service shop-web",
            "slipway explain capture.jsonl | jq -r .cause",
        ],
    ),
    (
        "worker",
        &[
            "slipway worker --health-listen 127.0.0.1:8080",
            "slipway worker --builds 0 --jobs 200 --fleet team-a --state-dir /mnt/state",
            "slipway worker --probe 127.0.0.1:8080",
        ],
    ),
    (
        "action-type",
        &[
            "slipway action-type register --region eu-west-1",
            "slipway action-type print --format cloudformation > action-types.json",
            "slipway action-type delete Deploy/Slipway/1 --yes",
        ],
    ),
    (
        "completions",
        &["slipway completions bash > /etc/bash_completion.d/slipway"],
    ),
];

/// Adds examples and exit codes to the long help of the command and its verbs.
pub fn complete(mut command: Command) -> Command {
    let codes = format!("Exit codes:\n{}", exit_codes());
    for (verb, examples) in EXAMPLES {
        let text = format!("Examples:\n  {}\n\n{codes}", examples.join("\n  "));
        command = command.mut_subcommand(verb, |verb| verb.after_long_help(text));
    }
    command.after_long_help(codes)
}

/// The table of exit codes, one per line.
#[must_use]
pub fn exit_codes() -> String {
    let mut lines = vec![format!("  {:>3}  {}", 0, DONE)];
    lines.extend(
        Kind::ALL
            .iter()
            .map(|kind| format!("  {:>3}  {}", kind.exit_code(), kind.meaning())),
    );
    lines.join("\n")
}

/// What exit code 0 means.
pub const DONE: &str = "done, and proven";

/// The completion script for a shell.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::command(), "slipway", &mut script);
    script
}
