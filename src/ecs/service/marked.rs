//! Revisions and deployments that an earlier attempt of the same execution made, found by their mark.

use super::ask;
use super::passthrough::{Captured, ReadAnswer};
use super::{Ecs, ServiceError};
use crate::aws::sort::{CallError, Sorted};
use crate::ecs::mark::{Found, Marking};
use crate::ecs::quota::Category;
use crate::ecs::task_definition::TaskDefinition;
use serde_json::Value;

/// Revisions that are looked at, the newest first: others may have registered in the same family since. Each is a call of
/// twenty a second that an account has.
const LOOKED_AT: u64 = 5;

/// How many of those may be gone: who deletes revisions leaves gaps between their numbers.
const STEPPED_OVER: u64 = 10;

/// A revision that is registered.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Its ARN.
    pub arn: String,
    /// Its number in its family.
    pub number: u64,
    /// Whether services can be pointed at it.
    pub active: bool,
    /// Its document, with its tags.
    pub definition: TaskDefinition,
}

/// A revision with our mark.
#[derive(Debug, Clone)]
pub struct MarkedRevision {
    /// Its ARN.
    pub arn: String,
    /// The mark.
    pub found: Found,
}

/// A deployment that once was a service's.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierDeployment {
    /// Its id.
    pub id: String,
    /// When it was created, in seconds since the Unix epoch by ECS's clock.
    pub created: f64,
}

impl Ecs {
    /// Describes a revision with its tags, or the newest active one of a family. None if there is none.
    ///
    /// # Errors
    /// [`ServiceError`] when the call fails, or its answer cannot be used.
    pub async fn registered(&self, name: &str) -> Result<Option<Registered>, ServiceError> {
        const ACTION: &str = "ecs:DescribeTaskDefinition";
        let lacking = |lacks| ServiceError::Incomplete {
            action: ACTION,
            lacks,
        };
        let body = Captured::default();
        let call = async {
            let call = self.aws.ecs.describe_task_definition().task_definition(name);
            call.include(aws_sdk_ecs::types::TaskDefinitionField::Tags)
                .customize()
                .interceptor(ReadAnswer::into(&body))
                .send()
                .await
                .map_err(CallError::of(ACTION))
        };
        match self.aws.paced(Category::TaskDefinitionRead, call).await {
            Ok(_) => {}
            Err(CallError {
                sorted: Sorted::Missing { .. } | Sorted::Refused { .. },
                ..
            }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let text = body.take();
        let said: Value = serde_json::from_slice(&text).unwrap_or_default();
        let of = |member: &str| said["taskDefinition"][member].clone();
        let arn = of("taskDefinitionArn");
        let arn = arn.as_str().ok_or_else(|| lacking("task definition ARN"))?;
        Ok(Some(Registered {
            arn: arn.to_owned(),
            number: of("revision").as_u64().ok_or_else(|| lacking("revision"))?,
            active: of("status") == "ACTIVE",
            definition: TaskDefinition::parse(&text).map_err(ServiceError::TaskDefinition)?,
        }))
    }

    /// The newest revision of a definition's family that has this mark and would be made of the definition.
    ///
    /// # Errors
    /// [`ServiceError`] when a revision cannot be looked at.
    pub async fn find_marked(
        &self,
        definition: &TaskDefinition,
        marking: &Marking,
    ) -> Result<Option<MarkedRevision>, ServiceError> {
        let family = definition.family();
        let mut name = family.to_owned();
        let (mut looked_at, mut gone) = (0, 0);
        let mut number = None;
        while looked_at < LOOKED_AT && gone < STEPPED_OVER {
            let revision = self.registered(&name).await?;
            if let Some(revision) = revision {
                looked_at += 1;
                if let Some(found) = marking.find(&revision.definition)
                    && revision.active
                    && marking.is_made_of(&revision.definition, definition)
                {
                    let arn = revision.arn;
                    return Ok(Some(MarkedRevision { arn, found }));
                }
                number = Some(revision.number);
            } else {
                gone += 1;
            }
            // Without a newest one there is none.
            let before = number.unwrap_or_default().saturating_sub(1);
            if before == 0 {
                return Ok(None);
            }
            name = format!("{family}:{before}");
            number = Some(before);
        }
        Ok(None)
    }

    /// The newest deployment of the service that brought a revision, as its history tells; none if it tells of none, or
    /// may not be read.
    pub async fn deployment_of(&self, revision: &str) -> Option<EarlierDeployment> {
        let listed = ask::list_service_deployments(&self.aws, &self.cluster, &self.service).await;
        let listed = listed.ok()?;
        let deployments = listed["serviceDeployments"].as_array()?;
        let targets = deployments
            .iter()
            .filter_map(|one| one["targetServiceRevisionArn"].as_str());
        let mut targets: Vec<String> = targets.map(str::to_owned).collect();
        targets.dedup();
        if targets.is_empty() {
            return None;
        }
        let described = ask::describe_service_revisions(&self.aws, &targets).await.ok()?;
        let brings = |arn: &str| {
            let mut revisions = described["serviceRevisions"].as_array().into_iter().flatten();
            revisions.any(|one| {
                one["serviceRevisionArn"] == arn && one["taskDefinition"].as_str() == Some(revision)
            })
        };
        let found = deployments
            .iter()
            .find(|one| one["targetServiceRevisionArn"].as_str().is_some_and(&brings))?;
        let number = found["targetServiceRevisionArn"].as_str()?.rsplit('/').next()?;
        Some(EarlierDeployment {
            id: format!("ecs-svc/{number}"),
            created: found["createdAt"].as_f64().unwrap_or_default(),
        })
    }
}
