//! What runs of every kind write into a capture: changed, unchanged and resumed services, several at once, and tasks
//! before them; and that each is explained as it was told.

use crate::oneoff;
use crate::support::{Bench, CLUSTER, Setup, image};
use serde_json::{Value, json};
use slipway::config::settings::{OnFailure, OnFirstFailure};
use slipway::ecs::capture::{Capture, read};
use slipway::ecs::recorder::Recorder;
use slipway::ecs::resume::Resume;
use slipway::failure::{Failure, Kind};
use slipway::report::event::{Event, Tell};
use slipway::stage::Tools;
use slipway::stage::deploy::{self, DeployPlan, Deployed};
use slipway::stage::explain::{Explained, recorded};
use std::path::PathBuf;
use std::time::Duration;

const CRASH: &str = "[[fate]]\nfamily = \"shop\"\nrevision = 2\nlines = [\"panic: no DATABASE_URL\"]\n\
    crash = { after-seconds = 1, exit-code = 3 }\n";

pub fn recording(bench: &Bench, name: &str) -> (Tools, PathBuf) {
    let path = bench.folder.path().join(name);
    let tools = Tools {
        record: Recorder::create(&path, bench.tools.tell.clone()).unwrap(),
        ..bench.tools.clone()
    };
    (tools, path)
}

pub fn capture(path: &PathBuf) -> Capture {
    read(&std::fs::read(path).unwrap()).unwrap()
}

/// The lines of a kind.
fn lines(path: &PathBuf, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter_map(|line| line.get(kind).cloned()).collect()
}

fn service_line(path: &PathBuf) -> Value {
    let [line] = <[Value; 1]>::try_from(lines(path, "service")).unwrap();
    line
}

/// The failure without the tokens that only the run itself prints.
pub fn told(failure: &Failure) -> String {
    Bench::rendered(&Failure {
        resume: Vec::new(),
        source: None,
        cause: failure.root_cause(),
        kind: failure.kind,
        nature: failure.nature.clone(),
        what: failure.what.clone(),
        place: failure.place.clone(),
        left: failure.left.clone(),
        others: failure.others.clone(),
        hints: failure.hints.clone(),
        evidence: failure.evidence.clone(),
    })
}

pub fn assert_same(outcome: &Result<Vec<Deployed>, Failure>, explained: &Explained) {
    assert_eq!(
        explained.failure().map(told),
        outcome.as_ref().err().map(told),
        "{explained:?}"
    );
    let code = outcome
        .as_ref()
        .err()
        .map_or(0, |failure| failure.kind.exit_code());
    assert_eq!(explained.exit_code(), Some(code), "{explained:?}");
}

#[tokio::test]
async fn a_changed_service_says_what_was_deployed_and_what_was_before() {
    let bench = Bench::with_service("", Setup::default()).await;
    let (tools, path) = recording(&bench, "changed.jsonl");
    let deployed = deploy::deploy(&tools, &bench.version_two()).await.unwrap();
    let line = service_line(&path);
    assert_eq!(line["revision"], "shop:2");
    assert_eq!(line["previous_revision"], "shop:1");
    assert_eq!(line["deployment"].as_str(), deployed[0].deployment.as_deref());
    assert_ne!(line["previous"], line["deployment"]);
    assert!(
        line["previous_arn"].as_str().unwrap().ends_with("/shop:1"),
        "{line}"
    );
    assert_eq!(line["policy"]["timeout"], 900.0);
    assert_eq!(
        line["task_definition"]["containerDefinitions"][0]["image"],
        image(2)
    );
    assert_eq!(
        line["previous_task_definition"]["containerDefinitions"][0]["image"],
        image(1)
    );
    assert!(
        line.get("unchanged").is_none() && line.get("taken_up").is_none(),
        "{line}"
    );
    assert_eq!(
        lines(&path, "verdict"),
        [json!({ "service": "shop", "cluster": "prod", "exit_code": 0 })]
    );
    assert_eq!(lines(&path, "end"), [json!({ "exit_code": 0 })]);
}

#[tokio::test]
async fn an_unchanged_service_says_what_runs() {
    let bench = Bench::with_service("", Setup::default()).await;
    let (tools, path) = recording(&bench, "unchanged.jsonl");
    let same = bench.plan(&json!([{ "name": "web", "imageUri": image(1) }]).to_string());
    let outcome = deploy::deploy(&tools, &same).await;
    let line = service_line(&path);
    assert_eq!(
        (&line["unchanged"], &line["revision"]),
        (&json!(true), &json!("shop:1"))
    );
    assert_eq!(
        (&line["previous"], &line["previous_revision"]),
        (&Value::Null, &Value::Null)
    );
    assert!(line.get("previous_task_definition").is_none(), "{line}");
    assert_eq!(
        line["task_definition"]["containerDefinitions"][0]["image"],
        image(1)
    );
    assert_same(&outcome, &recorded(&capture(&path), &[]).unwrap()[0]);
}

/// Interrupts a run when it waits for the nth time; the deployment was seen by the second.
async fn interrupted(bench: &Bench, tools: &Tools, plan: &DeployPlan, nth: usize) -> Failure {
    let (hand, view) = slipway::shutdown::switch();
    let waits = std::sync::atomic::AtomicUsize::new(0);
    let tools = Tools {
        shutdown: view,
        tell: Tell::new(move |event| {
            let waiting = matches!(event, Event::Waiting { .. });
            if waiting && waits.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 == nth {
                hand.raise(Kind::Terminated);
            }
        }),
        ..tools.clone()
    };
    let failure = deploy::deploy(&tools, plan).await.unwrap_err();
    bench.let_pass(Duration::from_secs(20)).await;
    failure
}

#[tokio::test]
async fn a_resumed_run_is_recorded_from_the_update_of_the_run_before() {
    for (scenario, verdict) in [("", "healthy"), (CRASH, "rolling-back")] {
        let bench = Bench::with_service(scenario, Setup::default()).await;
        let plan = bench.version_two();
        let (first, earlier) = recording(&bench, "first.jsonl");
        let failure = interrupted(&bench, &first, &plan, 2).await;
        let token = failure.resume[0].clone();
        let text = std::fs::read_to_string(&earlier).unwrap();
        assert!(!text.contains(&token), "a capture has no token");

        let (again, path) = recording(&bench, "again.jsonl");
        let resume = Resume::read(&failure.resume).unwrap();
        let outcome = deploy::resume(&again, &plan.deploy, &resume).await;
        let (line, before) = (service_line(&path), service_line(&earlier));
        assert_eq!(line["taken_up"], true);
        for member in [
            "revision",
            "deployment",
            "previous_arn",
            "previous_revision",
            "task_definition",
        ] {
            assert_eq!(line[member], before[member], "{member}");
        }
        let timeout = line["policy"]["timeout"].as_f64().unwrap();
        assert!(timeout >= 920.0, "{timeout}: it counts from the first update");
        let looks = lines(&path, "look");
        assert!(
            looks[0]["of"]["prod/shop"].as_f64().unwrap() >= 20.0,
            "{}",
            looks[0]["of"]
        );
        let explained = recorded(&capture(&path), &[]).unwrap();
        assert_eq!(explained[0].verdict(), verdict, "{outcome:?}");
        assert_same(&outcome, &explained[0]);
        assert_eq!(lines(&path, "end").len(), 1);
    }
}

pub async fn several(scenario: &str, count: usize) -> (Bench, DeployPlan) {
    let names: Vec<String> = (0..count).map(|at| format!("service-{at:02}")).collect();
    let services: Vec<(&str, Setup)> = names
        .iter()
        .map(|name| (name.as_str(), Setup::default()))
        .collect();
    let bench = Bench::with_services(scenario, &services).await;
    let places: Vec<(&str, &str)> = names.iter().map(|name| (CLUSTER, name.as_str())).collect();
    let plan = bench.version_two_of(&places);
    (bench, plan)
}

const ONE_CRASHES: &str = "[[fate]]\nfamily = \"service-00\"\nrevision = 2\nnever-starts = true\n\
    [[fate]]\nfamily = \"service-01\"\nrevision = 2\ncrash = { after-seconds = 25, exit-code = 3 }\n";

fn of<'a>(explained: &'a [Explained], service: &str) -> &'a Explained {
    let named = |found: &&Explained| {
        found
            .service
            .as_ref()
            .is_some_and(|name| name.as_str() == service)
    };
    explained.iter().find(named).unwrap()
}

#[tokio::test]
async fn several_services_are_explained_each_by_itself_and_none_given_up_is_a_success() {
    for all_back in [false, true] {
        let (bench, mut plan) = several(ONE_CRASHES, 3).await;
        if all_back {
            plan.deploy.on_failure = OnFailure::RollbackAll;
        } else {
            plan.deploy.on_first_failure = OnFirstFailure::FailFast;
        }
        let (tools, path) = recording(&bench, "several.jsonl");
        let outcome = deploy::deploy(&tools, &plan).await;
        let capture = capture(&path);
        assert_eq!(capture.services.len(), 3);
        let explained = recorded(&capture, &[]).unwrap();
        assert_same(&outcome, of(&explained, "service-01"));

        let given_up = of(&explained, "service-00");
        assert_eq!((given_up.verdict(), given_up.exit_code()), ("given-up", None));
        let healthy = of(&explained, "service-02");
        let verdicts = lines(&path, "verdict");
        let said_of: Vec<&Value> = verdicts
            .iter()
            .filter(|said| said["service"] == "service-02")
            .collect();
        assert_eq!(said_of[0]["exit_code"], 0);
        if all_back {
            assert_eq!((healthy.verdict(), healthy.exit_code()), ("given-up", None));
            assert_eq!(said_of.len(), 2, "it was healthy, and then went back");
            assert!(said_of[1].get("exit_code").is_none(), "{}", said_of[1]);
            assert!(
                said_of[1]["left"]
                    .as_str()
                    .unwrap()
                    .contains("`service-02:1` is back")
            );
            let rollbacks = lines(&path, "rollback");
            assert!(
                rollbacks
                    .iter()
                    .any(|back| back["service"] == "service-02" && back["rolled_back"] == true),
                "{rollbacks:?}"
            );
        } else {
            assert_eq!((healthy.verdict(), healthy.exit_code()), ("healthy", Some(0)));
        }
    }
}

#[tokio::test]
async fn a_service_that_was_not_begun_is_said_to_be_as_it_was() {
    let denied = "[[fault]]\nservice = \"ecs\"\noperation = \"UpdateService\"\naction = \"access-denied\"\n";
    let (bench, plan) = several(denied, 2).await;
    let (tools, path) = recording(&bench, "refused.jsonl");
    let outcome = deploy::deploy(&tools, &plan).await;
    let capture = capture(&path);
    let explained = recorded(&capture, &[]).unwrap();
    assert!(!explained.is_empty());
    assert!(
        explained
            .iter()
            .all(|found| found.exit_code() != Some(0) || found.told == Some(0))
    );
    let lost = explained.iter().find(|found| found.failure().is_some()).unwrap();
    assert_same(&outcome, lost);
}

#[tokio::test]
async fn a_run_with_tasks_is_explained_with_what_they_left() {
    for (scenario, services) in [
        (oneoff::FAILS.to_owned(), 0),
        (format!("{}{CRASH}", oneoff::WORKS), 1),
    ] {
        let bench = Bench::with_service(&scenario, Setup::default()).await;
        let plan = oneoff::plan(&bench, &["migrate"]);
        let (tools, path) = recording(&bench, "tasks.jsonl");
        let outcome = deploy::deploy(&tools, &plan).await;
        assert!(outcome.is_err());
        let capture = capture(&path);
        assert_eq!(capture.services.len(), services);
        let explained = recorded(&capture, &[]).unwrap();
        assert_same(&outcome, &explained[0]);
    }
}

/// Everything that can be masked, in the words of containers.
const TELLS: &str = r#"lines = ["Authorization: Bearer abcdefghijklmnop", "{\"token\": \"canary-one\"}",
    "connect postgres://app:canary-two@db/shop", "cannot connect as app/hunter2CANARY", "password=hunter2CANARY, secret"]
"#;

#[tokio::test]
async fn what_is_masked_is_explained_to_the_letter_wherever_the_value_comes_from() {
    let service = format!(
        "[[fate]]\nfamily = \"shop\"\nrevision = 2\n{TELLS}crash = {{ after-seconds = 1, exit-code = 3 }}\n"
    );
    let migrate = format!(
        "[[fate]]\ngroup = \"task:migrate\"\n{TELLS}crash = {{ after-seconds = 2, exit-code = 1 }}\n"
    );
    for (scenario, tasks) in [(service, &[][..]), (migrate, &["migrate"][..])] {
        let bench = Bench::with_service(&scenario, Setup::default()).await;
        let mut plan = oneoff::plan(&bench, tasks);
        let variables = [("NOTE", "hunter2CANARY"), ("DB_PASSWORD", "secret")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned().into()));
        let env = std::collections::BTreeMap::from([("web".parse().unwrap(), variables.into())]);
        match plan.tasks.first_mut() {
            Some(task) => task.env = env,
            None => plan.services[0].env = env,
        }
        let (tools, path) = recording(&bench, "masked.jsonl");
        let outcome = deploy::deploy(&tools, &plan).await;
        let told = told(outcome.as_ref().unwrap_err());
        let kept = std::fs::read_to_string(&path).unwrap();
        let heard = format!("{:?}", bench.events.lock().unwrap());
        for text in [&told, &kept, &heard] {
            assert!(!text.contains("CANARY") && !text.contains("canary"), "{text}");
        }
        assert!(told.contains("cannot connect as app/[secret]"), "{told}");
        assert!(!told.contains("[[") && !told.contains("][secret]"), "{told}");
        assert_same(&outcome, &recorded(&capture(&path), &[]).unwrap()[0]);
    }
}

#[tokio::test]
async fn what_a_task_says_that_works_is_shown_without_values() {
    let works = format!(
        "[[fate]]\ngroup = \"task:migrate\"\n{TELLS}crash = {{ after-seconds = 2, exit-code = 0 }}\n"
    );
    let bench = Bench::with_service(&works, Setup::default()).await;
    let mut plan = oneoff::plan(&bench, &["migrate"]);
    let note = [("NOTE".to_owned(), "hunter2CANARY".to_owned().into())];
    plan.tasks[0].env = std::collections::BTreeMap::from([("web".parse().unwrap(), note.into())]);
    bench.deploy(&plan).await.unwrap();
    let heard = format!("{:?}", bench.events.lock().unwrap());
    assert!(heard.contains("cannot connect as app/[secret]"), "{heard}");
    assert!(!heard.contains("CANARY") && !heard.contains("canary"), "{heard}");
}
