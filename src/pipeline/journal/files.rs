//! Files of the state directory: nobody else reads them, and each is there whole, or as it was before.

use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// Writes a file by the name of its half, so that it is there whole, or as it was before; also after a power cut.
pub(crate) fn write_whole(half: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = private()
        .create(true)
        .truncate(true)
        .open(half)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(half, path)?;
            path.parent().map_or(Ok(()), sync)
        });
    if written.is_err() {
        let _ = fs::remove_file(half);
    }
    written
}

/// Whether what was found was last changed so long ago.
pub(crate) fn is_older(found: &DirEntry, than: Duration) -> bool {
    let age = found.metadata().and_then(|about| about.modified()).ok();
    let age = age.and_then(|modified| modified.elapsed().ok());
    age.is_some_and(|age| age > than)
}

/// Opens a file that nobody else may read, for reading and writing.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a folder that nobody else may enter.
pub(crate) fn make_folder(path: &Path, may_exist: bool) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(may_exist);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// A rename is durable only once its folder is.
#[cfg(unix)]
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether an open file is the one that has this name now.
#[cfg(unix)]
pub(crate) fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Whether there is a file of this name.
#[cfg(not(unix))]
pub(crate) fn same_file(_: &File, path: &Path) -> bool {
    path.exists()
}
