//! The rows of the diagram: an exchange within which nothing else happens is one, any other two, its request and its answer.

use super::steps::{Participant, Step};

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The request, with what came of it.
    Whole,
    /// The request; the answer comes below.
    Request,
    /// The answer to a request above.
    Answer,
    /// Something that happens at one of them.
    Note,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub kind: Kind,
    /// Indexes of its steps: one, or several statements that were folded.
    pub steps: Vec<usize>,
    /// In microseconds since 1970.
    pub at_us: i64,
}

/// The rows in the order of time. `folds`: statements between which nothing happens are one row.
pub(super) fn rows(steps: &[Step], folds: bool) -> Vec<Row> {
    let mut points: Vec<(Order, Kind, usize)> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let ended = step.ended_us.unwrap_or(step.begun_us);
        let whole = if step.is_note() { Kind::Note } else { Kind::Whole };
        if ended == step.begun_us {
            points.push((Order::begin(step.begun_us, ended, whole), whole, index));
        } else {
            points.push((Order::begin(step.begun_us, ended, Kind::Request), Kind::Request, index));
            points.push((Order::end(step.begun_us, ended), Kind::Answer, index));
        }
    }
    points.sort_by_key(|(order, _, index)| (*order, *index));
    let mut rows: Vec<Row> = Vec::new();
    for (Order { at_us, .. }, kind, index) in points {
        match rows.last_mut() {
            Some(last) if kind == Kind::Answer && last.kind == Kind::Request && last.steps == [index] => {
                last.kind = Kind::Whole;
            }
            _ => rows.push(Row { kind, steps: vec![index], at_us }),
        }
    }
    if folds { folded(rows, steps) } else { rows }
}

fn folded(rows: Vec<Row>, steps: &[Step]) -> Vec<Row> {
    let is_statement = |row: &Row| {
        let step = &steps[row.steps[0]];
        row.kind == Kind::Whole && step.to == Participant::Database && !step.has_failed
    };
    let mut folded: Vec<Row> = Vec::new();
    for row in rows {
        match folded.last_mut() {
            Some(last) if is_statement(last) && is_statement(&row) => last.steps.extend(row.steps),
            _ => folded.push(row),
        }
    }
    folded
}

/// Where a row stands among others of the same time: ends first, inner ones before outer ones; then what has happened; then begins, outer
/// ones before inner ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    at_us: i64,
    rank: u8,
    other: i64,
}

impl Order {
    fn end(begun: i64, ended: i64) -> Order {
        Order { at_us: ended, rank: 0, other: -begun }
    }

    fn begin(begun: i64, ended: i64, kind: Kind) -> Order {
        Order { at_us: begun, rank: if kind == Kind::Note { 1 } else { 2 }, other: -ended }
    }
}
