//! Which end of a zip counts, and what it says.
//!
//! Read here beside rawzip, which takes the last thing that looks like an end, overlooks in how many parts a zip comes,
//! falls back to the end of 32 bits where that of 64 contradicts it, and moves all places where something stands before
//! the zip. Each of these is a zip that another reader reads otherwise.

use super::directory::At;
use super::fault::ZipFault;
use rawzip::ReaderAt;
use std::io;
use std::ops::Range;

/// The record at the end, without its comment.
pub const END_BYTES: usize = 22;
/// What says where the end of 64 bits is.
const LOCATOR_BYTES: usize = 20;
/// The end of 64 bits, as far as it is known.
const END64_BYTES: usize = 56;

/// What the end says.
pub struct End {
    /// Where its record is.
    pub at: u64,
    /// How many entries there are.
    pub entries: u64,
    /// Where the directory is.
    pub directory: Range<u64>,
}

/// The numbers of one of the two ends.
struct Numbers {
    /// How many entries this part of the zip has.
    here: u64,
    entries: u64,
    bytes: u64,
    offset: u64,
}

/// Finds the end. How many entries there are is not judged here.
///
/// # Errors
/// [`ZipFault::Read`], [`ZipFault::Malformed`].
pub fn find_end(zip: At<'_>) -> Result<End, ZipFault> {
    let length = zip.0.metadata().map_err(ZipFault::Read)?.len();
    // The record, its comment, and the locator before it.
    let longest = (END_BYTES + usize::from(u16::MAX) + LOCATOR_BYTES) as u64;
    let from = length.saturating_sub(longest);
    let mut tail = vec![0; usize::try_from(length - from).unwrap_or_default()];
    fill(zip, &mut tail, from)?;
    let mut found = end_records(&tail);
    let at = found.next().ok_or(ZipFault::Malformed("its end is cut off"))?;
    if found.next().is_some() {
        // The comment of one is the end of another: which one counts depends on who reads.
        return Err(ZipFault::Malformed("it has two ends"));
    }
    drop(found);
    let record = &tail[at..];
    let narrow = Numbers {
        here: number(record, 8, 2),
        entries: number(record, 10, 2),
        bytes: number(record, 12, 4),
        offset: number(record, 16, 4),
    };
    let locator = at.checked_sub(LOCATOR_BYTES).map(|at| &tail[at..]);
    let locator = locator.filter(|locator| locator.starts_with(b"PK\x06\x07"));
    let at = from + at as u64;
    let (numbers, ends) = match locator {
        Some(locator) => {
            let wide_at = number(locator, 8, 8);
            (widen(zip, &narrow, wide_at, at - LOCATOR_BYTES as u64)?, wide_at)
        }
        None if number(record, 4, 4) != 0 || narrow.here != narrow.entries => {
            return Err(ZipFault::Malformed("it is one of several parts"));
        }
        None => (narrow, at),
    };
    if numbers.offset.checked_add(numbers.bytes) != Some(ends) {
        return Err(ZipFault::Malformed("its directory is not where it should be"));
    }
    Ok(End {
        at,
        entries: numbers.entries,
        directory: numbers.offset..ends,
    })
}

/// Where records are whose comment reaches to the very end.
fn end_records(tail: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let last = tail.len().checked_sub(END_BYTES);
    let starts = last.map_or(0..0, |last| 0..last + 1);
    starts.rev().filter(move |&at| {
        let rest = (tail.len() - at - END_BYTES) as u64;
        tail[at..].starts_with(b"PK\x05\x06") && number(&tail[at..], 20, 2) == rest
    })
}

/// Reads the record with numbers of 64 bits, which must agree with every number of the other that is not saturated.
fn widen(zip: At<'_>, narrow: &Numbers, at: u64, until: u64) -> Result<Numbers, ZipFault> {
    let mut record = [0; END64_BYTES];
    fill(zip, &mut record, at)?;
    let wide = Numbers {
        here: number(&record, 24, 8),
        entries: number(&record, 32, 8),
        bytes: number(&record, 40, 8),
        offset: number(&record, 48, 8),
    };
    // The length does not count itself and the mark.
    let length = number(&record, 4, 8).checked_add(12);
    let length = length.filter(|&length| length >= END64_BYTES as u64);
    let ends = length.and_then(|length| at.checked_add(length));
    let agrees = |narrow: u64, wide: u64, bits: u32| narrow == wide || narrow == (1 << bits) - 1;
    if !record.starts_with(b"PK\x06\x06") || ends != Some(until) {
        Err(ZipFault::Malformed(
            "its end of 64 bits is not where it should be",
        ))
    } else if number(&record, 16, 8) != 0 || wide.here != wide.entries {
        Err(ZipFault::Malformed("it is one of several parts"))
    } else if !agrees(narrow.here, wide.here, 16)
        || !agrees(narrow.entries, wide.entries, 16)
        || !agrees(narrow.bytes, wide.bytes, 32)
        || !agrees(narrow.offset, wide.offset, 32)
    {
        Err(ZipFault::Malformed("its two ends contradict each other"))
    } else {
        Ok(wide)
    }
}

fn fill(zip: At<'_>, buffer: &mut [u8], at: u64) -> Result<(), ZipFault> {
    zip.read_exact_at(buffer, at).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ZipFault::Malformed("its end is cut off"),
        _ => ZipFault::Read(error),
    })
}

/// Reads a number of some bytes at a place.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes[at..at + length].iter().rev();
    bytes.fold(0, |number, &byte| number << 8 | u64::from(byte))
}
