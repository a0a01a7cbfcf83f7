//! When to poll next: fast while there is work, slow while there is none, never in step with other workers.
