//! A run against a sandbox: it starts one, fills it with version 1, and then does exactly what a real run does.
//!
//! It swaps endpoints and never branches: the stages do not know where they are. It refuses any endpoint that is not
//! on loopback, and it removes everything that it made, also after a failure, a panic or a signal. What a build writes
//! goes to a folder that ends with the run: addresses in the sandbox must not stand where a real deploy reads.

mod load;
mod pipeline;
mod seed;
mod version_one;

use crate::aws::{Aws, AwsSettings, ConnectError, StaticKeys};
use crate::clock::{Clock, Lapse, Pause, VirtualClock};
use crate::config::settings::{DefinitionsSource, Outputs, RepositoryTarget, Settings, TaskSettings};
use crate::config::written::Environment;
use crate::ecs::oneoff::group;
use crate::ecs::recorder::Recorder;
use crate::failure::{Failure, Kind};
use crate::image::endpoint::EngineEnv;
use crate::report::event::{Event, Tell};
use crate::sandbox::scenario::Scenario;
use crate::sandbox::scenario::fates::{Crash, Rule};
use crate::sandbox::server::{Options, Sandbox, StartError, Tasks};
use crate::sandbox::world::ecs::Timings;
use crate::secret::Secret;
use crate::shutdown::Shutdown;
use crate::stage::Tools;
use crate::stage::build::{self, BuildPlan, Built};
use crate::stage::deploy::{self, DeployPlan, Deployed};
use aws_sdk_ecs::error::SdkError;
use aws_sdk_ecs::operation::describe_services::DescribeServicesError;
use aws_sdk_ecs::types::Service;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which stages a dry run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRunVerb {
    /// The build stage.
    Build,
    /// The deploy stage, onto a service that runs already.
    Deploy,
    /// Both.
    Run,
    /// Both, by a worker, in a pipeline.
    Pipeline,
}

/// What a dry run was asked to do.
#[derive(Debug, Clone)]
pub struct DryRunRequest {
    /// The stages.
    pub verb: DryRunVerb,
    /// The settings, as for the real account.
    pub settings: Settings,
    /// Tasks are simulated, on a virtual clock: no Docker Engine is needed to deploy.
    pub simulated: bool,
    /// Where the journal of requests goes.
    pub journal: Option<PathBuf>,
    /// What goes wrong.
    pub scenario: Scenario,
    /// Where events go.
    pub tell: Tell,
    /// Asked at safe points; clean-up never asks.
    pub shutdown: Shutdown,
    /// Which Engine builds and runs.
    pub engine: EngineEnv,
    /// Where the variables of a pipeline's actions are taken from.
    pub environment: Environment,
    /// Keeps what the deploy sees, if that is wanted.
    pub record: Recorder,
}

/// What a dry run did.
#[derive(Debug)]
#[must_use]
pub struct DryRun {
    /// What was built, if anything.
    pub built: Option<Built>,
    /// What was deployed.
    pub deployed: Vec<Deployed>,
    /// The actions of a pipeline, each as a JSON object.
    pub actions: Vec<String>,
}

/// The region of a sandbox when nothing names one.
const REGION: &str = "eu-west-1";

/// What a dry run leaves, however it ends.
const NOTHING_LEFT: &str = "nothing: the sandbox and its containers are removed";

/// Why a dry run cannot say what a tag stands for.
const NO_TAGS: &str =
    "a dry run asks no real registry: it knows the tags of ECR in its own region, with `--simulated`";

/// How many times faster than Fargate the sandbox's ECS is with real containers: a laptop's user waits for it.
const SPEED: f64 = 10.0;

/// How many times faster time passes for a pipeline with simulated tasks.
const LAPSE: u32 = 60;

/// When a virtual clock starts: a fixed instant, so that a simulated run prints the same every time.
const VIRTUAL_START: Duration = Duration::from_secs(1_767_225_600);

/// How long the service may take to settle after the verdict, until the client stops: draining, or a rollback.
const SETTLE: Duration = Duration::from_secs(180);

/// Does a run against a sandbox of its own.
///
/// # Errors
/// The failure that the same run would have had on AWS, or why there was no sandbox.
pub async fn run(request: DryRunRequest) -> Result<DryRun, Failure> {
    let region = request
        .settings
        .region
        .clone()
        .unwrap_or_else(|| REGION.to_owned());
    let clock = match (request.simulated, request.verb) {
        // Polls go on while images are built: a clock that only they move would not wait for the Engine.
        (true, DryRunVerb::Pipeline) => Clock::Lapse(Lapse { speed: LAPSE }),
        (true, _) => Clock::Virtual(VirtualClock::starting_at(VIRTUAL_START)),
        (false, _) => Clock::System,
    };
    let mut scenario = request.scenario.clone();
    if request.simulated {
        scenario
            .fates
            .rules
            .extend(request.settings.tasks.iter().map(ends_well));
    }
    let timings = Timings::default();
    let sandbox = Sandbox::start(Options {
        port: 0,
        journal: request.journal.clone(),
        scenario,
        region: region.clone(),
        tasks: if request.simulated {
            Tasks::Simulated
        } else {
            Tasks::Docker
        },
        timings: if request.simulated {
            timings
        } else {
            timings.scaled(SPEED)
        },
        clock: clock.clone(),
        docker_host: request.engine.host.clone(),
    })
    .await
    .map_err(no_sandbox)?;
    request.tell.tell(Event::Note(format!(
        "sandbox: {} (region {region})",
        sandbox.endpoint()
    )));
    let inside = Inside {
        request: &request,
        endpoint: sandbox.endpoint(),
        region: &region,
        clock: &clock,
    };
    // The sandbox is stopped whatever happened inside, so a panic waits for the clean-up too.
    let outcome = AssertUnwindSafe(inside.run()).catch_unwind().await;
    for left in sandbox.stop().await {
        request.tell.tell(Event::Warning(left.warning()));
    }
    match outcome {
        Ok(outcome) => outcome.map_err(as_left_here),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// What becomes of a simulated one-off task of which the scenario says nothing: a simulated container would go on for
/// ever.
fn ends_well(task: &TaskSettings) -> Rule {
    Rule {
        group: Some(group(&task.name)),
        crash: Some(Crash {
            after_seconds: 5,
            exit_code: 0,
            out_of_memory: false,
        }),
        ..Rule::default()
    }
}

/// A run that was stopped speaks of an ECS that goes on without it; this one ended with the run.
fn as_left_here(failure: Failure) -> Failure {
    let failure = Failure {
        resume: Vec::new(),
        ..failure
    };
    match failure.kind {
        Kind::Interrupted | Kind::Terminated => Failure {
            hints: Vec::new(),
            ..failure.left(NOTHING_LEFT)
        },
        _ => failure,
    }
}

fn no_sandbox(error: StartError) -> Failure {
    let hint = match &error {
        StartError::Bind { .. } => "end the program that holds the port, or choose another one",
        StartError::Journal { .. } => "correct the path of `--journal`",
        StartError::Spool(_) => {
            "the folder for temporary files must be there, writable, and have space: see TMPDIR"
        }
        StartError::Runner(_) => {
            "real containers need a Docker Engine on this machine; `--simulated` does without"
        }
    };
    Failure::new(Kind::Input, "the sandbox did not start")
        .hint(hint)
        .because(error)
}

struct Inside<'a> {
    request: &'a DryRunRequest,
    endpoint: &'a str,
    region: &'a str,
    clock: &'a Clock,
}

impl Inside<'_> {
    async fn run(&self) -> Result<DryRun, Failure> {
        let tools = self.tools().await?;
        let folder = tempfile::tempdir().map_err(|error| {
            Failure::new(Kind::Input, "no folder for what the dry run writes").because(error)
        })?;
        let settings = in_sandbox(&self.request.settings, folder.path());
        match self.request.verb {
            DryRunVerb::Build => {
                let built = self.build(&tools, &settings).await?;
                Ok(DryRun {
                    built: Some(built),
                    deployed: Vec::new(),
                    actions: Vec::new(),
                })
            }
            DryRunVerb::Deploy | DryRunVerb::Run | DryRunVerb::Pipeline => self.roll(&tools, &settings).await,
        }
    }

    async fn tools(&self) -> Result<Tools, Failure> {
        refuse_unless_loopback(self.endpoint)?;
        let aws = Aws::connect(AwsSettings {
            region: Some(self.region.to_owned()),
            endpoint: Some(self.endpoint.to_owned()),
            credentials: Some(StaticKeys {
                access_key_id: Secret::new("sandbox".to_owned()),
                secret_access_key: Secret::new("sandbox".to_owned()),
                session_token: None,
            }),
        })
        .await
        .map_err(ConnectError::into_failure)?;
        Ok(Tools {
            aws: aws.into(),
            clock: self.clock.clone(),
            shutdown: self.request.shutdown.clone(),
            tell: of_passing_files(self.request.tell.clone()),
            engine: self.request.engine.clone(),
            record: self.request.record.clone(),
        })
    }

    async fn build(&self, tools: &Tools, settings: &Settings) -> Result<Built, Failure> {
        let plan = BuildPlan {
            images: settings.images.clone(),
            outputs: settings.outputs.clone(),
        };
        build::build(tools, &plan).await
    }

    /// Version 1 is put in place, then the real run rolls over it while a client sends requests.
    async fn roll(&self, tools: &Tools, settings: &Settings) -> Result<DryRun, Failure> {
        let before = version_one::put_in_place(tools, settings, self.request).await?;
        let load = before.front_port.zip(self.rate()).map(|(port, rate)| {
            tools.tell.tell(Event::Note(format!(
                "load balancer: http://127.0.0.1:{port}/ ({rate} requests/s)"
            )));
            load::Load::start(port, rate)
        });
        let outcome = match self.request.verb {
            DryRunVerb::Pipeline => pipeline::run(self, tools, settings, before.same_images)
                .await
                .map(|actions| DryRun {
                    built: None,
                    deployed: Vec::new(),
                    actions,
                }),
            DryRunVerb::Build | DryRunVerb::Deploy | DryRunVerb::Run => {
                self.build_and_deploy(tools, settings, before.same_images).await
            }
        };
        let what_for = match &outcome {
            Ok(_) => Some("the old tasks to be drained"),
            Err(failure) if failure.kind == Kind::RolledBack => Some("the rollback to end"),
            // Nothing else comes to an end by itself.
            Err(_) => None,
        };
        if let Some(what_for) = what_for.filter(|_| !tools.shutdown.is_raised()) {
            self.settle(tools, settings, what_for).await;
        }
        if let Some(load) = load {
            let tally = load.stop().await;
            let event = if tally.lost == 0 {
                Event::Note
            } else {
                Event::Warning
            };
            tools.tell.tell(event(format!("load: {tally}")));
        }
        outcome
    }

    fn rate(&self) -> Option<u32> {
        let wanted = self.request.settings.dry_run.requests_per_second.unwrap_or(50);
        // Simulated tasks listen nowhere, so there is nothing to send requests to.
        (wanted > 0 && !self.request.simulated).then_some(wanted)
    }

    async fn build_and_deploy(
        &self,
        tools: &Tools,
        settings: &Settings,
        same_images: bool,
    ) -> Result<DryRun, Failure> {
        let built = match self.request.verb {
            DryRunVerb::Run => Some(self.build(tools, settings).await?),
            DryRunVerb::Build | DryRunVerb::Deploy | DryRunVerb::Pipeline => None,
        };
        let mut deploy = settings.deploy.clone();
        deploy.force |= same_images;
        if built.is_some() {
            deploy.source = DefinitionsSource::File(settings.outputs.imagedefinitions.clone());
        }
        let plan = DeployPlan {
            deploy,
            services: settings.services.clone(),
            tasks: settings.tasks.clone(),
        };
        let deployed = deploy::deploy(tools, &plan).await;
        let deployed = deployed.map_err(|failure| match failure.kind {
            Kind::Registry => failure.hint(NO_TAGS),
            _ => failure,
        })?;
        Ok(DryRun {
            built,
            deployed,
            actions: Vec::new(),
        })
    }

    /// Waits until nothing moves any more, so that the client sees the drain, or the end of a rollback.
    async fn settle(&self, tools: &Tools, settings: &Settings, what_for: &str) {
        let cluster = cluster_of(settings);
        let started = tools.clock.now();
        let mut told = false;
        let until = tools.clock.now() + SETTLE;
        let Ok(aws) = tools.aws.get().await else { return };
        while tools.clock.now() < until {
            let Ok(services) = services_of(aws, &cluster, settings).await else {
                return;
            };
            if services.iter().all(|service| service.deployments().len() == 1) {
                return;
            }
            if !std::mem::replace(&mut told, true) {
                for service in &settings.services {
                    tools.tell.tell(Event::Waiting {
                        service: service.name.clone(),
                        elapsed: tools.clock.now().saturating_sub(started),
                        what_for: what_for.to_owned(),
                    });
                }
            }
            if tools
                .clock
                .pause(Duration::from_millis(500), &tools.shutdown)
                .await
                == Pause::Stopped
            {
                return;
            }
        }
    }
}

/// The cluster of a dry run.
fn cluster_of(settings: &Settings) -> String {
    settings
        .deploy
        .cluster
        .clone()
        .unwrap_or_else(|| "sandbox".to_owned())
}

/// Tells where files go as it is: a folder that nobody needs to look for.
fn of_passing_files(tell: Tell) -> Tell {
    Tell::new(move |event| {
        tell.tell(match event {
            Event::Wrote { what, .. } => Event::Wrote {
                what,
                place: "a folder of this dry run".to_owned(),
            },
            event => event,
        });
    })
}

/// The same outputs, in another folder and without the artifact.
fn outputs_in(folder: &Path, wanted: &Outputs) -> Outputs {
    let place = |wanted: &Option<PathBuf>, name| wanted.as_ref().map(|_| folder.join(name));
    Outputs {
        imagedefinitions: folder.join("imagedefinitions.json"),
        image_detail: place(&wanted.image_detail, "imageDetail.json"),
        metadata: place(&wanted.metadata, "metadata.json"),
        env_file: place(&wanted.env_file, "slipway.env"),
        artifact: None,
    }
}

/// How many services one DescribeServices may name.
const AT_ONCE: usize = 10;

/// Describes every service of the run.
async fn services_of(
    aws: &Aws,
    cluster: &str,
    settings: &Settings,
) -> Result<Vec<Service>, SdkError<DescribeServicesError>> {
    let mut services = Vec::new();
    for some in settings.services.chunks(AT_ONCE) {
        let names = some.iter().map(|service| service.name.to_string());
        let call = aws.ecs.describe_services().cluster(cluster);
        let answer = call.set_services(Some(names.collect())).send().await?;
        services.extend(answer.services.unwrap_or_default());
    }
    Ok(services)
}

/// The same settings with every far end in the sandbox, and outputs in `folder`: repositories keep their path, clusters
/// their name.
fn in_sandbox(settings: &Settings, folder: &Path) -> Settings {
    let mut settings = settings.clone();
    for image in &mut settings.images {
        image.create_repository = true;
        if let RepositoryTarget::Full(reference) = &image.repository {
            image.repository = RepositoryTarget::Ecr(reference.repository.clone());
        }
    }
    let cluster = cluster_of(&settings);
    let short = cluster.rsplit('/').next().unwrap_or_default().to_owned();
    settings.deploy.cluster = Some(short);
    for service in &mut settings.services {
        service.cluster = None;
    }
    settings.outputs = outputs_in(folder, &settings.outputs);
    settings
}

fn refuse_unless_loopback(endpoint: &str) -> Result<(), Failure> {
    let host = endpoint
        .strip_prefix("http://")
        .and_then(|rest| rest.split([':', '/']).next());
    match host.and_then(|host| host.parse::<std::net::IpAddr>().ok()) {
        Some(address) if address.is_loopback() => Ok(()),
        _ => Err(Failure::new(
            Kind::Bug,
            format!("a dry run must not talk to `{endpoint}`"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Kind, NOTHING_LEFT, Outputs, as_left_here, outputs_in, refuse_unless_loopback};
    use std::path::{Path, PathBuf};

    #[test]
    fn a_stopped_dry_run_leaves_no_ecs_that_goes_on() {
        let stopped = |kind| {
            Failure::new(kind, "stopped")
                .left("ECS goes on")
                .hint("run it again")
        };
        let here = as_left_here(stopped(Kind::Interrupted));
        assert_eq!((here.left.as_deref(), here.hints.len()), (Some(NOTHING_LEFT), 0));
        let failed = as_left_here(stopped(Kind::RolledBack));
        assert_eq!(
            failed.left.as_deref(),
            Some("ECS goes on"),
            "as the user would see it"
        );
    }

    #[test]
    fn what_a_dry_run_writes_goes_to_its_own_folder() {
        let users = |name: &str| Some(PathBuf::from("/home/user").join(name));
        let wanted = Outputs {
            imagedefinitions: PathBuf::from("/home/user/imagedefinitions.json"),
            image_detail: None,
            metadata: users("m"),
            env_file: users("e"),
            artifact: None,
        };
        let outputs = outputs_in(Path::new("/tmp/run"), &wanted);
        let files = outputs.files();
        assert_eq!(files.len(), 3);
        assert!(
            files.iter().all(|(_, path)| path.starts_with("/tmp/run")),
            "{files:?}"
        );
    }

    #[test]
    fn only_loopback_is_talked_to() {
        assert!(refuse_unless_loopback("http://127.0.0.1:4566").is_ok());
        for elsewhere in [
            "http://10.0.0.1:4566",
            "https://ecs.eu-west-1.amazonaws.com",
            "http://localhost:1",
            "",
        ] {
            assert!(refuse_unless_loopback(elsewhere).is_err(), "{elsewhere}");
        }
    }
}
