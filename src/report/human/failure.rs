//! The one renderer of failures: what, why, the evidence, where, what is left, and what to do.

use super::short::target_groups;
use super::text::{Style, clean, wrap};
use crate::failure::Failure;

/// A failure never takes more lines: it must fit on a screen below what scrolled by.
pub const MOST_LINES: usize = 40;

/// Lines that one field may take, the evidence apart, which takes what the others leave.
const MOST_OF_A_FIELD: usize = 6;

/// Where the text of a field begins.
const INDENT: usize = 9;

/// Renders a failure; on a terminal, `width` breaks its lines between words. A log is left unbroken, so that it can be
/// searched.
#[must_use]
pub fn render(failure: &Failure, width: Option<usize>, style: Style) -> String {
    let field = |label: &str, text: &str| field(label, text, width, style);
    let mut head = field("error", &failure.what);
    if let Some(cause) = failure.root_cause() {
        head.extend(field("cause", &cause));
    }
    let mut tail = Vec::new();
    for (label, text) in [("where", &failure.place), ("left", &failure.left)] {
        if let Some(text) = text {
            tail.extend(field(label, text));
        }
    }
    let hints: Vec<String> = failure
        .hints
        .iter()
        .flat_map(|hint| field("hint", hint))
        .collect();
    tail.extend(shorten(hints, 2 * MOST_OF_A_FIELD, style));
    let room = MOST_LINES.saturating_sub(head.len() + tail.len());
    let evidence = failure.evidence.iter().flat_map(|text| text.lines());
    let evidence = evidence.map(|line| {
        format!(
            "{:INDENT$}{}",
            "",
            style.faint(&format!("| {}", target_groups(&clean(line))))
        )
    });
    head.extend(shorten(evidence.collect(), room, style));
    head.extend(tail);
    let mut text = head.join("\n");
    text.push('\n');
    text
}

/// `  cause: text`, following lines below the text.
fn field(label: &str, text: &str, width: Option<usize>, style: Style) -> Vec<String> {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(INDENT).max(20));
    let lines = text
        .trim_end()
        .lines()
        .map(clean)
        .flat_map(|line| wrap(&line, room));
    let lines = shorten(lines.collect(), MOST_OF_A_FIELD, style);
    let (label, painted, indent) = match label {
        "error" => ("error:".to_owned(), style.bad("error:"), 0),
        _ => (format!("{label}:"), style.label(&format!("{label}:")), INDENT - 1),
    };
    let first = " ".repeat(indent.saturating_sub(label.len()));
    let rest = " ".repeat(if indent == 0 { label.len() + 1 } else { INDENT });
    lines
        .iter()
        .enumerate()
        .map(|(at, line)| {
            if at == 0 {
                format!("{first}{painted} {line}")
            } else {
                format!("{rest}{line}")
            }
        })
        .collect()
}

/// Keeps the first third and the last two thirds of what is too long: a list of problems begins with the first, and a
/// log ends with what matters.
fn shorten(mut lines: Vec<String>, most: usize, style: Style) -> Vec<String> {
    if lines.len() <= most {
        return lines;
    }
    let Some(kept) = most.checked_sub(1) else {
        return Vec::new();
    };
    let head = kept / 3;
    let tail = kept - head;
    let left_out = lines.len() - kept;
    let end = lines.split_off(lines.len() - tail);
    lines.truncate(head);
    lines.push(format!(
        "{:INDENT$}{}",
        "",
        style.faint(&format!("... {left_out} lines left out ..."))
    ));
    lines.extend(end);
    lines
}

#[cfg(test)]
mod tests {
    use super::{MOST_LINES, Style, render};
    use crate::failure::{Failure, Kind};
    use proptest::prelude::*;
    use std::io;

    fn plain(failure: &Failure) -> String {
        render(failure, None, Style::default())
    }

    #[test]
    fn a_failure_has_one_shape() {
        let failure = Failure::new(Kind::RolledBack, "service `shop` did not become healthy in 10m")
            .cause("container `web` exited with code 137")
            .evidence([
                "task 1: out of memory".to_owned(),
                "task 2: \u{1b}[31mout of memory".to_owned(),
            ])
            .place("cluster `prod`, deployment ecs-svc/123, task definition `shop:42`")
            .left("`shop:41` still serves all traffic")
            .hint("compare `memory` in shop:41 and shop:42")
            .hint("or give it less to do");
        assert_eq!(
            plain(&failure),
            "\
error: service `shop` did not become healthy in 10m
  cause: container `web` exited with code 137
         | task 1: out of memory
         | task 2: out of memory
  where: cluster `prod`, deployment ecs-svc/123, task definition `shop:42`
   left: `shop:41` still serves all traffic
   hint: compare `memory` in shop:41 and shop:42
   hint: or give it less to do
"
        );
    }

    #[derive(Debug, thiserror::Error)]
    #[error("register `shop`")]
    struct Register(#[source] Send);

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Send(#[source] io::Error);

    #[test]
    fn the_chain_is_walked_and_nothing_is_said_twice() {
        let root = io::Error::other("connection refused");
        let failure = Failure::new(Kind::FarEnd, "deploy failed").because(Register(Send(root)));
        assert_eq!(
            plain(&failure),
            "error: deploy failed\n  cause: register `shop`: connection refused\n"
        );
        let same =
            Failure::new(Kind::FarEnd, "connection refused").because(io::Error::other("connection refused"));
        assert_eq!(plain(&same), "error: connection refused\n");
    }

    #[test]
    fn a_known_cause_stands_for_the_chain() {
        let failure = Failure::new(Kind::FarEnd, "x")
            .because(io::Error::other("symptom"))
            .cause("root");
        assert_eq!(plain(&failure), "error: x\n  cause: root\n");
    }

    #[test]
    fn a_narrow_terminal_breaks_lines_below_their_text() {
        let failure =
            Failure::new(Kind::Usage, "one two three four five six").cause("seven eight nine ten eleven");
        assert_eq!(
            render(&failure, Some(30), Style::default()),
            "error: one two three four\n       five six\n  cause: seven eight nine ten\n         eleven\n"
        );
    }

    #[test]
    fn long_evidence_keeps_its_beginning_and_its_end() {
        let lines = (1..=100).map(|n| format!("line {n}"));
        let text = plain(&Failure::new(Kind::Build, "x").evidence(lines).hint("y"));
        assert_eq!(text.lines().count(), MOST_LINES);
        assert!(
            text.contains("| line 1\n") && text.contains("| line 100\n"),
            "{text}"
        );
        assert!(text.contains("... 63 lines left out ..."), "{text}");
    }

    proptest! {
        #[test]
        fn no_failure_takes_more_than_a_screen(
            what in "[a-z \n]{0,400}", cause in "[a-z \n]{0,400}", left in "[a-z \n]{0,400}",
            hints in prop::collection::vec("[a-z \n]{0,200}", 0..30),
            evidence in prop::collection::vec("[a-z \n]{0,200}", 0..60),
            width in prop::option::of(1usize..200),
        ) {
            let mut failure = Failure::new(Kind::Build, what).cause(cause).left(left.clone()).place(left);
            failure.hints = hints;
            failure.evidence = evidence;
            prop_assert!(render(&failure, width, Style::default()).lines().count() <= MOST_LINES);
        }
    }
}
