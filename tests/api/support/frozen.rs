//! Processes that are stopped (SIGSTOP): their kernel answers for them, and they do not.

use super::app::App;

/// Processes that are stopped until this is dropped, whatever becomes of the test.
pub struct Frozen(Vec<i64>);

impl Frozen {
    fn now(pids: Vec<i64>) -> Frozen {
        signal("-STOP", &pids);
        Frozen(pids)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

impl App {
    /// Freezes this test's own PostgreSQL: the server, and the backends that serve connections.
    pub async fn freeze_postgres(&mut self) -> Frozen {
        let server = self.postgres().pid().expect("the server runs");
        let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'";
        let backends = self.store.rows(sql).await;
        let mut pids: Vec<i64> = backends.iter().filter_map(|row| row["pid"].as_i64()).collect();
        pids.insert(0, server.into());
        Frozen::now(pids)
    }
}

/// Sends a signal to processes.
pub fn signal(signal: &str, pids: &[i64]) {
    let pids = pids.iter().map(i64::to_string);
    let done = std::process::Command::new("kill").arg(signal).args(pids).status();
    assert!(done.is_ok_and(|status| status.success()) || std::thread::panicking(), "kill {signal}");
}
