//! What the Engine's messages mean: events for the reporters, and in the end a result or a failure.
//!
//! A stream of messages that was answered with status 200 can still fail; only an image id, or a digest for a push, is
//! success.

mod build;
pub mod dockerfile;
mod push;

pub use build::{BuildFailure, BuildFault, BuildMessage, BuildTranscript, Log, Vertex};
pub use push::{PushFailure, PushFault, PushMessage, PushTranscript};
