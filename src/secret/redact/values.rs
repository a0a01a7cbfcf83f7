//! Values that are known, and which of them no text may show.

use crate::secret::Secret;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Parts of names whose values are secrets, whatever they look like.
const SECRET_NAMES: [&str; 6] = ["SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "PWD"];

/// Likewise, but words of an environment are none: `TOKEN_STORE=memory`, `KEYCLOAK_CLIENT=backend`.
const WEAK_NAMES: [&str; 3] = ["TOKEN", "KEY", "AUTH"];

/// No word has as many letters without a break.
const LEAST_RANDOM: usize = 16;

/// A shorter value stands by chance in too many texts.
const LEAST_SECRET: usize = 6;

/// The least length of a value whose name says nothing.
const LEAST_VALUE: usize = 8;

/// The least length of a line of a value of several lines, as a private key is.
const LEAST_LINE: usize = 16;

/// The values of named settings (build arguments) that are secrets by their names, the longest first.
#[must_use]
pub fn secret_arguments(arguments: &BTreeMap<String, String>) -> Vec<Secret<String>> {
    let secret = arguments.iter().filter(|(name, value)| is_secret(name, value));
    longest_first(secret.map(|(_, value)| value.clone()).collect())
}

/// The names of those settings (build arguments) whose values are secrets by their names.
#[must_use]
pub fn secret_names(arguments: &BTreeMap<String, String>) -> BTreeSet<String> {
    let secret = arguments.iter().filter(|(name, value)| is_secret(name, value));
    secret.map(|(name, _)| name.clone()).collect()
}

/// The values of environment variables that no text may show, the longest first: those that are secrets by their names
/// (a word of `TOKEN_STORE` is none), and all others but short ones and ordinary words, which stand by chance in too many texts (`production`, `eu-west-1`,
/// `/var/log/shop`, `db.internal:5432`). Of a URL with a password the password is one too, and of a text of several lines
/// each.
pub fn environment_values<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<Secret<String>> {
    let mut values = Vec::new();
    for (name, value) in variables {
        if (is_secret(name, value) && !is_word_of_weak_name(name, value))
            || (value.len() >= LEAST_VALUE && !is_ordinary(value))
        {
            values.push(value.to_owned());
            let lines = value
                .lines()
                .map(str::trim)
                .filter(|line| line.len() >= LEAST_LINE && *line != value);
            values.extend(lines.map(str::to_owned));
        }
        let password = password_of(value).filter(|password| password.len() >= LEAST_SECRET);
        values.extend(password.map(str::to_owned));
    }
    longest_first(values)
}

/// Those of the values that are not named in texts which everybody may see, like the names of clusters: in whole words, so
/// that `shop` of `shop-api` is public, and neither `sho` nor a part of an account's number.
#[must_use]
pub fn unless_public(mut values: Vec<Secret<String>>, texts: &[String]) -> Vec<Secret<String>> {
    values.retain(|value| !texts.iter().any(|text| is_named(text, value.expose())));
    values.sort_by(|one, other| {
        let key = |value: &Secret<String>| (Reverse(value.expose().len()), value.expose().clone());
        key(one).cmp(&key(other))
    });
    values.dedup();
    values
}

/// Whether the value stands in the text and no letter or digit touches it.
fn is_named(text: &str, value: &str) -> bool {
    let is_of_word = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    let mut found = text.match_indices(value).filter(|_| !value.is_empty());
    found.any(|(at, value)| {
        !is_of_word(text[..at].chars().next_back()) && !is_of_word(text[at + value.len()..].chars().next())
    })
}

fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let named = SECRET_NAMES
        .iter()
        .chain(&WEAK_NAMES)
        .any(|part| name.contains(part));
    // A working directory is none.
    named && value.len() >= LEAST_SECRET && !(name.ends_with("PWD") && value.starts_with('/'))
}

/// A word that is no secret because of its name: `TOKEN_STORE=memory`.
fn is_word_of_weak_name(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    !SECRET_NAMES.iter().any(|part| name.contains(part))
        && value.len() < LEAST_RANDOM
        && value.bytes().all(|letter| letter.is_ascii_lowercase())
}

/// Made of words, small numbers and what joins them.
fn is_ordinary(value: &str) -> bool {
    let is_word = |part: &str| {
        let tail = part.get(1..).unwrap_or_default();
        let letters = |test: fn(&u8) -> bool| part.bytes().all(|letter| test(&letter));
        let digits = part.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
        letters(u8::is_ascii_uppercase)
            || (part.len() <= 5 && letters(u8::is_ascii_digit))
            // `v2`, `m5`, `Production`
            || (digits.len() <= 1
                && digits.bytes().all(|digit| digit.is_ascii_digit())
                && tail.bytes().all(|letter| !letter.is_ascii_uppercase()))
    };
    // A name that AWS gave.
    let is_arn = value.starts_with("arn:") && !value.contains(char::is_whitespace);
    let mut parts = value.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_text = password_of(value).is_none() && value.is_ascii();
    is_arn || (is_text && parts.all(|part| part.is_empty() || is_word(part)))
}

/// The password of `scheme://user:password@host`.
fn password_of(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let authority = rest.rsplit_once('@')?.0;
    let password = authority.split_once(':')?.1;
    let is_port = password
        .split('/')
        .next()
        .is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()));
    (!(is_port && password.contains('/'))).then_some(password)
}

fn longest_first(mut values: Vec<String>) -> Vec<Secret<String>> {
    // A value may be a part of another one.
    values.sort_by_key(|value| Reverse(value.len()));
    values.into_iter().map(Secret::new).collect()
}
