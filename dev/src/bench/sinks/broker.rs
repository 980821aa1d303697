//! An MQTT broker, well or sick.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Health;
use super::endpoint::{Endpoint, SLOW};
use crate::mosquitto::Mosquitto;

/// A broker without subscribers: it throws away what it takes. It ends when this is dropped.
pub enum Broker {
    /// A Mosquitto.
    Well(Mosquitto),
    /// The same behind a proxy that holds back each answer.
    Slow { proxy: Proxy, _server: Mosquitto },
    /// What refuses connections, or accepts them and says nothing.
    Absent(Endpoint),
}

impl Broker {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(health: Health) -> Result<Broker> {
        Ok(match health {
            Health::Well => Broker::Well(Mosquitto::start(None).await?),
            Health::Slow => {
                let mosquitto = Mosquitto::start(None).await?;
                let address = SocketAddr::from(([127, 0, 0, 1], mosquitto.port()));
                Broker::Slow { proxy: Proxy::start(address, SLOW).await?, _server: mosquitto }
            }
            Health::Down | Health::Stalled => Broker::Absent(Endpoint::start(health).await?),
        })
    }

    /// The value of `events_mqtt_url`.
    pub fn url(&self) -> String {
        let port = match self {
            Broker::Well(mosquitto) => mosquitto.port(),
            Broker::Slow { proxy, .. } => proxy.port,
            Broker::Absent(endpoint) => endpoint.port(),
        };
        format!("mqtt://127.0.0.1:{port}")
    }
}

/// A TCP proxy: what clients say goes on at once, what the server says later.
pub struct Proxy {
    port: u16,
    accepting: JoinHandle<()>,
}

impl Proxy {
    async fn start(server: SocketAddr, delay: Duration) -> Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a port for a proxy")?;
        let port = listener.local_addr()?.port();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { return };
                        // An error ends the connection, as it would without a proxy.
                        connections.spawn(async move { pass(client, server, delay).await.ok() });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Proxy { port, accepting })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Ends with the client.
async fn pass(mut client: TcpStream, server: SocketAddr, delay: Duration) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::select! {
        ended = copy(from_client, to_server) => ended,
        ended = copy_late(from_server, to_client, delay) => ended,
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> std::io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await.map(drop)
}

/// Each piece goes on when the delay has passed since it came, and holds up no other.
async fn copy_late(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    delay: Duration,
) -> std::io::Result<()> {
    let (sender, mut pieces) = mpsc::unbounded_channel();
    let read = async move {
        let mut buffer = [0; 4096];
        loop {
            let count = from.read(&mut buffer).await?;
            if count == 0 || sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                return std::io::Result::Ok(());
            }
        }
    };
    let write = async move {
        while let Some((at, piece)) = pieces.recv().await {
            sleep_until(at).await;
            to.write_all(&piece).await?;
        }
        std::io::Result::Ok(())
    };
    tokio::try_join!(read, write).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_goes_on_later_in_its_order() {
        const DELAY: Duration = Duration::from_millis(200);
        let (mut server, from) = tokio::io::duplex(64);
        let (to, mut client) = tokio::io::duplex(64);
        let copying = tokio::spawn(copy_late(from, to, DELAY));
        let mut said = Vec::new();
        for byte in 0..10 {
            said.push(Instant::now());
            server.write_u8(byte).await.unwrap();
        }
        for (byte, said) in (0..).zip(said) {
            assert_eq!(client.read_u8().await.unwrap(), byte);
            assert!(said.elapsed() >= DELAY);
        }
        drop(server);
        assert!(copying.await.unwrap().is_ok());
    }
}
