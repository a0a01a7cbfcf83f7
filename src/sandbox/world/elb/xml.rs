//! Writes the XML inside an answer's `<...Result>`.

use quick_xml::escape::escape;

/// `<name>text</name>`, the text escaped.
pub fn text(name: &str, text: impl AsRef<str>) -> String {
    element(name, &escape(text.as_ref()))
}

/// `<name>inner</name>`, the inner XML as it is.
pub fn element(name: &str, inner: &str) -> String {
    format!("<{name}>{inner}</{name}>")
}

/// A list in the query protocol's way: `<name><member>..</member></name>`.
pub fn list(name: &str, members: impl IntoIterator<Item = String>) -> String {
    let members: String = members
        .into_iter()
        .map(|member| element("member", &member))
        .collect();
    element(name, &members)
}

#[cfg(test)]
mod tests {
    use super::{list, text};

    #[test]
    fn text_is_escaped_and_lists_have_members() {
        assert_eq!(
            list("Names", [text("Name", "a&b"), text("Name", "<c>")]),
            "<Names><member><Name>a&amp;b</Name></member><member><Name>&lt;c&gt;</Name></member></Names>"
        );
    }
}
