//! What dead workers left, taken over by the one that finds it.

use super::Inner;
use super::folder::{Folder, id_of, name_of};
use super::record::{Foreign, Record};
use crate::report::event::Event;
use std::io;
use std::path::Path;

impl Inner {
    /// Moves the entries of dead workers into our folder; each counts one more worker that left it.
    pub(super) fn take_over(&self) -> Vec<Record> {
        let Some(folder) = &self.folder else {
            return Vec::new();
        };
        let dead = folder.dead().unwrap_or_else(|error| {
            self.warn(&error);
            Vec::new()
        });
        let mut taken = Vec::new();
        for dead in dead {
            match self.take_from(folder, &dead) {
                Ok(records) => taken.extend(records),
                Err(error) => self.warn(&error),
            }
            dead.remove_empty();
        }
        taken
    }

    fn take_from(&self, folder: &Folder, dead: &Folder) -> io::Result<Vec<Record>> {
        let mut taken = Vec::new();
        for name in dead.names()? {
            match self.take(folder, dead, &name) {
                Ok(record) => taken.extend(record),
                Err(error) => self.warn(&error),
            }
        }
        Ok(taken)
    }

    fn take(&self, folder: &Folder, dead: &Folder, name: &str) -> io::Result<Option<Record>> {
        let record = match Record::read(&dead.read(name)?) {
            Ok(record) if name_of(&record.job) == name => record,
            Err(Foreign::Newer(version)) => {
                self.told_of_newer(&dead.path_of(name), version);
                return Ok(None);
            }
            Ok(_) | Err(Foreign::Damaged) => return self.take_damaged(folder, dead, name),
        };
        if !self.jobs().held.insert(record.job.clone()) {
            // It was offered to us again meanwhile, so the other never acknowledged it.
            dead.remove(name)?;
            return Ok(None);
        }
        if let Err(error) = folder.take(dead, name) {
            self.jobs().held.remove(&record.job);
            return Err(error);
        }
        let record = left_once_more(record);
        if let Err(error) = folder.write(name, &record.to_json()) {
            self.warn(&error);
        }
        Ok(Some(record))
    }

    /// What is in the file is lost, but the job may be known by the file's name.
    fn take_damaged(&self, folder: &Folder, dead: &Folder, name: &str) -> io::Result<Option<Record>> {
        let record = id_of(name).map(|job| left_once_more(Record::of_id(job)));
        let record = record.filter(|record| self.jobs().held.insert(record.job.clone()));
        // Before the other is moved away: the job is in one of the two folders at any time.
        if let Some(record) = &record
            && let Err(error) = folder.write(name, &record.to_json())
        {
            self.jobs().held.remove(&record.job);
            self.warn(&error);
            return Ok(None);
        }
        let place = dead.set_aside(name)?;
        let known = record.as_ref().map_or_else(
            || "it does not say of which job".to_owned(),
            |record| format!("job {} is known by its name", record.job),
        );
        self.tell.tell(Event::Warning(format!(
            "the journal had a damaged entry, which is now `{}`; {known}",
            place.display()
        )));
        Ok(record)
    }

    /// A worker of that version takes it up, so it is left where it is.
    fn told_of_newer(&self, path: &Path, version: u64) {
        if self.jobs().told.insert(path.to_owned()) {
            self.tell.tell(Event::Warning(format!(
                "`{}` is of version {version} of the journal: a worker as new as the one that wrote it can close that job",
                path.display()
            )));
        }
    }
}

const fn left_once_more(mut record: Record) -> Record {
    record.attempts = record.attempts.saturating_add(1);
    record
}
