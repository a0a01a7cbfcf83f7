//! The flattened parameters of the query protocol: `Targets.member.1.Id=10.0.0.7`.

use super::super::error::ApiError;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A view of the parameters below one prefix.
#[derive(Debug, Clone)]
pub struct Params<'a> {
    all: &'a BTreeMap<String, String>,
    prefix: String,
    wrong: &'static str,
}

impl<'a> Params<'a> {
    /// All parameters of a request; `wrong` is the error code that the operation declares for a bad value.
    pub fn new(all: &'a BTreeMap<String, String>, wrong: &'static str) -> Self {
        Self {
            all,
            prefix: String::new(),
            wrong,
        }
    }

    /// The operation's error for a bad value.
    pub fn wrong(&self, message: impl Into<String>) -> ApiError {
        ApiError::new(self.wrong, message)
    }

    /// A parameter's text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.all.get(&self.path(name)).map(String::as_str)
    }

    /// A parameter that must be there, and not be empty.
    ///
    /// # Errors
    /// The operation's error for a bad value.
    pub fn required(&self, name: &str) -> Result<&'a str, ApiError> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.wrong(format!("'{}' must be specified", self.path(name))))
    }

    /// A number within the range that the API allows; `None` when the parameter is missing.
    ///
    /// # Errors
    /// The operation's error for a bad value.
    pub fn number<N>(&self, name: &str, range: &RangeInclusive<N>) -> Result<Option<N>, ApiError>
    where
        N: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse::<N>() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(format!(
                "'{}' is '{text}', it must be between {} and {}",
                self.path(name),
                range.start(),
                range.end(),
            ))),
        }
    }

    /// The texts of a list: `Names.member.1`, `Names.member.2`.
    pub fn texts(&self, name: &str) -> Vec<&'a str> {
        (1..)
            .map_while(|n| self.text(&format!("{name}.member.{n}")))
            .collect()
    }

    /// The structures of a list: what lies below `Targets.member.1.`, `Targets.member.2.`.
    pub fn structures(&self, name: &str) -> Vec<Self> {
        (1..)
            .map(|n| self.below(&format!("{name}.member.{n}")))
            .take_while(Self::is_present)
            .collect()
    }

    /// What lies below a structure's name.
    pub fn below(&self, name: &str) -> Self {
        Self {
            all: self.all,
            prefix: format!("{}.", self.path(name)),
            wrong: self.wrong,
        }
    }

    /// Whether there is any parameter below this prefix.
    pub fn is_present(&self) -> bool {
        self.all
            .range(self.prefix.clone()..)
            .next()
            .is_some_and(|(key, _)| key.starts_with(&self.prefix))
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::Params;
    use std::collections::BTreeMap;

    fn sample() -> BTreeMap<String, String> {
        [
            ("Names.member.1", "a"),
            ("Names.member.2", "b"),
            ("Names.member.4", "after a hole"),
            ("Targets.member.1.Id", "10.0.0.1"),
            ("Targets.member.1.Port", "80"),
            ("Targets.member.2.Id", "10.0.0.2"),
            ("Port", "70000"),
            ("Empty", ""),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }

    #[test]
    fn lists_end_at_the_first_hole() {
        let all = sample();
        let params = Params::new(&all, "ValidationError");
        assert_eq!(params.texts("Names"), ["a", "b"]);
        let targets = params.structures("Targets");
        let seen: Vec<_> = targets.iter().map(|t| (t.text("Id"), t.text("Port"))).collect();
        assert_eq!(seen, [(Some("10.0.0.1"), Some("80")), (Some("10.0.0.2"), None)]);
        assert!(params.structures("Tags").is_empty());
    }

    #[test]
    fn a_bad_value_is_named_with_its_range() {
        let all = sample();
        let params = Params::new(&all, "InvalidTarget");
        assert_eq!(
            params.number("Port", &(1..=65535_u32)).unwrap_err().to_string(),
            "InvalidTarget: 'Port' is '70000', it must be between 1 and 65535"
        );
        assert_eq!(
            params.required("Empty").unwrap_err().to_string(),
            "InvalidTarget: 'Empty' must be specified"
        );
        assert_eq!(params.number("Absent", &(1..=2_u32)), Ok(None));
    }
}
