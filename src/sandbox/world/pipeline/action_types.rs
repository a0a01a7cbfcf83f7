//! CreateCustomActionType, ListActionTypes, DeleteCustomActionType.

use super::CodePipeline;
use super::action_type::{ActionType, TypeId};
use super::check::{Problems, validation};
use super::listing::{Listed, list};
use super::rules;
use super::tags::read_tags;
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};

/// How many custom action types an account has in a region at most.
const MOST_TYPES: usize = 50;

/// How many action types one answer shows. AWS does not publish it.
const PAGE: usize = 20;

/// A custom action type, which may have been deleted: its version is taken for ever.
#[derive(Debug, Clone)]
pub struct Registered {
    /// What it is.
    pub definition: ActionType,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl CodePipeline {
    pub(super) fn create_custom_action_type(&mut self, input: &Value) -> Result<Value, ApiError> {
        let definition = ActionType::read(input)?;
        let tags = read_tags(input)?;
        let id = definition.id.clone();
        match self.types.get(&id) {
            Some(taken) if !taken.deleted => return Err(validation(format!("{id} already exists"))),
            Some(taken) if taken.definition != definition => {
                return Err(validation(format!(
                    "{id} was deleted and can only be restored with the definition that it had; choose a version that \
                     has never been used"
                )));
            }
            Some(_) | None => {}
        }
        if self.types.values().filter(|one| !one.deleted).count() >= MOST_TYPES {
            return Err(ApiError::new(
                "LimitExceededException",
                format!("Number of custom action types exceeds the limit of {MOST_TYPES}"),
            ));
        }
        let mut answer = json!({ "actionType": definition.show() });
        if let Some(tags) = tags {
            answer["tags"] = tags;
        }
        let registered = Registered {
            definition,
            deleted: false,
        };
        self.types.insert(id, registered);
        Ok(answer)
    }

    pub(super) fn delete_custom_action_type(&mut self, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let id = TypeId::read_custom(&problems.reader(input))?;
        problems.finish()?;
        match self.types.get_mut(&id).filter(|one| !one.deleted) {
            Some(registered) => registered.deleted = true,
            None => return Err(validation(format!("{id} is not available"))),
        }
        Ok(json!({}))
    }

    pub(super) fn list_action_types(&self, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let owner = reader.text("actionOwnerFilter", &rules::OWNER)?;
        let region = reader.text("regionFilter", &rules::REGION)?;
        let token = reader.text("nextToken", &rules::NEXT_TOKEN)?;
        problems.finish()?;
        let source = ActionType::s3_source();
        // Custom action types are registered in one region each.
        let here = region.is_none_or(|region| region == self.region);
        let custom = self.types.values().filter(|one| here && !one.deleted);
        let all = custom
            .map(|one| &one.definition)
            .chain([&source])
            .filter(|one| owner.is_none_or(|owner| owner == one.id.owner));
        let mut all: Vec<&ActionType> = all.collect();
        all.sort_by_key(|one| &one.id);
        list(
            all,
            &Listed {
                member: "actionTypes",
                token,
                size: PAGE,
            },
            |one| one.id.to_string(),
            |one| one.show(),
        )
    }

    /// A type that actions can be of.
    pub(super) fn action_type(&self, id: &TypeId) -> Option<ActionType> {
        if id.is_s3_source() {
            return Some(ActionType::s3_source());
        }
        let registered = self.types.get(id)?;
        (!registered.deleted).then(|| registered.definition.clone())
    }
}
