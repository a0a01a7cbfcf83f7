//! What is told of a tag that cannot move and is another image.

use super::earlier::{Difference, Unreadable};
use crate::aws::sort::Sorted;
use crate::failure::{Failure, Kind, chain};
use crate::name::{Digest, ImageRef, Tag};

/// What is known of the image that has a tag.
pub(super) enum Taken<'a> {
    /// It is not this source.
    By {
        /// How it differs.
        difference: Difference,
        /// The platform that was built.
        platform: &'a str,
    },
    /// What it was built from is not known.
    Unreadable(Unreadable),
}

/// The tag stands for another image and cannot be moved; `held` is that image and what is known of it.
pub(super) fn tag_taken(repository: &ImageRef, tag: &Tag, held: Option<(&Digest, Taken<'_>)>) -> Failure {
    let what = format!("tag `{tag}` of `{repository}` is immutable and is another image already");
    let failure = Failure::new(Kind::Registry, what);
    let apart =
        "give each build a tag of its own, such as the commit with the build's number, or leave `tags` out";
    let Some((held, known)) = held else {
        return failure.hint(apart);
    };
    match known {
        Taken::By { difference, platform } => {
            let how = match difference {
                Difference::Unmarked => {
                    "this build did not reproduce, and which does not say what it was built from".to_owned()
                }
                Difference::OtherSource => "was built from another source".to_owned(),
                Difference::OtherPlatform(others) => {
                    format!("was built from the same source, but for {others} and not for {platform}")
                }
            };
            failure
                .cause(format!("it stands for `{held}`, which {how}"))
                .hint(apart)
        }
        Taken::Unreadable(error) => {
            let passes = error.may_pass();
            let failure = Failure {
                kind: if passes { Kind::FarEnd } else { failure.kind },
                ..failure
            };
            let failure = match error.call() {
                Some(call) => failure.nature(call.nature()),
                None => failure,
            };
            let failure = failure.cause(format!(
                "it stands for `{held}`, which this build did not reproduce, and what it was built from is not known: {}",
                chain(&error)
            ));
            match error.call().map(|call| (&call.sorted, call.action)) {
                Some((Sorted::Denied, action)) => failure.hint(format!(
                    "allow `{action}` on the repository, so that an image which was built from the same source is known \
                     again"
                )),
                Some(_) | None if passes => failure.hint("run again: ECR had a passing problem"),
                Some(_) | None => failure,
            }
            .hint(apart)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Taken, tag_taken};
    use crate::aws::sort::{CallError, Sorted};
    use crate::failure::{Kind, Nature};
    use crate::name::Digest;
    use crate::registry::ecr::EcrError;
    use crate::stage::build::earlier::{Difference, Unreadable};

    fn denied(sorted: Sorted) -> Taken<'static> {
        Taken::Unreadable(Unreadable::Registry(Box::new(EcrError::FindConfig {
            repository: "shop/web".parse().unwrap(),
            digest: Digest::of(b"config"),
            source: Box::new(CallError {
                action: "ecr:GetDownloadUrlForLayer",
                sorted,
                request_id: None,
                source: "no".into(),
            }),
        })))
    }

    #[test]
    fn a_taken_tag_says_what_has_it_and_why_that_will_not_do() {
        let by = |difference| Taken::By {
            difference,
            platform: "linux/amd64",
        };
        for (taken, cause, hints) in [
            (by(Difference::Unmarked), "does not say what it was built from", 1),
            (by(Difference::OtherSource), "was built from another source", 1),
            (
                by(Difference::OtherPlatform("linux/arm64".to_owned())),
                "was built from the same source, but for linux/arm64 and not for linux/amd64",
                1,
            ),
            (
                denied(Sorted::Denied),
                "what it was built from is not known: find the config",
                2,
            ),
            (
                denied(Sorted::Throttled),
                "what it was built from is not known",
                2,
            ),
            (
                denied(Sorted::Missing {
                    code: "LayersNotFoundException".to_owned(),
                }),
                "what it was built from is not known",
                1,
            ),
            (
                Taken::Unreadable(Unreadable::TooMany(17)),
                "what it was built from is not known: its index has 17 images",
                1,
            ),
        ] {
            let held = Digest::of(b"held");
            let (repository, tag) = ("shop/web".parse().unwrap(), "v1".parse().unwrap());
            let passes = matches!(&taken, Taken::Unreadable(error) if error.may_pass());
            let failure = tag_taken(&repository, &tag, Some((&held, taken)));
            let is_denied = matches!(failure.nature, Nature::Denied(_));
            assert_eq!(is_denied, cause.contains("find the config"), "{cause}");
            assert_eq!(
                (failure.kind, failure.what.as_str()),
                (
                    if passes { Kind::FarEnd } else { Kind::Registry },
                    "tag `v1` of `shop/web` is immutable and is another image already"
                )
            );
            let said = failure.cause.unwrap();
            assert!(said.contains(held.as_str()) && said.contains(cause), "{said}");
            assert_eq!(failure.hints.len(), hints, "{cause}: {:?}", failure.hints);
        }
        let unknown = tag_taken(&"shop/web".parse().unwrap(), &"v1".parse().unwrap(), None);
        assert_eq!(unknown.cause, None);
    }
}
