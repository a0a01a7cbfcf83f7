//! Single records, from and to bytes.

/// Marks the header before an entry's data.
pub const LOCAL: u32 = 0x0403_4b50;
/// Marks an entry of the directory.
pub const CENTRAL: u32 = 0x0201_4b50;
/// Marks what may follow an entry's data: its sizes, from a writer that could not know them before.
pub const DESCRIPTOR: u32 = 0x0807_4b50;
/// Marks the end of the directory.
pub const END: u32 = 0x0605_4b50;
/// Marks the end of a directory with numbers of 64 bits.
pub const END64: u32 = 0x0606_4b50;
/// Marks what says where the latter is.
pub const LOCATOR: u32 = 0x0706_4b50;

/// Lengths without what is of variable length.
pub const LOCAL_BYTES: usize = 30;
/// See [`LOCAL_BYTES`].
pub const CENTRAL_BYTES: usize = 46;
/// See [`LOCAL_BYTES`].
pub const END_BYTES: usize = 22;
/// See [`LOCAL_BYTES`].
pub const END64_BYTES: usize = 56;
/// See [`LOCAL_BYTES`].
pub const LOCATOR_BYTES: usize = 20;

/// The value of a field of 16 bits that is to be looked for in its sibling of 64.
pub const SATURATED_16: u16 = u16::MAX;
/// The value of a field of 32 bits that is to be looked for in its sibling of 64.
pub const SATURATED_32: u32 = u32::MAX;

/// The extra field with numbers of 64 bits.
pub const ZIP64_EXTRA: u16 = 0x0001;
/// The extra field with a name in UTF-8 (Info-ZIP).
const UNICODE_PATH: u16 = 0x7075;

const ENCRYPTED: u16 = 1;
const STRONG_ENCRYPTION: u16 = 1 << 6;
const MASKED: u16 = 1 << 13;
/// Sizes and checksum follow the data.
pub const DESCRIBED: u16 = 1 << 3;
/// The name is UTF-8.
pub const UTF8: u16 = 1 << 11;

/// The method of entries that are not compressed.
pub const STORED: u16 = 0;
/// The method of deflate.
pub const DEFLATED: u16 = 8;

/// The makers whose entries have Unix modes: Unix and macOS.
const UNIX: [u8; 2] = [3, 19];

/// Reads a number at a place.
pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Reads a number at a place.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

/// Reads a number at a place.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// How an entry's data is compressed, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodOf {
    /// Not at all.
    Stored,
    /// By deflate.
    Deflated,
    /// By something else; the number of APPNOTE.
    Unknown(u16),
}

impl MethodOf {
    const fn of(number: u16) -> Self {
        match number {
            STORED => Self::Stored,
            DEFLATED => Self::Deflated,
            other => Self::Unknown(other),
        }
    }
}

/// An entry as the directory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Central {
    /// The name, as it is written.
    pub name: Vec<u8>,
    /// The flags.
    pub flags: u16,
    /// The method.
    pub method: MethodOf,
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
}

impl Central {
    /// Reads an entry from its fixed part, its name and its extra fields.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(fixed: &[u8; CENTRAL_BYTES], name: Vec<u8>, extra: &[u8]) -> Result<Self, &'static str> {
        if u16_at(fixed, 34) != 0 {
            return Err("it is one of several parts");
        }
        let flags = u16_at(fixed, 8);
        let mut wide = Wide::of(extra)?;
        // In this order, and only those that are saturated.
        let size = wide.take(u32_at(fixed, 24))?;
        let compressed = wide.take(u32_at(fixed, 20))?;
        let offset = wide.take(u32_at(fixed, 42))?;
        let attributes = u32_at(fixed, 38);
        let mode = attributes >> 16;
        let is_dos_folder = attributes & 0x10 != 0;
        let mode = if UNIX.contains(&fixed[5]) && mode != 0 {
            Some(mode)
        } else if is_dos_folder && name.ends_with(b"/") {
            Some(0o040_755)
        } else {
            None
        };
        Ok(Self {
            name: unicode_name(name, flags, extra)?,
            flags,
            method: MethodOf::of(u16_at(fixed, 10)),
            crc: u32_at(fixed, 16),
            compressed,
            size,
            offset,
            mode,
        })
    }

    /// Whether the data cannot be read without a password.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.flags & (ENCRYPTED | STRONG_ENCRYPTION | MASKED) != 0
    }

    /// Whether sizes and checksum follow the data.
    #[must_use]
    pub const fn is_described(&self) -> bool {
        self.flags & DESCRIBED != 0
    }
}

/// An entry as the header before its data has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The name, as it is written.
    pub name: Vec<u8>,
    flags: u16,
    method: MethodOf,
    crc: u32,
    compressed: u64,
    size: u64,
    /// Whether the sizes that follow the data have 64 bits.
    pub is_wide: bool,
}

impl Local {
    /// Reads a header from its fixed part, its name and its extra fields.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(fixed: &[u8; LOCAL_BYTES], name: Vec<u8>, extra: &[u8]) -> Result<Self, &'static str> {
        let flags = u16_at(fixed, 6);
        let mut wide = Wide::of(extra)?;
        let is_wide = wide.is_there;
        Ok(Self {
            name: unicode_name(name, flags, extra)?,
            flags,
            method: MethodOf::of(u16_at(fixed, 8)),
            crc: u32_at(fixed, 14),
            size: wide.take(u32_at(fixed, 22))?,
            compressed: wide.take(u32_at(fixed, 18))?,
            is_wide,
        })
    }

    /// What this header says otherwise than the directory, if anything: readers differ in whom they believe.
    #[must_use]
    pub fn contradiction(&self, central: &Central) -> Option<&'static str> {
        // A writer that did not know a number yet left zero.
        let unknown = central.is_described();
        let differs = |here: u64, there: u64| here != there && !(unknown && here == 0);
        if self.name != central.name {
            Some("name")
        } else if (self.flags ^ central.flags) & (ENCRYPTED | STRONG_ENCRYPTION | DESCRIBED) != 0 {
            Some("flags")
        } else if self.method != central.method {
            Some("method of compression")
        } else if differs(self.size, central.size) || differs(self.compressed, central.compressed) {
            Some("size")
        } else if differs(self.crc.into(), central.crc.into()) {
            Some("checksum")
        } else {
            None
        }
    }
}

/// How long a descriptor is that says what the directory says of an entry; `after` is what follows the data. With or
/// without a mark, and with sizes of 32 or 64 bits: APPNOTE allows all four.
#[must_use]
pub fn descriptor(after: &[u8], central: &Central) -> Option<usize> {
    let crc = central.crc.to_le_bytes();
    let (compressed, size) = (central.compressed, central.size);
    let mut forms = Vec::with_capacity(4);
    for mark in [&DESCRIPTOR.to_le_bytes()[..], &[]] {
        let begin = || [mark, &crc].concat();
        forms.push(
            [
                begin(),
                compressed.to_le_bytes().to_vec(),
                size.to_le_bytes().to_vec(),
            ]
            .concat(),
        );
        if let (Ok(compressed), Ok(size)) = (u32::try_from(compressed), u32::try_from(size)) {
            forms.push(
                [
                    begin(),
                    compressed.to_le_bytes().to_vec(),
                    size.to_le_bytes().to_vec(),
                ]
                .concat(),
            );
        }
    }
    forms.iter().find(|form| after.starts_with(form)).map(Vec::len)
}

/// The longest descriptor.
pub const DESCRIPTOR_BYTES: usize = 24;

/// The extra fields: their ids and data. A rest that is too short for a field is padding.
fn extra_fields(extra: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), &'static str>> {
    let mut rest = extra;
    std::iter::from_fn(move || {
        if rest.len() < 4 {
            return None;
        }
        let (id, length) = (u16_at(rest, 0), usize::from(u16_at(rest, 2)));
        let Some(data) = rest.get(4..4 + length) else {
            rest = &[];
            return Some(Err("an extra field is longer than its place"));
        };
        rest = &rest[4 + length..];
        Some(Ok((id, data)))
    })
}

/// Numbers of 64 bits, where those of 32 are too short.
struct Wide<'a> {
    is_there: bool,
    rest: &'a [u8],
}

impl<'a> Wide<'a> {
    fn of(extra: &'a [u8]) -> Result<Self, &'static str> {
        let mut found = Self {
            is_there: false,
            rest: &[],
        };
        for field in extra_fields(extra) {
            let (id, data) = field?;
            if id == ZIP64_EXTRA {
                if found.is_there {
                    return Err("its sizes are there twice");
                }
                found = Self {
                    is_there: true,
                    rest: data,
                };
            }
        }
        Ok(found)
    }

    fn take(&mut self, narrow: u32) -> Result<u64, &'static str> {
        if narrow != SATURATED_32 || !self.is_there {
            return Ok(narrow.into());
        }
        let Some((number, rest)) = self.rest.split_first_chunk() else {
            return Err("a size of 64 bits is missing");
        };
        self.rest = rest;
        Ok(u64::from_le_bytes(*number))
    }
}

/// The name in UTF-8, where there is one beside the name in an older coding. Two different names are refused.
fn unicode_name(name: Vec<u8>, flags: u16, extra: &[u8]) -> Result<Vec<u8>, &'static str> {
    for field in extra_fields(extra) {
        let (UNICODE_PATH, [1, crc @ ..]) = field? else {
            continue;
        };
        let Some((crc, unicode)) = crc.split_first_chunk() else {
            continue;
        };
        let mut of_name = flate2::Crc::new();
        of_name.update(&name);
        // A checksum of another name: somebody renamed the entry, and did not know the field.
        if of_name.sum() != u32::from_le_bytes(*crc) || unicode == name {
            continue;
        }
        return if flags & UTF8 == 0 && std::str::from_utf8(&name).is_err() {
            Ok(unicode.to_vec())
        } else {
            Err("an entry has two names")
        };
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::{CENTRAL_BYTES, Central, MethodOf, descriptor};

    fn fixed(size: u32, compressed: u32, offset: u32) -> [u8; CENTRAL_BYTES] {
        let mut fixed = [0; CENTRAL_BYTES];
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

    #[test]
    fn saturated_numbers_are_looked_for_in_their_order() {
        let wide = [1_u64 << 33, 1 << 32].map(u64::to_le_bytes).concat();
        let read = |fixed, extra: &[u8]| Central::read(&fixed, b"a".to_vec(), extra);
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
        let read = |name: &[u8], extra: &[u8]| {
            Central::read(&fixed(0, 0, 0), name.to_vec(), extra).map(|entry| entry.name)
        };
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
        let entry = Central {
            name: Vec::new(),
            flags: 8,
            method: MethodOf::Stored,
            crc: 0x0102_0304,
            compressed: 5,
            size: 5,
            offset: 0,
            mode: None,
        };
        let plain = [4, 3, 2, 1, 5, 0, 0, 0, 5, 0, 0, 0];
        let marked = [&b"PK\x07\x08"[..], &plain].concat();
        let wide = [4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(descriptor(&plain, &entry), Some(12));
        assert_eq!(descriptor(&marked, &entry), Some(16));
        assert_eq!(descriptor(&wide, &entry), Some(20));
        assert_eq!(
            descriptor(&[&b"PK\x07\x08"[..], &wide].concat(), &entry),
            Some(24)
        );
        assert_eq!(descriptor(&[4, 3, 2, 1, 6, 0, 0, 0, 5, 0, 0, 0], &entry), None);
    }
}
