//! One service under watch: what is known of it, and when it is looked at again.

use super::super::begin::Beginning;
use super::super::prepare::Prepared;
use super::super::roll::Run;
use super::end::{End, Ended, Sofar};
use crate::config::settings::Until;
use crate::ecs::observation::{Observation, Service};
use crate::ecs::resume::UnderWay;
use crate::ecs::rollout::pace::{PROGRESS, WHOLE_LOOK, glance_after, sweep_after};
use crate::ecs::rollout::{Baseline, Kept, Ours, Rollout, Verdict, WaitingOn};
use crate::ecs::service::{Glimpse, Watched};
use crate::report::event::Event;
use std::time::Duration;

/// A look that is due within this time is taken with the others: services that wait for the same fall into step, and
/// share their calls. Services that are alone have none to share.
const GATHER: Duration = Duration::from_secs(3);

/// One service of the run under watch.
#[derive(Debug)]
pub(in crate::stage::deploy) struct Watch<'a> {
    /// Its place among the services of the run.
    pub(in crate::stage::deploy) place: usize,
    pub(in crate::stage::deploy) prepared: &'a Prepared,
    pub(in crate::stage::deploy) begun: Beginning,
    /// Whether this run changed it; else what runs is only proven.
    pub(in crate::stage::deploy) changed: bool,
    /// When it was updated, and when it is given up.
    pub(super) started: Duration,
    pub(super) deadline: Duration,
    pub(super) rollout: Rollout,
    pub(super) watched: Watched,
    pub(super) told: Option<WaitingOn>,
    pub(super) last: Option<Observation>,
    /// The service when it was last seen: a look may fail to show it.
    pub(super) last_seen: Option<Service>,
    /// What an earlier process remembered.
    pub(in crate::stage::deploy) kept: Kept,
    /// Whether an earlier process proved it.
    pub(super) proven: bool,
    next: Next,
    /// When it was last looked at; none if it was not, in this process.
    pub(super) looked: Option<Duration>,
}

/// When a service is looked at again.
#[derive(Debug)]
struct Next {
    look: Duration,
    /// The look must not come sooner: it shows that a time has passed.
    exactly: bool,
    /// Until the look: when is glanced at the one thing that is waited for.
    glances: Option<Glances>,
}

/// Until a whole look: what shows that it is due.
#[derive(Debug)]
struct Glances {
    /// When the same thing was waited for first.
    since: Duration,
    /// When it is glanced at.
    glance: Duration,
    /// When the service is asked for.
    peek: Duration,
}

impl<'a> Watch<'a> {
    /// Begins to watch a deployment that this run began.
    pub(in crate::stage::deploy) fn of_change(
        run: &Run<'a>,
        place: usize,
        prepared: &'a Prepared,
        begun: Beginning,
    ) -> Self {
        let now = run.tools.clock.now();
        let baseline = begun.baseline();
        Self::new(
            run,
            place,
            prepared,
            begun,
            baseline,
            (now, now + run.deploy.timeout),
        )
    }

    /// Takes up the watch of what an earlier run began, or proved. The time that a rollout took counts from its update;
    /// when it is given up, too, but for somebody who asks for another while.
    pub(in crate::stage::deploy) fn of_earlier(
        run: &Run<'a>,
        place: usize,
        prepared: &'a Prepared,
        under_way: &UnderWay,
    ) -> Self {
        let begun = Beginning {
            ours: Ours {
                deployment: under_way.deployment.clone(),
            },
            revision: under_way.revision.clone(),
            before: Box::new(prepared.service.clone()),
            kept: under_way.before.clone(),
        };
        let baseline = if under_way.changed {
            begun.baseline()
        } else {
            prepared.baseline_of_unchanged()
        };
        let now = run.tools.clock.now();
        let started = under_way.started().min(now);
        let counted_from = if run.terms.deadline_is_kept { started } else { now };
        let times = (started, counted_from + run.deploy.timeout);
        let newest = prepared.service.events.first().map(|event| event.id.clone());
        let watch = Self::new(run, place, prepared, begun, baseline, times);
        let mut watched = watch.watched;
        watched.pace.takes_up(
            newest,
            prepared.adopted.is_some()
                || under_way.kept.wants_everything()
                || run.deploy.until == Until::Steady,
        );
        if let Some(shown) = &prepared.shown {
            watched.show(shown.clone());
        }
        Self {
            changed: under_way.changed,
            rollout: watch.rollout.knowing(&under_way.kept),
            kept: under_way.kept.clone(),
            proven: under_way.proven,
            watched,
            ..watch
        }
    }

    /// Begins to prove what runs unchanged.
    pub(in crate::stage::deploy) fn of_unchanged(
        run: &Run<'a>,
        place: usize,
        prepared: &'a Prepared,
        begun: Beginning,
    ) -> Self {
        let now = run.tools.clock.now();
        let baseline = prepared.baseline_of_unchanged();
        Self {
            changed: false,
            ..Self::new(
                run,
                place,
                prepared,
                begun,
                baseline,
                (now, now + run.deploy.timeout),
            )
        }
    }

    fn new(
        run: &Run<'a>,
        place: usize,
        prepared: &'a Prepared,
        begun: Beginning,
        baseline: Baseline,
        (started, deadline): (Duration, Duration),
    ) -> Self {
        let now = run.tools.clock.now();
        let mut policy = prepared.policy(run.deploy);
        policy.timeout = deadline.saturating_sub(started);
        Self {
            place,
            prepared,
            changed: true,
            started,
            deadline,
            rollout: Rollout::new(policy, begun.ours.clone(), baseline),
            watched: Watched::new(&begun.ours.deployment),
            begun,
            told: None,
            last: None,
            last_seen: None,
            kept: Kept::default(),
            proven: false,
            next: Next {
                look: now,
                exactly: false,
                glances: None,
            },
            looked: None,
        }
    }

    /// From its update to giving up.
    pub(in crate::stage::deploy) fn timeout(&self) -> Duration {
        self.deadline.saturating_sub(self.started)
    }

    /// When it wants the next call.
    pub(super) fn due(&self) -> Duration {
        let look = self.next.look;
        let glances = self.next.glances.as_ref();
        glances.map_or(look, |glances| glances.glance.min(glances.peek).min(look))
    }

    /// Whether a whole look is due.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let slack = if self.next.exactly { Duration::ZERO } else { GATHER };
        self.next.look <= now + slack
    }

    /// Whether a glance is due, and no whole look.
    pub(super) fn wants_glance(&self, now: Duration) -> bool {
        let due = |glances: &Glances| glances.glance <= now + GATHER;
        self.next.glances.as_ref().is_some_and(due) && !self.is_due(now)
    }

    /// Whether it is time to see if the service changed, and no whole look is due.
    pub(super) fn wants_peek(&self, now: Duration) -> bool {
        let due = |glances: &Glances| glances.peek <= now + GATHER;
        self.next.glances.as_ref().is_some_and(due) && !self.is_due(now)
    }

    /// Takes note of a glance, or that another service's was made instead.
    pub(super) fn glanced(&mut self, now: Duration, glimpse: Glimpse) {
        match glimpse {
            Glimpse::Still => {}
            Glimpse::Nearer => self.next.look = self.next.look.min(now + PROGRESS),
            Glimpse::Changed => self.next.look = now,
        }
        if let Some(glances) = &mut self.next.glances {
            glances.glance = now + glance_after(now.saturating_sub(glances.since));
        }
    }

    /// Takes note that a service that waits for the same has it.
    pub(super) fn follow(&mut self, now: Duration, services: usize) {
        let looked = self.looked.unwrap_or_default();
        if now.saturating_sub(looked) >= sweep_after(services) {
            self.next.look = now;
        }
    }

    /// Takes note that the service is as it was, if that was asked for.
    pub(super) fn peeked(&mut self, now: Duration) {
        if self.wants_peek(now)
            && let Some(glances) = &mut self.next.glances
        {
            glances.peek = now + self.watched.pace.peek_after();
        }
    }

    pub(super) fn ended(self, now: Duration, end: End) -> Ended<'a> {
        Ended {
            place: self.place,
            prepared: self.prepared,
            begun: self.begun,
            changed: self.changed,
            kept: self.rollout.kept(),
            proven: self.proven,
            started: self.started,
            elapsed: now.saturating_sub(self.started),
            end,
        }
    }

    /// How far it is, for the one who ends the watch.
    pub(super) fn sofar(&mut self) -> Sofar {
        Sofar {
            waiting_on: self.told.take(),
            last_seen: self.last_seen.take(),
        }
    }

    /// Judges a look, and tells what is new.
    pub(super) fn judge(&mut self, run: &Run<'_>, now: Duration, seen: &Observation) -> Verdict {
        let elapsed = now.saturating_sub(self.started);
        let service = &self.prepared.name;
        self.last_seen = seen.seen_service().or(self.last_seen.as_ref()).cloned();
        for event in self.rollout.news(seen) {
            let message = event.message.clone();
            run.tools.tell.tell(Event::ServiceEvent {
                service: service.clone(),
                message,
            });
        }
        let verdict = self.rollout.judge(elapsed, seen);
        self.looked = Some(now);
        if let Verdict::Wait(waiting_on) = &verdict {
            if self.told.as_ref() != Some(waiting_on) {
                run.tools.tell.tell(Event::Waiting {
                    service: service.clone(),
                    elapsed,
                    what_for: waiting_on.to_string(),
                });
            }
            self.told = Some(waiting_on.clone());
            self.next = self.next_after(waiting_on, now);
        }
        verdict
    }

    /// Plans the next look. While the thing that is waited for shows itself by one call, it is glanced at until it
    /// changes or a whole look is due.
    fn next_after(&mut self, waiting_on: &WaitingOn, now: Duration) -> Next {
        let settles = match waiting_on {
            WaitingOn::TasksToStay { .. } => self.rollout.settles_in(now.saturating_sub(self.started)),
            _ => None,
        };
        self.watched.pace.waits_for(waiting_on);
        let left = self.deadline.saturating_sub(now);
        let pause = self
            .watched
            .pace
            .pause(settles.map_or(left, |settles| settles.min(left)));
        self.watched
            .pace
            .settling(settles.is_some_and(|settles| settles > pause));
        if waiting_on.shows_at_a_glance() {
            let since = self.next.glances.as_ref().map_or(now, |glances| glances.since);
            return Next {
                look: now + WHOLE_LOOK.min(left),
                exactly: false,
                glances: Some(Glances {
                    since,
                    glance: now + glance_after(now.saturating_sub(since)),
                    peek: now + self.watched.pace.peek_after(),
                }),
            };
        }
        Next {
            look: now + pause,
            exactly: settles.is_some_and(|settles| settles <= pause),
            glances: None,
        }
    }
}
