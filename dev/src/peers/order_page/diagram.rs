//! The sequence diagram, as SVG.

use maud::{Markup, html};

use super::format::{clock, duration};
use super::rows::{Kind, Row};
use super::steps::{Participant, Step};

/// A pause of so many microseconds is shown.
const PAUSE_US: i64 = 1_000_000;
/// The width of the times at the left.
const TIMES: usize = 92;
const ROW: usize = 30;
const PAUSE: usize = 26;
/// The height of the names at the top, and at the bottom.
const NAMES: usize = 44;
/// Half of the width of a name's box.
const HALF_NAME: usize = 56;
/// About the width of a letter.
const LETTER: f64 = 6.4;
/// The longest text on an arrow, in letters.
const LONGEST: usize = 64;

/// Who has a column: all but User, who has one only when it was asked.
fn columns(steps: &[Step]) -> Vec<(Participant, usize)> {
    use Participant::*;
    let is_asked = |who: &Participant| *who != User || steps.iter().any(|step| step.to == User);
    let all = [Shop, Service, Database, Catalog, Seating, Payment, Notification, User, Events];
    let mut at = TIMES + HALF_NAME + 4;
    let place = |who: Participant| {
        let place = (who, at);
        at += match who {
            Shop => 210,
            Service => 230,
            Database => 150,
            _ => 124,
        };
        place
    };
    all.into_iter().filter(is_asked).map(place).collect()
}

/// An activity of a participant: its column, how deep it is within others there, and from where to where it goes.
struct Bar {
    who: Participant,
    depth: usize,
    from: usize,
    to: usize,
}

/// The diagram; empty when there are no rows.
pub(super) fn diagram(steps: &[Step], rows: &[Row]) -> Markup {
    let Some(first) = rows.first() else { return html! {} };
    let columns = columns(steps);
    let x = |who: Participant| columns.iter().find(|(one, _)| *one == who).map_or(0, |(_, x)| *x);
    let mut y = NAMES + 12;
    let mut places = Vec::new();
    let mut pauses = Vec::new();
    let mut before = first.at_us;
    for row in rows {
        if row.at_us - before > PAUSE_US {
            pauses.push((y + 14, duration(row.at_us - before)));
            y += PAUSE;
        }
        before = row.at_us;
        y += ROW;
        places.push(y - 6);
    }
    let bottom = y + 14;
    let (width, height) = (columns.last().map_or(0, |(_, x)| x + HALF_NAME + 8), bottom + NAMES);
    let bars = bars(steps, rows, &places);
    html! {
        svg.diagram width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="img" aria-labelledby="diagram-title" {
            title #diagram-title { "Sequence diagram of the order; the table below it has the same as text" }
            @for (who, x) in &columns {
                line.life x1=(x) y1=(NAMES) x2=(x) y2=(bottom) {}
                @for top in [6, bottom] {
                    rect.name.service[*who == Participant::Service] x=(x - HALF_NAME) y=(top) width=(HALF_NAME * 2) height="30" rx="4" {}
                    text.name x=(x) y=(top + 20) text-anchor="middle" { (who.title()) }
                }
            }
            @for Bar { who, depth, from, to } in &bars {
                rect.bar x=(x(*who) - 4 + depth * 5) y=(from) width="8" height=(to - from) {}
            }
            @for (y, took) in &pauses {
                line.pause x1=(TIMES) y1=(y) x2=(width) y2=(y) {}
                text.pause x=(TIMES - 8) y=(y + 4) text-anchor="end" { (took) }
            }
            @for (row, y) in rows.iter().zip(&places) {
                g.failed[row.steps.iter().any(|step| steps[*step].has_failed)] {
                    title { (tooltip(steps, row)) }
                    text.time x=(TIMES - 8) y=(y + 4) text-anchor="end" { "+" (duration(row.at_us - first.at_us)) }
                    @let step = &steps[row.steps[0]];
                    @if row.kind == Kind::Note {
                        (note(x(step.to), *y, &label(steps, row)))
                    } @else {
                        (arrow(row.kind, x(step.from), x(step.to), *y, &label(steps, row)))
                    }
                }
            }
        }
    }
}

fn arrow(kind: Kind, from: usize, to: usize, y: usize, label: &str) -> Markup {
    let (from, to) = if kind == Kind::Answer { (to, from) } else { (from, to) };
    let head = if to > from { format!("M{to} {y}l-8 -4v8z") } else { format!("M{to} {y}l8 -4v8z") };
    html! {
        line.arrow.answer[kind == Kind::Answer] x1=(from) y1=(y) x2=(to) y2=(y) {}
        path.head d=(head) {}
        text.label x=(from.min(to) + 14) y=(y - 6) { (label) }
    }
}

fn note(x: usize, y: usize, label: &str) -> Markup {
    let width = label.chars().count() as f64 * LETTER + 18.0;
    html! {
        rect.note x=(x as f64 - width / 2.0) y=(y - 14) width=(width) height="20" rx="10" {}
        text.note x=(x) y=(y) text-anchor="middle" { (label) }
    }
}

/// What stands on a row.
pub(super) fn label(steps: &[Step], row: &Row) -> String {
    let step = &steps[row.steps[0]];
    let took = || row.steps.iter().filter_map(|step| steps[*step].took_us()).sum();
    if row.steps.len() > 1 {
        return format!("{} statements \u{b7} {}", row.steps.len(), duration(took()));
    }
    let mut parts = Vec::new();
    if row.kind != Kind::Answer {
        parts.push(step.what.clone());
    }
    if step.attempt > 1 && row.kind != Kind::Answer {
        parts.push(format!("attempt {}", step.attempt));
    }
    if row.kind != Kind::Request {
        parts.extend(step.outcome.clone());
        parts.extend(step.took_us().map(duration));
    }
    let label = parts.join(" \u{b7} ");
    match label.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}\u{2026}", &label[..at]),
        None => label,
    }
}

/// What is shown when one points at a row.
fn tooltip(steps: &[Step], row: &Row) -> String {
    let mut lines = vec![clock(row.at_us)];
    for step in row.steps.iter().map(|step| &steps[*step]) {
        let took = step.took_us().map(|took| format!(" ({})", duration(took))).unwrap_or_default();
        lines.push(format!("{} \u{2192} {}: {}{took}", step.from.title(), step.to.title(), step.what));
        if row.steps.len() == 1 {
            lines.extend(step.details.iter().map(|(name, value)| format!("{name}: {value}")));
        }
    }
    lines.join("\n")
}

fn bars(steps: &[Step], rows: &[Row], places: &[usize]) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.kind == Kind::Request) {
        let is_answer = |other: &&Row| other.kind == Kind::Answer && other.steps == row.steps;
        let Some(after) = rows[at..].iter().position(|other| is_answer(&other)) else { continue };
        let (who, from, to) = (steps[row.steps[0]].to, places[at], places[at + after]);
        let depth = bars.iter().filter(|bar| bar.who == who && (bar.from..bar.to).contains(&from)).count();
        bars.push(Bar { who, depth, from, to });
    }
    bars
}
