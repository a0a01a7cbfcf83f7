//! What differs between two task definitions, without ever showing a value of the environment or a secret.

use super::defaults::filled;
use super::name_of;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Containers with another image.
    pub images: Vec<ImageChange>,
    /// Every other change as a path, without values: `containerDefinitions[web].environment[RELEASE].value`.
    pub paths: Vec<String>,
}

/// One container's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageChange {
    /// The container.
    pub container: String,
    /// The image before; none if the container is new.
    pub from: Option<String>,
    /// The image after; none if the container goes.
    pub to: Option<String>,
}

impl Diff {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.paths.is_empty()
    }
}

/// Compares two documents as ECS would store them: key order is nothing, and neither is a default, or an empty list
/// or object, that the other side leaves out.
pub(super) fn between(from: &Map<String, Value>, to: &Map<String, Value>) -> Diff {
    let mut diff = Diff::default();
    objects("", &filled(from), &filled(to), &mut diff);
    diff
}

fn objects(path: &str, from: &Map<String, Value>, to: &Map<String, Value>, diff: &mut Diff) {
    let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    for key in keys {
        let inner = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        values(&inner, from.get(key), to.get(key), diff);
    }
}

fn values(path: &str, from: Option<&Value>, to: Option<&Value>, diff: &mut Diff) {
    match (from, to) {
        (Some(from), Some(to)) if from == to => {}
        (Some(Value::Object(from)), Some(Value::Object(to))) => objects(path, from, to, diff),
        (Some(Value::Array(from)), Some(Value::Array(to))) => arrays(path, from, to, diff),
        (from, to) if from.is_none_or(says_nothing) && to.is_none_or(says_nothing) => {}
        (from, to) => match image_of(path) {
            Some(container) => {
                let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
                diff.images.push(ImageChange {
                    container: container.to_owned(),
                    from: text(from),
                    to: text(to),
                });
            }
            None => diff.paths.push(path.to_owned()),
        },
    }
}

/// The container of `containerDefinitions[web].image`.
fn image_of(path: &str) -> Option<&str> {
    path.strip_prefix("containerDefinitions[")?
        .strip_suffix("].image")
}

/// Lists of named things are compared by name where names are unique; ECS does not keep their order.
fn arrays(path: &str, from: &[Value], to: &[Value], diff: &mut Diff) {
    if !named(from) || !named(to) {
        diff.paths.push(path.to_owned());
        return;
    }
    let find = |list: &'_ [Value], name: &str| list.iter().position(|entry| name_of(entry) == Some(name));
    let names: BTreeSet<&str> = from.iter().chain(to).filter_map(name_of).collect();
    for name in names {
        let inner = format!("{path}[{name}]");
        let (old, new) = (
            find(from, name).map(|at| &from[at]),
            find(to, name).map(|at| &to[at]),
        );
        match (old, new) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => objects(&inner, old, new, diff),
            _ => diff.paths.push(inner),
        }
    }
}

fn named(list: &[Value]) -> bool {
    let names: BTreeSet<&str> = list.iter().filter_map(name_of).collect();
    names.len() == list.len()
}

/// Whether a value means the same to ECS as its absence.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
