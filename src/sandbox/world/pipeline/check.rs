//! Reads the members of an input as CodePipeline's front end does: every broken constraint is told, in one answer.

use super::super::error::ApiError;
use super::super::input::mistyped;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// What a text must be.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    least: usize,
    most: usize,
    form: Form,
    shown: bool,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Any,
    Pattern(&'static str, fn(&str) -> bool),
    Words(&'static [&'static str]),
}

impl Text {
    /// Of so many characters.
    pub const fn of(least: usize, most: usize) -> Self {
        Self {
            least,
            most,
            form: Form::Any,
            shown: true,
        }
    }

    /// Of a pattern, which is told, and a function that decides.
    pub const fn like(mut self, pattern: &'static str, is: fn(&str) -> bool) -> Self {
        self.form = Form::Pattern(pattern, is);
        self
    }

    /// One of some words.
    pub const fn among(words: &'static [&'static str]) -> Self {
        Self {
            least: 0,
            most: usize::MAX,
            form: Form::Words(words),
            shown: true,
        }
    }

    /// Of a value that no error repeats.
    pub const fn unshown(mut self) -> Self {
        self.shown = false;
        self
    }

    /// Whether a text breaks no constraint.
    pub fn holds(&self, text: &str) -> bool {
        self.broken(text).is_empty()
    }

    /// The constraints that a text breaks.
    fn broken(&self, text: &str) -> Vec<String> {
        let mut broken = Vec::new();
        let length = text.chars().count();
        if length < self.least {
            broken.push(format!(
                "Member must have length greater than or equal to {}",
                self.least
            ));
        }
        if length > self.most {
            broken.push(format!(
                "Member must have length less than or equal to {}",
                self.most
            ));
        }
        match self.form {
            Form::Pattern(pattern, is) if !is(text) => broken.push(format!(
                "Member must satisfy regular expression pattern: {pattern}"
            )),
            Form::Words(words) if !words.contains(&text) => broken.push(format!(
                "Member must satisfy enum value set: [{}]",
                words.join(", ")
            )),
            Form::Any | Form::Pattern(..) | Form::Words(_) => {}
        }
        broken
    }
}

/// The constraints that an input breaks.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<String>>);

impl Problems {
    /// A reader of the whole input.
    pub fn reader<'a>(&'a self, input: &'a Value) -> Reader<'a> {
        Reader {
            value: input,
            place: String::new(),
            problems: self,
        }
    }

    /// Nothing, when no constraint is broken.
    ///
    /// # Errors
    /// `ValidationException` that tells all of them.
    pub fn finish(&self) -> Result<(), ApiError> {
        let found = self.0.borrow();
        let errors = match found.len() {
            0 => return Ok(()),
            1 => "1 validation error".to_owned(),
            n => format!("{n} validation errors"),
        };
        Err(validation(format!("{errors} detected: {}", found.join("; "))))
    }

    fn note(&self, value: &str, place: &str, constraint: &str) {
        self.0.borrow_mut().push(format!(
            "Value {value}at '{place}' failed to satisfy constraint: {constraint}"
        ));
    }
}

/// `ValidationException`.
pub fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

/// A structure of an input, and where it is.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    value: &'a Value,
    place: String,
    problems: &'a Problems,
}

impl<'a> Reader<'a> {
    /// A text that may be missing.
    ///
    /// # Errors
    /// `SerializationException` when it is something else, here and below.
    pub fn text(&self, name: &str, rule: &Text) -> Result<Option<&'a str>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let text = value.as_str().ok_or_else(|| mistyped(value, "String"))?;
        self.check(text, &self.within(name), rule);
        Ok(Some(text))
    }

    /// A text that must be there; an empty one stands for it when it is not.
    pub fn required(&self, name: &str, rule: &Text) -> Result<&'a str, ApiError> {
        let text = self.text(name, rule)?;
        self.demand(name, text.is_some());
        Ok(text.unwrap_or_default())
    }

    /// A whole number that may be missing.
    pub fn number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let number = value.as_i64().ok_or_else(|| mistyped(value, "Integer"))?;
        let constraint = if number < *range.start() {
            format!("greater than or equal to {}", range.start())
        } else if number > *range.end() {
            format!("less than or equal to {}", range.end())
        } else {
            return Ok(Some(number));
        };
        self.problems.note(
            &format!("'{number}' "),
            &self.within(name),
            &format!("Member must have value {constraint}"),
        );
        Ok(Some(number))
    }

    /// A whole number that must be there; the least one stands for it when it is not.
    pub fn required_number(&self, name: &str, range: RangeInclusive<i64>) -> Result<i64, ApiError> {
        let least = *range.start();
        let number = self.number(name, range)?;
        self.demand(name, number.is_some());
        Ok(number.unwrap_or(least))
    }

    /// A flag that may be missing.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(mistyped(other, "Boolean")),
        }
    }

    /// A flag that must be there; false stands for it when it is not.
    pub fn required_flag(&self, name: &str) -> Result<bool, ApiError> {
        let flag = self.flag(name)?;
        self.demand(name, flag.is_some());
        Ok(flag.unwrap_or_default())
    }

    /// An instant that may be missing: seconds since the epoch.
    pub fn timestamp(&self, name: &str) -> Result<Option<f64>, ApiError> {
        match self.member(name) {
            None => Ok(None),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or_else(|| mistyped(value, "Timestamp")),
        }
    }

    /// A structure that may be missing.
    pub fn structure(&self, name: &str) -> Result<Option<Self>, ApiError> {
        match self.member(name) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(self.at(value, name))),
            Some(other) => Err(mistyped(other, "Structure")),
        }
    }

    /// A structure that must be there; an empty one stands for it when it is not, without further complaints.
    pub fn required_structure(&self, name: &str) -> Result<Option<Self>, ApiError> {
        let structure = self.structure(name)?;
        self.demand(name, structure.is_some());
        Ok(structure)
    }

    /// The structures of a list; none when it is missing.
    pub fn list(&self, name: &str, length: RangeInclusive<usize>) -> Result<Vec<Self>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(Vec::new());
        };
        let items = value.as_array().ok_or_else(|| mistyped(value, "List"))?;
        self.check_count(name, items.len(), &length);
        let items = items.iter().enumerate().map(|(at, item)| match item {
            Value::Object(_) => Ok(self.at(item, &format!("{name}.{}.member", at + 1))),
            other => Err(mistyped(other, "Structure")),
        });
        items.collect()
    }

    /// The entries of a map of texts that may be missing.
    pub fn map(
        &self,
        name: &str,
        most: usize,
        keys: &Text,
        values: &Text,
    ) -> Result<Option<BTreeMap<String, String>>, ApiError> {
        let Some(value) = self.member(name) else {
            return Ok(None);
        };
        let entries = value.as_object().ok_or_else(|| mistyped(value, "Map"))?;
        self.check_count(name, entries.len(), &(0..=most));
        let entries = entries.iter().map(|(key, value)| {
            self.check(key, &self.within(name), keys);
            let text = value.as_str().ok_or_else(|| mistyped(value, "String"))?;
            self.check(text, &self.within(&format!("{name}.{key}.member")), values);
            Ok((key.clone(), text.to_owned()))
        });
        entries.collect::<Result<_, ApiError>>().map(Some)
    }

    /// Whether a member is there; JSON's null is a missing member.
    pub fn has(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    fn member(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    fn at(&self, value: &'a Value, name: &str) -> Self {
        Self {
            value,
            place: self.within(name),
            problems: self.problems,
        }
    }

    fn within(&self, name: &str) -> String {
        match self.place.as_str() {
            "" => name.to_owned(),
            place => format!("{place}.{name}"),
        }
    }

    fn demand(&self, name: &str, there: bool) {
        if !there {
            self.problems
                .note("null ", &self.within(name), "Member must not be null");
        }
    }

    fn check(&self, text: &str, place: &str, rule: &Text) {
        let value = if rule.shown {
            format!("'{text}' ")
        } else {
            String::new()
        };
        for constraint in rule.broken(text) {
            self.problems.note(&value, place, &constraint);
        }
    }

    fn check_count(&self, name: &str, count: usize, allowed: &RangeInclusive<usize>) {
        let constraint = if count < *allowed.start() {
            format!("greater than or equal to {}", allowed.start())
        } else if count > *allowed.end() {
            format!("less than or equal to {}", allowed.end())
        } else {
            return;
        };
        let constraint = format!("Member must have length {constraint}");
        self.problems.note("", &self.within(name), &constraint);
    }
}

#[cfg(test)]
mod tests {
    use super::{Problems, Text};
    use serde_json::json;

    const WORD: Text = Text::of(1, 3).like("[a-z]+", |text| {
        text.bytes().all(|byte| byte.is_ascii_lowercase())
    });

    #[test]
    fn every_broken_constraint_is_told_in_the_words_of_aws() {
        let input = json!({
            "short": "", "long": "abcd", "odd": "A", "colour": "red", "hidden": "canary!", "none": null,
            "size": 0, "list": [{ "name": "x" }, {}], "map": { "k": "", "l": "m" },
        });
        let problems = Problems::default();
        let reader = problems.reader(&input);
        for name in ["short", "long", "odd", "none"] {
            reader.required(name, &WORD).unwrap();
        }
        reader.text("colour", &Text::among(&["Blue", "Green"])).unwrap();
        reader.text("hidden", &WORD.unshown()).unwrap();
        reader.number("size", 1..=9).unwrap();
        for item in reader.list("list", 0..=1).unwrap() {
            item.required("name", &WORD).unwrap();
        }
        reader.map("map", 1, &WORD, &Text::of(1, 9)).unwrap();
        let told = problems.finish().unwrap_err().message;
        let expected = [
            "12 validation errors detected: Value '' at 'short' failed to satisfy constraint: Member must have length \
             greater than or equal to 1",
            "Value 'abcd' at 'long' failed to satisfy constraint: Member must have length less than or equal to 3",
            "Value 'A' at 'odd' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+",
            "Value null at 'none' failed to satisfy constraint: Member must not be null",
            "Value 'red' at 'colour' failed to satisfy constraint: Member must satisfy enum value set: [Blue, Green]",
            "Value at 'hidden' failed to satisfy constraint: Member must have length less than or equal to 3",
            "Value at 'hidden' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+",
            "Value '0' at 'size' failed to satisfy constraint: Member must have value greater than or equal to 1",
            "Value at 'list' failed to satisfy constraint: Member must have length less than or equal to 1",
            "Value null at 'list.2.member.name' failed to satisfy constraint: Member must not be null",
            "Value at 'map' failed to satisfy constraint: Member must have length less than or equal to 1",
            "Value '' at 'map.k.member' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ];
        assert_eq!(told.split("; ").collect::<Vec<_>>(), expected);
        assert!(Problems::default().finish().is_ok());
    }

    #[test]
    fn a_member_of_another_type_can_not_be_read_at_all() {
        let input = json!({ "text": 7, "flag": "x", "list": {}, "map": [], "structure": 1, "items": [1] });
        let problems = Problems::default();
        let reader = problems.reader(&input);
        let told = [
            reader.text("text", &WORD).unwrap_err(),
            reader.flag("flag").unwrap_err(),
            reader.list("list", 0..=9).unwrap_err(),
            reader.map("map", 9, &WORD, &WORD).unwrap_err(),
            reader.structure("structure").unwrap_err(),
            reader.list("items", 0..=9).unwrap_err(),
        ];
        assert!(
            told.iter().all(|error| error.code == "SerializationException"),
            "{told:?}"
        );
    }
}
