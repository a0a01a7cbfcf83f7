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
    /// When it was last looked at.
    last: Duration,
}

/// Calls that ECS counts together, for all clients of an account in a region ("Request throttling for the Amazon ECS API").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// RegisterTaskDefinition.
    Registration,
    /// DescribeTaskDefinition.
    TaskDefinitionRead,
    /// UpdateService.
    ServiceWrite,
    /// DescribeServices.
    ServiceRead,
    /// RunTask.
    TaskWrite,
    /// ListTasks and DescribeTasks.
    TaskRead,
    /// ListServiceDeployments and DescribeServiceDeployments.
    ServiceDeployment,
    /// DescribeServiceRevisions.
    ServiceRevision,
}

impl Category {
    /// A full bucket: so many calls at once, then so many a second.
    #[must_use]
    pub const fn bucket(self) -> Bucket {
        let (holds, a_second) = match self {
            Self::Registration => (20, 1),
            Self::TaskDefinitionRead | Self::ServiceDeployment | Self::ServiceRevision => (50, 20),
            Self::ServiceWrite => (50, 5),
            Self::ServiceRead | Self::TaskRead => (100, 20),
            Self::TaskWrite => (100, 40),
        };
        Bucket::new(holds, Duration::from_millis(1000 / a_second))
    }
}

impl Bucket {
    /// A full bucket of so many calls, one of which comes back in the time given.
    #[must_use]
    pub const fn new(holds: u32, one_per: Duration) -> Self {
        Self {
            holds,
            one_per,
            full_at: Duration::ZERO,
            last: Duration::ZERO,
        }
    }

    /// Looks at it at `now`. A clock that was set back takes the bucket along: it fills with time that passes.
    fn look(&mut self, now: Duration) {
        let back = self.last.saturating_sub(now);
        self.full_at = self.full_at.saturating_sub(back);
        self.last = now;
    }

    /// Takes a call at `now`; gives how long to wait before it is made.
    pub fn take(&mut self, now: Duration) -> Duration {
        self.look(now);
        self.full_at = self.full_at.max(now) + self.one_per;
        self.full_at.saturating_sub(now + self.one_per * self.holds)
    }

    /// Takes a call at `now` if it may be made within `patience`; gives how long to wait before it is made.
    pub fn take_within(&mut self, now: Duration, patience: Duration) -> Option<Duration> {
        let before = self.clone();
        let wait = self.take(now);
        if wait > patience {
            *self = before;
            return None;
        }
        Some(wait)
    }

    /// Gives back a call that was taken and is not made. Those that wait behind it keep their times: the next one to come
    /// takes its room.
    pub fn give_back(&mut self) {
        self.full_at = self.full_at.saturating_sub(self.one_per);
    }

    /// The far end refused a call made at `now` for coming too soon, so the bucket is empty.
    pub fn drain(&mut self, now: Duration) {
        self.look(now);
        self.full_at = self.full_at.max(now + self.one_per * self.holds);
    }
}

#[cfg(test)]
mod tests {
    use super::Category;
    use std::time::Duration;

    #[test]
    fn the_first_calls_go_at_once_and_the_others_one_by_one() {
        let mut bucket = Category::Registration.bucket();
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
    fn who_would_wait_for_too_long_takes_nothing() {
        let mut bucket = Category::Registration.bucket();
        let (start, patience) = (Duration::from_secs(1_000), Duration::from_secs(3));
        let waits: Vec<Option<u64>> = (0..40)
            .map(|_| bucket.take_within(start, patience).map(|wait| wait.as_secs()))
            .collect();
        assert_eq!(waits.iter().flatten().count(), 23);
        let later = start + Duration::from_secs(1);
        assert_eq!(bucket.take_within(later, patience), Some(patience));
        assert_eq!(bucket.take_within(later, patience), None);
        bucket.give_back();
        assert_eq!(bucket.take_within(later, patience), Some(patience));
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nobody_up() {
        let mut bucket = Category::Registration.bucket();
        let noon = Duration::from_secs(43_200);
        for _ in 0..25 {
            bucket.take(noon);
        }
        let eleven = Duration::from_secs(39_600);
        assert_eq!(bucket.take(eleven), Duration::from_secs(6));
        assert_eq!(bucket.take(eleven + Duration::from_secs(30)), Duration::ZERO);
    }

    #[test]
    fn every_category_has_what_its_quota_says() {
        for (category, holds, a_second) in [
            (Category::Registration, 20, 1),
            (Category::TaskDefinitionRead, 50, 20),
            (Category::ServiceWrite, 50, 5),
            (Category::ServiceRead, 100, 20),
            (Category::TaskWrite, 100, 40),
            (Category::TaskRead, 100, 20),
            (Category::ServiceDeployment, 50, 20),
            (Category::ServiceRevision, 50, 20),
        ] {
            let mut bucket = category.bucket();
            let at_once = (0..1000)
                .filter(|_| bucket.take(Duration::ZERO).is_zero())
                .count();
            assert_eq!(at_once, holds, "{category:?}");
            let mut bucket = category.bucket();
            let waits = (0..holds + a_second).map(|_| bucket.take(Duration::ZERO));
            assert_eq!(waits.last(), Some(Duration::from_secs(1)), "{category:?}");
        }
    }

    #[test]
    fn a_bucket_that_others_emptied_is_empty_for_us_too() {
        let mut bucket = Category::Registration.bucket();
        let now = Duration::from_secs(50);
        assert_eq!(bucket.take(now), Duration::ZERO);
        bucket.drain(now);
        assert_eq!(bucket.take(now), Duration::from_secs(1));
        assert_eq!(bucket.take(now + Duration::from_secs(60)), Duration::ZERO);
    }
}
