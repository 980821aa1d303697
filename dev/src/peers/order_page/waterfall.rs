//! The spans as a waterfall: how they hang together, and when each was.

use maud::{Markup, html};
use serde_json::Value;

use super::format::{clock, duration};
use super::tree::Group;
use crate::peers::spans::Span;

/// The deepest indentation.
const DEEPEST: usize = 20;

pub(super) fn waterfall(group: &Group) -> Markup {
    let (begun, ended) = group.times();
    html! {
        section.group {
            h3 {
                (group.spans.first().map_or("", |(_, span)| &*span.name))
                @if let Some(below) = &group.below { " " small { "later, below " (below) } }
            }
            p.about { (clock(begun)) " \u{b7} " (duration(ended - begun)) " \u{b7} trace " code { (group.trace_id) } }
            div.scroll tabindex="0" role="region" aria-label="Spans of a trace" {
                table.waterfall {
                    thead { tr { th scope="col" { "span" } th scope="col" { "service" } th scope="col" { "took" } th scope="col" { "when" } } }
                    tbody {
                        @for (depth, span) in &group.spans {
                            tr.failed[span.has_failed] title=(attributes(span)) {
                                td style={ "padding-left:" ((depth.min(&DEEPEST) * 16 + 8)) "px" } {
                                    @if *depth > 0 { span.branch aria-hidden="true" { "\u{2514} " } span.hidden { "level " (depth + 1) ": " } }
                                    (span.name)
                                    @if let Some(outcome) = outcome(span) { " " span.outcome { (outcome) } }
                                }
                                td { (span.service) }
                                td.number { (duration(span.ended_us - span.begun_us)) }
                                td.when { div.span.(side(span)) style=(place(span, begun, ended)) {} }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a span is shown as.
fn side(span: &Span) -> &'static str {
    match &*span.kind {
        "SPAN_KIND_SERVER" => "server",
        "SPAN_KIND_CLIENT" => "client",
        _ => "internal",
    }
}

fn place(span: &Span, begun: i64, ended: i64) -> String {
    let whole = (ended - begun).max(1) as f64;
    let percent = |us: i64| us as f64 * 100.0 / whole;
    let (left, width) = (percent(span.begun_us - begun), percent(span.ended_us - span.begun_us));
    format!("margin-left:{:.2}%;width:{:.2}%", left.min(99.7), width.max(0.3))
}

/// The status of its answer, its error, or what changed.
fn outcome(span: &Span) -> Option<String> {
    let phases = [span.text("order_service.phase.from"), span.text("order_service.phase.to")];
    if phases.iter().any(|phase| !phase.is_empty()) {
        return Some(phases.join(" \u{2192} "));
    }
    match span.attributes.get("http.response.status_code") {
        Some(status) => Some(status.to_string()),
        None => Some(span.text("error.type").to_owned()).filter(|error| !error.is_empty()),
    }
}

fn attributes(span: &Span) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let attributes = span.attributes.iter().map(|(name, value)| format!("{name} = {}", text(value)));
    let ids = [format!("span {}, below {}", span.span_id, span.parent_span_id)];
    ids.into_iter().chain(attributes).collect::<Vec<_>>().join("\n")
}
