//! A secret's value as the service stores it: a text or bytes.

use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// A stored value. `Debug` shows which of the two it is and nothing more.
///
/// Source: Secrets Manager API reference, GetSecretValue: a version has SecretString or SecretBinary.
#[derive(Debug, Clone)]
pub enum SecretValue {
    /// SecretString.
    Text(SecretString),
    /// SecretBinary.
    Binary(SecretSlice<u8>),
}

impl SecretValue {
    /// What is stored, in bytes.
    pub fn expose_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.expose_secret().as_bytes(),
            Self::Binary(bytes) => bytes.expose_secret(),
        }
    }

    /// Whether both are of one kind and hold the same.
    pub fn same_as(&self, other: &Self) -> bool {
        let kinds = matches!((self, other), (Self::Text(_), Self::Text(_)))
            || matches!((self, other), (Self::Binary(_), Self::Binary(_)));
        kinds && self.expose_bytes() == other.expose_bytes()
    }
}

impl From<&str> for SecretValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<SecretString> for SecretValue {
    fn from(text: SecretString) -> Self {
        Self::Text(text)
    }
}
