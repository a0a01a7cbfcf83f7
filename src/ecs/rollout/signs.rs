//! What a service's events say of our deployment. They name deployments, and an answer from the past lacks the newest
//! of them.

use crate::ecs::observation::{Service, ServiceEvent};
use std::collections::BTreeSet;

/// Looks in a row that may seem to be from the past; then the far end is believed to have forgotten an event.
const LOOKS_FROM_THE_PAST: u32 = 10;

/// What an event says (the wording of ECS's service event messages).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign<'a> {
    /// A deployment failed, and why.
    Failed(&'a str, &'a str),
    /// A deployment comes back.
    RollsBackTo(&'a str),
    /// A task found no place or could not be launched, and why.
    Unplaced(&'a str),
    /// The percentages of the deployment configuration leave no room.
    NoRoom(&'a str),
}

/// Reads one event.
pub(super) fn sign(message: &str) -> Option<Sign<'_>> {
    // `(service S) ...`, and the rest.
    let said = message.split_once(") ").map_or(message, |(_, said)| said);
    if let Some(rest) = said.strip_prefix("(deployment ") {
        let (id, said) = rest.split_once(") ")?;
        let why = said.strip_prefix("deployment failed")?;
        return Some(Sign::Failed(id, trimmed(why)));
    }
    if let Some(id) = said.strip_prefix("rolling back to deployment ") {
        return Some(Sign::RollsBackTo(trimmed(id)));
    }
    if let Some(said) = said.strip_prefix("was unable to place a task") {
        let why = said.split_once("Reason: ").map_or(said, |(_, why)| why);
        return Some(Sign::Unplaced(trimmed(why.trim_start_matches(" because "))));
    }
    if let Some(why) = said.strip_prefix("failed to launch a task with ") {
        return Some(Sign::Unplaced(trimmed(why)));
    }
    said.starts_with("was unable to stop or start tasks during a deployment")
        .then(|| Sign::NoRoom(trimmed(said)))
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c == '.' || c == ':' || c.is_whitespace())
}

/// Why an event since our update says that a deployment failed; the newest.
pub(super) fn failure<'a>(service: &'a Service, baseline: &BTreeSet<String>, ours: &str) -> Option<&'a str> {
    let new = service
        .events
        .iter()
        .filter(|event| !baseline.contains(&event.id));
    new.filter_map(|event| sign(&event.message))
        .find_map(|sign| match sign {
            Sign::Failed(id, why) if id == ours => Some(why),
            _ => None,
        })
}

/// The deployment that comes back because ours failed, by an event since our update: the nearest failure before it is
/// ours, or none is known.
pub(super) fn rolls_back_to<'a>(
    service: &'a Service,
    baseline: &'a BTreeSet<String>,
    ours: &str,
) -> Option<&'a str> {
    since(service, baseline).find_map(|event| {
        let Some(Sign::RollsBackTo(id)) = sign(&event.message) else {
            return None;
        };
        let older = service.events.iter().skip_while(|each| each.id != event.id);
        let failed = older.filter_map(|event| match sign(&event.message)? {
            Sign::Failed(id, _) => Some(id),
            _ => None,
        });
        (id != ours && failed.take(1).all(|id| id == ours)).then_some(id)
    })
}

/// Events since our update, newest first.
pub(super) fn since<'a>(
    service: &'a Service,
    baseline: &'a BTreeSet<String>,
) -> impl Iterator<Item = &'a ServiceEvent> {
    service
        .events
        .iter()
        .filter(|event| !baseline.contains(&event.id))
}

/// Tells answers from the past, which ECS gives for a while after a change: they lack an event that was seen before,
/// and have no new one.
#[derive(Debug, Clone, Default)]
pub(super) struct Freshness {
    newest: Option<String>,
    known: BTreeSet<String>,
    in_a_row: u32,
    /// Events since our update that the newest look has.
    since: u32,
    /// How many of them an earlier process saw, until a look has them.
    expected: u32,
    baseline: BTreeSet<String>,
}

impl Freshness {
    /// Knows the events of before.
    pub(super) fn knowing(events: &BTreeSet<String>) -> Self {
        Self {
            known: events.clone(),
            baseline: events.clone(),
            ..Self::default()
        }
    }

    /// Goes on with what an earlier process saw: so many events since our update, and so many looks in a row without them.
    pub(super) fn expecting(self, events: u32, in_a_row: u32) -> Self {
        Self {
            since: events,
            expected: events,
            in_a_row,
            ..self
        }
    }

    /// How many events since our update the newest look had.
    pub(super) const fn events_since(&self) -> u32 {
        self.since
    }

    /// How many looks in a row seemed to be from the past.
    pub(super) const fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// Whether a look is older than an earlier one; takes note of it if not.
    pub(super) fn is_past(&mut self, service: &Service) -> bool {
        let first = service.events.first().map(|event| &event.id);
        let since = u32::try_from(since(service, &self.baseline).count()).unwrap_or(u32::MAX);
        let past = since < self.expected
            || self.newest.as_ref().is_some_and(|newest| {
                let listed = service.events.iter().any(|event| event.id == *newest);
                !listed && first.is_none_or(|first| self.known.contains(first))
            });
        if past && self.in_a_row < LOOKS_FROM_THE_PAST {
            self.in_a_row += 1;
            return true;
        }
        self.in_a_row = 0;
        self.expected = 0;
        self.since = since;
        self.newest = first.filter(|id| !id.is_empty()).cloned();
        self.known
            .extend(service.events.iter().map(|event| event.id.clone()));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{Freshness, LOOKS_FROM_THE_PAST, Sign, failure, rolls_back_to, sign};
    use crate::ecs::observation::Service;
    use crate::ecs::rollout::tests::build;
    use std::collections::BTreeSet;

    fn with(messages: &[&str]) -> Service {
        let mut service = build::service(2);
        service.events = messages
            .iter()
            .enumerate()
            .map(|(number, message)| build::event(&format!("e{}", messages.len() - number), message))
            .collect();
        service
    }

    #[test]
    fn events_are_read_with_and_without_their_period() {
        for (message, says) in [
            (
                "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start.",
                Some(Sign::Failed("ecs-svc/2", "tasks failed to start")),
            ),
            (
                "(service web) (deployment ecs-svc/2) deployment failed: alarm detected",
                Some(Sign::Failed("ecs-svc/2", "alarm detected")),
            ),
            ("(service web) (deployment ecs-svc/2) deployment completed.", None),
            (
                "(service web) rolling back to deployment ecs-svc/1.",
                Some(Sign::RollsBackTo("ecs-svc/1")),
            ),
            (
                "(service web) rolling back to deployment ecs-svc/1",
                Some(Sign::RollsBackTo("ecs-svc/1")),
            ),
            (
                "(service web) was unable to place a task. Reason: CannotPullContainerError: not found.",
                Some(Sign::Unplaced("CannotPullContainerError: not found")),
            ),
            (
                "(service web) was unable to place a task because no container instance met all of its requirements.",
                Some(Sign::Unplaced(
                    "no container instance met all of its requirements",
                )),
            ),
            (
                "(service web) failed to launch a task with (error Role is not valid).",
                Some(Sign::Unplaced("(error Role is not valid)")),
            ),
            ("(service web) has reached a steady state.", None),
            ("", None),
        ] {
            assert_eq!(sign(message), says, "{message}");
        }
    }

    #[test]
    fn a_failure_is_ours_only_if_it_names_us_and_is_new() {
        let service = with(&["(service web) (deployment ecs-svc/22) deployment failed: x."]);
        assert_eq!(failure(&service, &BTreeSet::new(), "ecs-svc/2"), None);
        let service = with(&["(service web) (deployment ecs-svc/2) deployment failed: x."]);
        assert_eq!(failure(&service, &BTreeSet::new(), "ecs-svc/2"), Some("x"));
        let old = BTreeSet::from(["e1".to_owned()]);
        assert_eq!(failure(&service, &old, "ecs-svc/2"), None);
    }

    #[test]
    fn a_rollback_of_another_deployment_is_not_ours() {
        let ours = "(service web) (deployment ecs-svc/2) deployment failed: x.";
        let theirs = "(service web) (deployment ecs-svc/3) deployment failed: x.";
        let back = "(service web) rolling back to deployment ecs-svc/1.";
        let to_us = "(service web) rolling back to deployment ecs-svc/2.";
        for (events, is_ours) in [
            (vec![back], true),
            (vec![back, ours], true),
            (vec![back, theirs], false),
            (vec![back, theirs, ours], false),
            (vec![to_us, theirs], false),
            (vec![to_us], false),
            (vec![ours], false),
        ] {
            let service = with(&events);
            let old = BTreeSet::new();
            let to = rolls_back_to(&service, &old, "ecs-svc/2");
            assert_eq!(to, is_ours.then_some("ecs-svc/1"), "{events:?}");
        }
    }

    #[test]
    fn a_look_without_the_newest_event_is_from_the_past_unless_it_has_a_newer_one() {
        let mut freshness = Freshness::knowing(&BTreeSet::from(["e1".to_owned()]));
        assert!(!freshness.is_past(&with(&["b", "a"])));
        assert!(!freshness.is_past(&with(&["c", "b", "a"])));
        assert!(freshness.is_past(&with(&["b", "a"])), "without e3");
        assert!(freshness.is_past(&with(&[])));
        assert!(
            !freshness.is_past(&with(&["c", "b", "a"])),
            "as new as the newest"
        );
        let mut pushed_out = with(&["f"]);
        pushed_out.events[0].id = "e9".to_owned();
        assert!(
            !freshness.is_past(&pushed_out),
            "a hundred newer events push the old ones out"
        );
        for _ in 0..LOOKS_FROM_THE_PAST {
            assert!(freshness.is_past(&with(&["c", "b", "a"])));
        }
        assert!(
            !freshness.is_past(&with(&["c", "b", "a"])),
            "it is no longer the past"
        );
    }
}
