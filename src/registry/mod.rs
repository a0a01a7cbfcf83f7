//! What a registry holds, and what it can refuse.

pub mod ecr;
