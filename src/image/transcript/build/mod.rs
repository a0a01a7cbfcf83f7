//! The messages of a build, folded into steps, lines, and the image id or the reason why there is none.

mod fault;
mod lines;

pub use fault::{BuildFailure, BuildFault};

use super::dockerfile::line_of;
use crate::report::event::{Event, StepState};
use crate::secret::Secret;
use crate::secret::redact::{hide, redact};
use fault::{exit_code_of, fault_of, parse_error_line, unwrap_text};
use lines::Lines;
use std::collections::BTreeMap;
use std::time::Duration;

/// One message of a build, of either builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildMessage {
    /// A piece of the classic builder's text.
    Text(String),
    /// BuildKit: a step as it is.
    Vertex(Vertex),
    /// BuildKit: a piece of a step's output.
    Log(Log),
    /// BuildKit: a remark on the Dockerfile.
    Warning(String),
    /// The id of the image that was built.
    ImageId(String),
    /// The build failed; the text may be empty.
    Error(String),
}

/// A step of BuildKit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vertex {
    /// Its identity.
    pub digest: String,
    /// Its name.
    pub name: String,
    /// Whether its result came from the cache.
    pub cached: bool,
    /// When it started, since the Unix epoch, by the Engine's clock.
    pub started: Option<Duration>,
    /// When it ended, likewise.
    pub completed: Option<Duration>,
    /// Its error; empty if none.
    pub error: String,
}

/// A piece of the output of one step of BuildKit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The step's identity.
    pub vertex: String,
    /// The bytes that it printed.
    pub bytes: Vec<u8>,
}

/// How BuildKit unpacks a context that was streamed to it.
const UNPACK: &str = "copy /context /";

/// Folds the messages of one build.
#[derive(Debug)]
pub struct BuildTranscript {
    image: String,
    dockerfile: String,
    hidden: Vec<Secret<String>>,
    steps: BTreeMap<String, Step>,
    /// The key of the classic builder's running step.
    classic: Option<String>,
    classic_text: Lines,
    id: Option<String>,
    failed: Option<(String, String)>,
    error: Option<String>,
}

#[derive(Debug, Default)]
struct Step {
    name: String,
    lines: Lines,
    started: bool,
    cached: bool,
    ended: bool,
}

impl BuildTranscript {
    /// A transcript of one image's build, told under its table name; the Dockerfile's text finds a step's line.
    #[must_use]
    pub fn new(image: impl Into<String>, dockerfile: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            dockerfile: dockerfile.into(),
            hidden: Vec::new(),
            steps: BTreeMap::new(),
            classic: None,
            classic_text: Lines::default(),
            id: None,
            failed: None,
            error: None,
        }
    }

    /// Hides values in the builder's own words: BuildKit names a step with its build arguments put in. What a step
    /// prints is the build's own affair and stays as it is.
    #[must_use]
    pub fn hiding(mut self, values: Vec<Secret<String>>) -> Self {
        self.hidden = values;
        self
    }

    /// Takes one message and says what to tell.
    pub fn fold(&mut self, mut message: BuildMessage) -> Vec<Event> {
        match &mut message {
            BuildMessage::Vertex(vertex) => {
                hide(&mut vertex.name, &self.hidden);
                hide(&mut vertex.error, &self.hidden);
            }
            BuildMessage::Warning(text) | BuildMessage::Error(text) => hide(text, &self.hidden),
            BuildMessage::Text(_) | BuildMessage::Log(_) | BuildMessage::ImageId(_) => {}
        }
        match message {
            BuildMessage::Text(text) => {
                let lines = self.classic_text.push(text.as_bytes());
                lines
                    .into_iter()
                    .flat_map(|line| self.classic_line(&line))
                    .collect()
            }
            BuildMessage::Vertex(vertex) => self.vertex(&vertex),
            BuildMessage::Log(log) => {
                let lines = self.steps.entry(log.vertex).or_default().lines.push(&log.bytes);
                lines.into_iter().map(|line| self.line(line)).collect()
            }
            BuildMessage::Warning(text) => vec![Event::Warning(redact(&text))],
            BuildMessage::ImageId(id) => {
                self.id = Some(id);
                Vec::new()
            }
            BuildMessage::Error(text) => {
                // The first error is the cause; what follows are its consequences.
                self.error.get_or_insert(text);
                Vec::new()
            }
        }
    }

    fn line(&self, line: String) -> Event {
        Event::BuildLine {
            image: self.image.clone(),
            line,
        }
    }

    fn step(&self, step: &str, state: StepState) -> Event {
        Event::BuildStep {
            image: self.image.clone(),
            step: redact(step),
            state,
        }
    }

    fn vertex(&mut self, vertex: &Vertex) -> Vec<Event> {
        let step = self.steps.entry(vertex.digest.clone()).or_default();
        step.name.clone_from(&vertex.name);
        let starts = !step.started && vertex.started.is_some();
        let ends = !step.ended && (vertex.completed.is_some() || !vertex.error.is_empty());
        step.started |= starts;
        step.ended |= ends;
        let rest = if ends { step.lines.rest() } else { None };
        // The builder's own housekeeping is no step of the Dockerfile.
        let housekeeping = vertex.name.starts_with("[internal]") || vertex.name == UNPACK;
        let mut events = Vec::new();
        if starts && !vertex.cached && !housekeeping {
            events.push(self.step(&vertex.name, StepState::Started));
        }
        events.extend(rest.map(|line| self.line(line)));
        if !ends {
            return events;
        }
        if !vertex.error.is_empty() {
            // Steps that ran beside the failed one are cancelled, which is not their own failure.
            if !is_cancelled(&vertex.error) && self.failed.is_none() {
                self.failed = Some((vertex.digest.clone(), vertex.error.clone()));
                let error = unwrap_text(&vertex.error);
                events.push(self.step(&vertex.name, StepState::Failed { error }));
            }
        } else if housekeeping {
            return events;
        } else if vertex.cached {
            events.push(self.step(&vertex.name, StepState::Cached));
        } else {
            let took = vertex
                .started
                .zip(vertex.completed)
                .map(|(started, completed)| completed.saturating_sub(started));
            events.push(self.step(&vertex.name, StepState::Done { took }));
        }
        events
    }

    /// The classic builder has one text for everything: its own lines, and the output of commands between them.
    fn classic_line(&mut self, line: &str) -> Vec<Event> {
        if is_classic_step(line) {
            let mut events = self.end_classic_step();
            let step = Step {
                name: line.to_owned(),
                ..Step::default()
            };
            self.steps.insert(line.to_owned(), step);
            self.classic = Some(line.to_owned());
            events.push(self.step(line, StepState::Started));
            return events;
        }
        if line == " ---> Using cache" {
            if let Some(step) = self.classic.as_ref().and_then(|key| self.steps.get_mut(key)) {
                step.cached = true;
            }
            return Vec::new();
        }
        let own = [
            " ---> ",
            "Removing intermediate container ",
            "Successfully built ",
            "Successfully tagged ",
        ];
        if line.is_empty() || own.iter().any(|start| line.starts_with(start)) {
            return Vec::new();
        }
        if let Some(step) = self.classic.as_ref().and_then(|key| self.steps.get_mut(key)) {
            step.lines.keep(line);
        }
        vec![self.line(line.to_owned())]
    }

    fn end_classic_step(&mut self) -> Vec<Event> {
        let Some(step) = self.classic.take().and_then(|key| self.steps.get_mut(&key)) else {
            return Vec::new();
        };
        let state = if step.cached {
            StepState::Cached
        } else {
            StepState::Done { took: None }
        };
        let name = step.name.clone();
        vec![self.step(&name, state)]
    }

    /// What is still to tell when the stream has ended.
    pub fn close(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(line) = self.classic_text.rest() {
            events.extend(self.classic_line(&line));
        }
        match (&self.classic, &self.error) {
            (Some(key), Some(error)) => {
                let (name, error) = (key.clone(), unwrap_text(error));
                events.push(self.step(&name, StepState::Failed { error }));
            }
            (Some(_), None) => events.extend(self.end_classic_step()),
            (None, _) => {}
        }
        events
    }

    /// The image's id.
    ///
    /// # Errors
    /// [`BuildFailure`]: the stream's error, or that it ended without an image.
    pub fn finish(self) -> Result<String, BuildFailure> {
        match (&self.error, self.id.clone()) {
            (None, Some(id)) if self.failed.is_none() => Ok(id),
            _ => Err(self.failure()),
        }
    }

    fn failure(self) -> BuildFailure {
        let (key, vertex_error) = match self.failed {
            Some((key, error)) => (Some(key), Some(error)),
            None => (self.classic, None),
        };
        let text = self
            .error
            .clone()
            .filter(|text| !text.is_empty())
            .or(vertex_error)
            .map(|text| unwrap_text(&text));
        let step = key.and_then(|key| self.steps.get(&key));
        let named = step.map(|step| step.name.as_str());
        let (fault, error) = match (text, &self.error) {
            (Some(text), _) => (fault_of(&text, named), text),
            (None, Some(_)) => (BuildFault::Other, "the Engine gave no reason".to_owned()),
            (None, None) => (
                BuildFault::NoImage,
                "the Engine ended the build without an image".to_owned(),
            ),
        };
        BuildFailure {
            line: parse_error_line(&error).or_else(|| named.and_then(|name| line_of(&self.dockerfile, name))),
            exit_code: exit_code_of(&error),
            step: named.map(redact),
            last_lines: step.map(|step| step.lines.last()).unwrap_or_default(),
            fault,
            error,
        }
    }
}

fn is_cancelled(error: &str) -> bool {
    error.ends_with("context canceled") || error == "canceled"
}

/// `Step 2/4 : RUN make`.
fn is_classic_step(line: &str) -> bool {
    let numbers = line.strip_prefix("Step ").and_then(|rest| rest.split_once(" : "));
    numbers.is_some_and(|(numbers, _)| {
        numbers
            .split_once('/')
            .is_some_and(|(n, all)| n.parse::<u32>().is_ok() && all.parse::<u32>().is_ok())
    })
}

#[cfg(test)]
mod tests;
