//! A gate in the database, to make any statement a slow one.

use tokio_postgres::Client;

use super::database::Store;

/// The key of the advisory lock.
const KEY: i64 = 1;

/// A closed gate: whoever calls the function `pass_gate` waits until it is opened, or `statement_timeout` is over. `lock_timeout` does
/// not end the wait.
pub struct Gate {
    client: Client,
}

impl Gate {
    /// SQL that makes `pass_gate`, and has this function pass the gate before anything else. Its signature is that of the function,
    /// and the arguments are what it calls the function with.
    pub fn before(function: &str, signature: &str, arguments: &str) -> String {
        format!(
            "CREATE FUNCTION pass_gate() RETURNS void LANGUAGE plpgsql SET lock_timeout = 0 AS
                 $$ BEGIN PERFORM pg_advisory_xact_lock_shared({KEY}); END $$;
             ALTER FUNCTION {function} RENAME TO {function}_behind_gate;
             CREATE FUNCTION {function}{signature} LANGUAGE sql AS
                 $$ SELECT pass_gate(); SELECT * FROM {function}_behind_gate({arguments}) $$"
        )
    }

    /// Closes the gate.
    pub async fn close(store: &Store) -> Gate {
        let client = store.database().connect().await.expect("the database answers");
        client.execute("SELECT pg_advisory_lock($1)", &[&KEY]).await.expect("nobody is in the gate");
        Gate { client }
    }

    /// Which statement waits at the gate, if any.
    pub async fn waiting(&self) -> Option<String> {
        let sql = "SELECT format('%s since %s: %s', pid, query_start, query) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event = 'advisory'";
        let row = self.client.query_opt(sql, &[]).await.expect("one waits at most");
        row.map(|row| row.get(0))
    }

    /// Opens the gate.
    pub async fn open(self) {
        self.client.execute("SELECT pg_advisory_unlock($1)", &[&KEY]).await.expect("the gate is closed");
    }
}
