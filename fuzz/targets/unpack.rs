//! Unpacking archives, and finding imagedefinitions.json in them: nothing outside of the folder, no limit passed, and of
//! what unpacks every name once.
//!
//! The first byte of an input says what the rest is: `z` a zip, `t` a tar archive, whose headers are given their checksums
//! here, `g` the same compressed by gzip, anything else just bytes. No search would guess a checksum.

#![no_main]

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, memfd_create};
use slipway_fuzz::artifact::archive::find_definitions;
use slipway_fuzz::artifact::imagedefinitions::MAX_BYTES;
use slipway_fuzz::artifact::unpack::{Limits, Unpacked, unpack};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

const LIMITS: Limits = Limits {
    entries: 40,
    bytes: 256 * 1024,
    file_bytes: 64 * 1024,
    ratio: 10,
};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let archive = match kind {
        b'z' => with_checksums_of_zip(rest),
        b't' => with_checksums(rest),
        b'g' => gzip(&with_checksums(rest)),
        _ => bytes.to_vec(),
    };
    // In memory, as a disk would be the bottleneck.
    let place = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let into = place.path().join("into");
    fs::create_dir(&into).expect("a folder");
    fs::write(place.path().join("secret"), "secret").expect("a file");
    let mut file = File::from(memfd_create("archive", MemfdFlags::CLOEXEC).expect("a file in memory"));
    file.write_all(&archive).expect("writing to memory");
    match find_definitions(&file) {
        Ok(found) => assert!(found.len() <= MAX_BYTES + 1, "more than is read at most"),
        Err(error) => assert!(!error.to_string().chars().any(char::is_control), "{error:?}"),
    }
    let unpacked = unpack(file, &into, &LIMITS);
    check_outside(place.path());
    let mut tree = Tree::default();
    tree.walk(&into);
    assert!(tree.bytes <= LIMITS.bytes, "more bytes than are allowed");
    assert!(
        tree.names.len() as u64 <= LIMITS.entries,
        "more names than are allowed"
    );
    match unpacked {
        Ok(Unpacked { files, bytes }) => {
            assert_eq!((files, bytes), (tree.files, tree.bytes));
            assert_eq!(tree.names.len(), tree.folded.len(), "names that collide");
            tree.links_stay(&into);
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
});

fn check_outside(place: &Path) {
    let mut beside: Vec<String> = fs::read_dir(place)
        .expect("the place")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    beside.sort();
    assert_eq!(beside, ["into", "secret"]);
    assert_eq!(fs::read(place.join("secret")).expect("the secret"), b"secret");
}

/// What was unpacked.
#[derive(Default)]
struct Tree {
    names: BTreeSet<String>,
    folded: BTreeSet<String>,
    links: Vec<std::path::PathBuf>,
    inodes: BTreeSet<u64>,
    files: u64,
    bytes: u64,
}

impl Tree {
    fn walk(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder that can be read") {
            let path = entry.expect("an entry").path();
            let metadata = path.symlink_metadata().expect("metadata");
            let name = path.to_string_lossy().into_owned();
            self.folded.insert(name.to_lowercase());
            self.names.insert(name);
            let kind = metadata.file_type();
            assert!(
                !(kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device()),
                "something that is no file"
            );
            if kind.is_dir() {
                self.walk(&path);
                continue;
            }
            self.files += 1;
            if kind.is_symlink() {
                self.links.push(path);
                continue;
            }
            assert_eq!(metadata.permissions().mode() & 0o7000, 0, "a setuid bit");
            // A hard link is another name for bytes that count once.
            if self.inodes.insert(metadata.ino()) {
                self.bytes += metadata.len();
            }
        }
    }

    fn links_stay(&self, into: &Path) {
        let into = into.canonicalize().expect("the folder");
        for link in &self.links {
            if let Ok(end) = link.canonicalize() {
                assert!(
                    end.starts_with(&into),
                    "{} leads to {}",
                    link.display(),
                    end.display()
                );
            }
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}

/// Gives every block that could be a header its checksum, going from one to the next as their sizes say.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut archive = bytes.to_vec();
    let mut at = 0;
    while let Some(block) = archive.get_mut(at..at + 512) {
        if block.iter().all(|&byte| byte == 0) {
            break;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = std::str::from_utf8(&block[124..136]).unwrap_or_default();
        let size = usize::from_str_radix(size.trim_matches([' ', '\0']), 8).unwrap_or_default();
        at = at.saturating_add(512).saturating_add(size.next_multiple_of(512));
    }
    archive
}

/// Gives every stored entry its checksum, in the directory and before its data.
fn with_checksums_of_zip(bytes: &[u8]) -> Vec<u8> {
    let mut archive = bytes.to_vec();
    let number = |bytes: &[u8], at: usize, length: usize| {
        let mut wide = [0; 8];
        wide[..length].copy_from_slice(bytes.get(at..at + length)?);
        usize::try_from(u64::from_le_bytes(wide)).ok()
    };
    let entries: Vec<usize> = archive
        .windows(4)
        .enumerate()
        .filter(|(_, window)| *window == b"PK\x01\x02")
        .map(|(at, _)| at)
        .collect();
    for central in entries {
        let patched = (|| {
            let (method, size) = (
                number(&archive, central + 10, 2)?,
                number(&archive, central + 20, 4)?,
            );
            let local = number(&archive, central + 42, 4)?;
            let lengths = number(&archive, local + 26, 2)? + number(&archive, local + 28, 2)?;
            let data = archive.get(local + 30 + lengths..)?.get(..size)?;
            let mut crc = flate2::Crc::new();
            crc.update(data);
            (method == 0).then_some((local, crc.sum()))
        })();
        if let Some((local, crc)) = patched {
            archive[local + 14..local + 18].copy_from_slice(&crc.to_le_bytes());
            archive[central + 16..central + 20].copy_from_slice(&crc.to_le_bytes());
        }
    }
    archive
}
