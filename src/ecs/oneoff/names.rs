//! By what a one-off task is known: who started it, its group, and the token that makes it run once.

use crate::ecs::mark::Mark;
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

/// The group of a task that an execution runs: `task:migrate:EXECUTION-ATTEMPT`, each in some digits of its hash.
#[must_use]
pub fn group_of(task: &TaskName, mark: &Mark) -> String {
    let attempt = digits(&mark.attempt, 6);
    format!("{}{attempt}", of_execution(task, mark))
}

/// Whether a task of this group was run for the same execution, at the same place, by whichever attempt.
#[must_use]
pub fn is_of_execution(group: &str, task: &TaskName, mark: &Mark) -> bool {
    group.starts_with(&of_execution(task, mark))
}

fn of_execution(task: &TaskName, mark: &Mark) -> String {
    let execution = digits(&format!("{} {}", mark.execution, mark.place), 12);
    format!("{}:{execution}-", group(task))
}

fn digits(text: &str, count: usize) -> String {
    Digest::of(text.as_bytes()).hex().chars().take(count).collect()
}

/// The `clientToken` of a task of one attempt: the same whoever goes on with the attempt, so that its task runs once.
#[must_use]
pub fn client_token_of(revision: &str, task: &TaskName, mark: &Mark) -> String {
    let Mark {
        execution,
        place,
        attempt,
    } = mark;
    let text = format!("{revision} {task} {execution} {place} {attempt}");
    Digest::of(text.as_bytes()).hex().to_owned()
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
    use super::{client_token, client_token_of, group, group_of, is_of_execution, started_by};
    use crate::ecs::mark::Mark;
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
    fn a_task_is_known_by_its_execution_and_its_attempt_by_its_own() {
        let mark = |execution: &str, attempt: &str| Mark {
            execution: execution.to_owned(),
            place: "shop/Deploy/Services".to_owned(),
            attempt: attempt.to_owned(),
        };
        let task = "migrate".parse().unwrap();
        let (first, retry, other) = (mark("e1", "a1"), mark("e1", "a2"), mark("e2", "a1"));
        let known = group_of(&task, &first);
        assert!(known.starts_with("task:migrate:") && known.len() < 255);
        assert!(is_of_execution(&known, &task, &first) && is_of_execution(&known, &task, &retry));
        assert_ne!(known, group_of(&task, &retry));
        assert!(!is_of_execution(&known, &task, &other));
        assert!(!is_of_execution(&group(&task), &task, &first), "of no execution");
        assert!(!is_of_execution(&known, &"migrate2".parse().unwrap(), &first));
        let token = |mark: &Mark| client_token_of("shop:2", &task, mark);
        assert_eq!(token(&first), token(&first));
        assert!(token(&first) != token(&retry) && token(&first) != token(&other));
        assert_eq!(token(&first).len(), 64);
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
