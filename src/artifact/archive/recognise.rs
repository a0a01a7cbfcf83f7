//! What the first bytes of an artifact say of it. Names say nothing: CodePipeline's object keys have no extension.

use serde_json::Value;

/// How many first bytes are looked at: the header of a tar archive.
pub const START: usize = 512;

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A zip.
    Zip,
    /// A file compressed by gzip.
    Gzip,
    /// A tar archive.
    Tar,
    /// Another archive: `a 7z archive`.
    Other(&'static str),
    /// No archive that is known: perhaps the file itself.
    Bare,
}

/// First bytes of archives that are known by name only.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\xfd7zXZ\0", "an xz file"),
    (b"BZh", "a bzip2 file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\x1f\x9d", "a compress file"),
    (b"LZIP", "an lzip file"),
    (b"PK\x07\x08", "a part of a split zip"),
];

/// Says what an artifact with these first bytes is; [`START`] of them are enough.
#[must_use]
pub fn recognise(start: &[u8]) -> Shape {
    match start {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] | [b'P', b'K', 6, 6, ..] => Shape::Zip,
        [0x1f, 0x8b, ..] => Shape::Gzip,
        _ if is_tar(start) => Shape::Tar,
        _ => OTHERS
            .iter()
            .find(|(magic, _)| start.starts_with(magic))
            .map_or(Shape::Bare, |(_, found)| Shape::Other(found)),
    }
}

/// Whether this is the header of a tar archive. Those from before POSIX have no magic, but a checksum as all have.
fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar".as_slice())
        || start.get(..START).is_some_and(|header| {
            header[0] != 0 && stored_checksum(header).is_some_and(|sum| sums(header).contains(&sum))
        })
}

/// The checksum that a tar header states: octal digits with blanks or NULs around.
fn stored_checksum(header: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(&header[148..156]).ok()?;
    i64::from_str_radix(text.trim_matches([' ', '\0']), 8).ok()
}

/// The checksums that a tar header may state: of unsigned bytes, and of signed ones, as some old programs count.
pub fn sums(header: &[u8]) -> [i64; 2] {
    let bytes = || {
        header.iter().enumerate().map(|(at, &byte)| match at {
            148..156 => b' ',
            _ => byte,
        })
    };
    [
        bytes().map(i64::from).sum(),
        bytes().map(|byte| i64::from(byte.cast_signed())).sum(),
    ]
}

/// Whether these bytes are CodeBuild's full clone: a JSON object that names a repository and a commit, and no image.
#[must_use]
pub fn is_clone_reference(bytes: &[u8]) -> bool {
    let Ok(Value::Object(object)) = serde_json::from_slice(bytes) else {
        return false;
    };
    let has = |wanted: &[&str]| {
        object
            .keys()
            .any(|key| wanted.iter().any(|known| known.eq_ignore_ascii_case(key)))
    };
    has(&[
        "FullRepositoryId",
        "FullRepositoryName",
        "RepositoryName",
        "ConnectionArn",
    ]) && has(&["CommitId", "BranchName"])
}

#[cfg(test)]
mod tests {
    use super::{Shape, recognise, sums};

    /// A header as tar wrote it before POSIX: no magic.
    fn old_tar() -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..8].copy_from_slice(b"file.txt");
        header[100..107].copy_from_slice(b"0000644");
        let sum = format!("{:06o}\0 ", sums(&header)[0]);
        header[148..156].copy_from_slice(sum.as_bytes());
        header
    }

    #[test]
    fn first_bytes_tell_what_an_artifact_is() {
        let mut ustar = vec![0; 512];
        ustar[257..262].copy_from_slice(b"ustar");
        let mut broken = old_tar();
        broken[0] ^= 1;
        for (start, expected) in [
            (b"PK\x03\x04rest".to_vec(), Shape::Zip),
            (b"PK\x05\x06".to_vec(), Shape::Zip),
            (b"\x1f\x8b\x08".to_vec(), Shape::Gzip),
            (ustar, Shape::Tar),
            (old_tar(), Shape::Tar),
            (broken, Shape::Bare),
            (vec![0; 512], Shape::Bare),
            (b"BZh91AY".to_vec(), Shape::Other("a bzip2 file")),
            (b"7z\xbc\xaf\x27\x1c\0".to_vec(), Shape::Other("a 7z archive")),
            (b"[]".to_vec(), Shape::Bare),
            (Vec::new(), Shape::Bare),
        ] {
            assert_eq!(recognise(&start), expected, "{:?}", &start[..start.len().min(9)]);
        }
    }
}
