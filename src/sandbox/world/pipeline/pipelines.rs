//! CreatePipeline, GetPipeline, ListPipelines, DeletePipeline.

use super::CodePipeline;
use super::check::Problems;
use super::declaration::Declaration;
use super::execution::Pipeline;
use super::listing::{Listed, list};
use super::rules;
use super::tags::read_tags;
use crate::sandbox::ACCOUNT;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::input::epoch;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How many pipelines an account has in a region at most.
const MOST_PIPELINES: usize = 1000;

/// The one version that a pipeline of the sandbox has: UpdatePipeline is not imitated.
pub const VERSION: u32 = 1;

impl CodePipeline {
    pub(super) fn create_pipeline(&mut self, now: Duration, input: &Value) -> Result<Value, ApiError> {
        let declaration = Declaration::read(input, &self.region)?;
        let tags = read_tags(input)?;
        let name = declaration.name.clone();
        if self.pipelines.contains_key(&name) {
            return Err(ApiError::new(
                "PipelineNameInUseException",
                format!("A pipeline with the name '{name}' already exists in account '{ACCOUNT}'"),
            ));
        }
        if self.pipelines.len() >= MOST_PIPELINES {
            return Err(ApiError::new(
                "LimitExceededException",
                format!("The number of pipelines exceeds the limit of {MOST_PIPELINES}"),
            ));
        }
        self.check_structure(&declaration)?;
        let mut answer = json!({ "pipeline": self.show_declaration(&declaration) });
        if let Some(tags) = tags {
            answer["tags"] = tags;
        }
        let pipeline = Pipeline {
            arn: format!("arn:aws:codepipeline:{}:{ACCOUNT}:{name}", self.region),
            declaration: Arc::new(declaration),
            created: now,
            executions: Vec::new(),
            runs: BTreeMap::new(),
            active: BTreeSet::new(),
            latest: BTreeMap::new(),
            latest_runs: BTreeMap::new(),
            news: Vec::new(),
            tokens: BTreeMap::new(),
        };
        self.pipelines.insert(name.clone(), pipeline);
        if self.quirks.start_when_created {
            self.begin(now, &name, "CreatePipeline", BTreeMap::new())?;
        }
        Ok(answer)
    }

    pub(super) fn get_pipeline(&self, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let name = reader.required("name", &rules::NAME)?;
        let version = reader.number("version", 1..=i64::MAX)?;
        problems.finish()?;
        let pipeline = self.pipeline(name)?;
        if version.is_some_and(|version| version != i64::from(VERSION)) {
            return Err(ApiError::new(
                "PipelineVersionNotFoundException",
                format!("The pipeline '{name}' has no such version"),
            ));
        }
        Ok(json!({
            "pipeline": self.show_declaration(&pipeline.declaration),
            "metadata": {
                "pipelineArn": pipeline.arn,
                "created": epoch(pipeline.created),
                "updated": epoch(pipeline.created),
            },
        }))
    }

    pub(super) fn list_pipelines(&self, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let token = reader.text("nextToken", &rules::NEXT_TOKEN)?;
        let size = reader.number("maxResults", 1..=1000)?.unwrap_or(1000);
        problems.finish()?;
        list(
            self.pipelines.values().collect(),
            &Listed {
                member: "pipelines",
                token,
                size: usize::try_from(size).unwrap_or(usize::MAX),
            },
            |pipeline| pipeline.declaration.name.clone(),
            |pipeline| {
                json!({
                    "name": pipeline.declaration.name,
                    "version": VERSION,
                    "pipelineType": pipeline.declaration.kind,
                    "executionMode": pipeline.declaration.mode.word(),
                    "created": epoch(pipeline.created),
                    "updated": epoch(pipeline.created),
                })
            },
        )
    }

    /// A pipeline that is not there is deleted already; its jobs are not found any more.
    pub(super) fn delete_pipeline(&mut self, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let name = problems.reader(input).required("name", &rules::NAME)?;
        problems.finish()?;
        self.pipelines.remove(name);
        self.jobs.forget(name);
        Ok(json!({}))
    }

    /// A pipeline, by its name.
    ///
    /// # Errors
    /// `PipelineNotFoundException`.
    pub(super) fn pipeline(&self, name: &str) -> Result<&Pipeline, ApiError> {
        self.pipelines.get(name).ok_or_else(|| no_pipeline(name))
    }

    /// A pipeline, to change it.
    ///
    /// # Errors
    /// `PipelineNotFoundException`.
    pub(super) fn pipeline_mut(&mut self, name: &str) -> Result<&mut Pipeline, ApiError> {
        self.pipelines.get_mut(name).ok_or_else(|| no_pipeline(name))
    }

    fn show_declaration(&self, declaration: &Declaration) -> Value {
        declaration.show(VERSION, &self.region, |type_id, name| self.hides(type_id, name))
    }
}

fn no_pipeline(name: &str) -> ApiError {
    ApiError::new(
        "PipelineNotFoundException",
        format!("Account '{ACCOUNT}' does not have a pipeline with name '{name}'"),
    )
}
