//! Every request of a deploy with a one-off task goes wrong once, in every way that the wire knows: whatever slipway then
//! says is held against the world itself.

use crate::oneoff::{FAILS, WORKS, alone, plan};
use crate::support::{Bench, CLUSTER, SERVICE, Setup};
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use slipway::failure::Kind;

/// How a request goes wrong, and how many in a row: one, or more than the SDK's attempts.
const WAYS: [(&str, u64); 12] = [
    ("throttle", 1),
    ("throttle", 8),
    ("http", 6),
    ("refuse", 6),
    ("lost-answer", 1),
    ("lost-answer", 40),
    ("expired-token", 1),
    ("access-denied", 1),
    ("cut-body", 1),
    ("cut-body", 40),
    ("other-body\"\nbody = \"<html>", 1),
    ("other-body\"\nbody = \"<html>", 40),
];

/// Benches at work at the same time.
const AT_ONCE: usize = 8;

/// The requests of a deploy without a fault: how many came before it, and what each of its own asks for.
async fn requests(fates: &str) -> (usize, Vec<String>) {
    let bench = Bench::with_service(fates, Setup::default()).await;
    let before = bench.journal().len();
    let _ = bench.deploy(&plan(&bench, &["migrate"])).await;
    (before, bench.journal().split_off(before))
}

/// A fault for every request up to the end of the task's watch; those that only read are hit in one way each.
async fn faults(fates: &str) -> Vec<(String, String)> {
    let (before, asked) = requests(fates).await;
    let mut faults = Vec::new();
    for (nth, operation) in asked.iter().enumerate() {
        let writes = ["Register", "Run", "Update"]
            .iter()
            .any(|verb| operation.contains(verb));
        let ways = if writes {
            &WAYS[..]
        } else {
            std::slice::from_ref(&WAYS[[1, 3, 6, 7, 8, 10][nth % 6]])
        };
        for (way, times) in ways {
            let from = before + nth + 1;
            let to = from as u64 + times - 1;
            let name = format!("{way} x{times} at {from} ({operation})");
            let fault = format!("{fates}\n[[fault]]\naction = \"{way}\"\nfrom = {from}\nto = {to}\n");
            faults.push((name, fault));
        }
        if operation == "ecs:UpdateService" {
            break;
        }
    }
    assert!(faults.len() > 20, "{faults:?}");
    faults
}

/// How the world's one-off tasks ended.
fn exits(bench: &Bench) -> Vec<Value> {
    alone(bench)
        .iter()
        .map(|task| task["containers"][0]["exitCode"].clone())
        .collect()
}

fn wants(bench: &Bench) -> String {
    let input = json!({ "cluster": CLUSTER, "services": [SERVICE] });
    let described = bench.ask("DescribeServices", &input);
    let arn = described["services"][0]["taskDefinition"]
        .as_str()
        .unwrap()
        .to_owned();
    arn.rsplit('/').next().unwrap().to_owned()
}

/// What slipway said: nothing wrong, or a failure's kind and text.
type Said = Result<(), (Kind, String)>;

async fn sweep(fates: &'static str, check: fn(&str, &Bench, Said)) {
    let wrong = stream::iter(faults(fates).await)
        .map(|(name, scenario)| async move {
            tokio::spawn(async move {
                let bench = Bench::with_service(&scenario, Setup::default()).await;
                let said = bench.deploy(&plan(&bench, &["migrate"])).await;
                let said = said
                    .map(|_| ())
                    .map_err(|failure| (failure.kind, Bench::rendered(&failure)));
                check(&name, &bench, said);
            })
            .await
        })
        .buffer_unordered(AT_ONCE)
        .filter(|outcome| std::future::ready(outcome.is_err()))
        .count()
        .await;
    assert_eq!(wrong, 0, "see the panics above");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_no_service_changes_before_a_task_did_its_work() {
    sweep(WORKS, |name, bench, said| {
        let (exits, wants) = (exits(bench), wants(bench));
        let done = exits.iter().any(|code| *code == 0);
        match said {
            Ok(()) => assert!(done && wants != "shop:1", "{name}: {exits:?} {wants}"),
            Err((kind, text)) => {
                assert!(
                    !matches!(kind, Kind::Gate | Kind::Bug),
                    "{name}: nothing failed: {text}"
                );
                let left = text.lines().find(|line| line.trim_start().starts_with("left:"));
                let left = left.unwrap_or_else(|| panic!("{name}: {text}"));
                assert!(wants == "shop:1" || done, "{name}: {text}");
                if left.contains("nothing was changed") && !left.contains("has done its work") {
                    assert!(exits.is_empty() && wants == "shop:1", "{name}: {text}\n{exits:?}");
                }
                if left.contains("has done its work") {
                    assert!(done, "{name}: {text}\n{exits:?}");
                }
                if !exits.is_empty() {
                    let spoken = left.contains("task");
                    assert!(spoken, "{name}: a task was started and nobody says so: {text}");
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_goes_wrong_with_a_task_that_fails_no_service_is_ever_changed() {
    sweep(FAILS, |name, bench, said| {
        let (kind, text) = said.expect_err(name);
        assert_eq!(wants(bench), "shop:1", "{name}: {text}");
        assert!(
            !bench.journal().contains(&"ecs:UpdateService".to_owned()),
            "{name}: {text}"
        );
        if kind == Kind::Gate {
            assert!(exits(bench).iter().any(|code| *code == 3), "{name}: {text}");
        }
    })
    .await;
}
