//! The labels of everything that a sandbox makes, and whether the process that made it still lives.

use std::collections::BTreeMap;
use std::process;

/// The sandbox's id.
pub const SANDBOX: &str = "slipway.sandbox";
/// The process that owns it: see [`Owner`].
pub const OWNER: &str = "slipway.owner";
/// The registry whose images it may remove: `127.0.0.1:4566`.
pub const REGISTRY: &str = "slipway.registry";
/// The task that a container belongs to.
pub const TASK: &str = "slipway.task";
/// The container of the task definition; the container that holds the task's network has none.
pub const CONTAINER: &str = "slipway.container";

/// A process, and where its number means something: `PID PROCESSES BOOT`.
///
/// A number alone could belong to another process in another container that shares the Engine, or on another machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pid: i32,
    realm: String,
}

impl Owner {
    /// This process.
    pub async fn this_process() -> Self {
        let namespace = tokio::fs::read_link("/proc/self/ns/pid").await;
        let namespace = namespace.map_or_else(|_| "-".to_owned(), |path| path.display().to_string());
        let boot = tokio::fs::read_to_string("/proc/sys/kernel/random/boot_id").await;
        let boot = boot.map_or_else(|_| "-".to_owned(), |text| text.trim().to_owned());
        Self {
            pid: i32::try_from(process::id()).unwrap_or_default(),
            realm: format!("{namespace} {boot}"),
        }
    }

    /// As a label's value.
    pub fn label(&self) -> String {
        format!("{} {}", self.pid, self.realm)
    }

    /// Whether a label's value names a process that this one can see to be dead; never true for one of another realm.
    pub fn sees_dead(&self, label: &str) -> bool {
        let Some((pid, realm)) = label.split_once(' ') else {
            return false;
        };
        realm == self.realm && pid.parse().is_ok_and(|pid: i32| pid != self.pid && is_dead(pid))
    }
}

#[cfg(unix)]
fn is_dead(pid: i32) -> bool {
    let process = rustix::process::Pid::from_raw(pid);
    process.is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn is_dead(_pid: i32) -> bool {
    false
}

/// The labels of everything that a sandbox makes.
pub fn labels(sandbox: &str, owner: &Owner, registry: &str) -> BTreeMap<String, String> {
    [
        (SANDBOX, sandbox.to_owned()),
        (OWNER, owner.label()),
        (REGISTRY, registry.to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::Owner;

    #[tokio::test]
    async fn only_a_process_of_the_same_realm_is_seen_dead() {
        let me = Owner::this_process().await;
        assert!(!me.sees_dead(&me.label()), "this process lives");
        // The largest number of a process is 2^22 on Linux.
        let dead = Owner {
            pid: i32::MAX,
            ..me.clone()
        };
        assert_eq!(me.sees_dead(&dead.label()), cfg!(unix));
        let elsewhere = Owner {
            realm: "pid:[1] other".to_owned(),
            ..dead
        };
        assert!(!me.sees_dead(&elsewhere.label()));
        for broken in ["", "12", "x y z"] {
            assert!(!me.sees_dead(broken), "{broken}");
        }
    }
}
