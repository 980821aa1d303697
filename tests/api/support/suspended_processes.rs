//! Suspended processes (SIGSTOP): the kernel accepts connections for them, but they do not respond.

use super::app::App;

/// Processes that are suspended until this is dropped, also when the test panics.
pub struct SuspendedProcesses(Vec<i64>);

impl SuspendedProcesses {
    fn now(pids: Vec<i64>) -> SuspendedProcesses {
        signal("-STOP", &pids);
        SuspendedProcesses(pids)
    }
}

impl Drop for SuspendedProcesses {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

impl App {
    /// Suspends this test's own PostgreSQL: the postmaster and the client backends.
    pub async fn suspend_postgres(&mut self) -> SuspendedProcesses {
        let server = self.postgres().pid().expect("the server runs");
        let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'";
        let backends = self.store.rows(sql).await;
        let mut pids: Vec<i64> = backends.iter().filter_map(|row| row["pid"].as_i64()).collect();
        pids.insert(0, server.into());
        SuspendedProcesses::now(pids)
    }
}

/// Sends a signal to processes.
pub fn signal(signal: &str, pids: &[i64]) {
    let pids = pids.iter().map(i64::to_string);
    let done = std::process::Command::new("kill").arg(signal).args(pids).status();
    assert!(done.is_ok_and(|status| status.success()) || std::thread::panicking(), "kill {signal}");
}
