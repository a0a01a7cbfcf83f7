//! The labels of an image: OCI annotations that do not change unless the source does.

use crate::config::settings::ImageSettings;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The labels of an image. `org.opencontainers.image.title` is its name, and `created` is set only when the build
/// argument `SOURCE_DATE_EPOCH` fixes it: a label with the time of the build would give an unchanged image another
/// digest each time, and with it a deployment. The settings' own labels, in which configuration has put revision and
/// source, win.
pub(super) fn labels(image: &ImageSettings) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([("org.opencontainers.image.title".to_owned(), image.name.clone())]);
    if let Some(created) = image.args.get("SOURCE_DATE_EPOCH").and_then(|text| rfc3339(text)) {
        labels.insert("org.opencontainers.image.created".to_owned(), created);
    }
    labels.extend(image.labels.clone());
    labels
}

/// Seconds since the Unix epoch, as `SOURCE_DATE_EPOCH` has them; nothing if it is no such number.
fn rfc3339(seconds: &str) -> Option<String> {
    let instant = OffsetDateTime::from_unix_timestamp(seconds.trim().parse().ok()?).ok()?;
    instant.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use super::labels;
    use crate::stage::build::check::tests::image;

    #[test]
    fn labels_do_not_depend_on_the_time_of_the_build() {
        let mut web = image("web");
        assert_eq!(
            labels(&web).into_iter().collect::<Vec<_>>(),
            [("org.opencontainers.image.title".to_owned(), "web".to_owned())]
        );
        web.args
            .insert("SOURCE_DATE_EPOCH".to_owned(), "1700000000".to_owned());
        assert_eq!(
            labels(&web)["org.opencontainers.image.created"],
            "2023-11-14T22:13:20Z"
        );
        web.args
            .insert("SOURCE_DATE_EPOCH".to_owned(), "yesterday".to_owned());
        assert!(!labels(&web).contains_key("org.opencontainers.image.created"));
    }

    #[test]
    fn a_label_of_the_settings_wins() {
        let mut web = image("web");
        let title = "org.opencontainers.image.title";
        web.labels.insert(title.to_owned(), "Shop".to_owned());
        assert_eq!(labels(&web)[title], "Shop");
    }
}
