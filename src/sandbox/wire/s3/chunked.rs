//! The `aws-chunked` content encoding: chunks with their sizes, then trailing headers.

use std::collections::BTreeMap;

/// The most bytes of a line: a size with its signature, or a trailer.
const LONGEST_LINE: usize = 8 * 1024;

/// Takes the encoding apart, whatever pieces it comes in.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    line: Vec<u8>,
    trailers: BTreeMap<String, String>,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

/// The encoding is broken.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

impl Decoder {
    /// Takes a piece; gives the stretches of it that are data.
    pub fn feed<'a>(&mut self, mut piece: &'a [u8]) -> Result<Vec<&'a [u8]>, Malformed> {
        let mut data = Vec::new();
        while !piece.is_empty() {
            if let State::Data(left) = self.state {
                let take = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                let (now, rest) = piece.split_at(take);
                data.push(now);
                piece = rest;
                let left = left - take as u64;
                self.state = if left == 0 {
                    State::DataEnd
                } else {
                    State::Data(left)
                };
                continue;
            }
            let (byte, rest) = (piece[0], &piece[1..]);
            piece = rest;
            if byte != b'\n' {
                self.line.push(byte);
                if self.line.len() > LONGEST_LINE {
                    return Err(Malformed);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = std::str::from_utf8(&line)
                .map_err(|_| Malformed)?
                .trim_end_matches('\r');
            self.state = self.take_line(line)?;
        }
        Ok(data)
    }

    fn take_line(&mut self, line: &str) -> Result<State, Malformed> {
        match self.state {
            State::Size => {
                let digits = line.split(';').next().unwrap_or_default();
                match u64::from_str_radix(digits, 16).map_err(|_| Malformed)? {
                    0 => Ok(State::Trailers),
                    size => Ok(State::Data(size)),
                }
            }
            State::DataEnd if line.is_empty() => Ok(State::Size),
            State::Trailers | State::Done if line.is_empty() => Ok(State::Done),
            State::Trailers => {
                let (name, value) = line.split_once(':').ok_or(Malformed)?;
                self.trailers
                    .insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
                Ok(State::Trailers)
            }
            State::DataEnd | State::Data(_) | State::Done => Err(Malformed),
        }
    }

    /// Ends; gives the trailers.
    pub fn finish(self) -> Result<BTreeMap<String, String>, Malformed> {
        // Some clients leave out the last empty line.
        match self.state {
            State::Done | State::Trailers => Ok(self.trailers),
            State::Size | State::Data(_) | State::DataEnd => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Malformed};

    const BODY: &[u8] =
        b"5;chunk-signature=00\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";

    #[test]
    fn any_cut_into_pieces_gives_the_same_data() {
        for size in 1..=BODY.len() {
            let mut decoder = Decoder::default();
            let mut data = Vec::new();
            for piece in BODY.chunks(size) {
                for stretch in decoder.feed(piece).unwrap() {
                    data.extend_from_slice(stretch);
                }
            }
            assert_eq!(data, b"hello world", "in pieces of {size}");
            assert_eq!(decoder.finish().unwrap()["x-amz-checksum-crc32"], "DUoRhQ==");
        }
    }

    #[test]
    fn what_breaks_off_or_lies_is_malformed() {
        let mut decoder = Decoder::default();
        decoder.feed(&BODY[..25]).unwrap();
        assert_eq!(decoder.finish(), Err(Malformed));
        assert!(Decoder::default().feed(b"zz\r\n").is_err());
        assert!(Decoder::default().feed(b"1\r\nab\r\n").is_err());
    }
}
