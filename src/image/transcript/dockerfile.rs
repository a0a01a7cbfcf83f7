//! Just enough of a Dockerfile to find the line of a step and the images that it starts from.

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The line that it starts on, counted from 1.
    pub line: usize,
    /// Its keyword, in capitals.
    pub keyword: String,
    /// The whole instruction on one line, spaces collapsed; a here-document's body is left out.
    pub text: String,
    /// The stage that it belongs to, counted from 0; none before the first `FROM`.
    pub stage: Option<usize>,
}

/// Reads the instructions of a Dockerfile: continuation lines (with the `escape` directive), comments between them,
/// here-documents. Never fails; what is no Dockerfile has instructions that nothing will match.
#[must_use]
pub fn instructions(text: &str) -> Vec<Instruction> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape_character(text);
    let mut lines = text.lines().enumerate();
    let mut found: Vec<Instruction> = Vec::new();
    let mut stage = None;
    while let Some((index, first)) = lines.next() {
        if is_skipped(first) {
            continue;
        }
        let mut whole = String::new();
        let mut current = Some(first);
        while let Some(line) = current {
            match line.trim_end().strip_suffix(escape) {
                Some(part) => {
                    whole.push_str(part);
                    current = lines
                        .by_ref()
                        .map(|(_, next)| next)
                        .find(|next| !is_skipped(next));
                }
                None => {
                    whole.push_str(line);
                    current = None;
                }
            }
        }
        let text = collapse(&whole);
        let keyword = text.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        if keyword == "FROM" {
            stage = Some(stage.map_or(0, |stage: usize| stage + 1));
        }
        if matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") {
            for (word, strips_tabs) in heredocs(&text) {
                let ends = |line: &str| {
                    let line = if strips_tabs {
                        line.trim_start_matches('\t')
                    } else {
                        line
                    };
                    line == word
                };
                // Reads up to the closing word, or to the end if there is none.
                let _ = lines.by_ref().find(|(_, line)| ends(line));
            }
        }
        found.push(Instruction {
            line: index + 1,
            keyword,
            text,
            stage,
        });
    }
    found
}

/// The images that the stages start from, as written: no stage names, no `scratch`, nothing with variables.
#[must_use]
pub fn base_images(text: &str) -> Vec<String> {
    let instructions = instructions(text);
    let mut stages: Vec<String> = Vec::new();
    let mut bases = Vec::new();
    for from in instructions.iter().filter(|one| one.keyword == "FROM") {
        let mut words = from
            .text
            .split(' ')
            .skip(1)
            .filter(|word| !word.starts_with("--"));
        let image = words.next().unwrap_or_default();
        let known = image == "scratch" || image.contains('$') || stages.iter().any(|name| name == image);
        if !known && !image.is_empty() && !bases.iter().any(|base| base == image) {
            bases.push(image.to_owned());
        }
        if let (Some(_), Some(name)) = (
            words.next().filter(|word| word.eq_ignore_ascii_case("as")),
            words.next(),
        ) {
            stages.push(name.to_owned());
        }
    }
    bases
}

/// The line of a step as a builder names it: `[build 2/4] RUN make` of BuildKit, `Step 2/4 : RUN make` of the classic
/// builder. None when no instruction, or more than one, can be meant.
#[must_use]
pub fn line_of(dockerfile: &str, step: &str) -> Option<usize> {
    let instructions = instructions(dockerfile);
    let (place, text) = split_step(step)?;
    let text = collapse(text);
    let same: Vec<&Instruction> = instructions
        .iter()
        .filter(|one| one.text.eq_ignore_ascii_case(&text) || expands_to(&one.text, &text))
        .collect();
    let chosen = match (place, same.as_slice()) {
        (Place::Nth(n), _) => instructions
            .get(n.checked_sub(1)?)
            .filter(|nth| same.iter().any(|one| one == nth)),
        (Place::Stage(_), [one]) => Some(*one),
        (Place::Stage(name), several) => {
            let stage = stage_index(&instructions, &name)?;
            let mut here = several.iter().filter(|one| one.stage == Some(stage));
            here.next().copied().filter(|_| here.next().is_none())
        }
    };
    chosen.map(|one| one.line)
}

enum Place {
    /// The classic builder counts all instructions.
    Nth(usize),
    /// BuildKit names the stage; empty when there is only one.
    Stage(String),
}

fn split_step(step: &str) -> Option<(Place, &str)> {
    if let Some(rest) = step.strip_prefix("Step ") {
        let (numbers, text) = rest.split_once(" : ")?;
        let nth = numbers.split('/').next()?.parse().ok()?;
        return Some((Place::Nth(nth), text));
    }
    let (place, text) = step.strip_prefix('[')?.split_once("] ")?;
    // `[linux/amd64 build 2/4]`: the platform only when there are several, the stage only when there are several.
    let mut words: Vec<&str> = place.split(' ').collect();
    words.pop().filter(|count| count.contains('/'))?;
    Some((Place::Stage(words.pop().unwrap_or_default().to_owned()), text))
}

fn stage_index(instructions: &[Instruction], name: &str) -> Option<usize> {
    if let Some(number) = name.strip_prefix("stage-") {
        return number.parse().ok();
    }
    instructions
        .iter()
        .filter(|one| one.keyword == "FROM")
        .position(|from| {
            from.text
                .rsplit(' ')
                .next()
                .is_some_and(|last| last.eq_ignore_ascii_case(name))
        })
}

/// Whether `shown` is `written` with its variables replaced: the builder shows a step with its variables expanded.
/// A here-document is shown with its beginning in brackets.
fn expands_to(written: &str, shown: &str) -> bool {
    let shown = match shown.split_once(" (") {
        Some((head, _)) if written.contains("<<") => head,
        _ => shown,
    };
    let pieces = literal_pieces(written);
    let Some((first, others)) = pieces.split_first() else {
        return false;
    };
    let Some(mut rest) = shown.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some((last, middle)) = others.split_last() else {
        return rest.is_empty();
    };
    for piece in middle {
        match rest.find(piece.as_str()) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

/// The text between its variables, `$NAME` and `${...}`.
fn literal_pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let is_variable = next == '$'
            && rest
                .peek()
                .is_some_and(|c| *c == '{' || *c == '_' || c.is_alphanumeric());
        if !is_variable {
            if let Some(piece) = pieces.last_mut() {
                piece.push(next);
            }
            continue;
        }
        if rest.next_if_eq(&'{').is_some() {
            let _ = rest.by_ref().find(|c| *c == '}');
        } else {
            while rest.next_if(|c| *c == '_' || c.is_alphanumeric()).is_some() {}
        }
        pieces.push(String::new());
    }
    pieces
}

/// The words that end the here-documents that an instruction opens, and whether tabs before them are dropped.
fn heredocs(text: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for opened in text.split("<<").skip(1) {
        // `<<<` is a here-string of the shell.
        if opened.starts_with('<') {
            continue;
        }
        let (word, strips_tabs) = match opened.strip_prefix('-') {
            Some(word) => (word, true),
            None => (opened, false),
        };
        let word: String = word
            .trim_start_matches(['"', '\''])
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if word.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            found.push((word, strips_tabs));
        }
    }
    found
}

/// The `# escape=` directive, which must stand before everything else.
fn escape_character(text: &str) -> char {
    for line in text.lines() {
        let Some(comment) = line.trim().strip_prefix('#') else {
            break;
        };
        match comment.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("escape") => {
                return if value.trim() == "`" { '`' } else { '\\' };
            }
            Some(_) => {}
            None => break,
        }
    }
    '\\'
}

fn is_skipped(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{base_images, instructions, line_of};
    use proptest::prelude::*;

    const SAMPLE: &str = "\
# syntax=docker/dockerfile:1
ARG BASE=alpine
FROM golang:1.22 AS build

RUN go build \\
    # a comment between
    -o /app \\

    ./...
RUN <<EOF
RUN not an instruction
EOF
COPY <<-\"A\" <<B /x/
\tone
\tA
two
B
RUN make
FROM ${BASE}
COPY --from=build /app $TARGET
RUN make
RUN echo '<<<' no heredoc
";

    #[test]
    fn instructions_are_found_across_continuations_and_heredocs() {
        let seen: Vec<(usize, String, Option<usize>)> = instructions(SAMPLE)
            .into_iter()
            .map(|one| (one.line, one.text, one.stage))
            .collect();
        let row = |line: usize, text: &str, stage| (line, text.to_owned(), stage);
        assert_eq!(
            seen,
            [
                row(2, "ARG BASE=alpine", None),
                row(3, "FROM golang:1.22 AS build", Some(0)),
                row(5, "RUN go build -o /app ./...", Some(0)),
                row(10, "RUN <<EOF", Some(0)),
                row(13, "COPY <<-\"A\" <<B /x/", Some(0)),
                row(18, "RUN make", Some(0)),
                row(19, "FROM ${BASE}", Some(1)),
                row(20, "COPY --from=build /app $TARGET", Some(1)),
                row(21, "RUN make", Some(1)),
                row(22, "RUN echo '<<<' no heredoc", Some(1)),
            ]
        );
    }

    #[test]
    fn a_step_is_found_by_its_text_its_stage_or_its_number() {
        for (step, line) in [
            ("[build 2/5] RUN go build     -o /app     ./...", Some(5)),
            ("[build 3/5] RUN <<EOF (RUN not an instruction)", Some(10)),
            ("[build 5/5] RUN make", Some(18)),
            ("[stage-1 3/4] RUN make", Some(21)),
            ("[linux/arm64 stage-1 3/4] RUN make", Some(21)),
            ("[3/4] RUN make", None),
            ("[stage-1 2/4] COPY --from=build /app /usr/bin/app", Some(20)),
            ("Step 6/10 : RUN make", Some(18)),
            ("Step 9/10 : RUN make", Some(21)),
            ("Step 5/10 : RUN make", None),
            ("[internal] load build definition from Dockerfile", None),
            ("exporting to image", None),
            ("[2/2] RUN other", None),
        ] {
            assert_eq!(line_of(SAMPLE, step), line, "{step}");
        }
    }

    #[test]
    fn another_escape_character_continues_lines() {
        let text = "# escape=`\nFROM scratch\nRUN a `\n b\\\nRUN c";
        let lines: Vec<usize> = instructions(text).into_iter().map(|one| one.line).collect();
        assert_eq!(lines, [2, 3, 5]);
    }

    #[test]
    fn bases_are_images_not_stages() {
        let text = "FROM --platform=linux/amd64 a.example.com/x:1 AS one\nFROM one as two\nFROM $X\n\
                    FROM scratch\nFROM busybox\nFROM busybox";
        assert_eq!(base_images(text), ["a.example.com/x:1", "busybox"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*(\n\\PC*){0,6}", step in "\\PC*") {
            let _ = (line_of(&text, &step), base_images(&text));
        }

        #[test]
        fn a_plain_instruction_is_found_where_it_stands(before in 0..20_usize, word in "[a-z]{1,8}") {
            let text = format!("FROM scratch\n{}RUN {word}\n", "# c\n".repeat(before));
            prop_assert_eq!(line_of(&text, &format!("[1/1] RUN {word}")), Some(before + 2));
        }
    }
}
