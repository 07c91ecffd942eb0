//! The login: LOGIN7, and what the server says to it.
//!
//! Source: Microsoft, \[MS-TDS\], section 2.2.6.4, "LOGIN7".

use fourstep::users::Login;
use fourstep::{Error, ErrorKind, ExposeSecret, Result, SecretString};

use super::packet::PACKET_SIZE;
use super::{Answer, Channel, Kind, not_sqlserver};
use crate::errors::ServerError;
use crate::session::{Failure, database};
use crate::sql::{LONGEST_NAME, LONGEST_PASSWORD};

/// TDS 7.4, which every server since SQL Server 2012 speaks.
const VERSION: u32 = 0x7400_0004;

/// The part that has always the same length.
const FIXED: usize = 94;

/// OptionFlags1: the database is meant, and none but that will do.
const DATABASE_OR_NOTHING: u8 = 0xe0;

/// OptionFlags2: the settings of ODBC, by which no transaction begins by itself.
const ODBC: u8 = 0x02;

/// OptionFlags3: the password is to be changed.
const CHANGE_PASSWORD: u8 = 0x01;

/// Logs in; with `new`, after the server has made that the password, in place of one that has expired.
///
/// # Errors
/// As [`Failure`]. Of a login without an answer it is not known whether the password was changed.
pub(crate) async fn log_in(
    channel: &mut Channel,
    login: &Login,
    new: Option<&SecretString>,
) -> Result<(), Failure> {
    channel.send(Kind::Login, &message(login, new)?).await?;
    let answer = Answer::read(&channel.receive().await?).ok_or_else(not_sqlserver)?;
    if let Some(refusal) = ServerError::decisive(&answer.errors) {
        return Err(Failure::Refused(refusal));
    }
    match answer.accepted {
        _ if answer.routed => Err(unsupported(
            "the server sends its clients to another one; name that in the secret's \"host\"",
        )),
        Some(VERSION) => Ok(()),
        Some(_) => Err(unsupported("the server is older than SQL Server 2012; upgrade it")),
        None => Err(not_sqlserver().into()),
    }
}

fn unsupported(what: &str) -> Failure {
    Error::new(ErrorKind::Unsupported, what).into()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Refuses names longer than those of the server, before a connection is made.
///
/// # Errors
/// [`ErrorKind::Malformed`], naming the secret's field.
pub(super) fn check_names(login: &Login) -> Result<()> {
    for (field, name) in [("username", login.username.as_str()), ("dbname", database(login))] {
        if utf16(name).len() > LONGEST_NAME * 2 {
            let what = format!(
                "the secret's field {field:?} has more than {LONGEST_NAME} characters, which no name of SQL \
                 Server has; correct the secret; nothing was changed"
            );
            return Err(Error::new(ErrorKind::Malformed, what));
        }
    }
    Ok(())
}

/// A password as it is sent: this hides it from nobody.
fn hidden(password: &SecretString) -> Result<Vec<u8>> {
    let plain = utf16(password.expose_secret());
    if plain.len() > LONGEST_PASSWORD * 2 {
        let what = format!(
            "the password has more than {LONGEST_PASSWORD} characters, which no password of SQL Server \
             has; correct the secret"
        );
        return Err(Error::new(ErrorKind::Unsupported, what));
    }
    Ok(plain.into_iter().map(|byte| byte.rotate_left(4) ^ 0xa5).collect())
}

/// LOGIN7: numbers, where each text is and how many characters it has, the texts.
fn message(login: &Login, new: Option<&SecretString>) -> Result<Vec<u8>> {
    let (none, own) = (Vec::new, || utf16("fourstep"));
    let [client, application, library] = std::array::from_fn(|_| own());
    let [extension, language, sspi, file] = std::array::from_fn(|_| none());
    let (user, mut server) = (utf16(&login.username), utf16(&login.host));
    if server.len() > LONGEST_NAME * 2 {
        // It may be no longer here, and nothing depends on it.
        server.clear();
    }
    let (password, database) = (hidden(&login.password)?, utf16(database(login)));
    let new_password = new.map(hidden).transpose()?.unwrap_or_default();
    let texts = [
        client,
        user,
        password,
        application,
        server,
        extension,
        library,
        language,
        database,
        sspi,
        file,
        new_password,
    ];
    let (mut places, mut data) = (Vec::new(), Vec::new());
    for (number, text) in texts.into_iter().enumerate() {
        // Behind the database stands the client's hardware address.
        places.extend(if number == 9 { &[0; 6][..] } else { &[] });
        for position in [FIXED + data.len(), text.len() / 2] {
            places.extend(u16::try_from(position).unwrap_or(u16::MAX).to_le_bytes());
        }
        data.extend(text);
    }
    let length = u32::try_from(FIXED + data.len()).unwrap_or(u32::MAX);
    let mut message = Vec::new();
    // The version of the client, its process, and a connection before this one.
    for number in [length, VERSION, u32::from(PACKET_SIZE), 0, 0, 0] {
        message.extend(number.to_le_bytes());
    }
    let change = if new.is_some() { CHANGE_PASSWORD } else { 0 };
    message.extend([DATABASE_OR_NOTHING, ODBC, 0, change]);
    // The time zone and the locale.
    message.extend([0; 8]);
    message.extend(places);
    // A longer length of SSPI.
    message.extend([0; 4]);
    message.extend(data);
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet;
    use crate::wire::tokens::tests::{DONE, error};
    use tokio::io::AsyncWriteExt;

    fn login() -> Login {
        Login {
            dbname: Some("shop".to_owned()),
            ..Login::new("db.example", 1433, "app", "p\u{e9}1")
        }
    }

    /// The text at a place of the table.
    fn text(message: &[u8], at: usize) -> Vec<u8> {
        let number = |at: usize| usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
        let (offset, length) = (number(at), number(at + 2));
        message[offset..offset + length * 2].to_vec()
    }

    #[test]
    fn a_login_is_written_as_the_protocol_has_it() {
        let written = message(&login(), None).unwrap();
        assert_eq!(written[..8], [written.len() as u8, 0, 0, 0, 4, 0, 0, 0x74]);
        assert_eq!(written[24..28], [0xe0, 0x02, 0, 0]);
        assert_eq!(text(&written, 40), utf16("app"));
        // p, \u{e9} and 1, of which each byte has its halves changed over, and each other bit.
        assert_eq!(text(&written, 44), [0xa2, 0xa5, 0x3b, 0xa5, 0xb6, 0xa5]);
        assert_eq!(text(&written, 52), utf16("db.example"));
        assert_eq!(text(&written, 68), utf16("shop"));
        assert!(text(&written, 86).is_empty());
        let changing = message(&login(), Some(&"q".into())).unwrap();
        assert_eq!((changing[27], text(&changing, 86)), (1, vec![0xb2, 0xa5]));
    }

    #[test]
    fn a_password_that_is_too_long_is_not_sent() {
        let long = Login { password: "\u{1f600}".repeat(65).into(), ..login() };
        assert_eq!(message(&long, None).unwrap_err().kind(), ErrorKind::Unsupported);
        message(&Login { password: "x".repeat(128).into(), ..login() }, None).unwrap();
    }

    #[test]
    fn a_name_that_is_too_long_is_not_sent() {
        let of = |length, field| {
            let name = "\u{1f600}".repeat(length);
            match field {
                "username" => Login { username: name, ..login() },
                _ => Login { dbname: Some(name), ..login() },
            }
        };
        for field in ["username", "dbname"] {
            check_names(&of(64, field)).unwrap();
            let error = check_names(&of(65, field)).unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
        }
        let host = ["a.".repeat(64), "a".to_owned()].concat();
        assert!(text(&message(&Login { host, ..login() }, None).unwrap(), 52).is_empty());
    }

    async fn answered(tokens: &[u8]) -> Result<(), Failure> {
        let (near, mut far) = tokio::io::duplex(4096);
        let message = packet::packets(Kind::Answer, &[tokens, DONE].concat()).unwrap();
        far.write_all(&message).await.unwrap();
        log_in(&mut Channel::new(Box::new(near)), &login(), None).await
    }

    #[tokio::test]
    async fn only_an_acknowledgement_of_this_version_is_a_login() {
        let ack = |version: u8| [0xad, 10, 0, 1, version, 0, 0, 4, 0, 16, 0, 0, 1];
        answered(&ack(0x74)).await.unwrap();
        let routed = [&ack(0x74)[..], b"\xe3\x01\0\x14"].concat();
        for refused in [&ack(0x73)[..], &routed, b""] {
            assert!(matches!(answered(refused).await, Err(Failure::Lost(_))));
        }
        // Whatever it says besides, an error is none.
        let both = [&ack(0x74)[..], &error(18456, 1)].concat();
        assert!(matches!(answered(&both).await, Err(Failure::Refused(_))));
    }
}
