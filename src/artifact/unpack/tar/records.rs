//! The records of a tar archive, from bytes.

use crate::artifact::archive::sums;
use std::borrow::Cow;
use tar::EntryType;

/// Headers are as long as this, and data is filled up to a multiple of it.
pub const BLOCK: usize = 512;

/// The most bytes of PAX records before one entry: names, and attributes that nobody here wants.
pub const MOST_RECORDS: usize = 1024 * 1024;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeOf {
    /// A file.
    File,
    /// A second name of a file.
    HardLink,
    /// A symbolic link.
    Link,
    /// A folder.
    Folder,
    /// Something of the system's: `a FIFO`.
    Device(&'static str),
    /// The name of the next entry (GNU).
    LongName,
    /// The target of the next entry (GNU).
    LongLink,
    /// Records for the next entry (PAX).
    Records,
    /// Records for every entry that follows (PAX).
    GlobalRecords,
    /// Something else: `a sparse file`.
    Unknown(&'static str),
}

impl TypeOf {
    fn of(entry: EntryType) -> Self {
        match entry {
            // Those of the latter lay side by side on some disk.
            EntryType::Regular | EntryType::Continuous => Self::File,
            EntryType::Link => Self::HardLink,
            EntryType::Symlink => Self::Link,
            EntryType::Char => Self::Device("a character device"),
            EntryType::Block => Self::Device("a block device"),
            EntryType::Directory => Self::Folder,
            EntryType::Fifo => Self::Device("a FIFO"),
            EntryType::GNULongName => Self::LongName,
            EntryType::GNULongLink => Self::LongLink,
            EntryType::XHeader => Self::Records,
            EntryType::XGlobalHeader => Self::GlobalRecords,
            EntryType::GNUSparse => Self::Unknown("a sparse file"),
            other => match other.as_byte() {
                // PAX records, as Solaris calls them.
                b'X' => Self::Records,
                b'M' => Self::Unknown("a part of a file"),
                b'V' => Self::Unknown("the name of a volume"),
                b'D' => Self::Unknown("a folder of an incremental backup"),
                _ => Self::Unknown("of a type of file"),
            },
        }
    }
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name, as it is written.
    pub name: Vec<u8>,
    /// What a link leads to.
    pub link: Vec<u8>,
    /// What it is.
    pub of: TypeOf,
    /// Its Unix mode.
    pub mode: u32,
    /// How long its data is.
    pub bytes: u64,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(block: &[u8; BLOCK]) -> Result<Self, &'static str> {
        let mut header = tar::Header::new_old();
        header.as_mut_bytes().copy_from_slice(block);
        let sum = number(&header.as_old().cksum).and_then(|sum| i64::try_from(sum).ok());
        if !sum.is_some_and(|sum| sums(block).contains(&sum)) {
            return Err("the checksum of a header is wrong");
        }
        // The start of a long name counts for every other reader, whatever the version after the mark.
        if header.as_bytes()[257..263] == *b"ustar\0" {
            header.as_mut_bytes()[263..265].copy_from_slice(b"00");
        }
        let mode = number(&header.as_old().mode).ok_or("the mode of an entry is no number")?;
        Ok(Self {
            name: header.path_bytes().into_owned(),
            link: header.link_name_bytes().map(Cow::into_owned).unwrap_or_default(),
            of: TypeOf::of(header.entry_type()),
            mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
            bytes: number(&header.as_old().size).ok_or("the size of an entry is no number")?,
        })
    }
}

/// A number: octal digits with blanks or NULs around, or big-endian bytes after one with its highest bit set (GNU). The
/// tar crate drops what is above 64 bits, takes a sign, and takes no blanks for zero.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        let (zeros, low) = rest.split_at(rest.len().saturating_sub(8));
        return zeros
            .iter()
            .all(|&byte| byte == 0)
            .then(|| low.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    match text {
        "" => Some(0),
        // A sign is no digit.
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => u64::from_str_radix(digits, 8).ok(),
        _ => None,
    }
}

/// What PAX records say of an entry, as far as it matters here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Records {
    path: Option<Vec<u8>>,
    linkpath: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

impl Records {
    /// Reads records: `LENGTH KEY=VALUE` and a line's end each, which the length counts too. The tar crate looks for the
    /// line's end instead, which a value may have as well.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        const BAD: &str = "a PAX record is malformed";
        let mut records = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let blank = rest.iter().take(20).position(|&byte| byte == b' ').ok_or(BAD)?;
            let digits = std::str::from_utf8(&rest[..blank]).map_err(|_| BAD)?;
            let length: usize = digits.parse().map_err(|_| BAD)?;
            let record = rest.get(blank + 1..length).ok_or(BAD)?;
            let (record, [b'\n']) = record.split_at(record.len().saturating_sub(1)) else {
                return Err(BAD);
            };
            let equals = record.iter().position(|&byte| byte == b'=').ok_or(BAD)?;
            records.set(&record[..equals], &record[equals + 1..])?;
            rest = &rest[length..];
        }
        Ok(records)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        const TWICE: &str = "a PAX record is there twice";
        let place = match key {
            b"path" => &mut self.path,
            b"linkpath" => &mut self.linkpath,
            b"size" => {
                let text = std::str::from_utf8(value).unwrap_or_default();
                let size = text.parse().map_err(|_| "the size of an entry is no number")?;
                return match self.size.replace(size) {
                    None => Ok(()),
                    Some(_) => Err(TWICE),
                };
            }
            key => {
                self.is_sparse |= key.starts_with(b"GNU.sparse.");
                return Ok(());
            }
        };
        match place.replace(value.to_vec()) {
            None => Ok(()),
            Some(_) => Err(TWICE),
        }
    }

    /// Whether they say nothing that matters here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What records before an entry say of it.
#[derive(Debug, Default)]
pub struct Long {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Records>,
}

impl Long {
    /// Whether there were none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.pax.is_none()
    }

    /// Notes a long name, or a long target of a link.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn set_gnu(&mut self, of: TypeOf, mut text: Vec<u8>) -> Result<(), &'static str> {
        // One NUL ends it; another one in it is the name's own fault.
        if text.last() == Some(&0) {
            text.pop();
        }
        let place = match of {
            TypeOf::LongLink => &mut self.link,
            _ => &mut self.name,
        };
        match place.replace(text) {
            None => Ok(()),
            Some(_) => Err("an entry has two names"),
        }
    }

    /// Notes PAX records.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn set_pax(&mut self, records: Records) -> Result<(), &'static str> {
        match self.pax.replace(records) {
            None => Ok(()),
            Some(_) => Err("an entry has two sets of PAX records"),
        }
    }

    /// The entry with what was said of it before.
    ///
    /// # Errors
    /// What does not go together.
    pub fn apply(self, header: &Header) -> Result<Header, &'static str> {
        let pax = self.pax.unwrap_or_default();
        if (self.name.is_some() && pax.path.is_some()) || (self.link.is_some() && pax.linkpath.is_some()) {
            return Err("an entry has two names");
        }
        let is_link = matches!(header.of, TypeOf::Link | TypeOf::HardLink);
        let link = self.link.or(pax.linkpath);
        if link.is_some() && !is_link {
            return Err("what is no link has a target");
        }
        Ok(Header {
            name: self.name.or(pax.path).unwrap_or_else(|| header.name.clone()),
            link: link.unwrap_or_else(|| header.link.clone()),
            of: if pax.is_sparse {
                TypeOf::Unknown("a sparse file")
            } else {
                header.of
            },
            mode: header.mode,
            bytes: pax.size.unwrap_or(header.bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, Long, Records, TypeOf, number};

    #[test]
    fn numbers_are_octal_or_big() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777777\0", Some(0o77_777_777_777)),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(0x2_0000_0000)),
            (b"\x80\x01\0\0\x01\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"0000008\0", None),
            (b"-000001\0", None),
            (b"+000001\0", None),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }

    /// A record with a length of two digits.
    fn record(text: &str) -> Vec<u8> {
        format!("{} {text}\n", text.len() + 4).into_bytes()
    }

    #[test]
    fn pax_records_are_read_by_their_lengths() {
        let records = ["path=a\nb", "size=99", "SCHILY.xattr.user.x=\n12 y=\0\n"].map(record);
        let read = Records::read(&records.concat()).unwrap();
        assert_eq!((read.path.as_deref(), read.size), (Some(&b"a\nb"[..]), Some(99)));
        for (bytes, says) in [
            (b"x".to_vec(), "a PAX record is malformed"),
            (b"5 a=b\n".to_vec(), "a PAX record is malformed"),
            (b"99 path=abc\n".to_vec(), "a PAX record is malformed"),
            (b"0 path=a\n".to_vec(), "a PAX record is malformed"),
            (record("path-abc"), "a PAX record is malformed"),
            (b"12 path=abcd".to_vec(), "a PAX record is malformed"),
            (record("path=abc").repeat(2), "a PAX record is there twice"),
            (record("size=123").repeat(2), "a PAX record is there twice"),
            (record("size=-10"), "the size of an entry is no number"),
        ] {
            assert_eq!(Records::read(&bytes).unwrap_err(), says, "{bytes:?}");
        }
        assert!(Records::read(&record("comment=abc")).unwrap().is_empty());
    }

    #[test]
    fn what_goes_before_an_entry_counts_once() {
        let header = Header {
            name: b"short".to_vec(),
            link: Vec::new(),
            of: TypeOf::File,
            mode: 0o644,
            bytes: 1,
        };
        let long = |pax: &str| {
            let mut long = Long::default();
            long.set_gnu(TypeOf::LongName, b"long\0".to_vec()).unwrap();
            long.set_pax(Records::read(&record(pax)).unwrap()).unwrap();
            long.apply(&header)
        };
        let read = long("size=100").unwrap();
        assert_eq!((read.name.as_slice(), read.bytes), (&b"long"[..], 100));
        assert_eq!(long("path=xyz").unwrap_err(), "an entry has two names");
        assert_eq!(long("linkpath=x").unwrap_err(), "what is no link has a target");
        assert_eq!(
            long("GNU.sparse.major=1").unwrap().of,
            TypeOf::Unknown("a sparse file")
        );
        let mut twice = Long::default();
        twice.set_gnu(TypeOf::LongLink, Vec::new()).unwrap();
        assert!(twice.set_gnu(TypeOf::LongLink, Vec::new()).is_err());
    }
}
