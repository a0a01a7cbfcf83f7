//! The services of an earlier run, prepared again. Between two stretches a call may fail as it may between two looks of
//! a watch, and must mean the same.

use super::definitions::Images;
use super::hidden::Hidden;
use super::prepare::{Prepared, as_role, cannot_ask, whose};
use super::resume::print;
use super::words::describe;
use crate::aws::sort::Sorted;
use crate::clock::Pause;
use crate::config::settings::Place;
use crate::ecs::mark::KEYS;
use crate::ecs::observation::Service;
use crate::ecs::resume::UnderWay;
use crate::ecs::rollout::{CREDENTIALS_MAY_FAIL_FOR, Doubt, LOOKS_TO_VANISH, Loss, WaitingOn};
use crate::ecs::service::{Described, Ecs, SERVICES_PER_CALL, ServiceError};
use crate::ecs::task_definition::{Diff, TaskDefinition};
use crate::failure::{Failure, Kind};
use crate::name::{ContainerName, ImageRef, ServiceName};
use crate::stage::Tools;
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two attempts at a call that the far end did not answer.
const BETWEEN: Duration = Duration::from_secs(5);

/// Why a service of an earlier run could not be prepared.
#[derive(Debug)]
pub(super) enum Unprepared {
    /// Nobody answered as long as the stretch lasted.
    Later,
    /// The token does not fit, or the service cannot be judged any more.
    Failed {
        failure: Box<Failure>,
        /// Whether ECS may go on with the rollout.
        goes_on: bool,
    },
}

/// How long attempts are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// When the stretch is over.
    pub(super) until: Duration,
    /// When the rollout is given up.
    pub(super) deadline: Duration,
}

/// Why one attempt failed.
enum Unasked {
    /// A call failed, or the service is gone.
    Call(ServiceError),
    /// Something else is wrong.
    Failure(Box<Failure>),
}

impl From<ServiceError> for Unasked {
    fn from(error: ServiceError) -> Self {
        Self::Call(error)
    }
}

impl From<Failure> for Unasked {
    fn from(failure: Failure) -> Self {
        Self::Failure(Box::new(failure))
    }
}

/// Prepares a service, and takes what goes wrong for what a look that saw the same would: a far end that does not answer
/// is asked again, a service that is missing is looked for more than once, and what is denied cannot be told.
pub(super) async fn prepare_in_time(
    tools: &Tools,
    earlier: &UnderWay,
    mut whole: Option<Value>,
    patience: Patience,
) -> Result<Prepared, Unprepared> {
    let mut missing = 0;
    let mut keyless_since = None;
    loop {
        let error = match attempt(tools, earlier, whole.take()).await {
            Ok(prepared) => return Ok(prepared),
            Err(Unasked::Failure(failure)) => {
                let goes_on = false;
                return Err(Unprepared::Failed { failure, goes_on });
            }
            Err(Unasked::Call(error)) => error,
        };
        let now = tools.clock.now();
        let elapsed = now.saturating_sub(earlier.started());
        let lost = |loss: Loss| {
            let name: Result<ServiceName, _> = earlier.service.parse();
            let failure = match name {
                Ok(name) => {
                    let failure = describe(&loss, &name, elapsed.as_secs()).place(format!(
                        "service `{name}` in cluster `{}`, deployment {}, task definition `{}`{}",
                        earlier.cluster,
                        earlier.deployment,
                        earlier.revision,
                        as_role(&earlier.place)
                    ));
                    whose(failure, &earlier.place)
                }
                Err(_) => unfit(earlier),
            };
            let gone = matches!(loss, Loss::ServiceGone { .. });
            Unprepared::Failed {
                failure: Box::new(failure.left(if gone {
                    "nothing: the service is gone, and its tasks with it"
                } else {
                    "unknown what serves: the service could not be looked at"
                })),
                goes_on: !gone,
            }
        };
        let meaning = what_of(error);
        if let Meaning::Passes(WaitingOn::Credentials { .. }) = meaning {
            let since = *keyless_since.get_or_insert(now);
            if now.saturating_sub(since) >= CREDENTIALS_MAY_FAIL_FOR || now >= patience.deadline {
                return Err(lost(Loss::CannotTell(Doubt::NoCredentials)));
            }
        } else {
            keyless_since = None;
        }
        match meaning {
            Meaning::Missing => {
                missing += 1;
                if missing >= LOOKS_TO_VANISH {
                    let status = "MISSING".to_owned();
                    return Err(lost(Loss::ServiceGone { status }));
                }
            }
            Meaning::Passes(_) if now < patience.deadline => {}
            Meaning::Passes(last) => {
                return Err(lost(Loss::CannotTell(Doubt::Blind { last })));
            }
            Meaning::Stays(doubt) => return Err(lost(Loss::CannotTell(doubt))),
        }
        if (now >= patience.until && missing == 0)
            || tools.clock.pause(BETWEEN, &tools.shutdown).await == Pause::Stopped
        {
            return Err(Unprepared::Later);
        }
    }
}

/// What DescribeServices says of the services of a run, ten at a time. One that it does not show, or that cannot be asked
/// for with others, is left out.
pub(super) async fn described(tools: &Tools, services: &[UnderWay]) -> BTreeMap<String, Value> {
    let mut clusters: BTreeMap<(&Place, &str), Vec<String>> = BTreeMap::new();
    for one in services {
        let of_cluster = clusters.entry((&one.place, &one.cluster)).or_default();
        of_cluster.push(one.service.clone());
    }
    let calls = clusters.iter().flat_map(|((place, cluster), names)| {
        names.chunks(SERVICES_PER_CALL).map(move |part| async move {
            let aws = tools.aws.at(place).await.ok()?;
            let ecs = Ecs::new(aws, *cluster, "");
            ecs.describe_together(part).await.ok()
        })
    });
    let said = join_all(calls).await;
    said.into_iter().flatten().flatten().collect()
}

/// Prepares a service in one attempt.
pub(super) async fn prepare_once(tools: &Tools, earlier: &UnderWay) -> Result<Prepared, Failure> {
    let home = tools.aws.get().await?.region();
    let region = earlier.place.region.as_deref().unwrap_or(home);
    let place = || {
        format!(
            "service `{}` in cluster `{}`, region {region}{}",
            earlier.service,
            earlier.cluster,
            as_role(&earlier.place)
        )
    };
    let failed = attempt(tools, earlier, None)
        .await
        .map_err(|unasked| match unasked {
            Unasked::Failure(failure) => *failure,
            Unasked::Call(ServiceError::NoService) => Failure::new(
                Kind::RolloutFailed,
                format!("service `{}` was deleted during the rollout", earlier.service),
            )
            .place(place()),
            Unasked::Call(error) => match earlier.service.parse() {
                Ok(name) => cannot_ask(error, &name, region).place(place()),
                Err(_) => unfit(earlier),
            },
        });
    failed.map_err(|failure| whose(failure, &earlier.place))
}

/// What a failed call means for a rollout under way.
enum Meaning {
    /// DescribeServices says `MISSING`.
    Missing,
    /// The far end may answer another time.
    Passes(WaitingOn),
    /// It will not.
    Stays(Doubt),
}

fn what_of(error: ServiceError) -> Meaning {
    let error = match error {
        ServiceError::Call(error) => error,
        ServiceError::NoService => return Meaning::Missing,
        ServiceError::Incomplete { lacks, .. } => {
            return Meaning::Passes(WaitingOn::KnownState {
                of: lacks,
                value: None,
            });
        }
        ServiceError::TaskDefinition(_) => {
            let action = "ecs:DescribeTaskDefinition".to_owned();
            return Meaning::Passes(WaitingOn::Sight { action });
        }
    };
    let action = error.action.to_owned();
    match error.sorted {
        Sorted::Denied | Sorted::Missing { .. } | Sorted::Refused { .. } => {
            Meaning::Stays(Doubt::Denied { action })
        }
        Sorted::ExpiredCredentials | Sorted::NoCredentials => {
            Meaning::Passes(WaitingOn::Credentials { action })
        }
        Sorted::Transient
        | Sorted::Throttled
        | Sorted::CredentialsFailed
        | Sorted::Unreachable
        | Sorted::Garbled
        | Sorted::Foreign { .. } => Meaning::Passes(WaitingOn::Sight { action }),
    }
}

/// `whole` is what DescribeServices said of the service, if that was asked for already.
async fn attempt(tools: &Tools, earlier: &UnderWay, whole: Option<Value>) -> Result<Prepared, Unasked> {
    let name: ServiceName = earlier.service.parse().map_err(|_| unfit(earlier))?;
    let home = tools.aws.get().await?.clone();
    let aws = tools.aws.at(&earlier.place).await?;
    let ecs = Ecs::new(aws, &earlier.cluster, name.as_str()).with_images_of(home);
    let described = match whole {
        Some(whole) => Described::of(whole)?,
        None => ecs.describe_whole().await?,
    };
    let wanted = ecs.task_definition(&earlier.revision).await?.without_tags(&KEYS);
    let service = if earlier.changed {
        earlier.before.service(&described.service)
    } else {
        described.service.clone()
    };
    let running = previous(&ecs, &service, &wanted).await;
    let before = running.shape();
    let mut images = Images::new();
    let mut expected = BTreeMap::new();
    for container in &earlier.containers {
        let name: ContainerName = container.parse().map_err(|_| unfit(earlier))?;
        let image: Option<ImageRef> = wanted.image(container).and_then(|image| image.parse().ok());
        images.insert(name, image.ok_or_else(|| unfit(earlier))?);
    }
    if print(&images) != earlier.images {
        return Err(unfit(earlier).into());
    }
    for (container, image) in &images {
        if let Some(digests) = ecs.expected(image).await {
            expected.insert(container.clone(), digests);
        }
    }
    Ok(Prepared {
        name,
        place: earlier.place.clone(),
        cluster: earlier.cluster.clone(),
        ecs,
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
        marking: None,
        registered: None,
        once_more: false,
        adopted: None,
        shown: Some(described.whole),
    })
}

/// What the service ran before, for a diagnosis to compare with; without it there is nothing to compare.
pub(super) async fn previous(ecs: &Ecs, before: &Service, ours: &TaskDefinition) -> TaskDefinition {
    let previous = ecs.task_definition(&before.task_definition).await;
    previous.map_or_else(|_| ours.clone(), |previous| previous.without_tags(&KEYS))
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
    .place(format!(
        "service `{}` in cluster `{}`",
        earlier.service, earlier.cluster
    ))
    .hint("is this the account and the region of the run that printed the token?")
}
