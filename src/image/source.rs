//! What an image was built from, as one digest: equal for equal sources, on every machine and at every time.
//!
//! A build that is done again makes another image wherever a builder stamps times, and nothing in that image says that it
//! is the same work. So each image carries this digest in a label.

use super::context::{ContextPlan, Device, EntryKind};
use crate::config::settings::ImageSettings;
use crate::name::Digest;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The label of an image that holds the digest of what it was built from.
pub const LABEL: &str = "slipway.source";

/// The SHA-256 of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum(pub [u8; 32]);

/// The digest of a context: every entry's path, kind, permissions and content (`sums`, entry by entry, of those that are
/// files), and which of them is the Dockerfile. Times are left out, since a checkout or an archive makes them anew.
#[must_use]
pub fn of_context(plan: &ContextPlan, sums: &[Option<Sum>]) -> Digest {
    let mut all = Fields::of("context 1");
    all.field(&plan.dockerfile);
    for (at, entry) in plan.entries.iter().enumerate() {
        all.field(&entry.path);
        all.field(&entry.mode.to_be_bytes());
        match &entry.kind {
            EntryKind::Folder => all.entry("folder", &[]),
            EntryKind::File(size) => {
                all.entry("file", &size.to_be_bytes());
                let sum = sums.get(at).copied().flatten();
                all.field(sum.as_ref().map_or(&[], |sum| &sum.0));
            }
            EntryKind::Content(bytes) => all.entry("content", bytes),
            EntryKind::Link(target) => all.entry("link", target),
            EntryKind::Fifo => all.entry("fifo", &[]),
            EntryKind::CharDevice(device) => all.entry("char", &numbers(*device)),
            EntryKind::BlockDevice(device) => all.entry("block", &numbers(*device)),
        }
    }
    all.digest()
}

fn numbers(device: Device) -> Vec<u8> {
    [device.major.to_be_bytes(), device.minor.to_be_bytes()].concat()
}

/// The digest of a build's source: its context, its target and platform, its labels, its arguments and the ids of its
/// secrets. Of an argument whose value is a secret only the name counts: from a digest that anybody may read, its value
/// could be guessed.
#[must_use]
pub fn of_build(context: &Digest, image: &ImageSettings, labels: &BTreeMap<String, String>) -> Digest {
    let mut all = Fields::of("source 1");
    all.field(context.as_str().as_bytes());
    for choice in [&image.target, &image.platform] {
        all.count(choice.iter().len());
        all.field(choice.as_deref().unwrap_or_default().as_bytes());
    }
    all.count(labels.len());
    for (name, value) in labels {
        all.field(name.as_bytes());
        all.field(value.as_bytes());
    }
    all.count(image.args.len());
    for (name, value) in &image.args {
        all.field(name.as_bytes());
        if image.secret_args.contains(name) {
            all.count(0);
        } else {
            all.count(1);
            all.field(value.as_bytes());
        }
    }
    all.count(image.secrets.len());
    for secret in &image.secrets {
        all.field(secret.id.as_bytes());
    }
    all.digest()
}

/// A hash of fields, each after its length, so that no two lists of fields are the same bytes.
struct Fields(Sha256);

impl Fields {
    fn of(what: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.field(what.as_bytes());
        fields
    }

    fn entry(&mut self, kind: &str, content: &[u8]) {
        self.field(kind.as_bytes());
        self.field(content);
    }

    fn field(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    fn digest(self) -> Digest {
        Digest::of(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::{Sum, of_build, of_context};
    use crate::config::settings::{BuildSecret, Builder, ImageSettings, RepositoryTarget};
    use crate::image::context::{ContextPlan, Device, Entry, EntryKind};
    use crate::name::Digest;
    use crate::secret::Secret;
    use std::collections::{BTreeMap, BTreeSet};

    fn entry(path: &str, kind: EntryKind) -> Entry {
        Entry {
            path: path.as_bytes().to_vec(),
            kind,
            mode: 0o644,
            modified: 1_700_000_000,
        }
    }

    fn context() -> (ContextPlan, Vec<Option<Sum>>) {
        let entries = vec![
            entry("Dockerfile", EntryKind::File(1)),
            entry("a", EntryKind::File(2)),
            entry("b", EntryKind::Link(b"a".to_vec())),
        ];
        let dockerfile = b"Dockerfile".to_vec();
        (
            ContextPlan { entries, dockerfile },
            vec![Some(Sum([1; 32])), Some(Sum([2; 32])), None],
        )
    }

    #[test]
    fn a_context_is_its_names_modes_and_content_and_not_its_times() {
        let (plan, sums) = context();
        let same = of_context(&plan, &sums);
        let mut later = plan.clone();
        later.entries[1].modified += 1;
        assert_eq!(of_context(&later, &sums), same);
        let changed = |change: &dyn Fn(&mut ContextPlan, &mut Vec<Option<Sum>>)| {
            let (mut plan, mut sums) = context();
            change(&mut plan, &mut sums);
            of_context(&plan, &sums)
        };
        let device = Device { major: 1, minor: 2 };
        let all = [
            same,
            changed(&|plan, _| plan.entries[1].path = b"c".to_vec()),
            changed(&|plan, _| plan.entries[1].mode = 0o755),
            changed(&|_, sums| sums[1] = Some(Sum([3; 32]))),
            changed(&|plan, _| plan.entries[2].kind = EntryKind::Link(b"Dockerfile".to_vec())),
            changed(&|plan, _| plan.entries[2].kind = EntryKind::Content(b"a".to_vec())),
            changed(&|plan, _| plan.entries[2].kind = EntryKind::Folder),
            changed(&|plan, _| plan.entries[2].kind = EntryKind::Fifo),
            changed(&|plan, _| plan.entries[2].kind = EntryKind::CharDevice(device)),
            changed(&|plan, _| plan.entries[2].kind = EntryKind::BlockDevice(device)),
            changed(&|plan, _| plan.dockerfile = b"a".to_vec()),
            changed(&|plan, sums| {
                plan.entries.truncate(2);
                sums.truncate(2);
            }),
        ];
        let distinct: BTreeSet<&Digest> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    fn image() -> ImageSettings {
        ImageSettings {
            name: "web".to_owned(),
            context: "/context".into(),
            dockerfile: "/context/Dockerfile".into(),
            repository: RepositoryTarget::Ecr("shop/web".parse().unwrap()),
            containers: Vec::new(),
            target: None,
            platform: None,
            args: [("A", "1"), ("NPM_TOKEN", "canary")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            secret_args: BTreeSet::from(["NPM_TOKEN".to_owned()]),
            labels: BTreeMap::new(),
            secrets: vec![BuildSecret {
                id: "npm".to_owned(),
                value: Secret::new(b"canary".to_vec()),
            }],
            tags: Vec::new(),
            no_cache: false,
            pull: false,
            builder: Builder::Auto,
            create_repository: false,
        }
    }

    fn of(change: impl FnOnce(&mut ImageSettings, &mut BTreeMap<String, String>)) -> Digest {
        let mut image = image();
        let mut labels = BTreeMap::from([("title".to_owned(), "web".to_owned())]);
        change(&mut image, &mut labels);
        of_build(&Digest::of(b"context"), &image, &labels)
    }

    #[test]
    fn the_value_of_no_secret_is_part_of_a_source_and_everything_else_is() {
        let same = of(|_, _| {});
        let elsewhere = of(|image, _| {
            image.args.insert("NPM_TOKEN".to_owned(), "renewed".to_owned());
            image.secrets[0].value = Secret::new(b"renewed".to_vec());
            image.tags = vec!["v2".parse().unwrap()];
            image.context = "/elsewhere".into();
            image.no_cache = true;
        });
        assert_eq!(same, elsewhere);
        let all = [
            same,
            of(|image, _| image.target = Some(String::new())),
            of(|image, _| image.target = Some("release".to_owned())),
            of(|image, _| image.platform = Some("release".to_owned())),
            of(|image, _| drop(image.args.insert("A".to_owned(), "2".to_owned()))),
            of(|image, _| drop(image.args.insert("B".to_owned(), String::new()))),
            of(|image, _| drop(image.args.remove("NPM_TOKEN"))),
            of(|image, _| image.secret_args.clear()),
            of(|image, _| image.secrets[0].id = "pip".to_owned()),
            of(|image, _| image.secrets.clear()),
            of(|_, labels| drop(labels.insert("title".to_owned(), "shop".to_owned()))),
            of_build(&Digest::of(b"other"), &image(), &BTreeMap::new()),
        ];
        let distinct: BTreeSet<&Digest> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
