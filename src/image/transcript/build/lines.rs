//! Pieces of output put together to lines.

use crate::secret::redact::redact;
use std::collections::VecDeque;

/// How many lines of a failed step are shown.
const KEPT: usize = 20;
/// A line longer than this is cut into several, so that a program without line ends costs no memory.
const LONGEST: usize = 16 * 1024;

/// The output of one step.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pending: Vec<u8>,
    kept: VecDeque<String>,
}

impl Lines {
    /// Takes a piece and gives the lines that it completes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut complete = Vec::new();
        for byte in bytes {
            if *byte == b'\n' || self.pending.len() >= LONGEST {
                complete.push(self.take());
            }
            if *byte != b'\n' {
                self.pending.push(*byte);
            }
        }
        complete
    }

    /// The last line, if it has no end.
    pub(super) fn rest(&mut self) -> Option<String> {
        (!self.pending.is_empty()).then(|| self.take())
    }

    /// Keeps a line that was put together elsewhere.
    pub(super) fn keep(&mut self, line: &str) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(line.to_owned());
    }

    /// The last lines.
    pub(super) fn last(&self) -> Vec<String> {
        let pending = (!self.pending.is_empty()).then(|| shown(&self.pending));
        let mut lines: Vec<String> = self.kept.iter().cloned().chain(pending).collect();
        lines.drain(..lines.len().saturating_sub(KEPT));
        lines
    }

    fn take(&mut self) -> String {
        let line = shown(&std::mem::take(&mut self.pending));
        self.keep(&line);
        line
    }
}

/// A line as a terminal would leave it: what follows the last carriage return, without control characters.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('\r');
    let last = text.rsplit('\r').next().unwrap_or(text);
    redact(&without_controls(last))
}

/// Drops control characters and the escape sequences that colour text or move a cursor.
fn without_controls(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        if next == '\u{1b}' {
            if rest.next_if_eq(&'[').is_some() {
                let _ = rest.by_ref().find(|c| ('@'..='~').contains(c));
            }
        } else if next == '\t' || !next.is_control() {
            clean.push(next);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::{KEPT, LONGEST, Lines};

    #[test]
    fn pieces_are_put_together() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"one\ntw"), ["one"]);
        assert_eq!(lines.push(b"o\n\nthree"), ["two", ""]);
        assert_eq!(lines.rest(), Some("three".to_owned()));
        assert_eq!(lines.rest(), None);
        assert_eq!(lines.last(), ["one", "two", "", "three"]);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut lines = Lines::default();
        for number in 0..100 {
            lines.push(format!("{number}\n").as_bytes());
        }
        lines.push(b"end");
        let last = lines.last();
        assert_eq!((last.len(), last[0].as_str()), (KEPT, "81"));
        assert_eq!(last[KEPT - 1], "end");
    }

    #[test]
    fn a_line_reads_as_a_terminal_would_leave_it() {
        let mut lines = Lines::default();
        let shown = lines.push(b"10%\r50%\r100%\r\n\x1b[1;31mred\x1b[0m\ttab\x07\n\xff\n");
        assert_eq!(shown, ["100%", "red\ttab", "\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(&vec![b'x'; 2 * LONGEST + 1]).len(), 2);
    }
}
