//! A job's own secrets, kept out of everything that is told of it: also out of what a build step prints.

use crate::failure::Failure;
use crate::pipeline::action_type::properties::SECRETS;
use crate::pipeline::job::Job;
use crate::report::event::{Event, StepState, Tell};
use crate::secret::Secret;
use crate::secret::redact::mask;
use crate::stage::deploy::masked;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The least length of a value that is hidden.
const LEAST: usize = 4;

/// The least length of a line of a value that is hidden by itself: a shorter one (`}`, `true`) stands in too many texts.
const LEAST_LINE: usize = 8;

/// The lines of a value of several.
fn lines(value: &Secret<String>) -> Vec<Secret<String>> {
    let value = value.expose();
    let lines = value.lines().map(str::trim);
    lines
        .filter(|line| line.len() >= LEAST_LINE && *line != value)
        .map(|line| Secret::new(line.to_owned()))
        .collect()
}

/// Values that no text of a job may show, the longest first; a cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Hide {
    values: Arc<[Secret<String>]>,
    /// The worker's folder, whose path says nothing to whoever reads of a job's files.
    folder: Arc<str>,
}

impl Hide {
    /// Hides these values.
    #[must_use]
    pub fn new(values: Vec<Secret<String>>) -> Self {
        Self {
            values: values.into(),
            folder: Arc::from(""),
        }
    }

    /// Leaves the path of a worker's folder out of texts as well: `job-x/Source/Dockerfile` below it is
    /// `Source/Dockerfile`.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        Self {
            folder: folder.to_string_lossy().into(),
            ..self
        }
    }

    /// Hides the secrets of a job's configuration, also if the rest of it cannot be read.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let mut values: Vec<Secret<String>> = Vec::new();
        if let Some(secrets) = job.configuration.get(SECRETS) {
            values.push(secrets.clone());
            if let Ok(Value::Object(members)) = serde_json::from_str(secrets.expose()) {
                let texts = members.values().filter_map(Value::as_str);
                values.extend(texts.map(|text| Secret::new(text.to_owned())));
            }
            // What a build step prints comes line by line.
            let lines: Vec<Secret<String>> = values.iter().flat_map(lines).collect();
            values.extend(lines);
        }
        // A shorter one stands by chance in too many texts.
        values.retain(|value| value.expose().len() >= LEAST);
        // Longer ones first: one may be a part of another.
        values.sort_by_key(|value| std::cmp::Reverse(value.expose().len()));
        Self::new(values)
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &[Secret<String>] {
        &self.values
    }

    /// The names of those settings (build arguments) that hold one of them.
    pub fn names_of<'a>(
        &'a self,
        settings: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = String> + 'a {
        let holds = |text: &str| {
            self.values
                .iter()
                .any(|value| text.contains(value.expose().as_str()))
        };
        let holding = settings.iter().filter(move |(_, text)| holds(text));
        holding.map(|(name, _)| name.clone())
    }

    /// A text without them, and without what looks like a credential.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        mask(&self.shortened(text), &self.values)
    }

    fn shortened(&self, text: &str) -> String {
        if self.folder.is_empty() {
            return text.to_owned();
        }
        let mut parts = text.split(&*self.folder);
        let mut short = parts.next().unwrap_or_default().to_owned();
        for rest in parts {
            // The folder of the job comes next.
            let inside = rest.strip_prefix('/').and_then(|rest| rest.split_once('/'));
            short.push_str(inside.map_or(rest, |(_, inside)| inside));
        }
        short
    }

    /// Where events go without them.
    #[must_use]
    pub fn tell(&self, tell: Tell) -> Tell {
        let hide = self.clone();
        Tell::new(move |event| tell.tell(hide.event(event)))
    }

    /// A failure without them, its sources included.
    #[must_use]
    pub fn failure(&self, failure: Failure) -> Failure {
        let failure = masked(failure, &self.values);
        let short = |text: String| self.shortened(&text);
        let all = |texts: Vec<String>| texts.into_iter().map(short).collect::<Vec<_>>();
        let said = failure.root_cause();
        let cause = said.clone().map(short);
        let is_same = said == cause;
        Failure {
            what: short(failure.what),
            cause: if is_same { failure.cause } else { cause },
            source: failure.source.filter(|_| is_same),
            place: failure.place.map(short),
            left: failure.left.map(short),
            hints: all(failure.hints),
            evidence: all(failure.evidence),
            ..failure
        }
    }

    fn event(&self, mut event: Event) -> Event {
        let hide = |text: &mut String| *text = self.text(text);
        match &mut event {
            Event::Note(text)
            | Event::Warning(text)
            | Event::BuildLine { line: text, .. }
            | Event::TaskLine { line: text, .. }
            | Event::TaskWaiting { what_for: text, .. }
            | Event::Waiting { what_for: text, .. }
            | Event::ServiceEvent { message: text, .. }
            | Event::Lost { what: text, .. }
            | Event::Unwatched { doing: text, .. }
            | Event::Wrote { place: text, .. }
            | Event::Retold { what: text, .. } => hide(text),
            Event::BuildStep { step, state, .. } => {
                hide(step);
                if let StepState::Failed { error } = state {
                    hide(error);
                }
            }
            // Names, numbers and digests.
            Event::PhaseStarted { .. }
            | Event::PhaseFinished { .. }
            | Event::ContextSent { .. }
            | Event::LayerProgress { .. }
            | Event::Pushed { .. }
            | Event::Reused { .. }
            | Event::ImageChange { .. }
            | Event::Registered { .. }
            | Event::TaskStarted { .. }
            | Event::TaskDone { .. }
            | Event::DeploymentStarted { .. }
            | Event::DigestProven { .. }
            | Event::Healthy { .. }
            | Event::RollingBack { .. }
            | Event::Unchanged { .. }
            // What a worker says of its jobs is masked where it is made.
            | Event::OfJob { .. }
            | Event::JobClaimed { .. }
            | Event::JobHandedBack { .. }
            | Event::JobDone { .. }
            | Event::JobFailed(_) => {}
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::{Hide, SECRETS};
    use crate::failure::{Failure, Kind};
    use crate::pipeline::job::{Context, Job, JobId};
    use crate::report::event::{Event, Tell};
    use crate::secret::Secret;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    #[test]
    fn the_worker_s_folder_is_left_out_of_paths() {
        let hide = Hide::default().below("/var/work/slipway-work-a1".as_ref());
        for (text, short) in [
            (
                "/var/work/slipway-work-a1/job-x/Source/Dockerfile: no",
                "Source/Dockerfile: no",
            ),
            ("in /var/work/slipway-work-a1", "in "),
            ("elsewhere", "elsewhere"),
        ] {
            assert_eq!(hide.text(text), short);
            let failure = hide.failure(Failure::new(Kind::Build, text).cause(text));
            assert_eq!(
                (failure.what.as_str(), failure.cause.as_deref()),
                (short, Some(short))
            );
        }
    }

    #[test]
    fn a_value_of_several_lines_is_hidden_line_by_line() {
        let job = Job {
            id: JobId::new("1"),
            action_type: "Build/Slipway/1".parse().unwrap(),
            account: String::new(),
            context: Context::default(),
            configuration: BTreeMap::from([(
                SECRETS.to_owned(),
                Secret::new(r#"{"CFG":"user=x\nfirst-canary-line\n  second-canary-line\n}"}"#.to_owned()),
            )]),
            inputs: Vec::new(),
            outputs: Vec::new(),
            continuation: None,
            key: None,
        };
        let hide = Hide::of(&job);
        for line in [
            "first-canary-line",
            "  second-canary-line",
            "echo first-canary-line!",
        ] {
            let shown = hide.text(line);
            assert!(!shown.contains("canary") && shown.contains("[secret]"), "{shown}");
        }
        assert_eq!(hide.text("}"), "}");
    }

    #[test]
    fn settings_that_hold_a_secret_are_known_by_it() {
        let hide = Hide::new(vec!["canary-1234".to_owned().into()]);
        let settings = [("A", "x-canary-1234"), ("B", "canary"), ("CANARY-1234", "b")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(hide.names_of(&settings.into()).collect::<Vec<_>>(), ["A"]);
    }

    #[test]
    fn a_secret_shows_up_in_no_event_and_no_failure() {
        let hide = Hide::new(vec!["canary-1234".to_owned().into()]);
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let tell = hide.tell(Tell::new(move |event| heard.lock().unwrap().push(event)));
        tell.tell(Event::BuildLine {
            image: "web".to_owned(),
            line: "npm login canary-1234".to_owned(),
        });
        let failure = Failure::new(Kind::Build, "step canary-1234 failed")
            .because(std::io::Error::other("it said canary-1234"))
            .evidence(["canary-1234".to_owned()]);
        let said = format!("{:?} {:?}", told.lock().unwrap(), hide.failure(failure));
        assert!(!said.contains("canary") && said.contains("[secret]"), "{said}");
    }
}
