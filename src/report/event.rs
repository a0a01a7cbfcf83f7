//! Everything worth telling a person while work goes on, as data.
//!
//! Work emits events through a [`Tell`]; only reporters turn them into sentences, bars or JSON.

use crate::failure::Failure;
use crate::name::{ContainerName, Digest, ImageRef, ServiceName, TaskName};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One thing that happened. Events carry numbers and names, not sentences; none carries a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A note that fits no other event; the text is one line.
    Note(String),
    /// A thing the user should know of that is not a failure; the text is one line.
    Warning(String),
    /// A phase began: `build`, `push`, `deploy`; `of` names the image or service.
    PhaseStarted {
        /// The phase.
        phase: Phase,
        /// The image or service.
        of: String,
    },
    /// A phase ended well.
    PhaseFinished {
        /// The phase.
        phase: Phase,
        /// The image or service.
        of: String,
        /// How long it took.
        took: Duration,
    },
    /// The context of an image was sent.
    ContextSent {
        /// The image's table name.
        image: String,
        /// Bytes of the tar stream.
        bytes: u64,
        /// Entries in it.
        entries: u64,
    },
    /// A build step began, ended, or was taken from the cache.
    BuildStep {
        /// The image's table name.
        image: String,
        /// The step as the builder names it: `[2/4] RUN make`.
        step: String,
        /// What happened to it.
        state: StepState,
    },
    /// A line that a build step printed.
    BuildLine {
        /// The image's table name.
        image: String,
        /// The line, without its end.
        line: String,
    },
    /// How far the push of one layer is. For bars; a log skips it.
    LayerProgress {
        /// The image's table name.
        image: String,
        /// The layer's short id.
        layer: String,
        /// The engine's word: `Pushing`, `Pushed`, `Layer already exists`, `Mounted from shop/base`.
        status: String,
        /// Bytes done, of bytes in all, where the engine says.
        bytes: Option<(u64, u64)>,
    },
    /// An image was pushed and its digest confirmed by the registry.
    Pushed {
        /// The image's table name.
        image: String,
        /// `repository@digest`.
        reference: ImageRef,
        /// The tags it has in the repository.
        tags: Vec<String>,
    },
    /// A tag stands for an image that was built from this very source and pushed earlier: it is taken as it is.
    Reused {
        /// The image's table name.
        image: String,
        /// The tag.
        tag: String,
        /// `repository@digest`.
        reference: ImageRef,
    },
    /// A file (or S3 object) was written.
    Wrote {
        /// What it is: `imagedefinitions.json`.
        what: String,
        /// Its path or `s3://` address.
        place: String,
    },
    /// A container's image changes.
    ImageChange {
        /// The service.
        service: ServiceName,
        /// The container.
        container: ContainerName,
        /// The image that runs now.
        from: String,
        /// The image to run.
        to: ImageRef,
    },
    /// A task definition revision was registered.
    Registered {
        /// The service.
        service: ServiceName,
        /// `family:revision`.
        revision: String,
    },
    /// A one-off task was started.
    TaskStarted {
        /// The task's table name.
        task: TaskName,
        /// The service that it belongs to.
        service: ServiceName,
        /// ECS's id of it.
        id: String,
        /// `family:revision` that it runs.
        revision: String,
    },
    /// What a one-off task is waited for to do; sent when it changes.
    TaskWaiting {
        /// The task's table name.
        task: TaskName,
        /// How long it has been since it was started.
        elapsed: Duration,
        /// What for, in words: `the task to end (it runs)`.
        what_for: String,
    },
    /// One of the last lines that a one-off task wrote to its log, once it is done.
    TaskLine {
        /// The task's table name.
        task: TaskName,
        /// The line, without its end.
        line: String,
    },
    /// A one-off task did its work: its container ended with exit code 0.
    TaskDone {
        /// The task's table name.
        task: TaskName,
        /// The container that did the work.
        container: ContainerName,
        /// The digest that it ran, if its image is deployed by digest: proven.
        digest: Option<Digest>,
        /// From RunTask to the verdict.
        took: Duration,
    },
    /// The service was updated and ECS answered with our deployment.
    DeploymentStarted {
        /// The service.
        service: ServiceName,
        /// `ecs-svc/...`.
        deployment: String,
    },
    /// What the rollout is waiting for; sent when it changes.
    Waiting {
        /// The service.
        service: ServiceName,
        /// How long the rollout has taken.
        elapsed: Duration,
        /// What for, in words: `tasks to start (1/3 running)`.
        what_for: String,
    },
    /// A service event of ECS that is news since our deployment began.
    ServiceEvent {
        /// The service.
        service: ServiceName,
        /// ECS's text.
        message: String,
    },
    /// A running task has the digest that was pushed.
    DigestProven {
        /// The service.
        service: ServiceName,
        /// The container.
        container: ContainerName,
        /// The digest that runs.
        digest: Digest,
        /// How many tasks were checked.
        tasks: usize,
    },
    /// The service runs what was asked for, proven.
    Healthy {
        /// The service.
        service: ServiceName,
        /// `family:revision`.
        revision: String,
        /// From UpdateService to the proof.
        took: Duration,
    },
    /// A service is lost; its diagnosis, and the way back where there is one, follow.
    Lost {
        /// The service.
        service: ServiceName,
        /// What happened, as the failure will say it.
        what: String,
    },
    /// A service is brought back to what it ran before.
    RollingBack {
        /// The service.
        service: ServiceName,
        /// `family:revision` that comes back.
        revision: String,
    },
    /// A service is not watched any more because another one failed; ECS goes on with it.
    Unwatched {
        /// The service.
        service: ServiceName,
        /// What it was doing, in words.
        doing: String,
    },
    /// What a look showed that is explained afterwards.
    Retold {
        /// The service.
        service: ServiceName,
        /// When the look was, since the update.
        at: Duration,
        /// What changed, in words.
        what: String,
    },
    /// Nothing differs from what runs: no revision was registered and nothing deployed.
    Unchanged {
        /// The service.
        service: ServiceName,
        /// `family:revision` that runs.
        revision: String,
    },
    /// Something that happened in one of a worker's jobs.
    OfJob {
        /// The job.
        scope: Arc<JobScope>,
        /// What happened in it.
        event: Box<Event>,
    },
    /// A job was acknowledged: this worker must close it.
    JobClaimed {
        /// Whether it goes on from where an earlier job was handed back.
        continued: bool,
    },
    /// A job was handed back, and CodePipeline will hand out another one that goes on from there.
    JobHandedBack {
        /// How much is done, of 100, where that is known.
        percent: Option<u8>,
        /// What people read of it in the console.
        summary: String,
    },
    /// The success of a job was reported, and accepted.
    JobDone {
        /// What people read of it in the console.
        summary: String,
        /// From its claim to its report.
        took: Duration,
    },
    /// A job failed, and this is why.
    JobFailed(Arc<Failure>),
}

/// Which job of which pipeline something happened in: CodePipeline's own names and ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobScope {
    /// The job's id, which is another one after each time that it was handed back; empty between two jobs.
    pub job: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The stage's name.
    pub stage: String,
    /// The action's name.
    pub action: String,
    /// The pipeline's execution.
    pub execution: String,
    /// The action's execution, which is another one after each retry.
    pub action_execution: String,
}

/// The phases of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// An image is built.
    Build,
    /// An image is pushed.
    Push,
    /// A service is deployed.
    Deploy,
}

impl Phase {
    /// The word for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Push => "push",
            Self::Deploy => "deploy",
        }
    }
}

/// What happened to a build step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// It runs.
    Started,
    /// It ended well.
    Done {
        /// How long it ran, where the builder says.
        took: Option<Duration>,
    },
    /// Its result came from the cache.
    Cached,
    /// It failed.
    Failed {
        /// The builder's error.
        error: String,
    },
}

/// Where events go: a cheap handle that every story carries.
#[derive(Clone)]
pub struct Tell(Arc<dyn Fn(Event) + Send + Sync>);

impl Tell {
    /// Sends every event to `listener`.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Sends every event nowhere.
    #[must_use]
    pub fn nobody() -> Self {
        Self::new(|_| {})
    }

    /// The same listener, to whom every event is one of this job.
    #[must_use]
    pub fn of_job(&self, scope: JobScope) -> Self {
        let (listener, scope) = (self.clone(), Arc::new(scope));
        Self::new(move |event| {
            listener.tell(Event::OfJob {
                scope: Arc::clone(&scope),
                event: Box::new(event),
            });
        })
    }

    /// Tells one event.
    pub fn tell(&self, event: Event) {
        (self.0)(event);
    }
}

impl fmt::Debug for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}
