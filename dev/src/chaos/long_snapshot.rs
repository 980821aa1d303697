//! Long snapshots: transactions that stay open while orders go on, such as a dump or a report. What dies meanwhile cannot be
//! removed, and every index goes on showing it.

use std::time::Duration;

use anyhow::Result;
use tokio_postgres::Client;

use super::testbed::Testbed;

/// As a dump does: a snapshot, and the lightest lock on every table until the end.
const READ_EVERYTHING: &str = "
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    DO $$ DECLARE name TEXT; BEGIN
        FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('LOCK TABLE %s IN ACCESS SHARE MODE', name);
        END LOOP;
    END $$;";

/// An open snapshot.
pub struct LongSnapshot {
    session: Client,
    /// The orders that it sees.
    orders: i64,
}

impl LongSnapshot {
    /// Takes a snapshot.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take(testbed: &Testbed) -> Result<LongSnapshot> {
        let session = testbed.database.connect().await?;
        session.batch_execute(READ_EVERYTHING).await?;
        let orders = count_orders(&session).await?;
        Ok(LongSnapshot { session, orders })
    }

    /// Holds it for this time; whether it was there until the end, and orders were placed meanwhile.
    pub async fn hold(self, testbed: &Testbed, time: Duration) -> bool {
        testbed.wait(time).await;
        let seen = count_orders(&self.session).await;
        let there_are = async { count_orders(&testbed.database.connect().await?).await };
        seen.is_ok_and(|seen| seen == self.orders) && there_are.await.is_ok_and(|count| count > self.orders)
    }
}

async fn count_orders(session: &Client) -> Result<i64> {
    Ok(session.query_one("SELECT count(*) FROM public.orders", &[]).await?.get(0))
}
