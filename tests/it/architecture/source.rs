//! Reads Rust source just well enough to find paths in it: comments, texts and tests taken out, groups spread.

/// A source file below `src`.
#[derive(Debug, Clone)]
pub struct File {
    /// `ecs/rollout/mod.rs`.
    pub path: String,
    /// `ecs::rollout`; empty for `lib.rs`.
    pub module: String,
    pub text: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        let stem = path.strip_suffix(".rs").unwrap_or(path);
        let stem = stem.strip_suffix("/mod").unwrap_or(stem);
        let module = if stem == "lib" {
            String::new()
        } else {
            stem.replace('/', "::")
        };
        Self {
            path: path.to_owned(),
            module,
            text: text.to_owned(),
        }
    }

    /// Whether all of it is compiled for tests only, by the names that such files have here.
    pub fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.module.split("::").collect();
        parts
            .iter()
            .any(|part| *part == "tests" || part.ends_with("_tests"))
    }
}

/// The code of a source text: comments and the insides of texts become blanks, `#[cfg(test)]` modules vanish.
pub fn strip(text: &str) -> String {
    without_tests(&without_texts(text))
}

fn without_texts(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let skipped = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => comment_length(rest),
            ['"', ..] => text_length(rest),
            ['r', '"', ..] | ['r', '#', '"', ..] | ['r', '#', '#', ..] if !is_word(&out) => raw_length(rest),
            ['\'', '\\', ..] => 3 + rest.iter().skip(3).position(|c| *c == '\'').unwrap_or(0),
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if skipped == 0 {
            out.push(chars[at]);
            at += 1;
        } else {
            // Line breaks stay: lines are counted.
            out.extend(rest[..skipped.min(rest.len())].iter().filter(|c| **c == '\n'));
            out.push(' ');
            at += skipped;
        }
    }
    out
}

fn is_word(before: &str) -> bool {
    before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn comment_length(rest: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < rest.len() {
        match rest[at..at + 2] {
            ['/', '*'] => {
                depth += 1;
                at += 2;
            }
            ['*', '/'] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn text_length(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_length(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let mut end = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    let body = 2 + hashes;
    let found = rest[body..].windows(end.len()).position(|window| window == end);
    found.map_or(rest.len(), |at| body + at + end.len())
}

fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let open = rest.find('{').unwrap_or(rest.len());
        let end = rest.find(';').unwrap_or(rest.len());
        // An item without braces of its own, such as `mod tests;`, ends at its semicolon.
        let length = if end < open {
            end + 1
        } else {
            open + block_length(&rest[open..])
        };
        rest = &rest[length..];
    }
    out + rest
}

fn block_length(rest: &str) -> usize {
    let mut depth = 0;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + c.len_utf8();
        }
    }
    rest.len()
}

/// Every path of the crate that the code mentions, from the crate's root: `aws::Aws`.
pub fn mentions(code: &str, file: &File) -> Vec<String> {
    let mut mentions = Vec::new();
    for (start, base) in [
        ("crate::", Some(String::new())),
        ("super::", None),
        ("slipway::", Some(String::new())),
    ] {
        for (at, _) in code.match_indices(start) {
            let before = &code[..at];
            // The middle of a longer path, or of a longer name.
            if is_word(before) || before.ends_with("::") {
                continue;
            }
            let (base, at) = match &base {
                Some(base) => (base.clone(), at + start.len()),
                None => climb(code, at, &file.module),
            };
            for path in spread(&code[at..]) {
                mentions.push(join(&base, &path));
            }
        }
    }
    mentions
}

/// Follows `super::super::` up, and says where the path goes on.
fn climb(code: &str, at: usize, module: &str) -> (String, usize) {
    let mut module = module.to_owned();
    let mut at = at;
    while code[at..].starts_with("super::") {
        module = module
            .rsplit_once("::")
            .map(|(outer, _)| outer.to_owned())
            .unwrap_or_default();
        at += "super::".len();
    }
    (module, at)
}

fn join(base: &str, path: &str) -> String {
    match (base, path) {
        ("", path) => path.to_owned(),
        (base, "") => base.to_owned(),
        (base, path) => format!("{base}::{path}"),
    }
}

/// The paths at the beginning of a code: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn spread(code: &str) -> Vec<String> {
    let code = code.trim_start();
    if let Some(group) = code.strip_prefix('{') {
        return items(&group[..block_length(code).saturating_sub(2)])
            .into_iter()
            .flat_map(spread)
            .collect();
    }
    let word = code
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(code.len());
    let (name, rest) = code.split_at(word);
    match rest.strip_prefix("::") {
        Some(rest) if !rest.starts_with('<') => spread(rest).iter().map(|path| join(name, path)).collect(),
        _ => vec![name.to_owned()],
    }
}

/// The parts of a group between its commas.
fn items(group: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&group[start..]);
    items.retain(|item| !item.trim().is_empty());
    items
}

/// The modules of `config::{layers, resolve}`, as the map writes them.
pub fn expand(text: &str) -> Vec<String> {
    spread(text)
}
