//! What the action types are: their properties, artifacts and links.

use super::links::{LogLink, Place};
use crate::pipeline::job::{ActionTypeId, Category};

/// An action type as it is to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub id: ActionTypeId,
    /// Everything else, which can never be changed under this name.
    pub shape: Shape,
}

/// An action type that somebody registered; of any category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its category, as the API writes it.
    pub category: String,
    /// Its provider.
    pub provider: String,
    /// Its version.
    pub version: String,
    /// What was registered under this name.
    pub shape: Shape,
}

/// What an action type is, whatever its name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// Where its links lead.
    pub urls: Urls,
    /// The properties of an action's configuration.
    pub properties: Vec<Property>,
    /// How many input artifacts an action has.
    pub inputs: Counts,
    /// How many output artifacts an action has.
    pub outputs: Counts,
}

/// URL templates; `{ExternalExecutionId}` and `{Config:Name}` are filled in by CodePipeline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Urls {
    /// Where a user signs up, or configures the provider.
    pub third_party: Option<String>,
    /// The thing that the action works on.
    pub entity: Option<String>,
    /// One execution.
    pub execution: Option<String>,
    /// Where the provider's own configuration is changed.
    pub revision: Option<String>,
}

/// A property of an action's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Whether every action must have it.
    pub required: bool,
    /// Whether it tells actions apart.
    pub key: bool,
    /// Whether CodePipeline hides its value from everybody but the worker.
    pub secret: bool,
    /// Whether a poll names a value of it, and is given only jobs that have it.
    pub queryable: bool,
    /// What a person reads of it.
    pub description: Option<String>,
    /// The type of its value.
    pub kind: PropertyKind,
}

/// The type of a property's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PropertyKind {
    /// Any text. It is what the API means when it says nothing.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A value that this version does not know.
    Unrecognised(String),
}

impl PropertyKind {
    /// As the API writes it.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::String => "String",
            Self::Number => "Number",
            Self::Boolean => "Boolean",
            Self::Unrecognised(other) => other,
        }
    }
}

/// The least and the most number of artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// The least.
    pub least: u8,
    /// The most.
    pub most: u8,
}

/// Names of properties, as an action's configuration and a poll's query write them.
pub mod properties {
    /// Which workers take the job. The one that a poll names.
    pub const FLEET: &str = "Fleet";
    /// The folder of the configuration file in its artifact.
    pub const PATH: &str = "Path";
    /// The name of the configuration file.
    pub const CONFIG: &str = "Config";
    /// What `${commit}` stands for.
    pub const COMMIT: &str = "Commit";
    /// What `${branch}` stands for.
    pub const BRANCH: &str = "Branch";
    /// Variables of the configuration file, as a JSON object of strings.
    pub const VARIABLES: &str = "Variables";
    /// Secrets, as a JSON object of strings.
    pub const SECRETS: &str = "Secrets";
}

/// The most artifacts that a custom action may have.
const MOST_ARTIFACTS: u8 = 5;

/// The definition of slipway's action type under a name.
#[must_use]
pub fn define(id: ActionTypeId, place: &Place, log: &LogLink) -> Definition {
    let outputs = match id.category {
        Category::Build => 1,
        Category::Deploy => 0,
    };
    let shape = Shape {
        urls: match id.category {
            Category::Build => Urls {
                entity: place.repositories(),
                execution: log.url(place),
                ..Urls::default()
            },
            Category::Deploy => Urls {
                entity: place.clusters(),
                execution: place.deployments(),
                ..Urls::default()
            },
        },
        properties: all_properties(),
        inputs: Counts {
            least: 1,
            most: MOST_ARTIFACTS,
        },
        outputs: Counts {
            least: 0,
            most: outputs,
        },
    };
    Definition { id, shape }
}

/// The properties are the same for both categories, so that a pipeline's author learns them once.
fn all_properties() -> Vec<Property> {
    let optional = |name: &str, description: &str| Property {
        name: name.to_owned(),
        required: false,
        key: false,
        secret: false,
        queryable: false,
        description: Some(description.to_owned()),
        kind: PropertyKind::String,
    };
    vec![
        Property {
            required: true,
            key: true,
            queryable: true,
            ..optional(
                properties::FLEET,
                "Which workers take the job: those that were started with --fleet and this value, such as default.",
            )
        },
        optional(
            properties::PATH,
            "The folder of slipway.toml in its artifact; the artifact's root if absent.",
        ),
        optional(
            properties::CONFIG,
            "The name of the configuration file; slipway.toml if absent.",
        ),
        optional(
            properties::COMMIT,
            "What ${commit} stands for in the configuration file, such as #{SourceVariables.CommitId}.",
        ),
        optional(
            properties::BRANCH,
            "What ${branch} stands for in the configuration file, such as #{SourceVariables.BranchName}.",
        ),
        optional(
            properties::VARIABLES,
            "A JSON object of strings: what other ${NAME} stand for in the configuration file.",
        ),
        Property {
            secret: true,
            ..optional(
                properties::SECRETS,
                "A JSON object of strings: secrets of builds, and ${NAME} whose values no log may show.",
            )
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::{Counts, define, properties};
    use crate::pipeline::action_type::{LogLink, Place};

    #[test]
    fn a_build_may_have_an_output_and_a_deploy_none() {
        let place = Place::in_region("eu-west-1");
        for (id, most) in [("Build/Slipway/1", 1), ("Deploy/Slipway/1", 0)] {
            let shape = define(id.parse().unwrap(), &place, &LogLink::default()).shape;
            assert_eq!(shape.inputs, Counts { least: 1, most: 5 });
            assert_eq!(shape.outputs, Counts { least: 0, most }, "{id}");
        }
    }

    #[test]
    fn a_fleet_is_asked_for_and_secrets_are_hidden() {
        let id = "Build/Slipway/1".parse().unwrap();
        let shape = define(id, &Place::in_region("eu-west-1"), &LogLink::default()).shape;
        let named = |name: &str| shape.properties.iter().find(|property| property.name == name);
        assert!(named(properties::FLEET).unwrap().queryable);
        assert!(named(properties::SECRETS).unwrap().secret);
        let secret = |property: &&super::Property| property.secret;
        assert_eq!(shape.properties.iter().filter(secret).count(), 1);
    }
}
