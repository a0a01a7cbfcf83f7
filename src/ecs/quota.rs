//! How fast calls of one operation may follow each other: AWS counts them against a bucket that fills up again slowly.

use std::time::Duration;

/// A bucket of calls, and how long one takes to come back. The account's other programs take from the same bucket, so a
/// full one is a guess that throttling corrects.
#[derive(Debug, Clone)]
pub struct Bucket {
    holds: u32,
    one_per: Duration,
    /// When the bucket will be, or was, full.
    full_at: Duration,
}

impl Bucket {
    /// A full bucket of so many calls, one of which comes back in the time given.
    #[must_use]
    pub const fn new(holds: u32, one_per: Duration) -> Self {
        Self {
            holds,
            one_per,
            full_at: Duration::ZERO,
        }
    }

    /// RegisterTaskDefinition: 20 at once, then one a second, for all of an account in a region.
    #[must_use]
    pub const fn of_registrations() -> Self {
        Self::new(20, Duration::from_secs(1))
    }

    /// Takes a call at `now`; gives how long to wait before it is made.
    pub fn take(&mut self, now: Duration) -> Duration {
        self.full_at = self.full_at.max(now) + self.one_per;
        self.full_at.saturating_sub(now + self.one_per * self.holds)
    }

    /// The far end refused a call made at `now` for coming too soon, so the bucket is empty.
    pub fn drain(&mut self, now: Duration) {
        self.full_at = self.full_at.max(now + self.one_per * self.holds);
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;
    use std::time::Duration;

    #[test]
    fn the_first_calls_go_at_once_and_the_others_one_by_one() {
        let mut bucket = Bucket::of_registrations();
        let start = Duration::from_secs(1_000);
        let waits: Vec<u64> = (0..30).map(|_| bucket.take(start).as_secs()).collect();
        let expected: Vec<u64> = std::iter::repeat_n(0, 20).chain(1..=10).collect();
        assert_eq!(waits, expected);
        let later = start + Duration::from_secs(15);
        let waits: Vec<u64> = (0..7).map(|_| bucket.take(later).as_secs()).collect();
        assert_eq!(
            waits,
            [0, 0, 0, 0, 0, 1, 2],
            "five came back since the last was due"
        );
    }

    #[test]
    fn a_bucket_that_others_emptied_is_empty_for_us_too() {
        let mut bucket = Bucket::of_registrations();
        let now = Duration::from_secs(50);
        assert_eq!(bucket.take(now), Duration::ZERO);
        bucket.drain(now);
        assert_eq!(bucket.take(now), Duration::from_secs(1));
        assert_eq!(bucket.take(now + Duration::from_secs(60)), Duration::ZERO);
    }
}
