//! Slipway takes a Dockerfile to healthy Amazon ECS tasks, and never says that a deployment succeeded when it did not.
//!
//! ```text
//!  Dockerfile ──image──▶ Engine ──push──▶ registry ──digest──▶ imagedefinitions.json
//!                                                                      │
//!  verdict ◀──rollout── looks ◀──service── UpdateService ◀──task_definition
//! ```
//!
//! # The map, and the arrows between modules
//!
//! Five layers; a module may use its own layer's submodules and what the table allows, and `tests/it/architecture.rs`
//! holds the same table.
//!
//! | layer | modules | may use |
//! | --- | --- | --- |
//! | vocabulary | `name`, `secret`, `failure`, `report::event` | each other |
//! | decisions | `config::{settings, written, keys, document, elements, substitution, resolve, worker}`, `image::{ignore, context, source, transcript}`, `ecs::{task_definition, observation, answers, rollout, oneoff, diagnosis, capture, mark, quota, resume}`, `artifact::{imagedefinitions, outputs}`, `pipeline::{action_type, job, pace, result, token}` | vocabulary |
//! | rim | `clock`, `shutdown`, `config::{layers, checkout}`, `aws`, `image::{files, endpoint, session, daemon}`, `registry`, `ecs::{service, recorder}`, `artifact::{archive, store, transfer, unpack, write}`, `pipeline::{claim, client, credentials, journal, registration, wake}` | vocabulary, decisions, rim |
//! | stories | `stage`, `worker` | vocabulary, decisions, rim |
//! | shell | `main`, `cli`, `app`, `dryrun`, `report::{human, json, bars, reporter}`, `sandbox` | everything, but for the reporters (vocabulary, `clock`) and `sandbox` (vocabulary, `clock`, `shutdown`) |

pub mod app;
pub mod artifact;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dryrun;
pub mod ecs;
pub mod failure;
pub mod image;
pub mod name;
pub mod pipeline;
pub mod registry;
pub mod report;
pub mod sandbox;
pub mod secret;
pub mod shutdown;
pub mod stage;
pub mod worker;
