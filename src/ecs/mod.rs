//! Deploying to an ECS service: the task definition, the rollout and its judge.
//!
//! `task_definition`, `observation`, `answers`, `rollout`, `oneoff`, `diagnosis`, `quota` and `resume` decide; `service`
//! talks to AWS.

pub mod answers;
pub mod diagnosis;
pub mod observation;
pub mod oneoff;
pub mod quota;
pub mod resume;
pub mod rollout;
pub mod service;
pub mod task_definition;
