//! Everything that can be found wrong before anything is changed.

use super::DeployPlan;
use super::adopt::{Unadopted, adopt};
use super::definitions::{Images, choose};
use super::hidden::Hidden;
use crate::aws::sort::Sorted;
use crate::config::settings::{DeploySettings, Place, ServiceSettings, Until};
use crate::ecs::diagnosis::{Comparison, Revision};
use crate::ecs::mark::{KEYS, Mark, Marking};
use crate::ecs::observation::{
    Controller, Deployment, RolloutState, Service, ServiceStatus, Strategy, revision_name,
};
use crate::ecs::resume::UnderWay;
use crate::ecs::rollout::{Baseline, Expected, Goal, Policy};
use crate::ecs::service::{Described, Ecs, Placement, ServiceError};
use crate::ecs::task_definition::{Diff, Shape, TaskDefinition, TaskDefinitionError};
use crate::failure::{Failure, Kind, Nature};
use crate::name::{ContainerName, ServiceName};
use crate::report::event::Event;
use crate::stage::Tools;
use futures_util::future::try_join_all;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const UNCHANGED: &str = "nothing was changed";

/// A service that can be deployed, and what would change.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) name: ServiceName,
    /// Where it is, as it was asked for.
    pub(super) place: Place,
    pub(super) cluster: String,
    pub(super) ecs: Ecs,
    /// As it was before any change.
    pub(super) service: Service,
    /// Where its tasks ran then.
    pub(super) placement: Placement,
    /// What ECS said of it then, but for its deployments and its events.
    pub(super) said: Value,
    /// What to register.
    pub(super) wanted: TaskDefinition,
    /// What it runs.
    pub(super) running: TaskDefinition,
    /// The revision that the service runs, without its values.
    pub(super) before: Shape,
    /// What changes against the revision that the service runs.
    pub(super) diff: Diff,
    pub(super) images: Images,
    /// The digests that prove each image that has one.
    pub(super) expected: BTreeMap<ContainerName, Expected>,
    /// What no text of the deploy may show, once all of it is prepared.
    pub(super) hidden: Hidden,
    /// What its revision is marked with, if it is.
    pub(super) marking: Option<Marking>,
    /// The ARN of a revision that an earlier attempt of the same execution registered.
    pub(super) registered: Option<String>,
    /// Whether that attempt's deployment of it failed, so that it gets another one.
    pub(super) once_more: bool,
    /// The deployment of an earlier attempt, which is watched instead of begun again.
    pub(super) adopted: Option<Box<UnderWay>>,
    /// What DescribeServices said of it, where that is recent enough to be the first look of a watch.
    pub(super) shown: Option<Value>,
}

/// Prepares every service, or says what is wrong with the first.
pub(super) async fn all(
    tools: &Tools,
    plan: &DeployPlan,
    mark: Option<&Mark>,
    images: &Images,
) -> Result<Vec<Prepared>, Failure> {
    if plan.services.is_empty() {
        return Err(Failure::new(Kind::Usage, "no service is named")
            .left(UNCHANGED)
            .hint("give `--cluster` and `--service`, or a `[service.NAME]` table in slipway.toml"));
    }
    let each = plan
        .services
        .iter()
        .map(|settings| prepare(tools, &plan.deploy, mark, settings, images));
    let prepared = try_join_all(each).await?;
    let force = plan.deploy.force;
    for changing in prepared
        .iter()
        .filter(|prepared| prepared.adopted.is_none() && (force || !prepared.is_unchanged()))
    {
        check_progress(tools, force, changing)?;
    }
    Ok(prepared)
}

async fn prepare(
    tools: &Tools,
    deploy: &DeploySettings,
    mark: Option<&Mark>,
    settings: &ServiceSettings,
    images: &Images,
) -> Result<Prepared, Failure> {
    let name = settings.name.clone();
    let own = settings.cluster.as_ref().map(ToString::to_string);
    let cluster = own.or_else(|| deploy.cluster.clone()).ok_or_else(|| {
        Failure::new(Kind::Usage, format!("no cluster is named for service `{name}`"))
            .left(UNCHANGED)
            .hint("give `--cluster`, or `cluster` in the `[deploy]` table of slipway.toml")
    })?;
    let home = tools.aws.get().await?;
    let aws = tools.aws.at(&settings.place).await;
    let aws = aws.map_err(|failure| failure.left(UNCHANGED).place(format!("service `{name}`")))?;
    let place = format!(
        "service `{name}` in cluster `{cluster}`, region {}{}",
        aws.region(),
        as_role(&settings.place)
    );
    let ecs = Ecs::new(aws.clone(), &cluster, name.as_str()).with_images_of(home.clone());
    let before = async {
        let Described {
            service,
            placement,
            said,
            created,
            ..
        } = ecs
            .describe_whole()
            .await
            .map_err(|error| cannot_ask(error, &name, aws.region()))?;
        let arn = service
            .primary()
            .map_or(&service.task_definition, |primary| &primary.task_definition);
        let tagged = ecs
            .task_definition(arn)
            .await
            .map_err(|error| cannot_ask(error, &name, aws.region()))?;
        // A mark is of what it was put on, and of nothing that is made of that.
        let running = tagged.clone().without_tags(&KEYS);
        let base = match &settings.task_definition {
            Some(path) => read_file(path).await?.without_tags(&KEYS).with_tags_of(&running),
            None => running.clone(),
        };
        let images = choose(images, &settings.containers, &base, name.as_str())?;
        let wanted = base
            .with_images(&images)
            .and_then(|wanted| wanted.with_environment(&settings.env))
            .map_err(|error| bad_definition(error, &name))?;
        let mut expected = BTreeMap::new();
        for (container, image) in &images {
            if let Some(digests) = ecs.expected(image).await {
                expected.insert(container.clone(), digests);
            }
        }
        let diff = running.diff(&wanted);
        let mut prepared = Prepared {
            name: name.clone(),
            place: settings.place.clone(),
            cluster,
            ecs: ecs.clone(),
            service,
            placement,
            said,
            wanted,
            before: running.shape(),
            running,
            diff,
            images,
            expected,
            hidden: Hidden::default(),
            marking: None,
            registered: None,
            once_more: false,
            adopted: None,
            shown: None,
        };
        if let Some(mark) = mark {
            adopt(tools, mark, deploy.force, &mut prepared, &tagged, &created)
                .await
                .map_err(|unadopted| match unadopted {
                    Unadopted::Unasked(error) => cannot_ask(error, &name, aws.region()),
                    Unadopted::Failed(failure) => *failure,
                })?;
        }
        if prepared.adopted.is_none() {
            usable(&prepared.service, &name, deploy.allow_zero)?;
        }
        Ok(prepared)
    };
    before.await.map_err(|failure: Failure| {
        let failure = whose(failure, &settings.place).place(place);
        match failure.left {
            Some(_) => failure,
            None => failure.left(UNCHANGED),
        }
    })
}

/// Names the role that a service is asked as.
pub(super) fn as_role(place: &Place) -> String {
    let role = place.role.as_ref();
    role.map_or_else(String::new, |role| format!(", as role {}", role.arn))
}

/// Says whose a denial is, where it is not that of the role that slipway runs with. The role itself is assumed with that
/// one.
pub(super) fn whose(mut failure: Failure, place: &Place) -> Failure {
    match (&mut failure.nature, &place.role) {
        (Nature::Denied(denial), Some(role)) if denial.action != "sts:AssumeRole" => {
            denial.role = Some(role.arn.clone());
            let hint = format!(
                "the role that may not is `{}`, which was assumed; it is not the one that slipway runs with",
                role.arn
            );
            if failure.hints.contains(&hint) {
                failure
            } else {
                failure.hint(hint)
            }
        }
        _ => failure,
    }
}

impl Prepared {
    /// Whether the service runs what it is to run, and is left as it is.
    pub(super) fn is_unchanged(&self) -> bool {
        self.diff.is_empty() && !self.once_more
    }

    /// The task definition ARN that the service runs.
    pub(super) fn previous(&self) -> &str {
        self.service
            .primary()
            .map_or(&self.service.task_definition, |primary| &primary.task_definition)
    }

    /// `family:revision` that the service runs.
    pub(super) fn revision(&self) -> &str {
        revision_name(self.previous())
    }

    /// The revision to deploy beside the one that the service ran, for a diagnosis. Without a new one, what runs is
    /// compared with nothing.
    pub(super) fn comparison(&self, deployed: Option<&str>) -> Comparison {
        let before = Revision {
            name: self.revision().to_owned(),
            shape: self.before.clone(),
        };
        match deployed {
            Some(name) => Comparison {
                ours: Some(Revision {
                    name: name.to_owned(),
                    shape: self.wanted.shape(),
                }),
                previous: (before.name != name).then_some(before),
            },
            None => Comparison {
                ours: Some(before),
                previous: None,
            },
        }
    }

    pub(super) fn place(&self, deployment: &str) -> String {
        format!(
            "service `{}` in cluster `{}`, deployment {deployment}",
            self.name, self.cluster
        )
    }

    /// What runs is under judgement itself, so no deployment was before it.
    pub(super) fn baseline_of_unchanged(&self) -> Baseline {
        Baseline {
            deployment: None,
            ..Baseline::of(&self.service)
        }
    }

    pub(super) fn policy(&self, deploy: &DeploySettings) -> Policy {
        let checked = self
            .wanted
            .containers()
            .filter(|name| self.wanted.is_essential(name) && self.wanted.has_health_check(name));
        Policy {
            goal: match deploy.until {
                Until::Healthy => Goal::Healthy,
                Until::Steady => Goal::Steady,
            },
            timeout: deploy.timeout,
            checked: checked
                .filter_map(|name| name.parse().ok())
                .collect::<BTreeSet<_>>(),
            images: self.expected.clone(),
            allow_zero: deploy.allow_zero,
        }
    }
}

pub(super) async fn read_file(path: &std::path::Path) -> Result<TaskDefinition, Failure> {
    let wrong = |what: &str| Failure::new(Kind::Input, format!("{what}: `{}`", path.display()));
    let bytes = tokio::fs::read(path)
        .await
        .map_err(|error| wrong("the task definition file cannot be read").because(error))?;
    TaskDefinition::parse(&bytes)
        .map_err(|error| wrong("the task definition file cannot be used").because(error))
}

fn bad_definition(error: TaskDefinitionError, service: &ServiceName) -> Failure {
    Failure::new(
        Kind::Input,
        format!("the task definition of service `{service}` does not fit"),
    )
    .because(error)
}

/// Whether a deployment of the service can be begun and judged.
fn usable(service: &Service, name: &ServiceName, allow_zero: bool) -> Result<(), Failure> {
    let refuse = |what: String| Failure::new(Kind::Refused, what);
    match &service.status {
        ServiceStatus::Active => {}
        ServiceStatus::Unrecognised(status) => {
            return Err(refuse(format!(
                "service `{name}` has the status {status}, which slipway does not know"
            ))
            .hint("look at the service in the ECS console: only an ACTIVE one can be deployed to"));
        }
        status @ (ServiceStatus::Draining | ServiceStatus::Inactive) => {
            return Err(refuse(format!("service `{name}` is {status}: it was deleted"))
                .hint("create the service again, or deploy to another one"));
        }
    }
    match &service.controller {
        Controller::Ecs => {}
        Controller::CodeDeploy => {
            return Err(refuse(format!("service `{name}` cannot be deployed to"))
                .cause("CodeDeploy deploys it (deployment controller CODE_DEPLOY)")
                .hint("use CodePipeline's CodeDeployToECS action, or move the service to ECS's own BLUE_GREEN strategy"));
        }
        controller @ (Controller::External | Controller::Unrecognised(_)) => {
            return Err(refuse(format!("service `{name}` cannot be deployed to"))
                .cause(format!("it has the deployment controller {controller}"))
                .hint("its task sets belong to another program; only services with the controller ECS can be deployed"));
        }
    }
    if service.desired == 0 && !allow_zero {
        return Err(
            refuse(format!("a deployment of service `{name}` could not be proven"))
                .cause("its desired count is 0: no task would run")
                .hint("raise the desired count first, or pass `--allow-zero`"),
        );
    }
    Ok(())
}

/// Refuses an update that ECS cannot make progress with, unless it is forced, and warns of one that it will replace.
fn check_progress(tools: &Tools, force: bool, prepared: &Prepared) -> Result<(), Failure> {
    let Prepared { service, name, .. } = prepared;
    if is_deadlocked(service) {
        let (least, most) = service.percent;
        let desired = service.desired;
        let why = format!(
            "minimumHealthyPercent {least} and maximumPercent {most} leave no room to replace a task of {desired}"
        );
        if !force {
            let what = format!("a deployment of service `{name}` could not make progress");
            return Err(Failure::new(Kind::Refused, what)
                .cause(why)
                .left(format!("nothing was changed; `{}` serves as before", prepared.revision()))
                .place(format!("service `{name}` in cluster `{}`", prepared.cluster))
                .hint(
                    "raise maximumPercent (to 200, for example) or lower minimumHealthyPercent in the service's deployment \
                     configuration; `--force` deploys all the same",
                ));
        }
        tools.tell.tell(Event::Warning(format!(
            "service `{name}`: {why}: the deployment cannot make progress"
        )));
    }
    let under_way = |primary: &&Deployment| primary.rollout == Some(RolloutState::InProgress);
    if let Some(primary) = service.primary().filter(under_way) {
        tools.tell.tell(Event::Warning(format!(
            "service `{name}`: deployment {} is under way and will be replaced",
            primary.id
        )));
    }
    Ok(())
}

/// ECS may neither start a task above the upper limit nor stop one below the lower limit, so that a rolling update never
/// begins; other strategies run both revisions in full. With a task missing there is room for one.
fn is_deadlocked(service: &Service) -> bool {
    let desired = u64::from(service.desired);
    let lower = (desired * u64::from(service.percent.0)).div_ceil(100);
    let upper = desired * u64::from(service.percent.1) / 100;
    let rolls = service.strategy == Strategy::Rolling && service.running >= service.desired;
    rolls && desired > 0 && upper <= desired && lower >= desired
}

/// A failure to read the service or its task definition.
pub(in crate::stage) fn cannot_ask(error: ServiceError, name: &ServiceName, region: &str) -> Failure {
    match error {
        ServiceError::NoService => Failure::new(Kind::Refused, format!("service `{name}` does not exist"))
            .hint(format!(
                "check the service's and the cluster's name, and that {region} is the right region"
            )),
        ServiceError::Call(error) => {
            let missing = matches!(&error.sorted, Sorted::Missing { .. });
            let failure = error.into_failure(format!("service `{name}` cannot be read"));
            if !missing {
                return failure;
            }
            Failure {
                what: format!("the cluster of service `{name}` does not exist"),
                ..failure
            }
            .hint(format!(
                "check the cluster's name, and that {region} is the right region"
            ))
        }
        error @ (ServiceError::Incomplete { .. } | ServiceError::TaskDefinition(_)) => {
            Failure::new(Kind::Unclear, format!("service `{name}` cannot be read")).because(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_deadlocked, usable};
    use crate::ecs::observation::{Controller, ServiceStatus};
    use crate::ecs::rollout::tests::build;
    use crate::failure::Kind;

    #[test]
    fn only_an_active_service_of_the_ecs_controller_with_tasks_can_be_deployed() {
        let name = "web".parse().unwrap();
        let good = build::before(2);
        assert!(usable(&good, &name, false).is_ok());
        let mut zero = good.clone();
        zero.desired = 0;
        assert!(usable(&zero, &name, true).is_ok());
        let mut cases = vec![(zero, "desired count is 0")];
        for status in ["DRAINING", "INACTIVE", "SLEEPING"] {
            let mut service = good.clone();
            service.status = ServiceStatus::from(status);
            cases.push((service, status));
        }
        for controller in ["CODE_DEPLOY", "EXTERNAL", "SOMETHING_ELSE"] {
            let mut service = good.clone();
            service.controller = Controller::from(controller);
            cases.push((service, controller));
        }
        for (service, says) in cases {
            let failure = usable(&service, &name, false).unwrap_err();
            assert_eq!((failure.kind, failure.hints.len()), (Kind::Refused, 1));
            let said = format!("{}: {}", failure.what, failure.root_cause().unwrap_or_default());
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn limits_that_leave_no_room_are_seen() {
        for (desired, percent, deadlocked) in [
            (1, (100, 100), true),
            (1, (100, 200), false),
            (1, (0, 100), false),
            (1, (50, 150), true),
            (3, (100, 125), true),
            (4, (50, 100), false),
            (2, (75, 100), true),
            (0, (100, 100), false),
        ] {
            let mut service = build::before(desired);
            service.percent = percent;
            assert_eq!(is_deadlocked(&service), deadlocked, "{desired} {percent:?}");
        }
        let mut service = build::before(2);
        service.percent = (100, 100);
        service.running = 1;
        assert!(!is_deadlocked(&service), "there is room for the missing one");
        service.running = 2;
        service.strategy = "CANARY".into();
        assert!(!is_deadlocked(&service), "both revisions run in full");
    }
}
