//! A vendor that makes values anew in their place: two slots, or one value whose predecessors work on
//! for a time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Lost, Wire};

/// How many hours a value that was replaced works on, where there is one: longer than any run of
/// the kit.
const GRACE: u32 = 1_000;

/// An account whose values are made anew, in memory. Clones are the same account.
#[derive(Clone)]
pub struct Rolled {
    wire: Wire,
    slots: Arc<Vec<String>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The value of each slot, or the one.
    values: Vec<String>,
    /// What was replaced, and the hour in which it ends.
    ending: Vec<(String, u32)>,
    made: u32,
    hour: u32,
}

impl State {
    fn make(&mut self) -> String {
        self.made += 1;
        format!("value {} of a slot", self.made)
    }
}

impl Rolled {
    /// An account with two slots, `a` and `b`, at the end of this wire.
    pub fn slots(wire: &Wire) -> Self {
        Self::new(wire, ["a", "b"].map(str::to_owned).to_vec())
    }

    /// An account with one value; one that is replaced works on for a thousand hours.
    pub fn one(wire: &Wire) -> Self {
        Self::new(wire, Vec::new())
    }

    fn new(wire: &Wire, slots: Vec<String>) -> Self {
        let mut state = State::default();
        state.values = (0..slots.len().max(1)).map(|_| state.make()).collect();
        Self { wire: wire.clone(), slots: Arc::new(slots), state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the slots; none where there is one value.
    pub fn names(&self) -> &[String] {
        &self.slots
    }

    fn place(&self, slot: &str) -> usize {
        self.slots.iter().position(|one| one == slot).unwrap_or(0)
    }

    /// What stands in a slot; past the wire.
    pub fn standing(&self, slot: &str) -> String {
        self.state().values.get(self.place(slot)).cloned().unwrap_or_default()
    }

    /// Whether this value lets in; past the wire.
    pub fn accepts(&self, value: &str) -> bool {
        let state = self.state();
        let ending = state.ending.iter().any(|(one, until)| one == value && *until > state.hour);
        ending || state.values.iter().any(|one| one == value)
    }

    /// Whether this value lets in.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn verify(&self, value: &str) -> Result<bool, Lost> {
        self.wire.call("verify a value", || self.accepts(value)).await
    }

    /// What stands in a slot.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn shown(&self, slot: &str) -> Result<String, Lost> {
        self.wire.call(&format!("show slot {slot:?}"), || self.standing(slot)).await
    }

    /// Makes a new value in a slot, whatever stands there.
    ///
    /// # Errors
    /// [`Lost`]: it may have been made.
    pub async fn roll(&self, slot: &str) -> Result<(), Lost> {
        self.wire
            .call(&format!("roll slot {slot:?}"), || {
                let place = self.place(slot);
                let mut state = self.state();
                let (new, until) = (state.make(), state.hour + GRACE);
                if let Some(value) = state.values.get_mut(place) {
                    let old = std::mem::replace(value, new);
                    if self.slots.is_empty() {
                        state.ending.push((old, until));
                    }
                }
            })
            .await
    }

    /// An hour less for what was replaced.
    pub fn hour_passes(&self) {
        self.state().hour += 1;
    }
}

impl fmt::Debug for Rolled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rolled({:?})", self.slots)
    }
}
