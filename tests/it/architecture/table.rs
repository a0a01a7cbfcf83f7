//! The table: which layer each module is in, what a layer may use, and which words it must not.

/// A layer of the map in `src/lib.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Words that all layers share.
    Vocabulary,
    /// Pure functions.
    Decisions,
    /// Everything that does I/O.
    Rim,
    /// What a stage does, from its inputs to its proof.
    Stories,
    /// What a person touches, and the program around it.
    Shell,
    /// Reporters: part of the shell's row, but with the vocabulary only.
    Reports,
    /// The oracle: part of the shell's row, but with the vocabulary, the clock and the stop signal only.
    Sandbox,
    /// A folder's `mod.rs` that only documents and re-exports.
    Facade,
}

impl Layer {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vocabulary => "vocabulary",
            Self::Decisions => "decisions",
            Self::Rim => "rim",
            Self::Stories => "stories",
            Self::Shell => "shell",
            Self::Reports => "reports",
            Self::Sandbox => "sandbox",
            Self::Facade => "facade",
        }
    }

    /// The row of the map that it is drawn in.
    pub const fn row(self) -> Self {
        match self {
            Self::Reports | Self::Sandbox => Self::Shell,
            other => other,
        }
    }

    /// Whether a rule for `ruled` speaks of `module`.
    pub fn covers(self, ruled: &str, module: &str) -> bool {
        let below = || {
            module
                .strip_prefix(ruled)
                .is_some_and(|rest| rest.starts_with("::"))
        };
        module == ruled || (self != Self::Facade && below())
    }

    fn may_use(self, other: Self) -> bool {
        let order = |layer| match layer {
            Self::Facade | Self::Vocabulary => 0,
            Self::Decisions => 1,
            Self::Rim => 2,
            Self::Stories => 3,
            Self::Shell | Self::Reports | Self::Sandbox => 4,
        };
        match self {
            Self::Facade | Self::Shell => true,
            Self::Vocabulary | Self::Decisions | Self::Rim | Self::Stories => order(other) <= order(self),
            Self::Reports => order(other) == 0 || other == Self::Reports,
            Self::Sandbox => order(other) == 0 || other == Self::Sandbox,
        }
    }

    /// Words that have no place in the layer's code.
    pub const fn forbidden(self) -> &'static [&'static str] {
        const EVERYWHERE: &[&str] = &[
            "std::env::",
            "println!",
            "eprint!",
            "print!(",
            "process::exit",
            "dbg!(",
        ];
        const PURE: &[&str] = &[
            "tokio::",
            "bollard",
            "aws_config",
            "aws_sdk",
            "aws_smithy",
            "std::fs",
            "std::net::Tcp",
            "std::env::",
            "Instant::now",
            "SystemTime::now",
            "println!",
            "process::exit",
            "async fn",
        ];
        match self {
            Self::Vocabulary | Self::Decisions => PURE,
            Self::Rim => EVERYWHERE,
            Self::Stories => &[
                "aws_sdk",
                "aws_smithy",
                "bollard",
                "std::env::",
                "println!",
                "process::exit",
            ],
            Self::Reports => &[
                "tokio::",
                "bollard",
                "aws_",
                "std::fs",
                "std::env::",
                "println!",
                "process::exit",
            ],
            Self::Sandbox => &[
                "aws_config",
                "aws_sdk",
                "aws_smithy",
                "std::env::",
                "println!",
                "process::exit",
            ],
            Self::Shell => &["println!", "process::exit"],
            Self::Facade => &["fn "],
        }
    }
}

/// What holds for a module and everything below it.
pub struct Rule {
    pub module: &'static str,
    pub layer: Layer,
    /// Modules that it may use besides those of its layer.
    pub also: &'static [&'static str],
    /// Forbidden words that it may use.
    pub except: &'static [&'static str],
}

impl Rule {
    pub fn may_use(&self, other: &Rule) -> bool {
        self.layer.may_use(other.layer) || self.also.contains(&other.module)
    }
}

const fn rule(module: &'static str, layer: Layer) -> Rule {
    Rule {
        module,
        layer,
        also: &[],
        except: &[],
    }
}

impl Rule {
    const fn also(mut self, modules: &'static [&'static str]) -> Self {
        self.also = modules;
        self
    }

    const fn except(mut self, words: &'static [&'static str]) -> Self {
        self.except = words;
        self
    }
}

/// Every module.
pub const RULES: &[Rule] = &[
    // The library's root and folders whose `mod.rs` only documents.
    rule("", Layer::Facade),
    rule("artifact", Layer::Facade),
    rule("config", Layer::Facade),
    rule("ecs", Layer::Facade),
    rule("image", Layer::Facade),
    rule("pipeline", Layer::Facade),
    rule("report", Layer::Facade),
    rule("failure", Layer::Vocabulary),
    rule("name", Layer::Vocabulary),
    rule("report::event", Layer::Vocabulary),
    rule("secret", Layer::Vocabulary),
    rule("artifact::imagedefinitions", Layer::Decisions),
    rule("artifact::outputs", Layer::Decisions),
    rule("config::document", Layer::Decisions),
    rule("config::elements", Layer::Decisions),
    rule("config::keys", Layer::Decisions),
    rule("config::resolve", Layer::Decisions),
    rule("config::settings", Layer::Decisions),
    rule("config::substitution", Layer::Decisions),
    rule("config::worker", Layer::Decisions),
    rule("config::written", Layer::Decisions),
    rule("ecs::answers", Layer::Decisions),
    rule("ecs::capture", Layer::Decisions),
    rule("ecs::diagnosis", Layer::Decisions),
    rule("ecs::mark", Layer::Decisions),
    rule("ecs::observation", Layer::Decisions),
    rule("ecs::oneoff", Layer::Decisions),
    rule("ecs::quota", Layer::Decisions),
    rule("ecs::resume", Layer::Decisions),
    rule("ecs::rollout", Layer::Decisions),
    rule("ecs::task_definition", Layer::Decisions),
    rule("image::context", Layer::Decisions),
    rule("image::ignore", Layer::Decisions),
    rule("image::source", Layer::Decisions),
    rule("image::transcript", Layer::Decisions),
    rule("pipeline::action_type", Layer::Decisions),
    rule("pipeline::job", Layer::Decisions),
    rule("pipeline::pace", Layer::Decisions),
    rule("pipeline::result", Layer::Decisions),
    rule("pipeline::token", Layer::Decisions),
    rule("artifact::archive", Layer::Rim),
    rule("artifact::store", Layer::Rim),
    rule("artifact::transfer", Layer::Rim),
    rule("artifact::unpack", Layer::Rim),
    rule("artifact::write", Layer::Rim),
    rule("aws", Layer::Rim),
    rule("clock", Layer::Rim),
    rule("config::checkout", Layer::Rim),
    // The one reader of the environment.
    rule("config::layers", Layer::Rim).except(&["std::env::"]),
    rule("ecs::recorder", Layer::Rim),
    rule("ecs::service", Layer::Rim),
    rule("image::daemon", Layer::Rim),
    rule("image::endpoint", Layer::Rim),
    rule("image::files", Layer::Rim),
    rule("image::session", Layer::Rim),
    rule("pipeline::claim", Layer::Rim),
    rule("pipeline::client", Layer::Rim),
    rule("pipeline::credentials", Layer::Rim),
    rule("pipeline::journal", Layer::Rim),
    rule("pipeline::registration", Layer::Rim),
    rule("pipeline::wake", Layer::Rim),
    rule("registry", Layer::Rim),
    rule("shutdown", Layer::Rim),
    rule("stage", Layer::Stories),
    rule("worker", Layer::Stories),
    rule("app", Layer::Shell),
    rule("cli", Layer::Shell),
    rule("dryrun", Layer::Shell),
    rule("main", Layer::Shell),
    rule("report::bars", Layer::Reports),
    rule("report::human", Layer::Reports),
    rule("report::json", Layer::Reports),
    // It counts the time since the run began.
    rule("report::reporter", Layer::Reports).also(&["clock"]),
    rule("sandbox", Layer::Sandbox).also(&["clock", "shutdown"]),
];

/// Files that may be longer, each with its reason.
pub const TOO_LONG: &[(&str, &str)] = &[];
