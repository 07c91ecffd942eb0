//! How a step ended.

/// What a step did, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the step had an effect of its own.
    pub effect: Effect,
    /// One sentence for the log.
    pub why: String,
}

/// Whether a step had an effect of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It did what the step is for.
    Done,
    /// It found that there was nothing left to do.
    Nothing,
}

impl Effect {
    /// The word that stands in the log line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Nothing => "nothing to do",
        }
    }
}

pub(crate) fn done(why: impl Into<String>) -> Outcome {
    Outcome { effect: Effect::Done, why: why.into() }
}

pub(crate) fn nothing(why: impl Into<String>) -> Outcome {
    Outcome { effect: Effect::Nothing, why: why.into() }
}
