//! Executions that somebody abandoned: CodePipeline tells no worker, so it is asked, and a policy says what becomes of
//! ECS.

use super::crew::Crew;
use super::handed::Away;
use super::handed::shelf::Claim;
use super::looks::{Look, Sort};
use crate::clock::Pause;
use crate::config::worker::OnAbandon;
use crate::ecs::resume::Resume;
use crate::pipeline::claim::Closed;
use crate::pipeline::client::ActionStatus;
use crate::pipeline::job::{Category, Context, Job, JobId};
use crate::pipeline::result::{Ending, Outcome};
use crate::pipeline::token::{Continuation, Step};
use crate::report::event::Event;
use crate::shutdown::{Shutdown, Urgency};
use crate::stage::Tools;
use crate::stage::deploy::call_off;
use std::time::Duration;

/// How often it is asked whether an action still runs.
const BETWEEN_LOOKS: Duration = Duration::from_secs(60);

/// How long until it is tried again when others had all turns, on average: who was late once is not late with the same
/// others again.
const CROWDED: Duration = Duration::from_secs(10);

/// When it is asked first, so that it is asked in every stretch while there are turns.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// Ends when the action of a job that is being worked on was abandoned or has ended otherwise, if that can be seen.
pub(super) async fn noticed(crew: &Crew, context: &Context) -> ActionStatus {
    let never = Shutdown::never();
    let mut pause = FIRST_LOOK;
    loop {
        // Nothing stops this pause but whoever drops it.
        let _ = crew.clock().pause(pause, &never).await;
        pause = BETWEEN_LOOKS;
        match crew
            .looks
            .at(Sort::Job, context, &crew.pipeline, crew.clock())
            .await
        {
            Look::Seen(over @ (ActionStatus::Abandoned | ActionStatus::Ended), _) => return over,
            Look::Seen(ActionStatus::Running | ActionStatus::Denied | ActionStatus::Unknown, _)
            | Look::Nothing => {}
            Look::Crowded => pause = CROWDED.mul_f64(0.5 + fastrand::f64()),
        }
    }
}

/// What is told of a job whose action is over.
pub(super) const fn words(status: ActionStatus) -> &'static str {
    match status {
        ActionStatus::Abandoned => "the pipeline's execution was abandoned: nobody waits for this job",
        ActionStatus::Ended | ActionStatus::Running | ActionStatus::Denied | ActionStatus::Unknown => {
            "the action has ended, because it took too long or by another worker's result: nobody waits for this job"
        }
    }
}

/// What becomes of a deploy that was to be handed back with rollouts under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is asked after. What its action was said to be at may be known to have been taken.
    Away { taken: bool },
    /// It may have ended, or another worker may have had the job, too: it is asked after soon.
    InDoubt,
    /// It was abandoned.
    Abandoned,
    /// Somebody else ended it, or nobody may see what became of it.
    Over,
}

/// `status` is what its action has come to: none if it was not asked. A result that CodePipeline did not want does not
/// say by itself that nobody watches the rollouts, nor that somebody does.
const fn fate(closed: Closed, status: Option<ActionStatus>) -> Fate {
    match (status, closed) {
        (Some(ActionStatus::Abandoned), _) => Fate::Abandoned,
        (Some(ActionStatus::Ended | ActionStatus::Denied), _) => Fate::Over,
        (Some(ActionStatus::Running | ActionStatus::Unknown) | None, Closed::Accepted) => {
            Fate::Away { taken: true }
        }
        (Some(ActionStatus::Running | ActionStatus::Unknown) | None, Closed::Unreported) => {
            Fate::Away { taken: false }
        }
        (Some(ActionStatus::Running | ActionStatus::Unknown) | None, Closed::Over { .. }) => Fate::InDoubt,
    }
}

/// A deploy was to be handed back with rollouts under way. `noticed` is what its action had come to before.
pub(super) async fn went(
    crew: &Crew,
    tools: &Tools,
    context: &Context,
    (resume, summary): (Resume, String),
    (noticed, closed): (Option<ActionStatus>, Closed),
) {
    let status = match (noticed, closed) {
        (None, Closed::Over { .. }) => Some(crew.pipeline.action_status(context).await),
        (noticed, _) => noticed,
    };
    let now = crew.clock().now();
    match fate(closed, status) {
        Fate::Away { taken } => {
            let summary = taken.then_some(summary);
            keep(crew, Away::new(context, resume, summary, now)).await;
        }
        Fate::InDoubt => {
            let away = Away::new(context, resume, None, now);
            keep(crew, away.looked_at(BETWEEN_LOOKS)).await;
        }
        Fate::Abandoned => abandoned(crew, tools, context, resume).await,
        Fate::Over => {}
    }
}

/// A deploy that was abandoned is called off, by whoever comes next if this worker ends before that.
async fn abandoned(crew: &Crew, tools: &Tools, context: &Context, resume: Resume) {
    if crew.settings.on_abandon == OnAbandon::Leave {
        called_off(crew, tools, &resume).await;
        return;
    }
    keep(crew, Away::new(context, resume, None, crew.clock().now())).await;
    call_off_kept(crew, tools, context).await;
}

async fn keep(crew: &Crew, mut away: Away) {
    away.noted = crew.shelf.write(&away).await;
    crew.handed.went(away);
}

/// A deploy is here again, or nobody asks after it any more.
pub(super) async fn came_back(crew: &Crew, context: &Context) {
    crew.handed.forget(context);
    crew.shelf.remove(context).await;
}

/// A job that a dead worker had, whose action was abandoned.
pub(super) async fn found(crew: &Crew, job: &Job) {
    if let Some(resume) = job.continuation.as_deref().and_then(under_way) {
        let tools = crew.tools_for(Some(&job.id), &job.context);
        abandoned(crew, &tools, &job.context, resume).await;
    }
}

/// A result of a dead worker was put, which may have handed a deploy back.
pub(super) async fn reported(
    crew: &Crew,
    (job, context): (&JobId, &Context),
    ending: Ending,
    closed: Closed,
) {
    if let Ending::Success(Outcome::Again(token, details)) = ending
        && let Some(resume) = under_way(&token)
    {
        let summary = details.summary.unwrap_or_default();
        let tools = crew.tools_for(Some(job), context);
        went(crew, &tools, context, (resume, summary), (None, closed)).await;
    }
}

/// The rollouts that a token says are under way.
fn under_way(token: &str) -> Option<Resume> {
    match Continuation::read(token).ok()?.step {
        Step::Watch(resume) => Some(*resume),
        Step::Begin => None,
    }
}

/// Asks after deploys that were handed back, until a stop is asked for. One that is being called off then is called off
/// first.
pub(super) async fn ask_after(crew: &Crew) {
    let shutdown = crew.stops.of(Category::Deploy);
    let (mut known, mut told) = (false, false);
    loop {
        if !known {
            match crew.shelf.all().await {
                Ok(left) => {
                    known = true;
                    crew.handed.found(left);
                }
                Err(error) if !told && !shutdown.is_raised() => {
                    told = true;
                    crew.warn(format!(
                        "which deploys earlier workers handed back cannot be read yet: {error}"
                    ));
                }
                Err(_) => {}
            }
        }
        if crew.clock().pause(BETWEEN_LOOKS, shutdown).await == Pause::Stopped {
            return;
        }
        let due = crew.handed.due(crew.clock().now(), BETWEEN_LOOKS);
        for (context, next) in due {
            let Some(asked) = asked_after(crew, &context, next, shutdown).await else {
                if shutdown.is_raised() {
                    return;
                }
                continue;
            };
            match asked {
                // Whoever handed it back since looks after it, and may have written it down in the same place.
                Look::Seen(ActionStatus::Running | ActionStatus::Abandoned, Some(summary))
                    if !crew.handed.is_as_handed_back(&context, &summary) =>
                {
                    crew.handed.forget(&context);
                }
                // No answer may be one a minute later.
                Look::Seen(ActionStatus::Running | ActionStatus::Unknown, _)
                | Look::Nothing
                | Look::Crowded => {}
                Look::Seen(ActionStatus::Ended | ActionStatus::Denied, _) => {
                    came_back(crew, &context).await;
                }
                Look::Seen(ActionStatus::Abandoned, _) => {
                    call_off_kept(crew, &crew.tools_for(None, &context), &context).await;
                }
            }
        }
    }
}

/// Looks at a deploy that was handed back when there is a turn, unless it is to be looked at at another time than `next` by
/// then; none either when a stop is asked for.
async fn asked_after(crew: &Crew, context: &Context, next: Duration, shutdown: &Shutdown) -> Option<Look> {
    loop {
        if shutdown.is_raised() || crew.handed.next_look(context) != Some(next) {
            return None;
        }
        let look = crew
            .looks
            .at(Sort::HandedBack, context, &crew.pipeline, crew.clock());
        let asked = tokio::select! {
            biased;
            _ = shutdown.reached(Urgency::WindDown) => return None,
            asked = look => asked,
        };
        if asked != Look::Crowded {
            return Some(asked);
        }
        let _ = crew.clock().pause(CROWDED, shutdown).await;
    }
}

/// Calls off what is kept, unless another worker does. It is kept on until that succeeded.
async fn call_off_kept(crew: &Crew, tools: &Tools, context: &Context) {
    let Some(away) = crew.handed.take(context) else {
        return;
    };
    let hold = match crew.shelf.claim(&away).await {
        Claim::Ours(hold) => hold,
        Claim::Busy => return crew.handed.put_back(away, crew.clock().now(), BETWEEN_LOOKS),
        Claim::Gone => return,
    };
    if called_off(crew, tools, &away.resume).await {
        if let Some(hold) = hold {
            crew.shelf.done(hold).await;
        }
    } else {
        crew.handed.put_back(away, crew.clock().now(), BETWEEN_LOOKS);
    }
}

/// Does what the policy says about rollouts that nobody waits for any more; whether nothing of it is left to do.
async fn called_off(crew: &Crew, tools: &Tools, resume: &Resume) -> bool {
    match crew.settings.on_abandon {
        OnAbandon::Leave => {
            tools.tell.tell(Event::Warning(
                "nobody waits for the deployment any more; ECS goes on with it (`--on-abandon leave`)"
                    .to_owned(),
            ));
            true
        }
        OnAbandon::Rollback => {
            // The job's own signal is raised already; the way back is clean-up.
            let tools = Tools {
                shutdown: crew.tools.shutdown.clone(),
                ..tools.clone()
            };
            match Box::pin(call_off(&tools, resume)).await {
                Ok(lines) => {
                    for line in lines {
                        tools.tell.tell(Event::Warning(line));
                    }
                    // A stop cuts the way back short, perhaps before ECS has agreed; to ask again does no harm.
                    !tools.shutdown.is_raised()
                }
                Err(failure) => {
                    tools.tell.tell(Event::JobFailed(std::sync::Arc::new(failure)));
                    false
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ActionStatus, Closed, Fate, fate};
    use crate::pipeline::client::JobOver;

    #[test]
    fn what_nobody_is_known_to_watch_is_asked_after_until_its_fate_is_known() {
        const ALL: [Closed; 5] = [
            Closed::Accepted,
            Closed::Unreported,
            Closed::Over { why: JobOver::Ended },
            Closed::Over { why: JobOver::Gone },
            Closed::Over {
                why: JobOver::Unclear,
            },
        ];
        for closed in ALL {
            let kept = match closed {
                Closed::Accepted => Fate::Away { taken: true },
                Closed::Unreported => Fate::Away { taken: false },
                Closed::Over { .. } => Fate::InDoubt,
            };
            for (status, expected) in [
                (None, kept),
                (Some(ActionStatus::Running), kept),
                (Some(ActionStatus::Unknown), kept),
                (Some(ActionStatus::Abandoned), Fate::Abandoned),
                (Some(ActionStatus::Ended), Fate::Over),
                (Some(ActionStatus::Denied), Fate::Over),
            ] {
                assert_eq!(fate(closed, status), expected, "{closed:?} {status:?}");
            }
        }
    }
}
