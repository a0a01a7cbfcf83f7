//! Reads a `[[fault]]` table, and says all that is wrong with it.

use super::{Action, Change, Fault, Path, Problem, Turn};
use std::time::Duration;
use toml::{Table, Value};

const SERVICES: &[&str] = &[
    "ecs",
    "ecr",
    "registry",
    "s3",
    "elb",
    "logs",
    "sts",
    "codepipeline",
    "sqs",
];
const KEYS: &[&str] = &[
    "service",
    "operation",
    "nth",
    "every",
    "from",
    "to",
    "offers",
    "action",
    "code",
    "message",
    "status",
    "ms",
    "member",
    "word",
    "body",
];
const ACTIONS: &str = "throttle, error, http, lost-answer, refuse, hold, hold-answer, slow, stale, access-denied, expired-token, \
     extra-members, unknown-word, drop-member, cut-body or other-body";

/// Reads one `[[fault]]`, noting what is wrong.
pub struct Reader<'a> {
    place: String,
    table: Option<&'a Table>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// A reader of the table at `place`.
    pub fn new(place: String, value: &'a Value, problems: &'a mut Vec<Problem>) -> Self {
        Self {
            place,
            table: value.as_table(),
            problems,
        }
    }

    /// The fault, unless something is wrong with it.
    pub fn fault(&mut self) -> Option<Fault> {
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
        let offers = self.offers(&operation);
        let turn = self.turn();
        let action = self.action();
        let fault = Fault {
            service,
            operation,
            offers,
            turn,
            action: action?,
            seen: 0,
        };
        (self.problems.len() == before).then_some(fault)
    }

    fn offers(&mut self, operation: &str) -> bool {
        match self.table.and_then(|table| table.get("offers")) {
            None => false,
            Some(Value::Boolean(offers)) if operation == "PollForJobs" => *offers,
            Some(_) => {
                self.wrong("offers", "expected true or false, for the operation PollForJobs");
                false
            }
        }
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
            "hold" => Some(Action::Hold),
            "hold-answer" => Some(Action::HoldAnswer),
            "stale" => Some(Action::Stale),
            "access-denied" => Some(Action::AccessDenied),
            "expired-token" => Some(Action::ExpiredToken),
            "extra-members" => Some(Action::Change(Change::ExtraMembers)),
            "cut-body" => Some(Action::Change(Change::CutBody)),
            "other-body" => {
                let body = self.text("body");
                if body.is_none() {
                    self.wrong("body", "expected the text that is sent instead");
                }
                body.map(|body| Action::Change(Change::OtherBody(body)))
            }
            "drop-member" => self
                .member()
                .map(|member| Action::Change(Change::DropMember(member))),
            "unknown-word" => {
                let word = self.text("word").unwrap_or_else(|| "WORD_OF_TOMORROW".to_owned());
                self.member()
                    .map(|member| Action::Change(Change::UnknownWord { member, word }))
            }
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

    fn member(&mut self) -> Option<Path> {
        let path = self.text("member").and_then(|text| Path::parse(&text));
        if path.is_none() {
            self.wrong(
                "member",
                "expected a member's name, such as \"rolloutState\" or \"deployments.status\"",
            );
        }
        path
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
