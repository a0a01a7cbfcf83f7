//! Writes a capture while a deploy goes on: one whole line at a time, and never at the deploy's expense.

use super::answers::Answer;
use super::capture::{Closing, End, Head, Header, Line, Look, Scrub, Told};
use super::diagnosis::Gathered;
use crate::name::ServiceName;
use crate::report::event::{Event, Tell};
use crate::secret::Secret;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Records what a deploy sees, or nothing; a cheap handle that every story carries.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Option<Arc<Mutex<Inner>>>);

struct Inner {
    /// The file as the user named it.
    path: PathBuf,
    /// None once a write has failed.
    sink: Option<Box<dyn Write + Send>>,
    scrub: Scrub,
    tell: Tell,
}

/// Why a capture was not begun.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is a file already; it may be the capture of the failure that somebody wants to understand.
    #[error("`{}` is there already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be created or written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

impl Recorder {
    /// Begins a capture in a new file that only its owner may read.
    ///
    /// # Errors
    /// [`RecordError`] when the file is there already or cannot be written.
    pub fn create(path: &Path, tell: Tell) -> Result<Self, RecordError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let path = path.to_owned();
        let file = options.open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => RecordError::Exists { path: path.clone() },
            _ => RecordError::Write {
                path: path.clone(),
                source,
            },
        })?;
        Self::over(Box::new(file), &path, tell).map_err(|source| RecordError::Write { path, source })
    }

    /// Begins a capture in whatever takes bytes; `path` is what a warning names.
    ///
    /// # Errors
    /// The error of writing the first line.
    pub fn over(sink: Box<dyn Write + Send>, path: &Path, tell: Tell) -> io::Result<Self> {
        let mut inner = Inner {
            path: path.to_owned(),
            sink: Some(sink),
            scrub: Scrub::default(),
            tell,
        };
        inner.write(&Line::Capture(Header::current()))?;
        Ok(Self(Some(Arc::new(Mutex::new(inner)))))
    }

    /// Whether anything is recorded.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// From here on no line shows these values.
    pub fn hide(&self, values: Vec<Secret<String>>) {
        self.with(|inner| {
            inner.scrub.secrets.extend(values);
            // A value may be a part of another one.
            inner
                .scrub
                .secrets
                .sort_by_key(|value| Reverse(value.expose().len()));
        });
    }

    /// The watch of a service begins. From here on no line shows events that were there before.
    pub fn service(&self, head: Head, old_events: &BTreeSet<String>) {
        self.with(|inner| {
            inner.scrub.old_events.extend(old_events.iter().cloned());
            inner.line(&Line::Service(Box::new(head)));
        });
    }

    /// A look at services, each by its cluster and name, with the time since its update.
    pub fn look(&self, of: &[(&str, &ServiceName, Duration)], answers: &[Answer]) {
        self.with(|inner| {
            let place = |cluster: &str, name: &ServiceName| format!("{cluster}/{name}");
            let of = of
                .iter()
                .map(|(cluster, name, at)| (place(cluster, name), at.as_secs_f64()));
            inner.line(&Line::Look(Look {
                of: of.collect(),
                answers: answers.to_vec(),
            }));
        });
    }

    /// What was asked once more, to find the cause.
    pub fn closing(&self, cluster: &str, service: &ServiceName, answers: &[Answer], gathered: &Gathered) {
        self.with(|inner| {
            inner.line(&Line::Closing(Closing {
                service: service.to_string(),
                cluster: Some(cluster.to_owned()),
                answers: answers.to_vec(),
                gathered: gathered.clone(),
            }));
        });
    }

    /// A line that is made already.
    pub fn line(&self, line: impl FnOnce() -> Line) {
        self.with(|inner| inner.line(&line()));
    }

    /// How a service was judged.
    pub fn told(&self, told: impl FnOnce() -> Told) {
        self.line(|| Line::Verdict(told()));
    }

    /// How the run ended.
    pub fn end(&self, end: impl FnOnce() -> End) {
        self.line(|| Line::End(end()));
    }

    fn with(&self, act: impl FnOnce(&mut Inner)) {
        if let Some(inner) = &self.0 {
            act(&mut inner.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Inner {
    /// Writes a line; the first that fails is told and is the last.
    fn line(&mut self, line: &Line) {
        if let Err(error) = self.write(line) {
            self.sink = None;
            self.tell.tell(Event::Warning(format!(
                "the capture `{}` ends here, because it cannot be written: {error}; the run goes on without it",
                self.path.display()
            )));
        }
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let mut text = self.scrub.line(line);
        text.push('\n');
        sink.write_all(text.as_bytes())?;
        sink.flush()
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordError, Recorder};
    use crate::ecs::capture::{End, read};
    use crate::report::event::{Event, Tell};
    use std::io::{self, Write};
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    /// Takes some lines, and then is full.
    struct Disk {
        room: usize,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let some = bytes.len().min(self.room);
            if some == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= some;
            self.written.lock().unwrap().extend_from_slice(&bytes[..some]);
            Ok(some)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_told_once_and_what_was_written_can_be_read() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let tell = Tell::new(move |event| heard.lock().unwrap().push(event));
        let written = Arc::new(Mutex::new(Vec::new()));
        let disk = Disk {
            room: 100,
            written: written.clone(),
        };
        let recorder = Recorder::over(Box::new(disk), Path::new("x.jsonl"), tell).unwrap();
        for _ in 0..3 {
            recorder.look(&[], &[]);
        }
        recorder.end(|| End::of(None));
        let told = told.lock().unwrap();
        assert!(
            matches!(told.as_slice(), [Event::Warning(text)] if text.contains("`x.jsonl`")),
            "{told:?}"
        );
        let capture = read(&written.lock().unwrap()).unwrap();
        assert!(capture.cut && !capture.is_complete());
    }

    #[test]
    fn a_file_that_is_there_is_left_alone_and_a_new_one_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("capture.jsonl");
        std::fs::write(&path, "precious").unwrap();
        let refused = Recorder::create(&path, Tell::nobody()).unwrap_err();
        assert!(matches!(refused, RecordError::Exists { .. }), "{refused}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");

        let new = folder.path().join("new.jsonl");
        Recorder::create(&new, Tell::nobody())
            .unwrap()
            .end(|| End::of(None));
        assert!(read(&std::fs::read(&new).unwrap()).unwrap().is_complete());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(&new).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        let nowhere = Recorder::create(&folder.path().join("missing/x"), Tell::nobody()).unwrap_err();
        assert!(matches!(nowhere, RecordError::Write { .. }), "{nowhere}");
    }
}
