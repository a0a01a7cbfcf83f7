//! Amazon ECR: authorisation, repositories, and what a repository holds.
//!
//! `token` reads authorisation tokens, `client` makes the calls, `error` is what they can end with. Pushing is left to
//! `image::daemon`, reading manifests to `registry::manifest`.

mod client;
mod error;
mod token;

#[cfg(test)]
mod tests;

pub use client::{Ecr, EcrRepository, HeldImage, IfMissing, TagMutability};
pub use error::EcrError;
pub use token::TokenError;
