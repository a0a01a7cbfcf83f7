//! What dead workers left, taken over by the one that finds it and has room for it.

use super::folder::{Folder, id_of, name_of};
use super::record::{Foreign, Phase, Record};
use super::{Entry, Inner};
use crate::report::event::Event;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What is to become of a job that nobody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taking {
    /// It is taken.
    Now,
    /// There is no room for it yet; another worker may have some.
    Later,
    /// It is for another worker, for this reason.
    Never(String),
}

/// Says what is to become of each job that nobody holds.
pub type Judge = Box<dyn FnMut(&Record) -> Taking + Send>;

/// What came of a look for jobs that nobody holds.
#[derive(Debug, Default)]
pub struct Look {
    /// Those that were taken.
    pub taken: Vec<Entry>,
    /// How many are left where they are.
    pub waiting: usize,
}

impl Inner {
    /// Takes up what this process left.
    pub(super) fn take_left(&self, judge: &mut Judge, waiting: &mut usize) -> Vec<Record> {
        let mut jobs = self.jobs();
        let mut is_taken = |record: &Record| judge(record) == Taking::Now;
        let left = std::mem::take(&mut jobs.left);
        let (taken, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
            left.into_iter().partition(|(_, record)| is_taken(record));
        *waiting += kept.len();
        jobs.left = kept;
        jobs.held.extend(taken.keys().cloned());
        taken.into_values().collect()
    }

    /// Moves entries of dead workers into our folder; each counts one more worker that left it. Gives also how many stay.
    pub(super) fn take_over(&self, judge: &mut Judge) -> (Vec<Record>, usize) {
        let Some(folder) = &self.folder else {
            return (Vec::new(), 0);
        };
        let dead = folder.dead().unwrap_or_else(|error| {
            self.warn(&error);
            Vec::new()
        });
        let mut taken = Vec::new();
        let mut waiting = 0;
        for dead in dead {
            let before = taken.len();
            let names = dead.names().unwrap_or_else(|error| {
                self.warn(&error);
                Vec::new()
            });
            for name in &names {
                match self.take(folder, &dead, name, judge) {
                    Ok(record) => taken.extend(record),
                    Err(error) => self.warn(&error),
                }
            }
            waiting += dead
                .names()
                .map_or(names.len() - (taken.len() - before), |names| names.len());
            dead.remove_empty();
        }
        (taken, waiting)
    }

    fn take(
        &self,
        folder: &Folder,
        dead: &Folder,
        name: &str,
        judge: &mut Judge,
    ) -> io::Result<Option<Record>> {
        let record = match Record::read(&dead.read(name)?) {
            Ok(record) if name_of(&record.job) == name => record,
            Err(Foreign::Newer(version)) => {
                self.told_of_newer(&dead.path_of(name), version);
                return Ok(None);
            }
            Ok(_) | Err(Foreign::Damaged) => return self.take_damaged(folder, dead, name, judge),
        };
        match judge(&record) {
            Taking::Now => {}
            Taking::Later => return Ok(None),
            Taking::Never(why) => {
                self.told_of_another(&dead.path_of(name), &record, &why);
                return Ok(None);
            }
        }
        if !self.jobs().held.insert(record.job.clone()) {
            // It was offered to us meanwhile. What the other only asked for is ours alone; else ours may be left to the other's,
            // which stays until the action is known to be over.
            if record.phase == Phase::Acknowledging {
                dead.remove(name)?;
            }
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
    fn take_damaged(
        &self,
        folder: &Folder,
        dead: &Folder,
        name: &str,
        judge: &mut Judge,
    ) -> io::Result<Option<Record>> {
        let record = id_of(name).map(|job| left_once_more(Record::of_id(job)));
        if record.as_ref().is_some_and(|record| judge(record) != Taking::Now) {
            return Ok(None);
        }
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

    fn told_of_another(&self, path: &Path, record: &Record, why: &str) {
        if self.jobs().told.insert(path.to_owned()) {
            let Record { job, context, .. } = record;
            self.tell.tell(Event::Note(format!(
                "job {job} of {}/{}, whose worker died, is left to another worker: {why}",
                context.pipeline, context.action
            )));
        }
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
