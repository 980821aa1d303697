//! The test's database connection: runs SQL, expires orders, blocks claims.

use std::sync::Arc;

use order_dev::postgres::Database;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_postgres::Client;

/// The database of one test, with a connection that is opened when it is needed.
pub struct Store {
    database: Database,
    client: Mutex<Option<Arc<Client>>>,
}

impl Store {
    /// Connects at the first statement.
    pub fn new(database: Database) -> Store {
        Store { database, client: Mutex::new(None) }
    }

    /// How to reach it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Runs statements for their effect.
    #[track_caller]
    pub fn run<'a>(&'a self, sql: &'a str) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let done = self.client().await.batch_execute(sql).await;
            done.unwrap_or_else(|error| panic!("{caller}: {sql}: {error:?}"));
        }
    }

    /// The first value of the first row, as JSON: `SELECT count(*) FROM orders`.
    pub async fn value(&self, sql: &str) -> Value {
        let text = format!("SELECT to_jsonb(x)::text FROM ({sql}) AS first (x)");
        let row = self.client().await.query_one(&text, &[]).await;
        let row = row.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        row.get::<_, Option<&str>>(0).map_or(Value::Null, |json| serde_json::from_str(json).expect("JSON"))
    }

    /// A number.
    pub async fn count(&self, sql: &str) -> i64 {
        self.value(sql).await.as_i64().unwrap_or_else(|| panic!("{sql} gives a number"))
    }

    /// All rows, each as a JSON object.
    pub async fn rows(&self, sql: &str) -> Vec<Value> {
        let all = self.value(&format!("SELECT coalesce(jsonb_agg(r), '[]') FROM ({sql}) r")).await;
        all.as_array().cloned().unwrap_or_default()
    }

    /// The order's time to pay is over, as the service sees it; Seating still holds the seats for a moment.
    pub async fn expire(&self, order_id: &str) {
        self.end(&["expires_at", "due_at", "in_flight_until"], order_id).await;
    }

    /// The time for which the order's seats are surely held is over as well.
    pub async fn lapse(&self, order_id: &str) {
        self.end(&["expires_at", "hold_until", "due_at", "in_flight_until"], order_id).await;
    }

    /// Makes all orders overdue by an interval such as `11 minutes`, and installs a trigger that blocks every claim.
    pub async fn block_claims(&self, due_for: &str) {
        self.run(&format!(
            "CREATE FUNCTION nobody_claims() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
             UPDATE orders SET due_at = timezone('utc', clock_timestamp()) - interval '{due_for}';
             CREATE TRIGGER nobody_claims BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION nobody_claims();"
        ))
        .await;
    }

    /// Ends [`Store::block_claims`].
    pub async fn unblock_claims(&self) {
        self.run("DROP TRIGGER nobody_claims ON orders").await;
    }

    async fn end(&self, times: &[&str], order_id: &str) {
        let over = "timezone('utc', clock_timestamp()) - interval '1 second'";
        let set: Vec<String> = times.iter().map(|time| format!("{time} = {over}")).collect();
        self.run(&format!("UPDATE orders SET {} WHERE id = '{order_id}'", set.join(", "))).await;
    }

    async fn client(&self) -> Arc<Client> {
        let mut client = self.client.lock().await;
        match &*client {
            Some(client) if !client.is_closed() => client.clone(),
            _ => {
                let new = Arc::new(self.database.connect().await.expect("the database answers"));
                *client = Some(new.clone());
                new
            }
        }
    }
}
