//! What a registry holds, and what it can refuse.
//!
//! `manifest` reads manifests and is pure; `ecr` talks to Amazon ECR. Pushing is left to `image::daemon`.

pub mod ecr;
pub mod manifest;
