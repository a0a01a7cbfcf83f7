//! Executions that somebody abandoned: CodePipeline tells no worker, so it is asked, and a policy says what becomes of
//! ECS.

use super::crew::Crew;
use crate::clock::Pause;
use crate::config::worker::OnAbandon;
use crate::ecs::resume::Resume;
use crate::pipeline::client::ActionStatus;
use crate::pipeline::job::Context;
use crate::report::event::Event;
use crate::shutdown::Shutdown;
use crate::stage::Tools;
use crate::stage::deploy::call_off;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often it is asked whether an action still runs.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);

/// How long after a job was handed back its action is looked at: CodePipeline takes about half a minute to queue the next
/// one, and a worker some time to take it.
const PATIENCE: Duration = Duration::from_secs(180);

/// Ends when the action of a job that is being worked on was abandoned, if that can be seen.
pub(super) async fn noticed(crew: &Crew, context: &Context) {
    let never = Shutdown::never();
    loop {
        // Nothing stops this pause but whoever drops it.
        let _ = crew.clock().pause(BETWEEN_LOOKS, &never).await;
        if crew.pipeline.action_status(context).await == ActionStatus::Abandoned {
            return;
        }
    }
}

/// Deploys that were handed back and did not come back yet, by their action execution. Kept only where their fate
/// matters: where abandoned ones are rolled back.
#[derive(Debug, Default)]
pub(super) struct Handed {
    kept: bool,
    away: Mutex<BTreeMap<String, Away>>,
}

#[derive(Debug)]
struct Away {
    context: Context,
    resume: Resume,
    /// When it is asked after next.
    look: Duration,
}

impl Handed {
    pub(super) fn new(policy: OnAbandon) -> Self {
        Self {
            kept: policy == OnAbandon::Rollback,
            away: Mutex::default(),
        }
    }

    fn away(&self) -> MutexGuard<'_, BTreeMap<String, Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A deploy was handed back with rollouts under way.
    pub(super) fn went(&self, context: &Context, resume: Resume, now: Duration) {
        if self.kept {
            let away = Away {
                context: context.clone(),
                resume,
                look: now + PATIENCE,
            };
            self.away().insert(context.action_execution.clone(), away);
        }
    }

    /// It is here again.
    pub(super) fn came_back(&self, context: &Context) {
        self.away().remove(&context.action_execution);
    }

    fn due(&self, now: Duration) -> Vec<Context> {
        let mut away = self.away();
        let due = away.values_mut().filter(|one| one.look <= now);
        due.map(|one| {
            one.look = now + BETWEEN_LOOKS;
            one.context.clone()
        })
        .collect()
    }

    fn take(&self, context: &Context) -> Option<Resume> {
        self.away()
            .remove(&context.action_execution)
            .map(|away| away.resume)
    }
}

/// Asks after deploys that were handed back, until a stop is asked for.
pub(super) async fn ask_after(crew: &Crew) {
    let shutdown = &crew.tools.shutdown;
    while crew.clock().pause(BETWEEN_LOOKS, shutdown).await == Pause::Passed {
        for context in crew.handed.due(crew.clock().now()) {
            match crew.pipeline.action_status(&context).await {
                // Another worker may have it.
                ActionStatus::Running | ActionStatus::Unknown => {}
                ActionStatus::Ended => drop(crew.handed.take(&context)),
                ActionStatus::Abandoned => {
                    if let Some(resume) = crew.handed.take(&context) {
                        called_off(crew, &crew.tools, &context, &resume).await;
                    }
                }
            }
        }
    }
}

/// Does what the policy says about rollouts that nobody waits for any more.
pub(super) async fn called_off(crew: &Crew, tools: &Tools, context: &Context, resume: &Resume) {
    let of = format!("{}/{}", context.pipeline, context.action);
    match crew.settings.on_abandon {
        OnAbandon::Leave => tools.tell.tell(Event::Warning(format!(
            "{of}: nobody waits for the deployment any more; ECS goes on with it (`--on-abandon leave`)"
        ))),
        OnAbandon::Rollback => {
            // The job's own signal is raised already; the way back is clean-up.
            let tools = Tools {
                shutdown: crew.tools.shutdown.clone(),
                ..tools.clone()
            };
            match Box::pin(call_off(&tools, resume)).await {
                Ok(lines) => {
                    for line in lines {
                        tools.tell.tell(Event::Warning(format!("{of}: {line}")));
                    }
                }
                Err(failure) => tools.tell.tell(Event::JobFailed(std::sync::Arc::new(failure))),
            }
        }
    }
}
