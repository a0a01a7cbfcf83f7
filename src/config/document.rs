//! Reads TOML text into nodes that know their line; keeps going after a mistake, so that all are reported at once.

use super::written::{Node, Origin, Problem, Table, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parses a document; `origin` names the place of a line.
pub fn parse(text: &str, origin: &dyn Fn(usize) -> Origin) -> (Table, Vec<Problem>) {
    let at = |offset: usize| origin(line_of(text, offset));
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems = errors
        .iter()
        .map(|error| {
            let place = at(error.span().map_or(0, |span| span.start));
            // The parser's message can run over lines; a problem is one.
            let message: Vec<&str> = error.message().lines().map(str::trim).collect();
            Problem::new(place, "", message.join(", "))
        })
        .collect();
    (entries(table.into_inner(), &at), problems)
}

/// The line that a byte is in, counted from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn entries(table: DeTable<'_>, at: &dyn Fn(usize) -> Origin) -> Table {
    table
        .into_iter()
        .map(|(key, value)| {
            // The key's place, not the value's: a table's value starts far away from what names it.
            let origin = at(key.span().start);
            (key.into_inner().into_owned(), node(value, origin, at))
        })
        .collect()
}

fn node(value: Spanned<DeValue<'_>>, origin: Origin, at: &dyn Fn(usize) -> Origin) -> Node {
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("an integer that is too large"), Value::Integer),
        DeValue::Boolean(value) => Value::Boolean(value),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| {
                    let origin = at(item.span().start);
                    node(item, origin, at)
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(entries(table, at)),
        DeValue::Float(_) => Value::Other("a float"),
        DeValue::Datetime(_) => Value::Other("a date"),
    };
    Node { value, origin }
}

#[cfg(test)]
mod tests {
    use super::{Origin, Value, parse};

    fn file(line: usize) -> Origin {
        Origin::File {
            file: "slipway.toml".to_owned(),
            line,
        }
    }

    #[test]
    fn every_value_knows_the_line_of_its_key() {
        let text = "region = \"eu-west-1\"\n\n[image.web]\ntags = [\n  \"a\",\n  \"b\",\n]\n";
        let (table, problems) = parse(text, &file);
        assert!(problems.is_empty());
        assert_eq!(table["region"].origin, file(1));
        let Value::Table(images) = &table["image"].value else {
            panic!("not a table")
        };
        let Value::Table(web) = &images["web"].value else {
            panic!("not a table")
        };
        assert_eq!((&images["web"].origin, &web["tags"].origin), (&file(3), &file(4)));
        let Value::List(tags) = &web["tags"].value else {
            panic!("not a list")
        };
        assert_eq!(tags[1].origin, file(6));
    }

    #[test]
    fn two_mistakes_are_two_problems_with_their_lines() {
        let (_, problems) = parse("a = \nb = 1\nb = 2\n", &file);
        let lines: Vec<&Origin> = problems.iter().map(|problem| &problem.origin).collect();
        assert_eq!(lines, [&file(1), &file(3)]);
        assert!(problems.iter().all(|problem| !problem.text.contains('\n')));
    }
}
