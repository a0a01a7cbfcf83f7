//! The watch of all services of a run in one loop: look, judge each, tell, pause, until the verdict of each.

mod end;
mod service;

pub(in crate::stage) use end::serving;
pub(super) use end::{End, Ended, Lost, Sofar, running};
pub(super) use service::Watch;

use super::begin::Beginning;
use super::prepare::Prepared;
use super::roll::Run;
use crate::clock::Pause;
use crate::config::settings::{OnFailure, OnFirstFailure};
use crate::ecs::observation::Observation;
use crate::ecs::rollout::pace::groups_at_a_glance;
use crate::ecs::rollout::{Kept, Loss, Verdict};
use crate::ecs::service::{
    Asks, Glance, Glimpse, Member, Round, Sharing, Watched, affordable, glance, round,
};
use crate::failure::Kind;
use crate::shutdown::Urgency;
use end::is_certain;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// How long the look at a deadline may take.
pub(super) const LAST_LOOK: Duration = Duration::from_secs(30);

/// How long nobody looks between two stretches at most, as a rule: CodePipeline offers a job that was handed back again
/// after about half a minute, and a worker polls for it.
const NOBODY_LOOKS: Duration = Duration::from_secs(60);

/// What comes to the watch.
#[derive(Debug)]
pub(super) enum Joined<'a> {
    /// A service that was begun, or is to be proven.
    Watch(Box<Watch<'a>>),
    /// A service could not be begun.
    Failed {
        /// Whether the failure is certain, so that the others go back if that is wanted.
        certain: bool,
    },
}

/// A service that has its verdict and still runs the new revision.
#[derive(Debug)]
struct Settled<'a> {
    place: usize,
    prepared: &'a Prepared,
    begun: Beginning,
    kept: Kept,
    service_deployment: Option<String>,
    healthy: bool,
}

/// What becomes of services that have no verdict yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// They are watched.
    Watch,
    /// They are left to ECS.
    Leave,
    /// They go back.
    Back,
    /// A stop was asked for.
    Stop(Kind),
    /// A later stretch goes on with them.
    HandBack,
}

/// All services under watch.
struct Fleet<'a, 'r> {
    run: &'r Run<'a>,
    ended: UnboundedSender<Ended<'a>>,
    watches: Vec<Watch<'a>>,
    settled: Vec<Settled<'a>>,
    sharing: Sharing,
    course: Course,
    /// When no service can join any more: the stretch begins.
    complete: Option<Duration>,
    /// Whether a service was lost.
    lost: bool,
}

/// Watches every service that joins until its verdict, its deadline or a stop, and until none can join any more.
pub(super) async fn watch<'a>(
    run: &Run<'a>,
    mut joining: UnboundedReceiver<Joined<'a>>,
    ended: UnboundedSender<Ended<'a>>,
) {
    let mut fleet = Fleet {
        run,
        ended,
        watches: Vec::new(),
        settled: Vec::new(),
        sharing: Sharing::default(),
        course: Course::Watch,
        complete: None,
        lost: false,
    };
    loop {
        loop {
            match joining.try_recv() {
                Ok(joined) => fleet.join(joined),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    fleet.is_complete();
                    break;
                }
            }
        }
        fleet.heed_stop();
        fleet.heed_end_of_stretch();
        let Some(due) = fleet.due() else {
            match joining.recv().await {
                Some(joined) => fleet.join(joined),
                None => return,
            }
            continue;
        };
        let now = fleet.now();
        let pause = due.saturating_sub(now);
        if !pause.is_zero() {
            let of_stretch = fleet.stretch_ends().map(|end| end.saturating_sub(now));
            let shorter = of_stretch.filter(|left| *left < pause);
            tokio::select! {
                biased;
                joined = joining.recv(), if fleet.complete.is_none() => {
                    match joined {
                        Some(joined) => fleet.join(joined),
                        None => fleet.is_complete(),
                    }
                    continue;
                }
                pause = run.tools.clock.pause(shorter.unwrap_or(pause), &run.tools.shutdown) => {
                    if pause == Pause::Stopped || shorter.is_some() {
                        continue;
                    }
                }
            }
        }
        tokio::select! {
            () = fleet.look() => {}
            _ = run.tools.shutdown.reached(Urgency::WindDown) => {}
        }
    }
}

impl<'a> Fleet<'a, '_> {
    fn now(&self) -> Duration {
        self.run.tools.clock.now()
    }

    fn due(&self) -> Option<Duration> {
        self.watches.iter().map(Watch::due).min()
    }

    fn join(&mut self, joined: Joined<'a>) {
        match joined {
            Joined::Watch(watch) => {
                self.watches.push(*watch);
                self.keep_course();
            }
            Joined::Failed { certain } => {
                self.lost = true;
                self.after_loss(certain);
            }
        }
    }

    fn is_complete(&mut self) {
        let now = self.now();
        self.complete.get_or_insert(now);
    }

    fn heed_stop(&mut self) {
        if let (_, Some(kind)) = self.run.tools.shutdown.asked() {
            self.course = if self.run.terms.hands_back && !self.lost {
                Course::HandBack
            } else {
                Course::Stop(kind)
            };
            self.keep_course();
        }
    }

    /// When the stretch is over; none if the run goes on to its verdict all the same. After a loss it does, and shortly
    /// before a deadline: nobody would look when it comes.
    fn stretch_ends(&self) -> Option<Duration> {
        let end = self.complete?.checked_add(self.run.terms.stretch)?;
        let looked = |watch: &Watch<'_>| !self.run.terms.looks_first || watch.looked.is_some();
        let far = |watch: &Watch<'_>| watch.proven || end.saturating_add(NOBODY_LOOKS) < watch.deadline;
        let goes_on = self.course == Course::Watch && !self.lost;
        let all = |is: &dyn Fn(&Watch<'a>) -> bool| self.watches.iter().all(is);
        (goes_on && all(&looked) && all(&far)).then_some(end)
    }

    fn heed_end_of_stretch(&mut self) {
        if self.stretch_ends().is_some_and(|end| end <= self.now()) {
            self.course = Course::HandBack;
            self.keep_course();
        }
    }

    /// What the loss of one service means for the others.
    fn after_loss(&mut self, certain: bool) {
        let deploy = self.run.deploy;
        if self.course == Course::Watch && deploy.on_first_failure == OnFirstFailure::FailFast {
            self.course = Course::Leave;
        }
        if certain && deploy.on_failure == OnFailure::RollbackAll && !matches!(self.course, Course::Stop(_)) {
            self.course = Course::Back;
        }
        self.keep_course();
    }

    /// Ends the watches that the course does not go on with.
    fn keep_course(&mut self) {
        let course = self.course;
        if course == Course::Watch {
            return;
        }
        // Whoever begins services heeds a stop by itself, and says so.
        if !matches!(course, Course::Stop(_) | Course::HandBack) {
            self.run.halt();
        }
        let now = self.now();
        // What was not changed cannot go back; its proof goes on.
        let proven_still = |watch: &Watch<'_>| course == Course::Back && !watch.changed;
        let (kept, ending) = std::mem::take(&mut self.watches)
            .into_iter()
            .partition(proven_still);
        self.watches = kept;
        for mut watch in ending {
            let end = match course {
                Course::Watch | Course::Leave => End::Unwatched(watch.sofar()),
                Course::Back => End::Back {
                    service_deployment: watch.watched.service_deployment().map(str::to_owned),
                    healthy: false,
                },
                Course::Stop(kind) => End::Stopped(kind, watch.sofar(), self.run.next_loss()),
                Course::HandBack => End::HandedBack(watch.sofar()),
            };
            self.send(watch.ended(now, end));
        }
        if course == Course::Back {
            for settled in std::mem::take(&mut self.settled) {
                self.send(Ended {
                    place: settled.place,
                    prepared: settled.prepared,
                    begun: settled.begun,
                    changed: true,
                    kept: settled.kept,
                    proven: settled.healthy,
                    started: now,
                    elapsed: Duration::ZERO,
                    end: End::Back {
                        service_deployment: settled.service_deployment,
                        healthy: settled.healthy,
                    },
                });
            }
        }
    }

    fn send(&self, ended: Ended<'a>) {
        // Whoever closes lives as long as this loop.
        let _ = self.ended.send(ended);
    }

    /// Glances at what shows at a glance, and looks at what is due; every look is judged.
    async fn look(&mut self) {
        let services = self.watches.len();
        for watch in &mut self.watches {
            watch.watched.pace.among(services);
        }
        self.glance().await;
        let now = self.now();
        if !self
            .watches
            .iter()
            .any(|watch| watch.is_due(now) || watch.wants_peek(now))
        {
            return;
        }
        let Some(first_deadline) = self.watches.iter().map(|watch| watch.deadline).min() else {
            return;
        };
        let mut due = Vec::new();
        let mut members = Vec::new();
        for watch in &mut self.watches {
            due.push(watch.is_due(now));
            let known = watch.last.as_ref().and_then(Observation::seen_service);
            let asks = match (watch.is_due(now), watch.wants_peek(now)) {
                (true, _) => Asks::Look,
                (false, true) => Asks::Peek(known),
                (false, false) => Asks::IfChanged(known),
            };
            members.push(Member {
                ecs: &watch.prepared.ecs,
                watched: &mut watch.watched,
                asks,
            });
        }
        let round = tokio::select! {
            round = round(&mut self.sharing, &mut members) => round,
            // A call that hangs must not outlast a deadline by all its retries.
            () = self.run.tools.clock.reaches(first_deadline.max(now) + LAST_LOOK) => Round {
                answers: Vec::new(),
                seen: due.into_iter().map(|due| due.then(Observation::unanswered)).collect(),
            },
        };
        let now = self.now();
        self.record(now, &round);
        self.judge(now, round.seen);
    }

    /// Records a round for the services that it looked at, each with the time since its update.
    fn record(&self, now: Duration, round: &Round) {
        let of: Vec<_> = self
            .watches
            .iter()
            .zip(&round.seen)
            .filter(|(_, seen)| seen.is_some())
            .map(|(watch, _)| {
                let prepared = watch.prepared;
                (
                    prepared.cluster.as_str(),
                    &prepared.name,
                    now.saturating_sub(watch.started),
                )
            })
            .collect();
        if !of.is_empty() {
            self.run.tools.record.look(&of, &round.answers);
        }
    }

    fn judge(&mut self, now: Duration, seen: Vec<Option<Observation>>) {
        let mut losses = Vec::new();
        for (mut watch, seen) in std::mem::take(&mut self.watches).into_iter().zip(seen) {
            let Some(seen) = seen else {
                watch.peeked(now);
                self.watches.push(watch);
                continue;
            };
            let verdict = match watch.judge(self.run, now, &seen) {
                // What was proven stays so, unless it certainly failed since.
                Verdict::Lost(loss) if watch.proven && !is_certain(&loss) => Verdict::Healthy,
                Verdict::Wait(_) if watch.proven => Verdict::Healthy,
                verdict => verdict,
            };
            let end = match verdict {
                Verdict::Wait(_) => {
                    watch.last = Some(seen);
                    self.watches.push(watch);
                    continue;
                }
                Verdict::Healthy => {
                    self.settle(&watch, true);
                    End::Healthy(seen)
                }
                Verdict::Lost(loss) => {
                    self.lost = true;
                    losses.push(is_certain(&loss));
                    if matches!(loss, Loss::Deadline { .. } | Loss::CannotTell(_)) {
                        self.settle(&watch, false);
                    }
                    let elapsed = now.saturating_sub(watch.started);
                    let watched = std::mem::replace(&mut watch.watched, Watched::new(""));
                    let lost = Lost {
                        loss,
                        elapsed,
                        last_seen: watch.last_seen.take(),
                        seen,
                        watched,
                    };
                    End::Lost(Box::new(lost), self.run.next_loss())
                }
            };
            self.send(watch.ended(now, end));
        }
        // What one round shows comes at the same time: a loss that is certain decides, wherever it stands.
        if let Some(certain) = losses.into_iter().reduce(|one, other| one || other) {
            self.after_loss(certain);
        }
    }

    fn settle(&mut self, watch: &Watch<'a>, healthy: bool) {
        if watch.changed && self.run.deploy.on_failure == OnFailure::RollbackAll {
            self.settled.push(Settled {
                place: watch.place,
                prepared: watch.prepared,
                begun: watch.begun.clone(),
                kept: watch.rollout.kept(),
                service_deployment: watch.watched.service_deployment().map(str::to_owned),
                healthy,
            });
        }
    }

    /// Glances at what is waited for where a glance is due; a change makes the whole look due. Of many services few are
    /// glanced at, those first that were updated last: what they have, the others likely have as well.
    async fn glance(&mut self) {
        let now = self.now();
        let services = self.watches.len();
        let mut wanting: Vec<usize> = (0..services)
            .filter(|at| self.watches[*at].wants_glance(now))
            .collect();
        wanting.sort_by_key(|at| std::cmp::Reverse(self.watches[*at].started));
        let wanted: Vec<Glance<'_>> = wanting
            .iter()
            .filter_map(|at| {
                let watch = &self.watches[*at];
                Some(Glance {
                    ecs: &watch.prepared.ecs,
                    waiting_on: watch.told.as_ref()?,
                    last: watch.last.as_ref()?,
                })
            })
            .collect();
        if wanted.is_empty() {
            return;
        }
        let picked = affordable(&wanted, groups_at_a_glance(services));
        let glances: Vec<Glance<'_>> = picked.iter().map(|at| wanted[*at]).collect();
        let first_deadline = self.watches.iter().map(|watch| watch.deadline).min();
        let seen = tokio::select! {
            seen = glance(&glances) => seen,
            () = self.run.tools.clock.reaches(first_deadline.unwrap_or(now)) => return,
        };
        let now = self.now();
        let changed = seen.contains(&Glimpse::Changed);
        let mut seen = picked.into_iter().zip(seen).peekable();
        for (place, at) in wanting.into_iter().enumerate() {
            let own = seen.next_if(|(picked, _)| *picked == place);
            let watch = &mut self.watches[at];
            watch.glanced(now, own.map_or(Glimpse::Still, |(_, glimpse)| glimpse));
            if changed && own.is_none() {
                watch.follow(now, services);
            }
        }
    }
}
