//! Symbolic links: which of an archive's stay below its folder, when all of them are there.
//!
//! A target that looks harmless may lead out by way of another link, so each one is followed through the others, as the
//! system would.

use super::names::folded;
use std::collections::BTreeMap;

/// How many links may lead to each other: Linux follows no more.
const LONGEST_CHAIN: usize = 40;

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// It leaves the folder.
    Leaves,
    /// More links lead to each other than any system follows.
    Chain,
}

/// Finds the first link, by name, that may not be made. `links` are the names, tidy, and their targets.
#[must_use]
pub fn find_bad_link(links: &BTreeMap<String, String>) -> Option<(&str, LinkFault)> {
    let mut seen = Seen {
        links: links
            .iter()
            .map(|(name, target)| (folded(name).collect(), (name.as_str(), target.as_str())))
            .collect(),
        known: BTreeMap::new(),
    };
    links.keys().find_map(|name| {
        let fault = match seen.end_of(folded(name).collect(), 1) {
            End::Inside(_) | End::Nowhere => return None,
            End::Leaves => LinkFault::Leaves,
            End::Chain => LinkFault::Chain,
        };
        Some((name.as_str(), fault))
    })
}

/// Where a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// To this path below the folder, in lower case; it may be missing, and is empty for the folder itself.
    Inside(String),
    /// To itself, so that nobody can follow it.
    Nowhere,
    Leaves,
    Chain,
}

struct Seen<'a> {
    links: BTreeMap<String, (&'a str, &'a str)>,
    /// Where links lead to that were followed; `None` for those that are being followed.
    known: BTreeMap<String, Option<End>>,
}

impl Seen<'_> {
    fn end_of(&mut self, link: String, depth: usize) -> End {
        match self.known.get(&link) {
            Some(Some(end)) => return end.clone(),
            // It leads to itself.
            Some(None) => return End::Nowhere,
            None => {}
        }
        if depth > LONGEST_CHAIN {
            return End::Chain;
        }
        let Some(&(name, target)) = self.links.get(&link) else {
            return End::Nowhere;
        };
        self.known.insert(link.clone(), None);
        let end = self.follow(name, target, depth);
        self.known.insert(link, Some(end.clone()));
        end
    }

    fn follow(&mut self, name: &str, target: &str, depth: usize) -> End {
        if target.starts_with('/') {
            return End::Leaves;
        }
        let (folder, _) = name.rsplit_once('/').unwrap_or_default();
        let mut here: String = folded(folder).collect();
        for part in target.split('/') {
            match part {
                "" | "." => {}
                ".." => match here.rfind('/') {
                    Some(above) => here.truncate(above),
                    None if here.is_empty() => return End::Leaves,
                    None => here.clear(),
                },
                part => {
                    if !here.is_empty() {
                        here.push('/');
                    }
                    here.extend(folded(part));
                    if self.links.contains_key(&here) {
                        match self.end_of(here, depth + 1) {
                            End::Inside(there) => here = there,
                            other => return other,
                        }
                    }
                }
            }
        }
        End::Inside(here)
    }
}

#[cfg(test)]
mod tests {
    use super::{LinkFault, find_bad_link};

    fn judge(links: &[(&str, &str)]) -> Option<(String, LinkFault)> {
        let links = links
            .iter()
            .map(|(name, target)| ((*name).to_owned(), (*target).to_owned()));
        let links = links.collect();
        find_bad_link(&links).map(|(name, fault)| (name.to_owned(), fault))
    }

    #[test]
    fn a_link_that_leaves_is_found_whatever_way_it_takes() {
        for (links, bad) in [
            (&[("a", "b")][..], None),
            (&[("a/b", "../c")], None),
            (&[("a", ".")], None),
            (&[("a/b/c", "../../d/./e//f/")], None),
            (&[("a", "missing/../b")], None),
            (&[("a", "..")], Some("a")),
            (&[("a", "/etc")], Some("a")),
            (&[("a/b", "../../c")], Some("a/b")),
            (&[("a", "b/../../c")], Some("a")),
            (&[("a", "b"), ("b", "../c")], Some("a")),
            // Two links that each look as if they went down go up together.
            (&[("d/here", "."), ("out", "d/here/here/../..")], Some("out")),
            (&[("d/e/up", ".."), ("x", "d/e/up/../..")], Some("x")),
            (&[("d/e/up", ".."), ("x", "d/e/up/..")], None),
            (&[("D/here", "."), ("out", "d/HERE/here/../..")], Some("out")),
            (&[("a", "a")], None),
            (&[("a", "b/x"), ("b", "a")], None),
            (&[("a", "b/../../x"), ("b", "b")], None),
        ] {
            assert_eq!(judge(links).map(|(name, _)| name).as_deref(), bad, "{links:?}");
        }
    }

    #[test]
    fn a_chain_is_followed_as_far_as_a_system_does() {
        let chain = |length: usize, last: &str| {
            let mut links: Vec<(String, String)> = (0..length)
                .map(|at| (format!("l{at:03}"), format!("l{:03}", at + 1)))
                .collect();
            links[length - 1].1 = last.to_owned();
            let links: Vec<(&str, &str)> = links.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            judge(&links)
        };
        assert_eq!(chain(40, "file"), None);
        assert_eq!(chain(40, "../file"), Some(("l000".to_owned(), LinkFault::Leaves)));
        assert_eq!(chain(41, "file"), Some(("l000".to_owned(), LinkFault::Chain)));
    }
}
