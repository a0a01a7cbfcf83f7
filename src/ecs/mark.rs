//! The mark of an execution on what it registers: a later attempt of the same execution finds its own work by it, and
//! does not do it twice.
//!
//! A mark is in the tags of a task definition, beside what the judge must know of the service before the update.

use super::resume::{Before, Completed, Print};
use super::task_definition::TaskDefinition;
use crate::name::Digest;

/// The execution of the pipeline.
pub const EXECUTION: &str = "slipway:execution";
/// Where in the pipeline the action is.
pub const PLACE: &str = "slipway:place";
/// The attempt.
pub const ATTEMPT: &str = "slipway:attempt";
/// The service, and what it was before the update.
pub const BEFORE: &str = "slipway:before";

/// The keys of a mark's tags.
pub const KEYS: [&str; 4] = [EXECUTION, PLACE, ATTEMPT, BEFORE];

/// The most tags of a task definition (RegisterTaskDefinition).
pub const MOST_TAGS: usize = 50;

/// The longest value of a tag, in characters.
const LONGEST: usize = 256;

/// Hexadecimal digits that stand for what a value leaves out.
const DIGITS: usize = 16;

/// What a tag has instead of a revision that there was not.
const NONE: &str = "-";

/// Which execution a run belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The execution of the pipeline: a retry of its stage keeps it.
    pub execution: String,
    /// Where in the pipeline the action is: `pipeline/stage/action`.
    pub place: String,
    /// The execution of the action: a retry has a new one, a crash of its worker has not.
    pub attempt: String,
}

impl Mark {
    /// What tells all work of its execution at its place from any other.
    #[must_use]
    pub fn print(&self) -> Print {
        Print::of(&format!("{} {}", self.execution, self.place))
    }
}

/// A mark as it is put on the revision of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marking {
    /// The mark.
    pub mark: Mark,
    /// Tells the service from others.
    pub service: Print,
    /// The service before the update.
    pub before: Before,
}

/// A mark that was found on a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The attempt that registered it, as its tag has it.
    pub attempt: String,
    /// The service before the update.
    pub before: Before,
}

impl Found {
    /// Whether the same attempt registered it.
    #[must_use]
    pub fn is_of(&self, attempt: &str) -> bool {
        self.attempt == value(attempt)
    }
}

impl Marking {
    /// The tags.
    #[must_use]
    pub fn tags(&self, family: &str) -> [(&'static str, String); 4] {
        [
            (EXECUTION, value(&self.mark.execution)),
            (PLACE, value(&self.mark.place)),
            (ATTEMPT, value(&self.mark.attempt)),
            (BEFORE, before(self.service, &self.before, family)),
        ]
    }

    /// Whether ECS would make an equal revision of this definition, whatever mark either has.
    #[must_use]
    pub fn is_made_of(&self, revision: &TaskDefinition, definition: &TaskDefinition) -> bool {
        let bare = |of: &TaskDefinition| of.clone().without_tags(&KEYS);
        bare(revision).diff(&bare(definition)).is_empty()
    }

    /// The mark on a revision, if it is of the same execution, place and service.
    #[must_use]
    pub fn find(&self, on: &TaskDefinition) -> Option<Found> {
        let tag = |key: &str| on.tag(key);
        let ours = tag(EXECUTION)? == value(&self.mark.execution) && tag(PLACE)? == value(&self.mark.place);
        let (service, before) = of_before(tag(BEFORE)?, on.family())?;
        (ours && service == self.service).then(|| Found {
            attempt: tag(ATTEMPT).unwrap_or_default().to_owned(),
            before,
        })
    }
}

/// A tag's value: letters, digits, spaces and some signs, at most 256; what does not fit is told by a hash of the whole.
#[must_use]
pub fn value(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || " +-=._:/@".contains(c);
    if text.len() <= LONGEST && text.chars().all(allowed) {
        return text.to_owned();
    }
    let kept = text.chars().filter(|c| allowed(*c)).take(LONGEST - DIGITS - 1);
    let digits: String = Digest::of(text.as_bytes()).hex().chars().take(DIGITS).collect();
    format!("{}={digits}", kept.collect::<String>())
}

/// The service's print, then the revision, the prints of its deployment and of its newest event, and whether it was done;
/// then what ECS would have brought back, if that is another one.
fn before(service: Print, before: &Before, family: &str) -> String {
    let name = |revision: Option<&String>| match revision {
        None => NONE.to_owned(),
        Some(revision) => match revision.strip_prefix(family) {
            Some(number) if number.starts_with(':') => number.to_owned(),
            _ => revision.clone(),
        },
    };
    let text = |name: &dyn Fn(Option<&String>) -> String| {
        let mut text = format!(
            "{} {} {} {} {}",
            name(before.revision.as_ref()),
            service.digits(),
            before.deployment.digits(),
            before.event.digits(),
            if before.done { "done" } else { "open" },
        );
        if let Some(completed) = &before.completed {
            text.push_str(&format!(
                " {} {}",
                name(Some(&completed.revision)),
                completed.deployment.digits()
            ));
        }
        text
    };
    let whole = text(&name);
    if whole.len() <= LONGEST {
        return whole;
    }
    // Families may be as long as a value: what is left out is found again among the service's deployments.
    text(&|revision: Option<&String>| match revision {
        Some(revision) => short(revision),
        None => NONE.to_owned(),
    })
}

/// What stands for a revision whose name is too long: `=` and digits, with which no family begins.
fn short(revision: &str) -> String {
    let digits: String = Digest::of(revision.as_bytes())
        .hex()
        .chars()
        .take(DIGITS)
        .collect();
    format!("={digits}")
}

fn of_before(text: &str, family: &str) -> Option<(Print, Before)> {
    let parts: Vec<&str> = text.split(' ').collect();
    let name = |text: &str| match text {
        NONE => None,
        text if text.starts_with(':') => Some(format!("{family}{text}")),
        text => Some(text.to_owned()),
    };
    let (first, completed) = parts.split_at_checked(5)?;
    let [revision, service, deployment, event, done] = first else {
        return None;
    };
    let completed = match completed {
        [] => None,
        [revision, deployment] => Some(Completed {
            deployment: Print::of_digits(deployment)?,
            revision: name(revision)?,
        }),
        _ => return None,
    };
    let before = Before {
        deployment: Print::of_digits(deployment)?,
        revision: name(revision),
        completed,
        done: *done == "done",
        event: Print::of_digits(event)?,
    };
    Some((Print::of_digits(service)?, before))
}

/// The same with revisions whose names were too long, as far as they are among these.
#[must_use]
pub fn spelled_out<'a>(mut before: Before, known: &(impl Iterator<Item = &'a str> + Clone)) -> Before {
    let whole = |name: &String| {
        let mut known = known.clone();
        known.find(|known| short(known) == *name).map(str::to_owned)
    };
    let is_short = |name: &String| name.starts_with('=');
    if let Some(revision) = before.revision.as_ref().filter(|name| is_short(name)) {
        before.revision = whole(revision);
    }
    if let Some(completed) = before.completed.as_mut().filter(|one| is_short(&one.revision)) {
        match whole(&completed.revision) {
            Some(revision) => completed.revision = revision,
            None => before.completed = None,
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use super::{Before, Completed, KEYS, LONGEST, Mark, Marking, Print, spelled_out, value};
    use crate::ecs::task_definition::TaskDefinition;

    fn marking() -> Marking {
        Marking {
            mark: Mark {
                execution: "3137f7cb-7cf7-4abc-8def-012345678901".to_owned(),
                place: "shop/Deploy/Services".to_owned(),
                attempt: "a1".to_owned(),
            },
            service: Print::of("prod/web"),
            before: Before {
                deployment: Print::of("ecs-svc/1"),
                revision: Some("web:41".to_owned()),
                completed: None,
                done: true,
                event: Print::of("e1"),
            },
        }
    }

    fn definition(tags: &str) -> TaskDefinition {
        let text = format!(r#"{{"family":"web","containerDefinitions":[{{"name":"web"}}],"tags":[{tags}]}}"#);
        TaskDefinition::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_mark_is_found_again_with_what_was_before_and_the_other_tags_stay() {
        let marking = marking();
        let plain = definition(r#"{"key":"team","value":"shop"}"#);
        let marked = plain.clone().with_tags(&marking.tags("web"));
        let found = marking.find(&marked).unwrap();
        assert_eq!(found.before, marking.before);
        assert!(found.is_of("a1") && !found.is_of("a2"));
        assert_eq!(marked.tag("team"), Some("shop"));
        assert_eq!(marked.clone().without_tags(&KEYS), plain);
        assert_eq!(marking.find(&plain), None);
        // Marked once more, it has the newer mark alone.
        let again = Marking {
            mark: Mark {
                execution: "another".to_owned(),
                ..marking.mark.clone()
            },
            ..marking.clone()
        };
        let twice = marked.with_tags(&again.tags("web"));
        assert_eq!((marking.find(&twice), again.find(&twice).is_some()), (None, true));
    }

    #[test]
    fn another_execution_place_or_service_is_not_ours() {
        let marking = marking();
        let marked = definition("").with_tags(&marking.tags("web"));
        let of = |execution: &str, place: &str, service: &str| Marking {
            mark: Mark {
                execution: execution.to_owned(),
                place: place.to_owned(),
                attempt: "a1".to_owned(),
            },
            service: Print::of(service),
            before: marking.before.clone(),
        };
        let Mark { execution, place, .. } = &marking.mark;
        assert!(of(execution, place, "prod/web").find(&marked).is_some());
        for other in [
            of("other", place, "prod/web"),
            of(execution, "shop/Deploy/Other", "prod/web"),
            of(execution, place, "prod/api"),
        ] {
            assert_eq!(other.find(&marked), None);
        }
    }

    #[test]
    fn values_fit_into_tags_and_stay_apart() {
        assert_eq!(value("shop/Deploy/Services"), "shop/Deploy/Services");
        let long = |end: char| value(&format!("{}{end}", "x".repeat(400)));
        assert_eq!(long('a').len(), LONGEST);
        assert_ne!(long('a'), long('b'));
        assert_ne!(value("a*b"), value("a?b"));
        assert!(
            value("a*b")
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '=')
        );
    }

    #[test]
    fn names_that_are_too_long_are_found_among_the_deployments() {
        let (other, family) = ("y".repeat(250), "x".repeat(255));
        let mut marking = marking();
        marking.before.revision = Some(format!("{other}:7"));
        marking.before.completed = Some(Completed {
            deployment: Print::of("ecs-svc/0"),
            revision: format!("{other}:6"),
        });
        let tags = marking.tags(&family);
        assert!(tags.iter().all(|(_, value)| value.len() <= LONGEST), "{tags:?}");
        let found = marking.find(&definition("").with_tags(&tags)).unwrap();
        let known = [format!("{other}:6"), format!("{other}:7")];
        let whole = spelled_out(found.before.clone(), &known.iter().map(String::as_str));
        assert_eq!(whole, marking.before);
        let lost = spelled_out(found.before, &std::iter::empty());
        assert_eq!((lost.revision, lost.completed), (None, None));
    }
}
