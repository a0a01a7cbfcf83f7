//! The ECS adapter: calls through the official SDK, answers turned into our own plain data.

mod ask;
mod change;
mod evidence;
mod fleet;
mod glance;
mod look;
mod marked;
mod oneoff;
mod passthrough;
mod proof;
mod survey;

pub use ask::SERVICES_PER_CALL;
pub use evidence::{Case, LOG_LINES};
pub use fleet::{Asks, Member, Round, Sharing, round};
pub use glance::{Glance, Glimpse, affordable, glance};
pub use look::{Look, Watched};
pub use marked::{EarlierDeployment, MarkedRevision, Registered};
pub use oneoff::{EarlierTask, NotRun, Placement, RunRequest};

use super::answers::{DESCRIBE_SERVICES, read};
use super::observation::Service;
use super::quota::Category;
use super::task_definition::{TaskDefinition, TaskDefinitionError};
use crate::aws::Aws;
use crate::aws::limits::Limits;
use crate::aws::sort::{CallError, Sorted};
use crate::config::settings::Place;
use aws_sdk_ecs::config::retry::RetryConfig;
use passthrough::{Captured, ReadAnswer, SendDocument};
use serde_json::Value;
use std::collections::BTreeMap;

/// ECS as the deploy stage sees it: one cluster and one service.
#[derive(Debug, Clone)]
pub struct Ecs {
    aws: Aws,
    /// Where images are looked up: the run's own account, which pushed them.
    home: Aws,
    /// The cluster: a short name or an ARN.
    cluster: String,
    /// The service's name.
    service: String,
}

/// Why ECS could not be asked or changed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// DescribeServices says `MISSING`.
    #[error("the cluster has no such service")]
    NoService,
    /// The answer of an operation lacks something that it must have.
    #[error("the answer of `{action}` has no {lacks}")]
    Incomplete {
        /// The IAM action.
        action: &'static str,
        /// What is missing.
        lacks: &'static str,
    },
    /// The task definition that ECS describes cannot be used.
    #[error("read the task definition that the service runs")]
    TaskDefinition(#[source] TaskDefinitionError),
}

/// A service as one DescribeServices shows it.
#[derive(Debug, Clone)]
pub struct Described {
    /// What is known of it.
    pub service: Service,
    /// Where its tasks run.
    pub placement: Placement,
    /// What ECS said, but for its deployments and its events.
    pub said: Value,
    /// When each of its deployments was created, in seconds since the Unix epoch by ECS's clock.
    pub created: BTreeMap<String, f64>,
    /// All that ECS said.
    pub whole: Value,
}

impl Described {
    /// Reads what DescribeServices said of one service; where its tasks run is left out.
    ///
    /// # Errors
    /// [`ServiceError::Incomplete`] when it lacks what a deploy needs.
    pub fn of(whole: Value) -> Result<Self, ServiceError> {
        let service = read::service(&whole).map_err(lacking(DESCRIBE_SERVICES))?;
        let deployments = whole["deployments"].as_array().into_iter().flatten();
        let created = deployments.filter_map(|one| {
            let id = one["id"].as_str()?;
            Some((id.to_owned(), one["createdAt"].as_f64()?))
        });
        let created = created.collect();
        let mut said = whole.clone();
        for list in ["deployments", "events"] {
            said[list] = Value::Array(Vec::new());
        }
        Ok(Self {
            service,
            placement: Placement::default(),
            said,
            created,
            whole,
        })
    }
}

/// What UpdateService began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Our deployment's id.
    pub deployment: String,
}

impl Ecs {
    /// Talks about one service of one cluster.
    #[must_use]
    pub fn new(aws: Aws, cluster: impl Into<String>, service: impl Into<String>) -> Self {
        Self {
            home: aws.clone(),
            aws,
            cluster: cluster.into(),
            service: service.into(),
        }
    }

    /// The same with images looked up by other clients first.
    #[must_use]
    pub fn with_images_of(self, home: Aws) -> Self {
        Self { home, ..self }
    }

    /// What all calls to the service's account and region share.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.aws.limits()
    }

    /// The cluster, which may have the name of one elsewhere.
    fn cluster_in_place(&self) -> (&Place, &str) {
        (self.aws.place(), &self.cluster)
    }

    /// The region of the cluster.
    #[must_use]
    pub fn region(&self) -> &str {
        self.aws.region()
    }

    /// Describes the service.
    ///
    /// # Errors
    /// [`ServiceError::NoService`] when ECS does not know it.
    pub async fn describe(&self) -> Result<Service, ServiceError> {
        self.describe_whole().await.map(|described| described.service)
    }

    /// Describes the service with all that a deploy needs of it.
    ///
    /// # Errors
    /// [`ServiceError::NoService`] when ECS does not know it.
    pub async fn describe_whole(&self) -> Result<Described, ServiceError> {
        let body = Captured::default();
        let call = async {
            let call = self.aws.ecs.describe_services().cluster(&self.cluster);
            call.services(&self.service)
                .customize()
                .interceptor(ReadAnswer::into(&body))
                .send()
                .await
                .map_err(CallError::of(DESCRIBE_SERVICES))
        };
        let answer = self.aws.paced(Category::ServiceRead, call).await?;
        let mut said = body.json();
        if let (Some(shown), Some(placed)) = (said["services"].get_mut(0), answer.services().first()) {
            return Ok(Described {
                placement: Placement::of(placed),
                ..Described::of(shown.take())?
            });
        }
        if said["failures"][0]["reason"] == "MISSING" {
            return Err(ServiceError::NoService);
        }
        Err(ServiceError::Incomplete {
            action: DESCRIBE_SERVICES,
            lacks: "service",
        })
    }

    /// What DescribeServices says of services of this one's cluster, each by its name; at most ten. One that it does not
    /// show is left out.
    ///
    /// # Errors
    /// [`CallError`] when the call fails.
    pub async fn describe_together(&self, services: &[String]) -> Result<BTreeMap<String, Value>, CallError> {
        let mut said = ask::describe_services(&self.aws, &self.cluster, services).await?;
        let shown = said["services"].as_array_mut().map(std::mem::take);
        let named = shown.unwrap_or_default().into_iter().filter_map(|one| {
            let name = one["serviceName"].as_str()?.to_owned();
            Some((name, one))
        });
        Ok(named.collect())
    }

    /// Describes a task definition with its tags, losing nothing.
    ///
    /// # Errors
    /// [`ServiceError`] when the call fails, or its answer cannot be used.
    pub async fn task_definition(&self, arn: &str) -> Result<TaskDefinition, ServiceError> {
        const ACTION: &str = "ecs:DescribeTaskDefinition";
        let answer = Captured::default();
        let call = async {
            let call = self.aws.ecs.describe_task_definition().task_definition(arn);
            call.include(aws_sdk_ecs::types::TaskDefinitionField::Tags)
                .customize()
                .interceptor(ReadAnswer::into(&answer))
                .send()
                .await
                .map_err(CallError::of(ACTION))
        };
        self.aws.paced(Category::TaskDefinitionRead, call).await?;
        TaskDefinition::parse(&answer.take()).map_err(ServiceError::TaskDefinition)
    }

    /// Registers a task definition, losing nothing, and returns its ARN.
    ///
    /// # Errors
    /// [`ServiceError`] when the call fails.
    pub async fn register(&self, definition: &TaskDefinition) -> Result<String, ServiceError> {
        let retries = aws_sdk_ecs::config::Builder::new();
        self.register_with(definition, retries).await
    }

    /// The same in one attempt: the SDK would hide that an answer was lost.
    ///
    /// # Errors
    /// [`ServiceError`] when the call fails.
    pub async fn register_once(&self, definition: &TaskDefinition) -> Result<String, ServiceError> {
        let once = aws_sdk_ecs::config::Builder::new().retry_config(RetryConfig::disabled());
        self.register_with(definition, once).await
    }

    async fn register_with(
        &self,
        definition: &TaskDefinition,
        retries: aws_sdk_ecs::config::Builder,
    ) -> Result<String, ServiceError> {
        const ACTION: &str = "ecs:RegisterTaskDefinition";
        let answer = self
            .aws
            .ecs
            .register_task_definition()
            .family(definition.family())
            .set_container_definitions(Some(Vec::new()))
            .customize()
            .config_override(retries)
            .interceptor(SendDocument::new(definition.to_json()))
            .send()
            .await
            .map_err(CallError::of(ACTION))?;
        answer
            .task_definition()
            .and_then(|registered| registered.task_definition_arn())
            .map(str::to_owned)
            .ok_or(ServiceError::Incomplete {
                action: ACTION,
                lacks: "task definition ARN",
            })
    }
}

/// What a service that cannot be read lacks.
fn lacking(action: &'static str) -> impl Fn(read::Unreadable) -> ServiceError {
    move |unreadable| ServiceError::Incomplete {
        action,
        lacks: unreadable.member,
    }
}

impl ServiceError {
    /// Whether another registration of the same family was under way; it passes within seconds. ECS answers with a
    /// `ClientException`, which the SDK does not retry.
    #[must_use]
    pub fn is_registration_race(&self) -> bool {
        let Self::Call(CallError {
            sorted: Sorted::Refused { message, .. },
            ..
        }) = self
        else {
            return false;
        };
        message.contains("Too many concurrent attempts to create a new revision")
    }

    /// Whether a task definition was deregistered, so that no service can be pointed at it any more.
    #[must_use]
    pub fn is_inactive(&self) -> bool {
        let Self::Call(CallError {
            sorted: Sorted::Refused { message, .. },
            ..
        }) = self
        else {
            return false;
        };
        message.contains("TaskDefinition is inactive")
    }

    /// Whether the far end said that too much was asked of it, so that the call did not take effect.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        matches!(
            self,
            Self::Call(CallError {
                sorted: Sorted::Throttled,
                ..
            })
        )
    }

    /// Whether the call may have taken effect although it failed.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        match self {
            Self::Call(error) => error.sorted.is_in_doubt(),
            Self::Incomplete { .. } => true,
            Self::NoService | Self::TaskDefinition(_) => false,
        }
    }
}
