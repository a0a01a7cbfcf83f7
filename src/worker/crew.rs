//! What all jobs of a worker share.

use super::handed::Handed;
use super::handed::shelf::Shelf;
use super::health::Health;
use super::home::Home;
use super::looks::Looks;
use super::metrics::Metrics;
use super::slots::Slots;
use super::workspace::Workspace;
use crate::clock::Clock;
use crate::config::worker::WorkerSettings;
use crate::failure::Kind;
use crate::image::daemon::{Engine, EngineError};
use crate::pipeline::claim::{Desk, scope};
use crate::pipeline::client::Pipeline;
use crate::pipeline::job::{Category, Context, Job, JobId};
use crate::report::event::{Event, Tell};
use crate::shutdown::{self, Shutdown, ShutdownSwitch, Urgency};
use crate::stage::Tools;
use std::time::Duration;
use tokio::sync::watch;

/// How long a job that was told to end at once may take to clean up.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(15);

/// How long an Engine may take to answer, its connection included.
const ENGINE_PATIENCE: Duration = Duration::from_secs(30);

/// What all jobs of a worker share.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) settings: WorkerSettings,
    /// What each job's tools are made from: one set of AWS clients and quotas for all.
    pub(super) tools: Tools,
    pub(super) pipeline: Pipeline,
    pub(super) desk: Desk,
    pub(super) slots: Slots,
    pub(super) workspace: Workspace,
    pub(super) metrics: Metrics,
    pub(super) health: Health,
    pub(super) home: Home,
    pub(super) looks: Looks,
    /// How many jobs were reported done.
    pub(super) done: watch::Sender<u64>,
    pub(super) stops: Stops,
    pub(super) handed: Handed,
    pub(super) shelf: Shelf,
}

impl Crew {
    pub(super) fn clock(&self) -> &Clock {
        &self.tools.clock
    }

    /// Whether an Engine answers, without which no build can be done.
    pub(super) async fn has_engine(&self) -> Result<(), EngineError> {
        Engine::answers(&self.tools.engine, ENGINE_PATIENCE).await
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        self.tools.tell.tell(Event::Note(text.into()));
    }

    pub(super) fn warn(&self, text: impl Into<String>) {
        self.tools.tell.tell(Event::Warning(text.into()));
    }

    /// Where events of a job go.
    pub(super) fn tell_of(&self, job: &Job) -> Tell {
        self.tell_at(Some(&job.id), &job.context)
    }

    /// Where events of an action go, in a job of it or between two of them.
    pub(super) fn tell_at(&self, job: Option<&JobId>, action: &Context) -> Tell {
        self.tools.tell.of_job(scope(job, action))
    }

    /// The tools for what is done about an action, of a job or between two of them.
    pub(super) fn tools_for(&self, job: Option<&JobId>, action: &Context) -> Tools {
        Tools {
            tell: self.tell_at(job, action),
            ..self.tools.clone()
        }
    }
}

/// The stop signals of the jobs: a deploy is handed back at once, a build may go on for a while.
#[derive(Debug)]
pub(super) struct Stops {
    builds: (ShutdownSwitch, Shutdown),
    deploys: (ShutdownSwitch, Shutdown),
}

impl Stops {
    pub(super) fn new() -> Self {
        Self {
            builds: shutdown::switch(),
            deploys: shutdown::switch(),
        }
    }

    /// What a job of a category heeds.
    pub(super) fn of(&self, category: Category) -> &Shutdown {
        match category {
            Category::Build => &self.builds.1,
            Category::Deploy => &self.deploys.1,
        }
    }

    /// Ends deploys at their next safe point; builds go on.
    pub(super) fn hand_back(&self, why: Kind) {
        if !self.deploys.1.is_raised() {
            self.deploys.0.raise(why);
        }
    }

    /// Hands the process's stop signal on to the jobs; ends when all of it is handed on.
    pub(super) async fn conduct(&self, clock: &Clock, shutdown: &Shutdown, grace: Duration) {
        let why = shutdown.reached(Urgency::WindDown).await;
        self.hand_back(why);
        let end = clock.now() + grace;
        tokio::select! {
            () = clock.reaches(end) => self.builds.0.raise(why),
            _ = shutdown.reached(Urgency::Now) => {}
        }
        let why = shutdown.reached(Urgency::Now).await;
        for (switch, view) in [&self.builds, &self.deploys] {
            while view.asked().0 < Urgency::Now {
                switch.raise(why);
            }
        }
    }
}

/// One job's own stop signal: that of its category, raised by itself as well when nobody wants the job any more.
#[derive(Debug)]
pub(super) struct JobStop {
    switch: ShutdownSwitch,
    pub(super) view: Shutdown,
}

impl JobStop {
    pub(super) fn new() -> Self {
        let (switch, view) = shutdown::switch();
        Self { switch, view }
    }

    /// Ends the job at its next safe point.
    pub(super) fn wind_down(&self) {
        if !self.view.is_raised() {
            self.switch.raise(Kind::Terminated);
        }
    }

    /// Ends the job now: it did not reach a safe point in its time.
    pub(super) fn end_now(&self) {
        while self.view.asked().0 < Urgency::Now {
            self.switch.raise(Kind::Terminated);
        }
    }

    /// Hands the signal of a category on, for as long as somebody polls it.
    pub(super) async fn follow(&self, category: &Shutdown) {
        let why = category.reached(Urgency::WindDown).await;
        if !self.view.is_raised() {
            self.switch.raise(why);
        }
        let why = category.reached(Urgency::Now).await;
        while self.view.asked().0 < Urgency::Now {
            self.switch.raise(why);
        }
        std::future::pending::<()>().await;
    }
}
