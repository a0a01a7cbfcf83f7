//! The judge of a one-off task: a pure function over looks at the one task that RunTask answered with.
//!
//! Done means that the container that does the work ended by itself with exit code 0 and ran the image that is being
//! deployed. A task that is gone, was stopped, or is in a state that nobody knows, did not do its work as far as
//! anybody can tell.

mod names;
mod overrides;
mod verdict;

pub use names::{client_token, client_token_of, group, group_of, is_of_execution, started_by};
pub use overrides::{ContainerOverride, Overrides};
pub use verdict::{Doubt, Loss, Verdict, WaitingOn};

use super::observation::{Blind, BlindReason, Container, StopCode, Task, TaskStatus};
use super::rollout::{CREDENTIALS_MAY_FAIL_FOR, Expected};
use crate::name::ContainerName;
use std::time::Duration;

/// The most characters of RunTask's `overrides`, JSON included (RunTask).
pub const LONGEST_OVERRIDES: usize = 8192;

/// Looks in a row that do not find the task; ECS's answers are eventually consistent (RunTask).
const LOOKS_TO_VANISH: u32 = 6;

/// Between two looks at a task that starts or ends.
const AT_AN_EDGE: Duration = Duration::from_secs(4);

/// The least and the most between two looks at a task that runs.
const WHILE_RUNNING: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// Exit codes of a process that SIGTERM or SIGKILL ended, as ECS ends the others when one essential container ended.
const KILLED: [i32; 2] = [143, 137];

/// What the judge asks of a task.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The container that does the work.
    pub container: ContainerName,
    /// The other containers whose end is the task's end.
    pub essential: Vec<ContainerName>,
    /// The digests that the container may run; none if its image is not one that is deployed by digest.
    pub expected: Option<Expected>,
    /// From RunTask to giving up.
    pub timeout: Duration,
}

/// What one look at a task saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// The task.
    Seen(Box<Task>),
    /// DescribeTasks says `MISSING`.
    Missing,
    /// DescribeTasks did not answer.
    Unseen(Blind),
}

/// A task under judgement.
#[derive(Debug, Clone)]
pub struct Oneoff {
    policy: Policy,
    /// Looks in a row that said `MISSING`.
    missing: u32,
    /// When the task was first seen running.
    running_since: Option<Duration>,
    /// The container was seen to have ended with 0 before any other essential one had ended.
    ended_first: bool,
    /// Since when every look was refused for its credentials.
    keyless_since: Option<Duration>,
    last: Option<Task>,
}

impl Oneoff {
    /// Begins to follow a task.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            missing: 0,
            running_since: None,
            ended_first: false,
            keyless_since: None,
            last: None,
        }
    }

    /// The task as it was last seen.
    #[must_use]
    pub const fn last(&self) -> Option<&Task> {
        self.last.as_ref()
    }

    /// The task as it was last seen, with only the containers that are to blame for its end: not those that ECS stopped
    /// because another one had ended.
    #[must_use]
    pub fn to_blame(&self) -> Option<Task> {
        let mut task = self.last.clone()?;
        if task.stop_code == Some(StopCode::EssentialContainerExited) {
            let others: Vec<&ContainerName> = self.policy.essential.iter().collect();
            let decides = |name: &str| {
                name == self.policy.container.as_str() || others.iter().any(|other| other.as_str() == name)
            };
            let failed = |container: &Container| {
                let killed = |code| KILLED.contains(&code) && container.reason.is_none();
                container.exit_code.is_some_and(|code| code != 0 && !killed(code))
            };
            let guilty = |container: &Container| decides(&container.name) && failed(container);
            if task.containers.iter().any(guilty) {
                task.containers.retain(guilty);
            }
        }
        Some(task)
    }

    /// Judges one look taken `elapsed` after RunTask.
    pub fn judge(&mut self, elapsed: Duration, sight: Sight) -> Verdict {
        let verdict = match sight {
            Sight::Seen(task) => self.seen(elapsed, *task),
            Sight::Missing => self.missing(),
            Sight::Unseen(blind) => unseen(blind),
        };
        if !matches!(verdict, Verdict::Wait(WaitingOn::Credentials { .. })) {
            self.keyless_since = None;
        }
        match verdict {
            Verdict::Wait(WaitingOn::Credentials { .. }) if self.stays_keyless(elapsed) => {
                Verdict::Lost(Loss::CannotTell(Doubt::NoCredentials))
            }
            Verdict::Wait(last) if elapsed >= self.policy.timeout => Verdict::Lost(give_up(last)),
            Verdict::Wait(_) | Verdict::Done | Verdict::Lost(_) => verdict,
        }
    }

    /// How long to pause after a look that was taken `elapsed` after RunTask: short at the edges of the task's life; in
    /// between a tenth of the time that it has run, so that a short task is not waited for longer than it takes, and a
    /// long one costs few calls.
    #[must_use]
    pub fn pause(&self, elapsed: Duration) -> Duration {
        let runs = self
            .last
            .as_ref()
            .is_some_and(|task| task.status == TaskStatus::Running && !task.stopping);
        let pause = match self.running_since {
            Some(since) if runs => {
                let (least, most) = WHILE_RUNNING;
                (elapsed.saturating_sub(since) / 10).clamp(least, most)
            }
            _ => AT_AN_EDGE,
        };
        let left = self.policy.timeout.saturating_sub(elapsed);
        // At the deadline one last look is taken.
        pause.min(left.max(Duration::from_millis(1)))
    }

    fn stays_keyless(&mut self, elapsed: Duration) -> bool {
        let since = *self.keyless_since.get_or_insert(elapsed);
        elapsed.saturating_sub(since) >= CREDENTIALS_MAY_FAIL_FOR || elapsed >= self.policy.timeout
    }

    fn missing(&mut self) -> Verdict {
        self.missing += 1;
        if self.missing >= LOOKS_TO_VANISH {
            return Verdict::Lost(Loss::CannotTell(Doubt::Vanished {
                seen: self.last.is_some(),
            }));
        }
        Verdict::Wait(WaitingOn::TaskToAppear)
    }

    fn seen(&mut self, elapsed: Duration, task: Task) -> Verdict {
        self.missing = 0;
        if task.status == TaskStatus::Running {
            self.running_since.get_or_insert(elapsed);
        }
        let ours = container(&task, &self.policy.container);
        let worked = ours.and_then(|container| container.exit_code) == Some(0);
        self.ended_first |= worked && ended_by_itself(&task) && self.others_go_on(&task);
        let verdict = match &task.status {
            TaskStatus::Unrecognised(word) => Verdict::Wait(WaitingOn::KnownStatus { word: word.clone() }),
            _ if self.ended_first => self.proven(ours, &task),
            TaskStatus::Stopped | TaskStatus::Deleted => self.stopped(&task, worked),
            TaskStatus::Deactivating | TaskStatus::Stopping | TaskStatus::Deprovisioning => {
                Verdict::Wait(WaitingOn::TaskToStop)
            }
            _ if task.stopping => Verdict::Wait(WaitingOn::TaskToStop),
            TaskStatus::Running => Verdict::Wait(WaitingOn::TaskToEnd),
            status @ (TaskStatus::Provisioning | TaskStatus::Pending | TaskStatus::Activating) => {
                Verdict::Wait(WaitingOn::TaskToStart {
                    status: status.clone(),
                })
            }
        };
        self.last = Some(task);
        verdict
    }

    /// The task is over.
    fn stopped(&self, task: &Task, worked: bool) -> Verdict {
        match &task.stop_code {
            Some(StopCode::EssentialContainerExited) if worked && !self.another_failed(task) => {
                self.proven(container(task, &self.policy.container), task)
            }
            Some(StopCode::UserInitiated) => Verdict::Lost(Loss::Stopped {
                reason: task.stopped_reason.clone(),
            }),
            Some(StopCode::Unrecognised(word)) => {
                Verdict::Lost(Loss::CannotTell(Doubt::UnknownEnd { word: word.clone() }))
            }
            None => Verdict::Lost(Loss::CannotTell(Doubt::UnknownEnd { word: String::new() })),
            Some(_) => Verdict::Lost(Loss::Failed { worked }),
        }
    }

    /// The work was done; by the image that was to do it?
    fn proven(&self, ours: Option<&Container>, task: &Task) -> Verdict {
        let Some(expected) = &self.policy.expected else {
            return Verdict::Done;
        };
        let name = || self.policy.container.clone();
        match ours.and_then(|container| container.digest.as_ref()) {
            Some(found) if *found == expected.deployed || expected.platforms.contains(found) => Verdict::Done,
            Some(found) if expected.resolved => Verdict::Lost(Loss::WrongDigest {
                container: name(),
                expected: expected.deployed.clone(),
                found: found.clone(),
            }),
            Some(found) => Verdict::Lost(Loss::CannotTell(Doubt::UnreadableIndex {
                container: name(),
                found: found.clone(),
            })),
            None if matches!(task.status, TaskStatus::Stopped | TaskStatus::Deleted) => {
                Verdict::Lost(Loss::CannotTell(Doubt::NoDigest { container: name() }))
            }
            None => Verdict::Wait(WaitingOn::Digest { container: name() }),
        }
    }

    /// Whether no other essential container has ended: what ends now ends because of ours.
    fn others_go_on(&self, task: &Task) -> bool {
        self.others(task).all(|other| other.exit_code.is_none())
    }

    /// Whether another essential container ended as nothing ends that ECS stops in order.
    fn another_failed(&self, task: &Task) -> bool {
        self.others(task)
            .filter_map(|other| other.exit_code)
            .any(|code| code != 0 && !KILLED.contains(&code))
    }

    fn others<'a>(&'a self, task: &'a Task) -> impl Iterator<Item = &'a Container> {
        task.containers.iter().filter(|container| {
            self.policy
                .essential
                .iter()
                .any(|name| name.as_str() == container.name)
        })
    }
}

/// Whether nobody told the task to end.
fn ended_by_itself(task: &Task) -> bool {
    match &task.stop_code {
        Some(StopCode::EssentialContainerExited) => true,
        None => !task.stopping,
        Some(_) => false,
    }
}

fn container<'a>(task: &'a Task, name: &ContainerName) -> Option<&'a Container> {
    task.containers
        .iter()
        .find(|container| container.name == name.as_str())
}

fn unseen(blind: Blind) -> Verdict {
    match blind.why {
        BlindReason::Transient => Verdict::Wait(WaitingOn::Sight { action: blind.action }),
        BlindReason::Denied | BlindReason::Unsupported => {
            Verdict::Lost(Loss::CannotTell(Doubt::Denied { action: blind.action }))
        }
        BlindReason::NoCredentials => Verdict::Wait(WaitingOn::Credentials { action: blind.action }),
    }
}

fn give_up(last: WaitingOn) -> Loss {
    if last.is_blind() {
        Loss::CannotTell(Doubt::Blind { last })
    } else {
        Loss::Deadline { last }
    }
}

#[cfg(test)]
mod tests;
