//! Values of names that say they are secret: `key=value`, `key: value`, members of JSON, `--flag value`, headers.

use super::shapes::{is_scheme, looks_random, mixes};
use super::{MASK, REMOVED};
use std::ops::Range;

/// How much a name says of its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// What follows is a secret unless it is an ordinary word: `password`.
    Strong,
    /// It may be a word of a sentence: `token: expected`.
    Weak,
    /// A header whose value is a scheme and a secret, or text without one: `authorization: failed`.
    Authorization,
    /// A header with more pairs up to the end of the line.
    Cookie,
    /// A header with one value that is always a secret.
    Header,
}

/// Words that stand after a name in a sentence.
const ORDINARY: [&str; 60] = [
    "a",
    "an",
    "and",
    "argument",
    "as",
    "authentication",
    "bad",
    "cannot",
    "changed",
    "denied",
    "disabled",
    "empty",
    "enabled",
    "eof",
    "expected",
    "expired",
    "failed",
    "false",
    "file",
    "flag",
    "for",
    "from",
    "given",
    "if",
    "in",
    "incorrect",
    "invalid",
    "is",
    "malformed",
    "mismatch",
    "missing",
    "must",
    "needs",
    "nil",
    "no",
    "none",
    "not",
    "null",
    "ok",
    "option",
    "optional",
    "or",
    "rejected",
    "required",
    "requires",
    "reset",
    "set",
    "the",
    "to",
    "too",
    "true",
    "undefined",
    "unknown",
    "unset",
    "use",
    "value",
    "was",
    "with",
    "wrong",
    "yes",
];

/// Where such values stand.
pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    names(text)
        .filter_map(|name| {
            let sort = sort_of(&text[name.clone()])?;
            value_of(text, &name, sort)
        })
        .collect()
}

/// Runs of what a name is made of.
fn names(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + bytes.get(from..)?.iter().position(|letter| is_of_name(*letter))?;
        let length = bytes[start..]
            .iter()
            .take_while(|letter| is_of_name(**letter))
            .count();
        from = start + length;
        Some(start..from)
    })
}

const fn is_of_name(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-' | b'.')
}

fn sort_of(name: &str) -> Option<Sort> {
    let plain: String = name
        .trim_end_matches(|letter: char| letter.is_ascii_digit())
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    let last = name
        .rsplit(['_', '-', '.'])
        .next()
        .unwrap_or(name)
        .to_ascii_lowercase();
    let ends = |parts: &[&str]| parts.iter().any(|part| plain.ends_with(part));
    if ends(&["xregistryauth", "xregistryconfig"]) {
        Some(Sort::Header)
    } else if ends(&["authorization"]) {
        Some(Sort::Authorization)
    } else if ends(&["cookie"]) {
        Some(Sort::Cookie)
    } else if ends(&[
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "apikey",
        "accesskey",
        "privatekey",
        "authtoken",
    ]) || ends(&[
        "secretkey",
        "clientsecret",
        "securitytoken",
        "sessiontoken",
        "accesstoken",
        "refreshtoken",
    ]) || last == "pass"
    {
        Some(Sort::Strong)
    } else if ends(&[
        "token",
        "secret",
        "credential",
        "credentials",
        "session",
        "sessionid",
        "signature",
    ]) || last == "auth"
    {
        Some(Sort::Weak)
    } else {
        None
    }
}

/// What stands between a name and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Equals,
    Colon,
    /// A name in quotes: a member of JSON.
    Member,
    /// `--flag value`.
    Flag,
}

fn value_of(text: &str, name: &Range<usize>, sort: Sort) -> Option<Range<usize>> {
    let (link, at) = link(text, name)?;
    let (value, quoted) = value_at(text, at);
    let shown = &text[value.clone()];
    if shown.is_empty() || shown == MASK || shown == REMOVED {
        return None;
    }
    match sort {
        Sort::Header => Some(value),
        Sort::Authorization => authorization(text, value, quoted),
        Sort::Cookie => cookie(text, value, link),
        Sort::Strong | Sort::Weak if is_no_secret(shown, &text[name.clone()]) => None,
        Sort::Strong | Sort::Weak if !quoted && tells_of_itself(shown, &text[name.clone()]) => None,
        Sort::Strong => match link {
            Link::Equals | Link::Member | Link::Flag => Some(value),
            Link::Colon => (quoted || is_last(text, value.end) || looks_secret(shown)).then_some(value),
        },
        Sort::Weak => match link {
            Link::Equals | Link::Member => (!is_small_number(shown)).then_some(value),
            Link::Flag | Link::Colon => looks_secret(shown).then_some(value),
        },
    }
}

/// What links the name to a value, and where the value begins.
fn link(text: &str, name: &Range<usize>) -> Option<(Link, usize)> {
    let bytes = text.as_bytes();
    let is_flag = text[name.clone()].starts_with("--");
    let before = name.start.checked_sub(1).map(|before| bytes[before]);
    let closed = skip_quote(bytes, name.end);
    let in_quotes = closed > name.end && matches!(before, Some(b'"' | b'\'' | b'`'));
    if closed > name.end && !in_quotes {
        return None;
    }
    let at = skip_blanks(bytes, closed);
    match bytes.get(at) {
        Some(b'=') if matches!(bytes.get(at + 1), Some(b'=' | b'~')) => None,
        Some(b'=') => {
            let arrow = usize::from(bytes.get(at + 1) == Some(&b'>'));
            Some((Link::Equals, skip_blanks(bytes, at + 1 + arrow)))
        }
        Some(b':') if bytes.get(at + 1) == Some(&b'=') => Some((Link::Equals, skip_blanks(bytes, at + 2))),
        // A path of Rust or C++, or a part of an ARN.
        Some(b':') if bytes.get(at + 1) == Some(&b':') || before == Some(b':') => None,
        Some(b':') => {
            let link = if in_quotes { Link::Member } else { Link::Colon };
            Some((link, skip_blanks(bytes, at + 1)))
        }
        Some(b',') if is_flag && in_quotes => Some((Link::Flag, skip_blanks(bytes, at + 1))),
        Some(b'-') | None => None,
        Some(_) if is_flag && at > name.end => Some((Link::Flag, at)),
        Some(_) => None,
    }
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..]
        .iter()
        .take_while(|letter| matches!(letter, b' ' | b'\t'))
        .count()
}

/// Past a quote, which may be escaped.
fn skip_quote(bytes: &[u8], at: usize) -> usize {
    let slashes = bytes[at..].iter().take_while(|letter| **letter == b'\\').count();
    match bytes.get(at + slashes) {
        Some(b'"' | b'\'' | b'`') => at + slashes + 1,
        _ => at,
    }
}

/// The value that begins here, without its quotes, and whether it has some.
fn value_at(text: &str, at: usize) -> (Range<usize>, bool) {
    let bytes = text.as_bytes();
    let is_list = bytes.get(at) == Some(&b'[') && skip_quote(bytes, at + 1) > at + 1;
    let at = at + usize::from(is_list);
    let start = skip_quote(bytes, at);
    if start > at {
        let quote = &text[at..start];
        let end = closing(&text[start..], quote).map_or(text.len(), |end| start + end);
        return (start..end, true);
    }
    let mut end = start;
    while end < text.len() {
        let rest = &text[end..];
        let mask = [MASK, REMOVED].iter().find(|mask| rest.starts_with(**mask));
        let letter = rest.chars().next().unwrap_or(' ');
        if let Some(mask) = mask {
            end += mask.len();
        } else if letter.is_whitespace() || ends_value(letter) {
            break;
        } else {
            end += letter.len_utf8();
        }
    }
    // The end of a sentence.
    let kept = text[start..end].trim_end_matches(['.', ':']);
    (start..start + kept.len(), false)
}

const fn ends_value(letter: char) -> bool {
    matches!(
        letter,
        '"' | '\'' | '`' | ',' | ';' | '&' | '<' | '>' | '{' | '}' | '[' | ']' | '(' | ')'
    )
}

/// Where the closing quote stands; one that is escaped once more is none.
fn closing(text: &str, quote: &str) -> Option<usize> {
    let found = text.match_indices(quote).map(|(at, _)| at);
    let escaped = |at: &usize| quote.len() == 1 && text[..*at].ends_with('\\');
    found.filter(|at| !escaped(at)).min()
}

/// `Basic abc` without `abc`, and the same of any scheme whose second word looks random; a sentence has none that does.
fn authorization(text: &str, value: Range<usize>, quoted: bool) -> Option<Range<usize>> {
    let shown = &text[value.clone()];
    let (first, rest) = shown.split_once(' ').unwrap_or((shown, ""));
    if first.eq_ignore_ascii_case("digest") {
        return digest(text, value.start + first.len(), quoted.then_some(value.end));
    }
    if quoted {
        let is_whole = !is_scheme(first) || rest.trim().is_empty();
        let start = if is_whole {
            value.start
        } else {
            value.end - rest.len()
        };
        let hidden = &text[start..value.end];
        let is_random = !is_whole || looks_random(hidden);
        return (is_random && hidden != MASK && hidden != REMOVED).then_some(start..value.end);
    }
    if first.starts_with("AWS4-") {
        return None;
    }
    if looks_random(first) {
        return Some(value);
    }
    let next = skip_blanks(text.as_bytes(), value.end);
    let (value, _) = value_at(text, next);
    let shown = &text[value.clone()];
    let is_sent = is_scheme(first) || (looks_random(shown) && is_no_name(shown));
    (is_sent && !shown.is_empty() && shown != MASK && shown != REMOVED).then_some(value)
}

/// All that a Digest says, to the end of its quotes or of the line: the answer to a challenge is one of many pairs.
fn digest(text: &str, at: usize, end: Option<usize>) -> Option<Range<usize>> {
    let start = skip_blanks(text.as_bytes(), at);
    let end = end.or_else(|| Some(start + text[start..].find(['\n', '\r'])?));
    let end = end.unwrap_or(text.len()).max(start);
    let hidden = text[start..end].trim_end();
    hidden.contains('=').then_some(start..start + hidden.len())
}

/// No account, ARN, path or address, which a sentence about a permission names.
fn is_no_name(word: &str) -> bool {
    word.bytes().any(|letter| letter.is_ascii_alphabetic())
        && !word.starts_with("arn:")
        && !word.starts_with('/')
        && !word.contains("://")
}

/// All pairs up to the end of the line or of the quotes.
fn cookie(text: &str, value: Range<usize>, link: Link) -> Option<Range<usize>> {
    let is_pair = text[value.clone()].contains('=');
    if link == Link::Equals {
        return (!is_no_secret(&text[value.clone()], "")).then_some(value);
    }
    if !is_pair {
        return None;
    }
    let rest = &text[value.start..];
    let end = rest.find(['\n', '\r', '"', '\'']).unwrap_or(rest.len());
    let hidden = rest[..end].trim_end();
    Some(value.start..value.start + hidden.len())
}

/// A value that tells nothing: an ordinary word, a reference, a place, a working directory.
fn is_no_secret(value: &str, name: &str) -> bool {
    let word = value.trim_end_matches(['!', '?']);
    ORDINARY
        .iter()
        .any(|ordinary| word.eq_ignore_ascii_case(ordinary))
        || value.starts_with("arn:")
        || value.starts_with('$')
        || value.starts_with('%')
        || value
            .bytes()
            .all(|letter| matches!(letter, b'*' | b'x' | b'.' | b'-' | b'=' | b':'))
        || (name.to_ascii_lowercase().ends_with("pwd") && value.starts_with('/'))
        || (value.starts_with('-') && value.contains("--"))
}

/// A count of tests that passed, or the name of a table.
fn tells_of_itself(value: &str, name: &str) -> bool {
    let is_snake = value.contains('_')
        && value
            .bytes()
            .all(|letter| letter.is_ascii_lowercase() || letter == b'_');
    (name.eq_ignore_ascii_case("pass") && is_small_number(value))
        || (name.eq_ignore_ascii_case("session") && is_snake)
}

fn is_small_number(value: &str) -> bool {
    value.len() <= 5 && value.bytes().all(|digit| digit.is_ascii_digit() || digit == b'.')
}

/// No word of a sentence: letters and digits, or both cases inside of it.
fn looks_secret(value: &str) -> bool {
    let any = |test: fn(&u8) -> bool| value.bytes().any(|letter| test(&letter));
    let numbered = value.len() >= 6 && any(u8::is_ascii_alphabetic) && any(u8::is_ascii_digit);
    (numbered || (value.len() >= 16 && mixes(value)) || value.contains(MASK) || value.contains(REMOVED))
        && !value.contains("://")
        && !value.starts_with('/')
}

/// Whether nothing but punctuation follows on the line.
fn is_last(text: &str, end: usize) -> bool {
    let rest = text[end..]
        .split(['\n', '\r'])
        .next()
        .unwrap_or_default()
        .trim_start();
    rest.is_empty() || rest.starts_with([',', ';', '}', ')', '"', '\''])
}
