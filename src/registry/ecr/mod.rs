//! Amazon ECR: authorisation, repositories, and what a repository holds.
//!
//! `token` reads authorisation tokens, `client` and `blobs` make the calls, `download` fetches what they name, `error` is
//! what they can end with. Pushing is left to `image::daemon`, reading what is held to `registry::manifest` and
//! `registry::config`.

mod blobs;
mod client;
mod download;
mod error;
mod token;

#[cfg(test)]
mod tests;

pub use client::{Ecr, EcrRepository, HeldImage, IfMissing, TagMutability};
pub use download::DownloadError;
pub use error::EcrError;
pub use token::TokenError;
