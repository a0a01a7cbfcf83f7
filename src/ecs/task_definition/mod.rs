//! Task definitions as JSON: what is registered is what was described, but for images, environment and read-only keys.
//!
//! Nothing is read into a struct, so fields that are newer than this program travel unchanged.

mod defaults;
mod diff;
mod shape;

pub use diff::{Diff, ImageChange};
pub use shape::{CheckShape, ContainerShape, LogRoute, Shape};

use crate::name::{ContainerName, ImageRef};
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// The keys of DescribeTaskDefinition that RegisterTaskDefinition does not accept.
pub const READ_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "deregisteredAt",
    "registeredBy",
    "deleteRequestedAt",
];

/// Environment variables to set: container, name, value.
pub type Environment = BTreeMap<ContainerName, BTreeMap<String, Secret<String>>>;

/// A task definition as RegisterTaskDefinition takes it, tags included. Its `Debug` shows no values.
#[derive(Clone, PartialEq, Eq)]
pub struct TaskDefinition(Map<String, Value>);

/// Why a task definition cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TaskDefinitionError {
    /// The text is not JSON.
    #[error("parse the task definition as JSON")]
    Parse(#[source] serde_json::Error),
    /// The JSON is something else than an object.
    #[error("the task definition is not a JSON object")]
    NotAnObject,
    /// There is no list of containers.
    #[error("the task definition has no `containerDefinitions`")]
    NoContainers,
    /// A container was named that the task definition does not have.
    #[error("the task definition has no container `{name}`, only {}", quoted(.known))]
    UnknownContainer {
        /// The name.
        name: ContainerName,
        /// The containers that it has.
        known: Vec<String>,
    },
    /// No image was given.
    #[error("no image was given for any container of the task definition")]
    NothingReplaced,
}

impl TaskDefinition {
    /// Reads an answer of DescribeTaskDefinition, or the content of a task definition file: a task definition by
    /// itself, or such an answer. Read-only keys are dropped, tags beside the task definition join it.
    ///
    /// # Errors
    /// [`TaskDefinitionError`] when it is no JSON object with containers.
    pub fn parse(json: &[u8]) -> Result<Self, TaskDefinitionError> {
        let Value::Object(mut whole) = serde_json::from_slice(json).map_err(TaskDefinitionError::Parse)?
        else {
            return Err(TaskDefinitionError::NotAnObject);
        };
        let mut definition = match whole.remove("taskDefinition") {
            Some(Value::Object(inner)) => {
                let tags = whole
                    .remove("tags")
                    .filter(|tags| tags.as_array().is_some_and(|tags| !tags.is_empty()));
                let mut inner = inner;
                if let Some(tags) = tags {
                    inner.insert("tags".to_owned(), tags);
                }
                inner
            }
            Some(_) => return Err(TaskDefinitionError::NotAnObject),
            None => whole,
        };
        for key in READ_ONLY {
            definition.shift_remove(key);
        }
        match definition.get("containerDefinitions") {
            Some(Value::Array(_)) => Ok(Self(definition)),
            _ => Err(TaskDefinitionError::NoContainers),
        }
    }

    /// The family; empty if the document names none, which RegisterTaskDefinition refuses.
    #[must_use]
    pub fn family(&self) -> &str {
        self.0.get("family").and_then(Value::as_str).unwrap_or_default()
    }

    /// The containers' names, in the document's order.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        self.definitions().filter_map(name_of)
    }

    /// Whether it has this container.
    #[must_use]
    pub fn has(&self, container: &ContainerName) -> bool {
        self.containers().any(|name| name == container.as_str())
    }

    /// Whether a container has a health check of its own.
    #[must_use]
    pub fn has_health_check(&self, container: &str) -> bool {
        self.definition(container)
            .and_then(|definition| definition.get("healthCheck"))
            .and_then(|check| check.get("command"))
            .and_then(Value::as_array)
            .is_some_and(|command| {
                !command.is_empty() && command.first().and_then(Value::as_str) != Some("NONE")
            })
    }

    /// Whether its containers have a network interface of their own.
    #[must_use]
    pub fn is_awsvpc(&self) -> bool {
        self.0.get("networkMode").and_then(Value::as_str) == Some("awsvpc")
    }

    /// Whether the task ends with this container; so it is unless the document says otherwise.
    #[must_use]
    pub fn is_essential(&self, container: &str) -> bool {
        self.definition(container)
            .and_then(|definition| definition.get("essential"))
            .and_then(Value::as_bool)
            .unwrap_or(true)
    }

    /// The image of a container.
    #[must_use]
    pub fn image(&self, container: &str) -> Option<&str> {
        self.definition(container)?.get("image")?.as_str()
    }

    /// The same with other images.
    ///
    /// # Errors
    /// [`TaskDefinitionError::UnknownContainer`], or [`TaskDefinitionError::NothingReplaced`] if `images` is empty.
    pub fn with_images(
        mut self,
        images: &BTreeMap<ContainerName, ImageRef>,
    ) -> Result<Self, TaskDefinitionError> {
        if images.is_empty() {
            return Err(TaskDefinitionError::NothingReplaced);
        }
        for (container, image) in images {
            let definition = self.definition_mut(container)?;
            definition.insert("image".to_owned(), Value::String(image.to_string()));
        }
        Ok(self)
    }

    /// The same with these environment variables set; others stay as they are.
    ///
    /// # Errors
    /// [`TaskDefinitionError::UnknownContainer`].
    pub fn with_environment(mut self, environment: &Environment) -> Result<Self, TaskDefinitionError> {
        for (container, variables) in environment {
            let definition = self.definition_mut(container)?;
            let list = definition
                .entry("environment")
                .or_insert_with(|| Value::Array(Vec::new()));
            if !list.is_array() {
                *list = Value::Array(Vec::new());
            }
            for (name, value) in variables {
                set_variable(list, name, value);
            }
        }
        Ok(self)
    }

    /// The same with the tags of `other`, if this one says nothing of tags.
    #[must_use]
    pub fn with_tags_of(mut self, other: &Self) -> Self {
        if let (false, Some(tags)) = (self.0.contains_key("tags"), other.0.get("tags")) {
            self.0.insert("tags".to_owned(), tags.clone());
        }
        self
    }

    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        let mut tags = self.tags().filter(|tag| tag["key"].as_str() == Some(key));
        tags.next()?["value"].as_str()
    }

    /// The same with these tags, in the place of those with the same keys; others stay.
    #[must_use]
    pub fn with_tags(self, tags: &[(&str, String)]) -> Self {
        let keys: Vec<&str> = tags.iter().map(|(key, _)| *key).collect();
        let mut tagged = self.without_tags(&keys);
        let own = tagged.0.entry("tags").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(own) = own {
            own.extend(
                tags.iter()
                    .map(|(key, value)| serde_json::json!({ "key": key, "value": value })),
            );
        }
        tagged
    }

    /// The same without the tags of these keys.
    #[must_use]
    pub fn without_tags(mut self, keys: &[&str]) -> Self {
        let Some(Value::Array(tags)) = self.0.get_mut("tags") else {
            return self;
        };
        let before = tags.len();
        tags.retain(|tag| !tag["key"].as_str().is_some_and(|key| keys.contains(&key)));
        if tags.is_empty() && before > 0 {
            self.0.shift_remove("tags");
        }
        self
    }

    /// How many tags it has.
    #[must_use]
    pub fn count_of_tags(&self) -> usize {
        self.tags().count()
    }

    fn tags(&self) -> impl Iterator<Item = &Value> {
        self.0.get("tags").and_then(Value::as_array).into_iter().flatten()
    }

    /// What would change; empty if ECS would make an equal revision of it.
    #[must_use]
    pub fn diff(&self, to: &Self) -> Diff {
        diff::between(&self.0, &to.0)
    }

    /// The document to register.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        Value::Object(self.0.clone()).to_string().into_bytes()
    }

    fn definitions(&self) -> impl Iterator<Item = &Value> {
        self.0
            .get("containerDefinitions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    }

    fn definition(&self, container: &str) -> Option<&Value> {
        self.definitions()
            .find(|definition| name_of(definition) == Some(container))
    }

    fn definition_mut(
        &mut self,
        container: &ContainerName,
    ) -> Result<&mut Map<String, Value>, TaskDefinitionError> {
        let known = self.containers().map(str::to_owned).collect();
        self.0
            .get_mut("containerDefinitions")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .find(|definition| name_of(definition) == Some(container.as_str()))
            .and_then(Value::as_object_mut)
            .ok_or(TaskDefinitionError::UnknownContainer {
                name: container.clone(),
                known,
            })
    }
}

impl fmt::Debug for TaskDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskDefinition")
            .field("family", &self.family())
            .field("containers", &self.containers().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

fn name_of(definition: &Value) -> Option<&str> {
    definition.get("name")?.as_str()
}

/// Sets one variable in a list of `{name, value}`, in its place if it is there.
fn set_variable(list: &mut Value, name: &str, value: &Secret<String>) {
    let Some(entries) = list.as_array_mut() else {
        return;
    };
    let value = Value::String(value.expose().clone());
    match entries.iter_mut().find(|entry| name_of(entry) == Some(name)) {
        Some(Value::Object(entry)) => {
            entry.insert("value".to_owned(), value);
        }
        _ => {
            let mut entry = Map::new();
            entry.insert("name".to_owned(), Value::String(name.to_owned()));
            entry.insert("value".to_owned(), value);
            entries.push(Value::Object(entry));
        }
    }
}

/// `` `web` and `proxy` ``.
fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if quoted.is_empty() {
        "none at all".to_owned()
    } else {
        quoted.join(", ")
    }
}

#[cfg(test)]
mod tests;
