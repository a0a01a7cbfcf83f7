//! One pattern: the syntax of Go's `filepath.Match` with Docker's `**`.

/// A parsed pattern. The kinds are those of Docker's matcher, whose simple forms match a little differently from the
/// general one: `**file` matches the end of any path, `dir/**` every path that starts with `dir/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// This character.
    Literal(char),
    /// `?`: any character but `/`.
    One,
    /// `*`: any characters but `/`.
    Some,
    /// `**` and `**/` in the middle: nothing, or any folders with the `/` behind them.
    Folders,
    /// `**` at the end: anything.
    Rest,
    /// `[a-z]`, `[^a-z]`; like the Engine's, it may match a `/`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Parses a cleaned pattern.
    ///
    /// # Errors
    /// What makes it no pattern.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = true;
        let mut rest = text.chars().peekable();
        while let Some(next) = rest.next() {
            parts.push(match next {
                '*' if rest.next_if_eq(&'*').is_some() => {
                    rest.next_if_eq(&'/');
                    if rest.peek().is_some() {
                        Part::Folders
                    } else {
                        Part::Rest
                    }
                }
                '*' => Part::Some,
                '?' => Part::One,
                '\\' => {
                    plain = false;
                    Part::Literal(rest.next().ok_or("`\\` at the end escapes nothing")?)
                }
                '[' => parse_class(&mut rest)?,
                other => Part::Literal(other),
            });
        }
        Ok(Self {
            kind: kind_of(text, parts, plain),
            text: text.to_owned(),
        })
    }

    /// The pattern that matches this path and nothing else, whatever characters it has.
    pub(super) fn literal(path: &str) -> Self {
        let mut text = String::with_capacity(path.len());
        for character in path.chars() {
            if matches!(character, '*' | '?' | '[' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        Self {
            text,
            kind: Kind::Exact(path.to_owned()),
        }
    }

    /// Whether the pattern matches this very path, folders above it aside.
    pub(super) fn matches(&self, path: &str) -> bool {
        match &self.kind {
            Kind::Exact(whole) => path == whole,
            Kind::Prefix(prefix) => path.starts_with(prefix.as_str()),
            Kind::Suffix(suffix) => {
                path.ends_with(suffix.as_str()) || suffix.strip_prefix('/').is_some_and(|bare| path == bare)
            }
            Kind::Parts(parts) => {
                let path: Vec<char> = path.chars().collect();
                matches_parts(parts, &path)
            }
        }
    }

    /// Whether the pattern could match `folder` itself, a folder above it, or a path below it: never wrong when it
    /// says no.
    pub(super) fn may_match_below(&self, folder: &str) -> bool {
        let mut components = self.text.split('/');
        for name in folder.split('/') {
            // The pattern ends at or above the folder, so it covers all below.
            let Some(component) = components.next() else {
                return true;
            };
            match Self::parse(component) {
                Ok(pattern) if component.contains("**") || pattern.has_class() => return true,
                Ok(pattern) if !pattern.matches(name) => return false,
                Ok(_) => {}
                Err(_) => return true,
            }
        }
        true
    }

    /// Whether it has a class, which may match a `/`.
    fn has_class(&self) -> bool {
        matches!(&self.kind, Kind::Parts(parts) if parts.iter().any(|part| matches!(part, Part::Class { .. })))
    }
}

/// The simple forms that the Engine matches without its general engine.
fn kind_of(text: &str, parts: Vec<Part>, plain: bool) -> Kind {
    let literal = |parts: &[Part]| {
        plain
            && parts
                .iter()
                .all(|part| matches!(part, Part::Literal(c) if *c != ']'))
    };
    match parts.as_slice() {
        all if literal(all) => Kind::Exact(text.to_owned()),
        [Part::Folders | Part::Rest, after @ ..] if literal(after) => {
            Kind::Suffix(text.trim_start_matches("**").to_owned())
        }
        [before @ .., Part::Rest] if literal(before) => Kind::Prefix(text.trim_end_matches("**").to_owned()),
        _ => Kind::Parts(parts),
    }
}

/// Reads a class behind its `[`; the Engine refuses what Go's `filepath.Match` refuses, and ranges that run backwards.
fn parse_class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Part, String> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Ok(Part::Class { negated, ranges });
        }
        let low = class_char(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() {
            class_char(rest)?
        } else {
            low
        };
        if high < low {
            return Err(format!(
                "the range `{low}-{high}` in a class is the wrong way round"
            ));
        }
        ranges.push((low, high));
    }
}

fn class_char(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, String> {
    let open = || "the class that `[` opens is not closed".to_owned();
    match rest.next().ok_or_else(open)? {
        bad @ ('-' | ']') => Err(format!("`{bad}` in a class must be written `\\{bad}`")),
        '\\' => rest.next().ok_or_else(open),
        plain => Ok(plain),
    }
}

/// Whether the parts match the whole path. Every state (part, position) is visited at most once, so no pattern takes
/// longer than its length times the path's.
fn matches_parts(parts: &[Part], path: &[char]) -> bool {
    // `reached[at]`: the parts so far can end before the character `at`.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    for part in parts {
        reached = step(part, path, &reached);
    }
    reached[path.len()]
}

fn step(part: &Part, path: &[char], reached: &[bool]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    let mut spreading = false;
    for at in 0..reached.len() {
        let before = at.checked_sub(1).map(|index| (reached[index], path[index]));
        next[at] = match part {
            Part::Literal(wanted) => before.is_some_and(|(on, c)| on && c == *wanted),
            Part::One => before.is_some_and(|(on, c)| on && c != '/'),
            Part::Class { negated, ranges } => before.is_some_and(|(on, c)| {
                on && ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }),
            Part::Some => {
                spreading = reached[at] || (spreading && before.is_some_and(|(_, c)| c != '/'));
                spreading
            }
            Part::Rest => {
                spreading |= reached[at];
                spreading
            }
            Part::Folders => {
                let after_slash = spreading && before.is_some_and(|(_, c)| c == '/');
                spreading |= reached[at];
                reached[at] || after_slash
            }
        };
    }
    next
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    /// `Some(true)` when the pattern matches the path itself, `None` when it is no pattern.
    fn exact(pattern: &str, path: &str) -> Option<bool> {
        Pattern::parse(&super::super::clean(pattern))
            .ok()
            .map(|parsed| parsed.matches(path))
    }

    #[test]
    fn double_stars_match_as_the_engine_matches_them() {
        for (pattern, path, matches) in [
            ("**", "file", true),
            ("**", "file/", true),
            ("**/", "file", true),
            ("**/", "/", true),
            ("**", "dir/file", true),
            ("**/**", "dir/file", true),
            ("**/**", "dir/file/", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file/", true),
            ("**/dir", "dir", true),
            ("**/dir", "dir/file", false),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/*", "dir/dir2/file/", false),
            ("**/dir2/**", "dir/dir2/dir3/file", true),
            ("**file", "file", true),
            ("**file", "dir/file", true),
            ("**file", "dir/afile", true),
            ("**/file", "dir/file", true),
            ("**file", "dir/dir/file", true),
            ("**/file*", "dir/dir/file", true),
            ("**/file*", "dir/dir/file.txt", true),
            ("**/file*txt", "dir/dir/file.txt", true),
            ("**/file*.txt*", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/dir/file.txt", true),
            ("**/**/*.txt2", "dir/dir/file.txt", false),
            ("**/*.txt", "file.txt", true),
            ("**/**/*.txt", "file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt**", "a/file.txt", true),
            ("**/foo/bar", "foo/bar", true),
            ("**/foo/bar", "dir/dir2/foo/bar", true),
            ("abc/**", "abc", false),
            ("abc/**", "abc/def/ghi", true),
            ("**/.foo", ".foo", true),
            ("**/.foo", "bar.foo", false),
        ] {
            assert_eq!(exact(pattern, path), Some(matches), "{pattern} {path}");
        }
    }

    #[test]
    fn single_components_match_as_go_matches_them() {
        for (pattern, path, matches) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("*x", "xxx", true),
            ("a?b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcdef", false),
            ("abc.def", "abcZdef", false),
            ("abc?def", "abcZdef", true),
            ("a(b)c/def", "a(b)c/def", true),
            ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
            ("dist/*.whl", "dist/proxy.py-2.4.0rc3+g08acad9-py3.whl", true),
        ] {
            assert_eq!(exact(pattern, path), Some(matches), "{pattern} {path}");
        }
    }

    #[test]
    fn classes_and_escapes_match_as_go_matches_them() {
        for (pattern, path, matches) in [
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a[b-d]e", "ae", false),
            ("a[^a]b", "a☺b", true),
            ("a[^a][^a][^a]b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "x", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "-", true),
            ("[!a]", "!", true),
            ("a]", "a]", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a\\\\", "a\\", true),
        ] {
            assert_eq!(exact(pattern, path), Some(matches), "{pattern} {path}");
        }
        for bad in [
            "[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "[\\", "[z-a]",
        ] {
            assert_eq!(exact(bad, "a"), None, "{bad}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = format!("{}b", "*a".repeat(200));
        assert_eq!(exact(&pattern, &"a".repeat(2_000)), Some(false));
    }
}
