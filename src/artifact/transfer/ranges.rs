//! What is asked for at once: stretches of an object to read, and sizes of parts to write.

use std::ops::Range;

/// How much one request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// How long a stretch is that is read by one request.
    pub stretch: u64,
    /// How long a part is that is written by one request, and the least length of an object that is written in parts.
    /// S3 takes no less than 5 MiB.
    pub part: u64,
}

impl Default for Amounts {
    /// What AWS advises: 8 to 16 MiB.
    fn default() -> Self {
        Self {
            stretch: 16 * 1024 * 1024,
            part: 8 * 1024 * 1024,
        }
    }
}

/// How many parts an object may have, less some that an estimate may miss. S3 takes 10,000.
const MOST_PARTS: u64 = 9_000;

impl Amounts {
    /// The stretches of an object, in order. What is not much longer than one is read at once.
    #[must_use]
    pub fn stretches(self, length: u64) -> Vec<Range<u64>> {
        if length <= 2 * self.stretch {
            return std::iter::once(0..length).collect();
        }
        let mut stretches = Vec::new();
        let mut at = 0;
        while at < length {
            let end = (at + self.stretch).min(length);
            stretches.push(at..end);
            at = end;
        }
        stretches
    }

    /// How long the parts are of an object that is about so long.
    #[must_use]
    pub fn part_size(self, estimate: u64) -> u64 {
        self.part.max(estimate.div_ceil(MOST_PARTS))
    }
}

/// The header that asks for a stretch.
#[must_use]
pub fn range_header(stretch: &Range<u64>) -> String {
    format!("bytes={}-{}", stretch.start, stretch.end.saturating_sub(1))
}

/// Whether an answer's `Content-Range` is this stretch of an object of this length.
#[must_use]
pub fn is_range(header: &str, stretch: &Range<u64>, length: u64) -> bool {
    let last = stretch.end.saturating_sub(1);
    header == format!("bytes {}-{last}/{length}", stretch.start)
}

#[cfg(test)]
mod tests {
    use super::{Amounts, MOST_PARTS, is_range, range_header};

    #[test]
    fn stretches_cover_an_object_without_a_gap() {
        let amounts = Amounts { stretch: 10, part: 1 };
        for length in [0, 1, 10, 20] {
            let whole: Vec<_> = std::iter::once(0..length).collect();
            assert_eq!(amounts.stretches(length), whole);
        }
        for length in [21, 50, 1007] {
            let stretches = amounts.stretches(length);
            assert_eq!(stretches[0].start, 0);
            assert_eq!(stretches[stretches.len() - 1].end, length);
            assert!(stretches.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(stretches.iter().all(|stretch| stretch.end - stretch.start <= 10));
        }
    }

    #[test]
    fn parts_grow_only_when_there_would_be_too_many() {
        const GIB: u64 = 1024 * 1024 * 1024;
        let amounts = Amounts::default();
        for estimate in [0, 5 * GIB, 70 * GIB] {
            assert_eq!(amounts.part_size(estimate), amounts.part);
        }
        let size = amounts.part_size(5 * 1024 * GIB);
        assert!((5 * 1024 * GIB).div_ceil(size) <= MOST_PARTS && size > amounts.part);
    }

    #[test]
    fn a_range_is_asked_for_and_recognised() {
        assert_eq!(range_header(&(5..10)), "bytes=5-9");
        for (header, expected) in [
            ("bytes 5-9/20", true),
            ("bytes 5-10/20", false),
            ("bytes 4-9/20", false),
            ("bytes 5-9/21", false),
            ("bytes 5-9/*", false),
        ] {
            assert_eq!(is_range(header, &(5..10), 20), expected, "{header}");
        }
    }
}
