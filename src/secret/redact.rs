//! Texts of far ends without what looks like a credential.

use super::Secret;
use std::cmp::Reverse;
use std::collections::BTreeMap;

const MASK: &str = "[secret]";

/// The text with its authorisation headers, registry tokens, passwords in URLs and signatures of presigned URLs
/// replaced by `[secret]`.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = [String::new(), String::new()];
    let mut word = String::new();
    for character in text.chars().chain(std::iter::once('\n')) {
        if !is_break(character) {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            shown.push_str(&redact_word(&word, &before));
            let word = std::mem::take(&mut word);
            if word.contains(char::is_alphanumeric) {
                before = [std::mem::take(&mut before[1]), word];
            } else {
                // The colon of `"name": "value"` belongs to the name.
                before[1].push_str(&word);
            }
        }
        shown.push(character);
    }
    shown.pop();
    shown
}

/// Parts of names whose values are secrets, whatever they look like.
const SECRET_NAMES: [&str; 7] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "KEY",
    "CREDENTIAL",
    "AUTH",
];

/// A shorter value stands by chance in too many texts.
const LEAST_SECRET: usize = 6;

/// The values of named settings (build arguments, variables) that are secrets by their names, the longest first.
#[must_use]
pub fn secret_arguments(arguments: &BTreeMap<String, String>) -> Vec<Secret<String>> {
    let is_secret = |name: &str| {
        let name = name.to_ascii_uppercase();
        SECRET_NAMES.iter().any(|part| name.contains(part))
    };
    let mut values: Vec<&String> = arguments
        .iter()
        .filter(|(name, value)| value.len() >= LEAST_SECRET && is_secret(name))
        .map(|(_, value)| value)
        .collect();
    values.sort_by_key(|value| Reverse(value.len()));
    values.into_iter().cloned().map(Secret::new).collect()
}

/// Replaces every one of these values by `[secret]`.
pub fn hide(text: &mut String, values: &[Secret<String>]) {
    for value in values {
        if text.contains(value.expose()) {
            *text = text.replace(value.expose(), MASK);
        }
    }
}

fn is_break(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '"' | '\'' | '`' | ',' | '<' | '>' | '{' | '}' | '[' | ']'
        )
}

/// One word, given the two before it.
fn redact_word(word: &str, before: &[String; 2]) -> String {
    let names_header = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.contains("authorization")
            || text.contains("x-registry-auth")
            || text.contains("x-registry-config")
    };
    let is_scheme = |text: &str| text.eq_ignore_ascii_case("basic") || text.eq_ignore_ascii_case("bearer");
    let after_scheme = is_scheme(&before[1]) && (names_header(&before[0]) || looks_random(word));
    let after_header = names_header(&before[1])
        && before[1].ends_with(':')
        && !is_scheme(word)
        && (before[1].to_ascii_lowercase().contains("x-registry") || looks_random(word));
    if after_scheme || after_header || token_at(word).is_some_and(|at| at == 0) {
        return MASK.to_owned();
    }
    let mut word = mask_userinfo(word);
    for name in [
        "x-amz-signature=",
        "x-amz-security-token=",
        "x-amz-credential=",
        "password=",
        "access_token=",
    ] {
        word = mask_value(&word, name);
    }
    match token_at(&word) {
        Some(at) => format!("{}{MASK}", &word[..at]),
        None => word,
    }
}

fn looks_random(word: &str) -> bool {
    word.len() >= 12 && word.bytes().any(|b| b.is_ascii_digit() || b == b'=')
}

/// Where a token begins: base64 of a JSON document (`eyJ...`), as ECR's and every JWT are; or `AWS:` before one.
fn token_at(word: &str) -> Option<usize> {
    let at = word.find("eyJ").or_else(|| word.find("QVdTOm"))?;
    let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_' | b'.');
    let length = word.as_bytes()[at..].iter().take_while(|b| token(**b)).count();
    (length >= 32).then_some(at)
}

/// `https://user:password@host` without the part before the `@`.
fn mask_userinfo(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else {
        return word.to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') => {
            format!("{scheme}://{MASK}@{host}{}", &rest[authority.len()..])
        }
        _ => word.to_owned(),
    }
}

/// `name=value` without the value, up to the next `&`.
fn mask_value(word: &str, name: &str) -> String {
    let Some(at) = word.to_ascii_lowercase().find(name) else {
        return word.to_owned();
    };
    let (kept, value) = word.split_at(at + name.len());
    let rest = value.find('&').map_or("", |end| &value[end..]);
    format!("{kept}{MASK}{rest}")
}

#[cfg(test)]
mod tests {
    use super::redact;
    use proptest::prelude::*;

    #[test]
    fn credentials_are_replaced() {
        let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{}", "x".repeat(40));
        for (text, shown) in [
            (
                "Authorization: Basic dXNlcjpwYXNz",
                "Authorization: Basic [secret]",
            ),
            (
                "\"Authorization\": [\"Bearer abc\"]",
                "\"Authorization\": [\"Bearer [secret]\"]",
            ),
            ("X-Registry-Auth: e30=", "X-Registry-Auth: [secret]"),
            (
                "{\"X-Registry-Auth\": \"e30=\"}",
                "{\"X-Registry-Auth\": \"[secret]\"}",
            ),
            ("got Bearer 0123456789abcdef from", "got Bearer [secret] from"),
            (
                "GET https://me:pw@r.example.com/v2/ failed",
                "GET https://[secret]@r.example.com/v2/ failed",
            ),
            (
                "https://s3/x?X-Amz-Credential=AK&X-Amz-Signature=abc&y=1: EOF",
                "https://s3/x?X-Amz-Credential=[secret]&X-Amz-Signature=[secret]&y=1: EOF",
            ),
            (&format!("token {jwt} is bad"), "token [secret] is bad"),
            (&format!("AWS:{jwt}"), "AWS:[secret]"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn ordinary_texts_stay_as_they_are() {
        for text in [
            "denied: Your authorization token has expired. Reauthenticate and try again.",
            "no basic auth credentials",
            "Basic authentication is required",
            "it may require authorization: authorization failed: no basic auth credentials",
            "copy git@github.com:me/it.git and https://example.com/a@b",
            "eyJ is short",
            "  two  spaces\tand tabs\n",
            "",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_a_second_pass_changes_nothing(text in "\\PC*") {
            let once = redact(&text);
            prop_assert_eq!(redact(&once), once);
        }
    }
}
