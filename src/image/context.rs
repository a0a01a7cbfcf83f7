//! What of a context folder is sent to the builder, in which order and with which headers.
//!
//! The same files give the same tar stream on every machine: entries are in the order of their names, owners are
//! dropped, times are whole seconds, as the Docker command line sends them.

use super::ignore::IgnoreRules;
use crate::name::Digest;
use std::collections::BTreeSet;

/// One thing that the walk found, before any rule is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path below the context, with `/` between components; kept as bytes, since no encoding is promised.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: FoundKind,
    /// Permission bits, with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// Time of the last change of content, in whole seconds since the Unix epoch.
    pub modified: i64,
}

/// What the walk found at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundKind {
    /// A folder.
    Folder,
    /// A file of so many bytes.
    File(u64),
    /// A symbolic link and its target, which is never followed.
    Link(Vec<u8>),
    /// A named pipe; its header is sent, its content is not read.
    Fifo,
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A socket; tar has no word for one, and Docker leaves them out.
    Socket,
}

/// The numbers of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// The Dockerfile, as the builder finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfilePlace {
    /// A path below the context.
    Inside(Vec<u8>),
    /// Its content; it lies elsewhere and is added to the context.
    Outside(Vec<u8>),
}

/// One entry of the tar stream; owner and group are 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the stream.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    /// Seconds since the Unix epoch; a time before it is sent as 0.
    pub modified: u64,
}

/// What a tar entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file of so many bytes, read from the context when its turn comes.
    File(u64),
    /// A file whose content is at hand.
    Content(Vec<u8>),
    /// A symbolic link and its target.
    Link(Vec<u8>),
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextPlan {
    /// The entries, in their order.
    pub entries: Vec<Entry>,
    /// The Dockerfile's path in the stream.
    pub dockerfile: Vec<u8>,
}

/// The name of the ignore file at a context's root.
pub const IGNORE_FILE: &str = ".dockerignore";

/// The path as the ignore rules see it; bytes that are no UTF-8 count as one unknown character.
#[must_use]
pub fn matchable(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The rules with the builder's own files brought back: the Dockerfile and `.dockerignore` are always sent.
#[must_use]
pub fn with_builder_files(mut rules: IgnoreRules, dockerfile: &DockerfilePlace) -> IgnoreRules {
    rules.keep(IGNORE_FILE);
    if let DockerfilePlace::Inside(path) = dockerfile {
        rules.keep(&matchable(path));
    }
    rules
}

/// Applies the rules to what was found. An ignored folder is sent all the same when something below it is, so that it
/// keeps its mode.
#[must_use]
pub fn plan(mut found: Vec<Found>, rules: &IgnoreRules, dockerfile: DockerfilePlace) -> ContextPlan {
    found.retain(|one| one.kind != FoundKind::Socket);
    let mut wanted = BTreeSet::new();
    for one in &found {
        if !rules.ignores(&matchable(&one.path)) {
            wanted.extend(with_parents(&one.path).map(<[u8]>::to_vec));
        }
    }
    let mut entries: Vec<Entry> = found
        .into_iter()
        .filter(|one| wanted.contains(&one.path))
        .filter_map(entry)
        .collect();
    let dockerfile = match dockerfile {
        DockerfilePlace::Inside(path) => path,
        DockerfilePlace::Outside(content) => {
            let added = outside_dockerfile(content, &entries);
            let path = added.path.clone();
            entries.push(added);
            path
        }
    };
    entries.sort_by(|a, b| components(&a.path).cmp(components(&b.path)));
    ContextPlan { entries, dockerfile }
}

/// A Dockerfile from elsewhere, under a name that depends on its content alone and that no entry has.
fn outside_dockerfile(content: Vec<u8>, entries: &[Entry]) -> Entry {
    let mut path = format!(".dockerfile.{}", Digest::of(&content).short()).into_bytes();
    while entries.iter().any(|entry| entry.path == path) {
        path.push(b'_');
    }
    Entry {
        path,
        kind: EntryKind::Content(content),
        mode: 0o644,
        modified: 0,
    }
}

fn entry(found: Found) -> Option<Entry> {
    let kind = match found.kind {
        FoundKind::Folder => EntryKind::Folder,
        FoundKind::File(size) => EntryKind::File(size),
        FoundKind::Link(target) => EntryKind::Link(target),
        FoundKind::Fifo => EntryKind::Fifo,
        FoundKind::CharDevice(device) => EntryKind::CharDevice(device),
        FoundKind::BlockDevice(device) => EntryKind::BlockDevice(device),
        FoundKind::Socket => return None,
    };
    Some(Entry {
        path: found.path,
        kind,
        mode: found.mode & 0o7777,
        modified: u64::try_from(found.modified).unwrap_or(0),
    })
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

/// The path, and every folder above it.
fn with_parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| &path[..at]);
    slashes.chain(std::iter::once(path))
}

#[cfg(test)]
mod tests {
    use super::{
        Device, DockerfilePlace, Entry, EntryKind, Found, FoundKind, IgnoreRules, plan, with_builder_files,
    };

    fn found(path: &str, kind: FoundKind) -> Found {
        Found {
            path: path.as_bytes().to_vec(),
            kind,
            mode: 0o644,
            modified: 1_700_000_000,
        }
    }

    fn file(path: &str) -> Found {
        found(path, FoundKind::File(1))
    }

    fn folder(path: &str) -> Found {
        found(path, FoundKind::Folder)
    }

    fn inside(path: &str) -> DockerfilePlace {
        DockerfilePlace::Inside(path.as_bytes().to_vec())
    }

    fn paths(entries: &[Entry]) -> Vec<String> {
        entries
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
            .collect()
    }

    fn planned(ignore: &str, found: Vec<Found>, dockerfile: &str) -> Vec<String> {
        let rules = with_builder_files(IgnoreRules::parse(ignore).unwrap(), &inside(dockerfile));
        paths(&plan(found, &rules, inside(dockerfile)).entries)
    }

    #[test]
    fn entries_are_in_the_order_of_their_names_whatever_the_walk_gave() {
        let found = vec![
            file("b"),
            file("a-b"),
            file("a/z"),
            folder("a"),
            file("Dockerfile"),
            file("a/b/c"),
            folder("a/b"),
        ];
        assert_eq!(
            planned("", found, "Dockerfile"),
            ["Dockerfile", "a", "a/b", "a/b/c", "a/z", "a-b", "b"]
        );
    }

    #[test]
    fn ignored_files_are_left_out_and_folders_of_kept_files_stay() {
        let found = || {
            vec![
                file("Dockerfile"),
                folder("docs"),
                file("docs/keep"),
                file("docs/drop"),
                folder("empty"),
                file("notes"),
            ]
        };
        assert_eq!(
            planned("docs\n!docs/keep\nnotes", found(), "Dockerfile"),
            ["Dockerfile", "docs", "docs/keep", "empty"]
        );
        assert_eq!(
            planned("*\n!notes", found(), "Dockerfile"),
            ["Dockerfile", "notes"]
        );
    }

    #[test]
    fn the_builder_always_gets_its_own_files() {
        let found = vec![
            file(".dockerignore"),
            folder("build"),
            file("build/Dockerfile"),
            file("x"),
        ];
        assert_eq!(
            planned("**", found, "build/Dockerfile"),
            [".dockerignore", "build", "build/Dockerfile"]
        );
    }

    #[test]
    fn a_dockerfile_from_elsewhere_is_added_under_a_name_of_its_own() {
        let content = b"FROM scratch\n".to_vec();
        let outside = || DockerfilePlace::Outside(content.clone());
        let rules = with_builder_files(IgnoreRules::default(), &outside());
        let first = plan(vec![file("Dockerfile")], &rules, outside());
        let name = String::from_utf8(first.dockerfile.clone()).unwrap();
        assert!(name.starts_with(".dockerfile.") && name.len() == 24, "{name}");
        assert_eq!(paths(&first.entries), [name.as_str(), "Dockerfile"]);
        assert_eq!(first.entries[0].kind, EntryKind::Content(content.clone()));
        let taken = plan(vec![file(&name)], &rules, outside());
        assert_eq!(taken.dockerfile, format!("{name}_").into_bytes());
    }

    #[test]
    fn special_files_are_sent_as_docker_sends_them() {
        let device = Device { major: 1, minor: 3 };
        let found = vec![
            found("fifo", FoundKind::Fifo),
            found("socket", FoundKind::Socket),
            found("null", FoundKind::CharDevice(device)),
            found("link", FoundKind::Link(b"link".to_vec())),
            found("empty", FoundKind::File(0)),
        ];
        let kinds: Vec<EntryKind> = plan(found, &IgnoreRules::default(), inside("Dockerfile"))
            .entries
            .into_iter()
            .map(|entry| entry.kind)
            .collect();
        assert_eq!(
            kinds,
            [
                EntryKind::File(0),
                EntryKind::Fifo,
                EntryKind::Link(b"link".to_vec()),
                EntryKind::CharDevice(device),
            ]
        );
    }

    #[test]
    fn names_stay_bytes_and_times_before_the_epoch_become_the_epoch() {
        let odd = Found {
            path: vec![b'a', 0xff],
            kind: FoundKind::File(3),
            mode: 0o104_755,
            modified: -5,
        };
        let planned = plan(vec![odd], &IgnoreRules::default(), inside("Dockerfile"));
        assert_eq!(
            planned.entries,
            [Entry {
                path: vec![b'a', 0xff],
                kind: EntryKind::File(3),
                mode: 0o4755,
                modified: 0,
            }]
        );
    }
}
