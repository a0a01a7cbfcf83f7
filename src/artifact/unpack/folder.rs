//! Writing below one folder, whatever the names say: every part of a path is opened by itself, and no link is followed.

use super::names::Name;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// How a folder is opened.
const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How a file is made, where nothing may be before.
const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The mode of folders that have no entry of their own.
const IMPLIED: u32 = 0o755;

/// A folder that is written to.
#[derive(Debug)]
pub struct Folder {
    root: OwnedFd,
    /// The folder that was written to last, and its name.
    last: Option<(String, OwnedFd)>,
}

impl Folder {
    /// Opens a folder that is there.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { root, last: None })
    }

    /// Makes a folder, or gives one that is there its mode. Its owner may always do everything in it, or nothing could be
    /// written there.
    ///
    /// # Errors
    /// The system's.
    pub fn folder(&mut self, name: &Name, mode: u32) -> io::Result<()> {
        let folder = self.reach(name.as_str())?;
        rustix::fs::fchmod(folder, Mode::from_raw_mode(mode | 0o700))?;
        Ok(())
    }

    /// Makes a file; its owner may always read it, or the stage could not.
    ///
    /// # Errors
    /// The system's; also when something of this name is there.
    pub fn file(&mut self, name: &Name, mode: u32) -> io::Result<File> {
        let (folder, last) = name.split();
        let at = self.reach(folder)?;
        let file = rustix::fs::openat(at, last, NEW_FILE, Mode::RUSR | Mode::WUSR)?;
        // Said after it is made, as the umask would take from it.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode | 0o400))?;
        Ok(file.into())
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// The system's; also when something of this name is there.
    pub fn link(&mut self, name: &Name, target: &str) -> io::Result<()> {
        let (folder, last) = name.split();
        let at = self.reach(folder)?;
        rustix::fs::symlinkat(target, at, last)?;
        Ok(())
    }

    /// Makes a second name of a file.
    ///
    /// # Errors
    /// The system's; also when something of this name is there.
    pub fn hard_link(&mut self, name: &Name, target: &Name) -> io::Result<()> {
        let (folder, of) = target.split();
        let from = self.reach(folder)?.try_clone_to_owned()?;
        let (folder, last) = name.split();
        let at = self.reach(folder)?;
        rustix::fs::linkat(from, of, at, last, AtFlags::empty())?;
        Ok(())
    }

    /// Opens a folder below, and makes what is missing on the way.
    fn reach(&mut self, folder: &str) -> io::Result<BorrowedFd<'_>> {
        if folder.is_empty() {
            return Ok(self.root.as_fd());
        }
        if self.last.as_ref().is_none_or(|(name, _)| name != folder) {
            let mut here = None;
            for part in folder.split('/') {
                let above = here.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
                here = Some(step(above, part)?);
            }
            self.last = here.map(|here| (folder.to_owned(), here));
        }
        Ok(self
            .last
            .as_ref()
            .map_or(self.root.as_fd(), |(_, last)| last.as_fd()))
    }
}

fn step(above: BorrowedFd<'_>, part: &str) -> io::Result<OwnedFd> {
    match rustix::fs::openat(above, part, FOLDER, Mode::empty()) {
        Ok(folder) => Ok(folder),
        Err(Errno::NOENT) => {
            rustix::fs::mkdirat(above, part, Mode::RWXU)?;
            let folder = rustix::fs::openat(above, part, FOLDER, Mode::empty())?;
            rustix::fs::fchmod(&folder, Mode::from_raw_mode(IMPLIED))?;
            Ok(folder)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::Folder;
    use crate::artifact::unpack::names::Name;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn name(text: &str) -> Name {
        Name::read(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn what_is_there_is_neither_replaced_nor_followed() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        let folder = &mut Folder::open(inside.path()).unwrap();
        symlink(outside.path(), inside.path().join("door")).unwrap();
        symlink(outside.path().join("new"), inside.path().join("file")).unwrap();
        assert!(folder.file(&name("door/x"), 0o644).is_err());
        assert!(folder.folder(&name("door"), 0o755).is_err());
        assert!(folder.folder(&name("door/y"), 0o755).is_err());
        assert!(folder.file(&name("file"), 0o644).is_err());
        assert!(folder.link(&name("file"), "x").is_err());
        folder.file(&name("a"), 0o644).unwrap();
        assert!(folder.hard_link(&name("door/b"), &name("a")).is_err());
        assert!(folder.hard_link(&name("b"), &name("door/a")).is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
