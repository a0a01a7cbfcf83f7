//! Deploying to an ECS service: the task definition, the rollout and its judge.
//!
//! `task_definition`, `observation`, `answers`, `rollout`, `oneoff`, `diagnosis`, `capture`, `quota`, `resume` and `mark`
//! decide;
//! `service` talks to AWS, `recorder` writes captures.

pub mod answers;
pub mod capture;
pub mod diagnosis;
pub mod mark;
pub mod observation;
pub mod oneoff;
pub mod quota;
pub mod recorder;
pub mod resume;
pub mod rollout;
pub mod service;
pub mod task_definition;
