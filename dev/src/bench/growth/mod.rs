//! How the service does when there are many orders, and many seats at an event.
//!
//! [`loads`] puts the same loads over HTTP on databases of several sizes, and on events of several sizes, in turn;
//! [`lists`] and [`statements`] then ask PostgreSQL directly: for pages of lists, and for the statements that look for work, while much
//! of it is due. [`table`] shows all.

pub mod lists;
pub mod loads;
pub mod statements;
pub mod table;

use anyhow::{Result, ensure};

use super::fill;
use super::run::Plan;
use super::target::{Kind, Target};
use super::testbed::Testbed;
use crate::postgres::Database;
use loads::Row;
use statements::Statements;

/// Settings of PostgreSQL: nothing is vacuumed or analyzed during a round, whatever the size.
pub const SETTINGS: [(&str, &str); 1] = [("autovacuum", "off")];
/// How many orders are due when few are.
const FEW: u64 = 100;
/// New orders are for seats beyond this one; an event has fewer.
const SOLD_TO: u32 = 1_000_000;

/// How large.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Options {
    /// How many orders there are before; the first size is what the others are compared with
    #[arg(long, value_delimiter = ',', default_value = "0,1000000,10000000")]
    pub orders: Vec<u64>,
    /// How many of them wait for their payment, and are all due in the end
    #[arg(long, default_value_t = 100_000)]
    pub unfinished: u64,
    /// How many seats of an event are sold before; likewise
    #[arg(long, value_delimiter = ',', default_value = "50,5000,50000")]
    pub seats: Vec<u32>,
}

impl Options {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<()> {
        ensure!(self.seats.iter().all(|seats| *seats <= SOLD_TO), "--seats: at most {SOLD_TO}");
        Ok(())
    }

    /// How many of so many orders wait for their payment.
    fn unfinished_of(&self, orders: u64) -> u64 {
        self.unfinished.min(orders)
    }

    /// How many orders are due, rising, when the statements are timed in a database of so many.
    fn backlogs(&self, orders: u64) -> Vec<u64> {
        let all = self.unfinished_of(orders);
        let mut backlogs = vec![FEW.min(all), all];
        backlogs.dedup();
        backlogs
    }
}

/// What was found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Growth {
    /// The loads, by scenario, clients and size.
    pub rows: Vec<Row>,
    /// The statements, one database after the other.
    pub statements: Vec<Statements>,
}

impl Growth {
    /// As text.
    pub fn shown(&self) -> String {
        format!("{}\n\n{}", table::rows(&self.rows), table::statements(&self.statements))
    }
}

/// Fills the databases, and measures everything. Quickly, statements are timed less often.
///
/// # Errors
/// When something does not start, or an answer is wrong.
pub async fn measure(testbed: &Testbed, options: &Options, plan: Plan, quick: bool) -> Result<Growth> {
    let mut targets = Vec::new();
    for orders in &options.orders {
        let database = filled(testbed, *orders, options.unfinished_of(*orders)).await?;
        targets.push((*orders, Target::start(Kind::Service, testbed, database, &[]).await?));
    }
    let mut rows = loads::by_orders(testbed, &targets, plan).await?;
    let mut statements = Vec::new();
    for (orders, target) in targets {
        let database = target.database.clone();
        target.stop();
        eprintln!("Timing statements among {orders} orders …");
        let backlogs = options.backlogs(orders);
        testbed.vacuum(&database).await?;
        statements.push(statements::measure(&database, &backlogs, if quick { 10 } else { 50 }).await?);
        testbed.server.drop_database(&database.name).await?;
    }
    rows.extend(by_seats(testbed, &options.seats, plan).await?);
    Ok(Growth { rows, statements })
}

async fn by_seats(testbed: &Testbed, seats: &[u32], plan: Plan) -> Result<Vec<Row>> {
    let database = testbed.migrated_database().await?;
    let mut events = Vec::new();
    for (event, sold) in (loads::FIRST_EVENT..).zip(seats) {
        eprintln!("Selling {sold} seats of event {event} …");
        fill::event(&database, i32::try_from(event)?, sold + fill::FREE_SEATS).await?;
        events.push((*sold, event));
    }
    testbed.vacuum(&database).await?;
    let target = Target::start(Kind::Service, testbed, database, &[]).await?;
    let rows = loads::by_seats(testbed, &target, &events, plan).await?;
    target.end(testbed).await?;
    Ok(rows)
}

/// A new database with so many orders.
async fn filled(testbed: &Testbed, orders: u64, unfinished: u64) -> Result<Database> {
    let database = testbed.migrated_database().await?;
    if orders > 0 {
        eprintln!("Filling a database with {orders} orders …");
        fill::fill(&database, fill::Options { orders, unfinished, progress: true }).await?;
    }
    testbed.vacuum(&database).await?;
    Ok(database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_due_than_there_is() {
        let options = Options { orders: vec![], unfinished: 1_000, seats: vec![] };
        assert_eq!(options.backlogs(0), [0]);
        assert_eq!(options.backlogs(50), [50]);
        assert_eq!(options.backlogs(20_000), [100, 1_000]);
    }
}
