//! A queue: messages that wait, that somebody works on, and that come back when nobody deleted them in time.

use md5::{Digest as _, Md5};
use std::fmt::Write as _;
use std::time::Duration;

/// A standard queue.
#[derive(Debug)]
pub struct Queue {
    /// What its attributes say.
    pub settings: Settings,
    messages: Vec<Message>,
    /// When it was purged last.
    purged: Option<Duration>,
    received: u64,
}

/// The attributes of a queue that a client may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long a message that was received stays away from others: `VisibilityTimeout`.
    pub visibility: Duration,
    /// How long a receive waits that says nothing of it: `ReceiveMessageWaitTimeSeconds`.
    pub wait: Duration,
    /// How long a message that says nothing of it cannot be received at first: `DelaySeconds`.
    pub delay: Duration,
    /// How long a message is kept: `MessageRetentionPeriod`.
    pub retention: Duration,
}

impl Default for Settings {
    /// As SQS documents them.
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            wait: Duration::ZERO,
            delay: Duration::ZERO,
            retention: Duration::from_secs(4 * 24 * 60 * 60),
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `00000000-0000-4000-8000-000000000001`.
    pub id: String,
    /// Its text.
    pub body: String,
    /// When it was sent.
    pub sent: Duration,
    /// When it can be received, again or at first.
    pub visible: Duration,
    /// The handle of its last receive; empty before the first.
    pub receipt: String,
    /// How often it was received.
    pub receives: u32,
    /// When it was received first.
    pub first_received: Option<Duration>,
}

/// A purge within this time of the last one is refused (PurgeQueue).
const BETWEEN_PURGES: Duration = Duration::from_secs(60);

/// How receipt handles begin.
const RECEIPT: &str = "sandbox-receipt-";

/// The queue was purged a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgedAlready;

/// A handle that no receive gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoReceipt;

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            messages: Vec::new(),
            purged: None,
            received: 0,
        }
    }

    /// Adds a message; `delay` is the queue's own when `None`.
    pub fn send(&mut self, now: Duration, id: String, body: String, delay: Option<Duration>) {
        self.messages.push(Message {
            id,
            body,
            sent: now,
            visible: now + delay.unwrap_or(self.settings.delay),
            receipt: String::new(),
            receives: 0,
            first_received: None,
        });
    }

    /// Up to `most` messages that can be received; each is away for `visibility`.
    pub fn receive(&mut self, now: Duration, most: usize, visibility: Duration) -> Vec<Message> {
        self.forget_old(now);
        let due = self.messages.iter_mut().filter(|message| message.visible <= now);
        let mut received = Vec::new();
        for message in due.take(most) {
            self.received += 1;
            message.receipt = format!("{RECEIPT}{:012}", self.received);
            message.receives += 1;
            message.visible = now + visibility;
            message.first_received.get_or_insert(now);
            received.push(message.clone());
        }
        received
    }

    /// The next instant at which a message can be received.
    #[must_use]
    pub fn next_visible(&self) -> Option<Duration> {
        self.messages.iter().map(|message| message.visible).min()
    }

    /// Removes the message that a receive gave this handle; a handle of an earlier receive removes nothing.
    ///
    /// # Errors
    /// [`NoReceipt`], for a text that is no handle.
    pub fn delete(&mut self, receipt: &str) -> Result<(), NoReceipt> {
        check_receipt(receipt)?;
        self.messages.retain(|message| message.receipt != receipt);
        Ok(())
    }

    /// Lets a message that was received be received again after `time`; false when nobody has it.
    ///
    /// # Errors
    /// [`NoReceipt`], for a text that is no handle.
    pub fn hide(&mut self, now: Duration, receipt: &str, time: Duration) -> Result<bool, NoReceipt> {
        check_receipt(receipt)?;
        let held = self
            .messages
            .iter_mut()
            .find(|message| message.receipt == receipt && message.visible > now);
        Ok(held.map(|message| message.visible = now + time).is_some())
    }

    /// Removes every message.
    ///
    /// # Errors
    /// [`PurgedAlready`], within a minute of the last purge.
    pub fn purge(&mut self, now: Duration) -> Result<(), PurgedAlready> {
        if self.purged.is_some_and(|at| now < at + BETWEEN_PURGES) {
            return Err(PurgedAlready);
        }
        self.purged = Some(now);
        self.messages.clear();
        Ok(())
    }

    /// How many messages can be received, how many somebody works on, and how many are not due yet.
    #[must_use]
    pub fn counts(&self, now: Duration) -> (usize, usize, usize) {
        let count = |is: &dyn Fn(&Message) -> bool| self.messages.iter().filter(|one| is(one)).count();
        (
            count(&|one| one.visible <= now),
            count(&|one| one.visible > now && one.receives > 0),
            count(&|one| one.visible > now && one.receives == 0),
        )
    }

    fn forget_old(&mut self, now: Duration) {
        let retention = self.settings.retention;
        self.messages.retain(|message| now < message.sent + retention);
    }
}

fn check_receipt(receipt: &str) -> Result<(), NoReceipt> {
    let number = receipt.strip_prefix(RECEIPT).ok_or(NoReceipt)?;
    number.parse::<u64>().map(drop).map_err(|_| NoReceipt)
}

/// The MD5 of a body, in hex.
#[must_use]
pub fn md5_of(body: &str) -> String {
    let mut text = String::new();
    for byte in Md5::digest(body.as_bytes()) {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{NoReceipt, PurgedAlready, Queue, Settings, md5_of};
    use std::time::Duration;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn queue(bodies: &[&str]) -> Queue {
        let mut queue = Queue::new(Settings::default());
        for body in bodies {
            queue.send(at(0), format!("id-{body}"), (*body).to_owned(), None);
        }
        queue
    }

    fn bodies(queue: &mut Queue, now: u64, most: usize) -> Vec<String> {
        let received = queue.receive(at(now), most, at(30));
        received.into_iter().map(|message| message.body).collect()
    }

    #[test]
    fn a_message_comes_back_unless_it_is_deleted_in_time() {
        let mut queue = queue(&["a", "b", "c"]);
        assert_eq!(bodies(&mut queue, 0, 2), ["a", "b"]);
        assert_eq!(bodies(&mut queue, 1, 9), ["c"]);
        assert_eq!(queue.next_visible(), Some(at(30)));
        assert_eq!(bodies(&mut queue, 29, 9), [""; 0]);
        let again = queue.receive(at(30), 9, at(30));
        assert_eq!(
            (again.len(), again[0].receives, again[0].first_received),
            (2, 2, Some(at(0)))
        );
        assert_eq!(queue.delete(&again[0].receipt), Ok(()));
        assert_eq!(bodies(&mut queue, 60, 9), ["b", "c"]);
    }

    #[test]
    fn an_older_handle_removes_nothing_and_a_made_up_one_is_refused() {
        let mut queue = queue(&["a"]);
        let first = queue.receive(at(0), 1, at(1)).remove(0);
        let second = queue.receive(at(1), 1, at(30)).remove(0);
        assert_eq!(queue.delete(&first.receipt), Ok(()));
        assert_eq!(queue.counts(at(2)), (0, 1, 0));
        assert_eq!(queue.hide(at(2), &second.receipt, at(0)), Ok(true));
        assert_eq!(queue.counts(at(2)), (1, 0, 0));
        assert_eq!(queue.hide(at(2), &second.receipt, at(0)), Ok(false));
        assert_eq!(queue.delete("anything"), Err(NoReceipt));
    }

    #[test]
    fn messages_are_delayed_kept_for_a_while_and_purged() {
        let mut queue = queue(&["old"]);
        queue.send(at(0), "id".into(), "late".into(), Some(at(900)));
        assert_eq!(queue.counts(at(0)), (1, 0, 1));
        assert_eq!(bodies(&mut queue, 900, 9), ["old", "late"]);
        let days = 4 * 24 * 60 * 60;
        assert_eq!(bodies(&mut queue, days, 9), [""; 0]);
        queue.send(at(days), "id".into(), "new".into(), None);
        assert_eq!(queue.purge(at(days)), Ok(()));
        assert_eq!(queue.counts(at(days)), (0, 0, 0));
        assert_eq!(queue.purge(at(days + 59)), Err(PurgedAlready));
        assert_eq!(queue.purge(at(days + 60)), Ok(()));
    }

    #[test]
    fn a_body_is_proven_by_its_md5() {
        assert_eq!(md5_of("hello world"), "5eb63bbbe01eeed093cb22bb8f5acdc3");
    }
}
