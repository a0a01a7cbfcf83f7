//! Registering, listing and deleting custom action types.

use super::action_type::{Counts, Definition, Property, PropertyKind, Registered, Shape, Urls};
use super::job::{ActionTypeId, Category};
use crate::aws::Aws;
use crate::aws::sort::{CallError, Sorted};
use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::types::{
    ActionCategory, ActionConfigurationProperty, ActionConfigurationPropertyType, ActionOwner, ActionType,
    ActionTypeSettings, ArtifactDetails,
};
use std::fmt;

/// CodePipeline's action types in one region of one account.
#[derive(Clone)]
pub struct ActionTypes {
    client: Client,
}

/// Why CodePipeline did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// What is registered could not be listed.
    #[error("list the custom action types")]
    List(#[source] Box<CallError>),
    /// A type could not be registered.
    #[error("register the action type `{id}`")]
    Create {
        /// The type.
        id: ActionTypeId,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
    /// A type could not be deleted.
    #[error("delete the action type `{id}`")]
    Delete {
        /// The type.
        id: ActionTypeId,
        /// The call.
        #[source]
        source: Box<CallError>,
    },
}

impl RegistrationError {
    /// The call that failed.
    #[must_use]
    pub fn call(&self) -> &CallError {
        match self {
            Self::List(source) | Self::Create { source, .. } | Self::Delete { source, .. } => source,
        }
    }

    /// Whether CodePipeline refuses the type as such: its limit of types, or a version that was used before.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.call().sorted, Sorted::Refused { .. })
    }
}

impl ActionTypes {
    /// The action types where these clients are.
    #[must_use]
    pub fn of(aws: &Aws) -> Self {
        Self {
            client: aws.codepipeline.clone(),
        }
    }

    /// Every custom type, whoever registered it, in CodePipeline's order.
    ///
    /// # Errors
    /// [`RegistrationError::List`].
    pub async fn list(&self) -> Result<Vec<Registered>, RegistrationError> {
        const ACTION: &str = "codepipeline:ListActionTypes";
        let wrong = |source: CallError| RegistrationError::List(source.into());
        let mut registered = Vec::new();
        let mut token = None;
        loop {
            let answer = self
                .client
                .list_action_types()
                .action_owner_filter(ActionOwner::Custom)
                .set_next_token(token)
                .send()
                .await
                .map_err(CallError::of(ACTION))
                .map_err(wrong)?;
            for action_type in answer.action_types() {
                let read = read(action_type).ok_or_else(CallError::lacking(ACTION, "id"));
                registered.push(read.map_err(wrong)?);
            }
            token = answer.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(registered);
            }
        }
    }

    /// Registers a type. Somebody who registers the same at the same time may be first; then it fails, and [`Self::list`]
    /// shows it.
    ///
    /// # Errors
    /// [`RegistrationError::Create`].
    pub async fn create(&self, definition: &Definition) -> Result<(), RegistrationError> {
        let Definition { id, shape } = definition;
        let counts = |counts: Counts| {
            ArtifactDetails::builder()
                .minimum_count(counts.least.into())
                .maximum_count(counts.most.into())
                .build()
        };
        let properties = shape.properties.iter().filter_map(property).collect();
        self.client
            .create_custom_action_type()
            .category(category(id.category))
            .provider(&id.provider)
            .version(&id.version)
            .set_settings(settings(&shape.urls))
            .set_configuration_properties(Some(properties))
            .input_artifact_details(counts(shape.inputs))
            .output_artifact_details(counts(shape.outputs))
            .send()
            .await
            .map_err(CallError::of("codepipeline:CreateCustomActionType"))
            .map(drop)
            .map_err(|source| RegistrationError::Create {
                id: id.clone(),
                source: source.into(),
            })
    }

    /// Marks a type for deletion: from then on no action of that type is done any more.
    ///
    /// # Errors
    /// [`RegistrationError::Delete`].
    pub async fn delete(&self, id: &ActionTypeId) -> Result<(), RegistrationError> {
        self.client
            .delete_custom_action_type()
            .category(category(id.category))
            .provider(&id.provider)
            .version(&id.version)
            .send()
            .await
            .map_err(CallError::of("codepipeline:DeleteCustomActionType"))
            .map(drop)
            .map_err(|source| RegistrationError::Delete {
                id: id.clone(),
                source: source.into(),
            })
    }
}

impl fmt::Debug for ActionTypes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActionTypes")
    }
}

const fn category(category: Category) -> ActionCategory {
    match category {
        Category::Build => ActionCategory::Build,
        Category::Deploy => ActionCategory::Deploy,
    }
}

/// None where there is no URL: an empty object would be one more thing to differ.
fn settings(urls: &Urls) -> Option<ActionTypeSettings> {
    if *urls == Urls::default() {
        return None;
    }
    let settings = ActionTypeSettings::builder()
        .set_third_party_configuration_url(urls.third_party.clone())
        .set_entity_url_template(urls.entity.clone())
        .set_execution_url_template(urls.execution.clone())
        .set_revision_url_template(urls.revision.clone());
    Some(settings.build())
}

/// Always some: everything that the API requires is set.
fn property(property: &Property) -> Option<ActionConfigurationProperty> {
    ActionConfigurationProperty::builder()
        .name(&property.name)
        .required(property.required)
        .key(property.key)
        .secret(property.secret)
        .queryable(property.queryable)
        .set_description(property.description.clone())
        .r#type(ActionConfigurationPropertyType::from(property.kind.word()))
        .build()
        .ok()
}

fn read(action_type: &ActionType) -> Option<Registered> {
    let id = action_type.id()?;
    let text = |text: Option<&str>| text.map(str::to_owned);
    let urls = action_type.settings().map(|settings| Urls {
        third_party: text(settings.third_party_configuration_url()),
        entity: text(settings.entity_url_template()),
        execution: text(settings.execution_url_template()),
        revision: text(settings.revision_url_template()),
    });
    let counts = |details: Option<&ArtifactDetails>| {
        let count = |count: i32| u8::try_from(count).unwrap_or(u8::MAX);
        details.map_or_else(Counts::default, |details| Counts {
            least: count(details.minimum_count()),
            most: count(details.maximum_count()),
        })
    };
    let property = |property: &ActionConfigurationProperty| Property {
        name: property.name().to_owned(),
        required: property.required(),
        key: property.key(),
        secret: property.secret(),
        queryable: property.queryable(),
        description: text(property.description()),
        kind: match property.r#type() {
            None | Some(ActionConfigurationPropertyType::String) => PropertyKind::String,
            Some(ActionConfigurationPropertyType::Number) => PropertyKind::Number,
            Some(ActionConfigurationPropertyType::Boolean) => PropertyKind::Boolean,
            Some(other) => PropertyKind::Unrecognised(other.as_str().to_owned()),
        },
    };
    Some(Registered {
        category: id.category().as_str().to_owned(),
        provider: id.provider().to_owned(),
        version: id.version().to_owned(),
        shape: Shape {
            urls: urls.unwrap_or_default(),
            properties: action_type
                .action_configuration_properties()
                .iter()
                .map(property)
                .collect(),
            inputs: counts(action_type.input_artifact_details()),
            outputs: counts(action_type.output_artifact_details()),
        },
    })
}
