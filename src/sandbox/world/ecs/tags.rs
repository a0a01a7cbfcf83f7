//! Tags of ECS resources: TagResource, UntagResource, ListTagsForResource.

use super::Ecs;
use super::request::{invalid, list, required, short, texts};
use super::service::ServiceKey;
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};

/// The most tags of one resource (Amazon ECS service quotas).
const MOST: usize = 50;

impl Ecs {
    pub(super) fn list_tags_for_resource(&mut self, input: &Value) -> Result<Value, ApiError> {
        let arn = required(input, "resourceArn")?;
        // ListTagsForResource does not declare ResourceNotFoundException.
        let tags = self.tags_of(arn).ok_or_else(|| invalid(not_found(arn)))?;
        Ok(json!({ "tags": tags.clone() }))
    }

    pub(super) fn tag_resource(&mut self, input: &Value) -> Result<Value, ApiError> {
        let arn = required(input, "resourceArn")?;
        let given = list(input, "tags");
        check_tags(given)?;
        let tags = self.tags_of(arn).ok_or_else(|| absent(arn))?;
        let mut all = tags.clone();
        all.retain(|tag| given.iter().all(|other| other["key"] != tag["key"]));
        all.extend(given.iter().cloned());
        if all.len() > MOST {
            return Err(too_many());
        }
        *tags = all;
        Ok(json!({}))
    }

    pub(super) fn untag_resource(&mut self, input: &Value) -> Result<Value, ApiError> {
        let arn = required(input, "resourceArn")?;
        let keys = texts(input, "tagKeys");
        let tags = self.tags_of(arn).ok_or_else(|| absent(arn))?;
        tags.retain(|tag| tag["key"].as_str().is_none_or(|key| !keys.contains(&key)));
        Ok(json!({}))
    }

    /// The tags of the resource with this ARN.
    fn tags_of(&mut self, arn: &str) -> Option<&mut Vec<Value>> {
        let resource = arn.strip_prefix(&self.place.arn(""))?;
        let (kind, path) = resource.split_once('/')?;
        match kind {
            "cluster" => self.clusters.get_mut(path).map(|cluster| &mut cluster.tags),
            "service" => {
                let (cluster, name) = path.split_once('/')?;
                let key = ServiceKey {
                    cluster: cluster.to_owned(),
                    name: name.to_owned(),
                };
                self.services.get_mut(&key).map(|service| &mut service.tags)
            }
            "task" => self.tasks.get_mut(short(path)).map(|task| &mut task.tags),
            "task-definition" => self.definitions.tags_of(path),
            _ => None,
        }
    }
}

/// Refuses tags that ECS refuses: too many, an empty or reserved key, a key twice.
pub fn check_tags(tags: &[Value]) -> Result<(), ApiError> {
    if tags.len() > MOST {
        return Err(too_many());
    }
    for (index, tag) in tags.iter().enumerate() {
        let key = tag["key"].as_str().unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 {
            return Err(invalid("Tag keys must have between 1 and 128 characters."));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!("Tag keys can not start with aws: {key}")));
        }
        if tag["value"].as_str().unwrap_or_default().chars().count() > 256 {
            return Err(invalid(format!(
                "The value of the tag {key} has more than 256 characters."
            )));
        }
        if tags[..index].iter().any(|other| other["key"] == tag["key"]) {
            return Err(invalid(format!("Duplicate tag keys found: {key}")));
        }
    }
    Ok(())
}

fn too_many() -> ApiError {
    invalid(format!("A resource can have at most {MOST} tags."))
}

fn absent(arn: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", not_found(arn))
}

fn not_found(arn: &str) -> String {
    format!("The specified resource could not be found: {arn}")
}
