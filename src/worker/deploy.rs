//! The deploy of a job: begun by its first job, then watched in stretches, each of which another worker may do.

use super::inputs::Inputs;
use super::job::{Bench, Ended, Role};
use super::{fetch, properties::Properties};
use crate::config::resolve::Needs;
use crate::ecs::resume::Resume;
use crate::failure::{Failure, Kind};
use crate::name::ClusterName;
use crate::pipeline::job::Context;
use crate::pipeline::result::{Details, Variables};
use crate::pipeline::token::{Continuation, Step};
use crate::report::event::Event;
use crate::stage::deploy::{DeployPlan, Deployed, Mark, Progress, Stretch, carry_on, start_in_stretches};
use std::collections::BTreeMap;
use std::time::Duration;

const DEPLOY: Needs = Needs {
    build: false,
    deploy: true,
};

/// How many workers may die of one job before it is given up: it may be what they die of. Nothing is done twice by the
/// next one, so it may be more than builds have.
const MOST_DEATHS: u32 = 10;

/// How long after its first job an action must have come to its verdict: CodePipeline ends it after 24 hours, and asks
/// nobody then. What remains is for a way back and for jobs that wait for a worker.
const LONGEST: Duration = Duration::from_secs(23 * 3600);

/// The least that is left to a deploy that begins late.
const LEAST: Duration = Duration::from_secs(60);

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
    // Of a damaged entry of the journal nobody knows when it was claimed.
    let claimed = Some(bench.claimed.record().claimed).filter(|claimed| !claimed.is_zero());
    let claimed = claimed.unwrap_or_else(|| bench.tools.clock.now());
    let began = earlier.as_ref().map_or(claimed, |earlier| earlier.began);
    let next = |step| match &earlier {
        Some(earlier) => earlier.next(step),
        None => Continuation::first(claimed, step),
    };
    let stretch = match &earlier {
        Some(Continuation {
            step: Step::Watch(resume),
            ..
        }) => {
            let resume = in_time(resume, began);
            let stretch = Box::pin(carry_on(&bench.tools, &resume, bench.crew.settings.stretch)).await;
            stretch.map_err(Ended::failed)
        }
        Some(_) | None => begin(bench, began).await,
    };
    match stretch {
        Ok(Stretch::Done(deployed)) => done(&deployed, earlier.as_ref()),
        Ok(Stretch::UnderWay(progress)) => {
            again(&next(Step::Watch(Box::new(progress.resume.clone()))), progress)
        }
        Ok(Stretch::AtTask(summary)) => begin_again(&next(Step::Begin), summary),
        // Nothing was changed yet that the next attempt would not find again.
        Err(Ended::Failed { failure, .. })
            if matches!(failure.kind, Kind::Interrupted | Kind::Terminated) =>
        {
            let summary = format!("{}; another worker begins it", failure.what);
            begin_again(&next(Step::Begin), summary)
        }
        Err(Ended::Failed {
            failure,
            whose,
            external: first,
        }) => Ended::Failed {
            failure,
            whose,
            external: earlier
                .as_ref()
                .and_then(Continuation::rollouts)
                .and_then(external)
                .or(first),
        },
        Err(ended) => ended,
    }
}

/// Reads what is to be deployed, and begins it. A job that begins ends as soon as its services are updated: from then on its
/// token is all that a worker needs. One that meets a one-off task at work ends after a stretch, and the next one begins
/// where it was.
async fn begin(bench: &Bench<'_>, began: Duration) -> Result<Stretch, Ended> {
    let properties = Properties::of(bench.claimed.job()).map_err(Ended::failed)?;
    let folder = fetch::folder(bench).map_err(Ended::failed)?;
    let inputs: Inputs = fetch::inputs(bench, folder.path()).await?;
    let settled = inputs.settle(&properties, DEPLOY).map_err(Ended::failed)?;
    for warning in &settled.warnings {
        bench.tools.tell.tell(Event::Warning(warning.clone()));
    }
    let mut settled = settled;
    let tasks = settled.settings.tasks.iter().map(|task| task.timeout);
    let tasks = tasks.fold(Duration::ZERO, Duration::saturating_add);
    let left = (began + LONGEST).saturating_sub(bench.tools.clock.now());
    let timeout = &mut settled.settings.deploy.timeout;
    *timeout = fitting(*timeout, tasks, left).map_err(Ended::failed)?;
    let plan = DeployPlan {
        deploy: settled.settings.deploy,
        services: settled.settings.services,
        tasks: settled.settings.tasks,
    };
    let first = plan.services.first().and_then(|first| {
        let own = first.cluster.as_ref().map(ClusterName::as_str);
        let cluster = own.or(plan.deploy.cluster.as_deref())?;
        Some(place_of(cluster, first.name.as_str()))
    });
    let mark = mark(&bench.claimed.job().context);
    let stretch = bench.crew.settings.stretch;
    Box::pin(start_in_stretches(&bench.tools, &plan, &mark, stretch))
        .await
        .map_err(|failure| Ended::Failed {
            failure,
            whose: Role::Worker,
            external: first,
        })
}

/// The timeout of a deploy that has so long left for it, after its one-off tasks.
fn fitting(timeout: Duration, tasks: Duration, left: Duration) -> Result<Duration, Failure> {
    if timeout.saturating_add(tasks) > LONGEST {
        let hours = |time: Duration| format!("{:.1} h", time.as_secs_f64() / 3600.0);
        let with_tasks = if tasks.is_zero() {
            String::new()
        } else {
            format!(", and those of its tasks are {} more", hours(tasks))
        };
        return Err(Failure::new(Kind::Usage, "slipway.toml has a problem")
            .cause(format!("deploy.timeout is {}{with_tasks}", hours(timeout)))
            .left("nothing was done")
            .hint(format!(
                "CodePipeline ends an action after 24 h, and then nobody tells a verdict or brings anything back: give at most {} \
                 in all",
                hours(LONGEST)
            )));
    }
    Ok(timeout.min(left.max(LEAST)))
}

/// Rollouts that are given up while CodePipeline still waits for the verdict.
fn in_time(resume: &Resume, began: Duration) -> Resume {
    let mut resume = resume.clone();
    let started = resume.services.iter().map(|one| one.started).max();
    let left = (began + LONGEST)
        .as_secs()
        .saturating_sub(started.unwrap_or_default());
    resume.wishes.timeout = resume.wishes.timeout.min(left.max(LEAST.as_secs()));
    resume
}

/// Workers died of it again and again.
fn given_up(earlier: Option<&Continuation>) -> Ended {
    let resume = earlier.and_then(Continuation::rollouts);
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

fn begin_again(next: &Continuation, summary: String) -> Ended {
    match next.token() {
        Ok(token) => Ended::Again {
            token,
            details: Details {
                summary: Some(summary),
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
    let under_way = earlier.and_then(Continuation::rollouts).and_then(external);
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
    use super::{Ended, LONGEST, fitting, given_up, in_time, place_of, variables};
    use crate::ecs::resume::UnderWay;
    use crate::ecs::resume::tests::run;
    use crate::failure::Kind;
    use crate::stage::deploy::Deployed;
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_timeout_that_codepipeline_does_not_wait_for_is_refused_or_cut() {
        assert_eq!(fitting(HOUR, HOUR, LONGEST).unwrap(), HOUR);
        assert_eq!(fitting(22 * HOUR, HOUR, LONGEST).unwrap(), 22 * HOUR);
        assert_eq!(fitting(22 * HOUR, HOUR, HOUR).unwrap(), HOUR, "it began late");
        assert_eq!(fitting(HOUR, HOUR, Duration::ZERO).unwrap(), HOUR / 60);
        for (timeout, tasks) in [
            (24 * HOUR, Duration::ZERO),
            (22 * HOUR, 2 * HOUR),
            (Duration::MAX, HOUR),
        ] {
            let failure = fitting(timeout, tasks, LONGEST).unwrap_err();
            assert_eq!(
                (failure.kind, failure.left.as_deref()),
                (Kind::Usage, Some("nothing was done"))
            );
        }
    }

    #[test]
    fn a_rollout_is_given_up_before_codepipeline_does() {
        let mut earlier = run(2);
        let began = earlier.services.iter().map(UnderWay::started).max().unwrap();
        earlier.wishes.timeout = 22 * 3600;
        assert_eq!(in_time(&earlier, began), earlier);
        let cut = in_time(&earlier, began - 5 * HOUR);
        assert_eq!(cut.wishes.timeout, 18 * 3600);
        assert_eq!(in_time(&cut, began - 5 * HOUR), cut);
        assert_eq!(in_time(&earlier, began - 25 * HOUR).wishes.timeout, 60);
    }

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
