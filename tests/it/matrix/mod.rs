//! The matrix: what a deploy says in every situation that is known to go wrong with some tool, through the real SDK over
//! the wire, on a virtual clock. `target/matrix.md` shows it as a table.

mod acts;
mod answers;
mod failures;
mod stage;
mod strategies;
mod successes;

use crate::support::Bench;
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use slipway::failure::Kind;
use slipway::stage::deploy::DeployPlan;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// One situation, and what must be said of it.
pub struct Row {
    /// The situation in words.
    name: &'static str,
    service: Service,
    /// What goes wrong, as a scenario file.
    scenario: &'static str,
    /// Changes to the plan of version 2.
    plan: fn(&mut DeployPlan),
    ends: Ends,
    /// Which tool gets it wrong, and how (shared facts on deploy tools, 2.9).
    others: &'static str,
}

/// The service before the deploy.
#[derive(Clone)]
pub struct Service {
    desired: u32,
    breaker: Breaker,
    /// Seconds between two container health checks.
    check: Option<u32>,
    balancer: Option<Balancer>,
    controller: &'static str,
    /// More of `deploymentConfiguration`, as JSON.
    configuration: &'static str,
    /// Whether version 1 reached its steady state.
    proven: bool,
}

#[derive(Clone, Copy)]
pub enum Breaker {
    Off,
    /// It fails a deployment.
    Fails,
    /// It fails a deployment and brings the last one back.
    RollsBack,
}

#[derive(Clone, Copy)]
pub struct Balancer {
    /// `deregistration_delay.timeout_seconds`.
    drain: u32,
}

pub enum Ends {
    /// Done and proven, so many seconds after the deploy began.
    Done { within: Option<(u64, u64)> },
    /// With this kind, and this in the line of the cause.
    Fails { kind: Kind, cause: &'static str },
}

const DONE: Ends = Ends::Done { within: None };

/// A service of two tasks whose breaker rolls back.
const SERVICE: Service = Service {
    desired: 2,
    breaker: Breaker::RollsBack,
    check: None,
    balancer: None,
    controller: "ECS",
    configuration: "{}",
    proven: true,
};

const BALANCED: Service = Service {
    balancer: Some(Balancer { drain: 30 }),
    ..SERVICE
};

const fn fails(kind: Kind, cause: &'static str) -> Ends {
    Ends::Fails { kind, cause }
}

fn as_it_is(_: &mut DeployPlan) {}

fn rows() -> Vec<Row> {
    let parts = [
        successes::rows(),
        failures::rows(),
        acts::rows(),
        answers::rows(),
        strategies::rows(),
    ];
    parts.into_iter().flatten().collect()
}

/// What a row came to.
struct Told {
    name: &'static str,
    verdict: String,
    code: u8,
    cause: String,
    others: &'static str,
    wrong: Option<String>,
}

impl Told {
    fn of_panic(name: &'static str, others: &'static str, panic: &tokio::task::JoinError) -> Self {
        Self {
            name,
            verdict: String::new(),
            code: 0,
            cause: String::new(),
            others,
            wrong: Some(format!("{name}\n{panic}")),
        }
    }
}

async fn play(row: Row) -> Told {
    let bench = stage::set(&row).await;
    let mut plan = bench.version_two();
    (row.plan)(&mut plan);
    let began = bench.tools.clock.now();
    let outcome = bench.deploy(&plan).await;
    let took = (bench.tools.clock.now() - began).as_secs();
    let mut told = Told {
        name: row.name,
        verdict: String::new(),
        code: 0,
        cause: String::new(),
        others: row.others,
        wrong: None,
    };
    let text = match &outcome {
        Ok(_) => {
            "done and proven".clone_into(&mut told.verdict);
            format!("done after {took} s")
        }
        Err(failure) => {
            let text = Bench::rendered(failure);
            told.verdict.clone_from(&failure.what);
            told.code = failure.kind.exit_code();
            let cause = text
                .lines()
                .find_map(|line| line.trim_start().strip_prefix("cause:"));
            cause.unwrap_or_default().trim().clone_into(&mut told.cause);
            text
        }
    };
    let right = match (&row.ends, &outcome) {
        (Ends::Done { within }, Ok(_)) => within.is_none_or(|(from, to)| (from..=to).contains(&took)),
        (Ends::Fails { kind, cause }, Err(failure)) => {
            let first_screen = text.lines().count() <= 40;
            failure.kind == *kind && told.cause.contains(cause) && first_screen && failure.left.is_some()
        }
        _ => false,
    };
    if !right {
        let wanted = match &row.ends {
            Ends::Done { within } => format!("done {within:?}"),
            Ends::Fails { kind, cause } => format!("{kind:?} because of `{cause}`"),
        };
        told.wrong = Some(format!(
            "{}\nwanted: {wanted}\ngot, after {took} s: {text}\n",
            row.name
        ));
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_situation_gets_its_verdict_its_exit_code_and_its_cause() {
    let rows = rows();
    assert!(rows.len() >= 45, "{} situations", rows.len());
    let mut told: Vec<Told> = stream::iter(rows)
        .map(|row| async move {
            let (name, others) = (row.name, row.others);
            tokio::spawn(play(row))
                .await
                .unwrap_or_else(|panic| Told::of_panic(name, others, &panic))
        })
        .buffered(4)
        .collect()
        .await;
    std::fs::write(table_file(), table(&told)).unwrap();
    told.retain(|told| told.wrong.is_some());
    let wrong: Vec<String> = told.into_iter().filter_map(|told| told.wrong).collect();
    assert!(
        wrong.is_empty(),
        "{} of the matrix:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn table_file() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("matrix.md")
}

fn table(told: &[Told]) -> String {
    let mut text =
        "| situation | exit | verdict | cause | what others say |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    let cell = |text: &str| text.replace('|', "\\|");
    for one in told {
        let Told {
            name,
            verdict,
            code,
            cause,
            others,
            ..
        } = one;
        let (verdict, cause) = (cell(verdict), cell(cause));
        let _ = writeln!(text, "| {name} | {code} | {verdict} | {cause} | {others} |");
    }
    text
}

/// `{"a": 1}` with more members.
fn with(mut object: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

/// A health check of `web`.
fn check(interval: u32) -> Value {
    json!({ "command": ["CMD-SHELL", "true"], "interval": interval })
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}
