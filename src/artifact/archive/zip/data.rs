//! The data of one entry, checked against all that the zip says of it.

use super::directory::At;
use super::fault::ZipFault;
use super::records::{Central, DESCRIPTOR_BYTES, descriptor};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use rawzip::{CompressionMethod, RangeReader, ZipArchive, ZipReader};
use std::io::{BufRead, BufReader, Read};

/// How much is read from the file at once.
const CHUNK: usize = 128 * 1024;

/// The longest name and extra fields of the header before the data.
const LONGEST_HEADER: usize = 2 * u16::MAX as usize;

/// The data of an entry while it is read.
pub struct Data<'a> {
    zip: At<'a>,
    reader: BufReader<ZipReader<&'a At<'a>>>,
    inflater: Option<&'a mut Decompress>,
    entry: &'a Central,
    crc: Crc,
    read: u64,
    /// Where it ends.
    ends: u64,
    /// Where it must have ended, with what follows it.
    until: u64,
    is_done: bool,
}

/// What reading data needs again and again.
pub struct Inflater {
    inflater: Decompress,
    header: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            inflater: Decompress::new(false),
            header: vec![0; LONGEST_HEADER],
        }
    }
}

impl<'a> Data<'a> {
    pub(super) fn open(
        archive: &'a ZipArchive<At<'a>>,
        entry: &'a Central,
        until: u64,
        tools: &'a mut Inflater,
    ) -> Result<Self, ZipFault> {
        const CUT: &str = "the header before an entry is cut off";
        const ELSEWHERE: &str = "an entry is not where the directory says";
        if entry.is_encrypted() {
            return Err(ZipFault::Encrypted);
        }
        let is_stored = match entry.method {
            CompressionMethod::STORE => true,
            // Some writers call an empty entry deflated, and write nothing.
            CompressionMethod::DEFLATE => entry.compressed == 0 && entry.size == 0,
            other => {
                let method = other.as_u16();
                return Err(ZipFault::UnknownMethod { method });
            }
        };
        let refuse = |error| ZipFault::of(error, CUT, ELSEWHERE);
        let found = archive.get_entry(entry.way).map_err(refuse)?;
        let local = found.local_header(&mut tools.header).map_err(refuse)?;
        if let Some(what) = entry.contradiction(&local).map_err(ZipFault::Malformed)? {
            return Err(ZipFault::Contradiction { what });
        }
        let (_, ends) = found.compressed_data_range();
        if ends > until {
            return Err(ZipFault::Overlap);
        }
        if is_stored && entry.compressed != entry.size {
            return Err(ZipFault::WrongSize {
                declared: entry.size,
                actual: entry.compressed,
            });
        }
        // An inflater that is used again begins anew; small entries need no big buffer.
        tools.inflater.reset(false);
        let capacity = usize::try_from(entry.compressed).map_or(CHUNK, |bytes| bytes.clamp(1, CHUNK));
        Ok(Self {
            zip: *archive.get_ref(),
            reader: BufReader::with_capacity(capacity, found.reader()),
            inflater: (!is_stored).then_some(&mut tools.inflater),
            entry,
            crc: Crc::new(),
            read: 0,
            ends,
            until,
            is_done: false,
        })
    }

    /// Reads some more; nothing more when the data is at its end and is what the zip says.
    ///
    /// # Errors
    /// [`ZipFault`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ZipFault> {
        if self.is_done {
            return Ok(0);
        }
        let read = match &mut self.inflater {
            None => self.reader.read(buffer).map_err(ZipFault::Read)?,
            Some(inflater) => inflate(&mut self.reader, inflater, buffer)?,
        };
        self.crc.update(&buffer[..read]);
        self.read += read as u64;
        if self.read > self.entry.size {
            return Err(self.wrong_size());
        }
        if read == 0 {
            self.check()?;
            self.is_done = true;
        }
        Ok(read)
    }

    fn wrong_size(&self) -> ZipFault {
        ZipFault::WrongSize {
            declared: self.entry.size,
            actual: self.read,
        }
    }

    fn check(&mut self) -> Result<(), ZipFault> {
        let rest = self.reader.fill_buf().map_err(ZipFault::Read)?;
        if !rest.is_empty() {
            return Err(ZipFault::Contradiction {
                what: "compressed size",
            });
        }
        if self.read != self.entry.size {
            return Err(self.wrong_size());
        }
        if self.crc.sum() != self.entry.crc {
            return Err(ZipFault::Checksum);
        }
        if !self.entry.flags.has_data_descriptor() {
            return Ok(());
        }
        let mut after = Vec::new();
        let room = self.until.min(self.ends + DESCRIPTOR_BYTES);
        RangeReader::new(self.zip, self.ends..room)
            .read_to_end(&mut after)
            .map_err(ZipFault::Read)?;
        match descriptor(&after, self.entry.crc, self.entry.compressed, self.entry.size) {
            Some(_) => Ok(()),
            None => Err(ZipFault::Contradiction { what: "size" }),
        }
    }
}

/// Inflates some more; nothing more once the stream has ended. flate2's own reader takes data that is cut off for data
/// that has ended.
fn inflate(
    reader: &mut impl BufRead,
    inflater: &mut Decompress,
    buffer: &mut [u8],
) -> Result<usize, ZipFault> {
    loop {
        let input = reader.fill_buf().map_err(ZipFault::Read)?;
        let is_last = input.is_empty();
        let (before_in, before_out) = (inflater.total_in(), inflater.total_out());
        let status = inflater
            .decompress(input, buffer, FlushDecompress::None)
            .map_err(|_| ZipFault::Garbled)?;
        let (consumed, written) = (inflater.total_in() - before_in, inflater.total_out() - before_out);
        // Both are lengths of parts of slices.
        reader.consume(usize::try_from(consumed).unwrap_or(usize::MAX));
        if written > 0 {
            return Ok(usize::try_from(written).unwrap_or(usize::MAX));
        }
        match status {
            Status::StreamEnd => return Ok(0),
            Status::Ok | Status::BufError if is_last || consumed == 0 => return Err(ZipFault::Garbled),
            Status::Ok | Status::BufError => {}
        }
    }
}
