//! When to poll next: fast while there is work, slow while there is none, never in step with other workers.
//!
//! CodePipeline publishes no rate for PollForJobs, and an empty answer comes at once: nothing is waited for there. So the
//! pause grows while answers are empty, starts again with the first job, and gives way when CodePipeline says that it is
//! too much. Where one job came more are likely: an empty answer soon after it says little.

use std::time::Duration;

/// How much earlier than planned a poll may come, in percent of its pause. It is what separates workers that were
/// started at the same instant.
const JITTER: u64 = 20;

/// The longest pause after polls that failed or were throttled, unless an idle one is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// How long it stays busy after a job came or was done, unless an idle pause is shorter. All workers of an account share
/// one rate, and one job says little of the next: what comes later waits for the growing pauses.
const BUSY_LASTS: Duration = Duration::from_secs(4);

/// The pauses between polls of one action type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// While jobs come.
    pub busy: Duration,
    /// While none do.
    pub idle: Duration,
}

impl Default for Limits {
    /// Jobs are acknowledged within a second while they come. An idle worker polls a type at most four times a minute,
    /// and a job waits for half of the idle pause on average.
    fn default() -> Self {
        Self {
            busy: Duration::from_secs(1),
            idle: Duration::from_secs(20),
        }
    }
}

impl Limits {
    /// The limits when each round of an action type has several polls, one for each fleet: idle rounds are so much
    /// rarer that the type is not polled more often.
    #[must_use]
    pub fn for_rounds_of(self, polls: usize) -> Self {
        let polls = u32::try_from(polls.max(1)).unwrap_or(u32::MAX);
        Self {
            idle: self.idle.saturating_mul(polls),
            ..self
        }
    }
}

/// What a poll ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// CodePipeline answered, with so many jobs.
    Jobs(usize),
    /// It gave as many as one poll is ever given: more may wait.
    Full,
    /// It said that it is asked too often.
    Throttled,
    /// It gave no answer, or refused.
    Failed,
}

/// The pace of one action type's polls in one worker.
#[derive(Debug, Clone)]
pub struct Pace {
    limits: Limits,
    random: fastrand::Rng,
    /// The pause that the next empty answer leads to.
    pause: Duration,
    /// How much is held back: throttled polls, less those that were answered since.
    throttled: u32,
    /// Polls that failed, one after the other.
    failed: u32,
    /// When the last poll ended.
    polled: Option<Duration>,
    /// When a job last came or was done.
    stirred: Option<Duration>,
    /// Before this no poll may be made, whatever the reason.
    not_before: Duration,
}

impl Pace {
    /// A pace that begins busy: who was just started may be awaited. Workers have different seeds.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            random: fastrand::Rng::with_seed(seed),
            pause: limits.busy,
            throttled: 0,
            failed: 0,
            polled: None,
            stirred: None,
            not_before: Duration::ZERO,
        }
    }

    /// How long to wait before the first poll: workers that start together do not poll together.
    pub fn first(&mut self) -> Duration {
        self.part_of(self.limits.busy, 0)
    }

    /// How long to pause after a poll that ended at `now`, counted from the Unix epoch.
    pub fn next(&mut self, now: Duration, seen: Seen) -> Duration {
        self.polled = Some(now);
        let pause = match seen {
            Seen::Throttled => {
                self.throttled = self.throttled.saturating_add(1);
                self.stirred = None;
                let pause = self.backoff(self.throttled);
                // What was throttled once is not tried at once when a slot frees.
                let held = self.jittered(pause);
                self.not_before = now + held;
                return held;
            }
            Seen::Failed => {
                self.failed = self.failed.saturating_add(1);
                let held = self.jittered(self.backoff(self.failed));
                self.not_before = now + held;
                return held;
            }
            Seen::Jobs(0) if self.is_busy(now) => self.limits.busy,
            Seen::Jobs(0) => {
                let pause = self.pause;
                self.pause = pause
                    .saturating_mul(2)
                    .min(self.limits.idle.max(self.limits.busy));
                pause
            }
            Seen::Jobs(_) => {
                self.stirs(now);
                self.limits.busy
            }
            Seen::Full => {
                self.stirs(now);
                // What the jitter leaves of it is enough.
                self.apart().mul_f64(100.0 / (100 - JITTER) as f64)
            }
        };
        self.failed = 0;
        self.throttled = self.throttled.saturating_sub(1);
        let held = match self.throttled {
            0 => Duration::ZERO,
            held => self.backoff(held),
        };
        self.jittered(pause.max(held))
    }

    /// A job is done at `now`: the next action of its pipeline may be ours.
    pub fn stirs(&mut self, now: Duration) {
        self.pause = self.limits.busy;
        self.stirred = Some(now);
    }

    /// How long until a poll may be made out of turn, because a slot was freed or work is said to be there: at once,
    /// unless the last poll was just now or CodePipeline wants fewer. Polls begin at the busy pace again.
    pub fn hurry(&mut self, now: Duration) -> Duration {
        self.pause = self.limits.busy;
        let apart = self.apart();
        let earliest = self.polled.map_or(Duration::ZERO, |polled| polled + apart);
        // A clock that was set back makes nobody wait for longer.
        let spaced = earliest.saturating_sub(now).min(apart);
        let longest = LONGEST_BACKOFF.max(self.limits.idle);
        spaced.max(self.not_before.saturating_sub(now).min(longest))
    }

    /// The least time between two polls that were answered.
    fn apart(&self) -> Duration {
        self.limits.busy / 2
    }

    /// A clock that was set back leaves nobody busy.
    fn is_busy(&self, now: Duration) -> bool {
        let since = self.stirred.and_then(|stirred| now.checked_sub(stirred));
        since.is_some_and(|since| since < BUSY_LASTS.min(self.limits.idle))
    }

    /// The busy pause, doubled so many times.
    fn backoff(&self, times: u32) -> Duration {
        let longest = LONGEST_BACKOFF.max(self.limits.idle);
        let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
        self.limits.busy.saturating_mul(factor).min(longest)
    }

    fn jittered(&mut self, pause: Duration) -> Duration {
        self.part_of(pause, 100 - JITTER)
    }

    /// At least so many percent of a time, and at most all of it.
    fn part_of(&mut self, time: Duration, percent: u64) -> Duration {
        let most = u64::try_from(time.as_micros()).unwrap_or(u64::MAX / 100);
        let least = most / 100 * percent;
        Duration::from_micros(self.random.u64(least..=most))
    }
}

#[cfg(test)]
mod tests {
    use super::{BUSY_LASTS, JITTER, LONGEST_BACKOFF, Limits, Pace, Seen};
    use proptest::prelude::*;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    /// The instants of `polls` polls that all end with `seen`, the first at `start`.
    fn instants(pace: &mut Pace, start: Duration, polls: usize, seen: Seen) -> Vec<Duration> {
        let mut now = start + pace.first();
        (0..polls)
            .map(|_| {
                let at = now;
                now += pace.next(now, seen);
                at
            })
            .collect()
    }

    fn any_seen() -> impl Strategy<Value = Seen> {
        prop_oneof![
            (0_usize..3).prop_map(Seen::Jobs),
            Just(Seen::Full),
            Just(Seen::Throttled),
            Just(Seen::Failed),
        ]
    }

    proptest! {
        #[test]
        fn an_idle_type_is_polled_four_times_a_minute_at_most(seed: u64, fleets in 1_usize..6) {
            let limits = Limits::default().for_rounds_of(fleets);
            let mut pace = Pace::new(limits, seed);
            let polls = instants(&mut pace, Duration::ZERO, 60, Seen::Jobs(0));
            // The first minute or so it is still looking for what it was started for.
            let idle: Vec<Duration> = polls.into_iter().skip(12).collect();
            for &from in idle.iter().filter(|_| fleets == 1) {
                let polls = idle.iter().filter(|&&at| (from..from + MINUTE).contains(&at)).count();
                prop_assert!(polls <= 4, "{polls} polls in a minute");
            }
            let span = *idle.last().unwrap() - idle[0];
            let rate = (idle.len() - 1) as f64 * fleets as f64 / span.as_secs_f64() * 60.0;
            prop_assert!(rate <= 4.0, "{rate} polls a minute");
        }

        #[test]
        fn a_job_waits_for_half_of_the_idle_pause_at_most_in_the_median(seed: u64) {
            let limits = Limits::default();
            let mut pace = Pace::new(limits, seed);
            let polls = instants(&mut pace, Duration::ZERO, 2000, Seen::Jobs(0));
            let (first, last) = (polls[50], polls[1999]);
            // Jobs come evenly: which instants chance would choose says nothing of the pace.
            let mut waits: Vec<Duration> = (0..20_001)
                .map(|at| first + (last - first).mul_f64(f64::from(at) / 20_001.0))
                .map(|there| polls[polls.partition_point(|at| *at < there)] - there)
                .collect();
            waits.sort();
            prop_assert!(waits[10_000] <= limits.idle / 2, "{:?}", waits[10_000]);
            prop_assert!(waits[20_000] <= limits.idle);
        }

        #[test]
        fn two_workers_fall_out_of_step(seed: u64, other: u64) {
            prop_assume!(seed != other);
            let of = |seed| instants(&mut Pace::new(Limits::default(), seed), Duration::ZERO, 40, Seen::Jobs(0));
            let (ours, theirs) = (of(seed), of(other));
            let apart = |(ours, theirs): (&Duration, &Duration)| ours.abs_diff(*theirs) > Duration::from_secs(1);
            prop_assert!(ours.iter().zip(&theirs).any(apart));
        }

        #[test]
        fn the_same_seed_and_answers_give_the_same_pace_within_its_bounds(
            seed: u64,
            answers in proptest::collection::vec(any_seen(), 1..60),
        ) {
            let limits = Limits::default();
            let mut pace = Pace::new(limits, seed);
            let mut again = pace.clone();
            let mut now = Duration::from_secs(1_000_000);
            for seen in answers {
                let pause = pace.next(now, seen);
                prop_assert_eq!(pause, again.next(now, seen));
                let least = if seen == Seen::Full { 0.5 } else { 0.79 };
                prop_assert!(pause >= limits.busy.mul_f64(least) && pause <= LONGEST_BACKOFF);
                now += pause;
            }
        }

        #[test]
        fn throttling_backs_off_and_recovers(seed: u64, throttled in 1_usize..12) {
            let limits = Limits::default();
            let mut pace = Pace::new(limits, seed);
            let mut now = Duration::from_secs(1_000_000);
            let mut before = Duration::ZERO;
            for _ in 0..throttled {
                let pause = pace.next(now, Seen::Throttled);
                // Doubled, less what the jitter takes.
                prop_assert!(pause >= before.mul_f64(1.59).min(LONGEST_BACKOFF.mul_f64(0.79)));
                prop_assert_eq!(pace.hurry(now), pause);
                before = pause;
                now += pause;
            }
            // As many answers as were throttled, and the pace is as if nothing had been.
            for _ in 0..throttled {
                now += pace.next(now, Seen::Jobs(1));
            }
            let pause = pace.next(now, Seen::Jobs(1));
            prop_assert!(pause <= limits.busy);
        }
    }

    #[test]
    fn jobs_are_asked_for_every_second_and_at_once_when_a_slot_frees() {
        let limits = Limits::default();
        let mut pace = Pace::new(limits, 7);
        let now = Duration::from_secs(100);
        for jobs in [1, 0, 20, 1, 0, 3] {
            assert!(pace.next(now, Seen::Jobs(jobs)) <= limits.busy, "{jobs}");
        }
        let soon = pace.next(now, Seen::Full);
        assert!(
            (0.5..=0.625).contains(&soon.as_secs_f64()),
            "more may wait: {soon:?}"
        );
        // Just after a poll a freed slot waits for others that are freed in the same moment.
        assert_eq!(pace.hurry(now), limits.busy / 2);
        assert_eq!(pace.hurry(now + limits.busy / 2), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_is_set_back_holds_no_poll_up() {
        let limits = Limits::default();
        let mut pace = Pace::new(limits, 7);
        let noon = Duration::from_secs(43_200);
        pace.next(noon, Seen::Jobs(1));
        assert_eq!(pace.hurry(Duration::from_secs(39_600)), limits.busy / 2);
        pace.next(noon, Seen::Failed);
        assert!(pace.hurry(Duration::from_secs(39_600)) <= LONGEST_BACKOFF);
    }

    #[test]
    fn an_empty_queue_is_left_alone_step_by_step_until_somebody_hurries() {
        let mut pace = Pace::new(Limits::default(), 7);
        let mut now = Duration::from_secs(100);
        let steps = |pace: &mut Pace, now: Duration| {
            for full in [1, 2, 4, 8, 16, 20, 20] {
                let pause = pace.next(now, Seen::Jobs(0)).as_secs_f64();
                let least = f64::from(full) * (100 - JITTER) as f64 / 100.0;
                assert!((least..=f64::from(full)).contains(&pause), "{pause} of {full}");
            }
        };
        steps(&mut pace, now);
        pace.hurry(now);
        steps(&mut pace, now);
        pace.stirs(now);
        for _ in 0..BUSY_LASTS.as_secs() {
            assert!(pace.next(now, Seen::Jobs(0)) <= Duration::from_secs(1));
            now += Duration::from_secs(1);
        }
        steps(&mut pace, now);
    }

    #[test]
    fn who_asks_for_few_polls_by_a_short_idle_pause_is_busy_for_no_longer() {
        let limits = Limits {
            idle: Duration::from_secs(3),
            ..Limits::default()
        };
        let mut pace = Pace::new(limits, 7);
        let now = Duration::from_secs(100);
        pace.next(now, Seen::Jobs(1));
        let mut empty = || pace.next(now + limits.idle, Seen::Jobs(0)).as_secs();
        let pauses: Vec<u64> = (0..4).map(|_| empty()).collect();
        assert!(
            pauses[3] >= 2,
            "three seconds, less what the jitter takes: {pauses:?}"
        );
    }

    #[test]
    fn throttling_ends_what_keeps_the_pace_busy() {
        let mut pace = Pace::new(Limits::default(), 7);
        let now = Duration::from_secs(100);
        pace.next(now, Seen::Jobs(1));
        pace.next(now, Seen::Throttled);
        let pauses: Vec<u64> = (0..6).map(|_| pace.next(now, Seen::Jobs(0)).as_secs()).collect();
        assert!(pauses[5] >= 16, "{pauses:?}");
    }

    #[test]
    fn a_job_keeps_the_pace_busy_for_a_while_and_a_clock_that_is_set_back_does_not_for_ever() {
        let mut pace = Pace::new(Limits::default(), 7);
        let now = Duration::from_secs(43_200);
        pace.next(now, Seen::Jobs(1));
        let mut empty = |at: Duration| pace.next(at, Seen::Jobs(0));
        for _ in 0..9 {
            assert!(empty(now + BUSY_LASTS - Duration::from_millis(1)) <= Duration::from_secs(1));
        }
        let earlier = now - Duration::from_secs(3_600);
        let pauses: Vec<u64> = (0..6).map(|_| empty(earlier).as_secs()).collect();
        assert!(pauses[5] >= 16, "{pauses:?}");
    }

    #[test]
    fn failures_back_off_and_the_first_answer_ends_it() {
        let mut pace = Pace::new(Limits::default(), 7);
        let now = Duration::from_secs(100);
        let pauses: Vec<u64> = (0..8).map(|_| pace.next(now, Seen::Failed).as_secs()).collect();
        assert!(
            pauses[..6].is_sorted() && pauses[0] <= 2 && pauses[7] >= 47,
            "{pauses:?}"
        );
        assert!(pace.next(now, Seen::Jobs(1)) <= Duration::from_secs(1));
    }
}
