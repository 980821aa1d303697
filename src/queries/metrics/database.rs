//! Metrics of what keeps the database from its work.

use super::page::{Kind, Page, number};
use serde_json::Value;

/// Snapshots and writers that are open for long.
pub fn database(page: &mut Page, summary: &Value) {
    page.single("order_service_database_oldest_snapshot_seconds", Kind::Gauge, "Age in seconds of the oldest transaction that keeps a snapshot of the database, which keeps dead rows from being removed; \
         without pg_read_all_stats those of the service's own role only.", number(&summary["oldest_snapshot_seconds"]));
    page.single("order_service_database_oldest_writer_seconds", Kind::Gauge, "Age in seconds, at most, of the oldest transaction that has written to orders, payments, messages or deliveries of events and is still open, at the last \
         look for due work: a few seconds at most while all is well.", number(&summary["oldest_writer_seconds"]));
    page.single("order_service_updated_since_delay_seconds", Kind::Gauge, "For how long one transaction, of whatever database, has held back the list of changed orders (updated_since) and the feed of events: nothing that \
         changed since is in them yet. 0 when none does.", number(&summary["updated_since_delay_seconds"]));

    page.single("order_service_database_oldest_snapshot_transactions", Kind::Gauge, "Age in transactions of the oldest snapshot: of all roles' sessions, standbys, replication slots and prepared transactions.", number(&summary["oldest_snapshot_transactions"]));
}
