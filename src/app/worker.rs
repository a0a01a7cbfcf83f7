//! `slipway worker`: settings of flags and variables, and the story that runs until it is stopped.

use super::verbs::{Start, misconfigured, tools_in};
use crate::cli::WorkerArgs;
use crate::config::worker::{address, resolve};
use crate::ecs::recorder::Recorder;
use crate::failure::{Failure, Kind};
use crate::report::event::Event;
use crate::worker::listen::{ProbeError, probe};

/// Works until it is stopped, or probes another worker; nothing belongs on stdout.
pub(super) async fn run(args: WorkerArgs, start: Start) -> Result<String, Failure> {
    if let Some(text) = args.probe {
        let address = address(&text).map_err(|problem| misconfigured(vec![format!("--probe: {problem}")]))?;
        probe(address).await.map_err(sick)?;
        return Ok(String::new());
    }
    let resolved = resolve(&start.environment, &start.flags)
        .map_err(|problems| misconfigured(problems.iter().map(ToString::to_string).collect()))?;
    for warning in resolved.warnings {
        start.tell.tell(Event::Warning(warning));
    }
    let settings = resolved.settings;
    let mut tools = tools_in(&start, settings.region.clone(), Recorder::default());
    // Hundreds of deploys share the account's quotas with each other.
    tools.aws = tools.aws.paced_by(tools.clock.clone());
    Box::pin(crate::worker::run(settings, &tools)).await?;
    Ok(String::new())
}

fn sick(error: ProbeError) -> Failure {
    Failure::new(Kind::FarEnd, "the worker is not known to be alive")
        .because(error)
        .hint("is it running, with `--health-listen` and this address?")
}
