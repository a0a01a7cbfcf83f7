//! How executions go from stage to stage: actions start in their order, a stage holds one execution at a time, and
//! whoever waits in front of it is superseded, queued, or let in at once.

use super::declaration::{Action, Mode};
use super::events::News;
use super::execution::{
    Execution, ExecutionStatus, Pipeline, Place, Revision, Run, RunStatus, StageRun, StageStatus,
};
use super::ids::Ids;
use super::jobs::{Job, JobState, Jobs};
use super::quirks::{Pace, Quirks};
use super::source;
use super::variables::resolve;
use crate::sandbox::world::s3::S3;
use std::collections::BTreeMap;
use std::time::Duration;

/// What an execution needs of the world to go on.
pub struct Surroundings<'a> {
    /// The instant.
    pub now: Duration,
    /// Makes ids.
    pub ids: &'a mut Ids,
    /// Where jobs go.
    pub jobs: &'a mut Jobs,
    /// Where artifacts lie.
    pub s3: &'a mut S3,
    /// How the engine behaves.
    pub quirks: &'a Quirks,
    /// How long things take.
    pub pace: Pace,
    /// The region.
    pub region: &'a str,
}

impl Pipeline {
    /// The next instant at which a run changes by itself.
    pub fn next_change(&self) -> Option<Duration> {
        let runs = self.active.iter().filter_map(|id| self.runs.get(id));
        runs.map(|run| run.due.map_or(run.deadline, |due| due.min(run.deadline)))
            .min()
    }

    /// Does what is due, and lets every execution go as far as it can.
    pub fn settle(&mut self, around: &mut Surroundings<'_>) {
        self.end_due_runs(around);
        loop {
            let before = self.progress(around);
            let entered = self.enter_stages(around);
            if !before && !entered {
                return;
            }
        }
    }

    /// A run has ended.
    pub fn ended(&mut self, id: &str) {
        self.active.remove(id);
        self.news.extend(self.runs.get(id).map(News::of));
    }

    /// A run succeeded: its artifacts and variables are the execution's from now on.
    pub fn succeed(&mut self, id: &str, revision: Option<Revision>) {
        self.ended(id);
        let Some(run) = self.runs.get(id) else { return };
        let Some(execution) = self
            .executions
            .iter_mut()
            .find(|execution| execution.id == run.execution)
        else {
            return;
        };
        execution.artifacts.extend(run.outputs.iter().cloned());
        if let Some(namespace) = &run.action.namespace {
            execution
                .variables
                .insert(namespace.clone(), run.variables.clone());
        }
        if let (Some(revision), Some((artifact, _))) = (revision, run.outputs.first()) {
            execution.revisions.insert(artifact.clone(), revision);
        }
    }

    fn end_due_runs(&mut self, around: &mut Surroundings<'_>) {
        let now = around.now;
        let active: Vec<String> = self.active.iter().cloned().collect();
        for id in active {
            let Some(run) = self.runs.get_mut(&id) else {
                continue;
            };
            if run.due.is_some_and(|due| due <= now) {
                match source::fetch(run, &self.declaration.store, around) {
                    Ok(revision) => {
                        run.end(now, RunStatus::Succeeded);
                        self.succeed(&id, Some(revision));
                    }
                    Err(problem) => {
                        run.fail(now, "ConfigurationError", problem);
                        self.ended(&id);
                    }
                }
            } else if run.deadline <= now {
                let minutes = around.quirks.action_timeout_minutes;
                run.fail(
                    now,
                    "JobFailed",
                    format!("The action timed out: no result was reported within {minutes} minutes"),
                );
                if let Some(job) = &run.job {
                    around.jobs.end(now, job, JobState::TimedOut);
                }
                self.ended(&id);
            }
        }
    }

    /// Lets the executions that are in a stage go on; whether anything changed.
    fn progress(&mut self, around: &mut Surroundings<'_>) -> bool {
        let mut changed = false;
        for at in 0..self.executions.len() {
            let Place::In(stage) = self.executions[at].place else {
                continue;
            };
            changed |= self.progress_in_stage(at, stage, around);
        }
        changed
    }

    fn progress_in_stage(&mut self, at: usize, stage: usize, around: &mut Surroundings<'_>) -> bool {
        let now = around.now;
        let declared = self.declaration.clone();
        let actions = declared.in_order(stage);
        let statuses: Vec<Option<RunStatus>> = {
            let execution = &self.executions[at];
            let status = |action: &&Action| {
                let run = self.runs.get(execution.run_of(stage, &action.name)?)?;
                Some(run.status)
            };
            actions.iter().map(status).collect()
        };
        let busy = statuses.contains(&Some(RunStatus::InProgress));
        let lost = statuses
            .iter()
            .any(|status| matches!(status, Some(RunStatus::Failed | RunStatus::Abandoned)));
        let execution = &mut self.executions[at];
        if execution.status == ExecutionStatus::Stopping {
            if busy {
                return false;
            }
            execution.leave(now, stage, StageStatus::Stopped, ExecutionStatus::Stopped);
            return true;
        }
        if lost {
            execution.leave(now, stage, StageStatus::Failed, ExecutionStatus::Failed);
            return true;
        }
        let open = actions
            .iter()
            .zip(&statuses)
            .find(|(_, status)| **status != Some(RunStatus::Succeeded));
        let Some((first, _)) = open else {
            self.finish_stage(at, stage, now);
            return true;
        };
        let order = first.order;
        let next: Vec<Action> = actions
            .iter()
            .zip(&statuses)
            .filter(|(action, status)| action.order == order && status.is_none())
            .map(|(action, _)| (*action).clone())
            .collect();
        let any = !next.is_empty();
        for action in next {
            self.start(at, stage, action, around);
        }
        any
    }

    fn finish_stage(&mut self, at: usize, stage: usize, now: Duration) {
        let last = stage + 1 == self.declaration.stages.len();
        let execution = &mut self.executions[at];
        if last || execution.rollback.is_some() {
            execution.leave(now, stage, StageStatus::Succeeded, ExecutionStatus::Succeeded);
            return;
        }
        execution.set_stage(stage, StageStatus::Succeeded);
        execution.place = Place::Before(stage + 1);
        execution.updated = now;
    }

    /// Lets waiting executions into free stages; whether anything changed.
    fn enter_stages(&mut self, around: &mut Surroundings<'_>) -> bool {
        let mut changed = false;
        for stage in (0..self.declaration.stages.len()).rev() {
            loop {
                let mut waiting: Vec<usize> = (0..self.executions.len())
                    .filter(|at| self.executions[*at].place == Place::Before(stage))
                    .collect();
                if self.declaration.mode == Mode::Superseded && waiting.len() > 1 {
                    let newest = waiting.split_off(waiting.len() - 1);
                    for at in waiting {
                        self.executions[at].supersede(around.now);
                    }
                    waiting = newest;
                    changed = true;
                }
                let Some(at) = waiting.first().copied() else {
                    break;
                };
                if self.declaration.mode != Mode::Parallel && self.is_held(stage) {
                    break;
                }
                self.enter(at, stage, around.now);
                changed = true;
            }
        }
        changed
    }

    /// Whether an execution holds a stage: a failed one lets go once its last action has ended.
    fn is_held(&self, stage: usize) -> bool {
        let inside = |execution: &Execution| execution.place == Place::In(stage);
        let busy = |id: &String| self.runs.get(id).is_some_and(|run| run.stage == stage);
        self.executions.iter().any(inside) || self.active.iter().any(busy)
    }

    fn enter(&mut self, at: usize, stage: usize, now: Duration) {
        let execution = &mut self.executions[at];
        execution.place = Place::In(stage);
        execution.updated = now;
        let run = StageRun {
            status: StageStatus::InProgress,
            runs: BTreeMap::new(),
        };
        execution.stages.insert(stage, run);
        self.latest.insert(stage, execution.id.clone());
    }

    /// Starts an action: a source fetches, every other action gets a job.
    fn start(&mut self, at: usize, stage: usize, action: Action, around: &mut Surroundings<'_>) {
        let now = around.now;
        let declared = &self.declaration;
        let execution = &mut self.executions[at];
        let resolved = resolve(&action.configuration, &execution.variables);
        let inputs = action.inputs.iter().filter_map(|name| {
            let location = execution.artifacts.get(name)?;
            Some((name.clone(), location.clone()))
        });
        let inputs = inputs.collect();
        let outputs = action.outputs.iter().map(|name| {
            let key = around.ids.artifact_key(&declared.name, name);
            (name.clone(), declared.store.place(key))
        });
        let mut run = Run {
            outputs: outputs.collect(),
            inputs,
            id: around.ids.uuid(),
            serial: around.ids.serial(),
            execution: execution.id.clone(),
            stage,
            status: RunStatus::InProgress,
            started: now,
            updated: now,
            summary: None,
            external: None,
            percent: None,
            error: None,
            configuration: BTreeMap::new(),
            variables: BTreeMap::new(),
            due: None,
            deadline: now + around.pace.minutes(around.quirks.action_timeout_minutes),
            job: None,
            action,
        };
        let name = run.action.name.clone();
        if let Some(inside) = execution.stages.get_mut(&stage) {
            inside.runs.insert(name.clone(), run.id.clone());
        }
        self.latest_runs.insert((stage, name), run.id.clone());
        self.news.push(News::of(&run));
        match resolved {
            Err(problem) => {
                run.fail(now, "ConfigurationError", problem);
                self.news.push(News::of(&run));
            }
            Ok(configuration) => {
                run.configuration = configuration;
                self.active.insert(run.id.clone());
                if run.action.type_id.is_s3_source() {
                    run.due = Some(now + around.pace.seconds(around.quirks.source_seconds));
                } else {
                    let job = queue(&run, &declared.name, around);
                    run.job = Some(job);
                }
            }
        }
        self.runs.insert(run.id.clone(), run);
    }
}

/// Queues the first job of a run; gives its id.
fn queue(run: &Run, pipeline: &str, around: &mut Surroundings<'_>) -> String {
    let id = around.ids.uuid();
    around.jobs.add(Job {
        id: id.clone(),
        serial: around.ids.serial(),
        type_id: run.action.type_id.clone(),
        pipeline: pipeline.to_owned(),
        run: run.id.clone(),
        state: JobState::Queued,
        available: around.now,
        nonce: 0,
        offered: None,
        continuation: None,
        acknowledged: 0,
        closed: 0,
        refused: 0,
        over: None,
    });
    id
}

impl Execution {
    /// Ends with a stage.
    pub fn leave(
        &mut self,
        now: Duration,
        stage: usize,
        of_stage: StageStatus,
        of_execution: ExecutionStatus,
    ) {
        self.set_stage(stage, of_stage);
        self.status = of_execution;
        self.place = Place::Over;
        self.updated = now;
    }

    fn set_stage(&mut self, stage: usize, status: StageStatus) {
        if let Some(run) = self.stages.get_mut(&stage) {
            run.status = status;
        }
    }

    fn supersede(&mut self, now: Duration) {
        self.status = ExecutionStatus::Superseded;
        self.place = Place::Over;
        self.updated = now;
    }
}
