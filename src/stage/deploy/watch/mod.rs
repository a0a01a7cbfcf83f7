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
use crate::ecs::rollout::{Loss, Verdict};
use crate::ecs::service::{
    Asks, Glance, Glimpse, Member, Round, Sharing, Watched, affordable, glance, round,
};
use crate::failure::Kind;
use crate::shutdown::Urgency;
use end::is_certain;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// How long the look at a deadline may take.
pub(super) const LAST_LOOK: Duration = Duration::from_secs(30);

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
}

/// All services under watch.
struct Fleet<'a, 'r> {
    run: &'r Run<'a>,
    ended: UnboundedSender<Ended<'a>>,
    watches: Vec<Watch<'a>>,
    settled: Vec<Settled<'a>>,
    sharing: Sharing,
    course: Course,
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
    };
    loop {
        while let Ok(joined) = joining.try_recv() {
            fleet.join(joined);
        }
        fleet.heed_stop();
        let Some(due) = fleet.due() else {
            match joining.recv().await {
                Some(joined) => fleet.join(joined),
                None => return,
            }
            continue;
        };
        let pause = due.saturating_sub(run.tools.clock.now());
        if !pause.is_zero() {
            tokio::select! {
                biased;
                Some(joined) = joining.recv() => {
                    fleet.join(joined);
                    continue;
                }
                pause = run.tools.clock.pause(pause, &run.tools.shutdown) => if pause == Pause::Stopped {
                    continue;
                },
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
            Joined::Failed { certain } => self.after_loss(certain),
        }
    }

    fn heed_stop(&mut self) {
        if let (_, Some(kind)) = self.run.tools.shutdown.asked() {
            self.course = Course::Stop(kind);
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
        if !matches!(course, Course::Stop(_)) {
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
                    appeared: true,
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
            let end = match watch.judge(self.run, now, &seen) {
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
