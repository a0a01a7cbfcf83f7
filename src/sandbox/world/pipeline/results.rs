//! PutJobSuccessResult and PutJobFailureResult: what a job worker says of a job.

use super::CodePipeline;
use super::check::{Problems, validation};
use super::execution::{Revision, RunStatus};
use super::jobs::{Job, JobState};
use super::rules;
use crate::sandbox::world::error::ApiError;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many bytes the output variables of an action have at most, names and values.
const MOST_VARIABLE_BYTES: usize = 122_880;

/// What a success says of the run.
struct Details {
    summary: Option<String>,
    external: Option<String>,
    percent: Option<i64>,
}

impl CodePipeline {
    pub(super) fn put_job_success_result(&mut self, now: Duration, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let id = reader.required("jobId", &rules::UUID)?;
        let token = reader.text("continuationToken", &rules::CONTINUATION)?;
        let revision = match reader.structure("currentRevision")? {
            None => None,
            Some(revision) => {
                revision.timestamp("created")?;
                Some(Revision {
                    action: String::new(),
                    id: revision.required("revision", &rules::REVISION)?.to_owned(),
                    change: revision
                        .required("changeIdentifier", &rules::CHANGE_IDENTIFIER)?
                        .to_owned(),
                    summary: revision
                        .text("revisionSummary", &rules::SUMMARY)?
                        .map(str::to_owned),
                    created: now,
                })
            }
        };
        let details = match reader.structure("executionDetails")? {
            None => Details {
                summary: None,
                external: None,
                percent: None,
            },
            Some(details) => Details {
                summary: details.text("summary", &rules::SUMMARY)?.map(str::to_owned),
                external: details
                    .text("externalExecutionId", &rules::EXTERNAL_ID)?
                    .map(str::to_owned),
                percent: details.number("percentComplete", 0..=100)?,
            },
        };
        let variables = reader.map("outputVariables", usize::MAX, &rules::VARIABLE, &rules::ANYTHING)?;
        problems.finish()?;
        let variables = variables.unwrap_or_default();
        check_variables(&variables, token.is_some())?;
        let job = self.job_in_progress(now, id)?;
        self.close(now, &job, JobState::Succeeded);
        let Some(pipeline) = self.pipelines.get_mut(&job.pipeline) else {
            return Ok(json!({}));
        };
        let Some(run) = pipeline.runs.get_mut(&job.run) else {
            return Ok(json!({}));
        };
        run.updated = now;
        run.summary = details.summary.or_else(|| run.summary.take());
        run.external = details.external.or_else(|| run.external.take());
        run.percent = details.percent.or(run.percent);
        let Some(token) = token else {
            run.variables = variables;
            run.end(now, RunStatus::Succeeded);
            let action = run.action.name.clone();
            pipeline.succeed(&job.run, revision.map(|found| Revision { action, ..found }));
            return Ok(json!({}));
        };
        let next = Job {
            id: self.ids.uuid(),
            serial: self.ids.serial(),
            state: JobState::Queued,
            available: now + self.pace.seconds(self.quirks.continuation_seconds),
            nonce: 0,
            offered: None,
            continuation: Some(token.to_owned()),
            acknowledged: 0,
            closed: 0,
            refused: 0,
            over: None,
            ..job
        };
        run.job = Some(next.id.clone());
        self.jobs.add(next);
        Ok(json!({}))
    }

    pub(super) fn put_job_failure_result(&mut self, now: Duration, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let id = reader.required("jobId", &rules::UUID)?;
        let (mut kind, mut message, mut external) = ("", "", None);
        if let Some(details) = reader.required_structure("failureDetails")? {
            kind = details.required("type", &rules::FAILURE_TYPE)?;
            message = details.required("message", &rules::MESSAGE)?;
            external = details.text("externalExecutionId", &rules::EXTERNAL_ID)?;
        }
        problems.finish()?;
        let job = self.job_in_progress(now, id)?;
        self.close(now, &job, JobState::Failed);
        let pipeline = self.pipelines.get_mut(&job.pipeline);
        if let Some(pipeline) = pipeline
            && let Some(run) = pipeline.runs.get_mut(&job.run)
        {
            run.external = external.map(str::to_owned).or_else(|| run.external.take());
            run.fail(now, kind, message);
            pipeline.ended(&job.run);
        }
        Ok(json!({}))
    }

    /// A job that can be closed; a result that comes too early or too late is counted.
    fn job_in_progress(&mut self, now: Duration, id: &str) -> Result<Job, ApiError> {
        let job = self.known_job(now, id)?.clone();
        if job.state == JobState::InProgress {
            return Ok(job);
        }
        if let Some(job) = self.jobs.get_mut(id) {
            job.refused += 1;
        }
        Err(ApiError::new(
            "InvalidJobStateException",
            format!("The job with id {id} is not in progress"),
        ))
    }

    fn close(&mut self, now: Duration, job: &Job, state: JobState) {
        self.jobs.end(now, &job.id, state);
        if let Some(job) = self.jobs.get_mut(&job.id) {
            job.closed += 1;
        }
    }
}

fn check_variables(variables: &BTreeMap<String, String>, handed_back: bool) -> Result<(), ApiError> {
    if handed_back && !variables.is_empty() {
        return Err(validation(
            "Output variables can not be given together with a continuation token",
        ));
    }
    let bytes: usize = variables
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > MOST_VARIABLE_BYTES {
        return Err(ApiError::new(
            "OutputVariablesSizeExceededException",
            format!(
                "The output variables have {bytes} bytes, which exceeds the limit of {MOST_VARIABLE_BYTES}"
            ),
        ));
    }
    Ok(())
}
