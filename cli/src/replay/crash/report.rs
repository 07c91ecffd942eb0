//! What a run over the points shows: a row for each, and how it all ended.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::points::Point;
use super::verdict::Row;
use crate::account::text::count;
use crate::replay::report::{Report, at, kept};

impl Report<'_> {
    /// Says that the function is at work, before anything is disturbed.
    pub(super) fn repairing(&mut self) -> io::Result<()> {
        self.say(
            "\nAWSCURRENT does not log in, so a rotation is played first that repairs this.\n",
            &json!({"event": "repairing"}),
        )
    }

    /// The points that a healthy rotation has, and how many runs are to follow.
    pub(super) fn counted(&mut self, points: &[Point], chosen: usize) -> io::Result<()> {
        let (count, calls) = (points.len(), points.len() / 2);
        let text = format!(
            "\na healthy rotation made {calls} calls: {count} points; {chosen} to be played, a \
             rotation for each\n\
             \n{:>5}  {:<13} {:<36} {:<7} {:<13} {:<14} {:>7}  verdict\n",
            "point", "step", "call", "when", "what", "ended", "retries"
        );
        self.say(&text, &json!({"event": "counted", "points": count, "played": chosen}))
    }

    pub(super) fn row(&mut self, row: &Row) -> io::Result<()> {
        let Row { point, disturbance, ended, retries, converged, violations, .. } = row;
        let (call, step) = (point.call.to_string(), point.call.step.name());
        let (when, what) = (point.when.name(), disturbance.name());
        let verdict = if violations.is_empty() { "ok" } else { "VIOLATION" };
        let mut text = format!(
            "{:>5}  {step:<13} {call:<36} {when:<7} {what:<13} {ended:<14} {retries:>7}  {verdict}\n",
            point.number
        );
        for violation in violations {
            let _ = writeln!(text, "{:>7}{}: {}", "", violation.name, violation.why);
        }
        let violations: Vec<Value> = violations
            .iter()
            .map(|violation| json!({"name": violation.name, "why": violation.why}))
            .collect();
        self.say(
            &text,
            &json!({
                "event": "point",
                "point": point.number,
                "step": step,
                "call": call,
                "when": when,
                "what": what,
                "ended": ended,
                "retries": retries,
                "converged": converged,
                "violations": violations,
            }),
        )
    }

    /// The last words. `settled`: the file holds what is current, and that was seen to log in.
    /// Of the chosen runs `left` were not played, because the last one did not come to its end.
    pub(super) fn summed_up(
        &mut self,
        (played, violations, left): (usize, usize, usize),
        settled: bool,
        journal: &Path,
    ) -> io::Result<()> {
        let mut text = String::new();
        if left > 0 {
            let _ = writeln!(
                text,
                "\n{} not played: the rotation of the last one is still open.",
                count(left, "more point")
            );
        }
        let (points, found) = (count(played, "point"), count(violations, "violation"));
        let file = match (settled, journal.exists()) {
            (false, _) => kept(journal),
            (true, false) => " The secret file holds what is current now.".to_owned(),
            (true, true) => format!(
                " The secret file holds what is current now. {} holds passwords of an earlier \
                 replay that log in as well.",
                journal.display()
            ),
        };
        let _ = writeln!(text, "\n{points} played, {found}.{file}");
        self.say(
            &text,
            &json!({
                "event": "end",
                "ok": violations == 0,
                "played": played,
                "violations": violations,
                "not_played": left,
                "journal": at(journal),
            }),
        )
    }
}
