//! How much of a failure fits on a screen: rows of a log of 100 columns, shared so that cause, left and hints stay whole.

use super::Failure;

/// A failure never takes more rows: it must fit on a screen below what scrolled by.
pub const MOST_ROWS: usize = 40;

/// Columns of the log that rows are counted in where no terminal says its own.
pub const COLUMNS: usize = 100;

/// Rows that one field may take, the evidence apart, which takes what the others leave.
pub const MOST_OF_A_FIELD: usize = 6;

/// Rows that all hints may take together.
pub const MOST_OF_HINTS: usize = 2 * MOST_OF_A_FIELD;

/// Columns before a field's text.
pub const INDENT: usize = 9;

/// Columns before a line of evidence: the indent, and the bar that marks it.
pub const INDENT_OF_EVIDENCE: usize = INDENT + 2;

/// The rows that one line of this many characters takes.
#[must_use]
pub const fn rows_of(characters: usize, columns: usize) -> usize {
    let rows = characters.div_ceil(columns);
    if rows == 0 { 1 } else { rows }
}

/// The rows that a text takes behind an indent.
#[must_use]
pub fn rows(text: &str, indent: usize) -> usize {
    text.lines()
        .map(|line| rows_of(indent + line.chars().count(), COLUMNS))
        .sum()
}

/// Gives parts their share of `room`: every part its least in the order of the list, then what is left in the same
/// order, up to what each wants. A part is `(wants, least)`.
#[must_use]
pub fn share(room: usize, parts: &[(usize, usize)]) -> Vec<usize> {
    let mut left = room;
    let mut shares: Vec<usize> = parts
        .iter()
        .map(|(wants, least)| {
            let share = (*wants).min(*least).min(left);
            left -= share;
            share
        })
        .collect();
    for (share, (wants, _)) in shares.iter_mut().zip(parts) {
        let more = wants.saturating_sub(*share).min(left);
        *share += more;
        left -= more;
    }
    shares
}

impl Failure {
    /// The rows that its other fields leave for evidence.
    #[must_use]
    pub fn room_for_evidence(&self) -> usize {
        let field = |text: &str| rows(text, INDENT).min(MOST_OF_A_FIELD);
        let cause = self.root_cause();
        let fields = [
            Some(&self.what),
            cause.as_ref(),
            self.place.as_ref(),
            self.left.as_ref(),
        ];
        let fields: usize = fields.into_iter().flatten().map(|text| field(text)).sum();
        let hints: usize = self.hints.iter().map(|hint| field(hint)).sum();
        let others: usize = self.others.iter().map(|other| field(other)).sum();
        let resume = usize::from(!self.resume.is_empty());
        let taken = fields + hints.min(MOST_OF_HINTS) + others.min(2 * MOST_OF_A_FIELD) + resume;
        MOST_ROWS.saturating_sub(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, INDENT, MOST_ROWS, rows, rows_of, share};
    use crate::failure::{Failure, Kind};
    use proptest::prelude::*;

    #[test]
    fn rows_are_counted_as_a_log_breaks_them() {
        assert_eq!((rows_of(0, 100), rows_of(100, 100), rows_of(101, 100)), (1, 1, 2));
        assert_eq!(rows(&format!("a\n{}", "b".repeat(COLUMNS - INDENT)), INDENT), 2);
        assert_eq!(rows(&"b".repeat(COLUMNS - INDENT + 1), INDENT), 2);
    }

    #[test]
    fn the_least_of_each_part_goes_before_what_the_first_wants() {
        assert_eq!(share(10, &[(20, 4), (3, 2), (9, 2)]), [6, 2, 2]);
        assert_eq!(share(30, &[(20, 4), (3, 2), (9, 2)]), [20, 3, 7]);
        assert_eq!(share(5, &[(20, 4), (3, 2), (9, 2)]), [4, 1, 0]);
        assert_eq!(share(30, &[(0, 4), (3, 2)]), [0, 3]);
    }

    #[test]
    fn a_short_failure_leaves_almost_the_whole_screen() {
        let failure = Failure::new(Kind::Build, "x").cause("y").left("z").hint("h");
        assert_eq!(failure.room_for_evidence(), MOST_ROWS - 4);
    }

    proptest! {
        #[test]
        fn no_share_exceeds_the_room_or_the_wish(
            room in 0usize..60,
            parts in prop::collection::vec((0usize..40, 0usize..10), 0..8),
        ) {
            let shares = share(room, &parts);
            let wanted: usize = parts.iter().map(|(wants, _)| wants).sum();
            prop_assert_eq!(shares.iter().sum::<usize>(), room.min(wanted));
            prop_assert!(shares.iter().zip(&parts).all(|(share, (wants, _))| share <= wants));
        }
    }
}
