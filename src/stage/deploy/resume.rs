//! Taking up rollouts that an earlier run left under way: they are watched and proven, and nothing is registered or
//! updated but to undo what failed.

use super::Deployed;
use super::again::{Patience, Unprepared, described, prepare_in_time, prepare_once};
use super::definitions::Images;
use super::hidden::Hidden;
use super::outcome::Outcome;
use super::prepare::Prepared;
use super::roll::take_up;
use super::stretch::{Progress, Stretch, Terms};
use crate::config::settings::{DefinitionsSource, DeploySettings, OnFailure, OnFirstFailure, Until};
use crate::ecs::capture::End;
use crate::ecs::resume::{Print, Resume, UnderWay, Wishes};
use crate::ecs::rollout::Goal;
use crate::failure::Failure;
use crate::name::{ImageRef, ServiceName};
use crate::shutdown::Urgency;
use crate::stage::Tools;
use futures_util::future::{join_all, try_join_all};
use std::path::PathBuf;
use std::time::Duration;

/// What is left when nothing was found out.
const GOES_ON: &str = "ECS goes on with the rollouts; nothing was changed";

/// Watches what an earlier run began, until its verdict. `deploy` gives the timeout, which counts from now; what else
/// decides is in the token.
///
/// # Errors
/// The failure that the earlier run would have ended with.
pub async fn resume(
    tools: &Tools,
    deploy: &DeploySettings,
    resume: &Resume,
) -> Result<Vec<Deployed>, Failure> {
    let terms = Terms {
        percent: resume.percent,
        ..Terms::default()
    };
    let outcome = Box::pin(go_on(tools, &wished(deploy, &resume.wishes), resume, terms)).await;
    let outcome = outcome.and_then(Stretch::whole);
    tools.record.end(|| End::of(outcome.as_ref().err()));
    outcome
}

/// Watches what an earlier stretch began, for another one. All that decides is in the token, the deadline as well: it
/// stays where it was. A stop hands the run back at once.
///
/// # Errors
/// The failure that the run would have ended with, had one stretch been all of it.
pub async fn carry_on(tools: &Tools, resume: &Resume, stretch: Duration) -> Result<Stretch, Failure> {
    let terms = Terms {
        stretch,
        hands_back: true,
        looks_first: true,
        deadline_is_kept: true,
        percent: resume.percent,
        ..Terms::default()
    };
    let outcome = Box::pin(go_on(tools, &settings(&resume.wishes), resume, terms)).await;
    if !matches!(outcome, Ok(Stretch::UnderWay(_) | Stretch::AtTask(_))) {
        tools.record.end(|| End::of(outcome.as_ref().err()));
    }
    outcome
}

async fn go_on(
    tools: &Tools,
    deploy: &DeploySettings,
    resume: &Resume,
    terms: Terms,
) -> Result<Stretch, Failure> {
    let again = |failure: Failure| Failure {
        resume: resume.tokens(),
        ..failure.left(GOES_ON)
    };
    let prepare = async {
        if terms.hands_back {
            in_time(tools, deploy, resume, terms).await
        } else {
            let each = resume.services.iter().map(|earlier| prepare_once(tools, earlier));
            let prepared = try_join_all(each).await.map_err(again)?;
            Ok(Some((prepared, resume.services.clone(), Vec::new())))
        }
    };
    let prepared = tokio::select! {
        biased;
        kind = tools.shutdown.reached(Urgency::WindDown) => {
            if !terms.hands_back {
                return Err(again(Failure::new(kind, "stopped before the watch was taken up")));
            }
            None
        }
        prepared = prepare => prepared?,
    };
    let Some((mut prepared, earlier, lost)) = prepared else {
        return Ok(Stretch::UnderWay(Progress::unseen(resume, tools.clock.now())));
    };
    let hidden = Hidden::of(&prepared, &[]);
    for service in &mut prepared {
        service.hidden = hidden.clone();
    }
    let tools = &hidden.in_all_of(tools);
    let outcome = take_up(tools, deploy, &prepared, &earlier, lost, terms).await;
    outcome.map_err(|failure| hidden.failure(failure))
}

/// What can be watched, what an earlier stretch knew of each, and what is lost already.
type TakenUp = (Vec<Prepared>, Vec<UnderWay>, Vec<(ServiceName, Outcome)>);

/// Prepares every service while the stretch lasts. None if one of them did not answer, and none is lost.
async fn in_time(
    tools: &Tools,
    deploy: &DeploySettings,
    resume: &Resume,
    terms: Terms,
) -> Result<Option<TakenUp>, Failure> {
    let until = tools.clock.now().saturating_add(terms.stretch);
    let known = described(tools, &resume.services).await;
    let each = resume.services.iter().map(|earlier| {
        let patience = Patience {
            until,
            deadline: earlier.started() + deploy.timeout,
        };
        let whole = known.get(&earlier.service).cloned();
        prepare_in_time(tools, earlier, whole, patience)
    });
    let (mut prepared, mut watched, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for (order, (earlier, outcome)) in resume.services.iter().zip(join_all(each).await).enumerate() {
        match outcome {
            Ok(service) => {
                prepared.push(service);
                watched.push(earlier.clone());
            }
            Err(Unprepared::Later) => return Ok(None),
            Err(Unprepared::Failed { failure, goes_on }) => {
                let Ok(name) = earlier.service.parse::<ServiceName>() else {
                    return Err(*failure);
                };
                let lose = Outcome::Lost {
                    failure,
                    order,
                    goes_on: goes_on.then(|| Box::new(earlier.clone())),
                };
                lost.push((name, lose));
            }
        }
    }
    Ok(Some((prepared, watched, lost)))
}

/// What a later process needs of these services.
pub(super) fn of(
    tools: &Tools,
    deploy: &DeploySettings,
    home: String,
    services: Vec<UnderWay>,
    percent: u8,
) -> Resume {
    let now = tools.clock.now();
    Resume {
        region: home,
        wishes: wishes(deploy),
        // No instant is later.
        written: now.as_secs() + u64::from(now.subsec_nanos() > 0),
        percent,
        services,
    }
}

/// The settings that a token carries.
pub(super) const fn wishes(deploy: &DeploySettings) -> Wishes {
    Wishes {
        steady: matches!(deploy.until, Until::Steady),
        allow_zero: deploy.allow_zero,
        leave: matches!(deploy.on_failure, OnFailure::Leave),
        all_back: matches!(deploy.on_failure, OnFailure::RollbackAll),
        fail_fast: matches!(deploy.on_first_failure, OnFirstFailure::FailFast),
        timeout: deploy.timeout.as_secs(),
    }
}

fn wished(deploy: &DeploySettings, wishes: &Wishes) -> DeploySettings {
    DeploySettings {
        until: match wishes.goal() {
            Goal::Healthy => Until::Healthy,
            Goal::Steady => Until::Steady,
        },
        allow_zero: wishes.allow_zero,
        on_failure: match (wishes.leave, wishes.all_back) {
            (true, _) => OnFailure::Leave,
            (false, true) => OnFailure::RollbackAll,
            (false, false) => OnFailure::Rollback,
        },
        on_first_failure: if wishes.fail_fast {
            OnFirstFailure::FailFast
        } else {
            OnFirstFailure::KeepGoing
        },
        force: false,
        ..deploy.clone()
    }
}

/// The settings of a run of which there is only the token.
pub(super) fn settings(wishes: &Wishes) -> DeploySettings {
    let nothing = DeploySettings {
        cluster: None,
        source: DefinitionsSource::File(PathBuf::new()),
        timeout: Duration::from_secs(wishes.timeout),
        until: Until::default(),
        on_failure: OnFailure::default(),
        on_first_failure: OnFirstFailure::default(),
        force: false,
        allow_zero: false,
    };
    wished(&nothing, wishes)
}

/// Tells what was deployed from other images.
pub(super) fn print(images: &Images) -> Print<1> {
    let digest = |image: &ImageRef| image.digest.as_ref().map(ToString::to_string);
    let each = images.iter();
    Print::of_images(
        &each
            .map(|(name, image)| (name.to_string(), digest(image)))
            .collect(),
    )
}
