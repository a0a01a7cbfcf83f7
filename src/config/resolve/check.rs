//! Compares a written file with the table of keys: unknown tables and keys, values of the wrong shape.

use crate::config::keys::{self, Key, Section, Shape};
use crate::config::written::{Environment, Node, Problem, Table, Value};
use std::collections::BTreeSet;

/// What the names of slipway's variables begin with.
const PREFIX: &str = "SLIPWAY_";

/// Dotted keys that were written and refused; nobody says that they are missing.
pub type Refused = BTreeSet<String>;

/// Reports what does not belong, and takes it out.
pub fn check(file: &mut Table, problems: &mut Vec<Problem>) -> Refused {
    let mut refused = Refused::new();
    let mut top = Table::new();
    for (name, node) in std::mem::take(file) {
        let section = Section::ALL
            .into_iter()
            .find(|section| *section != Section::Top && section.name() == name);
        match section {
            Some(section) => {
                if let Some(node) = check_section(section, node, problems, &mut refused) {
                    file.insert(name, node);
                }
            }
            None => {
                top.insert(name, node);
            }
        }
    }
    check_keys(Section::Top, "", &mut top, problems, &mut refused);
    file.extend(top);
    refused
}

fn check_section(
    section: Section,
    node: Node,
    problems: &mut Vec<Problem>,
    refused: &mut Refused,
) -> Option<Node> {
    let name = section.name();
    let Value::Table(mut table) = node.value else {
        let text = if section.is_named() {
            format!("expected one table per name: `[{name}.NAME]`")
        } else {
            "expected a table".to_owned()
        };
        problems.push(Problem::new(node.origin, name, text));
        refused.insert(name.to_owned());
        return None;
    };
    if section.is_named() {
        table = table
            .into_iter()
            .filter_map(|(one, node)| {
                let path = format!("{name}.{one}");
                let node = check_named(section, &path, &one, node, problems, refused)?;
                Some((one, node))
            })
            .collect();
    } else {
        check_keys(section, name, &mut table, problems, refused);
    }
    Some(Node {
        value: Value::Table(table),
        origin: node.origin,
    })
}

/// Checks `[image.web]`. A plain value in its place is most often a key whose table lacks its name.
fn check_named(
    section: Section,
    path: &str,
    one: &str,
    node: Node,
    problems: &mut Vec<Problem>,
    refused: &mut Refused,
) -> Option<Node> {
    let mut refuse = |text: String| {
        problems.push(Problem::new(node.origin.clone(), path, text));
        refused.insert(path.to_owned());
        None
    };
    let Value::Table(mut table) = node.value else {
        let name = section.name();
        return refuse(format!("expected a table: `[{name}.NAME]` with `{one}` inside"));
    };
    if one == "*" {
        return refuse(format!("write the {}'s name for `*`", section.name()));
    }
    check_keys(section, path, &mut table, problems, refused);
    Some(Node {
        value: Value::Table(table),
        origin: node.origin,
    })
}

fn check_keys(
    section: Section,
    path: &str,
    table: &mut Table,
    problems: &mut Vec<Problem>,
    refused: &mut Refused,
) {
    table.retain(|name, node| {
        let dotted = join(path, name);
        let problem = match keys::find(section, name) {
            Some(key) if fits(key.shape, &node.value) => return true,
            Some(key) => misfit(key, &dotted, node),
            None => Problem::new(node.origin.clone(), dotted.as_str(), unknown(section, name)),
        };
        problems.push(problem);
        refused.insert(dotted);
        false
    });
}

/// A dotted key.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn unknown(section: Section, name: &str) -> String {
    let of_section = || {
        keys::KEYS
            .iter()
            .filter(|key| key.section == section)
            .map(|key| key.name)
    };
    let tables = Section::ALL
        .iter()
        .map(|section| section.name())
        .filter(|name| !name.is_empty());
    let nearest = match section {
        Section::Top => keys::nearest(name, of_section().chain(tables)),
        Section::Image
        | Section::Output
        | Section::Deploy
        | Section::Service
        | Section::Task
        | Section::DryRun => keys::nearest(name, of_section()),
    };
    if let Some(nearest) = nearest {
        return format!("unknown key; did you mean `{nearest}`?");
    }
    let elsewhere = keys::KEYS.iter().find(|key| key.name == name);
    match elsewhere {
        Some(key) if key.section == Section::Top => {
            "unknown key here; it belongs above every table".to_owned()
        }
        Some(key) if key.section.is_named() => {
            format!("unknown key here; it belongs in `[{}.NAME]`", key.section.name())
        }
        Some(key) => format!("unknown key here; it belongs in `[{}]`", key.section.name()),
        None => "unknown key".to_owned(),
    }
}

/// The problem of a value that does not fit, at the innermost place that is to blame.
fn misfit(key: &Key, dotted: &str, node: &Node) -> Problem {
    let item = match (&node.value, key.shape) {
        (Value::List(items), Shape::List) => items.iter().find(|item| !is_text(item)),
        (Value::List(items), Shape::Secrets) => items.iter().find(|item| !is_secret(item)),
        _ => None,
    };
    if let Some(item) = item {
        let text = format!(
            "expected {}, found {} in it",
            key.shape.expected(),
            item.value.kind()
        );
        return Problem::new(item.origin.clone(), dotted, text);
    }
    let inner = match (&node.value, key.shape) {
        (Value::Table(table), Shape::Map) => table.iter().find(|(_, node)| !is_text(node)),
        (Value::Table(table), Shape::Maps) => table.iter().find(|(_, node)| !is_map(&node.value)),
        _ => None,
    };
    match inner {
        Some((name, inner)) if key.shape == Shape::Maps => {
            let text = format!("expected a table of strings, found {}", inner.value.kind());
            Problem::new(inner.origin.clone(), format!("{dotted}.{name}"), text)
        }
        Some((name, inner)) => {
            let text = format!("expected a string, found {}", inner.value.kind());
            Problem::new(inner.origin.clone(), format!("{dotted}.{name}"), text)
        }
        None => {
            let text = format!("expected {}, found {}", key.shape.expected(), node.value.kind());
            Problem::new(node.origin.clone(), dotted, text)
        }
    }
}

fn fits(shape: Shape, value: &Value) -> bool {
    match (shape, value) {
        (Shape::Text, Value::Text(_)) | (Shape::Boolean, Value::Boolean(_)) => true,
        (Shape::Number, Value::Integer(number)) => u32::try_from(*number).is_ok(),
        (Shape::List, Value::List(items)) => items.iter().all(is_text),
        (Shape::Map, value) => is_map(value),
        (Shape::Maps, Value::Table(table)) => table.values().all(|node| is_map(&node.value)),
        (Shape::Secrets, Value::List(items)) => items.iter().all(is_secret),
        _ => false,
    }
}

fn is_text(node: &Node) -> bool {
    matches!(node.value, Value::Text(_))
}

fn is_map(value: &Value) -> bool {
    matches!(value, Value::Table(table) if table.values().all(is_text))
}

/// `{ id, env }` or `{ id, src }`, all strings and nothing else.
pub fn is_secret(node: &Node) -> bool {
    let Value::Table(table) = &node.value else {
        return false;
    };
    let sources = usize::from(table.contains_key("env")) + usize::from(table.contains_key("src"));
    table.len() == 2 && table.contains_key("id") && sources == 1 && table.values().all(is_text)
}

/// What ends the names of the variables in a build's env file, which a later command finds set.
const OF_ENV_FILES: [&str; 3] = ["_IMAGE", "_DIGEST", "_TAG"];

/// Variables that look like slipway's and are none.
pub fn strange_variables(environment: &Environment) -> Vec<String> {
    let known = || keys::variables().filter_map(|name| name.strip_prefix(PREFIX));
    let ours = environment.names().filter_map(|name| name.strip_prefix(PREFIX));
    ours.filter(|name| known().all(|known| known != *name))
        .filter(|name| !OF_ENV_FILES.iter().any(|end| name.ends_with(end)))
        .map(|name| match keys::nearest(name, known()) {
            Some(nearest) => {
                format!("`{PREFIX}{name}` is no variable of slipway; did you mean `{PREFIX}{nearest}`?")
            }
            None => format!("`{PREFIX}{name}` is no variable of slipway"),
        })
        .collect()
}
