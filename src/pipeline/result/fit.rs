//! Texts made to fit.
//!
//! The model counts characters, and does not say which. Bytes of UTF-8 are never fewer than UTF-16 units or code points,
//! so a text that fits by its bytes fits however it is counted.

use crate::failure::line::clean;

/// What stands between the lines of a text that had several.
const BETWEEN: &str = " | ";

/// Bytes that are kept for the mark of what was cut.
const MARK: usize = 48;

/// The text in one line, and no longer than `most` bytes: head and tail are kept, and between them it says how much was
/// cut. Empty only if there was nothing to see.
pub(super) fn fit(text: &str, most: usize) -> String {
    cut(&one_line(text), most, most * 3 / 5)
}

/// The same of a text that may be missing; an empty one is missing too.
pub(super) fn fit_some(text: Option<String>, most: usize) -> Option<String> {
    text.map(|text| fit(&text, most)).filter(|text| !text.is_empty())
}

/// The same of a log, whose end matters more than its beginning.
pub(super) fn fit_log(text: &str, most: usize) -> String {
    cut(&one_line(text), most, most / 3)
}

/// Lines joined by a bar, without what no console shows.
pub(super) fn one_line(text: &str) -> String {
    // Every break of a line that some console may know.
    let lines = text.split(['\n', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']);
    let lines = lines.map(|line| clean(line).trim().to_owned());
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(BETWEEN)
}

/// Cuts the middle out; the head takes at most `head` bytes.
fn cut(text: &str, most: usize, head: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let Some(kept) = most.checked_sub(MARK).filter(|kept| *kept >= MARK) else {
        return text[..text.floor_char_boundary(most)].trim_end().to_owned();
    };
    let first = &text[..text.floor_char_boundary(head.min(kept))];
    let rest = &text[first.len()..];
    let last = &rest[rest.ceil_char_boundary(rest.len() - (kept - first.len()))..];
    let left_out = rest[..rest.len() - last.len()].chars().count();
    format!(
        "{} [... {left_out} characters left out ...] {}",
        first.trim_end(),
        last.trim_start()
    )
}
