//! A pipeline as it is declared: its stages, their actions, and where artifacts lie.

use super::action_type::TypeId;
use super::check::{Problems, Reader, validation};
use super::rules;
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What stands for a secret value in every answer but those to job workers.
pub const MASK: &str = "*****";

/// Members of AWS's declaration that change how a pipeline runs and that the sandbox does not imitate.
const NOT_IMITATED: &[(&str, &[&str])] = &[
    ("pipeline", &["triggers"]),
    ("stage", &["blockers", "onFailure", "onSuccess", "beforeEntry"]),
    (
        "action",
        &[
            "commands",
            "outputVariables",
            "timeoutInMinutes",
            "environmentVariables",
        ],
    ),
];

/// A pipeline's declaration.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// The pipeline's name.
    pub name: String,
    /// The role that it works as.
    pub role: String,
    /// Where its artifacts lie.
    pub store: Store,
    /// Its stages, in order.
    pub stages: Vec<Stage>,
    /// How its executions meet.
    pub mode: Mode,
    /// `V1` or `V2`.
    pub kind: String,
    /// Its variables, with the values that they have unless a start says otherwise.
    pub variables: Vec<(String, Option<String>)>,
}

/// An artifact store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// The bucket.
    pub bucket: String,
    /// The key of KMS that artifacts are encrypted with; the account's own for S3 when absent.
    pub key: Option<String>,
    /// Whether it was declared for a region.
    pub regional: bool,
}

/// How executions of a pipeline meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A newer one takes the place of one that waits.
    Superseded,
    /// One after the other.
    Queued,
    /// Each for itself.
    Parallel,
}

/// A stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Its actions.
    pub actions: Vec<Action>,
}

/// An action.
#[derive(Debug, Clone)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// What it is.
    pub type_id: TypeId,
    /// Actions of a lower order run before, those of the same one at the same time.
    pub order: i64,
    /// Its configuration, variables unresolved and secrets in clear.
    pub configuration: BTreeMap<String, String>,
    /// The names of its input artifacts.
    pub inputs: Vec<String>,
    /// The names of its output artifacts.
    pub outputs: Vec<String>,
    /// The namespace of its output variables.
    pub namespace: Option<String>,
    /// A role of its own.
    pub role: Option<String>,
    /// The region that it runs in, if it is declared.
    pub region: Option<String>,
}

impl Mode {
    /// As the API writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Superseded => "SUPERSEDED",
            Self::Queued => "QUEUED",
            Self::Parallel => "PARALLEL",
        }
    }
}

impl Declaration {
    /// Reads the member `pipeline` of an input.
    ///
    /// # Errors
    /// `ValidationException` about single members; `super::structure` checks the whole.
    pub fn read(input: &Value, region: &str) -> Result<Self, ApiError> {
        let problems = Problems::default();
        let Some(pipeline) = problems.reader(input).required_structure("pipeline")? else {
            problems.finish()?;
            return Err(validation("Pipeline must not be null"));
        };
        refuse_the_rest("pipeline", &pipeline)?;
        let name = pipeline.required("name", &rules::NAME)?.to_owned();
        let role = pipeline.required("roleArn", &rules::ROLE)?.to_owned();
        pipeline.number("version", 1..=i64::MAX)?;
        let mode = match pipeline.text("executionMode", &rules::MODE)? {
            Some("QUEUED") => Mode::Queued,
            Some("PARALLEL") => Mode::Parallel,
            _ => Mode::Superseded,
        };
        let kind = pipeline.text("pipelineType", &rules::PIPELINE_TYPE)?;
        let kind = kind.unwrap_or("V1").to_owned();
        let variables = pipeline.list("variables", 0..=50)?;
        let variables = variables.iter().map(|variable| {
            let name = variable.required("name", &rules::PIPELINE_VARIABLE)?;
            let value = variable.text("defaultValue", &rules::PIPELINE_VARIABLE_VALUE)?;
            Ok((name.to_owned(), value.map(str::to_owned)))
        });
        let variables = variables.collect::<Result<_, ApiError>>()?;
        if !pipeline.has("stages") {
            pipeline.required_structure("stages")?;
        }
        let stages = pipeline.list("stages", 0..=usize::MAX)?;
        let stages = stages.iter().map(Stage::read).collect::<Result<_, _>>()?;
        let store = Store::read(&pipeline, region)?;
        problems.finish()?;
        let store = store.ok_or_else(|| {
            validation(
                "A pipeline must have exactly one of artifactStore and artifactStores, for its own region",
            )
        })?;
        Ok(Self {
            name,
            role,
            store,
            stages,
            mode,
            kind,
            variables,
        })
    }

    /// The actions of a stage, those that run first before the others.
    pub fn in_order(&self, stage: usize) -> Vec<&Action> {
        let declared = self.stages.get(stage);
        let mut actions: Vec<&Action> = declared.iter().flat_map(|stage| &stage.actions).collect();
        actions.sort_by_key(|action| action.order);
        actions
    }

    /// As answers show it; `hides` says which properties of an action type are secret.
    pub fn show(&self, version: u32, region: &str, hides: impl Fn(&TypeId, &str) -> bool) -> Value {
        let mut store = json!({ "type": "S3", "location": self.store.bucket });
        if let Some(key) = &self.store.key {
            store["encryptionKey"] = json!({ "id": key, "type": "KMS" });
        }
        let stages = self.stages.iter().map(|stage| {
            let actions = stage.actions.iter().map(|action| action.show(&hides));
            json!({ "name": stage.name, "actions": actions.collect::<Vec<_>>() })
        });
        let mut shown = json!({ "name": self.name, "roleArn": self.role });
        if self.store.regional {
            shown["artifactStores"] = json!({ region: store });
        } else {
            shown["artifactStore"] = store;
        }
        shown["stages"] = stages.collect();
        shown["version"] = json!(version);
        shown["executionMode"] = json!(self.mode.word());
        shown["pipelineType"] = json!(self.kind);
        if !self.variables.is_empty() {
            let variables = self.variables.iter().map(|(name, value)| match value {
                Some(value) => json!({ "name": name, "defaultValue": value }),
                None => json!({ "name": name }),
            });
            shown["variables"] = variables.collect();
        }
        shown
    }
}

impl Store {
    fn read(pipeline: &Reader<'_>, region: &str) -> Result<Option<Self>, ApiError> {
        let one = pipeline.structure("artifactStore")?;
        let many = pipeline.structure("artifactStores")?;
        let regional = one.is_none();
        let of_region = match &many {
            Some(many) => many.structure(region)?,
            None => None,
        };
        let store = match (one, many.is_some(), of_region) {
            (Some(store), false, None) | (None, true, Some(store)) => store,
            _ => return Ok(None),
        };
        store.required("type", &rules::STORE_TYPE)?;
        let bucket = store.required("location", &rules::BUCKET)?.to_owned();
        let key = match store.structure("encryptionKey")? {
            None => None,
            Some(key) => {
                key.required("type", &rules::KEY_TYPE)?;
                Some(key.required("id", &rules::KEY_ID)?.to_owned())
            }
        };
        Ok(Some(Self {
            bucket,
            key,
            regional,
        }))
    }
}

impl Stage {
    fn read(input: &Reader<'_>) -> Result<Self, ApiError> {
        refuse_the_rest("stage", input)?;
        let actions = input.list("actions", 0..=usize::MAX)?;
        Ok(Self {
            name: input.required("name", &rules::NAME)?.to_owned(),
            actions: actions.iter().map(Action::read).collect::<Result<_, _>>()?,
        })
    }
}

impl Action {
    fn read(input: &Reader<'_>) -> Result<Self, ApiError> {
        refuse_the_rest("action", input)?;
        let type_id = match input.required_structure("actionTypeId")? {
            Some(type_id) => TypeId::read(&type_id)?,
            None => TypeId {
                category: String::new(),
                owner: String::new(),
                provider: String::new(),
                version: String::new(),
            },
        };
        let artifacts = |member| {
            let items = input.list(member, 0..=usize::MAX)?;
            let names = items.iter().map(|item| {
                let name = item.required("name", &rules::ARTIFACT)?;
                Ok(name.to_owned())
            });
            names.collect::<Result<Vec<String>, ApiError>>()
        };
        Ok(Self {
            name: input.required("name", &rules::NAME)?.to_owned(),
            type_id,
            order: input.number("runOrder", 1..=999)?.unwrap_or(1),
            configuration: input
                .map(
                    "configuration",
                    usize::MAX,
                    &rules::PROPERTY,
                    &rules::PROPERTY_VALUE,
                )?
                .unwrap_or_default(),
            inputs: artifacts("inputArtifacts")?,
            outputs: artifacts("outputArtifacts")?,
            namespace: input.text("namespace", &rules::NAMESPACE)?.map(str::to_owned),
            role: input.text("roleArn", &rules::ROLE)?.map(str::to_owned),
            region: input.text("region", &rules::REGION)?.map(str::to_owned),
        })
    }

    fn show(&self, hides: &impl Fn(&TypeId, &str) -> bool) -> Value {
        let names =
            |names: &[String]| -> Value { names.iter().map(|name| json!({ "name": name })).collect() };
        let mut shown = json!({
            "name": self.name,
            "actionTypeId": self.type_id.show(),
            "runOrder": self.order,
            "configuration": masked(&self.configuration, |name| hides(&self.type_id, name)),
            "outputArtifacts": names(&self.outputs),
            "inputArtifacts": names(&self.inputs),
        });
        for (member, value) in [
            ("roleArn", &self.role),
            ("region", &self.region),
            ("namespace", &self.namespace),
        ] {
            if let Some(value) = value {
                shown[member] = json!(value);
            }
        }
        shown
    }
}

/// A configuration with its secret values masked.
pub fn masked(configuration: &BTreeMap<String, String>, hides: impl Fn(&str) -> bool) -> Value {
    let shown: BTreeMap<&str, &str> = configuration
        .iter()
        .map(|(name, value)| (name.as_str(), if hides(name) { MASK } else { value.as_str() }))
        .collect();
    json!(shown)
}

/// A member that nobody obeys would be a wish that looks fulfilled.
fn refuse_the_rest(what: &str, input: &Reader<'_>) -> Result<(), ApiError> {
    let members = NOT_IMITATED.iter().filter(|(of, _)| *of == what);
    let asked = members
        .flat_map(|(_, members)| *members)
        .find(|member| input.has(member));
    match asked {
        None => Ok(()),
        Some(member) => Err(validation(format!(
            "the sandbox does not imitate `{member}` of {what} declarations"
        ))),
    }
}
