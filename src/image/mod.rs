//! Building and pushing an image with a Docker Engine.
//!
//! `ignore`, `context`, `source` and `transcript` decide; `files`, `endpoint`, `session` and `daemon` do.

pub mod context;
pub mod daemon;
pub mod endpoint;
pub mod files;
pub mod ignore;
pub mod session;
pub mod source;
pub mod transcript;
