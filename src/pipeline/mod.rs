//! CodePipeline's side of a worker: jobs of custom actions, and how each is claimed and closed exactly once.
//!
//! `job`, `result`, `token`, `pace` and `action_type` decide; `client`, `claim`, `credentials`, `journal`,
//! `registration` and `wake` talk to CodePipeline, S3's credentials, the disk and SQS.

pub mod action_type;
pub mod claim;
pub mod client;
pub mod credentials;
pub mod job;
pub mod journal;
pub mod pace;
pub mod registration;
pub mod result;
pub mod token;
pub mod wake;
