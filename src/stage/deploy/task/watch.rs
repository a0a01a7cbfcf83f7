//! The watch over one task: pause, look, judge, tell, until the verdict.

use super::prepare::PreparedTask;
use crate::clock::Pause;
use crate::ecs::diagnosis::{LogTail, LogWanted};
use crate::ecs::observation::{Blind, BlindReason, Task};
use crate::ecs::oneoff::{Loss, Oneoff, Sight, Verdict, WaitingOn};
use crate::ecs::service::LOG_LINES;
use crate::ecs::task_definition::Shape;
use crate::failure::Kind;
use crate::report::event::Event;
use crate::shutdown::Urgency;
use crate::stage::Tools;
use crate::stage::deploy::prepare::Prepared;
use crate::stage::deploy::watch::LAST_LOOK;
use std::time::Duration;

/// A log that is still empty is asked for again: CloudWatch Logs gets a line a moment after it was written.
const LOG_LOOKS: u32 = 3;

/// Between two looks at an empty log.
const BETWEEN_LOG_LOOKS: Duration = Duration::from_secs(2);

/// A task that was started.
pub(super) struct Running<'a> {
    pub(super) task: &'a PreparedTask,
    pub(super) service: &'a Prepared,
    pub(super) id: &'a str,
    /// When RunTask was called.
    pub(super) started: Duration,
}

/// How a watch ended.
pub(super) enum End {
    /// It did its work, as this look saw.
    Done(Option<Task>),
    /// It did not.
    Lost(Box<Lost>),
    /// A stop was asked for.
    Stopped(Kind, Option<WaitingOn>),
    /// It is at work, and was waited for long enough.
    AtWork(WaitingOn),
}

/// A task that did not do its work, as far as can be told.
pub(super) struct Lost {
    pub(super) loss: Loss,
    pub(super) elapsed: Duration,
    /// With the containers that are to blame.
    pub(super) seen: Option<Task>,
}

/// Watches a task until its verdict, its deadline or a stop; if none of them comes, for so long.
pub(super) async fn watch(tools: &Tools, running: &Running<'_>, patience: Duration) -> End {
    let Running {
        task,
        service,
        id,
        started,
    } = running;
    let deadline = *started + task.policy.timeout;
    let mut judge = Oneoff::new(task.policy.clone());
    let mut told: Option<WaitingOn> = None;
    let until = tools.clock.now().saturating_add(patience);
    loop {
        let elapsed = tools.clock.now().saturating_sub(*started);
        if tools.clock.pause(judge.pause(elapsed), &tools.shutdown).await == Pause::Stopped {
            return End::Stopped(super::signal(tools).unwrap_or(Kind::Terminated), told);
        }
        let sight = tokio::select! {
            sight = service.ecs.look_at_task(id) => sight,
            // A call that hangs must not outlast the deadline by all its retries.
            () = tools.clock.reaches(deadline + LAST_LOOK) => Sight::Unseen(Blind {
                action: "ecs:DescribeTasks".to_owned(),
                why: BlindReason::Transient,
            }),
            kind = tools.shutdown.reached(Urgency::WindDown) => return End::Stopped(kind, told),
        };
        let elapsed = tools.clock.now().saturating_sub(*started);
        match judge.judge(elapsed, sight) {
            Verdict::Done => return End::Done(judge.last().cloned()),
            Verdict::Lost(loss) => {
                return End::Lost(Box::new(Lost {
                    loss,
                    elapsed,
                    seen: judge.to_blame(),
                }));
            }
            Verdict::Wait(waiting_on) => {
                if told.as_ref() != Some(&waiting_on) {
                    tools.tell.tell(Event::TaskWaiting {
                        task: task.name.clone(),
                        elapsed,
                        what_for: waiting_on.to_string(),
                    });
                }
                if tools.clock.now() >= until {
                    return End::AtWork(waiting_on);
                }
                told = Some(waiting_on);
            }
        }
    }
}

/// Shows what the task wrote last, and that it is done.
pub(super) async fn tell_done(tools: &Tools, running: &Running<'_>, seen: Option<&Task>) {
    let took = tools.clock.now().saturating_sub(running.started);
    let policy = &running.task.policy;
    let name = policy.container.as_str();
    let mut containers = seen.into_iter().flat_map(|task| &task.containers);
    let container = containers.find(|container| container.name == name);
    let wanted = LogWanted {
        container: name.to_owned(),
        task: running.id.to_owned(),
        runtime_id: container.and_then(|container| container.runtime_id.clone()),
    };
    let shape = running.task.definition(running.service).shape();
    let tail = tokio::select! {
        tail = log_tail(tools, running, &wanted, &shape) => tail,
        _ = tools.shutdown.reached(Urgency::WindDown) => None,
    };
    // Why there is none is of no interest: the task did its work.
    for line in tail.and_then(Result::ok).into_iter().flat_map(|tail| tail.lines) {
        tools.tell.tell(Event::TaskLine {
            task: running.task.name.clone(),
            line,
        });
    }
    let digest = container.and_then(|container| container.digest.clone());
    tools.tell.tell(Event::TaskDone {
        task: running.task.name.clone(),
        container: policy.container.clone(),
        digest: digest.filter(|_| policy.expected.is_some()),
        took,
    });
}

/// The last lines that a container wrote, or what kept them from being read; none if they are not in CloudWatch Logs.
pub(super) async fn log_tail(
    tools: &Tools,
    running: &Running<'_>,
    wanted: &LogWanted,
    shape: &Shape,
) -> Option<Result<LogTail, Blind>> {
    let stream = wanted.stream(shape)?;
    let tail = |lines| LogTail {
        container: wanted.container.clone(),
        task: wanted.task.clone(),
        lines,
    };
    for look in 1..=LOG_LOOKS {
        match running.service.ecs.last_lines(&stream, LOG_LINES).await {
            Ok(lines) if lines.is_empty() => {}
            found => return Some(found.map(tail)),
        }
        if look < LOG_LOOKS && tools.clock.pause(BETWEEN_LOG_LOOKS, &tools.shutdown).await == Pause::Stopped {
            break;
        }
    }
    Some(Ok(tail(Vec::new())))
}
