//! The deploy stage: imagedefinitions.json to a new revision, a deployment, and its verdict.
//!
//! Every service is prepared before any is changed; then all are changed and watched at the same time.

mod begin;
mod definitions;
mod loss;
mod prepare;
mod undo;
mod watch;
mod words;

use super::Tools;
use crate::config::settings::{DeploySettings, ServiceSettings};
use crate::ecs::rollout::Ours;
use crate::failure::{Failure, Kind};
use crate::name::ServiceName;
use crate::report::event::{Event, Phase};
use crate::shutdown::Urgency;
use futures_util::future::join_all;
use prepare::Prepared;

/// What to deploy.
#[derive(Debug, Clone)]
pub struct DeployPlan {
    /// The `[deploy]` table.
    pub deploy: DeploySettings,
    /// The services, deployed at the same time.
    pub services: Vec<ServiceSettings>,
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
/// The failure of the first service that failed, with what is left serving.
pub async fn deploy(tools: &Tools, plan: &DeployPlan) -> Result<Vec<Deployed>, Failure> {
    let stopped =
        |kind| Failure::new(kind, "stopped before any service was changed").left("nothing was changed");
    let prepare = async {
        let definitions = definitions::read(tools, &plan.deploy.source).await?;
        prepare::all(tools, plan, &definitions).await
    };
    let prepared = tokio::select! {
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
    let rolls = prepared
        .iter()
        .map(|prepared| deploy_one(tools, &plan.deploy, prepared));
    first_failure(join_all(rolls).await)
}

async fn deploy_one(
    tools: &Tools,
    deploy: &DeploySettings,
    prepared: &Prepared,
) -> Result<Deployed, Failure> {
    let started = tools.clock.now();
    let of = prepared.name.to_string();
    if prepared.is_unchanged() && !deploy.force {
        return verify(tools, deploy, prepared).await;
    }
    tools.tell.tell(Event::PhaseStarted {
        phase: Phase::Deploy,
        of: of.clone(),
    });
    let begun = begin::begin(tools, deploy, prepared).await?;
    let verdict = watch::watch(tools, deploy, prepared, &begun.ours, prepared.baseline()).await;
    let deployed = match verdict {
        watch::End::Healthy(seen) => {
            watch::proven(tools, prepared, Some(&begun.ours), &begun.revision, &seen)
        }
        watch::End::Stopped(stopped) => return Err(stopped.into_failure(prepared, &begun.ours)),
        watch::End::Lost(lost) => return Err(lost.into_failure(tools, deploy, prepared, &begun).await),
    };
    let took = tools.clock.now().saturating_sub(started);
    tools.tell.tell(Event::Healthy {
        service: prepared.name.clone(),
        revision: begun.revision,
        took,
    });
    tools.tell.tell(Event::PhaseFinished {
        phase: Phase::Deploy,
        of,
        took,
    });
    Ok(deployed)
}

/// Nothing differs: what runs is judged like a rollout, so that "unchanged" is never said of a service that is down.
async fn verify(tools: &Tools, deploy: &DeploySettings, prepared: &Prepared) -> Result<Deployed, Failure> {
    let Some(primary) = prepared.service.primary() else {
        return Err(Failure::new(
            Kind::Unclear,
            format!("service `{}` has no primary deployment", prepared.name),
        )
        .left("nothing was changed"));
    };
    let ours = Ours {
        deployment: primary.id.clone(),
    };
    let revision = prepared.revision().to_owned();
    match watch::watch(tools, deploy, prepared, &ours, prepared.baseline_of_unchanged()).await {
        watch::End::Healthy(seen) => {
            let deployed = watch::proven(tools, prepared, None, &revision, &seen);
            tools.tell.tell(Event::Unchanged {
                service: prepared.name.clone(),
                revision,
            });
            Ok(deployed)
        }
        watch::End::Stopped(stopped) => Err(stopped.into_failure_of_unchanged(prepared)),
        watch::End::Lost(lost) => Err(lost.into_failure_of_unchanged(prepared).await),
    }
}

/// All results, or the first failure with a word on the others.
fn first_failure(results: Vec<Result<Deployed, Failure>>) -> Result<Vec<Deployed>, Failure> {
    let mut deployed = Vec::new();
    let mut first: Option<Failure> = None;
    let mut others = Vec::new();
    for result in results {
        match (result, first.is_some()) {
            (Ok(done), _) => deployed.push(done),
            (Err(failure), false) => first = Some(failure),
            (Err(failure), true) => {
                others.push(format!("also failed: {}", failure.what));
                others.extend(failure.left.map(|left| format!("left there: {left}")));
            }
        }
    }
    let Some(failure) = first else { return Ok(deployed) };
    let fine = deployed
        .iter()
        .map(|done| format!("service `{}` runs `{}`, proven", done.service, done.revision));
    Err(failure.evidence(others.into_iter().chain(fine).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::{Deployed, first_failure};
    use crate::failure::{Failure, Kind};

    #[test]
    fn the_first_failure_decides_and_the_others_are_told() {
        let done = Deployed {
            service: "api".parse().unwrap(),
            revision: "api:3".to_owned(),
            deployment: None,
            images: Vec::new(),
        };
        let results = vec![
            Ok(done.clone()),
            Err(Failure::new(Kind::RolledBack, "web failed")),
            Err(Failure::new(Kind::Superseded, "jobs was superseded").left("`jobs:3` runs 1 task")),
        ];
        let failure = first_failure(results).unwrap_err();
        assert_eq!(
            (failure.kind, failure.what.as_str()),
            (Kind::RolledBack, "web failed")
        );
        assert_eq!(
            failure.evidence,
            [
                "also failed: jobs was superseded",
                "left there: `jobs:3` runs 1 task",
                "service `api` runs `api:3`, proven"
            ]
        );
        assert_eq!(first_failure(vec![Ok(done.clone())]).unwrap(), [done]);
    }
}
