//! Single records, and what rawzip overlooks in them.

use super::directory::At;
use rawzip::extra_fields::{ExtraFieldId, ExtraFields};
use rawzip::{
    CompressionMethod, CreatorSystem, EntryFlags, ReaderAt, ZipArchiveEntryWayfinder, ZipFileHeaderRecord,
    ZipLocalFileHeader,
};
use std::io;

/// An entry as the directory has it.
#[derive(Debug, Clone)]
pub struct Central {
    /// The name, as it is written.
    pub name: Vec<u8>,
    /// The flags.
    pub flags: EntryFlags,
    /// The method.
    pub method: CompressionMethod,
    /// The checksum of what the data is when it is not compressed.
    pub crc: u32,
    /// How long the data is in the zip.
    pub compressed: u64,
    /// How long it is when it is not compressed.
    pub size: u64,
    /// Where the local header is.
    pub offset: u64,
    /// The Unix mode with the type of file, if the maker knows such things and gave one.
    pub mode: Option<u32>,
    /// The same, for rawzip.
    pub(super) way: ZipArchiveEntryWayfinder,
}

impl Central {
    /// Takes over an entry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn of(record: &ZipFileHeaderRecord<'_>) -> Result<Self, &'static str> {
        let (size, compressed) = (record.uncompressed_size_hint(), record.compressed_size_hint());
        let offset = record.local_header_offset();
        check_extra(record.extra_fields(), &[size, compressed, offset])?;
        let (path, flags) = (record.file_path(), record.flags());
        Ok(Self {
            name: unicode_name(path.as_bytes(), flags, record.extra_fields())?,
            flags,
            method: record.compression_method(),
            crc: record.crc32(),
            compressed,
            size,
            offset,
            mode: mode(record),
            way: record.wayfinder(),
        })
    }

    /// Whether the data cannot be read without a password.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.flags.is_encrypted() || self.flags.has_strong_encryption() || self.flags.is_masked()
    }

    /// What the header before the data says otherwise than the directory, if anything: readers differ in whom they
    /// believe.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub(super) fn contradiction(
        &self,
        local: &ZipLocalFileHeader<'_>,
    ) -> Result<Option<&'static str>, &'static str> {
        let (size, compressed) = (local.uncompressed_size_hint(), local.compressed_size_hint());
        check_extra(local.extra_fields(), &[size, compressed])?;
        let flags = local.flags();
        let name = unicode_name(local.file_path().as_bytes(), flags, local.extra_fields())?;
        let kept = |flags: EntryFlags| {
            let encrypted = (flags.is_encrypted(), flags.has_strong_encryption());
            (encrypted, flags.has_data_descriptor())
        };
        // A writer that did not know a number yet left zero.
        let unknown = self.flags.has_data_descriptor();
        let differs = |here: u64, there: u64| here != there && !(unknown && here == 0);
        Ok(if name != self.name {
            Some("name")
        } else if kept(flags) != kept(self.flags) {
            Some("flags")
        } else if local.compression_method() != self.method {
            Some("method of compression")
        } else if differs(size, self.size) || differs(compressed, self.compressed) {
            Some("size")
        } else if differs(local.crc32().into(), self.crc.into()) {
            Some("checksum")
        } else {
            None
        })
    }
}

/// rawzip's own mode fills in what is not there.
fn mode(record: &ZipFileHeaderRecord<'_>) -> Option<u32> {
    const DOS_FOLDER: u32 = 0x10;
    let (maker, attributes) = (
        record.version_made_by().creator_system(),
        record.external_attributes(),
    );
    let mode = attributes >> 16;
    if matches!(maker, CreatorSystem::UNIX | CreatorSystem::MACOS) && mode != 0 {
        Some(mode)
    } else if attributes & DOS_FOLDER != 0 && record.is_dir() {
        Some(0o040_755)
    } else {
        None
    }
}

/// How long an entry of the directory is.
pub fn length(record: &ZipFileHeaderRecord<'_>) -> u64 {
    const FIXED: usize = 46;
    let extra = record.extra_fields().remaining_bytes().len();
    (FIXED + record.file_path().len() + extra + record.comment().as_bytes().len()) as u64
}

/// Whether an entry says to be in another part of a zip, which rawzip does not.
///
/// # Errors
/// The system's.
pub fn is_elsewhere(zip: At<'_>, record: &ZipFileHeaderRecord<'_>) -> io::Result<bool> {
    let mut part = [0; 2];
    zip.read_exact_at(&mut part, record.central_directory_offset() + 34)?;
    Ok(part != [0; 2])
}

/// Refuses extra fields that rawzip stops at or takes the first of, and `numbers` that are to be looked for in the field
/// of 64 bits and are not in it.
fn check_extra(mut fields: ExtraFields<'_>, numbers: &[u64]) -> Result<(), &'static str> {
    const SATURATED: u64 = u32::MAX as u64;
    let mut wide = None;
    for (id, data) in fields.by_ref() {
        if id == ExtraFieldId::ZIP64 && wide.replace(data).is_some() {
            return Err("its sizes are there twice");
        }
    }
    // A rest that is too short for a field is padding.
    if fields.remaining_bytes().len() >= 4 {
        return Err("an extra field is longer than its place");
    }
    let Some(wide) = wide else {
        return Ok(());
    };
    // A number that was not found kept the value that sends a reader there. Only one that has that very value is there.
    let (there, _) = wide.as_chunks();
    let there = there.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let saturated = |number: &u64| *number == SATURATED;
    if there.filter(saturated).count() < numbers.iter().copied().filter(saturated).count() {
        return Err("a size of 64 bits is missing");
    }
    Ok(())
}

/// The name in UTF-8, where there is one beside the name in an older coding. Two different names are refused.
fn unicode_name(name: &[u8], flags: EntryFlags, fields: ExtraFields<'_>) -> Result<Vec<u8>, &'static str> {
    for field in fields {
        let (ExtraFieldId::INFO_ZIP_UNICODE_PATH, [1, crc @ ..]) = field else {
            continue;
        };
        let Some((crc, unicode)) = crc.split_first_chunk() else {
            continue;
        };
        // A checksum of another name: somebody renamed the entry, and did not know the field.
        if rawzip::crc32(name) != u32::from_le_bytes(*crc) || unicode == name {
            continue;
        }
        return if !flags.is_utf8() && std::str::from_utf8(name).is_err() {
            Ok(unicode.to_vec())
        } else {
            Err("an entry has two names")
        };
    }
    Ok(name.to_vec())
}

/// How long a descriptor is that says what the directory says of an entry; `after` is what follows the data. With or
/// without a mark, and with sizes of 32 or 64 bits: APPNOTE allows all four. rawzip reads 64 bits only where the directory
/// needs them, and Python writes them elsewhere too.
#[must_use]
pub fn descriptor(after: &[u8], crc: u32, compressed: u64, size: u64) -> Option<usize> {
    let wide = [compressed, size].map(u64::to_le_bytes).concat();
    let narrow = u32::try_from(compressed).ok().zip(u32::try_from(size).ok());
    let narrow = narrow.map(|(compressed, size)| [compressed, size].map(u32::to_le_bytes).concat());
    let marks = [&b"PK\x07\x08"[..], &[]];
    let mut forms = marks.into_iter().flat_map(|mark| {
        let sizes = [Some(&wide), narrow.as_ref()].into_iter().flatten();
        sizes.map(move |sizes| [mark, &crc.to_le_bytes(), sizes].concat())
    });
    forms.find(|form| after.starts_with(form)).map(|form| form.len())
}

/// The longest descriptor.
pub const DESCRIPTOR_BYTES: u64 = 24;

#[cfg(test)]
mod tests {
    use super::{Central, descriptor};
    use rawzip::ZipArchive;

    fn fixed(size: u32, compressed: u32, offset: u32) -> [u8; 46] {
        let mut fixed = [0; 46];
        fixed[..4].copy_from_slice(b"PK\x01\x02");
        fixed[5] = 3;
        fixed[20..24].copy_from_slice(&compressed.to_le_bytes());
        fixed[24..28].copy_from_slice(&size.to_le_bytes());
        fixed[38..42].copy_from_slice(&(0o100_640_u32 << 16).to_le_bytes());
        fixed[42..46].copy_from_slice(&offset.to_le_bytes());
        fixed
    }

    fn extra(id: u16, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(data.len()).unwrap();
        [&id.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
    }

    /// The entry of a directory that has no other.
    fn read(mut fixed: [u8; 46], name: &[u8], extra: &[u8]) -> Result<Central, &'static str> {
        let short = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_le_bytes();
        fixed[28..30].copy_from_slice(&short(name));
        fixed[30..32].copy_from_slice(&short(extra));
        let mut zip = [&fixed, name, extra].concat();
        let length = u32::try_from(zip.len()).unwrap().to_le_bytes();
        zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        zip.extend([&length[..], &[0; 6]].concat());
        let archive = ZipArchive::from_slice(zip).unwrap();
        let record = archive.entries().next_entry().unwrap().unwrap();
        Central::of(&record)
    }

    #[test]
    fn saturated_numbers_are_looked_for_in_their_order() {
        let wide = [1_u64 << 33, 1 << 32].map(u64::to_le_bytes).concat();
        let read = |fixed, extra: &[u8]| read(fixed, b"a", extra);
        let entry = read(fixed(u32::MAX, 7, u32::MAX), &extra(1, &wide)).unwrap();
        assert_eq!(
            (entry.size, entry.compressed, entry.offset, entry.mode),
            (1 << 33, 7, 1 << 32, Some(0o100_640))
        );
        for (fixed, extra, says) in [
            (
                fixed(u32::MAX, u32::MAX, u32::MAX),
                extra(1, &wide),
                "a size of 64 bits is missing",
            ),
            (
                fixed(1, 1, 1),
                extra(1, &wide).repeat(2),
                "its sizes are there twice",
            ),
            (
                fixed(1, 1, 1),
                vec![9, 9, 1, 0],
                "an extra field is longer than its place",
            ),
        ] {
            assert_eq!(read(fixed, &extra).unwrap_err(), says);
        }
        let literal = read(fixed(u32::MAX, 1, 1), b"\0\0\0").unwrap();
        assert_eq!(
            literal.size,
            u64::from(u32::MAX),
            "padding, and a file of just that length"
        );
    }

    #[test]
    fn a_name_in_utf_8_counts_only_beside_one_that_is_none() {
        let crc = |name: &[u8]| {
            let mut crc = flate2::Crc::new();
            crc.update(name);
            crc.sum().to_le_bytes()
        };
        let field = |of: &[u8], name: &str| extra(0x7075, &[&[1][..], &crc(of), name.as_bytes()].concat());
        let read = |name: &[u8], extra: &[u8]| read(fixed(0, 0, 0), name, extra).map(|entry| entry.name);
        assert_eq!(
            read(b"\x82", &field(b"\x82", "\u{e9}")).unwrap(),
            "\u{e9}".as_bytes()
        );
        assert_eq!(read(b"a", &field(b"a", "a")).unwrap(), b"a");
        assert_eq!(
            read(b"a", &field(b"b", "c")).unwrap(),
            b"a",
            "the field of an older name"
        );
        assert_eq!(
            read(b"a", &field(b"a", "b")).unwrap_err(),
            "an entry has two names"
        );
    }

    #[test]
    fn a_descriptor_has_four_forms_and_must_say_the_same() {
        let descriptor = |after: &[u8]| descriptor(after, 0x0102_0304, 5, 5);
        let plain = [4, 3, 2, 1, 5, 0, 0, 0, 5, 0, 0, 0];
        let marked = [&b"PK\x07\x08"[..], &plain].concat();
        let wide = [4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(descriptor(&plain), Some(12));
        assert_eq!(descriptor(&marked), Some(16));
        assert_eq!(descriptor(&wide), Some(20));
        assert_eq!(descriptor(&[&b"PK\x07\x08"[..], &wide].concat()), Some(24));
        assert_eq!(descriptor(&[4, 3, 2, 1, 6, 0, 0, 0, 5, 0, 0, 0]), None);
    }
}
