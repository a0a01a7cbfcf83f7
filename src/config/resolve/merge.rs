//! Lays the layers over each other: defaults, file, AWS's own region variables, slipway's variables, flags.

use super::Needs;
use super::check::is_secret;
use crate::config::keys::{self, Key, SERVICE_FLAG, SERVICE_VARIABLE, Section, Shape};
use crate::config::written::{Layers, Node, Origin, Problem, Table, Value};
use std::collections::BTreeSet;

/// One value that a variable or a flag writes.
struct Assignment {
    origin: Origin,
    key: &'static Key,
    texts: Vec<String>,
}

/// The tree of all layers, the strongest value of each key in it.
pub fn merge(
    defaults: &Table,
    file: Table,
    layers: &Layers,
    needs: Needs,
    problems: &mut Vec<Problem>,
) -> Table {
    let assignments = assignments(layers);
    let mut tree = file;
    choose_services(&mut tree, layers, problems);
    if needs.build {
        name_image(&mut tree, &assignments);
    }
    for section in Section::ALL {
        lay_defaults(&mut tree, defaults, section);
    }
    for assignment in assignments {
        // A flag of the other stage is not looked at: `SLIPWAY_REPOSITORY` may be set for every step of a pipeline.
        let wanted = match assignment.key.section {
            Section::Image => needs.build,
            Section::Service | Section::Task => needs.deploy,
            Section::Top | Section::Output | Section::Deploy | Section::DryRun => true,
        };
        if wanted {
            assign(&mut tree, &assignment, problems);
        }
    }
    tree
}

/// What variables and flags write, the weakest first.
fn assignments(layers: &Layers) -> Vec<Assignment> {
    let environment = &layers.environment;
    let written = |variable: &'static str, key: &'static Key| {
        let text = environment.value(variable)?;
        let texts = if key.shape == Shape::List {
            commas(text)
        } else {
            vec![text.to_owned()]
        };
        Some(Assignment {
            origin: Origin::Variable(variable),
            key,
            texts,
        })
    };
    let region = keys::find(Section::Top, "region").into_iter();
    let regions = region.flat_map(|key| {
        let aws = ["AWS_DEFAULT_REGION", "AWS_REGION"];
        aws.into_iter().filter_map(move |name| written(name, key))
    });
    let variables = keys::KEYS.iter().filter_map(|key| written(key.variable?, key));
    let flags = layers.flags.iter().filter_map(|given| {
        Some(Assignment {
            origin: Origin::Flag(given.flag),
            key: keys::of_flag(given.flag)?,
            texts: given.values.clone(),
        })
    });
    regions.chain(variables).chain(flags).collect()
}

fn commas(text: &str) -> Vec<String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

/// `--service` picks among the file's services, or names them where the file has none.
fn choose_services(tree: &mut Table, layers: &Layers, problems: &mut Vec<Problem>) {
    let flag = layers.flags.iter().find(|given| given.flag == SERVICE_FLAG);
    let variable = layers.environment.value(SERVICE_VARIABLE);
    let (origin, names) = match (flag, variable) {
        (Some(given), _) => (Origin::Flag(SERVICE_FLAG), given.values.clone()),
        (None, Some(text)) => (Origin::Variable(SERVICE_VARIABLE), commas(text)),
        (None, None) => return,
    };
    let Some(services) = section_table(tree, Section::Service, &origin) else {
        return;
    };
    let known: BTreeSet<String> = services.keys().cloned().collect();
    for name in &names {
        if known.is_empty() {
            services.entry(name.clone()).or_insert_with(|| empty(&origin));
        } else if !known.contains(name) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let text = format!(
                "`{name}` is none of the services in the file: `{}`",
                known.join("`, `")
            );
            problems.push(Problem::new(origin.clone(), "service", text));
        }
    }
    services.retain(|name, _| names.contains(name));
}

/// With no image in the file, the flags describe one: named after its first container, or its repository.
fn name_image(tree: &mut Table, assignments: &[Assignment]) {
    if table_of(tree, Section::Image).is_some_and(|images| !images.is_empty()) {
        return;
    }
    let last = |name: &str| {
        let of_key = |assignment: &&Assignment| {
            assignment.key.section == Section::Image && assignment.key.name == name
        };
        assignments.iter().rev().find(of_key)
    };
    let Some(repository) = last("repository") else {
        return;
    };
    let container = last("containers").and_then(|assignment| assignment.texts.first());
    let base = repository.texts.first().and_then(|text| text.rsplit('/').next());
    let name = container.map_or_else(|| base.unwrap_or_default().to_owned(), Clone::clone);
    if let Some(images) = section_table(tree, Section::Image, &repository.origin) {
        images.insert(name, empty(&repository.origin));
    }
}

fn table_of(tree: &Table, section: Section) -> Option<&Table> {
    match &tree.get(section.name())?.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// The table of a section, made if it is missing; `check` has left no other kind of value there.
fn section_table<'a>(tree: &'a mut Table, section: Section, origin: &Origin) -> Option<&'a mut Table> {
    if section == Section::Top {
        return Some(tree);
    }
    tree.entry(section.name().to_owned())
        .or_insert_with(|| empty(origin))
        .table_mut()
}

fn empty(origin: &Origin) -> Node {
    Node {
        value: Value::Table(Table::new()),
        origin: origin.clone(),
    }
}

fn lay_defaults(tree: &mut Table, defaults: &Table, section: Section) {
    let Some(ours) = table_of(defaults, section) else {
        return;
    };
    let Some(table) = section_table(tree, section, &Origin::Default { line: 1 }) else {
        return;
    };
    if !section.is_named() {
        fill(table, ours);
        return;
    }
    if let Some(Value::Table(each)) = ours.get("*").map(|node| &node.value) {
        for one in table.values_mut().filter_map(Node::table_mut) {
            fill(one, each);
        }
    }
}

fn fill(table: &mut Table, defaults: &Table) {
    for (name, node) in defaults {
        table.entry(name.clone()).or_insert_with(|| node.clone());
    }
}

fn assign(tree: &mut Table, assignment: &Assignment, problems: &mut Vec<Problem>) {
    let Assignment { origin, key, texts } = assignment;
    let value = match value_of(key, texts, origin) {
        Ok(value) => value,
        Err(text) => {
            problems.push(Problem::new(origin.clone(), key.name, text));
            return;
        }
    };
    let Some(table) = section_table(tree, key.section, origin) else {
        return;
    };
    if !key.section.is_named() {
        put(table, key, value, origin);
        return;
    }
    if key.of_one && table.len() > 1 {
        let section = key.section.name();
        let names: Vec<&str> = table.keys().map(String::as_str).collect();
        let text = format!(
            "speaks of one {section}, and there are {}: `{}`; write it in their tables",
            names.len(),
            names.join("`, `")
        );
        problems.push(Problem::new(origin.clone(), key.name, text));
        return;
    }
    for one in table.values_mut().filter_map(Node::table_mut) {
        put(one, key, value.clone(), origin);
    }
}

/// Writes a value over a weaker one; the entries of a map are written one by one.
fn put(table: &mut Table, key: &Key, value: Value, origin: &Origin) {
    if let (Shape::Map, Value::Table(entries)) = (key.shape, &value) {
        let node = table.entry(key.name.to_owned()).or_insert_with(|| empty(origin));
        if let Some(table) = node.table_mut() {
            table.extend(entries.clone());
        }
        return;
    }
    let origin = origin.clone();
    table.insert(key.name.to_owned(), Node { value, origin });
}

/// The value that the texts of a variable or flag stand for.
fn value_of(key: &Key, texts: &[String], origin: &Origin) -> Result<Value, String> {
    let node = |value| Node {
        value,
        origin: origin.clone(),
    };
    let last = texts.last().map(String::as_str).unwrap_or_default();
    match key.shape {
        Shape::Text => Ok(Value::Text(last.to_owned())),
        Shape::Boolean => match last {
            "true" | "1" => Ok(Value::Boolean(true)),
            "false" | "0" => Ok(Value::Boolean(false)),
            _ => Err(format!("expected `true` or `false`, found `{last}`")),
        },
        Shape::Number => match last.parse::<u32>() {
            Ok(number) => Ok(Value::Integer(number.into())),
            Err(_) => Err(format!("expected {}, found `{last}`", key.shape.expected())),
        },
        Shape::List => Ok(Value::List(
            texts.iter().cloned().map(Value::Text).map(node).collect(),
        )),
        Shape::Map => {
            let entry = |text: &String| {
                let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty())?;
                Some((name.to_owned(), node(Value::Text(value.to_owned()))))
            };
            // The text is not repeated: its value may be one that should not be shown.
            let entries: Option<Table> = texts.iter().map(entry).collect();
            entries
                .map(Value::Table)
                .ok_or_else(|| "expected `NAME=VALUE`".to_owned())
        }
        Shape::Secrets => {
            let secret = |text: &String| {
                let fields: Option<Table> = text
                    .split(',')
                    .map(|field| {
                        let (name, value) = field.split_once('=')?;
                        Some((name.trim().to_owned(), node(Value::Text(value.to_owned()))))
                    })
                    .collect();
                let secret = node(Value::Table(fields?));
                is_secret(&secret).then_some(secret)
            };
            let secrets: Option<Vec<Node>> = texts.iter().map(secret).collect();
            secrets
                .map(Value::List)
                .ok_or_else(|| "expected `id=NAME,env=VARIABLE` or `id=NAME,src=FILE`".to_owned())
        }
        Shape::Maps => Err("can only be written in the file".to_owned()),
    }
}
