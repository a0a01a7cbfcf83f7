//! What goes wrong on the wire: which requests a fault hits, and what happens to them.
//!
//! ```toml
//! [[fault]]
//! service = "ecs"                  # ecs, ecr, registry, s3, elb, logs, sts; default: every service
//! operation = "Describe*"          # default: every operation
//! nth = 3                          # or every = 2, or from = 2 and to = 5; default: every matching request
//! offers = true                    # of PollForJobs, only those that jobs are offered to; default: every one
//! action = "throttle"              # see [`Action`] and [`Change`]
//! ```

mod read;
#[cfg(test)]
mod tests;

use std::time::Duration;
use toml::Value;

/// The faults, in the file's order, each with a count of the requests that it matched.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    faults: Vec<Fault>,
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    service: String,
    operation: String,
    /// Whether only polls are meant that jobs are offered to.
    offers: bool,
    turn: Turn,
    action: Action,
    seen: u64,
}

/// Which of the matching requests are hit, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Nth(u64),
    Every(u64),
    Between(u64, u64),
}

/// What happens to a request that is hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `throttle`: refused with the service's own throttling error.
    Throttle,
    /// `error`: refused with a `code`, a `message` and a `status`.
    Error {
        /// The error's code.
        code: String,
        /// Its text.
        message: String,
        /// The HTTP status.
        status: u16,
    },
    /// `http`: an answer with a `status` and no body that a client could read, as from a proxy in between.
    Http(u16),
    /// `lost-answer`: the effect happens, then the connection is cut.
    LostAnswer,
    /// `refuse`: the connection is cut before anything happens.
    Refuse,
    /// `hold`: the connection stays open, and nothing happens and nothing is answered for as long as the client waits.
    Hold,
    /// `hold-answer`: the same, once the effect has happened.
    HoldAnswer,
    /// `slow`: the answer comes after `ms` of the sandbox's clock.
    Slow(Duration),
    /// `stale`: a reading operation answers what it answered before, if it was asked before.
    Stale,
    /// `access-denied`: refused as IAM refuses.
    AccessDenied,
    /// `expired-token`: refused as STS credentials that have ended.
    ExpiredToken,
    /// The request is answered, and the answer is changed on its way.
    Change(Change),
}

/// What becomes of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `extra-members`: every object has members that no client of today knows.
    ExtraMembers,
    /// `unknown-word`: the texts of a `member` become a `word` that nobody knows.
    UnknownWord {
        /// The member, or the end of its path.
        member: Path,
        /// The word.
        word: String,
    },
    /// `drop-member`: a `member` is missing.
    DropMember(Path),
    /// `cut-body`: half of the body is sent, then the connection ends.
    CutBody,
    /// `other-body`: the status stays, and the body is another text, as of a proxy that rewrites answers.
    OtherBody(String),
}

/// The end of a member's path: `rolloutState`, `deployments.status`; the items of a list are no step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl Path {
    /// Reads it; `None` for a path with an empty step.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let steps: Vec<String> = text.split('.').map(str::to_owned).collect();
        steps.iter().all(|step| !step.is_empty()).then_some(Self(steps))
    }

    /// Whether a whole path ends with it.
    #[must_use]
    pub fn ends(&self, whole: &[String]) -> bool {
        whole.ends_with(&self.0)
    }
}

/// What is wrong with a scenario file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `fault[2].nth`: the second `[[fault]]`, its key `nth`.
    pub place: String,
    /// What was expected there.
    pub problem: String,
}

impl Faults {
    /// Reads the file's `fault` member; everything that is wrong is added to `problems`.
    #[must_use]
    pub fn read(member: Option<&Value>, problems: &mut Vec<Problem>) -> Self {
        let mut faults = Vec::new();
        match member {
            None => {}
            Some(Value::Array(tables)) => {
                for (at, table) in tables.iter().enumerate() {
                    let mut reader = read::Reader::new(format!("fault[{}]", at + 1), table, problems);
                    faults.extend(reader.fault());
                }
            }
            Some(_) => problems.push(Problem {
                place: "fault".to_owned(),
                problem: "expected tables: [[fault]]".to_owned(),
            }),
        }
        Self { faults }
    }

    /// What happens to this request: the first fault that matches it and whose turn it is.
    ///
    /// Every fault that matches counts the request, whether it is hit or not. `offers` says whether it is a poll that jobs
    /// are offered to.
    pub fn decide(&mut self, service: &str, operation: &str, offers: bool) -> Option<Action> {
        let mut action = None;
        for fault in &mut self.faults {
            if !glob(&fault.service, service) || !glob(&fault.operation, operation) {
                continue;
            }
            if fault.offers && !offers {
                continue;
            }
            fault.seen += 1;
            if fault.turn.is_at(fault.seen) && action.is_none() {
                action = Some(fault.action.clone());
            }
        }
        action
    }

    /// Whether any fault is of polls that jobs are offered to, so that it must be known which are.
    #[must_use]
    pub fn ask_for_offers(&self) -> bool {
        self.faults.iter().any(|fault| fault.offers)
    }

    /// Whether any fault answers from memory, so that answers must be remembered.
    #[must_use]
    pub fn needs_memory(&self) -> bool {
        self.faults.iter().any(|fault| fault.action == Action::Stale)
    }
}

impl Turn {
    fn is_at(self, count: u64) -> bool {
        match self {
            Self::Nth(nth) => count == nth,
            Self::Every(every) => count.is_multiple_of(every),
            Self::Between(from, to) => (from..=to).contains(&count),
        }
    }
}

/// Whether a pattern with `*` for any run of characters matches a text.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            tail.char_indices()
                .map(|(at, _)| at)
                .chain([tail.len()])
                .any(|at| glob(rest, &tail[at..]))
        }),
    }
}
