//! A fault-injecting TCP proxy: as a black hole it accepts bytes and drops them, like a firewall with a drop rule; redirected, it is
//! an address that has moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The proxy. It stops when this is dropped.
pub struct BlackHole {
    /// Its port on 127.0.0.1.
    pub port: u16,
    is_dropping: Arc<AtomicBool>,
    target: Arc<AtomicU16>,
    accepting: JoinHandle<()>,
}

impl BlackHole {
    /// Starts a proxy to a port of 127.0.0.1 that forwards everything at first.
    pub async fn before(port: u16) -> BlackHole {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let own_port = listener.local_addr().expect("an address").port();
        let is_dropping = Arc::new(AtomicBool::new(false));
        let target = Arc::new(AtomicU16::new(port));
        let accepting = tokio::spawn(accept(listener, target.clone(), is_dropping.clone()));
        BlackHole { port: own_port, is_dropping, target, accepting }
    }

    /// Leads new connections to another port of 127.0.0.1. Those that are open stay where they are.
    pub fn redirect(&self, port: u16) {
        self.target.store(port, Ordering::SeqCst);
    }

    /// Starts or stops dropping bytes. A connection that has lost bytes is closed at the next one.
    pub fn drop_bytes(&self, is_dropping: bool) {
        self.is_dropping.store(is_dropping, Ordering::SeqCst);
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, target: Arc<AtomicU16>, is_dropping: Arc<AtomicBool>) {
    while let Ok((client, _)) = listener.accept().await {
        let (is_dropping, port) = (is_dropping.clone(), target.load(Ordering::SeqCst));
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::select! {
                () = forward(from_client, to_server, &is_dropping) => {}
                () = forward(from_server, to_client, &is_dropping) => {}
            }
        });
    }
}

/// Forwards bytes until one side closes, or until the first byte after dropped ones.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_dropping: &AtomicBool) {
    let mut buffer = vec![0; 16 * 1024];
    let mut has_dropped = false;
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if is_dropping.load(Ordering::SeqCst) {
            has_dropped = true;
        } else if has_dropped || to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
