//! What an earlier attempt of the same execution did of a one-off task: work that is done is not done again, and a task
//! that is still at it is waited for.
//!
//! ECS tells of a task for about an hour after its end; RunTask knows an attempt's token for a day.

use super::prepare::{place, wrong_again};
use crate::config::settings::TaskSettings;
use crate::ecs::mark::Mark;
use crate::ecs::oneoff::{Oneoff, Policy, Sight, Verdict, group_of, is_of_execution};
use crate::ecs::service::EarlierTask;
use crate::ecs::task_definition::TaskDefinition;
use crate::failure::Failure;
use crate::stage::deploy::prepare::{Prepared, UNCHANGED};
use std::time::Duration;

/// What there is of a task.
#[derive(Debug)]
pub(in crate::stage::deploy) enum Earlier {
    /// Nothing: it is to be run.
    Nothing,
    /// It did its work, as this task.
    Done(String),
    /// This task is at work, or ended in this very attempt.
    Runs {
        /// Its id.
        id: String,
        /// When it was created, in seconds since the Unix epoch by ECS's clock.
        created: Option<f64>,
    },
}

impl Earlier {
    /// When a task was started: never in the future, so that nobody gets more time than was asked for.
    pub(super) fn started(created: Option<f64>, now: Duration) -> Duration {
        let created = created.and_then(|at| Duration::try_from_secs_f64(at).ok());
        created.map_or(now, |created| created.min(now))
    }
}

/// Looks for what an earlier attempt did. A task of any other run that is still at work is in the way.
pub(super) async fn of(
    settings: &TaskSettings,
    service: &Prepared,
    definition: &TaskDefinition,
    policy: &Policy,
    started_by: &str,
    mark: &Mark,
) -> Result<Earlier, Failure> {
    let unseen = |error: crate::aws::sort::CallError| {
        error
            .into_failure(format!(
                "what became of task `{}` of an earlier attempt cannot be seen",
                settings.name
            ))
            .left(UNCHANGED)
            .place(place(service))
    };
    let earlier = service.ecs.earlier_tasks(definition.family(), started_by).await;
    let earlier = earlier.map_err(unseen)?;
    let of_execution = |one: &&EarlierTask| is_of_execution(&one.group, &settings.name, mark);
    let foreign = earlier.iter().find(|one| one.runs && !of_execution(one));
    if let Some(foreign) = foreign {
        return Err(wrong_again(settings, service, started_by, &foreign.id));
    }
    let mut ours: Vec<&EarlierTask> = earlier.iter().filter(of_execution).collect();
    ours.sort_by(|one, other| other.created.total_cmp(&one.created));
    let runs = |one: &EarlierTask| Earlier::Runs {
        id: one.id.clone(),
        created: Some(one.created),
    };
    if let Some(one) = ours.iter().find(|one| one.runs) {
        return Ok(runs(one));
    }
    let done = ours.iter().find(|one| {
        let mut judge = Oneoff::new(policy.clone());
        judge.judge(Duration::ZERO, Sight::Seen(Box::new(one.task.clone()))) == Verdict::Done
    });
    if let Some(one) = done {
        return Ok(Earlier::Done(one.id.clone()));
    }
    // What failed in this very attempt failed: only a retry runs it again.
    let same = ours
        .iter()
        .find(|one| one.group == group_of(&settings.name, mark));
    Ok(same.map_or(Earlier::Nothing, |one| runs(one)))
}
