//! An address that can move: a TCP proxy in front of a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A port of 127.0.0.1 that leads to another one. It ends when this is dropped.
#[derive(Debug)]
pub struct MovableAddress {
    port: u16,
    target: Arc<AtomicU16>,
    accepting: JoinHandle<()>,
}

impl MovableAddress {
    /// An address that leads to `target` at first.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn of(target: u16) -> Result<MovableAddress> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let target = Arc::new(AtomicU16::new(target));
        let accepting = tokio::spawn(accept(listener, target.clone()));
        Ok(MovableAddress { port, target, accepting })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Leads new connections to another port. Those that are open stay where they are.
    pub fn move_to(&self, target: u16) {
        self.target.store(target, Ordering::SeqCst);
    }
}

impl Drop for MovableAddress {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: Arc<AtomicU16>) {
    loop {
        let Ok((mut client, _)) = listener.accept().await else {
            // Out of file descriptors: some are closed in a moment.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        let port = target.load(Ordering::SeqCst);
        tokio::spawn(async move {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}
