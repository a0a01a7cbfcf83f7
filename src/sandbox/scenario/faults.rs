//! What goes wrong on the wire: which requests a fault hits, and what happens to them.
//!
//! ```toml
//! [[fault]]
//! service = "ecs"                  # ecs, ecr, registry, s3, elb, logs, sts; default: every service
//! operation = "Describe*"          # default: every operation
//! nth = 3                          # or every = 2, or from = 2 and to = 5; default: every matching request
//! action = "throttle"              # see [`Action`]
//! ```

use std::time::Duration;
use toml::{Table, Value};

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
    /// `slow`: the answer comes after `ms` of the sandbox's clock.
    Slow(Duration),
    /// `stale`: a reading operation answers what it answered before, if it was asked before.
    Stale,
    /// `access-denied`: refused as IAM refuses.
    AccessDenied,
    /// `expired-token`: refused as STS credentials that have ended.
    ExpiredToken,
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
                    let mut reader = Reader::new(format!("fault[{}]", at + 1), table, problems);
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
    /// Every fault that matches counts the request, whether it is hit or not.
    pub fn decide(&mut self, service: &str, operation: &str) -> Option<Action> {
        let mut action = None;
        for fault in &mut self.faults {
            if !glob(&fault.service, service) || !glob(&fault.operation, operation) {
                continue;
            }
            fault.seen += 1;
            if fault.turn.is_at(fault.seen) && action.is_none() {
                action = Some(fault.action.clone());
            }
        }
        action
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

const SERVICES: &[&str] = &["ecs", "ecr", "registry", "s3", "elb", "logs", "sts"];
const KEYS: &[&str] = &[
    "service",
    "operation",
    "nth",
    "every",
    "from",
    "to",
    "action",
    "code",
    "message",
    "status",
    "ms",
];
const ACTIONS: &str =
    "throttle, error, http, lost-answer, refuse, slow, stale, access-denied or expired-token";

/// Reads one `[[fault]]`, noting what is wrong.
struct Reader<'a> {
    place: String,
    table: Option<&'a Table>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn new(place: String, value: &'a Value, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            place,
            table: value.as_table(),
            problems,
        }
    }

    fn fault(&mut self) -> Option<Fault> {
        let Some(table) = self.table else {
            self.wrong("", "expected a table");
            return None;
        };
        for key in table.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            self.wrong(key, &format!("unknown key; expected one of {}", KEYS.join(", ")));
        }
        let before = self.problems.len();
        let service = self.text("service").unwrap_or_else(|| "*".to_owned());
        if service != "*" && !SERVICES.contains(&service.as_str()) {
            self.wrong("service", &format!("expected one of {}", SERVICES.join(", ")));
        }
        let operation = self.text("operation").unwrap_or_else(|| "*".to_owned());
        let turn = self.turn();
        let action = self.action();
        let fault = Fault {
            service,
            operation,
            turn,
            action: action?,
            seen: 0,
        };
        (self.problems.len() == before).then_some(fault)
    }

    fn turn(&mut self) -> Turn {
        let (nth, every) = (self.count("nth"), self.count("every"));
        let (from, to) = (self.count("from"), self.count("to"));
        match (nth, every, from, to) {
            (None, None, from, to) => {
                let (from, to) = (from.unwrap_or(1), to.unwrap_or(u64::MAX));
                if from > to {
                    self.wrong("to", "expected a number that is not below `from`");
                }
                Turn::Between(from, to)
            }
            (Some(nth), None, None, None) => Turn::Nth(nth),
            (None, Some(every), None, None) => Turn::Every(every),
            _ => {
                self.wrong("", "expected only one of `nth`, `every`, and `from` with `to`");
                Turn::Nth(1)
            }
        }
    }

    fn action(&mut self) -> Option<Action> {
        let Some(name) = self.text("action") else {
            self.wrong("action", &format!("expected {ACTIONS}"));
            return None;
        };
        match name.as_str() {
            "throttle" => Some(Action::Throttle),
            "lost-answer" => Some(Action::LostAnswer),
            "refuse" => Some(Action::Refuse),
            "stale" => Some(Action::Stale),
            "access-denied" => Some(Action::AccessDenied),
            "expired-token" => Some(Action::ExpiredToken),
            "http" => Some(Action::Http(self.status(503))),
            "error" => {
                let status = self.status(400);
                let code = self.text("code");
                if code.is_none() {
                    self.wrong("code", "expected the error's code, such as \"ServerException\"");
                }
                let message = self.text("message").unwrap_or_default();
                code.map(|code| Action::Error {
                    code,
                    message,
                    status,
                })
            }
            "slow" => {
                let ms = self.count("ms");
                if ms.is_none() {
                    self.wrong("ms", "expected a number of milliseconds");
                }
                ms.map(|ms| Action::Slow(Duration::from_millis(ms)))
            }
            _ => {
                self.wrong("action", &format!("expected {ACTIONS}"));
                None
            }
        }
    }

    fn status(&mut self, default: u16) -> u16 {
        match self.count("status").map(u16::try_from) {
            None => default,
            Some(Ok(status @ 400..=599)) => status,
            Some(_) => {
                self.wrong("status", "expected an HTTP status from 400 to 599");
                default
            }
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.table.and_then(|table| table.get(key))? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.wrong(key, "expected a text");
                None
            }
        }
    }

    fn count(&mut self, key: &str) -> Option<u64> {
        match self.table.and_then(|table| table.get(key))? {
            Value::Integer(number) if *number >= 1 => Some(number.unsigned_abs()),
            _ => {
                self.wrong(key, "expected a whole number from 1");
                None
            }
        }
    }

    fn wrong(&mut self, key: &str, problem: &str) {
        let dot = if key.is_empty() { "" } else { "." };
        self.problems.push(Problem {
            place: format!("{}{dot}{key}", self.place),
            problem: problem.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Faults};
    use std::time::Duration;

    fn read(text: &str) -> Result<Faults, Vec<String>> {
        let table: toml::Table = toml::from_str(text).unwrap();
        let mut problems = Vec::new();
        let faults = Faults::read(table.get("fault"), &mut problems);
        if problems.is_empty() {
            Ok(faults)
        } else {
            Err(problems
                .into_iter()
                .map(|one| format!("{}: {}", one.place, one.problem))
                .collect())
        }
    }

    /// Which of six requests are hit.
    fn hits(turn: &str) -> Vec<u32> {
        let mut faults = read(&format!("[[fault]]\naction = \"throttle\"\n{turn}")).unwrap();
        (1..=6)
            .filter(|_| faults.decide("ecs", "ListTasks").is_some())
            .collect()
    }

    #[test]
    fn turns_are_counted_from_one() {
        assert_eq!(hits(""), [1, 2, 3, 4, 5, 6]);
        assert_eq!(hits("nth = 3"), [3]);
        assert_eq!(hits("every = 2"), [2, 4, 6]);
        assert_eq!(hits("from = 2\nto = 4"), [2, 3, 4]);
        assert_eq!(hits("from = 5"), [5, 6]);
    }

    #[test]
    fn a_fault_counts_only_what_it_matches() {
        let mut faults = read(
            "[[fault]]\nservice = \"ecs\"\noperation = \"Describe*\"\nnth = 2\naction = \"refuse\"\n\
             [[fault]]\nservice = \"s3\"\naction = \"slow\"\nms = 1500",
        )
        .unwrap();
        assert_eq!(faults.decide("ecs", "DescribeServices"), None);
        assert_eq!(faults.decide("ecs", "ListTasks"), None);
        assert_eq!(faults.decide("ecr", "DescribeImages"), None);
        assert_eq!(
            faults.decide("s3", "PutObject"),
            Some(Action::Slow(Duration::from_millis(1500)))
        );
        assert_eq!(faults.decide("ecs", "DescribeTasks"), Some(Action::Refuse));
        assert!(!faults.needs_memory());
    }

    #[test]
    fn every_action_can_be_written() {
        for (text, action) in [
            ("action = \"throttle\"", Action::Throttle),
            ("action = \"http\"", Action::Http(503)),
            ("action = \"http\"\nstatus = 502", Action::Http(502)),
            ("action = \"lost-answer\"", Action::LostAnswer),
            ("action = \"refuse\"", Action::Refuse),
            ("action = \"stale\"", Action::Stale),
            ("action = \"access-denied\"", Action::AccessDenied),
            ("action = \"expired-token\"", Action::ExpiredToken),
            (
                "action = \"error\"\ncode = \"ServerException\"\nstatus = 500",
                Action::Error {
                    code: "ServerException".into(),
                    message: String::new(),
                    status: 500,
                },
            ),
        ] {
            let mut faults = read(&format!("[[fault]]\n{text}")).unwrap();
            assert_eq!(faults.decide("sts", "GetCallerIdentity"), Some(action), "{text}");
        }
    }

    #[test]
    fn all_problems_are_reported_with_their_place() {
        let problems = read(
            "[[fault]]\nservice = \"ec2\"\nnth = 0\ntypo = 1\naction = \"explode\"\n\
             [[fault]]\nnth = 1\nevery = 2\naction = \"slow\"\n\
             [[fault]]\naction = \"error\"\nstatus = 200\nfrom = 3\nto = 2",
        )
        .unwrap_err();
        let places: Vec<_> = problems
            .iter()
            .map(|one| one.split(':').next().unwrap())
            .collect();
        assert_eq!(
            places,
            [
                "fault[1].typo",
                "fault[1].service",
                "fault[1].nth",
                "fault[1].action",
                "fault[2]",
                "fault[2].ms",
                "fault[3].to",
                "fault[3].status",
                "fault[3].code",
            ]
        );
        assert_eq!(
            read("fault = 3").unwrap_err(),
            ["fault: expected tables: [[fault]]"]
        );
    }
}
