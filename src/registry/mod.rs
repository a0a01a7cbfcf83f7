//! What a registry holds, and what it can refuse.
//!
//! `manifest` reads manifests and is pure; `ecr` talks to Amazon ECR; `docker_config` finds credentials for others.

pub mod docker_config;
pub mod ecr;
pub mod manifest;
