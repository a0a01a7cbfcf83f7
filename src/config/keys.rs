//! The one table of everything that can be written: keys of `slipway.toml`, their variables and their flags.

use super::worker;

/// Which table of `slipway.toml` a key lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Outside every table.
    Top,
    /// `[image.NAME]`.
    Image,
    /// `[output]`.
    Output,
    /// `[deploy]`.
    Deploy,
    /// `[service.NAME]`.
    Service,
    /// `[task.NAME]`.
    Task,
    /// `[dry-run]`.
    DryRun,
}

impl Section {
    /// Every section, in the order of `defaults.toml`.
    pub const ALL: [Self; 7] = [
        Self::Top,
        Self::Image,
        Self::Output,
        Self::Deploy,
        Self::Service,
        Self::Task,
        Self::DryRun,
    ];

    /// The table's name; empty for the top.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::Image => "image",
            Self::Output => "output",
            Self::Deploy => "deploy",
            Self::Service => "service",
            Self::Task => "task",
            Self::DryRun => "dry-run",
        }
    }

    /// Whether it holds one table per name: `[image.web]`.
    #[must_use]
    pub const fn is_named(self) -> bool {
        matches!(self, Self::Image | Self::Service | Self::Task)
    }
}

/// What a key's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number that is not negative.
    Number,
    /// A list of strings; in a variable, separated by commas.
    List,
    /// A table of strings; as a flag, `NAME=VALUE`.
    Map,
    /// A table of tables of strings.
    Maps,
    /// A list of `{ id, env }` or `{ id, src }`; as a flag, `id=NAME,env=VARIABLE`.
    Secrets,
}

impl Shape {
    /// What was expected, with its article.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Boolean => "`true` or `false`",
            Self::Number => "a whole number, 0 or more",
            Self::List => "a list of strings",
            Self::Map => "a table of strings",
            Self::Maps => "a table of tables of strings",
            Self::Secrets => "a list of `{ id = ..., env = ... }` or `{ id = ..., src = ... }`",
        }
    }
}

/// One key of `slipway.toml`, and how else it can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its table.
    pub section: Section,
    /// Its name in the table.
    pub name: &'static str,
    /// What its value looks like.
    pub shape: Shape,
    /// Its environment variable.
    pub variable: Option<&'static str>,
    /// Its flag.
    pub flag: Option<&'static str>,
    /// As a variable or a flag it speaks of one image or service, so there must be exactly one.
    pub of_one: bool,
}

const fn key(section: Section, name: &'static str, shape: Shape) -> Key {
    Key {
        section,
        name,
        shape,
        variable: None,
        flag: None,
        of_one: false,
    }
}

impl Key {
    const fn or(mut self, variable: &'static str, flag: &'static str) -> Self {
        self.variable = Some(variable);
        self.flag = Some(flag);
        self
    }

    const fn or_flag(mut self, flag: &'static str) -> Self {
        self.flag = Some(flag);
        self
    }

    const fn of_one(mut self) -> Self {
        self.of_one = true;
        self
    }
}

/// Every key.
pub const KEYS: &[Key] = &[
    key(Section::Top, "region", Shape::Text).or("SLIPWAY_REGION", "--region"),
    key(Section::Image, "context", Shape::Text).of_one(),
    key(Section::Image, "dockerfile", Shape::Text)
        .or("SLIPWAY_DOCKERFILE", "--dockerfile")
        .of_one(),
    key(Section::Image, "repository", Shape::Text)
        .or("SLIPWAY_REPOSITORY", "--repository")
        .of_one(),
    key(Section::Image, "containers", Shape::List)
        .or("SLIPWAY_CONTAINER", "--container")
        .of_one(),
    key(Section::Image, "target", Shape::Text)
        .or("SLIPWAY_TARGET", "--target")
        .of_one(),
    key(Section::Image, "platform", Shape::Text).or("SLIPWAY_PLATFORM", "--platform"),
    key(Section::Image, "args", Shape::Map).or_flag("--build-arg"),
    key(Section::Image, "labels", Shape::Map).or_flag("--label"),
    key(Section::Image, "secrets", Shape::Secrets).or_flag("--secret"),
    key(Section::Image, "tags", Shape::List).or("SLIPWAY_TAG", "--tag"),
    key(Section::Image, "no-cache", Shape::Boolean).or("SLIPWAY_NO_CACHE", "--no-cache"),
    key(Section::Image, "pull", Shape::Boolean).or("SLIPWAY_PULL", "--pull"),
    key(Section::Image, "builder", Shape::Text).or("SLIPWAY_BUILDER", "--builder"),
    key(Section::Image, "create-repository", Shape::Boolean)
        .or("SLIPWAY_CREATE_REPOSITORY", "--create-repository"),
    key(Section::Output, "imagedefinitions", Shape::Text).or("SLIPWAY_OUTPUT", "--output"),
    key(Section::Output, "image-detail", Shape::Text).or("SLIPWAY_IMAGE_DETAIL", "--image-detail"),
    key(Section::Output, "metadata", Shape::Text).or("SLIPWAY_METADATA", "--metadata"),
    key(Section::Output, "env-file", Shape::Text).or("SLIPWAY_ENV_FILE", "--env-file"),
    key(Section::Output, "artifact", Shape::Text).or("SLIPWAY_ARTIFACT", "--artifact"),
    key(Section::Output, "kms-key", Shape::Text).or("SLIPWAY_KMS_KEY", "--kms-key"),
    key(Section::Deploy, "cluster", Shape::Text).or("SLIPWAY_CLUSTER", "--cluster"),
    key(Section::Deploy, "imagedefinitions", Shape::Text)
        .or("SLIPWAY_IMAGEDEFINITIONS", "--imagedefinitions"),
    key(Section::Deploy, "timeout", Shape::Text).or("SLIPWAY_TIMEOUT", "--timeout"),
    key(Section::Deploy, "until", Shape::Text).or("SLIPWAY_UNTIL", "--until"),
    key(Section::Deploy, "on-failure", Shape::Text).or("SLIPWAY_ON_FAILURE", "--on-failure"),
    key(Section::Deploy, "on-first-failure", Shape::Text)
        .or("SLIPWAY_ON_FIRST_FAILURE", "--on-first-failure"),
    key(Section::Deploy, "force", Shape::Boolean).or("SLIPWAY_FORCE", "--force"),
    key(Section::Deploy, "allow-zero", Shape::Boolean).or("SLIPWAY_ALLOW_ZERO", "--allow-zero"),
    key(Section::Deploy, "skip-tasks", Shape::Boolean).or("SLIPWAY_SKIP_TASKS", "--skip-tasks"),
    key(Section::Deploy, "region", Shape::Text).or("SLIPWAY_DEPLOY_REGION", "--deploy-region"),
    key(Section::Deploy, "role-arn", Shape::Text).or("SLIPWAY_ROLE_ARN", "--role-arn"),
    key(Section::Deploy, "external-id", Shape::Text).or("SLIPWAY_EXTERNAL_ID", "--external-id"),
    key(Section::Service, "cluster", Shape::Text),
    key(Section::Service, "region", Shape::Text),
    key(Section::Service, "role-arn", Shape::Text),
    key(Section::Service, "external-id", Shape::Text),
    key(Section::Service, "task-definition", Shape::Text)
        .or("SLIPWAY_TASK_DEFINITION", "--task-definition")
        .of_one(),
    key(Section::Service, "env", Shape::Maps),
    key(Section::Service, "containers", Shape::List),
    key(Section::Task, "service", Shape::Text),
    key(Section::Task, "container", Shape::Text),
    key(Section::Task, "command", Shape::List),
    key(Section::Task, "task-definition", Shape::Text),
    key(Section::Task, "env", Shape::Maps),
    key(Section::Task, "cpu", Shape::Number),
    key(Section::Task, "memory", Shape::Number),
    key(Section::Task, "timeout", Shape::Text),
    key(Section::Task, "when", Shape::Text),
    key(Section::DryRun, "before-args", Shape::Map),
    key(Section::DryRun, "desired-count", Shape::Number),
    key(Section::DryRun, "port", Shape::Number),
    key(Section::DryRun, "health-path", Shape::Text),
    key(Section::DryRun, "health-command", Shape::List),
    key(Section::DryRun, "requests-per-second", Shape::Number)
        .or("SLIPWAY_REQUESTS_PER_SECOND", "--requests-per-second"),
];

/// The flag that chooses, or with no `slipway.toml` names, the services.
pub const SERVICE_FLAG: &str = "--service";
/// Its variable.
pub const SERVICE_VARIABLE: &str = "SLIPWAY_SERVICE";

/// Environment variables that belong to no key: name, and what it sets.
pub const OTHER_VARIABLES: &[(&str, &str)] = &[
    ("SLIPWAY_CONFIG", "the configuration file; as `--config`"),
    ("SLIPWAY_LOG_FORMAT", "`human` or `json`; as `--log-format`"),
    (
        SERVICE_VARIABLE,
        "the services to deploy, separated by commas; as `--service`",
    ),
];

/// The key that a flag writes.
#[must_use]
pub fn of_flag(flag: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.flag == Some(flag))
}

/// The key with this name in a table.
#[must_use]
pub fn find(section: Section, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// Every environment variable of slipway.
pub fn variables() -> impl Iterator<Item = &'static str> {
    let others = OTHER_VARIABLES.iter().map(|(name, _)| *name);
    let of_workers = worker::OPTIONS.iter().map(|option| option.variable);
    KEYS.iter()
        .filter_map(|key| key.variable)
        .chain(others)
        .chain(of_workers)
}

/// The candidate that was probably meant, if one is close enough: at most a third of it differs.
pub fn nearest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(written, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row.get(j + 1).copied().unwrap_or_default();
            let here = (diagonal + usize::from(x != *y)).min(above + 1).min(left + 1);
            diagonal = above;
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            left = here;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{KEYS, distance, nearest, variables};
    use std::collections::BTreeSet;

    #[test]
    fn keys_flags_and_variables_are_each_written_once() {
        let keys: BTreeSet<_> = KEYS.iter().map(|key| (key.section, key.name)).collect();
        assert_eq!(keys.len(), KEYS.len());
        let flags: Vec<_> = KEYS.iter().filter_map(|key| key.flag).collect();
        assert_eq!(flags.iter().collect::<BTreeSet<_>>().len(), flags.len());
        let names: Vec<_> = variables().collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| name.starts_with("SLIPWAY_")));
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_key_and_nonsense_finds_none() {
        let names = || ["repository", "platform", "tags", "pull"].into_iter();
        for (written, meant) in [
            ("repositry", Some("repository")),
            ("tag", Some("tags")),
            ("plattform", Some("platform")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names()), meant, "{written}");
        }
    }

    #[test]
    fn distances_count_insertions_deletions_and_changes() {
        for (a, b, apart) in [
            ("", "", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(a, b), apart, "{a} {b}");
        }
    }
}
