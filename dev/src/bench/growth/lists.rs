//! What pages of lists take, asked of PostgreSQL directly, on a session like the service's.

use std::time::Instant;

use anyhow::{Context, Result};
use tokio_postgres::NoTls;

use super::statements::Timing;
use crate::bench::pgbench::SESSION_OPTIONS;
use crate::postgres::Database;

/// Orders of a page, and the most index entries that it visits: `src/http/list_orders.rs`, `src/db/lists.rs`.
const SIZES: &str = "50, 2000";

/// A page of a list.
#[derive(Clone, Debug, serde::Serialize)]
pub struct List {
    /// What it is.
    pub name: &'static str,
    /// How it did.
    pub timing: Timing,
    /// How many orders it had.
    pub orders: i32,
}

/// The pages, each with its statement. `{time}` and `{id}` are those of an order in the middle of all, `{user}`, `{event}`, `{seat}` are
/// its user, event and first seat.
const LISTS: [(&str, &str); 10] = [
    ("first page", "list_orders(NULL, NULL, NULL, NULL, NULL, {sizes})"),
    ("page in the middle", "list_orders(NULL, NULL, NULL, {time}, '{id}', {sizes})"),
    ("of a user", "list_orders({user}, NULL, NULL, NULL, NULL, {sizes})"),
    ("of an event", "list_orders(NULL, {event}, NULL, NULL, NULL, {sizes})"),
    ("of an event, middle", "list_orders(NULL, {event}, NULL, {time}, '{id}', {sizes})"),
    // Of which there are none: as many entries are visited as may be.
    ("of no status", "list_orders(NULL, NULL, 'none', NULL, NULL, {sizes})"),
    ("changes, from 1970", "list_changed_orders(NULL, NULL, NULL, 0, NULL, NULL, NULL, {sizes})"),
    ("changes, middle", "list_changed_orders(NULL, NULL, NULL, NULL, NULL, {xid}, '{id}', {sizes})"),
    ("a user's changes", "list_changed_orders({user}, NULL, NULL, 0, NULL, NULL, NULL, {sizes})"),
    ("of a seat", "find_orders(NULL, NULL, NULL, NULL, {event}, {seat}, NULL, NULL, 50)"),
];

/// The order in the middle of all by time, whose seat was held.
const MIDDLE: &str = "
    SELECT id::text, (extract(epoch FROM created_at) * 1000000)::bigint::text, user_id::text, event_id::text, seats[1]::text, changed_xid::text
    FROM orders WHERE created_at >= (SELECT min(created_at) + (max(created_at) - min(created_at)) / 2 FROM orders) AND total_cents > 0
    ORDER BY created_at, id LIMIT 1";

/// Times all of them, each so many times.
///
/// # Errors
/// When there is no order, or a statement fails.
pub async fn measure(database: &Database, runs: usize) -> Result<Vec<List>> {
    let mut config = tokio_postgres::Config::new();
    config.host(&database.host).port(database.port).user(&database.user);
    config.dbname(&database.name).password(&database.password).options(SESSION_OPTIONS);
    let (client, connection) = config.connect(NoTls).await.context("connecting as the service does")?;
    let connection = tokio::spawn(connection);
    let middle = client.query_opt(MIDDLE, &[]).await?.context("there is no order")?;
    let mut lists = Vec::new();
    for (name, list) in LISTS {
        let mut call = list.replace("{sizes}", SIZES);
        for (index, word) in
            ["{id}", "{time}", "{user}", "{event}", "{seat}", "{xid}"].into_iter().enumerate()
        {
            call = call.replace(word, middle.get::<_, Option<&str>>(index).unwrap_or("NULL"));
        }
        let statement = format!("SELECT json_array_length(page[1]::json) FROM {call} AS page");
        let mut took = Vec::with_capacity(runs);
        let mut orders = 0;
        for _ in 0..runs.max(1) {
            let begun = Instant::now();
            // As the component has them: prepared anew each time.
            orders = client.query_one(&statement, &[]).await.with_context(|| name.to_owned())?.get(0);
            took.push(begun.elapsed());
        }
        lists.push(List { name, timing: Timing::of(&took, 1), orders });
    }
    drop(client);
    let _ = connection.await;
    Ok(lists)
}
