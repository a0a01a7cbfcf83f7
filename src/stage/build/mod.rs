//! The build stage: images built, pushed, confirmed, and imagedefinitions.json written last.
//!
//! `check` finds what is wrong before anything is done, `destination` is where an image goes, `together` runs images
//! side by side, `push` pushes and confirms one, `place` one tag of it, `earlier` knows one again that an earlier run pushed, `write` writes the outputs, `labels`, `failures` and `taken` decide words.

mod check;
mod destination;
mod earlier;
mod failures;
mod labels;
mod place;
mod push;
mod taken;
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
use futures_util::FutureExt;
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
    let unbuilt = |failure: Failure| failure.left("nothing was built");
    let destinations = destination::find_all(tools, plan).await.map_err(unbuilt)?;
    if plan.outputs.artifact.is_some() {
        tools.aws.get().await.map_err(unbuilt)?;
    }
    let engine = Engine::connect(&tools.engine)
        .await
        .map_err(failures::of_engine)
        .map_err(unbuilt)?;
    let bases = destination::credentials(tools, &destinations)
        .await
        .map_err(unbuilt)?;
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
    let job = |destination, shutdown| build_one(tools, engine, destination, bases, shutdown).boxed();
    match together(BUILDS_AT_ONCE, &tools.shutdown, destinations, job).await {
        Ended::Well(ready) => Ok(ready),
        Ended::Failed { failure, .. } => Err(failure.left(failures::NOTHING_PUSHED)),
        Ended::Stopped { signal, .. } => Err(failures::stopped(signal).left(failures::NOTHING_PUSHED)),
    }
}

async fn build_one<'a>(
    tools: &Tools,
    engine: &Engine,
    destination: &'a Destination<'a>,
    bases: &BTreeMap<String, RegistryAuth>,
    shutdown: Shutdown,
) -> Result<Ready<'a>, Failure> {
    let image = destination.image;
    let request = BuildRequest {
        image: image.clone(),
        labels: labels::labels(image),
        names: destination.names(),
        auth: bases.clone(),
    };
    let started = begin(tools, Phase::Build, image);
    let built = engine
        .build(&request, &tools.tell, &shutdown)
        .await
        .map_err(|error| failures::of_image(error, image))?;
    finish(tools, Phase::Build, image, started);
    Ok(Ready {
        destination,
        built,
        started,
    })
}

async fn push_all(
    tools: &Tools,
    engine: &Engine,
    ready: Vec<Ready<'_>>,
) -> Result<Vec<ImageRecord>, Failure> {
    let job = |ready, shutdown| push_one(tools, engine, ready, shutdown).boxed();
    match together(PUSHES_AT_ONCE, &tools.shutdown, ready, job).await {
        Ended::Well(records) => Ok(records),
        Ended::Failed { failure, done } => Err(failure.left(failures::left_pushed(&done))),
        Ended::Stopped { signal, done } => Err(failures::stopped(signal).left(failures::left_pushed(&done))),
    }
}

async fn push_one(
    tools: &Tools,
    engine: &Engine,
    ready: Ready<'_>,
    shutdown: Shutdown,
) -> Result<ImageRecord, Failure> {
    let image = ready.destination.image;
    let began = begin(tools, Phase::Push, image);
    let push::Placed { image: pushed, id } =
        push::push_image(tools, engine, ready.destination, &ready.built, &shutdown).await?;
    tools.tell.tell(Event::Pushed {
        image: image.name.clone(),
        reference: pushed.reference.clone(),
        tags: pushed.tags.clone(),
    });
    let finished = finish(tools, Phase::Push, image, began);
    Ok(ImageRecord {
        pushed,
        containers: image.containers.clone(),
        id,
        platform: ready.built.platform,
        size: ready.built.size,
        started: ready.started,
        finished,
    })
}

/// Tells that a phase begins; gives the time, since the Unix epoch.
fn begin(tools: &Tools, phase: Phase, image: &ImageSettings) -> Duration {
    let of = image.name.clone();
    tools.tell.tell(Event::PhaseStarted { phase, of });
    tools.clock.now()
}

/// Tells that a phase ended well; gives the time, since the Unix epoch.
fn finish(tools: &Tools, phase: Phase, image: &ImageSettings, began: Duration) -> Duration {
    let (now, of) = (tools.clock.now(), image.name.clone());
    let took = now.saturating_sub(began);
    tools.tell.tell(Event::PhaseFinished { phase, of, took });
    now
}

#[cfg(test)]
mod tests {
    use super::{BuildPlan, build};
    use crate::stage::Tools;

    #[test]
    fn a_build_can_run_as_a_task() {
        fn sendable<T: Send>(_: impl FnOnce(&'static Tools, &'static BuildPlan) -> T) {}
        sendable(build);
    }
}
