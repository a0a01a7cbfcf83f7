//! AWS clients from one configuration, and SDK errors sorted once.

use std::fmt;

/// The clients that the stories need.
#[derive(Clone)]
pub struct Aws {
    /// Amazon ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// Amazon ECR.
    pub ecr: aws_sdk_ecr::Client,
    /// Amazon S3.
    pub s3: aws_sdk_s3::Client,
    /// AWS STS.
    pub sts: aws_sdk_sts::Client,
    /// Elastic Load Balancing v2.
    pub elb: aws_sdk_elasticloadbalancingv2::Client,
    /// CloudWatch Logs.
    pub logs: aws_sdk_cloudwatchlogs::Client,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aws")
    }
}
