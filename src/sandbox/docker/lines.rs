//! Cuts a container's output into lines.

use bytes::Bytes;

/// The longest event of CloudWatch Logs: 256 KiB less 26 bytes of its own (PutLogEvents).
pub const LONGEST: usize = 256 * 1024 - 26;

/// Collects the chunks of one stream until a line is whole.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Takes a chunk and gives the lines that it ends; a line longer than [`LONGEST`] is cut into several.
    pub fn push(&mut self, chunk: &Bytes) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            let whole = self.rest.pop_if(|byte| *byte == b'\n').is_some();
            while self.rest.len() > LONGEST {
                let tail = self.rest.split_off(LONGEST);
                lines.extend(self.take());
                self.rest = tail;
            }
            if whole {
                lines.push(self.take().unwrap_or_default());
            }
        }
        lines
    }

    /// The last line, when the stream ended without an end of line.
    pub fn finish(&mut self) -> Option<String> {
        self.take()
    }

    fn take(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.rest);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        (!line.is_empty()).then(|| String::from_utf8_lossy(line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, LONGEST, Lines};
    use proptest::prelude::{any, prop, proptest};

    fn cut(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut all: Vec<String> = chunks
            .iter()
            .flat_map(|chunk| lines.push(&Bytes::copy_from_slice(chunk)))
            .collect();
        all.extend(lines.finish());
        all
    }

    #[test]
    fn lines_are_whole_however_they_are_cut_into_chunks() {
        assert_eq!(
            cut(&[b"one\ntw", b"o\n", b"\nthree\r\n", b"four"]),
            ["one", "two", "", "three", "four"]
        );
        assert_eq!(
            cut(&[b"caf\xc3", b"\xa9\n", b"bad \xff\n"]),
            ["café", "bad \u{fffd}"]
        );
        assert!(cut(&[]).is_empty());
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let chunk = vec![b'x'; LONGEST + 1];
        let lines = cut(&[&chunk, &chunk]);
        let lengths: Vec<_> = lines.iter().map(String::len).collect();
        assert_eq!(lengths, [LONGEST, LONGEST, 2]);
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            text in "([a-z\u{e9} ]{0,9}\r?\n){0,9}[a-z]{0,9}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let expected: Vec<&str> = text.lines().collect();
            proptest::prop_assert_eq!(cut(&chunks), expected);
        }
    }
}
