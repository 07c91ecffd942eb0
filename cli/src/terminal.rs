//! What a person sees on a terminal: lines no wider than it is, and the words that matter in colour.

use std::io::{self, IsTerminal, Write};

/// Narrower than this, columns of a table would not be told apart.
const NARROWEST: usize = 60;

/// What must be left for the last column, in characters, to continue its text below it.
const LEAST_COLUMN: usize = 30;

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

/// Standard output for a person: if it is a terminal, as wide as that, and with colours unless
/// `NO_COLOR` is set or the terminal has none. Otherwise as it is.
pub fn stdout() -> Box<dyn Write> {
    let out = io::stdout();
    if !out.is_terminal() {
        return Box::new(out);
    }
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let width = terminal_size::terminal_size_of(&out).map(|(width, _)| usize::from(width.0));
    let (width, colour) = (width.map(|width| width.max(NARROWEST)), !set("NO_COLOR") && !dumb);
    Box::new(Terminal { out, width, colour, line: Vec::new() })
}

struct Terminal<W> {
    out: W,
    width: Option<usize>,
    colour: bool,
    /// What came since the last line ended.
    line: Vec<u8>,
}

impl<W: Write> Write for Terminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                None => self.line.extend(part),
                Some(end) => {
                    self.line.extend(end);
                    let line = std::mem::take(&mut self.line);
                    let line = shown(&String::from_utf8_lossy(&line), self.width, self.colour);
                    writeln!(self.out, "{line}")?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&std::mem::take(&mut self.line))?;
        self.out.flush()
    }
}

/// A line, broken at this width and coloured.
fn shown(line: &str, width: Option<usize>, colour: bool) -> String {
    let mut lines = width.map_or_else(|| vec![line.to_owned()], |width| broken(line, width));
    if !colour {
        return lines.join("\n");
    }
    if line.starts_with("The cause: ") {
        return format!("{RED}{}{PLAIN}", lines.join("\n"));
    }
    let mut words = line.split_whitespace();
    let word = match (words.next(), words.next(), line.trim_end().rsplit("  ").next()) {
        (Some("fails"), ..) => Some(("fails", RED)),
        (Some("warns"), ..) => Some(("warns", YELLOW)),
        (Some(_), Some("failed"), _) => Some(("failed", RED)),
        (Some(_), Some("done"), _) => Some(("done", GREEN)),
        (.., Some(last)) if last.trim() == "yes" => Some(("yes", GREEN)),
        _ => None,
    };
    if let (Some((word, paint)), Some(first)) = (word, lines.first_mut()) {
        *first = first.replacen(&format!("{word} "), &format!("{paint}{word}{PLAIN} "), 1);
        if let Some(before) = first.strip_suffix(word) {
            *first = format!("{before}{paint}{word}{PLAIN}");
        }
    }
    lines.join("\n")
}

/// A line in parts that are no wider than this. What stands between backticks is a command, which must
/// stay in one piece to be copied; a single word is never broken either. The text of a table's last
/// column goes on below it.
fn broken(line: &str, width: usize) -> Vec<String> {
    if line.chars().count() <= width {
        return vec![line.to_owned()];
    }
    let column =
        line.rfind("  ").map_or(0, |at| line.get(..at + 2).map_or(0, |s| s.chars().count()));
    let margin = line.chars().take_while(|c| *c == ' ').count();
    let below = match column {
        column if column > margin && column + LEAST_COLUMN <= width => column,
        _ => margin + 2,
    };
    let (mut lines, mut last, mut length, mut code) = (Vec::new(), String::new(), 0, false);
    for (number, word) in line.split(' ').enumerate() {
        let count = word.chars().count();
        let fits = number == 0 || code || length + 1 + count <= width;
        if !fits && length > below {
            lines.push(std::mem::replace(&mut last, " ".repeat(below)));
            length = below;
        } else if number > 0 {
            last.push(' ');
            length += 1;
        }
        last.push_str(word);
        length += count;
        code ^= word.matches('`').count() % 2 == 1;
    }
    lines.push(last);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_goes_on_below_its_column_and_a_command_stays_whole() {
        let row =
            "    b42f45fc   AWSCURRENT               unknown: cannot reach the server at all now";
        assert_eq!(
            broken(row, 70),
            [
                "    b42f45fc   AWSCURRENT               unknown: cannot reach the",
                "                                        server at all now",
            ]
        );
        let advice =
            "turn it on, or run `aws secretsmanager get-secret-value --secret-id app/db` and look";
        let parts = broken(advice, 60);
        assert_eq!(parts.len(), 2, "{parts:?}");
        assert!(parts.iter().any(|part| part.matches('`').count() == 2), "{parts:?}");
        assert_eq!(parts.join("\n").split_whitespace().collect::<Vec<_>>().join(" "), advice);
        for short in ["", "short", "  two words"] {
            assert_eq!(broken(short, 60), [short]);
        }
        let long = "x".repeat(99);
        assert_eq!(broken(&long, 60), [long.as_str()]);
    }

    #[test]
    fn what_matters_is_in_colour_and_nothing_without_it() {
        for (line, painted) in [
            (
                "  setSecret     done     3.1 ms  x",
                "  setSecret     \u{1b}[32mdone\u{1b}[0m     3.1 ms  x",
            ),
            (
                "  setSecret     failed   3.1 ms  x",
                "  setSecret     \u{1b}[31mfailed\u{1b}[0m   3.1 ms  x",
            ),
            (
                "    b42f45fc   AWSCURRENT    yes",
                "    b42f45fc   AWSCURRENT    \u{1b}[32myes\u{1b}[0m",
            ),
            ("    b42f45fc   AWSPENDING    no", "    b42f45fc   AWSPENDING    no"),
            ("fails  Tls: no", "\u{1b}[31mfails\u{1b}[0m  Tls: no"),
            ("The cause: Tls", "\u{1b}[31mThe cause: Tls\u{1b}[0m"),
        ] {
            assert_eq!(shown(line, None, true), painted);
            assert_eq!(shown(line, None, false), line);
        }
    }

    #[test]
    fn lines_come_out_whole_however_they_are_written() {
        let mut terminal =
            Terminal { out: Vec::new(), width: Some(60), colour: false, line: Vec::new() };
        for part in ["one", " line\nan", "other\n", "unended"] {
            terminal.write_all(part.as_bytes()).unwrap();
        }
        assert_eq!(terminal.out, b"one line\nanother\n");
        terminal.flush().unwrap();
        assert_eq!(terminal.out, b"one line\nanother\nunended");
    }
}
