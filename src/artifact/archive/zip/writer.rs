//! Writing a zip as a stream, with the same bytes for the same entries on every machine: one fixed time, one maker, the
//! same amounts read and compressed at once.

use super::marks::{
    CENTRAL, DEFLATED, DESCRIBED, DESCRIPTOR, END, END64, LOCAL, LOCATOR, SATURATED_16, SATURATED_32, STORED,
    UTF8, ZIP64_EXTRA,
};
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::io::{self, Read, Write};

/// How much is read and compressed at once. What is no longer than this is compressed before its header is written, so
/// that its sizes can be in there; the sizes of what is longer follow it.
const CHUNK: usize = 64 * 1024;

/// 1980-01-01, the earliest day that a zip can say.
const DATE: u16 = 0x0021;

/// A file that is as long as this, or becomes so by not being compressible, needs numbers of 64 bits.
const WIDE: u64 = SATURATED_32 as u64 - 16 * 1024 * 1024;

/// By Unix, after the version of APPNOTE that it needs.
const MADE_BY_UNIX: u16 = 3 << 8;
const VERSION_PLAIN: u16 = 20;
const VERSION_WIDE: u16 = 45;

/// What went wrong while a zip was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteFault {
    /// The entry could not be read.
    #[error("read `{entry}`")]
    Read {
        /// The entry.
        entry: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The zip could not be written.
    #[error("write the zip")]
    Write(#[source] io::Error),
    /// Two entries have the same name, or they are not sorted.
    #[error("`{entry}` is there twice, or out of order")]
    Order {
        /// The entry.
        entry: String,
    },
    /// No zip can have such a name.
    #[error("the name `{entry}` is empty or too long")]
    Name {
        /// The entry.
        entry: String,
    },
    /// The file grew or shrank while it was read.
    #[error("`{entry}` changed while it was read")]
    Changed {
        /// The entry.
        entry: String,
    },
}

/// What of an entry is known before its data.
#[derive(Debug, Clone, Copy)]
pub struct ZipEntry<'a> {
    /// The name, with `/` between folders.
    pub name: &'a str,
    /// The Unix mode, without the type of file.
    pub mode: u32,
    /// How long the file is.
    pub size: u64,
}

/// Writes a zip.
pub struct Writer<W> {
    out: Out<W>,
    packer: Packer,
    directory: Vec<u8>,
    entries: u64,
    last: String,
}

impl<W: Write> Writer<W> {
    /// A zip without entries.
    #[must_use]
    pub fn new(sink: W) -> Self {
        Self {
            out: Out { sink, at: 0 },
            packer: Packer::new(),
            directory: Vec::new(),
            entries: 0,
            last: String::new(),
        }
    }

    /// Adds a file; its name must come after that of the one before.
    ///
    /// # Errors
    /// [`WriteFault`].
    pub fn add(&mut self, entry: ZipEntry<'_>, mut data: impl Read) -> Result<(), WriteFault> {
        let name = || entry.name.to_owned();
        if entry.name.is_empty() || entry.name.len() > usize::from(u16::MAX) {
            return Err(WriteFault::Name { entry: name() });
        }
        if self.entries > 0 && entry.name <= self.last.as_str() {
            return Err(WriteFault::Order { entry: name() });
        }
        let refuse = |source| WriteFault::Read {
            entry: name(),
            source,
        };
        let mut header = Header::new(entry, self.out.at);
        self.packer.read(&mut data).map_err(refuse)?;
        if entry.size <= CHUNK as u64 {
            self.add_short(&mut header)?;
        } else {
            self.add_long(&mut header, &mut data)?;
        }
        // One byte more would be a file that grew.
        let more = data.read(&mut [0]).map_err(refuse)?;
        if more > 0 || header.sizes.size != entry.size {
            return Err(WriteFault::Changed { entry: name() });
        }
        header.write_central(&mut self.directory);
        self.entries += 1;
        entry.name.clone_into(&mut self.last);
        Ok(())
    }

    fn add_short(&mut self, header: &mut Header<'_>) -> Result<(), WriteFault> {
        let mut packed = Vec::new();
        self.packer.pack(Level::Smaller, true, |bytes| {
            packed.extend_from_slice(bytes);
            Ok(())
        })?;
        let plain = self.packer.chunk();
        header.sizes = Sizes::of(plain);
        header.method = STORED;
        if packed.len() < plain.len() {
            header.method = DEFLATED;
            header.sizes.compressed = packed.len() as u64;
        } else {
            packed = plain.to_vec();
        }
        let mut bytes = Vec::new();
        header.write_local(&mut bytes);
        self.out.write(&bytes)?;
        self.out.write(&packed)
    }

    fn add_long(&mut self, header: &mut Header<'_>, data: &mut impl Read) -> Result<(), WriteFault> {
        header.is_described = true;
        let mut bytes = Vec::new();
        header.write_local(&mut bytes);
        self.out.write(&bytes)?;
        let begins = self.out.at;
        let level = self.packer.choose()?;
        let mut crc = Crc::new();
        loop {
            let chunk = self.packer.chunk();
            crc.update(chunk);
            header.sizes.size += chunk.len() as u64;
            let is_last = chunk.len() < CHUNK;
            let out = &mut self.out;
            self.packer.pack(level, is_last, |bytes| out.write(bytes))?;
            if is_last {
                break;
            }
            let entry = header.entry.name;
            self.packer.read(data).map_err(|source| WriteFault::Read {
                entry: entry.to_owned(),
                source,
            })?;
        }
        header.sizes.crc = crc.sum();
        header.sizes.compressed = self.out.at - begins;
        self.out.write(&header.descriptor())
    }

    /// Writes the directory, and gives the sink back.
    ///
    /// # Errors
    /// [`WriteFault::Write`].
    pub fn finish(mut self) -> Result<W, WriteFault> {
        let (begins, bytes) = (self.out.at, self.directory.len() as u64);
        self.out.write(&self.directory)?;
        let count = u16::try_from(self.entries)
            .ok()
            .filter(|&count| count != SATURATED_16);
        let (count, short_bytes, short_begins) = match (count, narrow(bytes), narrow(begins)) {
            (Some(count), Some(bytes), Some(begins)) => (count, bytes, begins),
            _ => {
                let end = self.wide_end(begins, bytes);
                self.out.write(&end)?;
                (SATURATED_16, SATURATED_32, SATURATED_32)
            }
        };
        let mut end = Vec::new();
        end.extend(END.to_le_bytes());
        end.extend([0; 4]);
        end.extend(count.to_le_bytes());
        end.extend(count.to_le_bytes());
        end.extend(short_bytes.to_le_bytes());
        end.extend(short_begins.to_le_bytes());
        end.extend([0; 2]);
        self.out.write(&end)?;
        self.out.sink.flush().map_err(WriteFault::Write)?;
        Ok(self.out.sink)
    }

    /// The end with numbers of 64 bits, and what says where it is.
    fn wide_end(&self, begins: u64, bytes: u64) -> Vec<u8> {
        let mut end = Vec::new();
        end.extend(END64.to_le_bytes());
        end.extend(44_u64.to_le_bytes());
        end.extend((MADE_BY_UNIX | VERSION_WIDE).to_le_bytes());
        end.extend(VERSION_WIDE.to_le_bytes());
        end.extend([0; 8]);
        end.extend(self.entries.to_le_bytes());
        end.extend(self.entries.to_le_bytes());
        end.extend(bytes.to_le_bytes());
        end.extend(begins.to_le_bytes());
        end.extend(LOCATOR.to_le_bytes());
        end.extend([0; 4]);
        end.extend(self.out.at.to_le_bytes());
        end.extend(1_u32.to_le_bytes());
        end
    }
}

fn narrow(number: u64) -> Option<u32> {
    u32::try_from(number)
        .ok()
        .filter(|&number| number != SATURATED_32)
}

/// Where a zip is written to, and how far it is.
struct Out<W> {
    sink: W,
    at: u64,
}

impl<W: Write> Out<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteFault> {
        self.at += bytes.len() as u64;
        self.sink.write_all(bytes).map_err(WriteFault::Write)
    }
}

/// How an entry is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// As usual.
    Smaller,
    /// Not, in the form of deflate: what is compressed already only costs time.
    Plain,
}

/// Reads and compresses one chunk after the other. The amounts are always the same, since what comes out depends on them.
struct Packer {
    smaller: Compress,
    plain: Compress,
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
}

impl Packer {
    fn new() -> Self {
        Self {
            smaller: Compress::new(Compression::default(), false),
            plain: Compress::new(Compression::none(), false),
            input: vec![0; CHUNK],
            filled: 0,
            output: vec![0; CHUNK],
        }
    }

    /// Reads as much as is compressed at once, also from what gives it piece by piece.
    fn read(&mut self, data: &mut impl Read) -> io::Result<()> {
        self.filled = 0;
        while self.filled < CHUNK {
            match data.read(&mut self.input[self.filled..]) {
                Ok(0) => break,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn chunk(&self) -> &[u8] {
        &self.input[..self.filled]
    }

    /// How a file that begins with this chunk is to be compressed: not, if not a thirtieth of the chunk can be saved.
    fn choose(&mut self) -> Result<Level, WriteFault> {
        let mut packed = 0;
        self.pack(Level::Smaller, true, |bytes| {
            packed += bytes.len();
            Ok(())
        })?;
        Ok(if packed > self.filled - self.filled / 30 {
            Level::Plain
        } else {
            Level::Smaller
        })
    }

    /// Compresses the chunk; with the last one everything is written, and the next one begins anew.
    fn pack(
        &mut self,
        level: Level,
        is_last: bool,
        mut take: impl FnMut(&[u8]) -> Result<(), WriteFault>,
    ) -> Result<(), WriteFault> {
        let deflater = match level {
            Level::Smaller => &mut self.smaller,
            Level::Plain => &mut self.plain,
        };
        let flush = if is_last {
            FlushCompress::Finish
        } else {
            FlushCompress::None
        };
        let mut input = &self.input[..self.filled];
        loop {
            let (before_in, before_out) = (deflater.total_in(), deflater.total_out());
            let status = deflater.compress(input, &mut self.output, flush);
            let status = status.map_err(|error| WriteFault::Write(error.into()))?;
            // Both are lengths of parts of slices.
            let consumed = usize::try_from(deflater.total_in() - before_in).unwrap_or(usize::MAX);
            let written = usize::try_from(deflater.total_out() - before_out).unwrap_or(usize::MAX);
            input = input.get(consumed..).unwrap_or_default();
            take(self.output.get(..written).unwrap_or_default())?;
            let is_done = match status {
                Status::StreamEnd => true,
                Status::Ok | Status::BufError => !is_last && input.is_empty() && written < self.output.len(),
            };
            if is_done {
                break;
            }
        }
        if is_last {
            deflater.reset();
        }
        Ok(())
    }
}

/// How an entry's data came out.
#[derive(Debug, Clone, Copy, Default)]
struct Sizes {
    crc: u32,
    compressed: u64,
    size: u64,
}

impl Sizes {
    fn of(plain: &[u8]) -> Self {
        let mut crc = Crc::new();
        crc.update(plain);
        Self {
            crc: crc.sum(),
            compressed: plain.len() as u64,
            size: plain.len() as u64,
        }
    }
}

/// What is written of an entry besides its data.
struct Header<'a> {
    entry: ZipEntry<'a>,
    offset: u64,
    method: u16,
    /// Whether its sizes follow its data.
    is_described: bool,
    sizes: Sizes,
}

impl<'a> Header<'a> {
    fn new(entry: ZipEntry<'a>, offset: u64) -> Self {
        Self {
            entry,
            offset,
            method: DEFLATED,
            is_described: false,
            sizes: Sizes::default(),
        }
    }

    /// Whether its sizes have 64 bits, which is decided before they are known.
    const fn is_wide(&self) -> bool {
        self.entry.size >= WIDE
    }

    /// What the headers before the data and in the directory begin with, from the version that is needed to the checksum.
    fn common(&self, is_wide: bool) -> Vec<u8> {
        let mut flags = 0;
        if self.is_described {
            flags |= DESCRIBED;
        }
        if !self.entry.name.is_ascii() {
            flags |= UTF8;
        }
        let version = if is_wide { VERSION_WIDE } else { VERSION_PLAIN };
        [version, flags, self.method, 0, DATE]
            .map(u16::to_le_bytes)
            .concat()
    }

    fn name_bytes(&self) -> [u8; 2] {
        // Longer names are refused before.
        u16::try_from(self.entry.name.len())
            .unwrap_or(u16::MAX)
            .to_le_bytes()
    }

    fn write_local(&self, to: &mut Vec<u8>) {
        let Sizes {
            crc,
            compressed,
            size,
        } = self.sizes;
        to.extend(LOCAL.to_le_bytes());
        to.extend(self.common(self.is_wide()));
        to.extend(crc.to_le_bytes());
        let narrow = |size| u32::try_from(size).unwrap_or(SATURATED_32);
        let (compressed, size) = if self.is_wide() {
            (SATURATED_32, SATURATED_32)
        } else {
            (narrow(compressed), narrow(size))
        };
        to.extend(compressed.to_le_bytes());
        to.extend(size.to_le_bytes());
        to.extend(self.name_bytes());
        if self.is_wide() {
            to.extend(20_u16.to_le_bytes());
            to.extend(self.entry.name.as_bytes());
            to.extend(ZIP64_EXTRA.to_le_bytes());
            to.extend(16_u16.to_le_bytes());
            to.extend([0; 16]);
        } else {
            to.extend([0; 2]);
            to.extend(self.entry.name.as_bytes());
        }
    }

    fn descriptor(&self) -> Vec<u8> {
        let Sizes {
            crc,
            compressed,
            size,
        } = self.sizes;
        let mut bytes = DESCRIPTOR.to_le_bytes().to_vec();
        bytes.extend(crc.to_le_bytes());
        for size in [compressed, size] {
            if self.is_wide() {
                bytes.extend(size.to_le_bytes());
            } else {
                bytes.extend(u32::try_from(size).unwrap_or(SATURATED_32).to_le_bytes());
            }
        }
        bytes
    }

    fn write_central(&self, to: &mut Vec<u8>) {
        let Sizes {
            crc,
            compressed,
            size,
        } = self.sizes;
        // Those that are too long for 32 bits, in the order that APPNOTE wants.
        let wide: Vec<u8> = [size, compressed, self.offset]
            .into_iter()
            .filter(|&number| narrow(number).is_none())
            .flat_map(u64::to_le_bytes)
            .collect();
        let version = if wide.is_empty() && !self.is_wide() {
            VERSION_PLAIN
        } else {
            VERSION_WIDE
        };
        to.extend(CENTRAL.to_le_bytes());
        to.extend((MADE_BY_UNIX | version).to_le_bytes());
        to.extend(self.common(version == VERSION_WIDE));
        to.extend(crc.to_le_bytes());
        for number in [compressed, size] {
            to.extend(narrow(number).unwrap_or(SATURATED_32).to_le_bytes());
        }
        to.extend(self.name_bytes());
        let extra = if wide.is_empty() { 0 } else { wide.len() + 4 };
        to.extend(u16::try_from(extra).unwrap_or_default().to_le_bytes());
        to.extend([0; 6]);
        to.extend(((0o100_000 | self.entry.mode & 0o777) << 16).to_le_bytes());
        // After the length of a comment, the part of the zip and inner attributes, of which there are none.
        to.extend(narrow(self.offset).unwrap_or(SATURATED_32).to_le_bytes());
        to.extend(self.entry.name.as_bytes());
        if !wide.is_empty() {
            to.extend(ZIP64_EXTRA.to_le_bytes());
            to.extend(u16::try_from(wide.len()).unwrap_or_default().to_le_bytes());
            to.extend(wide);
        }
    }
}
