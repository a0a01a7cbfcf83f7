//! What a registry holds, and what it can refuse.
//!
//! `manifest` and `config` read texts and are pure; `ecr` talks to Amazon ECR. Pushing is left to `image::daemon`.

pub mod config;
pub mod ecr;
pub mod manifest;
