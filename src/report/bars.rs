//! Live rows at the bottom of a terminal: the build step, the layers on their way, what a rollout waits for.
//!
//! `Board` decides what the rows say and is pure; `Bars` draws them with indicatif.

use super::event::{Event, Phase, StepState};
use super::human::{clean, size};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A terminal narrower than this gets plain lines: rows would be cut to nothing.
pub const NARROWEST: usize = 40;

/// How often the spinners turn.
const TURN: Duration = Duration::from_millis(120);

/// What the rows say, by the image or service that they speak of.
#[derive(Debug, Default)]
pub struct Board {
    rows: BTreeMap<String, Row>,
}

#[derive(Debug, Default)]
struct Row {
    /// What goes on: a step, `push`, or what a rollout waits for.
    doing: String,
    /// The last line that it printed.
    line: String,
    /// Bytes done and in all, by layer.
    layers: BTreeMap<String, (u64, u64)>,
}

impl Row {
    fn text(&self, of: &str, width: usize) -> String {
        let name = format!("{of}:");
        let mut text = format!("{name:<width$} {}", self.doing);
        if !self.layers.is_empty() {
            let (done, total) = self
                .layers
                .values()
                .fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
            let ready = self.layers.values().filter(|(done, total)| done >= total).count();
            text.push_str(&format!(
                " {} of {}, {ready} of {} layers",
                size(done),
                size(total),
                self.layers.len()
            ));
        }
        if !self.line.is_empty() {
            text.push_str(&format!(" | {}", self.line));
        }
        text
    }
}

impl Board {
    /// Learns of an event; answers whether it belongs above the rows as a line, because no row shows it.
    pub fn see(&mut self, event: &Event) -> bool {
        match event {
            Event::PhaseStarted { phase, of } => {
                let doing = match phase {
                    Phase::Build | Phase::Push | Phase::Deploy => phase.word().to_owned(),
                };
                self.rows.insert(
                    of.clone(),
                    Row {
                        doing,
                        ..Row::default()
                    },
                );
                false
            }
            Event::PhaseFinished { of, .. } => {
                self.rows.remove(of);
                true
            }
            Event::BuildStep { image, step, state } => {
                if matches!(state, StepState::Started) {
                    let row = self.rows.entry(image.clone()).or_default();
                    row.doing = clean(step);
                    row.line.clear();
                }
                matches!(state, StepState::Failed { .. })
            }
            Event::BuildLine { image, line } => {
                self.rows.entry(image.clone()).or_default().line = clean(line);
                false
            }
            Event::LayerProgress {
                image,
                layer,
                status,
                bytes,
            } => {
                self.rows
                    .entry(image.clone())
                    .or_default()
                    .learn(layer, status, *bytes);
                false
            }
            Event::Waiting {
                service, what_for, ..
            } => {
                let row = self.rows.entry(service.to_string()).or_default();
                row.doing = format!("waiting for {}", clean(what_for));
                false
            }
            Event::TaskStarted { task, .. } => {
                let row = self.rows.entry(task.to_string()).or_default();
                "task".clone_into(&mut row.doing);
                true
            }
            Event::TaskWaiting { task, what_for, .. } => {
                let row = self.rows.entry(task.to_string()).or_default();
                row.doing = format!("waiting for {}", clean(what_for));
                false
            }
            Event::TaskDone { task, .. } => {
                self.rows.remove(task.as_str());
                true
            }
            Event::Healthy { service, .. }
            | Event::Unchanged { service, .. }
            | Event::Unwatched { service, .. } => {
                self.rows.remove(service.as_str());
                true
            }
            Event::Lost { service, .. } => {
                self.rows.entry(service.to_string()).or_default().doing =
                    "lost, looking for the cause".to_owned();
                true
            }
            Event::RollingBack { service, revision } => {
                self.rows.entry(service.to_string()).or_default().doing =
                    format!("going back to {}", clean(revision));
                true
            }
            Event::Note(_)
            | Event::Warning(_)
            | Event::ContextSent { .. }
            | Event::Pushed { .. }
            | Event::Reused { .. }
            | Event::Wrote { .. }
            | Event::ImageChange { .. }
            | Event::Registered { .. }
            | Event::TaskLine { .. }
            | Event::DeploymentStarted { .. }
            | Event::ServiceEvent { .. }
            | Event::DigestProven { .. }
            | Event::Retold { .. }
            // A worker's log has no rows: its jobs are many, and nobody sits before them.
            | Event::OfJob { .. }
            | Event::JobClaimed { .. }
            | Event::JobHandedBack { .. }
            | Event::JobDone { .. }
            | Event::JobFailed(_) => true,
        }
    }

    /// The rows, by what they speak of; their texts begin in one column.
    #[must_use]
    pub fn rows(&self) -> BTreeMap<&str, String> {
        let longest = self.rows.keys().map(|of| of.chars().count()).max();
        let width = longest.unwrap_or_default() + 1;
        self.rows
            .iter()
            .map(|(of, row)| (of.as_str(), row.text(of, width)))
            .collect()
    }
}

impl Row {
    fn learn(&mut self, layer: &str, status: &str, bytes: Option<(u64, u64)>) {
        match bytes {
            Some(bytes) => {
                self.layers.insert(layer.to_owned(), bytes);
            }
            // A layer that is there says so without numbers; one that waits has none yet.
            None if is_there(status) => {
                let known = self.layers.entry(layer.to_owned()).or_default();
                known.0 = known.1;
            }
            None => {}
        }
    }
}

/// The Engine's words for a layer that needs no more work.
fn is_there(status: &str) -> bool {
    ["Pushed", "Layer already exists", "Mounted from"]
        .iter()
        .any(|word| status.starts_with(word))
}

/// The board, drawn on stderr.
#[derive(Debug)]
pub struct Bars {
    drawn: MultiProgress,
    state: Mutex<(Board, BTreeMap<String, ProgressBar>)>,
}

impl Default for Bars {
    fn default() -> Self {
        Self {
            drawn: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            state: Mutex::default(),
        }
    }
}

impl Bars {
    /// Shows an event in the rows; answers whether its line belongs above them.
    pub fn see(&self, event: &Event) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (board, drawn) = &mut *state;
        let line = board.see(event);
        let rows = board.rows();
        drawn.retain(|of, bar| {
            let stays = rows.contains_key(of.as_str());
            if !stays {
                bar.finish_and_clear();
            }
            stays
        });
        for (of, text) in rows {
            let bar = drawn.entry(of.to_owned()).or_insert_with(|| {
                let bar = self.drawn.add(ProgressBar::new_spinner());
                bar.set_style(row_style());
                bar.enable_steady_tick(TURN);
                bar
            });
            bar.set_message(text);
        }
        line
    }

    /// Prints above the rows, which stay whole.
    pub fn above(&self, print: impl FnOnce()) {
        self.drawn.suspend(print);
    }

    /// Takes the rows away: a failure or the end stands alone.
    pub fn clear(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (board, drawn) = &mut *state;
        board.rows.clear();
        for bar in std::mem::take(drawn).into_values() {
            bar.finish_and_clear();
        }
    }
}

/// A spinner, a message that is cut at the terminal's edge, and how long the row has been there.
fn row_style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::Board;
    use crate::report::event::{Event, Phase, StepState};
    use std::time::Duration;

    fn layer(layer: &str, status: &str, bytes: Option<(u64, u64)>) -> Event {
        Event::LayerProgress {
            image: "web".to_owned(),
            layer: layer.to_owned(),
            status: status.to_owned(),
            bytes,
        }
    }

    fn started(phase: Phase) -> Event {
        Event::PhaseStarted {
            phase,
            of: "web".to_owned(),
        }
    }

    #[test]
    fn a_row_shows_the_step_and_its_last_line() {
        let mut board = Board::default();
        assert!(!board.see(&started(Phase::Build)));
        board.see(&Event::BuildStep {
            image: "web".to_owned(),
            step: "[2/4] RUN make".to_owned(),
            state: StepState::Started,
        });
        assert!(!board.see(&Event::BuildLine {
            image: "web".to_owned(),
            line: "10%\r20%".to_owned(),
        }));
        assert_eq!(board.rows()["web"], "web: [2/4] RUN make | 20%");
        assert!(board.see(&Event::PhaseFinished {
            phase: Phase::Build,
            of: "web".to_owned(),
            took: Duration::ZERO,
        }));
        assert!(board.rows().is_empty());
    }

    #[test]
    fn a_push_adds_its_layers_up() {
        let mut board = Board::default();
        board.see(&started(Phase::Push));
        board.see(&layer("a", "Pushing", Some((500, 2_000))));
        board.see(&layer("b", "Pushing", Some((1_000, 1_000))));
        board.see(&layer("c", "Layer already exists", None));
        board.see(&layer("d", "Waiting", None));
        assert_eq!(board.rows()["web"], "web: push 1.5 kB of 3.0 kB, 2 of 3 layers");
        board.see(&layer("a", "Pushed", None));
        assert_eq!(board.rows()["web"], "web: push 3.0 kB of 3.0 kB, 3 of 3 layers");
    }

    #[test]
    fn several_services_are_a_table_and_a_lost_one_keeps_its_row_until_the_end() {
        let mut board = Board::default();
        for service in ["api", "shop-web"] {
            board.see(&Event::Waiting {
                service: service.parse().unwrap(),
                elapsed: Duration::ZERO,
                what_for: "tasks to start (0/2 running)".to_owned(),
            });
        }
        let waiting = "waiting for tasks to start (0/2 running)";
        let rows = [
            ("api", format!("api:      {waiting}")),
            ("shop-web", format!("shop-web: {waiting}")),
        ];
        assert_eq!(board.rows().into_iter().collect::<Vec<_>>(), rows);
        assert!(board.see(&Event::Lost {
            service: "api".parse().unwrap(),
            what: "tasks cannot start".to_owned(),
        }));
        assert!(board.see(&Event::RollingBack {
            service: "api".parse().unwrap(),
            revision: "api:1".to_owned(),
        }));
        assert!(board.see(&Event::Unwatched {
            service: "shop-web".parse().unwrap(),
            doing: waiting.to_owned(),
        }));
        assert_eq!(
            board.rows().into_iter().collect::<Vec<_>>(),
            [("api", "api: going back to api:1".to_owned())]
        );
    }

    #[test]
    fn a_rollout_shows_what_it_waits_for_until_it_is_healthy() {
        let mut board = Board::default();
        board.see(&Event::Waiting {
            service: "shop".parse().unwrap(),
            elapsed: Duration::from_secs(65),
            what_for: "health checks".to_owned(),
        });
        assert_eq!(board.rows()["shop"], "shop: waiting for health checks");
        assert!(board.see(&Event::Healthy {
            service: "shop".parse().unwrap(),
            revision: "shop:2".to_owned(),
            took: Duration::ZERO,
        }));
        assert!(board.rows().is_empty());
    }
}
