//! Good, odd, damaged and hostile artifacts.

use super::{ArchiveError, find_definitions, pack};
use crate::artifact::imagedefinitions::MAX_BYTES;
use proptest::prelude::*;
use std::error::Error;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fn find(bytes: &[u8]) -> Result<Vec<u8>, ArchiveError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    find_definitions(&file)
}

fn refusal(bytes: &[u8]) -> String {
    find(bytes).unwrap_err().to_string()
}

/// The entry as it lies in the zip's directory and in its own header, with `patch` applied to both.
fn tampered(zip: &[u8], patch: impl Fn(&mut [u8], usize)) -> Vec<u8> {
    let mut zip = zip.to_vec();
    let local = 0;
    let central = zip.windows(4).position(|at| at == b"PK\x01\x02").unwrap();
    // The directory's record has two bytes ("version made by") more before the fields that both have.
    patch(&mut zip[local..], 4);
    patch(&mut zip[central..], 6);
    zip
}

#[test]
fn a_file_at_the_root_of_a_zip_is_found_and_so_is_a_bare_one() {
    let zip = pack(&[
        ("imagedefinitions.json", b"[1]"),
        ("other/imagedefinitions.json", b"[2]"),
    ])
    .unwrap();
    assert_eq!(find(&zip).unwrap(), b"[1]");
    for bare in [
        &b"[]"[..],
        b"{\"ImageURI\":\"x\"}",
        b"",
        b"\xef\xbb\xbf[]",
        b"plain",
    ] {
        assert_eq!(
            find(bare).unwrap(),
            bare,
            "its own checks speak of what is wrong with it"
        );
    }
}

#[test]
fn a_zip_without_the_file_says_where_a_like_one_is() {
    for (name, says) in [
        (
            "readme",
            "it is a zip without `imagedefinitions.json` at its root",
        ),
        (
            "out/imagedefinitions.json",
            "it is a zip with `out/imagedefinitions.json`, and `imagedefinitions.json` must be at its root",
        ),
        (
            "../imagedefinitions.json",
            "it is a zip with `../imagedefinitions.json`, and `imagedefinitions.json` must be at its root",
        ),
        (
            "/imagedefinitions.json",
            "it is a zip with `/imagedefinitions.json`, and `imagedefinitions.json` must be at its root",
        ),
    ] {
        assert_eq!(refusal(&pack(&[(name, b"[]")]).unwrap()), says);
    }
    assert_eq!(
        refusal(&pack(&[]).unwrap()),
        "it is a zip without `imagedefinitions.json` at its root"
    );
}

#[test]
fn a_folder_or_a_link_of_that_name_is_no_file() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer
        .add_directory("imagedefinitions.json", SimpleFileOptions::default())
        .unwrap();
    let zip = writer.finish().unwrap().into_inner();
    assert_eq!(
        refusal(&zip),
        "`imagedefinitions.json` in the zip is a folder, a file is expected"
    );
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer
        .add_symlink(
            "imagedefinitions.json",
            "/etc/passwd",
            SimpleFileOptions::default(),
        )
        .unwrap();
    let zip = writer.finish().unwrap().into_inner();
    assert_eq!(
        refusal(&zip),
        "`imagedefinitions.json` in the zip is a symbolic link, a file is expected"
    );
}

#[test]
fn other_artifacts_are_named() {
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert_eq!(
        refusal(&tar),
        "it is a tar archive; a zip or the file itself is expected"
    );
    assert_eq!(
        refusal(&[0x1f, 0x8b, 8]),
        "it is a gzip file; a zip or the file itself is expected"
    );
    let clone =
        br#"{"ConnectionArn":"arn:aws:x","FullRepositoryId":"a/b","CommitId":"1","BranchName":"main"}"#;
    let error = find(clone).unwrap_err();
    assert!(matches!(error, ArchiveError::CloneReference));
    assert!(error.advice().unwrap().contains("CODE_ZIP"));
}

#[test]
fn a_long_file_is_refused_whatever_the_zip_declares() {
    let long = vec![b' '; 50 * MAX_BYTES];
    let zip = pack(&[("imagedefinitions.json", &long)]).unwrap();
    let says = "`imagedefinitions.json` in the zip has 5120000 bytes or more, 102400 are allowed";
    assert_eq!(refusal(&zip), says);
    let lying = tampered(&zip, |header, base| {
        header[base + 18..base + 22].copy_from_slice(&[9, 0, 0, 0]);
    });
    let error = find(&lying).unwrap_err();
    assert!(
        matches!(
            error,
            ArchiveError::TooLong { .. } | ArchiveError::WrongSize { .. } | ArchiveError::BadZip(_)
        ),
        "{error:?}"
    );
}

#[test]
fn an_encrypted_or_oddly_compressed_entry_is_refused() {
    let zip = pack(&[("imagedefinitions.json", b"[]")]).unwrap();
    let encrypted = tampered(&zip, |header, base| header[base + 2] |= 1);
    assert_eq!(
        refusal(&encrypted),
        "`imagedefinitions.json` in the zip is encrypted"
    );
    let odd = tampered(&zip, |header, base| header[base + 4] = 12);
    assert_eq!(
        refusal(&odd),
        "`imagedefinitions.json` in the zip is compressed by a method that is not known"
    );
}

#[test]
fn a_name_that_is_there_twice_is_refused() {
    let zip = pack(&[
        ("imagedefinitions.json", b"[]"),
        ("imagedefinitions.jsoX", b"[1]"),
    ])
    .unwrap();
    let twin: Vec<u8> = zip
        .iter()
        .map(|&byte| if byte == b'X' { b'n' } else { byte })
        .collect();
    assert_eq!(refusal(&twin), "it is a zip that has the same file name twice");
}

#[test]
fn damage_is_noticed() {
    let zip = pack(&[("imagedefinitions.json", b"[\"some text to damage\"]")]).unwrap();
    let cut = find(&zip[..zip.len() - 30]).unwrap_err();
    assert!(matches!(cut, ArchiveError::BadZip(_)) && cut.source().is_some());
    let at = zip.windows(4).position(|at| at == b"json").unwrap() + 8;
    let mut flipped = zip;
    flipped[at] ^= 0x10;
    assert!(find(&flipped).is_err());
}

#[test]
fn the_same_files_give_the_same_bytes_in_any_order() {
    let [a, b]: [(&str, &[u8]); 2] = [("a", b"1"), ("b", b"2")];
    assert_eq!(pack(&[a, b]).unwrap(), pack(&[b, a]).unwrap());
    assert!(matches!(pack(&[a, a]), Err(ArchiveError::Pack(_))));
    let zip = pack(&[a]).unwrap();
    assert_eq!(
        zip[10..14],
        [0, 0, 0x21, 0],
        "1980-01-01, the earliest time that a zip can say"
    );
}

#[test]
fn a_stored_entry_is_read_too() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    writer.start_file("imagedefinitions.json", options).unwrap();
    writer.write_all(b"[]").unwrap();
    assert_eq!(find(&writer.finish().unwrap().into_inner()).unwrap(), b"[]");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_packed_is_found_and_damage_never_panics(
        content in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut zip = pack(&[("imagedefinitions.json", &content), ("z", b"z")]).unwrap();
        prop_assert_eq!(find(&zip).unwrap(), content.clone());
        let at = at.index(zip.len());
        zip[at] ^= flip;
        if let Ok(read) = find(&zip) {
            // Damage may fall on a field that does not matter, or make the zip no zip at all.
            prop_assert!(read == content || !zip.starts_with(b"PK\x03\x04"));
        }
    }
}
