//! Archives that are as they should be, in every form.

use super::tars::{entry, gzip, header, link as tar_link, long, pax, tar};
use super::zips::{self, Entry, Local, crc, deflate, file, length, link, of_mode, wide_extra, zip, zip64};
use super::{described, place, tars, unpack_bytes};
use slipway::artifact::archive::{Content, Entry as Packed, pack_into};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Everything below a folder: path, mode, and content or target.
fn tree(folder: &Path) -> Vec<(String, u32, String)> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(here) = left.pop() {
        for entry in fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let mode = metadata.permissions().mode() & 0o7777;
            if metadata.is_dir() {
                found.push((name + "/", mode, String::new()));
                left.push(path);
            } else if metadata.is_symlink() {
                found.push((name, 0, fs::read_link(path).unwrap().to_str().unwrap().to_owned()));
            } else {
                found.push((name, mode, fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn unpacked(bytes: &[u8]) -> Vec<(String, u32, String)> {
    let (_place, into) = place();
    let unpacked = unpack_bytes(bytes, &into).unwrap();
    let tree = tree(&into);
    let files = tree.iter().filter(|(name, _, _)| !name.ends_with('/'));
    assert_eq!(unpacked.files, files.count() as u64);
    tree
}

fn expect(bytes: &[u8], expected: &[(&str, u32, &str)]) {
    let tree = unpacked(bytes);
    let tree: Vec<(&str, u32, &str)> = tree
        .iter()
        .map(|(name, mode, content)| (name.as_str(), *mode, content.as_str()))
        .collect();
    assert_eq!(tree, expected);
}

#[test]
fn a_zip_is_unpacked_with_modes_and_links() {
    let packed = |entry: Entry| Entry { method: 8, ..entry };
    expect(
        &zip(&[
            packed(of_mode("bin/run", b"#!/bin/sh", 0o104_755)),
            file("./plain", b"text"),
            of_mode("secret", b"x", 0o100_600),
            of_mode("unreadable", b"x", 0o100_000),
            of_mode("no-mode", b"x", 0),
            of_mode("shared/", b"", 0o041_777),
            of_mode("closed/", b"", 0o040_500),
            packed(of_mode("closed/file", b"x", 0o100_444)),
            link("link", "bin/../plain"),
            link("bin/up", "../plain"),
            link("loop", "loop"),
            file("\u{fc}mlaut", b""),
        ]),
        &[
            ("bin/", 0o755, ""),
            ("bin/run", 0o755, "#!/bin/sh"),
            ("bin/up", 0, "../plain"),
            ("closed/", 0o700, ""),
            ("closed/file", 0o444, "x"),
            ("link", 0, "bin/../plain"),
            ("loop", 0, "loop"),
            ("no-mode", 0o644, "x"),
            ("plain", 0o644, "text"),
            ("secret", 0o600, "x"),
            ("shared/", 0o777, ""),
            ("unreadable", 0o400, "x"),
            ("\u{fc}mlaut", 0o644, ""),
        ],
    );
    expect(&zip(&[]), &[]);
}

#[test]
fn sizes_may_follow_the_data_in_every_form() {
    let data = b"hello hello hello";
    let packed = length(&deflate(data));
    let entry = Entry {
        method: 8,
        ..file("a", data)
    };
    let narrow = [
        crc(data).to_le_bytes(),
        packed.to_le_bytes(),
        length(data).to_le_bytes(),
    ]
    .concat();
    let wide = [
        crc(data).to_le_bytes().to_vec(),
        u64::from(packed).to_le_bytes().to_vec(),
        (data.len() as u64).to_le_bytes().to_vec(),
    ]
    .concat();
    for after in [narrow, wide] {
        for mark in [&b"PK\x07\x08"[..], b""] {
            let after = [mark, &after].concat();
            let zip = zip(&[described(entry.clone(), after), file("b", b"x")]);
            expect(&zip, &[("a", 0o644, "hello hello hello"), ("b", 0o644, "x")]);
        }
    }
}

#[test]
fn numbers_of_64_bits_are_understood_wherever_they_are() {
    let data = b"hello";
    let wide = Entry {
        size: Some(u32::MAX),
        compressed: Some(u32::MAX),
        extra: wide_extra(&[5, 5]),
        local: Local {
            extra: wide_extra(&[5, 5]),
            ..Local::default()
        },
        ..file("a", data)
    };
    for zip in [
        zip(std::slice::from_ref(&wide)),
        zip64(&[wide], 1),
        zip64(&[file("a", data)], 1),
    ] {
        expect(&zip, &[("a", 0o644, "hello")]);
    }
    let at = Entry {
        offset: Some(u32::MAX),
        extra: wide_extra(&[0]),
        ..file("a", data)
    };
    expect(&zip64(&[at], 1), &[("a", 0o644, "hello")]);
}

#[test]
fn a_tar_archive_is_unpacked_in_all_its_dialects() {
    let name = "d/".repeat(40) + "long name";
    let old = tars::Header {
        magic: [0; 8],
        ..header("old", 0, 1)
    };
    let binary_size = tars::Header {
        size: b"\x80\0\0\0\0\0\0\0\0\0\0\x02".to_vec(),
        ..header("big", b'0', 0)
    };
    let setuid = tars::Header {
        mode: 0o6755,
        ..header("run", b'0', 0)
    };
    let archive = tar(&[
        [old.bytes(), tars::padded(b"1")].concat(),
        [binary_size.bytes(), tars::padded(b"22")].concat(),
        setuid.bytes(),
        entry("./", b'5', b""),
        entry("e/", b'5', b""),
        entry("f/", 0, b""),
        pax(b'g', &[("comment", "abc")]),
        pax(b'x', &[("path", "pax \u{fc}"), ("size", "3"), ("mtime", "1.5")]),
        [header("short", b'0', 0).bytes(), tars::padded(b"333")].concat(),
        tar_link("link", b'2', "old"),
        tar_link("hard", b'1', "./old"),
        tar_link("hard to a link", b'1', "link"),
        long(b'K', b"e/../old"),
        tar_link("long link", b'2', "x"),
    ]);
    let expected = [
        ("big", 0o644, "22"),
        ("e/", 0o744, ""),
        ("f/", 0o744, ""),
        ("hard", 0o644, "1"),
        ("hard to a link", 0, "old"),
        ("link", 0, "old"),
        ("long link", 0, "e/../old"),
        ("old", 0o644, "1"),
        ("pax \u{fc}", 0o644, "333"),
        ("run", 0o755, ""),
    ];
    expect(&archive, &expected);
    expect(&gzip(&archive), &expected);
    // As `cat a.gz b.gz` makes one file of two.
    let (one, other) = archive.split_at(1000);
    expect(&[gzip(one), gzip(other)].concat(), &expected);
    let deep = tar(&[long(b'L', name.as_bytes()), tars::file("short", b"x")]);
    assert_eq!(unpacked(&deep).last().unwrap().0, name);
}

#[test]
fn a_hard_link_is_one_file_of_two_names() {
    let (_place, into) = place();
    let archive = tar(&[tars::file("a", b"x"), tar_link("d/b", b'1', "a")]);
    unpack_bytes(&archive, &into).unwrap();
    let inode = |name: &str| fs::metadata(into.join(name)).unwrap().ino();
    assert_eq!(inode("a"), inode("d/b"));
}

#[test]
fn what_is_packed_is_unpacked_as_it_was() {
    let (_place, from) = place();
    let long = from.join("long");
    let text = "a line of text, and another one\n".repeat(100_000);
    fs::write(&long, &text).unwrap();
    let noise = super::noise(300_000);
    let entries = |reverse: bool| {
        let mut entries = vec![
            Packed {
                name: "long".to_owned(),
                content: Content::File(long.clone()),
                mode: 0o755,
            },
            Packed {
                name: "d/noise".to_owned(),
                content: Content::Bytes(noise.clone()),
                mode: 0o600,
            },
            Packed {
                name: "\u{fc}".to_owned(),
                content: Content::Bytes(b"x".to_vec()),
                mode: 0o644,
            },
            Packed {
                name: "empty".to_owned(),
                content: Content::Bytes(Vec::new()),
                mode: 0o100_640,
            },
        ];
        if reverse {
            entries.reverse();
        }
        entries
    };
    let zip = pack_into(entries(false), Vec::new()).unwrap();
    assert_eq!(zip, pack_into(entries(true), Vec::new()).unwrap());
    let (_place, into) = place();
    let unpacked = unpack_bytes(&zip, &into).unwrap();
    assert_eq!((unpacked.files, unpacked.bytes), (4, text.len() as u64 + 300_001));
    assert_eq!(fs::read_to_string(into.join("long")).unwrap(), text);
    assert_eq!(fs::read(into.join("d/noise")).unwrap(), noise);
    let mode = |name: &str| fs::metadata(into.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(
        ["long", "d/noise", "\u{fc}", "empty"].map(mode),
        [0o755, 0o600, 0o644, 0o640]
    );
    assert_eq!(zips::crc(&zip), 0x238d_eccb, "the bytes of every machine");
}

#[test]
fn every_name_is_packed_as_it_is() {
    let mut names = [
        "a:b",
        "a/./b",
        "a\\b",
        "b~",
        "\u{fc}",
        "\u{fc}/../c",
        "\u{fc}:1",
        "\u{fc}\\1",
        "\u{fc}~",
    ];
    names.sort_unstable();
    let entries = names.map(|name| Packed {
        name: name.to_owned(),
        content: Content::Bytes(name.into()),
        mode: 0o644,
    });
    let bytes = pack_into(entries.to_vec(), Vec::new()).unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    for (at, name) in names.iter().enumerate() {
        let mut entry = zip.by_index(at).unwrap();
        let mut content = String::new();
        std::io::Read::read_to_string(&mut entry, &mut content).unwrap();
        assert_eq!((entry.name().unwrap().as_ref(), content.as_str()), (*name, *name));
    }
}
