//! How runs end, through the real binary: each exit code that a simulated deploy can end with, as a user sees it.
//!
//! The sandbox's clock is virtual and its ids are counters, so that every run prints the same but for ports and for how
//! long it took.

use crate::cli::Bench;

/// One image for the container `web`; simulated tasks need no image to be there.
const DEFINITIONS: &str = r#"[{"name":"web","imageUri":"000000000000.dkr.ecr.eu-west-1.amazonaws.com/shop/web@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]"#;

/// Every task of version 2 dies, having said why.
const CRASH: &str = r#"
[[fate]]
family = "shop"
revision = 2
lines = ["shop: starting", "shop: cannot start: no DATABASE_URL"]
crash = { after-seconds = 1, exit-code = 3 }
"#;

/// Deploys over a simulated version 1, with what goes wrong and with flags.
fn ends(name: &str, scenario: &str, flags: &str) {
    let bench = Bench::new()
        .file("imagedefinitions.json", DEFINITIONS)
        .file("scenario.toml", scenario);
    let line =
        format!("dry-run deploy --simulated --scenario scenario.toml --cluster prod --service shop {flags}");
    bench.golden(name, line.trim_end());
    assert_eq!(
        bench.files(),
        ["imagedefinitions.json", "scenario.toml"],
        "a dry run writes nothing here"
    );
}

#[test]
fn a_healthy_deploy_ends_with_0() {
    ends("end-0-healthy", "", "");
}

#[test]
fn a_refused_update_ends_with_12() {
    let scenario = r#"
[[fault]]
service = "ecs"
operation = "UpdateService"
action = "access-denied"
"#;
    ends("end-12-refused", scenario, "");
}

#[test]
fn a_failure_that_is_left_ends_with_13() {
    ends("end-13-left", CRASH, "--on-failure leave --timeout 90s");
}

#[test]
fn a_version_1_that_never_works_ends_with_13_and_its_own_words() {
    let scenario = CRASH.replace("revision = 2", "revision = 1");
    ends("end-13-version-1", &scenario, "");
}

#[test]
fn a_failure_that_ecs_rolls_back_ends_with_14() {
    ends("end-14-rolled-back", CRASH, "");
}

#[test]
fn a_deadline_ends_with_16() {
    let scenario = r#"
[[fate]]
family = "shop"
revision = 2
never-starts = true
"#;
    ends("end-16-deadline", scenario, "--timeout 5m");
}

#[test]
fn a_doubt_ends_with_17() {
    let scenario = r#"
[[fault]]
service = "ecs"
operation = "ListTasks"
action = "access-denied"

[[fault]]
service = "ecs"
operation = "DescribeServiceRevisions"
action = "access-denied"
"#;
    ends("end-17-unclear", scenario, "");
}

#[test]
fn a_dry_run_of_more_services_than_one_call_describes_ends_with_0() {
    let names = (1..=12).map(|at| format!("[service.shop-{at}]\n"));
    let config = format!("[deploy]\ncluster = \"prod\"\n{}", names.collect::<String>());
    let bench = Bench::new()
        .file("imagedefinitions.json", DEFINITIONS)
        .file("slipway.toml", &config);
    let output = bench.run("dry-run deploy --simulated");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let proven = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(proven.matches("\"service\":\"shop-").count(), 12, "{proven}");
}

const TASK: &str = r#"
[deploy]
cluster = "prod"
[service.shop]
[task.migrate]
command = ["./manage", "migrate"]
"#;

/// The same with a one-off task before.
fn ends_with_a_task(name: &str, scenario: &str, flags: &str) {
    let bench = Bench::new()
        .file("imagedefinitions.json", DEFINITIONS)
        .file("slipway.toml", TASK)
        .file("scenario.toml", scenario);
    let line = format!("dry-run deploy --simulated --scenario scenario.toml {flags}");
    bench.golden(name, line.trim_end());
}

#[test]
fn a_task_that_does_its_work_ends_with_0() {
    let scenario = r#"
[[fate]]
group = "task:migrate"
lines = ["applying 0003_orders", "applied 1 migration"]
crash = { after-seconds = 20, exit-code = 0 }
"#;
    ends_with_a_task("end-0-task", scenario, "");
}

#[test]
fn a_task_that_fails_ends_with_18() {
    let scenario = r#"
[[fate]]
group = "task:migrate"
lines = ["applying 0003_orders", "error: column \"total\" of relation \"orders\" already exists"]
crash = { after-seconds = 2, exit-code = 3 }
"#;
    ends_with_a_task("end-18-task", scenario, "");
    ends_with_a_task("end-18-task-json", scenario, "--log-format json");
}

#[test]
fn a_task_that_takes_too_long_ends_with_16() {
    let scenario = "[[fate]]\ngroup = \"task:migrate\"\nnever-starts = true\n";
    ends_with_a_task("end-16-task", scenario, "");
}

#[test]
fn a_task_that_is_skipped_is_told() {
    ends_with_a_task("end-0-task-skipped", "", "--skip-tasks");
}

#[test]
fn a_deploy_whose_tasks_may_not_be_seen_is_proven_by_its_revision_and_ends_with_0() {
    let scenario = r#"
[[fault]]
service = "ecs"
operation = "ListTasks"
action = "access-denied"
"#;
    ends("end-0-by-revision", scenario, "");
}

#[test]
fn json_lines_keep_names_whole_and_end_with_the_failure() {
    ends("end-14-json", CRASH, "--log-format json");
}
