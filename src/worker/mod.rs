//! The worker: polls for jobs of custom actions, does the stage of each, and reports its result.
//!
//! `polls` look for jobs, `heal` takes over those of dead workers, `job` claims one and closes it, `build` and `deploy`
//! do its stage, `abandon` asks after executions that somebody gave up. `crew` is what they share.

mod abandon;
mod build;
mod confine;
mod crew;
mod deploy;
mod fetch;
mod handed;
mod heal;
pub mod health;
mod hide;
mod home;
mod inputs;
mod job;
pub mod listen;
mod looks;
pub mod metrics;
mod polls;
mod properties;
mod slots;
mod workspace;

use crate::config::worker::WorkerSettings;
use crate::failure::{Failure, Kind};
use crate::pipeline::claim::{Desk, Patience, Reporters};
use crate::pipeline::client::Pipeline;
use crate::pipeline::job::{ActionTypeId, Category};
use crate::pipeline::journal::{JournalError, State};
use crate::pipeline::wake::WakeQueue;
use crate::report::event::Event;
use crate::shutdown::{Shutdown, Urgency};
use crate::stage::Tools;
use crew::{Crew, LAST_WORDS, Stops};
use handed::Handed;
use handed::shelf::Shelf;
use health::Health;
use home::Home;
use listen::{ListenError, Listening, listen};
use looks::Looks;
use metrics::Metrics;
use polls::Work;
use slots::Slots;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use workspace::{Workspace, WorkspaceError};

/// How often the worker says that it goes on.
const BETWEEN_BEATS: Duration = Duration::from_secs(10);

/// Works until a stop is asked for, and until every job that it holds is closed or handed back.
///
/// # Errors
/// What keeps it from beginning: folders, region or credentials. A job that fails is told, and ends nothing.
pub async fn run(settings: WorkerSettings, tools: &Tools) -> Result<(), Failure> {
    let state = State::open(&settings.state_dir, tools.tell.clone()).map_err(no_state)?;
    let workspace = Workspace::open(&settings.work_dir).map_err(no_workspace)?;
    let metrics = Metrics::with_slots(&[
        (Category::Build, settings.builds),
        (Category::Deploy, settings.deploys),
    ]);
    let counted = metrics.clone();
    let tools = &Tools {
        aws: tools
            .aws
            .clone()
            .counting(move |service| counted.throttled(service)),
        ..tools.clone()
    };
    let aws = tools.aws.get().await?;
    let pipeline = Pipeline::new(aws, tools.tell.clone());
    let reporters = Reporters::new(tokio::runtime::Handle::current());
    let desk = Desk {
        client: pipeline.clone(),
        clock: tools.clock.clone(),
        state,
        reporters: reporters.clone(),
        shutdown: tools.shutdown.clone(),
        tell: tools.tell.clone(),
        patience: Patience::default(),
    };
    let health = Health::of(&settings.action_types);
    let _listening = served(&settings, tools, &health, &metrics).await?;
    let rim = (tools.clock.clone(), tools.shutdown.clone(), tools.tell.clone());
    let crew = Arc::new(Crew {
        slots: Slots::new(settings.builds, settings.deploys),
        handed: Handed::of(settings.on_abandon),
        shelf: Shelf::of(settings.on_abandon, &settings.state_dir, aws.region(), rim),
        tools: tools.clone(),
        pipeline,
        desk,
        workspace,
        metrics,
        health,
        home: Home::in_region(aws.region()),
        looks: Looks::new(),
        done: watch::Sender::new(0),
        stops: Stops::new(),
        settings,
    });
    let worked = work(&crew).await;
    reporters.finish().await;
    let left = crew.desk.state.left();
    let last = last_words(left);
    worked.map_err(|Crashed| {
        Failure::new(
            Kind::Bug,
            "slipway stopped on a bug of its own while it looked for jobs",
        )
        .left(last.clone())
        .hint("start the worker again, and please report it with the worker's log")
    })?;
    tools.tell.tell(match left {
        0 => Event::Note(last),
        _ => Event::Warning(last),
    });
    Ok(())
}

/// A part of the worker that looks for jobs has panicked.
#[derive(Debug)]
struct Crashed;

/// How a worker ends whose journal still has so many jobs.
fn last_words(left: usize) -> String {
    match left {
        0 => "every job is closed or handed back".to_owned(),
        1 => "one job is left in the state directory: the next worker with it closes the job".to_owned(),
        many => format!("{many} jobs are left in the state directory: the next worker with it closes them"),
    }
}

/// Serves health and metrics, if that is wanted.
async fn served(
    settings: &WorkerSettings,
    tools: &Tools,
    health: &Health,
    metrics: &Metrics,
) -> Result<Option<Listening>, Failure> {
    let Some(address) = settings.health else {
        return Ok(None);
    };
    let clock = tools.clock.clone();
    let listening = listen(address, health.clone(), metrics.clone(), clock)
        .await
        .map_err(unheard)?;
    let text = format!("health and metrics: http://{}/", listening.address());
    tools.tell.tell(Event::Note(text));
    Ok(Some(listening))
}

/// Runs the polls and the jobs side by side, and ends when the last job has ended.
async fn work(crew: &Arc<Crew>) -> Result<(), Crashed> {
    let (jobs, taken) = mpsc::unbounded_channel();
    let mut looks = JoinSet::new();
    let mut wakes = BTreeMap::new();
    for action_type in &crew.settings.action_types {
        let wake = Arc::new(Notify::new());
        wakes.insert(action_type.clone(), Arc::clone(&wake));
        looks.spawn(polls::poll(
            Arc::clone(crew),
            action_type.clone(),
            wake,
            jobs.clone(),
        ));
    }
    looks.spawn(listen_for_work(Arc::clone(crew), wakes));
    looks.spawn(heal::heal(Arc::clone(crew), jobs));
    let conductor = {
        let crew = Arc::clone(crew);
        tokio::spawn(async move {
            let grace = crew.settings.grace;
            crew.stops
                .conduct(crew.clock(), &crew.tools.shutdown, grace)
                .await;
        })
    };
    let mut asker = {
        let crew = Arc::clone(crew);
        tokio::spawn(async move { abandon::ask_after(&crew).await })
    };
    let mut beat = Box::pin(beat(crew));
    let crashed = || {
        crew.warn(
            "slipway stopped on a bug of its own while it looked for jobs: it looks for no more, hands deploys back, lets builds \
             end, and ends",
        );
        crew.health.drain();
        crew.metrics.drain();
        crew.stops.hand_back(Kind::Terminated);
    };
    let worked = tokio::select! {
        worked = until_all_ended(looks, taken, crashed) => worked,
        () = &mut beat => Ok(()),
    };
    let mut cut = Box::pin(cut(crew));
    loop {
        tokio::select! {
            // What is being called off now is called off to its end.
            _ = &mut asker => break,
            () = &mut cut => break asker.abort(),
            () = &mut beat => {}
        }
    }
    conductor.abort();
    worked
}

/// Runs the work that is found, until nobody looks for any more and all of it has ended. When a look crashes the others end,
/// too: a worker that serves some of its types only would look as if it served all of them.
async fn until_all_ended(
    mut looks: JoinSet<()>,
    mut taken: UnboundedReceiver<Work>,
    crashed: impl Fn(),
) -> Result<(), Crashed> {
    let mut running = JoinSet::new();
    let mut worked = Ok(());
    let mut ended = |look: Result<(), JoinError>| {
        let is_first = worked.is_ok() && look.is_err_and(|error| error.is_panic());
        if is_first {
            worked = Err(Crashed);
            crashed();
        }
        is_first
    };
    loop {
        tokio::select! {
            Some(look) = looks.join_next() => if ended(look) {
                looks.abort_all();
            },
            work = taken.recv() => match work {
                Some(work) => drop(running.spawn(work)),
                // Nobody looks for jobs any more.
                None => break,
            },
            Some(_) = running.join_next() => {}
        }
    }
    // One that crashed may have let go of its sender before it is known to have crashed.
    looks.abort_all();
    while let Some(look) = looks.join_next().await {
        ended(look);
    }
    while running.join_next().await.is_some() {}
    worked
}

/// Ends when the worker was told to end at once and has had its time for last words.
async fn cut(crew: &Crew) {
    crew.tools.shutdown.reached(Urgency::Now).await;
    let end = crew.clock().now() + LAST_WORDS;
    crew.clock().reaches(end).await;
}

/// Wakes the polls of a type when a queue says that there is work for it, if there is such a queue.
async fn listen_for_work(crew: Arc<Crew>, wakes: BTreeMap<ActionTypeId, Arc<Notify>>) {
    let Some(url) = &crew.settings.wake_queue else {
        return;
    };
    let Ok(aws) = crew.tools.aws.get().await else {
        return;
    };
    let queue = WakeQueue::new(aws, url, &crew.settings.action_types);
    let wake = |id: &ActionTypeId| {
        crew.metrics.woken();
        if let Some(wake) = wakes.get(id) {
            wake.notify_one();
        }
    };
    let (shutdown, tell) = (&crew.tools.shutdown, &crew.tools.tell);
    queue
        .listen(crew.clock(), shutdown, tell, crew.slots.open(), wake)
        .await;
}

/// Says that the worker goes on, for as long as somebody polls it, and when it begins to stop.
async fn beat(crew: &Crew) {
    let never = Shutdown::never();
    loop {
        let now = crew.clock().now();
        crew.health.beat(now);
        if crew.tools.shutdown.is_raised() {
            crew.health.drain();
            crew.metrics.drain();
        }
        tokio::select! {
            _ = crew.clock().pause(BETWEEN_BEATS, &never) => {}
            _ = crew.tools.shutdown.reached(Urgency::WindDown), if !crew.tools.shutdown.is_raised() => {}
        }
    }
}

fn unheard(error: ListenError) -> Failure {
    Failure::new(Kind::Usage, "health and metrics cannot be served")
        .because(error)
        .left("nothing was done: no job was taken")
        .hint("choose another address for `--health-listen`, or end what listens there")
}

fn no_state(error: JournalError) -> Failure {
    Failure::new(Kind::Usage, "the worker's state cannot be kept")
        .because(error)
        .left("nothing was done: no job was taken")
        .hint("`--state-dir` must be a folder that is writable and survives a restart of the worker: without it a job that it held when it died would hang for 24 hours")
}

fn no_workspace(error: WorkspaceError) -> Failure {
    Failure::new(Kind::Usage, "the worker has no place for artifacts")
        .because(error)
        .left("nothing was done: no job was taken")
        .hint("`--work-dir` must be a folder that is writable and has space")
}

#[cfg(test)]
mod tests {
    use super::{Crashed, Work, until_all_ended};
    use std::cell::Cell;
    use tokio::sync::{mpsc, oneshot};
    use tokio::task::JoinSet;

    #[tokio::test]
    async fn a_look_that_crashes_ends_the_others_and_what_was_found_is_done() {
        for crashes in [false, true] {
            let (jobs, taken) = mpsc::unbounded_channel::<Work>();
            let (go_on, done) = (oneshot::channel::<()>(), oneshot::channel::<()>());
            let mut looks = JoinSet::new();
            // One ends by itself, as that of a queue that is not there.
            looks.spawn(async {});
            let others = jobs.clone();
            looks.spawn(async move {
                if crashes {
                    let _jobs = others;
                    std::future::pending::<()>().await;
                }
            });
            looks.spawn(async move {
                let work: Work = Box::pin(async move {
                    go_on.1.await.unwrap();
                    done.0.send(()).unwrap();
                });
                jobs.send(work).unwrap();
                assert!(!crashes, "a bug");
            });
            let crash = Cell::new(0);
            let ended = until_all_ended(looks, taken, || crash.set(crash.get() + 1));
            let (ended, ()) = tokio::join!(ended, async {
                tokio::task::yield_now().await;
                go_on.0.send(()).unwrap();
            });
            assert_eq!(matches!(ended, Err(Crashed)), crashes);
            assert_eq!(crash.get(), u32::from(crashes));
            done.1.await.unwrap();
        }
    }
}
