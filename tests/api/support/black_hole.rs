//! A TCP proxy that can become a black hole: what is sent into it is taken and leads nowhere, as behind a firewall that drops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The proxy. It ends when this is dropped.
pub struct BlackHole {
    /// Its port on 127.0.0.1.
    pub port: u16,
    swallows: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl BlackHole {
    /// A proxy to a port of 127.0.0.1, which passes everything on for now.
    pub async fn before(port: u16) -> BlackHole {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let own_port = listener.local_addr().expect("an address").port();
        let swallows = Arc::new(AtomicBool::new(false));
        let accepting = tokio::spawn(accept(listener, port, swallows.clone()));
        BlackHole { port: own_port, swallows, accepting }
    }

    /// Begins or ends to swallow. A connection that has lost something meanwhile is closed when the next byte comes.
    pub fn swallow(&self, swallows: bool) {
        self.swallows.store(swallows, Ordering::SeqCst);
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, swallows: Arc<AtomicBool>) {
    while let Ok((client, _)) = listener.accept().await {
        let swallows = swallows.clone();
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::select! {
                () = pass_on(from_client, to_server, &swallows) => {}
                () = pass_on(from_server, to_client, &swallows) => {}
            }
        });
    }
}

/// Passes bytes on until one side closes, or something was swallowed and the proxy works again.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, swallows: &AtomicBool) {
    let mut buffer = vec![0; 16 * 1024];
    let mut has_lost = false;
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if swallows.load(Ordering::SeqCst) {
            has_lost = true;
        } else if has_lost || to.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}
