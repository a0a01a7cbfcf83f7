//! Configuration in two steps: what was written (`layers`), then what it means (`resolve`).

pub mod layers;
pub mod resolve;
pub mod settings;
