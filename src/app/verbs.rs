//! Runs a verb: layers to settings, settings to a plan, and the story's outcome to lines for stdout.

use super::signals::Signals;
use super::{action_type, explain, unwritten, worker};
use crate::aws::AwsOnDemand;
use crate::cli::{Cli, SandboxArgs, Stage, Typed, Verb, completions};
use crate::clock::Clock;
use crate::config::layers::{self, LayerError};
use crate::config::resolve::{Needs, resolve};
use crate::config::settings::{DefinitionsSource, Settings};
use crate::config::written::{Environment, Given};
use crate::dryrun::{self, DryRunRequest, DryRunVerb};
use crate::ecs::recorder::{RecordError, Recorder};
use crate::ecs::resume::{Resume, ResumeError};
use crate::failure::{Failure, Kind};
use crate::report::event::{Event, Tell};
use crate::report::reporter::{Reporter, write_data};
use crate::sandbox::scenario::Scenario;
use crate::sandbox::server::{Options, Sandbox, Tasks};
use crate::sandbox::world::ecs::Timings;
use crate::shutdown::{self, Shutdown, Urgency};
use crate::stage::Tools;
use crate::stage::build::{BuildPlan, Built, build};
use crate::stage::deploy::{DeployPlan, Deployed, deploy, resume};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The region of a sandbox that nobody gave one.
const SANDBOX_REGION: &str = "us-east-1";

const BUILD: Needs = Needs {
    build: true,
    deploy: false,
};
pub(super) const DEPLOY: Needs = Needs {
    build: false,
    deploy: true,
};
const BOTH: Needs = Needs {
    build: true,
    deploy: true,
};

/// What every verb of a stage starts from.
pub(super) struct Start {
    pub(super) environment: Environment,
    pub(super) flags: Vec<Given>,
    config: Option<PathBuf>,
    pub(super) tell: Tell,
    shutdown: Shutdown,
}

/// Runs the verb and returns what belongs on stdout.
pub async fn run(typed: Typed, environment: Environment, reporter: &Reporter) -> Result<String, Failure> {
    let Typed { cli, flags } = typed;
    let Cli { global, verb } = cli;
    let tell = reporter.tell();
    let signals = Signals::listen()
        .map_err(|error| Failure::new(Kind::Bug, "signals could not be listened for").because(error))?;
    let (switch, shutdown) = shutdown::switch();
    let start = Start {
        environment,
        flags,
        config: global.config,
        tell: tell.clone(),
        shutdown,
    };
    let capture = capture_of(&verb).map(Path::to_owned);
    tokio::select! {
        outcome = Box::pin(perform(verb, start, reporter)) => {
            outcome.map_err(|failure| with_capture(failure, capture.as_deref()))
        }
        abandoned = signals.raise(&switch, &tell) => Err(abandoned),
    }
}

/// The capture that a verb was told to write.
fn capture_of(verb: &Verb) -> Option<&Path> {
    match verb {
        Verb::Deploy(args) => args.record.record.as_deref(),
        Verb::Run(args) => args.record.record.as_deref(),
        Verb::DryRun(args) => args.record.record.as_deref(),
        Verb::Build(_)
        | Verb::Sandbox(_)
        | Verb::Explain(_)
        | Verb::Worker(_)
        | Verb::ActionType(_)
        | Verb::Completions(_) => None,
    }
}

/// A command with `--record` cannot be run again as it is: a capture is never written over.
fn with_capture(failure: Failure, capture: Option<&Path>) -> Failure {
    let again = |hint: &String| hint.contains("run the same command again");
    match capture {
        Some(capture) if failure.hints.iter().any(again) => failure.hint(format!(
            "name another file for `--record` then: `{}` holds what this run saw",
            capture.display()
        )),
        _ => failure,
    }
}

async fn perform(verb: Verb, start: Start, reporter: &Reporter) -> Result<String, Failure> {
    match verb {
        Verb::Build(args) => {
            let settings = settle(&start, args.path.as_deref(), BUILD)?;
            let tools = tools(&start, &settings, Recorder::default());
            Ok(image_lines([&build_stage(&tools, settings).await?]))
        }
        Verb::Deploy(args) if !args.resume.is_empty() => {
            let earlier = Resume::read(&args.resume).map_err(bad_token)?;
            let settings = resumed(
                settle(&start, args.path.as_deref(), Needs::default())?,
                &start,
                &earlier,
            )?;
            let tools = tools(
                &start,
                &settings,
                recorder(args.record.record.as_deref(), &start.tell)?,
            );
            Ok(service_lines(
                &Box::pin(resume(&tools, &settings.deploy, &earlier)).await?,
            ))
        }
        Verb::Deploy(args) => {
            let settings = settle(&start, args.path.as_deref(), DEPLOY)?;
            let tools = tools(
                &start,
                &settings,
                recorder(args.record.record.as_deref(), &start.tell)?,
            );
            Ok(service_lines(&deploy_stage(&tools, settings).await?))
        }
        Verb::Run(args) => {
            let mut settings = settle(&start, args.path.as_deref(), BOTH)?;
            // What this run builds is what it deploys, wherever other deploys read from.
            settings.deploy.source = DefinitionsSource::File(settings.outputs.imagedefinitions.clone());
            let tools = tools(
                &start,
                &settings,
                recorder(args.record.record.as_deref(), &start.tell)?,
            );
            let _built: Built = build_stage(&tools, settings.clone()).await?;
            Ok(service_lines(&deploy_stage(&tools, settings).await?))
        }
        Verb::DryRun(args) => {
            let (verb, needs) = match args.stage {
                Stage::Build => (DryRunVerb::Build, BUILD),
                Stage::Deploy => (DryRunVerb::Deploy, DEPLOY),
                Stage::Run => (DryRunVerb::Run, BOTH),
                Stage::Pipeline => (DryRunVerb::Pipeline, BOTH),
            };
            if verb == DryRunVerb::Pipeline {
                only_of_pipelines(&start)?;
            }
            let request = DryRunRequest {
                verb,
                settings: settle(&start, args.path.as_deref(), needs)?,
                simulated: args.simulated,
                journal: args.journal,
                scenario: scenario(args.scenario.as_deref())?,
                record: recorder(args.record.record.as_deref(), &start.tell)?,
                engine: layers::engine(&start.environment),
                environment: start.environment,
                tell: start.tell,
                shutdown: start.shutdown,
            };
            let done = Box::pin(dryrun::run(request)).await?;
            Ok(if !done.actions.is_empty() {
                lines(done.actions)
            } else if done.deployed.is_empty() {
                image_lines(done.built.as_ref())
            } else {
                service_lines(&done.deployed)
            })
        }
        Verb::Sandbox(args) => sandbox(args, start).await,
        Verb::Explain(args) => Box::pin(explain::run(args, start, reporter)).await,
        Verb::Worker(args) => Box::pin(worker::run(args, start)).await,
        Verb::ActionType(args) => Box::pin(action_type::run(args, &start)).await,
        Verb::Completions(args) => Ok(String::from_utf8_lossy(&completions(args.shell)).into_owned()),
    }
}

/// Flags that a pipeline's dry run takes as well.
const OF_PIPELINES: [&str; 2] = ["--region", "--requests-per-second"];

/// A pipeline's actions read slipway.toml: what a flag says would be true of version 1 only.
fn only_of_pipelines(start: &Start) -> Result<(), Failure> {
    let flag = start
        .flags
        .iter()
        .find(|given| !OF_PIPELINES.contains(&given.flag));
    match flag {
        None => Ok(()),
        Some(given) => Err(Failure::new(
            Kind::Usage,
            format!("`{}` has no place in a pipeline", given.flag),
        )
        .left("nothing was done")
        .hint("write it in slipway.toml, which is all that an action reads")),
    }
}

/// Reads the layers and makes settings of them.
pub(super) fn settle(start: &Start, path: Option<&Path>, needs: Needs) -> Result<Settings, Failure> {
    let layers = layers::read(
        path,
        start.config.as_deref(),
        start.environment.clone(),
        start.flags.clone(),
    )
    .map_err(unreadable)?;
    match resolve(&layers, needs, &layers::read_file) {
        Ok(resolved) => {
            for warning in resolved.warnings {
                start.tell.tell(Event::Warning(warning));
            }
            Ok(resolved.settings)
        }
        Err(problems) => Err(misconfigured(problems.iter().map(ToString::to_string).collect())),
    }
}

/// The settings of a run that takes up an earlier one: the region is the token's, and the timeout too unless one is
/// typed.
fn resumed(settings: Settings, start: &Start, earlier: &Resume) -> Result<Settings, Failure> {
    let typed = |flag: &str| start.flags.iter().any(|given| given.flag == flag);
    let mut settings = settings;
    if let Some(region) = settings
        .region
        .as_ref()
        .filter(|region| **region != earlier.region)
        && typed("--region")
    {
        let what = format!(
            "the token is of the region {}, and `--region` says {region}",
            earlier.region
        );
        return Err(Failure::new(Kind::Usage, what).left("nothing was done"));
    }
    settings.region = Some(earlier.region.clone());
    if !typed("--timeout") {
        settings.deploy.timeout = Duration::from_secs(earlier.wishes.timeout);
    }
    Ok(settings)
}

fn bad_token(error: ResumeError) -> Failure {
    let hint = match &error {
        ResumeError::Foreign | ResumeError::Damaged => {
            "copy the whole token, from `sw1.` to its end, as the failure printed it"
        }
        ResumeError::OtherVersion(_) => "resume with the slipway that printed it",
        ResumeError::DifferentRuns => "resume each run by itself",
    };
    Failure::new(Kind::Usage, "the run cannot be resumed")
        .because(error)
        .hint(hint)
        .left("nothing was done")
}

fn unreadable(error: LayerError) -> Failure {
    let hint = match &error {
        LayerError::FindFolder { .. } => "PATH is the folder of slipway.toml, or of the Dockerfile",
        LayerError::ReadFile { .. } => "`--config` and SLIPWAY_CONFIG name a configuration file",
    };
    Failure::new(Kind::Usage, "the configuration could not be read")
        .because(error)
        .hint(hint)
}

/// The failure of a configuration with problems, each with its place.
pub fn misconfigured(problems: Vec<String>) -> Failure {
    Failure::misconfigured("the configuration", problems)
}

/// AWS in a region, or in the one that the SDK finds.
pub(super) fn aws(start: &Start, region: Option<String>) -> AwsOnDemand {
    let tell = start.tell.clone();
    AwsOnDemand::new(layers::aws(region)).telling(move |silence| tell.tell(Event::Note(silence.to_string())))
}

pub(super) fn tools(start: &Start, settings: &Settings, record: Recorder) -> Tools {
    tools_in(start, settings.region.clone(), record)
}

/// The tools of a story whose AWS is in a region, or in the one that the SDK finds.
pub(super) fn tools_in(start: &Start, region: Option<String>, record: Recorder) -> Tools {
    Tools {
        aws: aws(start, region),
        clock: Clock::System,
        shutdown: start.shutdown.clone(),
        tell: start.tell.clone(),
        engine: layers::engine(&start.environment),
        record,
    }
}

/// The recorder of a capture, if one is wanted; it is created before anything is done.
pub(super) fn recorder(path: Option<&Path>, tell: &Tell) -> Result<Recorder, Failure> {
    let Some(path) = path else {
        return Ok(Recorder::default());
    };
    Recorder::create(path, tell.clone()).map_err(|error| {
        let hint = match &error {
            RecordError::Exists { .. } => {
                "name another file, or remove this one: it may hold the failure that somebody wants to understand"
            }
            RecordError::Write { .. } => "correct the path of `--record`",
        };
        Failure::new(Kind::Usage, "the capture cannot be begun")
            .because(error)
            .left("nothing was done")
            .hint(hint)
    })
}

async fn build_stage(tools: &Tools, settings: Settings) -> Result<Built, Failure> {
    let plan = BuildPlan {
        images: settings.images,
        outputs: settings.outputs,
    };
    Box::pin(build(tools, &plan)).await
}

async fn deploy_stage(tools: &Tools, settings: Settings) -> Result<Vec<Deployed>, Failure> {
    let plan = DeployPlan {
        deploy: settings.deploy,
        services: settings.services,
        tasks: settings.tasks,
    };
    Box::pin(deploy(tools, &plan)).await
}

/// One `registry/repository@digest` per line.
fn image_lines<'a>(built: impl IntoIterator<Item = &'a Built>) -> String {
    let images = built.into_iter().flat_map(|built| &built.images);
    lines(images.map(|image| image.reference.to_string()))
}

/// One JSON object per line.
fn service_lines(deployed: &[Deployed]) -> String {
    lines(deployed.iter().map(|it| {
        let service = it.service.as_str();
        json!({ "service": service, "revision": it.revision, "deployment": it.deployment, "images": it.images })
            .to_string()
    }))
}

fn lines(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| line + "\n").collect()
}

/// Serves the sandbox until a signal comes; that is its proper end.
async fn sandbox(args: SandboxArgs, start: Start) -> Result<String, Failure> {
    let region = named_region(&start).unwrap_or_else(|| SANDBOX_REGION.to_owned());
    let timings = Timings::default();
    let options = Options {
        port: args.port,
        journal: args.journal,
        scenario: scenario(args.scenario.as_deref())?,
        region: region.clone(),
        tasks: if args.simulated {
            Tasks::Simulated
        } else {
            Tasks::Docker
        },
        timings: if args.speed == 1.0 {
            timings
        } else {
            timings.scaled(args.speed)
        },
        clock: Clock::System,
        docker_host: layers::engine(&start.environment).host,
    };
    let sandbox = Box::pin(Sandbox::start(options))
        .await
        .map_err(|error| Failure::new(Kind::FarEnd, "the sandbox did not start").because(error))?;
    let endpoint = sandbox.endpoint().to_owned();
    let written = write_data(&format!("{endpoint}\n"));
    if written.is_ok() {
        start.tell.tell(Event::Note(format!(
            "the sandbox serves the region {region} at {endpoint}; a signal stops it"
        )));
        start.shutdown.reached(Urgency::WindDown).await;
    }
    for left in Box::pin(sandbox.stop()).await {
        start.tell.tell(Event::Warning(left.warning()));
    }
    written.map_err(|error| unwritten(error, "the sandbox was stopped again"))?;
    Ok(String::new())
}

/// The region that a flag or a variable names, AWS's own variables among them, for what asks AWS nothing.
pub(super) fn named_region(start: &Start) -> Option<String> {
    let named = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let of_aws = || named.into_iter().find_map(|name| start.environment.value(name));
    own_region(start).or_else(|| of_aws().map(str::to_owned))
}

/// The region that slipway's own layers name, for what asks AWS: the rest is the SDK's to read.
pub(super) fn own_region(start: &Start) -> Option<String> {
    let typed = start.flags.iter().find(|given| given.flag == "--region");
    let from_environment = || start.environment.value("SLIPWAY_REGION").map(str::to_owned);
    typed
        .and_then(|given| given.values.last().cloned())
        .or_else(from_environment)
}

/// Reads a scenario file; nothing goes wrong without one.
///
/// # Errors
/// A file that cannot be read, or says something that no scenario can.
pub fn scenario(path: Option<&Path>) -> Result<Scenario, Failure> {
    let Some(path) = path else {
        return Ok(Scenario::default());
    };
    let place = || path.display().to_string();
    let bytes = layers::read_file(path).map_err(|error| {
        Failure::new(Kind::Usage, "the scenario could not be read")
            .because(error)
            .place(place())
    })?;
    Scenario::parse(&String::from_utf8_lossy(&bytes)).map_err(|error| {
        Failure::new(Kind::Usage, "the scenario is wrong")
            .because(error)
            .place(place())
    })
}

#[cfg(test)]
mod tests {
    use super::{Built, Deployed, image_lines, misconfigured, service_lines};
    use crate::name::Digest;
    use crate::stage::build::PushedImage;

    #[test]
    fn a_build_prints_references_and_a_deploy_json() {
        let digest = Digest::of(b"");
        let reference = format!("localhost:5000/web@{digest}");
        let built = Built {
            images: vec![PushedImage::confirmed(
                "web",
                &"localhost:5000/web".parse().unwrap(),
                digest,
                &["1".parse().unwrap()],
            )],
            written: Vec::new(),
        };
        assert_eq!(image_lines([&built]), format!("{reference}\n"));
        let deployed = Deployed {
            service: "shop".parse().unwrap(),
            revision: "shop:2".to_owned(),
            deployment: None,
            images: vec!["web@x".to_owned()],
        };
        assert_eq!(
            service_lines(&[deployed]),
            "{\"service\":\"shop\",\"revision\":\"shop:2\",\"deployment\":null,\"images\":[\"web@x\"]}\n"
        );
    }

    #[test]
    fn one_problem_is_the_cause_and_several_are_a_list() {
        let one = misconfigured(vec!["a".to_owned()]);
        assert_eq!((one.cause.as_deref(), one.evidence.len()), (Some("a"), 0));
        let two = misconfigured(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!((two.cause, two.evidence.len()), (None, 2));
    }
}
