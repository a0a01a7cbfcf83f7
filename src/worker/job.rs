//! One job, from its offer to its closing: whatever happens in between, its result is reported or it is handed back.

use super::abandon;
use super::crew::{Crew, JobStop, LAST_WORDS};
use super::hide::Hide;
use super::metrics::{ClaimResult, JobResult};
use super::slots::Slot;
use super::{build, deploy};
use crate::clock::Clock;
use crate::ecs::resume::Resume;
use crate::failure::{Failure, Kind};
use crate::pipeline::claim::{Claim, ClaimedJob, Closed, NotOurs, claim};
use crate::pipeline::client::{ActionStatus, JobOver};
use crate::pipeline::job::{Category, Offer};
use crate::pipeline::result::{Details, FailureReport, Variables, Whose};
use crate::report::event::{Event, Tell};
use crate::shutdown::Urgency;
use crate::stage::Tools;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// How long a job that nobody wants any more may take to reach a safe point.
const LONGEST_CLEAN_UP: Duration = Duration::from_secs(300);

/// How the work of a job ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is done, and proven.
    Done { details: Details, variables: Variables },
    /// Another job goes on from here.
    Again {
        token: String,
        details: Details,
        /// The rollouts under way; none if nothing was changed yet.
        under_way: Option<Box<Resume>>,
    },
    /// It failed.
    Failed {
        failure: Failure,
        whose: Role,
        external: Option<String>,
    },
}

/// Whose role asked for what failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    /// The pipeline's: artifacts.
    Pipeline,
    /// The worker's.
    Worker,
}

impl Ended {
    /// A failure of what the worker's role asked for.
    pub(super) fn failed(failure: Failure) -> Self {
        Self::Failed {
            failure,
            whose: Role::Worker,
            external: None,
        }
    }
}

/// What the work of a job is done with.
pub(super) struct Bench<'a> {
    pub(super) crew: &'a Crew,
    pub(super) claimed: &'a ClaimedJob,
    /// Its events are the job's, and its stop signal too.
    pub(super) tools: Tools,
}

/// Claims a job that was offered, and does it.
pub(super) async fn take(crew: Arc<Crew>, offer: Offer, slot: Slot) {
    let (tell, category) = (crew.tell_of(&offer.job), offer.job.action_type.category);
    match claim(&crew.desk, offer).await {
        Claim::Ours(claimed) => {
            crew.metrics.claimed(category, ClaimResult::Claimed);
            work(&crew, *claimed, slot).await;
        }
        Claim::NotOurs(reason) => {
            let result = match &reason {
                NotOurs::Taken
                | NotOurs::Gone
                | NotOurs::Status(_)
                | NotOurs::Held
                | NotOurs::Stopping
                | NotOurs::ActionOver(_) => ClaimResult::Missed,
                NotOurs::Refused(_) | NotOurs::Journal(_) | NotOurs::InDoubt(_) => ClaimResult::Failed,
            };
            crew.metrics.claimed(category, result);
            tell.tell(Event::Note(format!("the job is left: {}", reason.words())));
        }
    }
}

/// Does a job, and closes it.
pub(super) async fn work(crew: &Crew, claimed: ClaimedJob, slot: Slot) {
    let slot = slot.take();
    let job = claimed.job().clone();
    let category = job.action_type.category;
    let began = crew.clock().now();
    let tell = crew.tell_of(&job);
    tell.tell(Event::JobClaimed {
        continued: job.continuation.is_some(),
    });
    crew.metrics.began(category);
    if job.continuation.is_some() {
        // From here on the journal has what is needed to call it off.
        abandon::came_back(crew, &job.context).await;
    }
    let stop = JobStop::new();
    let hide = Hide::of(&job).below(crew.workspace.folder());
    let tools = Tools {
        shutdown: stop.view.clone(),
        tell: hide.tell(tell.clone()),
        ..crew.tools.clone()
    };
    let bench = Bench {
        crew,
        claimed: &claimed,
        tools: tools.clone(),
    };
    let (ended, over) = until_its_end(&bench, &stop, &tell, began).await;
    drop(bench);
    let took = crew.clock().now().saturating_sub(began);
    let (result, closed, under_way) = close(crew, claimed, ended, &hide, &tell, took).await;
    let whole = crew.clock().now().saturating_sub(began);
    crew.metrics.ended(category, result, whole);
    if let Some(text) = unwanted(&closed) {
        tell.tell(Event::Warning(text.to_owned()));
    }
    if let Some(handed) = under_way {
        abandon::went(crew, &tools, &job.context, handed, (over, closed)).await;
    }
    // The freed slot right after: whoever is woken by this mostly has it, too, and needs one poll.
    if result == JobResult::Succeeded {
        crew.done.send_modify(|jobs| *jobs += 1);
    }
    drop(slot);
}

/// Does the work, and cuts it short where it is not wanted any more or takes too long. Also says how the action had ended,
/// if it was found over meanwhile.
async fn until_its_end(
    bench: &Bench<'_>,
    stop: &JobStop,
    tell: &Tell,
    began: Duration,
) -> (Ended, Option<ActionStatus>) {
    let Bench { crew, claimed, .. } = bench;
    let job = claimed.job();
    let category = job.action_type.category;
    let limit = crew.settings.build_timeout;
    let work = AssertUnwindSafe(Box::pin(async {
        match category {
            Category::Build => build::build(bench).await,
            Category::Deploy => deploy::deploy(bench).await,
        }
    }));
    let mut work = work.catch_unwind();
    let mut over = None;
    let mut overdue = false;
    // When the job was asked to end though the worker goes on.
    let mut asked: Option<Duration> = None;
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut work => break ended.unwrap_or_else(|_| Ended::failed(bug())),
            () = cut(crew.clock(), stop) => break Ended::failed(cut_off()),
            status = abandon::noticed(crew, &job.context), if over.is_none() => {
                over = Some(status);
                asked = Some(crew.clock().now());
                tell.tell(Event::Warning(abandon::words(status).to_owned()));
                stop.wind_down();
            }
            () = crew.clock().reaches(began + limit), if is_limited(category, overdue) => {
                overdue = true;
                asked = Some(crew.clock().now());
                stop.wind_down();
            }
            () = crew.clock().reaches(asked.unwrap_or_default() + LONGEST_CLEAN_UP), if is_overstayed(asked, stop) => {
                stop.end_now();
            }
            () = stop.follow(crew.stops.of(category)) => {}
        }
    };
    (in_time(ended, overdue, limit), over)
}

/// Closes a job, and tells how. Also gives the rollouts under way of one that was handed back, with its summary.
async fn close(
    crew: &Crew,
    claimed: ClaimedJob,
    ended: Ended,
    hide: &Hide,
    tell: &Tell,
    took: Duration,
) -> (JobResult, Closed, Option<(Resume, String)>) {
    let (result, closed, under_way) = match ended {
        Ended::Done { details, variables } => {
            let summary = details.summary.clone().unwrap_or_default();
            let closed = claimed.succeed(details, variables).await;
            if closed.is_told() {
                tell.tell(Event::JobDone { summary, took });
            }
            (JobResult::Succeeded, closed, None)
        }
        Ended::Again {
            token,
            details,
            under_way,
        } => {
            let (percent, summary) = (details.percent, details.summary.clone().unwrap_or_default());
            let under_way = under_way.map(|resume| (*resume, summary.clone()));
            let closed = claimed.hand_back(token, details).await;
            if closed.is_told() {
                tell.tell(Event::JobHandedBack { percent, summary });
            }
            (JobResult::HandedBack, closed, under_way)
        }
        Ended::Failed {
            failure,
            whose,
            external,
        } => {
            let failure = hide.failure(failure);
            let whose = match whose {
                Role::Pipeline => Whose::Pipeline,
                Role::Worker => Whose::Worker,
            };
            let report = FailureReport::of(&failure, whose, hide.values()).external(external);
            crew.metrics
                .failed(claimed.job().action_type.category, failure.kind);
            tell.tell(Event::JobFailed(Arc::new(failure)));
            (JobResult::Failed, claimed.fail(report).await, None)
        }
    };
    let result = match &closed {
        Closed::Over { .. } if !closed.is_told() => JobResult::Over,
        Closed::Unreported => JobResult::Unreported,
        Closed::Accepted | Closed::Over { .. } => result,
    };
    (result, closed, under_way)
}

/// What became of a result that CodePipeline did not take.
const fn unwanted(closed: &Closed) -> Option<&'static str> {
    match closed {
        Closed::Accepted
        | Closed::Over {
            why: JobOver::Unclear,
        } => None,
        Closed::Over { why: JobOver::Gone } => Some("the result was not wanted any more: the job is gone"),
        Closed::Over { why: JobOver::Ended } => Some(
            "the result was not wanted any more: the job had ended before, because it was abandoned, took too long, or was \
             closed by another worker",
        ),
        Closed::Unreported => Some(
            "the result could not be reported yet; it is kept, and reported as soon as CodePipeline answers",
        ),
    }
}

/// Whether a job has its time limit still before it. A deploy has its own, which ends in a verdict.
const fn is_limited(category: Category, overdue: bool) -> bool {
    matches!(category, Category::Build) && !overdue
}

/// Whether a job that was asked to end may go on for some time only.
fn is_overstayed(asked: Option<Duration>, stop: &JobStop) -> bool {
    asked.is_some() && stop.view.asked().0 < Urgency::Now
}

/// What a build that was ended because of its time limit failed of.
fn in_time(ended: Ended, overdue: bool, limit: Duration) -> Ended {
    match ended {
        Ended::Failed {
            failure,
            whose,
            external,
        } if overdue && matches!(failure.kind, Kind::Terminated | Kind::Interrupted) => Ended::Failed {
            failure: Failure::new(
                Kind::Build,
                format!("the build did not end within {} s", limit.as_secs()),
            )
            .left("what served goes on serving; images may have been pushed, and an artifact may be in S3")
            .hint("look for a step that waits at the end of the build's output, or give builds more time with the worker's `--build-timeout`"),
            whose,
            external,
        },
        other => other,
    }
}

/// Ends when a job was told to end at once and has had its time to clean up.
async fn cut(clock: &Clock, stop: &JobStop) {
    stop.view.reached(Urgency::Now).await;
    let end = clock.now() + LAST_WORDS;
    clock.reaches(end).await;
}

fn cut_off() -> Failure {
    Failure::new(Kind::Terminated, "the worker was ended before the job was done")
        .left("unknown: what was going on was abandoned")
        .hint("retry the stage: what this attempt did is found again")
}

fn bug() -> Failure {
    Failure::new(Kind::Bug, "slipway stopped on a bug of its own in this job")
        .left("unknown: what was going on was abandoned; the worker goes on with other jobs")
        .hint("please report it with the worker's log")
}
