//! The build stage: images built, pushed, confirmed, and imagedefinitions.json written last.
//!
//! `check` finds what is wrong before anything is done, `destination` is where an image goes, `together` runs images
//! side by side, `push` pushes and confirms one, `write` writes the outputs, `labels` and `failures` decide words.

mod check;
mod destination;
mod failures;
mod labels;
mod push;
mod together;
mod write;

pub use crate::artifact::imagedefinitions::PushedImage;

use self::destination::Destination;
use self::together::{Ended, together};
use super::Tools;
use crate::artifact::outputs::ImageRecord;
use crate::config::settings::{ImageSettings, Outputs};
use crate::failure::Failure;
use crate::image::daemon::{BuildRequest, BuiltImage, Engine, RegistryAuth};
use crate::report::event::{Event, Phase};
use crate::shutdown::Shutdown;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How many images are built at the same time: more of them only take turns on the machine's cores.
const BUILDS_AT_ONCE: usize = 4;

/// How many images are pushed at the same time; ECR's PutImage allows ten in a second.
const PUSHES_AT_ONCE: usize = 4;

/// What to build and what to write.
#[derive(Debug, Clone)]
pub struct BuildPlan {
    /// The images, built and pushed concurrently.
    pub images: Vec<ImageSettings>,
    /// The files to write when all are pushed.
    pub outputs: Outputs,
}

/// What a build did.
#[derive(Debug)]
#[must_use]
pub struct Built {
    /// The images, in the plan's order.
    pub images: Vec<PushedImage>,
    /// The files that were written.
    pub written: Vec<PathBuf>,
}

/// An image that the Engine built, on its way to its destination.
struct Ready<'a> {
    destination: &'a Destination<'a>,
    built: BuiltImage,
    /// When its build began, since the Unix epoch.
    started: Duration,
}

/// Builds, pushes, confirms and writes.
///
/// Every image is built before any is pushed: where tags are immutable, an image that was pushed beside one that
/// failed would take the tag that the next run needs.
///
/// # Errors
/// One [`Failure`] for the first image that failed; nothing is written then.
pub async fn build(tools: &Tools, plan: &BuildPlan) -> Result<Built, Failure> {
    check::agrees(plan)?;
    write::remove_stale(&plan.outputs)?;
    check::can_begin(plan)?;
    let destinations = destination::find_all(tools, plan).await?;
    let engine = Engine::connect(&tools.engine)
        .await
        .map_err(failures::of_engine)?;
    let bases = destination::credentials(tools, &destinations).await?;
    go_on(&tools.shutdown, "nothing was built")?;
    let ready = build_all(tools, &engine, &destinations, &bases).await?;
    go_on(
        &tools.shutdown,
        "the images are built; nothing was pushed or written",
    )?;
    let records = push_all(tools, &engine, ready).await?;
    go_on(&tools.shutdown, &failures::left_pushed(&records))?;
    let written = write::outputs(tools, plan, &records).await?;
    Ok(Built {
        images: records.into_iter().map(|record| record.pushed).collect(),
        written,
    })
}

/// A safe point: leaves when a stop was asked for.
fn go_on(shutdown: &Shutdown, left: &str) -> Result<(), Failure> {
    match shutdown.asked() {
        (_, Some(signal)) => Err(failures::stopped(signal).left(left)),
        (_, None) => Ok(()),
    }
}

async fn build_all<'a>(
    tools: &Tools,
    engine: &Engine,
    destinations: &'a [Destination<'a>],
    bases: &BTreeMap<String, RegistryAuth>,
) -> Result<Vec<Ready<'a>>, Failure> {
    let build_one = async |destination: &'a Destination<'a>, shutdown: Shutdown| {
        let started = tools.clock.now();
        let image = destination.image;
        let request = BuildRequest {
            image: image.clone(),
            labels: labels::labels(image),
            names: destination.names(),
            auth: bases.clone(),
        };
        let of = || image.name.clone();
        tools.tell.tell(Event::PhaseStarted {
            phase: Phase::Build,
            of: of(),
        });
        let built = engine
            .build(&request, &tools.tell, &shutdown)
            .await
            .map_err(|error| failures::of_engine(error).left(failures::NOTHING_PUSHED))?;
        tools.tell.tell(Event::PhaseFinished {
            phase: Phase::Build,
            of: of(),
            took: tools.clock.now().saturating_sub(started),
        });
        Ok(Ready {
            destination,
            built,
            started,
        })
    };
    match together(BUILDS_AT_ONCE, &tools.shutdown, destinations, build_one).await {
        Ended::Well(ready) => Ok(ready),
        Ended::Failed { failure, .. } => Err(failure),
        Ended::Stopped { signal, .. } => Err(failures::stopped(signal).left(failures::NOTHING_PUSHED)),
    }
}

async fn push_all(
    tools: &Tools,
    engine: &Engine,
    ready: Vec<Ready<'_>>,
) -> Result<Vec<ImageRecord>, Failure> {
    let push_one = async |ready: Ready<'_>, shutdown: Shutdown| {
        let started = tools.clock.now();
        let of = || ready.destination.image.name.clone();
        tools.tell.tell(Event::PhaseStarted {
            phase: Phase::Push,
            of: of(),
        });
        let pushed = push::push_image(tools, engine, ready.destination, &ready.built, &shutdown).await?;
        let finished = tools.clock.now();
        tools.tell.tell(Event::Pushed {
            image: of(),
            reference: pushed.reference.clone(),
            tags: pushed.tags.clone(),
        });
        tools.tell.tell(Event::PhaseFinished {
            phase: Phase::Push,
            of: of(),
            took: finished.saturating_sub(started),
        });
        Ok(ImageRecord {
            pushed,
            containers: ready.destination.image.containers.clone(),
            id: ready.built.id,
            platform: ready.built.platform,
            size: ready.built.size,
            started: ready.started,
            finished,
        })
    };
    match together(PUSHES_AT_ONCE, &tools.shutdown, ready, push_one).await {
        Ended::Well(records) => Ok(records),
        Ended::Failed { failure, done } => Err(failure.left(failures::left_pushed(&done))),
        Ended::Stopped { signal, done } => Err(failures::stopped(signal).left(failures::left_pushed(&done))),
    }
}
