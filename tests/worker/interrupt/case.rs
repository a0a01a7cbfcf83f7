//! One pipeline to which one thing happens.

use super::points::Point;
use super::{Verdict, bench};
use crate::bench::Bench;
use crate::bench::outcome::Outcome;
use crate::bench::workers::Plan;
use slipway::sandbox::scenario::faults::Faults;
use slipway::sandbox::world::pipeline::ExecutionStatus;
use std::fmt;

/// How long an execution may take, in seconds of the clock: what goes wrong once must not cost more.
const WITHIN: u64 = 3600;

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

impl Case {
    /// Runs it.
    pub async fn run(self) -> Verdict {
        let bench = bench().await;
        let (action, times) = self.way.action();
        bench.set_fault(&self.point.fault(action, times));
        let (outcome, left, told, happened) = if self.way.kills() {
            killed(&bench).await
        } else {
            hit(&bench).await
        };
        let mut broken = outcome.broken();
        broken.extend(left);
        let succeeded = outcome.execution.status == ExecutionStatus::Succeeded;
        if !succeeded && self.must_succeed() {
            let messages = [outcome.message("Build"), outcome.message("Deploy")].concat();
            broken.push(format!("what passes fails no pipeline: {messages}"));
        }
        Verdict {
            name: self.to_string(),
            happened,
            succeeded,
            broken,
            told,
        }
    }

    /// Whether a pipeline must stand it: one failure that passes, or the death of a worker.
    fn must_succeed(&self) -> bool {
        match self.way {
            Way::Refused
            | Way::Throttled
            | Way::Unavailable
            | Way::LostAnswer
            | Way::Expired
            | Way::CutBody
            | Way::Slow
            | Way::KilledBefore
            | Way::KilledAfter => true,
            Way::Outage => false,
        }
    }
}

/// A worker of this process meets the fault. Gives what became of the execution, what the journal still says, what the
/// worker told, and whether the fault happened.
async fn hit(bench: &Bench) -> (Outcome, Vec<String>, String, bool) {
    let worker = bench.worker(&Plan::default());
    let execution = bench.release("shop");
    let _ = bench.comes_true(WITHIN, || bench.is_over(&execution)).await;
    let happened = *bench.sandbox.struck().borrow() > 0;
    bench.sandbox.set_faults(Faults::default());
    let left = bench.left_in_journal().await;
    let told = worker.stop().await;
    (bench.look(&execution).await, left, told.human(), happened)
}

/// A worker is killed where the fault is, and another one comes. Gives the same.
async fn killed(bench: &Bench) -> (Outcome, Vec<String>, String, bool) {
    let mut worker = bench.process(&Plan::default());
    let execution = bench.release("shop");
    let happened = bench.strikes(&execution, WITHIN).await;
    bench.sandbox.set_faults(Faults::default());
    worker.kill();
    let other = bench.process(&Plan::default());
    let outcome = bench.outcome(&execution, WITHIN).await;
    let left = bench.left_in_journal().await;
    let told = format!("{}\n--- killed ---\n{}", worker.log(), other.log());
    (outcome, left, told, happened)
}
