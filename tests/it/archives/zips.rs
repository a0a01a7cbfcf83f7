//! Zips made byte by byte, so that every lie can be told.

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use std::io::Write as _;

/// An entry, and what is said of it in its two places.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    /// Unix mode with the type of file; 0 for none.
    pub mode: u32,
    pub method: u16,
    pub flags: u16,
    /// Of the header before the data, if it is another than that of the directory.
    pub local: Local,
    /// What the directory says, if it is not the truth.
    pub size: Option<u32>,
    pub compressed: Option<u32>,
    pub crc: Option<u32>,
    pub offset: Option<u32>,
    pub extra: Vec<u8>,
    /// What follows the data.
    pub after: Vec<u8>,
    /// The data as it lies in the zip, if it is not what it says.
    pub raw: Option<Vec<u8>>,
}

#[derive(Clone, Default)]
pub struct Local {
    pub name: Option<Vec<u8>>,
    pub flags: Option<u16>,
    pub method: Option<u16>,
    pub size: Option<u32>,
    pub compressed: Option<u32>,
    pub crc: Option<u32>,
    pub extra: Vec<u8>,
}

pub fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

pub fn crc(data: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(data);
    crc.sum()
}

/// A stored file of mode 0644.
pub fn file(name: &str, data: &[u8]) -> Entry {
    Entry {
        name: name.as_bytes().to_vec(),
        data: data.to_vec(),
        mode: 0o100_644,
        method: 0,
        flags: 0,
        local: Local::default(),
        size: None,
        compressed: None,
        crc: None,
        offset: None,
        extra: Vec::new(),
        after: Vec::new(),
        raw: None,
    }
}

pub fn of_mode(name: &str, data: &[u8], mode: u32) -> Entry {
    Entry {
        mode,
        ..file(name, data)
    }
}

pub fn link(name: &str, target: &str) -> Entry {
    of_mode(name, target.as_bytes(), 0o120_777)
}

fn u16s(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn u32s(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

pub fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap()
}

fn short(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap()
}

/// The entries one after the other, and their directory.
pub struct Parts {
    pub bytes: Vec<u8>,
    pub directory: Vec<u8>,
    pub count: u16,
}

pub fn parts(entries: &[Entry]) -> Parts {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = length(&bytes);
        let packed = entry.raw.clone().unwrap_or_else(|| match entry.method {
            8 => deflate(&entry.data),
            _ => entry.data.clone(),
        });
        let crc = crc(&entry.data);
        let (central_crc, size, compressed) = (
            entry.crc.unwrap_or(crc),
            entry.size.unwrap_or(length(&entry.data)),
            entry.compressed.unwrap_or(length(&packed)),
        );
        let local = &entry.local;
        let name = local.name.as_ref().unwrap_or(&entry.name);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(u16s(&[
            20,
            local.flags.unwrap_or(entry.flags),
            local.method.unwrap_or(entry.method),
            0,
            0x21,
        ]));
        bytes.extend(u32s(&[
            local.crc.unwrap_or(central_crc),
            local.compressed.unwrap_or(compressed),
            local.size.unwrap_or(size),
        ]));
        bytes.extend(u16s(&[short(name), short(&local.extra)]));
        bytes.extend(
            [name, &local.extra, &packed, &entry.after]
                .map(Vec::as_slice)
                .concat(),
        );
        directory.extend(b"PK\x01\x02");
        directory.extend(u16s(&[3 << 8 | 20, 20, entry.flags, entry.method, 0, 0x21]));
        directory.extend(u32s(&[central_crc, compressed, size]));
        directory.extend(u16s(&[short(&entry.name), short(&entry.extra), 0, 0, 0]));
        directory.extend(u32s(&[entry.mode << 16, entry.offset.unwrap_or(offset)]));
        directory.extend([&entry.name, &entry.extra].map(Vec::as_slice).concat());
    }
    Parts {
        bytes,
        directory,
        count: u16::try_from(entries.len()).unwrap(),
    }
}

/// The record at the end.
pub fn end(count: u16, bytes: u32, offset: u32, comment: &[u8]) -> Vec<u8> {
    [
        b"PK\x05\x06".to_vec(),
        u16s(&[0, 0, count, count]),
        u32s(&[bytes, offset]),
        u16s(&[short(comment)]),
        comment.to_vec(),
    ]
    .concat()
}

pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let Parts {
        bytes,
        directory,
        count,
    } = parts(entries);
    let end = end(count, length(&directory), length(&bytes), b"");
    [bytes, directory, end].concat()
}

/// The same with an end of 64 bits, which says to have `count` entries.
pub fn zip64(entries: &[Entry], count: u64) -> Vec<u8> {
    let Parts { bytes, directory, .. } = parts(entries);
    let at = (bytes.len() + directory.len()) as u64;
    let wide = [
        b"PK\x06\x06".to_vec(),
        44_u64.to_le_bytes().to_vec(),
        u16s(&[3 << 8 | 45, 45]),
        u32s(&[0, 0]),
        [count, count, directory.len() as u64, bytes.len() as u64]
            .map(u64::to_le_bytes)
            .concat(),
        b"PK\x06\x07".to_vec(),
        u32s(&[0]),
        at.to_le_bytes().to_vec(),
        u32s(&[1]),
    ]
    .concat();
    [bytes, directory, wide, end(u16::MAX, u32::MAX, u32::MAX, b"")].concat()
}

/// An extra field with numbers of 64 bits.
pub fn wide_extra(numbers: &[u64]) -> Vec<u8> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    [u16s(&[1, short(&bytes)]), bytes].concat()
}
