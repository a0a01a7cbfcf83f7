//! Values that stand for secrets, each where a secret can be; nothing that a worker tells or leaves may show one.

/// Of the environment of version 1's task definition.
pub const TASK_VALUE: &str = "canary-task-environment";
/// Of `Secrets` in an action's configuration.
pub const PROPERTY: &str = "canary-secret-property";
/// Of `env` in slipway.toml.
pub const TOML_VALUE: &str = "canary-toml-environment";
/// The worker's own secret key.
pub const WORKER_KEY: &str = "canary-worker-secret-key";

/// All of them.
pub const ALL: [&str; 4] = [TASK_VALUE, PROPERTY, TOML_VALUE, WORKER_KEY];
