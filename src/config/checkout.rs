//! Which commit and branch a folder's git checkout has, read from its files: no git program is started.

use super::written::Checkout;
use std::fs;
use std::path::{Path, PathBuf};

/// Reads the checkout that a folder lies in; a folder outside git has neither commit nor branch.
#[must_use]
pub fn read(folder: &Path) -> Checkout {
    folder
        .ancestors()
        .find_map(|folder| git_folder(&folder.join(".git")))
        .map_or_else(Checkout::default, |git| read_head(&git))
}

/// The git folder behind `.git`: itself, or where the file of a worktree or submodule points.
fn git_folder(dot_git: &Path) -> Option<PathBuf> {
    if dot_git.is_dir() {
        return Some(dot_git.to_owned());
    }
    let text = fs::read_to_string(dot_git).ok()?;
    let target = text.strip_prefix("gitdir:")?.trim();
    Some(dot_git.parent()?.join(target))
}

fn read_head(git: &Path) -> Checkout {
    let Ok(head) = fs::read_to_string(git.join("HEAD")) else {
        return Checkout::default();
    };
    let head = head.trim();
    match head.strip_prefix("ref:").map(str::trim) {
        Some(reference) => Checkout {
            commit: read_reference(git, reference),
            branch: reference.strip_prefix("refs/heads/").map(str::to_owned),
        },
        None => Checkout {
            commit: Some(head.to_owned()).filter(|head| is_object_name(head)),
            branch: None,
        },
    }
}

/// The commit behind a reference: a file of its own, or a line of `packed-refs`. A worktree keeps both in the common
/// folder that its `commondir` names.
fn read_reference(git: &Path, reference: &str) -> Option<String> {
    let common = fs::read_to_string(git.join("commondir")).ok();
    let common = common.map_or_else(|| git.to_owned(), |path| git.join(path.trim()));
    let loose = [git, &common]
        .into_iter()
        .find_map(|folder| fs::read_to_string(folder.join(reference)).ok());
    let packed = || {
        let text = fs::read_to_string(common.join("packed-refs")).ok()?;
        let line = text
            .lines()
            .find(|line| line.split(' ').nth(1) == Some(reference))?;
        line.split(' ').next().map(str::to_owned)
    };
    loose
        .map(|text| text.trim().to_owned())
        .or_else(packed)
        .filter(|name| is_object_name(name))
}

fn is_object_name(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{Checkout, read};
    use std::fs;
    use std::path::Path;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn write(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn on(branch: Option<&str>) -> Checkout {
        Checkout {
            commit: Some(COMMIT.to_owned()),
            branch: branch.map(str::to_owned),
        }
    }

    #[test]
    fn a_branch_is_found_in_its_file_from_any_folder_below() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".git/HEAD", "ref: refs/heads/feature/login\n");
        write(
            folder.path(),
            ".git/refs/heads/feature/login",
            &format!("{COMMIT}\n"),
        );
        write(folder.path(), "services/web/Dockerfile", "");
        assert_eq!(
            read(&folder.path().join("services/web")),
            on(Some("feature/login"))
        );
    }

    #[test]
    fn a_packed_branch_and_a_detached_head_are_found_too() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".git/HEAD", "ref: refs/heads/main\n");
        let packed = format!("# pack-refs with: peeled\n{COMMIT} refs/heads/main\n");
        write(folder.path(), ".git/packed-refs", &packed);
        assert_eq!(read(folder.path()), on(Some("main")));
        write(folder.path(), ".git/HEAD", COMMIT);
        assert_eq!(read(folder.path()), on(None));
    }

    #[test]
    fn a_worktree_finds_its_branch_in_the_common_folder() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "main/.git/refs/heads/topic", COMMIT);
        write(
            folder.path(),
            "main/.git/worktrees/t/HEAD",
            "ref: refs/heads/topic\n",
        );
        write(folder.path(), "main/.git/worktrees/t/commondir", "../..\n");
        write(folder.path(), "t/.git", "gitdir: ../main/.git/worktrees/t\n");
        assert_eq!(read(&folder.path().join("t")), on(Some("topic")));
    }

    #[test]
    fn a_branch_without_commits_has_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), ".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(read(folder.path()).commit, None);
    }
}
