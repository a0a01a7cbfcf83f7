//! A whole pipeline on this machine: the folder is the source, a worker builds and deploys it, and every stage is told.

mod declare;
mod source;
mod view;

use super::Inside;
use crate::aws::Aws;
use crate::clock::{Clock, Pause};
use crate::config::checkout;
use crate::config::settings::Settings;
use crate::config::worker::{ArtifactCredentials, LostBuilds, OnAbandon, WorkerSettings};
use crate::config::written::Environment;
use crate::failure::{Failure, Kind};
use crate::pipeline::action_type::properties;
use crate::pipeline::pace::Limits;
use crate::report::event::{Event, Tell};
use crate::shutdown::{self, Urgency};
use crate::stage::Tools;
use crate::worker;
use declare::DeclareError;
use serde_json::json;
use source::Source;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use view::Row;

/// How often the pipeline is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);

/// Runs the pipeline to its end, and gives a line of data for each of its actions.
pub(super) async fn run(
    inside: &Inside<'_>,
    tools: &Tools,
    settings: &Settings,
    force: bool,
) -> Result<Vec<String>, Failure> {
    let folder = &inside.request.settings.folder;
    let aws = tools.aws.get().await?;
    let source = source::collect(folder, settings, force)?;
    let name = name_of(settings);
    let configuration = configuration(inside, &source)?;
    let bytes = declare::put_source(aws, source.entries)
        .await
        .map_err(undeclared)?;
    tools.tell.tell(Event::Note(format!(
        "source: {} packed, {} bytes",
        folder.display(),
        bytes
    )));
    declare::register(aws).await.map_err(undeclared)?;
    declare::create(aws, &name, &configuration)
        .await
        .map_err(undeclared)?;
    let execution = declare::started(aws, &name).await.map_err(undeclared)?;
    tools
        .tell
        .tell(Event::Note(format!("pipeline {name}: execution {execution}")));
    let (stop, stopped) = shutdown::switch();
    let failed: Arc<Mutex<Option<Arc<Failure>>>> = Arc::default();
    let workers = Tools {
        shutdown: stopped,
        tell: remembering(tools.tell.clone(), Arc::clone(&failed)),
        ..tools.clone()
    };
    let state = tempfile::tempdir().map_err(|error| {
        Failure::new(Kind::Input, "no folder for the worker of the dry run").because(error)
    })?;
    let settings = worker_settings(state.path(), &tools.clock);
    let work = worker::run(settings, &workers);
    let watch = async {
        let rows = tokio::select! {
            rows = watched(tools, aws, &name) => Some(rows),
            kind = tools.shutdown.reached(Urgency::WindDown) => {
                stop.raise(kind);
                let kind = tools.shutdown.reached(Urgency::Now).await;
                stop.raise(kind);
                None
            }
        };
        stop.raise(Kind::Terminated);
        rows
    };
    let (worked, rows) = {
        let mut work = Box::pin(work);
        let mut watch = Box::pin(watch);
        tokio::select! {
            worked = &mut work => (worked, None),
            rows = &mut watch => (work.await, rows),
        }
    };
    worked?;
    let Some(rows) = rows else {
        let kind = tools.shutdown.asked().1.unwrap_or(Kind::Terminated);
        return Err(Failure::new(
            kind,
            format!("stopped before pipeline {name} was done"),
        ));
    };
    for row in &rows {
        tools.tell.tell(Event::Note(row.line()));
    }
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    match rows.iter().find(|row| row.status.as_deref() != Some("Succeeded")) {
        None => Ok(rows.iter().map(Row::json).collect()),
        Some(row) => Err(of_stage(row, failed.as_deref())),
    }
}

/// Looks until the pipeline is over, and tells what changes.
async fn watched(tools: &Tools, aws: &Aws, name: &str) -> Vec<Row> {
    let mut told: BTreeMap<String, Option<String>> = BTreeMap::new();
    loop {
        let rows = view::look(aws, name).await.unwrap_or_default();
        for row in &rows {
            let before = told.insert(row.action.clone(), row.status.clone());
            if before.flatten() != row.status {
                let status = row.status.as_deref().unwrap_or_default();
                tools
                    .tell
                    .tell(Event::Note(format!("stage {}: {status}", row.stage)));
            }
        }
        if view::is_over(&rows) {
            return rows;
        }
        // A stop ends the story that this is a part of.
        if tools.clock.pause(BETWEEN_LOOKS, &tools.shutdown).await == Pause::Stopped {
            std::future::pending::<()>().await;
        }
    }
}

/// Keeps the failure of a job, which decides how the run ends.
fn remembering(tell: Tell, failed: Arc<Mutex<Option<Arc<Failure>>>>) -> Tell {
    Tell::new(move |event| {
        if let Event::OfJob { event, .. } = &event
            && let Event::JobFailed(failure) = event.as_ref()
        {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(failure));
        }
        tell.tell(event);
    })
}

/// The failure that the pipeline ended with: the job's own, told in full already.
fn of_stage(row: &Row, failed: Option<&Failure>) -> Failure {
    let status = row.status.as_deref().unwrap_or("not begun");
    let what = format!("stage {} of the pipeline: {status}", row.stage);
    let Some(failed) = failed else {
        let failure = Failure::new(Kind::Unclear, what);
        return match &row.error {
            Some(error) => failure.cause(error),
            None => failure,
        };
    };
    let failure = Failure::new(failed.kind, what);
    let cause = failed
        .root_cause()
        .map(|cause| format!("{}: {cause}", failed.what));
    Failure {
        cause: cause.or_else(|| Some(failed.what.clone())),
        place: failed.place.clone(),
        left: failed.left.clone(),
        hints: failed.hints.clone(),
        ..failure
    }
}

/// A pipeline's name: that of the first service.
fn name_of(settings: &Settings) -> String {
    let service = settings.services.first();
    let name = service.map_or("slipway", |service| service.name.as_str());
    name.chars().take(100).collect()
}

/// What both actions are told besides their fleet: the checkout, and the variables that slipway.toml names.
fn configuration(inside: &Inside<'_>, source: &Source) -> Result<BTreeMap<&'static str, String>, Failure> {
    let environment = &inside.request.environment;
    let checkout = checkout::read(&inside.request.settings.folder);
    let mut configuration = BTreeMap::new();
    configuration.extend(checkout.commit.map(|commit| (properties::COMMIT, commit)));
    configuration.extend(checkout.branch.map(|branch| (properties::BRANCH, branch)));
    for (property, names) in [
        (properties::VARIABLES, &source.variables),
        (properties::SECRETS, &source.secrets),
    ] {
        let values = values(environment, names);
        if !values.is_empty() {
            configuration.insert(property, json!(values).to_string());
        }
    }
    let most = configuration.values().map(String::len).max().unwrap_or_default();
    if most > 1000 {
        return Err(Failure::new(
            Kind::Usage,
            "the variables that slipway.toml names are too long for an action's configuration",
        )
        .cause(format!(
            "a value of an action's configuration has 1000 characters at most, not {most}"
        ))
        .left("nothing was done"));
    }
    Ok(configuration)
}

fn values(environment: &Environment, names: &BTreeSet<String>) -> BTreeMap<String, String> {
    names
        .iter()
        .filter_map(|name| Some((name.clone(), environment.value(name)?.to_owned())))
        .collect()
}

/// A worker for an impatient user: what takes a minute with AWS takes seconds in a sandbox.
fn worker_settings(folder: &std::path::Path, clock: &Clock) -> WorkerSettings {
    let (stretch, idle) = match clock {
        Clock::System => (Duration::from_secs(10), Duration::from_secs(1)),
        Clock::Lapse(_) | Clock::Virtual(_) => (Duration::from_secs(60), Duration::from_secs(5)),
    };
    WorkerSettings {
        region: None,
        action_types: declare::types(),
        fleets: vec![declare::FLEET.to_owned()],
        deploys: 2,
        builds: 1,
        state_dir: folder.join("state"),
        work_dir: folder.join("work"),
        artifact_credentials: ArtifactCredentials::Job,
        stretch,
        grace: Duration::from_secs(10),
        build_timeout: Duration::from_secs(3600),
        on_abandon: OnAbandon::Leave,
        lost_builds: LostBuilds::Fail,
        pace: Limits { busy: idle / 2, idle },
        health: None,
        wake_queue: None,
    }
}

fn undeclared(error: DeclareError) -> Failure {
    Failure::new(Kind::Refused, "the sandbox's pipeline could not be made").because(error)
}
