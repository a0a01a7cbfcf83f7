//! The build of a job: its images built and pushed, and its output artifact stored where the next action looks for it.

use super::fetch::{self, Unstored};
use super::hide::Hide;
use super::inputs::SOURCE;
use super::job::{Bench, Ended};
use super::properties::Properties;
use crate::artifact::archive::{Content, Entry};
use crate::artifact::imagedefinitions::FILE_NAME;
use crate::artifact::outputs::IMAGE_DETAIL;
use crate::config::resolve::Needs;
use crate::config::worker::LostBuilds;
use crate::failure::{Failure, Kind};
use crate::pipeline::result::{Details, Variables};
use crate::report::event::Event;
use crate::stage::build::{BuildPlan, Built, build as build_stage};
use std::collections::BTreeMap;
use std::path::Path;

const BUILD: Needs = Needs {
    build: true,
    deploy: false,
};

/// How many workers may die of one build before it is given up.
const MOST_DEATHS: u32 = 2;

/// Does the job of a build.
pub(super) async fn build(bench: &Bench<'_>) -> Ended {
    match try_build(bench).await {
        Err(Ended::Failed { failure, whose, .. }) => Ended::Failed {
            failure,
            whose,
            // By which the logs of the action are found.
            external: Some(bench.claimed.job().context.action_execution.clone()),
        },
        Ok(ended) | Err(ended) => ended,
    }
}

async fn try_build(bench: &Bench<'_>) -> Result<Ended, Ended> {
    let job = bench.claimed.job();
    may_build(bench).map_err(Ended::failed)?;
    let properties = Properties::of(job).map_err(Ended::failed)?;
    let folder = fetch::folder(bench).map_err(Ended::failed)?;
    let inputs = fetch::inputs(bench, folder.path()).await.map_err(in_grace)?;
    let settled = inputs.settle(&properties, BUILD).map_err(Ended::failed)?;
    for warning in &settled.warnings {
        bench.tools.tell.tell(Event::Warning(warning.clone()));
    }
    let mut images = settled.settings.images.clone();
    let secrets = Hide::of(job);
    for image in &mut images {
        image.secret_args.extend(secrets.names_of(&image.args));
    }
    let plan = BuildPlan {
        images,
        outputs: settled.settings.outputs.clone(),
    };
    let built = Box::pin(build_stage(&bench.tools, &plan))
        .await
        .map_err(|failure| in_grace(Ended::failed(failure)))?;
    if let Some(output) = job.outputs.first() {
        let mut entries = vec![
            file(FILE_NAME, &plan.outputs.imagedefinitions),
            Entry {
                name: SOURCE.to_owned(),
                content: Content::Bytes(settled.source().into_bytes()),
                mode: 0o644,
            },
        ];
        entries.extend(
            plan.outputs
                .image_detail
                .as_deref()
                .map(|path| file(IMAGE_DETAIL, path)),
        );
        let (companions, warning) = settled.companions(&inputs);
        for (name, path) in &companions {
            entries.push(file(name, path));
        }
        if let Some(warning) = warning {
            bench.tools.tell.tell(Event::Warning(warning));
        }
        let place = fetch::store(bench, output, entries)
            .await
            .map_err(|unstored| Ended::Failed {
                failure: left_pushed(unstored, &built),
                whose: fetch::owner(bench),
                external: None,
            })
            .map_err(in_grace)?;
        bench.tools.tell.tell(Event::Wrote {
            what: format!("the artifact `{}`", output.name),
            place,
        });
    }
    let each: Vec<String> = built
        .images
        .iter()
        .map(|image| image.reference.to_string())
        .collect();
    Ok(Ended::Done {
        details: Details {
            summary: Some(format!("pushed {}", each.join(", "))),
            external: Some(job.context.action_execution.clone()),
            percent: Some(100),
        },
        variables: variables(&built),
    })
}

fn file(name: &str, path: &Path) -> Entry {
    Entry {
        name: name.to_owned(),
        content: Content::File(path.to_owned()),
        mode: 0o644,
    }
}

/// A build whose worker died is done again, but not for ever: it may be what its workers die of.
fn may_build(bench: &Bench<'_>) -> Result<(), Failure> {
    let record = bench.claimed.record();
    if record.attempts == 0 {
        return Ok(());
    }
    let what = match bench.crew.settings.lost_builds {
        LostBuilds::Retry if record.attempts < MOST_DEATHS => {
            let text =
                "the worker that had this build died; it is built again, and what was pushed is found again";
            bench.tools.tell.tell(Event::Warning(text.to_owned()));
            return Ok(());
        }
        LostBuilds::Retry => "workers died of this build again and again",
        LostBuilds::Fail => "the worker that had this build died",
    };
    Err(Failure::new(Kind::Terminated, what)
        .left("unknown: images may have been pushed, and an artifact may be in S3")
        .hint("retry the stage; if it happens again, look at the worker's memory and at its machine"))
}

/// What to do about a build that was stopped.
fn in_grace(ended: Ended) -> Ended {
    match ended {
        Ended::Failed {
            failure,
            whose,
            external,
        } if matches!(failure.kind, Kind::Interrupted | Kind::Terminated) => Ended::Failed {
            failure: failure.hint(
                "the worker was stopped and the build did not end in its time (`--grace`): retry the stage",
            ),
            whose,
            external,
        },
        ended => ended,
    }
}

/// Says what a build leaves whose artifact is not known to be stored.
fn left_pushed(unstored: Unstored, built: &Built) -> Failure {
    let each: Vec<String> = built
        .images
        .iter()
        .map(|image| format!("`{}`", image.reference))
        .collect();
    let artifact = if unstored.may_be_there {
        "an artifact may be in S3"
    } else {
        "no artifact was stored"
    };
    let left = format!("{} pushed; {artifact}", each.join(", "));
    unstored.failure.left(left)
}

/// `IMAGE-uri`, `IMAGE-digest` and `IMAGE-tag`; of a single image without its name as well.
fn variables(built: &Built) -> Variables {
    let mut variables = BTreeMap::new();
    let single = built.images.len() == 1;
    for image in &built.images {
        let mut put = |name: &str, value: &str| {
            variables.insert(format!("{}-{name}", image.image), value.to_owned());
            if single {
                variables.insert(name.to_owned(), value.to_owned());
            }
        };
        put("uri", &image.reference.to_string());
        put("digest", image.digest.as_str());
        if let Some(tag) = image.tags.first() {
            put("tag", tag);
        }
    }
    Variables(variables)
}

#[cfg(test)]
mod tests {
    use super::variables;
    use crate::name::Digest;
    use crate::stage::build::{Built, PushedImage};

    #[test]
    fn variables_are_named_by_image_and_a_single_one_s_also_without() {
        let image = |name: &str| {
            PushedImage::confirmed(
                name,
                &"registry.example/web".parse().unwrap(),
                Digest::of(b""),
                &["1".parse().unwrap()],
            )
        };
        let built = |images| Built {
            images,
            written: Vec::new(),
        };
        let one = variables(&built(vec![image("web")])).0;
        assert_eq!(
            (one.len(), one["tag"].as_str(), one["web-tag"].as_str()),
            (6, "1", "1")
        );
        assert_eq!(one["uri"], format!("registry.example/web@{}", Digest::of(b"")));
        let two = variables(&built(vec![image("web"), image("api")])).0;
        assert!(two.len() == 6 && !two.contains_key("uri"));
    }
}
