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
use slipway::ecs::resume::{LONGEST, Resume};
use slipway::failure::{Failure, Kind};
use slipway::report::event::Event;
use slipway::report::human::{Style, line};
use slipway::stage::deploy::{self, DeployPlan, Deployed, Stretch};
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

/// How a deploy ends: neither without the line that says why, nor without the one that says what was proven.
pub enum Ends {
    Done {
        /// What was proven, and what is healthy.
        proof: Line,
        /// So many seconds after the deploy began.
        within: Option<(u64, u64)>,
    },
    Fails {
        kind: Kind,
        /// The root cause.
        cause: Line,
    },
}

/// A whole line of what is told; `…` stands for what a run makes up, such as an id.
#[derive(Clone, Copy)]
pub struct Line(&'static str);

impl Line {
    const fn of(text: &'static str) -> Self {
        assert!(!text.is_empty(), "every end has its line");
        Self(text)
    }

    fn is(self, told: &str) -> bool {
        fn like(told: &str, pattern: &str) -> bool {
            let Some((head, tail)) = pattern.split_once('…') else {
                return told == pattern;
            };
            told.strip_prefix(head).is_some_and(|rest| {
                let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
                ends.any(|at| like(&rest[at..], tail))
            })
        }
        like(told, self.0)
    }
}

/// What a success says of two tasks of version 2.
const TWO: &str = "container web: 2 tasks proven to run sha256:22222222…; healthy: shop:2 after …";

/// What a failure says of containers that end with code 3 at once, without a word.
const SILENT: &str = "container web exited with code 3 after 1 s, and wrote nothing to its log";

const DONE: Ends = done(TWO);

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

const fn done(proof: &'static str) -> Ends {
    Ends::Done {
        proof: Line::of(proof),
        within: None,
    }
}

const fn done_within(from: u64, to: u64, proof: &'static str) -> Ends {
    Ends::Done {
        proof: Line::of(proof),
        within: Some((from, to)),
    }
}

const fn fails(kind: Kind, cause: &'static str) -> Ends {
    Ends::Fails {
        kind,
        cause: Line::of(cause),
    }
}

/// How much later a verdict may come because nobody looks between two stretches, in seconds.
const LATE: u64 = 60;

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
    /// The root cause, or what was proven.
    line: String,
    others: &'static str,
    wrong: Option<String>,
}

impl Told {
    fn of_panic(name: &'static str, others: &'static str, panic: &tokio::task::JoinError) -> Self {
        Self {
            name,
            verdict: String::new(),
            code: 0,
            line: String::new(),
            others,
            wrong: Some(format!("{name}\n{panic}")),
        }
    }
}

/// Deploys in stretches, each by a process of its own that has the token alone; between them nobody looks.
async fn in_stretches(bench: &Bench, plan: &DeployPlan, stretch: Duration) -> Result<Vec<Deployed>, Failure> {
    let mut jitter = 7;
    let mut percent = 0;
    let mut ended = deploy::start(&bench.tools, plan, None, stretch).await;
    loop {
        let progress = match ended? {
            Stretch::Done(deployed) => return Ok(deployed),
            Stretch::UnderWay(progress) => progress,
            Stretch::AtTask(summary) => panic!("{summary}"),
        };
        assert!(
            progress.percent >= percent && progress.percent < 100,
            "{progress:?}"
        );
        percent = progress.percent;
        let lines = progress.summary.lines().count();
        assert!(lines == 1 && progress.summary.contains("shop: "), "{progress:?}");
        let token = progress.resume.one_token().unwrap();
        assert!(token.len() <= LONGEST, "{token}");
        jitter = (jitter * 31 + 11) % 17;
        bench.let_pass(Duration::from_secs(30 + jitter)).await;
        let resume = Resume::read(&[token]).unwrap();
        assert_eq!(resume, progress.resume);
        ended = deploy::carry_on(&bench.tools, &resume, stretch).await;
    }
}

async fn play(row: Row, stretch: Option<Duration>) -> Told {
    let bench = stage::set(&row).await;
    let mut plan = bench.version_two();
    (row.plan)(&mut plan);
    let began = bench.tools.clock.now();
    let (outcome, late) = match stretch {
        None => (bench.deploy(&plan).await, 0),
        Some(stretch) => (in_stretches(&bench, &plan, stretch).await, LATE),
    };
    let took = (bench.tools.clock.now() - began).as_secs();
    let mut told = Told {
        name: row.name,
        verdict: String::new(),
        code: 0,
        line: String::new(),
        others: row.others,
        wrong: None,
    };
    let text = match &outcome {
        Ok(_) => {
            "done and proven".clone_into(&mut told.verdict);
            told.line = proof(&bench);
            format!("done after {took} s")
        }
        Err(failure) => {
            let text = Bench::rendered(failure);
            told.verdict.clone_from(&failure.what);
            told.code = failure.kind.exit_code();
            let cause = text
                .lines()
                .find_map(|line| line.trim_start().strip_prefix("cause:"));
            cause.unwrap_or_default().trim().clone_into(&mut told.line);
            text
        }
    };
    let right = match (&row.ends, &outcome) {
        (Ends::Done { proof, within }, Ok(_)) => {
            proof.is(&told.line) && within.is_none_or(|(from, to)| (from..=to + late).contains(&took))
        }
        (Ends::Fails { kind, cause }, Err(failure)) => {
            let first_screen = text.lines().count() <= 40;
            failure.kind == *kind && cause.is(&told.line) && first_screen && failure.left.is_some()
        }
        _ => false,
    };
    if !right {
        let wanted = match &row.ends {
            Ends::Done { proof, within } => format!("done {within:?}, with `{}`", proof.0),
            Ends::Fails { kind, cause } => format!("{kind:?} because of `{}`", cause.0),
        };
        let (name, line) = (row.name, &told.line);
        told.wrong = Some(format!(
            "{name}\nwanted: {wanted}\ngot, after {took} s: {line}\n{text}\n"
        ));
    }
    told
}

/// What was proven of the service's containers, and the last word on it.
fn proof(bench: &Bench) -> String {
    let told = bench.told();
    let of_proof = |event: &&Event| matches!(event, Event::DigestProven { .. } | Event::Healthy { .. });
    let lines = told
        .iter()
        .filter(of_proof)
        .filter_map(|event| line(event, Style::default()));
    let lines: Vec<String> = lines
        .map(|line| line.trim_start_matches("shop: ").to_owned())
        .collect();
    lines.join("; ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_situation_gets_its_verdict_its_exit_code_and_its_cause() {
    let rows = rows();
    assert!(rows.len() >= 45, "{} situations", rows.len());
    let told = play_all(rows, None).await;
    std::fs::write(table_file(), table(&told)).unwrap();
    assert_right(told);
}

async fn play_all(rows: Vec<Row>, stretch: Option<Duration>) -> Vec<Told> {
    stream::iter(rows)
        .map(|row| async move {
            let (name, others) = (row.name, row.others);
            tokio::spawn(play(row, stretch))
                .await
                .unwrap_or_else(|panic| Told::of_panic(name, others, &panic))
        })
        .buffered(4)
        .collect()
        .await
}

fn assert_right(told: Vec<Told>) {
    let wrong: Vec<String> = told.into_iter().filter_map(|told| told.wrong).collect();
    assert!(
        wrong.is_empty(),
        "{} of the matrix:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_stretches_come_to_the_same_verdicts_exit_codes_and_causes() {
    assert_right(play_all(rows(), Some(Duration::from_secs(20))).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stretches_of_a_minute_come_to_the_same_verdicts_exit_codes_and_causes() {
    assert_right(play_all(rows(), Some(Duration::from_secs(60))).await);
}

fn table_file() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("matrix.md")
}

fn table(told: &[Told]) -> String {
    let mut text =
        "| situation | exit | verdict | cause, or proof | what others say |\n| --- | --- | --- | --- | --- |\n"
            .to_owned();
    let cell = |text: &str| text.replace('|', "\\|");
    for one in told {
        let Told {
            name,
            verdict,
            code,
            line,
            others,
            ..
        } = one;
        let (verdict, line) = (cell(verdict), cell(line));
        let _ = writeln!(text, "| {name} | {code} | {verdict} | {line} | {others} |");
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
