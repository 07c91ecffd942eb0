//! A request before it is sent. Every value is placed in its own way: a segment and a pair are
//! percent-encoded, a header is refused if it cannot be one, JSON is JSON.

use std::cell::Cell;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fourstep::{Error, ErrorKind, Result};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::template;
use crate::address::Address;
use crate::exchange::Expected;
use crate::spec::{ClientCredentials, Hole, Parts, Presentation, Values};

/// What stands for itself in a URL wherever it is: RFC 3986, section 2.3.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request that can be sent more than once.
#[derive(PartialEq, Eq)]
pub(super) struct Draft {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &PLAIN).to_string()
}

fn pairs<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = all.map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The pairs of a query or a form: a list is one pair for each of its items.
fn placed_pairs(
    all: &BTreeMap<String, String>,
    values: &Values<'_>,
) -> Result<Vec<(String, String)>> {
    let mut placed = Vec::new();
    for (name, text) in all {
        let texts = template(text)?.texts(values)?;
        placed.extend(texts.into_iter().map(|text| (name.clone(), text)));
    }
    Ok(placed)
}

impl Draft {
    /// A request of a specification.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field or the header.
    pub(super) fn of(address: &Address, parts: &Parts<'_>, values: &Values<'_>) -> Result<Self> {
        let mut draft = Self::new(address, parts.method, &path(parts.path, values)?)?;
        draft.query = placed_pairs(parts.query, values)?;
        for (name, text) in parts.headers {
            draft.header(name, &template(text)?.render(values, str::to_owned)?)?;
        }
        if let Some(body) = parts.json {
            let kind = parts.content_type.unwrap_or(CONTENT_TYPE_JSON);
            draft.body(kind, json(body, values)?.to_string())?;
        } else if let Some(form) = parts.form {
            let placed = placed_pairs(form, values)?;
            let form = pairs(placed.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            draft.body(CONTENT_TYPE_FORM, form)?;
        }
        Ok(draft)
    }

    /// The request for a token: RFC 6749, sections 2.3.1 and 4.4.2.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field.
    pub(super) fn of_token(
        address: &Address,
        client: &ClientCredentials,
        values: &Values<'_>,
    ) -> Result<Self> {
        let mut draft = Self::new(address, "POST", &path(&client.path, values)?)?;
        let rendered = |text: &str| template(text)?.render(values, str::to_owned);
        let (id, secret) = (rendered(&client.client_id)?, rendered(&client.client_secret)?);
        let scope = client.scope.as_deref().map(rendered).transpose()?;
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(scope.as_deref().map(|scope| ("scope", scope)));
        let more = client.fields.iter().map(|(name, text)| Ok((name.as_str(), rendered(text)?)));
        let more = more.collect::<Result<Vec<_>>>()?;
        form.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
        if client.in_form {
            form.extend([("client_id", id.as_str()), ("client_secret", secret.as_str())]);
        } else {
            // Here, other than in plain Basic authentication, both are encoded first.
            draft.basic(&encoded(&id), &encoded(&secret))?;
        }
        draft.body(CONTENT_TYPE_FORM, pairs(form.into_iter()))?;
        Ok(draft)
    }

    fn new(address: &Address, method: &str, path: &str) -> Result<Self> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| malformed("the method cannot be used"))?;
        let mut headers = HeaderMap::new();
        let host = HeaderValue::from_str(&address.authority());
        headers.insert(HOST, host.map_err(|_| malformed("the host cannot be used"))?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // Some vendors refuse requests without one.
        headers.insert(USER_AGENT, HeaderValue::from_static("fourstep-rotate-api"));
        let path = format!("{}{path}", address.path);
        Ok(Self { method, path, query: Vec::new(), headers, body: Bytes::new() })
    }

    /// Shows a credential that needs no token.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], naming the field or the header.
    pub(super) fn present(
        &mut self,
        presentation: &Presentation,
        values: &Values<'_>,
    ) -> Result<()> {
        let rendered = |text: &str| template(text)?.render(values, str::to_owned);
        match presentation {
            Presentation::Bearer(token) => self.bearer(&rendered(token)?),
            Presentation::Basic(basic) => {
                let (username, password) = (rendered(&basic.username)?, rendered(&basic.password)?);
                if username.contains(':') {
                    return Err(malformed("a user name with a colon cannot be shown by Basic"));
                }
                self.basic(&username, &password)
            }
            Presentation::Header(named) => self.header(&named.name, &rendered(&named.value)?),
            Presentation::Query(named) => {
                self.query.push((named.name.clone(), rendered(&named.value)?));
                Ok(())
            }
            Presentation::ClientCredentials(_) => Err(malformed("a token was not asked for")),
        }
    }

    /// Shows a token.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if it cannot stand in a header.
    pub(super) fn bearer(&mut self, token: &str) -> Result<()> {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    fn basic(&mut self, username: &str, password: &str) -> Result<()> {
        let pair = STANDARD.encode(format!("{username}:{password}"));
        self.header(AUTHORIZATION.as_str(), &format!("Basic {pair}"))
    }

    fn header(&mut self, name: &str, value: &str) -> Result<()> {
        let refused = || {
            malformed(&format!("what is placed in the header {name:?} cannot stand in a header"))
                .caused_by("it holds a line break, another control character, or is not ASCII")
        };
        let plain = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let mut value = HeaderValue::from_str(value).ok().filter(|_| plain).ok_or_else(refused)?;
        value.set_sensitive(true);
        self.headers.insert(HeaderName::try_from(name).map_err(|_| refused())?, value);
        Ok(())
    }

    fn body(&mut self, content_type: &str, body: String) -> Result<()> {
        let kind = HeaderValue::from_str(content_type);
        let kind = kind.map_err(|_| malformed("the content_type cannot be sent"))?;
        self.headers.insert(CONTENT_TYPE, kind);
        self.body = body.into();
        Ok(())
    }

    /// Goes to the page that the vendor's answer names instead.
    pub(super) fn request(&self) -> Result<Request<Full<Bytes>>> {
        let all = self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let target = match self.query.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, pairs(all)),
        };
        let target: Uri = target.parse().map_err(|_| malformed("the path cannot be used"))?;
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = target;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

const CONTENT_TYPE_JSON: &str = "application/json";
const CONTENT_TYPE_FORM: &str = "application/x-www-form-urlencoded";

/// Whether a server that takes what is encoded for a slash would go up by this, or stay.
fn has_dots(text: &str) -> bool {
    text.split(['/', '\\']).any(|part| part == "." || part == "..")
}

/// A path in which each value is one segment, or part of one. A slash between braces is of a pointer.
///
/// A slash in a value is encoded. A proxy may decode it before it takes the dots out of a path, so that a
/// value with `..` in it would name another resource than the specification does.
fn path(text: &str, values: &Values<'_>) -> Result<String> {
    let mut rendered = String::new();
    let mut in_braces = false;
    let between_segments = |one: char| {
        in_braces = one == '{' || (in_braces && one != '}');
        one == '/' && !in_braces
    };
    for segment in text.split(between_segments).skip(1) {
        let (whole, dots) = (template(segment)?, Cell::new(false));
        let place = |value: &str| {
            dots.set(dots.get() || has_dots(value));
            encoded(value)
        };
        let placed = whole.render(values, place)?;
        // A value may be dots only with what stands beside it.
        let dots = dots.get() || has_dots(&whole.render(values, str::to_owned)?);
        if (placed.is_empty() || dots) && segment.contains('{') {
            return Err(malformed(&format!("{segment} is empty or dots, which is no segment")));
        }
        rendered.push('/');
        rendered.push_str(&placed);
    }
    Ok(rendered)
}

fn object(body: &Map<String, Value>, values: &Values<'_>) -> Result<Map<String, Value>> {
    let mut all = Map::new();
    for (name, value) in body {
        let placed = json(value, values)?;
        if !placed.is_null() || !is_optional(value) {
            all.insert(name.clone(), placed);
        }
    }
    Ok(all)
}

fn is_optional(value: &Value) -> bool {
    value.as_str().is_some_and(|text| template(text).is_ok_and(|one| one.is_optional()))
}

fn json(value: &Value, values: &Values<'_>) -> Result<Value> {
    Ok(match value {
        Value::String(text) => template(text)?.json(values)?,
        Value::Array(list) => {
            let mut all = Vec::new();
            for one in list {
                let placed = json(one, values)?;
                if !placed.is_null() || !is_optional(one) {
                    all.push(placed);
                }
            }
            Value::Array(all)
        }
        Value::Object(fields) => Value::Object(object(fields, values)?),
        other => other.clone(),
    })
}

/// What must stand in the answer to a request, with its placeholders filled in.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the field.
pub(super) fn expected(parts: &Parts<'_>, values: &Values<'_>) -> Result<Vec<Expected>> {
    let placed = |(pointer, value): (&String, &Value)| {
        let from = match value.as_str() {
            Some(text) => template(text)?.holes().next().map(Hole::name),
            None => None,
        };
        Ok(Expected { pointer: pointer.clone(), value: json(value, values)?, from })
    };
    parts.expect.iter().map(placed).collect()
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, what)
}

#[cfg(test)]
mod tests;
