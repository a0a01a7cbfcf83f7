//! Texts of far ends without what looks like a credential.
//!
//! A text is looked through until nothing is found any more, so that masking it once more changes nothing: what a
//! capture holds is masked already, and is explained in the words that the run told.

mod pairs;
mod shapes;
#[cfg(test)]
mod tests;
mod values;

pub use values::{environment_values, secret_arguments, secret_names, unless_public};

use super::Secret;
use std::ops::Range;

/// What stands for a secret.
pub const MASK: &str = "[secret]";

/// What stands in a capture or a journal for a value that was left out.
pub const REMOVED: &str = "[removed]";

/// The text with `[secret]` for what looks like a credential: values of names that are secret by their looks (`key=value`,
/// `key: value`, members of JSON, `--flag value`, headers), passwords in URLs, signatures of presigned URLs, tokens, access
/// keys of AWS, private keys.
#[must_use]
pub fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    // Each pass leaves less outside of the masks, or joins masks.
    while let Some(less) = pass(&text) {
        text = less;
    }
    text
}

/// [`redact`] and [`hide`], until neither finds anything.
#[must_use]
pub fn mask(text: &str, values: &[Secret<String>]) -> String {
    let mut text = redact(text);
    while hides(&mut text, values) {
        text = redact(&text);
    }
    text
}

/// Replaces every one of these values by `[secret]`, but never a part of a mask or of a larger number.
pub fn hide(text: &mut String, values: &[Secret<String>]) {
    hides(text, values);
}

/// [`hide`], and whether there was one.
fn hides(text: &mut String, values: &[Secret<String>]) -> bool {
    let mut found = false;
    for value in values.iter().map(Secret::expose) {
        if value.is_empty() || !text.contains(value.as_str()) {
            continue;
        }
        let mut shown = String::with_capacity(text.len());
        let mut from = 0;
        for kept in masks(text)
            .into_iter()
            .chain(std::iter::once(text.len()..text.len()))
        {
            let between = &text[from..kept.start];
            let mut rest = 0;
            for (at, _) in between.match_indices(value.as_str()) {
                if is_part_of_a_number(between, at..at + value.len()) {
                    continue;
                }
                found = true;
                shown.push_str(&between[rest..at]);
                shown.push_str(MASK);
                rest = at + value.len();
            }
            shown.push_str(&between[rest..]);
            shown.push_str(&text[kept.clone()]);
            from = kept.end;
        }
        *text = shown;
    }
    found
}

/// Whether these digits go on to the left or to the right: a short number stands by chance in ids and in accounts.
fn is_part_of_a_number(text: &str, digits: Range<usize>) -> bool {
    let is_digit = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_digit());
    text[digits.clone()].bytes().all(|letter| letter.is_ascii_digit())
        && (is_digit(text[..digits.start].chars().next_back()) || is_digit(text[digits.end..].chars().next()))
}

/// Where masks stand in a text.
fn masks(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = [MASK, REMOVED]
        .iter()
        .flat_map(|mask| text.match_indices(mask).map(|(at, mask)| at..at + mask.len()))
        .collect();
    found.sort_by_key(|range| range.start);
    found
}

/// Masks what one look finds; none if it finds nothing.
fn pass(text: &str) -> Option<String> {
    let masks = masks(text);
    let mut found = shapes::find(text);
    found.extend(pairs::find(text));
    let is_new = |range: &Range<usize>| !range.is_empty() && !masks.contains(range);
    found.retain(is_new);
    if found.is_empty() {
        return None;
    }
    let mut spans = found;
    // What touches a mask takes it in; the rest of the masks stays as it is.
    spans.extend(
        masks
            .iter()
            .filter(|mask| spans.iter().any(|span| touch(span, mask)))
            .cloned()
            .collect::<Vec<_>>(),
    );
    spans.sort_by_key(|span| span.start);
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    let mut spans = spans.into_iter().peekable();
    while let Some(mut span) = spans.next() {
        while let Some(next) = spans.next_if(|next| next.start <= span.end) {
            span.end = span.end.max(next.end);
        }
        shown.push_str(&text[from..span.start]);
        shown.push_str(MASK);
        from = span.end;
    }
    shown.push_str(&text[from..]);
    (shown != text).then_some(shown)
}

const fn touch(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start <= other.end && other.start <= one.end
}
