//! One test binary for everything that crosses a module border.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod action_type;
mod adopt;
mod architecture;
mod archives;
mod back;
mod budget;
mod canaries;
mod captures;
mod cli;
mod delays;
mod dependencies;
mod deploy;
mod diagnosis;
mod docs;
mod ecs_adapter;
mod elsewhere;
mod endings;
mod engine_stub;
mod explain;
mod faults;
mod fleet;
mod golden;
mod hidden;
mod jobs;
mod journals;
mod matrix;
mod names;
mod oneoff;
mod oneoff_faults;
mod promises;
mod recorded;
mod responder;
mod resume;
mod rolls;
mod sandbox_support;
mod scenarios;
#[path = "../shared/search.rs"]
mod search;
mod strategies;
mod stretches;
mod support;
mod transfer;
mod unreadable;
mod wake;
mod wire_apis;
mod wire_cbor;
mod wire_pipeline;
mod wire_registry;
mod wire_s3;
mod wire_sessions;
mod wire_sqs;
mod worker_docs;
mod worker_verb;
