//! What a one-off task does differently from its task definition.

use crate::name::ContainerName;
use crate::secret::Secret;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// RunTask's `overrides`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// By container.
    pub containers: BTreeMap<ContainerName, ContainerOverride>,
    /// CPU units of the whole task.
    pub cpu: Option<u32>,
    /// Mebibytes of the whole task.
    pub memory: Option<u32>,
}

/// What one container does differently.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerOverride {
    /// The command and its arguments; the task definition's if empty.
    pub command: Vec<String>,
    /// Environment variables to set.
    pub environment: BTreeMap<String, Secret<String>>,
}

impl Overrides {
    /// The overrides of a task: a command for one container, variables for any.
    #[must_use]
    pub fn new(
        container: &ContainerName,
        command: &[String],
        environment: &BTreeMap<ContainerName, BTreeMap<String, Secret<String>>>,
        cpu: Option<u32>,
        memory: Option<u32>,
    ) -> Self {
        let mut containers: BTreeMap<ContainerName, ContainerOverride> = BTreeMap::new();
        for (name, variables) in environment {
            containers.entry(name.clone()).or_default().environment = variables.clone();
        }
        if !command.is_empty() {
            containers.entry(container.clone()).or_default().command = command.to_vec();
        }
        containers.retain(|_, one| *one != ContainerOverride::default());
        Self {
            containers,
            cpu,
            memory,
        }
    }

    /// How many characters they have as JSON, which RunTask limits.
    #[must_use]
    pub fn length(&self) -> usize {
        let environment = |one: &ContainerOverride| -> Vec<Value> {
            let pairs = one.environment.iter();
            pairs
                .map(|(name, value)| json!({ "name": name, "value": value.expose() }))
                .collect()
        };
        let containers: Vec<Value> = self
            .containers
            .iter()
            .map(|(name, one)| json!({ "name": name.as_str(), "command": one.command, "environment": environment(one) }))
            .collect();
        let size = |size: Option<u32>| size.map(|size| size.to_string());
        let whole =
            json!({ "containerOverrides": containers, "cpu": size(self.cpu), "memory": size(self.memory) });
        whole.to_string().chars().count()
    }
}

#[cfg(test)]
mod tests {
    use super::Overrides;
    use crate::name::ContainerName;
    use crate::secret::Secret;
    use std::collections::BTreeMap;

    #[test]
    fn containers_are_named_once_with_all_that_is_theirs() {
        let (web, proxy) = ("web".parse().unwrap(), "proxy".parse().unwrap());
        let variable = |value: &str| BTreeMap::from([("KEY".to_owned(), Secret::new(value.to_owned()))]);
        let environment = BTreeMap::from([
            (proxy, variable("a")),
            (web, variable("canary")),
            ("idle".parse().unwrap(), BTreeMap::new()),
        ]);
        let web = "web".parse().unwrap();
        let command = ["./manage".to_owned(), "migrate".to_owned()];
        let overrides = Overrides::new(&web, &command, &environment, Some(512), None);
        let names: Vec<&str> = overrides.containers.keys().map(ContainerName::as_str).collect();
        assert_eq!(names, ["proxy", "web"]);
        assert_eq!(overrides.containers[&web].command, command);
        assert_eq!(overrides.containers[&web].environment["KEY"].expose(), "canary");
        assert!(!format!("{overrides:?}").contains("canary"));
        let nothing = Overrides::new(&web, &[], &BTreeMap::new(), None, None);
        assert_eq!(nothing, Overrides::default());
    }

    #[test]
    fn their_length_is_that_of_their_json() {
        let command = ["x".repeat(9000)];
        let of = |command: &[String]| {
            Overrides::new(&"web".parse().unwrap(), command, &BTreeMap::new(), None, None).length()
        };
        assert!(of(&command) > super::super::LONGEST_OVERRIDES);
        assert_eq!(of(&["ab".to_owned()]) - of(&["a".to_owned()]), 1);
    }
}
