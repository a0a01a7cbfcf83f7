//! Flags over variables over defaults; every value is looked at, and every problem told.

use super::options::{
    ACTION_TYPE, ARTIFACT_CREDENTIALS, BUILD_TIMEOUT, BUILDS, FLEET, GRACE, HEALTH_LISTEN, JOBS, LOST_BUILDS,
    ON_ABANDON, POLL_BUSY, POLL_IDLE, STATE_DIR, STRETCH, WAKE_QUEUE, WORK_DIR, WorkerOption,
};
use super::{ArtifactCredentials, LostBuilds, OnAbandon, WorkerSettings};
use crate::config::elements;
use crate::config::resolve::strange_variables;
use crate::config::written::{Environment, Given, Origin, Problem};
use crate::pipeline::job::{ActionTypeId, Category};
use crate::pipeline::pace::Limits;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// The most slots of a kind: each is a watch in memory, and all share one process's connections.
const MOST_SLOTS: usize = 1000;

/// The most characters of a fleet that the API's shape takes.
const MOST_OF_A_FLEET: usize = 50;

/// The most that the API's documentation speaks of.
const DOCUMENTED_OF_A_FLEET: usize = 20;

/// What the layers mean for a worker, and what is odd about them without being wrong.
#[derive(Debug)]
pub struct ResolvedWorker {
    /// The settings.
    pub settings: WorkerSettings,
    /// One line each.
    pub warnings: Vec<String>,
}

/// Makes a worker's settings of its environment and flags.
///
/// # Errors
/// Every problem, variables before flags.
pub fn resolve(environment: &Environment, flags: &[Given]) -> Result<ResolvedWorker, Vec<Problem>> {
    let mut reader = Reader {
        environment,
        flags,
        problems: Vec::new(),
        warnings: strange_variables(environment),
    };
    let deploys = reader.one(JOBS, slots);
    let builds = reader.one(BUILDS, slots);
    let slots = (deploys.unwrap_or(1), builds.unwrap_or(1));
    let action_types = reader.action_types(slots);
    let fleets = reader.fleets();
    let busy = reader.one(POLL_BUSY, elements::duration);
    let idle = reader.one(POLL_IDLE, elements::duration);
    if let (Some(busy), Some(idle)) = (busy, idle)
        && idle < busy
    {
        let text = format!("expected no less than `{}`", POLL_BUSY.flag);
        reader.wrong(POLL_IDLE, &text);
    }
    let state_dir = reader.one(STATE_DIR, folder);
    let work_dir = if reader.said(WORK_DIR).is_some() {
        reader.one(WORK_DIR, folder)
    } else {
        let temporary = environment.value("TMPDIR").unwrap_or("/tmp");
        Some(Path::new(temporary).join("slipway"))
    };
    let choices = (
        reader.one(ARTIFACT_CREDENTIALS, artifact_credentials),
        reader.one(ON_ABANDON, on_abandon),
        reader.one(LOST_BUILDS, lost_builds),
    );
    let stretch = reader.one(STRETCH, elements::duration);
    let grace = reader.one(GRACE, elements::duration);
    let build_timeout = reader.one(BUILD_TIMEOUT, elements::duration);
    let health = reader.optional(HEALTH_LISTEN, address);
    let wake_queue = reader.optional(WAKE_QUEUE, queue);
    let mut problems = reader.problems;
    problems.sort();
    problems.dedup();
    let all = (
        (deploys, builds, state_dir, work_dir),
        choices,
        (stretch, grace, build_timeout, busy, idle),
    );
    let (
        (Some(deploys), Some(builds), Some(state_dir), Some(work_dir)),
        (Some(artifact_credentials), Some(on_abandon), Some(lost_builds)),
        (Some(stretch), Some(grace), Some(build_timeout), Some(busy), Some(idle)),
        true,
    ) = (all.0, all.1, all.2, problems.is_empty())
    else {
        return Err(problems);
    };
    let settings = WorkerSettings {
        region: region(environment, flags),
        action_types,
        fleets,
        deploys,
        builds,
        state_dir,
        work_dir,
        artifact_credentials,
        stretch,
        grace,
        build_timeout,
        on_abandon,
        lost_builds,
        pace: Limits { busy, idle },
        health,
        wake_queue,
    };
    Ok(ResolvedWorker {
        settings,
        warnings: reader.warnings,
    })
}

/// The region that slipway's own layers name; AWS's variables are the SDK's to read.
fn region(environment: &Environment, flags: &[Given]) -> Option<String> {
    let typed = flags.iter().find(|given| given.flag == "--region");
    typed
        .and_then(|given| given.values.last().cloned())
        .or_else(|| environment.value("SLIPWAY_REGION").map(str::to_owned))
}

struct Reader<'a> {
    environment: &'a Environment,
    flags: &'a [Given],
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    /// What was said, and where; none if nothing was.
    fn said(&self, option: WorkerOption) -> Option<(Origin, Vec<String>)> {
        let typed = self.flags.iter().find(|given| given.flag == option.flag);
        if let Some(given) = typed {
            return Some((Origin::Flag(option.flag), given.values.clone()));
        }
        let text = self.environment.value(option.variable)?;
        let values = if option.several {
            split(text)
        } else {
            vec![text.to_owned()]
        };
        Some((Origin::Variable(option.variable), values))
    }

    fn values(&self, option: WorkerOption) -> (Origin, Vec<String>) {
        self.said(option)
            .unwrap_or_else(|| (Origin::Nowhere, split(option.default)))
    }

    fn wrong(&mut self, option: WorkerOption, text: &str) {
        let (origin, _) = self.values(option);
        self.problems.push(Problem::new(origin, option.flag, text));
    }

    fn one<T>(&mut self, option: WorkerOption, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (_, values) = self.values(option);
        let text = values.last().map(String::as_str).unwrap_or_default();
        match parse(text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong(option, &problem);
                None
            }
        }
    }

    /// An option that need not be there.
    fn optional<T>(
        &mut self,
        option: WorkerOption,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.said(option)?;
        self.one(option, parse)
    }

    /// The types that are served: those that were named, or of the usual ones those that have slots.
    fn action_types(&mut self, (deploys, builds): (usize, usize)) -> Vec<ActionTypeId> {
        let slots = |category| match category {
            Category::Build => (builds, BUILDS.flag),
            Category::Deploy => (deploys, JOBS.flag),
        };
        let (origin, values) = self.values(ACTION_TYPE);
        let mut types: Vec<ActionTypeId> = Vec::new();
        for value in values {
            match value.parse::<ActionTypeId>() {
                Ok(id) => match slots(id.category) {
                    (0, _) if origin == Origin::Nowhere => {}
                    (0, flag) => self.wrong(ACTION_TYPE, &format!("`{id}` has no slots: `{flag}` is 0")),
                    _ if types.contains(&id) => {}
                    _ => types.push(id),
                },
                Err(error) => self.wrong(ACTION_TYPE, &error.to_string()),
            }
        }
        if (deploys, builds) == (0, 0) {
            let text = format!(
                "expected slots for deploys or for builds: `{}` is 0 too",
                BUILDS.flag
            );
            self.wrong(JOBS, &text);
        }
        types
    }

    fn fleets(&mut self) -> Vec<String> {
        let (_, values) = self.values(FLEET);
        let mut fleets: Vec<String> = Vec::new();
        for fleet in values {
            let is_word = fleet
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            if !is_word || !(1..=MOST_OF_A_FLEET).contains(&fleet.len()) {
                let text =
                    format!("expected 1 to {MOST_OF_A_FLEET} letters, digits, `_` and `-`, found `{fleet}`");
                self.wrong(FLEET, &text);
                continue;
            }
            if fleet.len() > DOCUMENTED_OF_A_FLEET {
                self.warnings.push(format!(
                    "fleet `{fleet}`: AWS documents {DOCUMENTED_OF_A_FLEET} characters at most for a value that is \
                     polled for"
                ));
            }
            if !fleets.contains(&fleet) {
                fleets.push(fleet);
            }
        }
        fleets
    }
}

fn split(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn slots(text: &str) -> Result<usize, String> {
    let slots = text.parse().ok().filter(|slots| *slots <= MOST_SLOTS);
    slots.ok_or_else(|| format!("expected a whole number, {MOST_SLOTS} at most, found `{text}`"))
}

fn folder(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("expected a folder".to_owned());
    }
    Ok(PathBuf::from(text))
}

fn artifact_credentials(text: &str) -> Result<ArtifactCredentials, String> {
    match text {
        "job" => Ok(ArtifactCredentials::Job),
        "worker" => Ok(ArtifactCredentials::Worker),
        _ => Err(format!("expected `job` or `worker`, found `{text}`")),
    }
}

fn on_abandon(text: &str) -> Result<OnAbandon, String> {
    match text {
        "leave" => Ok(OnAbandon::Leave),
        "rollback" => Ok(OnAbandon::Rollback),
        _ => Err(format!("expected `leave` or `rollback`, found `{text}`")),
    }
}

fn lost_builds(text: &str) -> Result<LostBuilds, String> {
    match text {
        "retry" => Ok(LostBuilds::Retry),
        "fail" => Ok(LostBuilds::Fail),
        _ => Err(format!("expected `retry` or `fail`, found `{text}`")),
    }
}

/// An address of a worker's health: whoever names only a port means this machine.
///
/// # Errors
/// What was expected.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse()
        .map_err(|_| format!("expected an address such as `127.0.0.1:8080`, or a port, found `{text}`"))
}

fn queue(text: &str) -> Result<String, String> {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    // Scheme, host, account and name.
    let is_url = rest.is_some_and(|rest| {
        let parts: Vec<&str> = rest.split('/').collect();
        parts.len() >= 3 && parts.iter().all(|part| !part.is_empty())
    });
    if is_url && !text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "expected a queue's URL, such as `https://sqs.eu-west-1.amazonaws.com/123456789012/slipway`, found `{text}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::{ArtifactCredentials, LostBuilds, OnAbandon, resolve};
    use crate::config::worker::{OPTIONS, WorkerSettings};
    use crate::config::written::{Environment, Given};
    use std::path::Path;
    use std::time::Duration;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let owned = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        owned.collect()
    }

    fn flags(given: &[(&'static str, &[&str])]) -> Vec<Given> {
        let given = given.iter().map(|(flag, values)| Given {
            flag,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        });
        given.collect()
    }

    fn settings(variables: &[(&str, &str)], given: &[(&'static str, &[&str])]) -> WorkerSettings {
        resolve(&environment(variables), &flags(given)).unwrap().settings
    }

    fn problems(variables: &[(&str, &str)], given: &[(&'static str, &[&str])]) -> Vec<String> {
        let problems = resolve(&environment(variables), &flags(given)).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    fn types(settings: &WorkerSettings) -> Vec<String> {
        settings.action_types.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nothing_said_is_a_worker_of_both_types() {
        let worker = settings(&[], &[]);
        assert_eq!(types(&worker), ["Build/Slipway/1", "Deploy/Slipway/1"]);
        assert_eq!(worker.fleets, ["default"]);
        assert_eq!((worker.deploys, worker.builds), (20, 2));
        assert_eq!(worker.state_dir, Path::new("/var/lib/slipway"));
        assert_eq!(worker.work_dir, Path::new("/tmp/slipway"));
        assert_eq!((worker.stretch.as_secs(), worker.grace.as_secs()), (60, 600));
        assert_eq!(worker.build_timeout.as_secs(), 3600);
        assert_eq!(
            (worker.pace.busy, worker.pace.idle),
            (Duration::from_secs(1), Duration::from_secs(20))
        );
        assert_eq!(
            (worker.health, worker.wake_queue, worker.region),
            (None, None, None)
        );
    }

    #[test]
    fn flags_win_over_variables_and_lists_are_told_once_each() {
        let worker = settings(
            &[
                ("SLIPWAY_FLEET", "a, b,a"),
                ("SLIPWAY_JOBS", "7"),
                ("SLIPWAY_ON_ABANDON", "rollback"),
                ("SLIPWAY_LOST_BUILDS", "fail"),
                ("SLIPWAY_REGION", "eu-west-1"),
                ("TMPDIR", "/scratch"),
            ],
            &[
                ("--jobs", &["200"]),
                ("--action-type", &["Deploy/Slipway/2", "Deploy/Slipway/2"]),
                ("--artifact-credentials", &["worker"]),
                ("--health-listen", &["8080"]),
                ("--wake-queue", &["https://sqs.eu-west-1.amazonaws.com/1/q"]),
                ("--region", &["eu-west-2"]),
            ],
        );
        assert_eq!(types(&worker), ["Deploy/Slipway/2"]);
        assert_eq!(worker.fleets, ["a", "b"]);
        assert_eq!(worker.deploys, 200);
        assert_eq!(worker.artifact_credentials, ArtifactCredentials::Worker);
        assert_eq!(worker.on_abandon, OnAbandon::Rollback);
        assert_eq!(worker.lost_builds, LostBuilds::Fail);
        assert_eq!(worker.health.unwrap().to_string(), "127.0.0.1:8080");
        assert_eq!(worker.work_dir, Path::new("/scratch/slipway"));
        assert_eq!(worker.region.as_deref(), Some("eu-west-2"));
    }

    #[test]
    fn a_worker_without_slots_of_a_kind_serves_the_other_one() {
        assert_eq!(
            types(&settings(&[], &[("--builds", &["0"])])),
            ["Deploy/Slipway/1"]
        );
        assert_eq!(types(&settings(&[], &[("--jobs", &["0"])])), ["Build/Slipway/1"]);
        let none = problems(&[], &[("--jobs", &["0"]), ("--builds", &["0"])]);
        assert_eq!(
            none,
            ["--jobs: expected slots for deploys or for builds: `--builds` is 0 too"]
        );
        let named = problems(
            &[],
            &[("--builds", &["0"]), ("--action-type", &["Build/Slipway/1"])],
        );
        assert_eq!(
            named,
            ["--action-type: `Build/Slipway/1` has no slots: `--builds` is 0"]
        );
    }

    #[test]
    fn every_problem_is_told_at_once_with_its_place() {
        let long = "f".repeat(51);
        let found = problems(
            &[
                ("SLIPWAY_JOBS", "many"),
                ("SLIPWAY_STRETCH", "soon"),
                ("SLIPWAY_FLEET", &format!("a b,{long}")),
            ],
            &[
                ("--action-type", &["Test/Slipway/1"]),
                ("--poll-busy", &["30s"]),
                ("--poll-idle", &["10s"]),
                ("--health-listen", &["localhost"]),
                ("--wake-queue", &["arn:aws:sqs:eu-west-1:1:q"]),
                ("--on-abandon", &["stop"]),
                ("--lost-builds", &["drop"]),
                ("--artifact-credentials", &["both"]),
                ("--state-dir", &[""]),
            ],
        );
        assert_eq!(found.len(), 12, "{found:#?}");
        for said in [
            "SLIPWAY_JOBS: expected a whole number",
            "SLIPWAY_FLEET: expected 1 to 50 letters",
            "--action-type: `Test/Slipway/1` is no action type",
            "--poll-idle: expected no less than `--poll-busy`",
            "--health-listen: expected an address such as",
            "--wake-queue: expected a queue's URL",
            "--state-dir: expected a folder",
        ] {
            assert!(
                found.iter().any(|problem| problem.starts_with(said)),
                "{said}: {found:#?}"
            );
        }
    }

    #[test]
    fn a_long_fleet_and_a_strange_variable_are_warned_of() {
        let fleet = "f".repeat(21);
        let resolved = resolve(
            &environment(&[("SLIPWAY_FLEETS", "a"), ("SLIPWAY_FLEET", &fleet)]),
            &[],
        )
        .unwrap();
        assert_eq!(resolved.settings.fleets, [fleet]);
        assert_eq!(resolved.warnings.len(), 2, "{:?}", resolved.warnings);
        assert!(resolved.warnings[0].contains("did you mean `SLIPWAY_FLEET`?"));
    }

    #[test]
    fn every_default_is_one_that_could_be_said() {
        let said: Vec<(&str, String)> = OPTIONS
            .iter()
            .filter(|option| !option.default.is_empty())
            .map(|option| (option.variable, option.default.to_owned()))
            .collect();
        let said: Vec<(&str, &str)> = said.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(settings(&said, &[]), settings(&[], &[]));
    }
}
