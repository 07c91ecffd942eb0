//! The items of a list, taken out of an answer while it comes: a list may be longer than the memory.

use fourstep::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::answer::strange;

/// The longest item, and the longest answer without its items.
const LONGEST: usize = 1024 * 1024;

/// Reads one answer. What stands beside the items is kept, with an empty list in their place.
pub(crate) struct Items<'a> {
    each: &'a mut (dyn FnMut(Value) -> Result<()> + Send),
    pointer: &'a str,
    /// The way to where we are: for an object the name of its value, for a list the number.
    path: Vec<Place>,
    rest: Vec<u8>,
    item: Vec<u8>,
    /// Where in `rest` the text that is being read begins.
    text: usize,
    state: State,
    /// How many lists stood at the pointer, and how many items in them.
    pub(crate) lists: usize,
    pub(crate) count: usize,
}

enum Place {
    Object(String),
    List(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    Text {
        escaped: bool,
    },
    /// In the list, between two items.
    Items,
    /// In an item: how deep, and in a text of it.
    Item {
        depth: usize,
        text: bool,
        escaped: bool,
    },
}

impl<'a> Items<'a> {
    /// The items of the list at `pointer` go to `each`.
    pub(crate) fn new(
        pointer: &'a str,
        each: &'a mut (dyn FnMut(Value) -> Result<()> + Send),
    ) -> Self {
        let (path, rest, item) = (Vec::new(), Vec::new(), Vec::new());
        let state = State::Between;
        Self { each, pointer, path, rest, item, text: 0, state, lists: 0, count: 0 }
    }

    /// The answer without its items.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.rest)
    }

    /// The next bytes of the answer.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if an item is no JSON, or too long; those of `each`.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        for byte in bytes {
            self.byte(*byte)?;
        }
        match self.rest.len().max(self.item.len()) > LONGEST {
            false => Ok(()),
            true => Err(Error::new(
                ErrorKind::Unsupported,
                format!("more than {LONGEST} bytes of the answer are no list's items"),
            )),
        }
    }

    fn byte(&mut self, byte: u8) -> Result<()> {
        match &mut self.state {
            State::Item { depth, text, escaped } => {
                match byte {
                    _ if *escaped => *escaped = false,
                    b'\\' if *text => *escaped = true,
                    b'"' => *text = !*text,
                    _ if *text => {}
                    b'{' | b'[' => *depth += 1,
                    b',' | b']' if *depth == 0 => {
                        self.end_item()?;
                        if byte == b']' {
                            self.rest.push(byte);
                            self.state = State::Between;
                        }
                        return Ok(());
                    }
                    b'}' | b']' => *depth = depth.saturating_sub(1),
                    _ => {}
                }
                self.item.push(byte);
            }
            State::Items => match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b']' => {
                    self.rest.push(byte);
                    self.state = State::Between;
                }
                _ => {
                    self.state = State::Item { depth: 0, text: false, escaped: false };
                    self.byte(byte)?;
                }
            },
            State::Text { escaped } => {
                match byte {
                    _ if *escaped => *escaped = false,
                    b'\\' => *escaped = true,
                    b'"' => self.state = State::Between,
                    _ => {}
                }
                self.rest.push(byte);
            }
            State::Between => self.between(byte),
        }
        Ok(())
    }

    fn between(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.text = self.rest.len();
                self.state = State::Text { escaped: false };
            }
            // What stood before is the name of what comes.
            b':' => {
                let name = self.rest.get(self.text..).unwrap_or_default();
                let name = serde_json::from_slice(name).unwrap_or_default();
                if let Some(Place::Object(at)) = self.path.last_mut() {
                    *at = name;
                }
            }
            b',' => {
                if let Some(Place::List(at)) = self.path.last_mut() {
                    *at += 1;
                }
            }
            b'[' if self.is_here() => {
                self.lists += 1;
                self.state = State::Items;
            }
            b'{' => self.path.push(Place::Object(String::new())),
            b'[' => self.path.push(Place::List(0)),
            b'}' | b']' => drop(self.path.pop()),
            _ => {}
        }
        self.rest.push(byte);
    }

    /// Whether what begins is what the pointer names (RFC 6901).
    fn is_here(&self) -> bool {
        let mut tokens = self.pointer.split('/').skip(1);
        let mut places = self.path.iter();
        loop {
            match (tokens.next(), places.next()) {
                (None, None) => return true,
                (Some(token), Some(Place::Object(at)))
                    if token.replace("~1", "/").replace("~0", "~") == *at => {}
                (Some(token), Some(Place::List(at))) if *token == at.to_string() => {}
                _ => return false,
            }
        }
    }

    fn end_item(&mut self) -> Result<()> {
        let item = serde_json::from_slice(&self.item);
        self.item.clear();
        self.state = State::Items;
        self.count += 1;
        (self.each)(item.map_err(|_| strange("list: an item is no JSON".to_owned()))?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is read of a text that comes in pieces so long.
    fn read(text: &str, pointer: &str, piece: usize) -> Result<(Vec<Value>, Vec<u8>)> {
        let mut all = Vec::new();
        let mut each = |item| {
            all.push(item);
            Ok(())
        };
        let mut items = Items::new(pointer, &mut each);
        for piece in text.as_bytes().chunks(piece) {
            items.feed(piece)?;
        }
        let rest = items.rest();
        Ok((all, rest))
    }

    #[test]
    fn items_are_found_wherever_the_list_is() {
        for (text, pointer, items, rest) in [
            ("[1, \"a,]\\\"\", {\"b\":[2]}]", "", "[1,\"a,]\\\"\",{\"b\":[2]}]", "[]"),
            (
                r#"{"a":[[],{"k~/":[7]}],"n":"x"}"#,
                "/a/1/k~0~1",
                "[7]",
                r#"{"a":[[],{"k~/":[]}],"n":"x"}"#,
            ),
            (
                r#"{"x":{"keys":[1]},"keys":[ ],"next":null}"#,
                "/keys",
                "[]",
                r#"{"x":{"keys":[1]},"keys":[],"next":null}"#,
            ),
            (r#"{"\u006beys":[1]}"#, "/keys", "[1]", r#"{"\u006beys":[]}"#),
        ] {
            for piece in [1, 2, 7, 1000] {
                let (all, left) = read(text, pointer, piece).unwrap();
                assert_eq!(Value::Array(all).to_string(), items, "{text}");
                assert_eq!(String::from_utf8(left).unwrap(), rest, "{text}");
            }
        }
    }

    /// Bounded: of a list of any length one item is held at a time.
    #[test]
    fn a_list_of_any_length_needs_the_memory_of_one_item() {
        let mut count = 0;
        let mut each = |_| {
            count += 1;
            Ok(())
        };
        let mut items = Items::new("/keys", &mut each);
        items.feed(b"{\"keys\":[").unwrap();
        for number in 0..50_000 {
            items
                .feed(format!(r#"{{"id":"id{number}","name":"{}"}},"#, "n".repeat(100)).as_bytes())
                .unwrap();
            assert!(items.rest.capacity() + items.item.capacity() < 1024);
        }
        items.feed(b"1],\"next\":2}").unwrap();
        assert_eq!(items.rest(), b"{\"keys\":[],\"next\":2}");
        assert_eq!(count, 50_001);
        let long = format!("{{\"keys\":[\"{}", "x".repeat(LONGEST));
        assert!(read(&long, "/keys", 1000).is_err());
        assert!(read(&long, "/other", 1000).is_err());
        assert!(read("{\"keys\":[nothing]}", "/keys", 9).is_err());
    }

    proptest! {
        #[test]
        fn what_is_read_in_pieces_is_what_is_read_at_once(
            names in prop::collection::vec("[\\PC\"\\\\\\[\\],{}:]{0,9}", 0..6),
            before in "\\PC{0,9}", piece in 1_usize..20,
        ) {
            let list: Vec<Value> = names.iter().map(|name| serde_json::json!({"n": name, "l": [name]})).collect();
            let whole = serde_json::json!({"before": [before], "keys": list, "next": names});
            let (all, rest) = read(&whole.to_string(), "/keys", piece).unwrap();
            let rest: Value = serde_json::from_slice(&rest).unwrap();
            prop_assert_eq!(&all, whole["keys"].as_array().unwrap());
            prop_assert_eq!(&rest["next"], &whole["next"]);
        }
    }
}
