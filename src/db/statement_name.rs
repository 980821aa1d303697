//! The names of statements.

/// The names of all, for metrics that begin at zero: of each file of `sql/` the function that it calls.
pub const STATEMENTS: [&str; 40] = [
    "add_payment_check",
    "add_second_payment",
    "apply_transition",
    "check_schema",
    "claim_due_events",
    "claim_due_messages",
    "claim_due_orders",
    "claim_due_second_payments",
    "close_charge_check",
    "close_payment_checks",
    "delete_message",
    "find_order",
    "find_orders",
    "find_payment_check",
    "find_second_payment",
    "flush_counters",
    "insert_limited_order",
    "insert_order",
    "list_changed_orders",
    "list_deliveries",
    "list_events",
    "list_orders",
    "list_stuck",
    "load_order",
    "pause_event_sink",
    "postpone_message",
    "read_all_metrics",
    "read_journal_page",
    "read_key_set",
    "read_order",
    "redrive_events",
    "redrive_stuck",
    "remember_payment",
    "replay_events",
    "request_full_scan",
    "request_key_set",
    "store_check_outcome",
    "store_event_deliveries",
    "store_key_set",
    "store_payment_refund",
];

/// A statement without its parameters, for the log: `SELECT insert_order`.
pub fn name(statement: &'static str) -> &'static str {
    // By bytes: searching for a character costs more than these few.
    let end = statement.bytes().position(|byte| byte == b'(').unwrap_or(statement.len());
    statement[..end].trim_end()
}

/// The name of a statement for metrics: that of the function which it calls.
pub fn function(statement: &'static str) -> &'static str {
    let name = name(statement);
    let before = name.bytes().rposition(|byte| byte.is_ascii_whitespace());
    &name[before.map_or(0, |at| at + 1)..]
}
