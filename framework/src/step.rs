//! The four steps of a rotation, by name.

use std::fmt;

/// One of the four steps of a rotation.
///
/// Displayed in the camelCase that Secrets Manager sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Propose the next secret and store it as AWSPENDING.
    Create,
    /// Make the pending secret work at the target.
    Set,
    /// Prove that the pending secret works.
    Test,
    /// Move AWSCURRENT to the pending version.
    Finish,
}

impl Step {
    /// The four steps in the order in which Secrets Manager calls them.
    pub const ALL: [Self; 4] = [Self::Create, Self::Set, Self::Test, Self::Finish];

    /// The step's name as Secrets Manager sends it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }

    /// Reads a step's name, in the camelCase of real events or the snake_case of AWS's guide;
    /// `None` for any other name.
    ///
    /// ```
    /// use fourstep::Step;
    /// assert_eq!(Step::parse("set_secret"), Some(Step::Set));
    /// assert_eq!(Step::parse("SetSecret"), None);
    /// ```
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "createSecret" | "create_secret" => Some(Self::Create),
            "setSecret" | "set_secret" => Some(Self::Set),
            "testSecret" | "test_secret" => Some(Self::Test),
            "finishSecret" | "finish_secret" => Some(Self::Finish),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
