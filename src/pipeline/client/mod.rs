//! CodePipeline's job API, its answers turned into our own types.
//!
//! Reads have the SDK's retries. An acknowledgement and a result are sent once per call: of a repeated one nobody could
//! say which attempt was answered, so whoever claims or closes a job repeats them and remembers what was in doubt.

mod error;
mod read;

pub use error::{Act, PipelineError};

use super::job::{ActionTypeId, ArtifactKeys, Context, Job, JobId, Offer};
use super::result::{Details, Ending, FailureReport, FailureType, Outcome};
use crate::aws::Aws;
use crate::aws::sort::{CallError, Sorted};
use crate::report::event::{Event, Tell};
use aws_sdk_codepipeline::Client;
use aws_sdk_codepipeline::config::Builder;
use aws_sdk_codepipeline::config::retry::RetryConfig;
use aws_sdk_codepipeline::types as sdk;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const POLL: &str = "codepipeline:PollForJobs";
const ACKNOWLEDGE: &str = "codepipeline:AcknowledgeJob";
const DETAILS: &str = "codepipeline:GetJobDetails";
const SUCCESS: &str = "codepipeline:PutJobSuccessResult";
const FAILURE: &str = "codepipeline:PutJobFailureResult";
const LIST: &str = "codepipeline:ListActionExecutions";

/// Pages of an execution's actions that are looked through for one: a pipeline has at most 500 actions, and a page 100.
const MOST_PAGES: usize = 10;

/// CodePipeline as a worker sees it.
#[derive(Clone)]
pub struct Pipeline {
    client: Client,
    tell: Tell,
    /// Whether it was told that the status of actions may not be seen.
    told: Arc<AtomicBool>,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipeline")
    }
}

/// The state of a job, as an acknowledgement answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStatus {
    /// It was made.
    Created,
    /// It waits for a worker.
    Queued,
    /// It was offered.
    Dispatched,
    /// It is acknowledged: only this is a claim.
    InProgress,
    /// It took too long.
    TimedOut,
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// A word that this version does not know.
    Unrecognised(String),
}

impl JobStatus {
    /// As the API writes it.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Created => "Created",
            Self::Queued => "Queued",
            Self::Dispatched => "Dispatched",
            Self::InProgress => "InProgress",
            Self::TimedOut => "TimedOut",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Unrecognised(word) => word,
        }
    }
}

/// What came of an acknowledgement that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// The job has this status.
    Status(JobStatus),
    /// Somebody else has acknowledged the job, or an earlier attempt of ours has.
    InvalidNonce,
    /// There is no such job, or not any more.
    NoJob,
}

/// What came of a result that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// CodePipeline took it.
    Accepted,
    /// The job was over before.
    Over(JobOver),
}

/// Why no result is wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOver {
    /// It has ended: by a timeout, because its execution was stopped or abandoned, or by somebody else's result.
    Ended,
    /// It is gone.
    Gone,
    /// It has ended, perhaps by this very result: the answer to an earlier attempt was lost, or another worker held the
    /// job too. It does not say that anybody stopped the action.
    Unclear,
}

/// What has become of an action execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionStatus {
    /// It runs.
    Running,
    /// Somebody stopped its pipeline execution and abandoned it.
    Abandoned,
    /// It has succeeded or failed.
    Ended,
    /// It may not be seen: the worker's role is not allowed to.
    Denied,
    /// It is not to be seen.
    Unknown,
}

impl Pipeline {
    /// CodePipeline in the region of these clients.
    #[must_use]
    pub fn new(aws: &Aws, tell: Tell) -> Self {
        Self {
            client: aws.codepipeline.clone(),
            tell,
            told: Arc::default(),
        }
    }

    /// Asks for at most `most` jobs of an action type; `fleet` is the value of its queryable property, which must be given
    /// if it has one. A job that is offered is nobody's yet, and one that cannot be read is told of and left out.
    ///
    /// # Errors
    /// [`PipelineError`]; see [`PipelineError::is_no_such_type`].
    pub async fn poll(
        &self,
        action_type: &ActionTypeId,
        fleet: Option<(&str, &str)>,
        most: u16,
    ) -> Result<Vec<Offer>, PipelineError> {
        let act = || Act::Poll(action_type.clone());
        let mut call = self
            .client
            .poll_for_jobs()
            .action_type_id(id_of(action_type).map_err(|error| act().failed(error))?)
            .max_batch_size(i32::from(most.max(1)));
        if let Some((name, value)) = fleet {
            call = call.query_param(name, value);
        }
        let answer = call.send().await.map_err(CallError::of(POLL));
        let jobs = answer.map_err(|error| act().failed(error))?.jobs;
        let mut offers = Vec::new();
        for job in jobs.unwrap_or_default() {
            match read::offer(job) {
                Ok(offer) => offers.push(offer),
                Err(unreadable) => self.tell.tell(Event::Warning(format!(
                    "a job of `{action_type}` is left alone: {unreadable}"
                ))),
            }
        }
        Ok(offers)
    }

    /// Acknowledges a job, in one attempt.
    ///
    /// # Errors
    /// [`PipelineError`]; see [`PipelineError::is_in_doubt`].
    pub async fn acknowledge(&self, job: &JobId, nonce: &str) -> Result<Acknowledged, PipelineError> {
        let answer = self
            .client
            .acknowledge_job()
            .job_id(job.as_str())
            .nonce(nonce)
            .customize()
            .config_override(once())
            .send()
            .await
            .map_err(CallError::of(ACKNOWLEDGE))
            .and_then(|answer| {
                let status = answer.status.map(read::status);
                status.ok_or_else(CallError::lacking(ACKNOWLEDGE, "status"))
            });
        match answer {
            Ok(status) => Ok(Acknowledged::Status(status)),
            Err(error) => match code(&error) {
                "InvalidNonceException" => Ok(Acknowledged::InvalidNonce),
                "JobNotFoundException" => Ok(Acknowledged::NoJob),
                _ => Err(Act::Acknowledge(job.clone()).failed(error)),
            },
        }
    }

    /// A job again, with new keys for its artifacts; none if there is no such job. It does not say whether the job is
    /// acknowledged, or over.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub async fn details(&self, job: &JobId) -> Result<Option<(Job, Option<ArtifactKeys>)>, PipelineError> {
        let act = || Act::Details(job.clone());
        let answer = self
            .client
            .get_job_details()
            .job_id(job.as_str())
            .send()
            .await
            .map_err(CallError::of(DETAILS));
        match answer {
            Ok(answer) => {
                let details = answer.job_details;
                let details = details.ok_or_else(CallError::lacking(DETAILS, "jobDetails"));
                let details = details.map_err(|error| act().failed(error))?;
                let read = read::details(job, details);
                Ok(Some(read.map_err(|unreadable| act().unreadable(unreadable))?))
            }
            Err(error) if code(&error) == "JobNotFoundException" => Ok(None),
            Err(error) => Err(act().failed(error)),
        }
    }

    /// Ends a job, in one attempt.
    ///
    /// # Errors
    /// [`PipelineError`]; see [`PipelineError::is_in_doubt`], [`PipelineError::is_invalid`].
    pub async fn put(&self, job: &JobId, ending: &Ending) -> Result<Put, PipelineError> {
        match ending {
            Ending::Success(outcome) => self.put_success(job, outcome).await,
            Ending::Failure(report) => self.put_failure(job, report).await,
        }
    }

    /// Says that a job did what it should, in one attempt. Texts are sent as they are: [`Ending::fitted`] makes them fit.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn put_success(&self, job: &JobId, outcome: &Outcome) -> Result<Put, PipelineError> {
        let call = self.client.put_job_success_result().job_id(job.as_str());
        let call = match outcome {
            Outcome::Final(details, variables) => {
                let call = call.set_execution_details(execution_details(details));
                variables
                    .0
                    .iter()
                    .fold(call, |call, (name, value)| call.output_variables(name, value))
            }
            Outcome::Again(token, details) => call
                .continuation_token(token)
                .set_execution_details(execution_details(details)),
        };
        let sent = call.customize().config_override(once()).send().await;
        answered(sent.map(drop).map_err(CallError::of(SUCCESS)), || match outcome {
            Outcome::Final(..) => Act::Success(job.clone()),
            Outcome::Again(..) => Act::HandBack(job.clone()),
        })
    }

    /// Says that a job failed, in one attempt. Texts are sent as they are.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub async fn put_failure(&self, job: &JobId, report: &FailureReport) -> Result<Put, PipelineError> {
        let act = || Act::Failure(job.clone());
        let details = sdk::FailureDetails::builder()
            .r#type(kind(report.kind))
            .message(&report.message)
            .set_external_execution_id(report.external.clone())
            .build()
            .map_err(|error| act().failed(CallError::unbuilt(FAILURE, error)))?;
        let call = self.client.put_job_failure_result().job_id(job.as_str());
        let call = call.failure_details(details).customize();
        let sent = call.config_override(once()).send().await;
        answered(sent.map(drop).map_err(CallError::of(FAILURE)), act)
    }

    /// What has become of the action execution that a job belongs to, as far as that is to be seen just now.
    pub async fn action_status(&self, of: &Context) -> ActionStatus {
        self.what_became(of).await.unwrap_or(ActionStatus::Unknown)
    }

    /// What has become of the action execution that a job belongs to: a worker is never told that its action was
    /// abandoned. A look that is denied is told once.
    ///
    /// # Errors
    /// [`PipelineError`] when no answer came that would say so: it may be asked again.
    pub async fn what_became(&self, of: &Context) -> Result<ActionStatus, PipelineError> {
        Ok(self.action(of).await?.0)
    }

    /// The same, and the summary that was put last.
    ///
    /// # Errors
    /// As [`Self::what_became`].
    pub async fn action(&self, of: &Context) -> Result<(ActionStatus, Option<String>), PipelineError> {
        let filter = sdk::ActionExecutionFilter::builder().pipeline_execution_id(&of.execution);
        let call = self.client.list_action_executions();
        let call = call.pipeline_name(&of.pipeline).filter(filter.build());
        let mut pages = call.into_paginator().send();
        for _ in 0..MOST_PAGES {
            let page = match pages.next().await {
                Some(Ok(page)) => page,
                Some(Err(error)) => {
                    let error = CallError::of(LIST)(error);
                    if error.sorted == Sorted::Throttled || error.sorted.is_in_doubt() {
                        return Err(Act::Status(of.action.clone()).failed(error));
                    }
                    return Ok((self.unseen(&error), None));
                }
                None => break,
            };
            let found = page
                .action_execution_details()
                .iter()
                .find(|action| action.action_execution_id() == Some(of.action_execution.as_str()));
            if let Some(found) = found {
                let status = found.status().map_or(ActionStatus::Unknown, read::action_status);
                let result = found.output().and_then(|output| output.execution_result());
                let summary = result.and_then(|result| result.external_execution_summary());
                return Ok((status, summary.map(str::to_owned)));
            }
        }
        Ok((ActionStatus::Unknown, None))
    }

    /// What a look says that was refused.
    fn unseen(&self, error: &CallError) -> ActionStatus {
        if error.sorted != Sorted::Denied {
            return ActionStatus::Unknown;
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            self.tell.tell(Event::Warning(format!(
                "whether an action was abandoned is not to be seen, and nothing is rolled back for it: allow `{LIST}` in the \
                 worker's role, or leave it"
            )));
        }
        ActionStatus::Denied
    }
}

/// One attempt: the SDK's own would hide an answer that was lost.
fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

fn id_of(action_type: &ActionTypeId) -> Result<sdk::ActionTypeId, CallError> {
    sdk::ActionTypeId::builder()
        .category(sdk::ActionCategory::from(action_type.category.word()))
        .owner(sdk::ActionOwner::Custom)
        .provider(&action_type.provider)
        .version(&action_type.version)
        .build()
        .map_err(|error| CallError::unbuilt(POLL, error))
}

fn kind(kind: FailureType) -> sdk::FailureType {
    sdk::FailureType::from(kind.word())
}

/// Nothing is said by empty details.
fn execution_details(details: &Details) -> Option<sdk::ExecutionDetails> {
    let some = *details != Details::default();
    some.then(|| {
        sdk::ExecutionDetails::builder()
            .set_summary(details.summary.clone())
            .set_external_execution_id(details.external.clone())
            .set_percent_complete(details.percent.map(i32::from))
            .build()
    })
}

fn answered(sent: Result<(), CallError>, act: impl FnOnce() -> Act) -> Result<Put, PipelineError> {
    match sent {
        Ok(()) => Ok(Put::Accepted),
        Err(error) => match code(&error) {
            "InvalidJobStateException" => Ok(Put::Over(JobOver::Ended)),
            "JobNotFoundException" => Ok(Put::Over(JobOver::Gone)),
            _ => Err(act().failed(error)),
        },
    }
}

/// The code of a refusal; empty if it is none.
fn code(error: &CallError) -> &str {
    match &error.sorted {
        Sorted::Refused { code, .. } | Sorted::Missing { code } => code,
        Sorted::Transient
        | Sorted::Throttled
        | Sorted::Denied
        | Sorted::ExpiredCredentials
        | Sorted::NoCredentials
        | Sorted::CredentialsFailed
        | Sorted::Unreachable
        | Sorted::Garbled
        | Sorted::Foreign { .. } => "",
    }
}
