//! Hostile archives, one for each guard of unpacking at least, and good ones. All of them are made here byte by byte.

mod good;
mod tars;
mod zips;

use slipway::artifact::unpack::{Limits, UnpackError, Unpacked, unpack, unpack_unless};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tars::{entry, gzip, link as tar_link, long, pax, tar};
use tempfile::TempDir;
use zips::{Entry, Local, end, file, length, link, of_mode, parts, wide_extra, zip, zip64};

const LIMITS: Limits = Limits {
    entries: 50,
    bytes: 18 * 1024 * 1024,
    file_bytes: 17 * 1024 * 1024,
    ratio: 20,
};

/// A folder to unpack into, beside which something could be written.
fn place() -> (TempDir, std::path::PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let into = place.path().join("into");
    fs::create_dir(&into).unwrap();
    fs::create_dir(place.path().join("outside")).unwrap();
    fs::write(place.path().join("secret"), "secret").unwrap();
    symlink("../secret", place.path().join("outside/link")).unwrap();
    (place, into)
}

fn unpack_bytes(bytes: &[u8], into: &Path) -> Result<Unpacked, UnpackError> {
    let mut archive = tempfile::tempfile().unwrap();
    archive.write_all(bytes).unwrap();
    unpack(archive, into, &LIMITS)
}

/// Unpacks, and looks that nothing but the folder was touched.
fn refused(what: &str, bytes: &[u8]) -> UnpackError {
    let (place, into) = place();
    let error = match unpack_bytes(bytes, &into) {
        Ok(unpacked) => panic!("{what}: {unpacked:?}"),
        Err(error) => error,
    };
    let beside: BTreeSet<String> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        beside,
        ["into", "outside", "secret"].map(str::to_owned).into(),
        "{what}"
    );
    assert_eq!(
        fs::read(place.path().join("secret")).unwrap(),
        b"secret",
        "{what}"
    );
    assert_eq!(
        fs::read_dir(place.path().join("outside")).unwrap().count(),
        1,
        "{what}"
    );
    error
}

/// The name of an error's variant.
fn variant(error: &UnpackError) -> String {
    let debug = format!("{error:?}");
    debug.split([' ', '{', '(']).next().unwrap().to_owned()
}

fn check(cases: Vec<(&str, Vec<u8>, &str, &str)>) -> BTreeSet<String> {
    cases
        .into_iter()
        .map(|(what, bytes, expected, says)| {
            let error = refused(what, &bytes);
            assert_eq!(variant(&error), expected, "{what}: {error}");
            assert!(error.to_string().contains(says), "{what}: {error}");
            expected.to_owned()
        })
        .collect()
}

fn described(entry: Entry, after: Vec<u8>) -> Entry {
    Entry {
        flags: 8,
        local: Local {
            size: Some(0),
            compressed: Some(0),
            crc: Some(0),
            ..Local::default()
        },
        after,
        ..entry
    }
}

fn hostile_names() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let long_part = "x".repeat(256);
    let long_name = "d/".repeat(1100) + "f";
    let raw = |name: &[u8]| {
        zip(&[Entry {
            name: name.to_vec(),
            ..file("", b"x")
        }])
    };
    vec![
        (
            "traversal",
            raw(b"../secret"),
            "Parent",
            "`../secret` could leave",
        ),
        (
            "traversal within",
            raw(b"a/../../secret"),
            "Parent",
            "`a/../../secret`",
        ),
        ("traversal at the end", raw(b"a/.."), "Parent", "`a/..`"),
        ("absolute", raw(b"/etc/x"), "Absolute", "`/etc/x`"),
        ("two slashes", raw(b"//etc/x"), "Absolute", "`//etc/x`"),
        ("drive", raw(b"C:/x"), "WindowsName", "`C:/x`"),
        ("drive without a slash", raw(b"c:x"), "WindowsName", "`c:x`"),
        ("backslash", raw(b"..\\secret"), "WindowsName", "`..\\\\secret`"),
        ("share", raw(b"\\\\host\\x"), "WindowsName", "host"),
        ("no name", raw(b""), "NoName", "no name"),
        ("NUL", raw(b"a\0b"), "NulName", "`a\\0b`"),
        ("Latin-1", raw(b"\xe9"), "NotUtf8", "not UTF-8"),
        ("long part", raw(long_part.as_bytes()), "LongName", "xxx..."),
        ("long name", raw(long_name.as_bytes()), "LongName", "d/d/"),
        (
            "long name of GNU",
            tar(&[long(b'L', long_name.as_bytes()), tars::file("short", b"x")]),
            "LongName",
            "d/d/",
        ),
        (
            "longer than any name of GNU",
            tar(&[long(b'L', &[b'x'; 10_000]), tars::file("short", b"x")]),
            "LongName",
            "LongLink",
        ),
        (
            "traversal of tar",
            tar(&[tars::file("../secret", b"x")]),
            "Parent",
            "`../secret`",
        ),
        (
            "traversal of PAX",
            tar(&[
                pax(b'x', &[("path", "a/../../secret")]),
                tars::file("short", b"x"),
            ]),
            "Parent",
            "`a/../../secret`",
        ),
        (
            "traversal of GNU, compressed",
            gzip(&tar(&[long(b'L', b"../secret"), tars::file("short", b"x")])),
            "Parent",
            "`../secret`",
        ),
        (
            "NUL of PAX",
            tar(&[pax(b'x', &[("path", "a\0b")]), tars::file("short", b"x")]),
            "NulName",
            "`a\\0b`",
        ),
        (
            "absolute of tar",
            tar(&[tars::file("/etc/x", b"x")]),
            "Absolute",
            "`/etc/x`",
        ),
        (
            "twice",
            zip(&[file("a", b"1"), file("a", b"2")]),
            "Twice",
            "`a` is there twice",
        ),
        (
            "twice in tar",
            tar(&[tars::file("a", b"1"), tars::file("./a", b"2")]),
            "Twice",
            "`a` is there twice",
        ),
        (
            "case",
            zip(&[file("a", b"1"), file("A", b"2")]),
            "Collides",
            "`A`",
        ),
        (
            "case of folders",
            zip(&[file("d/a", b"1"), file("D/b", b"2")]),
            "Collides",
            "`D/b`",
        ),
        (
            "case beyond ASCII",
            tar(&[tars::file("\u{e9}", b"1"), tars::file("\u{c9}", b"2")]),
            "Collides",
            "\u{c9}",
        ),
        (
            "below a file",
            zip(&[file("a", b"1"), file("a/b", b"2")]),
            "FileAndFolder",
            "`a/b`",
        ),
        (
            "a file for a folder",
            tar(&[tars::file("a/b", b"1"), tars::file("a", b"2")]),
            "FileAndFolder",
            "`a`",
        ),
        (
            "a folder that is a file",
            zip(&[of_mode("a", b"", 0o040_755)]),
            "FileAndFolder",
            "`a`",
        ),
        (
            "a folder with bytes",
            zip(&[file("a/", b"x")]),
            "FileAndFolder",
            "`a/`",
        ),
        (
            "a folder by its mode, with bytes",
            zip(&[of_mode("a/", b"x", 0o040_755)]),
            "FileAndFolder",
            "`a/`",
        ),
        (
            "the folder itself as a file",
            tar(&[tars::file("./", b"x")]),
            "FileAndFolder",
            "`./`",
        ),
    ]
}

fn hostile_links() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let chain: Vec<Entry> = (0..45)
        .map(|at| link(&format!("l{at:02}"), &format!("l{:02}", at + 1)))
        .collect();
    vec![
        (
            "link up",
            zip(&[link("a", "../secret")]),
            "LeavingLink",
            "`a` leaves the folder: `../secret`",
        ),
        (
            "link to the root",
            zip(&[link("a", "/etc")]),
            "LeavingLink",
            "`/etc`",
        ),
        (
            "link of tar",
            tar(&[tar_link("d/a", b'2', "../../secret")]),
            "LeavingLink",
            "`d/a`",
        ),
        (
            "link by way of another",
            tar(&[
                tar_link("d/here", b'2', "."),
                tar_link("out", b'2', "d/here/here/../../secret"),
            ]),
            "LeavingLink",
            "`out`",
        ),
        (
            "a long target of PAX",
            tar(&[
                pax(b'x', &[("linkpath", "../secret")]),
                tar_link("a", b'2', "harmless"),
            ]),
            "LeavingLink",
            "`../secret`",
        ),
        (
            "a long target of GNU",
            tar(&[long(b'K', b"../secret"), tar_link("a", b'2', "harmless")]),
            "LeavingLink",
            "`../secret`",
        ),
        (
            "through a link",
            zip(&[link("d", "../outside"), file("d/x", b"x")]),
            "ThroughLink",
            "`d/x`",
        ),
        (
            "through a link inside",
            tar(&[
                entry("real/", b'5', b""),
                tar_link("d", b'2', "real"),
                tars::file("d/x", b"x"),
            ]),
            "ThroughLink",
            "`d/x`",
        ),
        (
            "a link replaced by a folder",
            tar(&[tar_link("d", b'2', "../outside"), entry("d/", b'5', b"")]),
            "FileAndFolder",
            "`d`",
        ),
        (
            "a folder replaced by a link",
            tar(&[
                entry("d/", b'5', b""),
                tar_link("d", b'2', "../outside"),
                tars::file("d/x", b"x"),
            ]),
            "FileAndFolder",
            "`d`",
        ),
        (
            "a file through its link",
            tar(&[tar_link("a", b'2', "../secret"), tars::file("a", b"x")]),
            "Twice",
            "`a`",
        ),
        ("a chain", zip(&chain), "LinkChain", "`l00`"),
        ("link to nothing", zip(&[link("a", "")]), "LinkTarget", "`a`"),
        ("link to NUL", zip(&[link("a", "b\0c")]), "LinkTarget", "`a`"),
        (
            "a link that is too long",
            zip(&[link("a", &"x".repeat(3000))]),
            "LinkTarget",
            "`a`",
        ),
        (
            "hard link up",
            tar(&[tar_link("a", b'1', "../secret")]),
            "LeavingHardLink",
            "`../secret`",
        ),
        (
            "hard link to the root",
            tar(&[tar_link("a", b'1', "/etc/passwd")]),
            "LeavingHardLink",
            "`/etc/passwd`",
        ),
        (
            "hard link to what comes later",
            tar(&[tar_link("a", b'1', "b"), tars::file("b", b"x")]),
            "HardLinkToNoFile",
            "`b`",
        ),
        (
            "hard link to a folder",
            tar(&[entry("d/", b'5', b""), tar_link("a", b'1', "d")]),
            "HardLinkToNoFile",
            "`d`",
        ),
        (
            "hard link through a link",
            tar(&[
                tars::file("d/x", b"x"),
                tar_link("l", b'2', "d"),
                tar_link("a", b'1', "l/x"),
            ]),
            "HardLinkToNoFile",
            "`l/x`",
        ),
        (
            "hard link to a link up",
            tar(&[tar_link("l", b'2', "../secret"), tar_link("a", b'1', "l")]),
            "LeavingLink",
            "`a`",
        ),
        (
            "hard link with a bad target",
            tar(&[tar_link("a", b'1', "C:\\x")]),
            "LinkTarget",
            "`a`",
        ),
        (
            "a character device",
            tar(&[entry("tty", b'3', b"")]),
            "Device",
            "`tty` is a character device",
        ),
        (
            "a block device",
            tar(&[entry("sda", b'4', b"")]),
            "Device",
            "a block device",
        ),
        ("a FIFO", tar(&[entry("pipe", b'6', b"")]), "Device", "a FIFO"),
        (
            "a FIFO in a zip",
            zip(&[of_mode("pipe", b"", 0o010_644)]),
            "Device",
            "a FIFO",
        ),
        (
            "a socket",
            zip(&[of_mode("s", b"", 0o140_755)]),
            "Device",
            "a socket",
        ),
        (
            "a device in a zip",
            zip(&[of_mode("s", b"", 0o020_755), of_mode("t", b"", 0o060_755)]),
            "Device",
            "a character device",
        ),
        (
            "a sparse file",
            tar(&[entry("a", b'S', b"")]),
            "UnknownType",
            "a sparse file",
        ),
        (
            "a sparse file of PAX",
            tar(&[pax(b'x', &[("GNU.sparse.major", "1")]), tars::file("a", b"x")]),
            "UnknownType",
            "a sparse file",
        ),
        (
            "a part of a file",
            tar(&[entry("a", b'M', b"")]),
            "UnknownType",
            "a part of a file",
        ),
    ]
}

fn hostile_zips() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let local = |local: Local| {
        zip(&[Entry {
            local,
            ..file("a", b"hello")
        }])
    };
    let good = zip(&[file("a", b"hello")]);
    let Parts64 {
        late,
        many,
        two,
        short,
    } = wide_zips();
    vec![
        (
            "encrypted",
            zip(&[Entry {
                flags: 1,
                ..file("a", b"x")
            }]),
            "Encrypted",
            "`a`",
        ),
        (
            "strongly encrypted",
            zip(&[Entry {
                flags: 1 << 6,
                ..file("a", b"x")
            }]),
            "Encrypted",
            "`a`",
        ),
        (
            "another method",
            zip(&[Entry {
                method: 12,
                ..file("a", b"x")
            }]),
            "UnknownMethod",
            "(12)",
        ),
        (
            "another name before the data",
            local(Local {
                name: Some(b"b".to_vec()),
                ..Local::default()
            }),
            "Contradiction",
            "the name of `a`",
        ),
        (
            "another size before the data",
            local(Local {
                size: Some(4),
                ..Local::default()
            }),
            "Contradiction",
            "the size of `a`",
        ),
        (
            "another checksum before the data",
            local(Local {
                crc: Some(1),
                ..Local::default()
            }),
            "Contradiction",
            "the checksum of `a`",
        ),
        (
            "another method before the data",
            local(Local {
                method: Some(8),
                ..Local::default()
            }),
            "Contradiction",
            "the method of compression of `a`",
        ),
        (
            "encrypted before the data",
            local(Local {
                flags: Some(1),
                ..Local::default()
            }),
            "Contradiction",
            "the flags of `a`",
        ),
        (
            "what follows the data says otherwise",
            zip(&[described(
                file("a", b"hello"),
                [&b"PK\x07\x08"[..], &[0; 12]].concat(),
            )]),
            "Contradiction",
            "the size of `a`",
        ),
        (
            "nothing follows the data",
            zip(&[described(file("a", b"hello"), Vec::new()), file("b", b"x")]),
            "Contradiction",
            "the size of `a`",
        ),
        (
            "stored and of two lengths",
            zip(&[Entry {
                size: Some(4),
                ..file("a", b"hello")
            }]),
            "WrongSize",
            "says 4",
        ),
        (
            "more than it declares",
            zip(&[Entry {
                method: 8,
                size: Some(4),
                ..file("a", b"hello")
            }]),
            "WrongSize",
            "`a` has 5 bytes or more, and the archive says 4",
        ),
        (
            "less than it declares",
            zip(&[Entry {
                method: 8,
                size: Some(6),
                ..file("a", b"hello")
            }]),
            "WrongSize",
            "`a` has 5 bytes or more, and the archive says 6",
        ),
        (
            "deflate that ends early",
            zip(&[Entry {
                method: 8,
                raw: Some([zips::deflate(b"hello"), b"more".to_vec()].concat()),
                ..file("a", b"hello")
            }]),
            "Contradiction",
            "the compressed size of `a`",
        ),
        (
            "deflate that does not end",
            zip(&[Entry {
                method: 8,
                raw: Some(zips::deflate(b"hello")[..4].to_vec()),
                ..file("a", b"hello")
            }]),
            "Damaged",
            "`a`",
        ),
        (
            "no deflate",
            zip(&[Entry {
                method: 8,
                raw: Some(b"\xff\xff\xff\xff".to_vec()),
                ..file("a", b"hello")
            }]),
            "Damaged",
            "`a`",
        ),
        (
            "another checksum",
            zip(&[Entry {
                crc: Some(7),
                ..file("a", b"hello")
            }]),
            "Damaged",
            "`a`",
        ),
        (
            "one place for two",
            zip(&[
                file("a", b"hello"),
                Entry {
                    offset: Some(0),
                    ..file("b", b"hello")
                },
            ]),
            "Overlap",
            "`a`",
        ),
        ("one entry in another", overlapping(), "Overlap", "`outer`"),
        (
            "data in the directory",
            zip(&[Entry {
                compressed: Some(70),
                size: Some(70),
                ..file("a", b"hello")
            }]),
            "Overlap",
            "`a`",
        ),
        (
            "a header that is elsewhere",
            zip(&[Entry {
                offset: Some(1),
                ..file("a", b"hello")
            }]),
            "BadZip",
            "not where the directory says",
        ),
        (
            "cut off",
            good[..good.len() - 1].to_vec(),
            "BadZip",
            "its end is cut off",
        ),
        (
            "with a tail",
            [&good[..], b"x"].concat(),
            "BadZip",
            "its end is cut off",
        ),
        ("two ends", two_ends(), "BadZip", "two ends"),
        (
            "something before it",
            [&good[..], &good].concat(),
            "BadZip",
            "its directory is not where it should be",
        ),
        ("too few entries", count(2, 1), "BadZip", "has more than it says"),
        (
            "too many entries",
            count(1, 2),
            "BadZip",
            "its directory is cut off",
        ),
        ("one of several", several(), "BadZip", "one of several parts"),
        (
            "an entry of another part",
            patched(&good, b"PK\x01\x02", 34, 1),
            "BadZip",
            "one of several parts",
        ),
        (
            "a signature after the entries",
            signed(),
            "BadZip",
            "has more than it says",
        ),
        (
            "two sizes of 64 bits",
            zip(&[Entry {
                extra: [wide_extra(&[5]), wide_extra(&[5])].concat(),
                ..file("a", b"hello")
            }]),
            "BadZip",
            "twice",
        ),
        (
            "no size of 64 bits",
            zip(&[Entry {
                size: Some(u32::MAX),
                extra: wide_extra(&[]),
                ..file("a", b"hello")
            }]),
            "BadZip",
            "a size of 64 bits is missing",
        ),
        (
            "an end that is elsewhere",
            late,
            "BadZip",
            "its end of 64 bits is not where",
        ),
        (
            "more entries than are there",
            many,
            "BadZip",
            "its directory is cut off",
        ),
        (
            "two ends that disagree",
            two,
            "BadZip",
            "its two ends contradict each other",
        ),
        (
            "an end that is too short",
            short,
            "BadZip",
            "its end of 64 bits is not where",
        ),
    ]
}

struct Parts64 {
    late: Vec<u8>,
    many: Vec<u8>,
    two: Vec<u8>,
    short: Vec<u8>,
}

fn wide_zips() -> Parts64 {
    let entries = [file("a", b"hello")];
    let mut late = zip64(&entries, 1);
    let at = late.windows(4).position(|bytes| bytes == b"PK\x06\x07").unwrap();
    late[at + 8] ^= 1;
    let good = zip64(&entries, 1);
    Parts64 {
        late,
        many: zip64(&entries, 2),
        two: patched(&patched(&good, b"PK\x05\x06", 10, 2), b"PK\x05\x06", 11, 0),
        short: patched(&good, b"PK\x06\x06", 4, 43),
    }
}

/// With another byte some way after a mark.
fn patched(zip: &[u8], mark: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut zip = zip.to_vec();
    let begins = zip.windows(4).rposition(|bytes| bytes == mark).unwrap();
    zip[begins + at] = byte;
    zip
}

/// A directory that ends in the signature of APPNOTE 4.3.13.
fn signed() -> Vec<u8> {
    let mut parts = parts(&[file("a", b"hello")]);
    parts.directory.extend(b"PK\x05\x05\0\0");
    let end = end(1, length(&parts.directory), length(&parts.bytes), b"");
    [parts.bytes, parts.directory, end].concat()
}

/// An entry that lies in the data of another one.
fn overlapping() -> Vec<u8> {
    let inner = parts(&[file("inner", b"hello")]).bytes;
    let outer = file("outer", &inner);
    let mut parts = parts(&[
        outer,
        Entry {
            offset: Some(30 + 5),
            ..file("inner", b"hello")
        },
    ]);
    // The second one's own bytes are not there.
    parts.bytes.truncate(30 + 5 + inner.len());
    let end = end(2, length(&parts.directory), length(&parts.bytes), b"");
    [parts.bytes, parts.directory, end].concat()
}

fn two_ends() -> Vec<u8> {
    let parts = parts(&[file("a", b"hello")]);
    let inner = end(0, 0, 0, b"");
    let end = end(1, length(&parts.directory), length(&parts.bytes), &inner);
    [parts.bytes, parts.directory, end].concat()
}

/// A zip with some entries that says to have others.
fn count(real: u16, said: u16) -> Vec<u8> {
    let entries: Vec<Entry> = (0..real).map(|at| file(&format!("f{at}"), b"x")).collect();
    let parts = parts(&entries);
    let end = end(said, length(&parts.directory), length(&parts.bytes), b"");
    [parts.bytes, parts.directory, end].concat()
}

fn several() -> Vec<u8> {
    let mut zip = zip(&[file("a", b"hello")]);
    let at = zip.len() - 18;
    zip[at] = 1;
    zip
}

fn hostile_tars() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let good = tar(&[tars::file("a", b"hello")]);
    let mut flipped = tar(&[tars::file("a", b"hello"), tars::file("b", b"x")]);
    flipped[1024] ^= 1;
    let gz = gzip(&good);
    let mut wrong_crc = gz.clone();
    let at = wrong_crc.len() - 8;
    wrong_crc[at] ^= 1;
    let odd = |size: &[u8]| {
        let header = tars::Header {
            size: size.to_vec(),
            ..tars::header("a", b'0', 0)
        };
        tar(&[header.bytes()])
    };
    vec![
        ("cut in a file", good[..700].to_vec(), "BadTar", "it is cut off"),
        (
            "cut after a header",
            good[..512].to_vec(),
            "BadTar",
            "it is cut off",
        ),
        (
            "without an end",
            good[..1024].to_vec(),
            "BadTar",
            "its end is missing",
        ),
        (
            "with something after its end",
            [&good[..], &good].concat(),
            "BadTar",
            "something follows its end",
        ),
        ("a header that is damaged", flipped, "BadTar", "checksum"),
        (
            "a size that is no number",
            odd(b"00000000008\0"),
            "BadTar",
            "size",
        ),
        ("a size below zero", odd(&[0xff; 12]), "BadTar", "size"),
        (
            "a link with bytes",
            tar(&[entry("a", b'2', b"hello")]),
            "WrongSize",
            "`a`",
        ),
        (
            "a folder with bytes",
            tar(&[entry("a/", b'5', b"hello")]),
            "WrongSize",
            "`a/`",
        ),
        (
            "two long names",
            tar(&[long(b'L', b"x"), long(b'L', b"y"), tars::file("a", b"")]),
            "BadTar",
            "two names",
        ),
        (
            "two names",
            tar(&[
                long(b'L', b"x"),
                pax(b'x', &[("path", "y")]),
                tars::file("a", b""),
            ]),
            "BadTar",
            "two names",
        ),
        (
            "a name for nothing",
            tar(&[tars::file("a", b""), long(b'L', b"x")]),
            "BadTar",
            "followed by no entry",
        ),
        (
            "one size for all",
            tar(&[pax(b'g', &[("size", "7")]), tars::file("a", b"")]),
            "BadTar",
            "every entry",
        ),
        (
            "records that are broken",
            tar(&[entry("pax", b'x', b"9 a=b\n"), tars::file("a", b"")]),
            "BadTar",
            "PAX record is malformed",
        ),
        (
            "records that are too long",
            tar(&[entry("pax", b'x', &vec![b' '; 2 * 1024 * 1024])]),
            "BadTar",
            "too long",
        ),
        (
            "gzip that is cut off",
            gz[..gz.len() - 9].to_vec(),
            "BadGzip",
            "gzip",
        ),
        ("gzip with a wrong checksum", wrong_crc, "BadGzip", "gzip"),
        ("gzip with a tail", [&gz[..], b"tail"].concat(), "BadGzip", "gzip"),
        (
            "gzip of something else",
            gzip(&[b'x'; 600]),
            "OtherArchive",
            "a gzip file of something other than a tar archive",
        ),
        (
            "gzip of a few bytes",
            gzip(b"[]"),
            "OtherArchive",
            "a gzip file of something other than a tar archive",
        ),
    ]
}

fn bombs() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    const MIB: usize = 1024 * 1024;
    let zeros = vec![0; 17 * MIB];
    let many: Vec<Entry> = (0..51).map(|at| file(&format!("f{at}"), b"")).collect();
    let deep = file(&(0..51).map(|at| format!("d{at}/")).collect::<String>(), b"");
    let packed = |name: &str, data: &[u8]| Entry {
        method: 8,
        ..file(name, data)
    };
    let large = |bytes: u64| {
        tar(&[tars::Header {
            size: format!("{bytes:011o}\0").into_bytes(),
            ..tars::header("a", b'0', 0)
        }
        .bytes()])
    };
    vec![
        ("many entries", zip(&many), "TooManyEntries", "more than 50"),
        (
            "many folders by one name",
            zip(&[deep]),
            "TooManyEntries",
            "more than 50",
        ),
        (
            "many entries of tar",
            tar(&(0..51)
                .map(|at| tars::file(&format!("f{at}"), b""))
                .collect::<Vec<_>>()),
            "TooManyEntries",
            "more than 50",
        ),
        (
            "a count that no directory could hold",
            zip64(&[file("a", b"")], u64::MAX),
            "TooManyEntries",
            "more than 50",
        ),
        (
            "zeros",
            zip(&[packed("a", &zeros)]),
            "Ratio",
            "more than 20 times",
        ),
        (
            "zeros of tar",
            gzip(&tar(&[tars::file("a", &zeros)])),
            "Ratio",
            "more than 20 times",
        ),
        (
            "zeros after the end",
            gzip(&[tar(&[tars::file("a", b"x")]), zeros.clone()].concat()),
            "Ratio",
            "more than 20 times",
        ),
        (
            "a file that is too long",
            large(LIMITS.file_bytes + 1),
            "FileTooLong",
            "`a` becomes more than",
        ),
        (
            "a file that says to be short",
            zip(&[Entry {
                size: Some(10),
                local: Local {
                    size: Some(10),
                    ..Local::default()
                },
                ..packed("a", &zeros)
            }]),
            "WrongSize",
            "the archive says 10",
        ),
        (
            "files that are too long together",
            {
                let noise = noise(9 * MIB + 1);
                zip(&[file("a", &noise), file("b", &noise)])
            },
            "TooManyBytes",
            "more than 18874368",
        ),
    ]
}

/// Bytes that cannot be compressed, the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn other_artifacts() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let clone =
        br#"{"ConnectionArn":"arn:aws:x","FullRepositoryId":"a/b","CommitId":"1","BranchName":"main"}"#;
    vec![
        (
            "a clone reference",
            clone.to_vec(),
            "CloneReference",
            "a full clone",
        ),
        ("a bare file", b"[]".to_vec(), "BareFile", "a file of 2 bytes"),
        ("nothing", Vec::new(), "BareFile", "a file of 0 bytes"),
        (
            "a 7z archive",
            b"7z\xbc\xaf\x27\x1c\0\0".to_vec(),
            "OtherArchive",
            "it is a 7z archive",
        ),
        (
            "an xz file",
            b"\xfd7zXZ\0\0\0".to_vec(),
            "OtherArchive",
            "it is an xz file",
        ),
    ]
}

#[test]
fn every_guard_has_an_archive_that_trips_it() {
    let mut tripped = BTreeSet::new();
    for cases in [
        hostile_names(),
        hostile_links(),
        hostile_zips(),
        hostile_tars(),
        bombs(),
        other_artifacts(),
    ] {
        tripped.extend(check(cases));
    }
    // All variants but those of the disk; a stop, and links, which need another limit, have tests of their own.
    let source = include_str!("../../../src/artifact/unpack/error.rs");
    let body = source.split("pub enum UnpackError {").nth(1).unwrap();
    let variants: BTreeSet<String> = body
        .lines()
        .take_while(|line| *line != "}")
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .map(|line| line.split([' ', '(', ',']).next().unwrap().to_owned())
        .collect();
    let untripped: Vec<&String> = variants.difference(&tripped).collect();
    assert_eq!(untripped, ["Folder", "Read", "TooManyLinks", "Unwanted", "Write"]);
}

#[test]
fn nothing_is_unpacked_of_what_is_not_wanted_any_more() {
    for bytes in [zip(&[file("a", b"x")]), tar(&[tars::file("a", b"x")])] {
        let (_place, into) = place();
        let mut archive = tempfile::tempfile().unwrap();
        archive.write_all(&bytes).unwrap();
        let unwanted = Arc::new(AtomicBool::new(true));
        let error = unpack_unless(archive, &into, &LIMITS, unwanted).unwrap_err();
        assert!(matches!(error, UnpackError::Unwanted), "{error}");
        assert_eq!(fs::read_dir(&into).unwrap().count(), 0);
    }
}

#[test]
fn links_whose_targets_fill_megabytes_are_refused() {
    // Each is as long as one may be, and together they have a little more than four megabytes.
    let target = "x".repeat(2048);
    let each = |at: usize| {
        [
            long(b'K', target.as_bytes()),
            tar_link(&format!("{at}"), b'2', ""),
        ]
        .concat()
    };
    let entries: Vec<Vec<u8>> = (0..2048).map(each).collect();
    let limits = Limits {
        entries: 5000,
        ..LIMITS
    };
    let (_place, into) = place();
    let mut archive = tempfile::tempfile().unwrap();
    archive.write_all(&tar(&entries)).unwrap();
    let error = unpack(archive, &into, &limits).unwrap_err();
    assert!(matches!(error, UnpackError::TooManyLinks { .. }), "{error}");
    assert_eq!(fs::read_dir(&into).unwrap().count(), 0, "links are made last");
}

#[test]
fn what_is_no_archive_is_explained() {
    for (what, bytes, expected, _) in other_artifacts() {
        let advice = refused(what, &bytes).advice().unwrap();
        let says = match expected {
            "CloneReference" => "CODE_ZIP",
            _ => "zip",
        };
        assert!(advice.contains(says), "{what}: {advice}");
    }
}
