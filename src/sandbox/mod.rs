//! The sandbox: an HTTP server on loopback that answers as AWS answers, and runs ECS tasks as real or simulated ones.
//!
//! It is the oracle that slipway is tested against, so it shares only vocabulary with the rest of the crate. What it
//! imitates: ECR and the registry `/v2`, ECS, S3 objects, ELBv2, CloudWatch Logs, STS and its sessions, SQS, CodePipeline's
//! custom actions and pipelines of them. What it does not: IAM policies, EC2, autoscaling, CodeDeploy. An operation that it
//! does not know is refused by name.

pub mod balancer;
pub mod docker;
pub mod journal;
pub mod listener;
pub mod scenario;
pub mod server;
pub mod simulate;
pub mod wire;
pub mod world;

pub use world::ACCOUNT;
