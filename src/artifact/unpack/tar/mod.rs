//! Unpacking a tar archive (v7, ustar, GNU and PAX), also one compressed by gzip, as a stream.
//!
//! The tar crate reads single headers; its `Entries` cannot be used. Raw ones are as long as their headers say, also where
//! PAX says otherwise. The others hold names of GNU and records of PAX in memory however long they are, believe the first of
//! two, ignore a size that is no number, and take an archive that is cut off between two entries for one that has ended.

mod records;

use super::error::UnpackError;
use super::limits::Tally;
use super::names::{Name, shown};
use super::{Filling, Target};
use flate2::bufread::MultiGzDecoder;
use records::{BLOCK, Header, Long, MOST_RECORDS, Records, TypeOf};
use std::fs::File;
use std::io::{self, BufReader, Read};

/// How much is moved at once.
const CHUNK: usize = 128 * 1024;

/// The most bytes of a name that is not in its header.
const MOST_NAME: usize = 8 * 1024;

const CUT: &str = "it is cut off";
const NO_END: &str = "its end is missing";

/// What gzip compressed is something else than a tar archive.
const NO_TAR: UnpackError = UnpackError::OtherArchive {
    found: "a gzip file of something other than a tar archive",
};

pub(super) fn unpack(archive: &File, target: &mut Target) -> Result<(), UnpackError> {
    unpack_stream(
        BufReader::with_capacity(CHUNK, archive),
        UnpackError::Read,
        |problem| UnpackError::BadTar { problem },
        target,
    )
}

pub(super) fn unpack_gzip(archive: &File, target: &mut Target) -> Result<(), UnpackError> {
    let refuse = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            UnpackError::BadGzip(error)
        }
        _ => UnpackError::Read(error),
    };
    let stream = MultiGzDecoder::new(BufReader::with_capacity(CHUNK, archive));
    unpack_stream(stream, refuse, |_| NO_TAR, target)
}

/// The blocks of an archive. All of them count, whatever they hold: what is compressed may have any amount of nothing.
struct Blocks<R, F> {
    stream: R,
    refuse: F,
    read: u64,
}

impl<R: Read, F: Fn(io::Error) -> UnpackError> Blocks<R, F> {
    /// Fills a buffer; false when the stream ended before its first byte.
    fn fill(&mut self, buffer: &mut [u8], tally: &Tally) -> Result<bool, UnpackError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(bad(CUT)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((self.refuse)(error)),
            }
        }
        self.read += filled as u64;
        tally.check_stream(self.read)?;
        Ok(true)
    }

    /// Gives the data of an entry piece by piece, and skips what fills its last block.
    fn data(
        &mut self,
        bytes: u64,
        buffer: &mut [u8],
        target: &mut Target,
        mut take: impl FnMut(&mut Target, &[u8]) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        let mut left = bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            // Pieces are whole blocks but for the last one, whose rest is padding.
            let padded = most.next_multiple_of(BLOCK);
            let piece = &mut buffer[..padded];
            if !self.fill(piece, &target.tally)? {
                return Err(bad(CUT));
            }
            take(target, &piece[..most])?;
            left -= most as u64;
        }
        Ok(())
    }

    /// Reads a record that is kept whole.
    fn whole(
        &mut self,
        bytes: u64,
        most: usize,
        buffer: &mut [u8],
        target: &mut Target,
    ) -> Result<Option<Vec<u8>>, UnpackError> {
        if bytes > most as u64 {
            return Ok(None);
        }
        let mut whole = Vec::new();
        self.data(bytes, buffer, target, |_, piece| {
            whole.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(Some(whole))
    }
}

fn bad(problem: &'static str) -> UnpackError {
    UnpackError::BadTar { problem }
}

/// Unpacks a stream. `no_tar` is the error of one whose first block is no header.
fn unpack_stream<F: Fn(io::Error) -> UnpackError>(
    stream: impl Read,
    refuse: F,
    no_tar: impl Fn(&'static str) -> UnpackError,
    target: &mut Target,
) -> Result<(), UnpackError> {
    let mut blocks = Blocks {
        stream,
        refuse,
        read: 0,
    };
    let mut buffer = vec![0; CHUNK];
    let mut long = Long::default();
    let mut is_first = true;
    loop {
        let mut block = [0; BLOCK];
        let refuse = |problem| if is_first { no_tar(problem) } else { bad(problem) };
        match blocks.fill(&mut block, &target.tally) {
            Ok(true) => {}
            Ok(false) => return Err(refuse(NO_END)),
            Err(UnpackError::BadTar { problem }) => return Err(refuse(problem)),
            Err(error) => return Err(error),
        }
        if block == [0; BLOCK] {
            break;
        }
        let header = Header::read(&block).map_err(refuse)?;
        is_first = false;
        read_entry(&mut blocks, &header, &mut long, &mut buffer, target)?;
    }
    if !long.is_empty() {
        return Err(bad("a name is followed by no entry"));
    }
    // What follows the end is padding. The end of a gzip file has its checksum, so it is read to there.
    let mut block = [0; BLOCK];
    while blocks.fill(&mut block, &target.tally)? {
        if block != [0; BLOCK] {
            return Err(bad("something follows its end"));
        }
    }
    Ok(())
}

fn read_entry<F: Fn(io::Error) -> UnpackError>(
    blocks: &mut Blocks<impl Read, F>,
    header: &Header,
    long: &mut Long,
    buffer: &mut [u8],
    target: &mut Target,
) -> Result<(), UnpackError> {
    match header.of {
        TypeOf::LongName | TypeOf::LongLink => {
            let whole = blocks.whole(header.bytes, MOST_NAME, buffer, target)?;
            let text = whole.ok_or_else(|| UnpackError::LongName {
                entry: shown(&header.name),
            })?;
            long.set_gnu(header.of, text).map_err(bad)
        }
        TypeOf::Records | TypeOf::GlobalRecords => {
            let whole = blocks.whole(header.bytes, MOST_RECORDS, buffer, target)?;
            let bytes = whole.ok_or_else(|| bad("its PAX records are too long"))?;
            let records = Records::read(&bytes).map_err(bad)?;
            if header.of == TypeOf::Records {
                long.set_pax(records).map_err(bad)
            } else if records.is_empty() {
                Ok(())
            } else {
                Err(bad("it gives every entry one name or size"))
            }
        }
        _ => {
            let entry = std::mem::take(long).apply(header).map_err(bad)?;
            write_entry(blocks, &entry, buffer, target)
        }
    }
}

fn write_entry<F: Fn(io::Error) -> UnpackError>(
    blocks: &mut Blocks<impl Read, F>,
    entry: &Header,
    buffer: &mut [u8],
    target: &mut Target,
) -> Result<(), UnpackError> {
    let entry_name = || shown(&entry.name);
    let name = Name::read(&entry.name)?;
    let is_folder_name = entry.name.ends_with(b"/");
    let is_empty = matches!(entry.of, TypeOf::Folder | TypeOf::Link | TypeOf::HardLink);
    if is_empty && entry.bytes > 0 {
        return Err(UnpackError::WrongSize {
            entry: entry_name(),
            declared: 0,
            actual: entry.bytes,
        });
    }
    let found = match (&entry.of, &name) {
        (TypeOf::Folder, Some(name)) => return target.make_folder(name, entry.mode),
        // Before POSIX, a folder was told by its name.
        (TypeOf::File, Some(name)) if is_folder_name && entry.bytes == 0 => {
            return target.make_folder(name, entry.mode);
        }
        (TypeOf::Folder, None) => return Ok(()),
        (TypeOf::File | TypeOf::Link | TypeOf::HardLink, None) => {
            return Err(UnpackError::FileAndFolder { entry: entry_name() });
        }
        (TypeOf::File | TypeOf::Link | TypeOf::HardLink, _) if is_folder_name => {
            return Err(UnpackError::FileAndFolder { entry: entry_name() });
        }
        (TypeOf::File, Some(name)) => {
            let mut filling: Filling = target.make_file(name, entry.mode, entry.bytes)?;
            return blocks.data(entry.bytes, buffer, target, |target, piece| {
                filling.write(&mut target.tally, piece)
            });
        }
        (TypeOf::Link, Some(name)) => return target.note_link(name, &entry.link),
        (TypeOf::HardLink, Some(name)) => return target.make_hard_link(name, &entry.link),
        (TypeOf::Device(found), _) => {
            return Err(UnpackError::Device {
                entry: entry_name(),
                found,
            });
        }
        (TypeOf::Unknown(found), _) => *found,
        (TypeOf::LongName | TypeOf::LongLink | TypeOf::Records | TypeOf::GlobalRecords, _) => {
            "a record of its own"
        }
    };
    Err(UnpackError::UnknownType {
        entry: entry_name(),
        found,
    })
}
