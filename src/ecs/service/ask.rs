//! The read calls of a watch: each gives what the far end said, member by member as it said it.

use super::passthrough::{Captured, ReadAnswer};
use crate::aws::Aws;
use crate::aws::sort::{CallError, Sorted};
use crate::ecs::answers::{
    Answer, DESCRIBE_SERVICE_DEPLOYMENTS, DESCRIBE_SERVICE_REVISIONS, DESCRIBE_SERVICES,
    DESCRIBE_TARGET_HEALTH, DESCRIBE_TASKS, LIST_SERVICE_DEPLOYMENTS, LIST_TASKS, Outcome,
};
use crate::ecs::observation::{Blind, BlindReason};
use crate::ecs::quota::Category;
use aws_sdk_ecs::types::DesiredStatus;
use aws_sdk_elasticloadbalancingv2::types::{
    TargetDescription, TargetHealthDescription, TargetHealthReasonEnum, TargetHealthStateEnum,
};
use serde_json::{Value, json};

/// The most services that one DescribeServices describes.
pub const SERVICES_PER_CALL: usize = 10;

/// The most tasks that one DescribeTasks describes.
pub(super) const TASKS_PER_CALL: usize = 100;

/// Service deployments that are listed to find ours; it is among the newest.
const DEPLOYMENTS_LISTED: i32 = 20;

/// Which of a service's tasks are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Listed {
    /// Those that are meant to run.
    Running,
    /// Those that are meant to stop, or have.
    Stopped,
}

impl Listed {
    /// The API's word.
    pub(super) fn word(self) -> String {
        self.status().as_str().to_owned()
    }

    fn status(self) -> DesiredStatus {
        match self {
            Self::Running => DesiredStatus::Running,
            Self::Stopped => DesiredStatus::Stopped,
        }
    }
}

/// Sends a call of ECS and gives its answer's body as ECS wrote it.
macro_rules! said {
    ($aws:expr, $category:expr, $action:expr, $call:expr) => {{
        let body = Captured::default();
        let sent = async {
            let sent = $call.customize().interceptor(ReadAnswer::into(&body)).send();
            sent.await.map_err(CallError::of($action))
        };
        let sent = $aws.paced($category, sent).await;
        sent.map(|_| body.json())
    }};
}

/// DescribeServices of at most ten services of one cluster.
pub(super) async fn describe_services(
    aws: &Aws,
    cluster: &str,
    services: &[String],
) -> Result<Value, CallError> {
    let call = aws.ecs.describe_services().cluster(cluster);
    said!(
        aws,
        Category::ServiceRead,
        DESCRIBE_SERVICES,
        call.set_services(Some(services.to_vec()))
    )
}

/// The newest service deployments of a service.
pub(super) async fn list_service_deployments(
    aws: &Aws,
    cluster: &str,
    service: &str,
) -> Result<Value, CallError> {
    let call = aws
        .ecs
        .list_service_deployments()
        .cluster(cluster)
        .service(service);
    said!(
        aws,
        Category::ServiceDeployment,
        LIST_SERVICE_DEPLOYMENTS,
        call.max_results(DEPLOYMENTS_LISTED)
    )
}

/// DescribeServiceDeployments of at most twenty.
pub(super) async fn describe_service_deployments(aws: &Aws, arns: &[String]) -> Result<Value, CallError> {
    let call = aws.ecs.describe_service_deployments();
    said!(
        aws,
        Category::ServiceDeployment,
        DESCRIBE_SERVICE_DEPLOYMENTS,
        call.set_service_deployment_arns(Some(arns.to_vec()))
    )
}

/// DescribeServiceRevisions of at most twenty.
pub(super) async fn describe_service_revisions(aws: &Aws, arns: &[String]) -> Result<Value, CallError> {
    let call = aws.ecs.describe_service_revisions();
    said!(
        aws,
        Category::ServiceRevision,
        DESCRIBE_SERVICE_REVISIONS,
        call.set_service_revision_arns(Some(arns.to_vec()))
    )
}

/// All pages of a service's tasks as one answer. ListTasks refuses `startedBy` beside any other filter and would then
/// leave stopped tasks out, so ours are picked from the service's by what DescribeTasks says.
pub(super) async fn list_tasks(
    aws: &Aws,
    cluster: &str,
    service: &str,
    listed: Listed,
) -> Result<Value, CallError> {
    let call = aws.ecs.list_tasks().cluster(cluster).service_name(service);
    let mut pages = call.desired_status(listed.status()).into_paginator().send();
    let mut arns: Vec<String> = Vec::new();
    loop {
        let next = async { pages.next().await.transpose().map_err(CallError::of(LIST_TASKS)) };
        let Some(page) = aws.paced(Category::TaskRead, next).await? else {
            break;
        };
        arns.extend(
            page.task_arns
                .ok_or_else(CallError::lacking(LIST_TASKS, "taskArns"))?,
        );
    }
    Ok(json!({ "taskArns": arns }))
}

/// The tasks of a whole cluster; none if one answer cannot hold them.
pub(super) async fn list_tasks_of_cluster(
    aws: &Aws,
    cluster: &str,
    listed: Listed,
) -> Result<Option<Value>, CallError> {
    let call = aws.ecs.list_tasks().cluster(cluster);
    let call = call.desired_status(listed.status());
    let page = async { call.send().await.map_err(CallError::of(LIST_TASKS)) };
    let page = aws.paced(Category::TaskRead, page).await?;
    let whole = page.next_token.is_none();
    let arns = page
        .task_arns
        .ok_or_else(CallError::lacking(LIST_TASKS, "taskArns"))?;
    Ok(whole.then(|| json!({ "taskArns": arns })))
}

/// DescribeTasks of at most [`TASKS_PER_CALL`] tasks of one cluster.
pub(super) async fn describe_tasks(aws: &Aws, cluster: &str, tasks: &[String]) -> Result<Value, CallError> {
    let call = aws.ecs.describe_tasks().cluster(cluster);
    said!(
        aws,
        Category::TaskRead,
        DESCRIBE_TASKS,
        call.set_tasks(Some(tasks.to_vec()))
    )
}

/// DescribeTargetHealth of one target group, in the shape in which the AWS CLI prints it: the API speaks XML.
pub(super) async fn describe_target_health(aws: &Aws, group: &str) -> Result<Value, CallError> {
    let call = aws.elb.describe_target_health().target_group_arn(group);
    let answer = call.send().await.map_err(CallError::of(DESCRIBE_TARGET_HEALTH))?;
    let targets = answer.target_health_descriptions;
    let targets = targets.ok_or_else(CallError::lacking(
        DESCRIBE_TARGET_HEALTH,
        "TargetHealthDescriptions",
    ))?;
    let targets: Vec<Value> = targets.iter().map(target).collect();
    Ok(json!({ "TargetHealthDescriptions": targets }))
}

fn target(from: &TargetHealthDescription) -> Value {
    let (target, health) = (from.target(), from.target_health());
    json!({
        "Target": {
            "Id": target.and_then(|target| target.id()),
            "Port": target.and_then(TargetDescription::port),
        },
        "TargetHealth": {
            "State": health.and_then(|health| health.state()).map(TargetHealthStateEnum::as_str),
            "Reason": health.and_then(|health| health.reason()).map(TargetHealthReasonEnum::as_str),
            "Description": health.and_then(|health| health.description()),
        },
    })
}

/// A call and what came of it.
pub(super) fn answer(action: &str, asked: Value, said: Result<Value, CallError>) -> Answer {
    Answer {
        action: action.to_owned(),
        asked,
        outcome: match said {
            Ok(said) => Outcome::Said(said),
            Err(error) => Outcome::Failed(why(&error)),
        },
    }
}

/// What a call that failed leaves unseen.
pub(super) fn blind(error: &CallError) -> Blind {
    Blind {
        action: error.action.to_owned(),
        why: why(error),
    }
}

fn why(error: &CallError) -> BlindReason {
    match error.sorted {
        Sorted::Denied => BlindReason::Denied,
        Sorted::ExpiredCredentials | Sorted::NoCredentials => BlindReason::NoCredentials,
        Sorted::Transient
        | Sorted::Throttled
        | Sorted::CredentialsFailed
        | Sorted::Unreachable
        | Sorted::Garbled
        | Sorted::Foreign { .. } => BlindReason::Transient,
        Sorted::Missing { .. } | Sorted::Refused { .. } => BlindReason::Unsupported,
    }
}
