//! Task definitions: registered, described, listed, deregistered; everything given is kept as it was.

use super::Ecs;
use super::fargate;
use super::registration::{self, is_essential};
use super::request::{client, invalid, list, listing, page, required, short, stamp, text, texts, wants_tags};
use super::tags::check_tags;
use crate::sandbox::world::error::ApiError;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// All task definitions, by family; the index is the revision less one.
#[derive(Debug, Default)]
pub struct TaskDefinitions {
    families: BTreeMap<String, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    definition: Arc<Value>,
    tags: Vec<Value>,
    active: bool,
}

/// A task definition that a service or a task may use.
#[derive(Debug, Clone)]
pub struct Usable {
    /// Its ARN.
    pub arn: String,
    /// `FAMILY:REVISION`.
    pub revision: String,
    /// As it is described.
    pub definition: Arc<Value>,
    /// Its tags.
    pub tags: Vec<Value>,
}

impl TaskDefinitions {
    /// The entry that `family`, `family:revision` or an ARN names; `family` alone is its latest active revision.
    fn find(&self, name: &str) -> Option<(&str, usize, &Entry)> {
        let (family, revision) = match short(name).split_once(':') {
            Some((family, revision)) => (family, Some(revision.parse::<usize>().ok()?)),
            None => (short(name), None),
        };
        let (family, entries) = self.families.get_key_value(family)?;
        let index = match revision {
            Some(revision) => revision.checked_sub(1)?,
            None => entries.iter().rposition(|entry| entry.active)?,
        };
        Some((family, index + 1, entries.get(index)?))
    }

    /// The task definition that a service or a task is to use.
    ///
    /// # Errors
    /// `ClientException` when there is none, or when it is INACTIVE.
    pub fn usable(&self, name: &str) -> Result<Usable, ApiError> {
        let (family, revision, entry) = self
            .find(name)
            .ok_or_else(|| client("TaskDefinition not found."))?;
        if !entry.active {
            return Err(client("TaskDefinition is inactive"));
        }
        Ok(Usable {
            arn: entry.definition["taskDefinitionArn"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            revision: format!("{family}:{revision}"),
            definition: entry.definition.clone(),
            tags: entry.tags.clone(),
        })
    }

    /// A registered task definition, whether active or not.
    #[must_use]
    pub fn registered(&self, name: &str) -> Option<(String, Arc<Value>)> {
        let (family, revision, entry) = self.find(name)?;
        Some((format!("{family}:{revision}"), entry.definition.clone()))
    }

    /// The tags of `FAMILY:REVISION`.
    pub fn tags_of(&mut self, name: &str) -> Option<&mut Vec<Value>> {
        let (family, revision) = name.split_once(':')?;
        let index = revision.parse::<usize>().ok()?.checked_sub(1)?;
        Some(&mut self.families.get_mut(family)?.get_mut(index)?.tags)
    }
}

impl Ecs {
    pub(super) fn register_task_definition(
        &mut self,
        now: Duration,
        input: &Value,
    ) -> Result<Value, ApiError> {
        registration::check(input, &self.registry)?;
        let tags = list(input, "tags").to_vec();
        check_tags(&tags)?;
        let family = required(input, "family")?.to_owned();
        self.take_turn(now, &family)?;
        let entries = self.definitions.families.entry(family.clone()).or_default();
        let revision = entries.len() + 1;
        let arn = self.place.arn(&format!("task-definition/{family}:{revision}"));
        let definition = Value::Object(as_described(now, input, &arn, revision, &self.registry));
        let mut answer = json!({ "taskDefinition": definition });
        if !tags.is_empty() {
            answer["tags"] = json!(tags);
        }
        entries.push(Entry {
            definition: Arc::new(definition),
            tags,
            active: true,
        });
        Ok(answer)
    }

    pub(super) fn describe_task_definition(&self, input: &Value) -> Result<Value, ApiError> {
        let name = required(input, "taskDefinition")?;
        let (_, _, entry) = self
            .definitions
            .find(name)
            .ok_or_else(|| client("Unable to describe task definition."))?;
        let mut answer = json!({ "taskDefinition": *entry.definition });
        if wants_tags(input) {
            answer["tags"] = json!(entry.tags);
        }
        Ok(answer)
    }

    pub(super) fn list_task_definitions(&self, input: &Value) -> Result<Value, ApiError> {
        let wanted = match text(input, "status") {
            None | Some("ACTIVE") => Some(true),
            Some("INACTIVE") => Some(false),
            Some("DELETE_IN_PROGRESS") => None,
            Some(other) => return Err(invalid(format!("Invalid status: {other}"))),
        };
        let family = text(input, "familyPrefix");
        let mut arns: Vec<Value> = self
            .definitions
            .families
            .iter()
            .filter(|(name, _)| family.is_none_or(|family| family == name.as_str()))
            .flat_map(|(_, entries)| entries)
            .filter(|entry| wanted == Some(entry.active))
            .map(|entry| entry.definition["taskDefinitionArn"].clone())
            .collect();
        if text(input, "sort") == Some("DESC") {
            arns.reverse();
        }
        Ok(listing("taskDefinitionArns", page(input, arns, 100, 100)?))
    }

    pub(super) fn list_task_definition_families(&self, input: &Value) -> Result<Value, ApiError> {
        let prefix = text(input, "familyPrefix").unwrap_or_default();
        let status = text(input, "status").unwrap_or("ACTIVE");
        let names: Vec<Value> = self
            .definitions
            .families
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .filter(|(_, entries)| match status {
                "ALL" => true,
                "INACTIVE" => entries.iter().all(|entry| !entry.active),
                _ => entries.iter().any(|entry| entry.active),
            })
            .map(|(name, _)| json!(name))
            .collect();
        Ok(listing("families", page(input, names, 100, 100)?))
    }

    pub(super) fn deregister_task_definition(
        &mut self,
        now: Duration,
        input: &Value,
    ) -> Result<Value, ApiError> {
        let name = required(input, "taskDefinition")?;
        let (family, revision) = short(name)
            .split_once(':')
            .ok_or_else(|| invalid("The task definition must have a revision: family:revision."))?;
        let index = revision
            .parse::<usize>()
            .ok()
            .and_then(|revision| revision.checked_sub(1));
        let entries = self.definitions.families.get_mut(family);
        let entry = index.and_then(|index| entries?.get_mut(index));
        let Some(entry) = entry else {
            return Err(client("The specified task definition does not exist."));
        };
        if entry.active {
            entry.active = false;
            let mut definition = Value::clone(&entry.definition);
            definition["status"] = json!("INACTIVE");
            definition["deregisteredAt"] = stamp(now);
            entry.definition = Arc::new(definition);
        }
        Ok(json!({ "taskDefinition": *entry.definition }))
    }
}

/// The definition as ECS describes it: everything given, ECS's defaults, and the keys that only ECS writes.
fn as_described(
    now: Duration,
    input: &Value,
    arn: &str,
    revision: usize,
    registry: &str,
) -> Map<String, Value> {
    let mut described = Map::new();
    described.insert("taskDefinitionArn".into(), json!(arn));
    for (key, value) in input.as_object().into_iter().flatten() {
        if key != "tags" {
            described.insert(key.clone(), value.clone());
        }
    }
    let awsvpc = input["networkMode"] == "awsvpc";
    let containers: Vec<Value> = list(input, "containerDefinitions")
        .iter()
        .map(|container| with_defaults(container, awsvpc))
        .collect();
    described.insert("containerDefinitions".into(), Value::Array(containers));
    for (key, size) in [("cpu", fargate::cpu(input)), ("memory", fargate::memory(input))] {
        if let Some(size) = size {
            described.insert(key.into(), json!(size.to_string()));
        }
    }
    described.insert("revision".into(), json!(revision));
    for key in ["volumes", "placementConstraints"] {
        described.entry(key).or_insert_with(|| json!([]));
    }
    described.insert("status".into(), json!("ACTIVE"));
    described.insert("requiresAttributes".into(), attributes(input));
    described.insert("compatibilities".into(), compatibilities(input, registry));
    described.insert("registeredAt".into(), stamp(now));
    described.insert("registeredBy".into(), json!(super::OPERATOR));
    described
}

fn with_defaults(container: &Value, awsvpc: bool) -> Value {
    let Value::Object(mut shape) = container.clone() else {
        return container.clone();
    };
    shape.entry("cpu").or_insert_with(|| json!(0));
    shape.insert("essential".into(), json!(is_essential(container)));
    for key in [
        "portMappings",
        "environment",
        "mountPoints",
        "volumesFrom",
        "systemControls",
    ] {
        shape.entry(key).or_insert_with(|| json!([]));
    }
    for mapping in shape
        .get_mut("portMappings")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let port = mapping.get("containerPort").cloned();
        if let Some(mapping) = mapping.as_object_mut() {
            mapping.entry("protocol").or_insert_with(|| json!("tcp"));
            if let Some(port) = port.filter(|_| awsvpc) {
                mapping.insert("hostPort".into(), port);
            }
        }
    }
    if let Some(check) = shape.get_mut("healthCheck").and_then(Value::as_object_mut) {
        for (key, usual) in [("interval", 30), ("timeout", 5), ("retries", 3)] {
            check.entry(key).or_insert_with(|| json!(usual));
        }
    }
    Value::Object(shape)
}

fn compatibilities(input: &Value, registry: &str) -> Value {
    let fits = !texts(input, "requiresCompatibilities").contains(&"EXTERNAL")
        && fargate::check(input, registry).is_ok();
    if fits {
        json!(["EC2", "FARGATE"])
    } else {
        json!(["EC2"])
    }
}

fn attributes(input: &Value) -> Value {
    let mut names = vec!["com.amazonaws.ecs.capability.docker-remote-api.1.18"];
    let containers = list(input, "containerDefinitions");
    if containers
        .iter()
        .any(|container| container["logConfiguration"]["logDriver"] == "awslogs")
    {
        names.push("com.amazonaws.ecs.capability.logging-driver.awslogs");
        names.push("ecs.capability.execution-role-awslogs");
    }
    if containers
        .iter()
        .any(|container| container.get("healthCheck").is_some())
    {
        names.push("ecs.capability.container-health-check");
    }
    if text(input, "taskRoleArn").is_some() {
        names.push("com.amazonaws.ecs.capability.task-iam-role");
    }
    if input["networkMode"] == "awsvpc" {
        names.push("ecs.capability.task-eni");
    }
    names.into_iter().map(|name| json!({ "name": name })).collect()
}
