//! The parts of the evidence, and their shares of a screen.

use super::{Known, could_not_look};
use crate::ecs::observation::{Breaker, MonitorStatus, Observation, ServiceDeploymentStatus};
use crate::failure::room::{COLUMNS, INDENT_OF_EVIDENCE, rows_of, share};

/// One part of the evidence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// Its lines.
    pub lines: Vec<String>,
    /// Rows that it keeps before others get more.
    least: usize,
    /// Lines at its beginning that stay when the rest is cut from there.
    heads: usize,
    /// Whether its last lines tell most.
    newest: bool,
}

impl Part {
    /// A part whose first lines tell most.
    pub(super) const fn of(lines: Vec<String>, least: usize) -> Self {
        Self {
            lines,
            least,
            heads: 0,
            newest: false,
        }
    }

    /// A part whose last lines tell most.
    pub(super) const fn newest(lines: Vec<String>, least: usize) -> Self {
        Self {
            lines,
            least,
            heads: 0,
            newest: true,
        }
    }

    /// The same with lines at its beginning that stay.
    pub(super) const fn headed(mut self, heads: usize) -> Self {
        self.heads = heads;
        self
    }

    fn rows(&self) -> usize {
        self.lines.iter().map(|line| rows(line)).sum()
    }

    /// The lines that fit into its share.
    fn fit(&self, room: usize) -> Vec<String> {
        let mut left = room;
        let mut takes = |line: &&String| {
            let rows = rows(line);
            let fits = rows <= left;
            left = left.saturating_sub(rows);
            fits
        };
        let (heads, rest) = self.lines.split_at(self.heads.min(self.lines.len()));
        let mut lines: Vec<String> = heads.iter().take_while(&mut takes).cloned().collect();
        if lines.len() < heads.len() {
            return lines;
        }
        if self.newest {
            let mut kept: Vec<String> = rest.iter().rev().take_while(&mut takes).cloned().collect();
            kept.reverse();
            lines.append(&mut kept);
        } else {
            lines.extend(rest.iter().take_while(&mut takes).cloned());
        }
        // A heading of nothing says nothing.
        if !rest.is_empty() && lines.len() == heads.len() {
            lines.clear();
        }
        lines
    }
}

fn rows(line: &str) -> usize {
    rows_of(INDENT_OF_EVIDENCE + line.chars().count(), COLUMNS)
}

/// Every part's lines, as many as fit. The last part is the log of the failed container: it gets what the least of the
/// others leaves before they get more.
pub(super) fn fit(parts: &[Part], room: usize) -> Vec<String> {
    let mut order: Vec<&Part> = parts.iter().collect();
    order.sort_by_key(|part| part.heads == 0);
    let wishes: Vec<(usize, usize)> = order.iter().map(|part| (part.rows(), part.least)).collect();
    let shares = share(room, &wishes);
    let of = |part: &&Part| {
        let at = order.iter().position(|one| std::ptr::eq(*one, *part))?;
        shares.get(at).map(|share| part.fit(*share))
    };
    parts.iter().filter_map(|part| of(&part)).flatten().collect()
}

/// What watches the deployment: circuit breaker and alarms.
pub(super) fn monitors(seen: &Observation) -> Part {
    let Some(found) = &seen.service_deployment else {
        return Part::default();
    };
    let mut lines = Vec::new();
    // One that is off counts all the same, towards nothing.
    let watching = |breaker: &&Breaker| breaker.failures > 0 && breaker.status != MonitorStatus::Disabled;
    if let Some(breaker) = found.breaker.as_ref().filter(watching) {
        let (failures, threshold) = (breaker.failures, breaker.threshold);
        let status = &breaker.status;
        lines.push(format!(
            "circuit breaker: {failures} failures, threshold {threshold} ({status})"
        ));
    }
    if !found.triggered_alarms.is_empty() {
        lines.push(format!(
            "alarms that fired: {}",
            found.triggered_alarms.join(", ")
        ));
    }
    // What ended it shows above; why there is no way back shows nowhere else.
    if found.status == ServiceDeploymentStatus::RollbackFailed
        && let Some(reason) = &found.reason
    {
        lines.push(format!("ECS: {reason}"));
    }
    Part::of(lines, 3)
}

/// What could not be looked at, each call once.
pub(super) fn blindness(known: Known<'_>) -> Part {
    let mut lines: Vec<String> = Vec::new();
    for blind in known.seen.blind.iter().chain(known.blind) {
        let line = could_not_look(&blind.action, blind.why);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let least = lines.len();
    Part::of(lines, least)
}

#[cfg(test)]
mod tests {
    use super::{Part, fit};

    fn lines(name: &str, count: usize) -> Vec<String> {
        (1..=count).map(|number| format!("{name} {number}")).collect()
    }

    #[test]
    fn every_part_has_its_share_and_the_log_keeps_its_end_and_its_heading() {
        let parts = [
            Part::of(lines("group", 9), 2),
            Part::newest(lines("event", 9), 1),
            Part::newest(lines("log", 21), 6).headed(1),
        ];
        let shown = fit(&parts, 12);
        assert_eq!(
            shown,
            [
                "group 1", "group 2", "event 9", "log 1", "log 14", "log 15", "log 16", "log 17", "log 18",
                "log 19", "log 20", "log 21"
            ]
        );
        assert_eq!(
            fit(&parts, 100).len(),
            39,
            "with room for all of it, nothing is cut"
        );
        assert!(fit(&parts, 0).is_empty());
        assert_eq!(fit(&parts[2..], 1), [""; 0], "a heading alone is not shown");
    }

    #[test]
    fn a_long_line_takes_as_many_rows_as_a_log_breaks_it_into() {
        let long = "x".repeat(200);
        let parts = [Part::of(vec![long.clone(), "y".to_owned()], 1)];
        assert_eq!(fit(&parts, 3), parts[0].lines[..1]);
        assert_eq!(fit(&parts, 4), [long, "y".to_owned()]);
    }
}
