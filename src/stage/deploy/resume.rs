//! Taking up rollouts that an earlier run left under way: they are watched and proven, and nothing is registered or
//! updated but to undo what failed.

use super::Deployed;
use super::definitions::Images;
use super::hidden::Hidden;
use super::prepare::{Prepared, cannot_ask};
use super::roll::take_up;
use super::stretch::{Progress, Stretch, Terms};
use crate::config::settings::{DefinitionsSource, DeploySettings, OnFailure, OnFirstFailure, Until};
use crate::ecs::capture::End;
use crate::ecs::resume::{Print, Resume, UnderWay, Wishes};
use crate::ecs::rollout::Goal;
use crate::ecs::service::{Ecs, ServiceError};
use crate::ecs::task_definition::Diff;
use crate::failure::{Failure, Kind};
use crate::name::{ContainerName, ImageRef, ServiceName};
use crate::shutdown::Urgency;
use crate::stage::Tools;
use futures_util::future::try_join_all;
use std::collections::BTreeMap;
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
    let outcome = go_on(tools, &wished(deploy, &resume.wishes), resume, terms).await;
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
    };
    let outcome = go_on(tools, &settings(&resume.wishes), resume, terms).await;
    if !matches!(outcome, Ok(Stretch::UnderWay(_))) {
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
    let each = resume.services.iter().map(|earlier| prepare(tools, earlier));
    let mut prepared = tokio::select! {
        biased;
        kind = tools.shutdown.reached(Urgency::WindDown) => {
            return if terms.hands_back {
                Ok(Stretch::UnderWay(Progress::unseen(resume)))
            } else {
                Err(again(Failure::new(kind, "stopped before the watch was taken up")))
            };
        }
        prepared = try_join_all(each) => prepared.map_err(again)?,
    };
    let hidden = Hidden::of(&prepared, &[]);
    for service in &mut prepared {
        service.hidden = hidden.clone();
    }
    let tools = &hidden.in_all_of(tools);
    let outcome = take_up(tools, deploy, &prepared, &resume.services, terms).await;
    outcome.map_err(|failure| hidden.failure(failure))
}

/// What a later process needs of these services.
pub(super) fn of(
    tools: &Tools,
    deploy: &DeploySettings,
    first: &Prepared,
    services: Vec<UnderWay>,
    percent: u8,
) -> Resume {
    let now = tools.clock.now();
    Resume {
        region: first.home.clone(),
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

pub(super) async fn prepare(tools: &Tools, earlier: &UnderWay) -> Result<Prepared, Failure> {
    let name: ServiceName = earlier.service.parse().map_err(|_| unfit(earlier))?;
    let aws = tools.aws.get().await?;
    let place = format!(
        "service `{name}` in cluster `{}`, region {}",
        earlier.cluster,
        aws.region()
    );
    let ecs = Ecs::new(aws.clone(), &earlier.cluster, name.as_str());
    let found = async {
        let described = ecs.describe_whole().await.map_err(|error| match error {
            ServiceError::NoService => Failure::new(
                Kind::RolloutFailed,
                format!("service `{name}` was deleted during the rollout"),
            ),
            error => cannot_ask(error, &name, aws.region()),
        })?;
        let wanted = ecs
            .task_definition(&earlier.revision)
            .await
            .map_err(|error| cannot_ask(error, &name, aws.region()))?;
        let service = earlier.before.service(&described.service);
        // What a diagnosis compares with; without it there is nothing to compare.
        let previous = ecs.task_definition(&service.task_definition).await;
        let running = previous.unwrap_or_else(|_| wanted.clone());
        let before = running.shape();
        let mut images = Images::new();
        let mut expected = BTreeMap::new();
        for container in &earlier.containers {
            let name: ContainerName = container.parse().map_err(|_| unfit(earlier))?;
            let image: Option<ImageRef> = wanted.image(container).and_then(|image| image.parse().ok());
            images.insert(name, image.ok_or_else(|| unfit(earlier))?);
        }
        if print(&images) != earlier.images {
            return Err(unfit(earlier));
        }
        for (container, image) in &images {
            if let Some(digests) = ecs.expected(image).await {
                expected.insert(container.clone(), digests);
            }
        }
        Ok(Prepared {
            name: name.clone(),
            place: earlier.place.clone(),
            home: tools.aws.get().await?.region().to_owned(),
            cluster: earlier.cluster.clone(),
            ecs: ecs.clone(),
            service,
            placement: described.placement,
            said: described.said,
            before,
            running,
            wanted,
            diff: Diff::default(),
            images,
            expected,
            hidden: Hidden::default(),
        })
    };
    found.await.map_err(|failure: Failure| failure.place(place))
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

/// A token whose revision has other images than the token says.
fn unfit(earlier: &UnderWay) -> Failure {
    Failure::new(
        Kind::Usage,
        format!(
            "the token does not fit: revision `{}` of service `{}` is not the one that was deployed",
            earlier.revision, earlier.service
        ),
    )
    .hint("is this the account and the region of the run that printed the token?")
}
