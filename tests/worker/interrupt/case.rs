//! One pipeline to which one thing happens.

use super::points::Point;
use crate::bench::outcome::Outcome;
use crate::bench::workers::Plan;
use crate::bench::{Bench, Setup};
use slipway::sandbox::scenario::Scenario;
use slipway::sandbox::scenario::faults::Faults;
use slipway::sandbox::world::pipeline::ExecutionStatus;
use std::fmt;

/// How long an execution may take, in seconds of the clock: what goes wrong once must not cost more.
const WITHIN: u64 = 3600;

/// How much of what a worker told is shown of a case that broke a rule.
const LAST_LINES: usize = 30;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The connection is refused.
    Refused,
    /// It is throttled.
    Throttled,
    /// It is answered 503.
    Unavailable,
    /// So are all attempts of the SDK.
    Outage,
    /// Its effect happens, and its answer is lost.
    LostAnswer,
    /// Its credentials have ended.
    Expired,
    /// Its answer breaks off.
    CutBody,
    /// Its answer takes half a minute.
    Slow,
    /// The worker is killed before its effect.
    KilledBefore,
    /// The worker is killed after its effect.
    KilledAfter,
}

impl Way {
    /// What goes wrong on the wire.
    pub const OF_WIRE: [Self; 8] = [
        Self::Refused,
        Self::Throttled,
        Self::Unavailable,
        Self::Outage,
        Self::LostAnswer,
        Self::Expired,
        Self::CutBody,
        Self::Slow,
    ];

    /// What ends a worker.
    pub const OF_WORKERS: [Self; 2] = [Self::KilledBefore, Self::KilledAfter];

    fn kills(self) -> bool {
        Self::OF_WORKERS.contains(&self)
    }

    fn action(self) -> (&'static str, u64) {
        match self {
            Self::Refused => ("action = \"refuse\"", 1),
            Self::Throttled => ("action = \"throttle\"", 1),
            Self::Unavailable => ("action = \"http\"", 1),
            Self::Outage => ("action = \"http\"", 8),
            Self::LostAnswer => ("action = \"lost-answer\"", 1),
            Self::Expired => ("action = \"expired-token\"", 1),
            Self::CutBody => ("action = \"cut-body\"", 1),
            Self::Slow => ("action = \"slow\"\nms = 30000", 1),
            Self::KilledBefore => ("action = \"hold\"", 1),
            Self::KilledAfter => ("action = \"hold-answer\"", 1),
        }
    }
}

/// A pipeline, and what happens.
#[derive(Debug, Clone)]
pub struct Case {
    pub point: Point,
    pub way: Way,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.way, self.point)
    }
}

/// What came of a case.
#[derive(Debug)]
pub struct Told {
    pub case: Case,
    /// Whether it happened at all.
    pub happened: bool,
    pub succeeded: bool,
    /// Broken rules, each in words.
    pub broken: Vec<String>,
    /// What the worker told, and what became of everything, if a rule is broken.
    pub why: String,
}

impl Case {
    /// Runs it.
    pub async fn run(self, setup: &Setup) -> Told {
        let bench = Bench::with_pipeline(setup).await;
        let (action, times) = self.way.action();
        let scenario = Scenario::parse(&self.point.fault(action, times)).unwrap();
        bench.sandbox.set_faults(scenario.faults);
        let (outcome, told, happened) = if self.way.kills() {
            killed(&bench).await
        } else {
            hit(&bench).await
        };
        let mut broken = outcome.broken();
        let succeeded = outcome.execution.status == ExecutionStatus::Succeeded;
        if !succeeded && self.must_succeed() {
            let messages = [outcome.message("Build"), outcome.message("Deploy")].concat();
            broken.push(format!("what passes fails no pipeline: {messages}"));
        }
        let why = if broken.is_empty() {
            String::new()
        } else {
            let lines: Vec<&str> = told.lines().collect();
            lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
        };
        Told {
            case: self,
            happened,
            succeeded,
            broken,
            why,
        }
    }

    /// Whether a pipeline must stand it: one failure that passes, or the death of a worker.
    fn must_succeed(&self) -> bool {
        match self.way {
            Way::Refused
            | Way::Throttled
            | Way::Unavailable
            | Way::LostAnswer
            | Way::CutBody
            | Way::Slow
            | Way::KilledBefore
            | Way::KilledAfter => true,
            Way::Outage | Way::Expired => false,
        }
    }
}

/// A worker of this process meets the fault.
async fn hit(bench: &Bench) -> (Outcome, String, bool) {
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    let _ = bench.comes_true(WITHIN, || bench.is_over(&execution)).await;
    let happened = *bench.sandbox.struck().borrow() > 0;
    bench.sandbox.set_faults(Faults::default());
    let told = worker.stop().await;
    (bench.look(&execution).await, told.human(), happened)
}

/// A worker is killed where the fault is, and another one comes.
async fn killed(bench: &Bench) -> (Outcome, String, bool) {
    let mut worker = bench.process(&Plan::default());
    let execution = bench.release("shop");
    let struck = bench.sandbox.struck();
    let is_time = || *struck.borrow() > 0 || bench.is_over(&execution);
    let _ = bench.comes_true(WITHIN, is_time).await;
    let happened = *struck.borrow() > 0;
    bench.sandbox.set_faults(Faults::default());
    worker.kill();
    let other = bench.process(&Plan::default());
    let outcome = bench.outcome(&execution, WITHIN).await;
    let told = format!("{}\n--- killed ---\n{}", worker.log(), other.log());
    (outcome, told, happened)
}
