//! ECS names that follow one character rule.

use super::{NameError, wrong};
use std::fmt;
use std::str::FromStr;

macro_rules! plain_name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check($what, text)?;
                Ok(Self(text.to_owned()))
            }
        }
    };
}

plain_name!(
    /// The name of a container in a task definition (RegisterTaskDefinition: letters, digits, `-`, `_`, up to 255).
    ContainerName,
    "container name"
);
plain_name!(
    /// The short name of a cluster (CreateCluster: letters, digits, `-`, `_`, up to 255).
    ClusterName,
    "cluster name"
);
plain_name!(
    /// The short name of a service (CreateService: letters, digits, `-`, `_`, up to 255).
    ServiceName,
    "service name"
);

plain_name!(
    /// The name of a one-off task in slipway.toml; it becomes a part of `startedBy` (RunTask: letters, digits, `-`, `_`,
    /// `/`).
    TaskName,
    "task name"
);

/// The longest ECS name, in characters (RegisterTaskDefinition, CreateService).
const MAX: usize = 255;

fn check(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(wrong(what, text, "it is empty"));
    }
    if let Some((at, bad)) = text
        .char_indices()
        .find(|(_, c)| !c.is_ascii_alphanumeric() && *c != '-' && *c != '_')
    {
        let problem = format!("{bad:?} at byte {at}; letters, digits, `-` and `_` are allowed");
        return Err(wrong(what, text, problem));
    }
    if text.len() > MAX {
        return Err(wrong(
            what,
            text,
            format!("it has {} characters, {MAX} are allowed", text.len()),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ContainerName;

    #[test]
    fn names_say_which_character_is_wrong() {
        assert_eq!("web_1-a".parse::<ContainerName>().unwrap().as_str(), "web_1-a");
        for (text, says) in [
            ("", "it is empty"),
            ("we b", "' ' at byte 2; letters, digits, `-` and `_` are allowed"),
            (&"x".repeat(256), "it has 256 characters, 255 are allowed"),
        ] {
            assert_eq!(text.parse::<ContainerName>().unwrap_err().problem, says);
        }
    }
}
