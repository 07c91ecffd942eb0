//! What the database server saw of a function: its own log, which no function can embellish.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// A PostgreSQL server's log, with `log_connections = on` and the messages in English.
#[derive(Debug, Clone)]
pub struct ServerLog {
    /// Where the log is.
    pub path: PathBuf,
    /// The user whose logins count.
    pub user: String,
}

/// Logins since a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logins {
    /// Connections that got as far as a password, refused ones included.
    pub connections: usize,
    /// Those that were refused.
    pub failed: usize,
}

impl ServerLog {
    /// Where the log ends now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn end(&self) -> io::Result<u64> {
        Ok(std::fs::metadata(&self.path)?.len())
    }

    /// The user's logins behind this place.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn logins_since(&self, end: u64) -> io::Result<Logins> {
        let mut file = std::fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(end))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(count(&String::from_utf8_lossy(&bytes), &self.user))
    }
}

fn count(log: &str, user: &str) -> Logins {
    let accepted = format!("connection authorized: user={user} ");
    let refused = format!("password authentication failed for user \"{user}\"");
    let lines_with = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    let failed = lines_with(&refused);
    Logins { connections: lines_with(&accepted) + failed, failed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_users_own_logins_count() {
        let log = "\
            ... LOG:  connection received: host=127.0.0.1 port=4\n\
            ... LOG:  connection authenticated: identity=\"app\" method=scram-sha-256\n\
            ... LOG:  connection authorized: user=app database=shop SSL enabled (protocol=TLSv1.3)\n\
            ... LOG:  connection authorized: user=app2 database=shop\n\
            ... FATAL:  password authentication failed for user \"app\"\n\
            ... DETAIL:  Connection matched pg_hba.conf line 9\n";
        assert_eq!(count(log, "app"), Logins { connections: 2, failed: 1 });
        assert_eq!(count(log, "app2"), Logins { connections: 1, failed: 0 });
    }
}
