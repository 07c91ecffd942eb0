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
    /// How often a value that was made must be asked for until it is shown, and until it is let in.
    delay: u32,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The value of each slot, or the one.
    values: Vec<Value>,
    /// What was replaced, and the hour in which it ends.
    ending: Vec<(String, u32)>,
    made: u32,
    hour: u32,
}

struct Value {
    value: String,
    /// What is shown in its place until it was asked for often enough.
    before: String,
    /// How often it was asked for, by its slot and by itself.
    shown: u32,
    asked: u32,
}

impl State {
    fn make(&mut self, before: String) -> Value {
        self.made += 1;
        let value = format!("value {} of a slot", self.made);
        Value { value, before, shown: 0, asked: 0 }
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
        for _ in 0..slots.len().max(1) {
            let first = state.make(String::new());
            state.values.push(Value { shown: u32::MAX, asked: u32::MAX, ..first });
        }
        let state = Arc::new(Mutex::new(state));
        Self { wire: wire.clone(), slots: Arc::new(slots), delay: 0, state }
    }

    /// The same where what one part of the vendor made, another learns late: a value must be asked for
    /// so often until it is shown, and until it is let in. The one that it replaced in a slot is dead
    /// at once.
    pub fn late(self, delay: u32) -> Self {
        Self { delay, ..self }
    }

    /// Whether a new value begins to work only after it was asked for.
    pub fn learns_late(&self) -> bool {
        self.delay > 0
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
        let state = self.state();
        state.values.get(self.place(slot)).map(|one| one.value.clone()).unwrap_or_default()
    }

    /// Whether this value lets in; past the wire.
    pub fn accepts(&self, value: &str) -> bool {
        let state = self.state();
        let ending = state.ending.iter().any(|(one, until)| one == value && *until > state.hour);
        ending || state.values.iter().any(|one| one.value == value && one.asked >= self.delay)
    }

    /// Whether this value lets in.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn verify(&self, value: &str) -> Result<bool, Lost> {
        self.wire
            .call("verify a value", || {
                let accepted = self.accepts(value);
                let mut state = self.state();
                for one in state.values.iter_mut().filter(|one| one.value == value) {
                    one.asked = one.asked.saturating_add(1);
                }
                accepted
            })
            .await
    }

    /// What stands in a slot.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn shown(&self, slot: &str) -> Result<String, Lost> {
        self.wire
            .call(&format!("show slot {slot:?}"), || {
                let place = self.place(slot);
                let mut state = self.state();
                let Some(one) = state.values.get_mut(place) else { return String::new() };
                one.shown = one.shown.saturating_add(1);
                if one.shown > self.delay { one.value.clone() } else { one.before.clone() }
            })
            .await
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
                let Some(old) = state.values.get(place).map(|one| one.value.clone()) else {
                    return;
                };
                let (new, until) = (state.make(old.clone()), state.hour + GRACE);
                if let Some(value) = state.values.get_mut(place) {
                    *value = new;
                }
                if self.slots.is_empty() {
                    state.ending.push((old, until));
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
