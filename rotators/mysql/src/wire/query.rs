//! Statements in the text protocol: one statement, one result.

use fourstep::Result;
use fourstep::net::Stream;

use super::{Channel, Parts, not_mysql};
use crate::errors::ServerError;

/// COM_QUIT.
pub(crate) const QUIT: u8 = 0x01;

/// COM_QUERY.
const QUERY: u8 = 0x03;

/// The most columns that anything asked here has.
const MOST_COLUMNS: u64 = 64;

/// What a cell takes beside its text, and a row beside its cells, with the allocator's share: a hostile
/// server must not fill the memory with very many empty ones.
const CELL: usize = 48;

/// How a server answered a statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The rows, none for a statement that returns none. NULL is `None`.
    Rows(Vec<Vec<Option<String>>>),
    Refused(ServerError),
}

/// Sends a statement and reads the whole answer, of which only the rows to `keep` count towards the
/// most that a server may say.
///
/// # Errors
/// [`ErrorKind::Unreachable`](fourstep::ErrorKind::Unreachable) if the connection broke or the
/// answer makes no sense: whether the statement had an effect is not known then.
pub(crate) async fn query<S: Stream>(
    channel: &mut Channel<S>,
    statement: &str,
    keep: impl Fn(&[Option<String>]) -> bool,
) -> Result<Answer> {
    channel.begin();
    channel.send(&[&[QUERY], statement.as_bytes()].concat()).await?;
    let first = channel.receive().await?;
    let columns = match first.split_first() {
        Some((0x00, _)) => return Ok(Answer::Rows(Vec::new())),
        Some((0xff, _)) => return Ok(Answer::Refused(ServerError::parse(&first))),
        // 0xfb asks for a local file, which is nobody's to have; it is no count either.
        _ => Parts::of(&first).counted_number().flatten().ok_or_else(not_mysql)?,
    };
    if columns > MOST_COLUMNS {
        return Err(not_mysql());
    }
    // What the columns are called is known here; behind their definitions stands an EOF.
    for _ in 0..=columns {
        channel.receive().await?;
    }
    let mut rows = Vec::new();
    loop {
        let payload = channel.receive().await?;
        match payload.split_first() {
            Some((0xff, _)) => return Ok(Answer::Refused(ServerError::parse(&payload))),
            Some((0xfe, rest)) if rest.len() < 8 => return Ok(Answer::Rows(rows)),
            _ => {
                let row = row(&payload, columns).ok_or_else(not_mysql)?;
                if keep(&row) {
                    channel.count(row.len().saturating_add(1).saturating_mul(CELL))?;
                    rows.push(row);
                } else {
                    channel.forget(&payload);
                }
            }
        }
    }
}

fn row(payload: &[u8], columns: u64) -> Option<Vec<Option<String>>> {
    let mut parts = Parts::of(payload);
    let row: Option<Vec<_>> = (0..columns)
        .map(|_| {
            let cell = parts.counted_bytes()?;
            Some(cell.map(|text| String::from_utf8_lossy(text).into_owned()))
        })
        .collect();
    row.filter(|_| parts.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to a statement of a server that sends these payloads.
    async fn answer(payloads: &[&[u8]]) -> Result<Answer> {
        answer_for(payloads, |_| true).await
    }

    async fn answer_for(
        payloads: &[&[u8]],
        keep: impl Fn(&[Option<String>]) -> bool,
    ) -> Result<Answer> {
        let (near, far) = tokio::io::duplex(4096);
        let (mut near, mut far) = (Channel::new(near), Channel::new(far));
        let serve = async {
            assert_eq!(far.receive().await.unwrap(), b"\x03SELECT 1");
            for payload in payloads {
                // Nobody may be listening any more.
                let _ = far.send(payload).await;
            }
            drop(far);
        };
        let ask = async move { query(&mut near, "SELECT 1", keep).await };
        tokio::join!(ask, serve).0
    }

    #[tokio::test]
    async fn rows_are_read_and_null_is_told_from_empty() {
        let end = b"\xfe\0\0\x02\0";
        let rows = answer(&[b"\x02", b"def", b"def", end, b"\x02ab\xfb", b"\0\x01c", end]).await;
        let text = |text: &str| Some(text.to_owned());
        let expected = vec![vec![text("ab"), None], vec![text(""), text("c")]];
        assert_eq!(rows.unwrap(), Answer::Rows(expected));
        assert_eq!(answer(&[b"\0\0\0\x02\0\0\0"]).await.unwrap(), Answer::Rows(Vec::new()));
    }

    #[tokio::test]
    async fn rows_that_are_not_kept_do_not_count_but_those_that_are_do() {
        let long = [&[0xfd, 0, 0, 1][..], &[b'x'; 0x01_0000]].concat();
        let end = b"\xfe\0\0\x02\0";
        let mut payloads: Vec<&[u8]> = vec![b"\x01", b"def", end];
        payloads.extend([long.as_slice(); 40]);
        payloads.extend([&b"\x04kept"[..], end]);
        let short = |row: &[Option<String>]| row.iter().flatten().all(|cell| cell.len() < 9);
        let kept = answer_for(&payloads, short).await.unwrap();
        assert_eq!(kept, Answer::Rows(vec![vec![Some("kept".to_owned())]]));
        let error = answer(&payloads).await.unwrap_err().to_string();
        assert!(error.contains("it sends more than any server does"), "{error}");
    }

    #[tokio::test]
    async fn an_error_may_come_at_the_beginning_or_in_the_middle() {
        let error: &[u8] = b"\xff\x25\x05#HY000gone";
        let end = b"\xfe\0\0\x02\0";
        for payloads in [&[error][..], &[b"\x01", b"def", end, b"\x01a", error]] {
            let Answer::Refused(refusal) = answer(payloads).await.unwrap() else {
                panic!("not refused");
            };
            assert_eq!((refusal.number, refusal.state.as_str()), (1317, "HY000"));
        }
    }

    #[tokio::test]
    async fn an_answer_that_makes_no_sense_is_no_server_s() {
        let end = b"\xfe\0\0\x02\0";
        for payloads in [
            // A local file, please.
            &[&b"\xfb/etc/passwd"[..]][..],
            &[b"\xff"],
            &[b"\x01", b"def", end, b"\x09a"],
            &[b"\x01", b"def", end, b"\x01ab"],
            &[b"\xfd\xff\xff\xff"],
            &[b"\x01"],
        ] {
            match answer(payloads).await {
                Err(_) => {}
                Ok(Answer::Refused(refusal)) => assert_eq!(refusal.number, 0),
                Ok(rows) => panic!("{rows:?}"),
            }
        }
    }
}
