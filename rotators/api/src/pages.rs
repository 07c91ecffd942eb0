//! The way from one page of keys to the next.

use std::collections::BTreeMap;

use fourstep::Result;
use serde_json::Value;

use crate::address::Address;
use crate::answer::{Reading, strange};
use crate::spec::{Pages, Parts};

/// Where one page is.
pub(crate) struct Way<'a> {
    first: Parts<'a>,
    pages: Option<&'a Pages>,
    /// What every page's URL begins with, by the specification's.
    base: &'a Address,
    path: String,
    query: BTreeMap<String, String>,
    number: u64,
}

impl<'a> Way<'a> {
    /// The first page.
    pub(crate) fn first(first: Parts<'a>, pages: Option<&'a Pages>, base: &'a Address) -> Self {
        let mut query = first.query.clone();
        let mut number = 0;
        if let Some(Pages::Number { query: name, first }) = pages {
            number = *first;
            query.insert(name.clone(), number.to_string());
        }
        Self { first, pages, base, path: first.path.to_owned(), query, number }
    }

    /// The request for it.
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts { path: &self.path, query: &self.query, ..self.first }
    }

    /// The page behind it, if there is one.
    ///
    /// # Errors
    /// [`fourstep::ErrorKind::Unsupported`] if the answer leads in a circle or to another host.
    pub(crate) fn next(
        &self,
        reading: &Reading,
        header: Option<&str>,
        items: usize,
        seen: usize,
    ) -> Result<Option<Self>> {
        let Some(pages) = self.pages else { return Ok(None) };
        let mut query = self.query.clone();
        let (mut path, mut number) = (self.path.clone(), self.number);
        match pages {
            Pages::Number { .. } | Pages::Offset { .. } if items == 0 => return Ok(None),
            Pages::Number { query: name, .. } => {
                number += 1;
                query.insert(name.clone(), number.to_string());
            }
            Pages::Offset { query: name } => {
                query.insert(name.clone(), seen.to_string());
            }
            Pages::Cursor { query: name, next } => {
                let Some(cursor) = told(reading, next)? else { return Ok(None) };
                // What an answer says is a value, and no placeholder.
                let cursor = escaped(cursor);
                if query.insert(name.clone(), cursor.clone()) == Some(cursor) {
                    return Err(strange(format!("list: {next:?} leads to the same page again")));
                }
            }
            Pages::Link { .. } | Pages::Header => {
                let (link, next) = match pages {
                    Pages::Link { next } => (told(reading, next)?, next.as_str()),
                    _ => (header, "Link"),
                };
                let Some(link) = link else { return Ok(None) };
                let link = self.base.same_origin(link);
                let (to, pairs) = link.split_once('?').unwrap_or((link, ""));
                let below =
                    to.strip_prefix(self.base.path.as_str()).filter(|rest| rest.starts_with('/'));
                let Some(below) = below.filter(|_| !to.starts_with("//")) else {
                    let what = format!("list: {next:?} in the answer is no page below base_url");
                    return Err(strange(what));
                };
                path = escaped(below);
                query = BTreeMap::new();
                for pair in pairs.split('&').filter(|pair| !pair.is_empty()) {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    query.insert(plain(name)?, escaped(&plain(value)?));
                }
                if path == self.path && query == self.query {
                    return Err(strange(format!("list: {next:?} leads to the same page again")));
                }
            }
        }
        Ok(Some(Self { path, query, number, ..*self }))
    }
}

/// What the answer says of the next page; `None` where it says that there is none.
///
/// # Errors
/// [`fourstep::ErrorKind::Unsupported`] for anything else: pages that are not read hide keys.
fn told<'r>(reading: &'r Reading, pointer: &str) -> Result<Option<&'r str>> {
    match reading.0.pointer(pointer) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(_) => reading.text(pointer).map(Some).map_err(|error| error.while_doing("list")),
    }
}

fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

fn plain(text: &str) -> Result<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| strange("list: the link to the next page".to_owned()))?;
    Ok(decoded.into_owned())
}
