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
use std::time::Duration;

/// How often it is asked whether an action still runs.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);

/// When it is asked first, so that it is asked in every stretch.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// Ends when the action of a job that is being worked on was abandoned or has ended otherwise, if that can be seen.
pub(super) async fn noticed(crew: &Crew, context: &Context) -> ActionStatus {
    let never = Shutdown::never();
    let mut pause = FIRST_LOOK;
    loop {
        // Nothing stops this pause but whoever drops it.
        let _ = crew.clock().pause(pause, &never).await;
        pause = BETWEEN_LOOKS;
        match crew.pipeline.action_status(context).await {
            over @ (ActionStatus::Abandoned | ActionStatus::Ended) => return over,
            ActionStatus::Running | ActionStatus::Unknown => {}
        }
    }
}

/// What is told of a job whose action is over.
pub(super) const fn words(status: ActionStatus) -> &'static str {
    match status {
        ActionStatus::Abandoned => "the pipeline's execution was abandoned: nobody waits for this job",
        ActionStatus::Ended | ActionStatus::Running | ActionStatus::Unknown => {
            "the action has ended, because it took too long or by another worker's result: nobody waits for this job"
        }
    }
}

/// A deploy was to be handed back with rollouts under way. `noticed` is what its action had come to before, and `over`
/// whether CodePipeline did not want the job any more: that alone does not say that nobody watches the rollouts, since
/// another worker may have had the job, too.
pub(super) async fn went(
    crew: &Crew,
    tools: &Tools,
    context: &Context,
    (resume, summary): (Resume, String),
    (noticed, over): (Option<ActionStatus>, bool),
) {
    let status = match noticed {
        Some(status) => status,
        None if over => crew.pipeline.action_status(context).await,
        None => ActionStatus::Running,
    };
    if status == ActionStatus::Abandoned {
        called_off(crew, tools, context, &resume).await;
    } else if status == ActionStatus::Running && !over {
        let now = crew.clock().now();
        if let Err(error) = crew.handed.went(context, resume, summary, now) {
            crew.warn(format!(
                "a deploy that was handed back could not be noted, so that this worker forgets it when it ends: {error}"
            ));
        }
    }
}

/// Asks after deploys that were handed back, until a stop is asked for.
pub(super) async fn ask_after(crew: &Crew) {
    let shutdown = &crew.tools.shutdown;
    while crew.clock().pause(BETWEEN_LOOKS, shutdown).await == Pause::Passed {
        for context in crew.handed.due(crew.clock().now(), BETWEEN_LOOKS) {
            // No answer may be one a minute later.
            let asked = crew.pipeline.action(&context).await;
            match asked.unwrap_or((ActionStatus::Unknown, None)) {
                // Whoever handed it back since looks after it.
                (ActionStatus::Running | ActionStatus::Abandoned, Some(summary))
                    if !crew.handed.is_as_handed_back(&context, &summary) =>
                {
                    crew.handed.leave(&context);
                }
                (ActionStatus::Unknown, _) if crew.pipeline.may_not_see_actions() => {
                    crew.handed.came_back(&context);
                }
                (ActionStatus::Running | ActionStatus::Unknown, _) => {}
                (ActionStatus::Ended, _) => crew.handed.came_back(&context),
                (ActionStatus::Abandoned, _) => {
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
