//! Every way in which simulated tasks fail, through a whole deploy: the root cause stands in the first line below the
//! error, all of it fits on a screen, a denied look is named and changes no verdict, and nothing secret is shown.

use crate::golden;
use crate::support::{Bench, Setup, image, task_definition};
use serde_json::{Value, json};
use slipway::failure::room::{COLUMNS, MOST_ROWS, rows_of};
use slipway::failure::{Failure, Kind};
use slipway::stage::deploy::DeployPlan;

/// Values that no output may show.
const CANARIES: [&str; 3] = ["canary-environment", "canary-token", "canary-argument"];

/// What one failure is, and what must be said of it.
struct Case {
    name: &'static str,
    /// The members of the `[[fate]]` of version 2.
    fate: &'static str,
    /// What is different in version 1's and version 2's definition.
    definition: fn(&mut Value),
    balanced: bool,
    /// Each stands in the `cause:` line.
    cause: &'static [&'static str],
    /// Each stands anywhere in the failure.
    says: &'static [&'static str],
}

const fn case(name: &'static str, fate: &'static str, cause: &'static [&'static str]) -> Case {
    Case {
        name,
        fate,
        definition: |_| {},
        balanced: false,
        cause,
        says: &[],
    }
}

impl Case {
    const fn with(mut self, definition: fn(&mut Value)) -> Self {
        self.definition = definition;
        self
    }

    const fn balanced(mut self) -> Self {
        self.balanced = true;
        self
    }

    const fn says(mut self, says: &'static [&'static str]) -> Self {
        self.says = says;
        self
    }

    fn scenario(&self) -> String {
        format!("[[fate]]\nfamily = \"shop\"\nrevision = 2\n{}\n", self.fate)
    }

    async fn bench(&self, more: &str) -> Bench {
        let mut definition = task_definition("shop", &image(1));
        let web = &mut definition["containerDefinitions"][0];
        web["environment"] = json!([
            { "name": "MODE", "value": CANARIES[0] },
            { "name": "API_TOKEN", "value": CANARIES[1] },
        ]);
        (self.definition)(&mut definition);
        let setup = Setup {
            task_definition: definition,
            balanced: self.balanced,
            refereed: false,
            ..Setup::default()
        };
        Bench::with_service(&format!("{}{more}", self.scenario()), setup).await
    }
}

/// Every failing fate; a new one is a line here.
const CASES: &[Case] = &[
    case(
        "a crash",
        r#"lines = ["starting", "panic: DATABASE_URL is missing"]
crash = { after-seconds = 1, exit-code = 3 }"#,
        &["container web exited with code 3", "panic: DATABASE_URL is missing"],
    )
    .says(&["(EssentialContainerExited)", "last lines of container web", "circuit breaker:", "`shop:1` runs 2 tasks"]),
    case(
        "a crash that prints a token",
        r#"lines = ["error: canary-token is wrong", "GET https://me:canary-argument@db/ failed"]
crash = { after-seconds = 1, exit-code = 3 }"#,
        &["exited with code 3", "https://[secret]@db/ failed"],
    )
    .says(&["error: [secret] is wrong"]),
    case("a silent crash", "crash = { after-seconds = 1, exit-code = 139 }", &["container web exited with code 139"])
        .says(&["hint: exit code 139 is a segmentation fault", "wrote nothing to its log"]),
    case("an end that is well", "crash = { after-seconds = 1, exit-code = 0 }", &["container web exited with code 0"])
        .says(&["an essential container must not end"]),
    case(
        "an image for another CPU",
        r#"lines = ["exec /app: exec format error"]
crash = { exit-code = 255 }"#,
        &["exec format error"],
    )
    .says(&["`shop:2` runs on LINUX/X86_64", "`platform = \"linux/amd64\"`"]),
    case("too little memory", "crash = { after-seconds = 1, out-of-memory = true }", &["ran out of memory", "OutOfMemoryError"])
        .with(|definition| definition["containerDefinitions"][0]["memory"] = json!(256))
        .says(&["its hard limit is 256 MiB", "`web` may use 256 MiB in `shop:2`, as in `shop:1`"]),
    case(
        "a log that goes elsewhere",
        "crash = { after-seconds = 1, exit-code = 3 }",
        &["container web exited with code 3"],
    )
    .with(|definition| {
        definition["containerDefinitions"][0]["logConfiguration"] =
            json!({ "logDriver": "splunk", "options": { "splunk-token": "canary-argument" } });
    })
    .says(&["the log of container web goes to `splunk`: look there"]),
    case(
        "no log at all",
        "crash = { after-seconds = 1, exit-code = 3 }",
        &["container web exited with code 3"],
    )
    .with(|definition| {
        definition["containerDefinitions"][0].as_object_mut().unwrap().shift_remove("logConfiguration");
    })
    .says(&["container web has no `logConfiguration`"]),
    case(
        "an image that is not there",
        r#"pull-failure = "CannotPullContainerError: pull image manifest has been retried 7 time(s): failed to resolve ref registry.example/shop/web: not found""#,
        &["CannotPullContainerError: pull image manifest has been retried 7 time(s)", "not found"],
    )
    .says(&["(TaskFailedToStart)", "was it pushed"]),
    case(
        "a registry that cannot be reached",
        r#"pull-failure = "CannotPullContainerError: dial tcp 10.0.0.7:443: i/o timeout""#,
        &["dial tcp 10.0.0.7:443: i/o timeout"],
    )
    .says(&["a NAT gateway"]),
    case(
        "a registry that says no",
        r#"pull-failure = "CannotPullContainerError: 403 Forbidden""#,
        &["403 Forbidden"],
    )
    .says(&["the execution role `ecsTaskExecutionRole` may not pull"]),
    case(
        "an image without our platform",
        r#"pull-failure = "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'""#,
        &["descriptor matching platform 'linux/amd64'"],
    )
    .says(&["built for another CPU"]),
    case(
        "a secret that may not be read",
        r#"pull-failure = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: AccessDeniedException""#,
        &["unable to retrieve secret from asm: AccessDeniedException"],
    )
    .with(|definition| {
        definition["containerDefinitions"][0]["secrets"] =
            json!([{ "name": "DB", "valueFrom": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:db" }]);
    })
    .says(&["secretsmanager:GetSecretValue", "secret:db` (variable `DB`)"]),
    case("a container check that fails", r#"health = "fails"
lines = ["listening"]"#, &["container web fails its health check"])
        .with(|definition| {
            definition["containerDefinitions"][0]["healthCheck"] =
                json!({ "command": ["CMD-SHELL", "curl -H 'X-Key: canary-argument' localhost"], "interval": 5, "retries": 2 });
        })
        .says(&["is `curl` in the image of `web`", "Task failed container health checks", "listening"]),
    case(
        "a target that answers 404",
        r#"target = 404
lines = ["listening on 8080"]"#,
        &["targets of shop-web are unhealthy", "Health checks failed with these codes: [404]"],
    )
    .balanced()
    .says(&["`/healthz` on port 8080 of `web` answers 404 (it wants 200)", "ELB health checks"]),
    case(
        "a target that answers 503 and says why",
        r#"target = 503
lines = ["listening", "error: database is unreachable"]"#,
        &["container web said \"error: database is unreachable\"", "[503]"],
    )
    .balanced()
    .says(&["see its log"]),
    case("a target that does not answer", r#"target = "timeout""#, &["Request timed out"])
        .balanced()
        .says(&["nothing answers on port 8080 of `web` within 2 s", "security group"]),
    case("a target that refuses", r#"target = "refused""#, &["Health checks failed"])
        .balanced()
        .says(&["cannot connect to port 8080 of `web`"]),
];

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
        let failure = bench.deploy(&version_two(&bench)).await.unwrap_err();
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
        assert_eq!(failure.kind, Kind::RolledBack, "{}\n{text}", case.name);
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
            include_str!("../../docs/semantics.md").contains(&format!("`{action}`")),
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
