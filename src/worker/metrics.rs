//! What a worker counts, for Prometheus.
//!
//! No label holds the id of a job, a pipeline or an account: every label has few values, and none is a secret.

use crate::failure::Kind;
use crate::pipeline::job::{ActionTypeId, Category};
use prometheus_client::encoding::{EncodeLabelSet, prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Upper bounds of the durations that are told apart, in seconds: a stretch of a deploy takes a minute, a build up to an
/// hour.
const BUCKETS: [f64; 12] = [
    1.0, 5.0, 15.0, 30.0, 60.0, 90.0, 180.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0,
];

/// How a job ended for its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobResult {
    /// Its success was reported.
    Succeeded,
    /// Its failure was reported.
    Failed,
    /// It was handed back with a continuation token.
    HandedBack,
    /// It was over before its result could be put: timed out, or abandoned.
    Over,
    /// CodePipeline could not be told. Who tells it later does not count it again.
    Unreported,
}

impl JobResult {
    const fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::HandedBack => "handed-back",
            Self::Over => "over",
            Self::Unreported => "unreported",
        }
    }
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollResult {
    /// With jobs.
    Jobs,
    /// Without.
    Empty,
    /// CodePipeline said that it is asked too often.
    Throttled,
    /// No answer, or a refusal.
    Failed,
}

impl PollResult {
    const fn word(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Empty => "empty",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
        }
    }
}

/// How the acknowledgement of a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimResult {
    /// The job is ours.
    Claimed,
    /// Another worker's, or nobody's any more: normal in a fleet.
    Missed,
    /// CodePipeline did not say.
    Failed,
}

impl ClaimResult {
    const fn word(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Missed => "missed",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCategory {
    category: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    category: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    category: &'static str,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPoll {
    action_type: String,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    action_type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfService {
    service: String,
}

/// The counters of one worker; a cheap handle.
#[derive(Clone)]
pub struct Metrics(Arc<Counted>);

struct Counted {
    registry: Registry,
    jobs: Family<OfResult, Counter>,
    durations: Family<OfResult, Histogram, fn() -> Histogram>,
    failures: Family<OfKind, Counter>,
    in_flight: Family<OfCategory, Gauge>,
    slots: Family<OfCategory, Gauge>,
    claims: Family<OfResult, Counter>,
    polls: Family<OfPoll, Counter>,
    last_poll: Family<OfType, Gauge>,
    throttles: Family<OfService, Counter>,
    orphans: Gauge,
    wakes: Counter,
    draining: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("slipway_worker");
        let durations: Family<OfResult, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let mut counted = Counted {
            jobs: Family::default(),
            durations,
            failures: Family::default(),
            in_flight: Family::default(),
            slots: Family::default(),
            claims: Family::default(),
            polls: Family::default(),
            last_poll: Family::default(),
            throttles: Family::default(),
            orphans: Gauge::default(),
            wakes: Counter::default(),
            draining: Gauge::default(),
            registry: Registry::default(),
        };
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of slipway", version);
        registry.register("jobs", "Jobs that ended, by how", counted.jobs.clone());
        registry.register_with_unit(
            "job_duration",
            "From the claim of a job to its report",
            Unit::Seconds,
            counted.durations.clone(),
        );
        registry.register(
            "job_failures",
            "Jobs that failed, by the kind of failure",
            counted.failures.clone(),
        );
        registry.register(
            "jobs_in_flight",
            "Jobs that are claimed and not closed",
            counted.in_flight.clone(),
        );
        registry.register(
            "slots",
            "Jobs that are done at the same time at most",
            counted.slots.clone(),
        );
        registry.register(
            "claims",
            "Jobs that were acknowledged, by how it ended",
            counted.claims.clone(),
        );
        registry.register(
            "polls",
            "Polls for jobs, by how they ended",
            counted.polls.clone(),
        );
        registry.register_with_unit(
            "last_poll_timestamp",
            "When jobs were last polled for, since the Unix epoch",
            Unit::Seconds,
            counted.last_poll.clone(),
        );
        registry.register(
            "throttles",
            "Answers of AWS that it is asked too often",
            counted.throttles.clone(),
        );
        registry.register(
            "journal_orphans",
            "Jobs of workers that died, which are not closed yet",
            counted.orphans.clone(),
        );
        registry.register(
            "wakes",
            "Times that the queue said there is work of an action type",
            counted.wakes.clone(),
        );
        registry.register(
            "draining",
            "Whether it is stopping, and takes no more jobs",
            counted.draining.clone(),
        );
        counted.registry = registry;
        Self(Arc::new(counted))
    }
}

impl Metrics {
    /// The counters of a worker with so many slots for each category.
    #[must_use]
    pub fn with_slots(slots: &[(Category, usize)]) -> Self {
        let metrics = Self::default();
        for (category, slots) in slots {
            let labels = of_category(*category);
            metrics.0.slots.get_or_create(&labels).set(whole(*slots));
            // What is always there can be added up from the first scrape on.
            metrics.0.in_flight.get_or_create(&labels).set(0);
        }
        metrics
    }

    /// A job was claimed.
    pub fn began(&self, category: Category) {
        self.0.in_flight.get_or_create(&of_category(category)).inc();
    }

    /// A job that began has ended, after so long.
    pub fn ended(&self, category: Category, result: JobResult, took: Duration) {
        let labels = OfResult {
            category: word(category),
            result: result.word(),
        };
        self.0.in_flight.get_or_create(&of_category(category)).dec();
        self.0.jobs.get_or_create(&labels).inc();
        self.0
            .durations
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// A job failed, and this is of which kind.
    pub fn failed(&self, category: Category, kind: Kind) {
        let labels = OfKind {
            category: word(category),
            kind: kind.word(),
        };
        self.0.failures.get_or_create(&labels).inc();
    }

    /// A job was acknowledged.
    pub fn claimed(&self, category: Category, result: ClaimResult) {
        let labels = OfResult {
            category: word(category),
            result: result.word(),
        };
        self.0.claims.get_or_create(&labels).inc();
    }

    /// An action type was polled, at this time since the Unix epoch.
    pub fn polled(&self, id: &ActionTypeId, result: PollResult, now: Duration) {
        let action_type = id.to_string();
        let at = OfType {
            action_type: action_type.clone(),
        };
        let labels = OfPoll {
            action_type,
            result: result.word(),
        };
        self.0.polls.get_or_create(&labels).inc();
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.0.last_poll.get_or_create(&at).set(seconds);
    }

    /// A service of AWS said that it is asked too often.
    pub fn throttled(&self, service: &str) {
        let service = service.to_owned();
        self.0.throttles.get_or_create(&OfService { service }).inc();
    }

    /// So many jobs of workers that died are known and not closed.
    pub fn orphans(&self, jobs: usize) {
        self.0.orphans.set(whole(jobs));
    }

    /// A message said that there is work.
    pub fn woken(&self) {
        self.0.wakes.inc();
    }

    /// A stop was asked for.
    pub fn drain(&self) {
        self.0.draining.set(1);
    }

    /// All of it as text, with its content type: OpenMetrics if whoever asks accepts that, or what every reader of
    /// Prometheus's format knows.
    ///
    /// # Errors
    /// None, as long as memory can be had.
    pub fn text(&self, accept: Option<&str>) -> Result<(&'static str, String), fmt::Error> {
        const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let mut written = String::new();
        if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            text::encode(&mut written, &self.0.registry)?;
            return Ok((OPEN_METRICS, written));
        }
        prometheus_text::encode(&mut written, &self.0.registry)?;
        Ok((prometheus_text::CONTENT_TYPE, written))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

const fn word(category: Category) -> &'static str {
    match category {
        Category::Build => "build",
        Category::Deploy => "deploy",
    }
}

const fn of_category(category: Category) -> OfCategory {
    OfCategory {
        category: word(category),
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{ClaimResult, JobResult, Metrics, PollResult};
    use crate::failure::Kind;
    use crate::pipeline::job::Category;
    use std::time::Duration;

    fn counted() -> Metrics {
        let metrics = Metrics::with_slots(&[(Category::Build, 2), (Category::Deploy, 20)]);
        let deploy = "Deploy/Slipway/1".parse().unwrap();
        metrics.polled(&deploy, PollResult::Throttled, Duration::from_secs(1_000));
        metrics.polled(&deploy, PollResult::Jobs, Duration::from_millis(1_005_700));
        metrics.claimed(Category::Deploy, ClaimResult::Claimed);
        metrics.claimed(Category::Deploy, ClaimResult::Missed);
        metrics.began(Category::Deploy);
        metrics.began(Category::Deploy);
        metrics.ended(Category::Deploy, JobResult::Failed, Duration::from_secs(61));
        metrics.failed(Category::Deploy, Kind::RolledBack);
        metrics.throttled("ECS");
        metrics.throttled("ECS");
        metrics.orphans(3);
        metrics.woken();
        metrics
    }

    #[test]
    fn what_was_counted_is_told() {
        let (kind, text) = counted().text(None).unwrap();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        for line in [
            "slipway_worker_jobs_total{category=\"deploy\",result=\"failed\"} 1",
            "slipway_worker_job_duration_seconds_bucket{category=\"deploy\",result=\"failed\",le=\"60\"} 0",
            "slipway_worker_job_duration_seconds_bucket{category=\"deploy\",result=\"failed\",le=\"90\"} 1",
            "slipway_worker_job_failures_total{category=\"deploy\",kind=\"rolled-back\"} 1",
            "slipway_worker_jobs_in_flight{category=\"deploy\"} 1",
            "slipway_worker_jobs_in_flight{category=\"build\"} 0",
            "slipway_worker_slots{category=\"deploy\"} 20",
            "slipway_worker_claims_total{category=\"deploy\",result=\"missed\"} 1",
            "slipway_worker_polls_total{action_type=\"Deploy/Slipway/1\",result=\"throttled\"} 1",
            "slipway_worker_last_poll_timestamp_seconds{action_type=\"Deploy/Slipway/1\"} 1005",
            "slipway_worker_throttles_total{service=\"ECS\"} 2",
            "slipway_worker_journal_orphans 3",
            "slipway_worker_wakes_total 1",
            "slipway_worker_draining 0",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }

    #[test]
    fn open_metrics_are_for_who_accepts_them() {
        let (kind, text) = counted()
            .text(Some("application/openmetrics-text;version=1.0.0,*/*;q=0.1"))
            .unwrap();
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"));
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
