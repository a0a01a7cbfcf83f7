//! Configuration in two steps: what was written (`layers` reads it), then what it means (`resolve`).
//!
//! `written` is the vocabulary of the first step, `keys` the one table of everything that can be written, `settings`
//! the result of the second; `worker` does both for a worker. Only `layers` and `checkout` touch the environment and files.

pub mod checkout;
pub mod document;
pub mod elements;
pub mod keys;
pub mod layers;
pub mod resolve;
pub mod settings;
pub mod substitution;
pub mod worker;
pub mod written;
