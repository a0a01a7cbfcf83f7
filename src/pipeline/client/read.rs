//! Answers read: what a job must have, and words that this version does not know.

use super::{ActionStatus, JobStatus};
use crate::pipeline::job::{ActionTypeId, Artifact, ArtifactKeys, Context, Job, JobId, Offer};
use crate::secret::Secret;
use aws_sdk_codepipeline::types as sdk;

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It lacks something.
    #[error("it has no {0}")]
    Lacks(&'static str),
    /// It is of an action type that slipway does not serve.
    #[error("its action type is `{0}`")]
    ActionType(String),
}

pub(super) fn offer(job: sdk::Job) -> Result<Offer, Unreadable> {
    let id = job.id.ok_or(Unreadable::Lacks("id"))?;
    let nonce = job.nonce.ok_or(Unreadable::Lacks("nonce"))?;
    let data = job.data.ok_or(Unreadable::Lacks("data"))?;
    let (job, keys) = read(JobId::new(id), job.account_id, data)?;
    Ok(Offer { job, nonce, keys })
}

pub(super) fn details(
    id: &JobId,
    details: sdk::JobDetails,
) -> Result<(Job, Option<ArtifactKeys>), Unreadable> {
    let data = details.data.ok_or(Unreadable::Lacks("data"))?;
    read(id.clone(), details.account_id, data)
}

fn read(
    id: JobId,
    account: Option<String>,
    data: sdk::JobData,
) -> Result<(Job, Option<ArtifactKeys>), Unreadable> {
    let action_type = data.action_type_id.ok_or(Unreadable::Lacks("action type"))?;
    let configuration = data.action_configuration.and_then(|said| said.configuration);
    let keys = data.artifact_credentials.map(|keys| ArtifactKeys {
        access_key_id: Secret::new(keys.access_key_id),
        secret_access_key: Secret::new(keys.secret_access_key),
        session_token: Secret::new(keys.session_token),
    });
    let job = Job {
        id,
        action_type: of_type(&action_type)?,
        account: account.unwrap_or_default(),
        context: context(data.pipeline_context),
        configuration: configuration
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name, Secret::new(value)))
            .collect(),
        inputs: artifacts(data.input_artifacts),
        outputs: artifacts(data.output_artifacts),
        continuation: data.continuation_token,
        key: data.encryption_key.map(|key| key.id),
    };
    Ok((job, keys))
}

fn of_type(id: &sdk::ActionTypeId) -> Result<ActionTypeId, Unreadable> {
    let text = format!("{}/{}/{}", id.category().as_str(), id.provider(), id.version());
    match text.parse() {
        Ok(known) if *id.owner() == sdk::ActionOwner::Custom => Ok(known),
        _ => Err(Unreadable::ActionType(text)),
    }
}

fn context(from: Option<sdk::PipelineContext>) -> Context {
    let Some(from) = from else {
        return Context::default();
    };
    let action = from.action;
    Context {
        pipeline: from.pipeline_name.unwrap_or_default(),
        pipeline_arn: from.pipeline_arn.unwrap_or_default(),
        execution: from.pipeline_execution_id.unwrap_or_default(),
        stage: from.stage.and_then(|stage| stage.name).unwrap_or_default(),
        action: action
            .as_ref()
            .and_then(|action| action.name.clone())
            .unwrap_or_default(),
        action_execution: action
            .and_then(|action| action.action_execution_id)
            .unwrap_or_default(),
    }
}

/// Artifacts with what is known of each. One that is in no S3 object keeps its name, so that whoever needs it can say
/// which cannot be had.
fn artifacts(from: Option<Vec<sdk::Artifact>>) -> Vec<Artifact> {
    let artifacts = from.unwrap_or_default().into_iter().map(|artifact| {
        let place = artifact.location.and_then(|location| location.s3_location);
        let (bucket, key) = place
            .map(|place| (place.bucket_name, place.object_key))
            .unwrap_or_default();
        Artifact {
            name: artifact.name.unwrap_or_default(),
            revision: artifact.revision,
            bucket,
            key,
        }
    });
    artifacts.collect()
}

pub(super) fn status(status: sdk::JobStatus) -> JobStatus {
    match status {
        sdk::JobStatus::Created => JobStatus::Created,
        sdk::JobStatus::Queued => JobStatus::Queued,
        sdk::JobStatus::Dispatched => JobStatus::Dispatched,
        sdk::JobStatus::InProgress => JobStatus::InProgress,
        sdk::JobStatus::TimedOut => JobStatus::TimedOut,
        sdk::JobStatus::Succeeded => JobStatus::Succeeded,
        sdk::JobStatus::Failed => JobStatus::Failed,
        other => JobStatus::Unrecognised(other.as_str().to_owned()),
    }
}

pub(super) fn action_status(status: &sdk::ActionExecutionStatus) -> ActionStatus {
    match status {
        sdk::ActionExecutionStatus::InProgress => ActionStatus::Running,
        sdk::ActionExecutionStatus::Abandoned => ActionStatus::Abandoned,
        sdk::ActionExecutionStatus::Succeeded | sdk::ActionExecutionStatus::Failed => ActionStatus::Ended,
        _ => ActionStatus::Unknown,
    }
}
