//! How builds end, through the real binary: the exit codes that need an Engine, as a user sees them.
//!
//! Engines of different age word their steps differently, so that the lines are ours and theirs is a part of one.

use super::support::context;
use std::process::{Command, Output};

/// A dry run of the build in a folder with a Dockerfile and a scenario.
fn build(dockerfile: &str, scenario: &str) -> (Output, String, Vec<String>) {
    let files = [("Dockerfile", dockerfile), ("scenario.toml", scenario)];
    let folder = context(&files);
    let output = Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(["dry-run", "build", "--repository", "shop/web", "--tag", "one"])
        .args(["--scenario", "scenario.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    (output, told, names)
}

#[tokio::test]
async fn a_dry_run_of_a_build_prints_the_reference_and_writes_nothing_here() {
    let _turn = super::support::turn().await;
    let (output, told, files) = build("FROM scratch\nCOPY Dockerfile /\n", "");
    assert_eq!(output.status.code(), Some(0), "{told}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("/shop/web@sha256:"), "{printed}");
    assert_eq!(files, ["Dockerfile", "scenario.toml"]);
}

#[tokio::test]
async fn a_build_that_fails_ends_with_10_and_names_the_step() {
    let _turn = super::support::turn().await;
    let (output, told, files) = build("FROM scratch\nCOPY absent /\n", "");
    assert_eq!(output.status.code(), Some(10), "{told}");
    for line in [
        "\nerror: the image `web` did not build\n  cause: ",
        "COPY absent /",
        "\n   left: nothing was pushed",
    ] {
        assert!(told.contains(line), "`{line}` is not in:\n{told}");
    }
    assert!(output.stdout.is_empty());
    assert_eq!(files, ["Dockerfile", "scenario.toml"]);
}

#[tokio::test]
async fn a_registry_that_refuses_ends_with_11_and_says_what_to_allow() {
    let _turn = super::support::turn().await;
    let scenario = "[[fault]]\nservice = \"registry\"\naction = \"access-denied\"\n";
    let (output, told, _) = build("FROM scratch\nCOPY Dockerfile /\n", scenario);
    assert_eq!(output.status.code(), Some(11), "{told}");
    for line in ["\nerror: the push of `", "`ecr:PutImage` on the repository"] {
        assert!(told.contains(line), "`{line}` is not in:\n{told}");
    }
    // The engine's own words: the containerd store tells the status, the other one what the registry said.
    let causes = ["\n  cause: denied: ", ": 403 Forbidden\n"];
    assert!(causes.iter().any(|cause| told.contains(cause)), "{told}");
}
