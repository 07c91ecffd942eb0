//! How a credential is shown to a vendor.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One of `bearer`, `basic`, `header`, `query` and `client_credentials`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Presentation {
    /// `Authorization: Bearer VALUE`.
    Bearer(String),
    /// HTTP Basic authentication.
    Basic(Basic),
    /// A header of the vendor's own.
    Header(Named),
    /// A pair in the query. Such a credential may stand in the vendor's logs.
    Query(Named),
    /// OAuth 2.0 client credentials (RFC 6749, section 4.4): a token is asked for, and shown as
    /// Bearer.
    ClientCredentials(ClientCredentials),
}

/// A name and a password.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The name, without a colon.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A header, or a pair of the query.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its name, as it stands.
    pub name: String,
    /// Its value, with placeholders.
    pub value: String,
}

/// Where a token is asked for, and by whom.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// Where the token endpoint is, if not at `base_url`.
    pub base_url: Option<String>,
    /// The token endpoint's path.
    pub path: String,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: String,
    /// The scope asked for, if one is needed.
    pub scope: Option<String>,
    /// Further fields of the form, such as `audience` or `resource`.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// Whether id and secret stand in the form instead of in a Basic header.
    #[serde(default)]
    pub in_form: bool,
    /// The statuses by which the vendor refuses the secret itself.
    #[serde(default = "unauthorized")]
    pub rejected: Vec<u16>,
}

pub(super) fn unauthorized() -> Vec<u16> {
    vec![401]
}

impl Presentation {
    /// Every template in it.
    pub(crate) fn templates(&self) -> Vec<&str> {
        match self {
            Self::Bearer(value) => vec![value],
            Self::Basic(basic) => vec![&basic.username, &basic.password],
            Self::Header(named) | Self::Query(named) => vec![&named.value],
            Self::ClientCredentials(client) => {
                let scope = client.scope.iter().map(String::as_str);
                [client.path.as_str(), &client.client_id, &client.client_secret]
                    .into_iter()
                    .chain(scope)
                    .chain(client.fields.values().map(String::as_str))
                    .collect()
            }
        }
    }
}
