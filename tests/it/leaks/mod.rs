//! No secret value and no token in anything that is printed, logged or kept by the server.
//!
//! A canary stands in every value; what comes out is searched for all of them, in every form that
//! [`Canary`] knows. Each search is shown to find what is planted for it.

mod careless;
mod command_line;
mod debug;
mod function;
mod public_types;
mod scenes;
mod server;
mod without_secret;

use fourstep_testing::Canary;

/// The values that may appear nowhere, each with its name.
#[derive(Default)]
pub struct Planted(Vec<(String, Canary)>);

impl Planted {
    /// A new value to plant.
    pub fn new_one(&mut self, what: &str) -> String {
        let canary = Canary::new();
        self.0.push((what.to_owned(), canary.clone()));
        canary.value().to_owned()
    }

    /// A value that was made elsewhere.
    pub fn add(&mut self, what: &str, value: &str) {
        let canary = Canary::of(value);
        if !self.0.iter().any(|(_, known)| *known == canary) {
            self.0.push((what.to_owned(), canary));
        }
    }

    /// Everything found in a text, as `the pending password, in base64`.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let forms = Canary::each_found_in(self.0.iter().map(|(_, canary)| canary), text);
        let named = self.0.iter().zip(forms);
        named.filter_map(|((what, _), form)| Some(format!("{what}, {}", form?))).collect()
    }

    /// Fails if any of the values stands in a text.
    pub fn assert_absent(&self, place: &str, text: &str) {
        assert!(!self.0.is_empty(), "nothing is looked for");
        let found = self.found_in(text);
        assert!(found.is_empty(), "{place} shows {found:?}:\n{text}");
    }
}
