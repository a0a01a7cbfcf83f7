//! Far ends' words made harmless: one line, without what moves a cursor or hides text.

/// One line of somebody else's text without escape sequences and control characters, which could move the cursor or
/// fake a line of ours; a tab becomes a space. Of a line that was overwritten with `\r`, the last state stays.
#[must_use]
pub fn clean(text: &str) -> String {
    let text = text.trim_end_matches(['\r', '\n']);
    let text = text.rsplit('\r').next().unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' => out.push(' '),
            // Invisible marks that turn the reading direction can hide text as well as a control character can.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Skips the rest of an escape sequence (ECMA-48): CSI up to its final byte, a string up to its terminator, or one
/// character.
fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        Some(_) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::clean;
    use proptest::prelude::*;

    #[test]
    fn escapes_and_overwritten_text_are_taken_out() {
        for (raw, cleaned) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m\r\n", "red"),
            ("10%\r50%\r100%", "100%"),
            ("\u{1b}]0;title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("a\tb\u{8}\u{202e}c", "a bc"),
            ("cut \u{1b}[3", "cut "),
            ("\u{1b}", ""),
        ] {
            assert_eq!(clean(raw), cleaned, "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn cleaned_text_has_no_control_characters(text in any::<String>()) {
            prop_assert!(!clean(&text).chars().any(char::is_control));
        }
    }
}
