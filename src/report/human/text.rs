//! Small pieces of text: colours, durations, sizes, wrapping.

pub use crate::failure::line::clean;
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::format_description;

/// How text may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Whether ANSI colours are understood.
    pub colour: bool,
}

impl Style {
    /// Failures.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// Warnings.
    #[must_use]
    pub fn odd(self, text: &str) -> String {
        self.paint("1;33", text)
    }

    /// Proven success.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.paint("1;32", text)
    }

    /// Labels.
    #[must_use]
    pub fn label(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What may be overlooked.
    #[must_use]
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A duration as people say it: `0.4s`, `12s`, `1m05s`, `1h02m`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{}.{}s", seconds, time.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// An instant, counted from the Unix epoch, as RFC 3339 writes it: `2026-08-06T09:41:07.250Z`.
#[must_use]
pub fn time_of_day(now: Duration) -> String {
    const FORMAT: &[time::format_description::BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let nanos = i128::try_from(now.as_nanos()).unwrap_or_default();
    let instant = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    instant.format(FORMAT).unwrap_or_default()
}

/// A size in powers of ten, as registries and `docker images` show it: `512 B`, `3.2 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

/// `1 task`, `2 tasks`.
#[must_use]
pub fn count<N: Copy + PartialEq + From<u8> + std::fmt::Display>(number: N, one: &str, many: &str) -> String {
    let noun = if number == N::from(1) { one } else { many };
    format!("{number} {noun}")
}

/// Breaks a line between words so that none is longer than `width` characters; a longer word stays whole, so that it
/// can be copied.
#[must_use]
pub fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut words = line.split(' ');
    let mut lines = Vec::new();
    let mut current = words.next().unwrap_or_default().to_owned();
    for word in words {
        if current.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut current, word.to_owned()));
        } else {
            current.push(' ');
            current.push_str(word);
        }
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::{count, duration, size, wrap};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn durations_and_sizes_read_well() {
        for (millis, text) in [
            (0, "0.0s"),
            (450, "0.4s"),
            (9_990, "9.9s"),
            (12_300, "12s"),
            (65_000, "1m05s"),
            (3_725_000, "1h02m"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (3_260_000, "3.2 MB"),
            (12_000_000_000, "12.0 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(
            (count(1u64, "task", "tasks"), count(0u64, "task", "tasks")),
            ("1 task".to_owned(), "0 tasks".to_owned())
        );
    }

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a sha256:0123456789 b", 5), ["a", "sha256:0123456789", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing(text in "[a-z ]{0,60}", width in 1usize..30) {
            prop_assert_eq!(wrap(&text, width).join(" "), text);
        }
    }
}
