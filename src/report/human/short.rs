//! Far ends' long names as people read them; the JSON lines keep them whole.

/// How many hex digits tell digests and ids apart on a screen, as `docker images` shows them.
const DIGITS: usize = 12;

/// Hex text this long is an id that nobody reads: a task's has 32 digits, a digest 64.
const LONG: usize = 32;

/// What begins the ARN of a target group, between partition and region.
const TARGET_GROUP: &str = ":targetgroup/";

/// Cuts digests and ids to their first digits, and ARNs of target groups to their names.
#[must_use]
pub fn ids(text: &str) -> String {
    let text = target_groups(text);
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let id = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        if id.len() >= LONG && id.bytes().all(|b| b.is_ascii_hexdigit()) {
            out.push_str(id.get(..DIGITS).unwrap_or(id));
            out.push_str(word.get(id.len()..).unwrap_or_default());
        } else {
            out.push_str(word);
        }
    }
    out
}

/// `arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/web/0123` becomes `web`.
#[must_use]
pub fn target_groups(text: &str) -> String {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || ":/-_.".contains(c));
    text.split_inclusive(ends)
        .map(|word| {
            let arn = word.trim_end_matches(ends);
            let name = arn
                .starts_with("arn:")
                .then(|| arn.split_once(TARGET_GROUP)?.1.split('/').next())
                .flatten();
            match name {
                Some(name) => format!("{name}{}", word.get(arn.len()..).unwrap_or_default()),
                None => word.to_owned(),
            }
        })
        .collect()
}

/// A service event without the `(service shop) ` or `(service shop, taskSet ecs-svc/1) ` that ECS begins it with: the
/// line names the service already.
#[must_use]
pub fn event<'a>(message: &'a str, service: &str) -> &'a str {
    let named = message
        .strip_prefix("(service ")
        .and_then(|rest| rest.strip_prefix(service))
        .filter(|rest| rest.starts_with([')', ',']))
        .and_then(|rest| rest.split_once(") "));
    named.map_or(message, |(_, rest)| rest)
}

/// A change from one image to another; the repository is said once where it stays the same.
#[must_use]
pub fn change(from: &str, to: &str) -> String {
    let kept = from.split_once('@').zip(to.split_once('@'));
    let to = match kept {
        Some(((before, _), (after, digest))) if before == after => digest,
        _ => to,
    };
    format!("{} -> {}", ids(from), ids(to))
}

#[cfg(test)]
mod tests {
    use super::{change, event, ids, target_groups};
    use proptest::prelude::*;

    const ARN: &str =
        "arn:aws:elasticloadbalancing:eu-west-1:000000000000:targetgroup/hello-web/3c6ef372fe94f82a";

    #[test]
    fn digests_ids_and_target_groups_are_cut_and_nothing_else_is() {
        let digest = "7efbf3db5e844a6e85933a0a38f8a047ddb3af78d3b51ee9af9e2594120ddd04";
        for (long, short) in [
            (
                format!("a/b@sha256:{digest} (tags: x)"),
                "a/b@sha256:7efbf3db5e84 (tags: x)",
            ),
            (
                "(task 3a41c6b074a0770e0fb6822ed252c69a) and (task 1).".to_owned(),
                "(task 3a41c6b074a0) and (task 1).",
            ),
            (
                format!("in (target-group {ARN})."),
                "in (target-group hello-web).",
            ),
            (
                "deployment ecs-svc/5990025626462012731 of \u{fc}".to_owned(),
                "deployment ecs-svc/5990025626462012731 of \u{fc}",
            ),
        ] {
            assert_eq!(ids(&long), short);
        }
        let elsewhere = "arn:aws:ecs:eu-west-1:000000000000:service/prod/shop";
        assert_eq!(target_groups(elsewhere), elsewhere);
    }

    #[test]
    fn an_event_loses_the_name_of_its_own_service_only() {
        for (message, short) in [
            ("(service shop) has started 1 tasks.", "has started 1 tasks."),
            ("(service shop, taskSet ecs-svc/1) drains.", "drains."),
            ("(service shop-web) drains.", "(service shop-web) drains."),
            ("drains (now) fast", "drains (now) fast"),
        ] {
            assert_eq!(event(message, "shop"), short);
        }
    }

    #[test]
    fn a_change_says_the_same_repository_once() {
        assert_eq!(change("r/a@sha256:1", "r/a@sha256:2"), "r/a@sha256:1 -> sha256:2");
        assert_eq!(change("r/a:1", "r/b@sha256:2"), "r/a:1 -> r/b@sha256:2");
    }

    proptest! {
        #[test]
        fn text_without_long_ids_stays_as_it_is(text in "[ -~\u{e0}-\u{ff}]{0,80}") {
            prop_assume!(!text.contains("targetgroup"));
            let longest = text.split(|c: char| !c.is_ascii_hexdigit()).map(str::len).max();
            prop_assume!(longest.unwrap_or_default() < super::LONG);
            prop_assert_eq!(ids(&text), text);
        }
    }
}
