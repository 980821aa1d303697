//! The fast peers in a process of their own, and what can be asked of it.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};

use crate::bench::http::{Answer, Connection, get, host_of, post};
use crate::bench::server_process::ServerProcess;
use crate::peers::contract::spin_variables;

/// The running process. Dropping it kills it.
pub struct PeersProcess(ServerProcess);

impl PeersProcess {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<PeersProcess> {
        let arguments = ["bench-peers", "--listen", "127.0.0.1:0"];
        Ok(PeersProcess(ServerProcess::start(&arguments, &[]).await?))
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// The Spin variables that lead a component to these peers and allow it nobody else.
    pub fn spin_variables(&self) -> Vec<(String, String)> {
        spin_variables(self.address())
    }

    /// Sets the callback address of payments from here on.
    ///
    /// # Errors
    /// When the peers do not take it.
    pub async fn call_back(&self, service: SocketAddr) -> Result<()> {
        let url = format!("http://{service}/v1/payments/callback");
        self.control(post(&host_of(self.address()), "/control/callback", url)).await.map(drop)
    }

    /// How many messages Notification has taken so far.
    ///
    /// # Errors
    /// When the peers do not answer.
    pub async fn notifications(&self) -> Result<u64> {
        let answer = self.control(get(&host_of(self.address()), "/control/notifications")).await?;
        serde_json::from_slice(&answer.body).context("reading the peers' count")
    }

    async fn control(&self, request: crate::bench::http::HttpRequest) -> Result<Answer> {
        let answer = Connection::to(self.address()).ask(request).await.context("asking the peers")?;
        if !answer.status.is_success() {
            bail!("the peers say {}", answer.shown());
        }
        Ok(answer)
    }
}
