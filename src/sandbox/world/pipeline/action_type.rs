//! An action type: what its actions are configured by, how many artifacts they take and make, and where it leads.

use super::check::{Problems, Reader, validation};
use super::rules;
use crate::sandbox::world::error::ApiError;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// How many artifacts an action takes or makes at most.
const MOST_ARTIFACTS: i64 = 5;

/// How many configuration properties an action type has at most.
const MOST_PROPERTIES: usize = 10;

/// The URLs of an action type: two that are texts, two that are templates.
const SETTINGS: [&str; 4] = [
    "thirdPartyConfigurationUrl",
    "entityUrlTemplate",
    "executionUrlTemplate",
    "revisionUrlTemplate",
];

/// Which action type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TypeId {
    /// `Build`, `Deploy`, ...
    pub category: String,
    /// `AWS`, `ThirdParty` or `Custom`.
    pub owner: String,
    /// Whose it is.
    pub provider: String,
    /// Its version.
    pub version: String,
}

impl TypeId {
    /// Reads the four members of an ActionTypeId.
    pub fn read(input: &Reader<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            category: input.required("category", &rules::CATEGORY)?.to_owned(),
            owner: input.required("owner", &rules::OWNER)?.to_owned(),
            provider: input.required("provider", &rules::PROVIDER)?.to_owned(),
            version: input.required("version", &rules::VERSION)?.to_owned(),
        })
    }

    /// The three members by which a custom action type is created and deleted.
    pub fn read_custom(input: &Reader<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            category: input.required("category", &rules::CATEGORY)?.to_owned(),
            owner: "Custom".to_owned(),
            provider: input.required("provider", &rules::PROVIDER)?.to_owned(),
            version: input.required("version", &rules::VERSION)?.to_owned(),
        })
    }

    /// As answers show it.
    pub fn show(&self) -> Value {
        json!({
            "category": self.category,
            "owner": self.owner,
            "provider": self.provider,
            "version": self.version,
        })
    }

    /// Whether it is the source action of S3, the one action type of AWS that the sandbox runs.
    pub fn is_s3_source(&self) -> bool {
        [&self.category, &self.owner, &self.provider, &self.version]
            .into_iter()
            .eq(["Source", "AWS", "S3", "1"])
    }
}

impl fmt::Display for TypeId {
    /// As AWS's refusals name an action type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ActionType (Category: '{}', Owner: '{}', Provider: '{}', Version: '{}')",
            self.category, self.owner, self.provider, self.version
        )
    }
}

/// An action type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionType {
    /// Which.
    pub id: TypeId,
    /// Its URLs, by the names of their members.
    pub settings: BTreeMap<String, String>,
    /// What its actions are configured by.
    pub properties: Vec<Property>,
    /// How many input artifacts, at least and at most.
    pub inputs: (i64, i64),
    /// How many output artifacts, at least and at most.
    pub outputs: (i64, i64),
}

/// A configuration property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Whether every action must have it.
    pub required: bool,
    /// Whether it is a key.
    pub key: bool,
    /// Whether its value is hidden from everybody but job workers.
    pub secret: bool,
    /// Whether a poll must name its value.
    pub queryable: bool,
    /// What it is for.
    pub description: Option<String>,
    /// `String`, `Number` or `Boolean`.
    pub kind: Option<String>,
}

impl ActionType {
    /// Reads a CreateCustomActionType.
    ///
    /// # Errors
    /// `ValidationException`.
    pub fn read(input: &Value) -> Result<Self, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let id = TypeId::read_custom(&reader)?;
        let mut settings = BTreeMap::new();
        if let Some(urls) = reader.structure("settings")? {
            for name in SETTINGS {
                if let Some(url) = urls.text(name, &rules::URL)? {
                    settings.insert(name.to_owned(), url.to_owned());
                }
            }
        }
        let properties = reader
            .list("configurationProperties", 0..=MOST_PROPERTIES)?
            .iter()
            .map(Property::read)
            .collect::<Result<Vec<_>, ApiError>>()?;
        let made = Self {
            id,
            settings,
            properties,
            inputs: read_counts(&reader, "inputArtifactDetails")?,
            outputs: read_counts(&reader, "outputArtifactDetails")?,
        };
        problems.finish()?;
        made.check()?;
        Ok(made)
    }

    /// The source action of S3.
    pub fn s3_source() -> Self {
        let property = |name: &str, required: bool| Property {
            name: name.to_owned(),
            required,
            key: required,
            secret: false,
            queryable: false,
            description: None,
            kind: None,
        };
        Self {
            id: TypeId {
                category: "Source".to_owned(),
                owner: "AWS".to_owned(),
                provider: "S3".to_owned(),
                version: "1".to_owned(),
            },
            settings: BTreeMap::new(),
            properties: vec![
                property("S3Bucket", true),
                property("S3ObjectKey", true),
                property("PollForSourceChanges", false),
            ],
            inputs: (0, 0),
            outputs: (1, 1),
        }
    }

    /// The property by which jobs are told apart, if there is one.
    pub fn queryable(&self) -> Option<&str> {
        self.properties
            .iter()
            .find(|property| property.queryable)
            .map(|property| property.name.as_str())
    }

    /// Whether a property is hidden.
    pub fn hides(&self, name: &str) -> bool {
        self.properties
            .iter()
            .any(|property| property.secret && property.name == name)
    }

    /// A URL of its settings for an action: placeholders filled; `None` while one of them has no value.
    pub fn url(
        &self,
        setting: &str,
        configuration: &BTreeMap<String, String>,
        external: Option<&str>,
    ) -> Option<String> {
        let mut url = String::new();
        let mut rest = self.settings.get(setting)?.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, after) = after.split_once('}')?;
            url.push_str(before);
            url.push_str(match placeholder.strip_prefix("Config:") {
                Some(name) => configuration.get(name)?,
                None => external.filter(|_| placeholder == "ExternalExecutionId")?,
            });
            rest = after;
        }
        url.push_str(rest);
        Some(url)
    }

    /// As answers show it.
    pub fn show(&self) -> Value {
        let mut shown = json!({ "id": self.id.show() });
        if !self.settings.is_empty() {
            shown["settings"] = json!(self.settings);
        }
        if !self.properties.is_empty() {
            shown["actionConfigurationProperties"] = self.properties.iter().map(Property::show).collect();
        }
        shown["inputArtifactDetails"] = show_counts(self.inputs);
        shown["outputArtifactDetails"] = show_counts(self.outputs);
        shown
    }

    /// What no single member says.
    fn check(&self) -> Result<(), ApiError> {
        for (at, property) in self.properties.iter().enumerate() {
            let name = &property.name;
            if self.properties[..at].iter().any(|other| other.name == *name) {
                return Err(validation(format!(
                    "Configuration property '{name}' is declared more than once"
                )));
            }
            if property.queryable && (property.secret || !property.required) {
                return Err(validation(format!(
                    "Queryable configuration property '{name}' must be required and must not be secret"
                )));
            }
        }
        if self.properties.iter().filter(|one| one.queryable).count() > 1 {
            return Err(validation(
                "An action type can have at most one queryable property",
            ));
        }
        for (name, (least, most)) in [("input", self.inputs), ("output", self.outputs)] {
            if least > most {
                return Err(validation(format!(
                    "The minimum count of {name} artifacts ({least}) is greater than the maximum count ({most})"
                )));
            }
        }
        self.settings.iter().try_for_each(|(setting, url)| {
            self.check_placeholders(url).map_err(|problem| {
                validation(format!(
                    "{setting} of the action type's settings is not valid: {problem}"
                ))
            })
        })
    }

    fn check_placeholders(&self, url: &str) -> Result<(), String> {
        let mut rest = url;
        while let Some((_, after)) = rest.split_once('{') {
            let (placeholder, after) = after
                .split_once('}')
                .ok_or_else(|| "a placeholder is not closed".to_owned())?;
            rest = after;
            let Some(name) = placeholder.strip_prefix("Config:") else {
                if placeholder == "ExternalExecutionId" {
                    continue;
                }
                return Err(format!("the placeholder '{{{placeholder}}}' is not known"));
            };
            let usable = |property: &Property| property.name == name && property.required && !property.secret;
            if !self.properties.iter().any(usable) {
                return Err(format!(
                    "'{name}' is not a configuration property that is required and not secret"
                ));
            }
        }
        Ok(())
    }
}

impl Property {
    fn read(input: &Reader<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            name: input.required("name", &rules::PROPERTY)?.to_owned(),
            required: input.required_flag("required")?,
            key: input.required_flag("key")?,
            secret: input.required_flag("secret")?,
            queryable: input.flag("queryable")?.unwrap_or_default(),
            description: input.text("description", &rules::DESCRIPTION)?.map(str::to_owned),
            kind: input.text("type", &rules::PROPERTY_TYPE)?.map(str::to_owned),
        })
    }

    fn show(&self) -> Value {
        let mut shown = Map::new();
        shown.insert("name".to_owned(), json!(self.name));
        for (name, flag) in [
            ("required", self.required),
            ("key", self.key),
            ("secret", self.secret),
            ("queryable", self.queryable),
        ] {
            shown.insert(name.to_owned(), json!(flag));
        }
        for (name, text) in [("description", &self.description), ("type", &self.kind)] {
            if let Some(text) = text {
                shown.insert(name.to_owned(), json!(text));
            }
        }
        Value::Object(shown)
    }
}

fn read_counts(input: &Reader<'_>, name: &str) -> Result<(i64, i64), ApiError> {
    let Some(counts) = input.required_structure(name)? else {
        return Ok((0, 0));
    };
    Ok((
        counts.required_number("minimumCount", 0..=MOST_ARTIFACTS)?,
        counts.required_number("maximumCount", 0..=MOST_ARTIFACTS)?,
    ))
}

fn show_counts((least, most): (i64, i64)) -> Value {
    json!({ "minimumCount": least, "maximumCount": most })
}
