//! What is registered, held against what is wanted.
//!
//! A type can be changed by nobody; what differs needs another version. Versions that were deleted are not listed, and
//! CodePipeline takes them again only for the very definition that they had.

use super::definition::{Counts, Definition, Property, PropertyKind, Registered, Shape};
use crate::pipeline::job::ActionTypeId;

/// A property that CodePipeline adds to every custom type by itself.
const OF_CODEPIPELINE: &str = "JobList";

/// How a wanted type stands in the region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is registered as it is wanted.
    Same,
    /// Something else is registered under its name; one line for each difference.
    Differs(Vec<String>),
    /// Nothing is registered under its name, though something may have been.
    Absent,
}

/// Compares a wanted type with all that are registered.
#[must_use]
pub fn standing(wanted: &Definition, registered: &[Registered]) -> Standing {
    let Some(found) = registered.iter().find(|found| found.is(&wanted.id)) else {
        return Standing::Absent;
    };
    let differences = differences(&wanted.shape, &found.shape);
    if differences.is_empty() {
        Standing::Same
    } else {
        Standing::Differs(differences)
    }
}

impl Registered {
    /// Whether it has this name.
    #[must_use]
    pub fn is(&self, id: &ActionTypeId) -> bool {
        self.is_of(id) && self.version == id.version
    }

    /// Whether it has this name in any version.
    fn is_of(&self, id: &ActionTypeId) -> bool {
        self.category == id.category.word() && self.provider == id.provider
    }
}

/// The first version above every one that is registered or wanted, free for all of these types at once; none when it
/// would have more than the nine digits that a version can have.
#[must_use]
pub fn next_version(wanted: &[ActionTypeId], registered: &[Registered]) -> Option<String> {
    let of_ours = |found: &&Registered| wanted.iter().any(|id| found.is_of(id));
    let registered = registered.iter().filter(of_ours).map(|found| &found.version);
    let wanted = wanted.iter().map(|id| &id.version);
    let highest = registered
        .chain(wanted)
        .filter_map(|version| version.parse::<u32>().ok())
        .max()
        .unwrap_or_default();
    highest
        .checked_add(1)
        .map(|next| next.to_string())
        .filter(|next| next.len() <= 9)
}

/// What differs between a wanted shape and a registered one, one line each.
#[must_use]
pub fn differences(wanted: &Shape, registered: &Shape) -> Vec<String> {
    let mut lines = Vec::new();
    let (ours, theirs) = (&wanted.urls, &registered.urls);
    for (what, ours, theirs) in [
        (
            "third party configuration URL",
            &ours.third_party,
            &theirs.third_party,
        ),
        ("entity URL", &ours.entity, &theirs.entity),
        ("execution URL", &ours.execution, &theirs.execution),
        ("revision URL", &ours.revision, &theirs.revision),
    ] {
        lines.extend(differs(what, &said(ours), &said(theirs)));
    }
    let of_ours = |shape: &Shape, name: &str| {
        let property = shape.properties.iter().find(|property| property.name == name);
        property.cloned()
    };
    for property in &wanted.properties {
        match of_ours(registered, &property.name) {
            Some(theirs) => lines.extend(of_property(property, &theirs)),
            None => lines.push(format!("property `{}`: not registered", property.name)),
        }
    }
    for theirs in &registered.properties {
        let name = theirs.name.as_str();
        if name != OF_CODEPIPELINE && of_ours(wanted, name).is_none() {
            lines.push(format!("property `{name}`: registered, and not wanted"));
        }
    }
    for (what, ours, theirs) in [
        ("input artifacts", wanted.inputs, registered.inputs),
        ("output artifacts", wanted.outputs, registered.outputs),
    ] {
        let range = |counts: Counts| format!("{} to {}", counts.least, counts.most);
        lines.extend(differs(what, &range(ours), &range(theirs)));
    }
    lines
}

fn of_property(ours: &Property, theirs: &Property) -> Vec<String> {
    let word = |is: bool| if is { "yes" } else { "no" };
    let kind = |kind: &PropertyKind| kind.word().to_owned();
    [
        (
            "required",
            word(ours.required).to_owned(),
            word(theirs.required).to_owned(),
        ),
        ("key", word(ours.key).to_owned(), word(theirs.key).to_owned()),
        (
            "secret",
            word(ours.secret).to_owned(),
            word(theirs.secret).to_owned(),
        ),
        (
            "queryable",
            word(ours.queryable).to_owned(),
            word(theirs.queryable).to_owned(),
        ),
        ("description", said(&ours.description), said(&theirs.description)),
        ("type", kind(&ours.kind), kind(&theirs.kind)),
    ]
    .into_iter()
    .filter_map(|(what, wanted, registered)| {
        differs(&format!("property `{}`: {what}", ours.name), &wanted, &registered)
    })
    .collect()
}

fn differs(what: &str, wanted: &str, registered: &str) -> Option<String> {
    (wanted != registered).then(|| format!("{what}: registered {registered}, wanted {wanted}"))
}

fn said(text: &Option<String>) -> String {
    text.as_ref()
        .map_or_else(|| "none".to_owned(), |text| format!("`{text}`"))
}

#[cfg(test)]
mod tests {
    use super::{Standing, next_version, standing};
    use crate::pipeline::action_type::{
        Definition, LogLink, Place, Property, PropertyKind, Registered, define,
    };
    use crate::pipeline::job::ActionTypeId;

    fn wanted(id: &str) -> Definition {
        define(
            id.parse().unwrap(),
            &Place::in_region("eu-west-1"),
            &LogLink::default(),
        )
    }

    fn registered(id: &str) -> Registered {
        let Definition { id, shape } = wanted(id);
        Registered {
            category: id.category.word().to_owned(),
            provider: id.provider,
            version: id.version,
            shape,
        }
    }

    #[test]
    fn a_type_is_absent_or_the_same_whatever_the_order_and_what_codepipeline_adds() {
        let wanted = wanted("Deploy/Slipway/1");
        assert_eq!(
            standing(&wanted, &[registered("Build/Slipway/1")]),
            Standing::Absent
        );
        assert_eq!(
            standing(&wanted, &[registered("Deploy/Slipway/2")]),
            Standing::Absent
        );
        let mut same = registered("Deploy/Slipway/1");
        same.shape.properties.reverse();
        same.shape.properties.push(Property {
            name: "JobList".to_owned(),
            required: false,
            key: false,
            secret: false,
            queryable: false,
            description: None,
            kind: PropertyKind::String,
        });
        assert_eq!(standing(&wanted, &[same]), Standing::Same);
    }

    #[test]
    fn every_difference_has_its_line() {
        let wanted = wanted("Deploy/Slipway/1");
        type Change = fn(&mut Registered);
        let cases: &[(Change, &str)] = &[
            (
                |it| it.shape.urls.execution = None,
                "execution URL: registered none, wanted `https://eu-west-1",
            ),
            (
                |it| it.shape.properties[0].queryable = false,
                "property `Fleet`: queryable: registered no, wanted yes",
            ),
            (
                |it| it.shape.properties[1].kind = PropertyKind::Unrecognised("Colour".to_owned()),
                "property `Path`: type: registered Colour, wanted String",
            ),
            (
                |it| it.shape.properties[1].name = "Folder".to_owned(),
                "property `Path`: not registered\nproperty `Folder`: registered, and not wanted",
            ),
            (
                |it| it.shape.outputs.most = 1,
                "output artifacts: registered 0 to 1, wanted 0 to 0",
            ),
        ];
        for (change, expected) in cases {
            let mut found = registered("Deploy/Slipway/1");
            change(&mut found);
            let Standing::Differs(lines) = standing(&wanted, &[found]) else {
                panic!("{expected}");
            };
            assert!(lines.join("\n").starts_with(expected), "{expected}: {lines:?}");
        }
    }

    #[test]
    fn the_next_version_is_free_for_all_types_at_once() {
        let ids = |version: &str| -> Vec<ActionTypeId> {
            ["Build", "Deploy"]
                .map(|category| format!("{category}/Slipway/{version}").parse().unwrap())
                .to_vec()
        };
        for (version, taken, next) in [
            ("1", vec![], Some("2")),
            ("1", vec!["Deploy/Slipway/1"], Some("2")),
            ("1", vec!["Build/Slipway/1", "Deploy/Slipway/7"], Some("8")),
            ("1", vec!["Deploy/Other/9"], Some("2")),
            ("beta", vec!["Deploy/Slipway/beta"], Some("1")),
            ("1", vec!["Deploy/Slipway/999999999"], None),
        ] {
            let taken: Vec<Registered> = taken.into_iter().map(registered).collect();
            assert_eq!(next_version(&ids(version), &taken).as_deref(), next, "{version}");
        }
    }
}
