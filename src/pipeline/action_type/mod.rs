//! The action types of slipway: what CodePipeline is told of them, and how that compares with what is registered.
//!
//! `definition` says what they are, `links` where their URLs lead, `limits` what CodePipeline would refuse, `document`
//! writes them for AWS's tools, and `compare` holds them against what ListActionTypes gives.

mod compare;
mod definition;
mod document;
mod limits;
mod links;

pub use compare::{Standing, differences, next_version, standing};
pub use definition::{
    Counts, Definition, Property, PropertyKind, Registered, Shape, Urls, define, properties,
};
pub use document::{cloudformation, request};
pub use limits::problems;
pub use links::{LogLink, Place};

/// The provider's name unless another one is asked for.
pub const PROVIDER: &str = "Slipway";

/// The version unless another one is asked for.
pub const VERSION: &str = "1";
