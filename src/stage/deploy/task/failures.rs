//! A task that did not do its work as a failure: what, root cause, what is left, what to do.

use super::prepare::PreparedTask;
use super::watch::{Lost, Running, log_tail};
use super::{Before, Unstarted, signal};
use crate::ecs::diagnosis::{Comparison, Diagnosis, Gathered, LogWanted, Revision, diagnose, log_wanted};
use crate::ecs::observation::{Observation, Presence, StopCode, Task, revision_name};
use crate::ecs::oneoff::{Doubt, Loss, WaitingOn};
use crate::ecs::service::{NotRun, ServiceError};
use crate::failure::{Failure, Kind};
use crate::name::TaskName;
use crate::shutdown::Urgency;
use crate::stage::Tools;
use crate::stage::deploy::begin::{allow_tags, denies_tags, refused, unused};
use crate::stage::deploy::prepare::Prepared;
use std::collections::BTreeSet;

/// A task that was at work may have done a part of it.
const HALF_DONE: &str =
    "the task may have done a part of its work; the next deploy runs it again from its start";

/// What stands while no service has been changed: what serves, what is registered for nothing, what was done.
pub(super) struct Stand(Vec<String>);

impl Stand {
    pub(super) fn of(prepared: &[Prepared], before: &Before) -> Self {
        let services = prepared.iter().zip(&before.revisions);
        let mut stand: Vec<String> = services
            .map(|(service, revision)| match revision {
                Some(arn) => unused(service, revision_name(arn)),
                None => format!("`{}` serves as before", service.revision()),
            })
            .collect();
        stand.extend(ran(&before.ran));
        Self(stand)
    }

    /// In words, after nothing but this.
    pub(super) fn unchanged(&self) -> String {
        self.0.join("; ")
    }

    /// In words, after what became of a task.
    fn after(&self, task: &str) -> String {
        format!("{task}; {}", self.unchanged())
    }
}

/// The tasks that did their work; none if none did.
pub(super) fn ran(tasks: &[TaskName]) -> Option<String> {
    let named: Vec<String> = tasks.iter().map(|task| format!("`{task}`")).collect();
    match named.as_slice() {
        [] => None,
        [one] => Some(format!("task {one} has done its work, which is not undone")),
        _ => Some(format!(
            "tasks {} have done their work, which is not undone",
            named.join(", ")
        )),
    }
}

pub(super) fn not_registered(error: ServiceError, task: &PreparedTask, service: &Prepared) -> Failure {
    let left = if error.is_in_doubt() {
        "it is unknown whether the task's revision is registered, and nothing uses it"
    } else {
        "nothing was changed"
    };
    let what = format!("the new revision of task `{}` could not be registered", task.name);
    let tags = denies_tags(&error);
    let failure = refused(error, what)
        .left(format!("{left}; `{}` serves as before", service.revision()))
        .place(format!("task `{}` in cluster `{}`", task.name, service.cluster));
    if tags {
        failure.hint(allow_tags(task.definition(service).family()))
    } else {
        failure
    }
}

/// RunTask answered with no task, or not at all.
pub(super) fn not_started(
    tools: &Tools,
    unstarted: Unstarted,
    task: &PreparedTask,
    service: &Prepared,
    stand: &Stand,
) -> Failure {
    let Unstarted { error, doubt } = unstarted;
    let name = &task.name;
    let throttled = matches!(&error, Some(NotRun::Call(error)) if error.is_throttled());
    let passing = doubt || throttled || error.is_none();
    let what = format!("task `{name}` could not be started, so no service was updated");
    let mut failure = match error {
        Some(NotRun::Call(error)) => refused(error, what),
        Some(error @ NotRun::NoRoom { .. }) => {
            let hint = no_room(&error);
            Failure::new(Kind::Refused, what).because(error).hint(hint)
        }
        None => Failure::new(
            Kind::Unclear,
            format!("stopped while task `{name}` was being started"),
        ),
    }
    .place(format!(
        "task `{name}` of service `{}` in cluster `{}`",
        service.name, service.cluster
    ));
    if doubt {
        failure.kind = Kind::Unclear;
        failure = failure
            .left(stand.after("unknown whether the task runs"))
            .hint(format!(
                "look before you act: `aws ecs list-tasks --cluster {} --started-by {}`",
                service.cluster, task.started_by
            ));
    } else {
        failure = failure.left(stand.unchanged());
    }
    if let (true, Some(kind)) = (passing, signal(tools)) {
        failure.kind = kind;
    }
    failure
}

/// What to do about a failure that RunTask answers with (ECS's API failure reasons).
fn no_room(error: &NotRun) -> &'static str {
    let NotRun::NoRoom { reason, .. } = error else {
        return "look at the cluster";
    };
    if reason.starts_with("RESOURCE") || reason.contains("Capacity") {
        "there is no room for the task: run again later, add capacity, or lower `cpu` and `memory`"
    } else {
        "the cluster has nothing that the task can run on: look at its capacity and its container agents"
    }
}

/// A stop was asked for while the task was at work. It goes on: a migration that is cut off may leave half of its work.
pub(super) fn stopped(
    kind: Kind,
    running: &Running<'_>,
    waiting_on: Option<&WaitingOn>,
    stand: &Stand,
) -> Failure {
    let waiting = waiting_on
        .map(|on| format!(", when slipway was waiting for {on}"))
        .unwrap_or_default();
    Failure::new(
        kind,
        format!("stopped while task `{}` was at work", running.task.name),
    )
    .place(place(running))
    .left(stand.after(&format!("the task goes on{waiting}")))
    .hint(follow(running))
    .hint("then run the same command again: as long as the task runs, no second one is started")
}

/// The verdict on a task that did not do its work, as far as can be told.
pub(super) async fn lost(tools: &Tools, running: &Running<'_>, lost: Lost, stand: &Stand) -> Failure {
    let diagnosis = match &lost.loss {
        Loss::Failed { .. } | Loss::Stopped { .. } => tokio::select! {
            diagnosis = diagnosis(tools, running, lost.seen.as_ref()) => diagnosis,
            _ = tools.shutdown.reached(Urgency::WindDown) => Diagnosis::default(),
        },
        Loss::WrongDigest { .. } | Loss::Deadline { .. } | Loss::CannotTell(_) => Diagnosis::default(),
    };
    let failure = describe(&lost, running, diagnosis.cause.clone(), stand);
    let failure = diagnosis.hints.iter().cloned().fold(failure, Failure::hint);
    let evidence = diagnosis.evidence(failure.room_for_evidence());
    failure.evidence(evidence)
}

fn describe(lost: &Lost, running: &Running<'_>, cause: Option<String>, stand: &Stand) -> Failure {
    let name = &running.task.name;
    let container = &running.task.policy.container;
    let failure = match &lost.loss {
        Loss::Failed { worked } => {
            let failure = Failure::new(Kind::Gate, format!("task `{name}` failed, so no service was updated"))
                .cause(cause.unwrap_or_else(|| "ECS gives no reason".to_owned()))
                .left(stand.unchanged());
            let started = lost
                .seen
                .as_ref()
                .is_some_and(|task| task.stop_code != Some(StopCode::TaskFailedToStart));
            match (*worked, started) {
                (true, _) => failure.hint(format!(
                    "container `{container}` ended with exit code 0, but others had failed: look at what it has done"
                )),
                (false, true) => failure.hint(HALF_DONE),
                (false, false) => failure,
            }
        }
        Loss::Stopped { reason } => {
            let reason = reason.as_deref().unwrap_or("without a reason");
            Failure::new(Kind::Gate, format!("somebody stopped task `{name}`, so no service was updated"))
                .cause(format!("StopTask: {reason}"))
                .left(stand.unchanged())
                .hint(HALF_DONE)
        }
        Loss::WrongDigest { expected, found, .. } => Failure::new(
            Kind::Registry,
            format!("task `{name}` did not run the image that is deployed, so no service was updated"),
        )
        .cause(format!("container `{container}` ran {found}, not {expected}"))
        .left(stand.after("the task has done its work with that other image"))
        .hint("did somebody replace the image in its repository, or does a pull-through cache serve another one?"),
        Loss::Deadline { last } => Failure::new(
            Kind::Deadline,
            format!(
                "task `{name}` is not done after {} s, still waiting for {last}, so no service was updated",
                lost.elapsed.as_secs()
            ),
        )
        .cause("the task is slow, or waits for something that does not come")
        .left(stand.after("the task goes on"))
        .hint(follow(running))
        .hint(format!(
            "raise `timeout` of `[task.{name}]`; slipway stops no task, since one that is cut off may leave half of its \
             work"
        )),
        Loss::CannotTell(doubt) => in_doubt(doubt, running, stand),
    };
    failure.place(place(running))
}

fn in_doubt(doubt: &Doubt, running: &Running<'_>, stand: &Stand) -> Failure {
    let failure = Failure::new(
        Kind::Unclear,
        format!(
            "cannot tell whether task `{}` did its work, so no service was updated",
            running.task.name
        ),
    )
    .left(stand.after("unknown what became of the task"));
    match doubt {
        Doubt::Denied { action } => failure
            .cause(format!("`{action}` is denied"))
            .hint(format!("allow `{action}` in the role's policy"))
            .hint(follow(running)),
        Doubt::NoCredentials => failure
            .cause("the AWS credentials ended while the task was at work")
            .hint("sign in again, or raise the role's session duration above the task's `timeout`")
            .hint(follow(running)),
        Doubt::Vanished { seen } => failure
            .cause(if *seen {
                "ECS does not know the task any more"
            } else {
                "ECS does not know the task that it said was started"
            })
            .hint("look at what the task wrote to its log before you act"),
        Doubt::UnknownEnd { word } if word.is_empty() => failure
            .cause("the task stopped, and ECS gives no stop code")
            .hint(follow(running)),
        Doubt::UnknownEnd { word } => failure
            .cause(format!("the task stopped with `{word}`, which slipway does not know"))
            .hint(follow(running)),
        Doubt::Blind { last } => failure
            .cause(format!(
                "still waiting for {last} after {} s",
                running.task.policy.timeout.as_secs()
            ))
            .hint(follow(running)),
        Doubt::UnreadableIndex { container, found } => failure
            .cause(format!(
                "container `{container}` ran {found}, and the deployed image cannot be read to compare"
            ))
            .hint("allow `ecr:BatchGetImage` on the repository, so that an image index can be told from its platforms"),
        Doubt::NoDigest { container } => failure
            .cause(format!("container `{container}` ended with exit code 0, and ECS does not say which image it ran"))
            .hint(follow(running)),
    }
}

/// What the task's containers and logs say, as of a task of a service.
async fn diagnosis(tools: &Tools, running: &Running<'_>, seen: Option<&Task>) -> Diagnosis {
    let seen = Observation {
        service: Presence::Unseen,
        service_deployment: None,
        revision: None,
        tasks: Some(seen.cloned().into_iter().collect()),
        target_groups: Vec::new(),
        blind: Vec::new(),
    };
    let definition = running.task.definition(running.service);
    let shape = definition.shape();
    let telling = log_wanted(&seen, Some(&shape));
    let is_telling = telling.is_some();
    let wanted = telling.unwrap_or_else(|| LogWanted {
        container: running.task.policy.container.to_string(),
        task: running.id.to_owned(),
        runtime_id: None,
    });
    let mut gathered = Gathered::default();
    match log_tail(tools, running, &wanted, &shape).await {
        // A container that never ran, or that nobody saw, says nothing by an empty log.
        Some(Ok(tail)) if tail.lines.is_empty() && !is_telling => {}
        Some(Ok(tail)) => gathered.logs.push(tail),
        Some(Err(why)) => gathered.blind.push(why),
        None => {}
    }
    let name = definition.family().to_owned();
    let comparison = Comparison {
        ours: Some(Revision { name, shape }),
        previous: None,
    };
    let secrets = running.service.hidden.values();
    diagnose(gathered.known(&seen, &BTreeSet::new(), &comparison, secrets))
}

fn place(running: &Running<'_>) -> String {
    let service = running.service;
    format!(
        "task {} of service `{}` in cluster `{}`",
        running.id, service.name, service.cluster
    )
}

/// How to see what becomes of the task.
fn follow(running: &Running<'_>) -> String {
    format!(
        "see it with `aws ecs describe-tasks --cluster {} --tasks {}`",
        running.service.cluster, running.id
    )
}
