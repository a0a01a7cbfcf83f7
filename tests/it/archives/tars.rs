//! Tar archives made byte by byte.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;

/// What of a header is not as usual.
#[derive(Clone)]
pub struct Header {
    pub name: Vec<u8>,
    pub link: Vec<u8>,
    pub flag: u8,
    pub mode: u32,
    pub size: Vec<u8>,
    /// `ustar\0` and a version, GNU's `ustar  `, or nothing at all.
    pub magic: [u8; 8],
}

pub fn header(name: &str, flag: u8, bytes: usize) -> Header {
    Header {
        name: name.as_bytes().to_vec(),
        link: Vec::new(),
        flag,
        mode: 0o644,
        size: format!("{bytes:011o}\0").into_bytes(),
        magic: *b"ustar\x0000",
    }
}

impl Header {
    pub fn bytes(&self) -> Vec<u8> {
        let mut block = vec![0; 512];
        let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
        put(0, &self.name);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, &self.size);
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, &[self.flag]);
        put(157, &self.link);
        put(257, &self.magic);
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

pub fn padded(data: &[u8]) -> Vec<u8> {
    let mut padded = data.to_vec();
    padded.resize(data.len().next_multiple_of(512), 0);
    padded
}

pub fn entry(name: &str, flag: u8, data: &[u8]) -> Vec<u8> {
    [header(name, flag, data.len()).bytes(), padded(data)].concat()
}

pub fn file(name: &str, data: &[u8]) -> Vec<u8> {
    entry(name, b'0', data)
}

pub fn link(name: &str, flag: u8, target: &str) -> Vec<u8> {
    Header {
        link: target.as_bytes().to_vec(),
        ..header(name, flag, 0)
    }
    .bytes()
}

/// GNU's record of a long name (`L`) or a long target (`K`).
pub fn long(flag: u8, text: &[u8]) -> Vec<u8> {
    let text = [text, b"\0"].concat();
    Header {
        magic: *b"ustar  \0",
        ..header("././@LongLink", flag, text.len())
    }
    .bytes()
    .into_iter()
    .chain(padded(&text))
    .collect()
}

/// PAX records before an entry (`x`) or before all (`g`).
pub fn pax(flag: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let text: String = records
        .iter()
        .map(|(key, value)| {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            format!("{length} {key}={value}\n")
        })
        .collect();
    entry("pax", flag, text.as_bytes())
}

pub fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
