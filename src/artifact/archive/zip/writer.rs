//! Writing a zip as a stream, with the same bytes for the same entries on every machine: one fixed time, one maker, the
//! same amounts compressed at once.
//!
//! rawzip writes the records, and always the sizes and the checksum after the data. So all data is in the form of deflate,
//! also what is not compressed: of other data, whoever reads a zip as a stream could not find the end.

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use rawzip::extra_fields::ExtraFieldId;
use rawzip::path::{EntryPath, ZipFilePath};
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, DataDescriptorOutput, ErrorKind, Header, ZipArchiveWriter, ZipFileBuilder};
use std::io::{self, Read, Write};

/// How much is read and compressed at once: what comes out depends on it.
const CHUNK: usize = 64 * 1024;

/// 1980-01-01, the earliest day that a zip can say.
const EARLIEST: i64 = 315_532_800;

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
    archive: ZipArchiveWriter<W>,
    input: Vec<u8>,
    last: Option<String>,
}

impl<W: Write> Writer<W> {
    /// A zip without entries.
    #[must_use]
    pub fn new(sink: W) -> Self {
        Self {
            archive: ZipArchiveWriter::new(sink),
            input: Vec::with_capacity(CHUNK),
            last: None,
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
        if self.last.as_deref().is_some_and(|last| entry.name <= last) {
            return Err(WriteFault::Order { entry: name() });
        }
        let mut read = |input: &mut Vec<u8>| {
            input.clear();
            let read = data.by_ref().take(CHUNK as u64).read_to_end(input);
            read.map_err(|source| WriteFault::Read {
                entry: name(),
                source,
            })
        };
        read(&mut self.input)?;
        let level = choose(&self.input).map_err(WriteFault::Write)?;
        let (mut written, _) = begin(&mut self.archive, entry)
            .and_then(ZipFileBuilder::start)
            .map_err(refuse)?;
        let mut encoder = DeflateEncoder::new(&mut written, level);
        let (mut crc, mut size) = (Crc::new(), 0);
        // The end of a file is seen by reading on: one that grew goes on where it should end.
        while !self.input.is_empty() && size <= entry.size {
            crc.update(&self.input);
            size += self.input.len() as u64;
            encoder.write_all(&self.input).map_err(WriteFault::Write)?;
            read(&mut self.input)?;
        }
        if size != entry.size {
            return Err(WriteFault::Changed { entry: name() });
        }
        encoder.finish().map_err(WriteFault::Write)?;
        let descriptor = DataDescriptorOutput::new(crc.sum(), size);
        written.finish(descriptor).map_err(refuse)?;
        self.last = Some(name());
        Ok(())
    }

    /// Writes the directory, and gives the sink back.
    ///
    /// # Errors
    /// [`WriteFault::Write`].
    pub fn finish(self) -> Result<W, WriteFault> {
        self.archive.finish().map_err(refuse)
    }
}

fn refuse(error: rawzip::Error) -> WriteFault {
    WriteFault::Write(match error.into_kind() {
        ErrorKind::IO(error) => error,
        kind => io::Error::other(kind.to_string()),
    })
}

/// What is said of an entry before its data.
fn begin<'a, 'b, W: Write>(
    archive: &'a mut ZipArchiveWriter<W>,
    entry: ZipEntry<'b>,
) -> Result<ZipFileBuilder<'a, 'b, W>, rawzip::Error> {
    let name = entry.name;
    let tidy = ZipFilePath::from_str(name);
    let file = if name.is_ascii() {
        archive.new_file(EntryPath::verbatim(name.as_bytes()))
    } else if tidy.as_str() == name && !tidy.is_dir() {
        archive.new_file(tidy)
    } else {
        // rawzip marks as UTF-8 only what it may tidy up: `\u{e9}:1` would become `1`. The field says it as well.
        let field = [
            &[1],
            &rawzip::crc32(name.as_bytes()).to_le_bytes()[..],
            name.as_bytes(),
        ]
        .concat();
        let file = archive.new_file(EntryPath::verbatim(name.as_bytes()));
        file.extra_field(ExtraFieldId::INFO_ZIP_UNICODE_PATH, &field, Header::default())?
    };
    let file = file
        .compression_method(CompressionMethod::DEFLATE)
        .last_modified(UtcDateTime::from_unix(EARLIEST))
        .unix_permissions(0o100_000 | entry.mode & 0o777);
    if entry.size < u32::MAX.into() {
        return Ok(file);
    }
    // Tells a reader of a stream that sizes of 64 bits follow the data, as they do.
    file.extra_field(ExtraFieldId::ZIP64, &[0; 16], Header::LOCAL)
}

/// How a file that begins with this is compressed: not, if not a thirtieth of a whole chunk can be saved.
fn choose(start: &[u8]) -> io::Result<Compression> {
    if start.len() < CHUNK {
        return Ok(Compression::default());
    }
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(start)?;
    let packed = encoder.finish()?;
    Ok(if packed.len() > CHUNK - CHUNK / 30 {
        Compression::none()
    } else {
        Compression::default()
    })
}
