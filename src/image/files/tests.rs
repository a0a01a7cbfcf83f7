//! The walk and the stream, on real folders.

use super::{CHUNK, Context, ContextError, Sent, survey};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use tokio::sync::mpsc;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

fn look(root: &Path) -> Result<Context, ContextError> {
    survey(root, &root.join("Dockerfile"))
}

/// Streams the context and reads it back: `(path, kind, content or target)`.
fn received(context: &Context) -> (Sent, Vec<(String, tar::EntryType, String)>) {
    let (sender, mut receiver) = mpsc::channel(4);
    let (sent, bytes) = std::thread::scope(|scope| {
        let sent = scope.spawn(move || context.stream(&sender));
        let mut bytes = Vec::new();
        while let Some(chunk) = receiver.blocking_recv() {
            let chunk = chunk.unwrap();
            assert!(chunk.len() <= CHUNK);
            bytes.extend_from_slice(&chunk);
        }
        (sent.join().unwrap().unwrap(), bytes)
    });
    assert_eq!(sent.bytes, bytes.len() as u64);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(
                (entry.header().uid().unwrap(), entry.header().gid().unwrap()),
                (0, 0)
            );
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            if let Some(target) = entry.link_name_bytes() {
                content = String::from_utf8_lossy(&target).into_owned();
            }
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            (path, entry.header().entry_type(), content)
        })
        .collect();
    (sent, entries)
}

fn paths(context: &Context) -> Vec<String> {
    received(context).1.into_iter().map(|(path, ..)| path).collect()
}

#[test]
fn a_context_is_streamed_sorted_and_without_what_is_ignored() {
    let root = folder(&[
        ("Dockerfile", "FROM scratch\n"),
        (".dockerignore", "Dockerfile\nnode_modules\n*.log"),
        ("node_modules/x/index.js", "x"),
        ("a.log", ""),
        ("src/empty", ""),
        ("src/main.c", "int main;"),
    ]);
    let context = look(root.path()).unwrap();
    let (sent, entries) = received(&context);
    let paths: Vec<&str> = entries.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(
        paths,
        [".dockerignore", "Dockerfile", "src/", "src/empty", "src/main.c"]
    );
    assert_eq!(entries[4].2, "int main;");
    assert_eq!(sent.entries, 5);
    assert_eq!(context.dockerfile_name, "Dockerfile");
}

#[test]
fn the_same_context_gives_the_same_bytes() {
    let root = folder(&[("Dockerfile", "FROM scratch\n"), ("b", "2"), ("a/c", "1")]);
    let digest = || {
        let (sender, mut receiver) = mpsc::channel(64);
        look(root.path()).unwrap().stream(&sender).unwrap();
        let mut all = Vec::new();
        while let Ok(chunk) = receiver.try_recv() {
            all.extend_from_slice(&chunk.unwrap());
        }
        crate::name::Digest::of(&all)
    };
    assert_eq!(digest(), digest());
}

#[test]
fn the_dockerfiles_own_ignore_file_wins() {
    let root = folder(&[
        ("Dockerfile", "FROM scratch\n"),
        (".dockerignore", "a"),
        ("Dockerfile.dockerignore", "b"),
        ("a", ""),
        ("b", ""),
    ]);
    let paths = paths(&look(root.path()).unwrap());
    assert_eq!(
        paths,
        [".dockerignore", "Dockerfile", "Dockerfile.dockerignore", "a"]
    );
}

#[test]
fn links_are_never_followed_and_sockets_never_sent() {
    let root = folder(&[("Dockerfile", "FROM scratch\n")]);
    symlink("loop", root.path().join("loop")).unwrap();
    symlink("..", root.path().join("up")).unwrap();
    let _socket = UnixListener::bind(root.path().join("socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let entries = received(&look(root.path()).unwrap()).1;
    let seen: Vec<(&str, tar::EntryType, &str)> = entries
        .iter()
        .skip(1)
        .map(|(path, kind, target)| (path.as_str(), *kind, target.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("loop", tar::EntryType::Symlink, "loop"),
            ("pipe", tar::EntryType::Fifo, ""),
            ("up", tar::EntryType::Symlink, ".."),
        ]
    );
}

#[test]
fn modes_long_names_and_odd_bytes_arrive() {
    use std::os::unix::ffi::OsStrExt as _;
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(140));
    let root = folder(&[("Dockerfile", "FROM scratch\n"), (&long, "long"), ("run.sh", "")]);
    fs::set_permissions(root.path().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(root.path().join(std::ffi::OsStr::from_bytes(b"odd\xff")), "odd").unwrap();
    let (sender, mut receiver) = mpsc::channel(64);
    look(root.path()).unwrap().stream(&sender).unwrap();
    let mut all = Vec::new();
    while let Ok(chunk) = receiver.try_recv() {
        all.extend_from_slice(&chunk.unwrap());
    }
    let mut archive = tar::Archive::new(all.as_slice());
    let seen: Vec<(Vec<u8>, u32)> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.path_bytes().into_owned(), entry.header().mode().unwrap())
        })
        .collect();
    assert!(seen.iter().any(|(path, _)| path == long.as_bytes()));
    assert!(seen.iter().any(|(path, _)| path == b"odd\xff"));
    assert!(seen.contains(&(b"run.sh".to_vec(), 0o755)));
}

#[test]
fn a_dockerfile_may_lie_outside_the_context() {
    let root = folder(&[("context/a", ""), ("other/Dockerfile", "FROM scratch\n# here\n")]);
    let context = survey(
        &root.path().join("context"),
        &root.path().join("other/Dockerfile"),
    )
    .unwrap();
    let entries = received(&context).1;
    assert_eq!(entries[0].0, context.dockerfile_name);
    assert_eq!(entries[0].2, "FROM scratch\n# here\n");
    assert_eq!(context.dockerfile_text, entries[0].2);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let root = folder(&[("Dockerfile", "FROM scratch\n"), ("bad/.dockerignore", "ok\n[")]);
    let at = |path: &str| root.path().join(path);
    let error = survey(&at("nowhere"), &at("Dockerfile")).unwrap_err();
    assert!(matches!(error, ContextError::ReadContext { .. }), "{error:?}");
    let error = survey(&at("Dockerfile"), &at("Dockerfile")).unwrap_err();
    assert!(matches!(error, ContextError::NotAFolder(_)), "{error:?}");
    let error = survey(root.path(), &at("Dockerfile/x")).unwrap_err();
    assert!(matches!(error, ContextError::NoDockerfile(_)), "{error:?}");
    let error = survey(root.path(), &at("bad")).unwrap_err();
    assert!(matches!(error, ContextError::ReadDockerfile { .. }), "{error:?}");
    let error = survey(&at("bad"), &at("Dockerfile")).unwrap_err();
    assert!(
        matches!(&error, ContextError::BadIgnoreFile { source, .. } if source.line == 2),
        "{error:?}"
    );
}

#[test]
fn a_file_that_shrinks_ends_the_stream_and_one_that_grows_does_not() {
    let root = folder(&[("Dockerfile", "FROM scratch\n"), ("log", "0123456789")]);
    let context = look(root.path()).unwrap();
    fs::write(root.path().join("log"), "0123456789 and more").unwrap();
    assert_eq!(received(&context).1[1].2, "0123456789");
    fs::write(root.path().join("log"), "0").unwrap();
    let (sender, mut receiver) = mpsc::channel(64);
    let error = context.stream(&sender).unwrap_err();
    assert!(
        matches!(&error, ContextError::Shrank(path) if path.ends_with("log")),
        "{error:?}"
    );
    let mut last = receiver.try_recv();
    while let Ok(next) = receiver.try_recv() {
        last = Ok(next);
    }
    assert!(
        last.unwrap().is_err(),
        "the body must not end as if it were whole"
    );
    fs::remove_file(root.path().join("log")).unwrap();
    let (sender, _receiver) = mpsc::channel(64);
    let error = context.stream(&sender).unwrap_err();
    assert!(
        matches!(&error, ContextError::ReadEntry { path, .. } if path.ends_with("log")),
        "{error:?}"
    );
}

#[test]
fn a_file_that_changes_after_its_fingerprint_ends_the_stream() {
    let root = folder(&[("Dockerfile", "FROM scratch\n"), ("log", "0123456789")]);
    let mut context = look(root.path()).unwrap();
    let fingerprint = context.fingerprint().unwrap();
    fs::write(root.path().join("log"), "0123456789 and more").unwrap();
    assert_eq!(received(&context).1[1].2, "0123456789");
    fs::write(root.path().join("log"), "9876543210").unwrap();
    let (sender, mut receiver) = mpsc::channel(64);
    let error = context.stream(&sender).unwrap_err();
    assert!(
        matches!(&error, ContextError::Changed(path) if path.ends_with("log")),
        "{error:?}"
    );
    assert!(receiver.try_recv().unwrap().is_err(), "nothing is sent whole");
    assert_ne!(context.fingerprint().unwrap(), fingerprint);
    fs::write(root.path().join("log"), "0").unwrap();
    let error = context.fingerprint().unwrap_err();
    assert!(
        matches!(&error, ContextError::Shrank(path) if path.ends_with("log")),
        "{error:?}"
    );
}

#[test]
fn the_same_files_have_the_same_fingerprint_in_another_folder_at_another_time() {
    let files = [("Dockerfile", "FROM scratch\n"), ("src/main.c", "int main;")];
    let (one, other) = (folder(&files), folder(&files));
    let fingerprint = |root: &Path| look(root).unwrap().fingerprint().unwrap();
    let earlier = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
    let file = fs::File::options()
        .write(true)
        .open(other.path().join("src/main.c"))
        .unwrap();
    file.set_modified(earlier).unwrap();
    let same = fingerprint(one.path());
    assert_eq!(fingerprint(other.path()), same);
    fs::set_permissions(other.path().join("src/main.c"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_ne!(fingerprint(other.path()), same);
}

#[test]
fn no_more_is_read_than_the_channel_has_room_for() {
    let root = folder(&[("Dockerfile", "FROM scratch\n")]);
    let big = fs::File::create(root.path().join("big")).unwrap();
    big.set_len(512 * CHUNK as u64).unwrap();
    let context = look(root.path()).unwrap();
    let (sender, receiver) = mpsc::channel(2);
    let context = &context;
    let outcome = std::thread::scope(|scope| {
        let stream = scope.spawn(move || context.stream(&sender));
        while receiver.len() < 2 {
            std::thread::yield_now();
        }
        assert!(!stream.is_finished());
        drop(receiver);
        stream.join().unwrap()
    });
    assert!(matches!(outcome, Err(ContextError::Cut)), "{outcome:?}");
}

#[test]
fn an_unreadable_file_is_named_before_anything_is_sent() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let root = folder(&[("Dockerfile", "FROM scratch\n"), ("a/closed", "")]);
    let closed = root.path().join("a/closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything; a thread that gave this right up does not.
    let surveyed = std::thread::scope(|scope| {
        let without_rights = scope.spawn(|| {
            let mut rights = capabilities(None).unwrap();
            rights.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
            set_capabilities(None, rights).unwrap();
            look(root.path())
        });
        without_rights.join().unwrap()
    });
    assert!(
        matches!(&surveyed, Err(ContextError::ReadEntry { path, source })
            if path.ends_with("a/closed") && source.kind() == std::io::ErrorKind::PermissionDenied),
        "{surveyed:?}"
    );
}
