//! The roll of all services of a run: each is begun, watched with the others, and closed by itself.
//!
//! Three stories run side by side and hand services on: one begins them, one watches all that were begun, and one closes
//! each that left the watch, so that neither a slow registration nor a rollback holds up the others' verdicts.

use super::begin::{self, Beginning, Unbegun};
use super::close::close;
use super::outcome::{Outcome, sum_up};
use super::prepare::{Prepared, whose};
use super::record;
use super::resume;
use super::stretch::{Progress, Stretch, Terms};
use super::watch::{Ended, Joined, Watch, watch};
use crate::config::settings::{DeploySettings, OnFailure};
use crate::ecs::resume::UnderWay;
use crate::ecs::rollout::Ours;
use crate::failure::{Failure, Kind};
use crate::name::ServiceName;
use crate::report::event::{Event, Phase};
use crate::stage::Tools;
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// What a token leaves out where one failure takes all back.
const SETTLED: &str =
    "services that were proven are settled: a resumed run that fails takes back those that it watches";

/// What the stories of a run share.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) tools: &'a Tools,
    pub(super) deploy: &'a DeploySettings,
    /// What an earlier run began, by the places of the services; none if this run begins them.
    earlier: &'a [UnderWay],
    /// How many services the run has.
    pub(super) services: usize,
    /// The revision that is registered for a service already, by its place.
    registered: &'a [Option<String>],
    pub(super) terms: Terms,
    /// No further service is begun.
    halted: AtomicBool,
    losses: AtomicUsize,
}

impl<'a> Run<'a> {
    pub(super) fn new(tools: &'a Tools, deploy: &'a DeploySettings, prepared: &[Prepared]) -> Self {
        Self {
            tools,
            deploy,
            earlier: &[],
            services: prepared.len(),
            registered: &[],
            terms: Terms::default(),
            halted: AtomicBool::new(false),
            losses: AtomicUsize::new(0),
        }
    }

    /// Lets no further service begin.
    pub(super) fn halt(&self) {
        self.halted.store(true, Ordering::Relaxed);
    }

    /// Whether a service that was not begun must stay as it is.
    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// The number of the next loss: the first is the one that the run is told to have failed by.
    pub(super) fn next_loss(&self) -> usize {
        self.losses.fetch_add(1, Ordering::Relaxed)
    }
}

/// Rolls every service, and sums up what became of them.
pub(super) async fn roll(
    tools: &Tools,
    deploy: &DeploySettings,
    prepared: &[Prepared],
    registered: &[Option<String>],
    terms: Terms,
) -> Result<Stretch, Failure> {
    let run = Run::new(tools, deploy, prepared);
    let run = Run {
        registered,
        terms,
        ..run
    };
    roll_or_watch(run, prepared, Vec::new()).await
}

/// The same for services that an earlier run began: they are watched, and not changed but to undo what failed.
pub(super) async fn take_up(
    tools: &Tools,
    deploy: &DeploySettings,
    prepared: &[Prepared],
    earlier: &[UnderWay],
    lost: Vec<(ServiceName, Outcome)>,
    terms: Terms,
) -> Result<Stretch, Failure> {
    let run = Run::new(tools, deploy, prepared);
    let run = Run {
        services: prepared.len() + lost.len(),
        losses: AtomicUsize::new(prepared.len() + lost.len()),
        earlier,
        terms,
        ..run
    };
    roll_or_watch(run, prepared, lost).await
}

/// Rolls or watches; `lost` are services that cannot even be watched.
async fn roll_or_watch(
    run: Run<'_>,
    prepared: &[Prepared],
    lost: Vec<(ServiceName, Outcome)>,
) -> Result<Stretch, Failure> {
    let deploy = run.deploy;
    let home = run.tools.aws.get().await?.region().to_owned();
    let (join, joining) = mpsc::unbounded_channel();
    if !lost.is_empty() {
        // The watch goes on as long as a service may join.
        let _ = join.send(Joined::Failed { certain: false });
    }
    let (end, ending) = mpsc::unbounded_channel();
    let (begun, (), closed) = tokio::join!(
        Box::pin(begin_all(&run, prepared, join)),
        Box::pin(watch(&run, joining, end)),
        Box::pin(close_all(&run, prepared, ending)),
    );
    let mut outcomes: BTreeMap<usize, Outcome> = begun.into_iter().flatten().collect();
    outcomes.extend(closed);
    if lost.is_empty()
        && let Some(progress) = Progress::of(&run, prepared, &outcomes, &home)
    {
        return Ok(Stretch::UnderWay(progress));
    }
    let all = outcomes.values().chain(lost.iter().map(|(_, outcome)| outcome));
    let going_on: Vec<UnderWay> = all.filter_map(Outcome::goes_on).cloned().collect();
    // The token is of what is under way, and one failure of that takes nothing else back.
    let settled = outcomes
        .values()
        .any(|outcome| matches!(outcome, Outcome::Proven(..)));
    let settled = settled && deploy.on_failure == OnFailure::RollbackAll;
    let named = outcomes
        .into_iter()
        .filter_map(|(place, outcome)| Some((prepared.get(place)?.name.clone(), outcome)));
    let summed = sum_up(named.chain(lost).collect()).map(Stretch::Done);
    summed.map_err(|failure| {
        if going_on.is_empty() {
            return failure;
        }
        Failure {
            resume: resume::of(run.tools, deploy, home, going_on, run.terms.percent).tokens(),
            ..if settled { failure.hint(SETTLED) } else { failure }
        }
    })
}

/// Begins every service, and hands each on to the watch; gives what became of those that could not be begun.
async fn begin_all<'a>(
    run: &Run<'a>,
    prepared: &'a [Prepared],
    join: UnboundedSender<Joined<'a>>,
) -> Vec<Option<(usize, Outcome)>> {
    let begins = prepared
        .iter()
        .enumerate()
        .map(|(place, prepared)| begin_one(run, place, prepared, &join));
    join_all(begins).await
}

async fn begin_one<'a>(
    run: &Run<'a>,
    place: usize,
    prepared: &'a Prepared,
    join: &UnboundedSender<Joined<'a>>,
) -> Option<(usize, Outcome)> {
    let lost = |failure: Failure, certain| {
        let lost = Outcome::Lost {
            failure: Box::new(whose(failure, &prepared.place)),
            order: run.next_loss(),
            goes_on: None,
        };
        record::became(run.tools, prepared, &lost);
        (Joined::Failed { certain }, Some((place, lost)))
    };
    let (joined, outcome) = match try_begin(run, place, prepared).await {
        Ok(watch) => {
            record::began(run.tools, run.deploy, &watch);
            (Joined::Watch(Box::new(watch)), None)
        }
        Err(Unbegun::Halted(left)) => {
            let untouched = Outcome::Untouched(left);
            record::became(run.tools, prepared, &untouched);
            return Some((place, untouched));
        }
        Err(Unbegun::Failed(failure)) => {
            let open = matches!(failure.kind, Kind::Unclear | Kind::Interrupted | Kind::Terminated);
            lost(failure, !open)
        }
        // Somebody is at work, maybe on the other services as well.
        Err(Unbegun::Overtaken(failure)) => lost(failure, false),
    };
    // The watch goes on as long as a service may join.
    let _ = join.send(joined);
    outcome
}

async fn try_begin<'a>(run: &Run<'a>, place: usize, prepared: &'a Prepared) -> Result<Watch<'a>, Unbegun> {
    if let Some(earlier) = run.earlier.get(place).or(prepared.adopted.as_deref()) {
        return Ok(Watch::of_earlier(run, place, prepared, earlier));
    }
    if prepared.is_unchanged() && !run.deploy.force {
        // Judged like a rollout, so that "unchanged" is never said of a service that is down.
        let Some(primary) = prepared.service.primary() else {
            let what = format!("service `{}` has no primary deployment", prepared.name);
            return Err(Failure::new(Kind::Unclear, what)
                .left("nothing was changed")
                .into());
        };
        let ours = Ours {
            deployment: primary.id.clone(),
        };
        let revision = prepared.revision().to_owned();
        return Ok(Watch::of_unchanged(
            run,
            place,
            prepared,
            Beginning::new(ours, revision, prepared.service.clone()),
        ));
    }
    run.tools.tell.tell(Event::PhaseStarted {
        phase: Phase::Deploy,
        of: prepared.name.to_string(),
    });
    let registered = run.registered.get(place).cloned().flatten();
    let begun = begin::begin(run, prepared, registered).await?;
    Ok(Watch::of_change(run, place, prepared, begun))
}

/// Closes each service that left the watch, all at the same time. A service may leave twice: with a verdict, and then
/// to go back; it goes back once the first is closed.
async fn close_all<'a>(
    run: &Run<'a>,
    prepared: &'a [Prepared],
    mut ending: UnboundedReceiver<Ended<'a>>,
) -> BTreeMap<usize, Outcome> {
    let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
    let mut closing = FuturesUnordered::new();
    let mut busy = BTreeSet::new();
    let mut next: BTreeMap<usize, Ended<'a>> = BTreeMap::new();
    let mut open = true;
    while open || !closing.is_empty() {
        tokio::select! {
            biased;
            Some((place, outcome)) = closing.next() => {
                busy.remove(&place);
                let outcome = match outcomes.remove(&place) {
                    Some(earlier) => earlier.then(outcome),
                    None => outcome,
                };
                if let Some(prepared) = prepared.get(place) {
                    record::became(run.tools, prepared, &outcome);
                }
                outcomes.insert(place, outcome);
                if let Some(ended) = next.remove(&place) {
                    busy.insert(place);
                    closing.push(close(run, ended));
                }
            }
            ended = ending.recv(), if open => match ended {
                Some(ended) if busy.contains(&ended.place) => {
                    next.insert(ended.place, ended);
                }
                Some(ended) => {
                    busy.insert(ended.place);
                    closing.push(close(run, ended));
                }
                None => open = false,
            },
        }
    }
    outcomes
}
