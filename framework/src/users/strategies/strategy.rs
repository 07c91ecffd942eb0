//! The strategies by their names.

use crate::rotator::Form;

/// How a user's password is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The user changes its own password; the old one dies.
    SingleUser,
    /// The admin of `masterarn` changes it.
    SingleUserByAdmin,
    /// The admin keeps two users equal, and the secret names them in turn.
    AlternatingUsers,
    /// One user with two passwords, of which the old one dies a rotation later.
    DualPassword,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 4] =
        [Self::SingleUser, Self::SingleUserByAdmin, Self::AlternatingUsers, Self::DualPassword];

    /// As `ROTATION_STRATEGY` and the tag name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleUser => "single-user",
            Self::SingleUserByAdmin => "single-user-by-admin",
            Self::AlternatingUsers => "alternating-users",
            Self::DualPassword => "dual-password",
        }
    }

    /// Which passwords live beside each other, where a user has one that is replaced.
    pub(super) fn form(self) -> Form {
        match self {
            Self::SingleUser | Self::SingleUserByAdmin => Form::OnePassword,
            Self::AlternatingUsers => Form::TwoUsers,
            Self::DualPassword => Form::TwoPasswords,
        }
    }
}
