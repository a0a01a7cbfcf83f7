//! Output variables made to fit.

use super::fit::one_line;
use super::{MOST_VARIABLES, Variables};
use std::collections::BTreeMap;

impl Variables {
    /// The variables as CodePipeline takes them, and a line for each that is left out or has another name: a result is
    /// never lost over them. Of too many bytes the longest values go first, and of equally long ones the last.
    #[must_use]
    pub fn fitted(self) -> (Self, Vec<String>) {
        let mut notes = Vec::new();
        let mut fitted = BTreeMap::new();
        // A name that is right as it is keeps it.
        let (right, wrong): (Vec<_>, Vec<_>) = self
            .0
            .into_iter()
            .partition(|(name, _)| known_name(name) == *name);
        for (name, value) in right.into_iter().chain(wrong) {
            let known = known_name(&name);
            if known.is_empty() {
                notes.push("an output variable without a name is left out".to_owned());
                continue;
            }
            if fitted.contains_key(&known) {
                notes.push(format!(
                    "output variable `{known}` is left out: another has the same name"
                ));
                continue;
            }
            if known != name {
                notes.push(format!(
                    "output variable `{known}` has a name with `_` for what no name may have"
                ));
            }
            fitted.insert(known, one_line(&value));
        }
        let mut total: usize = fitted.iter().map(|(name, value)| bytes(name, value)).sum();
        while total > MOST_VARIABLES - BRACES {
            let longest = fitted.iter().max_by_key(|(name, value)| (value.len(), *name));
            let Some(name) = longest.map(|(name, _)| name.clone()) else {
                break;
            };
            let value = fitted.remove(&name).unwrap_or_default();
            total -= bytes(&name, &value);
            notes.push(format!(
                "output variable `{name}` is left out: its value has {} bytes, and all may have {MOST_VARIABLES}",
                value.len()
            ));
        }
        (Self(fitted), notes)
    }
}

/// Bytes around all variables.
const BRACES: usize = 2;

/// How many bytes a variable is, as the JSON that it is sent in: never fewer than those of its name and its value.
fn bytes(name: &str, value: &str) -> usize {
    let quoted = |text: &str| serde_json::to_string(text).map_or(usize::MAX / 4, |json| json.len());
    quoted(name) + quoted(value) + ":,".len()
}

/// The name with `_` for every character that none may have.
fn known_name(name: &str) -> String {
    let known = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '@' | '-' | '_');
    name.chars()
        .map(|letter| if known(letter) { letter } else { '_' })
        .collect()
}
