//! By what a one-off task is known: who started it, its group, and the token that makes it run once.

use crate::name::{Digest, ServiceName, TaskName};
use std::time::Duration;

/// The most characters of `startedBy` (RunTask).
const LONGEST_STARTED_BY: usize = 128;

/// Who started a task: the same for every run, so that one that is still at work is found before another begins.
/// Letters, digits, `-`, `_` and `/`, as RunTask allows them.
#[must_use]
pub fn started_by(service: &ServiceName, task: &TaskName) -> String {
    let whole = format!("slipway/{service}/{task}");
    if whole.len() <= LONGEST_STARTED_BY {
        return whole;
    }
    format!("slipway/{}", Digest::of(whole.as_bytes()).hex())
}

/// The group of a task, which the console shows and ListTasks does not filter by: `task:migrate`.
#[must_use]
pub fn group(task: &TaskName) -> String {
    format!("task:{task}")
}

/// RunTask's `clientToken`: requests with the same one run one task, however often an answer is lost. It is new for every
/// run, or the task of an earlier run would be answered again instead of a new one.
#[must_use]
pub fn client_token(revision: &str, task: &TaskName, now: Duration) -> String {
    let text = format!("{revision} {task} {}", now.as_nanos());
    // As long as RunTask allows: 64 characters.
    Digest::of(text.as_bytes()).hex().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{client_token, started_by};
    use std::time::Duration;

    #[test]
    fn who_started_a_task_is_short_and_stable_and_tells_tasks_apart() {
        let name = |text: &str| started_by(&"shop-web".parse().unwrap(), &text.parse().unwrap());
        assert_eq!(name("migrate"), "slipway/shop-web/migrate");
        let (long, other) = ("x".repeat(200), format!("{}y", "x".repeat(199)));
        assert!(name(&long).len() <= 128);
        assert_eq!(name(&long), name(&long));
        assert_ne!(name(&long), name(&other));
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        assert!(name(&long).chars().all(allowed));
    }

    #[test]
    fn a_token_is_of_one_task_of_one_run() {
        let token = |revision: &str, task: &str, seconds| {
            client_token(revision, &task.parse().unwrap(), Duration::from_secs(seconds))
        };
        let first = token("shop:2", "migrate", 1);
        assert_eq!(first, token("shop:2", "migrate", 1));
        for other in [
            token("shop:3", "migrate", 1),
            token("shop:2", "seed", 1),
            token("shop:2", "migrate", 2),
        ] {
            assert_ne!(first, other);
        }
        assert_eq!(first.len(), 64);
    }
}
