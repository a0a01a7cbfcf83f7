//! Which image each container gets: imagedefinitions.json, divided among the services.

use crate::artifact::store::read_definitions;
use crate::config::settings::DefinitionsSource;
use crate::ecs::task_definition::TaskDefinition;
use crate::failure::{Failure, Kind};
use crate::name::{ContainerName, ImageRef};
use crate::stage::Tools;
use std::collections::BTreeMap;

/// Images by container.
pub(super) type Images = BTreeMap<ContainerName, ImageRef>;

/// Reads imagedefinitions.json from a file or S3, by itself or in a zip.
pub(super) async fn read(tools: &Tools, source: &DefinitionsSource) -> Result<Images, Failure> {
    let aws = tools
        .aws
        .get()
        .await
        .map_err(|failure| failure.left("nothing was changed"))?;
    let definitions = read_definitions(&aws.s3, source)
        .await
        .map_err(|error| error.into_failure().left("nothing was changed"))?;
    let entries = definitions.entries().iter();
    Ok(entries
        .map(|entry| (entry.name.clone(), entry.image.clone()))
        .collect())
}

/// The images for one service: those of `only`, or all that the task definition has containers for.
pub(super) fn choose(
    images: &Images,
    only: &[ContainerName],
    definition: &TaskDefinition,
    service: &str,
) -> Result<Images, Failure> {
    let wrong = |what: String| Failure::new(Kind::Usage, what).left("nothing was changed");
    for name in only {
        if !images.contains_key(name) {
            return Err(wrong(format!(
                "imagedefinitions.json has no image for container `{name}` of service `{service}`"
            )));
        }
        if !definition.has(name) {
            return Err(wrong(format!(
                "service `{service}` has no container `{name}`, only {}",
                known(definition)
            )));
        }
    }
    let chosen: Images = images
        .iter()
        .filter(|(name, _)| {
            if only.is_empty() {
                definition.has(name)
            } else {
                only.contains(name)
            }
        })
        .map(|(name, image)| (name.clone(), image.clone()))
        .collect();
    if chosen.is_empty() {
        let named: Vec<String> = images.keys().map(|name| format!("`{name}`")).collect();
        return Err(wrong(format!(
            "imagedefinitions.json names {}; service `{service}` has {}",
            if named.is_empty() {
                "no container".to_owned()
            } else {
                named.join(", ")
            },
            known(definition),
        ))
        .hint("each `name` in imagedefinitions.json must be a container's name in the task definition"));
    }
    Ok(chosen)
}

/// Refuses an image that no service and no task takes: it would be built, pushed and never run.
pub(super) fn all_taken(images: &Images, chosen: &[&Images]) -> Result<(), Failure> {
    let left: Vec<String> = images
        .keys()
        .filter(|name| !chosen.iter().any(|chosen| chosen.contains_key(*name)))
        .map(|name| format!("`{name}`"))
        .collect();
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Usage,
        format!(
            "no service has a container {} of imagedefinitions.json",
            left.join(", ")
        ),
    )
    .left("nothing was changed")
    .hint("add the service that runs it, or remove it from imagedefinitions.json"))
}

fn known(definition: &TaskDefinition) -> String {
    definition
        .containers()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Images, all_taken, choose};
    use crate::ecs::task_definition::TaskDefinition;
    use crate::failure::Kind;

    fn images(names: &[&str]) -> Images {
        names
            .iter()
            .map(|name| (name.parse().unwrap(), "shop/image:1".parse().unwrap()))
            .collect()
    }

    fn definition() -> TaskDefinition {
        TaskDefinition::parse(br#"{"containerDefinitions": [{"name": "web"}, {"name": "proxy"}]}"#).unwrap()
    }

    #[test]
    fn a_service_takes_the_images_that_it_has_containers_for() {
        let chosen = choose(&images(&["web", "worker"]), &[], &definition(), "shop").unwrap();
        assert_eq!(chosen, images(&["web"]));
        let only = ["proxy".parse().unwrap()];
        let chosen = choose(&images(&["web", "proxy"]), &only, &definition(), "shop").unwrap();
        assert_eq!(chosen, images(&["proxy"]));
    }

    #[test]
    fn an_image_without_a_container_and_a_container_without_an_image_are_refused() {
        for (names, only, says) in [
            (
                &["wep"][..],
                &[][..],
                "imagedefinitions.json names `wep`; service `shop` has `web`, `proxy`",
            ),
            (
                &[],
                &[],
                "imagedefinitions.json names no container; service `shop` has `web`, `proxy`",
            ),
            (
                &["web"],
                &["proxy"],
                "imagedefinitions.json has no image for container `proxy` of service `shop`",
            ),
            (
                &["wep"],
                &["wep"],
                "service `shop` has no container `wep`, only `web`, `proxy`",
            ),
        ] {
            let only: Vec<_> = only.iter().map(|name| name.parse().unwrap()).collect();
            let failure = choose(&images(names), &only, &definition(), "shop").unwrap_err();
            assert_eq!((failure.kind, failure.what.as_str()), (Kind::Usage, says));
        }
        let all = images(&["web", "worker"]);
        assert!(all_taken(&all, &[&images(&["web"]), &images(&["worker"])]).is_ok());
        let failure = all_taken(&all, &[&images(&["web"])]).unwrap_err();
        assert_eq!(
            failure.what,
            "no service has a container `worker` of imagedefinitions.json"
        );
    }
}
