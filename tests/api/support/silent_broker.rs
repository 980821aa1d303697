//! An MQTT broker that stops acknowledging.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// It accepts every client, and acknowledges so many messages of each. It stops when this is dropped.
pub struct SilentBroker {
    /// Its port on 127.0.0.1.
    pub port: u16,
    connections: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl SilentBroker {
    /// Starts one, which answers pings for ever or not at all.
    pub async fn start(acknowledged: usize, answers_pings: bool) -> SilentBroker {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, acknowledged, answers_pings));
            }
        });
        SilentBroker { port, connections, accepting }
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for SilentBroker {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Returns when the client is gone.
async fn serve(mut stream: TcpStream, mut acknowledged: usize, answers_pings: bool) -> std::io::Result<()> {
    loop {
        let kind = stream.read_u8().await?;
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = stream.read_u8().await?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        let mut packet = vec![0; length];
        stream.read_exact(&mut packet).await?;
        match kind >> 4 {
            // CONNECT: CONNACK.
            1 => stream.write_all(&[0x20, 2, 0, 0]).await?,
            // PUBLISH, with the packet's id behind the topic: PUBACK.
            3 if acknowledged > 0 => {
                let topic = usize::from(u16::from_be_bytes([packet[0], packet[1]]));
                stream.write_all(&[0x40, 2, packet[2 + topic], packet[3 + topic]]).await?;
                acknowledged -= 1;
            }
            // PINGREQ: PINGRESP.
            12 if answers_pings => stream.write_all(&[0xd0, 0]).await?,
            _ => {}
        }
    }
}
