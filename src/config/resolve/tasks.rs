//! The `[task.*]` tables.

use super::check::join;
use super::reader::Reader;
use super::services::env;
use crate::config::elements;
use crate::config::settings::TaskSettings;
use crate::config::written::{Origin, Table, Value};
use crate::name::{ContainerName, NameError, ServiceName};
use std::time::Duration;

/// The names of the services that the file has, before flags choose among them.
pub fn services_of_file(file: &Table) -> Vec<String> {
    match file.get("service").map(|node| &node.value) {
        Some(Value::Table(services)) => services.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Every task of the services that are deployed, in the file's order; none, and a warning, if they are to be skipped.
pub fn tasks(
    reader: &mut Reader<'_>,
    services_of_file: &[String],
    warnings: &mut Vec<String>,
) -> Vec<TaskSettings> {
    let mut names = reader.names("task");
    names.sort_by(|(name, origin), (other, theirs)| (origin, name).cmp(&(theirs, other)));
    in_an_order(reader, &names);
    let chosen: Vec<String> = reader
        .names("service")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let known = if services_of_file.is_empty() {
        &chosen
    } else {
        services_of_file
    };
    let tasks: Vec<TaskSettings> = names
        .into_iter()
        .filter_map(|(name, origin)| task(reader, &name, &origin, known))
        .filter(|task| chosen.iter().any(|chosen| chosen == task.service.as_str()))
        .collect();
    if !reader.boolean("deploy", "skip-tasks") {
        return tasks;
    }
    if !tasks.is_empty() {
        let named: Vec<String> = tasks.iter().map(|task| format!("`{}`", task.name)).collect();
        let origin = reader.origin("deploy", "skip-tasks");
        warnings.push(format!("{origin}: not run: task {}", named.join(", ")));
    }
    Vec::new()
}

/// Tasks on one line have no order that TOML keeps, and the order of migrations matters.
fn in_an_order(reader: &mut Reader<'_>, names: &[(String, Origin)]) {
    for pair in names.windows(2) {
        if let [(first, one), (second, other)] = pair
            && one == other
        {
            let text = format!(
                "stands on the line of `{first}`: write each task on its own, in the order to run them"
            );
            reader.wrong(other, &format!("task.{second}"), text);
        }
    }
}

fn task(reader: &mut Reader<'_>, name: &str, origin: &Origin, known: &[String]) -> Option<TaskSettings> {
    let section = format!("task.{name}");
    let parsed = name.parse();
    if let Err(error) = &parsed {
        let error: &NameError = error;
        reader.wrong(origin, &section, error.to_string());
    }
    let service = service(reader, &section, origin, known);
    let container = reader.parsed(&section, "container", |text| {
        text.parse::<ContainerName>().map_err(|error| error.to_string())
    });
    let task_definition = reader.path(&section, "task-definition");
    let command: Vec<String> = reader
        .list(&section, "command")
        .into_iter()
        .map(|word| word.value)
        .collect();
    let key = join(&section, "command");
    if reader.node(&section, "command").is_some() && command.is_empty() {
        let origin = reader.origin(&section, "command");
        reader.wrong(
            &origin,
            &key,
            "expected a command and its arguments, found nothing",
        );
    } else if command.is_empty() && task_definition.is_none() {
        reader.missing(
            &key,
            "write what the task runs, such as `[\"./manage\", \"migrate\"]`, or a `task-definition` that says it",
        );
    }
    reader.parsed(&section, "when", elements::when);
    let timeout = reader
        .parsed(&section, "timeout", elements::duration)
        .unwrap_or(Duration::from_secs(15 * 60));
    Some(TaskSettings {
        container,
        command,
        task_definition,
        env: env(reader, &section),
        cpu: size(reader, &section, "cpu"),
        memory: size(reader, &section, "memory"),
        timeout,
        name: parsed.ok()?,
        service: service?,
    })
}

/// The service that is written, or the only one there is.
fn service(reader: &mut Reader<'_>, section: &str, origin: &Origin, known: &[String]) -> Option<ServiceName> {
    let key = join(section, "service");
    let listed = || format!("`{}`", known.join("`, `"));
    let Some(written) = reader.text(section, "service") else {
        return match known {
            // That no service is named is told once.
            [] => None,
            [only] => only.parse().ok(),
            _ => {
                reader.wrong(
                    origin,
                    &key,
                    format!("write to which service it belongs: {}", listed()),
                );
                None
            }
        };
    };
    if known.contains(&written.value) {
        return written.value.parse().ok();
    }
    if !known.is_empty() {
        let text = format!("`{}` is none of the services: {}", written.value, listed());
        reader.wrong(&written.origin, &key, text);
    }
    None
}

/// A number above 0.
fn size(reader: &mut Reader<'_>, section: &str, name: &str) -> Option<u32> {
    let number = reader.number(section, name)?;
    if number.value == 0 {
        reader.wrong(&number.origin, &join(section, name), "expected a number above 0");
        return None;
    }
    Some(number.value)
}
