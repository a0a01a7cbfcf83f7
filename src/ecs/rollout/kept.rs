//! What a judge remembers over its looks, in few characters: a later process that is given it goes on judging as if it
//! had looked itself.
//!
//! Instants are whole seconds since the update. What ECS tells again at the next look is left out: the tasks that failed,
//! the events, the deployments that are listed.

use super::caution::Caution;
use super::runs::Carried;
use super::{Memory, Rollout};
use crate::ecs::observation::Service;
use crate::name::Digest;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

/// The most characters of what is kept of one rollout: all of its members, with instants of a day.
const LONGEST: usize = 160;

/// The first bytes of a text's SHA-256: enough to find the text again among a few others, or among a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Print<const N: usize = 3>(pub(in crate::ecs) [u8; N]);

impl<const N: usize> Print<N> {
    /// The print of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let digest = Digest::of(text.as_bytes());
        Self::of_hex(digest.hex()).unwrap_or(Self([0; N]))
    }

    /// Two hexadecimal digits a byte.
    #[must_use]
    pub fn digits(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The print with these hexadecimal digits.
    #[must_use]
    pub fn of_digits(digits: &str) -> Option<Self> {
        (digits.len() == 2 * N).then(|| Self::of_hex(digits)).flatten()
    }

    fn of_hex(digits: &str) -> Option<Self> {
        let mut bytes = [0; N];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// What a later process must know of a rollout that this one judged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Kept {
    /// Whether a look has shown our deployment.
    pub appeared: bool,
    /// Whether one has shown our service deployment.
    pub(super) service_deployment: bool,
    /// Whether the first look saw it completed.
    pub(super) completed_at_first: bool,
    /// Events since the update that were told.
    pub(super) events: u32,
    /// Looks in a row, as [`Memory`] counts them.
    pub(super) vanished: u32,
    pub(super) stopped: u32,
    pub(super) missing: u32,
    pub(super) announced: u32,
    pub(super) at_zero: u32,
    pub(super) past: u32,
    /// Since when as many tasks run as are wanted, where no look listed them.
    pub(super) whole_since: Option<u64>,
    pub(super) completed_at: Option<u64>,
    pub(super) baking_since: Option<u64>,
    /// Tells the tasks that ran from others, and since when the youngest did.
    pub(super) running: Option<(Print, u64)>,
    /// The last look that knew of every running task, where that matters.
    pub(super) listed_at: Option<u64>,
    /// Tasks that failed for a reason that does not pass, when the newest did, and ECS's own count.
    pub(super) failures: u32,
    pub(super) failed_at: Option<u64>,
    pub(super) counted: u32,
    /// How the service was told to deploy.
    pub(super) caution: Caution,
}

impl Kept {
    /// What is kept of a rollout that nobody has looked at, but for one who saw that it began.
    #[must_use]
    pub fn of_seen() -> Self {
        Self {
            appeared: true,
            ..Self::default()
        }
    }

    /// As much as is kept of a rollout that was begun so many seconds ago, in its worst minute: nothing checks its tasks,
    /// and some have failed. Services that are looked at together differ a little; by the seed.
    #[must_use]
    pub fn fullest(seed: u64, age: u64, service: &Service) -> Self {
        let mut caution = Caution::default();
        caution.heed(service);
        Self {
            appeared: true,
            events: 10 + u32::try_from(seed % 4).unwrap_or_default(),
            running: Some((Print::of(&seed.to_string()), age.saturating_sub(seed % 3 * 15))),
            listed_at: Some(age),
            failures: u32::try_from(seed % 3).unwrap_or_default(),
            caution: caution.kept(),
            ..Self::default()
        }
    }

    /// Whether the next look is to ask for everything, since what is known of failures is ECS's to tell.
    #[must_use]
    pub const fn wants_everything(&self) -> bool {
        self.failures > 0 || self.counted > 0
    }

    /// The same with its instants counted back from `at`, or forth again.
    #[must_use]
    pub fn turned(mut self, at: u64) -> Self {
        let instants = [
            self.whole_since.as_mut(),
            self.completed_at.as_mut(),
            self.baking_since.as_mut(),
            self.failed_at.as_mut(),
            self.running.as_mut().map(|(_, since)| since),
            self.listed_at.as_mut(),
        ];
        for instant in instants.into_iter().flatten() {
            *instant = at.saturating_sub(*instant);
        }
        self
    }

    /// The print of the tasks that ran, if they matter; it is not a part of the text.
    #[must_use]
    pub fn print(&self) -> Option<Print> {
        self.running.map(|(print, _)| print)
    }

    /// The same with the print that was beside the text.
    #[must_use]
    pub fn with_print(self, print: Print) -> Self {
        Self {
            running: self.running.map(|(_, since)| (print, since)),
            ..self
        }
    }

    /// All but the print: the number of events, then each member that says something as a letter and its value.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.events > 0 {
            let _ = write!(text, "{}", self.events);
        }
        for (letter, flag) in [
            ('A', self.appeared),
            ('D', self.service_deployment),
            ('F', self.completed_at_first),
        ] {
            if flag {
                text.push(letter);
            }
        }
        for (letter, instant) in [
            ('w', self.whole_since),
            ('c', self.completed_at),
            ('b', self.baking_since),
            ('r', self.running.map(|(_, since)| since)),
            ('t', self.failed_at),
            ('l', self.listed_at),
        ] {
            if let Some(instant) = instant {
                let _ = write!(text, "{letter}{instant}");
            }
        }
        for (letter, number) in [
            ('f', self.failures),
            ('k', self.counted),
            ('v', self.vanished),
            ('s', self.stopped),
            ('m', self.missing),
            ('a', self.announced),
            ('z', self.at_zero),
            ('p', self.past),
        ] {
            if number > 0 {
                let _ = write!(text, "{letter}{number}");
            }
        }
        self.caution.write(&mut text);
        text
    }

    /// What [`Self::text`] wrote; none if it did not.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        let mut kept = Self::default();
        if text.len() > LONGEST || !text.is_ascii() {
            return None;
        }
        let start = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (events, mut rest) = text.split_at(start);
        if !events.is_empty() {
            kept.events = events.parse().ok()?;
        }
        while let Some(letter) = rest.chars().next() {
            let value = rest.get(1..)?;
            let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
            let (value, after) = value.split_at(end);
            rest = after;
            let number = || value.parse::<u32>().ok();
            let instant = || value.parse::<u64>().ok();
            match letter {
                'A' if value.is_empty() => kept.appeared = true,
                'D' if value.is_empty() => kept.service_deployment = true,
                'F' if value.is_empty() => kept.completed_at_first = true,
                'w' => kept.whole_since = Some(instant()?),
                'c' => kept.completed_at = Some(instant()?),
                'b' => kept.baking_since = Some(instant()?),
                'r' => kept.running = Some((Print([0; 3]), instant()?)),
                't' => kept.failed_at = Some(instant()?),
                'l' => kept.listed_at = Some(instant()?),
                'f' => kept.failures = number()?,
                'k' => kept.counted = number()?,
                'v' => kept.vanished = number()?,
                's' => kept.stopped = number()?,
                'm' => kept.missing = number()?,
                'a' => kept.announced = number()?,
                'z' => kept.at_zero = number()?,
                'p' => kept.past = number()?,
                letter => kept.caution.read(letter, value)?,
            }
        }
        Some(kept)
    }
}

impl From<Kept> for String {
    fn from(kept: Kept) -> Self {
        match kept.print() {
            Some(print) => format!("{} {}", kept.text(), print.digits()),
            None => kept.text(),
        }
    }
}

impl TryFrom<String> for Kept {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let (text, print) = text.split_once(' ').unwrap_or((&text, ""));
        let kept = Self::of_text(text).ok_or("expected what an earlier watch kept")?;
        match (kept.running, Print::of_digits(print)) {
            (Some(_), Some(print)) => Ok(kept.with_print(print)),
            (None, None) => Ok(kept),
            (Some(_), None) | (None, Some(_)) => Err("expected the print of the tasks that ran"),
        }
    }
}

impl Rollout {
    /// What a later process must know of it. Whole seconds: no task is said to run longer, and no list to be later, than
    /// they were.
    #[must_use]
    pub fn kept(&self) -> Kept {
        let memory = &self.memory;
        let up = |instant: Duration| instant.as_secs() + u64::from(instant.subsec_nanos() > 0);
        let runs = &memory.runs;
        Kept {
            appeared: memory.appeared,
            service_deployment: memory.service_deployments_seen,
            completed_at_first: memory.completed_at.is_some() && memory.completed_at == memory.first_look,
            events: memory.freshness.events_since(),
            vanished: memory.vanished,
            stopped: memory.stopped,
            missing: memory.missing,
            announced: memory.announced,
            at_zero: memory.at_zero,
            past: memory.freshness.in_a_row(),
            whole_since: memory.whole_since.filter(|_| !runs.any()).map(up),
            completed_at: memory.completed_at.map(|at| at.as_secs()),
            baking_since: memory.baking_since.map(|at| at.as_secs()),
            // Only where nothing else shows that tasks are healthy does it matter since when they run.
            running: runs
                .carried()
                .filter(|_| memory.unchecked != Some(false))
                .map(|carried| (carried.print, up(carried.since))),
            listed_at: Some(runs.listed_at().as_secs())
                .filter(|at| *at > 0 && memory.unchecked != Some(false)),
            failures: memory.failures.count(memory.counted),
            failed_at: memory.failures.newest().map(|at| at.as_secs()),
            counted: memory.counted,
            caution: memory.caution.kept(),
        }
    }

    /// Goes on with a rollout that an earlier process followed.
    #[must_use]
    pub fn knowing(mut self, kept: &Kept) -> Self {
        let seconds = Duration::from_secs;
        let completed_at = kept.completed_at.map(seconds);
        // Where no task was known to run, the next look at what completed meanwhile is as good as the first.
        let known = kept.running.is_some() || completed_at.is_some();
        let looked = known.then_some(Duration::ZERO);
        let first_look = if kept.completed_at_first {
            completed_at
        } else {
            looked
        };
        let mut memory = Memory {
            appeared: kept.appeared,
            service_deployments_seen: kept.service_deployment,
            vanished: kept.vanished,
            stopped: kept.stopped,
            missing: kept.missing,
            announced: kept.announced,
            at_zero: kept.at_zero,
            whole_since: kept.whole_since.map(seconds),
            completed_at,
            first_look,
            baking_since: kept.baking_since.map(seconds),
            counted: kept.counted,
            taken_up: kept.appeared,
            ..std::mem::take(&mut self.memory)
        };
        memory.freshness = memory.freshness.expecting(kept.events, kept.past);
        memory.caution.join(&kept.caution);
        memory.failures = memory
            .failures
            .carried(kept.failures, kept.failed_at.map(seconds));
        let carried = kept.running.map(|(print, since)| Carried {
            print,
            since: seconds(since),
        });
        memory.runs = memory
            .runs
            .knowing(carried, seconds(kept.listed_at.unwrap_or_default()));
        self.memory = memory;
        self.told_before = kept.events;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, LONGEST, Print};
    use proptest::prelude::*;

    fn full() -> Kept {
        Kept {
            appeared: true,
            service_deployment: true,
            completed_at_first: true,
            events: 100,
            vanished: 8,
            stopped: 3,
            missing: 3,
            announced: 3,
            at_zero: 3,
            past: 10,
            whole_since: Some(86_399),
            completed_at: Some(86_399),
            baking_since: Some(86_399),
            running: Some((Print::of("tasks"), 86_399)),
            listed_at: Some(86_399),
            failures: 99_999,
            failed_at: Some(86_399),
            counted: 99_999,
            caution: super::Caution::default(),
        }
    }

    #[test]
    fn everything_comes_back_and_nothing_takes_no_character() {
        let text = full().text();
        assert!(text.len() <= LONGEST, "{text}");
        let again = Kept::of_text(&text).unwrap().with_print(Print::of("tasks"));
        assert_eq!(again, full());
        assert_eq!(Kept::default().text(), "");
        assert_eq!(Kept::of_text(""), Some(Kept::default()));
        let json = serde_json::to_string(&full()).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&json).unwrap(), full());
    }

    #[test]
    fn instants_turn_round_and_back() {
        let turned = full().turned(86_400);
        assert_eq!(turned.completed_at, Some(1));
        assert_eq!(turned.turned(86_400), full());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_written(text in "[0-9]{0,3}([ADFwcbrtlfkvsmazpBLCUEMYKH][0-9]{0,4}){0,8}") {
            if let Some(kept) = Kept::of_text(&text) {
                prop_assert_eq!(Kept::of_text(&kept.text()), Some(kept));
            }
        }
    }
}
