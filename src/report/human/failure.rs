//! The one renderer of failures: what, why, the evidence, where, what is left, and what to do.

use super::others;
use super::short::target_groups;
use super::text::{Style, clean, wrap};
use crate::failure::Failure;
use crate::failure::room::{COLUMNS, INDENT, MOST_OF_A_FIELD, MOST_OF_HINTS, MOST_ROWS, rows_of, share};

/// Rows that all lines of other services may take together. Where all of a failure is long they keep their names: who
/// failed too is known from nowhere else, while a log can be looked up, and of several hints the first helps most. So the
/// evidence goes first, then hints, then what is said of other services, and their names last.
const MOST_OF_OTHERS: usize = 2 * MOST_OF_A_FIELD;

/// How a failure is broken into rows.
#[derive(Debug, Clone, Copy)]
struct Page {
    /// The columns of a terminal; a log has none, and breaks its lines where it is shown.
    width: Option<usize>,
    style: Style,
}

/// Renders a failure; on a terminal, `width` breaks its lines between words. A log is left unbroken, so that it can be
/// searched, and counts as one of 100 columns.
#[must_use]
pub fn render(failure: &Failure, width: Option<usize>, style: Style) -> String {
    let page = Page { width, style };
    let mut head = page.field("error", &failure.what);
    if let Some(cause) = failure.root_cause() {
        head.extend(page.field("cause", &cause));
    }
    let mut tail = Vec::new();
    for (label, text) in [("where", &failure.place), ("left", &failure.left)] {
        if let Some(text) = text {
            tail.extend(page.field(label, text));
        }
    }
    let rows = |lines: &[String]| lines.iter().map(|line| page.rows(line)).sum::<usize>();
    let hints: Vec<Vec<String>> = failure
        .hints
        .iter()
        .map(|hint| page.field("hint", hint))
        .collect();
    // In one line however narrow the terminal is, and whole, so that it can be copied.
    let tokens: Vec<String> = failure
        .resume
        .iter()
        .map(|token| format!("--resume {token}"))
        .collect();
    let resume = (!tokens.is_empty()).then(|| {
        let label = style.label("resume:");
        format!(" {label} slipway deploy {}", tokens.join(" "))
    });
    let taken = rows(&head) + rows(&tail) + usize::from(resume.is_some());
    let told: Vec<String> = failure
        .others
        .iter()
        .map(|other| page.whole_names(other))
        .collect();
    let rows_of_other = |other: &str| rows(&page.other(other));
    let rows_of_others = |others: &[String]| others.iter().map(|other| rows_of_other(other)).sum::<usize>();
    let names: Vec<String> = failure.others.iter().map(|other| others::brief(other)).collect();
    let names = rows_of_others(&names);
    let wishes = [
        (rows_of_others(&told).min(MOST_OF_OTHERS).max(names), names),
        (
            rows(&hints.concat()).min(MOST_OF_HINTS),
            hints.first().map_or(0, |first| rows(first)),
        ),
    ];
    let shares = share(MOST_ROWS.saturating_sub(taken), &wishes);
    let others = others::fitting(&told, shares[0], rows_of_other);
    let others = others.iter().flat_map(|other| page.other(other)).collect();
    let others = page.shorten(others, shares[0]);
    let hints = fitting(hints, shares[1], rows);
    let taken = taken + rows(&others) + rows(&hints);
    tail.extend(others);
    tail.extend(hints);
    tail.extend(resume);
    let evidence = failure.evidence.iter().flat_map(|text| text.lines());
    let evidence = evidence.map(|line| {
        format!(
            "{:INDENT$}{}",
            "",
            style.faint(&format!("| {}", target_groups(&clean(line))))
        )
    });
    head.extend(page.shorten(evidence.collect(), MOST_ROWS.saturating_sub(taken)));
    head.extend(tail);
    let mut text = head.join("\n");
    text.push('\n');
    text
}

/// As many hints as fit, each of them whole: what helps most is said first.
fn fitting(hints: Vec<Vec<String>>, room: usize, rows: impl Fn(&[String]) -> usize) -> Vec<String> {
    let mut left = room;
    let fits = |hint: &Vec<String>| {
        let rows = rows(hint);
        let fits = rows <= left;
        left = left.saturating_sub(rows);
        fits
    };
    hints.into_iter().take_while(fits).flatten().collect()
}

impl Page {
    /// `  cause: text`, following lines below the text.
    fn field(self, label: &str, text: &str) -> Vec<String> {
        let lines = self.lines(label, text, |line| self.elide(&clean(line)));
        self.shorten(lines, MOST_OF_A_FIELD)
    }

    /// The same, however long it is.
    fn lines(self, label: &str, text: &str, shown: impl Fn(&str) -> String) -> Vec<String> {
        let room = self
            .width
            .map_or(usize::MAX, |width| width.saturating_sub(INDENT).max(20));
        let lines = text
            .trim_end()
            .lines()
            .map(shown)
            .flat_map(|line| wrap(&line, room));
        let style = self.style;
        let (label, painted, indent) = match label {
            "error" => ("error:".to_owned(), style.bad("error:"), 0),
            _ => (format!("{label}:"), style.label(&format!("{label}:")), INDENT - 1),
        };
        let first = " ".repeat(indent.saturating_sub(label.len()));
        let rest = " ".repeat(if indent == 0 { label.len() + 1 } else { INDENT });
        let lines = lines.enumerate().map(|(at, line)| {
            if at == 0 {
                format!("{first}{painted} {line}")
            } else {
                format!("{rest}{line}")
            }
        });
        lines.collect()
    }

    /// A line of several services that would lose its middle has their names instead.
    fn whole_names(self, text: &str) -> String {
        let rows: usize = self
            .lines("others", text, clean)
            .iter()
            .map(|line| self.rows(line))
            .sum();
        let brief = others::brief(text);
        let is_several = brief.contains("; ");
        if is_several && rows >= MOST_OF_A_FIELD {
            brief
        } else {
            text.to_owned()
        }
    }

    /// A line of other services, which is long only where its names are: they are never cut.
    fn other(self, text: &str) -> Vec<String> {
        let whole = others::brief(text) == text;
        if whole {
            self.lines("others", text, clean)
        } else {
            self.field("others", text)
        }
    }

    /// A line that alone takes more rows than a field may loses its middle: what was done is said first, and what went
    /// wrong last.
    fn elide(self, line: &str) -> String {
        let columns = self.width.unwrap_or(COLUMNS).max(INDENT + 20) - INDENT;
        // A broken line may end a good deal before the last column.
        let most = columns * (MOST_OF_A_FIELD - 1) - INDENT;
        let length = line.chars().count();
        if length <= most {
            return line.to_owned();
        }
        let head: String = line.chars().take(most * 3 / 5).collect();
        let tail: String = line.chars().skip(length - most * 2 / 5).collect();
        format!("{} ... {}", head.trim_end(), tail.trim_start())
    }

    /// The rows that a line takes, colours apart.
    fn rows(self, line: &str) -> usize {
        rows_of(clean(line).chars().count(), self.width.unwrap_or(COLUMNS).max(1))
    }

    /// Keeps the first third and the last two thirds of what is too long: a list of problems begins with the first, and
    /// a log ends with what matters.
    fn shorten(self, lines: Vec<String>, most: usize) -> Vec<String> {
        let total: usize = lines.iter().map(|line| self.rows(line)).sum();
        if total <= most {
            return lines;
        }
        let Some(kept) = most.checked_sub(1) else {
            return Vec::new();
        };
        let fitting = |room: usize, lines: &mut dyn Iterator<Item = &String>| {
            let mut left = room;
            let fits = |line: &&String| {
                let rows = self.rows(line);
                let fits = rows <= left;
                left = left.saturating_sub(rows);
                fits
            };
            lines.take_while(fits).count()
        };
        let head = fitting(kept / 3, &mut lines.iter());
        let tail = fitting(kept - kept / 3, &mut lines.iter().skip(head).rev());
        let left_out = lines.len() - head - tail;
        let mark = self.style.faint(&format!("... {left_out} lines left out ..."));
        let (first, rest) = lines.split_at(head);
        let mut shown = first.to_vec();
        shown.push(format!("{:INDENT$}{mark}", ""));
        shown.extend_from_slice(&rest[left_out..]);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_ROWS, Style, render};
    use crate::failure::room::{COLUMNS, INDENT_OF_EVIDENCE, rows, rows_of};
    use crate::failure::{Failure, Kind};
    use proptest::prelude::*;
    use std::io;

    fn plain(failure: &Failure) -> String {
        render(failure, None, Style::default())
    }

    /// The rows of a log of 100 columns.
    fn on_screen(text: &str) -> usize {
        text.lines()
            .map(|line| rows_of(line.chars().count(), COLUMNS))
            .sum()
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

    #[test]
    fn a_token_stays_in_one_line_and_other_services_have_theirs() {
        let failure = Failure {
            others: vec!["proven: `api` runs `api:3`".to_owned()],
            resume: vec!["sw1.aaaa.bbbb".to_owned(), "sw1.cccc.dddd".to_owned()],
            ..Failure::new(Kind::Deadline, "slow").hint("wait")
        };
        assert_eq!(
            render(&failure, Some(36), Style::default()),
            "\
error: slow
 others: proven: `api` runs `api:3`
   hint: wait
 resume: slipway deploy --resume sw1.aaaa.bbbb --resume sw1.cccc.dddd
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
        assert_eq!(text.lines().count(), MOST_ROWS);
        assert!(
            text.contains("| line 1\n") && text.contains("| line 100\n"),
            "{text}"
        );
        assert!(text.contains("... 63 lines left out ..."), "{text}");
    }

    #[test]
    fn a_crowded_failure_keeps_who_failed_too_and_its_first_hint_whole() {
        let long = |what: &str| format!("{what} {}", "x".repeat(550));
        let mut failure = Failure::new(Kind::RolledBack, long("error"))
            .cause(long("cause"))
            .place(long("where"))
            .left(long("left"))
            .hint(format!("first {} end", "y".repeat(400)))
            .hint(long("second"))
            .hint(long("third"))
            .evidence((1..=30).map(|number| format!("line {number}")));
        failure.others = vec![
            "also failed: `api`".to_owned(),
            "proven: `web` runs `web:3`".to_owned(),
        ];
        let text = plain(&failure);
        assert!(on_screen(&text) <= MOST_ROWS, "{text}");
        for kept in ["also failed: `api`", "proven: `web`", "hint: first", "yy end"] {
            assert!(text.contains(kept), "{kept}\n{text}");
        }
        assert!(!text.contains("third"), "{text}");
    }

    #[test]
    fn the_names_of_other_services_are_never_cut() {
        let long = |what: &str, times: usize| format!("{what} {}", "x".repeat(times));
        let name = |n: usize| format!("{}-{n}", "shop".repeat(5));
        let mut failure = Failure::new(Kind::RolloutFailed, long("error", 300))
            .cause(long("cause", 300))
            .left(long("left", 300))
            .hint(long("hint", 200))
            .evidence((1..=40).map(|number| long(&format!("{number}"), 150)));
        for n in 0..5 {
            let cause = long("cause", 400);
            failure.others.push(format!(
                "also failed: tasks of service `{}` cannot start: {cause}",
                name(n)
            ));
        }
        let listed: Vec<String> = (5..12).map(|n| format!("`{}`", name(n))).collect();
        failure.others.push(format!("also failed: {}", listed.join(", ")));
        let doing: Vec<String> = (12..20)
            .map(|n| format!("`{}` ({})", name(n), long("y", 90)))
            .collect();
        failure
            .others
            .push(format!("goes on unwatched: {}", doing.join("; ")));
        let text = plain(&failure);
        assert!(on_screen(&text) <= MOST_ROWS, "{text}");
        for n in 0..20 {
            assert!(text.contains(&format!("`{}`", name(n))), "{n}: {text}");
        }
    }

    #[test]
    fn a_cause_of_one_endless_line_keeps_its_beginning_and_its_end() {
        let cause = format!("pull {}: not found", "layer ".repeat(500));
        for width in [None, Some(80)] {
            let text = render(
                &Failure::new(Kind::Build, "y").cause(&cause),
                width,
                Style::default(),
            );
            assert!(
                text.contains("cause: pull") && text.trim_end().ends_with(": not found"),
                "{text}"
            );
            assert!(text.chars().count() < 700, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_failure_takes_more_than_a_screen(
            what in "[a-z \n]{0,400}", cause in "[a-z \n]{0,400}", left in "[a-z \n]{0,400}",
            hints in prop::collection::vec("[a-z \n]{0,200}", 0..30),
            evidence in prop::collection::vec("[a-z \n]{0,200}", 0..60),
            others in prop::collection::vec("[a-z \n]{0,200}", 0..30),
            width in prop::option::of(1usize..200),
        ) {
            let mut failure = Failure::new(Kind::Build, what).cause(cause).left(left.clone()).place(left);
            failure.hints = hints;
            failure.others = others;
            failure.resume = vec!["sw1.a.b".to_owned()];
            failure.evidence = evidence;
            for style in [Style::default(), Style { colour: true }] {
                let text = render(&failure, width, style);
                prop_assert!(text.lines().count() <= MOST_ROWS, "{text}");
            }
            let text = plain(&failure);
            prop_assert!(on_screen(&text) <= MOST_ROWS, "{text}");
        }

        #[test]
        fn evidence_that_was_made_to_fit_is_shown_whole(
            what in "[a-z ]{1,300}", cause in "[a-z ]{1,300}", left in "[a-z ]{0,200}",
            hints in prop::collection::vec("[a-z ]{1,150}", 0..4),
            evidence in prop::collection::vec("[a-z]{1,240}", 0..40),
        ) {
            let mut failure = Failure::new(Kind::Build, what).cause(cause).left(left.clone()).place(left);
            failure.hints = hints;
            let mut room = failure.room_for_evidence();
            for line in evidence {
                let takes = rows(&line, INDENT_OF_EVIDENCE);
                if takes > room {
                    break;
                }
                room -= takes;
                failure.evidence.push(line);
            }
            prop_assert!(!plain(&failure).contains("left out"), "{}", plain(&failure));
        }
    }
}
