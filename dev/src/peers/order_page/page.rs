//! The pages as HTML. Whatever came from callers, peers and spans goes through `maud`, which escapes it.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::Listed;
use super::diagram::{diagram, label};
use super::format::{clock, duration, timestamp};
use super::records::Records;
use super::rows::{Kind, Row, rows};
use super::steps::{Step, status, steps};
use super::tree::groups;
use super::waterfall::waterfall;

/// The page of an order. `folds`: statements between which nothing happens are shown as one.
pub(super) fn order(records: &Records, folds: bool) -> String {
    let steps = steps(records);
    let shown = rows(&steps, folds);
    let groups = groups(records);
    let id = &records.order_id;
    let times =
        (steps.iter().map(|step| step.begun_us).min(), steps.iter().filter_map(|step| step.ended_us).max());
    let body = html! {
        p.up { a href="/control/orders" { "All orders" } }
        h1 { "Order " code { (id) } }
        dl.facts {
            @if let Some(status) = status(records) { div { dt { "Status" } dd { strong { (status) } } } }
            @if let (Some(begun), Some(ended)) = times {
                div { dt { "From" } dd { (timestamp(begun)) } }
                div { dt { "Lasted" } dd { (duration(ended - begun)) } }
            }
            div { dt { "Calls of peers" } dd { (records.calls.len()) ", " (records.calls.iter().filter(|call| call.closed || call.status.is_some_and(|status| status >= 400)).count()) " failed" } }
            @for payment in &records.payments {
                div { dt { "Payment" } dd { code { (payment.id) } " " (serde_json::json!(payment.status).as_str().unwrap_or_default()) ", " (payment.amount_cents) " " (payment.currency) } }
            }
            div { dt { @if records.traces.len() == 1 { "Trace" } @else { "Traces" } } dd {
                @for trace in &records.traces { code { (trace) } " " }
                @if records.traces.is_empty() { "none" }
            } }
        }
        @if records.left_out > 0 {
            p.hint { "There is more: " (records.left_out) " records and spans, the newest, are left out." }
        }
        @if records.spans.is_empty() {
            p.hint {
                "No spans of this order are here, so its requests, statements and transitions are missing. They come about a second after the work, when "
                code { "otel_exporter_otlp_endpoint" } " is the address of this sandbox, and are forgotten when it ends."
            }
        }
        h2 { "What happened" }
        p.about {
            "Times count from the first line; point at a line for more. "
            @if folds { a href={ "/control/orders/" (id) "?statements=all" } { "Show every statement" } }
            @else { a href={ "/control/orders/" (id) } { "Fold statements" } }
            " \u{b7} " a href={ "/control/orders/" (id) "?format=json" } { "The same as JSON" }
        }
        div.scroll tabindex="0" role="region" aria-label="Sequence diagram" { (diagram(&steps, &shown)) }
        details { summary { "The diagram as a table" } (table(&steps, &shown)) }
        h2 { "Events that were taken" }
        (events(records))
        h2 { "Spans" }
        p.about { "Those of the service, and those that the peers would have. Point at one for its attributes." }
        @for group in &groups { (waterfall(group)) }
        @if groups.is_empty() { p { "None." } }
    };
    document(&format!("Order {id}"), body)
}

fn table(steps: &[Step], rows: &[Row]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="The diagram as a table" { table {
            thead { tr { th scope="col" { "time" } th scope="col" { "from" } th scope="col" { "to" } th scope="col" { "what" } th scope="col" { "more" } } }
            tbody { @for row in rows {
                @let step = &steps[row.steps[0]];
                @let (from, to) = if row.kind == Kind::Answer { (step.to, step.from) } else { (step.from, step.to) };
                tr.failed[step.has_failed] {
                    td.number { (clock(row.at_us)) }
                    td { (from.title()) }
                    td { @if !step.is_note() { (to.title()) } }
                    td { @if row.kind == Kind::Answer { "answer to " (step.what) ": " } (label(steps, row)) }
                    td.more { @if row.steps.len() == 1 && row.kind != Kind::Answer {
                        @for (name, value) in &step.details { (name) ": " (value) br; }
                    } }
                }
            } }
        } }
    }
}

fn events(records: &Records) -> Markup {
    if records.events.is_empty() {
        return html! { p { "None." } };
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Events" { table {
            thead { tr { th scope="col" { "sequence" } th scope="col" { "type" } th scope="col" { "taken" } th scope="col" { "sink" } th scope="col" { "data" } } }
            tbody { @for taken in &records.events { tr {
                td.number { (text(&taken.event["sequence"])) }
                td { (text(&taken.event["type"])) }
                td.number { (clock(taken.taken_at_ms * 1_000)) }
                td { (taken.sink) @if !taken.webhook.is_empty() { ", signed" } }
                td { details { summary { "show" } pre { (serde_json::to_string_pretty(&taken.event["data"]).unwrap_or_default()) } } }
            } } }
        } }
    }
}

/// The page of the latest orders.
pub(super) fn list(orders: &[Listed]) -> String {
    let body = html! {
        h1 { "Orders" }
        p.about { "Those that the sandbox has heard of, the latest first. " a href="/control" { "What the sandbox can do" } }
        @if orders.is_empty() { p { "None yet: place one." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Orders" { table {
                thead { tr { th scope="col" { "order" } th scope="col" { "last heard of" } th scope="col" { "calls" } th scope="col" { "failed" } th scope="col" { "last event" } } }
                tbody { @for order in orders { tr {
                    td { a href={ "/control/orders/" (order.order_id) } { code { (order.order_id) } } }
                    td.number { @if let Some(at) = order.last_at_ms { (timestamp(at * 1_000)) } @else { "before the last start" } }
                    td.number { (order.calls) }
                    td.number.failed[order.failed > 0] { (order.failed) }
                    td { (order.last_event.as_deref().unwrap_or_default()) }
                } } }
            } }
        }
    };
    document("Orders", body)
}

/// It loads nothing from anywhere, and runs nothing.
fn document(title: &str, body: Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body { main { (body) } }
        }
    };
    page.into_string()
}
