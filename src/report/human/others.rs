//! The lines of a run's other services, shortened to their names where a screen has no room for more.

/// A line with nothing but its heading and the services that it names: who failed too is known from nowhere else.
pub fn brief(line: &str) -> String {
    let Some((heading, rest)) = line.split_once(": ") else {
        return line.to_owned();
    };
    if is_list(rest) {
        return line.to_owned();
    }
    // A failure goes on with what it left; other lines have one service in each part.
    let parts = if heading == "also failed" { 1 } else { usize::MAX };
    let named: Vec<&str> = rest.split("; ").take(parts).filter_map(up_to_name).collect();
    if named.is_empty() {
        return line.to_owned();
    }
    format!("{heading}: {}", named.join("; "))
}

/// Shortens lines to their names until they take no more than `room`, the last ones first: the first failures decide.
pub fn fitting(lines: &[String], room: usize, rows: impl Fn(&str) -> usize) -> Vec<String> {
    let mut fitting = lines.to_vec();
    let mut taken: usize = fitting.iter().map(|line| rows(line)).sum();
    for line in fitting.iter_mut().rev() {
        if taken <= room {
            break;
        }
        taken -= rows(line);
        *line = brief(line);
        taken += rows(line);
    }
    fitting
}

/// Whether a text is names in backticks and what separates them.
fn is_list(text: &str) -> bool {
    text.split('`')
        .step_by(2)
        .all(|between| between.trim_matches([',', ';', ' ']).is_empty())
}

/// A part up to the end of its first name.
fn up_to_name(part: &str) -> Option<&str> {
    let start = part.find('`')? + 1;
    let end = start + part.get(start..)?.find('`')?;
    part.get(..=end)
}

#[cfg(test)]
mod tests {
    use super::{brief, fitting};

    #[test]
    fn a_brief_line_names_every_service_and_nothing_else() {
        for (line, expected) in [
            (
                "also failed: tasks of service `api` cannot start: `web` exited; left: `api:1` serves",
                "also failed: tasks of service `api`",
            ),
            ("also failed: `a`, `b`, `c`", "also failed: `a`, `b`, `c`"),
            (
                "goes on unwatched: `mail` (waiting for `x`); `cron` (just begun)",
                "goes on unwatched: `mail`; `cron`",
            ),
            (
                "proven: `api` runs `api:3`; `web` runs `web:2`",
                "proven: `api`; `web`",
            ),
            ("odd: no name", "odd: no name"),
            ("odd: half a `name", "odd: half a `name"),
            ("odd", "odd"),
        ] {
            assert_eq!(brief(line), expected);
        }
    }

    #[test]
    fn the_last_lines_are_shortened_first_and_none_goes() {
        let lines = [
            "also failed: `a` is down and out".to_owned(),
            "proven: `b` runs `b:3` now".to_owned(),
        ];
        let rows = |line: &str| line.chars().count();
        assert_eq!(fitting(&lines, 100, rows), lines);
        assert_eq!(fitting(&lines, 45, rows), [lines[0].as_str(), "proven: `b`"]);
        assert_eq!(fitting(&lines, 10, rows), ["also failed: `a`", "proven: `b`"]);
    }
}
