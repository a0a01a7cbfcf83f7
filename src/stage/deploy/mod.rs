//! The deploy stage: imagedefinitions.json to a new revision, a deployment, and its verdict.
//!
//! Every service is prepared before any is changed; then one-off tasks run one after the other, and when all have done
//! their work, all services are changed and watched at the same time, with shared calls. `task` runs one-off tasks,
//! `roll` runs the stories of the services side by side, `begin` changes one, `watch` looks at all of them, `close` says
//! what became of each, `outcome` sums up.

pub(in crate::stage) mod account;
mod adopt;
mod again;
mod back;
mod begin;
mod call_off;
mod close;
mod definitions;
pub(in crate::stage) mod hidden;
mod loss;
mod outcome;
mod pin;
pub(in crate::stage) mod prepare;
pub(in crate::stage) mod record;
mod registrations;
mod resume;
mod roll;
mod stretch;
mod task;
mod undo;
pub(in crate::stage) mod watch;
mod words;

pub use crate::ecs::mark::Mark;
pub use call_off::call_off;
pub use hidden::masked;
pub use resume::{carry_on, resume};
pub use stretch::{ENDLESS, Progress, Stretch};

use super::Tools;
use crate::config::settings::{DeploySettings, ServiceSettings, TaskSettings};
use crate::ecs::capture::End;
use crate::failure::Failure;
use crate::name::ServiceName;
use crate::shutdown::Urgency;
use definitions::Images;
use hidden::Hidden;
use roll::roll;
use std::time::Duration;
use stretch::{Terms, fits};
use task::Halt;

/// What to deploy.
#[derive(Debug, Clone)]
pub struct DeployPlan {
    /// The `[deploy]` table.
    pub deploy: DeploySettings,
    /// The services, deployed at the same time.
    pub services: Vec<ServiceSettings>,
    /// One-off tasks, which run one after the other before any service is updated.
    pub tasks: Vec<TaskSettings>,
}

/// What a deploy of one service did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// The service.
    pub service: ServiceName,
    /// `family:revision` that runs now.
    pub revision: String,
    /// Our deployment's id; none when nothing differed.
    pub deployment: Option<String>,
    /// The `repository@digest` of each container that runs, proven.
    pub images: Vec<String>,
}

/// Deploys every service and watches each until its verdict.
///
/// # Errors
/// The failure of the service that failed first, with what is left serving and what became of the others.
pub async fn deploy(tools: &Tools, plan: &DeployPlan) -> Result<Vec<Deployed>, Failure> {
    Box::pin(start(tools, plan, None, ENDLESS)).await?.whole()
}

/// Deploys every service and watches all of them for a stretch, which begins when the last one was updated: one of zero
/// is over then. Once a service is lost the run goes on to its end. With a mark, what an earlier attempt of the same
/// execution registered, ran or updated is taken up instead of done again.
///
/// # Errors
/// The failure of the service that failed first, with what is left serving and what became of the others. After a stop
/// before every service was updated: that, of the kind of the signal; with the same mark the run can be started again.
pub async fn start(
    tools: &Tools,
    plan: &DeployPlan,
    mark: Option<&Mark>,
    stretch: Duration,
) -> Result<Stretch, Failure> {
    let terms = Terms {
        stretch,
        hands_back: mark.is_some() || stretch != ENDLESS,
        deadline_is_kept: true,
        ..Terms::default()
    };
    Box::pin(started(tools, plan, mark, terms)).await
}

/// [`start`] for a run that goes on elsewhere: it is over as soon as every service was updated, or when a one-off task has
/// been waited for so long. Then it is begun again with the same mark, and takes the task up.
///
/// # Errors
/// As [`start`].
pub async fn start_in_stretches(
    tools: &Tools,
    plan: &DeployPlan,
    mark: &Mark,
    tasks: Duration,
) -> Result<Stretch, Failure> {
    let terms = Terms {
        stretch: Duration::ZERO,
        tasks,
        hands_back: true,
        deadline_is_kept: true,
        ..Terms::default()
    };
    Box::pin(started(tools, plan, Some(mark), terms)).await
}

async fn started(
    tools: &Tools,
    plan: &DeployPlan,
    mark: Option<&Mark>,
    terms: Terms,
) -> Result<Stretch, Failure> {
    let outcome = Box::pin(deploy_all(tools, plan, mark, terms)).await;
    if !matches!(outcome, Ok(Stretch::UnderWay(_) | Stretch::AtTask(_))) {
        tools.record.end(|| End::of(outcome.as_ref().err()));
    }
    outcome
}

async fn deploy_all(
    tools: &Tools,
    plan: &DeployPlan,
    mark: Option<&Mark>,
    terms: Terms,
) -> Result<Stretch, Failure> {
    let stopped =
        |kind| Failure::new(kind, "stopped before any service was changed").left("nothing was changed");
    let prepare = async {
        let definitions = definitions::read(tools, &plan.deploy.source).await?;
        let definitions = pin::all(tools, definitions).await?;
        let prepared = prepare::all(tools, plan, mark, &definitions).await?;
        let tasks = task::prepare::all(tools, plan, mark, &definitions, &prepared).await?;
        let services = prepared.iter().map(|prepared| &prepared.images);
        let taken: Vec<&Images> = services.chain(&tasks.images).collect();
        definitions::all_taken(&definitions, &taken)?;
        if terms.hands_back {
            fits(tools, &plan.deploy, &prepared)?;
        }
        Ok((prepared, tasks.due))
    };
    let (mut prepared, tasks) = tokio::select! {
        biased;
        kind = tools.shutdown.reached(Urgency::WindDown) => return Err(stopped(kind)),
        prepared = prepare => prepared.map_err(|failure: Failure| match failure.left {
            Some(_) => failure,
            None => failure.left("nothing was changed"),
        })?,
    };
    if let (_, Some(kind)) = tools.shutdown.asked() {
        return Err(stopped(kind));
    }
    let hidden = Hidden::of(&prepared, &tasks);
    let tools = &hidden.in_all_of(tools);
    for service in &mut prepared {
        service.hidden = hidden.clone();
    }
    let change = async {
        let before = match task::run_all(tools, &prepared, &tasks, terms.tasks).await {
            Ok(before) => before,
            Err(Halt::Failed(failure)) => return Err(*failure),
            Err(Halt::AtWork(summary)) => return Ok(Stretch::AtTask(summary)),
        };
        let rolled = roll(tools, &plan.deploy, &prepared, &before.revisions, terms).await;
        rolled.map_err(|failure| before.told_in(failure))
    };
    change.await.map_err(|failure| hidden.failure(failure))
}
