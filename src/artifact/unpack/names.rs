//! The names of entries: which ones may be written below a folder, and which ones go together.
//!
//! Windows' rules count too: what one reader takes for a name must not be a path for another.

use super::error::UnpackError;
pub use crate::artifact::archive::shown;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The longest name in bytes. Linux takes 4095 with the folder before it.
pub const LONGEST: usize = 2048;

/// The longest part of a name, as the file systems of Linux have it.
const LONGEST_PART: usize = 255;

/// A name that may be written below a folder: parts between single `/`, none of them `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Reads a name as an archive has it. `None` is the folder itself: `./`.
    ///
    /// # Errors
    /// Of [`UnpackError`] the variant that tells what is wrong with it.
    pub fn read(raw: &[u8]) -> Result<Option<Self>, UnpackError> {
        let entry = || shown(raw);
        if raw.is_empty() {
            return Err(UnpackError::NoName);
        }
        if raw.contains(&0) {
            return Err(UnpackError::NulName { entry: entry() });
        }
        let text = std::str::from_utf8(raw).map_err(|_| UnpackError::NotUtf8 { entry: entry() })?;
        if text.contains('\\') || has_drive(text) {
            return Err(UnpackError::WindowsName { entry: entry() });
        }
        if text.starts_with('/') {
            return Err(UnpackError::Absolute { entry: entry() });
        }
        let parts: Vec<&str> = text
            .split('/')
            .filter(|part| !matches!(*part, "" | "."))
            .collect();
        if parts.contains(&"..") {
            return Err(UnpackError::Parent { entry: entry() });
        }
        let name = parts.join("/");
        if name.len() > LONGEST || parts.iter().any(|part| part.len() > LONGEST_PART) {
            return Err(UnpackError::LongName { entry: entry() });
        }
        Ok((!name.is_empty()).then_some(Self(name)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder that it is in, empty for the folder itself, and its last part.
    #[must_use]
    pub fn split(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }
}

/// `C:` at the beginning is a drive of Windows.
fn has_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic())
}

/// A text by which names meet that differ in upper and lower case only.
pub fn folded(name: &str) -> impl Iterator<Item = char> + '_ {
    // By way of upper case, as `ſ` and `s` are one letter there.
    name.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A symbolic link.
    Link,
}

/// What a new name did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// How many names there are more: its own, and those of folders that it implies.
    pub names: u64,
}

/// Every name of an archive so far. Names are kept as hashes: two that are equal always meet, and two that are not do so
/// less than once in a hundred million archives, whose refusal harms nobody.
#[derive(Debug, Default)]
pub struct Names {
    known: BTreeMap<u64, (u64, Kind)>,
    /// The folder of the name before, which need not be looked up again.
    last_folder: String,
}

impl Names {
    /// Adds a name, and the folders that it implies.
    ///
    /// # Errors
    /// [`UnpackError::Twice`], [`UnpackError::Collides`], [`UnpackError::FileAndFolder`], [`UnpackError::ThroughLink`].
    pub fn add(&mut self, name: &Name, kind: Kind) -> Result<Added, UnpackError> {
        let entry = || shown(name.as_str().as_bytes());
        let mut names = 0;
        let (folder, _) = name.split();
        if folder != self.last_folder {
            for (at, _) in folder.match_indices('/').chain([(folder.len(), "")]) {
                let above = &folder[..at];
                if above.is_empty() {
                    continue;
                }
                match self.insert(above, Kind::Folder) {
                    Met::Nobody => names += 1,
                    Met::Same(Kind::Folder) => {}
                    Met::Same(Kind::File) => return Err(UnpackError::FileAndFolder { entry: entry() }),
                    Met::Same(Kind::Link) => return Err(UnpackError::ThroughLink { entry: entry() }),
                    Met::Alike => return Err(UnpackError::Collides { entry: entry() }),
                }
            }
            folder.clone_into(&mut self.last_folder);
        }
        match (self.insert(name.as_str(), kind), kind) {
            (Met::Nobody, _) => Ok(Added { names: names + 1 }),
            // Many archives name a folder after what is in it, or twice.
            (Met::Same(Kind::Folder), Kind::Folder) => Ok(Added { names }),
            (Met::Same(Kind::Folder), _) | (Met::Same(_), Kind::Folder) => {
                Err(UnpackError::FileAndFolder { entry: entry() })
            }
            (Met::Same(_), _) => Err(UnpackError::Twice { entry: entry() }),
            (Met::Alike, _) => Err(UnpackError::Collides { entry: entry() }),
        }
    }

    /// What a name stands for, if it is known.
    #[must_use]
    pub fn kind(&self, name: &Name) -> Option<Kind> {
        let (alike, exact) = hashes(name.as_str());
        self.known
            .get(&alike)
            .filter(|known| known.0 == exact)
            .map(|known| known.1)
    }

    fn insert(&mut self, name: &str, kind: Kind) -> Met {
        let (alike, exact) = hashes(name);
        match self.known.get(&alike) {
            None => {
                self.known.insert(alike, (exact, kind));
                Met::Nobody
            }
            Some((known, kind)) if *known == exact => Met::Same(*kind),
            Some(_) => Met::Alike,
        }
    }
}

/// Whom a new name met.
enum Met {
    Nobody,
    Same(Kind),
    Alike,
}

fn hashes(name: &str) -> (u64, u64) {
    let (mut alike, mut exact) = (DefaultHasher::new(), DefaultHasher::new());
    for char in folded(name) {
        char.hash(&mut alike);
    }
    name.hash(&mut exact);
    (alike.finish(), exact.finish())
}

#[cfg(test)]
mod tests {
    use super::{Kind, Name, Names, shown};
    use crate::artifact::unpack::UnpackError;

    fn variant(error: &UnpackError) -> String {
        let debug = format!("{error:?}");
        debug.split([' ', '{']).next().unwrap().to_owned()
    }

    #[test]
    fn a_name_is_tidied_or_refused() {
        let long = "x/".repeat(1025) + "y";
        let part = "x".repeat(256);
        for (raw, expected) in [
            (&b"a"[..], Ok("a")),
            (b"a/b/", Ok("a/b")),
            (b"./a//b/./c", Ok("a/b/c")),
            (b"ab:c", Ok("ab:c")),
            (b"1:b", Ok("1:b")),
            (b"..a/b..", Ok("..a/b..")),
            (b"a\nb", Ok("a\nb")),
            (b"./", Ok("")),
            (b"", Err("NoName")),
            (b"a\0b", Err("NulName")),
            (b"\xff", Err("NotUtf8")),
            (b"..", Err("Parent")),
            (b"../a", Err("Parent")),
            (b"a/../../b", Err("Parent")),
            (b"a/..", Err("Parent")),
            (b"/", Err("Absolute")),
            (b"/etc/passwd", Err("Absolute")),
            (b"//host/share", Err("Absolute")),
            (b"C:/a", Err("WindowsName")),
            (b"c:a", Err("WindowsName")),
            (b"a\\b", Err("WindowsName")),
            (b"\\\\host\\share", Err("WindowsName")),
            (long.as_bytes(), Err("LongName")),
            (part.as_bytes(), Err("LongName")),
        ] {
            let read = Name::read(raw).map(|name| name.map_or(String::new(), |name| name.0));
            let read = read.map_err(|error| variant(&error));
            assert_eq!(
                read.as_deref().map_err(String::as_str),
                expected,
                "{}",
                shown(raw)
            );
        }
    }

    #[test]
    fn names_that_do_not_go_together_meet() {
        use Kind::{File, Folder, Link};
        for (first, second, expected) in [
            (("a", File), ("b", File), Ok(1)),
            (("a", File), ("a", File), Err("Twice")),
            (("a", Link), ("a", File), Err("Twice")),
            (("a", File), ("A", File), Err("Collides")),
            (("stra\u{df}e", File), ("STRASSE", File), Err("Collides")),
            (("\u{c9}t\u{e9}", File), ("\u{e9}t\u{c9}", File), Err("Collides")),
            (("\u{212a}", File), ("k", File), Err("Collides")),
            (("a/b", File), ("A/c", File), Err("Collides")),
            (("a", File), ("a/b", File), Err("FileAndFolder")),
            (("a/b", File), ("a", File), Err("FileAndFolder")),
            (("a/b", File), ("a", Link), Err("FileAndFolder")),
            (("a", File), ("a", Folder), Err("FileAndFolder")),
            (("a", Link), ("a/b", File), Err("ThroughLink")),
            (("a", Link), ("a", Folder), Err("FileAndFolder")),
            (("a/b", File), ("a/c", File), Ok(1)),
            (("a/b", File), ("a/c/d/e", File), Ok(3)),
            (("a", Folder), ("a", Folder), Ok(0)),
            (("a/b", File), ("a", Folder), Ok(0)),
        ] {
            let mut names = Names::default();
            let mut add = |(name, kind): (&str, Kind)| {
                let name = Name::read(name.as_bytes()).unwrap().unwrap();
                names.add(&name, kind).map(|added| added.names)
            };
            add(first).unwrap();
            let met = add(second).map_err(|error| variant(&error));
            assert_eq!(
                met.as_ref().map(|names| *names).map_err(String::as_str),
                expected,
                "{first:?} {second:?}"
            );
        }
    }

    #[test]
    fn a_message_shows_a_name_without_its_tricks() {
        assert_eq!(shown(b"a\x1b[2J\n\xff"), "a\\u{1b}[2J\\n\u{fffd}");
        assert_eq!(shown("x".repeat(300).as_bytes()).len(), 203);
    }
}
