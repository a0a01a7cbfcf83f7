//! Takes values out of the merged tree, each with its origin; what is wrong becomes a problem, never a default.

use super::ReadFile;
use super::check::{Refused, join};
use crate::config::substitution::Variables;
use crate::config::written::{Node, Origin, Problem, Table, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The tree, and the problems found so far. Sections are dotted: `deploy`, `image.web`.
pub struct Reader<'a> {
    pub tree: &'a Table,
    pub refused: Refused,
    pub problems: Vec<Problem>,
    pub folder: &'a Path,
    pub variables: Variables<'a>,
    pub read_file: ReadFile<'a>,
}

/// A value and where it was written.
pub struct Placed<T> {
    pub value: T,
    pub origin: Origin,
}

impl<'a> Reader<'a> {
    /// The names in a named section, such as `image`, with the origin of each.
    pub fn names(&self, section: &str) -> Vec<(String, Origin)> {
        let table = self.table(section);
        let names = table.into_iter().flatten();
        names
            .map(|(name, node)| (name.clone(), node.origin.clone()))
            .collect()
    }

    fn table(&self, section: &str) -> Option<&'a Table> {
        let mut table = self.tree;
        if section.is_empty() {
            return Some(table);
        }
        // The first part is slipway's; the rest is one name, which may hold dots.
        for part in section.splitn(2, '.') {
            match &table.get(part)?.value {
                Value::Table(inner) => table = inner,
                Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::List(_) | Value::Other(_) => {
                    return None;
                }
            }
        }
        Some(table)
    }

    pub fn node(&self, section: &str, name: &str) -> Option<&'a Node> {
        self.table(section)?.get(name)
    }

    /// Where a key was written; nowhere, if it was not.
    pub fn origin(&self, section: &str, name: &str) -> Origin {
        self.node(section, name)
            .map_or(Origin::Nowhere, |node| node.origin.clone())
    }

    /// Reports a problem with something that was written.
    pub fn wrong(&mut self, origin: &Origin, key: &str, text: impl Into<String>) {
        self.problems.push(Problem::new(origin.clone(), key, text));
    }

    /// Reports a key that had to be written, unless it was and has been refused.
    pub fn missing(&mut self, key: &str, text: &str) {
        // A refused table, key or entry is in the list of problems already.
        let covers = |refused: &String, key: &str| {
            key.strip_prefix(refused.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let inside = format!("{key}.");
        if self
            .refused
            .iter()
            .any(|refused| covers(refused, key) || refused.starts_with(&inside))
        {
            return;
        }
        self.problems.push(Problem::new(Origin::Nowhere, key, text));
    }

    pub fn text(&self, section: &str, name: &str) -> Option<Placed<String>> {
        let node = self.node(section, name)?;
        let Value::Text(text) = &node.value else {
            return None;
        };
        Some(Placed {
            value: text.clone(),
            origin: node.origin.clone(),
        })
    }

    pub fn boolean(&self, section: &str, name: &str) -> bool {
        matches!(
            self.node(section, name).map(|node| &node.value),
            Some(Value::Boolean(true))
        )
    }

    pub fn number(&self, section: &str, name: &str) -> Option<Placed<u32>> {
        let node = self.node(section, name)?;
        let Value::Integer(number) = &node.value else {
            return None;
        };
        Some(Placed {
            value: u32::try_from(*number).ok()?,
            origin: node.origin.clone(),
        })
    }

    /// A path, made absolute from the folder, without the `.` that people need not read.
    pub fn path(&self, section: &str, name: &str) -> Option<PathBuf> {
        let path = self.folder.join(self.text(section, name)?.value);
        Some(path.components().collect())
    }

    /// A text that means something else.
    pub fn parsed<T>(
        &mut self,
        section: &str,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(section, name)?;
        match parse(&text.value) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.wrong(&text.origin, &join(section, name), problem);
                None
            }
        }
    }

    pub fn list(&self, section: &str, name: &str) -> Vec<Placed<String>> {
        let Some(Value::List(items)) = self.node(section, name).map(|node| &node.value) else {
            return Vec::new();
        };
        let text = |node: &Node| match &node.value {
            Value::Text(text) => Some(Placed {
                value: text.clone(),
                origin: node.origin.clone(),
            }),
            Value::Integer(_) | Value::Boolean(_) | Value::List(_) | Value::Table(_) | Value::Other(_) => {
                None
            }
        };
        items.iter().filter_map(text).collect()
    }

    /// A list of names, each parsed after `${...}` was replaced.
    pub fn names_of<T>(&mut self, section: &str, name: &str) -> Vec<T>
    where
        T: FromStr<Err = crate::name::NameError>,
    {
        let mut names = Vec::new();
        for item in self.list(section, name) {
            let parsed = self.variables.expand(&item.value).and_then(|text| {
                text.parse()
                    .map_err(|error: crate::name::NameError| error.to_string())
            });
            match parsed {
                Ok(parsed) => names.push(parsed),
                Err(problem) => self.wrong(&item.origin, &join(section, name), problem),
            }
        }
        names
    }

    /// A table of strings, `${...}` replaced in its values.
    pub fn map(&mut self, section: &str, name: &str) -> BTreeMap<String, String> {
        match self.node(section, name).map(|node| &node.value) {
            Some(Value::Table(table)) => self.expand_all(table, &join(section, name)),
            _ => BTreeMap::new(),
        }
    }

    /// The strings of a table, `${...}` replaced.
    pub fn expand_all(&mut self, table: &Table, key: &str) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for (name, node) in table {
            let Value::Text(text) = &node.value else { continue };
            match self.variables.expand(text) {
                Ok(value) => {
                    map.insert(name.clone(), value);
                }
                Err(problem) => self.wrong(&node.origin, &join(key, name), problem),
            }
        }
        map
    }
}
