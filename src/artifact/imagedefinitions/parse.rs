//! The checks of an imagedefinitions.json, from its bytes to its entries.

use super::definitions::{Definition, MAX_BYTES};
use super::error::DefinitionsError;
use crate::name::ContainerName;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Checks a file's bytes and gives its entries, of which there is at least one.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Definition>, DefinitionsError> {
    let text = decode(bytes)?;
    let document: Value = serde_json::from_str(text).map_err(|error| refuse_syntax(text, error))?;
    let items = match document {
        Value::Array(items) if items.is_empty() => return Err(DefinitionsError::NoEntries),
        Value::Array(items) => items,
        Value::Object(object) if object.contains_key("ImageURI") => return Err(DefinitionsError::BlueGreen),
        Value::Object(_) => return Err(DefinitionsError::OneObject),
        other => {
            return Err(DefinitionsError::NotAList {
                found: kind_of(&other),
            });
        }
    };
    let mut objects = Vec::with_capacity(items.len());
    for (item, entry) in items.into_iter().zip(1..) {
        match item {
            Value::Object(object) => objects.push(object),
            other => {
                return Err(DefinitionsError::NotAnObject {
                    entry,
                    found: kind_of(&other),
                });
            }
        }
    }
    refuse_repeated_members(text)?;
    let entries: Vec<Definition> = objects
        .iter()
        .zip(1..)
        .map(|(object, entry)| read_entry(entry, object))
        .collect::<Result<_, _>>()?;
    refuse_repeated_containers(&entries)?;
    Ok(entries)
}

fn decode(bytes: &[u8]) -> Result<&str, DefinitionsError> {
    if bytes.len() > MAX_BYTES {
        return Err(DefinitionsError::TooLong { bytes: bytes.len() });
    }
    let mark = match bytes {
        [0xef, 0xbb, 0xbf, ..] => Some("UTF-8"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        _ => None,
    };
    if let Some(encoding) = mark {
        return Err(DefinitionsError::ByteOrderMark { encoding });
    }
    let text = str::from_utf8(bytes).map_err(|error| DefinitionsError::NotUtf8 {
        at: error.valid_up_to() + 1,
    })?;
    if text.trim().is_empty() {
        return Err(DefinitionsError::Empty);
    }
    Ok(text)
}

/// A single quote at the place of a syntax error is named, since it is the mistake that shells invite.
fn refuse_syntax(text: &str, error: serde_json::Error) -> DefinitionsError {
    let (line, column) = (error.line(), error.column());
    let here = line
        .checked_sub(1)
        .and_then(|above| text.lines().nth(above))
        .and_then(|line| line.as_bytes().get(column.checked_sub(1)?));
    match here {
        Some(b'\'') => DefinitionsError::SingleQuote { line, column },
        _ => DefinitionsError::NotJson(error),
    }
}

fn read_entry(entry: usize, object: &Map<String, Value>) -> Result<Definition, DefinitionsError> {
    // An unknown member first: `imageURI` is then named, not the `imageUri` that is missing because of it.
    if let Some(member) = object
        .keys()
        .find(|key| !matches!(key.as_str(), "name" | "imageUri"))
    {
        let member = member.clone();
        return Err(DefinitionsError::UnknownMember { entry, member });
    }
    let name: ContainerName = read_text(entry, object, "name")?
        .parse()
        .map_err(|source| DefinitionsError::ContainerName { entry, source })?;
    let image = read_text(entry, object, "imageUri")?;
    match image.parse() {
        Ok(image) => Ok(Definition { name, image }),
        Err(source) => Err(DefinitionsError::ImageReference { entry, name, source }),
    }
}

fn read_text<'a>(
    entry: usize,
    object: &'a Map<String, Value>,
    member: &'static str,
) -> Result<&'a str, DefinitionsError> {
    match object.get(member) {
        None => Err(DefinitionsError::MissingMember { entry, member }),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(DefinitionsError::NotAString {
            entry,
            member,
            found: kind_of(other),
        }),
    }
}

fn refuse_repeated_containers(entries: &[Definition]) -> Result<(), DefinitionsError> {
    let mut seen: BTreeMap<&ContainerName, usize> = BTreeMap::new();
    for (definition, second) in entries.iter().zip(1..) {
        if let Some(first) = seen.insert(&definition.name, second) {
            let name = definition.name.clone();
            return Err(DefinitionsError::RepeatedContainer { name, first, second });
        }
    }
    Ok(())
}

/// A parsed object keeps the last of two equal members, so they are looked for in the text itself.
fn refuse_repeated_members(text: &str) -> Result<(), DefinitionsError> {
    let entries: Vec<Members> = serde_json::from_str(text).map_err(DefinitionsError::NotJson)?;
    for (Members(names), entry) in entries.into_iter().zip(1..) {
        let repeated = (1..names.len()).find(|&at| names[..at].contains(&names[at]));
        if let Some(at) = repeated {
            let member = names[at].clone();
            return Err(DefinitionsError::RepeatedMember { entry, member });
        }
    }
    Ok(())
}

/// The member names of an object as they were written, repetitions included.
struct Members(Vec<String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = object.next_entry()? {
                    names.push(name);
                }
                Ok(Members(names))
            }
        }
        from.deserialize_map(Names)
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
