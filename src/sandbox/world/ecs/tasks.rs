//! Tasks: RunTask, DescribeTasks, ListTasks, StopTask.

use super::Ecs;
use super::launch::{Launch, Origin};
use super::request::{
    at_most, client, copy, described, flag, invalid, list, listing, missing, number, page, required, text,
    texts, wants_tags,
};
use super::service_rules::check_network;
use super::services::{fargate_platform, launch_type};
use super::tags::check_tags;
use super::task::{StopCode, Task};
use crate::sandbox::world::ecr::Ecr;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::orders::TaskId;
use serde_json::{Map, Value, json};
use std::time::Duration;

impl Ecs {
    pub(super) fn run_task(&mut self, now: Duration, input: &Value, ecr: &Ecr) -> Result<Value, ApiError> {
        let cluster = self.cluster_of(input)?;
        if let Some((tasks, failures)) = self.ran_before(&cluster, input)? {
            let shapes = self.answered(&tasks);
            return Ok(json!({ "tasks": shapes, "failures": failures }));
        }
        let usable = self.definitions.usable(required(input, "taskDefinition")?)?;
        let count = number(input, "count")?.unwrap_or(1);
        if !(1..=10).contains(&count) {
            return Err(invalid(format!("count must be between 1 and 10, not {count}.")));
        }
        check_network(&usable.definition, input)?;
        check_started_by(input)?;
        let containers = list(&usable.definition, "containerDefinitions");
        for one in list(&input["overrides"], "containerOverrides") {
            if containers
                .iter()
                .all(|container| container["name"] != one["name"])
            {
                let name = one["name"].as_str().unwrap_or_default();
                let text =
                    format!("Override for container named {name} is not a container in the TaskDefinition.");
                return Err(invalid(text));
            }
        }
        let mut tags = list(input, "tags").to_vec();
        check_tags(&tags)?;
        if text(input, "propagateTags") == Some("TASK_DEFINITION") {
            tags.extend(usable.tags.iter().cloned());
        }
        if flag(input, "enableECSManagedTags") {
            tags.push(json!({ "key": "aws:ecs:clusterName", "value": cluster }));
        }
        let family = usable.revision.split(':').next().unwrap_or_default();
        let group = text(input, "group").map_or_else(|| format!("family:{family}"), str::to_owned);
        let (mut made, mut failures) = (Vec::new(), Vec::new());
        for _ in 0..count {
            if let Some(failure) = self.run_failure(&usable.revision) {
                failures.push(failure);
                continue;
            }
            let launch = Launch {
                cluster: cluster.clone(),
                service: None,
                deployment: None,
                group: group.clone(),
                started_by: text(input, "startedBy").map(str::to_owned),
                revision: usable.revision.clone(),
                definition: usable.definition.clone(),
                overrides: input.get("overrides").filter(|given| !given.is_null()).cloned(),
                shown: shown(input),
                balancers: Vec::new(),
                tags: tags.clone(),
            };
            let id = self.launch(now, launch, Origin::Alone, ecr);
            made.push(id);
        }
        let answer = json!({ "tasks": self.answered(&made), "failures": failures });
        self.remember_run(&cluster, input, made, answer["failures"].clone());
        Ok(answer)
    }

    /// The tasks as RunTask answers them.
    fn answered(&self, ids: &[TaskId]) -> Vec<Value> {
        let tasks = ids.iter().filter_map(|id| self.tasks.get(id));
        tasks.map(|task| with_tags(task, &self.place, true)).collect()
    }

    pub(super) fn describe_tasks(&self, input: &Value) -> Result<Value, ApiError> {
        let cluster = self.cluster_of(input)?;
        at_most(input, "tasks", 100)?;
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for name in texts(input, "tasks") {
            let id = self.name_in(&cluster, "task", name)?;
            match self.tasks.get(id).filter(|task| task.cluster == cluster) {
                Some(task) => found.push(with_tags(task, &self.place, wants_tags(input))),
                None => {
                    let path = format!("task/{cluster}/{id}");
                    failures.push(missing(&self.place.arn(&path)));
                }
            }
        }
        Ok(described("tasks", found, failures))
    }

    pub(super) fn list_tasks(&self, input: &Value) -> Result<Value, ApiError> {
        let cluster = self.cluster_of(input)?;
        let service = match text(input, "serviceName") {
            None => None,
            Some(name) => Some(self.service(input, name)?.key.clone()),
        };
        let stopped = match text(input, "desiredStatus") {
            None | Some("RUNNING") => Some(false),
            Some("STOPPED") => Some(true),
            // "Although you can filter results based on a desired status of PENDING, this doesn't return any results."
            Some("PENDING") => None,
            Some(other) => return Err(invalid(format!("Invalid desired status: {other}"))),
        };
        // "When you specify startedBy as the filter, it must be the only filter that you use."
        let others = [
            "serviceName",
            "family",
            "launchType",
            "containerInstance",
            "desiredStatus",
        ];
        if text(input, "startedBy").is_some() && others.iter().any(|key| text(input, key).is_some()) {
            return Err(invalid("startedBy can not be combined with other filters."));
        }
        let family = text(input, "family");
        let (started_by, kind) = (text(input, "startedBy"), text(input, "launchType"));
        let mut tasks: Vec<&Task> = self
            .tasks
            .values()
            .filter(|task| task.cluster == cluster && stopped == Some(!task.is_live()))
            .filter(|task| service.is_none() || task.service == service)
            .filter(|task| started_by.is_none() || task.started_by.as_deref() == started_by)
            .filter(|task| family.is_none() || family == task.definition["family"].as_str())
            .filter(|task| kind.is_none() || kind == task.shown.get("launchType").and_then(Value::as_str))
            .collect();
        tasks.sort_by_key(|task| task.serial);
        let arns = tasks.iter().map(|task| json!(task.arn(&self.place))).collect();
        Ok(listing("taskArns", page(input, arns, 100, 100)?))
    }

    pub(super) fn stop_task(&mut self, now: Duration, input: &Value) -> Result<Value, ApiError> {
        let cluster = self.cluster_of(input)?;
        let id: TaskId = self
            .name_in(&cluster, "task", required(input, "task")?)?
            .to_owned();
        if self.tasks.get(&id).is_none_or(|task| task.cluster != cluster) {
            return Err(invalid("The referenced task was not found."));
        }
        let reason = text(input, "reason").unwrap_or("Task stopped by user").to_owned();
        if reason.chars().count() > 1024 {
            return Err(client("The reason can have at most 1024 characters."));
        }
        self.halt(now, &id, StopCode::UserInitiated, reason, false);
        let shape = self
            .tasks
            .get(&id)
            .map(|task| with_tags(task, &self.place, false));
        Ok(json!({ "task": shape }))
    }
}

/// "Up to 128 letters (uppercase and lowercase), numbers, hyphens (-), forward slash (/), and underscores (_) are
/// allowed."
fn check_started_by(input: &Value) -> Result<(), ApiError> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-/_".contains(letter);
    match text(input, "startedBy") {
        Some(given) if given.len() > 128 || !given.chars().all(allowed) => Err(invalid(
            "Invalid startedBy: up to 128 letters, digits, -, / and _.",
        )),
        Some(_) | None => Ok(()),
    }
}

fn with_tags(task: &Task, place: &super::ids::Place, tags: bool) -> Value {
    let mut shape = task.shape(place);
    shape["tags"] = if tags { json!(task.tags) } else { json!([]) };
    shape
}

fn shown(input: &Value) -> Map<String, Value> {
    let mut shown = Map::new();
    if let Some(kind) = launch_type(input) {
        shown.insert("launchType".into(), json!(kind));
    }
    shown.insert(
        "enableExecuteCommand".into(),
        json!(flag(input, "enableExecuteCommand")),
    );
    copy(input, &["platformVersion"], &mut shown);
    if shown.get("launchType").is_some_and(|kind| kind == "FARGATE") {
        fargate_platform(&mut shown);
    }
    shown
}
