//! Puts version 1 in place: the service that the dry run rolls over.

use super::{DryRunRequest, DryRunVerb, NOTHING_LEFT, cluster_of, seed, services_of};
use crate::artifact::imagedefinitions::Definitions;
use crate::artifact::store::{self, StoreError};
use crate::aws::Aws;
use crate::clock::Pause;
use crate::config::settings::{ImageSettings, Outputs, ServiceSettings, Settings};
use crate::ecs::diagnosis::{Comparison, Diagnosis, Revision};
use crate::ecs::observation::revision_name;
use crate::ecs::service::{Case, Ecs, Watched};
use crate::ecs::task_definition::TaskDefinition;
use crate::failure::{Failure, Kind};
use crate::name::{Digest, ImageRef, RegistryHost};
use crate::report::event::{Event, Phase, Tell};
use crate::stage::Tools;
use crate::stage::build::{self, BuildPlan};
use aws_sdk_ecs::types::DeploymentRolloutState;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::Duration;

/// The tag of version 1.
const TAG: &str = "before";

/// How long version 1 may take to become healthy.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// How many services are put in place at once: ECS takes 20 registrations, then one a second, and the roll needs some.
const UNPACED: usize = 10;

/// Between two services after those.
const PACE: Duration = Duration::from_secs(1);

/// What runs before the roll.
#[derive(Debug)]
pub struct Before {
    /// The loopback port that forwards to the first service with a load balancer.
    pub front_port: Option<u16>,
    /// Whether version 1 has the very images that are to be deployed, so that only a forced deploy rolls.
    pub same_images: bool,
}

/// Creates the cluster, and every service with version 1 running.
pub async fn put_in_place(
    tools: &Tools,
    settings: &Settings,
    request: &DryRunRequest,
) -> Result<Before, Failure> {
    if settings.services.is_empty() {
        return Err(Failure::new(Kind::Usage, "there is no service to deploy")
            .hint("add a `[service.NAME]` table to slipway.toml, or give `--service NAME`"));
    }
    let (images, same_images) = match request.verb {
        DryRunVerb::Run | DryRunVerb::Pipeline => (build_before(tools, settings).await?, false),
        DryRunVerb::Build | DryRunVerb::Deploy => images_before(tools, settings, request).await?,
    };
    let cluster = cluster_of(settings);
    seed::cluster(tools.aws.get().await?, &cluster)
        .await
        .map_err(not_seeded)?;
    let mut front_port = None;
    for (at, service) in settings.services.iter().enumerate() {
        if at >= UNPACED && tools.clock.pause(PACE, &tools.shutdown).await == Pause::Stopped {
            return Err(stopped(tools));
        }
        let port = put_service(tools, settings, &cluster, service, &images).await?;
        front_port = front_port.or(port);
    }
    for file in settings
        .tasks
        .iter()
        .filter_map(|task| task.task_definition.as_deref())
    {
        let definition = read_json(file)?;
        let definition = definition.get("taskDefinition").unwrap_or(&definition);
        seed::log_groups(tools.aws.get().await?, definition)
            .await
            .map_err(not_seeded)?;
    }
    let started = tools.clock.now();
    for service in &settings.services {
        tools.tell.tell(Event::PhaseStarted {
            phase: Phase::Deploy,
            of: before(service.name.as_str()),
        });
    }
    wait_until_healthy(tools, settings, &cluster).await?;
    for service in &settings.services {
        tools.tell.tell(Event::PhaseFinished {
            phase: Phase::Deploy,
            of: before(service.name.as_str()),
            took: tools.clock.now().saturating_sub(started),
        });
        tools.tell.tell(Event::Note(format!(
            "version 1 of service `{}` is in place",
            service.name
        )));
    }
    Ok(Before {
        front_port,
        same_images,
    })
}

/// How an image or a service of version 1 is called when it is spoken of.
fn before(name: &str) -> String {
    format!("{name} (version 1)")
}

fn not_seeded(error: seed::SeedError) -> Failure {
    Failure::new(Kind::Refused, "the sandbox could not be prepared").because(error)
}

/// Builds version 1 from the same folders with the arguments of before; containers get its images.
async fn build_before(tools: &Tools, settings: &Settings) -> Result<BTreeMap<String, ImageRef>, Failure> {
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::new(Kind::Input, "no folder for version 1's imagedefinitions.json").because(error)
    })?;
    let images: Vec<ImageSettings> = settings
        .images
        .iter()
        .map(|image| image_before(image, settings))
        .collect::<Result<_, _>>()?;
    let plan = BuildPlan {
        images,
        outputs: Outputs {
            imagedefinitions: folder.path().join("imagedefinitions.json"),
            image_detail: None,
            metadata: None,
            env_file: None,
            artifact: None,
        },
    };
    let built = build::build(&without_files(tools), &plan).await?;
    let mut containers = BTreeMap::new();
    for (image, pushed) in plan.images.iter().zip(&built.images) {
        for container in &image.containers {
            containers.insert(container.to_string(), pushed.reference.clone());
        }
    }
    Ok(containers)
}

/// The same tools, and no word on a file that only this module reads.
fn without_files(tools: &Tools) -> Tools {
    let tell = tools.tell.clone();
    Tools {
        tell: Tell::new(move |event| {
            if !matches!(event, Event::Wrote { .. }) {
                tell.tell(event);
            }
        }),
        ..tools.clone()
    }
}

fn image_before(image: &ImageSettings, settings: &Settings) -> Result<ImageSettings, Failure> {
    let mut before = image.clone();
    before.name = self::before(&image.name);
    before.args.extend(settings.dry_run.before_args.clone());
    // Without a difference the two versions would be one image, and there would be nothing to roll.
    before
        .labels
        .insert("slipway.dry-run".to_owned(), "before".to_owned());
    before.tags = vec![
        TAG.parse()
            .map_err(|error| Failure::new(Kind::Bug, "version 1's tag").because(error))?,
    ];
    Ok(before)
}

/// What `dry-run deploy` runs before: the same images, which real containers can only be told apart from by force;
/// simulated tasks take the same repositories at a digest that is nobody's.
async fn images_before(
    tools: &Tools,
    settings: &Settings,
    request: &DryRunRequest,
) -> Result<(BTreeMap<String, ImageRef>, bool), Failure> {
    let definitions = store::read_definitions(&tools.aws.get().await?.s3, &settings.deploy.source)
        .await
        .map_err(StoreError::into_failure)?;
    if request.simulated {
        put_tagged(tools.aws.get().await?, &definitions).await?;
    }
    let images = definitions
        .entries()
        .iter()
        .map(|definition| {
            let image = if request.simulated {
                definition
                    .image
                    .at_digest(Digest::of(b"version 1 of a simulated task"))
            } else {
                definition.image.clone()
            };
            (definition.name.to_string(), image)
        })
        .collect();
    Ok((images, !request.simulated))
}

/// Puts the images by tag of ECR into the sandbox's, which is empty, so that the deploy finds what they stand for. One of
/// another region is not found all the same: the sandbox is one region, and refuses what is signed for another.
async fn put_tagged(aws: &Aws, definitions: &Definitions) -> Result<(), Failure> {
    for image in definitions.entries().iter().map(|definition| &definition.image) {
        let of_ecr = image
            .registry
            .as_ref()
            .and_then(RegistryHost::ecr_parts)
            .is_some();
        if of_ecr && image.digest.is_none() {
            seed::tagged_image(aws, image).await.map_err(not_seeded)?;
        }
    }
    Ok(())
}

async fn put_service(
    tools: &Tools,
    settings: &Settings,
    cluster: &str,
    service: &ServiceSettings,
    images: &BTreeMap<String, ImageRef>,
) -> Result<Option<u16>, Failure> {
    let dry_run = &settings.dry_run;
    let file = service.task_definition.as_deref().map(read_json).transpose()?;
    let wanted: BTreeMap<String, ImageRef> = images
        .iter()
        .filter(|(name, _)| {
            service.containers.is_empty() || service.containers.iter().any(|one| one.as_str() == *name)
        })
        .map(|(name, image)| (name.clone(), image.clone()))
        .collect();
    let definition = seed::task_definition_before(
        &service.name,
        file.as_ref(),
        &wanted,
        dry_run.port,
        &dry_run.health_command,
    );
    let aws = tools.aws.get().await?;
    seed::log_groups(aws, &definition).await.map_err(not_seeded)?;
    let revision = register(tools, cluster, service, &definition).await?;
    let behind = dry_run.port.and_then(|port| {
        Some(seed::Behind {
            container: seed::container_behind(&definition, port)?,
            port,
            health_path: dry_run.health_path.clone().unwrap_or_else(|| "/".to_owned()),
        })
    });
    let door = match &behind {
        Some(behind) => {
            let port = free_port()?;
            Some(
                seed::front_door(aws, &service.name, behind, port)
                    .await
                    .map_err(not_seeded)?,
            )
        }
        None => None,
    };
    let desired = dry_run.desired_count.unwrap_or(2);
    let front = door.as_ref().zip(behind.as_ref());
    seed::service(aws, cluster, &service.name, &revision, desired, front)
        .await
        .map_err(not_seeded)?;
    Ok(door.map(|door| door.port))
}

async fn register(
    tools: &Tools,
    cluster: &str,
    service: &ServiceSettings,
    definition: &Value,
) -> Result<String, Failure> {
    let refused = || {
        Failure::new(
            Kind::Refused,
            "the task definition of version 1 was not registered",
        )
    };
    let document =
        TaskDefinition::parse(definition.to_string().as_bytes()).map_err(|error| refused().because(error))?;
    Ecs::new(tools.aws.get().await?.clone(), cluster, service.name.as_str())
        .register(&document)
        .await
        .map_err(|error| refused().because(error))
}

fn read_json(path: &std::path::Path) -> Result<Value, Failure> {
    let unreadable = || {
        Failure::new(
            Kind::Input,
            format!("the task definition `{}` cannot be read", path.display()),
        )
    };
    let text = std::fs::read(path).map_err(|error| unreadable().because(error))?;
    serde_json::from_slice(&text).map_err(|error| unreadable().because(error))
}

/// A port that nobody listens on, for the load balancer of the sandbox.
fn free_port() -> Result<u16, Failure> {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    port.map(|address| address.port())
        .map_err(|error| Failure::new(Kind::Input, "no free port on 127.0.0.1").because(error))
}

async fn wait_until_healthy(tools: &Tools, settings: &Settings, cluster: &str) -> Result<(), Failure> {
    let until = tools.clock.now() + PATIENCE;
    let mut missing = None;
    let aws = tools.aws.get().await?;
    while tools.clock.now() < until {
        let services = services_of(aws, cluster, settings).await.map_err(|error| {
            Failure::new(Kind::FarEnd, "the sandbox did not describe its services").because(error)
        })?;
        missing = None;
        for service in &services {
            let name = service.service_name().unwrap_or_default();
            let state = service.deployments().first().and_then(|one| one.rollout_state());
            match state.map(DeploymentRolloutState::as_str) {
                Some("COMPLETED") => {}
                Some("FAILED") => return Err(not_healthy(aws, cluster, name).await),
                _ => missing = Some(name.to_owned()),
            }
        }
        if missing.is_none() {
            return Ok(());
        }
        if tools
            .clock
            .pause(Duration::from_millis(500), &tools.shutdown)
            .await
            == Pause::Stopped
        {
            return Err(stopped(tools));
        }
    }
    Err(not_healthy(aws, cluster, &missing.unwrap_or_default()).await)
}

fn stopped(tools: &Tools) -> Failure {
    let kind = tools.shutdown.asked().1.unwrap_or(Kind::Interrupted);
    Failure::new(kind, "stopped while version 1 was put in place").left(NOTHING_LEFT)
}

/// Why version 1 is not healthy, found out as for any rollout.
async fn not_healthy(aws: &Aws, cluster: &str, service: &str) -> Failure {
    let found = diagnosis(&Ecs::new(aws.clone(), cluster, service)).await;
    let failure = Failure {
        cause: found.cause.clone(),
        hints: found.hints.clone(),
        ..Failure::new(
            Kind::RolloutFailed,
            format!("version 1 of service `{service}` did not become healthy in the sandbox"),
        )
    }
    .left(NOTHING_LEFT)
    .hint("`before-args` of `[dry-run]` in slipway.toml sets the build arguments of version 1");
    let room = failure.room_for_evidence();
    failure.evidence(found.evidence(room))
}

async fn diagnosis(ecs: &Ecs) -> Diagnosis {
    let Ok(service) = ecs.describe().await else {
        return Diagnosis::default();
    };
    let Some(first) = service.deployments.first() else {
        return Diagnosis::default();
    };
    let seen = ecs.look_closely(&mut Watched::new(&first.id)).await.seen;
    let definition = ecs.task_definition(&first.task_definition).await.ok();
    let ours = definition.as_ref().map(|definition| Revision {
        name: revision_name(&first.task_definition).to_owned(),
        shape: definition.shape(),
    });
    let comparison = Comparison { ours, previous: None };
    let secrets = definition.map(|definition| definition.secret_values());
    ecs.diagnose(Case {
        seen: &seen,
        baseline: &BTreeSet::new(),
        comparison: &comparison,
        secrets: &secrets.unwrap_or_default(),
    })
    .await
}
