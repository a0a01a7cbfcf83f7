//! Reading a zip from a file: its directory entry by entry, and the data of one entry. Nothing is held in memory but the
//! entry at hand.

use super::records::{
    CENTRAL, CENTRAL_BYTES, Central, DESCRIPTOR_BYTES, END, END_BYTES, END64, END64_BYTES, LOCAL,
    LOCAL_BYTES, LOCATOR, LOCATOR_BYTES, Local, MethodOf, SATURATED_16, SATURATED_32, descriptor, u16_at,
    u32_at, u64_at,
};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

/// How much is read from the file at once.
const CHUNK: usize = 128 * 1024;

/// What can be wrong with a zip, or with one entry of it.
#[derive(Debug, thiserror::Error)]
pub enum ZipFault {
    /// The file could not be read.
    #[error("read it")]
    Read(#[source] io::Error),
    /// A record is cut off or makes no sense.
    #[error("{0}")]
    Malformed(&'static str),
    /// More entries than are allowed.
    #[error("it has {entries} entries, {limit} are allowed")]
    TooMany {
        /// How many it says to have.
        entries: u64,
        /// The limit.
        limit: u64,
    },
    /// The entry is encrypted.
    #[error("it is encrypted")]
    Encrypted,
    /// The entry is compressed by a method other than deflate.
    #[error("it is compressed by a method that is not known ({method})")]
    UnknownMethod {
        /// The number of APPNOTE.
        method: u16,
    },
    /// The directory and the header before the data, or what follows it, say different things.
    #[error("the zip states its {what} twice, and differently")]
    Contradiction {
        /// `name`, `size`, ...
        what: &'static str,
    },
    /// The entry's data is another entry's as well.
    #[error("its data overlaps another entry's")]
    Overlap,
    /// The entry is not as long as the zip says.
    #[error("it has {actual} bytes or more, and the zip says {declared}")]
    WrongSize {
        /// What the directory says.
        declared: u64,
        /// What was read.
        actual: u64,
    },
    /// The data is damaged: its checksum is another.
    #[error("its checksum is wrong")]
    Checksum,
    /// The data is damaged: it cannot be decompressed.
    #[error("its data cannot be decompressed")]
    Garbled,
}

/// Reads a file from a place on, and leaves its position alone.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// The directory of a zip, entry by entry.
pub struct Directory<'a> {
    reader: BufReader<io::Take<At<'a>>>,
    /// How many entries follow.
    left: u64,
    /// Where it begins, and so where the last entry's data ends at most.
    begins: u64,
}

impl<'a> Directory<'a> {
    /// Finds the directory by the record at the end, before any of it is read.
    ///
    /// # Errors
    /// [`ZipFault::Read`], [`ZipFault::Malformed`], [`ZipFault::TooMany`].
    pub fn open(file: &'a File, limit: u64) -> Result<Self, ZipFault> {
        let end = find_end(file)?;
        if end.entries > limit {
            let entries = end.entries;
            return Err(ZipFault::TooMany { entries, limit });
        }
        if end.offset.checked_add(end.bytes) != Some(end.at) {
            return Err(ZipFault::Malformed("its directory is not where it should be"));
        }
        let at = end.offset;
        Ok(Self {
            reader: BufReader::with_capacity(CHUNK, At { file, at }.take(end.bytes)),
            left: end.entries,
            begins: end.offset,
        })
    }

    /// Where the directory begins.
    #[must_use]
    pub const fn begins(&self) -> u64 {
        self.begins
    }

    fn read_entry(&mut self) -> Result<Central, ZipFault> {
        let mut fixed = [0; CENTRAL_BYTES];
        self.fill(&mut fixed)?;
        if u32_at(&fixed, 0) != CENTRAL {
            return Err(ZipFault::Malformed(
                "its directory has something that is no entry",
            ));
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(&fixed, at)));
        let mut name = vec![0; lengths[0]];
        self.fill(&mut name)?;
        let mut extra = vec![0; lengths[1]];
        self.fill(&mut extra)?;
        self.fill(&mut vec![0; lengths[2]])?;
        Central::read(&fixed, name, &extra).map_err(ZipFault::Malformed)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ZipFault> {
        fill(&mut self.reader, buffer, "its directory is cut off")
    }

    fn is_at_end(&mut self) -> Result<bool, ZipFault> {
        Ok(self.reader.fill_buf().map_err(ZipFault::Read)?.is_empty())
    }
}

impl Iterator for Directory<'_> {
    type Item = Result<Central, ZipFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return match self.is_at_end() {
                Ok(true) => None,
                Ok(false) => Some(Err(ZipFault::Malformed("its directory has more than it says"))),
                Err(fault) => Some(Err(fault)),
            };
        }
        self.left -= 1;
        Some(self.read_entry())
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8], cut: &'static str) -> Result<(), ZipFault> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ZipFault::Malformed(cut),
        _ => ZipFault::Read(error),
    })
}

/// What the record at the end says.
struct End {
    entries: u64,
    offset: u64,
    bytes: u64,
    /// Where the directory must end.
    at: u64,
}

fn find_end(file: &File) -> Result<End, ZipFault> {
    let length = file.metadata().map_err(ZipFault::Read)?.len();
    // The record, its comment, and the locator before it.
    let longest = (END_BYTES + usize::from(u16::MAX) + LOCATOR_BYTES) as u64;
    let from = length.saturating_sub(longest);
    let mut tail = Vec::new();
    At { file, at: from }
        .take(longest)
        .read_to_end(&mut tail)
        .map_err(ZipFault::Read)?;
    let mut found = end_records(&tail);
    let at = found.next().ok_or(ZipFault::Malformed("its end is cut off"))?;
    if found.next().is_some() {
        // The comment of one is the end of another: which one counts depends on who reads.
        return Err(ZipFault::Malformed("it has two ends"));
    }
    drop(found);
    let record = &tail[at..];
    let narrow = End {
        entries: u16_at(record, 10).into(),
        bytes: u32_at(record, 12).into(),
        offset: u32_at(record, 16).into(),
        at: from + at as u64,
    };
    let parts = [u16_at(record, 4), u16_at(record, 6)];
    let locator = at.checked_sub(LOCATOR_BYTES).map(|at| &tail[at..]);
    match locator {
        Some(locator) if u32_at(locator, 0) == LOCATOR => widen(file, &narrow, u64_at(locator, 8)),
        _ if parts != [0, 0] || u16_at(record, 8) != u16_at(record, 10) => {
            Err(ZipFault::Malformed("it is one of several parts"))
        }
        _ => Ok(narrow),
    }
}

/// Where records are whose comment reaches to the very end.
fn end_records(tail: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let last = tail.len().checked_sub(END_BYTES);
    let starts = last.map_or(0..0, |last| 0..last + 1);
    starts.rev().filter(move |&at| {
        u32_at(tail, at) == END && usize::from(u16_at(tail, at + 20)) == tail.len() - at - END_BYTES
    })
}

/// Reads the record with numbers of 64 bits, which must agree with every number of the other that is not saturated.
fn widen(file: &File, narrow: &End, at: u64) -> Result<End, ZipFault> {
    let mut record = [0; END64_BYTES];
    fill(&mut At { file, at }, &mut record, "its end is cut off")?;
    let wide = End {
        entries: u64_at(&record, 32),
        bytes: u64_at(&record, 40),
        offset: u64_at(&record, 48),
        at,
    };
    let length = u64_at(&record, 4).checked_add(12);
    let ends = length.and_then(|length| at.checked_add(length));
    let agrees = |narrow: u64, wide: u64, saturated: u64| narrow == wide || narrow == saturated;
    if u32_at(&record, 0) != END64 || ends != narrow.at.checked_sub(LOCATOR_BYTES as u64) {
        Err(ZipFault::Malformed(
            "its end of 64 bits is not where it should be",
        ))
    } else if u32_at(&record, 16) != 0 || u32_at(&record, 20) != 0 || u64_at(&record, 24) != wide.entries {
        Err(ZipFault::Malformed("it is one of several parts"))
    } else if !agrees(narrow.entries, wide.entries, SATURATED_16.into())
        || !agrees(narrow.bytes, wide.bytes, SATURATED_32.into())
        || !agrees(narrow.offset, wide.offset, SATURATED_32.into())
    {
        Err(ZipFault::Malformed("its two ends contradict each other"))
    } else {
        Ok(wide)
    }
}

/// The data of an entry while it is read; checked against what the zip says of it.
pub struct Data<'a> {
    reader: BufReader<io::Take<At<'a>>>,
    inflater: Option<&'a mut Decompress>,
    entry: &'a Central,
    crc: Crc,
    /// Where the data must have ended, with what follows it.
    until: u64,
    read: u64,
    file: &'a File,
    ends: u64,
    is_done: bool,
}

/// What reading data needs again and again.
pub struct Inflater(Decompress);

impl Default for Inflater {
    fn default() -> Self {
        Self(Decompress::new(false))
    }
}

/// Begins to read the data of an entry. `until` is where the next thing of the zip begins.
///
/// # Errors
/// [`ZipFault`]; the header before the data is compared with the directory.
pub fn open_data<'a>(
    file: &'a File,
    entry: &'a Central,
    until: u64,
    inflater: &'a mut Inflater,
) -> Result<Data<'a>, ZipFault> {
    if entry.is_encrypted() {
        return Err(ZipFault::Encrypted);
    }
    let inflater = match entry.method {
        MethodOf::Stored => None,
        // Some writers call an empty entry deflated, and write nothing.
        MethodOf::Deflated if entry.compressed == 0 && entry.size == 0 => None,
        MethodOf::Deflated => Some(&mut inflater.0),
        MethodOf::Unknown(method) => return Err(ZipFault::UnknownMethod { method }),
    };
    let begins = read_local(file, entry)?;
    let ends = begins.checked_add(entry.compressed);
    let ends = ends.filter(|&ends| ends <= until).ok_or(ZipFault::Overlap)?;
    if inflater.is_none() && entry.compressed != entry.size {
        return Err(ZipFault::WrongSize {
            declared: entry.size,
            actual: entry.compressed,
        });
    }
    let at = At { file, at: begins };
    // An inflater that is used again begins anew; small entries need no big buffer.
    let capacity = usize::try_from(entry.compressed).map_or(CHUNK, |bytes| bytes.clamp(1, CHUNK));
    let mut data = Data {
        reader: BufReader::with_capacity(capacity, at.take(entry.compressed)),
        inflater,
        entry,
        crc: Crc::new(),
        until,
        read: 0,
        file,
        ends,
        is_done: false,
    };
    if let Some(inflater) = &mut data.inflater {
        inflater.reset(false);
    }
    Ok(data)
}

/// Reads the header before an entry's data; says where the data begins.
fn read_local(file: &File, entry: &Central) -> Result<u64, ZipFault> {
    const CUT: &str = "the header before an entry is cut off";
    let mut reader = At {
        file,
        at: entry.offset,
    };
    let mut fixed = [0; LOCAL_BYTES];
    fill(&mut reader, &mut fixed, CUT)?;
    if u32_at(&fixed, 0) != LOCAL {
        return Err(ZipFault::Malformed("an entry is not where the directory says"));
    }
    let mut name = vec![0; usize::from(u16_at(&fixed, 26))];
    let mut extra = vec![0; usize::from(u16_at(&fixed, 28))];
    fill(&mut reader, &mut name, CUT)?;
    fill(&mut reader, &mut extra, CUT)?;
    let local = Local::read(&fixed, name, &extra).map_err(ZipFault::Malformed)?;
    match local.contradiction(entry) {
        Some(what) => Err(ZipFault::Contradiction { what }),
        None => Ok(reader.at),
    }
}

impl Data<'_> {
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
        if !self.entry.is_described() {
            return Ok(());
        }
        let mut after = Vec::new();
        let room = (self.until - self.ends).min(DESCRIPTOR_BYTES as u64);
        At {
            file: self.file,
            at: self.ends,
        }
        .take(room)
        .read_to_end(&mut after)
        .map_err(ZipFault::Read)?;
        match descriptor(&after, self.entry) {
            Some(_) => Ok(()),
            None => Err(ZipFault::Contradiction { what: "size" }),
        }
    }
}

/// Inflates some more; nothing more once the stream has ended.
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
