//! When a container may start: `dependsOn` of its definition.

use serde_json::Value;

/// One entry of `dependsOn` (ContainerDependency).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The container that is depended upon.
    pub on: String,
    /// What it must have reached.
    pub condition: Condition,
}

/// The state that a dependency asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It was started.
    Start,
    /// It ran to its end.
    Complete,
    /// It ran to its end with exit code 0.
    Success,
    /// Its health check passes.
    Healthy,
    /// A condition that the sandbox does not know: never met.
    Unrecognised(String),
}

impl Condition {
    fn parse(text: &str) -> Self {
        match text {
            "START" => Self::Start,
            "COMPLETE" => Self::Complete,
            "SUCCESS" => Self::Success,
            "HEALTHY" => Self::Healthy,
            other => Self::Unrecognised(other.to_owned()),
        }
    }

    /// As the API writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Start => "START",
            Self::Complete => "COMPLETE",
            Self::Success => "SUCCESS",
            Self::Healthy => "HEALTHY",
            Self::Unrecognised(text) => text,
        }
    }
}

/// How far a container has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It was not started yet.
    Waiting,
    /// It runs.
    Running {
        /// Whether its health check passes.
        healthy: bool,
    },
    /// It ended.
    Exited {
        /// Its exit code.
        code: i64,
    },
}

/// Whether a dependency is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// It is.
    Yes,
    /// It may still be.
    NotYet,
    /// It never will be.
    Never,
}

/// The dependencies of a container definition.
pub fn dependencies(definition: &Value) -> Vec<Dependency> {
    let entries = definition["dependsOn"].as_array().map_or(&[][..], Vec::as_slice);
    entries
        .iter()
        .map(|entry| Dependency {
            on: entry["containerName"].as_str().unwrap_or_default().to_owned(),
            condition: Condition::parse(entry["condition"].as_str().unwrap_or_default()),
        })
        .collect()
}

impl Dependency {
    /// Whether the dependency is met, given how far the container that it names has come.
    pub fn met(&self, on: Progress) -> Met {
        match (&self.condition, on) {
            (Condition::Unrecognised(_), _)
            | (Condition::Success, Progress::Exited { code: 1.. | ..=-1 })
            | (Condition::Healthy, Progress::Exited { .. }) => Met::Never,
            (Condition::Start, Progress::Running { .. } | Progress::Exited { .. })
            | (Condition::Complete | Condition::Success, Progress::Exited { .. })
            | (Condition::Healthy, Progress::Running { healthy: true }) => Met::Yes,
            (_, Progress::Waiting)
            | (Condition::Complete | Condition::Success, Progress::Running { .. })
            | (Condition::Healthy, Progress::Running { healthy: false }) => Met::NotYet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Dependency, Met, Progress, dependencies};
    use serde_json::json;

    #[test]
    fn conditions_are_met_as_far_as_the_other_container_has_come() {
        use Met::{Never, NotYet, Yes};
        let states = [
            Progress::Waiting,
            Progress::Running { healthy: false },
            Progress::Running { healthy: true },
            Progress::Exited { code: 0 },
            Progress::Exited { code: 3 },
        ];
        for (condition, expected) in [
            ("START", [NotYet, Yes, Yes, Yes, Yes]),
            ("COMPLETE", [NotYet, NotYet, NotYet, Yes, Yes]),
            ("SUCCESS", [NotYet, NotYet, NotYet, Yes, Never]),
            ("HEALTHY", [NotYet, NotYet, Yes, Never, Never]),
            ("SOON", [Never, Never, Never, Never, Never]),
        ] {
            let definition = json!({"dependsOn": [{"containerName": "db", "condition": condition}]});
            let [dependency]: [Dependency; 1] = dependencies(&definition).try_into().unwrap();
            assert_eq!(
                (dependency.on.as_str(), dependency.condition.as_str()),
                ("db", condition)
            );
            assert_eq!(states.map(|state| dependency.met(state)), expected, "{condition}");
        }
        assert!(dependencies(&json!({"name": "web"})).is_empty());
    }
}
