//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a file was not written or not removed; whatever was there before is still there, whole.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The path has no file name: `/`, `..`.
    #[error("`{}` names no file", path.display())]
    NoFileName {
        /// The path.
        path: PathBuf,
    },
    /// A folder has the file's name.
    #[error("`{}` is a folder, a file is to be written there", path.display())]
    IsFolder {
        /// The path.
        path: PathBuf,
    },
    /// The folder is missing, or is no folder.
    #[error("the folder `{}` does not exist", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// No file can be made in the folder.
    #[error("cannot create a file in `{}`", folder.display())]
    CreateIn {
        /// The folder.
        folder: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The disk is full, or the quota is used up.
    #[error("no space left to write `{}`", path.display())]
    NoSpace {
        /// The path.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The bytes could not be written, made durable or put in place.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A stale file could not be removed.
    #[error("cannot remove the old `{}`", path.display())]
    Remove {
        /// The path.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// Writes a file so that a reader sees the old content or the whole new one, also after a power cut: a temporary file
/// in the same folder, made durable, then renamed. A symbolic link at the path is replaced, not followed.
///
/// # Errors
/// [`WriteError`]; no temporary file is left then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_with(path, |file| file.write_all(bytes))
}

fn write_with(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), WriteError> {
    let folder = folder_of(path)?;
    let mut file = temporary_in(folder)?;
    let filled = fill(file.as_file_mut()).and_then(|()| file.as_file().sync_all());
    filled.map_err(|source| refuse_write(path, source))?;
    file.persist(path)
        .map_err(|error| refuse_write(path, error.error))?;
    // The rename itself is durable only once the folder is.
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| refuse_write(path, source))?;
    Ok(())
}

/// Finds out whether [`write_atomically`] could write here, by making a temporary file in the folder and removing it.
///
/// # Errors
/// The [`WriteError`] that writing would end with.
pub fn check_target(path: &Path) -> Result<(), WriteError> {
    temporary_in(folder_of(path)?).map(drop)
}

/// Removes a file that an earlier run left; says whether there was one.
///
/// # Errors
/// [`WriteError::IsFolder`], [`WriteError::Remove`].
pub fn remove_stale(path: &Path) -> Result<bool, WriteError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(_) if path.is_dir() => Err(WriteError::IsFolder {
            path: path.to_owned(),
        }),
        Err(source) => Err(WriteError::Remove {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The folder of a file that may be written there.
fn folder_of(path: &Path) -> Result<&Path, WriteError> {
    if path.file_name().is_none() {
        return Err(WriteError::NoFileName {
            path: path.to_owned(),
        });
    }
    if path.is_dir() {
        return Err(WriteError::IsFolder {
            path: path.to_owned(),
        });
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if folder.is_dir() {
        Ok(folder)
    } else {
        Err(WriteError::NoFolder {
            folder: folder.to_owned(),
        })
    }
}

fn temporary_in(folder: &Path) -> Result<tempfile::NamedTempFile, WriteError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".slipway-");
    #[cfg(unix)]
    let mode = {
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is private by default; these are read by later steps, under the caller's umask.
        fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(mode);
    builder
        .tempfile_in(folder)
        .map_err(|source| WriteError::CreateIn {
            folder: folder.to_owned(),
            source,
        })
}

fn refuse_write(path: &Path, source: io::Error) -> WriteError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::NoSpace { path, source },
        _ => WriteError::Write { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::{WriteError, check_target, remove_stale, write_atomically, write_with};
    use std::fs;
    use std::io::{self, Write};
    use std::path::Path;

    fn names_in(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_and_others_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        write_atomically(&path, b"a longer first version").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names_in(folder.path()), ["out.json"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let plain = folder.path().join("plain");
            fs::write(&plain, b"").unwrap();
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(
                mode(&path),
                mode(&plain),
                "the mode that the umask gives any file"
            );
        }
    }

    #[test]
    fn a_disk_that_fills_up_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        fs::write(&path, b"old").unwrap();
        let error = write_with(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(matches!(error, WriteError::NoSpace { .. }));
        assert_eq!(
            error.to_string(),
            format!("no space left to write `{}`", path.display())
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names_in(folder.path()), ["out.json"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_systems_own_full_disk_error_is_recognised() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_with(&folder.path().join("out.json"), |_| {
            fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")?
                .write_all(b"x")
        });
        assert!(matches!(error, Err(WriteError::NoSpace { .. })));
        assert_eq!(names_in(folder.path()), [""; 0]);
    }

    #[test]
    fn a_target_that_cannot_be_written_says_why_before_anything_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing/out.json");
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        for (path, says) in [
            (
                folder.path().to_owned(),
                "is a folder, a file is to be written there",
            ),
            (missing, "does not exist"),
            (file.join("out.json"), "does not exist"),
            ("/".into(), "names no file"),
        ] {
            for result in [check_target(&path), write_atomically(&path, b"x")] {
                let text = result.unwrap_err().to_string();
                assert!(text.contains(says), "{text}");
            }
        }
        check_target(&folder.path().join("out.json")).unwrap();
        assert_eq!(names_in(folder.path()), ["file"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_files_is_named() {
        let error = write_atomically(Path::new("/proc/self/out.json"), b"x").unwrap_err();
        assert_eq!(error.to_string(), "cannot create a file in `/proc/self`");
    }

    #[test]
    fn a_stale_file_is_removed_and_a_missing_one_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("imagedefinitions.json");
        fs::write(&path, b"[]").unwrap();
        assert!(remove_stale(&path).unwrap());
        assert!(!remove_stale(&path).unwrap());
        assert!(!remove_stale(&folder.path().join("missing/x")).unwrap());
        assert!(matches!(
            remove_stale(folder.path()),
            Err(WriteError::IsFolder { .. })
        ));
    }
}
