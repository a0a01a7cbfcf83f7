//! Every request of a deploy goes wrong once, in every way that the wire knows: whatever slipway then says is held
//! against the world itself, and a second run puts things right.

use crate::support::{Bench, CLUSTER, SERVICE, Setup, image};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use slipway::failure::{Failure, Kind};
use slipway::stage::deploy::Deployed;

/// How a request goes wrong, and how many in a row: one, or as many as the SDK's attempts.
type Way = (&'static str, u64);

/// The ways of a request that changes something.
const OF_WRITES: [Way; 15] = [
    ("throttle", 1),
    ("throttle", 6),
    ("http", 1),
    ("http", 6),
    ("refuse", 6),
    ("lost-answer", 1),
    ("lost-answer", 6),
    ("expired-token", 1),
    ("access-denied", 1),
    ("cut-body", 1),
    ("cut-body", 6),
    ("html", 1),
    ("html", 6),
    ("binary", 6),
    ("empty", 1),
];

/// The ways of a request that only reads, taken in turn: to it a lost answer is no worse than none.
const OF_READS: [Way; 3] = [("http", 6), ("expired-token", 1), ("access-denied", 1)];

/// The ways in which one answer to a read is not AWS's, taken in turn.
const UNREADABLE: [Way; 6] = [
    ("empty", 1),
    ("html", 1),
    ("cut-body", 1),
    ("binary", 1),
    ("cut-json", 1),
    ("forbidden", 1),
];

/// The fault of a way; some need more than their action's name.
fn fault(way: &str) -> String {
    let other = |body: &str| format!("action = \"other-body\"\nbody = '{body}'");
    match way {
        "html" => other("<!doctype html><title>Sign in</title>"),
        "binary" => "action = \"other-body\"\nbody = \"\\u0000\\u0001\\uFFFD\"".to_owned(),
        "cut-json" => other(r#"{"services": [{"serviceName": "#),
        "empty" => other(""),
        "forbidden" => "action = \"http\"\nstatus = 403".to_owned(),
        way => format!("action = \"{way}\""),
    }
}

/// Whether the effect happens and its answer is lost, or may be.
fn loses_answer(way: &str) -> bool {
    ["lost-answer", "cut-body", "html", "binary", "empty"].contains(&way)
}

/// Benches at work at the same time.
const AT_ONCE: usize = 8;

/// What the world is at one moment.
#[derive(Debug)]
struct Truth {
    /// The primary deployment's id.
    primary: String,
    /// `family:revision` of the primary deployment, which the service names too.
    wants: String,
    /// Every registered `family:revision`.
    registered: Vec<String>,
    /// The digests that the primary deployment's running tasks have.
    runs: Vec<String>,
}

impl Truth {
    fn of(bench: &Bench) -> Self {
        let described = bench.ask(
            "DescribeServices",
            &json!({ "cluster": CLUSTER, "services": [SERVICE] }),
        );
        let service = &described["services"][0];
        let primary = &service["deployments"][0];
        assert_eq!(primary["status"], "PRIMARY", "{service}");
        assert_eq!(primary["taskDefinition"], service["taskDefinition"]);
        let listed = bench.ask("ListTaskDefinitions", &json!({ "familyPrefix": "shop" }));
        let tasks = bench.ask(
            "ListTasks",
            &json!({ "cluster": CLUSTER, "serviceName": SERVICE, "desiredStatus": "RUNNING" }),
        );
        let tasks = if tasks["taskArns"].as_array().is_none_or(Vec::is_empty) {
            json!([])
        } else {
            bench.ask(
                "DescribeTasks",
                &json!({ "cluster": CLUSTER, "tasks": tasks["taskArns"] }),
            )["tasks"]
                .clone()
        };
        let ours = |task: &&Value| task["startedBy"] == primary["id"] && task["lastStatus"] == "RUNNING";
        Self {
            primary: primary["id"].as_str().unwrap().to_owned(),
            wants: short(&primary["taskDefinition"]),
            registered: listed["taskDefinitionArns"]
                .as_array()
                .unwrap()
                .iter()
                .map(short)
                .collect(),
            runs: tasks
                .as_array()
                .unwrap()
                .iter()
                .filter(ours)
                .map(|task| task["containers"][0]["imageDigest"].as_str().unwrap().to_owned())
                .collect(),
        }
    }

    fn runs(&self, version: u8) -> bool {
        let digest = image(version).split_once('@').unwrap().1.to_owned();
        self.runs.len() == 2 && self.runs.iter().all(|runs| *runs == digest)
    }
}

fn short(arn: &Value) -> String {
    arn.as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// One deploy with one fault.
struct Case {
    fates: &'static str,
    way: &'static str,
    times: u64,
    /// The request that is hit first, counted from the sandbox's start.
    at: u64,
    /// What it asks for.
    operation: String,
    /// Whether a deploy asks for it after its update.
    in_watch: bool,
}

impl Case {
    fn scenario(&self) -> String {
        let Self {
            fates,
            way,
            times,
            at,
            ..
        } = self;
        let to = at + times - 1;
        format!("{fates}\n[[fault]]\n{}\nfrom = {at}\nto = {to}\n", fault(way))
    }

    fn name(&self) -> String {
        format!("{} x{} at {} ({})", self.way, self.times, self.at, self.operation)
    }

    /// What holds whatever went wrong.
    fn always(&self, truth: &Truth, said: &Result<Vec<Deployed>, Failure>) {
        let name = self.name();
        let lost = loses_answer(self.way) && self.operation == "ecs:RegisterTaskDefinition";
        let most = if lost {
            2 + usize::try_from(self.times).unwrap()
        } else {
            2
        };
        assert!(truth.registered.len() <= most, "{name}: {truth:?}");
        assert!(truth.registered.contains(&truth.wants), "{name}: {truth:?}");
        let Err(failure) = said else { return };
        let text = Bench::rendered(failure);
        let left = failure
            .left
            .as_deref()
            .unwrap_or_else(|| panic!("{name}: {text}"));
        let kept = truth.wants == "shop:1";
        if matches!(
            failure.kind,
            Kind::Usage | Kind::Input | Kind::Refused | Kind::FarEnd
        ) {
            assert!(kept, "{name}: said that nothing changed: {text}\n{truth:?}");
        }
        if left.contains("nothing was changed") {
            assert!(kept && truth.registered.len() == 1, "{name}: {text}\n{truth:?}");
        }
        if left.contains("serves as before") && !left.contains("unknown") {
            assert!(kept, "{name}: {text}\n{truth:?}");
        }
        if left.contains("is registered and not used") && !left.contains("unknown") {
            assert!(kept && truth.registered.len() > 1, "{name}: {text}\n{truth:?}");
        }
        assert!(
            !matches!(failure.kind, Kind::Superseded | Kind::Bug),
            "{name}: {text}"
        );
    }
}

/// Counts the requests of a deploy without a fault: those before it, and what each of its own asks for.
async fn requests(fates: &'static str, setup: fn() -> Setup) -> (usize, Vec<String>) {
    let bench = Bench::with_service(fates, setup()).await;
    let before = bench.journal().len();
    let _ = bench.deploy(&bench.version_two()).await;
    (before, bench.journal().split_off(before))
}

async fn cases(fates: &'static str, setup: fn() -> Setup) -> Vec<Case> {
    let (before, asked) = requests(fates, setup).await;
    assert!(asked.len() > 8, "{asked:?}");
    let update = asked
        .iter()
        .position(|operation| operation == "ecs:UpdateService");
    let mut cases = Vec::new();
    for (nth, operation) in asked.iter().enumerate() {
        let writes = ["Register", "Update", "Stop"]
            .iter()
            .any(|verb| operation.contains(verb));
        let ways = if writes {
            // The answer, and the one to the look that follows.
            let looked_for = !operation.contains("Register");
            let twice = looked_for.then_some(("empty", 2));
            OF_WRITES.into_iter().chain(twice).collect()
        } else {
            vec![OF_READS[nth % OF_READS.len()], UNREADABLE[nth % UNREADABLE.len()]]
        };
        for (way, times) in ways {
            cases.push(Case {
                fates,
                way,
                times,
                at: u64::try_from(before + nth + 1).unwrap(),
                operation: operation.clone(),
                in_watch: update.is_some_and(|update| nth > update),
            });
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_with_a_good_roll_nothing_false_is_said_and_a_second_run_converges() {
    let cases = cases("", Setup::default).await;
    let wrong = stream::iter(cases)
        .map(|case| async move {
            tokio::spawn(async move {
                let bench = Bench::with_service(&case.scenario(), Setup::default()).await;
                let said = bench.deploy(&bench.version_two()).await;
                let truth = Truth::of(&bench);
                case.always(&truth, &said);
                let name = case.name();
                match &said {
                    Ok(deployed) => {
                        assert!(
                            truth.runs(2) && truth.wants == deployed[0].revision,
                            "{name}: {truth:?}"
                        );
                    }
                    Err(failure) => {
                        let text = Bench::rendered(failure);
                        let one_odd = UNREADABLE.contains(&(case.way, case.times));
                        let repeated = !["forbidden", "empty"].contains(&case.way);
                        assert!(
                            !(one_odd && (repeated || case.in_watch)),
                            "{name}: one unreadable answer changed the verdict: {text}"
                        );
                        assert!(
                            !text.contains("is denied") || case.way == "access-denied",
                            "{name}: nobody denied anything: {text}"
                        );
                        assert!(
                            !matches!(
                                failure.kind,
                                Kind::RolloutFailed | Kind::RolledBack | Kind::Registry
                            ),
                            "{name}: nothing failed: {text}"
                        );
                        if failure
                            .left
                            .as_deref()
                            .unwrap()
                            .contains("goes on with deployment")
                        {
                            assert!(text.contains(&truth.primary), "{name}: {text}\n{truth:?}");
                        }
                    }
                }
                let again = bench.deploy(&bench.version_two()).await;
                let truth = Truth::of(&bench);
                if let Err(failure) = &again {
                    panic!("{name}: the second run failed: {}", Bench::rendered(failure));
                }
                assert!(truth.runs(2), "{name}: {truth:?}");
            })
            .await
        })
        .buffer_unordered(AT_ONCE)
        .filter(|outcome| std::future::ready(outcome.is_err()))
        .count()
        .await;
    assert_eq!(wrong, 0, "see the panics above");
}

const CRASH: &str = r#"
[[fate]]
family = "shop"
revision = 2
crash = { after-seconds = 1, exit-code = 1 }
"#;

fn no_breaker() -> Setup {
    Setup {
        breaker: false,
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_with_a_bad_roll_it_is_never_called_good_nor_rolled_back_when_it_is_not() {
    let cases = cases(CRASH, no_breaker).await;
    // What comes before the update is the same as with a good roll.
    let update = cases
        .iter()
        .position(|case| case.operation == "ecs:UpdateService");
    let cases = cases.into_iter().skip(update.unwrap());
    let wrong = stream::iter(cases)
        .map(|case| async move {
            tokio::spawn(async move {
                let bench = Bench::with_service(&case.scenario(), no_breaker()).await;
                let said = bench.deploy(&bench.version_two()).await;
                let truth = Truth::of(&bench);
                case.always(&truth, &said);
                let name = case.name();
                let failure = match said {
                    Err(failure) => failure,
                    // A lost registration leaves the crash to a revision that nobody runs.
                    Ok(deployed) => {
                        assert!(
                            deployed[0].revision == "shop:3" && truth.runs(2),
                            "{name}: {truth:?}"
                        );
                        return;
                    }
                };
                let text = Bench::rendered(&failure);
                match failure.kind {
                    Kind::RolledBack => assert_eq!(truth.wants, "shop:1", "{name}: {text}\n{truth:?}"),
                    Kind::RolloutFailed => {
                        let told = text.contains("unknown whether the service wants");
                        assert!(told || truth.wants != "shop:1", "{name}: {text}\n{truth:?}");
                    }
                    _ => {}
                }
            })
            .await
        })
        .buffer_unordered(AT_ONCE)
        .filter(|outcome| std::future::ready(outcome.is_err()))
        .count()
        .await;
    assert_eq!(wrong, 0, "see the panics above");
}
