//! PollForJobs, AcknowledgeJob, GetJobDetails: how a job worker gets a job.

use super::CodePipeline;
use super::action_type::TypeId;
use super::check::{Problems, validation};
use super::execution::{Location, Run};
use super::jobs::{Job, JobState};
use super::rules;
use crate::sandbox::ACCOUNT;
use crate::sandbox::world::error::ApiError;
use crate::sandbox::world::sessions::{Scope, Session, Sessions};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What a poll asks for.
struct Poll {
    type_id: TypeId,
    most: usize,
    /// A queryable property, and the value that its actions must have.
    query: Option<(String, String)>,
}

impl CodePipeline {
    /// Whether a poll would be given jobs.
    #[must_use]
    pub fn has_jobs_for(&self, now: Duration, input: &Value) -> bool {
        self.read_poll(input)
            .is_ok_and(|poll| !self.due_jobs(now, &poll).is_empty())
    }

    fn read_poll(&self, input: &Value) -> Result<Poll, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let type_id = match reader.required_structure("actionTypeId")? {
            Some(type_id) => Some(TypeId::read(&type_id)?),
            None => None,
        };
        let most = reader.number("maxBatchSize", 1..=i64::MAX)?.unwrap_or(1);
        let query = reader.map("queryParam", 1, &rules::PROPERTY, &rules::QUERYABLE)?;
        problems.finish()?;
        let type_id = type_id.ok_or_else(|| validation("actionTypeId must not be null"))?;
        if type_id.owner != "Custom" {
            return Err(validation(format!(
                "ActionType with owner '{}' is not supported",
                type_id.owner
            )));
        }
        let Some(action_type) = self.action_type(&type_id) else {
            return Err(ApiError::new(
                "ActionTypeNotFoundException",
                format!("{type_id} is not available"),
            ));
        };
        let query = query.unwrap_or_default().into_iter().next();
        let query = match (action_type.queryable(), query) {
            (Some(property), Some((name, value))) if property == name => Some((name, value)),
            (Some(property), _) => {
                return Err(validation(format!(
                    "queryParam must have the key '{property}', the queryable property of {type_id}"
                )));
            }
            (None, Some(_)) => {
                return Err(validation(format!(
                    "queryParam must be empty, because {type_id} has no queryable property"
                )));
            }
            (None, None) => None,
        };
        Ok(Poll {
            type_id,
            most: usize::try_from(most).unwrap_or(usize::MAX),
            query,
        })
    }

    /// The ids of the jobs that a poll is given.
    fn due_jobs(&self, now: Duration, poll: &Poll) -> Vec<String> {
        let again = self.pace.seconds(self.quirks.redispatch_seconds);
        let due = |job: &&Job| {
            let rested = job.offered.is_none_or(|at| at + again <= now);
            job.type_id == poll.type_id && job.available <= now && rested
        };
        let asked = |job: &&Job| {
            let value = |name: &String| self.run_of(job)?.configuration.get(name);
            poll.query
                .as_ref()
                .is_none_or(|(name, wanted)| value(name) == Some(wanted))
        };
        let chosen = self.jobs.open().filter(due).filter(asked).take(poll.most);
        chosen.map(|job| job.id.clone()).collect()
    }

    pub(super) fn poll_for_jobs(
        &mut self,
        now: Duration,
        input: &Value,
        sessions: &mut Sessions,
    ) -> Result<Value, ApiError> {
        let poll = self.read_poll(input)?;
        let chosen = self.due_jobs(now, &poll);
        let mut shown = Vec::new();
        for id in chosen {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.nonce += 1;
                job.state = JobState::Dispatched;
                job.offered = Some(now);
            }
            let mut job = self.show_job(now, &id, sessions);
            let nonce = self.jobs.get(&id).map(|job| job.nonce.to_string());
            job["nonce"] = json!(nonce);
            shown.push(job);
        }
        Ok(json!({ "jobs": shown }))
    }

    pub(super) fn acknowledge_job(&mut self, now: Duration, input: &Value) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let reader = problems.reader(input);
        let id = reader.required("jobId", &rules::UUID)?;
        let nonce = reader.required("nonce", &rules::NONCE)?;
        problems.finish()?;
        let job = self.known_job(now, id)?;
        let current = job.nonce > 0 && job.nonce.to_string() == nonce;
        let first = job.acknowledged == 0;
        let state = job.state;
        if !current || !(first || self.quirks.acknowledge_again) {
            return Err(ApiError::new(
                "InvalidNonceException",
                "The nonce is not valid for the job: it was already used, or the job was offered again",
            ));
        }
        if state == JobState::Dispatched {
            self.jobs.begin(id);
            return Ok(json!({ "status": JobState::InProgress.word() }));
        }
        Ok(json!({ "status": state.word() }))
    }

    pub(super) fn get_job_details(
        &mut self,
        now: Duration,
        input: &Value,
        sessions: &mut Sessions,
    ) -> Result<Value, ApiError> {
        let problems = Problems::default();
        let id = problems.reader(input).required("jobId", &rules::UUID)?;
        problems.finish()?;
        self.known_job(now, id)?;
        Ok(json!({ "jobDetails": self.show_job(now, id, sessions) }))
    }

    /// A job that CodePipeline still knows.
    ///
    /// # Errors
    /// `JobNotFoundException`.
    pub(super) fn known_job(&self, now: Duration, id: &str) -> Result<&Job, ApiError> {
        let kept = self
            .quirks
            .forget_jobs_after_seconds
            .map(|seconds| self.pace.seconds(seconds));
        self.jobs
            .get(id)
            .filter(|job| {
                let forgotten = |(over, kept)| over + kept <= now;
                !job.over.zip(kept).is_some_and(forgotten)
            })
            .ok_or_else(|| {
                ApiError::new(
                    "JobNotFoundException",
                    format!("The job with id {id} cannot be found"),
                )
            })
    }

    pub(super) fn run_of(&self, job: &Job) -> Option<&Run> {
        self.pipelines.get(&job.pipeline)?.runs.get(&job.run)
    }

    /// A job as a job worker sees it, with new keys for its artifacts.
    fn show_job(&self, now: Duration, id: &str, sessions: &mut Sessions) -> Value {
        let found = self.jobs.get(id).and_then(|job| {
            let pipeline = self.pipelines.get(&job.pipeline)?;
            Some((job, pipeline, pipeline.runs.get(&job.run)?))
        });
        let Some((job, pipeline, run)) = found else {
            return json!({});
        };
        let declared = &pipeline.declaration;
        let stage = declared.stages.get(run.stage).map(|stage| &stage.name);
        let mut data = json!({
            "actionTypeId": job.type_id.show(),
            "actionConfiguration": { "configuration": run.configuration },
            "pipelineContext": {
                "pipelineName": declared.name,
                "stage": { "name": stage },
                "action": { "name": run.action.name, "actionExecutionId": run.id },
                "pipelineArn": pipeline.arn,
                "pipelineExecutionId": run.execution,
            },
            "inputArtifacts": show_artifacts(&run.inputs),
            "outputArtifacts": show_artifacts(&run.outputs),
        });
        // Whoever needs no artifact gets no keys.
        if !(run.inputs.is_empty() && run.outputs.is_empty()) {
            let role = declared.role.rsplit('/').next().unwrap_or_default();
            let keys = sessions.issue(
                now,
                Session {
                    arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{}", job.id),
                    scope: Scope::Artifacts {
                        read: objects(&run.inputs),
                        write: objects(&run.outputs),
                    },
                    ends: now + Duration::from_secs(self.quirks.credentials_seconds.into()),
                },
            );
            data["artifactCredentials"] = json!({
                "accessKeyId": keys.access_key_id,
                "secretAccessKey": keys.secret_access_key,
                "sessionToken": keys.session_token,
            });
        }
        let mut optional = Map::new();
        if let Some(token) = &job.continuation {
            optional.insert("continuationToken".to_owned(), json!(token));
        }
        if let Some(key) = &declared.store.key {
            optional.insert("encryptionKey".to_owned(), json!({ "id": key, "type": "KMS" }));
        }
        for (name, value) in optional {
            data[name.as_str()] = value;
        }
        json!({ "id": job.id, "data": data, "accountId": ACCOUNT })
    }
}

fn show_artifacts(artifacts: &[(String, Location)]) -> Value {
    let shown = artifacts.iter().map(|(name, location)| {
        let place = json!({ "bucketName": location.bucket, "objectKey": location.key });
        json!({ "name": name, "location": { "type": "S3", "s3Location": place } })
    });
    shown.collect()
}

fn objects(artifacts: &[(String, Location)]) -> Vec<(String, String)> {
    let objects = artifacts.iter();
    objects
        .map(|(_, location)| (location.bucket.clone(), location.key.clone()))
        .collect()
}
