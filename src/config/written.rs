//! What was written, layer by layer, before anybody asks what it means: values with their origin, and problems.

use crate::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Where a value was written. Ordered from the weakest layer to the strongest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nowhere: a key that had to be written is missing.
    Nowhere,
    /// `defaults.toml`, which is part of the program.
    Default {
        /// The line, counted from 1.
        line: usize,
    },
    /// `slipway.toml`.
    File {
        /// The file as the user knows it.
        file: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(&'static str),
    /// A flag, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => f.write_str("nowhere"),
            Self::Default { line } => write!(f, "defaults.toml:{line}"),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong with what was written; prints as `place: key: what was expected`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// The dotted key: `service.shop-web.env`; empty where the origin says it all.
    pub key: String,
    /// What was expected, or what is wrong.
    pub text: String,
}

impl Problem {
    /// A problem at a place.
    pub fn new(origin: Origin, key: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            origin,
            key: key.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Nowhere => {}
            Origin::Default { .. } | Origin::File { .. } | Origin::Variable(_) | Origin::Flag(_) => {
                write!(f, "{}: ", self.origin)?;
            }
        }
        // A variable or a flag is its own key.
        let own_key = matches!(self.origin, Origin::Variable(_) | Origin::Flag(_));
        if !own_key && !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// A value as it was written. It has no `Debug`: an environment variable for a container may be a secret.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Node>),
    /// A table.
    Table(Table),
    /// A float or a date, which no key takes.
    Other(&'static str),
}

/// Keys and values of one table, by name.
pub type Table = BTreeMap<String, Node>;

impl Value {
    /// The kind of value, with its article, for `expected ..., found ...`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }
}

/// A value and where it was written.
#[derive(Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
}

impl Node {
    /// The table that it is, if it is one.
    pub fn table_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            Value::Table(table) => Some(table),
            Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::List(_) | Value::Other(_) => None,
        }
    }
}

/// A flag that was given, with its values in the order of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The flag with its dashes: `--cluster`.
    pub flag: &'static str,
    /// Its values; `true` for a flag that takes none.
    pub values: Vec<String>,
}

/// The environment, taken once. Its values never print.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, Secret<String>>);

impl Environment {
    /// The value of a variable; an empty one counts as unset.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.expose().as_str())
            .filter(|value| !value.is_empty())
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        )
    }
}

/// A configuration file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The file as the user knows it.
    pub place: String,
    /// What is in it: environment values of services too.
    pub text: Secret<String>,
}

/// What a git checkout says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkout {
    /// The commit that is checked out, in hex.
    pub commit: Option<String>,
    /// The branch that is checked out, without `refs/heads/`.
    pub branch: Option<String>,
}

/// Every layer of configuration, read and not yet understood.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// Where relative paths start: absolute.
    pub folder: PathBuf,
    /// `slipway.toml`, if there is one.
    pub file: Option<Document>,
    /// The environment.
    pub environment: Environment,
    /// The flags.
    pub flags: Vec<Given>,
    /// The checkout that the folder lies in.
    pub checkout: Checkout,
}

#[cfg(test)]
mod tests {
    use super::{Document, Environment, Origin, Problem};
    use crate::secret::Secret;

    #[test]
    fn a_problem_names_its_place_then_its_key() {
        let file = Origin::File {
            file: "slipway.toml".to_owned(),
            line: 12,
        };
        for (origin, line) in [
            (file, "slipway.toml:12: service.shop-web.env: expected a table"),
            (
                Origin::Variable("SLIPWAY_TIMEOUT"),
                "SLIPWAY_TIMEOUT: expected a table",
            ),
            (Origin::Flag("--timeout"), "--timeout: expected a table"),
            (Origin::Nowhere, "service.shop-web.env: expected a table"),
        ] {
            let problem = Problem::new(origin, "service.shop-web.env", "expected a table");
            assert_eq!(problem.to_string(), line);
        }
    }

    #[test]
    fn neither_the_environment_nor_the_file_prints_its_values() {
        let environment: Environment = [("NPM_TOKEN".to_owned(), "canary".to_owned())]
            .into_iter()
            .collect();
        assert!(!format!("{environment:?}").contains("canary"));
        assert_eq!(environment.value("NPM_TOKEN"), Some("canary"));
        let file = Document {
            place: "slipway.toml".to_owned(),
            text: Secret::new("canary".to_owned()),
        };
        assert!(!format!("{file:?}").contains("canary"));
    }
}
