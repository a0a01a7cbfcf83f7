//! Which files of a context the builder never sees: `.dockerignore`, with the Engine's semantics.
//!
//! The rules are those of Docker's pattern matcher, which are not those of `.gitignore`: patterns are anchored at the
//! context's root, `*` stays inside one path component, the last pattern that matches decides, and a pattern that
//! matches a folder matches everything below it.

mod pattern;

use pattern::Pattern;

/// The rules of one ignore file, in its order.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
}

/// One line: a pattern that ignores, or with `!` one that brings back.
#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    brings_back: bool,
}

/// A line that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no pattern: `{text}`: {problem}")]
pub struct IgnoreError {
    /// The line, counted from 1.
    pub line: usize,
    /// The line's text.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

impl IgnoreRules {
    /// Reads an ignore file. A byte order mark, blank lines and lines that start with `#` are skipped, paths are
    /// cleaned as Go's `filepath.Clean` does, and one leading `/` means the context's root like no `/` at all.
    ///
    /// # Errors
    /// The first line that is no pattern.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (index, line) in text.split('\n').enumerate() {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let rule = Rule::parse(line.trim()).map_err(|problem| IgnoreError {
                line: index + 1,
                text: line.trim().to_owned(),
                problem,
            })?;
            rules.push(rule);
        }
        Ok(Self { rules })
    }

    /// Brings `path` back, whatever the rules before say; the path is no pattern.
    pub fn keep(&mut self, path: &str) {
        self.rules.push(Rule {
            pattern: Pattern::literal(path),
            brings_back: true,
        });
    }

    /// Whether nothing is ignored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether the builder does not see `path`: slash-separated, relative to the context. The last rule that matches
    /// decides, and a rule that matched a folder on the way matches all below it.
    ///
    /// A rule is asked only where it would change the answer, from the root downwards, as BuildKit and Docker's
    /// command line do on their walks: a `!` rule that matches a folder which is not ignored says nothing about what
    /// lies in it.
    #[must_use]
    pub fn ignores(&self, path: &str) -> bool {
        let mut matched = vec![false; self.rules.len()];
        let mut ignored = false;
        let folders = path.match_indices('/').map(|(slash, _)| &path[..slash]);
        for step in folders.chain([path]) {
            ignored = false;
            for (rule, matched) in self.rules.iter().zip(&mut matched) {
                *matched = *matched || (rule.brings_back == ignored && rule.pattern.matches(step));
                if *matched {
                    ignored = !rule.brings_back;
                }
            }
        }
        ignored
    }

    /// Whether the walk may skip the ignored folder `path`: nothing below it can be brought back.
    #[must_use]
    pub fn prunes(&self, path: &str) -> bool {
        self.ignores(path)
            && !self
                .rules
                .iter()
                .any(|rule| rule.brings_back && rule.pattern.may_match_below(path))
    }
}

impl Rule {
    fn parse(line: &str) -> Result<Self, String> {
        let (brings_back, text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        if text.is_empty() {
            return Err("`!` must be followed by a pattern".to_owned());
        }
        let cleaned = clean(text);
        let anchored = match cleaned.strip_prefix('/') {
            Some(rest) if !rest.is_empty() => rest,
            _ => &cleaned,
        };
        Ok(Self {
            pattern: Pattern::parse(anchored)?,
            brings_back,
        })
    }
}

/// The shortest path that means the same, after Go's `filepath.Clean`: no empty or `.` components, `..` resolved.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(last) if *last != ".." => {
                    parts.pop();
                }
                None if rooted => {}
                _ => parts.push(".."),
            },
            _ => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::{IgnoreRules, clean};
    use proptest::prelude::*;

    fn rules(lines: &[&str]) -> IgnoreRules {
        IgnoreRules::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        for (lines, path, ignored) in [
            (&["*"][..], "fileutils.go", true),
            (&["!fileutils.go", "*.go"], "fileutils.go", true),
            (&["*.go", "!fileutils.go"], "fileutils.go", false),
            (&["docs", "!docs/README.md"], "docs/README.md", false),
            (&["docs/", "!docs/README.md"], "docs/README.md", false),
            (&["docs/*", "!docs/README.md"], "docs/README.md", false),
            (&["docs", "!docs/README.md"], "docs/other.md", true),
            (&["docs", "  !docs/README.md  "], "docs/README.md", false),
            (&["**", "!util/docker/web"], "util/docker/web/foo", false),
            (
                &["**", "!util/docker/web", "util/docker/web/foo"],
                "util/docker/web/foo",
                true,
            ),
            (&["**", "!dist/*.whl"], "dist/proxy.py-2.4.0+g08-py3.whl", false),
            (&["a", "!a/b", "a"], "a/b", false),
            (&["a/**", "!a"], "a/b", true),
            (&["a", "!a"], "a/b", false),
            (&["a*", "!a*/b"], "a1/b", false),
            (&["!a/b", "a"], "a/b", true),
            (&[], "any/path/there", false),
        ] {
            assert_eq!(rules(lines).ignores(path), ignored, "{lines:?} {path}");
        }
    }

    #[test]
    fn a_pattern_for_a_folder_covers_all_below_it() {
        for (line, path, ignored) in [
            ("dir", "dir/a/b/c", true),
            ("dir/*", "dir/a/b/c", true),
            ("*/b", "a/b/c", true),
            ("*/b", "a/x/b", false),
            ("**/dir", "x/dir/file", true),
            ("dir", "dirs/a", false),
            ("a/*.txt", "a/dir/file.txt", false),
        ] {
            assert_eq!(rules(&[line]).ignores(path), ignored, "{line} {path}");
        }
    }

    #[test]
    fn a_file_is_read_as_the_engine_reads_it() {
        let read = rules(&[
            "\u{feff}/rooted",
            "# not-a-pattern",
            " # indented",
            "",
            "   ",
            "./dotted/../up//x/",
            "! /back\r",
            "/",
            ".",
            "../outside",
        ]);
        for (path, ignored) in [
            ("rooted", true),
            ("# not-a-pattern", false),
            ("# indented", true),
            ("up/x", true),
            ("dotted", false),
            ("other", false),
            ("outside", false),
        ] {
            assert_eq!(read.ignores(path), ignored, "{path}");
        }
        assert!(!rules(&["*", "! /back\r"]).ignores("back"));
        assert!(!rules(&["\u{feff}#x", "y"]).ignores("x"));
    }

    #[test]
    fn a_kept_path_is_taken_literally() {
        let mut rules = rules(&["**"]);
        rules.keep("odd[/Docker*");
        assert!(!rules.ignores("odd[/Docker*"));
        assert!(rules.ignores("odd[/Dockerfile"));
        assert!(!rules.prunes("odd["));
        assert!(rules.prunes("even"));
    }

    #[test]
    fn a_bad_line_is_named_with_its_number() {
        for (text, line, problem) in [
            ("ok\n!", 2, "`!` must be followed by a pattern"),
            ("!  ", 1, "`!` must be followed by a pattern"),
            ("#\n\n[", 3, "the class that `[` opens is not closed"),
            ("a\\", 1, "`\\` at the end escapes nothing"),
            (
                "x\r\n![z-a]\r\n",
                2,
                "the range `z-a` in a class is the wrong way round",
            ),
        ] {
            let error = IgnoreRules::parse(text).unwrap_err();
            assert_eq!((error.line, error.problem.as_str()), (line, problem), "{text:?}");
        }
    }

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        for (path, cleaned) in [
            ("", "."),
            ("a/", "a"),
            ("a//b/./c", "a/b/c"),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/../a", "/a"),
            ("/", "/"),
            ("./", "."),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
        }
    }

    #[test]
    fn a_walk_skips_a_folder_only_when_nothing_below_can_come_back() {
        for (lines, folder, prunes) in [
            (&["node_modules"][..], "node_modules", true),
            (&["node_modules", "!src"], "node_modules", true),
            (&["node_modules", "!node_modules/keep"], "node_modules", false),
            (&["**", "!a/b/c"], "a/b", false),
            (&["**", "!a/b/c"], "a/x", true),
            (&["**", "!a"], "a/x", false),
            (&["**", "!*/keep"], "x", false),
            (&["**", "!*/keep"], "x/y", true),
            (&["**", "!**/keep"], "x/y", false),
            (&["**", "!a?/k"], "ab", false),
            (&["**", "!a?/k"], "b", true),
            (&["src"], "other", false),
        ] {
            assert_eq!(rules(lines).prunes(folder), prunes, "{lines:?} {folder}");
        }
    }

    fn component() -> impl Strategy<Value = String> {
        "[ab]{1,2}"
    }

    fn line() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            component(),
            Just("*".to_owned()),
            Just("**".to_owned()),
            Just("a*".to_owned()),
            Just("?b".to_owned()),
            Just("[ab]".to_owned()),
        ];
        (any::<bool>(), prop::collection::vec(part, 1..4))
            .prop_map(|(back, parts)| format!("{}{}", if back { "!" } else { "" }, parts.join("/")))
    }

    fn path() -> impl Strategy<Value = String> {
        prop::collection::vec(component(), 1..5).prop_map(|parts| parts.join("/"))
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", path in "\\PC*") {
            if let Ok(rules) = IgnoreRules::parse(&text) {
                let _ = (rules.ignores(&path), rules.prunes(&path));
            }
        }

        #[test]
        fn a_closing_rule_for_everything_overrules_all_before_it(
            lines in prop::collection::vec(line(), 0..5), path in path(),
        ) {
            let with = |last: &str| IgnoreRules::parse(&format!("{}\n{last}", lines.join("\n"))).unwrap();
            prop_assert!(with("**").ignores(&path));
            prop_assert!(!with("!**").ignores(&path));
        }

        #[test]
        fn without_exceptions_all_below_an_ignored_folder_is_ignored(
            lines in prop::collection::vec(line(), 0..5), path in path(), below in path(),
        ) {
            let lines: Vec<_> = lines.iter().filter(|line| !line.starts_with('!')).cloned().collect();
            let rules = IgnoreRules::parse(&lines.join("\n")).unwrap();
            if rules.ignores(&path) {
                prop_assert!(rules.prunes(&path));
                let below = format!("{path}/{below}");
                prop_assert!(rules.ignores(&below));
            }
        }

        #[test]
        fn nothing_below_a_skipped_folder_would_have_been_kept(
            lines in prop::collection::vec(line(), 0..5), path in path(), below in path(),
        ) {
            let rules = IgnoreRules::parse(&lines.join("\n")).unwrap();
            if rules.prunes(&path) {
                let below = format!("{path}/{below}");
                prop_assert!(rules.ignores(&below), "{lines:?} {path} {below}");
            }
        }
    }
}
