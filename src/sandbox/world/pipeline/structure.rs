//! What holds for a pipeline as a whole: CodePipeline refuses a declaration that breaks it.

use super::CodePipeline;
use super::action_type::ActionType;
use super::check::validation;
use super::declaration::{Action, Declaration, Mode, Stage};
use super::rules;
use super::variables::references;
use crate::sandbox::world::error::ApiError;
use std::collections::BTreeSet;

/// How many stages a pipeline has at most.
const MOST_STAGES: usize = 50;

/// How many actions a pipeline has at most.
const MOST_ACTIONS: usize = 500;

/// How many actions a stage has at most.
const MOST_IN_A_STAGE: usize = 50;

/// The namespaces that every execution has.
const OWN_NAMESPACES: [&str; 2] = ["codepipeline", "variables"];

impl CodePipeline {
    /// Checks a declaration as a whole.
    ///
    /// # Errors
    /// `InvalidStructureException`, `InvalidStageDeclarationException`, `InvalidActionDeclarationException`.
    pub(super) fn check_structure(&self, declared: &Declaration) -> Result<(), ApiError> {
        check_kind(declared)?;
        check_stages(&declared.stages)?;
        let mut known = Known::default();
        for (at, stage) in declared.stages.iter().enumerate() {
            check_place_of_sources(at, stage)?;
            let mut orders: Vec<i64> = stage.actions.iter().map(|action| action.order).collect();
            orders.sort_unstable();
            orders.dedup();
            for order in orders {
                let together: Vec<&Action> = stage.actions.iter().filter(|one| one.order == order).collect();
                for action in &together {
                    self.check_action(action, &known)?;
                }
                for action in together {
                    known.learn(action)?;
                }
            }
        }
        Ok(())
    }

    fn check_action(&self, action: &Action, known: &Known) -> Result<(), ApiError> {
        let name = &action.name;
        let Some(of) = self.action_type(&action.type_id) else {
            return Err(bad_action(format!(
                "{} in action '{name}' is not available in region '{}'",
                action.type_id,
                self.region.to_uppercase().replace('-', "_")
            )));
        };
        if action
            .region
            .as_ref()
            .is_some_and(|region| *region != self.region)
        {
            return Err(bad_action(format!(
                "Action '{name}' can not be run in another region than its pipeline's"
            )));
        }
        if action.role.is_some() && of.id.owner == "Custom" {
            return Err(bad_action(format!(
                "Action '{name}' is of a custom action type, which does not support a role of the action"
            )));
        }
        for (what, count, (least, most)) in [
            ("input", action.inputs.len(), of.inputs),
            ("output", action.outputs.len(), of.outputs),
        ] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            if count < least {
                return Err(bad_action(format!(
                    "Action {name} declares {count} {what} artifacts which is less than the minimum count ({least})"
                )));
            }
            if count > most {
                return Err(bad_action(format!(
                    "Action {name} declares {count} {what} artifacts which is more than the maximum count ({most})"
                )));
            }
        }
        for input in &action.inputs {
            if !known.artifacts.contains(input) {
                return Err(bad_action(format!(
                    "Input Artifact Bundle {input} in action {name} is not declared as Output Artifact Bundle in any of \
                     the preceding actions"
                )));
            }
        }
        check_configuration(action, &of)?;
        check_references(action, known)
    }
}

/// What earlier actions make.
#[derive(Debug, Default)]
struct Known {
    artifacts: BTreeSet<String>,
    namespaces: BTreeSet<String>,
}

impl Known {
    fn learn(&mut self, action: &Action) -> Result<(), ApiError> {
        for output in &action.outputs {
            if !self.artifacts.insert(output.clone()) {
                return Err(bad_structure(format!(
                    "Output Artifact Bundle name must be unique within the pipeline. {output} has been used more than \
                     once"
                )));
            }
        }
        if let Some(namespace) = &action.namespace {
            let taken = OWN_NAMESPACES.contains(&namespace.as_str());
            if taken || !self.namespaces.insert(namespace.clone()) {
                return Err(bad_action(format!(
                    "The namespace '{namespace}' of action '{}' is already used or reserved",
                    action.name
                )));
            }
        }
        Ok(())
    }
}

fn check_kind(declared: &Declaration) -> Result<(), ApiError> {
    if declared.kind == "V1" && declared.mode != Mode::Superseded {
        let mode = declared.mode.word();
        return Err(bad_structure(format!(
            "Pipelines of type V1 do not support the execution mode {mode}"
        )));
    }
    if declared.kind == "V1" && !declared.variables.is_empty() {
        return Err(bad_structure("Pipelines of type V1 do not support variables"));
    }
    let names: BTreeSet<&String> = declared.variables.iter().map(|(name, _)| name).collect();
    if names.len() < declared.variables.len() {
        return Err(validation("Variable names must be unique within the pipeline"));
    }
    Ok(())
}

fn check_stages(stages: &[Stage]) -> Result<(), ApiError> {
    if stages.len() < 2 {
        return Err(bad_structure(format!(
            "Pipeline has only {} stage(s). There should be a minimum of 2 stages in a pipeline",
            stages.len()
        )));
    }
    let actions: usize = stages.iter().map(|stage| stage.actions.len()).sum();
    if stages.len() > MOST_STAGES || actions > MOST_ACTIONS {
        return Err(ApiError::new(
            "LimitExceededException",
            format!("A pipeline can have at most {MOST_STAGES} stages and {MOST_ACTIONS} actions"),
        ));
    }
    let mut names = BTreeSet::new();
    for stage in stages {
        let bad = |problem: String| ApiError::new("InvalidStageDeclarationException", problem);
        if !names.insert(&stage.name) {
            return Err(bad(format!(
                "Stage names must be unique within the pipeline: {}",
                stage.name
            )));
        }
        if stage.actions.is_empty() || stage.actions.len() > MOST_IN_A_STAGE {
            return Err(bad(format!(
                "Stage {} has {} actions. There should be between 1 and {MOST_IN_A_STAGE}",
                stage.name,
                stage.actions.len()
            )));
        }
        let actions: BTreeSet<&String> = stage.actions.iter().map(|action| &action.name).collect();
        if actions.len() < stage.actions.len() {
            return Err(bad(format!(
                "Action names must be unique within the stage {}",
                stage.name
            )));
        }
    }
    Ok(())
}

fn check_place_of_sources(at: usize, stage: &Stage) -> Result<(), ApiError> {
    let is_source = |action: &Action| action.type_id.category == "Source";
    match at {
        0 if !stage.actions.iter().all(is_source) => Err(bad_structure(
            "Pipeline should start with a stage that only contains source actions",
        )),
        1.. if stage.actions.iter().any(is_source) => Err(bad_structure(format!(
            "Source actions can only be in the first stage: {}",
            stage.name
        ))),
        _ => Ok(()),
    }
}

/// The property that makes CodePipeline look for changes of a source by itself.
const POLLS: &str = "PollForSourceChanges";

fn check_configuration(action: &Action, of: &ActionType) -> Result<(), ApiError> {
    let name = &action.name;
    // Of a custom type it is a property like any other: only its workers know what it means.
    let polls = action.configuration.get(POLLS).filter(|value| *value != "false");
    if of.id.owner == "AWS" && polls.is_some() {
        return Err(validation(format!(
            "the sandbox does not imitate `{POLLS}` of action '{name}': it may be left out or `false`, and \
             StartPipelineExecution starts the pipeline"
        )));
    }
    for property in &of.properties {
        let value = action.configuration.get(&property.name);
        let key = &property.name;
        if property.required && value.is_none() {
            return Err(bad_action(format!(
                "Action configuration for action '{name}' is missing required configuration '{key}'"
            )));
        }
        let fits = |value: &String| match property.kind.as_deref() {
            Some("Number") => value.parse::<f64>().is_ok(),
            Some("Boolean") => value == "true" || value == "false",
            _ => true,
        };
        // A variable's value is known when the action starts.
        let literal = value.filter(|value| references(value).is_empty());
        if literal.is_some_and(|value| !fits(value)) {
            let kind = property.kind.as_deref().unwrap_or_default();
            return Err(bad_action(format!(
                "The value of configuration '{key}' of action '{name}' is no {kind}"
            )));
        }
        if property.queryable && value.is_some_and(|value| !rules::QUERYABLE.holds(value)) {
            return Err(bad_action(format!(
                "The value of the queryable configuration '{key}' of action '{name}' must be 1 to 50 letters, digits, \
                 hyphens and underscores"
            )));
        }
    }
    for key in action.configuration.keys() {
        if !of.properties.iter().any(|property| property.name == *key) {
            return Err(bad_action(format!(
                "Action configuration for action '{name}' contains unknown configuration '{key}'"
            )));
        }
    }
    Ok(())
}

/// A reference must be to a namespace of an earlier action, or to one that every execution has.
fn check_references(action: &Action, known: &Known) -> Result<(), ApiError> {
    for (key, value) in &action.configuration {
        for (namespace, _) in references(value) {
            if !known.namespaces.contains(namespace) && !OWN_NAMESPACES.contains(&namespace) {
                return Err(bad_action(format!(
                    "Configuration '{key}' of action '{}' refers to the namespace '{namespace}', which no preceding \
                     action has",
                    action.name
                )));
            }
        }
    }
    Ok(())
}

fn bad_action(problem: impl Into<String>) -> ApiError {
    ApiError::new("InvalidActionDeclarationException", problem)
}

fn bad_structure(problem: impl Into<String>) -> ApiError {
    ApiError::new("InvalidStructureException", problem)
}
