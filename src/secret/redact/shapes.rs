//! Credentials that are known by their own looks, wherever they stand.

use std::ops::Range;

/// Where they stand; what overlaps is told twice.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = private_keys(text);
    let mut access_key = false;
    let words: Vec<Range<usize>> = words(text).collect();
    for word in &words {
        let shown = &text[word.clone()];
        let of = |range: Range<usize>| word.start + range.start..word.start + range.end;
        found.extend(token(shown).map(of));
        let keys = access_keys(shown);
        access_key |= !keys.is_empty();
        found.extend(keys.into_iter().map(of));
        found.extend(userinfo(shown).map(of));
    }
    if access_key {
        let secret = |word: &&Range<usize>| is_secret_access_key(&text[(*word).clone()]);
        found.extend(words.iter().filter(secret).cloned());
    }
    for pair in words.windows(2) {
        let is_scheme = is_scheme(&text[pair[0].clone()]);
        if is_scheme && looks_random(&text[pair[1].clone()]) {
            found.push(pair[1].clone());
        }
    }
    if text.len() >= LEAST_KEY_LINE && is_key_line(text) {
        found.push(0..text.len());
    }
    found
}

/// A line of a private key has 64 characters, the last one fewer.
const LEAST_KEY_LINE: usize = 60;

/// Base64 and nothing else, and no number in hex.
fn is_key_line(text: &str) -> bool {
    !text.starts_with('/') && text.bytes().all(is_base64) && mixes(text)
}

/// Letters of both cases, and digits.
pub(super) fn mixes(text: &str) -> bool {
    let any = |test: fn(&u8) -> bool| text.bytes().any(|letter| test(&letter));
    any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase) && any(u8::is_ascii_digit)
}

const fn is_base64(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, b'+' | b'/' | b'=')
}

/// Runs without white space, quotes, commas and brackets.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    let ends = text.char_indices().filter(|(_, letter)| is_break(*letter));
    let ends = ends.map(|(at, letter)| (at, at + letter.len_utf8()));
    ends.chain(std::iter::once((text.len(), text.len())))
        .filter_map(move |(at, next)| {
            let word = from..at;
            from = next;
            (!word.is_empty()).then_some(word)
        })
}

fn is_break(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(
            letter,
            '"' | '\'' | '`' | ',' | '<' | '>' | '{' | '}' | '[' | ']' | '(' | ')' | '\\'
        )
}

/// How a header says what kind of credential follows.
pub(super) fn is_scheme(word: &str) -> bool {
    ["basic", "bearer", "negotiate"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

pub(super) fn looks_random(word: &str) -> bool {
    let is_named = word
        .split_once('=')
        .is_some_and(|(name, value)| !name.is_empty() && !value.trim_matches('=').is_empty());
    word.len() >= 12
        && !is_named
        && word
            .bytes()
            .any(|letter| letter.is_ascii_digit() || letter == b'=')
}

/// Base64 of a JSON document (`eyJ...`), as ECR's and every JWT are, or of `AWS:` before one; to the end of the word.
fn token(word: &str) -> Option<Range<usize>> {
    let at = word.find("eyJ").or_else(|| word.find("QVdTOm"))?;
    let is_token = |letter: u8| is_base64(letter) || matches!(letter, b'-' | b'_' | b'.');
    let length = word.as_bytes()[at..]
        .iter()
        .take_while(|letter| is_token(**letter))
        .count();
    (length >= 32).then_some(at..word.len())
}

/// `AKIA` or `ASIA` and sixteen more (IAM's unique ids).
fn access_keys(word: &str) -> Vec<Range<usize>> {
    let bytes = word.as_bytes();
    let is_id = |at: usize| {
        let inside = bytes.get(at..at + 20);
        let alone = |letter: Option<&u8>| !letter.is_some_and(u8::is_ascii_alphanumeric);
        inside.is_some_and(|id| {
            id.iter()
                .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
        }) && alone(at.checked_sub(1).map(|before| &bytes[before]))
            && alone(bytes.get(at + 20))
    };
    let starts = ["AKIA", "ASIA"]
        .into_iter()
        .flat_map(|start| word.match_indices(start));
    starts
        .map(|(at, _)| at)
        .filter(|at| is_id(*at))
        .map(|at| at..at + 20)
        .collect()
}

fn is_secret_access_key(word: &str) -> bool {
    let word = word.rsplit(['=', ':']).next().unwrap_or(word);
    word.len() == 40 && word.bytes().all(is_base64) && mixes(word)
}

/// What stands before the `@` of `scheme://user:password@host`.
fn userinfo(word: &str) -> Option<Range<usize>> {
    let start = word.find("://")? + 3;
    let rest = &word[start..];
    let colon = rest.find(':')?;
    if rest[..colon].contains(['/', '?', '#', '@']) {
        return None;
    }
    let after = &rest[colon + 1..];
    let port = after.bytes().take_while(u8::is_ascii_digit).count();
    if matches!(after.as_bytes().get(port), Some(b'/' | b'?' | b'#') | None) {
        return None;
    }
    // A password may hold what a URL should have escaped.
    let authority = after.split(['/', '?', '#']).next().unwrap_or(after);
    let end = authority.rfind('@').or_else(|| after.find('@'))?;
    Some(start..start + colon + 1 + end)
}

/// What stands between the two lines around a private key; to the end if there is but the first.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    const MARK: &str = "PRIVATE KEY-----";
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(MARK) {
        let start = from + at + MARK.len();
        let end = text[start..]
            .find("-----END")
            .map_or(text.len(), |end| start + end);
        let is_begin = text[from..start].rfind("-----BEGIN").is_some();
        if is_begin {
            found.push(start..end);
        }
        from = if is_begin { end } else { start };
    }
    // An END line is looked past.
    found.retain(|range| !text[range.clone()].trim().is_empty());
    found
}
