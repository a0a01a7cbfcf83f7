//! The directory of a zip, entry by entry. Nothing is held in memory but the entry at hand.

use super::data::{Data, Inflater};
use super::end::{END_BYTES, find_end};
use super::fault::ZipFault;
use super::records::{Central, is_elsewhere, length};
use rawzip::{ReaderAt, ZipArchive, ZipEntries, ZipLocator};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

const CUT: &str = "its directory is cut off";
const NO_ENTRY: &str = "its directory has something that is no entry";

/// Reads a file from a place on, and leaves its position alone.
#[derive(Debug, Clone, Copy)]
pub struct At<'a>(pub &'a File);

impl ReaderAt for At<'_> {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.0.read_at(buffer, at)
    }
}

/// The directory of a zip.
pub struct Directory<'a> {
    archive: ZipArchive<At<'a>>,
    entries: u64,
    place: Range<u64>,
}

/// What reading a directory needs again and again.
pub struct Room(Vec<u8>);

impl Default for Room {
    fn default() -> Self {
        Self(vec![0; rawzip::MAX_CENTRAL_DIRECTORY_RECORD_SIZE])
    }
}

impl<'a> Directory<'a> {
    /// Finds the directory by the record at the end, before any of it is read.
    ///
    /// # Errors
    /// [`ZipFault::Read`], [`ZipFault::Malformed`], [`ZipFault::TooMany`].
    pub fn open(file: &'a File, limit: u64, room: &mut Room) -> Result<Self, ZipFault> {
        const TWO: &str = "its two ends contradict each other";
        let end = find_end(At(file))?;
        if end.entries > limit {
            let entries = end.entries;
            return Err(ZipFault::TooMany { entries, limit });
        }
        let archive = ZipLocator::new()
            .max_search_space(END_BYTES as u64)
            .locate_in_reader(At(file), &mut room.0, end.at + END_BYTES as u64)
            .map_err(|(_, error)| ZipFault::of(error, TWO, TWO))?;
        let theirs = (archive.entries_hint(), archive.directory_offset());
        if theirs != (end.entries, end.directory.start) {
            return Err(ZipFault::Malformed(TWO));
        }
        Ok(Self {
            archive,
            entries: end.entries,
            place: end.directory,
        })
    }

    /// Where the directory begins, and so where the last entry's data ends at most.
    #[must_use]
    pub const fn begins(&self) -> u64 {
        self.place.start
    }

    /// The entries, from the first on.
    pub fn entries<'b>(&'b self, room: &'b mut Room) -> Entries<'b> {
        Entries {
            zip: *self.archive.get_ref(),
            entries: self.archive.entries(&mut room.0),
            left: self.entries,
            place: self.place.clone(),
        }
    }

    /// Begins to read the data of an entry. `until` is where the next thing of the zip begins.
    ///
    /// # Errors
    /// [`ZipFault`]; the header before the data is compared with the directory.
    pub fn data<'b>(
        &'b self,
        entry: &'b Central,
        until: u64,
        inflater: &'b mut Inflater,
    ) -> Result<Data<'b>, ZipFault> {
        Data::open(&self.archive, entry, until, inflater)
    }
}

/// The entries of a directory.
pub struct Entries<'a> {
    zip: At<'a>,
    entries: ZipEntries<'a, 'a, At<'a>>,
    /// How many entries follow.
    left: u64,
    /// Where they are.
    place: Range<u64>,
}

impl Entries<'_> {
    fn read(&mut self) -> Result<Central, ZipFault> {
        let record = self.entries.next_entry();
        let record = record.map_err(|error| ZipFault::of(error, CUT, NO_ENTRY))?;
        let record = record.ok_or(ZipFault::Malformed(CUT))?;
        self.place.start = record.central_directory_offset() + length(&record);
        if is_elsewhere(self.zip, &record).map_err(ZipFault::Read)? {
            return Err(ZipFault::Malformed("it is one of several parts"));
        }
        Central::of(&record).map_err(ZipFault::Malformed)
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Central, ZipFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left > 0 {
            self.left -= 1;
            Some(self.read())
        } else if self.place.start == self.place.end {
            None
        } else {
            self.place.start = self.place.end;
            Some(Err(ZipFault::Malformed("its directory has more than it says")))
        }
    }
}
