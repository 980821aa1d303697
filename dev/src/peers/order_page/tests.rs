//! What the pages are drawn from: rows, attempts, trees.

use super::records::Records;
use super::rows::{Kind, rows};
use super::steps::{Participant, Step, steps};
use super::tree::groups;
use super::*;
use crate::peers::spans::Span;

/// An exchange from the service, from one microsecond to another.
fn step(to: Participant, what: &str, begun_us: i64, ended_us: Option<i64>) -> Step {
    let (from, what) = (Participant::Service, what.to_owned());
    let (outcome, has_failed, attempt, details) = (None, false, 1, Vec::new());
    Step { from, to, what, outcome, has_failed, attempt, begun_us, ended_us, details }
}

fn span(id: &str, parent: &str, begun_us: i64, ended_us: i64) -> Span {
    Span {
        trace_id: "t".to_owned(),
        span_id: id.to_owned(),
        parent_span_id: parent.to_owned(),
        name: id.to_owned(),
        kind: "SPAN_KIND_INTERNAL".to_owned(),
        begun_us,
        ended_us,
        ..Span::default()
    }
}

fn with(mut span: Span, kind: &str, attributes: &[(&str, Value)]) -> Span {
    span.kind = kind.to_owned();
    span.attributes.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    span
}

fn of_spans(spans: Vec<Span>) -> Records {
    let traces = ["t".to_owned()].into();
    Records { spans: spans.into_iter().map(Into::into).collect(), traces, ..Records::default() }
}

#[test]
fn rows_are_in_the_order_of_time_and_answers_stand_apart_only_where_something_lies_between() {
    use Participant::{Catalog, Database, Payment, Service};
    let note = |what, at| step(Service, what, at, Some(at));
    for (steps, expected) in [
        (vec![], vec![]),
        // One after the other, the second begins when the first ends.
        (
            vec![step(Catalog, "a", 1, Some(3)), step(Payment, "b", 3, Some(5))],
            vec![(Kind::Whole, vec![0]), (Kind::Whole, vec![1])],
        ),
        // One within the other, also when both begin or end at once.
        (
            vec![step(Payment, "inner", 1, Some(5)), step(Payment, "outer", 1, Some(9))],
            vec![(Kind::Request, vec![1]), (Kind::Whole, vec![0]), (Kind::Answer, vec![1])],
        ),
        (
            vec![step(Payment, "outer", 1, Some(9)), step(Payment, "inner", 2, Some(9))],
            vec![(Kind::Request, vec![0]), (Kind::Whole, vec![1]), (Kind::Answer, vec![0])],
        ),
        // What happens when one ends and another begins is between them.
        (
            vec![step(Database, "a", 1, Some(3)), step(Payment, "b", 3, Some(5)), note("c", 3)],
            vec![(Kind::Whole, vec![0]), (Kind::Note, vec![2]), (Kind::Whole, vec![1])],
        ),
        // Under way, and at once.
        (
            vec![step(Payment, "a", 1, None), step(Payment, "b", 2, Some(2))],
            vec![(Kind::Whole, vec![0]), (Kind::Whole, vec![1])],
        ),
        // Statements are folded, but for those with something between them.
        (
            vec![
                step(Database, "a", 1, Some(2)),
                step(Database, "b", 2, Some(3)),
                note("c", 4),
                step(Database, "d", 5, Some(6)),
            ],
            vec![(Kind::Whole, vec![0, 1]), (Kind::Note, vec![2]), (Kind::Whole, vec![3])],
        ),
    ] {
        let rows = rows(&steps, true);
        let rows: Vec<_> = rows.into_iter().map(|row| (row.kind, row.steps)).collect();
        assert_eq!(rows, expected, "{steps:?}");
    }
}

#[test]
fn each_statement_has_a_row_of_its_own_when_that_is_asked_for_or_when_it_has_failed() {
    let mut steps = vec![
        step(Participant::Database, "a", 1, Some(2)),
        step(Participant::Database, "b", 2, Some(3)),
        step(Participant::Database, "c", 3, Some(4)),
    ];
    assert_eq!((rows(&steps, false).len(), rows(&steps, true).len()), (3, 1));
    steps[1].has_failed = true;
    assert_eq!(rows(&steps, true).len(), 3);
}

#[test]
fn a_row_tells_what_was_asked_what_came_of_it_and_how_long_it_took() {
    let mut charge = step(Participant::Payment, "charge", 0, Some(1_500));
    (charge.outcome, charge.attempt) = (Some("201".to_owned()), 2);
    let long = step(Participant::Payment, &"\u{e9}".repeat(100), 0, None);
    let steps = [
        charge,
        step(Participant::Database, "a", 0, Some(1_000)),
        step(Participant::Database, "b", 0, Some(2_000)),
        long,
    ];
    let label =
        |kind, of: &[usize]| diagram::label(&steps, &rows::Row { kind, steps: of.to_vec(), at_us: 0 });
    assert_eq!(label(Kind::Whole, &[0]), "charge \u{b7} attempt 2 \u{b7} 201 \u{b7} 1.5 ms");
    assert_eq!(label(Kind::Request, &[0]), "charge \u{b7} attempt 2");
    assert_eq!(label(Kind::Answer, &[0]), "201 \u{b7} 1.5 ms");
    assert_eq!(label(Kind::Whole, &[1, 2]), "2 statements \u{b7} 3.0 ms");
    assert_eq!(label(Kind::Whole, &[3]), format!("{}\u{2026}", "\u{e9}".repeat(64)));
}

#[test]
fn spans_tell_requests_statements_transitions_and_attempts_without_an_answer() {
    let server = with(
        span("POST /v1/orders", "", 0, 90),
        "SPAN_KIND_SERVER",
        &[("http.response.status_code", json!(402))],
    );
    let refused =
        [("order_service.peer_call", json!("payment.charge")), ("error.type", json!("connection_refused"))];
    let mut first = with(span("x", "", 10, 20), "SPAN_KIND_CLIENT", &refused);
    first.has_failed = true;
    let answered =
        [("order_service.peer_call", json!("payment.charge")), ("http.response.status_code", json!(409))];
    let second = with(span("y", "", 30, 40), "SPAN_KIND_CLIENT", &answered);
    let third = with(span("z", "", 50, 55), "SPAN_KIND_CLIENT", &answered);
    let statement = with(
        span("SELECT f", "order transition", 60, 70),
        "SPAN_KIND_CLIENT",
        &[("db.system.name", json!("postgresql"))],
    );
    let change = |of: &str, from: &str, to: &str| {
        [(format!("order_service.{of}.from"), json!(from)), (format!("order_service.{of}.to"), json!(to))]
    };
    let mut transition = span("order transition", "", 58, 75);
    transition.attributes.extend(change("phase", "charging", "done"));
    transition.attributes.extend(change("status", "PENDING", "FAILED"));
    transition.attributes.insert("order_service.outcome".to_owned(), json!("stored"));
    let records = of_spans(vec![server, first, second, third, transition, statement]);
    let steps = steps(&records);
    let told: Vec<_> = steps
        .iter()
        .map(|step| (step.to, &*step.what, step.outcome.as_deref(), step.has_failed, step.attempt))
        .collect();
    assert_eq!(
        told,
        [
            (Participant::Service, "POST /v1/orders", Some("402"), true, 1),
            (Participant::Payment, "charge", Some("connection_refused"), true, 1),
            // It follows one without an answer, and the next one a refusal.
            (Participant::Payment, "charge", Some("409"), true, 2),
            (Participant::Payment, "charge", Some("409"), true, 1),
            (Participant::Database, "SELECT f", None, false, 1),
            (Participant::Service, "charging \u{2192} done: FAILED", None, false, 1),
        ]
    );
    assert_eq!((steps[0].from, steps[5].begun_us), (Participant::Shop, 70));
    assert_eq!(steps::status(&records), Some("FAILED"));
}

#[test]
fn spans_hang_together_and_what_comes_much_later_has_a_scale_of_its_own() {
    let later = 5_000_000;
    let records = of_spans(vec![
        span("root", "somebody's", 0, 100),
        span("a", "root", 10, 40),
        span("a1", "a", 20, 30),
        span("b", "root", 50, 90),
        span("sweep", "root", later, later + 10),
        span("swept", "sweep", later + 1, later + 2),
    ]);
    let shown: Vec<_> = groups(&records)
        .into_iter()
        .map(|group| {
            let spans: Vec<_> = group.spans.into_iter().map(|(depth, span)| (depth, span.name)).collect();
            (group.below, spans)
        })
        .collect();
    let named = |spans: &[(usize, &str)]| {
        spans.iter().map(|(depth, name)| (*depth, (*name).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(
        shown,
        [
            (None, named(&[(0, "root"), (1, "a"), (2, "a1"), (1, "b")])),
            (Some("root".to_owned()), named(&[(0, "sweep"), (1, "swept")])),
        ]
    );
}

#[test]
fn spans_in_a_circle_are_all_shown_once() {
    let records = of_spans(vec![
        span("itself", "itself", 0, 1),
        span("a", "b", 2, 3),
        span("b", "a", 2, 3),
        span("twice", "", 4, 5),
        span("twice", "", 4, 5),
    ]);
    let mut names: Vec<String> =
        groups(&records).into_iter().flat_map(|group| group.spans).map(|(_, span)| span.name).collect();
    names.sort();
    assert_eq!(names, ["a", "b", "itself", "twice", "twice"]);
}
