//! `slipway action-type`: what workers serve, made known to CodePipeline.

use super::verbs::{Start, aws, misconfigured, named_region, own_region};
use crate::aws::{Aws, ConnectError};
use crate::cli::{
    ActionTypeArgs, ActionTypeVerb, CategoryArg, DeleteTypesArgs, OfProviderArgs, PrintTypesArgs,
    TypeFormatArg, WantedTypesArgs,
};
use crate::failure::{Failure, Kind};
use crate::pipeline::action_type::{
    Definition, LogLink, Place, Registered, Standing, VERSION, cloudformation, define, differences,
    next_version, problems, request, standing,
};
use crate::pipeline::job::{ActionTypeError, ActionTypeId, Category};
use crate::pipeline::registration::{ActionTypes, RegistrationError};
use crate::report::event::Event;
use serde_json::{Value, json};

/// What slipway has types for.
const BOTH: [Category; 2] = [Category::Build, Category::Deploy];

/// What is left of types that were not touched.
const UNTOUCHED: &str = "nothing was registered";

/// Does it, and returns what belongs on stdout.
pub(super) async fn run(args: ActionTypeArgs, start: &Start) -> Result<String, Failure> {
    match args.verb {
        ActionTypeVerb::Print(args) => print(&args, start),
        ActionTypeVerb::Register(wanted) => {
            let clients = aws(start, own_region(start));
            register(&wanted, clients.get().await?, start).await
        }
        ActionTypeVerb::List(of) => {
            let clients = aws(start, own_region(start));
            list(&of, clients.get().await?).await
        }
        ActionTypeVerb::Delete(args) => delete(&args, start).await,
    }
}

fn print(args: &PrintTypesArgs, start: &Start) -> Result<String, Failure> {
    let region = named_region(start);
    let place = match (&region, args.format) {
        (Some(region), _) => Place::in_region(region),
        (None, TypeFormatArg::Cloudformation) => Place::of_the_stack(),
        (None, TypeFormatArg::Json) => {
            return Err(ConnectError::NoRegion
                .into_failure()
                .hint("the links of a type lead to the console of one region"));
        }
    };
    let definitions = definitions(&args.wanted, &place)?;
    Ok(match args.format {
        TypeFormatArg::Json => definitions.iter().map(|it| pretty(&request(it))).collect(),
        TypeFormatArg::Cloudformation => pretty(&cloudformation(&definitions)),
    })
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The types that are asked for.
fn definitions(wanted: &WantedTypesArgs, place: &Place) -> Result<Vec<Definition>, Failure> {
    let categories: &[Category] = match wanted.category {
        CategoryArg::Build => &[Category::Build],
        CategoryArg::Deploy => &[Category::Deploy],
        CategoryArg::Both => &BOTH,
    };
    of_categories(categories, &wanted.version, &wanted.of, place)
}

fn of_categories(
    categories: &[Category],
    version: &str,
    of: &OfProviderArgs,
    place: &Place,
) -> Result<Vec<Definition>, Failure> {
    let log = match (&of.log_group, &of.log_url) {
        (_, Some(url)) => LogLink::Url(url.clone()),
        (Some(group), None) => LogLink::Group(group.clone()),
        (None, None) => LogLink::default(),
    };
    let definition = |category: &Category| {
        let id = ActionTypeId {
            category: *category,
            provider: of.provider.clone(),
            version: version.to_owned(),
        };
        define(id, place, &log)
    };
    let definitions: Vec<Definition> = categories.iter().map(definition).collect();
    let mut wrong: Vec<String> = definitions.iter().flat_map(problems).collect();
    wrong.dedup();
    if wrong.is_empty() {
        Ok(definitions)
    } else {
        Err(misconfigured(wrong))
    }
}

async fn register(wanted: &WantedTypesArgs, aws: &Aws, start: &Start) -> Result<String, Failure> {
    let definitions = definitions(wanted, &Place::in_region(aws.region()))?;
    let types = ActionTypes::of(aws);
    let registered = types.list().await.map_err(unlisted)?;
    let standings: Vec<(&Definition, Standing)> = definitions
        .iter()
        .map(|definition| (definition, standing(definition, &registered)))
        .collect();
    let ids: Vec<ActionTypeId> = definitions
        .iter()
        .map(|definition| definition.id.clone())
        .collect();
    let next = next_version(&ids, &registered);
    if let Some(failure) = taken(&standings, next.as_deref()) {
        return Err(failure);
    }
    let region = aws.region();
    let mut done = String::new();
    for (definition, standing) in standings {
        let id = &definition.id;
        let note = if standing == Standing::Same {
            format!("{id} is registered in {region} already, with the same definition")
        } else {
            create(&types, definition, next.as_deref(), &done).await?;
            format!("registered {id} in {region}")
        };
        start.tell.tell(Event::Note(note));
        done += &format!("{id}\n");
    }
    Ok(done)
}

/// The failure of names that are taken by other definitions: all of them at once, before anything is registered.
fn taken(standings: &[(&Definition, Standing)], next: Option<&str>) -> Option<Failure> {
    let differing: Vec<(&ActionTypeId, &Vec<String>)> = standings
        .iter()
        .filter_map(|(definition, standing)| match standing {
            Standing::Differs(lines) => Some((&definition.id, lines)),
            Standing::Same | Standing::Absent => None,
        })
        .collect();
    let (first, _) = differing.first()?;
    let what = match differing.len() {
        1 => format!("the action type {first} is registered with another definition"),
        _ => "the action types are registered with other definitions".to_owned(),
    };
    let lines = differing
        .iter()
        .flat_map(|(id, lines)| lines.iter().map(move |line| format!("{id}: {line}")));
    let failure = Failure::new(Kind::Usage, what)
        .cause("an action type can never be changed: what differs needs another version")
        .evidence(lines)
        .left(UNTOUCHED);
    Some(match next {
        Some(next) => failure.hint(format!(
            "run it again with `--version {next}`, then name that version in pipelines and workers; a worker can serve \
             both versions meanwhile"
        )),
        None => failure.hint("run it again with `--version` and a word that was never used"),
    })
}

async fn create(
    types: &ActionTypes,
    definition: &Definition,
    next: Option<&str>,
    done: &str,
) -> Result<(), Failure> {
    let Err(error) = types.create(definition).await else {
        return Ok(());
    };
    // An answer that was lost, or somebody who was faster: what counts is what is there now.
    let now = types.list().await.unwrap_or_default();
    if standing(definition, &now) == Standing::Same {
        return Ok(());
    }
    let is_refusal = error.is_refusal();
    let failure = failed("the action type was not registered", error);
    let failure = match done.trim_end() {
        "" => failure.left(UNTOUCHED),
        done => failure.left(format!("registered: {}", done.replace('\n', ", "))),
    };
    Err(match next {
        Some(next) if is_refusal => failure.hint(format!(
            "a version that was deleted is not listed, and is taken again only with the definition that it had: try \
             `--version {next}`"
        )),
        Some(_) | None => failure,
    })
}

fn unlisted(error: RegistrationError) -> Failure {
    failed("the custom action types could not be listed", error).left("nothing was changed")
}

fn failed(what: &str, error: RegistrationError) -> Failure {
    let kind = error.call().kind();
    let hints = error.call().hint();
    let mut failure = Failure::new(kind, what).because(error);
    failure.hints.extend(hints);
    failure
}

async fn list(of: &OfProviderArgs, aws: &Aws) -> Result<String, Failure> {
    let definitions = of_categories(&BOTH, VERSION, of, &Place::in_region(aws.region()))?;
    let registered = ActionTypes::of(aws).list().await.map_err(unlisted)?;
    let line = |found: &Registered| {
        let ours = definitions
            .iter()
            .find(|it| it.id.category.word() == found.category && it.id.provider == found.provider);
        let standing = match ours.map(|ours| differences(&ours.shape, &found.shape).is_empty()) {
            Some(true) => "same",
            Some(false) => "differs",
            None => "other",
        };
        let queryable = found.shape.properties.iter().find(|property| property.queryable);
        let object = json!({
            "category": found.category,
            "provider": found.provider,
            "version": found.version,
            "standing": standing,
            "queryable": queryable.map(|property| &property.name),
            "properties": found.shape.properties.iter().map(|property| &property.name).collect::<Vec<_>>(),
        });
        format!("{object}\n")
    };
    Ok(registered.iter().map(line).collect())
}

async fn delete(args: &DeleteTypesArgs, start: &Start) -> Result<String, Failure> {
    let mut ids: Vec<ActionTypeId> = Vec::new();
    let mut wrong = Vec::new();
    for text in &args.types {
        match text.parse() {
            Ok(id) => ids.push(id),
            Err(error) => wrong.push(ActionTypeError::to_string(&error)),
        }
    }
    if !wrong.is_empty() {
        return Err(misconfigured(wrong));
    }
    if !args.yes {
        return Err(unconfirmed(&ids));
    }
    let clients = aws(start, own_region(start));
    let types = ActionTypes::of(clients.get().await?);
    let registered = types.list().await.map_err(unlisted)?;
    let absent = ids.iter().find(|id| !registered.iter().any(|found| found.is(id)));
    if let Some(absent) = absent {
        let what = format!("the action type {absent} is not registered in this region");
        return Err(Failure::new(Kind::Usage, what)
            .left("nothing was deleted")
            .hint("`slipway action-type list` shows what is; is it the right region?"));
    }
    for id in &ids {
        let deleted = types.delete(id).await;
        deleted.map_err(|error| failed("an action type was not deleted", error))?;
        start.tell.tell(Event::Warning(format!(
            "deleted {id}: pipelines that have an action of it stop there, and its version can be registered again \
             only with the same definition"
        )));
    }
    Ok(String::new())
}

/// The failure of a deletion that nobody confirmed: nobody is asked, since nobody may be there.
fn unconfirmed(ids: &[ActionTypeId]) -> Failure {
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    Failure::new(
        Kind::Usage,
        format!("deleting {} needs `--yes`", names.join(" and ")),
    )
    .cause("it cannot be undone")
    .evidence([
        "pipelines that have an action of the type stop there: no worker is given its jobs any more"
            .to_owned(),
        "a version that was deleted can be registered again only with the definition that it had".to_owned(),
    ])
    .left("nothing was deleted")
}
