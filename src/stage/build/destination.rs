//! Where an image goes: its repository, found before anything is built, and the credentials for it.

use super::{BuildPlan, failures};
use crate::clock::Clock;
use crate::config::settings::{ImageSettings, RepositoryTarget};
use crate::failure::Failure;
use crate::image::daemon::RegistryAuth;
use crate::image::endpoint::registry_auth;
use crate::name::{ImageRef, Repository, Tag};
use crate::registry::ecr::{Ecr, EcrRepository, IfMissing};
use crate::stage::Tools;
use futures_util::FutureExt as _;
use futures_util::future::{ready, try_join_all};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use time::OffsetDateTime;
use time::macros::format_description;

/// Where one image goes.
#[derive(Debug)]
pub(super) struct Destination<'a> {
    /// The image.
    pub image: &'a ImageSettings,
    /// `registry/repository`.
    pub repository: ImageRef,
    /// The tags to push, at least one, none twice.
    pub tags: Vec<Tag>,
    /// Who keeps the repository.
    pub home: Home,
}

/// Who keeps a repository.
#[derive(Debug)]
pub(super) enum Home {
    /// Amazon ECR, in some account and region.
    Ecr {
        /// The service.
        ecr: Ecr,
        /// The repository as ECR described it.
        repository: EcrRepository,
    },
    /// A registry of which only the protocol is known.
    Other,
}

impl Destination<'_> {
    /// `registry/repository:tag` for each tag.
    pub(super) fn names(&self) -> Vec<ImageRef> {
        self.tags
            .iter()
            .map(|tag| self.repository.at_tag(tag.clone()))
            .collect()
    }

    /// The registry's host.
    pub(super) fn host(&self) -> &str {
        self.repository.host()
    }

    /// Credentials that are good for a push that starts at once; a registry that needs none has none.
    pub(super) async fn authorize(&self, tools: &Tools) -> Result<Option<RegistryAuth>, Failure> {
        match &self.home {
            Home::Ecr { ecr, .. } => ecr
                .authorize(self.host())
                .await
                .map(Some)
                .map_err(failures::of_ecr),
            Home::Other => registry_auth(&tools.engine, self.host())
                .await
                .map_err(failures::of_endpoint),
        }
    }
}

/// A repository of ECR, as the settings write it.
struct EcrPlace<'a> {
    /// The account, where it is written.
    account: Option<&'a str>,
    /// The region, where it is written.
    region: Option<&'a str>,
    name: &'a Repository,
}

/// The ECR repository that is meant, or the name of one elsewhere.
fn place(target: &RepositoryTarget) -> Result<EcrPlace<'_>, &ImageRef> {
    let (full, parts) = match target {
        RepositoryTarget::Ecr(name) => {
            return Ok(EcrPlace {
                account: None,
                region: None,
                name,
            });
        }
        RepositoryTarget::Full(full) => (full, full.registry.as_ref().and_then(|host| host.ecr_parts())),
    };
    let (account, region) = parts.ok_or(full)?;
    Ok(EcrPlace {
        account: Some(account),
        region: Some(region),
        name: &full.repository,
    })
}

/// Finds the repository of every image, and creates those that are to be created. Images in one region share its token,
/// and AWS is asked only for repositories in ECR.
pub(super) async fn find_all<'a>(
    tools: &Tools,
    plan: &'a BuildPlan,
) -> Result<Vec<Destination<'a>>, Failure> {
    let mut regions: BTreeMap<String, Ecr> = BTreeMap::new();
    let mut found = Vec::new();
    for image in &plan.images {
        let place = match place(&image.repository) {
            Ok(place) => place,
            Err(elsewhere) => {
                found.push(ready(other(tools, image, elsewhere)).boxed());
                continue;
            }
        };
        let aws = tools.aws.get().await?;
        let region = place.region.unwrap_or_else(|| aws.region());
        let ecr = regions
            .entry(region.to_owned())
            .or_insert_with(|| Ecr::new(&aws.ecr, tools.clock.clone()).in_region(region))
            .clone();
        found.push(in_ecr(tools, image, place, ecr, region.to_owned()).boxed());
    }
    try_join_all(found).await
}

fn other<'a>(tools: &Tools, image: &'a ImageSettings, name: &ImageRef) -> Result<Destination<'a>, Failure> {
    Ok(Destination {
        image,
        repository: ImageRef {
            tag: None,
            digest: None,
            ..name.clone()
        },
        tags: tags(image, &tools.clock),
        home: Home::Other,
    })
}

async fn in_ecr<'a>(
    tools: &Tools,
    image: &'a ImageSettings,
    place: EcrPlace<'_>,
    ecr: Ecr,
    region: String,
) -> Result<Destination<'a>, Failure> {
    let if_missing = if image.create_repository {
        IfMissing::Create
    } else {
        IfMissing::Refuse
    };
    let repository = ecr
        .find_repository(place.name, place.account, if_missing)
        .await
        .map_err(|error| {
            failures::of_ecr(error).place(format!("image `{}`, region `{region}`", image.name))
        })?;
    Ok(Destination {
        image,
        repository: repository.uri.clone(),
        tags: tags(image, &tools.clock),
        home: Home::Ecr { ecr, repository },
    })
}

fn tags(image: &ImageSettings, clock: &Clock) -> Vec<Tag> {
    if image.tags.is_empty() {
        return default_tag(clock.now()).into_iter().collect();
    }
    let mut seen = BTreeSet::new();
    image
        .tags
        .iter()
        .filter(|tag| seen.insert(*tag))
        .cloned()
        .collect()
}

/// `slipway-20261121T042500Z`.
fn default_tag(now: Duration) -> Option<Tag> {
    let seconds = i64::try_from(now.as_secs()).ok()?;
    let instant = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    let time = instant
        .format(format_description!("[year][month][day]T[hour][minute][second]Z"))
        .ok()?;
    format!("slipway-{time}").parse().ok()
}

/// The credentials of every destination's registry, by host; bases may come from the same ones.
pub(super) async fn credentials(
    tools: &Tools,
    destinations: &[Destination<'_>],
) -> Result<BTreeMap<String, RegistryAuth>, Failure> {
    let mut all = BTreeMap::new();
    for destination in destinations {
        if let Some(auth) = destination.authorize(tools).await? {
            all.insert(destination.host().to_owned(), auth);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::tags;
    use crate::clock::{Clock, VirtualClock};
    use crate::stage::build::check::tests::image;
    use std::time::Duration;

    #[test]
    fn an_image_without_tags_gets_one_with_the_time_and_no_tag_is_pushed_twice() {
        let clock = Clock::Virtual(VirtualClock::starting_at(Duration::from_secs(1_700_000_000)));
        let mut web = image("web");
        assert_eq!(tags(&web, &clock), ["slipway-20231114T221320Z".parse().unwrap()]);
        web.tags = ["b", "a", "b"].map(|tag| tag.parse().unwrap()).to_vec();
        assert_eq!(tags(&web, &clock), ["b", "a"].map(|tag| tag.parse().unwrap()));
    }
}
