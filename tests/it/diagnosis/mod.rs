//! Every way in which simulated tasks fail, through a whole deploy: the root cause stands in the first line below the
//! error, all of it fits on a screen, a denied look is named and changes no verdict, and nothing secret is shown.

mod cases;

use crate::golden;
use crate::support::{Bench, image, task_definition};
use cases::{CASES, Case, case};
use serde_json::json;
use slipway::failure::room::{COLUMNS, MOST_ROWS, rows_of};
use slipway::failure::{Failure, Kind};
use slipway::stage::deploy::DeployPlan;

/// Values that no output may show.
const CANARIES: [&str; 3] = ["canary-environment", "canary-token", "canary-argument"];

fn version_two(bench: &Bench) -> DeployPlan {
    bench.plan(&json!([{ "name": "web", "imageUri": image(2) }]).to_string())
}

fn cause_line(text: &str) -> &str {
    text.lines()
        .find(|line| line.starts_with("  cause: "))
        .unwrap_or_default()
}

/// What holds for every failure.
fn holds(name: &str, failure: &Failure) -> String {
    let text = Bench::rendered(failure);
    let rows: usize = text
        .lines()
        .map(|line| rows_of(line.chars().count(), COLUMNS))
        .sum();
    assert!(rows <= MOST_ROWS, "{name}: {rows} rows\n{text}");
    assert!(
        text.lines()
            .nth(1)
            .is_some_and(|line| line.starts_with("  cause: ")),
        "{name}\n{text}"
    );
    assert!(
        failure.left.as_deref().is_some_and(|left| !left.is_empty()),
        "{name}\n{text}"
    );
    let all = format!("{text}{failure:?}");
    for canary in CANARIES {
        assert!(!all.contains(canary), "{name} shows {canary}:\n{text}");
    }
    text
}

#[tokio::test]
async fn every_failing_fate_has_its_cause_in_the_first_line_and_its_hint() {
    let mut all = String::new();
    for case in CASES {
        let bench = case.bench("").await;
        let failure = case.fail(&bench).await;
        let text = holds(case.name, &failure);
        for part in case.cause {
            assert!(
                cause_line(&text).contains(part),
                "{}: `{part}` is not the cause\n{text}",
                case.name
            );
        }
        for part in case.says {
            assert!(text.contains(part), "{}: `{part}` is not said\n{text}", case.name);
        }
        assert_eq!(failure.kind, case.kind, "{}\n{text}", case.name);
        assert!(!text.contains("Scaling activity"), "{}\n{text}", case.name);
        all += &format!("--- {}\n{text}\n", case.name);
    }
    golden::check("tests/it/golden/diagnosis.txt", &all);
}

#[tokio::test]
async fn a_log_group_that_is_missing_is_named() {
    let case = case("no log group", "", &[]);
    let bench = case.bench("").await;
    bench
        .aws
        .logs
        .delete_log_group()
        .log_group_name("/ecs/shop")
        .send()
        .await
        .unwrap();
    let failure = bench.deploy(&version_two(&bench)).await.unwrap_err();
    let text = holds(case.name, &failure);
    assert!(
        cause_line(&text).contains("The specified log group does not exist"),
        "{text}"
    );
    assert!(
        text.contains("create the log group `/ecs/shop` in eu-west-1"),
        "{text}"
    );
}

#[tokio::test]
async fn what_was_right_before_is_compared() {
    let case = case(
        "less memory",
        "crash = { after-seconds = 1, out-of-memory = true }",
        &[],
    );
    let bench = case
        .with(|definition| definition["containerDefinitions"][0]["memory"] = json!(512))
        .bench("")
        .await;
    let mut smaller = task_definition("shop", &image(1));
    smaller["containerDefinitions"][0]["memory"] = json!(128);
    let path = bench.folder.path().join("taskdef.json");
    std::fs::write(&path, smaller.to_string()).unwrap();
    let mut plan = version_two(&bench);
    plan.services[0].task_definition = Some(path);
    let failure = bench.deploy(&plan).await.unwrap_err();
    assert_eq!(
        failure.hints[0],
        "`web` may use 128 MiB in `shop:2`, and had 512 MiB in `shop:1`: raise `memory`, or find what uses more than before"
    );
}

const NO_IMAGE: &str = "an image that is not there";

fn named(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).unwrap()
}

/// The calls of a diagnosis, and the case whose diagnosis makes them; the verdict needs none of them there.
const DENIABLE: [(&str, &str, &str, &str); 7] = [
    ("ecs", "ListTasks", "ecs:ListTasks", NO_IMAGE),
    ("ecs", "DescribeTasks", "ecs:DescribeTasks", NO_IMAGE),
    (
        "ecs",
        "ListServiceDeployments",
        "ecs:ListServiceDeployments",
        NO_IMAGE,
    ),
    (
        "ecs",
        "DescribeServiceDeployments",
        "ecs:DescribeServiceDeployments",
        NO_IMAGE,
    ),
    ("logs", "GetLogEvents", "logs:GetLogEvents", "a crash"),
    (
        "elb",
        "DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetGroups",
        "a target that answers 404",
    ),
    (
        "elb",
        "DescribeTargetHealth",
        "elasticloadbalancing:DescribeTargetHealth",
        "a target that answers 404",
    ),
];

/// Denies an operation; service deployments are listed only where DescribeServices does not name ours.
fn deny(service: &str, operation: &str) -> String {
    let unnamed = if operation == "ListServiceDeployments" {
        "[[fault]]\nservice = \"ecs\"\noperation = \"DescribeServices\"\naction = \"drop-member\"\nmember = \"currentServiceDeployment\"\n"
    } else {
        ""
    };
    format!(
        "{unnamed}[[fault]]\nservice = \"{service}\"\noperation = \"{operation}\"\naction = \"access-denied\"\n"
    )
}

#[tokio::test]
async fn a_denied_look_is_named_once_and_changes_no_verdict() {
    for (service, operation, action, name) in DENIABLE {
        let case = named(name);
        let bench = case.bench(&deny(service, operation)).await;
        let failure = bench.deploy(&version_two(&bench)).await.unwrap_err();
        let text = holds(action, &failure);
        assert_eq!(failure.kind, Kind::RolledBack, "{action}\n{text}");
        let line = format!("could not look: {action} is denied");
        assert_eq!(text.matches(&line).count(), 1, "{action}\n{text}");
        assert!(
            include_str!("../../../docs/semantics.md").contains(&format!("`{action}`")),
            "{action}"
        );
    }
}

#[tokio::test]
async fn with_every_look_denied_the_verdict_and_what_ecs_says_of_it_remain() {
    let denied: String = DENIABLE
        .iter()
        .map(|(service, operation, ..)| deny(service, operation))
        .collect();
    let bench = named(NO_IMAGE).bench(&denied).await;
    let failure = bench.deploy(&version_two(&bench)).await.unwrap_err();
    let text = holds("all denied", &failure);
    assert_eq!(failure.kind, Kind::RolledBack, "{text}");
    assert!(
        cause_line(&text).contains("CannotPullContainerError"),
        "the events tell it still\n{text}"
    );
}
