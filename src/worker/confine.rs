//! What a job's slipway.toml may name: files of its own artifacts, and nothing else of the worker's machine.

use crate::config::settings::{DefinitionsSource, Settings};
use crate::failure::{Failure, Kind};
use std::io;
use std::path::{Component, Path, PathBuf};

/// Refuses settings that name a file outside of the folder: whoever may push a commit is not whoever may read the
/// worker's disk.
///
/// # Errors
/// Every path that leaves the folder.
pub fn check(settings: &Settings, folder: &Path) -> Result<(), Failure> {
    let mut named: Vec<(String, &Path)> = Vec::new();
    for image in &settings.images {
        named.push((format!("image.{}.context", image.name), &image.context));
        named.push((format!("image.{}.dockerfile", image.name), &image.dockerfile));
    }
    for service in &settings.services {
        let file = service.task_definition.as_deref();
        named.extend(file.map(|file| (format!("service.{}.task-definition", service.name), file)));
    }
    for task in &settings.tasks {
        let file = task.task_definition.as_deref();
        named.extend(file.map(|file| (format!("task.{}.task-definition", task.name), file)));
    }
    if let DefinitionsSource::File(file) = &settings.deploy.source {
        named.push(("deploy.imagedefinitions".to_owned(), file));
    }
    for (what, file) in settings.outputs.files() {
        named.push((format!("output ({what})"), file));
    }
    let problems: Vec<String> = named
        .into_iter()
        .filter(|(_, path)| !is_inside(path, folder))
        .map(|(key, _)| format!("{key}: names a path outside of the input artifacts"))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(
        Failure::new(Kind::Usage, "slipway.toml names files that are not the job's own")
            .problems(problems)
            .left("nothing was done")
            .hint("a worker reads files of the input artifacts only: use relative paths below their root"),
    )
}

/// Reads a file that a setting names, if it is inside of the folder.
///
/// # Errors
/// The file system's, or a refusal.
pub fn read(path: &Path, folder: &Path, read: impl Fn(&Path) -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    if is_inside(path, folder) {
        return read(path);
    }
    let what = "it is outside of the input artifacts";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
}

/// Whether a path is in a folder, links followed as far as they exist.
fn is_inside(path: &Path, folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else {
        return false;
    };
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(component),
        }
        // What does not exist yet leads nowhere else.
        match plain.canonicalize() {
            Ok(real) => plain = real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return false,
        }
    }
    plain.starts_with(folder)
}

#[cfg(test)]
mod tests {
    use super::is_inside;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_is_inside_whatever_it_is_written_like() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("input");
        fs::create_dir_all(folder.join("services/web")).unwrap();
        fs::write(root.path().join("secret"), "").unwrap();
        symlink("/etc", folder.join("out")).unwrap();
        symlink("services", folder.join("in")).unwrap();
        for (path, inside) in [
            ("", true),
            ("services/web", true),
            ("services/web/../../new/file", true),
            ("in/web", true),
            ("../secret", false),
            ("services/../../secret", false),
            ("out/passwd", false),
            ("out/../secret", false),
            ("/etc/passwd", false),
        ] {
            assert_eq!(is_inside(&folder.join(path), &folder), inside, "{path}");
        }
    }
}
