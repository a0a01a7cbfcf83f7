//! Why no clients of AWS could be made, and what to do about it.

use crate::failure::{Failure, Kind, Nature};
use aws_credential_types::provider::error::CredentialsError;

/// Why no clients could be made; nothing was asked of AWS.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No layer of configuration names a region.
    #[error("find the AWS region")]
    NoRegion,
    /// What is named as a region cannot be one.
    #[error("`{0}` is no AWS region")]
    BadRegion(String),
    /// The environment or the profile gives a service an address that is none. The value is not kept: it may hold a
    /// password.
    #[error("read the endpoint URL of {service}")]
    BadEndpoint {
        /// The service, as AWS names it: `ECS`.
        service: &'static str,
    },
    /// No provider of the chain has credentials.
    #[error("find AWS credentials")]
    NoCredentials(#[source] CredentialsError),
    /// A provider has credentials configured and failed to give them.
    #[error("load AWS credentials")]
    Credentials(#[source] CredentialsError),
}

impl ConnectError {
    /// The failure to show.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        match self {
            Self::NoRegion => Failure::new(Kind::Usage, "no AWS region is set")
                .hint("set AWS_REGION, or `region` in slipway.toml, or a region in the AWS profile"),
            error @ Self::BadRegion(_) => Failure::new(Kind::Usage, error.to_string()).hint(
                "a region is a word such as `eu-west-1`: check `--region`, AWS_REGION, and `region` in slipway.toml and \
                 in the AWS profile",
            ),
            Self::BadEndpoint { service } => {
                Failure::new(Kind::Usage, format!("the endpoint URL of {service} is no http or https URL")).hint(
                    "check AWS_ENDPOINT_URL, the AWS_ENDPOINT_URL_... of the service, and `endpoint_url` in the AWS \
                     profile; AWS's own endpoints need none",
                )
            }
            Self::NoCredentials(source) => {
                Failure::new(Kind::Usage, "no AWS credentials were found").nature(Nature::Credentials).because(source).hint(
                    "inside CodeBuild the project's service role gives them; elsewhere set AWS_PROFILE, run `aws sso \
                     login`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                )
            }
            Self::Credentials(source) => {
                Failure::new(Kind::Usage, "the AWS credentials could not be loaded").nature(Nature::Credentials).because(source).hint(
                    "expired sign-in? run `aws sso login`; otherwise check the profile and its `credential_process` \
                     or `role_arn`",
                )
            }
        }
    }
}
