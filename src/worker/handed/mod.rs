//! Deploys that were handed back and did not come back yet, by their action execution. Kept only where their fate matters:
//! where abandoned ones are rolled back. They are in the state directory too, so that whoever comes after a worker knows
//! them; of workers that share one, whoever removes a file does what it asks for.

use crate::config::worker::OnAbandon;
use crate::ecs::resume::Resume;
use crate::name::Digest;
use crate::pipeline::job::Context;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long after a job was handed back its action is looked at: CodePipeline takes about half a minute to queue the next
/// one, and a worker some time to take it.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long a deploy is asked after: no action takes longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The folder of the state directory.
const FOLDER: &str = "handed";

/// Digits that stand for an action execution in a file's name.
const DIGITS: usize = 32;

/// The deploys that are away.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// Where they are written down; none if they are not kept.
    folder: Option<PathBuf>,
    away: Mutex<BTreeMap<String, Away>>,
}

#[derive(Debug)]
struct Away {
    context: Context,
    resume: Resume,
    /// What the action was said to be at.
    summary: String,
    /// When it was handed back.
    since: Duration,
    /// When it is asked after next.
    look: Duration,
    /// Its file; none if it could not be written.
    file: Option<PathBuf>,
}

impl Handed {
    /// Those that earlier workers left, where they matter.
    pub(super) fn of(policy: OnAbandon, state: &Path, now: Duration) -> Self {
        if policy == OnAbandon::Leave {
            return Self::default();
        }
        let folder = state.join(FOLDER);
        let mut away = BTreeMap::new();
        for found in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = found.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                // Another worker may be writing it.
                continue;
            }
            let bytes = fs::read(&path).unwrap_or_default();
            match read(&bytes, now, &path) {
                Some(one) if now.saturating_sub(one.since) < LONGEST => {
                    away.insert(one.context.action_execution.clone(), one);
                }
                // Too old, or of another version.
                _ => drop(fs::remove_file(&path)),
            }
        }
        Self {
            folder: Some(folder),
            away: Mutex::new(away),
        }
    }

    fn away(&self) -> MutexGuard<'_, BTreeMap<String, Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A deploy was handed back with rollouts under way.
    ///
    /// # Errors
    /// It could not be written down; it is asked after all the same.
    pub(super) fn went(
        &self,
        context: &Context,
        resume: Resume,
        summary: String,
        now: Duration,
    ) -> io::Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let path = folder.join(name(context));
        let mut away = Away {
            context: context.clone(),
            resume,
            summary,
            since: now,
            look: now + PATIENCE,
            file: None,
        };
        let written = write(folder, &path, &away);
        away.file = written.is_ok().then_some(path);
        self.away().insert(context.action_execution.clone(), away);
        written
    }

    /// It is here again, or over.
    pub(super) fn came_back(&self, context: &Context) {
        self.away().remove(&context.action_execution);
        if let Some(folder) = &self.folder {
            let _ = fs::remove_file(folder.join(name(context)));
        }
    }

    /// Another worker has it, which may have written it down in the same place.
    pub(super) fn leave(&self, context: &Context) {
        self.away().remove(&context.action_execution);
    }

    /// Whether a summary is the one that this worker put: each says how long the deploy takes so far.
    pub(super) fn is_as_handed_back(&self, context: &Context, summary: &str) -> bool {
        let away = self.away();
        away.get(&context.action_execution)
            .is_none_or(|away| away.summary.trim() == summary.trim())
    }

    /// Those that are to be asked after now.
    pub(super) fn due(&self, now: Duration, between: Duration) -> Vec<Context> {
        let mut away = self.away();
        let old = |one: &Away| now.saturating_sub(one.since) >= LONGEST;
        for one in away.values().filter(|one| old(one)) {
            one.file.iter().for_each(|file| drop(fs::remove_file(file)));
        }
        away.retain(|_, one| !old(one));
        let due = away.values_mut().filter(|one| one.look <= now);
        due.map(|one| {
            one.look = now + between;
            one.context.clone()
        })
        .collect()
    }

    /// Takes one to call it off, unless another worker on the same state directory has.
    pub(super) fn take(&self, context: &Context) -> Option<Resume> {
        let away = self.away().remove(&context.action_execution)?;
        let gone =
            |file: &PathBuf| fs::remove_file(file).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let taken = away.file.as_ref().is_some_and(gone);
        (!taken).then_some(away.resume)
    }
}

fn name(context: &Context) -> String {
    let digits = Digest::of(context.action_execution.as_bytes());
    let digits: String = digits.hex().chars().take(DIGITS).collect();
    format!("{digits}.json")
}

/// Writes a file so that it is there whole, or as it was before.
fn write(folder: &Path, path: &Path, away: &Away) -> io::Result<()> {
    let Away {
        context,
        resume,
        summary,
        since,
        ..
    } = away;
    let text = json!({
        "pipeline": context.pipeline,
        "pipelineArn": context.pipeline_arn,
        "execution": context.execution,
        "stage": context.stage,
        "action": context.action,
        "actionExecution": context.action_execution,
        "rollouts": resume.tokens(),
        "summary": summary,
        "since": since.as_secs(),
    });
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let half = path.with_extension(format!("half-{:08x}", fastrand::u32(..)));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&half)?;
    file.write_all(text.to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path)
}

fn read(bytes: &[u8], now: Duration, path: &Path) -> Option<Away> {
    let said: Value = serde_json::from_slice(bytes).ok()?;
    let text = |member: &str| said[member].as_str().map(str::to_owned);
    let rollouts = said["rollouts"].as_array()?.iter();
    let rollouts: Vec<String> = rollouts
        .filter_map(|one| one.as_str().map(str::to_owned))
        .collect();
    Some(Away {
        context: Context {
            pipeline: text("pipeline")?,
            pipeline_arn: text("pipelineArn")?,
            execution: text("execution")?,
            stage: text("stage")?,
            action: text("action")?,
            action_execution: text("actionExecution")?,
        },
        resume: Resume::read(&rollouts).ok()?,
        summary: text("summary")?,
        since: Duration::from_secs(said["since"].as_u64()?),
        look: now,
        file: Some(path.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::{Context, Duration, FOLDER, Handed, LONGEST, OnAbandon, PATIENCE};
    use crate::ecs::resume::tests::run;
    use std::fs;
    use std::path::Path;

    const NOW: Duration = Duration::from_secs(1_767_225_600);
    const MINUTE: Duration = Duration::from_secs(60);

    fn context(action: &str) -> Context {
        Context {
            pipeline: "shop".to_owned(),
            execution: "e1".to_owned(),
            action_execution: action.to_owned(),
            ..Context::default()
        }
    }

    fn files(state: &Path) -> usize {
        fs::read_dir(state.join(FOLDER)).into_iter().flatten().count()
    }

    fn handed(state: &Path, now: Duration) -> Handed {
        Handed::of(OnAbandon::Rollback, state, now)
    }

    #[test]
    fn what_a_worker_handed_back_is_known_to_the_next_one_for_a_day() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let first = handed(state, NOW);
        first
            .went(&context("a1"), run(2), "web: 10 s".to_owned(), NOW)
            .unwrap();
        assert_eq!(first.due(NOW + PATIENCE - MINUTE, MINUTE), []);
        assert_eq!(first.due(NOW + PATIENCE, MINUTE), [context("a1")]);
        assert_eq!(first.due(NOW + PATIENCE, MINUTE), [], "it was just asked after");
        drop(first);
        let next = handed(state, NOW + PATIENCE);
        assert_eq!(next.due(NOW + PATIENCE, MINUTE), [context("a1")]);
        assert!(next.is_as_handed_back(&context("a1"), "web: 10 s"));
        assert!(!next.is_as_handed_back(&context("a1"), "web: 70 s"));
        assert_eq!(next.take(&context("a1")), Some(run(2)));
        assert_eq!((next.take(&context("a1")), files(state)), (None, 0));
        next.went(&context("a2"), run(1), String::new(), NOW).unwrap();
        assert_eq!(handed(state, NOW + LONGEST).due(NOW + LONGEST, MINUTE), []);
        assert_eq!(files(state), 0);
    }

    #[test]
    fn of_workers_that_share_a_folder_one_takes_it_and_none_if_it_came_back() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        let one = handed(state, NOW);
        one.went(&context("a1"), run(1), String::new(), NOW).unwrap();
        let other = handed(state, NOW);
        assert!(one.take(&context("a1")).is_some() && other.take(&context("a1")).is_none());
        one.went(&context("a1"), run(1), String::new(), NOW).unwrap();
        other.came_back(&context("a1"));
        assert_eq!(one.take(&context("a1")), None);
        let left = Handed::of(OnAbandon::Leave, state, NOW);
        left.went(&context("a1"), run(1), String::new(), NOW).unwrap();
        assert_eq!((left.take(&context("a1")), files(state)), (None, 0));
    }

    #[test]
    fn what_cannot_be_read_is_removed_and_what_is_being_written_is_left() {
        let state = tempfile::tempdir().unwrap();
        let state = state.path();
        fs::create_dir(state.join(FOLDER)).unwrap();
        fs::write(state.join(FOLDER).join("x.json"), b"{\"pipeline\":").unwrap();
        fs::write(state.join(FOLDER).join("y.half-0"), b"{\"pipeline\":").unwrap();
        assert_eq!((handed(state, NOW).due(NOW, MINUTE), files(state)), (vec![], 1));
    }
}
