//! One-off tasks: run with the revision that the service is about to get, watched to their end, before any service is
//! updated. The first one that fails ends the deploy.

mod earlier;
mod failures;
pub(super) mod prepare;
mod watch;

use super::begin::{Unbegun, in_time, revision_for};
use super::prepare::{Prepared, whose};
use super::registrations::{ATTEMPTS, register_definition};
use super::stretch::in_words;
use crate::clock::Pause;
use crate::ecs::mark::Marking;
use crate::ecs::observation::revision_name;
use crate::ecs::oneoff::{client_token, client_token_of, group, group_of};
use crate::ecs::resume::Print;
use crate::ecs::service::{NotRun, RunRequest};
use crate::failure::{Failure, Kind};
use crate::name::TaskName;
use crate::report::event::Event;
use crate::shutdown::Urgency;
use crate::stage::Tools;
use earlier::Earlier;
use failures::Stand;
use prepare::PreparedTask;
use std::time::Duration;

/// What was done before the services are updated.
#[derive(Debug)]
pub(super) struct Before {
    /// The ARN of the revision that was registered for each service, if a task needed it.
    pub(super) revisions: Vec<Option<String>>,
    /// The tasks that did their work.
    ran: Vec<TaskName>,
}

impl Before {
    /// A failure of a service, with a word on the work that is done and stays done.
    pub(super) fn told_in(&self, failure: Failure) -> Failure {
        let Some(ran) = failures::ran(&self.ran) else {
            return failure;
        };
        let left = match &failure.left {
            Some(left) => format!("{left}; {ran}"),
            None => ran,
        };
        failure.left(left)
    }
}

/// Why the services are not updated.
pub(super) enum Halt {
    /// A task did not do its work.
    Failed(Box<Failure>),
    /// A task is at work still, and was waited for long enough; what it is at.
    AtWork(String),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// Why no task runs.
struct Unstarted {
    /// What the last call said; none if a stop was asked for while it was under way.
    error: Option<NotRun>,
    /// Whether a task may run all the same.
    doubt: bool,
}

/// Runs the tasks one after the other, and waits for each for so long.
///
/// # Errors
/// The failure of the first one that did not do its work, or that it is at work still; no service was changed.
pub(super) async fn run_all(
    tools: &Tools,
    prepared: &[Prepared],
    tasks: &[PreparedTask],
    patience: Duration,
) -> Result<Before, Halt> {
    let mut before = Before {
        revisions: vec![None; prepared.len()],
        ran: Vec::new(),
    };
    for task in tasks {
        let Some(service) = prepared.get(task.service) else {
            continue;
        };
        if let Earlier::Done(id) = &task.earlier {
            tools.tell.tell(Event::Note(format!(
                "task `{}`: not run again, since it did its work in an earlier attempt of this execution (task {id})",
                task.name
            )));
            before.ran.push(task.name.clone());
            continue;
        }
        if let Earlier::Runs { id, created } = &task.earlier {
            let stand = Stand::of(prepared, &before);
            tools.tell.tell(Event::Note(format!(
                "task `{}`: an earlier attempt of this execution started it (task {id}); it is waited for",
                task.name
            )));
            let running = watch::Running {
                task,
                service,
                id,
                started: Earlier::started(*created, tools.clock.now()),
            };
            see_through(tools, &running, patience, &stand).await?;
            before.ran.push(task.name.clone());
            continue;
        }
        let of_service = &mut before.revisions[task.service];
        let revision = match revision_of(tools, task, service, of_service).await {
            Ok(revision) => revision,
            Err(failure) => return Err(whose(before.told_in(failure), &service.place).into()),
        };
        let stand = Stand::of(prepared, &before);
        if let Some(kind) = signal(tools) {
            let what = format!("stopped before task `{}` was run", task.name);
            return Err(Failure::new(kind, what).left(stand.unchanged()).into());
        }
        let ran = run(tools, task, service, &revision, patience, &stand).await;
        ran.map_err(|halt| match halt {
            Halt::Failed(failure) => Halt::from(whose(*failure, &service.place)),
            at_work @ Halt::AtWork(_) => at_work,
        })?;
        before.ran.push(task.name.clone());
    }
    Ok(before)
}

/// The ARN of the revision that a task runs: its own, or the one that its service is about to get, registered once.
async fn revision_of(
    tools: &Tools,
    task: &PreparedTask,
    service: &Prepared,
    of_service: &mut Option<String>,
) -> Result<String, Failure> {
    let Some(own) = &task.own else {
        if let Some(registered) = of_service {
            return Ok(registered.clone());
        }
        // Tasks come before anything that could fail first, so that nothing halts them.
        let registered = revision_for(tools, service, || false).await;
        let registered = registered.map_err(|unbegun| match unbegun {
            Unbegun::Failed(failure) | Unbegun::Overtaken(failure) => failure,
            Unbegun::Halted(left) => {
                Failure::new(Kind::Bug, "a registration was halted by nobody").left(left)
            }
        })?;
        *of_service = Some(registered.clone());
        return Ok(registered);
    };
    let marking = service.marking.as_ref().map(|of_service| Marking {
        service: Print::of(&format!("{}/{} {}", service.cluster, service.name, task.name)),
        ..of_service.clone()
    });
    let registering = async {
        if let Some(marking) = &marking
            && let Some(found) = service.ecs.find_marked(own, marking).await?
        {
            return Ok(Some(found.arn));
        }
        register_definition(tools, &service.ecs, own, marking.as_ref(), || false).await
    };
    let registered = tokio::select! {
        biased;
        registered = registering => registered,
        kind = tools.shutdown.reached(Urgency::WindDown) => {
            let what = format!("stopped while a revision for task `{}` was being registered", task.name);
            return Err(Failure::new(kind, what).left(format!("`{}` serves as before", service.revision())));
        }
    };
    let arn = registered.map_err(|error| failures::not_registered(error, task, service))?;
    // Nothing halts it, as above.
    let arn = arn.ok_or_else(|| Failure::new(Kind::Bug, "a registration was halted by nobody"))?;
    tools.tell.tell(Event::Registered {
        service: service.name.clone(),
        revision: revision_name(&arn).to_owned(),
    });
    Ok(arn)
}

async fn run(
    tools: &Tools,
    task: &PreparedTask,
    service: &Prepared,
    revision: &str,
    patience: Duration,
    stand: &Stand,
) -> Result<(), Halt> {
    let started = tools.clock.now();
    let id = start(tools, task, service, revision)
        .await
        .map_err(|unstarted| failures::not_started(tools, unstarted, task, service, stand))?;
    tools.tell.tell(Event::TaskStarted {
        task: task.name.clone(),
        service: service.name.clone(),
        id: id.clone(),
        revision: revision_name(revision).to_owned(),
    });
    let running = watch::Running {
        task,
        service,
        id: &id,
        started,
    };
    see_through(tools, &running, patience, stand).await
}

/// Watches a task to its end, or for so long.
async fn see_through(
    tools: &Tools,
    running: &watch::Running<'_>,
    patience: Duration,
    stand: &Stand,
) -> Result<(), Halt> {
    match watch::watch(tools, running, patience).await {
        watch::End::Done(seen) => {
            watch::tell_done(tools, running, seen.as_ref()).await;
            Ok(())
        }
        watch::End::Lost(lost) => Err(failures::lost(tools, running, *lost, stand).await.into()),
        watch::End::Stopped(kind, waiting_on) => {
            Err(failures::stopped(kind, running, waiting_on.as_ref(), stand).into())
        }
        watch::End::AtWork(waiting_on) => {
            let elapsed = tools.clock.now().saturating_sub(running.started);
            Err(Halt::AtWork(format!(
                "task `{}`: waiting for {waiting_on}, {} so far",
                running.task.name,
                in_words(elapsed)
            )))
        }
    }
}

/// Starts the task. A lost answer and a throttled call are repeated with the same token, so that one task runs however
/// often it is asked for. A stop ends it after the call under way, or without its answer if that does not come soon.
async fn start(
    tools: &Tools,
    task: &PreparedTask,
    service: &Prepared,
    revision: &str,
) -> Result<String, Unstarted> {
    let mark = service.marking.as_ref().map(|marking| &marking.mark);
    let token = match mark {
        Some(mark) => client_token_of(revision, &task.name, mark),
        None => client_token(revision, &task.name, tools.clock.now()),
    };
    let group = mark.map_or_else(|| group(&task.name), |mark| group_of(&task.name, mark));
    let request = RunRequest {
        task_definition: revision,
        placement: &service.placement,
        awsvpc: task.definition(service).is_awsvpc(),
        overrides: &task.overrides,
        started_by: &task.started_by,
        group: &group,
        token: &token,
    };
    let mut doubt = false;
    let mut attempt = 1;
    loop {
        let error = match in_time(tools, Box::pin(service.ecs.run_task(request))).await {
            Some(Ok(id)) => return Ok(id),
            Some(Err(error)) => error,
            None => {
                return Err(Unstarted {
                    error: None,
                    doubt: true,
                });
            }
        };
        let (in_doubt, throttled) = match &error {
            NotRun::Call(error) => (error.is_in_doubt(), error.is_throttled()),
            NotRun::NoRoom { .. } => (false, false),
        };
        doubt |= in_doubt;
        let pause = Duration::from_secs(attempt);
        if attempt >= ATTEMPTS
            || !(in_doubt || throttled)
            || tools.clock.pause(pause, &tools.shutdown).await == Pause::Stopped
        {
            return Err(Unstarted {
                error: Some(error),
                doubt,
            });
        }
        attempt += 1;
    }
}

/// The kind of a run that a signal ends, if one came.
fn signal(tools: &Tools) -> Option<Kind> {
    tools.shutdown.asked().1
}
