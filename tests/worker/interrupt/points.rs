//! The requests of a good pipeline, each so that it is found again in another run: pollers interleave otherwise each time,
//! so a request is known by its service, its operation, and how many of them came before.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A request of the good run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub service: String,
    pub operation: String,
    /// Counted from 1; polls that were offered nothing do not count.
    pub nth: u64,
}

impl Point {
    /// The fault that hits it, and the requests of its sort that follow, so many in all.
    pub fn fault(&self, action: &str, times: u64) -> String {
        let Self {
            service,
            operation,
            nth,
        } = self;
        let to = nth + times - 1;
        let offers = if self.is_poll() { "offers = true\n" } else { "" };
        format!(
            "[[fault]]\nservice = \"{service}\"\noperation = \"{operation}\"\n{offers}from = {nth}\nto = {to}\n{action}\n"
        )
    }

    pub fn is_poll(&self) -> bool {
        self.operation == "PollForJobs"
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.service, self.operation, self.nth)
    }
}

/// The requests of a journal from its `skip`-th line on, in their order.
pub fn points(journal: &[Value]) -> Vec<Point> {
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut points = Vec::new();
    for entry in journal {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let (service, operation) = (text("service"), text("operation"));
        if operation == "PollForJobs" && !offers(entry) {
            continue;
        }
        // Asked beside the work by the clock: whether the work ends first is chance, and nothing waits for the answer.
        if operation == "ListActionExecutions" {
            continue;
        }
        let count = counts.entry((service.clone(), operation.clone())).or_default();
        *count += 1;
        points.push(Point {
            service,
            operation,
            nth: *count,
        });
    }
    points
}

/// Whether a poll was answered with jobs.
fn offers(entry: &Value) -> bool {
    let body = entry["response"]["body"].as_str().unwrap_or_default();
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    answer["jobs"].as_array().is_some_and(|jobs| !jobs.is_empty())
}
