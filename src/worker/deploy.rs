//! The deploy of a job: begun by its first job, then watched in stretches, each of which another worker may do.

use super::inputs::Inputs;
use super::job::{Bench, Ended, Role};
use super::{fetch, properties::Properties};
use crate::config::resolve::Needs;
use crate::ecs::resume::Resume;
use crate::failure::{Failure, Kind};
use crate::pipeline::job::Context;
use crate::pipeline::result::{Details, Variables};
use crate::pipeline::token::{Continuation, Step};
use crate::report::event::Event;
use crate::stage::deploy::{DeployPlan, Deployed, Mark, Progress, Stretch, carry_on, start};
use std::collections::BTreeMap;
use std::time::Duration;

const DEPLOY: Needs = Needs {
    build: false,
    deploy: true,
};

/// How many workers may die of one job before it is given up: it may be what they die of. Nothing is done twice by the
/// next one, so it may be more than builds have.
const MOST_DEATHS: u32 = 10;

/// Does one job of a deploy.
pub(super) async fn deploy(bench: &Bench<'_>) -> Ended {
    let job = bench.claimed.job();
    let earlier = match job.continuation.as_deref().map(Continuation::read).transpose() {
        Ok(earlier) => earlier,
        Err(error) => return Ended::failed(error.into_failure()),
    };
    if bench.claimed.record().attempts >= MOST_DEATHS {
        return given_up(earlier.as_ref());
    }
    let next = |step| match &earlier {
        Some(earlier) => earlier.next(step),
        None => Continuation::first(bench.claimed.record().claimed, step),
    };
    let stretch = match &earlier {
        Some(Continuation {
            step: Step::Watch(resume),
            ..
        }) => Box::pin(carry_on(&bench.tools, resume, bench.crew.settings.stretch)).await,
        Some(_) | None => match begin(bench).await {
            Ok(stretch) => stretch,
            Err(ended) => return ended,
        },
    };
    match stretch {
        Ok(Stretch::Done(deployed)) => done(&deployed, earlier.as_ref()),
        Ok(Stretch::UnderWay(progress)) => {
            again(&next(Step::Watch(Box::new(progress.resume.clone()))), progress)
        }
        // Nothing was changed yet that the next attempt would not find again.
        Err(failure) if matches!(failure.kind, Kind::Interrupted | Kind::Terminated) => {
            begin_again(&next(Step::Begin), &failure)
        }
        Err(failure) => Ended::failed(failure),
    }
}

/// Reads what is to be deployed, and begins it. The first job ends as soon as its services are updated: from then on its
/// token is all that a worker needs.
async fn begin(bench: &Bench<'_>) -> Result<Result<Stretch, Failure>, Ended> {
    let properties = Properties::of(bench.claimed.job()).map_err(Ended::failed)?;
    let folder = fetch::folder(bench).map_err(Ended::failed)?;
    let inputs: Inputs = fetch::inputs(bench, folder.path()).await?;
    let settled = inputs.settle(&properties, DEPLOY).map_err(Ended::failed)?;
    for warning in &settled.warnings {
        bench.tools.tell.tell(Event::Warning(warning.clone()));
    }
    let plan = DeployPlan {
        deploy: settled.settings.deploy,
        services: settled.settings.services,
        tasks: settled.settings.tasks,
    };
    let mark = mark(&bench.claimed.job().context);
    Ok(Box::pin(start(&bench.tools, &plan, Some(&mark), Duration::ZERO)).await)
}

/// Workers died of it again and again.
fn given_up(earlier: Option<&Continuation>) -> Ended {
    let resume = earlier.and_then(|earlier| match &earlier.step {
        Step::Watch(resume) => Some(resume.as_ref()),
        Step::Begin => None,
    });
    let each = resume.iter().flat_map(|resume| &resume.services);
    let each: Vec<String> = each
        .map(|one| format!("`{}` in service `{}`", one.revision, one.service))
        .collect();
    let left = if each.is_empty() {
        "unknown: task definitions may have been registered and services updated".to_owned()
    } else {
        format!("ECS goes on with {}", each.join(", "))
    };
    let failure = Failure::new(
        Kind::Terminated,
        "workers died of this deploy again and again",
    )
    .left(left)
    .hint("retry the stage: it takes up what was done; if it happens again, look at the worker's memory and at its machine");
    Ended::Failed {
        failure,
        whose: Role::Worker,
        external: resume.and_then(external),
    }
}

/// By which a later attempt knows what this one did.
fn mark(context: &Context) -> Mark {
    Mark {
        execution: context.execution.clone(),
        place: format!("{}/{}/{}", context.pipeline, context.stage, context.action),
        attempt: context.action_execution.clone(),
    }
}

fn again(next: &Continuation, progress: Progress) -> Ended {
    match next.token() {
        Ok(token) => Ended::Again {
            token,
            details: Details {
                summary: Some(progress.summary),
                external: external(&progress.resume),
                percent: Some(progress.percent),
            },
            under_way: Some(Box::new(progress.resume)),
        },
        Err(error) => Ended::failed(error.into_failure()),
    }
}

fn begin_again(next: &Continuation, failure: &Failure) -> Ended {
    match next.token() {
        Ok(token) => Ended::Again {
            token,
            details: Details {
                summary: Some(format!("{}; another worker begins it", failure.what)),
                external: None,
                percent: Some(0),
            },
            under_way: None,
        },
        Err(error) => Ended::failed(error.into_failure()),
    }
}

/// What the console's link leads to: the first service that is under way.
fn external(resume: &Resume) -> Option<String> {
    resume
        .services
        .first()
        .map(|first| place_of(&first.cluster, &first.service))
}

fn place_of(cluster: &str, service: &str) -> String {
    let cluster = cluster.rsplit('/').next().unwrap_or(cluster);
    format!("clusters/{cluster}/services/{service}")
}

fn done(deployed: &[Deployed], earlier: Option<&Continuation>) -> Ended {
    let each: Vec<String> = deployed
        .iter()
        .map(|one| format!("{} runs {}", one.service, one.revision))
        .collect();
    let under_way = earlier.and_then(|earlier| match &earlier.step {
        Step::Watch(resume) => external(resume),
        Step::Begin => None,
    });
    Ended::Done {
        details: Details {
            summary: Some(format!("healthy: {}", each.join(", "))),
            external: under_way,
            percent: Some(100),
        },
        variables: variables(deployed),
    }
}

/// `SERVICE-revision`, `SERVICE-deployment` and `SERVICE-images`; of a single service without its name as well.
fn variables(deployed: &[Deployed]) -> Variables {
    let mut variables = BTreeMap::new();
    for one in deployed {
        let mut put = |name: &str, value: &str| {
            variables.insert(format!("{}-{name}", one.service), value.to_owned());
            if deployed.len() == 1 {
                variables.insert(name.to_owned(), value.to_owned());
            }
        };
        put("revision", &one.revision);
        if let Some(deployment) = &one.deployment {
            put("deployment", deployment);
        }
        put("images", &one.images.join(","));
    }
    Variables(variables)
}

#[cfg(test)]
mod tests {
    use super::{Ended, given_up, place_of, variables};
    use crate::stage::deploy::Deployed;

    #[test]
    fn a_deploy_that_is_given_up_before_its_services_were_updated_claims_nothing() {
        let Ended::Failed {
            failure, external, ..
        } = given_up(None)
        else {
            panic!("it failed");
        };
        assert!(failure.left.unwrap().starts_with("unknown") && external.is_none());
    }

    #[test]
    fn variables_are_named_by_service_and_a_single_one_s_also_without() {
        let deployed = |service: &str| Deployed {
            service: service.parse().unwrap(),
            revision: "shop:2".to_owned(),
            deployment: Some("ecs-svc/1".to_owned()),
            images: vec!["a@x".to_owned(), "b@y".to_owned()],
        };
        let one = variables(&[deployed("shop")]).0;
        assert_eq!(one.len(), 6);
        assert_eq!(one["images"], "a@x,b@y");
        assert_eq!(one["shop-deployment"], "ecs-svc/1");
        let two = variables(&[deployed("shop"), deployed("api")]).0;
        assert!(two.len() == 6 && !two.contains_key("revision"));
    }

    #[test]
    fn a_cluster_s_arn_is_shown_by_its_name() {
        let arn = "arn:aws:ecs:eu-west-1:000000000000:cluster/prod";
        assert_eq!(place_of(arn, "shop"), "clusters/prod/services/shop");
        assert_eq!(place_of("prod", "shop"), "clusters/prod/services/shop");
    }
}
