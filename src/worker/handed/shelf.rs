//! Deploys that were handed back, in the state directory: so that whoever comes after a worker knows them, and so that of
//! workers that share one a single one calls each off.
//!
//! Whoever calls one off holds the lock of its file meanwhile, which a worker that dies lets go of, and removes the file
//! when it is done.

use super::{Away, is_old};
use crate::clock::Clock;
use crate::config::worker::OnAbandon;
use crate::ecs::resume::Resume;
use crate::name::{Arn, Digest};
use crate::pipeline::job::Context;
use crate::pipeline::journal::files::{is_older, make_folder, same_file, write_whole};
use crate::report::event::{Event, Tell};
use crate::shutdown::{Shutdown, Urgency};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The folder of the state directory.
const FOLDER: &str = "handed";

/// What files are written as, and the newest that is read.
const VERSION: u64 = 1;

/// Digits that stand for an action execution in a file's name.
const DIGITS: usize = 32;

/// How long the disk may take.
const LONGEST_ACT: Duration = Duration::from_secs(30);

/// After that nobody goes on with a file that is half written.
const LONGEST_WRITE: Duration = Duration::from_secs(3600);

/// The files; none where nothing is rolled back.
#[derive(Debug)]
pub(in crate::worker) struct Shelf {
    folder: Option<PathBuf>,
    region: String,
    clock: Clock,
    shutdown: Shutdown,
    tell: Tell,
    /// The disk does one thing after the other, in the order in which they were asked for.
    turn: Arc<Mutex<()>>,
}

/// Whether a deploy is this worker's to call off.
#[derive(Debug)]
pub(in crate::worker) enum Claim {
    /// Nobody else does, as far as the disk says.
    Ours(Option<Hold>),
    /// Another worker is at it, and may fail.
    Busy,
    /// Another worker has, or has the deploy.
    Gone,
}

/// A file whose lock is ours.
#[derive(Debug)]
pub(in crate::worker) struct Hold {
    file: File,
    path: PathBuf,
}

impl Shelf {
    /// The files of a worker in this region.
    pub(in crate::worker) fn of(
        policy: OnAbandon,
        state: &Path,
        region: &str,
        (clock, shutdown, tell): (Clock, Shutdown, Tell),
    ) -> Self {
        Self {
            folder: (policy == OnAbandon::Rollback).then(|| state.join(FOLDER)),
            region: region.to_owned(),
            clock,
            shutdown,
            tell,
            turn: Arc::default(),
        }
    }

    /// What the disk says to something; none if it does not answer, or for as long as a worker that is to end now waits.
    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let Some(folder) = self.folder.clone() else {
            return Err(ErrorKind::NotFound.into());
        };
        let acts = async {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            let acts = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                act(&folder)
            });
            acts.await.unwrap_or_else(|error| Err(io::Error::other(error)))
        };
        let end = self.clock.now() + LONGEST_ACT;
        tokio::select! {
            biased;
            answer = acts => answer,
            () = self.clock.reaches(end) => Err(io::Error::new(ErrorKind::TimedOut, "the disk does not answer")),
            _ = self.shutdown.reached(Urgency::Now) => Err(ErrorKind::Interrupted.into()),
        }
    }

    /// What earlier workers left; it is due.
    ///
    /// # Errors
    /// The disk does not say.
    pub(in crate::worker) async fn all(&self) -> io::Result<Vec<Away>> {
        if self.folder.is_none() {
            return Ok(Vec::new());
        }
        let (region, now) = (self.region.clone(), self.clock.now());
        let (left, puzzles) = self.on_disk(move |folder| all(folder, &region, now)).await?;
        for puzzle in puzzles {
            self.tell.tell(Event::Warning(puzzle));
        }
        Ok(left)
    }

    /// Writes one down, unless nothing is rolled back; whether it is there now.
    pub(in crate::worker) async fn write(&self, away: &Away) -> bool {
        if self.folder.is_none() {
            return false;
        }
        let (name, text) = (name(&away.context), text(away));
        let written = self.on_disk(move |folder| write(folder, &name, &text)).await;
        if let Err(error) = &written {
            self.tell.tell(Event::Warning(format!(
                "a deploy that was handed back could not be noted, so that this worker forgets it when it ends: {error}"
            )));
        }
        written.is_ok()
    }

    /// It is here again, or over.
    pub(in crate::worker) async fn remove(&self, context: &Context) {
        let name = name(context);
        // One that stays is asked after, and found to be over.
        let _ = self
            .on_disk(move |folder| fs::remove_file(folder.join(name)))
            .await;
    }

    /// Takes one to call it off. A disk that does not answer keeps nobody from it: done twice, it does no harm.
    pub(in crate::worker) async fn claim(&self, away: &Away) -> Claim {
        if !away.noted {
            return Claim::Ours(None);
        }
        let name = name(&away.context);
        let claimed = self.on_disk(move |folder| claim(folder.join(name))).await;
        claimed.unwrap_or(Claim::Ours(None))
    }

    /// It is called off.
    pub(in crate::worker) async fn done(&self, hold: Hold) {
        let _ = self
            .on_disk(move |_| {
                let removed = fs::remove_file(&hold.path);
                drop(hold.file);
                removed
            })
            .await;
    }
}

fn name(context: &Context) -> String {
    let digits = Digest::of(context.action_execution.as_bytes());
    let digits: String = digits.hex().chars().take(DIGITS).collect();
    format!("{digits}.json")
}

fn claim(path: PathBuf) -> io::Result<Claim> {
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Claim::Gone),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Claim::Busy),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Whoever held it may have removed it since it was opened.
    Ok(if same_file(&file, &path) {
        Claim::Ours(Some(Hold { file, path }))
    } else if path.exists() {
        Claim::Busy
    } else {
        Claim::Gone
    })
}

/// Writes a file so that it is there whole, or as it was before.
fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    make_folder(folder, true)?;
    let path = folder.join(name);
    let half = path.with_extension(format!("half-{:08x}", fastrand::u32(..)));
    write_whole(&half, &path, text.as_bytes())
}

fn text(away: &Away) -> String {
    let Away {
        context,
        resume,
        summary,
        since,
        ..
    } = away;
    json!({
        "version": VERSION,
        "pipeline": context.pipeline,
        "pipelineArn": context.pipeline_arn,
        "execution": context.execution,
        "stage": context.stage,
        "action": context.action,
        "actionExecution": context.action_execution,
        "rollouts": resume.tokens(),
        "summary": summary,
        "since": since.as_secs(),
    })
    .to_string()
}

/// What a file says.
#[derive(Debug)]
enum Said {
    Left(Box<Away>),
    /// Nobody asks after it any more.
    Old,
    /// It is for a worker of another region.
    Foreign,
    /// A newer slipway wrote it, or it is damaged: whose it is nobody knows.
    Puzzle(&'static str),
}

/// What the folder has for a worker of this region, and what is told of the rest.
fn all(folder: &Path, region: &str, now: Duration) -> io::Result<(Vec<Away>, Vec<String>)> {
    let (mut left, mut puzzles) = (Vec::new(), Vec::new());
    let found = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((left, puzzles)),
        found => found?,
    };
    for found in found.flatten() {
        let path = found.path();
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if extension.starts_with("half-") {
            // One that is young is being written by another worker.
            if is_older(&found, LONGEST_WRITE) {
                let _ = fs::remove_file(&path);
            }
            continue;
        }
        if extension != "json" {
            continue;
        }
        let said = match fs::read(&path) {
            Ok(bytes) => said(&bytes, region, now),
            // Another worker is done with it.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(_) => Said::Puzzle("it cannot be read"),
        };
        match said {
            Said::Left(one) => left.push(*one),
            Said::Old => drop(fs::remove_file(&path)),
            Said::Foreign => {}
            Said::Puzzle(why) => puzzles.push(format!(
                "what `{}` says of a deploy that was handed back is left alone: {why}",
                path.display()
            )),
        }
    }
    Ok((left, puzzles))
}

fn said(bytes: &[u8], region: &str, now: Duration) -> Said {
    let Ok(said) = serde_json::from_slice::<Value>(bytes) else {
        return Said::Puzzle("it is damaged");
    };
    match said["version"].as_u64() {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => return Said::Puzzle("a newer slipway wrote it"),
        Some(_) | None => return Said::Puzzle("it is damaged"),
    }
    match read(&said) {
        Some(one) if is_old(&one, now) => Said::Old,
        Some(one) if is_foreign(&one.context, region) => Said::Foreign,
        Some(one) => Said::Left(Box::new(one)),
        None => Said::Puzzle("it is damaged"),
    }
}

fn is_foreign(context: &Context, region: &str) -> bool {
    let arn = context.pipeline_arn.parse::<Arn>();
    arn.is_ok_and(|arn| arn.region() != region)
}

fn read(said: &Value) -> Option<Away> {
    let text = |member: &str| said[member].as_str().map(str::to_owned);
    let rollouts = said["rollouts"].as_array()?.iter();
    let rollouts: Vec<String> = rollouts
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect();
    let context = Context {
        pipeline: text("pipeline")?,
        pipeline_arn: text("pipelineArn")?,
        execution: text("execution")?,
        stage: text("stage")?,
        action: text("action")?,
        action_execution: text("actionExecution")?,
    };
    let since = Duration::from_secs(said["since"].as_u64()?);
    let resume = Resume::read(&rollouts).ok()?;
    Some(Away {
        noted: true,
        ..Away::new(&context, resume, text("summary"), since).looked_at(Duration::ZERO)
    })
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
