//! On which line of a specification something stands, by what the parser says of the text.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A specification's text, and where its keys and values begin.
pub(super) struct Lines<'a> {
    text: &'a str,
    root: Option<Spanned<DeTable<'a>>>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, root: DeTable::parse(text).ok() }
    }

    /// Whether a key or a table of this name stands at the top.
    pub(super) fn has(&self, name: &str) -> bool {
        self.root.as_ref().is_some_and(|root| field(root.get_ref(), name).is_some())
    }

    /// The line of a byte, counted from 1.
    pub(super) fn at(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    /// The first line in a table, or below it, where a key or a value holds `needle`; else the table's
    /// own. A table of several is named with its number: `revoke.1`. An empty name is the top of the
    /// text, without its tables.
    pub(super) fn find(&self, table: &str, needle: &str) -> Option<usize> {
        let root = self.root.as_ref()?.get_ref();
        if table.is_empty() {
            let top = root.iter().filter(|(_, value)| value.get_ref().is_str());
            return self.first(self.entries(top, needle).into_iter());
        }
        let mut names = table.split('.');
        let mut found = field(root, names.next()?)?;
        for name in names {
            found = match found.get_ref() {
                DeValue::Table(table) => field(table, name)?,
                DeValue::Array(list) => list.get(name.parse::<usize>().ok()?)?,
                _ => return None,
            };
        }
        let inside = self.holding(found, needle);
        self.first(inside.into_iter()).or_else(|| Some(self.at(found.span().start)))
    }

    fn first(&self, offsets: impl Iterator<Item = usize>) -> Option<usize> {
        offsets.min().map(|offset| self.at(offset))
    }

    fn entries<'t>(
        &self,
        entries: impl Iterator<Item = (&'t Spanned<Cow<'t, str>>, &'t Spanned<DeValue<'t>>)>,
        needle: &str,
    ) -> Vec<usize> {
        let held = entries.flat_map(|(key, value)| {
            let named = !needle.is_empty() && key.get_ref().contains(needle);
            named.then(|| key.span().start).into_iter().chain(self.holding(value, needle))
        });
        held.collect()
    }

    /// Where the keys and values begin that hold this.
    fn holding(&self, value: &Spanned<DeValue<'_>>, needle: &str) -> Vec<usize> {
        let is_here = match value.get_ref() {
            _ if needle.is_empty() => return Vec::new(),
            DeValue::Table(table) => return self.entries(table.iter(), needle),
            DeValue::Array(list) => {
                return list.iter().flat_map(|value| self.holding(value, needle)).collect();
            }
            DeValue::String(text) => text.contains(needle),
            _ => self.text.get(value.span()).is_some_and(|text| text.contains(needle)),
        };
        is_here.then(|| value.span().start).into_iter().collect()
    }
}

fn field<'t, 'a>(table: &'t DeTable<'a>, name: &str) -> Option<&'t Spanned<DeValue<'a>>> {
    table.iter().find(|(key, _)| *key.get_ref() == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"name = "by"

[verify]
method = "GET"

[list]
by = "admin"
ok = [200, 299]

[[revoke]]
path = "/keys/{id}"

[[revoke]]
by = "admin"
path = """
/keys/{id}"""
"#;

    #[test]
    fn what_stands_in_one_table_is_not_found_in_another() {
        let lines = Lines::of(TEXT);
        let found = |table: &str, needle: &str| lines.find(table, needle);
        assert_eq!(found("verify", "by"), Some(3), "its own line: a later table has that key");
        assert_eq!(found("list", "by"), Some(7));
        assert_eq!(found("list", "299"), Some(8));
        assert_eq!(found("revoke.0", "{id}"), Some(11));
        assert_eq!(found("revoke.0", "by"), Some(10), "the first of two");
        assert_eq!(found("revoke.1", "by"), Some(14), "the second of two");
        assert_eq!(found("revoke.1", "{id}"), Some(15), "where the value begins");
        assert_eq!(found("revoke.1", ""), Some(13));
        assert_eq!(found("", "admin"), None, "the top has no such thing, and no line of its own");
        assert_eq!(found("", "name"), Some(1));
        assert_eq!(found("update", "by"), None);
    }
}
