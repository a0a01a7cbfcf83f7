//! References to variables in an action's configuration: `#{Namespace.Name}`.

use std::collections::BTreeMap;

/// Variables by namespace and name.
pub type Variables = BTreeMap<String, BTreeMap<String, String>>;

/// The most bytes of an action's resolved configuration.
const MOST_BYTES: usize = 100 * 1024;

/// The references in a text, each a namespace and a name, in order.
pub fn references(text: &str) -> Vec<(&str, &str)> {
    pieces(text)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Reference(namespace, name) => Some((namespace, name)),
        })
        .collect()
}

/// A configuration with every reference replaced.
///
/// # Errors
/// What can not be resolved, as the action's failure tells it.
pub fn resolve(
    configuration: &BTreeMap<String, String>,
    variables: &Variables,
) -> Result<BTreeMap<String, String>, String> {
    let mut resolved = BTreeMap::new();
    let mut bytes = 0;
    for (key, value) in configuration {
        let mut text = String::new();
        for piece in pieces(value) {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Reference(namespace, name) => {
                    let found = variables.get(namespace).and_then(|of| of.get(name));
                    text.push_str(found.ok_or_else(|| {
                        format!(
                            "The variable '#{{{namespace}.{name}}}' in configuration '{key}' could not be resolved"
                        )
                    })?);
                }
            }
        }
        bytes += key.len() + text.len();
        resolved.insert(key.clone(), text);
    }
    if bytes > MOST_BYTES {
        return Err(format!(
            "The resolved configuration has {bytes} bytes, and can have {MOST_BYTES}"
        ));
    }
    Ok(resolved)
}

enum Piece<'a> {
    Literal(&'a str),
    Reference(&'a str, &'a str),
}

/// What is no reference stays as it is.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut from, mut look) = (Vec::new(), 0, 0);
    while let Some(at) = text[look..].find("#{").map(|at| look + at) {
        let Some((length, namespace, name)) = reference(&text[at..]) else {
            look = at + 2;
            continue;
        };
        pieces.push(Piece::Literal(&text[from..at]));
        pieces.push(Piece::Reference(namespace, name));
        (from, look) = (at + length, at + length);
    }
    pieces.push(Piece::Literal(&text[from..]));
    pieces
}

/// The reference that a text begins with, and its length.
fn reference(text: &str) -> Option<(usize, &str, &str)> {
    let inside = text.strip_prefix("#{")?;
    let (inside, _) = inside.split_once('}')?;
    let (namespace, name) = inside.split_once('.')?;
    let is_word = |word: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"@-_".contains(&byte);
        !word.is_empty() && word.bytes().all(allowed)
    };
    (is_word(namespace) && is_word(name)).then_some((inside.len() + 3, namespace, name))
}

#[cfg(test)]
mod tests {
    use super::{Variables, references, resolve};
    use std::collections::BTreeMap;

    fn variables() -> Variables {
        let source = BTreeMap::from([("CommitId".to_owned(), "abc".to_owned())]);
        BTreeMap::from([("Source".to_owned(), source)])
    }

    #[test]
    fn references_are_replaced_and_everything_else_stays() {
        for (written, expected) in [
            ("#{Source.CommitId}", "abc"),
            ("a-#{Source.CommitId}-#{Source.CommitId}b", "a-abc-abcb"),
            ("#{Source}", "#{Source}"),
            ("#{Source.}#{.x}", "#{Source.}#{.x}"),
            ("#{#{Source.CommitId}", "#{abc"),
            ("${Source.CommitId} #{", "${Source.CommitId} #{"),
            ("ä#{Source.CommitId}ö", "äabcö"),
        ] {
            let configuration = BTreeMap::from([("Key".to_owned(), written.to_owned())]);
            let resolved = resolve(&configuration, &variables()).unwrap();
            assert_eq!(resolved["Key"], expected, "{written}");
        }
        assert_eq!(references("#{a.b}#{c-d.E_f}"), [("a", "b"), ("c-d", "E_f")]);
    }

    #[test]
    fn what_can_not_be_resolved_is_named_and_too_much_is_refused() {
        let configuration = BTreeMap::from([("Key".to_owned(), "#{Source.Branch}".to_owned())]);
        assert_eq!(
            resolve(&configuration, &variables()).unwrap_err(),
            "The variable '#{Source.Branch}' in configuration 'Key' could not be resolved"
        );
        let big = BTreeMap::from([("Key".to_owned(), "x".repeat(100 * 1024))]);
        assert!(resolve(&big, &variables()).is_err());
    }
}
