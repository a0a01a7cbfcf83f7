//! What CreateCustomActionType would refuse, told before it is asked.
//!
//! Limits are those of the service's model (API version 2015-07-09), and the placeholders those of its documentation.

use super::definition::{Counts, Definition, Property};
use super::links::EXTERNAL_ID;

/// Properties of one type.
const MOST_PROPERTIES: usize = 10;
/// Characters of a property's name.
const MOST_OF_A_NAME: usize = 50;
/// Characters of a property's description.
const MOST_OF_A_DESCRIPTION: usize = 160;
/// Characters of a URL template.
const MOST_OF_A_URL: usize = 2048;
/// Input or output artifacts of a custom action.
const MOST_ARTIFACTS: u8 = 5;
/// Characters of a provider, and of a version.
const MOST_OF_A_PROVIDER: usize = 35;
const MOST_OF_A_VERSION: usize = 9;

/// Everything that CodePipeline would refuse about a definition, one line each.
#[must_use]
pub fn problems(definition: &Definition) -> Vec<String> {
    let mut problems = Vec::new();
    let id = &definition.id;
    let shape = &definition.shape;
    for (what, word, most) in [
        ("provider", &id.provider, MOST_OF_A_PROVIDER),
        ("version", &id.version, MOST_OF_A_VERSION),
    ] {
        let is_word = word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_word || !(1..=most).contains(&word.len()) {
            problems.push(format!(
                "the {what} `{word}`: 1 to {most} letters, digits, `_` and `-`"
            ));
        }
    }
    let urls = &shape.urls;
    for (what, url) in [
        ("third party configuration", &urls.third_party),
        ("entity", &urls.entity),
        ("execution", &urls.execution),
        ("revision", &urls.revision),
    ] {
        if let Some(url) = url {
            problems.extend(
                of_url(url, &shape.properties)
                    .into_iter()
                    .map(|problem| format!("the {what} URL: {problem}")),
            );
        }
    }
    problems.extend(of_properties(&shape.properties));
    for (what, counts) in [("input", shape.inputs), ("output", shape.outputs)] {
        let Counts { least, most } = counts;
        if least > most || most > MOST_ARTIFACTS {
            problems.push(format!(
                "{least} to {most} {what} artifacts: 0 to {MOST_ARTIFACTS} are possible"
            ));
        }
    }
    problems
}

fn of_url(url: &str, properties: &[Property]) -> Vec<String> {
    let mut problems = Vec::new();
    let length = url.chars().count();
    if !(1..=MOST_OF_A_URL).contains(&length) {
        problems.push(format!(
            "{length} characters, where 1 to {MOST_OF_A_URL} are possible"
        ));
    }
    if !["http://", "https://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        problems.push("it does not begin with `https://`".to_owned());
    }
    // `${AWS::Region}` is CloudFormation's, which fills it in before CodePipeline sees the text.
    let text = url.replace("${AWS::Region}", "region");
    let mut rest = text.as_str();
    while let Some((_, from)) = rest.split_once('{') {
        let Some((inside, after)) = from.split_once('}') else {
            problems.push("a `{` is never closed".to_owned());
            break;
        };
        rest = after;
        if format!("{{{inside}}}") == EXTERNAL_ID {
            continue;
        }
        let named = inside.strip_prefix("Config:");
        let property = named.and_then(|name| properties.iter().find(|property| property.name == name));
        match property {
            Some(property) if property.required && !property.secret => {}
            Some(_) => problems.push(format!(
                "`{{{inside}}}` names a property that is not required, or is secret"
            )),
            None => problems.push(format!(
                "`{{{inside}}}` is neither `{EXTERNAL_ID}` nor `{{Config:PROPERTY}}`"
            )),
        }
    }
    problems
}

fn of_properties(properties: &[Property]) -> Vec<String> {
    let mut problems = Vec::new();
    if properties.len() > MOST_PROPERTIES {
        problems.push(format!(
            "{} properties: {MOST_PROPERTIES} are possible",
            properties.len()
        ));
    }
    if properties.iter().filter(|property| property.queryable).count() > 1 {
        problems.push("more than one property is queryable".to_owned());
    }
    for (at, property) in properties.iter().enumerate() {
        let name = &property.name;
        if !(1..=MOST_OF_A_NAME).contains(&name.chars().count()) {
            problems.push(format!(
                "property `{name}`: a name has 1 to {MOST_OF_A_NAME} characters"
            ));
        }
        if properties.iter().take(at).any(|before| before.name == *name) {
            problems.push(format!("property `{name}` is there twice"));
        }
        if property.queryable && (!property.required || property.secret) {
            problems.push(format!(
                "property `{name}`: what is queryable must be required, and not secret"
            ));
        }
        let length = property.description.as_ref().map(|text| text.chars().count());
        if length.is_some_and(|length| !(1..=MOST_OF_A_DESCRIPTION).contains(&length)) {
            problems.push(format!(
                "property `{name}`: a description has 1 to {MOST_OF_A_DESCRIPTION} characters"
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::problems;
    use crate::pipeline::action_type::{Counts, Definition, LogLink, Place, define};

    fn types(place: &Place) -> Vec<Definition> {
        ["Build/Slipway/1", "Deploy/Slipway/1"]
            .map(|id| define(id.parse().unwrap(), place, &LogLink::default()))
            .to_vec()
    }

    #[test]
    fn slipways_own_types_keep_every_limit_in_every_partition() {
        for place in [
            Place::in_region("ap-southeast-3"),
            Place::in_region("cn-northwest-1"),
            Place::in_region("us-gov-west-1"),
            Place::in_region("us-iso-east-1"),
            Place::of_the_stack(),
        ] {
            for definition in types(&place) {
                assert_eq!(problems(&definition), [""; 0], "{definition:?}");
            }
        }
    }

    #[test]
    fn each_limit_is_told_when_it_is_broken() {
        type Break = fn(&mut Definition);
        let cases: &[(Break, &str)] = &[
            (|it| it.id.provider = "S".repeat(36), "the provider `SS"),
            (|it| it.id.version = String::new(), "the version ``"),
            (
                |it| it.shape.urls.entity = Some(String::new()),
                "the entity URL: 0 characters",
            ),
            (
                |it| it.shape.urls.entity = Some("https://x/".to_owned() + &"x".repeat(2048)),
                "the entity URL: 2058 characters",
            ),
            (
                |it| it.shape.urls.revision = Some("javascript:x".to_owned()),
                "begin with",
            ),
            (
                |it| it.shape.urls.revision = Some("https://x/{Config:Path}".to_owned()),
                "not required",
            ),
            (
                |it| it.shape.urls.revision = Some("https://x/{Config:Nosuch}".to_owned()),
                "is neither",
            ),
            (
                |it| it.shape.urls.revision = Some("https://x/{JobId}".to_owned()),
                "is neither",
            ),
            (
                |it| it.shape.urls.revision = Some("https://x/{ExternalExecutionId".to_owned()),
                "never closed",
            ),
            (
                |it| {
                    for n in 0..4 {
                        let mut more = it.shape.properties[1].clone();
                        more.name = format!("More{n}");
                        it.shape.properties.push(more);
                    }
                },
                "11 properties",
            ),
            (
                |it| it.shape.properties[1].name = "Fleet".to_owned(),
                "`Fleet` is there twice",
            ),
            (
                |it| it.shape.properties[1].name = "n".repeat(51),
                "a name has 1 to 50",
            ),
            (
                |it| it.shape.properties[1].description = Some("d".repeat(161)),
                "1 to 160",
            ),
            (|it| it.shape.properties[0].required = false, "must be required"),
            (
                |it| {
                    it.shape.properties[1].queryable = true;
                    it.shape.properties[1].required = true;
                },
                "more than one",
            ),
            (
                |it| it.shape.outputs = Counts { least: 0, most: 6 },
                "0 to 6 output artifacts",
            ),
            (
                |it| it.shape.inputs = Counts { least: 2, most: 1 },
                "2 to 1 input artifacts",
            ),
        ];
        for (break_it, expected) in cases {
            let mut definition = types(&Place::in_region("eu-west-1")).remove(0);
            break_it(&mut definition);
            let found = problems(&definition).join("\n");
            assert!(found.contains(expected), "{expected}: {found}");
        }
    }
}
