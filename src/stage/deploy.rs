//! The deploy stage: imagedefinitions.json to a new revision, a deployment, and its verdict.

use super::Tools;
use crate::config::settings::{DeploySettings, ServiceSettings};
use crate::failure::Failure;
use crate::name::ServiceName;

/// What to deploy.
#[derive(Debug, Clone)]
pub struct DeployPlan {
    /// The `[deploy]` table.
    pub deploy: DeploySettings,
    /// The services, deployed at the same time.
    pub services: Vec<ServiceSettings>,
}

/// What a deploy of one service did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// The service.
    pub service: ServiceName,
    /// `family:revision` that runs now.
    pub revision: String,
    /// Our deployment's id; none when nothing differed.
    pub deployment: Option<String>,
    /// The `repository@digest` of each container that runs, proven.
    pub images: Vec<String>,
}

/// Deploys every service and watches each until its verdict.
///
/// # Errors
/// The failure of the first service that failed, with what is left serving.
pub async fn deploy(_tools: &Tools, _plan: &DeployPlan) -> Result<Vec<Deployed>, Failure> {
    todo!()
}
