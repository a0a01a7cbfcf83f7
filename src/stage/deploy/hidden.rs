//! What no text of a deploy may show: values of the environments of every container that it touches.

use super::prepare::Prepared;
use super::task::prepare::PreparedTask;
use crate::ecs::task_definition::TaskDefinition;
use crate::failure::Failure;
use crate::report::event::{Event, Tell};
use crate::secret::Secret;
use crate::secret::redact::{environment_values, mask, unless_public};
use crate::stage::Tools;
use serde_json::Value;
use std::sync::Arc;

/// Values that no text may show, the longest first; a cheap handle.
#[derive(Debug, Clone, Default)]
pub(super) struct Hidden(Arc<[Secret<String>]>);

impl Hidden {
    /// Those of both revisions of every service and of every task. What ECS says of a service anyway is none, nor is a name
    /// of a container, of a family or of a task.
    pub(super) fn of(prepared: &[Prepared], tasks: &[PreparedTask]) -> Self {
        let mut values: Vec<Secret<String>> = Vec::new();
        let mut public: Vec<String> = Vec::new();
        for service in prepared {
            values.extend(
                [&service.wanted, &service.running]
                    .into_iter()
                    .flat_map(TaskDefinition::secret_values),
            );
            public.extend([service.name.to_string(), service.cluster.clone()]);
            public.extend(texts(&service.said));
            public.extend(names(&service.wanted).chain(names(&service.running)));
            public.extend(service.images.values().map(ToString::to_string));
        }
        for task in tasks {
            values.extend(task.own.iter().flat_map(TaskDefinition::secret_values));
            public.push(task.name.to_string());
            public.extend(task.own.iter().flat_map(names));
            let variables = task
                .overrides
                .containers
                .values()
                .flat_map(|one| &one.environment);
            values.extend(environment_values(
                variables.map(|(name, value)| (name.as_str(), value.expose().as_str())),
            ));
        }
        Self(unless_public(values, &public).into())
    }

    /// The values.
    pub(super) fn values(&self) -> &[Secret<String>] {
        &self.0
    }

    /// The tools of a story whose events, captures and failures show none of them.
    pub(super) fn in_all_of(&self, tools: &Tools) -> Tools {
        tools.record.hide(self.0.to_vec());
        let (hidden, tell) = (self.clone(), tools.tell.clone());
        Tools {
            tell: Tell::new(move |event| tell.tell(hidden.event(event))),
            ..tools.clone()
        }
    }

    /// A text without them.
    pub(super) fn text(&self, text: &str) -> String {
        mask(text, &self.0)
    }

    /// The failure without them.
    pub(super) fn failure(&self, failure: Failure) -> Failure {
        masked(failure, &self.0)
    }

    /// The event without them, where it holds what a far end said.
    fn event(&self, mut event: Event) -> Event {
        match &mut event {
            Event::Note(text)
            | Event::Warning(text)
            | Event::TaskLine { line: text, .. }
            | Event::TaskWaiting { what_for: text, .. }
            | Event::Waiting { what_for: text, .. }
            | Event::ServiceEvent { message: text, .. }
            | Event::Lost { what: text, .. }
            | Event::Unwatched { doing: text, .. }
            | Event::Retold { what: text, .. }
            | Event::JobHandedBack { summary: text, .. }
            | Event::JobDone { summary: text, .. } => *text = mask(text, &self.0),
            Event::OfJob { event, .. } => **event = self.event((**event).clone()),
            // Names, numbers and digests, or what a build says, which knows no environment. A job's failure is masked as
            // any other where it is made.
            Event::PhaseStarted { .. }
            | Event::PhaseFinished { .. }
            | Event::ContextSent { .. }
            | Event::BuildStep { .. }
            | Event::BuildLine { .. }
            | Event::LayerProgress { .. }
            | Event::Pushed { .. }
            | Event::Reused { .. }
            | Event::Wrote { .. }
            | Event::ImageChange { .. }
            | Event::Registered { .. }
            | Event::TaskStarted { .. }
            | Event::TaskDone { .. }
            | Event::DeploymentStarted { .. }
            | Event::DigestProven { .. }
            | Event::Healthy { .. }
            | Event::RollingBack { .. }
            | Event::Unchanged { .. }
            | Event::JobClaimed { .. }
            | Event::JobFailed(_) => {}
        }
        event
    }
}

/// The names that everybody may see of a task definition: its family and its containers.
pub(in crate::stage) fn names(definition: &TaskDefinition) -> impl Iterator<Item = String> {
    std::iter::once(definition.family())
        .chain(definition.containers())
        .map(str::to_owned)
}

/// The texts of a document, without the names of its members.
pub(in crate::stage) fn texts(document: &Value) -> Vec<String> {
    match document {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The failure without what looks like a credential and without these values; its tokens stay.
pub fn masked(failure: Failure, values: &[Secret<String>]) -> Failure {
    let shown = |text: &String| mask(text, values);
    let all = |texts: &[String]| texts.iter().map(shown).collect();
    let said = failure.root_cause();
    let hidden = said.as_ref().map(shown);
    let is_same = said == hidden;
    Failure {
        what: shown(&failure.what),
        place: failure.place.as_ref().map(shown),
        left: failure.left.as_ref().map(shown),
        others: all(&failure.others),
        hints: all(&failure.hints),
        evidence: all(&failure.evidence),
        // A chain of errors says all of it once more.
        cause: if is_same { failure.cause } else { hidden },
        source: failure.source.filter(|_| is_same),
        kind: failure.kind,
        nature: failure.nature,
        resume: failure.resume,
    }
}
