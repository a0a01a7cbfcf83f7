//! What can be found wrong with a plan before anything is done.

use super::BuildPlan;
use crate::artifact::outputs::{OutputError, check_variables};
use crate::artifact::write::check_target;
use crate::config::settings::RepositoryTarget;
use crate::failure::{Failure, Kind};
use crate::name::{ContainerName, Tag};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Whether the plan agrees with itself. Looks at nothing but the plan.
pub(super) fn agrees(plan: &BuildPlan) -> Result<(), Failure> {
    let usage = |what: String| Failure::new(Kind::Usage, what).left("nothing was done");
    if plan.images.is_empty() {
        return Err(usage("there is no image to build".to_owned())
            .hint("add an `[image.NAME]` table to slipway.toml, or name a repository with `--repository`"));
    }
    let mut claimed: BTreeMap<&ContainerName, &str> = BTreeMap::new();
    for image in &plan.images {
        for container in &image.containers {
            if let Some(other) = claimed.insert(container, &image.name) {
                let by = if other == image.name {
                    format!("twice by image `{other}`")
                } else {
                    format!("by image `{other}` and by image `{}`", image.name)
                };
                return Err(usage(format!("container `{container}` is claimed {by}"))
                    .hint("imagedefinitions.json names each container once: correct `containers`"));
            }
        }
    }
    if claimed.is_empty() {
        return Err(usage("no image names a container".to_owned())
            .hint("imagedefinitions.json maps containers to images: set `containers`"));
    }
    refuse_shared_tag(plan)?;
    let outputs = &plan.outputs;
    if outputs.image_detail.is_some() && plan.images.len() != 1 {
        let images = plan.images.len();
        return Err(usage(OutputError::NotOneImage { images }.to_string()).hint("leave `image-detail` out"));
    }
    if outputs.env_file.is_some() {
        check_variables(plan.images.iter().map(|image| image.name.as_str()))
            .map_err(|error| usage(error.to_string()).hint("rename one of the two images"))?;
    }
    refuse_shared_path(plan).map_err(usage)
}

/// Two images under one tag: the second push would take it from the first, or be refused.
fn refuse_shared_tag(plan: &BuildPlan) -> Result<(), Failure> {
    let mut seen: BTreeMap<(String, Option<&Tag>), &str> = BTreeMap::new();
    for image in &plan.images {
        let repository = match &image.repository {
            RepositoryTarget::Ecr(name) => name.to_string(),
            RepositoryTarget::Full(name) => name.name(),
        };
        // Those without tags get the same one, with the time.
        let tags: BTreeSet<Option<&Tag>> = if image.tags.is_empty() {
            BTreeSet::from([None])
        } else {
            image.tags.iter().map(Some).collect()
        };
        for tag in tags {
            if let Some(other) = seen.insert((repository.clone(), tag), &image.name) {
                let tag = tag.map_or_else(|| "the default tag".to_owned(), |tag| format!("tag `{tag}`"));
                let what = format!(
                    "images `{other}` and `{}` would both be {tag} of repository `{repository}`",
                    image.name
                );
                return Err(Failure::new(Kind::Usage, what)
                    .left("nothing was done")
                    .hint("give each image a `repository` or `tags` of its own"));
            }
        }
    }
    Ok(())
}

/// Two outputs at one path would overwrite each other.
fn refuse_shared_path(plan: &BuildPlan) -> Result<(), String> {
    let mut seen: BTreeMap<&Path, &str> = BTreeMap::new();
    for (what, path) in plan.outputs.files() {
        if let Some(other) = seen.insert(path, what) {
            return Err(format!("`{}` is both {other} and {what}", path.display()));
        }
    }
    Ok(())
}

/// Whether the files that the plan names are there, and whether its outputs can be written.
pub(super) fn can_begin(plan: &BuildPlan) -> Result<(), Failure> {
    let input = |what: String| Failure::new(Kind::Input, what).left("nothing was built");
    for image in &plan.images {
        let place = format!("image `{}`", image.name);
        if !image.context.is_dir() {
            let path = image.context.display();
            let what = if image.context.exists() {
                format!("the context `{path}` is not a folder")
            } else {
                format!("the context folder `{path}` does not exist")
            };
            return Err(input(what).place(place).hint("set `context`, or give PATH"));
        }
        if !image.dockerfile.exists() {
            let path = image.dockerfile.display();
            return Err(input(format!("there is no Dockerfile at `{path}`"))
                .place(place)
                .hint("set `dockerfile`; a relative path starts at the folder of slipway.toml"));
        }
        if image.dockerfile.is_dir() {
            let path = image.dockerfile.display();
            return Err(input(format!("`{path}` is a folder, a Dockerfile is expected")).place(place));
        }
    }
    for (what, path) in plan.outputs.files() {
        check_target(path).map_err(|error| {
            Failure::new(Kind::Usage, format!("{what} cannot be written"))
                .because(error)
                .left("nothing was built")
        })?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::{agrees, can_begin};
    use crate::config::settings::{Builder, ImageSettings, Outputs, RepositoryTarget};
    use crate::failure::Kind;
    use crate::stage::build::BuildPlan;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::Path;

    /// An image with one container of its own name.
    pub(in crate::stage::build) fn image(name: &str) -> ImageSettings {
        ImageSettings {
            name: name.to_owned(),
            context: "/context".into(),
            dockerfile: "/context/Dockerfile".into(),
            repository: RepositoryTarget::Ecr(format!("shop/{}", name.to_lowercase()).parse().unwrap()),
            containers: vec![name.parse().unwrap()],
            target: None,
            platform: None,
            args: BTreeMap::new(),
            secret_args: BTreeSet::new(),
            labels: BTreeMap::new(),
            secrets: Vec::new(),
            tags: Vec::new(),
            no_cache: false,
            pull: false,
            builder: Builder::Auto,
            create_repository: false,
        }
    }

    fn plan(images: Vec<ImageSettings>) -> BuildPlan {
        let outputs = Outputs {
            imagedefinitions: "/out/imagedefinitions.json".into(),
            image_detail: None,
            metadata: None,
            env_file: None,
            artifact: None,
        };
        BuildPlan { images, outputs }
    }

    #[test]
    fn a_plan_that_contradicts_itself_is_refused_before_anything_is_touched() {
        let twice = {
            let mut image = image("web");
            image.containers.push("web".parse().unwrap());
            image
        };
        let mut without = image("web");
        without.containers.clear();
        let mut claimed = image("worker");
        claimed.containers = vec!["web".parse().unwrap()];
        let tagged = |name: &str, tags: &[&str]| {
            let mut image = image(name);
            image.repository = RepositoryTarget::Ecr("shop/all".parse().unwrap());
            image.tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
            image
        };
        let apart = plan(vec![
            tagged("web", &["web", "web"]),
            tagged("worker", &["worker"]),
        ]);
        assert!(agrees(&apart).is_ok());
        let mut detailed = plan(vec![image("web"), image("worker")]);
        detailed.outputs.image_detail = Some("/out/imageDetail.json".into());
        let mut sourced = plan(vec![image("a_b"), image("a-b")]);
        sourced.outputs.env_file = Some("/out/env".into());
        let mut shared = plan(vec![image("web")]);
        shared.outputs.metadata = Some("/out/imagedefinitions.json".into());
        for (plan, says) in [
            (
                plan(vec![tagged("web", &[]), tagged("worker", &[])]),
                "images `web` and `worker` would both be the default tag of repository `shop/all`",
            ),
            (
                plan(vec![tagged("web", &["1", "2"]), tagged("worker", &["3", "2"])]),
                "images `web` and `worker` would both be tag `2` of repository `shop/all`",
            ),
            (plan(Vec::new()), "there is no image to build"),
            (
                plan(vec![twice]),
                "container `web` is claimed twice by image `web`",
            ),
            (
                plan(vec![image("web"), claimed]),
                "container `web` is claimed by image `web` and by image `worker`",
            ),
            (plan(vec![without]), "no image names a container"),
            (detailed, "`imageDetail.json` names one image, and this run has 2"),
            (
                sourced,
                "images `a_b` and `a-b` would both set `SLIPWAY_A_B_IMAGE` in the env file",
            ),
            (
                shared,
                "`/out/imagedefinitions.json` is both the metadata and imagedefinitions.json",
            ),
        ] {
            let failure = agrees(&plan).unwrap_err();
            assert_eq!((failure.kind, failure.what.as_str()), (Kind::Usage, says));
        }
        assert!(agrees(&plan(vec![image("web"), image("worker")])).is_ok());
    }

    #[test]
    fn missing_inputs_and_outputs_that_cannot_be_written_are_found_before_the_build() {
        let folder = tempfile::tempdir().unwrap();
        let at = |image: &mut ImageSettings, context: &Path, dockerfile: &Path| {
            image.context = context.to_owned();
            image.dockerfile = dockerfile.to_owned();
        };
        let dockerfile = folder.path().join("Dockerfile");
        let mut web = image("web");
        at(&mut web, folder.path(), &dockerfile);
        let mut plan = plan(vec![web]);
        let refusal = |plan: &BuildPlan| {
            let failure = can_begin(plan).unwrap_err();
            let text = failure
                .what
                .replace(&folder.path().display().to_string(), "FOLDER");
            (failure.kind, text)
        };
        let no_dockerfile = "there is no Dockerfile at `FOLDER/Dockerfile`".to_owned();
        assert_eq!(refusal(&plan), (Kind::Input, no_dockerfile));
        fs::write(&dockerfile, "FROM scratch").unwrap();
        assert_eq!(
            refusal(&plan),
            (Kind::Usage, "imagedefinitions.json cannot be written".to_owned())
        );
        plan.outputs.imagedefinitions = folder.path().join("imagedefinitions.json");
        assert!(can_begin(&plan).is_ok());
        at(&mut plan.images[0], &dockerfile, &dockerfile);
        let no_folder = "the context `FOLDER/Dockerfile` is not a folder".to_owned();
        assert_eq!(refusal(&plan), (Kind::Input, no_folder));
        at(&mut plan.images[0], &folder.path().join("missing"), &dockerfile);
        let missing = "the context folder `FOLDER/missing` does not exist".to_owned();
        assert_eq!(refusal(&plan), (Kind::Input, missing));
        at(&mut plan.images[0], folder.path(), folder.path());
        let folder_itself = "`FOLDER` is a folder, a Dockerfile is expected".to_owned();
        assert_eq!(refusal(&plan), (Kind::Input, folder_itself));
    }
}
