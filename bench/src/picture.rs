//! The figures as a picture: bars, drawn as SVG without any tool.

use std::fmt::Write as _;

use crate::figures::{Figures, Row};

/// Which figures are drawn: those that somebody feels.
const DRAWN: [(&str, &str); 4] = [
    ("start of a process to its first poll, median", "Start of a process to its first poll"),
    ("the same in plaintext", "A rotation, a new process for each step"),
    ("CPU", "CPU of such a rotation"),
    ("peak resident memory", "Peak resident memory"),
];

const WIDTH: u32 = 720;
const LEFT: u32 = 150;
const LONGEST: f64 = 440.0;
const BAR: u32 = 18;
const GAP: u32 = 5;

/// Draws the figures.
pub fn draw(figures: &Figures, machine: &str) -> String {
    let mut body = String::new();
    let mut y = 24;
    for (row, title) in drawn(figures) {
        let _ = writeln!(body, "<text x=\"16\" y=\"{y}\" class=\"title\">{title}</text>");
        y = panel(&mut body, &row, y + 10) + 26;
    }
    let _ = writeln!(body, "<text x=\"16\" y=\"{y}\" class=\"note\">{}</text>", escaped(machine));
    let height = y + 14;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <style>text {{ font: 13px sans-serif; fill: #24292f }} .title {{ font-weight: bold }} .note {{ font-size: 11px; fill: #57606a }}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// The rows to draw: rotations and their CPU without TLS, as beside the template.
fn drawn(figures: &Figures) -> Vec<(Row, &'static str)> {
    let rows = figures.rows();
    let mut found = Vec::new();
    for (what, title) in DRAWN {
        let row = match what {
            // The row behind the one that names what is the same.
            "CPU" => rows.iter().skip_while(|row| !row.what.starts_with(what)).nth(1),
            _ => rows.iter().find(|row| row.what == what),
        };
        found.extend(row.cloned().map(|row| (row, title)));
    }
    found
}

/// Draws one figure's bars below `y`; where they end.
fn panel(body: &mut String, row: &Row, mut y: u32) -> u32 {
    let bars = [
        ("rotate-postgres", Some(row.ours), "#0969da"),
        ("bare runtime", row.bare, "#8c959f"),
        ("AWS's template", row.template, "#e16f24"),
    ];
    let most = bars.iter().filter_map(|(_, figure, _)| *figure).fold(f64::MIN_POSITIVE, f64::max);
    for (name, figure, colour) in bars {
        let Some(figure) = figure else { continue };
        let length = (figure / most * LONGEST).max(1.0);
        let (text, end) = (y + 13, f64::from(LEFT) + length + 6.0);
        let digits = usize::from(figure < 100.0);
        let _ = writeln!(
            body,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{name}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\
             <text x=\"{end:.1}\" y=\"{text}\">{figure:.digits$} {}</text>",
            LEFT - 8,
            row.unit,
        );
        y += BAR + GAP;
    }
    y
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::made_up;

    #[test]
    fn every_figure_that_somebody_feels_is_drawn_with_what_stands_beside_it() {
        let picture = draw(&made_up(1, true), "a machine <1>");
        // The ground, and 2 of the bare runtime, 4 each of the others.
        assert_eq!(picture.matches("<rect").count(), 1 + 2 + 4 + 4);
        for text in ["90.0 ms", "2980 ms", "45.0 ms", "1490 ms", "7.6 MB", "a machine &lt;1&gt;"] {
            assert!(picture.contains(&format!(">{text}<")), "{text} in {picture}");
        }
        assert_eq!(draw(&made_up(1, false), "").matches("<rect").count(), 1 + 2 + 4);
    }

    #[test]
    fn the_longest_bar_leaves_room_for_its_figure() {
        assert!(f64::from(LEFT) + LONGEST + 90.0 < f64::from(WIDTH));
    }
}
