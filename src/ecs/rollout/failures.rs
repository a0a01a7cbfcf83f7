//! Failed tasks, counted by a reason that is the same for the same cause.

use super::nature::{self, Nature};
use super::signs::{Sign, sign};
use crate::ecs::observation::{Container, ServiceEvent, StopCode, Task};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Tasks of our deployment that failed, each counted once, and what events say of tasks that found no place.
///
/// A failed pull may show as an event only, and its tasks are gone after an hour or may not be listed at all; how often
/// it failed is then in the deployment's own count.
#[derive(Debug, Clone, Default)]
pub(super) struct Failures {
    by_task: BTreeMap<String, Reason>,
    by_event: BTreeMap<String, Reason>,
    /// The newest event's reason, as long as nothing newer is known.
    last_event: Option<String>,
    /// When the newest failure was seen that does not pass by itself, where that is known.
    newest: Option<Duration>,
    /// How many an earlier process knew of, where that is known.
    before: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reason {
    signature: String,
    nature: Nature,
}

impl Failures {
    /// Remembers the failed tasks of a look; `at` says when those failed that no look has shown before.
    pub(super) fn learn(&mut self, tasks: &[Task], at: Option<Duration>) {
        for task in tasks.iter().filter(|task| task.failed()) {
            let reason = Reason {
                signature: signature(task),
                nature: nature::of_task(task),
            };
            // A look that leaves out the containers says less than an earlier one did.
            if task.containers.is_empty() && self.by_task.contains_key(&task.id) {
                continue;
            }
            let lasts = reason.nature != Nature::Passing;
            if self.by_task.insert(task.id.clone(), reason).is_none() && lasts {
                self.newest = self.newest.max(at);
            }
        }
    }

    /// Remembers what events since our update say of tasks without a place, newest first. They do not name a
    /// deployment.
    pub(super) fn learn_events<'a>(
        &mut self,
        events: impl Iterator<Item = &'a ServiceEvent>,
        at: Option<Duration>,
    ) {
        let mut newest = None;
        for event in events {
            let (why, nature) = match sign(&event.message) {
                Some(Sign::Unplaced(why)) => (why, nature::of_reason(why)),
                Some(Sign::NoRoom(why)) => (why, Nature::Passing),
                Some(Sign::Failed(..) | Sign::RollsBackTo(_)) | None => continue,
            };
            newest.get_or_insert_with(|| event.id.clone());
            let signature = normalise(why);
            let reason = Reason { signature, nature };
            if self.by_event.insert(event.id.clone(), reason).is_none() && nature == Nature::Lasting {
                self.newest = self.newest.max(at);
            }
        }
        self.last_event = newest.or_else(|| self.last_event.take());
    }

    /// Goes on with what an earlier process knew: how many failed, and when the newest did.
    pub(super) fn carried(self, count: u32, newest: Option<Duration>) -> Self {
        Self {
            before: Some(count),
            newest,
            ..self
        }
    }

    /// Takes note that the first look of a later process is learned: what is more than the earlier one knew of failed
    /// meanwhile.
    pub(super) fn catch_up(&mut self, counted: u32, at: Duration) {
        if self.before.is_some_and(|before| self.seen(counted) > before) {
            self.newest = self.newest.max(Some(at));
        }
    }

    /// How many tasks failed for a reason that does not pass; `counted` is ECS's own count.
    pub(super) fn count(&self, counted: u32) -> u32 {
        self.seen(counted).max(self.before.unwrap_or_default())
    }

    fn seen(&self, counted: u32) -> u32 {
        let lasting = |reason: &&Reason| reason.nature != Nature::Passing;
        let seen = number(self.by_task.values().filter(lasting).count());
        let told = self
            .by_event
            .values()
            .any(|reason| reason.nature == Nature::Lasting);
        if told { seen.max(counted) } else { seen }
    }

    /// When the newest failure was seen that does not pass by itself; none if that is not known.
    pub(super) const fn newest(&self) -> Option<Duration> {
        self.newest
    }

    /// The most frequent reason, and how often, whatever its nature.
    pub(super) fn most(&self, counted: u32) -> Option<(&str, u32)> {
        self.most_of(counted, |nature| nature != Nature::Passing)
    }

    /// The most frequent reason that will repeat, and how often.
    pub(super) fn most_lasting(&self, counted: u32) -> Option<(&str, u32)> {
        self.most_of(counted, |nature| nature == Nature::Lasting)
    }

    fn most_of(&self, counted: u32, of: impl Fn(Nature) -> bool) -> Option<(&str, u32)> {
        let mut times: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for reason in self.by_task.values().filter(|reason| of(reason.nature)) {
            times.entry(&reason.signature).or_default().0 += 1;
        }
        for reason in self.by_event.values().filter(|reason| of(reason.nature)) {
            times.entry(&reason.signature).or_default().1 += 1;
        }
        let only_one = self.reasons() == 1;
        times
            .into_iter()
            .map(|(reason, (tasks, events))| {
                // Where one reason is all that is known, ECS's own count is of it.
                let all = if only_one { counted } else { 0 };
                (reason, tasks.max(events).max(all))
            })
            .max_by_key(|(_, times)| *times)
    }

    fn reasons(&self) -> usize {
        let all = self.by_task.values().chain(self.by_event.values());
        let distinct: std::collections::BTreeSet<&str> =
            all.map(|reason| reason.signature.as_str()).collect();
        distinct.len()
    }

    /// What keeps tasks from a place, if that is the newest trouble and may pass.
    pub(super) fn in_the_way(&self) -> Option<&str> {
        let reason = self.by_event.get(self.last_event.as_ref()?)?;
        (reason.nature != Nature::Lasting).then_some(reason.signature.as_str())
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// One line for why a task failed, without what differs from task to task (ids, counts of retries), so that equal
/// causes give equal lines.
#[must_use]
pub fn signature(task: &Task) -> String {
    let stopped = task.stopped_reason.as_deref().unwrap_or("no reason given");
    if task.stop_code == Some(StopCode::EssentialContainerExited) {
        let exits: Vec<String> = culprits(task)
            .into_iter()
            .filter_map(|container| {
                let code = container.exit_code?;
                let reason = container
                    .reason
                    .as_deref()
                    .map(|reason| format!(" ({})", normalise(reason)));
                Some(format!(
                    "container {} exited with code {code}{}",
                    container.name,
                    reason.unwrap_or_default()
                ))
            })
            .collect();
        if !exits.is_empty() {
            return exits.join(", ");
        }
    }
    if stopped.starts_with("Task failed to start") || task.stopped_reason.is_none() {
        // The containers say more.
        let reasons = task.containers.iter().find_map(|container| {
            Some(format!(
                "container {}: {}",
                container.name,
                normalise(container.reason.as_deref()?)
            ))
        });
        if let Some(reason) = reasons {
            return reason;
        }
    }
    normalise(stopped)
}

/// The containers that ended by themselves. With the first essential one that ends, ECS stops the others: their 143
/// (SIGTERM) or 137 (SIGKILL) is no failure of theirs, and differs from task to task.
fn culprits(task: &Task) -> Vec<&Container> {
    let exited = || {
        let exited = task.containers.iter().filter(|one| one.exit_code.is_some());
        exited.filter(|one| one.exit_code != Some(0) || task.containers.len() == 1)
    };
    let stopped = |one: &&Container| matches!(one.exit_code, Some(137 | 143)) && one.reason.is_none();
    let own: Vec<&Container> = exited().filter(|one| !stopped(one)).collect();
    if own.is_empty() { exited().collect() } else { own }
}

/// Replaces what differs between equal causes: long hexadecimal ids and IPv4 addresses by `…`, numbers in
/// `retried 7 time(s)` by `N`.
fn normalise(reason: &str) -> String {
    let mut words: Vec<String> = reason.split_whitespace().map(without_ids).collect();
    for at in 0..words.len() {
        let followed = words.get(at + 1).is_some_and(|next| next.starts_with("time"));
        if followed && words[at].bytes().all(|byte| byte.is_ascii_digit()) {
            "N".clone_into(&mut words[at]);
        }
    }
    words.join(" ")
}

/// A word with every part of it that is an id or an address, and its port, replaced.
fn without_ids(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for part in word.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.')) {
        let core = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let id = core.len() >= 16 && core.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if id || core.parse::<Ipv4Addr>().is_ok() {
            out.push('…');
            out.push_str(part.get(core.len()..).unwrap_or_default());
        } else {
            out.push_str(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::signature;
    use crate::ecs::rollout::tests::build::{exited, stopped};

    #[test]
    fn equal_causes_have_equal_signatures_and_other_causes_do_not() {
        let pull = |text: &str| signature(&stopped("t1", "TaskFailedToStart", text));
        let first = pull(
            "CannotPullContainerError: ref pull has been retried 5 time(s): dial tcp 10.0.1.7:443: i/o timeout, request \
             0123456789abcdef0123, task/prod/ffffffffffffffffffffffffffffffff",
        );
        let second = pull(
            "CannotPullContainerError: ref pull has been retried 1 time(s): dial tcp 10.0.2.9:443: i/o timeout, request \
             fedcba98-76543210, task/prod/00000000000000000000000000000000",
        );
        assert_eq!(first, second);
        assert_ne!(first, pull("CannotPullContainerError: not found"));
        assert_eq!(pull("exit status 1"), "exit status 1");
    }

    #[test]
    fn what_ecs_stopped_with_the_failed_container_is_no_failure_of_its_own() {
        let mut task = exited("t1", 3);
        let mut sidecar = task.containers[0].clone();
        sidecar.name = "proxy".to_owned();
        for code in [137, 143, 0] {
            sidecar.exit_code = Some(code);
            task.containers.truncate(1);
            task.containers.push(sidecar.clone());
            assert_eq!(
                signature(&task),
                "container web exited with code 3",
                "proxy {code}"
            );
        }
        task.containers[0].exit_code = Some(143);
        task.containers[1].exit_code = Some(137);
        assert_eq!(
            signature(&task),
            "container web exited with code 143, container proxy exited with code 137",
            "all that is known"
        );
    }
}
